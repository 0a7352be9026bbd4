//! A person who signs in and decides, by the forms of the pages, and the app's side of the same journey: for tests that
//! need a token and are about something else.

use std::collections::BTreeMap;

use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::Value;
use url::Url;

use crate::dev::Dev;
use crate::page::{Form, forms};

/// An HTTP client as tests need it: cookies kept, no redirect followed, no proxy.
#[expect(clippy::disallowed_methods, reason = "a test talks to its own servers on loopback")]
pub fn http() -> Client {
    // Another test of this process may have chosen the same provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .cookie_store(true)
        .redirect(Policy::none())
        .no_proxy()
        // The machine's own certificates are of no use here, and reading them takes most of a second in a debug build.
        .tls_certs_only([])
        .build()
        .expect("a client without special needs")
}

/// What the person does at the consent page.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Allows everything asked for.
    AllowAll,
    /// Allows these optional scopes only.
    Allow(Vec<String>),
    /// Denies.
    Deny,
}

/// A person at a browser.
#[derive(Debug, Clone)]
pub struct Browser {
    http: Client,
    username: String,
    password: String,
}

impl Browser {
    /// A browser without any session, for this person.
    pub fn new(username: &str, password: &str) -> Self {
        Self::with(http(), username, password)
    }

    /// A person at a browser that is there already; it must keep cookies and not follow redirects.
    pub fn with(http: Client, username: &str, password: &str) -> Self {
        Self { http, username: username.into(), password: password.into() }
    }

    /// The client beneath, with the session's cookies.
    pub fn http(&self) -> &Client {
        &self.http
    }

    /// Opens an address of the server, follows redirects inside it, signs in when asked, decides when asked; gives the
    /// app's address, or another outside, to which it was sent in the end.
    ///
    /// # Panics
    /// When it ends on a page of the server instead; the message holds the page.
    pub async fn authorize(&self, address: &str, decision: &Decision) -> Url {
        match self.visit(address, decision).await {
            Ok(callback) => callback,
            Err(page) => panic!("the journey ended at {} {}\n{}", page.status, page.url, page.body),
        }
    }

    /// Like [`authorize`](Self::authorize), but gives the page at which the journey ended if it ended at one.
    pub async fn visit(&self, address: &str, decision: &Decision) -> Result<Url, Page> {
        let start = Url::parse(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        // The app's address may be on this very server: `portward dev` has a callback page of its own.
        let wanted = start.query_pairs().find(|(name, _)| name == "redirect_uri").map(|(_, value)| value.into_owned());
        let mut response = self.http.get(start.clone()).send().await.expect("the server answers");
        for _ in 0..12 {
            let here = response.url().clone();
            if let Some(to) = response.headers().get(LOCATION) {
                let to = to.to_str().expect("an address in ASCII");
                let to = here.join(to).unwrap_or_else(|error| panic!("Location {to}: {error}"));
                let at_app = wanted.as_deref() == to.as_str().split('?').next();
                if at_app || to.origin() != start.origin() {
                    return Ok(to);
                }
                response = self.http.get(to).send().await.expect("the server answers");
                continue;
            }
            let page = Page::read(response).await;
            let Some((form, fields)) = self.fill(&page, decision) else { return Err(page) };
            let to = page.url.join(&form.action).unwrap_or_else(|error| panic!("action {}: {error}", form.action));
            let post = self.http.post(to).header("origin", start.origin().ascii_serialization()).form(&fields);
            response = post.send().await.expect("the server answers");
        }
        panic!("more than twelve steps from {address}");
    }

    fn fill(&self, page: &Page, decision: &Decision) -> Option<(Form, Vec<(String, String)>)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for form in forms(&page.body) {
            let mut fields = form.hidden();
            if !form.values("password").is_empty() {
                fields.push(pair("username", &self.username));
                fields.push(pair("password", &self.password));
                return Some((form, fields));
            }
            if !form.values("decision").is_empty() {
                let boxes = form.fields.iter().filter(|field| field.kind == "checkbox" && field.name == "scope");
                let ticked = boxes.filter(|field| match decision {
                    Decision::AllowAll => true,
                    Decision::Allow(only) => only.contains(&field.value),
                    Decision::Deny => false,
                });
                fields.extend(ticked.map(|field| pair("scope", &field.value)));
                fields.push(pair("decision", if matches!(decision, Decision::Deny) { "deny" } else { "allow" }));
                return Some((form, fields));
            }
        }
        None
    }
}

