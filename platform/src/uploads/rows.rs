//! The SQL of uploads.

use super::{Purpose, Upload};
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::{Fault, Platform, vault};

/// A file by its number.
pub async fn by_id(tx: &mut Tx, upload_id: i64) -> Result<Option<Upload>, Fault> {
    Ok(sql!(tx, optional Upload, "select * from uploads where upload_id = $1", upload_id)?)
}

/// What an app has handed in as something, the newest first.
pub async fn of_app(tx: &mut Tx, app_id: i64, purpose: Purpose) -> Result<Vec<Upload>, Fault> {
    Ok(sql!(
        tx,
        all Upload,
        "select * from uploads
         where app_id = $1 and purpose = $2
         order by created_at desc, upload_id
         limit 100",
        app_id,
        purpose,
    )?)
}

/// Keeps a file from being swept: something names it. False if it is not there (any longer).
pub async fn keep(tx: &mut Tx, upload_id: i64) -> Result<bool, Fault> {
    Ok(sql!(tx, execute, "update uploads set kept_at = created_at where upload_id = $1", upload_id)? == 1)
}

/// Nothing names a file any longer; it is swept when it is old enough.
pub async fn release(tx: &mut Tx, upload_id: i64) -> Result<(), Fault> {
    sql!(tx, execute, "update uploads set kept_at = null where upload_id = $1", upload_id)?;
    Ok(())
}

pub(super) async fn insert(tx: &mut Tx, upload: &Upload) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into uploads
           (upload_id, owner_id, account_id, app_id, purpose, name, media_type, size, sha256, object, sealed_key, facts, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        upload.upload_id,
        upload.owner_id,
        upload.account_id,
        upload.app_id,
        upload.purpose,
        upload.name.clone(),
        upload.media_type.clone(),
        upload.size,
        upload.sha256.clone(),
        upload.object.clone(),
        upload.sealed_key.clone(),
        upload.facts.clone(),
        upload.created_at,
    )?;
    Ok(())
}

/// How many files of an account, or of an owner's mailed links, nothing names.
pub(super) async fn count_loose(platform: &Platform, account_id: Option<i64>, owner_id: i64) -> Result<i64, Fault> {
    let mut tx = platform.db.read().await?;
    Ok(match account_id {
        Some(account_id) => {
            sql!(tx, value i64, "select count(*) from uploads where kept_at is null and account_id = $1", account_id)?
        }
        None => sql!(
            tx,
            value i64,
            "select count(*) from uploads where kept_at is null and account_id is null and owner_id = $1",
            owner_id,
        )?,
    })
}

/// How many bytes an account, or an owner's mailed links, handed in since a time, whatever became of them.
pub(super) async fn bytes_since(
    platform: &Platform,
    account_id: Option<i64>,
    owner_id: i64,
    since: Millis,
) -> Result<i64, Fault> {
    let mut tx = platform.db.read().await?;
    Ok(match account_id {
        Some(account_id) => sql!(
            tx,
            value i64,
            "select cast(coalesce(sum(size), 0) as bigint) from uploads where account_id = $1 and created_at > $2",
            account_id,
            since,
        )?,
        None => sql!(
            tx,
            value i64,
            "select cast(coalesce(sum(size), 0) as bigint)
             from uploads
             where account_id is null and owner_id = $1 and created_at > $2",
            owner_id,
            since,
        )?,
    })
}

/// Deletes rows that nothing names; gives their objects.
pub(super) async fn loose(platform: &Platform, before: Millis) -> Result<Vec<String>, Fault> {
    let mut tx = platform.db.begin().await?;
    let objects = sql!(
        tx,
        values String,
        "delete from uploads
         where upload_id in
           (select upload_id from uploads where kept_at is null and created_at <= $1 order by created_at limit 200)
           and kept_at is null
         returning object",
        before,
    )?;
    tx.commit().await?;
    Ok(objects)
}

pub(super) async fn is_named(platform: &Platform, object: &str) -> Result<bool, Fault> {
    let mut tx = platform.db.read().await?;
    Ok(sql!(tx, found i64, "select upload_id from uploads where object = $1", object.to_owned())?.is_some())
}

#[derive(sqlx_macros::FromRow)]
struct SealedRow {
    upload_id: i64,
    object: String,
    sealed_key: Vec<u8>,
}

pub(super) async fn reseal(platform: &Platform) -> Result<u64, Fault> {
    let mut tx = platform.db.begin().await?;
    let mut done = 0;
    for row in sql!(tx, all SealedRow, "select upload_id, object, sealed_key from uploads")? {
        if !platform.keys.is_current(&row.sealed_key) {
            let sealed = vault::reseal_key(platform, &row.object, &row.sealed_key)?;
            sql!(tx, execute, "update uploads set sealed_key = $2 where upload_id = $1", row.upload_id, sealed)?;
            done += 1;
        }
    }
    tx.commit().await?;
    Ok(done)
}
