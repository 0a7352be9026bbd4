//! The own API: the same requests as resources, with honest states, ranges of time and RFC 9457 problems. Tokens, quotas, scopes and records are
//! those of the wire; what the wire cannot say is said here.

mod body;
mod docs;
mod people;
mod problem;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State as With};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LINK, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use platform::access_log;
use platform::quotas::RequestType;
use platform::requests::{self, AddRefusal, Asked, Cancelled, RequestState};
use platform::{Fault, Millis, freezes};
use serde_json::{Value, json};
use wire::RequestId;

use self::body::Wish;
use self::problem::{DENIED, ENDED, GONE, INVALID, KEY_REUSED, NOT_READY, Problem, SCOPE, TOO_MANY_OPEN, UNKNOWN};
use super::data::{self, Call, Told, admit, clip};
use super::download;
use crate::http::CallId;
use crate::state::State;

pub(crate) use self::docs::DOCUMENT;
pub(crate) use self::problem::{KINDS as PROBLEMS, Kind};

/// Entries of a page of the list, unless it is asked for otherwise.
const PAGE: i64 = 20;
/// And at most.
const LONGEST_PAGE: i64 = 100;
/// When to look again at a request that waits for a worker, in seconds.
const WHILE_QUEUED: u32 = 5;
/// When to look again at one that runs, in seconds.
const WHILE_RUNNING: u32 = 2;

pub(super) fn paths() -> [(&'static str, MethodRouter<State>); 5] {
    [
        ("/v1/requests", any(collection)),
        ("/v1/requests/{id}", any(one)),
        ("/v1/requests/{id}/archive", any(archive)),
        ("/v1/people/{id}/events", any(people::events)),
        ("/openapi.json", get(docs::openapi)),
    ]
}

/// A path below `/v1` that means nothing.
pub(super) fn not_found(id: &CallId) -> Response {
    Problem::new(&UNKNOWN, "There is no such call. /docs lists them.").answer(id)
}

/// The number in a path; an error if it is no text at all.
type Number = Result<Path<String>, PathRejection>;

/// Answers, and tells the access log.
fn told(state: &State, id: &CallId, told: Told, call: access_log::Call, answer: Result<Response, Problem>) -> Response {
    let answer = match answer {
        Ok(response) => {
            // What is sent of an archive is noted when that ends.
            if call != access_log::Call::Download || !told.sends {
                told.heard.note(state, call, data::OK);
            }
            response
        }
        Err(problem) => {
            told.heard.note(state, call, problem.code());
            problem.answer(id)
        }
    };
    told.on(answer)
}

/// `/v1/requests`
async fn collection(With(state): With<State>, id: CallId, request: Request) -> Response {
    let mut heard = Told::default();
    match *request.method() {
        Method::POST => {
            let answer = create(&state, request, &mut heard).await;
            told(&state, &id, heard, access_log::Call::Add, answer)
        }
        Method::GET | Method::HEAD => {
            let answer = list(&state, request, &mut heard).await;
            told(&state, &id, heard, access_log::Call::Check, answer)
        }
        Method::OPTIONS => options("GET, HEAD, POST"),
        _ => Problem::method("GET, HEAD, POST").answer(&id),
    }
}

/// `/v1/requests/{id}`
async fn one(With(state): With<State>, id: CallId, number: Number, request: Request) -> Response {
    let mut heard = Told::default();
    match *request.method() {
        Method::GET | Method::HEAD => {
            let answer = read(&state, request, &number, &mut heard).await;
            told(&state, &id, heard, access_log::Call::Check, answer)
        }
        Method::DELETE => {
            let answer = cancel(&state, request, &number, &mut heard).await;
            told(&state, &id, heard, access_log::Call::Cancel, answer)
        }
        Method::OPTIONS => options("GET, HEAD, DELETE"),
        _ => Problem::method("GET, HEAD, DELETE").answer(&id),
    }
}

/// `/v1/requests/{id}/archive`
async fn archive(With(state): With<State>, id: CallId, number: Number, request: Request) -> Response {
    let mut heard = Told::default();
    match *request.method() {
        Method::GET | Method::HEAD => {
            let answer = download(&state, request, &number, &mut heard).await;
            told(&state, &id, heard, access_log::Call::Download, answer)
        }
        Method::OPTIONS => options("GET, HEAD"),
        _ => Problem::method("GET, HEAD").answer(&id),
    }
}

fn options(allow: &'static str) -> Response {
    (StatusCode::NO_CONTENT, [(ALLOW, allow)]).into_response()
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], body.to_string()).into_response()
}

