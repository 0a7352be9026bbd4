//! The SQL of URL properties.

use super::Property;
use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql};

/// The properties of an owner, in their order.
pub async fn list(tx: &mut Tx, owner_id: i64) -> Result<Vec<Property>, Fault> {
    Ok(sql!(
        tx,
        all Property,
        "select * from url_properties where owner_id = $1 order by kind, value",
        owner_id,
    )?)
}

pub(super) async fn by_id(tx: &mut Tx, property_id: i64) -> Result<Option<Property>, Fault> {
    Ok(sql!(tx, optional Property, "select * from url_properties where property_id = $1", property_id)?)
}

pub(super) async fn count(tx: &mut Tx, owner_id: i64) -> Result<i64, Fault> {
    Ok(sql!(tx, value i64, "select count(*) from url_properties where owner_id = $1", owner_id)?)
}

/// `false` if the owner has it already.
pub(super) async fn insert(tx: &mut Tx, property: &Property) -> Result<bool, Fault> {
    let inserted = sql!(
        tx,
        execute,
        "insert into url_properties (property_id, owner_id, kind, value, token, created_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict do nothing",
        property.property_id,
        property.owner_id,
        property.kind,
        property.value.clone(),
        property.token.clone(),
        property.created_at,
    )?;
    Ok(inserted == 1)
}

/// Writes down what a look has found; a proof that was given stays.
pub(super) async fn checked(
    tx: &mut Tx,
    property_id: i64,
    now: Millis,
    problem: Option<String>,
) -> Result<Option<Property>, Fault> {
    Ok(sql!(
        tx,
        optional Property,
        "update url_properties
         set checked_at = $2,
             problem = $3,
             verified_at = case when $4 then coalesce(verified_at, $2) else verified_at end
         where property_id = $1
         returning *",
        property_id,
        now,
        problem.clone(),
        problem.is_none(),
    )?)
}

pub(super) async fn delete(tx: &mut Tx, owner_id: i64, property_id: i64) -> Result<Option<Property>, Fault> {
    Ok(sql!(
        tx,
        optional Property,
        "delete from url_properties where property_id = $1 and owner_id = $2 returning *",
        property_id,
        owner_id,
    )?)
}
