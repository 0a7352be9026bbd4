//! The SQL of requests and archives. Every move of state is guarded by the states it may come from.

use super::{Request, RequestState};
use crate::Fault;
use crate::apps::AppStatus;
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::grants::Bearer;
use crate::vault::ArchiveRow;

pub(super) struct NewRequest<'a> {
    pub(super) request_id: i64,
    pub(super) bearer: &'a Bearer,
    pub(super) format: &'static str,
    pub(super) categories: String,
    pub(super) category_key: String,
    pub(super) idempotency_key: Option<&'a str>,
    pub(super) since: Option<Millis>,
    pub(super) until: Option<Millis>,
    pub(super) documents: bool,
}

pub(super) async fn insert(tx: &mut Tx, new: NewRequest<'_>, now: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into requests
           (request_id, grant_id, app_id, person_id, format, categories, category_key, status, attempt, applied_at, idempotency_key,
            since_at, until_at, documents)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, $11, $12, $13)",
        new.request_id,
        new.bearer.grant_id,
        new.bearer.app_id,
        new.bearer.person_id,
        new.format,
        new.categories,
        new.category_key,
        RequestState::Queued,
        now,
        new.idempotency_key.map(ToOwned::to_owned),
        new.since,
        new.until,
        new.documents,
    )?;
    Ok(())
}

/// The request of that number.
pub async fn by_id(tx: &mut Tx, request_id: i64) -> Result<Option<Request>, Fault> {
    Ok(sql!(
        tx,
        optional Request,
        "select request_id, grant_id, app_id, person_id, format, categories, status, attempt, applied_at, collecting_at, ready_at,
                expires_at, ended_at, failure, failure_detail, since_at, until_at, documents, progress
         from requests
         where request_id = $1",
        request_id,
    )?)
}

/// The latest requests, of one app or of all.
pub async fn list(tx: &mut Tx, app_id: Option<i64>, before: Millis, limit: i64) -> Result<Vec<Request>, Fault> {
    Ok(sql!(
        tx,
        all Request,
        "select * from requests
         where applied_at < $1 and (app_id = $2 or $2 is null)
         order by applied_at desc, request_id
         limit $3",
        before,
        app_id,
        limit,
    )?)
}

/// The latest requests of one app for one person.
pub async fn latest_of_pair(tx: &mut Tx, app_id: i64, person_id: i64, limit: i64) -> Result<Vec<Request>, Fault> {
    Ok(sql!(
        tx,
        all Request,
        "select * from requests
         where app_id = $1 and person_id = $2
         order by applied_at desc, request_id
         limit $3",
        app_id,
        person_id,
        limit,
    )?)
}

/// Which part of a pair's requests is wanted, the latest first.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Only those in this state as it is stored.
    pub state: Option<RequestState>,
    /// Only those after this one in the list: when it was made, its number.
    pub after: Option<(Millis, i64)>,
    /// So many at most.
    pub limit: i64,
}

/// A page of one app's requests for one person.
pub async fn page_of_pair(tx: &mut Tx, app_id: i64, person_id: i64, page: Page) -> Result<Vec<Request>, Fault> {
    let (at, id) = page.after.unwrap_or((Millis(i64::MAX), 0));
    Ok(sql!(
        tx,
        all Request,
        "select * from requests
         where app_id = $1 and person_id = $2 and (applied_at < $3 or (applied_at = $3 and request_id > $4))
           and (status = $5 or $5 is null)
         order by applied_at desc, request_id
         limit $6",
        app_id,
        person_id,
        at,
        id,
        page.state,
        page.limit,
    )?)
}

/// When an app last downloaded an archive of a person.
pub async fn last_download(tx: &mut Tx, app_id: i64, person_id: i64) -> Result<Option<Millis>, Fault> {
    let at = sql!(
        tx,
        value Option<i64>,
        "select max(at) from audit where person_id = $1 and app_id = $2 and action = 'archive.downloaded'",
        person_id,
        app_id,
    )?;
    Ok(at.map(Millis))
}

pub(super) async fn count_open(tx: &mut Tx, app_id: i64, person_id: i64) -> Result<i64, Fault> {
    let count = sql!(
        tx,
        value i64,
        "select count(*) from requests where app_id = $1 and person_id = $2 and status in ('queued', 'running')",
        app_id,
        person_id,
    )?;
    Ok(count)
}

