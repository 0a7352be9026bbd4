//! Sign-in at the operator's OpenID provider, for people and for staff: authorization code with PKCE, state and nonce
//! (OpenID Connect Core 3.1, RFC 9700 2.1). What is read and what is trusted stands here; how it is asked for, in `talk.rs`.
//!
//! The operator names the provider, so calls to it do not pass the address guard; they are bounded in time and size all the same, follow no
//! redirects, and use TLS beyond this machine.

mod claims;
mod rows;
mod talk;

use std::time::Duration;

use openidconnect::{
    AccessTokenHash, AuthType, AuthorizationCode, ClaimsVerificationError, CsrfToken, Nonce, OAuth2TokenResponse,
    PkceCodeChallenge, PkceCodeVerifier, RequestTokenError, Scope, SignatureVerificationError, TokenResponse,
};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::Url;

use crate::clock::Millis;
use crate::db::words;
use crate::failures::Failures;
use crate::people::Claimed;
use crate::settings::{self, ClientAuth};
use crate::{Fault, Platform, ids};

pub use claims::StaffMember;
pub use rows::{keep_staff_id_token, take_staff_id_token};
use talk::{CallError, Client, Found, Talk};

words! {
    /// Who signs in.
    Realm {
        /// Those whose data it is.
        People = "people",
        /// Those of the operator.
        Staff = "staff",
    }
}

/// How long a sign-in may take, from the button to the return.
const LOGIN: Duration = Duration::from_secs(10 * 60);
/// How often keys are asked for because of one that is not known; a provider that rotates wildly must not be asked for each sign-in.
const REFETCHES: (u32, Duration) = (5, Duration::from_secs(60));
/// For how long a provider that failed is not asked again.
const REST: Duration = Duration::from_secs(1);

/// One client of the operator's provider.
#[derive(Debug)]
pub struct Provider {
    realm: Realm,
    settings: settings::Provider,
    secret: Option<String>,
    callback: Url,
    /// Where the provider sends people after they signed out.
    home: Url,
    talk: Talk,
    known: Mutex<Known>,
    refetches: Failures,
}

#[derive(Debug, Default)]
struct Known {
    found: Option<(Found, Millis)>,
    failed: Option<(&'static str, Millis)>,
}

/// What comes back to the callback.
#[derive(Clone, Copy, Debug, Default)]
pub struct Returned<'a> {
    /// Which sign-in it answers.
    pub state: Option<&'a str>,
    /// What the tokens are had for.
    pub code: Option<&'a str>,
    /// Why there is no code.
    pub error: Option<&'a str>,
    /// Who answers (RFC 9207).
    pub iss: Option<&'a str>,
}

/// Somebody who signed in.
#[derive(Debug)]
pub struct Arrived {
    /// Everything the provider says of them; read it by [`Provider::person`] or [`Provider::staff_member`].
    claims: Map<String, Value>,
    /// To be shown to the provider at sign-out.
    pub id_token: String,
    /// When they proved who they are, if the provider tells.
    pub proved_at: Option<Millis>,
    /// Where they wanted to go.
    pub next: String,
}

/// Why a sign-in did not come about. Its words are for the log and hold nothing of the person.
#[derive(Debug)]
pub struct Stopped {
    /// What kind of stop it is, which decides the page.
    pub why: Why,
    /// Where they wanted to go, if that is known.
    pub next: String,
}

