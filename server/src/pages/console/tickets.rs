//! Tickets for staff: the queue by due date, and a ticket with its whole case on one page.

use askama::Template;
use axum::extract::{Path, Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::accounts::{self, Account, Role};
use platform::applications::{self, clocks};
use platform::apps;
use platform::tickets::{self, Filter, Refusal, State as Standing, Ticket, Topic};
use platform::{Fault, Millis};

use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{Act, Needs, SUPPORT, Staff, act, see};
use crate::pages::frame::{Frame, app_badge};
use crate::pages::parts::{Badge, Choice, Empty, Form, Notice, Pager, Row, Summary, Tab, Tabs, Thread};
use crate::pages::ticket::{self, Held, Reader};
use crate::pages::view::Moment;
use crate::pages::{Page, form, redirect};
use crate::state::State;

/// Who may read tickets: those who answer them, and reviewers, whose applications they are about.
const READERS: Needs = Needs::Staff(ROLES);
/// Their roles.
pub(super) const ROLES: &[Role] = &[Role::Support, Role::Reviewer];
/// Tickets of one page.
const PAGE: usize = 50;

/// The acts of this room.
pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/console/tickets", READERS, "see the queue of tickets", queue),
        see("/console/tickets/{ticket}", READERS, "see a ticket", show),
        act("/console/tickets/{ticket}/answer", SUPPORT, "answer a ticket", answer),
        act("/console/tickets/{ticket}/note", SUPPORT, "write an internal note on a ticket", note),
        act("/console/tickets/{ticket}/assign", SUPPORT, "hand a ticket over", assign),
        act("/console/tickets/{ticket}/close", SUPPORT, "close a ticket", close),
        act(
            "/console/tickets/{ticket}/correction",
            SUPPORT,
            "open a ticket's application for correction, or refuse to",
            correction,
        ),
    ]
}

fn frame(state: &State, staff: &Staff) -> Frame {
    Frame::staff(state, staff).at("tickets")
}

struct Line {
    path: String,
    reference: String,
    subject: String,
    topic: &'static str,
    from: String,
    app: String,
    whose: String,
    badge: Badge,
    when: Moment,
    late: bool,
    soon: bool,
}

#[derive(Template)]
#[template(path = "console/tickets.html")]
struct QueuePage {
    shell: Frame,
    tabs: Tabs,
    form: Form,
    topics: Vec<Choice>,
    whose: Vec<Choice>,
    standing: &'static str,
    open: bool,
    filtered: bool,
    waiting: i64,
    late: i64,
    mine: i64,
    lines: Vec<Line>,
    empty: Empty,
    pager: Pager,
}

fn query(request: &Request) -> Params {
    Params::parse(request.uri().query().unwrap_or_default().as_bytes()).unwrap_or_default()
}

fn after(params: &Params) -> Option<tickets::After> {
    let (at, id) = params.all("after").next()?.split_once('-')?;
    Some((Millis(at.parse().ok()?), id.parse().ok()?))
}

