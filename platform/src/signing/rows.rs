//! The rows of signing keys.

use super::SigningKey;
use crate::db::{Tx, sql};
use crate::{Fault, Millis};

pub(super) async fn all(tx: &mut Tx) -> Result<Vec<SigningKey>, Fault> {
    let sql = "select kid, public_key, sealed, since, until from signing_keys order by case when signs = 1 then 0 else 1 end, since desc, kid";
    Ok(sql!(tx, all SigningKey, sql)?)
}

pub(super) async fn current(tx: &mut Tx) -> Result<Option<SigningKey>, Fault> {
    Ok(sql!(tx, optional SigningKey, "select kid, public_key, sealed, since, until from signing_keys where signs = 1")?)
}

/// Adds a key that signs; false when there is one.
pub(super) async fn add(tx: &mut Tx, key: &SigningKey) -> Result<bool, Fault> {
    let added = sql!(
        tx,
        execute,
        "insert into signing_keys (kid, public_key, sealed, signs, since) values ($1, $2, $3, 1, $4) on conflict do nothing",
        key.kid.clone(),
        key.public_key.clone(),
        key.sealed.clone(),
        key.since
    )?;
    Ok(added == 1)
}

pub(super) async fn retire(tx: &mut Tx, now: Millis) -> Result<(), Fault> {
    sql!(tx, execute, "update signing_keys set signs = null, sealed = null, until = $1 where signs = 1", now)?;
    Ok(())
}

pub(super) async fn reseal(tx: &mut Tx, kid: &str, old: Vec<u8>, new: Vec<u8>) -> Result<(), Fault> {
    sql!(tx, execute, "update signing_keys set sealed = $3 where kid = $1 and sealed = $2", kid.to_owned(), old, new)?;
    Ok(())
}
