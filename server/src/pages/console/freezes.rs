//! The brake in the console: what is frozen, freezing something, and the second person's look at it.

use askama::Template;
use axum::extract::{Path, Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::accounts;
use platform::freezes::{self, Freeze, Hand, Refusal, Target, What};
use platform::{Fault, Millis, apps};

use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{ALL_STAFF, Act, Needs, Staff, act, see};
use crate::pages::cases;
use crate::pages::frame::Frame;
use crate::pages::parts::{Badge, Choice, Empty, Event, Form, Notice, Row, Summary, Tab, Tabs, Timeline, Tone};
use crate::pages::view::Moment;
use crate::pages::{Page, form, moment, redirect};
use crate::state::State;

/// Who can be the second person.
const SECONDS: Needs = Needs::Staff(&freezes::SECONDS);
/// Lifted freezes that are listed.
const LISTED: i64 = 200;

/// The acts of this room.
pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/console/freezes", ALL_STAFF, "see what is frozen", list),
        see("/console/freezes/new", ALL_STAFF, "open the form that freezes something", new),
        act("/console/freezes", ALL_STAFF, "freeze an app, a category, a source or everything", make),
        see("/console/freezes/{freeze}", ALL_STAFF, "see a freeze", show),
        act("/console/freezes/{freeze}/confirm", SECONDS, "confirm a freeze that somebody else made", confirm),
        act("/console/freezes/{freeze}/lift", SECONDS, "lift a freeze that somebody else made", lift),
    ]
}

fn path(freeze_id: i64) -> String {
    format!("/console/freezes/{freeze_id}")
}

fn frame(state: &State, staff: &Staff) -> Frame {
    Frame::staff(state, staff).at("freezes")
}

fn query(request: &Request) -> Params {
    Params::parse(request.uri().query().unwrap_or_default().as_bytes()).unwrap_or_default()
}

fn badge(freeze: &Freeze, now: Millis) -> Badge {
    match freeze.state() {
        freezes::State::Unconfirmed if freeze.is_late(now) => Badge::new(Tone::Bad, "Nobody looked at it in time"),
        freezes::State::Unconfirmed => Badge::new(Tone::Action, "Waits for a second person"),
        freezes::State::Confirmed => Badge::new(Tone::Waiting, "Confirmed"),
        freezes::State::Lifted => Badge::new(Tone::Off, "Lifted"),
    }
}

struct Line {
    path: String,
    stops: String,
    badge: Badge,
    made_by: String,
    made: Moment,
    due: Moment,
    late: bool,
}

#[derive(Template)]
#[template(path = "console/freezes.html")]
struct ListPage {
    shell: Frame,
    tabs: Tabs,
    lifted: bool,
    lines: Vec<Line>,
    empty: Empty,
}

