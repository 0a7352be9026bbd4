//! The webhook of an app: every call with its body and what was answered, sending again, extra events, and going on after a stop. The sandbox's
//! calls are in a log of their own.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::webhooks::{self, AttemptRow, DeliveryRow, NoReplay, Standing};
use platform::{Fault, Millis};
use wire::EventName;

use super::details::read_posted;
use super::{base, done, query};
use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, act, see};
use crate::pages::frame::Frame;
use crate::pages::parts::{Badge, Choice, Copy, Empty, Form, Notice, Pager, Row, Summary, Tab, Tabs, Tone};
use crate::pages::view::{Moment, counted};
use crate::pages::{Page, moment, redirect};
use crate::state::State;

/// Deliveries of one page.
const PAGE: usize = 50;

pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/apps/{app}/webhooks", Needs::Works, "See the log of an app's webhook", log),
        act("/developers/apps/{app}/webhooks/events", Needs::Works, "Choose the extra events of an app's webhook", choose),
        act("/developers/apps/{app}/webhooks/resume", Needs::Works, "Have a stopped webhook called again", resume),
        act("/developers/apps/{app}/webhooks/missed", Needs::Works, "Have the events sent again that did not arrive", missed),
        see("/developers/apps/{app}/webhooks/{delivery}", Needs::Works, "See one event, its calls and their answers", one),
        act("/developers/apps/{app}/webhooks/{delivery}/again", Needs::Works, "Have one event sent again", again),
    ]
}

/// Which of the two worlds a page is about: its state, and what its paths end with.
#[derive(Clone, Copy)]
struct Side<'s> {
    state: &'s State,
    mark: &'static str,
}

impl<'s> Side<'s> {
    /// By the word in the query; none if the sandbox is meant and there is none.
    fn of(state: &'s State, params: &Params) -> Option<Self> {
        match params.get("world").ok().flatten() {
            Some("sandbox") => state.world.sandbox().map(|sandbox| Self { state: sandbox, mark: "?world=sandbox" }),
            _ => Some(Self { state, mark: "" }),
        }
    }

    fn is_sandbox(&self) -> bool {
        !self.mark.is_empty()
    }

    /// Back to the log, with a word for what was done.
    fn back(&self, of: &OfApp, done: &str) -> Response {
        let joined = if self.is_sandbox() { '&' } else { '?' };
        redirect(&format!("{}/webhooks{}{joined}done={done}", base(&of.app), self.mark))
    }
}

#[derive(Template)]
#[template(path = "portal/app_webhooks.html")]
struct LogPage {
    shell: Frame,
    notice: Option<Notice>,
    tabs: Option<Tabs>,
    sandbox: bool,
    address: Option<Copy>,
    standing: Badge,
    failing: Option<Moment>,
    stopped: bool,
    form: Form,
    extra: Vec<Choice>,
    app_path: String,
    path: String,
    mark: &'static str,
    missed: bool,
    lines: Vec<Line>,
    empty: Empty,
    pager: Pager,
}

struct Line {
    path: String,
    event: String,
    badge: Badge,
    at: Moment,
    attempts: String,
    answer: String,
}

fn badge(delivery: &DeliveryRow) -> Badge {
    match delivery.standing() {
        Standing::Delivered => Badge::new(Tone::Good, "Arrived"),
        Standing::Waiting if delivery.attempts == 0 => Badge::new(Tone::Waiting, "Going out"),
        Standing::Waiting => Badge::new(Tone::Waiting, "Will be tried again"),
        Standing::GivenUp => Badge::new(Tone::Bad, "Did not arrive"),
    }
}

/// What an extra event tells, for those who choose.
fn told_of(event: EventName) -> &'static str {
    match event {
        EventName::DownloadFailed => "An archive could not be made; what the request spent was given back.",
        EventName::DownloadExpired => "An archive was there for its time, and is gone.",
        EventName::DownloadCancelled => "A request was cancelled: by your app, or because the person withdrew.",
        EventName::DownloadExpiring => "An archive will soon be gone; sent once.",
        EventName::ReviewChanged => "The review of the app, or of an application of it, stands elsewhere.",
        EventName::AuthorizationRemoved | EventName::DownloadReady | EventName::Ping => "",
    }
}

async fn log(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let params = query(&request);
    let Some(side) = Side::of(&state, &params) else { return page.problem(StatusCode::NOT_FOUND) };
    let shell = Frame::developer(&state, &developer).of_app(&of, "webhooks").done(done(&params));
    match told(&state, side, &of, shell, before(&params), None).await {
        Ok(told) => page.show(StatusCode::OK, &told),
        Err(fault) => page.fault(&fault),
    }
}

/// Behind which delivery this page begins.
fn before(params: &Params) -> Option<(Millis, i64)> {
    let (at, id) = params.all("before").next()?.split_once('-')?;
    Some((Millis(at.parse().ok()?), id.parse().ok()?))
}

