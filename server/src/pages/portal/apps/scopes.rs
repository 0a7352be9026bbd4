//! Scopes of an app: "View scopes", where unapproved ones read *Need to apply*, and approved ones are switched on and off; and what it may ask of user
//! info, which its review covers.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::Fault;
use platform::applications::{self, Application, State as Stage};
use platform::apps::{self, Change, Product, SaveError, SwitchError};

use super::details::{is_fixed, read_posted};
use super::{base, done, follow, lines, locked, query, refused, stale, version};
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, act, see};
use crate::pages::frame::Frame;
use crate::pages::parts::{Badge, Choice, Form, Tone};
use crate::pages::view::Moment;
use crate::pages::{Page, cases, redirect};
use crate::state::State;

pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/apps/{app}/scopes", Needs::Works, "View the scopes of an app", show),
        act("/developers/apps/{app}/scopes", Needs::Works, "Choose user info scopes of an app", save),
        act("/developers/apps/{app}/scopes/switch", Needs::Works, "Switch an approved scope on or off", switch),
    ]
}

#[derive(Debug, Template)]
#[template(path = "portal/app_scopes.html")]
struct ScopesPage {
    shell: Frame,
    form: Form,
    path: String,
    /// Whether the Data Portability API is among the app's products.
    added: bool,
    rows: Vec<ScopeRow>,
    /// Label and path of the application that is open.
    open: Option<(String, String)>,
    open_badge: Badge,
    /// Those that have ended, the latest first.
    ended: Vec<Ended>,
    /// What the button that applies says; none while an application is with staff.
    apply: Option<&'static str>,
    /// Whether the app itself is live.
    live: bool,
    login: bool,
    fixed: bool,
    user_scopes: Vec<Choice>,
    version: i64,
}

/// An application that is decided or was given up: its page has the reasons, the cure and the copies.
#[derive(Debug)]
struct Ended {
    reference: String,
    path: String,
    badge: Badge,
    at: Moment,
}

/// A pair of scopes.
#[derive(Debug)]
struct ScopeRow {
    family: String,
    title: String,
    pair: String,
    badge: Badge,
    conditions: String,
    sensitive: bool,
    /// Whether there is a switch, and how it stands.
    switch: Option<bool>,
}

async fn show(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let shell = Frame::developer(&state, &developer).of_app(&of, "scopes").done(done(&query(&request)));
    match told(&state, &of, shell).await {
        Ok(told) => page.show(StatusCode::OK, &told),
        Err(fault) => page.fault(&fault),
    }
}

fn asked(application: &Application) -> Vec<String> {
    serde_json::from_str(&application.answers).map(|answers| applications::asked_families(&answers)).unwrap_or_default()
}