/// What a freeze stops, as a heading.
fn heading(stops: &str) -> String {
    let mut letters = stops.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

async fn name_of(tx: &mut platform::db::Tx, account_id: Option<i64>) -> Result<String, Fault> {
    Ok(match account_id {
        Some(account_id) => accounts::by_id(tx, account_id).await?.map(|account| account.name).unwrap_or_default(),
        None => "The operator".into(),
    })
}

/// `GET /console/freezes?view=lifted`
async fn list(With(state): With<State>, id: CallId, staff: Staff, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let lifted = query(&request).get("view").ok().flatten() == Some("lifted");
    let found = async {
        let now = state.platform.now();
        let mut tx = state.platform.db.read().await?;
        let mut lines = Vec::new();
        for freeze in freezes::list(&mut tx, lifted, Millis(i64::MAX), LISTED).await? {
            lines.push(Line {
                path: path(freeze.freeze_id),
                stops: heading(&freezes::named(&mut tx, &freeze).await?),
                badge: badge(&freeze, now),
                made_by: name_of(&mut tx, freeze.made_by).await?,
                made: Moment::minute(moment(freeze.made_at)),
                due: cases::day(&state.platform, freeze.due_at),
                late: freeze.is_late(now),
            });
        }
        Ok::<_, Fault>(lines)
    };
    let lines = match found.await {
        Ok(lines) => lines,
        Err(fault) => return page.fault(&fault),
    };
    let tab = |label: &str, path: &str, current| Tab { label: label.into(), path: path.into(), count: None, current };
    let tabs = vec![tab("In force", "/console/freezes", !lifted), tab("Lifted", "/console/freezes?view=lifted", lifted)];
    let empty = if lifted {
        Empty { title: "Nothing was lifted yet".into(), ..Empty::default() }
    } else {
        Empty {
            title: "Nothing is frozen".into(),
            text: "Calls are answered, and archives can be downloaded.".into(),
            link: Some(("Freeze something".into(), "/console/freezes/new".into())),
        }
    };
    let told = ListPage { shell: frame(&state, &staff), tabs: Tabs { label: "Freezes".into(), tabs }, lifted, lines, empty };
    page.show(StatusCode::OK, &told)
}

#[derive(Template)]
#[template(path = "console/freeze_new.html")]
struct NewPage {
    shell: Frame,
    form: Form,
    whats: Vec<Choice>,
    categories: Vec<Choice>,
    sources: Vec<Choice>,
    days: u32,
}

/// `GET /console/freezes/new?app=`
async fn new(With(state): With<State>, id: CallId, staff: Staff, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let mut form = Form::new();
    if let Some(app_id) = query(&request).get("app").ok().flatten().and_then(|text| text.parse().ok()) {
        let found = async { apps::by_id(&mut state.platform.db.read().await?, app_id).await };
        match found.await {
            Ok(Some(app)) => {
                form.set("what", "app").set("client_key", app.client_key);
            }
            Ok(None) => return page.problem(StatusCode::NOT_FOUND),
            Err(fault) => return page.fault(&fault),
        }
    }
    page.show(StatusCode::OK, &new_page(&state, &staff, form))
}

fn new_page(state: &State, staff: &Staff, form: Form) -> NewPage {
    let catalogue = &state.platform.catalogue;
    let none = || std::iter::once(Choice::new("", "Choose one"));
    NewPage {
        shell: frame(state, staff),
        form,
        whats: vec![
            Choice::new("app", "An app").help("Its calls are refused, its open requests wait, and its archives are not sent."),
            Choice::new("category", "A category")
                .help("Its data is not collected and not sent, to whatever app and by whatever category."),
            Choice::new("source", "A source").help("Nothing is read from this database, and what was read from it is not sent."),
            Choice::new("everything", "Everything").help("Every call of every app is answered: come again later."),
        ],
        categories: none()
            .chain(catalogue.categories().iter().map(|category| {
                Choice::new(category.name.as_str(), format!("{} ({})", category.title.best("en"), category.name))
            }))
            .collect(),
        sources: none()
            .chain(catalogue.sources().iter().map(|source| Choice::new(source.name.as_str(), source.name.as_str())))
            .collect(),
        days: state.platform.settings.freezes.confirm,
    }
}

async fn posted(page: &Page<'_>, request: Request) -> Result<Form, Box<Response>> {
    let (parts, body) = request.into_parts();
    match form(&parts, body).await {
        Ok(params) => Ok(Form::of(&params)),
        Err(status) => Err(Box::new(page.problem(status))),
    }
}

/// `POST /console/freezes`
async fn make(With(state): With<State>, id: CallId, staff: Staff, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let mut form = match posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let key = form.value("client_key").to_owned();
    let app = async {
        let mut tx = state.platform.db.read().await?;
        apps::by_client_key(&mut tx, &key).await
    };
    let (field, target) = match What::parse(form.value("what")) {
        Some(What::App) => match app.await {
            Ok(app) => ("client_key", app.map(|app| Target::App(app.app_id))),
            Err(fault) => return page.fault(&fault),
        },
        Some(What::Category) => ("category", Some(Target::Category(form.value("category").to_owned()))),
        Some(What::Source) => ("source", Some(Target::Source(form.value("source").to_owned()))),
        Some(What::Everything) => ("what", Some(Target::Everything)),
        None => ("what", None),
    };
    let made = match &target {
        Some(target) => freezes::make(&state.platform, Hand::staff(staff.account.account_id), target, form.value("reason")).await,
        None => Err(Refusal::Nothing(What::App)),
    };
    let words = match made {
        Ok(freeze) => return redirect(&format!("{}?done=made", path(freeze.freeze_id))),
        Err(Refusal::Already(other)) => return redirect(&format!("{}?done=already", path(other))),
        Err(Refusal::Fault(fault)) => return page.fault(&fault),
        Err(Refusal::Reason) => {
            form.wrong("reason", format!("Say why, in at most {} characters", freezes::REASON_LIMIT));
            return page.show(StatusCode::UNPROCESSABLE_ENTITY, &new_page(&state, &staff, form));
        }
        Err(_) => match field {
            "client_key" => "Enter the client key of an app",
            "category" => "Choose a category",
            "source" => "Choose a source",
            _ => "Choose what is to be frozen",
        },
    };
    form.wrong(field, words);
    page.show(StatusCode::UNPROCESSABLE_ENTITY, &new_page(&state, &staff, form))
}

#[derive(Template)]
#[template(path = "console/freeze.html")]
struct FreezePage {
    shell: Frame,
    problem: Option<Notice>,
    path: String,
    stops: String,
    badge: Badge,
    late: bool,
    lives: bool,
    unconfirmed: bool,
    /// Whether the one who looks made it.
    own: bool,
    /// Whether the one who looks may be the second person.
    second: bool,
    due: Moment,
    summary: Summary,
    history: Timeline,
    form: Form,
}

/// `GET /console/freezes/{freeze}`
async fn show(With(state): With<State>, id: CallId, staff: Staff, Path(freeze): Path<String>, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let done = match query(&request).get("done").ok().flatten() {
        Some("made") => Some("Frozen. Downloads and builds stop within seconds. Those who can be the second person get a mail."),
        Some("already") => Some("This is frozen already."),
        Some("confirmed") => Some("Confirmed. It goes on until somebody lifts it."),
        Some("lifted") => Some("Lifted. What waited goes on."),
        _ => None,
    };
    answer(&state, &page, &staff, &freeze, StatusCode::OK, Form::new(), None, done).await
}

#[allow(clippy::too_many_arguments, reason = "one page, with what each act has to say on it")]
async fn answer(
    state: &State,
    page: &Page<'_>,
    staff: &Staff,
    freeze: &str,
    status: StatusCode,
    form: Form,
    problem: Option<Notice>,
    done: Option<&'static str>,
) -> Response {
    let Ok(freeze_id) = freeze.parse() else { return page.problem(StatusCode::NOT_FOUND) };
    match told(state, staff, freeze_id, form, problem, done).await {
        Ok(Some(told)) => page.show(status, &told),
        Ok(None) => page.problem(StatusCode::NOT_FOUND),
        Err(fault) => page.fault(&fault),
    }
}

async fn told(
    state: &State,
    staff: &Staff,
    freeze_id: i64,
    form: Form,
    problem: Option<Notice>,
    done: Option<&'static str>,
) -> Result<Option<FreezePage>, Fault> {
    let platform = &state.platform;
    let now = platform.now();
    let mut tx = platform.db.read().await?;
    let Some(freeze) = freezes::by_id(&mut tx, freeze_id).await? else { return Ok(None) };
    let stops = freezes::named(&mut tx, &freeze).await?;
    let event = |at: Millis, title: &str, who: String, text: &str, tone| Event {
        at: Moment::minute(moment(at)),
        title: title.into(),
        who,
        text: text.into(),
        tone,
        link: None,
    };
    let made_by = name_of(&mut tx, freeze.made_by).await?;
    let mut history = vec![event(freeze.made_at, "Frozen", made_by.clone(), &freeze.reason, Tone::Action)];
    if let Some(at) = freeze.confirmed_at {
        history.push(event(at, "Confirmed", name_of(&mut tx, freeze.confirmed_by).await?, "", Tone::Waiting));
    }
    if let Some(at) = freeze.lifted_at {
        history.push(event(at, "Lifted", name_of(&mut tx, freeze.lifted_by).await?, &freeze.lifted_why, Tone::Good));
    }
    let app = match freeze.app_id {
        Some(app_id) => apps::by_id(&mut tx, app_id).await?,
        None => None,
    };
    drop(tx);
    let due = cases::day(platform, freeze.due_at);
    let mut rows = vec![Row::new("Stopped").text(heading(&stops))];
    if let Some(app) = app {
        rows.push(Row::new("Client key").code(app.client_key));
    }
    rows.push(Row::new("By").text(made_by).at(Moment::minute(moment(freeze.made_at))));
    let read_by = if freeze.app_id.is_some() { "The app's developers read this." } else { "Staff read this, nobody else." };
    rows.push(Row::new("Why").text(freeze.reason.clone()).note(read_by));
    let hand = Hand::staff(staff.account.account_id);
    Ok(Some(FreezePage {
        shell: frame(state, staff).done(done),
        problem,
        path: path(freeze_id),
        stops: heading(&stops),
        badge: badge(&freeze, now),
        late: freeze.is_late(now),
        lives: freeze.state() != freezes::State::Lifted,
        unconfirmed: freeze.state() == freezes::State::Unconfirmed,
        own: !freeze.is_second(hand),
        second: freeze.is_second(hand) && freezes::SECONDS.iter().any(|role| staff.is(*role)),
        due,
        summary: Summary(rows),
        history: Timeline(history),
        form,
    }))
}

/// `POST /console/freezes/{freeze}/confirm`
async fn confirm(With(state): With<State>, id: CallId, staff: Staff, Path(freeze): Path<String>) -> Response {
    let page = Page::new(&state, &id);
    let Ok(freeze_id) = freeze.parse() else { return page.problem(StatusCode::NOT_FOUND) };
    let done = freezes::confirm(&state.platform, Hand::staff(staff.account.account_id), freeze_id).await;
    settle(&state, &page, &staff, &freeze, Form::new(), done, "confirmed").await
}

/// `POST /console/freezes/{freeze}/lift`
async fn lift(With(state): With<State>, id: CallId, staff: Staff, Path(freeze): Path<String>, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let Ok(freeze_id) = freeze.parse() else { return page.problem(StatusCode::NOT_FOUND) };
    let hand = Hand::staff(staff.account.account_id);
    let done = freezes::lift(&state.platform, hand, freeze_id, form.value("why")).await;
    settle(&state, &page, &staff, &freeze, form, done, "lifted").await
}

async fn settle(
    state: &State,
    page: &Page<'_>,
    staff: &Staff,
    freeze: &str,
    mut form: Form,
    done: Result<Freeze, Refusal>,
    word: &str,
) -> Response {
    let (status, problem) = match done {
        Ok(after) => return redirect(&format!("{}?done={word}", path(after.freeze_id))),
        Err(Refusal::Fault(fault)) => return page.fault(&fault),
        Err(Refusal::Unknown) => return page.problem(StatusCode::NOT_FOUND),
        Err(Refusal::Reason) => {
            form.wrong("why", format!("Say why it is lifted, in at most {} characters", freezes::REASON_LIMIT));
            (StatusCode::UNPROCESSABLE_ENTITY, None)
        }
        Err(Refusal::SamePerson) => {
            let words = "A freeze is confirmed or lifted by somebody other than the one who made it.";
            (StatusCode::FORBIDDEN, Some(Notice::danger("You made this freeze").text(words)))
        }
        Err(Refusal::Moved(_) | Refusal::Already(_) | Refusal::Nothing(_)) => {
            let words = "Somebody else was faster. Look at it as it is now.";
            (StatusCode::CONFLICT, Some(Notice::warn("Nothing was done by you").text(words)))
        }
    };
    answer(state, page, staff, freeze, status, form, problem, None).await
}