/// `GET /console/tickets?state=&topic=&whose=&late=&q=&after=`
async fn queue(With(state): With<State>, id: CallId, staff: Staff, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let params = query(&request);
    let form = Form::of(&params);
    let standing = Standing::parse(form.value("state")).unwrap_or(Standing::Open);
    let now = state.platform.now();
    let filter = Filter {
        topic: Topic::parse(form.value("topic")),
        assigned_to: (form.value("whose") == "mine").then_some(staff.account.account_id),
        unassigned: form.value("whose") == "nobody",
        late: form.has("late", "yes").then_some(now),
        words: form.value("q").chars().filter(|c| !c.is_control()).take(200).collect(),
        ..Filter::new(standing)
    };
    let found = async {
        let mut tx = state.platform.db.read().await?;
        let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
        let lines = tickets::list(&mut tx, &filter, after(&params), limit).await?;
        let numbers = tickets::numbers(&mut tx, staff.account.account_id, now).await?;
        Ok::<_, Fault>((lines, numbers))
    };
    let (found, (waiting, late, mine)) = match found.await {
        Ok(found) => found,
        Err(fault) => return page.fault(&fault),
    };
    // The address of this list, from which the next page goes on.
    let mut address = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in params.pairs().iter().filter(|(name, value)| name != "after" && !value.is_empty()) {
        address.append_pair(name, value);
    }
    let address = address.finish();
    let older = found.get(PAGE - 1).filter(|_| found.len() > PAGE).map(|last| {
        let (at, id) = last.key();
        format!("/console/tickets?{address}&after={}-{id}", at.0)
    });
    let soon = now + std::time::Duration::from_secs(24 * 3600);
    let lines = found.into_iter().take(PAGE).map(|line| {
        let is_late = line.due_at.is_some_and(|due| due < now);
        Line {
            path: format!("/console/tickets/{}", line.ticket_id),
            reference: tickets::reference(line.ticket_id),
            topic: line.topic.as_str(),
            from: line.author,
            app: line.app.unwrap_or_default(),
            whose: line.assignee.unwrap_or_default(),
            badge: if line.state == Standing::Open && line.first_answered_at.is_none() && !is_late {
                Badge::new(crate::pages::parts::Tone::Action, "New")
            } else {
                ticket::staff_badge(line.state, is_late)
            },
            when: ticket::minute(line.due_at.unwrap_or(line.updated_at)),
            late: is_late,
            soon: !is_late && line.due_at.is_some_and(|due| due < soon),
            subject: line.subject,
        }
    });
    let filtered = ["topic", "whose", "late", "q"].iter().any(|name| !form.value(name).is_empty());
    let tab = |of: Standing, label: &str, count| Tab {
        label: label.into(),
        path: format!("/console/tickets?state={of}"),
        count,
        current: of == standing,
    };
    let view = QueuePage {
        shell: frame(&state, &staff),
        tabs: Tabs {
            label: "Tickets by whose move it is".into(),
            tabs: vec![
                tab(Standing::Open, "Our move", u64::try_from(waiting).ok()),
                tab(Standing::Answered, "The developer's move", None),
                tab(Standing::Closed, "Closed", None),
            ],
        },
        form,
        topics: std::iter::once(Choice::new("", "All topics")).chain(ticket::topics()).collect(),
        whose: vec![Choice::new("", "Everybody's"), Choice::new("mine", "Mine"), Choice::new("nobody", "Nobody's")],
        standing: standing.as_str(),
        open: standing == Standing::Open,
        filtered,
        waiting,
        late,
        mine,
        lines: lines.collect(),
        empty: if filtered {
            Empty {
                title: "No ticket fits".into(),
                text: "Take a filter away, or search for fewer words.".into(),
                link: Some(("All tickets".into(), format!("/console/tickets?state={standing}"))),
            }
        } else {
            Empty { title: "No tickets here".into(), text: "Nothing waits.".into(), link: None }
        },
        pager: Pager { newer: after(&params).map(|_| format!("/console/tickets?{address}")), older },
    };
    page.show(StatusCode::OK, &view)
}

/// A text to start from.
struct Canned {
    number: usize,
    title: String,
}

#[derive(Template)]
#[template(path = "console/ticket.html")]
struct TicketPage {
    shell: Frame,
    form: Form,
    held: Vec<Held>,
    path: String,
    subject: String,
    badge: Badge,
    problem: Notice,
    thread: Thread,
    facts: Summary,
    app: Option<Summary>,
    application: Option<Summary>,
    colleagues: Vec<Choice>,
    canned: Vec<Canned>,
    version: i64,
    files_help: String,
    files_accept: String,
    can_write: bool,
    closed: bool,
    correction: bool,
    mine: bool,
    own_id: i64,
}

fn done(word: &str) -> Option<&'static str> {
    Some(match word {
        "answered" => "Your answer is sent. It is the developer's move.",
        "closed" => "The ticket is closed; the developer is told.",
        "noted" => "Your note is kept. The developer does not see it.",
        "assigned" => "The ticket is handed over.",
        "reopened" => "The application is open for correction. The applicant is told.",
        "refused" => "The correction is refused. The developer is told why.",
        _ => return None,
    })
}

/// What a page of a ticket is shown with, beside the ticket.
struct Shown {
    status: StatusCode,
    form: Form,
    held: Vec<Held>,
    problem: Notice,
    /// The version that the one who looks had seen; what came later is marked.
    seen: Option<i64>,
    word: String,
}

impl Shown {
    fn new(form: Form) -> Self {
        Self { status: StatusCode::OK, form, held: Vec::new(), problem: Notice::default(), seen: None, word: String::new() }
    }
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or(0)
}

async fn name_of(tx: &mut platform::db::Tx, account_id: Option<i64>) -> Result<String, Fault> {
    let Some(account_id) = account_id else { return Ok(String::new()) };
    Ok(accounts::by_id(tx, account_id).await?.map(|account| account.name).unwrap_or_default())
}

