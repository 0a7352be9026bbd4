//! A reviewer's question, answered: by the mailed link without an account, or in the portal. The fields that the question is about can be changed.

use askama::Template;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::applications::case::{self, Question};
use platform::applications::questions::{self, By};
use platform::applications::review::Refusal;
use platform::applications::{self, Application};
use platform::forms::{self, Answers, Field as Asked, Kind};
use platform::uploads::{self, Purpose};
use platform::{Fault, apps};
use serde_json::{Map, Value};

use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, act, see};
use crate::pages::cases;
use crate::pages::frame::Frame;
use crate::pages::parts::form::Field;
use crate::pages::parts::{Choice, Form};
use crate::pages::upload::{self, Owner};
use crate::pages::view::Moment;
use crate::pages::{Page, redirect};
use crate::state::State;

/// The acts of this room.
pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/answer", Needs::Anyone, "open a reviewer's question by its mailed link", by_link),
        act("/developers/answer", Needs::Anyone, "answer a reviewer's question by its mailed link", answer_by_link),
        see("/developers/answer/done", Needs::Anyone, "see that an answer was taken", done),
        act("/developers/applications/{application}/answer", Needs::Works, "answer a reviewer's question", answer_in_portal),
    ]
}

/// The form of an answer; a part of the page by link and of the application's page.
pub(super) struct AnswerForm {
    /// Where it is posted.
    pub(super) action: String,
    pub(super) question: String,
    pub(super) asked: Moment,
    pub(super) due: Moment,
    pub(super) form: Form,
    pub(super) fields: Vec<FieldForm>,
}

/// One field that can be changed.
pub(super) struct FieldForm {
    /// The input; for files, the one for further files.
    pub(super) field: Field,
    /// Which files are there; each can be left out.
    pub(super) files: Option<Field>,
}

impl AnswerForm {
    pub(super) fn has_files(&self) -> bool {
        self.fields.iter().any(|field| field.files.is_some())
    }

    pub(super) fn answer(&self) -> Field {
        let field = self.form.area("answer", "Your answer").rows(6);
        if self.fields.is_empty() { field } else { field.optional().help("Or change the answers below, or both.") }
    }
}

#[derive(Template)]
#[template(path = "portal/answer.html")]
struct AnswerPage {
    shell: Frame,
    app: String,
    reference: String,
    it: AnswerForm,
}

#[derive(Template)]
#[template(path = "portal/answer_over.html")]
struct OverPage {
    shell: Frame,
    done: bool,
}

fn name(field: &Asked) -> String {
    format!("f.{}", field.name)
}

fn kept(field: &Asked) -> String {
    format!("keep.{}", field.name)
}

/// Files that were handed in for the app, in the order of their numbers.
async fn files(state: &State, application: &Application, ids: &[i64]) -> Result<Vec<uploads::Upload>, Fault> {
    let mut tx = state.platform.db.read().await?;
    let mut files = Vec::new();
    for upload_id in ids {
        let file = uploads::by_id(&mut tx, *upload_id).await?;
        files.extend(file.filter(|file| file.app_id == Some(application.app_id)));
    }
    Ok(files)
}

/// The form, filled with the present answers, or with what was typed.
pub(super) async fn form_of(
    state: &State,
    application: &Application,
    question: &Question,
    action: String,
    typed: Option<Form>,
) -> Result<AnswerForm, Fault> {
    let asked = state.platform.forms.of(&application.form);
    let answers = application.answers();
    let fresh = typed.is_none();
    let mut form = typed.unwrap_or_default();
    let scopes = forms::scopes(&state.platform.catalogue);
    let mut fields = Vec::new();
    for field in question.fields().iter().filter_map(|name| asked.field(name)).filter(|field| questions::can_open(field)) {
        let (input, keep) = (name(field), kept(field));
        if fresh {
            match field.kind {
                Kind::Upload => {}
                Kind::Choices | Kind::Scopes => {
                    for value in field.chosen(&answers) {
                        form.add(&input, value);
                    }
                }
                _ => {
                    form.set(&input, field.text(&answers));
                }
            }
            for upload_id in field.uploads(&answers) {
                form.add(&keep, upload_id.to_string());
            }
        }
        let choices: Vec<Choice> = field.choices(&scopes).into_iter().map(|(value, label)| Choice::new(value, label)).collect();
        let view = match field.kind {
            Kind::Text | Kind::AppId => form.text(&input, &field.label),
            Kind::LongText => form.area(&input, &field.label).rows(field.rows.max(4)).max(field.max),
            Kind::Email => form.email(&input, &field.label),
            Kind::Url => form.url(&input, &field.label),
            Kind::Date => form.date(&input, &field.label),
            Kind::Choice | Kind::YesNo => form.radios(&input, &field.label, &choices),
            Kind::Choices | Kind::Scopes => form.checks(&input, &field.label, &choices),
            Kind::Upload => {
                let view = form.file(&input, &format!("{}: add a file", field.label), &field.upload.accept()).optional();
                if field.max > 1 { view.many() } else { view }
            }
        };
        let mut ids = field.uploads(&answers);
        ids.extend(form.all(&keep).filter_map(|id| id.parse::<i64>().ok()));
        ids.sort_unstable();
        ids.dedup();
        let there = if field.kind == Kind::Upload { files(state, application, &ids).await? } else { Vec::new() };
        let there: Vec<Choice> = there.into_iter().map(|file| Choice::new(file.upload_id.to_string(), file.name)).collect();
        let files =
            (!there.is_empty()).then(|| form.checks(&keep, &format!("{}: files that stay", field.label), &there).optional());
        let files = files.or_else(|| (field.kind == Kind::Upload).then(|| form.checks(&keep, &field.label, &[]).hide_label()));
        fields.push(FieldForm { field: view.help(field.help.clone()), files: files.filter(|_| !there.is_empty()) });
    }
    Ok(AnswerForm {
        action,
        question: question.text.clone(),
        asked: cases::day(&state.platform, question.asked_at),
        due: cases::day(&state.platform, question.due_at),
        form,
        fields,
    })
}