async fn told(
    state: &State,
    side: Side<'_>,
    of: &OfApp,
    shell: Frame,
    before: Option<(Millis, i64)>,
    notice: Option<Notice>,
) -> Result<LogPage, Fault> {
    let app_id = of.app.app_id;
    let mut tx = side.state.platform.db.read().await?;
    let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
    let found = webhooks::list(&mut tx, app_id, before, limit).await?;
    let endpoint = webhooks::endpoint(&mut tx, app_id).await?;
    let missed = !webhooks::undelivered(&mut tx, app_id, 1).await?.is_empty();
    let app = platform::apps::by_id(&mut tx, app_id).await?;
    drop(tx);
    let path = format!("{}/webhooks", base(&of.app));
    let address = app.and_then(|app| app.webhook_url).unwrap_or_default();
    let standing = match (address.is_empty(), endpoint.stopped_at, endpoint.failing_since) {
        (true, ..) => Badge::new(Tone::Off, "No address in force"),
        (_, Some(_), _) => Badge::new(Tone::Bad, "Stopped"),
        (_, None, Some(_)) => Badge::new(Tone::Action, "Failing"),
        (_, None, None) => Badge::new(Tone::Good, "Working"),
    };
    let joined = if side.is_sandbox() { '&' } else { '?' };
    let older = found.get(PAGE - 1).filter(|_| found.len() > PAGE);
    let older = older.map(|last| format!("{path}{}{joined}before={}-{}", side.mark, last.created_at.0, last.delivery_id));
    let pager = Pager { newer: before.map(|_| format!("{path}{}", side.mark)), older };
    let lines = found.iter().take(PAGE).map(|delivery| Line {
        path: format!("{path}/{}{}", delivery.delivery_id, side.mark),
        event: delivery.event.clone(),
        badge: badge(delivery),
        at: Moment::minute(moment(delivery.created_at)),
        attempts: counted(usize::try_from(delivery.attempts).unwrap_or(0), "call", "calls"),
        answer: match (delivery.last_status, &delivery.last_error) {
            (Some(status), _) => status.to_string(),
            (None, Some(error)) => error.clone(),
            (None, None) => String::new(),
        },
    });
    let lines: Vec<_> = lines.collect();
    let mut form = Form::new();
    for event in EventName::EXTRA.into_iter().filter(|event| endpoint.wants(*event)) {
        form.add("events", event.as_str());
    }
    let tab = |label: &str, mark: &str| Tab {
        label: label.into(),
        path: format!("{path}{mark}"),
        count: None,
        current: mark == side.mark,
    };
    let tabs = state
        .world
        .sandbox()
        .map(|_| Tabs { label: "Which calls".into(), tabs: vec![tab("Production", ""), tab("Sandbox", "?world=sandbox")] });
    let empty = Empty {
        title: "No calls yet".into(),
        text: "Each event that is sent to your app is listed here for some weeks, with what your address answered.".into(),
        link: address.is_empty().then(|| ("Enter a callback address".into(), format!("{}/products#hooks", base(&of.app)))),
    };
    Ok(LogPage {
        shell,
        notice,
        tabs,
        sandbox: side.is_sandbox(),
        address: Some(address).filter(|address| !address.is_empty()).map(|address| Copy::line("", address)),
        standing,
        failing: endpoint.failing_since.map(|at| Moment::minute(moment(at))),
        stopped: endpoint.stopped_at.is_some(),
        form,
        extra: EventName::EXTRA.iter().map(|event| Choice::new(event.as_str(), event.as_str()).help(told_of(*event))).collect(),
        app_path: base(&of.app),
        path,
        mark: side.mark,
        missed,
        lines,
        empty,
        pager,
    })
}

#[derive(Template)]
#[template(path = "portal/app_webhook.html")]
struct EventPage {
    shell: Frame,
    event: String,
    badge: Badge,
    facts: Summary,
    body: Copy,
    calls: Vec<Call>,
    path: String,
    back: String,
    mark: &'static str,
    arrived: bool,
}

struct Call {
    number: i32,
    badge: Badge,
    at: Moment,
    took: String,
    url: Copy,
    error: String,
    answer: Option<Copy>,
}

fn call(row: AttemptRow) -> Call {
    let arrived = row.error.is_none();
    let words = row.status.map_or_else(|| "No answer".into(), |status| status.to_string());
    Call {
        number: row.attempt,
        badge: Badge::new(if arrived { Tone::Good } else { Tone::Bad }, words),
        at: Moment::minute(moment(row.at)),
        took: format!("{} ms", row.took),
        url: Copy::line("", row.url),
        error: row.error.unwrap_or_default(),
        answer: Some(row.answer).filter(|answer| !answer.is_empty()).map(|answer| Copy::block("What was answered", answer)),
    }
}

