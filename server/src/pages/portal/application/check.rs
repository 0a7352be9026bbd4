//! Before the submission: all answers, everything that is missing or wrong, what reviewers would look at, and the declarations.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::Fault;
use platform::applications::submit::{self, Declarations, MachineFinding, SubmitError};
use platform::applications::{self, Application, advice, copy, draft};
use platform::forms::Finding;

use super::{OfApplication, due, faults, path, query, read, step_path};
use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, act, see};
use crate::pages::frame::Frame;
use crate::pages::parts::{Check, Checklist, Confirmation, Form, Notice, Row, Steps, Summary, Tone};
use crate::pages::{Page, form, redirect};
use crate::state::State;

pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/applications/{application}/check", Needs::Works, "Check the answers of an application", show),
        act("/developers/applications/{application}/submit", Needs::Works, "Submit an application", send),
        see("/developers/applications/{application}/submitted", Needs::Works, "See that an application was submitted", submitted),
    ]
}

#[derive(Debug, Template)]
#[template(path = "portal/application_check.html")]
struct CheckPage {
    shell: Frame,
    path: String,
    reference: String,
    steps: Steps,
    notice: Notice,
    /// Message and address of everything that is in the way.
    problems: Vec<(String, String)>,
    /// Whether somebody has tried to submit; else what is missing is told calmly.
    tried: bool,
    sections: Vec<Section>,
    /// The address that is to be confirmed.
    unconfirmed: String,
    advice: Checklist,
    form: Form,
    /// Field of the remark, and what was found.
    remarks: Vec<(String, String)>,
    languages: String,
    terms: String,
    version: i64,
    /// Names and words of the declarations.
    declarations: Vec<(&'static str, String)>,
}

#[derive(Debug)]
struct Section {
    title: String,
    summary: Summary,
}

async fn show(
    With(state): With<State>,
    id: CallId,
    developer: Developer,
    of: OfApp,
    OfApplication(application): OfApplication,
    request: Request,
) -> Response {
    let page = Page::new(&state, &id);
    if !application.state.can_be_written() {
        return redirect(&path(&application));
    }
    let notice = match query(&request).get("done").ok().flatten() {
        Some("mailed") => Notice::status("The mail is on its way. Open the link in it, then come back here."),
        Some("often") => Notice::warn("Several mails were sent within an hour.")
            .text("Wait a while before the next, and look into the spam folder."),
        Some("changed") => {
            Notice::warn("Somebody else has saved this application meanwhile.").text("Look at the answers again, then submit.")
        }
        _ => Notice::default(),
    };
    let told = async {
        let wrong = faults(&state, &application).await?;
        let seen = advice::advise(&state.platform, &application).await?;
        check_page(&state, &developer, &of, &application, Form::new(), Told { notice, wrong, seen, tried: false }).await
    };
    match told.await {
        Ok(told) => page.show(StatusCode::OK, &told),
        Err(fault) => page.fault(&fault),
    }
}

/// What the page says beside the answers.
struct Told {
    notice: Notice,
    wrong: Vec<Finding>,
    seen: Vec<MachineFinding>,
    tried: bool,
}

async fn check_page(
    state: &State,
    developer: &Developer,
    of: &OfApp,
    application: &Application,
    mut form: Form,
    told: Told,
) -> Result<CheckPage, Fault> {
    let platform = &state.platform;
    let questions = platform.forms.of(&application.form);
    let mut tx = platform.db.read().await?;
    let answers = copy::in_words(platform, &mut tx, &application.form, &application.answers()).await?;
    let read = submit::findings(platform, &mut tx, application, &application.answers()).await?;
    drop(tx);
    let mut problems = Vec::new();
    for finding in &told.wrong {
        let address = match questions.step_of(&finding.field) {
            Some(step) => format!("{}?check=1#{}", step_path(application, &step.name), finding.field),
            None => {
                form.wrong(&finding.field, finding.message.clone());
                format!("#{}", finding.field)
            }
        };
        problems.push((finding.message.clone(), address));
    }
    let mut sections: Vec<Section> = Vec::new();
    for answered in &answers {
        let step = questions.step_of(&answered.field);
        let mut row = Row::new(answered.label.clone());
        for words in &answered.words {
            row = row.text(words.clone());
        }
        for file in &answered.files {
            row = row.link(format!("{}, {}", file.name, file.weight), format!("/developers/uploads/{}", file.upload_id));
        }
        if let Some(step) = step {
            row = row.change(format!("{}#{}", step_path(application, &step.name), answered.field));
        }
        match sections.last_mut().filter(|section| section.title == answered.step) {
            Some(section) => section.summary.0.push(row),
            None => sections.push(Section { title: answered.step.clone(), summary: Summary(vec![row]) }),
        }
    }
    let mut remarks: Vec<(String, String)> = Vec::new();
    for finding in &read {
        let field = submit::remark_field(&finding.field);
        match remarks.iter_mut().find(|(held, _)| *held == field) {
            Some((_, text)) => text.push_str(&format!("; {}", finding.text)),
            None => remarks.push((field, finding.text.clone())),
        }
    }
    if !told.tried {
        problems.extend(remarks.iter().map(|(field, found)| (format!("{found}; it needs a remark"), format!("#{field}"))));
    }
    let (email, confirmed) = draft::contact(platform, application);
    let mut steps: Vec<(String, Option<String>)> =
        questions.steps.iter().map(|held| (held.title.clone(), Some(step_path(application, &held.name)))).collect();
    let at = steps.len();
    steps.push(("Check and submit".to_owned(), None));
    Ok(CheckPage {
        shell: Frame::developer(state, developer).of_app(of, "scopes"),
        path: path(application),
        reference: application.reference(),
        steps: Steps { steps, at },
        notice: told.notice,
        problems,
        tried: told.tried,
        sections,
        unconfirmed: if confirmed { String::new() } else { email },
        advice: Checklist(told.seen.iter().map(|finding| line(application, state, finding)).collect()),
        form,
        remarks,
        languages: submit::languages(platform),
        terms: platform.forms.terms.version.clone(),
        version: application.version,
        declarations: declarations(state),
    })
}

fn line(application: &Application, state: &State, finding: &MachineFinding) -> Check {
    let (tone, words) = match finding.tone.as_str() {
        "good" => (Tone::Good, "Fine"),
        "advice" => (Tone::Action, "Look at this"),
        _ => (Tone::Off, "Not looked at"),
    };
    let title = match finding.kind.as_str() {
        "site" => "Website",
        "policy" => "Privacy policy",
        "email" => "Mail address",
        "scopes" => "Scopes and explanation",
        "mockups" => "Mockups",
        _ => "Language",
    };
    let step = state.platform.forms.of(&application.form).step_of(&finding.field);
    let link = step
        .filter(|_| tone != Tone::Good)
        .map(|step| ("Change".to_owned(), format!("{}#{}", step_path(application, &step.name), finding.field)));
    Check { tone, state: words.to_owned(), title: title.to_owned(), text: finding.text.clone(), whose: String::new(), link }
}

/// What an applicant declares.
fn declarations(state: &State) -> Vec<(&'static str, String)> {
    let (languages, terms) = (submit::languages(&state.platform), &state.platform.forms.terms.version);
    let brand = &state.brand.name;
    vec![
        ("accurate", "The answers are true and complete, and I may give them for the organisation.".to_owned()),
        ("english", format!("Everything I hand in, pictures and files included, is in {languages}.")),
        ("checks", format!("{brand} may check what I have said, in public sources and at the addresses given.")),
        ("terms", format!("I accept version {terms} of the programme’s terms.")),
    ]
}

fn declared(params: &Params) -> Declarations {
    let ticked = |name: &'static str| params.all(name).any(|value| value == "yes");
    let remark = |(name, value): &(String, String)| Some((name.strip_prefix("remark-")?.to_owned(), value.clone()));
    Declarations {
        accurate: ticked("accurate"),
        english: ticked("english"),
        checks: ticked("checks"),
        terms_version: if ticked("terms") {
            params.all("terms_version").next().unwrap_or_default().to_owned()
        } else {
            String::new()
        },
        remarks: params.pairs().iter().filter_map(remark).collect(),
    }
}

async fn send(
    With(state): With<State>,
    id: CallId,
    developer: Developer,
    of: OfApp,
    OfApplication(application): OfApplication,
    request: Request,
) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let version = params.all("_version").next().and_then(|version| version.parse().ok()).unwrap_or(-1);
    let declarations = declared(&params);
    let done = format!("{}/submitted", path(&application));
    if application.submissions > 0 && application.state.waits_for_staff() {
        return redirect(&done);
    }
    let (platform, account) = (&state.platform, &developer.account);
    let seen = match advice::advise(platform, &application).await {
        Ok(seen) => seen,
        Err(fault) => return page.fault(&fault),
    };
    match submit::submit(platform, account, application.application_id, version, &declarations, seen.clone()).await {
        // A second press of the button, or a colleague's: it is one submission.
        Ok(_) | Err(SubmitError::Already(_)) => redirect(&done),
        Err(SubmitError::Stale(_)) => match read(&state, application.application_id).await {
            // Overtaken by the other press, in the very same moment.
            Ok(Some(now)) if !now.state.can_be_written() => redirect(&done),
            Ok(_) => redirect(&format!("{}/check?done=changed", path(&application))),
            Err(fault) => page.fault(&fault),
        },
        Err(SubmitError::NotNow(_)) => redirect(&path(&application)),
        Err(SubmitError::Unknown) => page.problem(StatusCode::NOT_FOUND),
        Err(SubmitError::Findings(wrong)) => {
            let told = Told { notice: Notice::default(), wrong, seen, tried: true };
            match check_page(&state, &developer, &of, &application, Form::of(&params), told).await {
                Ok(told) => page.show(StatusCode::UNPROCESSABLE_ENTITY, &told),
                Err(fault) => page.fault(&fault),
            }
        }
        Err(SubmitError::Fault(fault)) => page.fault(&fault),
    }
}

