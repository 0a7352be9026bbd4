//! Grants: one consent of one person to one app, its scopes, its code and its family of tokens.
//!
//! Each allowed consent makes a new grant; earlier ones of the pair keep theirs (`client-rules.md` 29). A grant lives until it is ended; ending
//! kills its tokens, cancels its open requests, and deletes its archives, in one transaction.

mod consume;
mod rows;
mod secrets;

use wire::{ClientTokenAnswer, RemovedReason, Scope, ScopeSet, TokenAnswer};

use crate::apps::{App, AppStatus};
use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, words};
use crate::ids;
use crate::notices::{self, Notice};
use crate::quotas::RequestType;
use crate::settings::Preset;
use crate::{Fault, Platform, pause, people, requests, webhooks};

pub use consume::{Held, Need, Shortfall, spend};
pub use rows::{apps_of, by_id, held, live_of_person};
pub(crate) use rows::{give_back, live_of_app, spend_on, touch};
pub(crate) use secrets::{pseudonym_secret, reseal};

words! {
    /// Why a grant ended.
    EndCause {
        /// The person withdrew it.
        Person = "person",
        /// The person's account was deleted.
        AccountDeleted = "account_deleted",
        /// The app gave it back.
        Developer = "developer",
        /// A code or refresh token was used twice: somebody else may hold it.
        Replay = "replay",
        /// Its code was never exchanged.
        Unused = "unused",
        /// Its tokens ran out and were not refreshed.
        Expired = "expired",
        /// The app was deleted.
        AppDeleted = "app_deleted",
        /// The operator revoked the app.
        AppRevoked = "app_revoked",
        /// The operator banned the person.
        Banned = "banned",
        /// The operator knows the person to be of another age.
        AgeChanged = "age_changed",
        /// The person's means of sign-in was changed or taken over.
        CredentialChanged = "credential_changed",
    }
}

impl EndCause {
    /// What the app is told; nothing about a grant it never knew of.
    fn reason(self) -> Option<RemovedReason> {
        match self {
            Self::Person => Some(RemovedReason::Disconnected),
            Self::AccountDeleted => Some(RemovedReason::AccountDeleted),
            Self::Developer => Some(RemovedReason::DeveloperRevoked),
            Self::Banned => Some(RemovedReason::AccountBanned),
            Self::AgeChanged => Some(RemovedReason::AgeChanged),
            Self::Replay | Self::AppRevoked | Self::CredentialChanged => Some(RemovedReason::Unknown),
            Self::Unused | Self::Expired | Self::AppDeleted => None,
        }
    }
}

words! {
    /// What a token is for.
    TokenKind {
        /// `act.`: calls for a person.
        Access = "access",
        /// `rft.`: new access tokens.
        Refresh = "refresh",
        /// `clt.`: the app itself.
        Client = "client",
    }
}

/// One consent.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Grant {
    /// Ours.
    pub grant_id: i64,
    /// Whose consent is for.
    pub app_id: i64,
    /// Whose consent it is.
    pub person_id: i64,
    /// The person, as the app knows them.
    pub open_id: String,
    /// When consent was given.
    pub created_at: Millis,
    /// When its code was exchanged.
    pub exchanged_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// Why.
    pub end_cause: Option<EndCause>,
}

/// What the holder of an access token may do, read in one statement.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Bearer {
    /// Of which grant.
    pub grant_id: i64,
    /// Which app.
    pub app_id: i64,
    /// On whose behalf.
    pub person_id: i64,
    /// The person, as the app knows them.
    pub open_id: String,
    /// Where the app stands.
    pub app_status: AppStatus,
    /// The person's region.
    pub region: String,
    /// The app's own quota for the request type asked about.
    pub per_minute: Option<i64>,
}