/// What is known of a ticket: itself, its app, its application.
async fn case(state: &State, ticket: &Ticket, reviewer: bool) -> Result<(Summary, Option<Summary>, Option<Summary>), Fault> {
    let now = state.platform.now();
    let calendar = state.platform.settings.review.calendar();
    let mut tx = state.platform.db.read().await?;
    let author = accounts::by_id(&mut tx, ticket.account_id).await?;
    let mut rows = vec![Row::new("Ticket").code(ticket.reference()), Row::new("Topic").text(ticket.topic.as_str())];
    if let Some(author) = author {
        rows.push(Row::new("From").text(author.name).text(author.email));
    }
    rows.push(Row::new("Opened").at(ticket::minute(ticket.created_at)));
    if let Some(due) = ticket.due_at {
        let what = if ticket.first_answered_at.is_none() { "First answer by" } else { "Answer by" };
        let row = Row::new(what).text(clocks::in_words(due, &calendar));
        rows.push(if ticket.is_late(now) { row.badge(Badge::new(crate::pages::parts::Tone::Bad, "Late")) } else { row });
    }
    if let Some(at) = ticket.escalated_at {
        rows.push(Row::new("Put before administrators").at(ticket::minute(at)));
    }
    let assignee = name_of(&mut tx, ticket.assigned_to).await?;
    rows.push(Row::new("Whose").text(if assignee.is_empty() { "Nobody's yet".to_owned() } else { assignee }));
    let app = match ticket.app_id {
        Some(app_id) => apps::by_id(&mut tx, app_id).await?,
        None => None,
    };
    let app = app.map(|app| {
        Summary(vec![
            Row::new("Name").text(app.name),
            Row::new("State").badge(app_badge(app.status)),
            Row::new("Client key").code(app.client_key),
        ])
    });
    let application = match ticket.application_id {
        Some(application_id) => applications::by_id(&mut tx, application_id).await?,
        None => None,
    };
    let application = match application {
        Some(application) => {
            let path = format!("/console/applications/{}", application.application_id);
            let reference = Row::new("Reference");
            let mut rows = vec![
                if reviewer { reference.link(application.reference(), path) } else { reference.code(application.reference()) },
                Row::new("State").text(application.state.words()),
            ];
            if let Some(due) = application.due_at.filter(|_| application.state.waits_for_staff()) {
                rows.push(Row::new("Decision due by").text(clocks::in_words(due, &calendar)));
            }
            let who = name_of(&mut tx, application.assigned_to).await?;
            rows.push(Row::new("Reviewer").text(if who.is_empty() { "Nobody yet".to_owned() } else { who }));
            rows.push(Row::new("Handed in").text(match application.submissions {
                0 => "Not yet".to_owned(),
                1 => "Once".to_owned(),
                times => format!("{times} times"),
            }));
            Some(Summary(rows))
        }
        None => None,
    };
    Ok((Summary(rows), app, application))
}

async fn ticket_page(state: &State, id: &CallId, staff: &Staff, ticket_id: i64, shown: Shown) -> Response {
    let page = Page::new(state, id);
    let can_write = staff.is(Role::Support);
    let account_id = staff.account.account_id;
    let found = async {
        let mut tx = state.platform.db.read().await?;
        let Some(ticket) = tickets::by_id(&mut tx, ticket_id).await? else { return Ok(None) };
        let messages = tickets::messages(&mut tx, ticket_id).await?;
        let mut colleagues: Vec<Account> = accounts::with_role(&mut tx, Role::Support).await?;
        drop(tx);
        colleagues.retain(|account| account.disabled_at.is_none());
        let files = |upload_id| Some(format!("/console/uploads/{upload_id}"));
        let comments = ticket::thread(state, &messages, Reader::Staff { account_id }, files, shown.seen).await?;
        let case = case(state, &ticket, staff.is(Role::Reviewer)).await?;
        let canned = tickets::texts(&state.platform, ticket.topic).await?;
        Ok::<_, Fault>(Some((ticket, comments, colleagues, case, canned)))
    };
    let (ticket, comments, colleagues, (facts, app, application), canned) = match found.await {
        Ok(Some(found)) => found,
        Ok(None) => return page.problem(StatusCode::NOT_FOUND),
        Err(fault) => return page.fault(&fault),
    };
    let nobody = Choice::new("nobody", "Nobody: whoever comes first");
    let colleagues = colleagues.into_iter().map(|account| {
        let name = if account.account_id == account_id { format!("{} (you)", account.name) } else { account.name };
        Choice::new(account.account_id.to_string(), name)
    });
    let mut form = shown.form;
    if form.value("to").is_empty() {
        form.set("to", ticket.assigned_to.map_or_else(|| "nobody".to_owned(), |to| to.to_string()));
    }
    let view = TicketPage {
        shell: frame(state, staff).done(done(&shown.word)),
        form,
        held: shown.held,
        path: format!("/console/tickets/{ticket_id}"),
        badge: ticket::staff_badge(ticket.state, ticket.is_late(state.platform.now())),
        problem: shown.problem,
        thread: Thread(comments),
        facts,
        app,
        application,
        colleagues: std::iter::once(nobody).chain(colleagues).collect(),
        canned: canned.into_iter().enumerate().map(|(number, canned)| Canned { number, title: canned.title }).collect(),
        version: ticket.version,
        files_help: ticket::files_help(),
        files_accept: ticket::files_accept(),
        can_write,
        closed: ticket.state == Standing::Closed,
        correction: ticket.is_about_correction(),
        mine: ticket.assigned_to == Some(account_id),
        own_id: account_id,
        subject: ticket.subject,
    };
    page.show(shown.status, &view)
}

