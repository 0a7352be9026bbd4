//! The `oauth2` crate against a running server over TLS, as an app in Rust would use it.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;

use oauth2::basic::{BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse};
use oauth2::basic::{BasicTokenIntrospectionResponse, BasicTokenType};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, ExtraTokenFields, HttpRequest, HttpResponse,
    PkceCodeChallenge, RedirectUrl, RequestTokenError, RevocationUrl, Scope, StandardRevocableToken, StandardTokenResponse,
    TokenResponse, TokenUrl,
};
use portward_testkit::dev::{Dev, Options};
use portward_testkit::person::{Browser, Decision};
use serde::{Deserialize, Serialize};

const CALLBACK: &str = "https://app.example/callback";

/// What the token answer carries beyond the standard.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Extra {
    open_id: String,
    refresh_expires_in: u64,
}

impl ExtraTokenFields for Extra {}

type Tokens = StandardTokenResponse<Extra, BasicTokenType>;
type Oauth<A, B, C, D, E> = Client<
    BasicErrorResponse,
    Tokens,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    A,
    B,
    C,
    D,
    E,
>;

/// A server with a certificate of its own, and a client that trusts only that.
struct Secure {
    dev: Dev,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Secure {
    #[expect(clippy::disallowed_methods, reason = "a test talks to its own servers on loopback")]
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("a certificate");
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&cert, made.cert.pem()).expect("the certificate written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("the key written");
        let path = |path: &std::path::Path| path.to_str().expect("a path in UTF-8").to_owned();
        let args = ["--tls-cert".into(), path(&cert), "--tls-key".into(), path(&key), "--redirect-uri".into(), CALLBACK.into()];
        let dev = Options::default().args(args).start();
        let _ = portward_testkit::person::http();
        let authority = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).expect("the certificate again");
        let http = reqwest::Client::builder()
            .tls_certs_only([authority])
            .redirect(reqwest::redirect::Policy::none())
            .cookie_store(true)
            .no_proxy()
            .build()
            .expect("a client");
        Self { dev, http, _folder: folder }
    }

    /// The library brings its own idea of an HTTP call; this is ours for it.
    fn call(&self) -> impl Fn(HttpRequest) -> Pin<Box<dyn Future<Output = Result<HttpResponse, reqwest::Error>> + Send>> + '_ {
        |request| {
            let http = self.http.clone();
            Box::pin(async move {
                let response = http.execute(request.try_into()?).await?;
                let (status, headers) = (response.status(), response.headers().clone());
                let mut answer = HttpResponse::new(response.bytes().await?.to_vec());
                *answer.status_mut() = status;
                *answer.headers_mut() = headers;
                Ok(answer)
            })
        }
    }

    async fn user_info(&self, token: &str) -> u16 {
        let url = self.dev.url("/v2/user/info/?fields=open_id");
        self.http.get(url).bearer_auth(token).send().await.expect("an answer").status().as_u16()
    }
}

#[tokio::test]
async fn the_oauth2_crate_signs_in_refreshes_and_revokes() {
    let secure = Secure::start();
    let url = |path: &str| secure.dev.url(path);
    let client = Oauth::new(ClientId::new(secure.dev.info.client_key.clone()))
        .set_client_secret(ClientSecret::new(secure.dev.info.client_secret.clone()))
        .set_auth_type(AuthType::RequestBody)
        .set_auth_uri(AuthUrl::new(url("/v2/auth/authorize/")).expect("an address"))
        .set_token_uri(TokenUrl::new(url("/v2/oauth/token/")).expect("an address"))
        .set_revocation_url(RevocationUrl::new(url("/v2/oauth/revoke/")).expect("an address"))
        .set_redirect_uri(RedirectUrl::new(CALLBACK.into()).expect("an address"));

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (address, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scope(Scope::new("user.info.basic".into()))
        .add_scope(Scope::new("portability.activity.ongoing".into()))
        .set_pkce_challenge(challenge)
        .url();
    let person = secure.dev.info.person("typical");
    let browser = Browser::with(secure.http.clone(), &person.username, &person.password);
    let callback = browser.authorize(address.as_str(), &Decision::AllowAll).await;
    assert!(callback.as_str().starts_with(CALLBACK), "{callback}");
    let back: HashMap<_, _> = callback.query_pairs().into_owned().collect();
    assert_eq!(back["state"], *state.secret());

    let exchange = client.exchange_code(AuthorizationCode::new(back["code"].clone())).set_pkce_verifier(verifier);
    let tokens = exchange.request_async(&secure.call()).await.expect("tokens for the code");
    assert_eq!(*tokens.token_type(), BasicTokenType::Bearer);
    assert_eq!(tokens.scopes().expect("a scope")[0].as_str(), "user.info.basic,portability.activity.ongoing");
    assert_eq!(tokens.expires_in().expect("a lifetime").as_secs(), 7200);
    assert_eq!(tokens.extra_fields().refresh_expires_in, 15_552_000);
    assert!(!tokens.extra_fields().open_id.is_empty());
    assert_eq!(secure.user_info(tokens.access_token().secret()).await, 200);

    let old = tokens.refresh_token().expect("a refresh token").clone();
    let fresh = client.exchange_refresh_token(&old).request_async(&secure.call()).await.expect("fresh tokens");
    assert_ne!(fresh.access_token().secret(), tokens.access_token().secret());
    assert_eq!(fresh.extra_fields().open_id, tokens.extra_fields().open_id);
    assert_eq!(secure.user_info(fresh.access_token().secret()).await, 200);

    let token = StandardRevocableToken::AccessToken(fresh.access_token().clone());
    let revoke = client.revoke_token(token).expect("an https address");
    revoke.request_async(&secure.call()).await.expect("revoked");
    assert_eq!(secure.user_info(fresh.access_token().secret()).await, 401);

    let refused = client.exchange_refresh_token(&old).request_async(&secure.call()).await.expect_err("a used refresh token");
    match refused {
        RequestTokenError::ServerResponse(answer) => assert_eq!(*answer.error(), BasicErrorResponseType::InvalidGrant),
        other => panic!("not an answer of the server: {other:?}"),
    }
}
