//! URL properties: which of an app's addresses are proved to be its owner's, and what to put where to prove more.

use askama::Template;
use axum::extract::{Path, Request, State as With};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use platform::Fault;
use platform::apps;
use platform::properties::{self, Found, Kind, Problem, Property, Refusal};

use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, act, see};
use crate::pages::frame::Frame;
use crate::pages::parts::{Badge, Choice, Copy, Form, Notice, Tone};
use crate::pages::view::Moment;
use crate::pages::{Page, form, moment, redirect};
use crate::state::State;

pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/apps/{app}/urls", Needs::Works, "See which addresses are proved", show),
        act("/developers/apps/{app}/urls", Needs::Works, "Add an address to be proved", add),
        act("/developers/apps/{app}/urls/verify", Needs::Works, "Have a proof looked at", verify),
        act("/developers/apps/{app}/urls/remove", Needs::Works, "Remove an address", remove),
        see("/developers/apps/{app}/urls/{property}/file", Needs::Works, "Download a signature file", file),
    ]
}

#[derive(Debug, Template)]
#[template(path = "portal/urls.html")]
struct UrlsPage {
    shell: Frame,
    path: String,
    /// What was just looked at, and how it went.
    outcome: Option<Notice>,
    needed: Vec<Needed>,
    properties: Vec<Proof>,
    form: Form,
    kinds: Vec<Choice>,
}

/// An address of the app.
#[derive(Debug)]
struct Needed {
    what: &'static str,
    address: String,
    badge: Badge,
}

/// An address, and how to prove it.
#[derive(Debug)]
struct Proof {
    id: i64,
    value: String,
    is_domain: bool,
    proved: bool,
    badge: Badge,
    since: Option<Moment>,
    looked: Option<Moment>,
    problem: Option<Notice>,
    host: String,
    line: Copy,
    file_name: Copy,
    file_url: Copy,
    /// Where the file can be looked at, for a link.
    open: String,
}

fn kinds() -> Vec<Choice> {
    vec![
        Choice::new("domain", "Domain").help("By a DNS record. One proof clears every address on the domain and below it."),
        Choice::new("prefix", "URL prefix").help("By a file that you host. Clears every address under the prefix."),
    ]
}

async fn show(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes()).unwrap_or_default();
    let number = |name| params.get(name).ok().flatten().and_then(|text: &str| text.parse::<i64>().ok());
    let done = match params.get("done").ok().flatten() {
        Some("removed") => Some("The address is removed from the list."),
        _ => None,
    };
    let asked = Asked { looked: number("looked"), added: number("added") };
    answer(&state, &page, &developer, &of, StatusCode::OK, Form::new(), asked, done).await
}

/// What the page is shown after.
#[derive(Default)]
struct Asked {
    looked: Option<i64>,
    added: Option<i64>,
}

#[expect(clippy::too_many_arguments, reason = "all that the page is made of")]
async fn answer(
    state: &State,
    page: &Page<'_>,
    developer: &Developer,
    of: &OfApp,
    status: StatusCode,
    form: Form,
    asked: Asked,
    done: Option<&'static str>,
) -> Response {
    let told = async {
        let platform = &state.platform;
        let mut tx = platform.db.read().await?;
        let held = properties::list(&mut tx, of.app.owner_id).await?;
        let copy = apps::working_copy(&mut tx, of.app.app_id).await?.details;
        let mut needed = Vec::new();
        for (field, address) in copy.to_be_owned() {
            let proved = properties::covers(&mut tx, of.app.owner_id, address).await?;
            let badge = if proved { Badge::new(Tone::Good, "Proved") } else { Badge::new(Tone::Action, "To be proved") };
            needed.push(Needed { what: field_words(field), address: address.to_owned(), badge });
        }
        Ok::<_, Fault>((held, needed))
    };
    let (held, needed) = match told.await {
        Ok(told) => told,
        Err(fault) => return page.fault(&fault),
    };
    let outcome = held.iter().find_map(|property| {
        if asked.looked == Some(property.property_id) {
            Some(match property.found() {
                None => Notice::status(format!("{} is proved to be yours.", property.value)),
                Some(_) => Notice::danger(format!("{} could not be verified.", property.value))
                    .text("Why, and what to do about it, is told at its entry below."),
            })
        } else if asked.added == Some(property.property_id) {
            Some(Notice::status(format!("{} is added. Now put the proof there, then press Verify.", property.value)))
        } else {
            None
        }
    });
    let told = UrlsPage {
        shell: Frame::developer(state, developer).of_app(of, "urls").done(done),
        path: path(of),
        outcome,
        needed,
        properties: held.iter().map(|property| proof(state, property)).collect(),
        form,
        kinds: kinds(),
    };
    page.show(status, &told)
}

