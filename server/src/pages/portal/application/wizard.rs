//! The steps of the form. Every button saves; what is wrong is told and kept all the same; who was overtaken is shown both versions.

use askama::Template;
use axum::extract::{Path, Request, State as With};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use platform::Fault;
use platform::applications::draft::{self, Edits, SaveError};
use platform::applications::{self, Application};
use platform::forms::{self, Answers, Field as Question, Finding, Kind, Step};
use platform::uploads::Upload;
use serde_json::Value;

use super::{OfApplication, faults, minute, next, path, previous, query, step_path, tasks_path};
use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, act, see};
use crate::pages::frame::Frame;
use crate::pages::parts::form::Field;
use crate::pages::parts::{Choice, Form, Steps};
use crate::pages::upload::{self, Given, Owner};
use crate::pages::view::Moment;
use crate::pages::{Page, redirect};
use crate::state::State;

pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/applications/{application}/edit/{step}", Needs::Works, "See a step of an application", show),
        act("/developers/applications/{application}/edit/{step}", Needs::Works, "Save a step of an application", save),
    ]
}

#[derive(Debug, Template)]
#[template(path = "portal/application_step.html")]
struct StepPage {
    shell: Frame,
    form: Form,
    /// The application's page.
    path: String,
    reference: String,
    steps: Steps,
    step: Step,
    /// Counted from 1.
    number: usize,
    count: usize,
    items: Vec<Item>,
    version: i64,
    seen: String,
    first: bool,
    saved: Moment,
}

/// A question as the page shows it.
#[derive(Debug)]
struct Item {
    field: Field,
    /// Under which other answer it is asked.
    condition: String,
    /// Files that were handed in.
    files: Vec<FileRow>,
}

#[derive(Debug)]
struct FileRow {
    field: String,
    id: i64,
    name: String,
    weight: String,
}

#[derive(Debug, Template)]
#[template(path = "portal/application_stale.html")]
struct StalePage {
    shell: Frame,
    path: String,
    action: String,
    title: String,
    saved: Moment,
    version: i64,
    seen: String,
    rows: Vec<Differs>,
    /// What is posted again as it was.
    hidden: Vec<(String, String)>,
}

/// A question with two answers.
#[derive(Debug)]
struct Differs {
    name: String,
    label: String,
    theirs: String,
    mine: String,
}

async fn show(
    With(state): With<State>,
    id: CallId,
    developer: Developer,
    of: OfApp,
    OfApplication(application): OfApplication,
    Path((_, step)): Path<(String, String)>,
    request: Request,
) -> Response {
    let page = Page::new(&state, &id).scripted();
    if !application.state.can_be_written() {
        return redirect(&path(&application));
    }
    let form = state.platform.forms.of(&application.form);
    let Some(step) = form.steps.iter().find(|held| held.name == step) else { return page.problem(StatusCode::NOT_FOUND) };
    let query = query(&request);
    let checked = query.get("check").ok().flatten().is_some();
    let shown = async {
        let mut wrong = if checked { faults(&state, &application).await? } else { Vec::new() };
        wrong.retain(|finding| step.fields.iter().any(|field| field.name == finding.field));
        let typed = typed(step, &application.answers());
        step_page(&state, &developer, &of, &application, step, typed, &wrong).await
    };
    match shown.await {
        Ok(told) => page.show(StatusCode::OK, &told),
        Err(fault) => page.fault(&fault),
    }
}

/// Answers as a form holds them.
fn typed(step: &Step, answers: &Answers) -> Form {
    let mut form = Form::new();
    for field in &step.fields {
        match answers.get(&field.name) {
            Some(Value::String(text)) => {
                form.set(&field.name, text.clone());
            }
            Some(Value::Array(items)) if field.kind != Kind::Upload => {
                for item in items.iter().filter_map(Value::as_str) {
                    form.add(&field.name, item);
                }
            }
            _ => {}
        }
    }
    form
}