/// Consent was given: makes the grant, and the code that the app exchanges.
pub async fn allow(
    platform: &Platform,
    app: &App,
    person_id: i64,
    scopes: &ScopeSet,
    redirect_uri: &str,
    challenge: Option<&str>,
) -> Result<String, Fault> {
    let now = platform.now();
    let code = platform.random.token("cod.");
    let mut tx = platform.db.begin().await?;
    if !people::hold(&mut tx, person_id).await? {
        return Err(Fault::Gone(person_id));
    }
    let open_id = rows::pseudonym(&mut tx, "open_id", app.app_id, person_id, &platform.random.uuid()).await?;
    rows::pseudonym(&mut tx, "union_id", app.owner_id, person_id, &platform.random.uuid()).await?;
    let grant = Grant {
        grant_id: platform.random.id(),
        app_id: app.app_id,
        person_id,
        open_id,
        created_at: now,
        exchanged_at: None,
        ended_at: None,
        end_cause: None,
    };
    rows::insert(&mut tx, &grant, scopes).await?;
    let expires_at = now + platform.settings.tokens.code.0;
    rows::insert_code(&mut tx, ids::hash(&code), grant.grant_id, redirect_uri, challenge, expires_at).await?;
    let detail = scopes.to_string();
    let about = Entry {
        app: Some(app.app_id),
        person: Some(person_id),
        grant: Some(grant.grant_id),
        ..Entry::new(Actor::Person(person_id), "grant.given")
    };
    Entry { detail: &detail, ..about }.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(code)
}

/// Why a code or refresh token was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Unknown, used, ended, or another app's.
    #[error("The code or refresh token is invalid or was used already. Ask the person to sign in again.")]
    Invalid,
    /// Past its time.
    #[error("Authorization code is expired.")]
    Expired,
    /// Not the one that was sent for the code.
    #[error("Redirect_uri is not matched with the uri when requesting code.")]
    Redirect,
    /// Absent, or not the one of the challenge.
    #[error("Code verifier or code challenge is invalid.")]
    Verifier,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for Refusal {
    fn from(cause: sqlx::Error) -> Self {
        Self::Fault(cause.into())
    }
}

/// Exchanges a code for tokens. A code that was used before ends its grant (RFC 6749 4.1.2). A wrong redirect URI or verifier leaves the
/// code as it was: only who holds both can use it.
pub async fn exchange(
    platform: &Platform,
    app_id: i64,
    code: &str,
    redirect_uri: &str,
    verifier: Option<&str>,
) -> Result<TokenAnswer, Refusal> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let hash = ids::hash(code);
    let seen = rows::code(&mut tx, hash.clone()).await?.filter(|found| found.app_id == app_id).ok_or(Refusal::Invalid)?;
    // Two calls on one grant, and its withdrawal, go one after the other; what the code is now is looked at behind the lock.
    if !touch(&mut tx, seen.grant_id, now).await? {
        return Err(Refusal::Invalid);
    }
    let found = rows::code(&mut tx, hash.clone()).await?.ok_or(Refusal::Invalid)?;
    if found.used_at.is_some() {
        end(platform, &mut tx, Actor::App(app_id), found.grant_id, EndCause::Replay, now).await?;
        tx.commit().await?;
        tracing::warn!(app_id, grant_id = found.grant_id, "a code was used twice: its grant is ended");
        return Err(Refusal::Invalid);
    }
    if found.expires_at <= now {
        return Err(Refusal::Expired);
    }
    if found.redirect_uri != redirect_uri {
        return Err(Refusal::Redirect);
    }
    match (&found.challenge, verifier) {
        (Some(challenge), Some(verifier)) if wire::challenge_matches(challenge, verifier) => {}
        (Some(_), _) => return Err(Refusal::Verifier),
        (None, Some(_)) if platform.settings.tokens.strict_verifier => return Err(Refusal::Verifier),
        (None, _) => {}
    }
    rows::use_code(&mut tx, hash, now).await?;
    rows::exchanged(&mut tx, found.grant_id, now).await?;
    let answer = issue(platform, &mut tx, app_id, found.grant_id, now, now + platform.settings.tokens.refresh()).await?;
    let about = Entry { app: Some(app_id), grant: Some(found.grant_id), ..Entry::new(Actor::App(app_id), "grant.exchanged") };
    about.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    pause::at("exchanged").await;
    Ok(answer)
}