pub(super) async fn by_idempotency(tx: &mut Tx, grant_id: i64, key: &str) -> Result<Option<(i64, String)>, Fault> {
    Ok(sql!(
        tx,
        optional(i64, String),
        "select request_id, category_key from requests where grant_id = $1 and idempotency_key = $2",
        grant_id,
        key.to_owned(),
    )?)
}

/// The latest identical request that is pending or ready and young enough (`client-rules.md` 31).
pub(super) async fn replayed(
    tx: &mut Tx,
    grant_id: i64,
    category_key: &str,
    since: Millis,
    now: Millis,
) -> Result<Option<i64>, Fault> {
    let row = sql!(
        tx,
        found i64,
        "select request_id
         from requests
         where grant_id = $1 and category_key = $2 and applied_at > $3
           and (status in ('queued', 'running') or (status = 'ready' and expires_at > $4))
         order by applied_at desc
         limit 1",
        grant_id,
        category_key.to_owned(),
        since,
        now,
    )?;
    Ok(row)
}

pub(super) async fn cancellable_of_grant(tx: &mut Tx, grant_id: i64) -> Result<Vec<Request>, Fault> {
    Ok(sql!(
        tx,
        all Request,
        "select * from requests where grant_id = $1 and status in ('queued', 'running', 'ready') order by request_id",
        grant_id,
    )?)
}

/// The states a request may come from, padded by the first to the three places of a guard.
fn guard(to: RequestState) -> [RequestState; 3] {
    let from = to.may_come_from();
    std::array::from_fn(|at| from.get(at).copied().unwrap_or(from[0]))
}

/// Moves a request to an end that needs no further words. `false` if the move is not lawful from where it stands.
pub(super) async fn shift(tx: &mut Tx, request_id: i64, to: RequestState, now: Millis) -> Result<bool, Fault> {
    let [a, b, c] = guard(to);
    let moved = sql!(
        tx,
        execute,
        "update requests set status = $2, ended_at = $3 where request_id = $1 and status in ($4, $5, $6)",
        request_id,
        to,
        now,
        a,
        b,
        c,
    )?;
    Ok(moved == 1)
}

pub(super) async fn begin(tx: &mut Tx, request_id: i64, attempt: i32, now: Millis) -> Result<bool, Fault> {
    let [a, b, c] = guard(RequestState::Running);
    let moved = sql!(
        tx,
        execute,
        "update requests
         set status = $2, attempt = $3, collecting_at = coalesce(collecting_at, $4), progress = null
         where request_id = $1 and attempt < $3 and status in ($5, $6, $7)",
        request_id,
        RequestState::Running,
        attempt,
        now,
        a,
        b,
        c,
    )?;
    Ok(moved == 1)
}

/// What tells how a request stands to what is stopped.
#[derive(sqlx_macros::FromRow)]
pub(super) struct OfApp {
    pub(super) app_id: i64,
    pub(super) app_status: AppStatus,
    pub(super) categories: String,
}

/// A request that waits, if no attempt is named, or that runs in this one.
pub(super) async fn building(tx: &mut Tx, request_id: i64, attempt: Option<i32>) -> Result<Option<OfApp>, Fault> {
    Ok(sql!(
        tx,
        optional OfApp,
        "select requests.app_id, apps.status as app_status, requests.categories
         from requests
         join apps on apps.app_id = requests.app_id
         where request_id = $1 and apps.deleted_at is null
           and (requests.status = 'running' and attempt = $2 or requests.status in ('queued', 'running') and $2 is null)",
        request_id,
        attempt,
    )?)
}

/// A request whose archive there is.
pub(super) async fn readable(tx: &mut Tx, request_id: i64) -> Result<Option<OfApp>, Fault> {
    Ok(sql!(
        tx,
        optional OfApp,
        "select requests.app_id, apps.status as app_status, requests.categories
         from archives
         join requests on requests.request_id = archives.request_id
         join apps on apps.app_id = requests.app_id
         where archives.request_id = $1 and apps.deleted_at is null",
        request_id,
    )?)
}

/// Takes a request that runs back to those that wait; not one in which a later attempt has begun.
pub(super) async fn wait(tx: &mut Tx, request_id: i64, attempt: i32) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update requests set status = 'queued', progress = null where request_id = $1 and attempt <= $2 and status = 'running'",
        request_id,
        attempt,
    )?;
    Ok(())
}

pub(super) async fn tell(tx: &mut Tx, request_id: i64, attempt: i32, told: String) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update requests set progress = $3 where request_id = $1 and attempt = $2 and status = 'running'",
        request_id,
        attempt,
        told,
    )?;
    Ok(())
}