async fn step_page(
    state: &State,
    developer: &Developer,
    of: &OfApp,
    application: &Application,
    step: &Step,
    mut form: Form,
    wrong: &[Finding],
) -> Result<StepPage, Fault> {
    let questions = state.platform.forms.of(&application.form);
    let answers = application.answers();
    let mut tx = state.platform.db.read().await?;
    let files = applications::submit::files(&mut tx, questions, &answers).await?;
    drop(tx);
    for finding in wrong {
        form.wrong(&finding.field, finding.message.clone());
    }
    let scopes = forms::scopes(&state.platform.catalogue);
    let items = step.fields.iter().map(|question| Item {
        field: field(&form, question, &scopes),
        condition: condition(questions, question),
        files: rows(question, &answers, &files),
    });
    let at = questions.steps.iter().position(|held| held.name == step.name).unwrap_or(0);
    let mut steps: Vec<(String, Option<String>)> =
        questions.steps.iter().map(|held| (held.title.clone(), Some(step_path(application, &held.name)))).collect();
    steps.push(("Check and submit".to_owned(), Some(format!("{}/check", path(application)))));
    Ok(StepPage {
        shell: Frame::developer(state, developer).of_app(of, "scopes"),
        items: items.collect(),
        form,
        path: path(application),
        reference: application.reference(),
        count: questions.steps.len(),
        number: at + 1,
        steps: Steps { steps, at },
        seen: draft::fingerprint(step, &answers),
        step: step.clone(),
        version: application.version,
        first: at == 0,
        saved: minute(application.updated_at),
    })
}

fn rows(question: &Question, answers: &Answers, files: &[Upload]) -> Vec<FileRow> {
    let there = question.uploads(answers);
    let named = there.iter().filter_map(|id| files.iter().find(|file| file.upload_id == *id));
    let row = |file: &Upload| {
        let pages = file.pages().map(|pages| if pages == 1 { ", 1 page".to_owned() } else { format!(", {pages} pages") });
        FileRow {
            field: question.name.clone(),
            id: file.upload_id,
            name: file.name.clone(),
            weight: format!("{}{}", file.weight(), pages.unwrap_or_default()),
        }
    };
    named.map(row).collect()
}

/// "Only if the answer to “..” is “Yes”".
fn condition(form: &forms::Form, question: &Question) -> String {
    let Some((name, value)) = &question.when else { return String::new() };
    let Some(other) = form.field(name) else { return String::new() };
    let label = other.choices(&[]).into_iter().find(|(held, _)| held == value).map_or(value.clone(), |(_, label)| label);
    format!("Only if the answer to “{}” is “{label}”", other.label)
}

fn field(form: &Form, question: &Question, scopes: &[(String, String)]) -> Field {
    let (name, label) = (question.name.as_str(), question.label.as_str());
    let choices = || -> Vec<Choice> {
        let choice = |(value, label): (String, String)| {
            if question.kind == Kind::Scopes { Choice::new(value.clone(), label).help(value) } else { Choice::new(value, label) }
        };
        question.choices(scopes).into_iter().map(choice).collect()
    };
    let field = match question.kind {
        Kind::Text => form.text(name, label),
        Kind::LongText => form.area(name, label).rows(question.rows).max(question.max),
        Kind::Email => form.email(name, label),
        Kind::Url => form.url(name, label),
        Kind::Date => form.date(name, label),
        Kind::AppId => form.code(name, label).autocomplete("off"),
        Kind::Choice | Kind::YesNo => form.radios(name, label, &choices()),
        Kind::Choices | Kind::Scopes => form.checks(name, label, &choices()),
        Kind::Upload => {
            let field = form.file(name, label, &question.upload.accept());
            if question.max > 1 { field.many() } else { field }
        }
    };
    let help = match question.kind {
        Kind::Upload if question.max > 1 => {
            format!("{} Up to {} files: {}.", question.help, question.max, question.upload.words())
        }
        Kind::Upload => format!("{} {}.", question.help, question.upload.words()),
        _ => question.help.clone(),
    };
    let field = field.help(help).purpose(question.purpose.clone());
    let field = match AUTOCOMPLETE.iter().find(|known| **known == question.autocomplete) {
        Some(known) => field.autocomplete(known),
        None => field,
    };
    if question.required { field } else { field.optional() }
}

/// What forms may let browsers fill in.
const AUTOCOMPLETE: [&str; 7] = ["name", "organization", "organization-title", "email", "tel", "url", "country-name"];

/// Where the page's script leads that saves while somebody writes: nowhere.
const KEEP: &str = "keep";

/// What a step's form holds, and where its button leads.
struct Posted {
    edits: Edits,
    version: i64,
    seen: String,
    go: String,
}

