//! Support: a developer's tickets, a new one, a thread, and the page that a mailed answer link opens.

use askama::Template;
use axum::extract::{Path, Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::accounts::Account;
use platform::applications::{self, clocks};
use platform::apps::{self, App, OwnerKind};
use platform::organisations::{self, Seat};
use platform::tickets::{self, New, Refusal, State as Standing, Ticket, Topic};
use platform::{Fault, Millis};

use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, act, see};
use crate::pages::frame::Frame;
use crate::pages::parts::{Badge, Choice, Confirmation, Empty, Form, Notice, Pager, Row, Summary, Thread};
use crate::pages::ticket::{self, Held, Reader};
use crate::pages::view::Moment;
use crate::pages::{Page, redirect, upload};
use crate::state::State;

/// Tickets of one page.
const PAGE: usize = 25;

/// The acts of this room.
pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/support", Needs::Developer, "see one's tickets", list),
        see("/developers/support/new", Needs::Developer, "open the form for a ticket", new_form),
        act("/developers/support/new", Needs::Developer, "open a ticket", open),
        see("/developers/support/{ticket}", Needs::Developer, "see a ticket of one's own or of an app one owns", show),
        act("/developers/support/{ticket}/write", Needs::Developer, "write on such a ticket", write),
        act("/developers/support/{ticket}/close", Needs::Developer, "close such a ticket", close),
        see("/developers/support/{ticket}/files/{upload}", Needs::Developer, "download a file of such a ticket", file),
        see("/developers/support/answer", Needs::Anyone, "open a mailed link to answer a ticket", link_form),
        act("/developers/support/answer", Needs::Anyone, "answer a ticket by a mailed link", link_write),
    ]
}

/// A page's frame.
fn frame(state: &State, developer: &Developer) -> Frame {
    Frame::developer(state, developer).at("support")
}

struct Line {
    path: String,
    subject: String,
    reference: String,
    topic: &'static str,
    app: String,
    author: String,
    badge: Badge,
    updated: Moment,
}

#[derive(Template)]
#[template(path = "portal/support.html")]
struct ListPage {
    shell: Frame,
    lines: Vec<Line>,
    empty: Empty,
    pager: Pager,
    days: u32,
}

/// Reads `time-number`, after which a page of a list begins.
fn after(params: &Params) -> Option<tickets::After> {
    let (at, id) = params.all("after").next()?.split_once('-')?;
    Some((Millis(at.parse().ok()?), id.parse().ok()?))
}

fn query(request: &Request) -> Params {
    Params::parse(request.uri().query().unwrap_or_default().as_bytes()).unwrap_or_default()
}

/// `GET /developers/support`
async fn list(With(state): With<State>, id: CallId, developer: Developer, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let params = query(&request);
    let found = async {
        let mut tx = state.platform.db.read().await?;
        let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
        tickets::of_account(&mut tx, developer.account.account_id, after(&params), limit).await
    };
    let found = match found.await {
        Ok(found) => found,
        Err(fault) => return page.fault(&fault),
    };
    let more = found.len() > PAGE;
    let older = found.get(PAGE - 1).filter(|_| more).map(|last| {
        // This list goes by the last change, whichever state.
        format!("/developers/support?after={}-{}", last.updated_at.0, last.ticket_id)
    });
    let lines = found.into_iter().take(PAGE).map(|line| Line {
        path: format!("/developers/support/{}", line.ticket_id),
        reference: tickets::reference(line.ticket_id),
        topic: line.topic.as_str(),
        app: line.app.unwrap_or_default(),
        author: if line.account_id == developer.account.account_id { String::new() } else { line.author },
        badge: ticket::badge(line.state),
        updated: ticket::minute(line.updated_at),
        subject: line.subject,
    });
    let view = ListPage {
        shell: frame(&state, &developer),
        lines: lines.collect(),
        empty: Empty {
            title: "No tickets yet".into(),
            text: "Ask us anything about your apps, your applications and your account.".into(),
            link: Some(("Open a ticket".into(), "/developers/support/new".into())),
        },
        pager: Pager { newer: after(&params).map(|_| "/developers/support".into()), older },
        days: state.platform.settings.tickets.first_answer,
    };
    page.show(StatusCode::OK, &view)
}

#[derive(Template)]
#[template(path = "portal/support_new.html")]
struct NewPage {
    shell: Frame,
    form: Form,
    held: Vec<Held>,
    topics: Vec<Choice>,
    abouts: Vec<Choice>,
    files_help: String,
    files_accept: String,
    due: String,
    problem: Notice,
}