async fn told(state: &State, of: &OfApp, shell: Frame) -> Result<ScopesPage, Fault> {
    let platform = &state.platform;
    let app_id = of.app.app_id;
    let mut tx = platform.db.read().await?;
    let copy = apps::working_copy(&mut tx, app_id).await?;
    let approved = apps::approvals(&mut tx, app_id).await?;
    let on = apps::scopes(&mut tx, app_id).await?;
    let open = applications::open_of_app(&mut tx, app_id).await?;
    let ours = applications::of_owner(&mut tx, &of.app).await?;
    drop(tx);
    let ended = ours.iter().filter_map(|one| {
        Some(Ended {
            at: cases::day(platform, one.ended_at?),
            reference: one.reference(),
            path: format!("/developers/applications/{}", one.application_id),
            badge: cases::badge(one.state, false),
        })
    });
    let ended = ended.collect();
    let wanted = open.as_ref().map(asked).unwrap_or_default();
    let handed_in = open.as_ref().is_some_and(|open| open.state != Stage::Draft);
    let rows = apps::families(platform).into_iter().map(|family| {
        let approval = approved.iter().find(|approval| approval.family == family);
        let switched = on.contains(&format!("{family}.single"));
        let badge = match approval {
            Some(_) if switched => Badge::new(Tone::Good, "Approved, on"),
            Some(_) => Badge::new(Tone::Action, "Approved, off"),
            None if handed_in && wanted.contains(&family) => Badge::new(Tone::Waiting, "Applied"),
            None => Badge::new(Tone::Off, "Need to apply"),
        };
        let of_family = || platform.catalogue.categories().iter().filter(|category| category.scope == family);
        let title =
            of_family().filter_map(|category| category.title.get("en").map(ToString::to_string)).collect::<Vec<_>>().join(", ");
        ScopeRow {
            title: if title.is_empty() { family.clone() } else { title },
            pair: apps::pair(&family),
            badge,
            conditions: approval.map(|approval| approval.conditions.clone()).unwrap_or_default(),
            sensitive: applications::is_sensitive(platform, std::slice::from_ref(&family)),
            switch: approval.map(|_| switched),
            family,
        }
    });
    let rows: Vec<ScopeRow> = rows.collect();
    let apply = match &open {
        None if !ours.is_empty() => Some("Apply again"),
        None => Some("Apply"),
        Some(open) if open.state == Stage::Draft => Some("Go on with the application"),
        Some(_) => None,
    };
    let mut form = Form::new();
    for scope in copy.details.user_scopes.iter().filter(|scope| *scope != wire::BASIC_SCOPE) {
        form.add("user-scopes", scope);
    }
    let mut user_scopes: Vec<Choice> = Vec::new();
    for field in wire::UserField::ALL.iter().filter(|field| field.scope != wire::BASIC_SCOPE) {
        match user_scopes.iter_mut().find(|choice| choice.value == field.scope) {
            Some(choice) => choice.help = format!("{}, {}", choice.help, field.name),
            None => user_scopes.push(Choice::new(field.scope, field.scope).help(format!("Gives {}", field.name))),
        }
    }
    Ok(ScopesPage {
        shell,
        form,
        path: base(&of.app),
        added: copy.details.has(Product::Portability) || !approved.is_empty(),
        rows,
        open_badge: open.as_ref().map_or_else(Badge::default, |open| {
            let tone = if open.state.waits_for_staff() { Tone::Waiting } else { Tone::Action };
            Badge::new(tone, open.state.words())
        }),
        open: open.as_ref().map(|open| (open.reference(), format!("/developers/applications/{}", open.application_id))),
        ended,
        apply,
        live: of.app.may_ask(),
        login: copy.details.has(Product::Login),
        fixed: is_fixed(&copy),
        user_scopes,
        version: copy.version,
    })
}

async fn save(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match crate::pages::form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let form = Form::of(&params);
    let app_id = of.app.app_id;
    let chosen: Vec<String> = form.all("user-scopes").map(ToOwned::to_owned).collect();
    let known = |scope: &String| wire::UserField::ALL.iter().any(|field| field.scope == scope.as_str());
    if chosen.len() > 50 || !chosen.iter().all(known) {
        return page.problem(StatusCode::BAD_REQUEST);
    }
    let before = async {
        let mut tx = state.platform.db.read().await?;
        apps::working_copy(&mut tx, app_id).await
    };
    let mut mine = match before.await {
        Ok(copy) => copy.details,
        Err(fault) => return page.fault(&fault),
    };
    mine.user_scopes.clone_from(&chosen);
    match apps::save(&state.platform, &developer.account, app_id, version(&form), Change::Details(Box::new(mine))).await {
        Ok(_) => {
            follow(&state, app_id).await;
            redirect(&format!("{}/scopes?done=saved", base(&of.app)))
        }
        Err(SaveError::Stale(theirs)) => {
            let mut mine = theirs.details.clone();
            mine.user_scopes = chosen;
            let shell = Frame::developer(&state, &developer).of_app(&of, "scopes");
            let (saved, mine) = (lines::of(&theirs.details), lines::of(&mine));
            let action = format!("{}/scopes", base(&of.app));
            stale(&page, shell, &form, params.pairs(), (&saved, theirs.updated_at, theirs.version), &mine, action)
        }
        Err(refusal) => refused(&state, &page, &developer, &of, refusal),
    }
}

async fn switch(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let form = match read_posted(&page, request).await {
        Ok(form) => form,
        Err(answer) => return *answer,
    };
    let family = form.value("family");
    if !apps::families(&state.platform).iter().any(|known| known == family) {
        return page.problem(StatusCode::BAD_REQUEST);
    }
    let (app_id, actor) = (of.app.app_id, developer.account.actor());
    let on = match form.value("to") {
        "on" => true,
        "off" => false,
        _ => return page.problem(StatusCode::BAD_REQUEST),
    };
    let switched = if on {
        apps::switch_on(&state.platform, actor, app_id, family).await
    } else {
        apps::switch_off(&state.platform, actor, app_id, family).await
    };
    match switched {
        Ok(()) => redirect(&format!("{}/scopes?done={}", base(&of.app), if on { "on" } else { "off" })),
        Err(SwitchError::NotApproved) => {
            locked(&state, &page, &developer, &of, "This scope is not approved for the app. Apply for it first, under Scopes.")
        }
        Err(SwitchError::Fault(fault)) => page.fault(&fault),
    }
}
