//! The SQL of sign-ins that are under way, and of what sessions of staff keep for their end.

use super::Realm;
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::{Fault, Platform, ids};

/// A sign-in that is under way.
#[derive(Debug, sqlx_macros::FromRow)]
pub(super) struct Login {
    pub(super) nonce: String,
    pub(super) verifier_sealed: Vec<u8>,
    pub(super) fresh: bool,
    pub(super) next: String,
}

/// What a verifier is sealed for.
pub(super) fn purpose(state: &str) -> String {
    format!("verifier of {}", hex::encode(ids::hash(state)))
}

pub(super) async fn insert(
    tx: &mut Tx,
    realm: Realm,
    state: &str,
    browser: &str,
    login: &Login,
    now: Millis,
    expires_at: Millis,
) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into provider_logins
           (state_hash, realm, browser_hash, nonce, verifier_sealed, fresh, next, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        ids::hash(state),
        realm,
        ids::hash(browser),
        login.nonce.clone(),
        login.verifier_sealed.clone(),
        login.fresh,
        login.next.clone(),
        now,
        expires_at,
    )?;
    Ok(())
}

/// Uses a sign-in up. The browser stands in the condition: another one's guess does not use it up either.
pub(super) async fn take(tx: &mut Tx, realm: Realm, state: &str, browser: &str, now: Millis) -> Result<Option<Login>, Fault> {
    Ok(sql!(
        tx,
        optional Login,
        "delete from provider_logins
         where state_hash = $1 and realm = $2 and browser_hash = $3 and expires_at > $4
         returning nonce, verifier_sealed, fresh, next",
        ids::hash(state),
        realm,
        ids::hash(browser),
        now,
    )?)
}

fn session_purpose(session: &str) -> String {
    format!("id token of {}", hex::encode(ids::hash(session)))
}

/// Keeps, with a session of staff, what the provider is to be shown at its end.
pub async fn keep_staff_id_token(platform: &Platform, session: &str, id_token: &str) -> Result<(), Fault> {
    let sealed = platform.keys.seal(&session_purpose(session), id_token.as_bytes())?;
    let mut tx = platform.db.begin().await?;
    sql!(tx, execute, "update account_sessions set id_token = $2 where session_hash = $1", ids::hash(session), sealed)?;
    tx.commit().await?;
    Ok(())
}

/// What was kept with a session of staff; to be asked for before the session ends.
pub async fn take_staff_id_token(platform: &Platform, session: &str) -> Result<Option<String>, Fault> {
    let mut tx = platform.db.read().await?;
    let sealed = sql!(
        tx,
        found Vec<u8>,
        "select id_token from account_sessions where session_hash = $1 and id_token is not null",
        ids::hash(session),
    )?;
    // One that no longer opens, after keys were rotated, is no reason to stay signed in.
    let opened = sealed.and_then(|sealed| platform.keys.unseal(&session_purpose(session), &sealed).ok());
    Ok(opened.and_then(|opened| String::from_utf8(opened.to_vec()).ok()))
}
