//! Service tokens: by which the operator's own programs prove who they are to the operator's part of `/v1`. A token is shown once and kept as its
//! hash; it can do what its scopes say and nothing else, and dies at its time or when it is revoked.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{sql, words};
use crate::{Fault, Platform, ids};

words! {
    /// What a service token may do.
    ServiceScope {
        /// Tell what became of people: `POST /v1/people/{id}/events`.
        PeopleEvents = "people.events",
    }
}

/// What every service token begins with.
pub const PREFIX: &str = "opt.";
/// How exactly it is known when a token was last used.
const USED_EVERY: Duration = Duration::from_secs(60);

/// One token, without what it is.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct ServiceToken {
    /// Ours.
    pub token_id: i64,
    /// What the operator calls it.
    pub name: String,
    /// What it may do, comma separated.
    pub scopes: String,
    /// When it was made.
    pub created_at: Millis,
    /// When it ends by itself.
    pub expires_at: Option<Millis>,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
    /// When it was last used, to the minute.
    pub used_at: Option<Millis>,
}

impl ServiceToken {
    /// Whether it may do something.
    pub fn may(&self, scope: ServiceScope) -> bool {
        self.scopes.split(',').any(|held| held == scope.as_str())
    }
}

/// Why a token was not made.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The name.
    #[error("a token's name has 1 to 100 characters, none of them a control character")]
    Name,
    /// The scopes.
    #[error("a token needs at least one scope")]
    Scopes,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for AddError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// Makes a token; it is not shown again.
pub async fn add(
    platform: &Platform,
    actor: Actor,
    name: &str,
    scopes: &[ServiceScope],
    lives: Option<Duration>,
) -> Result<(ServiceToken, Zeroizing<String>), AddError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(AddError::Name);
    }
    let mut words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    words.sort_unstable();
    words.dedup();
    if words.is_empty() {
        return Err(AddError::Scopes);
    }
    let now = platform.now();
    let secret = Zeroizing::new(platform.random.token(PREFIX));
    let token = ServiceToken {
        token_id: platform.random.id(),
        name: name.to_owned(),
        scopes: words.join(","),
        created_at: now,
        expires_at: lives.map(|lives| now + lives),
        revoked_at: None,
        used_at: None,
    };
    let mut tx = platform.db.begin().await?;
    sql!(
        tx,
        execute,
        "insert into service_tokens (token_id, token_hash, name, scopes, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)",
        token.token_id,
        ids::hash(&secret),
        token.name.clone(),
        token.scopes.clone(),
        now,
        token.expires_at,
    )?;
    let entry = Entry { about: Some(token.token_id), detail: &token.scopes, ..Entry::new(actor, "service_token.added") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok((token, secret))
}

/// Every token, the newest first.
pub async fn list(platform: &Platform) -> Result<Vec<ServiceToken>, Fault> {
    let mut tx = platform.db.read().await?;
    Ok(sql!(
        tx,
        all ServiceToken,
        "select token_id, name, scopes, created_at, expires_at, revoked_at, used_at
         from service_tokens
         order by created_at desc, token_id",
    )?)
}

/// Ends a token at once. `false` if there is none of that number that lives.
pub async fn revoke(platform: &Platform, actor: Actor, token_id: i64) -> Result<bool, Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let ended = sql!(
        tx,
        execute,
        "update service_tokens set revoked_at = $2 where token_id = $1 and revoked_at is null",
        token_id,
        now,
    )?;
    if ended == 0 {
        return Ok(false);
    }
    Entry { about: Some(token_id), ..Entry::new(actor, "service_token.revoked") }.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(true)
}

/// The token that this is, if it lives. It is looked for by its hash, so how long that takes says nothing of any other token.
pub async fn bearer(platform: &Platform, secret: &str) -> Result<Option<ServiceToken>, Fault> {
    if !secret.starts_with(PREFIX) || secret.len() > 100 {
        return Ok(None);
    }
    let now = platform.now();
    let mut tx = platform.db.read().await?;
    let found = sql!(
        tx,
        optional ServiceToken,
        "select token_id, name, scopes, created_at, expires_at, revoked_at, used_at
         from service_tokens
         where token_hash = $1 and revoked_at is null and (expires_at is null or expires_at > $2)",
        ids::hash(secret),
        now,
    )?;
    drop(tx);
    if let Some(token) = &found
        && token.used_at.is_none_or(|used| now < used || now.since(used) >= USED_EVERY)
    {
        let mut tx = platform.db.begin().await?;
        sql!(tx, execute, "update service_tokens set used_at = $2 where token_id = $1", token.token_id, now)?;
        tx.commit().await?;
    }
    Ok(found)
}