pub(super) async fn finish(
    tx: &mut Tx,
    request_id: i64,
    attempt: i32,
    now: Millis,
    expires_at: Millis,
    told: Option<String>,
) -> Result<bool, Fault> {
    let [a, b, c] = guard(RequestState::Ready);
    let moved = sql!(
        tx,
        execute,
        "update requests
         set status = $2, ready_at = $3, expires_at = $4, progress = coalesce($9, progress)
         where request_id = $1 and attempt = $5 and status in ($6, $7, $8)",
        request_id,
        RequestState::Ready,
        now,
        expires_at,
        attempt,
        a,
        b,
        c,
        told,
    )?;
    Ok(moved == 1)
}

/// An attempt older than the one that runs cannot fail the request.
pub(super) async fn fail(
    tx: &mut Tx,
    request_id: i64,
    attempt: i32,
    reason: &str,
    detail: &str,
    now: Millis,
) -> Result<bool, Fault> {
    let [a, b, c] = guard(RequestState::Failed);
    let moved = sql!(
        tx,
        execute,
        "update requests
         set status = $2, failure = $3, failure_detail = $4, ended_at = $5, attempt = $6
         where request_id = $1 and attempt <= $6 and status in ($7, $8, $9)",
        request_id,
        RequestState::Failed,
        reason.to_owned(),
        detail.to_owned(),
        now,
        attempt,
        a,
        b,
        c,
    )?;
    Ok(moved == 1)
}

/// Takes a failed request back to the queue. One that runs goes there by [`wait`] only: here it would be built twice.
pub(super) async fn requeue(tx: &mut Tx, request_id: i64) -> Result<bool, Fault> {
    let moved = sql!(
        tx,
        execute,
        "update requests
         set status = $2, failure = null, failure_detail = null, ended_at = null
         where request_id = $1 and status = $3",
        request_id,
        RequestState::Queued,
        RequestState::Failed,
    )?;
    Ok(moved == 1)
}

pub(super) async fn expired(tx: &mut Tx, now: Millis) -> Result<Vec<Request>, Fault> {
    Ok(sql!(
        tx,
        all Request,
        "select * from requests where status = 'ready' and expires_at <= $1 order by expires_at limit 200",
        now,
    )?)
}

/// Archives that end before `until` and of which that was not yet told.
pub(super) async fn expiring(tx: &mut Tx, now: Millis, until: Millis) -> Result<Vec<Request>, Fault> {
    Ok(sql!(
        tx,
        all Request,
        "select * from requests
         where status = 'ready' and expires_at > $1 and expires_at <= $2 and not expiring_told
         order by expires_at
         limit 200",
        now,
        until,
    )?)
}

/// Notes that it is told. `false` if it was, or there is nothing to tell any more.
pub(super) async fn expiring_told(tx: &mut Tx, request_id: i64) -> Result<bool, Fault> {
    let changed = sql!(
        tx,
        execute,
        "update requests set expiring_told = true where request_id = $1 and status = 'ready' and not expiring_told",
        request_id,
    )?;
    Ok(changed == 1)
}

pub(super) async fn insert_archive(tx: &mut Tx, archive: &ArchiveRow) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into archives (request_id, attempt, object, sealed_key, size, sha256, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        archive.request_id,
        archive.attempt,
        archive.object.clone(),
        archive.sealed_key.clone(),
        archive.size,
        archive.sha256.clone(),
        archive.created_at,
    )?;
    Ok(())
}

/// What is needed to read the archive of a request.
pub async fn archive_of(tx: &mut Tx, request_id: i64) -> Result<Option<ArchiveRow>, Fault> {
    Ok(sql!(tx, optional ArchiveRow, "select * from archives where request_id = $1", request_id)?)
}

pub(super) async fn delete_archive(tx: &mut Tx, request_id: i64) -> Result<Option<String>, Fault> {
    let row = sql!(tx, found String, "delete from archives where request_id = $1 returning object", request_id)?;
    Ok(row)
}

pub(super) async fn forget(tx: &mut Tx, before: Millis) -> Result<u64, Fault> {
    // A scope that is spent stays spent although the request that spent it is forgotten.
    Ok(sql!(
        tx,
        execute,
        "delete from requests
         where ended_at <= $1 and not exists (select 1 from archives where archives.request_id = requests.request_id)",
        before,
    )?)
}