/// Exchanges a refresh token for new tokens; it does not work again, but within the operator's grace gives the same answer. Used
/// later than that, it ends its grant.
pub async fn refresh(platform: &Platform, app_id: i64, token: &str) -> Result<TokenAnswer, Refusal> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let hash = ids::hash(token);
    let found = rows::token(&mut tx, hash.clone()).await?;
    let found = found.filter(|found| found.kind == TokenKind::Refresh && found.app_id == app_id).ok_or(Refusal::Invalid)?;
    let grant_id = found.grant_id.ok_or(Refusal::Invalid)?;
    if found.expires_at <= now || !touch(&mut tx, grant_id, now).await? {
        return Err(Refusal::Invalid);
    }
    if !rows::replace_token(&mut tx, hash.clone(), now).await? {
        // It was replaced before; what that call left tells.
        let found = rows::token(&mut tx, hash).await?.ok_or(Refusal::Invalid)?;
        let grace = platform.settings.tokens.refresh_grace.0;
        if let (Some(replaced_at), Some(sealed)) = (found.replaced_at, &found.successor)
            && now <= replaced_at + grace
        {
            let json = platform.keys.unseal(&successor_purpose(grant_id), sealed).map_err(Fault::from)?;
            return serde_json::from_slice(&json).map_err(|_| Fault::Row("a sealed token answer".into()).into());
        }
        end(platform, &mut tx, Actor::App(app_id), grant_id, EndCause::Replay, now).await?;
        tx.commit().await?;
        tracing::warn!(app_id, grant_id, "a refresh token was used twice: its grant is ended");
        return Err(Refusal::Invalid);
    }
    // The classic refresh token keeps the clock of the consent; that of 2026 starts anew (contract 3.4).
    let until = match platform.settings.tokens.preset {
        Preset::Classic => found.expires_at,
        Preset::November2026 => now + platform.settings.tokens.refresh(),
    };
    let answer = issue(platform, &mut tx, app_id, grant_id, now, until).await?;
    if !platform.settings.tokens.refresh_grace.0.is_zero() {
        let json = serde_json::to_vec(&answer).map_err(|fault| Fault::Row(fault.to_string()))?;
        let sealed = platform.keys.seal(&successor_purpose(grant_id), &json).map_err(Fault::from)?;
        rows::set_successor(&mut tx, hash, sealed).await?;
    }
    tx.commit().await?;
    pause::at("refreshed").await;
    Ok(answer)
}

fn successor_purpose(grant_id: i64) -> String {
    format!("successor {grant_id}")
}

async fn issue(
    platform: &Platform,
    tx: &mut Tx,
    app_id: i64,
    grant_id: i64,
    now: Millis,
    refresh_until: Millis,
) -> Result<TokenAnswer, Fault> {
    let grant = rows::by_id(tx, grant_id).await?.ok_or_else(|| Fault::Row(format!("grant {grant_id} is gone")))?;
    let scope = unspent(tx, grant_id).await?;
    let access_token = platform.random.token(&platform.settings.tokens.prefix("act"));
    let refresh_token = platform.random.token(&platform.settings.tokens.prefix("rft"));
    let access_until = now + platform.settings.tokens.access();
    rows::insert_token(tx, ids::hash(&access_token), TokenKind::Access, app_id, Some(grant_id), now, access_until).await?;
    rows::insert_token(tx, ids::hash(&refresh_token), TokenKind::Refresh, app_id, Some(grant_id), now, refresh_until).await?;
    Ok(TokenAnswer {
        access_token,
        expires_in: seconds(access_until, now),
        open_id: grant.open_id,
        refresh_expires_in: seconds(refresh_until, now),
        refresh_token,
        scope: scope.to_string(),
        token_type: "Bearer".into(),
    })
}

fn seconds(until: Millis, now: Millis) -> i64 {
    i64::try_from(until.since(now).as_secs()).unwrap_or(i64::MAX)
}

/// The scopes of a grant that can still be used.
pub async fn unspent(tx: &mut Tx, grant_id: i64) -> Result<ScopeSet, Fault> {
    Ok(held(tx, grant_id).await?.into_iter().filter(|held| !held.spent).map(|held| held.scope).collect())
}

