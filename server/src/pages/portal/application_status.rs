//! An application as its applicant sees it: where it stands, whose move it is, by when, what was asked, and what was decided.

use askama::Template;
use axum::extract::{Path, Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::Fault;
use platform::applications::review::Refusal;
use platform::applications::{self, Application, State as Standing, case, decide, rows};

use super::answer::{self, AnswerForm};
use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, act, see};
use crate::pages::cases::{self, Names, OutcomeView};
use crate::pages::frame::Frame;
use crate::pages::parts::{Badge, Comment, Form, Notice, Row, Summary, Thread, Timeline};
use crate::pages::view::Moment;
use crate::pages::{Page, form, moment, redirect};
use crate::state::State;

/// The acts of this room.
pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/applications/{application}", Needs::Works, "see where an application stands", show),
        act("/developers/applications/{application}/withdraw", Needs::Works, "take an application back", withdraw),
    ]
}

/// The applicant's page of an application.
pub(super) fn path(application_id: i64) -> String {
    format!("/developers/applications/{application_id}")
}

#[derive(Template)]
#[template(path = "portal/application_status.html")]
struct StatusPage {
    shell: Frame,
    form: Form,
    path: String,
    app_path: String,
    support: String,
    reference: String,
    version: i64,
    badge: Badge,
    notices: Vec<Notice>,
    dates: Summary,
    question: Option<AnswerForm>,
    answered: Vec<Answered>,
    decision: Option<DecisionView>,
    comments: Vec<Comments>,
    timeline: Timeline,
    can_write: bool,
    correcting: bool,
    submitted: bool,
    can_withdraw: bool,
    can_reapply: bool,
    approved: bool,
}

struct Answered {
    question: String,
    answer: String,
    at: Option<Moment>,
}

struct DecisionView {
    at: Moment,
    text: String,
    outcomes: Vec<OutcomeView>,
}

/// What reviewers wrote on one answer.
struct Comments {
    label: String,
    thread: Thread,
}

fn done(word: &str) -> Option<&'static str> {
    Some(match word {
        "answered" => "Your answer is with the reviewer. Their clock runs again.",
        "withdrawn" => "The application is withdrawn. You can apply again at any time.",
        _ => return None,
    })
}

/// `GET /developers/applications/{application}`
async fn show(
    With(state): With<State>,
    id: CallId,
    developer: Developer,
    of_app: OfApp,
    Path(application): Path<i64>,
    request: Request,
) -> Response {
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes()).ok();
    let word = params.and_then(|params| done(params.all("done").next().unwrap_or_default()));
    page(&state, &id, &developer, &of_app, application, StatusCode::OK, None, word).await
}

/// The page; `typed` is an answer that was not taken.
#[allow(clippy::too_many_arguments, reason = "who, what and how it is answered; there is one caller beside this file")]
pub(super) async fn page(
    state: &State,
    id: &CallId,
    developer: &Developer,
    of_app: &OfApp,
    application_id: i64,
    status: StatusCode,
    typed: Option<Form>,
    word: Option<&'static str>,
) -> Response {
    let page = Page::new(state, id);
    let shell = Frame::developer(state, developer).of_app(of_app, "scopes").done(word);
    match load(state, shell, application_id, typed).await {
        Ok(Some(view)) => page.show(status, &view),
        Ok(None) => page.problem(StatusCode::NOT_FOUND),
        Err(fault) => page.fault(&fault),
    }
}

async fn load(state: &State, shell: Frame, application_id: i64, typed: Option<Form>) -> Result<Option<StatusPage>, Fault> {
    let platform = &state.platform;
    let mut tx = platform.db.read().await?;
    let Some(application) = applications::by_id(&mut tx, application_id).await? else { return Ok(None) };
    let mut names = Names::default();
    let events = rows::events(&mut tx, application_id).await?;
    let timeline = cases::timeline(&mut tx, &mut names, &events, false, false).await?;
    let questions = case::questions(&mut tx, application_id).await?;
    let mut threads: Vec<Comments> = Vec::new();
    let asked = platform.forms.of(&application.form);
    for comment in case::comments(&mut tx, application_id).await?.into_iter().filter(|comment| comment.visible) {
        let label = asked.field(&comment.field).map_or("The whole application", |field| field.label.as_str());
        let view =
            Comment { who: "Reviewers".into(), at: Moment::minute(moment(comment.at)), text: comment.text, ..Comment::default() };
        match threads.iter_mut().find(|thread| thread.label == label) {
            Some(thread) => thread.thread.0.push(view),
            None => threads.push(Comments { label: label.to_owned(), thread: Thread(vec![view]) }),
        }
    }
    let decision = decide::in_force(&mut tx, application_id).await?.map(|decision| DecisionView {
        at: Moment::minute(moment(decision.at)),
        text: decision.text.clone(),
        outcomes: cases::outcomes(platform, &decision.outcomes(), decision.at),
    });
    let newer =
        applications::open_of_app(&mut tx, application.app_id).await?.is_some_and(|open| open.application_id != application_id);
    drop(tx);
    let form = typed.clone().unwrap_or_default();
    let question = match questions.iter().find(|question| question.closed_at.is_none()) {
        Some(question) => {
            Some(answer::form_of(state, &application, question, format!("{}/answer", path(application_id)), typed).await?)
        }
        None => None,
    };
    let answered = questions.iter().filter(|question| question.closed_at.is_some()).rev().map(|question| Answered {
        question: question.text.clone(),
        answer: question.answer.clone().unwrap_or_default(),
        at: question.answered_at.map(|at| Moment::minute(moment(at))),
    });
    let topic = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("topic", "Data Portability API")
        .append_pair("app", &application.app_id.to_string())
        .append_pair("application", &application_id.to_string())
        .finish();
    let standing = application.state;
    Ok(Some(StatusPage {
        shell,
        path: path(application_id),
        app_path: format!("/developers/apps/{}", application.app_id),
        support: format!("/developers/support/new?{topic}"),
        reference: application.reference(),
        version: application.version,
        badge: cases::badge(standing, false),
        notices: notices(state, &application),
        dates: dates(state, &application),
        question,
        answered: answered.collect(),
        decision,
        comments: threads,
        timeline: Timeline(timeline),
        can_write: standing.can_be_written(),
        correcting: standing == Standing::Reopened,
        submitted: application.submissions > 0,
        can_withdraw: Standing::Withdrawn.may_come_from().contains(&standing),
        can_reapply: standing.is_final() && !newer,
        approved: matches!(standing, Standing::Approved | Standing::ApprovedWithConditions),
        form,
    }))
}