/// What was typed and handed in, as the form's values; `new` holds files by field.
fn values(state: &State, application: &Application, question: &Question, params: &Params, new: &[(String, i64)]) -> Answers {
    let asked = state.platform.forms.of(&application.form);
    let mut values = Map::new();
    for field in question.fields().iter().filter_map(|name| asked.field(name)) {
        let input = name(field);
        let text = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
        let value = match field.kind {
            Kind::Choices | Kind::Scopes => {
                Value::Array(params.all(&input).map(|value| Value::String(value.to_owned())).collect())
            }
            Kind::Upload => {
                let keep = kept(field);
                let stay = params.all(&keep).filter_map(|id| id.parse::<i64>().ok());
                let come = new.iter().filter(|(held, _)| *held == input).map(|(_, id)| *id);
                Value::Array(stay.chain(come).map(Value::from).collect())
            }
            _ => match params.all(&input).next() {
                Some(typed) => Value::String(text(typed)),
                None => continue,
            },
        };
        // Nothing where nothing was is no change.
        let empty =
            matches!(&value, Value::String(text) if text.is_empty()) || matches!(&value, Value::Array(all) if all.is_empty());
        if !empty || application.answers().contains_key(&field.name) {
            values.insert(field.name.clone(), value);
        }
    }
    values
}

/// What came with a form.
struct Came {
    params: Params,
    files: Vec<(String, i64)>,
    wrong: Vec<(String, String)>,
}

async fn receive(
    state: &State,
    application: &Application,
    question: &Question,
    account_id: Option<i64>,
    request: Request<Body>,
) -> Result<Came, StatusCode> {
    let (parts, body) = request.into_parts();
    let owner = Owner { owner_id: application.owner_id, account_id, app_id: Some(application.app_id) };
    let asked = state.platform.forms.of(&application.form);
    let open = question.fields();
    let purpose = |input: &str| -> Option<Purpose> {
        let field = asked.field(input.strip_prefix("f.")?)?;
        (field.kind == Kind::Upload && open.contains(&field.name)).then_some(field.upload)
    };
    let (params, given) = upload::receive_each(state, &parts, body, owner, purpose).await?;
    let (mut files, mut wrong) = (Vec::new(), Vec::new());
    for given in given {
        match given.taken {
            Ok(upload) => files.push((given.field, upload.upload_id)),
            Err(refusal) => wrong.push((given.field, refusal.to_string())),
        }
    }
    Ok(Came { params, files, wrong })
}

/// The form again, with what was typed, and the files that were taken.
fn again(came: &Came, wrong: Vec<(String, String)>, fields: &[String]) -> Form {
    let mut form = Form::of(&came.params);
    for (input, upload_id) in &came.files {
        form.add(&input.replacen("f.", "keep.", 1), upload_id.to_string());
    }
    for (field, why) in came.wrong.iter().cloned().chain(wrong) {
        let field = if fields.contains(&field) { format!("f.{field}") } else { field };
        form.wrong(&field, why);
    }
    form
}

fn link_action(token: &str) -> String {
    let token: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
    format!("/developers/answer?token={token}")
}

fn token(request: &Request<Body>) -> String {
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes());
    params.ok().and_then(|params| params.all("token").next().map(str::to_owned)).unwrap_or_default()
}

async fn page_by_link(
    state: &State,
    id: &CallId,
    developer: Option<&Developer>,
    (token, application, question): (&str, &Application, &Question),
    (status, typed): (StatusCode, Option<Form>),
) -> Response {
    let page = Page::new(state, id);
    let found = async {
        let mut tx = state.platform.db.read().await?;
        let app = apps::by_id(&mut tx, application.app_id).await?;
        drop(tx);
        let it = form_of(state, application, question, link_action(token), typed).await?;
        let shell = Frame::public(state, developer);
        Ok::<_, Fault>(AnswerPage {
            shell,
            app: app.map(|app| app.name).unwrap_or_default(),
            reference: application.reference(),
            it,
        })
    };
    match found.await {
        Ok(view) => page.show(status, &view),
        Err(fault) => page.fault(&fault),
    }
}