async fn create(state: &State, request: Request, told: &mut Told) -> Result<Response, Problem> {
    let call = admit(state, request, RequestType::Add, told).await?;
    let key = data::idempotency_key(&call.headers)?;
    // The wire takes blanks in it; who begins anew needs none.
    if key.as_ref().is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(Problem::new(&INVALID, "Idempotency-Key has 1 to 255 visible characters and no blanks."));
    }
    let wish = Wish::parse(call.json()?).map_err(|bad| Problem::new(&INVALID, bad))?;
    let catalogue = &state.platform.catalogue;
    let asked = Asked::of(wish.categories, wish.format, catalogue).map_err(|unknown| {
        let names: Vec<&str> = catalogue.categories().iter().map(|category| category.name.as_str()).collect();
        let known = names.join(", ");
        Problem::new(&INVALID, format!("There is no category `{}`. The categories are {known}.", clip(&unknown)))
    })?;
    let asked = asked.between(wish.since, wish.until).documented(wish.documents);
    let request_id =
        requests::add(&state.platform, &call.bearer, &asked, key.as_deref()).await.map_err(|refusal| refused(state, refusal))?;
    told.heard.request(request_id);
    let found = requests::of_bearer(&state.platform, &call.bearer, request_id).await?.ok_or_else(Problem::unknown)?;
    let mut response = resource(state, &found, StatusCode::CREATED).await?;
    if let Ok(place) = HeaderValue::from_str(&format!("/v1/requests/{request_id}")) {
        response.headers_mut().insert(LOCATION, place);
    }
    Ok(response)
}

fn refused(state: &State, refusal: AddRefusal) -> Problem {
    let kind = match refusal {
        AddRefusal::Fault(fault) => return fault.into(),
        AddRefusal::Ended => return super::envelope::Refusal::token().into(),
        AddRefusal::Spent | AddRefusal::Missing | AddRefusal::Region => &SCOPE,
        AddRefusal::Standing => &DENIED,
        AddRefusal::Frozen(_) => return data::stopped(state, refusal.to_string()).into(),
        AddRefusal::OpenLimit(_) => &TOO_MANY_OPEN,
        AddRefusal::KeyReused => &KEY_REUSED,
    };
    Problem::new(kind, refusal.to_string())
}

async fn list(state: &State, request: Request, told: &mut Told) -> Result<Response, Problem> {
    let call = admit(state, request, RequestType::Check, told).await?;
    call.standing()?;
    let params = call.params()?;
    let one =
        |name: &'static str| params.get_even_empty(name).map_err(|bad| Problem::new(&INVALID, format!("In the query, {bad}.")));
    let limit = match one("limit")? {
        None => PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=LONGEST_PAGE).contains(limit))
            .ok_or_else(|| Problem::new(&INVALID, format!("`limit` is a whole number from 1 to {LONGEST_PAGE}.")))?,
    };
    let after = one("after")?.map(|cursor| read_cursor(cursor).ok_or_else(bad_cursor)).transpose()?;
    let wanted = one("state")?.map(|word| RequestState::parse(word).ok_or_else(bad_state)).transpose()?;
    let platform = &state.platform;
    let now = platform.now();
    let mut tx = platform.db.read().await.map_err(Fault::from)?;
    // An archive whose time is over may still be stored as ready.
    let stored = wanted.filter(|state| *state != RequestState::Expired);
    // One more than a page tells whether there is another; what is sorted out here is read in large pieces.
    let at_once = if matches!(wanted, Some(RequestState::Expired | RequestState::Ready)) { LONGEST_PAGE } else { limit } + 1;
    let mut entries = Vec::new();
    let mut from = after;
    let mut more = true;
    while more && i64::try_from(entries.len()).unwrap_or(i64::MAX) <= limit {
        let page = requests::Page { state: stored, after: from, limit: at_once };
        let found = requests::page_of_pair(&mut tx, call.bearer.app_id, call.bearer.person_id, page).await?;
        more = i64::try_from(found.len()).unwrap_or(0) == at_once;
        from = found.last().map(|last| (last.applied_at, last.request_id)).or(from);
        entries.extend(found.into_iter().filter(|entry| wanted.is_none_or(|wanted| entry.state(now) == wanted)));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let another = entries.len() > limit;
    entries.truncate(limit);
    let mut told = Vec::with_capacity(entries.len());
    for entry in &entries {
        let archive =
            if entry.state(now) == RequestState::Ready { requests::archive_of(&mut tx, entry.request_id).await? } else { None };
        told.push(body::resource(state, entry, archive.as_ref(), &call.living, now)?);
    }
    drop(tx);
    let next = entries.last().filter(|_| another).map(|last| format!("{}-{}", last.applied_at.0, last.request_id));
    let mut response = answer(StatusCode::OK, &json!({ "requests": told, "next": next }));
    if let Some(cursor) = next {
        let state = wanted.map(|state| format!("&state={}", state.as_str())).unwrap_or_default();
        let link = format!("</v1/requests?limit={limit}&after={cursor}{state}>; rel=\"next\"");
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(LINK, link);
        }
    }
    Ok(response)
}

