//! `[provider.people]` and `[provider.staff]`: the operator's OpenID provider.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::{Secret, Span};

/// `[provider]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Providers {
    /// Where people sign in; without it they do so by a password kept here.
    pub people: Option<Provider>,
    /// Where staff sign in; those with a password kept here can go on using it.
    pub staff: Option<Provider>,
}

/// One client of one provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The issuer, to the letter as the provider names itself; its discovery document is below it.
    pub issuer: String,
    /// Who we are to the provider.
    pub client_id: String,
    /// What proves it. None for a public client, which PKCE alone protects.
    #[serde(default)]
    pub client_secret: Option<Secret>,
    /// A file that holds it.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// How the secret is sent; as the provider's discovery document says where it is not named.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    /// What the button says: "Sign in with ..". The operator's name where it is not given.
    #[serde(default)]
    pub name: Option<String>,
    /// What is asked for beside `openid`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// Clients that an ID token may be meant for beside us. None by default: OpenID Connect Core 3.1.3.7 has tokens with others refused.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// How far the provider's clock may be from ours.
    #[serde(default = "clock_skew")]
    pub clock_skew: Span,
    /// How long the provider may take for one answer.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// How long its discovery document and keys are kept. Keys that are not known are asked for at once.
    #[serde(default = "discovery")]
    pub discovery: Span,
    /// Whether the UserInfo endpoint is asked for claims that the ID token lacks: most providers put them there.
    #[serde(default = "yes")]
    pub user_info: bool,
    /// Whether signing out here signs out at the provider too, where it offers that.
    #[serde(default = "yes")]
    pub logout: bool,
    /// Whether plain http is used beyond this machine. For a provider behind a network that you trust.
    #[serde(default)]
    pub allow_http: bool,
    /// The region of those whose claims name none: an ISO 3166 code.
    #[serde(default)]
    pub default_region: Option<String>,
    /// Which claim means what.
    #[serde(default)]
    pub claims: Claims,
    /// Which value of the roles claim means which role. Without any, the values are the names of the roles.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
}

fn scopes() -> Vec<String> {
    vec!["profile".into(), "email".into()]
}

fn clock_skew() -> Span {
    Span::seconds(60)
}

fn timeout() -> Span {
    Span::seconds(10)
}

fn discovery() -> Span {
    Span::hours(1)
}

fn yes() -> bool {
    true
}

/// How a client proves itself at the token endpoint (OpenID Connect Core 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ClientAuth {
    /// In the header.
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// In the body.
    #[serde(rename = "client_secret_post")]
    Post,
}

/// Names of claims. One that begins with `/` is a JSON pointer: `/address/country`. An empty one is not read.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Claims {
    /// Who a person is in the operator's databases. It must never change and never pass to somebody else.
    pub subject: String,
    /// Their user name.
    pub username: String,
    /// How they call themselves.
    pub name: String,
    /// The address of their picture.
    pub avatar: String,
    /// ISO 3166 code of their region.
    pub region: String,
    /// A year, or a date that begins with one.
    pub birth_year: String,
    /// Of staff: where mail goes.
    pub email: String,
    /// Of staff: a value or a list of them.
    pub roles: String,
}

impl Default for Claims {
    fn default() -> Self {
        let name = str::to_owned;
        Self {
            subject: name("sub"),
            username: name("preferred_username"),
            name: name("name"),
            avatar: name("picture"),
            region: name(""),
            birth_year: name("birthdate"),
            email: name("email"),
            roles: name("roles"),
        }
    }
}
