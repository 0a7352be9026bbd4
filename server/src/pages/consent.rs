//! Consent: one question, each scope with its own switch, two equal buttons.

use archive::catalogue::{ALL_DATA, Sensitivity};
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::people::Person;
use wire::{Scope, ScopeKind, ScopeSet};

use super::view::{ConsentPage, Moment, ScopeChoice, Term};
use super::{Page, app_view, form, moment, redirect, session};
use crate::api::Params;
use crate::api::authorize::{self, Asked, Refused};
use crate::http::CallId;
use crate::state::State;

/// The page. Its ticket is the query it was made from, which is checked anew when the decision comes: nothing is kept in between.
pub(crate) async fn show(state: &State, page: &Page<'_>, person: &Person, asked: &Asked, query: &str) -> Response {
    let page = Page::new(state, page.id).of(person).leading_to(asked.origin());
    let app = async {
        let mut tx = state.platform.db.read().await?;
        app_view(&mut tx, &asked.app).await
    };
    let app = match app.await {
        Ok(app) => app,
        Err(fault) => return page.fault(&fault),
    };
    let choices = asked.scopes.iter().filter(|scope| scope.as_str() != wire::BASIC_SCOPE).map(|scope| choice(state, scope));
    let return_host = url::Url::parse(&asked.redirect_uri).ok();
    let return_host = return_host.as_ref().map(|url| match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    });
    page.show(
        StatusCode::OK,
        &ConsentPage {
            shell: page.shell(),
            ticket: ticket(person, query),
            not_you: session::sign_in_path(state, &format!("/v2/auth/authorize/?{query}")),
            app,
            return_host: return_host.unwrap_or_default(),
            scopes: choices.collect(),
            ends: state.platform.settings.tokens.grant_ends(state.platform.now()).map(|end| Moment::day(moment(end))),
            archive_life: days(state.platform.settings.requests.kept.0),
        },
    )
}

/// What goes into the form's address: for whom the page was made, and from which query.
fn ticket(person: &Person, query: &str) -> String {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    format!("{query}&person={}", person.person_id)
}

fn days(span: std::time::Duration) -> String {
    match span.as_secs() / 86_400 {
        0 => format!("{} hours", (span.as_secs() / 3600).max(1)),
        1 => "one day".into(),
        4 => "four days".into(),
        days => format!("{days} days"),
    }
}

/// A scope in plain words.
fn choice(state: &State, scope: &Scope) -> ScopeChoice {
    let (title, holds, sensitive) = words(state, scope);
    let term = match scope.kind() {
        ScopeKind::Single => Term::Once,
        ScopeKind::Ongoing => Term::Ongoing,
        ScopeKind::Plain => Term::Connected,
    };
    ScopeChoice { name: scope.as_str().to_owned(), title, holds, term, sensitive }
}

/// Title, what it holds, and whether it is sensitive: from the catalogue for its families, from here for user info.
pub(super) fn words(state: &State, scope: &Scope) -> (String, Vec<(String, String)>, bool) {
    let own = |title: &str, text: &str| (title.to_owned(), vec![(title.to_owned(), text.to_owned())], false);
    match scope.as_str() {
        wire::BASIC_SCOPE => {
            own("Your basic profile", "Your display name and picture, and an identifier that only the app sees.")
        }
        "user.info.profile" => {
            own("More of your profile", "Your user name, your biography, links to your profile, and whether you are verified.")
        }
        "user.info.stats" => own("Your numbers", "How many people follow you, how many you follow, your likes and your videos."),
        _ => {
            let categories: Vec<_> =
                state.platform.catalogue.categories().iter().filter(|category| category.scope == scope.family()).collect();
            let english = |texts: &archive::catalogue::Texts| texts.get("en").unwrap_or_default().to_owned();
            let holds: Vec<_> = categories.iter().map(|category| (english(&category.title), english(&category.text))).collect();
            let titles: Vec<&str> = holds.iter().map(|(title, _)| title.as_str()).collect();
            let sensitive =
                categories.iter().any(|category| category.sensitivity == Sensitivity::Sensitive || category.name == ALL_DATA);
            (joined(&titles), holds, sensitive)
        }
    }
}

/// Whether one of these scopes lets out what the catalogue marks as sensitive, or everything.
pub(crate) fn is_sensitive(state: &State, scopes: &ScopeSet) -> bool {
    scopes.iter().any(|scope| words(state, scope).2)
}

/// How long the page may stand open before a decision about what is sensitive asks for another sign-in.
const OPEN: std::time::Duration = std::time::Duration::from_secs(30 * 60);

/// `Your posts and your profile`
fn joined(titles: &[&str]) -> String {
    let lower = |title: &str| title.strip_prefix("Your ").map_or_else(|| title.to_owned(), |rest| format!("your {rest}"));
    match titles {
        [] => "Data".to_owned(),
        [only] => (*only).to_owned(),
        [first, middle @ .., last] => {
            let mut text = (*first).to_owned();
            for title in middle {
                text.push_str(", ");
                text.push_str(&lower(title));
            }
            format!("{text} and {}", lower(last))
        }
    }
}

/// `POST /consent`
pub(super) async fn decide(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let address = Params::parse(parts.uri.query().unwrap_or_default().as_bytes()).unwrap_or_default();
    let (Ok(Some(ticket)), Ok(Some(decision))) = (address.get("ticket"), params.get("decision")) else {
        return page.problem(StatusCode::BAD_REQUEST);
    };
    let asked = match Asked::read(&state, ticket).await {
        Ok(asked) => asked,
        Err(Refused::Fault(fault)) => return page.fault(&fault),
        Err(Refused::Stopped) => return page.stopped(),
        // The app or its registration changed while the page was open.
        Err(Refused::Faulty(faulty)) => return page.oauth_error(&faulty),
    };
    let (person, own) = match session::signed_in(&state, &parts.headers).await {
        Ok(Some(found)) => found,
        Ok(None) => return redirect(&session::sign_in_path(&state, &format!("/v2/auth/authorize/?{ticket}"))),
        Err(fault) => return page.fault(&fault),
    };
    // Somebody else has signed in since the page was opened: they are asked themselves.
    if address.get("person").ok().flatten() != Some(person.person_id.to_string().as_str()) {
        return redirect(&format!("/v2/auth/authorize/?{ticket}"));
    }
    match decision {
        "deny" => {
            tracing::info!(app_id = asked.app.app_id, person_id = person.person_id, "consent denied");
            redirect(&asked.denied("user cancelled the authorization"))
        }
        "allow" => {
            let chosen: Vec<&str> = params.all("scope").collect();
            // What was not asked for cannot be granted, whatever the form says; the basic scope comes with any sign-in.
            let granted: ScopeSet = asked
                .scopes
                .iter()
                .filter(|scope| scope.as_str() == wire::BASIC_SCOPE || chosen.contains(&scope.as_str()))
                .cloned()
                .collect();
            // The page may have been passed by: what is sensitive needs somebody who was here just now.
            if is_sensitive(&state, &granted) && !session::is_fresh(&state, &own, OPEN) {
                return redirect(&session::fresh_sign_in_path(&state, &format!("/v2/auth/authorize/?{ticket}")));
            }
            if authorize::is_out_of_region(&state, &person, &granted) {
                return redirect(&asked.denied(authorize::OUT_OF_REGION));
            }
            authorize::allow(&state, &page, &person, &asked, &granted).await
        }
        _ => page.problem(StatusCode::BAD_REQUEST),
    }
}
