//! Handing an application in: everything that is in the way is told at once, and what was handed in is frozen as it was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::draft::{self, describe};
use super::{Application, State, Version, clocks, hand_in, rows};
use crate::accounts::Account;
use crate::db::Tx;
use crate::forms::{self, Answers, Context, Finding, Form, Kind, Role};
use crate::notices::{self, Notice};
use crate::uploads::{self, Upload};
use crate::{Fault, Platform};

/// The part of a long text by which its language is told: more makes nobody surer.
const READ: usize = 20_000;
/// The longest remark.
const REMARK: usize = 1000;

/// What an applicant declares with a submission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declarations {
    /// That the answers are true and whole.
    pub accurate: bool,
    /// That everything, pictures included, is in a language that is enabled.
    pub english: bool,
    /// That the operator may check what was said.
    pub checks: bool,
    /// Which version of the programme's terms they accept; empty for none.
    pub terms_version: String,
    /// Words to the reviewer on what the machine found, by field.
    pub remarks: BTreeMap<String, String>,
}

/// What the machine found, and what the applicant says to it; kept with the submission for the reviewer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineFinding {
    /// What was looked at: `language`, `site`, `policy`, `email`, `scopes`, `mockups`.
    pub kind: String,
    /// Which field it is about.
    pub field: String,
    /// `good`, `advice` or `unknown`.
    pub tone: String,
    /// In words.
    pub text: String,
    /// The applicant's.
    pub remark: String,
}

/// Why an application was not handed in.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// There is no such application.
    #[error("there is no such application")]
    Unknown,
    /// Fields, declarations, and texts in another language: all at once, in the form's order.
    #[error("some answers are missing or wrong")]
    Findings(Vec<Finding>),
    /// It was handed in already: a second press of the button, or a colleague's.
    #[error("this application has been submitted already")]
    Already(Box<Application>),
    /// It stands where it cannot be handed in.
    #[error("this application is {} and cannot be submitted", .0.words())]
    NotNow(State),
    /// Somebody saved it since the page was made; what was checked is not what would be handed in.
    #[error("somebody else has saved this application since you opened this page; look at the answers again")]
    Stale(Box<Application>),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for SubmitError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// The field of the page under which a remark on a field's language is written.
pub fn remark_field(field: &str) -> String {
    format!("remark-{field}")
}

/// The files that answers name and that are there.
pub async fn files(tx: &mut Tx, form: &Form, answers: &Answers) -> Result<Vec<Upload>, Fault> {
    let mut files = Vec::new();
    for id in form.uploads(answers) {
        files.extend(uploads::by_id(tx, id).await?);
    }
    Ok(files)
}

/// What is wrong with the answers themselves, and whether the address is confirmed.
pub async fn faults(platform: &Platform, tx: &mut Tx, application: &Application) -> Result<Vec<Finding>, Fault> {
    let form = platform.forms.of(&application.form);
    let answers = application.answers();
    let files = files(tx, form, &answers).await?;
    let scopes = forms::scopes(&platform.catalogue);
    let context = Context { app_id: application.app_id, scopes: &scopes, uploads: &files };
    let mut found = forms::check(form, &answers, &context);
    if let Some(contact) = form.of_role(Role::ContactEmail)
        && let (email, false) = draft::contact(platform, application)
        && !email.is_empty()
        && !found.iter().any(|finding| finding.field == contact.name)
    {
        let message = format!("Confirm “{}”: open the link that we have mailed to it", contact.label);
        found.push(Finding { field: contact.name.clone(), message });
        let place = |name: &str| form.fields().position(|field| field.name == name);
        found.sort_by_key(|finding| place(&finding.field));
    }
    Ok(found)
}

/// Answers and PDFs that read as another language than those that are enabled.
pub async fn findings(
    platform: &Platform,
    tx: &mut Tx,
    application: &Application,
    answers: &Answers,
) -> Result<Vec<MachineFinding>, Fault> {
    let form = platform.forms.of(&application.form);
    let answers = forms::relevant(form, answers);
    let enabled = &platform.settings.applications.languages;
    let mut found = Vec::new();
    let fields: Vec<&forms::Field> = form.fields().collect();
    for field in fields {
        let mut texts = Vec::new();
        match field.kind {
            Kind::Text | Kind::LongText => texts.push((format!("“{}”", field.label), field.text(&answers).to_owned())),
            Kind::Upload => {
                for id in field.uploads(&answers) {
                    let Some(upload) = uploads::by_id(tx, id).await? else { continue };
                    texts.push((format!("The text of {} at “{}”", upload.name, field.label), upload.text()));
                }
            }
            _ => {}
        }
        for (what, text) in texts {
            let text: String = text.chars().take(READ).collect();
            if let Some(language) = forms::readings(&text, enabled) {
                found.push(MachineFinding {
                    kind: "language".into(),
                    field: field.name.clone(),
                    tone: "advice".into(),
                    text: format!("{what} reads as {}", language.name),
                    remark: String::new(),
                });
            }
        }
    }
    Ok(found)
}