#[derive(Debug, Template)]
#[template(path = "portal/application_submitted.html")]
struct SubmittedPage {
    shell: Frame,
    path: String,
    confirmation: Confirmation,
    email: String,
    usual: String,
    due: String,
    app: String,
    support: String,
}

async fn submitted(
    With(state): With<State>,
    id: CallId,
    developer: Developer,
    of: OfApp,
    OfApplication(application): OfApplication,
) -> Response {
    let page = Page::new(&state, &id);
    if application.submissions == 0 || !application.state.waits_for_staff() {
        return redirect(&path(&application));
    }
    let told = SubmittedPage {
        shell: Frame::developer(&state, &developer).of_app(&of, "scopes"),
        path: path(&application),
        confirmation: Confirmation {
            title: "Application submitted".to_owned(),
            reference: application.reference(),
            text: String::new(),
        },
        usual: due(&state, application.usual_at),
        due: due(&state, application.due_at),
        app: format!("/developers/apps/{}", application.app_id),
        support: support(&application),
        email: application.email,
    };
    page.show(StatusCode::OK, &told)
}

/// Where a mistake is told.
pub(super) fn support(application: &applications::Application) -> String {
    format!(
        "/developers/support/new?topic=Data+Portability+API&app={}&application={}",
        application.app_id, application.application_id
    )
}