/// `GET /console/tickets/{ticket}`
async fn show(With(state): With<State>, id: CallId, staff: Staff, Path(ticket): Path<String>, request: Request) -> Response {
    let word = query(&request).all("done").next().unwrap_or_default().to_owned();
    let shown = Shown { word, ..Shown::new(ticket::fresh(&state)) };
    ticket_page(&state, &id, &staff, number(&ticket), shown).await
}

/// What was done with a ticket, or what its page says about why it was not. What was typed stays in the form; `seen` is the version that the
/// page had shown.
#[allow(clippy::too_many_arguments, reason = "who, what, and what was typed")]
async fn answered(
    state: &State,
    id: &CallId,
    staff: &Staff,
    ticket_id: i64,
    done: Result<Ticket, Refusal>,
    word: &str,
    mut form: Form,
    held: Vec<Held>,
) -> Response {
    let page = Page::new(state, id);
    let seen = form.value("version").parse().ok();
    let (status, problem, seen) = match done {
        Ok(_) => return redirect(&format!("/console/tickets/{ticket_id}?done={word}")),
        Err(Refusal::Unknown) => return page.problem(StatusCode::NOT_FOUND),
        Err(Refusal::Fault(fault)) => return page.fault(&fault),
        Err(Refusal::Invalid(found)) => {
            for (field, message) in found {
                form.wrong(field, message);
            }
            (StatusCode::UNPROCESSABLE_ENTITY, Notice::default(), None)
        }
        Err(Refusal::Stale) => {
            let problem = Notice::warn("Something was done on this ticket since you opened it")
                .text("It is marked New below. What you wrote is still in the form: send it again if it still fits.");
            (StatusCode::CONFLICT, problem, seen)
        }
        Err(Refusal::TooMany) => (
            StatusCode::TOO_MANY_REQUESTS,
            Notice::danger("That was a lot in one hour").text("Wait a little, then send it."),
            None,
        ),
        Err(refusal @ (Refusal::NotNow(_) | Refusal::Application(_) | Refusal::Link)) => {
            let mut words = refusal.to_string();
            if let Some(first) = words.get(..1).map(str::to_uppercase) {
                words.replace_range(..1, &first);
            }
            (StatusCode::CONFLICT, Notice::danger("This was not done").text(format!("{words}.")), seen)
        }
    };
    ticket_page(state, id, staff, ticket_id, Shown { status, form, held, problem, seen, word: String::new() }).await
}