/// A token for the app itself (contract 3.3).
pub async fn client_token(platform: &Platform, app_id: i64) -> Result<ClientTokenAnswer, Fault> {
    let now = platform.now();
    let token = platform.random.token(&platform.settings.tokens.prefix("clt"));
    // Two hours by either preset.
    let until = now + std::time::Duration::from_secs(7200);
    let mut tx = platform.db.begin().await?;
    rows::insert_token(&mut tx, ids::hash(&token), TokenKind::Client, app_id, None, now, until).await?;
    tx.commit().await?;
    Ok(ClientTokenAnswer { access_token: token, expires_in: seconds(until, now), token_type: "Bearer".into() })
}

/// The app gives a token back: an access or refresh token ends its grant, a client token itself. What is not the app's, or not known, is
/// passed over in silence (RFC 7009 2.2).
pub async fn revoke(platform: &Platform, app_id: i64, token: &str) -> Result<(), Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let hash = ids::hash(token);
    let Some(found) = rows::token(&mut tx, hash.clone()).await?.filter(|found| found.app_id == app_id) else { return Ok(()) };
    match found.grant_id {
        Some(grant_id) => {
            end(platform, &mut tx, Actor::App(app_id), grant_id, EndCause::Developer, now).await?;
        }
        None => rows::delete_token(&mut tx, hash).await?,
    }
    tx.commit().await?;
    Ok(())
}

/// What the holder of an access token may do. A refresh or client token, and one that is unknown, expired or of an ended grant, is nobody's.
pub async fn bearer(platform: &Platform, token: &str, request_type: Option<RequestType>) -> Result<Option<Bearer>, Fault> {
    let mut tx = platform.db.read().await?;
    rows::bearer(&mut tx, ids::hash(token), request_type.unwrap_or(RequestType::Check), platform.now()).await
}

/// The name by which all apps of one owner know a person.
pub async fn union_id(platform: &Platform, app_id: i64, person_id: i64) -> Result<Option<String>, Fault> {
    let mut tx = platform.db.read().await?;
    rows::union_id(&mut tx, app_id, person_id).await
}