/// The apps that a developer works on, with the seat they have there.
async fn apps_of(state: &State, account_id: i64) -> Result<Vec<App>, Fault> {
    let mut tx = state.platform.db.read().await?;
    let mut found = apps::of_owner(&mut tx, OwnerKind::Account, account_id).await?;
    for membership in organisations::of_account(&mut tx, account_id).await? {
        let organisation_id = membership.organisation_id;
        found.extend(match membership.role {
            Seat::Manager => apps::managed_by(&mut tx, account_id, organisation_id).await?,
            Seat::Owner | Seat::Admin => apps::of_owner(&mut tx, OwnerKind::Organisation, organisation_id).await?,
        });
    }
    Ok(found)
}

/// What a ticket can be about: apps and their applications.
async fn abouts(state: &State, account_id: i64) -> Result<Vec<Choice>, Fault> {
    let apps = apps_of(state, account_id).await?;
    let mut tx = state.platform.db.read().await?;
    let mut choices = vec![Choice::new("", "None of my apps")];
    for app in apps {
        choices.push(Choice::new(format!("app-{}", app.app_id), format!("App {}", app.name)));
        for application in applications::of_owner(&mut tx, &app).await?.into_iter().take(5) {
            let label = format!("Application {} of {} ({})", application.reference(), app.name, application.state.words());
            choices.push(Choice::new(format!("application-{}", application.application_id), label));
        }
    }
    Ok(choices)
}

async fn new_page(
    state: &State,
    id: &CallId,
    developer: &Developer,
    status: StatusCode,
    form: Form,
    held: Vec<Held>,
    problem: Notice,
) -> Response {
    let page = Page::new(state, id);
    let abouts = match abouts(state, developer.account.account_id).await {
        Ok(abouts) => abouts,
        Err(fault) => return page.fault(&fault),
    };
    let settings = &state.platform.settings;
    let calendar = settings.review.calendar();
    let due = clocks::due(state.platform.now(), settings.tickets.first_answer, &calendar);
    let topics = std::iter::once(Choice::new("", "Choose a topic")).chain(ticket::topics()).collect();
    let view = NewPage {
        shell: frame(state, developer),
        form,
        held,
        topics,
        abouts,
        files_help: ticket::files_help(),
        files_accept: ticket::files_accept(),
        due: clocks::in_words(due, &calendar),
        problem,
    };
    page.show(status, &view)
}

/// `GET /developers/support/new?topic=&app=&application=`
async fn new_form(With(state): With<State>, id: CallId, developer: Developer, request: Request) -> Response {
    let params = query(&request);
    let one = |name: &str| params.all(name).next().unwrap_or_default().to_owned();
    let mut form = ticket::fresh(&state);
    if let Some(topic) = Topic::parse(&one("topic")) {
        form.set("topic", topic.as_str());
    }
    let (app, application) = (one("app"), one("application"));
    if application.parse::<i64>().is_ok() {
        form.set("about", format!("application-{application}"));
    } else if app.parse::<i64>().is_ok() {
        form.set("about", format!("app-{app}"));
    }
    new_page(&state, &id, &developer, StatusCode::OK, form, Vec::new(), Notice::default()).await
}

/// `POST /developers/support/new`
async fn open(With(state): With<State>, id: CallId, developer: Developer, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let mut came = match ticket::receive(&state, &parts, body, developer.account.account_id, "text").await {
        Ok(came) => came,
        Err(status) => return page.problem(status),
    };
    let about = came.form.value("about").to_owned();
    let number = |kind: &str| about.strip_prefix(kind).map(|id| id.parse::<i64>().unwrap_or(0));
    let new = New {
        topic: Topic::parse(came.form.value("topic")),
        subject: came.form.value("subject").to_owned(),
        app_id: number("app-"),
        application_id: number("application-"),
        writing: came.writing.clone(),
    };
    // A file that was refused is told with the rest: the ticket waits until the developer has seen it.
    let refused_files = !came.form.is_right();
    let opened = if refused_files {
        Err(Refusal::Invalid(Vec::new()))
    } else {
        tickets::open(&state.platform, &developer.account, new).await
    };
    let problem = match opened {
        Ok(ticket) => return redirect(&format!("/developers/support/{}?done=opened", ticket.ticket_id)),
        Err(refusal) => refusal,
    };
    let (status, notice) = match told(&page, &mut came.form, problem) {
        Ok(told) => told,
        Err(response) => return *response,
    };
    new_page(&state, &id, &developer, status, came.form, came.held, notice).await
}

