//! The SQL of apps.

pub(super) mod revisions;

use wire::{Scope, ScopeSet};

use super::{App, OwnerKind, RedirectUri};
use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::quotas::RequestType;

#[derive(sqlx_macros::FromRow)]
pub(super) struct SecretRow {
    pub(super) secret_id: i64,
    pub(super) sealed: Vec<u8>,
}

/// The app of a client key.
pub async fn by_client_key(tx: &mut Tx, client_key: &str) -> Result<Option<App>, Fault> {
    // No key holds a NUL, and PostgreSQL would call it a fault.
    if client_key.contains('\0') {
        return Ok(None);
    }
    Ok(sql!(tx, optional App, "select * from apps where client_key = $1 and deleted_at is null", client_key.to_owned())?)
}

/// The app with that id.
pub async fn by_id(tx: &mut Tx, app_id: i64) -> Result<Option<App>, Fault> {
    Ok(sql!(tx, optional App, "select * from apps where app_id = $1", app_id)?)
}

/// Apps by client key, from `after` on.
pub async fn list(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<App>, Fault> {
    Ok(sql!(tx, all App, "select * from apps where client_key > $1 order by client_key limit $2", after.to_owned(), limit)?)
}

pub(super) async fn insert(tx: &mut Tx, app: &App) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into apps
           (app_id, client_key, owner_id, name, description, icon_url, terms_url, privacy_url, status, webhook_url, require_pkce,
            created_at, updated_at, owner_kind, products, category, platforms, icon_upload)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        app.app_id,
        app.client_key.clone(),
        app.owner_id,
        app.name.clone(),
        app.description.clone(),
        app.icon_url.clone(),
        app.terms_url.clone(),
        app.privacy_url.clone(),
        app.status,
        app.webhook_url.clone(),
        app.require_pkce,
        app.created_at,
        app.updated_at,
        app.owner_kind,
        app.products.clone(),
        app.category.clone(),
        app.platforms.clone(),
        app.icon_upload,
    )?;
    Ok(())
}

pub(super) async fn update(tx: &mut Tx, app: &App) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update apps
         set name = $2, description = $3, icon_url = $4, terms_url = $5, privacy_url = $6, status = $7, webhook_url = $8,
             require_pkce = $9, updated_at = $10, products = $11, category = $12, platforms = $13, icon_upload = $14
         where app_id = $1",
        app.app_id,
        app.name.clone(),
        app.description.clone(),
        app.icon_url.clone(),
        app.terms_url.clone(),
        app.privacy_url.clone(),
        app.status,
        app.webhook_url.clone(),
        app.require_pkce,
        app.updated_at,
        app.products.clone(),
        app.category.clone(),
        app.platforms.clone(),
        app.icon_upload,
    )?;
    Ok(())
}

pub(super) async fn replace_lists(
    tx: &mut Tx,
    app_id: i64,
    redirects: Option<&[RedirectUri]>,
    scopes: Option<&ScopeSet>,
) -> Result<(), Fault> {
    if let Some(redirects) = redirects {
        sql!(tx, execute, "delete from app_redirects where app_id = $1", app_id)?;
        for uri in redirects {
            let uri = uri.as_str().to_owned();
            sql!(tx, execute, "insert into app_redirects (app_id, uri) values ($1, $2) on conflict do nothing", app_id, uri)?;
        }
    }
    if let Some(scopes) = scopes {
        sql!(tx, execute, "delete from app_scopes where app_id = $1", app_id)?;
        for scope in scopes.iter() {
            sql!(tx, execute, "insert into app_scopes (app_id, scope) values ($1, $2)", app_id, scope.as_str().to_owned())?;
        }
    }
    Ok(())
}

/// The redirect URIs of an app.
pub async fn redirects(tx: &mut Tx, app_id: i64) -> Result<Vec<RedirectUri>, Fault> {
    let rows = sql!(tx, values String, "select uri from app_redirects where app_id = $1 order by uri", app_id)?;
    rows.into_iter().map(|uri| RedirectUri::parse(&uri).map_err(|_| Fault::Row("a redirect URI".into()))).collect()
}

