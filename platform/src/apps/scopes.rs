//! Portability scopes of an app. A family, such as `portability.activity`, is approved by the decision about an application, or by the operator's own
//! act for an app that the operator made; then the developer switches it on and off. Nothing else writes portability scopes of a developer's app.

use wire::{Scope, ScopeSet};

use super::rows;
use super::{App, OwnerKind};
use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::grants::Held;
use crate::{Fault, Platform};

/// What an app may switch on.
#[derive(Clone, Debug, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct Approval {
    /// Such as `portability.activity`.
    pub family: String,
    /// By which application; none for the operator's own act.
    pub application_id: Option<i64>,
    /// What the developer has to keep to; may be empty.
    pub conditions: String,
    /// When.
    pub approved_at: Millis,
    /// When the approval was taken back.
    pub ended_at: Option<Millis>,
}

/// Why a scope was not switched.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// It was not approved, or the approval has ended.
    #[error("this scope is not approved for the app; apply for it first")]
    NotApproved,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for SwitchError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// The families of the catalogue, in its order.
pub fn families(platform: &Platform) -> Vec<String> {
    let mut families: Vec<String> = Vec::new();
    for category in platform.catalogue.categories() {
        if !families.contains(&category.scope) {
            families.push(category.scope.clone());
        }
    }
    families
}

/// The pair of scopes of a family.
pub fn pair(family: &str) -> String {
    format!("{family}.single,{family}.ongoing")
}

/// The living approvals of an app.
pub async fn approvals(tx: &mut Tx, app_id: i64) -> Result<Vec<Approval>, Fault> {
    Ok(sql!(
        tx,
        all Approval,
        "select family, application_id, conditions, approved_at, ended_at
         from app_approvals
         where app_id = $1 and ended_at is null
         order by family",
        app_id,
    )?)
}

/// Records that an application's decision approves families, with their conditions. Switching them on is the developer's.
pub async fn approve_families(
    tx: &mut Tx,
    platform: &Platform,
    app_id: i64,
    application_id: i64,
    families: &[(String, String)],
) -> Result<(), Fault> {
    for (family, conditions) in families {
        rows::approve(tx, app_id, family, Some(application_id), conditions, platform.now()).await?;
        let entry = Entry {
            app: Some(app_id),
            about: Some(application_id),
            detail: family,
            ..Entry::new(Actor::System, "scope.approved")
        };
        entry.write(tx, &platform.random, platform.now()).await?;
    }
    Ok(())
}

/// Takes approvals back: the scopes go with them, and calls by consents that hold them are refused from then on.
pub async fn withdraw_families(
    tx: &mut Tx,
    platform: &Platform,
    actor: Actor,
    app_id: i64,
    families: &[String],
) -> Result<(), Fault> {
    let now = platform.now();
    for family in families {
        if rows::disapprove(tx, app_id, family, now).await? {
            rows::remove_family(tx, app_id, family).await?;
            let entry = Entry { app: Some(app_id), detail: family, ..Entry::new(actor, "scope.withdrawn") };
            entry.write(tx, &platform.random, now).await?;
        }
    }
    Ok(())
}

/// Switches an approved family on: both of its scopes. Once more changes nothing.
pub async fn switch_on(platform: &Platform, actor: Actor, app_id: i64, family: &str) -> Result<(), SwitchError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    rows::hold(&mut tx, app_id).await?.ok_or(SwitchError::NotApproved)?;
    if !approvals(&mut tx, app_id).await?.iter().any(|approval| approval.family == family) {
        return Err(SwitchError::NotApproved);
    }
    for suffix in ["single", "ongoing"] {
        rows::add_approved_scope(&mut tx, app_id, family, suffix).await?;
    }
    let entry = Entry { app: Some(app_id), detail: family, ..Entry::new(actor, "scope.switched_on") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Switches a family off: nobody is asked for it any more. Consents that were given stay.
pub async fn switch_off(platform: &Platform, actor: Actor, app_id: i64, family: &str) -> Result<(), SwitchError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    rows::hold(&mut tx, app_id).await?.ok_or(SwitchError::NotApproved)?;
    rows::remove_family(&mut tx, app_id, family).await?;
    let entry = Entry { app: Some(app_id), detail: family, ..Entry::new(actor, "scope.switched_off") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(())
}

/// The operator says which scopes an app of the operator's may ask for: that is the approval, and the end of those left out.
pub(super) async fn approve_by_operator(tx: &mut Tx, app: &App, scopes: &ScopeSet, now: Millis) -> Result<(), Fault> {
    let wanted: Vec<&str> = scopes.iter().filter(|scope| scope.is_portability()).map(Scope::family).collect();
    for approval in approvals(tx, app.app_id).await? {
        if !wanted.contains(&approval.family.as_str()) {
            rows::disapprove(tx, app.app_id, &approval.family, now).await?;
        }
    }
    for family in wanted {
        rows::approve(tx, app.app_id, family, None, "", now).await?;
    }
    Ok(())
}

/// Of the scopes that a consent holds, those that the app may use now: a portability scope of a developer's app needs an approval that lives,
/// whatever the app's own list says.
pub(crate) async fn usable(tx: &mut Tx, app_id: i64, held: &[Held]) -> Result<Vec<Held>, Fault> {
    let approved = sql!(
        tx,
        values String,
        "select family from app_approvals where app_id = $1 and ended_at is null
         union all
         select '*' from apps where app_id = $1 and owner_kind = $2",
        app_id,
        OwnerKind::Operator,
    )?;
    let may = |scope: &Scope| !scope.is_portability() || approved.iter().any(|family| family == "*" || family == scope.family());
    Ok(held.iter().filter(|held| may(&held.scope)).cloned().collect())
}
