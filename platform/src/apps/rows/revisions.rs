//! The SQL of revisions.

use crate::Fault;
use crate::apps::revisions::review_may_move_from;
use crate::apps::{App, AppStatus, Revision, RevisionState};
use crate::clock::Millis;
use crate::db::{Tx, sql};

pub(in crate::apps) async fn insert(tx: &mut Tx, new: &Revision) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into app_revisions
           (revision_id, app_id, number, state, details, explanation, version, created_by, created_at, updated_at, reasons)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '[]')",
        new.revision_id,
        new.app_id,
        new.number,
        new.state,
        new.details.to_json(),
        new.explanation.clone(),
        new.version,
        new.created_by,
        new.created_at,
        new.updated_at,
    )?;
    Ok(())
}

/// Writes a draft. `false` if it is one no longer.
pub(in crate::apps) async fn write(tx: &mut Tx, draft: &Revision) -> Result<bool, Fault> {
    let written = sql!(
        tx,
        execute,
        "update app_revisions
         set details = $2, explanation = $3, version = $4, updated_at = $5
         where revision_id = $1 and state = 'draft'",
        draft.revision_id,
        draft.details.to_json(),
        draft.explanation.clone(),
        draft.version,
        draft.updated_at,
    )?;
    Ok(written == 1)
}

pub(in crate::apps) async fn by_id(tx: &mut Tx, revision_id: i64) -> Result<Option<Revision>, Fault> {
    Ok(sql!(tx, optional Revision, "select * from app_revisions where revision_id = $1", revision_id)?)
}

pub(in crate::apps) async fn newest(tx: &mut Tx, app_id: i64) -> Result<Option<Revision>, Fault> {
    Ok(sql!(
        tx,
        optional Revision,
        "select * from app_revisions where app_id = $1 order by number desc limit 1",
        app_id,
    )?)
}

pub(in crate::apps) async fn of_app(tx: &mut Tx, app_id: i64) -> Result<Vec<Revision>, Fault> {
    Ok(sql!(tx, all Revision, "select * from app_revisions where app_id = $1 order by number desc limit 200", app_id)?)
}

pub(in crate::apps) async fn approved(tx: &mut Tx, app_id: i64) -> Result<Option<Revision>, Fault> {
    Ok(sql!(
        tx,
        optional Revision,
        "select * from app_revisions where app_id = $1 and state = 'approved' order by number desc limit 1",
        app_id,
    )?)
}

/// Whether a revision of an app, or the app itself, names a file.
pub(in crate::apps) async fn names_upload(tx: &mut Tx, app_id: i64, upload_id: i64) -> Result<bool, Fault> {
    // Ids are numbers of 53 random bits: nothing else in the text reads like one.
    let found = sql!(
        tx,
        found i64,
        "select app_id from apps where app_id = $1 and icon_upload = $2
         union
         select app_id from app_revisions where app_id = $1 and details like $3",
        app_id,
        upload_id,
        format!("%{upload_id}%"),
    )?;
    Ok(found.is_some())
}

/// The states a revision may come from, padded by the first to the two places of a guard.
fn guard(to: RevisionState) -> [&'static str; 2] {
    let from = to.may_come_from();
    std::array::from_fn(|at| from.get(at).or(from.first()).map_or("", |state| state.as_str()))
}

/// A draft goes to review. `false` if the move is not lawful from where it stands.
pub(in crate::apps) async fn submit(tx: &mut Tx, revision: &Revision) -> Result<bool, Fault> {
    let [a, b] = guard(RevisionState::InReview);
    let moved = sql!(
        tx,
        execute,
        "update app_revisions
         set state = $2, explanation = $3, version = $4, updated_at = $5, submitted_at = $5, submitted_by = $6, due_at = $7
         where revision_id = $1 and state in ($8, $9)",
        revision.revision_id,
        RevisionState::InReview,
        revision.explanation.clone(),
        revision.version,
        revision.updated_at,
        revision.submitted_by,
        revision.due_at,
        a,
        b,
    )?;
    Ok(moved == 1)
}