fn posted(step: &Step, params: &Params, given: &[Given]) -> Posted {
    let one = |name: &'static str| params.all(name).next().unwrap_or_default().to_owned();
    let go = one("_go");
    let mut edits = Edits::default();
    for field in &step.fields {
        // Half an address must not be written to.
        if go == KEEP && field.role == Some(forms::Role::ContactEmail) {
            continue;
        }
        // Who was shown both versions has chosen what was saved since.
        if params.all(&format!("_pick-{}", field.name)).next() == Some("theirs") {
            continue;
        }
        let mut values = params.all(&field.name);
        let value = match field.kind {
            Kind::Upload => continue,
            Kind::Choices | Kind::Scopes => values.map(str::to_owned).collect::<Vec<_>>().into(),
            Kind::Choice | Kind::YesNo => Value::from(values.next().unwrap_or_default()),
            _ => match values.next() {
                Some(text) => Value::from(text),
                None => continue,
            },
        };
        edits.set.insert(field.name.clone(), value);
    }
    let pair = |text: &str| text.split_once(':').and_then(|(field, id)| Some((field.to_owned(), id.parse().ok()?)));
    edits.remove = params.all("_remove").filter_map(pair).collect();
    edits.add = params.all("_add").filter_map(pair).collect();
    edits.add.extend(given.iter().filter_map(|given| Some((given.field.clone(), given.taken.as_ref().ok()?.upload_id))));
    Posted { edits, version: one("_version").parse().unwrap_or(-1), seen: one("_seen"), go }
}

async fn save(
    With(state): With<State>,
    id: CallId,
    developer: Developer,
    of: OfApp,
    OfApplication(application): OfApplication,
    Path((_, step)): Path<(String, String)>,
    request: Request,
) -> Response {
    let page = Page::new(&state, &id).scripted();
    let form = state.platform.forms.of(&application.form);
    let Some(step) = form.steps.iter().find(|held| held.name == step) else { return page.problem(StatusCode::NOT_FOUND) };
    let (parts, body) = request.into_parts();
    let owner = Owner { owner_id: of.app.owner_id, account_id: Some(developer.account.account_id), app_id: Some(of.app.app_id) };
    let purpose = |name: &str| {
        let question = step.fields.iter().find(|held| held.name == name && held.kind == Kind::Upload);
        question.map(|question| question.upload)
    };
    let (params, given) = match upload::receive_each(&state, &parts, body, owner, purpose).await {
        Ok(read) => read,
        Err(status) => return page.problem(status),
    };
    let posted = posted(step, &params, &given);
    let before = draft::contact(&state.platform, &application);
    let saved = match store(&state, &developer, &application, step, &posted).await {
        Ok(saved) => saved,
        Err(SaveError::Stale(current)) => {
            return match stale_page(&state, &developer, &of, &current, step, &params, &posted).await {
                Ok(told) => page.show(StatusCode::CONFLICT, &told),
                Err(fault) => page.fault(&fault),
            };
        }
        Err(SaveError::NotNow(_)) => return redirect(&path(&application)),
        Err(refusal @ (SaveError::TooLarge | SaveError::NotText)) => {
            let mut typed = Form::of(&params);
            let longest = step.fields.iter().max_by_key(|field| typed.value(&field.name).len());
            let at = longest.map(|field| field.name.clone()).unwrap_or_default();
            let words = match refusal {
                SaveError::TooLarge => {
                    "Nothing was saved: all answers together can have a megabyte. What was saved before is still there. Shorten this answer"
                }
                _ => "Nothing was saved: an answer holds a character that cannot be kept. What was saved before is still there",
            };
            typed.wrong(&at, words);
            return match step_page(&state, &developer, &of, &application, step, typed, &[]).await {
                Ok(told) => page.show(StatusCode::PAYLOAD_TOO_LARGE, &told),
                Err(fault) => page.fault(&fault),
            };
        }
        Err(SaveError::Fault(fault)) => return page.fault(&fault),
        Err(SaveError::Unknown | SaveError::TooManyMails) => return page.problem(StatusCode::NOT_FOUND),
    };
    if posted.go == KEEP {
        let at = minute(saved.updated_at);
        let seen = draft::fingerprint(step, &saved.answers());
        let told = serde_json::json!({ "version": saved.version, "seen": seen, "iso": at.iso, "words": at.words });
        return ([(CACHE_CONTROL, "no-store")], axum::Json(told)).into_response();
    }
    let contact = draft::contact(&state.platform, &saved);
    if contact != before
        && let (_, false) = contact
        && let Err(SaveError::Fault(fault)) =
            draft::send_confirmation(&state.platform, &developer.account, saved.application_id).await
    {
        return page.fault(&fault);
    }
    // A file that is refused is told here and now; everything else is saved.
    let refused: Vec<&Given> = given.iter().filter(|given| given.taken.is_err()).collect();
    if !refused.is_empty() {
        let status = refused.iter().filter_map(|given| given.taken.as_ref().err()).map(upload::status).max();
        let tell = |given: &&Given| {
            let why = given.taken.as_ref().err()?;
            Some(Finding { field: given.field.clone(), message: why.to_string() })
        };
        let wrong: Vec<Finding> = refused.iter().filter_map(tell).collect();
        let form = typed(step, &saved.answers());
        return match step_page(&state, &developer, &of, &saved, step, form, &wrong).await {
            Ok(told) => page.show(status.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY), &told),
            Err(fault) => page.fault(&fault),
        };
    }
    match onward(&state, &saved, step, &posted.go).await {
        Ok(to) => redirect(&to),
        Err(fault) => page.fault(&fault),
    }
}