fn over(state: &State, id: &CallId, developer: Option<&Developer>, done: bool) -> Response {
    let status = if done { StatusCode::OK } else { StatusCode::GONE };
    Page::new(state, id).show(status, &OverPage { shell: Frame::public(state, developer), done })
}

/// `GET /developers/answer?token=..`
async fn by_link(
    With(state): With<State>,
    id: CallId,
    developer: Option<Extension<Developer>>,
    request: Request<Body>,
) -> Response {
    let developer = developer.map(|Extension(developer)| developer);
    let token = token(&request);
    match questions::behind(&state.platform, &token).await {
        Ok(Some((application, question))) => {
            let about = (token.as_str(), &application, &question);
            page_by_link(&state, &id, developer.as_ref(), about, (StatusCode::OK, None)).await
        }
        Ok(None) => over(&state, &id, developer.as_ref(), false),
        Err(fault) => Page::new(&state, &id).fault(&fault),
    }
}

/// `GET /developers/answer/done`
async fn done(With(state): With<State>, id: CallId, developer: Option<Extension<Developer>>) -> Response {
    over(&state, &id, developer.as_deref(), true)
}

/// `POST /developers/answer?token=..`
async fn answer_by_link(
    With(state): With<State>,
    id: CallId,
    developer: Option<Extension<Developer>>,
    request: Request<Body>,
) -> Response {
    let page = Page::new(&state, &id);
    let developer = developer.map(|Extension(developer)| developer);
    let token = token(&request);
    let (application, question) = match questions::behind(&state.platform, &token).await {
        Ok(Some(found)) => found,
        Ok(None) => return over(&state, &id, developer.as_ref(), false),
        Err(fault) => return page.fault(&fault),
    };
    let came = match receive(&state, &application, &question, None, request).await {
        Ok(came) => came,
        Err(status) => return page.problem(status),
    };
    let wrong = match take(&state, By::Link(&token), &application, &question, &came).await {
        Ok(()) => return redirect("/developers/answer/done"),
        Err(Refusal::Invalid(wrong)) => wrong,
        Err(Refusal::Fault(fault)) => return page.fault(&fault),
        Err(_) => return over(&state, &id, developer.as_ref(), false),
    };
    let form = again(&came, wrong, &question.fields());
    let about = (token.as_str(), &application, &question);
    page_by_link(&state, &id, developer.as_ref(), about, (StatusCode::UNPROCESSABLE_ENTITY, Some(form))).await
}

async fn take(state: &State, by: By<'_>, application: &Application, question: &Question, came: &Came) -> Result<(), Refusal> {
    if !came.wrong.is_empty() {
        return Err(Refusal::Invalid(Vec::new()));
    }
    let values = values(state, application, question, &came.params, &came.files);
    let text = came.params.all("answer").next().unwrap_or_default();
    questions::answer(&state.platform, by, text, values).await.map(drop)
}

/// `POST /developers/applications/{application}/answer`
async fn answer_in_portal(
    With(state): With<State>,
    id: CallId,
    developer: Developer,
    of_app: OfApp,
    Path(application): Path<i64>,
    request: Request<Body>,
) -> Response {
    let page = Page::new(&state, &id);
    let found = async {
        let mut tx = state.platform.db.read().await?;
        let Some(found) = applications::by_id(&mut tx, application).await? else { return Ok(None) };
        let open = case::questions(&mut tx, application).await?.into_iter().find(|question| question.closed_at.is_none());
        Ok::<_, Fault>(Some((found, open)))
    };
    let (application, question) = match found.await {
        Ok(Some((application, Some(question)))) => (application, question),
        // A colleague answered meanwhile.
        Ok(Some((application, None))) => return redirect(&super::application_status::path(application.application_id)),
        Ok(None) => return page.problem(StatusCode::NOT_FOUND),
        Err(fault) => return page.fault(&fault),
    };
    let came = match receive(&state, &application, &question, Some(developer.account.account_id), request).await {
        Ok(came) => came,
        Err(status) => return page.problem(status),
    };
    let path = super::application_status::path(application.application_id);
    let by = By::Developer(&developer.account, question.question_id);
    match take(&state, by, &application, &question, &came).await {
        Ok(()) => redirect(&format!("{path}?done=answered")),
        Err(Refusal::Invalid(wrong)) => {
            let form = again(&came, wrong, &question.fields());
            let id_of = application.application_id;
            super::application_status::page(
                &state,
                &id,
                &developer,
                &of_app,
                id_of,
                StatusCode::UNPROCESSABLE_ENTITY,
                Some(form),
                None,
            )
            .await
        }
        Err(Refusal::Fault(fault)) => page.fault(&fault),
        Err(_) => redirect(&path),
    }
}
