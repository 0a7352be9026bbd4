//! Credentials of an app. A secret is shown once, to somebody whose app it is, when they press for it; a page that is only opened shows none.

use std::time::Duration;

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::apps::{self, SecretError};
use platform::settings::Span;
use platform::{Fault, Millis};

use super::details::read_posted;
use super::{base, done, locked, query};
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, act, see};
use crate::pages::frame::Frame;
use crate::pages::parts::{Badge, Choice, Copy, Form, Tone};
use crate::pages::view::Moment;
use crate::pages::{Page, moment, redirect};
use crate::state::State;

pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/apps/{app}/credentials", Needs::Works, "See the client key of an app", show),
        act("/developers/apps/{app}/credentials/reveal", Needs::Owns, "Show a client secret, once", reveal),
        act("/developers/apps/{app}/credentials/rotate", Needs::Owns, "Make a new client secret", rotate),
        act("/developers/apps/{app}/credentials/end", Needs::Owns, "End an earlier client secret", end),
    ]
}

#[derive(Debug, Template)]
#[template(path = "portal/app_credentials.html")]
struct CredentialsPage {
    shell: Frame,
    form: Form,
    path: String,
    live: bool,
    app_id: Copy,
    client_key: Copy,
    /// The secret, on the one page that shows it, and as libraries for Standard Webhooks want it.
    shown: Option<(Copy, Copy)>,
    secrets: Vec<SecretView>,
    overlaps: Vec<Choice>,
    owns: bool,
}

#[derive(Debug)]
struct SecretView {
    id: i64,
    made: Moment,
    ends: Option<Moment>,
    shown: Option<Moment>,
    badge: Badge,
    newest: bool,
}

const OVERLAPS: [(&str, &str); 5] =
    [("0 s", "End it now"), ("1 h", "One hour"), ("24 h", "One day"), ("7 d", "Seven days"), ("30 d", "Thirty days")];

async fn show(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let shell = Frame::developer(&state, &developer).of_app(&of, "credentials").done(done(&query(&request)));
    answer(&state, &page, &of, shell, None).await
}

async fn answer(state: &State, page: &Page<'_>, of: &OfApp, shell: Frame, shown: Option<(Copy, Copy)>) -> Response {
    match told(state, of, shell, shown).await {
        Ok(told) => page.show(StatusCode::OK, &told),
        Err(fault) => page.fault(&fault),
    }
}

async fn told(state: &State, of: &OfApp, shell: Frame, shown: Option<(Copy, Copy)>) -> Result<CredentialsPage, Fault> {
    let now = state.platform.now();
    let mut tx = state.platform.db.read().await?;
    let held = apps::secret_facts(&mut tx, of.app.app_id, now).await?;
    drop(tx);
    let at = |at: Millis| Moment::minute(moment(at));
    let secrets = held.iter().enumerate().map(|(place, secret)| SecretView {
        id: secret.secret_id,
        made: at(secret.created_at),
        ends: secret.retires_at.map(at),
        shown: secret.shown_at.map(at),
        badge: match (place, secret.retires_at) {
            (0, _) => Badge::new(Tone::Good, "In force"),
            _ => Badge::new(Tone::Waiting, "Ending"),
        },
        newest: place == 0,
    });
    let standard = state.platform.settings.apps.secret_overlap;
    let chosen = OVERLAPS.iter().find(|(word, _)| Span::parse(word) == Some(standard)).map_or("24 h", |(word, _)| word);
    let mut form = Form::new();
    form.set("overlap", chosen);
    Ok(CredentialsPage {
        shell,
        form,
        path: base(&of.app),
        live: of.app.may_ask(),
        app_id: Copy::line("App ID", of.app.app_id.to_string()),
        client_key: Copy::line("Client key", of.app.client_key.clone()),
        shown,
        secrets: secrets.collect(),
        overlaps: OVERLAPS.iter().map(|(word, words)| Choice::new(*word, *words)).collect(),
        owns: of.seat.leads(),
    })
}

async fn reveal(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match read_posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let Ok(secret_id) = form.value("secret").parse() else { return page.problem(StatusCode::BAD_REQUEST) };
    match apps::reveal_secret(&state.platform, developer.account.actor(), of.app.app_id, secret_id).await {
        Ok(Some(secret)) => {
            let shell = Frame::developer(&state, &developer).of_app(&of, "credentials");
            let standard = Copy::line("The same for libraries of Standard Webhooks", wire::standard_secret(&secret));
            answer(&state, &page, &of, shell, Some((Copy::line("Client secret", secret.as_str()), standard))).await
        }
        Ok(None) => {
            let words = "This secret was shown before, and is not shown again. If it is lost, make a new one.";
            locked(&state, &page, &developer, &of, words)
        }
        Err(fault) => page.fault(&fault),
    }
}

fn refused(state: &State, page: &Page<'_>, developer: &Developer, of: &OfApp, refusal: SecretError) -> Response {
    match refusal {
        SecretError::State(words) => locked(state, page, developer, of, words),
        SecretError::Unknown => page.problem(StatusCode::NOT_FOUND),
        SecretError::Fault(fault) => page.fault(&fault),
    }
}

async fn rotate(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match read_posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let known = OVERLAPS.iter().any(|(word, _)| *word == form.value("overlap"));
    let overlap = Span::parse(form.value("overlap")).filter(|_| known).map(|span| span.0);
    let (Some(overlap), Ok(newest)) = (overlap, form.value("newest").parse()) else {
        return page.problem(StatusCode::BAD_REQUEST);
    };
    let overlap: Duration = overlap;
    match apps::rotate(&state.platform, developer.account.actor(), of.app.app_id, newest, overlap).await {
        Ok(()) => redirect(&format!("{}/credentials?done=rotated", base(&of.app))),
        Err(refusal) => refused(&state, &page, &developer, &of, refusal),
    }
}

async fn end(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match read_posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let Ok(secret_id) = form.value("secret").parse() else { return page.problem(StatusCode::BAD_REQUEST) };
    match apps::end_secret(&state.platform, developer.account.actor(), of.app.app_id, secret_id).await {
        Ok(()) => redirect(&format!("{}/credentials?done=ended", base(&of.app))),
        Err(refusal) => refused(&state, &page, &developer, &of, refusal),
    }
}