/// Saves what was posted. Somebody else's change of another step, or of the address' confirmation, is not in the way.
async fn store(
    state: &State,
    developer: &Developer,
    application: &Application,
    step: &Step,
    posted: &Posted,
) -> Result<Application, SaveError> {
    let (platform, account) = (&state.platform, &developer.account);
    let mut version = posted.version;
    for _ in 0..3 {
        match applications::save_draft(platform, account, application.application_id, version, &posted.edits).await {
            Err(SaveError::Stale(current)) if draft::fingerprint(step, &current.answers()) == posted.seen => {
                version = current.version
            }
            other => return other,
        }
    }
    applications::save_draft(platform, account, application.application_id, version, &posted.edits).await
}

/// Where a button leads once everything is saved. Going on stops at what is wrong in the step.
async fn onward(state: &State, saved: &Application, step: &Step, go: &str) -> Result<String, Fault> {
    let form = state.platform.forms.of(&saved.form);
    Ok(match go {
        "leave" => format!("{}?done=saved", tasks_path(saved)),
        "back" => previous(form, step).map_or_else(|| tasks_path(saved), |step| step_path(saved, &step.name)),
        "stay" => step_path(saved, &step.name),
        _ => {
            let wrong = faults(state, saved).await?;
            // That an address waits for its confirmation is told on the page before the submission.
            let waits = draft::contact(&state.platform, saved);
            let waits = !waits.0.is_empty() && !waits.1;
            let contact = form.of_role(forms::Role::ContactEmail).map(|field| field.name.as_str());
            let stops = |finding: &Finding| {
                step.fields.iter().any(|field| field.name == finding.field) && !(waits && contact == Some(finding.field.as_str()))
            };
            if wrong.iter().any(stops) {
                format!("{}?check=1", step_path(saved, &step.name))
            } else {
                next(form, step).map_or_else(|| format!("{}/check", path(saved)), |step| step_path(saved, &step.name))
            }
        }
    })
}

/// Both versions of each answer that differs.
async fn stale_page(
    state: &State,
    developer: &Developer,
    of: &OfApp,
    current: &Application,
    step: &Step,
    params: &Params,
    posted: &Posted,
) -> Result<StalePage, Fault> {
    let held = current.answers();
    let scopes = forms::scopes(&state.platform.catalogue);
    let (mut differing, mut hidden) = (Vec::new(), Vec::new());
    for field in &step.fields {
        hidden.extend(params.all(&field.name).map(|value| (field.name.clone(), value.to_owned())));
        let Some(mine) = posted.edits.set.get(&field.name) else { continue };
        let mut mine_only = Answers::new();
        mine_only.insert(field.name.clone(), mine.clone());
        let (mine, theirs) = (field.words(&mine_only, &scopes).join("\n"), field.words(&held, &scopes).join("\n"));
        if mine.replace("\r\n", "\n") != theirs {
            differing.push(Differs { name: field.name.clone(), label: field.label.clone(), theirs, mine });
        }
    }
    hidden.extend(posted.edits.add.iter().map(|(field, id)| ("_add".to_owned(), format!("{field}:{id}"))));
    hidden.extend(posted.edits.remove.iter().map(|(field, id)| ("_remove".to_owned(), format!("{field}:{id}"))));
    hidden.push(("_go".to_owned(), posted.go.clone()));
    Ok(StalePage {
        shell: Frame::developer(state, developer).of_app(of, "scopes"),
        path: path(current),
        action: step_path(current, &step.name),
        title: step.title.clone(),
        saved: minute(current.updated_at),
        version: current.version,
        seen: draft::fingerprint(step, &held),
        rows: differing,
        hidden,
    })
}