/// What a refusal makes of a form: its errors, or a box on top. What cannot be mended there is a page of its own.
fn told(page: &Page<'_>, form: &mut Form, refusal: Refusal) -> Result<(StatusCode, Notice), Box<Response>> {
    match refusal {
        Refusal::Invalid(found) => {
            for (field, message) in found {
                form.wrong(field, message);
            }
            Ok((StatusCode::UNPROCESSABLE_ENTITY, Notice::default()))
        }
        Refusal::TooMany => {
            let notice =
                Notice::danger("You have written a lot in the last hour").text("Nothing is lost: wait a little, then send it.");
            Ok((StatusCode::TOO_MANY_REQUESTS, notice))
        }
        Refusal::Stale => {
            let notice = Notice::warn("Something happened on this ticket while you were writing")
                .text("Look at it below; your text is still here.");
            Ok((StatusCode::CONFLICT, notice))
        }
        Refusal::Unknown => Err(Box::new(page.problem(StatusCode::NOT_FOUND))),
        Refusal::Fault(fault) => Err(Box::new(page.fault(&fault))),
        Refusal::NotNow(_) | Refusal::Application(_) | Refusal::Link => Err(Box::new(page.problem(StatusCode::CONFLICT))),
    }
}

#[derive(Template)]
#[template(path = "portal/support_ticket.html")]
struct TicketPage {
    shell: Frame,
    form: Form,
    held: Vec<Held>,
    path: String,
    subject: String,
    badge: Badge,
    facts: Summary,
    thread: Thread,
    problem: Notice,
    files_help: String,
    files_accept: String,
    open: bool,
    answered: bool,
    closed: bool,
}

fn done(word: &str, due: &str) -> Option<String> {
    Some(match word {
        "opened" => format!("We have your ticket. You get the first answer by {due}; a mail says so, too."),
        "written" => "Your message is with us. We answer next.".into(),
        "closed" => "The ticket is closed. Write on it to open it again.".into(),
        _ => return None,
    })
}

/// What is known of a ticket, for its developer.
async fn facts(state: &State, ticket: &Ticket, account: Option<&Account>) -> Result<Summary, Fault> {
    let mut tx = state.platform.db.read().await?;
    let mut rows = vec![Row::new("Ticket").code(ticket.reference()), Row::new("Topic").text(ticket.topic.as_str())];
    if let Some(app_id) = ticket.app_id
        && let Some(app) = apps::by_id(&mut tx, app_id).await?
    {
        let theirs = match account {
            Some(account) => {
                organisations::seat_at_app(&mut tx, &app, account.account_id).await?.is_some() && app.deleted_at.is_none()
            }
            None => false,
        };
        let row = Row::new("App");
        rows.push(if theirs { row.link(app.name, format!("/developers/apps/{app_id}")) } else { row.text(app.name) });
        if let Some(application_id) = ticket.application_id {
            let (row, reference) = (Row::new("Application"), applications::reference(application_id));
            rows.push(if theirs {
                row.link(reference, format!("/developers/applications/{application_id}"))
            } else {
                row.text(reference)
            });
        }
    }
    rows.push(Row::new("Opened").at(ticket::minute(ticket.created_at)));
    if ticket.first_answered_at.is_none() && ticket.state == Standing::Open {
        let calendar = state.platform.settings.review.calendar();
        let row = Row::new("First answer by").text(clocks::in_words(ticket.first_answer_due_at, &calendar));
        let late = ticket.first_answer_due_at < state.platform.now();
        rows.push(if late { row.note("We are late, and that is our fault. It was put before the administrators.") } else { row });
    }
    Ok(Summary(rows))
}