fn path(of: &OfApp) -> String {
    format!("/developers/apps/{}/urls", of.app.app_id)
}

fn field_words(field: &str) -> &'static str {
    match field {
        "terms-url" => "Terms of service",
        "privacy-url" => "Privacy policy",
        "web-url" => "Website",
        "desktop-url" => "Website of the desktop program",
        _ => "Address",
    }
}

fn proof(state: &State, property: &Property) -> Proof {
    let platform = &state.platform;
    let found = property.found();
    let proved = property.verified_at.is_some();
    let badge = match (proved, &found, property.checked_at) {
        (true, None, _) => Badge::new(Tone::Good, "Proved"),
        (true, Some(_), _) => Badge::new(Tone::Action, "Proved, but not found at the last look"),
        (false, Some(_), _) => Badge::new(Tone::Bad, "Not found"),
        (false, None, _) => Badge::new(Tone::Waiting, "Not looked at yet"),
    };
    let line = property.line(platform);
    let minute = |at: Option<platform::Millis>| at.map(|at| Moment::minute(moment(at)));
    Proof {
        id: property.property_id,
        value: property.value.clone(),
        is_domain: property.kind == Kind::Domain,
        proved,
        badge,
        since: minute(property.verified_at),
        looked: minute(property.checked_at),
        problem: found.map(|found| words(&found, property)),
        host: property.value.clone(),
        line: Copy::line(if property.kind == Kind::Domain { "Value" } else { "Its one line" }, line),
        file_name: Copy::line("File name", property.file_name(platform)),
        file_url: Copy::line("Where it has to be found", property.file_url(platform).unwrap_or_default()),
        open: property.file_url(platform).unwrap_or_default(),
    }
}

/// What was found, and the cure.
fn words(found: &Found, property: &Property) -> Notice {
    let detail = found.detail.as_str();
    let host = &property.value;
    let (title, cure) = match found.problem {
        Problem::NoDomain => (
            "The name servers know no such domain.".to_owned(),
            "Check its spelling. A domain that was just registered may take a day to be known.".to_owned(),
        ),
        Problem::NoRecord => (
            format!("{host} has no such TXT record."),
            "Put the record on the domain itself: many providers call that @. A new record may take minutes, at some providers an hour, to be seen.".into(),
        ),
        Problem::OtherRecord => (
            "There is a record of this kind, with another value.".into(),
            format!("Found: {detail}. Copy the value from here once more; records for other apps can stay beside it."),
        ),
        Problem::NoAnswer => (
            "The domain's name servers did not give a useful answer.".into(),
            "Ask your provider whether they work, or try again in some minutes.".into(),
        ),
        Problem::NotThere => (
            format!("The file was answered with status {detail}, where it should be 200."),
            "Put the file at the address below, so that everybody can open it without signing in.".into(),
        ),
        Problem::WebPage => (
            "A web page was answered in place of the file.".into(),
            "Your server may answer every address with its start page, or ask to sign in. Let it serve the file itself.".into(),
        ),
        Problem::OtherContent => (
            "The file holds something else.".into(),
            format!("It begins with: {detail}. Upload the file as you downloaded it, or one with the one line below and nothing else."),
        ),
        Problem::TooLong => (
            "The answer is much longer than the file.".into(),
            "Upload the file as you downloaded it.".into(),
        ),
        Problem::TooSlow => ("It took too long to answer.".into(), "Try again when the server answers quickly.".into()),
        Problem::Elsewhere => (
            "The server leads elsewhere.".into(),
            format!("It leads to {detail}. Only a redirect to https on the same host is followed: add the address where the file really is, or serve it without a redirect."),
        ),
        Problem::NotPublic => (
            "The host is not on the public Internet.".into(),
            "Its name leads to an address of a private network. Use the address under which people reach the site.".into(),
        ),
        Problem::NoConnection => (
            "There was no connection.".into(),
            "Check that the name of the host is right, that the server runs, and that its certificate is valid for this name.".into(),
        ),
    };
    Notice::warn(title).text(cure)
}

