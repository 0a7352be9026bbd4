//! The SQL of freezes.

use super::Freeze;
use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql};

/// `false` if that is frozen already.
pub(super) async fn insert(tx: &mut Tx, freeze: &Freeze, key: &str) -> Result<bool, Fault> {
    let inserted = sql!(
        tx,
        execute,
        "insert into freezes (freeze_id, what, app_id, name, reason, living, made_at, made_by, due_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict do nothing",
        freeze.freeze_id,
        freeze.what,
        freeze.app_id,
        freeze.name.clone(),
        freeze.reason.clone(),
        key.to_owned(),
        freeze.made_at,
        freeze.made_by,
        freeze.due_at,
    )?;
    Ok(inserted == 1)
}

/// The living freeze of a target.
pub(super) async fn living_of(tx: &mut Tx, key: &str) -> Result<Option<i64>, Fault> {
    Ok(sql!(tx, found i64, "select freeze_id from freezes where living = $1", key.to_owned())?)
}

/// The living freeze of an app by itself.
pub async fn of_app(tx: &mut Tx, app_id: i64) -> Result<Option<Freeze>, Fault> {
    Ok(sql!(tx, optional Freeze, "select * from freezes where living = $1", format!("app {app_id}"))?)
}

/// The freeze of that number, lifted ones included.
pub async fn by_id(tx: &mut Tx, freeze_id: i64) -> Result<Option<Freeze>, Fault> {
    Ok(sql!(tx, optional Freeze, "select * from freezes where freeze_id = $1", freeze_id)?)
}

/// Freezes: the living ones, those that wait longest first; or those that were lifted, the latest first, from before a moment on.
pub async fn list(tx: &mut Tx, lifted: bool, before: Millis, limit: i64) -> Result<Vec<Freeze>, Fault> {
    let text = if lifted {
        "select * from freezes where lifted_at < $1 order by lifted_at desc, freeze_id limit $2"
    } else {
        "select * from freezes
         where lifted_at is null and made_at < $1
         order by case when confirmed_at is null then 0 else 1 end, due_at, freeze_id
         limit $2"
    };
    Ok(sql!(tx, all Freeze, text, before, limit)?)
}

/// What every living freeze stops.
pub(super) async fn living(tx: &mut Tx) -> Result<Vec<Freeze>, Fault> {
    Ok(sql!(tx, all Freeze, "select * from freezes where living is not null order by freeze_id")?)
}

pub(super) async fn confirm(tx: &mut Tx, freeze_id: i64, by: Option<i64>, now: Millis) -> Result<bool, Fault> {
    let moved = sql!(
        tx,
        execute,
        "update freezes
         set confirmed_at = $2, confirmed_by = $3
         where freeze_id = $1 and confirmed_at is null and lifted_at is null",
        freeze_id,
        now,
        by,
    )?;
    Ok(moved == 1)
}

pub(super) async fn lift(tx: &mut Tx, freeze_id: i64, by: Option<i64>, why: &str, now: Millis) -> Result<bool, Fault> {
    let moved = sql!(
        tx,
        execute,
        "update freezes
         set lifted_at = $2, lifted_by = $3, lifted_why = $4, living = null
         where freeze_id = $1 and lifted_at is null",
        freeze_id,
        now,
        by,
        why.to_owned(),
    )?;
    Ok(moved == 1)
}

/// Those that nobody looked at in time, and that were not told of since `told`.
pub(super) async fn late(tx: &mut Tx, now: Millis, told: Millis) -> Result<Vec<Freeze>, Fault> {
    Ok(sql!(
        tx,
        all Freeze,
        "select * from freezes
         where living is not null and confirmed_at is null and due_at < $1 and (escalated_at is null or escalated_at <= $2)
         order by due_at, freeze_id
         limit 100",
        now,
        told,
    )?)
}

/// `false` if somebody told of it, or looked at it, in between.
pub(super) async fn escalate(tx: &mut Tx, freeze: &Freeze, now: Millis) -> Result<bool, Fault> {
    let moved = sql!(
        tx,
        execute,
        "update freezes
         set escalated_at = $2
         where freeze_id = $1 and living is not null and confirmed_at is null and coalesce(escalated_at, 0) = $3",
        freeze.freeze_id,
        now,
        freeze.escalated_at.unwrap_or_default(),
    )?;
    Ok(moved == 1)
}

/// How many live, and how many of them nobody has looked at in time.
pub(super) async fn count(tx: &mut Tx, now: Millis) -> Result<(i64, i64), Fault> {
    let living = sql!(tx, value i64, "select count(*) from freezes where living is not null")?;
    let late = sql!(
        tx,
        value i64,
        "select count(*) from freezes where living is not null and confirmed_at is null and due_at < $1",
        now,
    )?;
    Ok((living, late))
}