/// The scopes an app may ask for. A portability scope of a developer's app counts only while its approval lives, whoever wrote it there.
pub async fn scopes(tx: &mut Tx, app_id: i64) -> Result<ScopeSet, Fault> {
    let rows = sql!(
        tx,
        values String,
        "select scope
         from app_scopes
         join apps on apps.app_id = app_scopes.app_id
         where app_scopes.app_id = $1
           and (apps.owner_kind = 'operator'
                or not (scope like '%.single' or scope like '%.ongoing')
                or exists (select 1 from app_approvals
                           where app_approvals.app_id = app_scopes.app_id and ended_at is null
                             and scope in (family || '.single', family || '.ongoing')))
         order by scope",
        app_id,
    )?;
    rows.into_iter().map(|scope| Scope::parse(&scope).map_err(|_| Fault::Row("a scope".into()))).collect()
}

/// Replaces the scopes of user info; portability scopes stay.
pub(super) async fn replace_login_scopes(tx: &mut Tx, app_id: i64, scopes: &[Scope]) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "delete from app_scopes where app_id = $1 and not (scope like '%.single' or scope like '%.ongoing')",
        app_id,
    )?;
    for scope in scopes.iter().filter(|scope| !scope.is_portability()) {
        let scope = scope.as_str().to_owned();
        sql!(tx, execute, "insert into app_scopes (app_id, scope) values ($1, $2) on conflict do nothing", app_id, scope)?;
    }
    Ok(())
}

/// The product is gone, and its scopes with it.
pub(super) async fn remove_portability_scopes(tx: &mut Tx, app_id: i64) -> Result<(), Fault> {
    sql!(tx, execute, "delete from app_scopes where app_id = $1 and (scope like '%.single' or scope like '%.ongoing')", app_id)?;
    Ok(())
}

pub(super) async fn remove_family(tx: &mut Tx, app_id: i64, family: &str) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "delete from app_scopes where app_id = $1 and scope in ($2, $3)",
        app_id,
        format!("{family}.single"),
        format!("{family}.ongoing"),
    )?;
    Ok(())
}

/// Adds a scope of a family whose approval lives; of any other nothing.
pub(super) async fn add_approved_scope(tx: &mut Tx, app_id: i64, family: &str, kind: &'static str) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into app_scopes (app_id, scope)
         select app_id, family || $3 from app_approvals where app_id = $1 and family = $2 and ended_at is null
         on conflict do nothing",
        app_id,
        family.to_owned(),
        format!(".{kind}"),
    )?;
    Ok(())
}

/// Records an approval, in place of an earlier one of the family.
pub(super) async fn approve(
    tx: &mut Tx,
    app_id: i64,
    family: &str,
    application_id: Option<i64>,
    conditions: &str,
    now: Millis,
) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into app_approvals (app_id, family, application_id, conditions, approved_at) values ($1, $2, $3, $4, $5)
         on conflict (app_id, family) do update
         set application_id = excluded.application_id, conditions = excluded.conditions, approved_at = excluded.approved_at,
             ended_at = null",
        app_id,
        family.to_owned(),
        application_id,
        conditions.to_owned(),
        now,
    )?;
    Ok(())
}

/// Ends an approval. `false` if none lives.
pub(super) async fn disapprove(tx: &mut Tx, app_id: i64, family: &str, now: Millis) -> Result<bool, Fault> {
    let ended = sql!(
        tx,
        execute,
        "update app_approvals set ended_at = $3 where app_id = $1 and family = $2 and ended_at is null",
        app_id,
        family.to_owned(),
        now,
    )?;
    Ok(ended == 1)
}

/// Locks an app for the rest of the transaction: two acts on one app go one after the other. None if it was deleted.
pub(super) async fn hold(tx: &mut Tx, app_id: i64) -> Result<Option<App>, Fault> {
    Ok(sql!(
        tx,
        optional App,
        "update apps set updated_at = updated_at where app_id = $1 and deleted_at is null returning *",
        app_id,
    )?)
}

pub(super) async fn count_of_owner(tx: &mut Tx, kind: OwnerKind, owner_id: i64) -> Result<i64, Fault> {
    Ok(sql!(
        tx,
        value i64,
        "select count(*) from apps where owner_id = $1 and owner_kind = $2 and deleted_at is null",
        owner_id,
        kind,
    )?)
}