fn read_cursor(text: &str) -> Option<(Millis, i64)> {
    let (at, id) = text.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(at) || !digits(id) {
        return None;
    }
    Some((Millis(at.parse().ok()?), id.parse().ok()?))
}

fn bad_cursor() -> Problem {
    Problem::new(&INVALID, "`after` is what `next` of the page before said.")
}

fn bad_state() -> Problem {
    Problem::new(&INVALID, "`state` is one of queued, running, ready, failed, cancelled and expired.")
}

fn parse(number: &Number) -> Result<RequestId, Problem> {
    number.as_ref().ok().and_then(|Path(number)| RequestId::parse(number)).ok_or_else(Problem::unknown)
}

/// A request of the caller's.
async fn find(state: &State, call: &Call, number: &Number, told: &mut Told) -> Result<requests::Request, Problem> {
    let request_id = parse(number)?;
    told.heard.request(request_id);
    call.standing()?;
    requests::of_bearer(&state.platform, &call.bearer, request_id).await?.ok_or_else(Problem::unknown)
}

async fn read(state: &State, request: Request, number: &Number, told: &mut Told) -> Result<Response, Problem> {
    let call = admit(state, request, RequestType::Check, told).await?;
    let found = find(state, &call, number, told).await?;
    resource(state, &found, StatusCode::OK).await
}

/// A request as it is told, with the time after which a look is worth while.
async fn resource(state: &State, found: &requests::Request, status: StatusCode) -> Result<Response, Problem> {
    let platform = &state.platform;
    let now = platform.now();
    let mut tx = platform.db.read().await.map_err(Fault::from)?;
    let archive = requests::archive_of(&mut tx, found.request_id).await?;
    drop(tx);
    let living = freezes::living(platform).await?;
    let archive = archive.as_ref().filter(|_| found.state(now) == RequestState::Ready);
    let told = body::resource(state, found, archive, &living, now)?;
    let mut response = answer(status, &told);
    if let Some(seconds) = wait(found.state(now)) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}

fn wait(state: RequestState) -> Option<u32> {
    match state {
        RequestState::Queued => Some(WHILE_QUEUED),
        RequestState::Running => Some(WHILE_RUNNING),
        _ => None,
    }
}

async fn cancel(state: &State, request: Request, number: &Number, told: &mut Told) -> Result<Response, Problem> {
    let call = admit(state, request, RequestType::Cancel, told).await?;
    let request_id = parse(number)?;
    told.heard.request(request_id);
    call.standing()?;
    match requests::cancel(&state.platform, &call.bearer, request_id).await? {
        Cancelled::Done => Ok(StatusCode::NO_CONTENT.into_response()),
        Cancelled::TooLate => {
            Err(Problem::new(&ENDED, "The request failed or its archive's time is over; there is nothing to cancel."))
        }
        Cancelled::Unknown => Err(Problem::unknown()),
    }
}

async fn download(state: &State, request: Request, number: &Number, told: &mut Told) -> Result<Response, Problem> {
    let method = request.method().clone();
    let call = admit(state, request, RequestType::Download, told).await?;
    let found = find(state, &call, number, told).await?;
    match found.state(state.platform.now()) {
        RequestState::Ready => Ok(download::send(state, &call, &found, told, &method).await?),
        waiting @ (RequestState::Queued | RequestState::Running) => {
            let problem = Problem::new(&NOT_READY, format!("The request is {}.", waiting.as_str()));
            Err(problem.after(wait(waiting).unwrap_or(WHILE_QUEUED)))
        }
        RequestState::Failed => Err(Problem::new(&GONE, "The request failed; its page says why. There is no archive.")),
        RequestState::Cancelled => Err(Problem::new(&GONE, "The request was cancelled.")),
        RequestState::Expired => Err(Problem::new(&GONE, "The archive's time is over. Make a new request.")),
    }
}
