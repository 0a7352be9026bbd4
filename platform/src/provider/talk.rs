//! Calls to the provider, within bounds; and the types of the OpenID Connect library as we use them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim,
    CoreGrantType, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm,
    CoreResponseMode, CoreResponseType, CoreRevocableToken, CoreRevocationErrorResponse, CoreSubjectIdentifierType,
    CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AdditionalProviderMetadata, AsyncHttpClient, ClientId, ClientSecret, DiscoveryError, EmptyExtraTokenFields,
    EndSessionUrl, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IdTokenClaims, IdTokenFields,
    IssuerUrl, JsonWebKeySet, ProviderMetadata, StandardErrorResponse, StandardTokenResponse, UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::{Host, Url};

use crate::clock::Millis;
use crate::settings;

/// The signatures that are believed. Never `none`, and never a MAC: what signs must not be what everybody has.
pub(super) const ALGORITHMS: [CoreJwsSigningAlgorithm; 4] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// The longest answer of a provider that is read. A discovery document has some 5 KB, a key set some 10.
const LONGEST: usize = 1024 * 1024;

/// All claims beside those of the specification.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct Further(Map<String, Value>);

impl AdditionalClaims for Further {}

/// What we want to know of the discovery document beside what the library reads.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Extra {
    end_session_endpoint: Option<EndSessionUrl>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: Option<bool>,
}

impl AdditionalProviderMetadata for Extra {}

type Metadata = ProviderMetadata<
    Extra,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

pub(super) type Client = openidconnect::Client<
    Further,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<
        IdTokenFields<
            Further,
            EmptyExtraTokenFields,
            CoreGenderClaim,
            CoreJweContentEncryptionAlgorithm,
            CoreJwsSigningAlgorithm,
        >,
        CoreTokenType,
    >,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

pub(super) type IdToken =
    openidconnect::IdToken<Further, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
pub(super) type IdClaims = IdTokenClaims<Further, CoreGenderClaim>;

/// Claims by their names.
pub(super) fn as_map(claims: &IdClaims) -> Map<String, Value> {
    object(serde_json::to_value(claims))
}

pub(super) fn said_as_map(claims: &UserInfoClaims<Further, CoreGenderClaim>) -> Map<String, Value> {
    object(serde_json::to_value(claims))
}

fn object(value: Result<Value, serde_json::Error>) -> Map<String, Value> {
    match value {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// A time as the library wants it.
pub(super) fn time<T: From<std::time::SystemTime>>(at: Millis) -> T {
    T::from(UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or_default()))
}

/// A call that brought nothing, without what was said in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("{0}")]
    Told(&'static str),
}

impl CallError {
    pub(super) fn told(&self) -> &'static str {
        let Self::Told(told) = self;
        told
    }
}

impl From<DiscoveryError<CallError>> for CallError {
    fn from(error: DiscoveryError<CallError>) -> Self {
        Self::Told(match error {
            DiscoveryError::Request(error) => error.told(),
            DiscoveryError::Validation(_) => "its discovery document names another issuer",
            DiscoveryError::Response(..) => "it does not answer with its discovery document or keys",
            DiscoveryError::Parse(_) => "its discovery document or keys cannot be read",
            _ => "its discovery document cannot be had",
        })
    }
}

/// The way to one provider.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    client: reqwest::Client,
    issuer: IssuerUrl,
    allow_http: bool,
}