#[allow(clippy::too_many_arguments, reason = "who, what and how it is answered")]
async fn ticket_page(
    state: &State,
    id: &CallId,
    developer: &Developer,
    ticket_id: i64,
    status: StatusCode,
    form: Form,
    held: Vec<Held>,
    problem: Notice,
    word: &str,
) -> Response {
    let page = Page::new(state, id);
    let found = async {
        let mut tx = state.platform.db.read().await?;
        let account_id = developer.account.account_id;
        let Some(ticket) = tickets::for_developer(&mut tx, ticket_id, account_id).await? else { return Ok(None) };
        let messages = tickets::messages(&mut tx, ticket_id).await?;
        drop(tx);
        let reader = Reader::Developer { account_id, brand: &state.brand.name };
        let files = |upload_id| Some(format!("/developers/support/{ticket_id}/files/{upload_id}"));
        let comments = ticket::thread(state, &messages, reader, files, None).await?;
        let facts = facts(state, &ticket, Some(&developer.account)).await?;
        Ok::<_, Fault>(Some((ticket, comments, facts)))
    };
    let (ticket, comments, facts) = match found.await {
        Ok(Some(found)) => found,
        Ok(None) => return page.problem(StatusCode::NOT_FOUND),
        Err(fault) => return page.fault(&fault),
    };
    let due = clocks::in_words(ticket.first_answer_due_at, &state.platform.settings.review.calendar());
    let view = TicketPage {
        shell: frame(state, developer).done(done(word, &due)),
        form,
        held,
        path: format!("/developers/support/{ticket_id}"),
        badge: ticket::badge(ticket.state),
        facts,
        thread: Thread(comments),
        problem,
        files_help: ticket::files_help(),
        files_accept: ticket::files_accept(),
        open: ticket.state == Standing::Open,
        answered: ticket.state == Standing::Answered,
        closed: ticket.state == Standing::Closed,
        subject: ticket.subject,
    };
    page.show(status, &view)
}

/// A number in a path; what is none names nothing.
fn number(text: &str) -> i64 {
    text.parse().unwrap_or(0)
}

/// `GET /developers/support/{ticket}`
async fn show(
    With(state): With<State>,
    id: CallId,
    developer: Developer,
    Path(ticket): Path<String>,
    request: Request,
) -> Response {
    let word = query(&request).all("done").next().unwrap_or_default().to_owned();
    let form = ticket::fresh(&state);
    ticket_page(&state, &id, &developer, number(&ticket), StatusCode::OK, form, Vec::new(), Notice::default(), &word).await
}

/// `POST /developers/support/{ticket}/write`
async fn write(
    With(state): With<State>,
    id: CallId,
    developer: Developer,
    Path(ticket): Path<String>,
    request: Request,
) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let mut came = match ticket::receive(&state, &parts, body, developer.account.account_id, "text").await {
        Ok(came) => came,
        Err(status) => return page.problem(status),
    };
    let ticket_id = number(&ticket);
    let written = if came.form.is_right() {
        tickets::write(&state.platform, &developer.account, ticket_id, came.writing.clone()).await
    } else {
        Err(Refusal::Invalid(Vec::new()))
    };
    let refusal = match written {
        Ok(_) => return redirect(&format!("/developers/support/{ticket_id}?done=written")),
        Err(refusal) => refusal,
    };
    match told(&page, &mut came.form, refusal) {
        Ok((status, notice)) => ticket_page(&state, &id, &developer, ticket_id, status, came.form, came.held, notice, "").await,
        Err(response) => *response,
    }
}

/// `POST /developers/support/{ticket}/close`
async fn close(With(state): With<State>, id: CallId, developer: Developer, Path(ticket): Path<String>) -> Response {
    let page = Page::new(&state, &id);
    let ticket_id = number(&ticket);
    match tickets::close(&state.platform, &developer.account, ticket_id).await {
        Ok(_) => redirect(&format!("/developers/support/{ticket_id}?done=closed")),
        // Somebody wrote at the same moment: the page shows it.
        Err(Refusal::Stale) => redirect(&format!("/developers/support/{ticket_id}")),
        Err(Refusal::Fault(fault)) => page.fault(&fault),
        Err(_) => page.problem(StatusCode::NOT_FOUND),
    }
}

/// `GET /developers/support/{ticket}/files/{upload}`
async fn file(
    With(state): With<State>,
    id: CallId,
    developer: Developer,
    Path((ticket, upload)): Path<(String, String)>,
) -> Response {
    let page = Page::new(&state, &id);
    let found = async {
        let mut tx = state.platform.db.read().await?;
        let Some(ticket) = tickets::for_developer(&mut tx, number(&ticket), developer.account.account_id).await? else {
            return Ok(None);
        };
        tickets::file(&mut tx, ticket.ticket_id, number(&upload), false).await
    };
    match found.await {
        Ok(Some(found)) => match upload::serve(&state, &found).await {
            Ok(response) => response,
            Err(fault) => page.fault(&fault),
        },
        Ok(None) => page.problem(StatusCode::NOT_FOUND),
        Err(fault) => page.fault(&fault),
    }
}