/// What was in review comes to its end. `false` if the move is not lawful from where it stands, or it was changed meanwhile.
pub(in crate::apps) async fn close(
    tx: &mut Tx,
    revision_id: i64,
    version: i64,
    to: RevisionState,
    by: Option<i64>,
    reasons: String,
    now: Millis,
) -> Result<bool, Fault> {
    let [a, b] = guard(to);
    let moved = sql!(
        tx,
        execute,
        "update app_revisions
         set state = $3, reasons = $4, decided_by = $5, decided_at = $6, updated_at = $7, version = version + 1
         where revision_id = $1 and version = $2 and state in ($8, $9)",
        revision_id,
        version,
        to,
        reasons,
        by,
        by.map(|_| now),
        now,
        a,
        b,
    )?;
    Ok(moved == 1)
}

/// Moves an app's status by its review. `false` if the move is not lawful from where it stands.
pub(in crate::apps) async fn move_app(tx: &mut Tx, app_id: i64, to: AppStatus, now: Millis) -> Result<bool, Fault> {
    let from = review_may_move_from(to);
    let [a, b]: [&'static str; 2] = std::array::from_fn(|at| from.get(at).or(from.first()).map_or("", |status| status.as_str()));
    let moved = sql!(
        tx,
        execute,
        "update apps set status = $2, updated_at = $3 where app_id = $1 and deleted_at is null and status in ($4, $5)",
        app_id,
        to,
        now,
        a,
        b,
    )?;
    Ok(moved == 1)
}

/// Whether a member of staff works on an app themselves: as a developer with the same address who owns it, is a member of the organisation that does, or
/// has submitted a version of it.
pub(in crate::apps) async fn is_of_staff(tx: &mut Tx, app: &App, account_id: i64) -> Result<bool, Fault> {
    let own = sql!(
        tx,
        found i64,
        "select developer.account_id
         from accounts staff
         join accounts developer on developer.kind = 'developer' and developer.email = staff.email
         where staff.account_id = $3
           and (developer.account_id = $2
             or exists (select 1 from members m where m.organisation_id = $2 and m.account_id = developer.account_id)
             or exists (select 1 from app_revisions r where r.app_id = $1 and r.submitted_by = developer.account_id))",
        app.app_id,
        app.owner_id,
        account_id,
    )?;
    Ok(own.is_some())
}

pub(in crate::apps) async fn assign(tx: &mut Tx, revision_id: i64, to: Option<i64>) -> Result<bool, Fault> {
    let assigned = sql!(
        tx,
        execute,
        "update app_revisions set assigned_to = $2 where revision_id = $1 and state = 'in_review'",
        revision_id,
        to,
    )?;
    Ok(assigned == 1)
}

/// A review whose limit has passed.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub(in crate::apps) struct Overdue {
    pub(in crate::apps) revision_id: i64,
    pub(in crate::apps) app_id: i64,
}

/// What is in review beyond its limit and was not told of, the oldest first.
pub(in crate::apps) async fn overdue(tx: &mut Tx, now: Millis, limit: i64) -> Result<Vec<Overdue>, Fault> {
    Ok(sql!(
        tx,
        all Overdue,
        "select r.revision_id, r.app_id
         from app_revisions r
         join apps on apps.app_id = r.app_id
         where r.state = 'in_review' and r.escalated_at is null and r.due_at < $1 and apps.deleted_at is null
         order by r.due_at, r.revision_id
         limit $2",
        now,
        limit,
    )?)
}

/// Says that the missed limit is told of; `false` if it was decided about meanwhile, or somebody else told. What was read of it before stays as it
/// was: whoever is deciding is not held up.
pub(in crate::apps) async fn escalate(tx: &mut Tx, revision_id: i64, now: Millis) -> Result<bool, Fault> {
    let told = sql!(
        tx,
        execute,
        "update app_revisions
         set escalated_at = $2
         where revision_id = $1 and state = 'in_review' and escalated_at is null and due_at < $2",
        revision_id,
        now,
    )?;
    Ok(told == 1)
}

/// One line of the queue.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Queued {
    /// Which revision.
    pub revision_id: i64,
    /// Of which app.
    pub app_id: i64,
    /// Counted from 1.
    pub number: i32,
    /// Where it stands.
    pub state: RevisionState,
    /// When it went to review.
    pub submitted_at: Option<Millis>,
    /// By when it is to be decided.
    pub due_at: Option<Millis>,
    /// When it was decided.
    pub decided_at: Option<Millis>,
    /// Who reviews it.
    pub assigned_to: Option<i64>,
    /// Their name.
    pub reviewer: Option<String>,
    /// The app's name in force.
    pub app_name: String,
    /// The app's key.
    pub client_key: String,
    /// The name of the organisation or the developer.
    pub owner: Option<String>,
}