/// The kinds of stops.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// A check failed.
    #[error("refused: {0}")]
    Refused(&'static str),
    /// They turned back.
    #[error("cancelled at the provider")]
    Cancelled,
    /// The provider does not answer as it should; it is for the operator to look.
    #[error("the provider cannot be used: {0}")]
    Down(&'static str),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for Why {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

impl From<CallError> for Why {
    fn from(error: CallError) -> Self {
        Self::Down(error.told())
    }
}

impl Provider {
    /// A client as the settings say; `secret` was read from wherever they say, `base_url` is how browsers reach us.
    pub fn new(realm: Realm, settings: &settings::Provider, secret: Option<String>, base_url: &str) -> Result<Self, Fault> {
        let at = |path: &str| {
            Url::parse(&format!("{base_url}{path}"))
                .map_err(|_| Fault::Setting(format!("server.public_url: {base_url:?} is not an address")))
        };
        let (callback, home) = match realm {
            Realm::People => (at("/login/provider/callback")?, at("/login")?),
            Realm::Staff => (at("/console/login/provider/callback")?, at("/console/login")?),
        };
        let named = |key: &str| format!("provider.{realm}.{key}");
        let talk = Talk::new(settings).map_err(|problem| Fault::Setting(format!("{} {problem}", named("issuer"))))?;
        if settings.client_id.is_empty() {
            return Err(Fault::Setting(format!("{} is empty", named("client_id"))));
        }
        if settings.clock_skew.0 > Duration::from_secs(600) {
            return Err(Fault::Setting(format!("{} is longer than ten minutes, as long as a sign-in", named("clock_skew"))));
        }
        claims::check(realm, settings)?;
        let refetches = Failures::new(REFETCHES.0, REFETCHES.1);
        Ok(Self { realm, settings: settings.clone(), secret, callback, home, talk, known: Mutex::default(), refetches })
    }

    /// What the provider is called on buttons, if the operator names it.
    pub fn name(&self) -> Option<&str> {
        self.settings.name.as_deref().filter(|name| !name.is_empty())
    }

    /// The address that has to be registered with the provider.
    pub fn callback(&self) -> &Url {
        &self.callback
    }

    /// Asks the provider for its discovery document and keys, for the operator's check. Gives how many keys it has.
    pub async fn check(&self, now: Millis) -> Result<usize, Why> {
        Ok(self.found(now).await?.keys())
    }

    /// What the provider says of itself, asked for when it is old. One asks, others wait for the answer.
    async fn found(&self, now: Millis) -> Result<Found, Why> {
        let mut known = self.known.lock().await;
        if let Some((found, at)) = &known.found
            && now.since(*at) < self.settings.discovery.0
        {
            return Ok(found.clone());
        }
        if let Some((told, at)) = known.failed
            && now.since(at) < REST
        {
            return Err(Why::Down(told));
        }
        match self.talk.discover().await {
            Ok(found) => {
                *known = Known { found: Some((found.clone(), now)), failed: None };
                Ok(found)
            }
            Err(error) => {
                *known = Known { found: None, failed: Some((error.told(), now)) };
                Err(error.into())
            }
        }
    }

    /// The keys anew, since a token names one that is not known: the provider has rotated them. Not for ever so often.
    async fn refetched(&self, older: &Found, now: Millis) -> Result<Option<Found>, Why> {
        let mut known = self.known.lock().await;
        if let Some((found, _)) = &known.found
            && !found.same_keys(older)
        {
            return Ok(Some(found.clone()));
        }
        // The attempt is left standing as a failure: that is what counts it.
        if self.refetches.begin("keys", now).is_err() {
            return Ok(None);
        }
        let found = self.talk.with_new_keys(older).await?;
        // The rest of the document stays as old as it is.
        let at = known.found.as_ref().map_or(now, |(_, at)| *at);
        known.found = Some((found.clone(), at));
        Ok(Some(found))
    }

    fn client(&self, found: &Found) -> Client {
        let client = found.client(&self.settings.client_id, self.secret.as_deref());
        let post = match self.settings.client_auth {
            Some(auth) => auth == ClientAuth::Post,
            None => found.wants_post(),
        };
        let client = client.set_auth_type(if post { AuthType::RequestBody } else { AuthType::BasicAuth });
        client.set_redirect_uri(openidconnect::RedirectUrl::from_url(self.callback.clone()))
    }

    /// Begins a sign-in; gives where to send the browser. `browser` is the value of its cookie, `fresh` how lately they must have proved who
    /// they are.
    pub async fn begin(&self, platform: &Platform, browser: &str, next: &str, fresh: Option<Duration>) -> Result<Url, Stopped> {
        self.begun(platform, browser, next, fresh).await.map_err(|why| Stopped { why, next: next.to_owned() })
    }

    async fn begun(&self, platform: &Platform, browser: &str, next: &str, fresh: Option<Duration>) -> Result<Url, Why> {
        let now = platform.now();
        let found = self.found(now).await?;
        let client = self.client(&found);
        let (state, nonce) = (platform.random.token("sta."), platform.random.token("non."));
        let verifier = platform.random.token("");
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier.clone()));
        let mut asked = client
            .authorize_url(
                openidconnect::core::CoreAuthenticationFlow::AuthorizationCode,
                {
                    let state = CsrfToken::new(state.clone());
                    move || state
                },
                {
                    let nonce = Nonce::new(nonce.clone());
                    move || nonce
                },
            )
            .add_scopes(self.settings.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new))
            .set_pkce_challenge(challenge);
        if let Some(fresh) = fresh {
            asked = asked.add_prompt(openidconnect::core::CoreAuthPrompt::Login).set_max_age(fresh);
        }
        let (url, _, _) = asked.url();
        let login = rows::Login {
            nonce,
            verifier_sealed: platform.keys.seal(&rows::purpose(&state), verifier.as_bytes()).map_err(Fault::from)?,
            fresh: fresh.is_some(),
            next: next.to_owned(),
        };
        let mut tx = platform.db.begin().await?;
        rows::insert(&mut tx, self.realm, &state, browser, &login, now, now + LOGIN).await?;
        tx.commit().await?;
        Ok(url)
    }

    /// Ends a sign-in. The state is used up, whatever comes of it; one that another browser began is not known here.
    pub async fn finish(
        &self,
        platform: &Platform,
        browser: Option<&str>,
        returned: Returned<'_>,
        fresh: Duration,
    ) -> Result<Arrived, Stopped> {
        let unknown = |why| Stopped { why, next: String::new() };
        let Some(state) = returned.state else { return Err(unknown(Why::Refused("no state"))) };
        let Some(browser) = browser else { return Err(unknown(Why::Refused("this browser began no sign-in"))) };
        let taken = async {
            let mut tx = platform.db.begin().await?;
            let taken = rows::take(&mut tx, self.realm, state, browser, platform.now()).await?;
            tx.commit().await?;
            Ok::<_, Why>(taken)
        };
        let login = match taken.await.map_err(unknown)? {
            Some(login) => login,
            None => return Err(unknown(Why::Refused("the state is not known here, was used, or is of another browser"))),
        };
        let next = login.next.clone();
        match self.finished(platform, state, login, returned, fresh).await {
            Ok(arrived) => Ok(arrived),
            Err(why) => Err(Stopped { why, next }),
        }
    }

    async fn finished(
        &self,
        platform: &Platform,
        state: &str,
        login: rows::Login,
        returned: Returned<'_>,
        fresh: Duration,
    ) -> Result<Arrived, Why> {
        let found = self.found(platform.now()).await?;
        match returned.iss {
            Some(iss) if iss != self.settings.issuer => return Err(Why::Refused("another provider answers")),
            None if found.always_names_itself() => return Err(Why::Refused("the provider does not name itself")),
            _ => {}
        }
        match returned.error {
            Some("access_denied") => return Err(Why::Cancelled),
            Some("temporarily_unavailable" | "server_error") => return Err(Why::Down("it says so itself")),
            Some(_) => return Err(Why::Refused("the provider answers with an error")),
            None => {}
        }
        let code = returned.code.ok_or(Why::Refused("no code"))?;
        let verifier = platform.keys.unseal(&rows::purpose(state), &login.verifier_sealed).map_err(Fault::from)?;
        let verifier = String::from_utf8(verifier.to_vec()).map_err(|_| Why::Refused("the verifier is damaged"))?;
        let client = self.client(&found);
        let asked = client.exchange_code(AuthorizationCode::new(code.to_owned()));
        let asked = asked.map_err(|_| Why::Down("it has no token endpoint"))?;
        let asked = asked.set_pkce_verifier(PkceCodeVerifier::new(verifier));
        let tokens = asked.request_async(&self.talk).await.map_err(|error| match error {
            RequestTokenError::Request(error) => error.into(),
            RequestTokenError::ServerResponse(error) => match error.error().as_ref() {
                "invalid_client" | "unauthorized_client" => Why::Down("it does not accept our client_id or client_secret"),
                _ => Why::Refused("the provider does not accept the code"),
            },
            RequestTokenError::Parse(..) => Why::Refused("the tokens cannot be read"),
            RequestTokenError::Other(_) => Why::Refused("the token endpoint answers with nothing to read"),
        })?;
        // It goes into a header as it stands.
        if !tokens.access_token().secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Why::Refused("the access token cannot be sent"));
        }
        let id_token = tokens.id_token().ok_or(Why::Refused("no ID token"))?;

        let now = platform.now();
        let nonce = Nonce::new(login.nonce.clone());
        let mut client = client;
        let mut verified = self.verified(&client, id_token, &nonce, now);
        if matches!(&verified, Err(Unverified::UnknownKey))
            && let Some(found) = self.refetched(&found, now).await?
        {
            client = self.client(&found);
            verified = self.verified(&client, id_token, &nonce, now);
        }
        let claims = verified.map_err(|unverified| Why::Refused(unverified.told()))?;
        if let Some(expected) = claims.access_token_hash() {
            let verifier = client.id_token_verifier();
            let hash = id_token
                .signing_alg()
                .and_then(|alg| Ok((alg, id_token.signing_key(&verifier)?)))
                .ok()
                .and_then(|(alg, key)| AccessTokenHash::from_token(tokens.access_token(), alg, key).ok());
            if hash.as_ref() != Some(expected) {
                return Err(Why::Refused("the access token is not that of the ID token"));
            }
        }
        let skew = self.settings.clock_skew.0;
        let proved_at = claims.auth_time().map(|time| Millis(time.timestamp_millis()).min(now));
        if login.fresh && proved_at.is_none_or(|at| now.since(at) > fresh + skew) {
            return Err(Why::Refused("they were asked to prove anew who they are, and did not"));
        }
        let mut all = talk::as_map(claims);
        if self.settings.user_info && !claims::has_all(self.realm, &self.settings.claims, &all) {
            let subject = claims.subject().clone();
            if let Ok(asked) = client.user_info(tokens.access_token().clone(), Some(subject)) {
                let said = asked.request_async(&self.talk).await.map_err(|error| match error {
                    openidconnect::UserInfoError::Request(error) => error.into(),
                    openidconnect::UserInfoError::ClaimsVerification(_) => Why::Refused("UserInfo is about somebody else"),
                    _ => Why::Refused("UserInfo cannot be read"),
                })?;
                // What is signed wins.
                for (name, value) in talk::said_as_map(&said) {
                    all.entry(name).or_insert(value);
                }
            }
        }
        Ok(Arrived { claims: all, id_token: id_token.to_string(), proved_at, next: login.next })
    }

    /// Checks an ID token (OpenID Connect Core 3.1.3.7).
    fn verified<'t>(
        &self,
        client: &Client,
        id_token: &'t talk::IdToken,
        nonce: &Nonce,
        now: Millis,
    ) -> Result<&'t talk::IdClaims, Unverified> {
        let skew = self.settings.clock_skew.0;
        let audiences = &self.settings.audiences;
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(talk::ALGORITHMS)
            .set_other_audience_verifier_fn(|audience| audiences.iter().any(|trusted| trusted == audience.as_str()))
            .set_time_fn(move || talk::time(now - skew))
            .set_issue_time_verifier_fn(move |issued| {
                let issued = Millis(issued.timestamp_millis());
                let ahead = issued > now + skew;
                let old = now.since(issued) > LOGIN + skew;
                if ahead || old { Err("issued at another time".to_owned()) } else { Ok(()) }
            });
        let claims = id_token.claims(&verifier, nonce).map_err(Unverified::from)?;
        let party = claims.authorized_party().map(|party| party.as_str());
        if party.is_some_and(|party| party != self.settings.client_id) || party.is_none() && claims.audiences().len() > 1 {
            return Err(Unverified::Party);
        }
        Ok(claims)
    }

    /// The person that somebody is, if the provider says enough of them; none if it names no subject.
    pub fn person(&self, arrived: &Arrived) -> Option<Claimed> {
        claims::person(&self.settings, &arrived.claims)
    }

    /// The member of staff that somebody is. Without an address they are none.
    pub fn staff_member(&self, arrived: &Arrived) -> Option<StaffMember> {
        claims::staff_member(&self.settings, &arrived.claims)
    }

    /// Where to send a browser so that the provider's session ends too; none if it offers nothing, or cannot be asked.
    pub async fn logout(&self, platform: &Platform, id_token: &str) -> Option<Url> {
        if !self.settings.logout {
            return None;
        }
        let found = self.found(platform.now()).await.ok()?;
        found.logout(id_token, &self.settings.client_id, &self.home)
    }
}