/// Whether a live grant of the pair covers every one of the scopes.
pub async fn covered(platform: &Platform, app_id: i64, person_id: i64, scopes: &ScopeSet) -> Result<bool, Fault> {
    let mut tx = platform.db.read().await?;
    for grant in rows::live_of_pair(&mut tx, app_id, person_id).await? {
        let held = unspent(&mut tx, grant).await?;
        if scopes.iter().all(|scope: &Scope| held.contains(scope.as_str())) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The person withdraws: every grant of the pair ends. Gives `false` if there was none.
pub async fn withdraw(platform: &Platform, app_id: i64, person_id: i64) -> Result<bool, Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let ended = end_all(platform, &mut tx, Actor::Person(person_id), app_id, person_id, EndCause::Person, now).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Ends every live grant of a pair, and tells the app once.
pub(crate) async fn end_all(
    platform: &Platform,
    tx: &mut Tx,
    actor: Actor,
    app_id: i64,
    person_id: i64,
    cause: EndCause,
    now: Millis,
) -> Result<bool, Fault> {
    let mut known = None;
    let mut any = false;
    for grant_id in rows::live_of_pair(tx, app_id, person_id).await? {
        if let Some(grant) = close(platform, tx, actor, grant_id, cause, now).await? {
            any = true;
            known = known.or(grant.exchanged_at.is_some().then_some(grant));
        }
    }
    if let Some(grant) = known {
        tell(platform, tx, &grant, cause, now).await?;
    }
    Ok(any)
}

/// Ends one grant, and tells the app.
async fn end(platform: &Platform, tx: &mut Tx, actor: Actor, grant_id: i64, cause: EndCause, now: Millis) -> Result<(), Fault> {
    if let Some(grant) = close(platform, tx, actor, grant_id, cause, now).await?
        && grant.exchanged_at.is_some()
    {
        tell(platform, tx, &grant, cause, now).await?;
    }
    Ok(())
}

/// Ends a grant if it lives: tokens die, open requests are cancelled, archives deleted.
async fn close(
    platform: &Platform,
    tx: &mut Tx,
    actor: Actor,
    grant_id: i64,
    cause: EndCause,
    now: Millis,
) -> Result<Option<Grant>, Fault> {
    if !rows::end(tx, grant_id, cause, now).await? {
        return Ok(None);
    }
    let Some(grant) = rows::by_id(tx, grant_id).await? else { return Ok(None) };
    requests::cancel_of_grant(platform, tx, actor, grant_id, now).await?;
    let about = Entry {
        app: Some(grant.app_id),
        person: Some(grant.person_id),
        grant: Some(grant_id),
        ..Entry::new(actor, "grant.ended")
    };
    Entry { detail: cause.as_str(), ..about }.write(tx, &platform.random, now).await?;
    Ok(Some(grant))
}

async fn tell(platform: &Platform, tx: &mut Tx, grant: &Grant, cause: EndCause, now: Millis) -> Result<(), Fault> {
    let Some(reason) = cause.reason() else { return Ok(()) };
    webhooks::enqueue(platform, tx, grant.app_id, now, |client_key, seconds| {
        wire::Event::authorization_removed(client_key, seconds, &grant.open_id, reason)
    })
    .await
}

/// Ends what a person allowed an app that was deleted, when nobody is left to be told, or revoked: then the app is told, and so is the person, where
/// they can be written to.
pub(crate) async fn end_with_app(
    platform: &Platform,
    tx: &mut Tx,
    app: &App,
    person_id: i64,
    cause: EndCause,
) -> Result<(), Fault> {
    let now = platform.now();
    let ended = end_all(platform, tx, Actor::System, app.app_id, person_id, cause, now).await?;
    if ended
        && cause == EndCause::AppRevoked
        && let Some(email) = people::by_id(tx, person_id).await?.and_then(|person| person.email)
    {
        let notice = Notice::AccessEnded { app: app.name.clone(), path: "/connections".into() };
        notices::send(platform, tx, &email, Some(app.app_id), notice).await?;
    }
    Ok(())
}

/// An app has come to another owner: the people who are connected to it get a name by which that owner's apps know them, unless they have one.
pub(crate) async fn name_for_owner(platform: &Platform, tx: &mut Tx, app_id: i64, owner_id: i64) -> Result<(), Fault> {
    for person_id in rows::nameless(tx, app_id, owner_id).await? {
        rows::pseudonym(tx, "union_id", owner_id, person_id, &platform.random.uuid()).await?;
    }
    Ok(())
}

/// Ends grants whose code ran out without being exchanged, and those whose tokens have all run out.
pub(crate) async fn end_idle(platform: &Platform) -> Result<u64, Fault> {
    let now = platform.now();
    let unexchanged_since = now - platform.settings.tokens.code.0;
    let mut tx = platform.db.read().await?;
    let idle = rows::idle(&mut tx, unexchanged_since, now).await?;
    drop(tx);
    let mut count = 0;
    for grant_id in idle {
        let mut tx = platform.db.begin().await?;
        // Behind the lock the question is asked again: a code may have been exchanged in its last moment.
        if !touch(&mut tx, grant_id, now).await? {
            continue;
        }
        if let Some(exchanged) = rows::is_idle(&mut tx, grant_id, unexchanged_since, now).await? {
            let cause = if exchanged { EndCause::Expired } else { EndCause::Unused };
            end(platform, &mut tx, Actor::System, grant_id, cause, now).await?;
            tx.commit().await?;
            count += 1;
        }
    }
    Ok(count)
}

/// Forgets codes and tokens that are long past, and ended grants that nothing names any more.
pub(crate) async fn forget(platform: &Platform) -> Result<u64, Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let grace = now - platform.settings.tokens.refresh_grace.0;
    let gone = rows::forget(&mut tx, now, grace, now - platform.settings.retention.grants.0).await?;
    tx.commit().await?;
    Ok(gone)
}