/// `POST /console/tickets/{ticket}/answer`: puts a text into the answer, sends it, or sends it and closes the ticket.
async fn answer(With(state): With<State>, id: CallId, staff: Staff, Path(ticket): Path<String>, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let mut came = match ticket::receive(&state, &parts, body, staff.account.account_id, "text").await {
        Ok(came) => came,
        Err(status) => return page.problem(status),
    };
    let ticket_id = number(&ticket);
    let version = number(came.form.value("version"));
    if came.form.value("do") == "insert" {
        let found = async {
            let mut tx = state.platform.db.read().await?;
            let Some(ticket) = tickets::by_id(&mut tx, ticket_id).await? else { return Ok(None) };
            drop(tx);
            Ok::<_, Fault>(Some(tickets::texts(&state.platform, ticket.topic).await?))
        };
        let canned = match found.await {
            Ok(Some(canned)) => canned,
            Ok(None) => return page.problem(StatusCode::NOT_FOUND),
            Err(fault) => return page.fault(&fault),
        };
        let chosen = came.form.value("canned").parse::<usize>().ok().and_then(|number| canned.into_iter().nth(number));
        match chosen {
            Some(canned) => {
                let typed = came.form.value("text").to_owned();
                let text = if typed.is_empty() { canned.text } else { format!("{typed}\n\n{}", canned.text) };
                came.form.set("text", text.trim());
            }
            None => {
                came.form.wrong("canned", "Choose a text to insert");
            }
        }
        let status = if came.form.is_right() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        let seen = Some(version).filter(|version| *version > 0);
        let shown = Shown { status, held: came.held, seen, ..Shown::new(came.form) };
        return ticket_page(&state, &id, &staff, ticket_id, shown).await;
    }
    let close = came.form.value("do") == "close";
    let done = if came.form.is_right() {
        tickets::answer(&state.platform, &staff.account, ticket_id, version, came.writing.clone(), close).await
    } else {
        Err(Refusal::Invalid(Vec::new()))
    };
    let word = if close { "closed" } else { "answered" };
    answered(&state, &id, &staff, ticket_id, done, word, came.form, came.held).await
}

/// A form of words only.
async fn typed(state: &State, id: &CallId, request: Request) -> Result<Form, Response> {
    let (parts, body) = request.into_parts();
    match form(&parts, body).await {
        Ok(params) => Ok(Form::of(&params)),
        Err(status) => Err(Page::new(state, id).problem(status)),
    }
}

/// `POST /console/tickets/{ticket}/note`
async fn note(With(state): With<State>, id: CallId, staff: Staff, Path(ticket): Path<String>, request: Request) -> Response {
    let form = match typed(&state, &id, request).await {
        Ok(form) => form,
        Err(response) => return response,
    };
    let writing = tickets::Writing { text: form.value("note").into(), uploads: Vec::new(), form: form.value("form").into() };
    let done = tickets::note(&state.platform, &staff.account, number(&ticket), writing).await;
    answered(&state, &id, &staff, number(&ticket), done, "noted", form, Vec::new()).await
}

/// `POST /console/tickets/{ticket}/assign`
async fn assign(With(state): With<State>, id: CallId, staff: Staff, Path(ticket): Path<String>, request: Request) -> Response {
    let form = match typed(&state, &id, request).await {
        Ok(form) => form,
        Err(response) => return response,
    };
    let to = (form.value("to") != "nobody").then(|| number(form.value("to")));
    let version = number(form.value("version"));
    let done = tickets::assign(&state.platform, &staff.account, number(&ticket), version, to, form.value("handover")).await;
    answered(&state, &id, &staff, number(&ticket), done, "assigned", form, Vec::new()).await
}

/// `POST /console/tickets/{ticket}/close`
async fn close(With(state): With<State>, id: CallId, staff: Staff, Path(ticket): Path<String>, request: Request) -> Response {
    let form = match typed(&state, &id, request).await {
        Ok(form) => form,
        Err(response) => return response,
    };
    let done = tickets::close_by_staff(&state.platform, &staff.account, number(&ticket), number(form.value("version"))).await;
    answered(&state, &id, &staff, number(&ticket), done, "closed", form, Vec::new()).await
}

/// `POST /console/tickets/{ticket}/correction`
async fn correction(
    With(state): With<State>,
    id: CallId,
    staff: Staff,
    Path(ticket): Path<String>,
    request: Request,
) -> Response {
    let form = match typed(&state, &id, request).await {
        Ok(form) => form,
        Err(response) => return response,
    };
    let (ticket_id, version, text) = (number(&ticket), number(form.value("version")), form.value("correction"));
    let (platform, account) = (&state.platform, &staff.account);
    let (done, word) = match form.value("do") {
        "open" => (tickets::open_for_correction(platform, account, ticket_id, version, text).await, "reopened"),
        "refuse" => (tickets::refuse_correction(platform, account, ticket_id, version, text).await, "refused"),
        _ => return Page::new(&state, &id).problem(StatusCode::BAD_REQUEST),
    };
    answered(&state, &id, &staff, ticket_id, done, word, form, Vec::new()).await
}