/// A page of the server.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its address.
    pub url: Url,
    /// Its status.
    pub status: u16,
    /// Its text.
    pub body: String,
}

impl Page {
    async fn read(response: Response) -> Self {
        let (url, status) = (response.url().clone(), response.status().as_u16());
        Self { url, status, body: response.text().await.unwrap_or_default() }
    }
}

/// Status and JSON of one answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, lower-case names.
    pub headers: BTreeMap<String, String>,
    /// The body; `null` when it is not JSON.
    pub json: Value,
    /// The body's bytes.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// Reads an answer to its end.
    pub async fn read(response: Response) -> Self {
        let status = response.status().as_u16();
        let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let bytes = response.bytes().await.expect("the whole body").to_vec();
        Self { status, headers, json: serde_json::from_slice(&bytes).unwrap_or_default(), bytes }
    }

    /// `error.code` of a data answer.
    pub fn code(&self) -> &str {
        self.json["error"]["code"].as_str().unwrap_or_default()
    }

    /// `data.request_id`.
    ///
    /// # Panics
    /// When there is none.
    pub fn request_id(&self) -> i64 {
        self.json["data"]["request_id"].as_i64().unwrap_or_else(|| panic!("no request_id in {} {}", self.status, self.json))
    }
}

/// Makes the address at which an app sends its person.
pub fn authorize_url(dev: &Dev, scopes: &str, state: &str) -> String {
    let mut url = Url::parse(&dev.url("/v2/auth/authorize/")).expect("the server's address");
    url.query_pairs_mut()
        .append_pair("client_key", &dev.info.client_key)
        .append_pair("response_type", "code")
        .append_pair("scope", scopes)
        .append_pair("redirect_uri", &redirect_uri(dev))
        .append_pair("state", state);
    url.into()
}

/// A redirect URI of the seeded app without a wildcard.
pub fn redirect_uri(dev: &Dev) -> String {
    let uris = &dev.info.redirect_uris;
    uris.iter().find(|uri| !uri.contains('*')).unwrap_or_else(|| panic!("no plain redirect URI in {uris:?}")).clone()
}

/// Posts a form to the token endpoint, with the app's key and secret added.
pub async fn token(dev: &Dev, fields: &[(&str, &str)]) -> Answer {
    oauth(dev, "/v2/oauth/token/", fields).await
}

/// Posts a form to the revoke endpoint, with the app's key and secret added.
pub async fn revoke(dev: &Dev, token: &str) -> Answer {
    oauth(dev, "/v2/oauth/revoke/", &[("token", token)]).await
}

async fn oauth(dev: &Dev, path: &str, fields: &[(&str, &str)]) -> Answer {
    let own = [("client_key", dev.info.client_key.as_str()), ("client_secret", dev.info.client_secret.as_str())];
    let form: Vec<_> = own.iter().chain(fields).copied().collect();
    Answer::read(http().post(dev.url(path)).form(&form).send().await.expect("the server answers")).await
}

/// The whole way to tokens: the first person of a size signs in and allows these scopes.
///
/// # Panics
/// When a step does not succeed.
pub async fn tokens(dev: &Dev, size: &str, scopes: &str) -> Value {
    let person = dev.info.person(size);
    let browser = Browser::new(&person.username, &person.password);
    let callback = browser.authorize(&authorize_url(dev, scopes, "test"), &Decision::AllowAll).await;
    let code =
        callback.query_pairs().find(|(name, _)| name == "code").unwrap_or_else(|| panic!("no code in {callback}")).1.into_owned();
    let redirect_uri = redirect_uri(dev);
    let fields = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", &redirect_uri)];
    let answer = token(dev, &fields).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    answer.json
}

/// Calls a data endpoint (`add`, `check`, `cancel`, `download`) as an app does.
pub async fn data(dev: &Dev, call: &str, token: &str, fields: &str, body: &Value) -> Answer {
    let url = dev.url(&format!("/v2/user/data/{call}/"));
    let mut post = http().post(url).bearer_auth(token).json(body);
    if !fields.is_empty() {
        post = post.query(&[("fields", fields)]);
    }
    Answer::read(post.send().await.expect("the server answers")).await
}
