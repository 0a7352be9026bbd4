//! An OpenID provider on loopback that does what it is told, also what no provider should: wrong tokens, no keys, no end.
//!
//! Nobody types a password there: [`Provider::authorize`] plays the part of the person at its page.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use url::Url;

/// Who its client is.
pub const CLIENT: &str = "portward";
/// The client's secret; with letters that the header has to have escaped.
pub const SECRET: &str = "s%cret +/=";

/// How an endpoint answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Says {
    /// As it should.
    #[default]
    Well,
    /// With this status and words of its own.
    Status(u16),
    /// As it should, but late.
    Late(Duration),
    /// Without end.
    Endless,
    /// With a redirect to itself.
    Around,
    /// With this text, as if it were JSON.
    Text(String),
}

/// How ID tokens are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signed {
    /// ES256 by the key that the header names.
    #[default]
    Well,
    /// `alg: none` and nothing behind the last dot.
    Not,
    /// HS256 with the public key, which everybody has.
    ByPublicKey,
    /// HS256 with the client's secret.
    BySecret,
    /// By another key than the header names.
    ByAnother,
    /// With a letter changed.
    Broken,
}

/// What it does.
#[derive(Clone, Debug)]
pub struct Script {
    /// The discovery document.
    pub discovery: Says,
    /// The keys.
    pub keys: Says,
    /// The token endpoint.
    pub token: Says,
    /// The UserInfo endpoint.
    pub user_info: Says,
    /// Changes of the discovery document; null takes a member away.
    pub document: Value,
    /// How ID tokens are signed.
    pub signed: Signed,
    /// Which key signs.
    pub key: u8,
    /// Which keys are to be had.
    pub published: Vec<u8>,
    /// Changes of the ID token, among them the person; null takes a claim away. Times are seconds from now.
    pub id_token: Value,
    /// What UserInfo says beside `sub`.
    pub said: Value,
    /// Changes of the token answer; null takes a member away.
    pub answer: Value,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            discovery: Says::Well,
            keys: Says::Well,
            token: Says::Well,
            user_info: Says::Well,
            document: json!({}),
            signed: Signed::Well,
            key: 1,
            published: vec![1],
            id_token: json!({}),
            said: json!({}),
            answer: json!({}),
        }
    }
}

/// A code that was given out.
#[derive(Clone, Debug)]
struct Code {
    nonce: String,
    challenge: String,
    redirect_uri: String,
}

#[derive(Debug)]
struct Shared {
    issuer: String,
    script: Mutex<Script>,
    codes: Mutex<HashMap<String, Code>>,
    calls: Mutex<HashMap<&'static str, usize>>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A provider; it stops when it is dropped.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Provider {
    /// Starts one on a free port.
    pub fn start() -> Self {
        let (stop, stopped) = oneshot::channel();
        let (told, telling) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port on loopback");
                let address = listener.local_addr().expect("the address just bound");
                let shared = Arc::new(Shared {
                    issuer: format!("http://{address}"),
                    script: Mutex::default(),
                    codes: Mutex::default(),
                    calls: Mutex::default(),
                });
                told.send((address, Arc::clone(&shared))).expect("the test still waits");
                let router = Router::new()
                    .route("/.well-known/openid-configuration", get(discovery))
                    .route("/keys", get(keys))
                    .route("/token", post(token))
                    .route("/me", get(user_info))
                    .route("/around/{what}", get(around))
                    .with_state(shared);
                tokio::select! {
                    served = async { axum::serve(listener, router).await } => served.expect("a listener that lasts"),
                    _ = stopped => {}
                }
            });
        });
        let (address, shared) = telling.recv().expect("the provider's thread started");
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// How it names itself.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Does so from now on.
    pub fn script(&self, script: Script) {
        *held(&self.shared.script) = script;
    }

    /// How often an endpoint was asked: `discovery`, `keys`, `token`, `user_info`.
    pub fn calls(&self, endpoint: &str) -> usize {
        held(&self.shared.calls).get(endpoint).copied().unwrap_or_default()
    }

    /// Plays the person at its page: signs in at the address to which the client sent the browser, and gives the address to which the
    /// browser is sent back.
    pub fn authorize(&self, address: &Url) -> Url {
        let asked: HashMap<String, String> = address.query_pairs().into_owned().collect();
        assert!(address.as_str().starts_with(&format!("{}/authorize?", self.issuer())), "{address}");
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], CLIENT);
        assert_eq!(asked["code_challenge_method"], "S256");
        assert!(asked["scope"].split(' ').any(|scope| scope == "openid"), "{address}");
        let code = {
            let mut codes = held(&self.shared.codes);
            let code = format!("code-{}-{}", self.address.port(), codes.len());
            let kept = Code {
                nonce: asked["nonce"].clone(),
                challenge: asked["code_challenge"].clone(),
                redirect_uri: asked["redirect_uri"].clone(),
            };
            codes.insert(code.clone(), kept);
            code
        };
        let mut back = Url::parse(&asked["redirect_uri"]).expect("a redirect URI");
        back.query_pairs_mut().append_pair("code", &code).append_pair("state", &asked["state"]);
        back
    }

    /// Is gone from its port.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn script(&self) -> Script {
        held(&self.script).clone()
    }

    fn count(&self, endpoint: &'static str) {
        *held(&self.calls).entry(endpoint).or_default() += 1;
    }

    /// The answer, as the script has this endpoint say it.
    async fn say(&self, what: &'static str, says: &Says, answer: Value) -> Response {
        self.count(what);
        match says {
            Says::Well => Json(answer).into_response(),
            Says::Status(status) => {
                let status = StatusCode::from_u16(*status).expect("a status");
                (status, "stack trace of the provider's own").into_response()
            }
            Says::Late(while_) => {
                tokio::time::sleep(*while_).await;
                Json(answer).into_response()
            }
            Says::Endless => {
                let piece = Bytes::from(vec![b' '; 64 * 1024]);
                let pieces = futures_util::stream::repeat_with(move || Ok::<_, Infallible>(piece.clone()));
                ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response()
            }
            Says::Around => (StatusCode::FOUND, [(header::LOCATION, format!("/around/{what}"))]).into_response(),
            Says::Text(text) => ([(header::CONTENT_TYPE, "application/json")], text.clone()).into_response(),
        }
    }
}