async fn one(
    With(state): With<State>,
    id: CallId,
    developer: Developer,
    of: OfApp,
    Path((_, delivery)): Path<(String, String)>,
    request: Request,
) -> Response {
    let page = Page::new(&state, &id);
    let params = query(&request);
    let (Some(side), Ok(delivery)) = (Side::of(&state, &params), delivery.parse::<i64>()) else {
        return page.problem(StatusCode::NOT_FOUND);
    };
    let found = async {
        let mut tx = side.state.platform.db.read().await?;
        let Some(found) = webhooks::by_id(&mut tx, of.app.app_id, delivery).await? else { return Ok(None) };
        let calls = webhooks::attempts(&mut tx, delivery).await?;
        Ok::<_, Fault>(Some((found, calls)))
    };
    let (found, calls) = match found.await {
        Ok(Some(found)) => found,
        Ok(None) => return page.problem(StatusCode::NOT_FOUND),
        Err(fault) => return page.fault(&fault),
    };
    let path = format!("{}/webhooks", base(&of.app));
    let facts = vec![
        Row::new("Happened").at(Moment::minute(moment(found.created_at))),
        Row::new("Message")
            .code(format!("msg_{}", found.delivery_id))
            .note("The same at every call; by it a receiver knows what it had."),
    ];
    let told = EventPage {
        shell: Frame::developer(&state, &developer).of_app(&of, "webhooks").done(done(&params)),
        event: found.event.clone(),
        badge: badge(&found),
        facts: Summary(facts),
        arrived: found.standing() == Standing::Delivered,
        body: Copy::block("Body", found.body),
        calls: calls.into_iter().map(call).collect(),
        back: format!("{path}{}", side.mark),
        path: format!("{path}/{delivery}"),
        mark: side.mark,
    };
    page.show(StatusCode::OK, &told)
}

async fn choose(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match read_posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let chosen: Vec<_> = form.all("events").filter_map(EventName::extra).collect();
    // The sandbox follows, as it does in all that an app says of itself.
    for world in [Some(&state), state.world.sandbox()].into_iter().flatten() {
        let actor = developer.account.actor();
        let there = async {
            let mut tx = world.platform.db.read().await?;
            platform::apps::by_id(&mut tx, of.app.app_id).await
        };
        let done = match there.await {
            Ok(None) => Ok(()),
            Ok(Some(app)) => webhooks::subscribe(&world.platform, actor, app.app_id, &chosen).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = done {
            return page.fault(&fault);
        }
    }
    redirect(&format!("{}/webhooks?done=saved", base(&of.app)))
}

async fn resume(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let Some(side) = Side::of(&state, &query(&request)) else { return page.problem(StatusCode::NOT_FOUND) };
    match webhooks::resume(&side.state.platform, developer.account.actor(), of.app.app_id).await {
        Ok(_) => side.back(&of, "resumed"),
        Err(fault) => page.fault(&fault),
    }
}

async fn missed(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let Some(side) = Side::of(&state, &query(&request)) else { return page.problem(StatusCode::NOT_FOUND) };
    let sent = webhooks::replay_failed(&side.state.platform, developer.account.actor(), of.app.app_id).await;
    match sent {
        Ok(_) => side.back(&of, "missed"),
        Err(refusal) => refused(&state, side, &page, &developer, &of, refusal).await,
    }
}

async fn again(
    With(state): With<State>,
    id: CallId,
    developer: Developer,
    of: OfApp,
    Path((_, delivery)): Path<(String, String)>,
    request: Request,
) -> Response {
    let page = Page::new(&state, &id);
    let (Some(side), Ok(delivery)) = (Side::of(&state, &query(&request)), delivery.parse::<i64>()) else {
        return page.problem(StatusCode::NOT_FOUND);
    };
    match webhooks::replay(&side.state.platform, developer.account.actor(), of.app.app_id, delivery).await {
        Ok(()) => side.back(&of, "again"),
        Err(refusal) => refused(&state, side, &page, &developer, &of, refusal).await,
    }
}

/// The log, with why nothing is sent.
async fn refused(
    state: &State,
    side: Side<'_>,
    page: &Page<'_>,
    developer: &Developer,
    of: &OfApp,
    refusal: NoReplay,
) -> Response {
    let minutes = |wait: Duration| usize::try_from(wait.as_secs().div_ceil(60)).unwrap_or(1).max(1);
    let (status, notice) = match refusal {
        NoReplay::Unknown => return page.problem(StatusCode::NOT_FOUND),
        NoReplay::Fault(fault) => return page.fault(&fault),
        NoReplay::NoAddress => (
            StatusCode::CONFLICT,
            Notice::danger("Nothing was sent: no callback address is in force")
                .text("Enter one under Products; it is in force once its version of the app is approved."),
        ),
        NoReplay::Stopped => (
            StatusCode::CONFLICT,
            Notice::danger("Nothing was sent: calls to this address are stopped").text("Resume them first."),
        ),
        NoReplay::Often(wait) => (
            StatusCode::TOO_MANY_REQUESTS,
            Notice::danger("Nothing was sent: events were sent again too often within a short time")
                .text(format!("Try again in {}.", counted(minutes(wait), "minute", "minutes"))),
        ),
    };
    let shell = Frame::developer(state, developer).of_app(of, "webhooks");
    match told(state, side, of, shell, None, Some(notice)).await {
        Ok(told) => page.show(status, &told),
        Err(fault) => page.fault(&fault),
    }
}
