//! The SQL of organisations.

use super::{Organisation, Seat};
use crate::Fault;
use crate::db::{Tx, sql};

/// An organisation that was not deleted.
pub async fn by_id(tx: &mut Tx, organisation_id: i64) -> Result<Option<Organisation>, Fault> {
    Ok(sql!(
        tx,
        optional Organisation,
        "select organisation_id, name, created_at
         from organisations
         where organisation_id = $1 and deleted_at is null",
        organisation_id,
    )?)
}

/// How a developer stands to an organisation.
pub async fn seat(tx: &mut Tx, organisation_id: i64, account_id: i64) -> Result<Option<Seat>, Fault> {
    Ok(sql!(
        tx,
        found Seat,
        "select role from members where organisation_id = $1 and account_id = $2",
        organisation_id,
        account_id,
    )?)
}

pub(super) async fn manages(tx: &mut Tx, app_id: i64, account_id: i64) -> Result<bool, Fault> {
    Ok(sql!(
        tx,
        found i64,
        "select app_id from app_managers where app_id = $1 and account_id = $2",
        app_id,
        account_id,
    )?
    .is_some())
}

/// Which app an application is for.
pub async fn app_of_application(tx: &mut Tx, application_id: i64) -> Result<Option<i64>, Fault> {
    Ok(sql!(tx, found i64, "select app_id from applications where application_id = $1", application_id)?)
}