/// The apps of an owner that were not deleted, the newest first.
pub async fn of_owner(tx: &mut Tx, kind: OwnerKind, owner_id: i64) -> Result<Vec<App>, Fault> {
    Ok(sql!(
        tx,
        all App,
        "select * from apps where owner_id = $1 and owner_kind = $2 and deleted_at is null order by created_at desc, app_id",
        owner_id,
        kind,
    )?)
}

/// The apps of an organisation that somebody manages, the newest first.
pub async fn managed_by(tx: &mut Tx, account_id: i64, organisation_id: i64) -> Result<Vec<App>, Fault> {
    Ok(sql!(
        tx,
        all App,
        "select apps.*
         from apps
         join app_managers on app_managers.app_id = apps.app_id
         where account_id = $1 and owner_id = $2 and owner_kind = 'organisation' and deleted_at is null
         order by created_at desc, apps.app_id",
        account_id,
        organisation_id,
    )?)
}

/// The addresses of those who work on an app and can sign in: its owner, the admins of its organisation, and its managers.
pub async fn people_of(tx: &mut Tx, app: &App) -> Result<Vec<String>, Fault> {
    Ok(sql!(
        tx,
        values String,
        "select email
         from accounts
         where kind = 'developer' and disabled_at is null
           and ($2 = 'account' and account_id = $3
                or $2 = 'organisation'
                   and (exists (select 1 from members
                                where members.account_id = accounts.account_id and organisation_id = $3 and role in ('owner', 'admin'))
                        or exists (select 1 from app_managers
                                   where app_managers.account_id = accounts.account_id and app_id = $1)))
         order by email",
        app.app_id,
        app.owner_kind,
        app.owner_id,
    )?)
}

pub(super) async fn insert_secret(tx: &mut Tx, secret_id: i64, app_id: i64, sealed: Vec<u8>, now: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into app_secrets (secret_id, app_id, sealed, created_at) values ($1, $2, $3, $4)",
        secret_id,
        app_id,
        sealed,
        now,
    )?;
    Ok(())
}

/// Ends secrets at a time, unless they end sooner.
pub(super) async fn retire_secrets(tx: &mut Tx, app_id: i64, at: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update app_secrets set retires_at = $2 where app_id = $1 and (retires_at is null or retires_at > $2)",
        app_id,
        at,
    )?;
    Ok(())
}

pub(super) async fn secrets(tx: &mut Tx, app_id: i64, now: Millis) -> Result<Vec<SecretRow>, Fault> {
    Ok(sql!(
        tx,
        all SecretRow,
        "select secret_id, sealed
         from app_secrets
         where app_id = $1 and (retires_at is null or retires_at > $2)
         order by created_at, secret_id",
        app_id,
        now,
    )?)
}

pub(super) async fn all_secrets(tx: &mut Tx) -> Result<Vec<SecretRow>, Fault> {
    Ok(sql!(tx, all SecretRow, "select secret_id, sealed from app_secrets")?)
}

pub(super) async fn set_sealed(tx: &mut Tx, secret_id: i64, sealed: Vec<u8>) -> Result<(), Fault> {
    sql!(tx, execute, "update app_secrets set sealed = $2 where secret_id = $1", secret_id, sealed)?;
    Ok(())
}

pub(super) async fn set_override(
    tx: &mut Tx,
    app_id: i64,
    request_type: RequestType,
    per_minute: Option<u32>,
) -> Result<(), Fault> {
    sql!(tx, execute, "delete from quota_overrides where app_id = $1 and request_type = $2", app_id, request_type)?;
    if let Some(limit) = per_minute {
        sql!(
            tx,
            execute,
            "insert into quota_overrides (app_id, request_type, per_minute) values ($1, $2, $3)",
            app_id,
            request_type,
            i64::from(limit),
        )?;
    }
    Ok(())
}

/// The quotas of an app that are not the operator's default.
pub async fn overrides(tx: &mut Tx, app_id: i64) -> Result<Vec<(RequestType, i64)>, Fault> {
    Ok(sql!(
        tx,
        all(RequestType, i64),
        "select request_type, per_minute from quota_overrides where app_id = $1 order by request_type",
        app_id,
    )?)
}