/// The revisions in review, by due date, from one on. `assigned` is nobody's, somebody's, or anybody's; `words` is looked for in names and keys.
pub(in crate::apps) async fn queue(
    tx: &mut Tx,
    assigned: Option<Option<i64>>,
    words: &str,
    after: (Millis, i64),
    limit: i64,
) -> Result<Vec<Queued>, Fault> {
    let (any, nobody, whose) = match assigned {
        None => (1i64, 0i64, 0i64),
        Some(None) => (0, 1, 0),
        Some(Some(account_id)) => (0, 0, account_id),
    };
    let pattern = pattern(words);
    Ok(sql!(
        tx,
        all Queued,
        "select r.revision_id, r.app_id, r.number, r.state, r.submitted_at, r.due_at, r.decided_at, r.assigned_to,
                staff.name as reviewer, apps.name as app_name, apps.client_key,
                coalesce(organisations.name, developers.name) as owner
         from app_revisions r
         join apps on apps.app_id = r.app_id
         left join accounts staff on staff.account_id = r.assigned_to
         left join organisations on organisations.organisation_id = apps.owner_id and apps.owner_kind = 'organisation'
         left join accounts developers on developers.account_id = apps.owner_id and apps.owner_kind = 'account'
         where r.state = 'in_review' and apps.deleted_at is null
           and (r.due_at > $1 or (r.due_at = $1 and r.revision_id > $2))
           and ($3 = 1 or ($4 = 1 and r.assigned_to is null) or ($5 <> 0 and r.assigned_to = $5))
           and ($6 = '%%' or lower(apps.name) like $6 escape '!' or lower(coalesce(organisations.name, developers.name, '')) like $6 escape '!'
                or apps.client_key like $6 escape '!' or cast(apps.app_id as text) like $6 escape '!')
         order by r.due_at, r.revision_id
         limit $7",
        after.0,
        after.1,
        any,
        nobody,
        whose,
        pattern,
        limit,
    )?)
}

/// The latest decisions about revisions, the newest first, from one on.
pub(in crate::apps) async fn decided(tx: &mut Tx, words: &str, before: (Millis, i64), limit: i64) -> Result<Vec<Queued>, Fault> {
    let pattern = pattern(words);
    Ok(sql!(
        tx,
        all Queued,
        "select r.revision_id, r.app_id, r.number, r.state, r.submitted_at, r.due_at, r.decided_at, r.assigned_to,
                staff.name as reviewer, apps.name as app_name, apps.client_key,
                coalesce(organisations.name, developers.name) as owner
         from app_revisions r
         join apps on apps.app_id = r.app_id
         left join accounts staff on staff.account_id = r.decided_by
         left join organisations on organisations.organisation_id = apps.owner_id and apps.owner_kind = 'organisation'
         left join accounts developers on developers.account_id = apps.owner_id and apps.owner_kind = 'account'
         where r.decided_at is not null
           and (r.decided_at < $1 or (r.decided_at = $1 and r.revision_id < $2))
           and ($3 = '%%' or lower(apps.name) like $3 escape '!' or lower(coalesce(organisations.name, developers.name, '')) like $3 escape '!'
                or apps.client_key like $3 escape '!' or cast(apps.app_id as text) like $3 escape '!')
         order by r.decided_at desc, r.revision_id desc
         limit $4",
        before.0,
        before.1,
        pattern,
        limit,
    )?)
}

/// How many are in review, and how many of them are late.
pub(in crate::apps) async fn load(tx: &mut Tx, now: Millis) -> Result<(i64, i64), Fault> {
    Ok(sql!(
        tx,
        one(i64, i64),
        "select count(*), count(case when r.due_at < $1 then 1 end)
         from app_revisions r
         join apps on apps.app_id = r.app_id
         where r.state = 'in_review' and apps.deleted_at is null",
        now,
    )?)
}

/// What is typed to find something, as a pattern: it stands for itself.
fn pattern(words: &str) -> String {
    let mut pattern = String::from("%");
    for c in words.trim().to_lowercase().chars().filter(|c| *c != '\0').take(100) {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
