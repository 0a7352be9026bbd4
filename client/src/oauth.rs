//! Sending a person to the consent page and reading what they come back with.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::Url;

use crate::Client;

/// Proof that whoever brings the code is who asked for it. Keep it with the person's session until the exchange.
#[derive(Clone, PartialEq, Eq)]
pub struct Pkce {
    verifier: String,
    challenge: String,
}

/// Never shows the verifier.
impl fmt::Debug for Pkce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkce").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}

impl Pkce {
    /// A fresh one.
    pub fn random() -> Self {
        Self::from_bytes(crate::random::random_bytes())
    }

    /// One made of your own randomness.
    pub fn from_bytes(random: [u8; 32]) -> Self {
        Self::from_verifier(&URL_SAFE_NO_PAD.encode(random))
    }

    /// The one that was kept: the verifier of an earlier [`Pkce::verifier`].
    pub fn from_verifier(verifier: &str) -> Self {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        Self { verifier: verifier.into(), challenge }
    }

    /// What to keep.
    pub fn verifier(&self) -> &str {
        &self.verifier
    }

    /// What goes into the address: base64url of the verifier's SHA-256.
    pub fn challenge(&self) -> &str {
        &self.challenge
    }
}

/// What a person brought back who allowed something.
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    /// To be exchanged, once and soon.
    pub code: String,
    /// What they allowed; it may be less than what was asked for.
    pub scopes: Vec<String>,
}

/// Never shows the code.
impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// Why a callback brought no code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// The person said no, or the server could not ask them.
    #[error("{error}: {description}")]
    Refused {
        /// The code, such as `access_denied`.
        error: String,
        /// In the server's words.
        description: String,
    },
    /// The answer belongs to no question of this session: somebody may have planted it. Forget it.
    #[error("the state that came back is not the one that was sent")]
    ForeignState,
    /// Neither a code nor an error.
    #[error("the callback holds neither a code nor an error")]
    Nothing,
}

impl Client {
    /// The address to send a person to. `redirect_uri` must be registered with the app.
    ///
    /// ```
    /// # let app = portward_client::Client::new("https://data.example.com", "key", "secret").unwrap();
    /// let pkce = portward_client::Pkce::random();
    /// let scopes = ["user.info.basic", "portability.activity.ongoing"];
    /// let address = app.authorize_url(&scopes, "https://app.example.org/callback", "state", Some(&pkce));
    /// assert!(address.as_str().starts_with("https://data.example.com/v2/auth/authorize/?client_key=key&"));
    /// ```
    pub fn authorize_url(&self, scopes: &[&str], redirect_uri: &str, state: &str, pkce: Option<&Pkce>) -> Url {
        let mut url = self.authorize_base.clone();
        // The base ends with a slash, so this is plain text behind it.
        url.set_path(&format!("{}v2/auth/authorize/", self.authorize_base.path()));
        let mut query = url.query_pairs_mut();
        query
            .append_pair("client_key", &self.key)
            .append_pair("response_type", "code")
            .append_pair("scope", &scopes.join(","))
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("state", state);
        if let Some(pkce) = pkce {
            query.append_pair("code_challenge", &pkce.challenge).append_pair("code_challenge_method", "S256");
        }
        drop(query);
        url
    }
}

/// Reads what the person's browser brought to the redirect URI: the query of the request, or the whole address.
///
/// ```
/// let callback = portward_client::parse_callback("code=a%2A1%214608.va&scopes=user.info.basic&state=s", "s").unwrap();
/// assert_eq!(callback.code, "a*1!4608.va");
/// ```
pub fn parse_callback(address_or_query: &str, sent_state: &str) -> Result<Callback, CallbackError> {
    let query = address_or_query.split_once('?').map_or(address_or_query, |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let get = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref());
    if get("state").unwrap_or_default() != sent_state {
        return Err(CallbackError::ForeignState);
    }
    if let Some(error) = get("error") {
        let description = get("error_description").unwrap_or_default().into();
        return Err(CallbackError::Refused { error: error.into(), description });
    }
    let code = get("code").filter(|code| !code.is_empty()).ok_or(CallbackError::Nothing)?.into();
    let scopes = get("scopes").unwrap_or_default();
    Ok(Callback { code, scopes: scopes.split([',', ' ']).filter(|scope| !scope.is_empty()).map(Into::into).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_the_one_of_the_rfc() {
        // RFC 7636, appendix B.
        let pkce = Pkce::from_verifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(pkce.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(!format!("{pkce:?}").contains(pkce.verifier()));
        let (one, other) = (Pkce::random(), Pkce::random());
        assert!(one != other && one.verifier().len() == 43, "{one:?} {other:?}");
    }

    #[test]
    fn callbacks_are_read_from_queries_and_addresses() {
        let good = "code=abc%2A1%214608.va&scopes=user.info.basic%2Cportability.all.single&state=x%3D%26+y";
        for text in [good.to_owned(), format!("https://app.example.org/cb?{good}"), format!("/cb?{good}#_=_")] {
            let callback = parse_callback(&text, "x=& y").unwrap();
            assert_eq!(callback.code, "abc*1!4608.va", "{text}");
            assert_eq!(callback.scopes, ["user.info.basic", "portability.all.single"], "{text}");
            assert_eq!(parse_callback(&text, "x"), Err(CallbackError::ForeignState), "{text}");
            assert_eq!(parse_callback(&text, ""), Err(CallbackError::ForeignState), "{text}");
        }
        let denied = "error=access_denied&error_description=user%20cancelled%20the%20authorization&state=s";
        let error = parse_callback(denied, "s").unwrap_err();
        assert_eq!(error.to_string(), "access_denied: user cancelled the authorization");
        assert_eq!(parse_callback(denied, "t"), Err(CallbackError::ForeignState));
        for nothing in ["state=s", "state=s&code=", "state=s&scopes=a"] {
            assert_eq!(parse_callback(nothing, "s"), Err(CallbackError::Nothing), "{nothing}");
        }
    }

    #[test]
    fn addresses_are_encoded_and_keep_the_folder() {
        let app =
            Client::builder("https://api.example.com", "k&=", "s").authorize_base("https://www.example.com/x").build().unwrap();
        let url = app.authorize_url(&["a", "b"], "http://localhost:9/cb?d=e", "s t", None);
        assert_eq!(
            url.as_str(),
            "https://www.example.com/x/v2/auth/authorize/?client_key=k%26%3D&response_type=code&scope=a%2Cb\
             &redirect_uri=http%3A%2F%2Flocalhost%3A9%2Fcb%3Fd%3De&state=s+t"
        );
    }
}
