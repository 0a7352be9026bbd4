//! Client secrets as their owners see them: each is shown once, several overlap while a program is moved from one to the next.

use std::time::Duration;

use zeroize::Zeroizing;

use super::{new_secret, purpose, rows};
use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::{Fault, Platform};

/// A secret in force, without itself.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct SecretFacts {
    /// Ours.
    pub secret_id: i64,
    /// When it was made.
    pub created_at: Millis,
    /// When it ends; none for the newest.
    pub retires_at: Option<Millis>,
    /// When it was shown.
    pub shown_at: Option<Millis>,
}

/// The secrets of an app that are in force, the newest first.
pub async fn secret_facts(tx: &mut Tx, app_id: i64, now: Millis) -> Result<Vec<SecretFacts>, Fault> {
    Ok(sql!(
        tx,
        all SecretFacts,
        "select secret_id, created_at, retires_at, shown_at
         from app_secrets
         where app_id = $1 and (retires_at is null or retires_at > $2)
         order by created_at desc, secret_id desc",
        app_id,
        now,
    )?)
}

/// Shows a secret, once: none if it was shown before, has ended, or is another app's.
pub async fn reveal_secret(
    platform: &Platform,
    actor: Actor,
    app_id: i64,
    secret_id: i64,
) -> Result<Option<Zeroizing<String>>, Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let sealed = sql!(
        tx,
        found Vec<u8>,
        "update app_secrets
         set shown_at = $3
         where secret_id = $1 and app_id = $2 and shown_at is null and (retires_at is null or retires_at > $3)
         returning sealed",
        secret_id,
        app_id,
        now,
    )?;
    let Some(sealed) = sealed else { return Ok(None) };
    let bytes = platform.keys.unseal(&purpose(secret_id), &sealed)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Fault::Row("a client secret that is not text".into()))?;
    let secret = Zeroizing::new(text.to_owned());
    let entry = Entry { app: Some(app_id), about: Some(secret_id), ..Entry::new(actor, "app.secret_shown") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(Some(secret))
}

/// Why secrets were not changed.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be as things stand.
    #[error("{0}")]
    State(&'static str),
    /// There is no such app.
    #[error("there is no such app")]
    Unknown,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for SecretError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// Secrets of one app that can be in force at once.
const AT_ONCE: usize = 5;

/// Gives an app one more secret, which is still to be shown; the earlier ones go on for `overlap`. A form sent twice rotates once: `newest` is the
/// secret that its page knew as the newest.
pub async fn rotate(platform: &Platform, actor: Actor, app_id: i64, newest: i64, overlap: Duration) -> Result<(), SecretError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    rows::hold(&mut tx, app_id).await?.ok_or(SecretError::Unknown)?;
    let held = secret_facts(&mut tx, app_id, now).await?;
    if held.first().is_some_and(|first| first.secret_id != newest) {
        return Err(SecretError::State("The secret was rotated meanwhile. Look at the newest one before you rotate again."));
    }
    if held.len() >= AT_ONCE {
        return Err(SecretError::State("There are as many secrets as can be in force at once. End one of them first."));
    }
    rows::retire_secrets(&mut tx, app_id, now + overlap).await?;
    // In order even when two are made in the same moment.
    let after = held.first().map_or(now, |first| now.max(first.created_at + Duration::from_millis(1)));
    new_secret(platform, &mut tx, app_id, after).await?;
    let entry = Entry { app: Some(app_id), ..Entry::new(actor, "app.secret_rotated") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends an earlier secret at once. The newest goes on: without it the app could not speak for itself.
pub async fn end_secret(platform: &Platform, actor: Actor, app_id: i64, secret_id: i64) -> Result<(), SecretError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    rows::hold(&mut tx, app_id).await?.ok_or(SecretError::Unknown)?;
    let held = secret_facts(&mut tx, app_id, now).await?;
    if held.first().is_some_and(|first| first.secret_id == secret_id) {
        return Err(SecretError::State("This is the newest secret. Rotate it first, with the earlier ones ending at once."));
    }
    if !held.iter().any(|secret| secret.secret_id == secret_id) {
        return Err(SecretError::State("This secret has ended already."));
    }
    sql!(tx, execute, "update app_secrets set retires_at = $3 where secret_id = $1 and app_id = $2", secret_id, app_id, now,)?;
    let entry = Entry { app: Some(app_id), about: Some(secret_id), ..Entry::new(actor, "app.secret_ended") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(())
}