async fn add(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let mut form = match form(&parts, body).await {
        Ok(params) => Form::of(&params),
        Err(status) => return page.problem(status),
    };
    let kind = Kind::parse(form.value("kind"));
    if kind.is_none() {
        form.wrong("kind", "Choose how you will prove it");
        if form.value("value").trim().is_empty() {
            form.wrong("value", "Enter a domain or a URL prefix");
        }
    }
    let added = match kind {
        Some(kind) => {
            properties::add(&state.platform, developer.account.actor(), of.app.owner_id, kind, form.value("value")).await
        }
        None => {
            return answer(&state, &page, &developer, &of, StatusCode::UNPROCESSABLE_ENTITY, form, Asked::default(), None).await;
        }
    };
    match added {
        Ok(property) => redirect(&format!("{}?added={}", path(&of), property.property_id)),
        Err(Refusal::Fault(fault)) => page.fault(&fault),
        Err(refusal) => {
            form.wrong("value", sentence(&refusal.to_string()));
            answer(&state, &page, &developer, &of, StatusCode::UNPROCESSABLE_ENTITY, form, Asked::default(), None).await
        }
    }
}

/// With a capital letter at its beginning.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The property that a posted form names.
async fn named(request: Request) -> Result<i64, StatusCode> {
    let (parts, body) = request.into_parts();
    let params = form(&parts, body).await?;
    params.get("property").ok().flatten().and_then(|text| text.parse().ok()).ok_or(StatusCode::BAD_REQUEST)
}

async fn verify(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let property_id = match named(request).await {
        Ok(property_id) => property_id,
        Err(status) => return page.problem(status),
    };
    match properties::verify(&state.platform, developer.account.actor(), of.app.owner_id, property_id).await {
        Ok(property) => redirect(&format!("{}?looked={}", path(&of), property.property_id)),
        Err(Refusal::Fault(fault)) => page.fault(&fault),
        Err(refusal @ Refusal::Often(_)) => {
            let mut form = Form::new();
            form.wrong("value", sentence(&refusal.to_string()));
            answer(&state, &page, &developer, &of, StatusCode::TOO_MANY_REQUESTS, form, Asked::default(), None).await
        }
        Err(_) => page.problem(StatusCode::NOT_FOUND),
    }
}

async fn remove(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let property_id = match named(request).await {
        Ok(property_id) => property_id,
        Err(status) => return page.problem(status),
    };
    match properties::remove(&state.platform, developer.account.actor(), of.app.owner_id, property_id).await {
        // Pressed twice, it is removed all the same.
        Ok(_) => redirect(&format!("{}?done=removed", path(&of))),
        Err(fault) => page.fault(&fault),
    }
}

async fn file(With(state): With<State>, id: CallId, of: OfApp, Path((_, property_id)): Path<(i64, i64)>) -> Response {
    let page = Page::new(&state, &id);
    let held = async { properties::list(&mut state.platform.db.read().await?, of.app.owner_id).await };
    let property = match held.await {
        Ok(held) => held.into_iter().find(|property| property.property_id == property_id && property.kind == Kind::Prefix),
        Err(fault) => return page.fault(&fault),
    };
    let Some(property) = property else { return page.problem(StatusCode::NOT_FOUND) };
    let name = property.file_name(&state.platform);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let mut response = (headers, property.line(&state.platform)).into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    response
}
