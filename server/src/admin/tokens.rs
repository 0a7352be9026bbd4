//! `portward admin tokens`: by which the operator's own programs call the operator's part of `/v1`.

use clap::Subcommand;
use platform::audit::Actor;
use platform::services::{self, ServiceScope, ServiceToken};
use platform::settings::Span;
use platform::{Millis, Platform};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum TokensVerb {
    /// Make a token; prints it, once
    Add {
        /// What you call it, such as the program that will hold it
        name: String,
        /// What it may do: people.events. Repeat for more
        #[arg(long = "scope", required = true, value_parser = scope)]
        scopes: Vec<ServiceScope>,
        /// How long it lives; without it, until it is revoked
        #[arg(long, value_parser = super::span)]
        lives: Option<Span>,
    },
    /// List the tokens, without what they are
    List,
    /// End a token at once
    Revoke {
        /// Its number
        token_id: i64,
    },
}

fn scope(text: &str) -> Result<ServiceScope, String> {
    ServiceScope::parse(text).ok_or_else(|| super::words(ServiceScope::ALL.iter().map(|word| word.as_str())))
}

pub(super) async fn tokens(platform: &Platform, verb: TokensVerb) -> anyhow::Result<Value> {
    match verb {
        TokensVerb::Add { name, scopes, lives } => {
            let lives = lives.map(|span| span.0);
            let (token, secret) = services::add(platform, Actor::Operator, &name, &scopes, lives).await?;
            let mut told = value(&token);
            told["token"] = json!(secret.as_str());
            Ok(told)
        }
        TokensVerb::List => Ok(services::list(platform).await?.iter().map(value).collect()),
        TokensVerb::Revoke { token_id } => {
            let revoked = services::revoke(platform, Actor::Operator, token_id).await?;
            anyhow::ensure!(revoked, "there is no token of that number that lives");
            Ok(json!({ "token_id": token_id.to_string(), "revoked": true }))
        }
    }
}

fn value(token: &ServiceToken) -> Value {
    let time = |at: Option<Millis>| at.map(|at| at.to_string());
    json!({
        "token_id": token.token_id.to_string(),
        "name": token.name,
        "scopes": token.scopes,
        "created_at": token.created_at.to_string(),
        "expires_at": time(token.expires_at),
        "revoked_at": time(token.revoked_at),
        "used_at": time(token.used_at),
    })
}
