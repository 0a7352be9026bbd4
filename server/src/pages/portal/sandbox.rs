//! An app's page about its sandbox: credentials, people, and the whole way from a link to an archive, ready to be copied.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::apps::{self, App, ChangeError};
use platform::{Fault, Millis};
use url::Url;

use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, OfApp, act, see};
use crate::pages::frame::Frame;
use crate::pages::parts::Copy;
use crate::pages::view::SandboxPerson;
use crate::pages::{Page, redirect};
use crate::sandbox::{self, Credentials, PASSWORD};
use crate::state::State;

/// How long the secret before the newest goes on: long enough to change a program that runs.
const OVERLAP: std::time::Duration = std::time::Duration::from_secs(3600);

pub(super) fn acts() -> Vec<Act> {
    vec![
        see("/developers/apps/{app}/sandbox", Needs::Works, "See the sandbox of an app", show),
        act("/developers/apps/{app}/sandbox/secret", Needs::Works, "Make a new secret for the sandbox", rotate),
    ]
}

#[derive(Debug, Template)]
#[template(path = "portal/sandbox.html")]
struct SandboxPage {
    shell: Frame,
    /// Where the new secret is asked for.
    path: String,
    key: Copy,
    secret: Copy,
    people: Vec<SandboxPerson>,
    password: Copy,
    redirects: Vec<String>,
    webhook: Option<String>,
    /// The link, to be pressed, when it leads back to a page of ours.
    link: String,
    pressable: bool,
    link_copy: Copy,
    calls: Vec<Copy>,
}

/// The sandbox is switched off.
#[derive(Debug, Template)]
#[template(path = "portal/sandbox_off.html")]
struct OffPage {
    shell: Frame,
}

async fn show(With(state): With<State>, id: CallId, developer: Developer, of: OfApp, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes()).unwrap_or_default();
    let done = params.get("made").ok().flatten().map(|_| "There is a new secret. The one before works for another hour.");
    let shell = Frame::developer(&state, &developer).of_app(&of, "sandbox").done(done);
    let Some(world) = state.world.sandbox() else { return page.show(StatusCode::OK, &OffPage { shell }) };
    match credentials(&state, &of.app).await {
        Ok(Some(held)) => page.show(StatusCode::OK, &told(shell, world, &held)),
        // It has just been made, so there is one.
        Ok(None) => page.problem(StatusCode::NOT_FOUND),
        Err(fault) => page.fault(&fault),
    }
}

/// The app's credentials; made now for an app from before there was a sandbox.
async fn credentials(state: &State, app: &App) -> Result<Option<Credentials>, Fault> {
    if let Some(held) = sandbox::credentials(state, app.app_id).await? {
        return Ok(Some(held));
    }
    match sandbox::sync_in_force(state, app).await {
        Ok(_) => sandbox::credentials(state, app.app_id).await,
        Err(ChangeError::Fault(fault)) => Err(fault),
        Err(other) => Err(Fault::Setting(other.to_string())),
    }
}

fn told(shell: Frame, sandbox: &State, held: &Credentials) -> SandboxPage {
    let base = &sandbox.base_url;
    let (key, secret) = (held.app.client_key.as_str(), held.secret.as_str());
    let own = sandbox::built_in_callback(base).map(|uri| uri.as_str().to_owned());
    let registered: Vec<String> = held.redirects.iter().map(|uri| uri.as_str().to_owned()).collect();
    // The link goes to our own page if it can, which shows the code; else to the app's own address.
    let own = own.filter(|own| registered.contains(own));
    let pressable = own.is_some();
    let back = own.clone().or_else(|| registered.iter().find(|uri| !uri.contains('*')).cloned());
    let back = back.unwrap_or_else(|| "https://your-site.example/callback".into());
    let catalogue = &sandbox.platform.catalogue;
    let category = catalogue.category("activity").or_else(|| catalogue.categories().first());
    let (name, family) = category.map_or(("activity", "portability.activity"), |found| (&found.name, &found.scope));
    let link = authorize_url(base, key, &back, &format!("{},{family}.single", wire::BASIC_SCOPE));
    let call = |path: &str, body: &str| {
        format!(
            "curl -sS '{base}{path}' \\\n  -H \"Authorization: Bearer $TOKEN\" \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'"
        )
    };
    let calls = vec![
        Copy::block(
            "2. Trade the code for a token",
            format!(
                "curl -sS {base}/v2/oauth/token/ \\\n  -d client_key={key} \\\n  -d client_secret={secret} \\\n  -d grant_type=authorization_code \\\n  \
                 --data-urlencode code=\"$CODE\" \\\n  --data-urlencode redirect_uri={back}"
            ),
        ),
        Copy::block(
            "3. Ask for the data",
            call(
                "/v2/user/data/add/?fields=request_id",
                &format!("{{\"data_format\":\"json\",\"category_selection_list\":[\"{name}\"]}}"),
            ),
        ),
        Copy::block(
            "4. Look until its status is downloading, which means ready",
            call("/v2/user/data/check/?fields=request_id,status", "{\"request_id\":'$REQUEST'}"),
        ),
        Copy::block(
            "5. Download the archive",
            format!("{} \\\n  -o archive.zip", call("/v2/user/data/download/", "{\"request_id\":'$REQUEST'}")),
        ),
    ];
    let person = |person: &sandbox::Synthetic| SandboxPerson {
        username: person.username.clone(),
        name: person.display_name.clone(),
        size: person.size_words(),
        region: person.region_words(),
    };
    SandboxPage {
        shell,
        path: format!("/developers/apps/{}/sandbox/secret", held.app.app_id),
        key: Copy::line("Client key", key),
        secret: Copy::line("Client secret", secret),
        people: sandbox.world.people().iter().map(person).collect(),
        password: Copy::line("Password of all of them", PASSWORD),
        redirects: registered,
        webhook: held.app.webhook_url.clone(),
        link_copy: Copy::block("The link", link.clone()),
        link,
        pressable,
        calls,
    }
}

/// Where an app sends its person.
fn authorize_url(base: &str, key: &str, back: &str, scopes: &str) -> String {
    let parameters =
        [("client_key", key), ("response_type", "code"), ("scope", scopes), ("redirect_uri", back), ("state", "try-it")];
    let address = format!("{base}/v2/auth/authorize/");
    Url::parse_with_params(&address, parameters).map_or(address, Into::into)
}

async fn rotate(With(state): With<State>, id: CallId, developer: Developer, of: OfApp) -> Response {
    let page = Page::new(&state, &id);
    let Some(world) = state.world.sandbox() else { return page.problem(StatusCode::NOT_FOUND) };
    let held = match credentials(&state, &of.app).await {
        Ok(Some(held)) => held,
        Ok(None) => return page.problem(StatusCode::NOT_FOUND),
        Err(fault) => return page.fault(&fault),
    };
    let actor = developer.account.actor();
    match apps::rotate_secret(&world.platform, actor, &held.app.client_key, OVERLAP).await {
        Ok(_) => redirect(&format!("/developers/apps/{}/sandbox?made={}", of.app.app_id, Millis::seconds(state.platform.now()))),
        Err(ChangeError::Fault(fault)) => page.fault(&fault),
        Err(_) => page.problem(StatusCode::NOT_FOUND),
    }
}