/// Why an ID token is not believed.
#[derive(Debug)]
enum Unverified {
    UnknownKey,
    Party,
    Other(&'static str),
}

impl Unverified {
    fn told(&self) -> &'static str {
        match self {
            Self::UnknownKey => "the ID token is signed by a key that the provider does not have",
            Self::Party => "the ID token was issued to another client",
            Self::Other(told) => told,
        }
    }
}

impl From<ClaimsVerificationError> for Unverified {
    fn from(error: ClaimsVerificationError) -> Self {
        use ClaimsVerificationError as Claim;
        use SignatureVerificationError as Signature;
        match error {
            Claim::SignatureVerification(Signature::NoMatchingKey) => Self::UnknownKey,
            Claim::SignatureVerification(Signature::NoSignature) => Self::Other("the ID token is not signed"),
            Claim::SignatureVerification(Signature::DisallowedAlg(_) | Signature::UnsupportedAlg(_)) => {
                Self::Other("the ID token is signed in a way that is not allowed")
            }
            Claim::SignatureVerification(Signature::AmbiguousKeyId(_)) => {
                Self::Other("the ID token does not say which of the keys signed it")
            }
            Claim::SignatureVerification(_) => Self::Other("the ID token's signature is wrong"),
            Claim::Expired(_) => Self::Other("the ID token has expired, or was issued at another time"),
            Claim::InvalidAudience(_) => Self::Other("the ID token is for another client"),
            Claim::InvalidIssuer(_) => Self::Other("the ID token is of another issuer"),
            Claim::InvalidNonce(_) => Self::Other("the ID token is of another sign-in"),
            Claim::InvalidAuthTime(_) | Claim::InvalidAuthContext(_) | Claim::InvalidSubject(_) => {
                Self::Other("a claim of the ID token does not fit")
            }
            _ => Self::Other("the ID token is of a kind that is not known"),
        }
    }
}

/// The hash by which the store knows somebody of a provider.
fn key(issuer: &str, subject: &str) -> Vec<u8> {
    // An issuer holds no line break.
    ids::hash(&format!("{issuer}\n{subject}"))
}