/// Whose move it is, in plain words; and that a limit was missed.
fn notices(state: &State, application: &Application) -> Vec<Notice> {
    let platform = &state.platform;
    let mut notices = Vec::new();
    if application.is_late(platform.now()) && !application.state.is_final() {
        notices.push(
            Notice::danger("We have missed the date for this decision.")
                .text("It was put before the administrators. The delay decides nothing: your application is neither approved nor refused by it, and keeps its place."),
        );
    }
    let until = application.answer_due_at.map(|at| cases::day(platform, at).words).unwrap_or_default();
    notices.push(match application.state {
        Standing::Draft => Notice::warn("Your move: finish and submit it.").text("Everybody who works on the app can go on with it."),
        Standing::Submitted | Standing::Triage => Notice::info("Our move: a reviewer will take it up.").text("There is nothing for you to do. If we have a question, it goes to the address on the form."),
        Standing::InReview => Notice::info("Our move: a reviewer is at it.").text("If they have a question, it goes to the address on the form and appears here."),
        Standing::NeedsInfo => Notice::warn(format!("Your move: answer the question below by {until}.")).text("Our clock stands until then. If nothing comes, the reviewer goes on with what is there."),
        Standing::Reopened => Notice::warn(format!("Your move: correct the application and submit it again by {until}.")).text("It keeps its place in the queue. If nothing comes, the reviewer goes on with what you had submitted."),
        Standing::Approved | Standing::ApprovedWithConditions => Notice::info("Approved.").text("Choose under View scopes which approved scopes the app uses. In production the app itself has to be approved too: the app's page shows both."),
        Standing::Rejected => Notice::info("Not approved.").text("You can apply again at any time; the new application starts from these answers."),
        Standing::Revoked => Notice::info("The approval was revoked.").text("The reason is in the history below. You can apply again at any time."),
        Standing::Withdrawn => Notice::info("Withdrawn.").text("You can apply again at any time; the new application starts from these answers."),
        Standing::Expired => Notice::info("Expired.").text("Nobody went on with it. You can apply again at any time."),
    });
    notices
}

/// When what happened and is to happen.
fn dates(state: &State, application: &Application) -> Summary {
    let platform = &state.platform;
    let mut rows = Vec::new();
    if let Some(at) = application.submitted_at {
        rows.push(Row::new("Submitted").at(Moment::minute(moment(at))));
    }
    if let Some(at) = application.decided_at {
        rows.push(Row::new("Decided").at(Moment::minute(moment(at))));
    } else if let Some(due) = cases::due(platform, application.state, application.due_at, application.stopped_at)
        && !application.state.is_final()
    {
        let row = Row::new("Decision due by").at(due.day);
        let usual = application.usual_at.map(|at| cases::day(platform, at).words).unwrap_or_default();
        rows.push(row.note(format!("{}. Most are decided by {usual}.", capital(&due.left))));
    }
    if let Some(at) = application.answer_due_at {
        rows.push(Row::new("You have until").at(cases::day(platform, at)));
    }
    let families = applications::asked_scopes(&application.answers());
    let mut scopes = Row::new("Scopes");
    for scope in families {
        scopes = scopes.code(scope);
    }
    rows.push(scopes);
    if !application.email.is_empty() {
        rows.push(Row::new("Mail goes to").text(application.email.clone()));
    }
    Summary(rows)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `POST /developers/applications/{application}/withdraw`
async fn withdraw(
    With(state): With<State>,
    id: CallId,
    developer: Developer,
    of_app: OfApp,
    Path(application): Path<i64>,
    request: Request,
) -> Response {
    let at_hand = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return at_hand.problem(status),
    };
    let version = params.all("version").next().and_then(|version| version.parse().ok()).unwrap_or(-1);
    match applications::withdraw(&state.platform, &developer.account, application, version).await {
        Ok(_) => redirect(&format!("{}?done=withdrawn", path(application))),
        Err(Refusal::Fault(fault)) => at_hand.fault(&fault),
        Err(Refusal::Unknown) => at_hand.problem(StatusCode::NOT_FOUND),
        Err(refusal) => {
            // It went on meanwhile: the page says where it stands now.
            let mut again = Form::new();
            again.wrong("withdraw", format!("{}. Look at it again.", capital(&refusal.to_string())));
            page(&state, &id, &developer, &of_app, application, StatusCode::CONFLICT, Some(again), None).await
        }
    }
}