/// The names of the enabled languages: "English or German".
pub fn languages(platform: &Platform) -> String {
    let known = platform.settings.applications.languages.iter().filter_map(|code| forms::known_language(code));
    let names: Vec<&str> = known.map(|language| language.eng_name()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// Hands an application in. `seen` is what the checks before the submission found ([`super::advice`]); it never is in the way.
pub async fn submit(
    platform: &Platform,
    account: &Account,
    application_id: i64,
    version: i64,
    declarations: &Declarations,
    seen: Vec<MachineFinding>,
) -> Result<Application, SubmitError> {
    let mut tx = platform.db.begin().await?;
    let before = rows::by_id(&mut tx, application_id).await?.ok_or(SubmitError::Unknown)?;
    if !before.state.can_be_written() {
        return Err(match before.state {
            state if state.is_final() => SubmitError::NotNow(state),
            _ => SubmitError::Already(Box::new(before)),
        });
    }
    if before.version != version {
        return Err(SubmitError::Stale(Box::new(before)));
    }
    let mut wrong = faults(platform, &mut tx, &before).await?;
    let mut read = findings(platform, &mut tx, &before, &before.answers()).await?;
    for finding in &mut read {
        let remark = declarations.remarks.get(&finding.field).map(|remark| remark.trim()).unwrap_or_default();
        let field = remark_field(&finding.field);
        if remark.is_empty() {
            let message = format!(
                "{}; applications are in {}. Change it, or say why it should be taken",
                finding.text,
                languages(platform)
            );
            wrong.push(Finding { field, message });
        } else if remark.chars().count() > REMARK || remark.contains('\0') {
            wrong.push(Finding { field, message: format!("A remark has at most {REMARK} characters") });
        } else {
            finding.remark = remark.to_owned();
        }
    }
    wrong.extend(undeclared(platform, declarations));
    if !wrong.is_empty() {
        return Err(SubmitError::Findings(wrong));
    }
    let form = platform.forms.of(&before.form);
    let answers = forms::relevant(form, &before.answers());
    for id in form.uploads(&answers) {
        uploads::keep(&mut tx, id).await?;
    }
    let mut after = Application { answers: draft::json(&answers)?, ..before.clone() };
    describe(platform, &mut tx, form, &answers, &mut after).await?;
    let handed_in = hand_in(platform, &mut tx, account.actor(), &before, after).await?;
    let Some(after) = handed_in else { return Err(SubmitError::Stale(Box::new(before))) };
    read.extend(seen);
    let frozen = Version {
        application_id,
        number: after.submissions,
        answers: after.answers.clone(),
        findings: serde_json::to_string(&read).map_err(|fault| Fault::Row(fault.to_string()))?,
        declarations: json!({ "accurate": true, "english": true, "checks": true }).to_string(),
        terms_version: declarations.terms_version.clone(),
        submitted_by: Some(account.account_id),
        submitted_at: platform.now(),
    };
    rows::insert_version(&mut tx, &frozen).await?;
    let calendar = platform.settings.review.calendar();
    let day = |at: Option<crate::Millis>| at.map(|at| clocks::in_words(at, &calendar)).unwrap_or_default();
    let notice = Notice::ApplicationSubmitted {
        app: crate::apps::by_id(&mut tx, after.app_id).await?.map(|app| app.name).unwrap_or_default(),
        reference: after.reference(),
        usual: day(after.usual_at),
        due: day(after.due_at),
        path: format!("/developers/applications/{application_id}"),
    };
    notices::send(platform, &mut tx, &after.email, Some(application_id), notice).await?;
    tx.commit().await?;
    Ok(after)
}

/// Declarations that were not made.
fn undeclared(platform: &Platform, declarations: &Declarations) -> Vec<Finding> {
    let terms = &platform.forms.terms.version;
    let accepted = declarations.terms_version == *terms;
    let languages = languages(platform);
    [
        (declarations.accurate, "accurate", "Declare that the answers are true and complete".to_owned()),
        (declarations.english, "english", format!("Declare that everything, pictures included, is in {languages}")),
        (declarations.checks, "checks", "Agree to checks of what you have said".to_owned()),
        (accepted, "terms", format!("Accept version {terms} of the programme's terms")),
    ]
    .into_iter()
    .filter(|(made, _, _)| !made)
    .map(|(_, field, message)| Finding { field: field.to_owned(), message })
    .collect()
}