impl Talk {
    /// The error says what is wrong with the issuer.
    #[allow(
        clippy::disallowed_methods,
        reason = "a provider that the operator names, bounded here; others' addresses go through the guard"
    )]
    pub(super) fn new(settings: &settings::Provider) -> Result<Self, String> {
        let issuer = IssuerUrl::new(settings.issuer.clone()).map_err(|_| "is not an address".to_owned())?;
        if issuer.url().query().is_some() || issuer.url().fragment().is_some() {
            return Err("has a query or a fragment, which an issuer must not have".into());
        }
        if !may_be_asked(issuer.url(), settings.allow_http) {
            return Err("must begin with https://. Plain http is for this machine, or with allow_http = true for a network that you trust".into());
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(settings.timeout.0.min(Duration::from_secs(5)))
            .timeout(settings.timeout.0)
            .user_agent(concat!("Portward/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|fault| format!("cannot be called: {fault}"))?;
        Ok(Self { client, issuer, allow_http: settings.allow_http })
    }

    /// One call. What a discovery document names is held to the same rules as the issuer.
    async fn fetch(&self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        let request = reqwest::Request::try_from(request).map_err(|_| CallError::Told("it names an address that is none"))?;
        if !may_be_asked(request.url(), self.allow_http) {
            return Err(CallError::Told("it names an address without https://"));
        }
        let failed = |error: reqwest::Error| {
            CallError::Told(match (error.is_timeout(), error.is_connect()) {
                (true, _) => "no answer in time",
                (_, true) => "no connection",
                _ => "the connection broke, or the answer was not HTTP",
            })
        };
        let mut answer = self.client.execute(request).await.map_err(failed)?;
        if answer.status().is_server_error() {
            return Err(CallError::Told("it answers with a fault of its own"));
        }
        if answer.status().is_redirection() {
            return Err(CallError::Told("it answers with a redirect, which is not followed"));
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > LONGEST {
                return Err(CallError::Told("its answer is too long"));
            }
            body.extend_from_slice(&piece);
        }
        let mut response = HttpResponse::new(body);
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        Ok(response)
    }

    /// What the provider says of itself, with its keys.
    pub(super) async fn discover(&self) -> Result<Found, CallError> {
        let metadata = Metadata::discover_async(self.issuer.clone(), self).await?;
        let shown = std::iter::once(metadata.authorization_endpoint().url())
            .chain(metadata.additional_metadata().end_session_endpoint.as_ref().map(EndSessionUrl::url));
        // Browsers are sent there.
        for address in shown {
            if !may_be_asked(address, self.allow_http) {
                return Err(CallError::Told("it names an address without https://"));
            }
        }
        if metadata.token_endpoint().is_none() {
            return Err(CallError::Told("it has no token endpoint"));
        }
        Ok(Found(Arc::new(metadata)))
    }

    /// The same with the keys of now.
    pub(super) async fn with_new_keys(&self, found: &Found) -> Result<Found, CallError> {
        let keys = JsonWebKeySet::fetch_async(found.0.jwks_uri(), self).await?;
        Ok(Found(Arc::new(Metadata::clone(&found.0).set_jwks(keys))))
    }
}

impl<'c> AsyncHttpClient<'c> for Talk {
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, CallError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.fetch(request))
    }
}

/// Whether an address may be called or shown: TLS, except on this machine and where the operator says so.
fn may_be_asked(url: &Url, allow_http: bool) -> bool {
    let here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return false,
    };
    match url.scheme() {
        "https" => true,
        "http" => here || allow_http,
        _ => false,
    }
}

/// What a provider says of itself.
#[derive(Clone, Debug)]
pub(super) struct Found(Arc<Metadata>);

impl Found {
    pub(super) fn keys(&self) -> usize {
        self.0.jwks().keys().len()
    }

    pub(super) fn same_keys(&self, other: &Found) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.jwks() == other.0.jwks()
    }

    pub(super) fn client(&self, client_id: &str, secret: Option<&str>) -> Client {
        let secret = secret.map(|secret| ClientSecret::new(secret.to_owned()));
        Client::from_provider_metadata(Metadata::clone(&self.0), ClientId::new(client_id.to_owned()), secret)
    }

    /// Whether the secret is to be sent in the body: only if the provider cannot read it from the header, its default.
    pub(super) fn wants_post(&self) -> bool {
        self.0.token_endpoint_auth_methods_supported().is_some_and(|methods| {
            !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
                && methods.contains(&CoreClientAuthMethod::ClientSecretPost)
        })
    }

    /// Whether answers without `iss` are not the provider's (RFC 9207 2.4).
    pub(super) fn always_names_itself(&self) -> bool {
        self.0.additional_metadata().authorization_response_iss_parameter_supported == Some(true)
    }

    /// Where to sign out (OpenID Connect RP-Initiated Logout 2).
    pub(super) fn logout(&self, id_token: &str, client_id: &str, home: &Url) -> Option<Url> {
        let mut url = self.0.additional_metadata().end_session_endpoint.as_ref()?.url().clone();
        url.query_pairs_mut()
            .append_pair("id_token_hint", id_token)
            .append_pair("client_id", client_id)
            .append_pair("post_logout_redirect_uri", home.as_str());
        Some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_or_by_leave() {
        for (address, plainly, by_leave) in [
            ("https://id.example", true, true),
            ("http://id.example", false, true),
            ("http://127.0.0.1:3000", true, true),
            ("http://[::1]:3000", true, true),
            ("http://localhost:3000", true, true),
            ("http://localhost.id.example", false, true),
            ("javascript:alert(1)", false, false),
            ("file:///etc/passwd", false, false),
        ] {
            let url = Url::parse(address).unwrap();
            assert_eq!((may_be_asked(&url, false), may_be_asked(&url, true)), (plainly, by_leave), "{address}");
        }
    }
}