#[derive(Template)]
#[template(path = "portal/support_answer.html")]
struct AnswerPage {
    shell: Frame,
    form: Form,
    held: Vec<Held>,
    path: String,
    subject: String,
    reference: String,
    who: String,
    thread: Thread,
    problem: Notice,
    files_help: String,
    files_accept: String,
}

#[derive(Template)]
#[template(path = "portal/support_answered.html")]
struct AnsweredPage {
    shell: Frame,
    confirmation: Confirmation,
    path: String,
}

#[derive(Template)]
#[template(path = "portal/support_link.html")]
struct LinkPage {
    shell: Frame,
}

fn token(request: &Request) -> String {
    query(request).all("token").next().unwrap_or_default().chars().take(100).collect()
}

/// A link that was used, or has ended, or never was: one page for all.
fn ended(state: &State, page: &Page<'_>) -> Response {
    page.show(StatusCode::GONE, &LinkPage { shell: Frame::public(state, None) })
}

async fn answer_page(
    state: &State,
    id: &CallId,
    token: &str,
    status: StatusCode,
    form: Form,
    held: Vec<Held>,
    problem: Notice,
) -> Response {
    let page = Page::new(state, id);
    let look = match tickets::look_at_link(&state.platform, token).await {
        Ok(Some(look)) => look,
        Ok(None) => return ended(state, &page),
        Err(fault) => return page.fault(&fault),
    };
    let reader = Reader::Developer { account_id: look.account.account_id, brand: &state.brand.name };
    // Files are for those who sign in; the link opens the words only.
    let comments = match ticket::thread(state, &look.messages, reader, |_| None, None).await {
        Ok(comments) => comments,
        Err(fault) => return page.fault(&fault),
    };
    let view = AnswerPage {
        shell: Frame::public(state, None),
        form,
        held,
        path: format!(
            "/developers/support/answer?token={}",
            url::form_urlencoded::byte_serialize(token.as_bytes()).collect::<String>()
        ),
        reference: look.ticket.reference(),
        subject: look.ticket.subject,
        who: look.account.name,
        thread: Thread(comments),
        problem,
        files_help: ticket::files_help(),
        files_accept: ticket::files_accept(),
    };
    page.show(status, &view)
}

/// `GET /developers/support/answer?token=`
async fn link_form(With(state): With<State>, id: CallId, request: Request) -> Response {
    let form = ticket::fresh(&state);
    answer_page(&state, &id, &token(&request), StatusCode::OK, form, Vec::new(), Notice::default()).await
}

/// `POST /developers/support/answer?token=`
async fn link_write(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let token = token(&request);
    // Whose the link is decides whose the files are. One that was used up already has none to hand in: it may be the second press of one button.
    let account_id = match tickets::account_of_link(&state.platform, &token).await {
        Ok(account_id) => account_id,
        Err(fault) => return page.fault(&fault),
    };
    let (parts, body) = request.into_parts();
    let mut came = match account_id {
        Some(account_id) => match ticket::receive(&state, &parts, body, account_id, "text").await {
            Ok(came) => came,
            Err(status) => return page.problem(status),
        },
        None => match ticket::receive_without_files(&state, &parts, body, "text").await {
            Ok(came) => came,
            Err(status) => return page.problem(status),
        },
    };
    let written = if came.form.is_right() {
        tickets::write_by_link(&state.platform, &token, came.writing.clone()).await
    } else {
        Err(Refusal::Invalid(Vec::new()))
    };
    let refusal = match written {
        Ok(ticket) => {
            let view = AnsweredPage {
                shell: Frame::public(&state, None),
                confirmation: Confirmation {
                    title: "Your answer is sent".into(),
                    reference: ticket.reference(),
                    text: "We answer next. You get a mail.".into(),
                },
                path: format!("/developers/support/{}", ticket.ticket_id),
            };
            return page.show(StatusCode::OK, &view);
        }
        Err(refusal) => refusal,
    };
    if matches!(refusal, Refusal::Link) {
        return ended(&state, &page);
    }
    match told(&page, &mut came.form, refusal) {
        Ok((status, notice)) => answer_page(&state, &id, &token, status, came.form, came.held, notice).await,
        Err(response) => *response,
    }
}