async fn around(Path(what): Path<String>) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, format!("/around/{what}"))]).into_response()
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Response {
    let script = shared.script();
    let issuer = &shared.issuer;
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/me"),
        "end_session_endpoint": format!("{issuer}/end?realm=people"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
    });
    change(&mut document, &script.document);
    shared.say("discovery", &script.discovery, document).await
}

async fn keys(State(shared): State<Arc<Shared>>) -> Response {
    let script = shared.script();
    let keys: Vec<Value> = script.published.iter().map(|key| public(*key)).collect();
    shared.say("keys", &script.keys, json!({ "keys": keys })).await
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, Form(asked): Form<HashMap<String, String>>) -> Response {
    let script = shared.script();
    let refused = |error: &str| {
        shared.count("token");
        (StatusCode::BAD_REQUEST, Json(json!({ "error": error, "error_description": "told to the client only" }))).into_response()
    };
    let escaped = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let known = format!("Basic {}", STANDARD.encode(format!("{}:{}", escaped(CLIENT), escaped(SECRET))));
    if headers.get(header::AUTHORIZATION).is_none_or(|sent| sent != known.as_str()) {
        return refused("invalid_client");
    }
    let Some(code) = asked.get("code").and_then(|code| held(&shared.codes).remove(code)) else { return refused("invalid_grant") };
    let verifier = asked.get("code_verifier").map(String::as_str).unwrap_or_default();
    let fits = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == code.challenge;
    if !fits || asked.get("redirect_uri") != Some(&code.redirect_uri) {
        return refused("invalid_grant");
    }
    let mut answer = json!({
        "access_token": "at-1",
        "token_type": "Bearer",
        "expires_in": 60,
        "id_token": id_token(&shared.issuer, &script, &code.nonce),
    });
    change(&mut answer, &script.answer);
    shared.say("token", &script.token, answer).await
}

async fn user_info(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let script = shared.script();
    if headers.get(header::AUTHORIZATION).is_none_or(|sent| sent != "Bearer at-1") {
        shared.count("user_info");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mut said = json!({ "sub": script.id_token.get("sub").cloned().unwrap_or_else(|| "p1".into()) });
    change(&mut said, &script.said);
    shared.say("user_info", &script.user_info, said).await
}

/// Puts the members of `by` into `value`; null takes one away.
fn change(value: &mut Value, by: &Value) {
    let (Value::Object(members), Value::Object(changes)) = (value, by) else { return };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), change.clone());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the program under test has the machine's clock, too")]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_secs()).expect("a clock of our days")
}

fn signing_key(key: u8) -> SigningKey {
    SigningKey::from_slice(&[key; 32]).expect("a key")
}

/// The public half of a key, as a JWK.
fn public(key: u8) -> Value {
    let bytes = signing_key(key).verifying_key().to_sec1_point(false).to_bytes();
    let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&bytes[range]);
    json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": format!("key-{key}"), "x": part(1..33), "y": part(33..65) })
}

fn id_token(issuer: &str, script: &Script, nonce: &str) -> String {
    let mut claims = json!({ "iss": issuer, "aud": CLIENT, "sub": "p1", "nonce": nonce, "iat": 0, "exp": 300 });
    change(&mut claims, &script.id_token);
    for time in ["iat", "exp", "auth_time"] {
        if let Some(seconds) = claims.get(time).and_then(Value::as_i64) {
            claims[time] = (now() + seconds).into();
        }
    }
    let alg = match script.signed {
        Signed::Not => "none",
        Signed::ByPublicKey | Signed::BySecret => "HS256",
        _ => "ES256",
    };
    let head = json!({ "alg": alg, "typ": "JWT", "kid": format!("key-{}", script.key) });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&head), encode(&claims));
    let mac = |key: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
        mac.update(signed.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let by = |key: u8| {
        let signature: Signature = signing_key(key).sign(signed.as_bytes());
        signature.to_bytes().to_vec()
    };
    let signature = match script.signed {
        Signed::Not => Vec::new(),
        Signed::ByPublicKey => mac(public(script.key).to_string().as_bytes()),
        Signed::BySecret => mac(SECRET.as_bytes()),
        Signed::Well => by(script.key),
        Signed::ByAnother => by(script.key + 100),
        Signed::Broken => {
            let mut signature = by(script.key);
            signature[0] ^= 1;
            signature
        }
    };
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
