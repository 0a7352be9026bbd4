//! The SQL of the audit record.

use super::chain::Head;
use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql};

/// An entry as it lies in the store.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub(super) struct Row {
    pub(super) audit_id: i64,
    pub(super) at: Millis,
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) app_id: Option<i64>,
    pub(super) person_id: Option<i64>,
    pub(super) grant_id: Option<i64>,
    pub(super) request_id: Option<i64>,
    pub(super) about_id: Option<i64>,
    pub(super) detail: String,
    pub(super) detail_hash: Option<Vec<u8>>,
    pub(super) position: Option<i64>,
    pub(super) chain: Option<Vec<u8>>,
    /// What is kept aside, unless it was erased.
    pub(super) salt: Option<Vec<u8>>,
    pub(super) kept: Option<String>,
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What the action begins with: `grant.` or `grant.ended`; empty for any.
    pub action: String,
    /// Who, as entries name them: `staff 12`; empty for anybody.
    pub actor: String,
    /// About which app.
    pub app: Option<i64>,
    /// About which person.
    pub person: Option<i64>,
    /// About which other thing.
    pub about: Option<i64>,
    /// Not before this time.
    pub since: Option<Millis>,
    /// Before this time.
    pub until: Option<Millis>,
    /// Older than this entry.
    pub before: Option<i64>,
    /// How many.
    pub limit: i64,
}

/// An entry as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub audit_id: i64,
    /// When.
    pub at: Millis,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// About which app.
    pub app: Option<i64>,
    /// About which person.
    pub person: Option<i64>,
    /// About which grant.
    pub grant: Option<i64>,
    /// About which request.
    pub request: Option<i64>,
    /// About which other thing.
    pub about: Option<i64>,
    /// Further words.
    pub detail: String,
    /// What is kept aside; `None` if there was nothing, or if it was erased.
    pub personal: Option<String>,
    /// Whether something was kept aside once.
    pub had_personal: bool,
    /// Its place in the chain, once it is sealed.
    pub position: Option<i64>,
}

/// Entries, newest first.
pub async fn list(tx: &mut Tx, wanted: &Wanted) -> Result<Vec<Listed>, Fault> {
    // No action or actor holds a NUL, and PostgreSQL would call it a fault.
    if wanted.action.contains('\0') || wanted.actor.contains('\0') {
        return Ok(Vec::new());
    }
    let rows = sql!(
        tx,
        all Row,
        "select a.*, d.salt, d.detail as kept
         from audit a left join audit_details d on d.audit_id = a.audit_id
         where substr(a.action, 1, length($1)) = $1
           and ($2 = '' or a.actor = $2)
           and ($3 = 0 or a.app_id = $3)
           and ($4 = 0 or a.person_id = $4)
           and ($5 = 0 or a.about_id = $5)
           and a.at >= $6 and a.at < $7
           and ($8 = 0 or exists (
             select 1 from audit b where b.audit_id = $8 and (a.at < b.at or (a.at = b.at and a.audit_id < b.audit_id))))
         order by a.at desc, a.audit_id desc
         limit $9",
        wanted.action.clone(),
        wanted.actor.clone(),
        wanted.app.unwrap_or(0),
        wanted.person.unwrap_or(0),
        wanted.about.unwrap_or(0),
        wanted.since.unwrap_or(Millis(i64::MIN)),
        wanted.until.unwrap_or(Millis(i64::MAX)),
        wanted.before.unwrap_or(0),
        wanted.limit,
    )?;
    Ok(rows.into_iter().map(Listed::from).collect())
}

impl From<Row> for Listed {
    fn from(row: Row) -> Self {
        Self {
            audit_id: row.audit_id,
            at: row.at,
            actor: row.actor,
            action: row.action,
            app: row.app_id,
            person: row.person_id,
            grant: row.grant_id,
            request: row.request_id,
            about: row.about_id,
            detail: row.detail,
            personal: row.kept,
            had_personal: row.detail_hash.is_some(),
            position: row.position,
        }
    }
}

/// The head, held until the end of the transaction: nobody else seals or cuts meanwhile.
pub(super) async fn hold_head(tx: &mut Tx, empty: &[u8]) -> Result<Head, Fault> {
    sql!(
        tx,
        execute,
        "insert into audit_head (one, position, chain, anchor_position, anchor_chain) values (1, 0, $1, 0, $1) on conflict do nothing",
        empty.to_vec(),
    )?;
    sql!(tx, execute, "update audit_head set position = position where one = 1")?;
    head(tx).await?.ok_or_else(|| Fault::Row("the audit's head is gone".into()))
}

/// The head as it is now.
pub(super) async fn head(tx: &mut Tx) -> Result<Option<Head>, Fault> {
    Ok(sql!(tx, optional Head, "select position, chain, anchor_position, anchor_chain from audit_head where one = 1")?)
}

/// Moves the head; `false` if it was not where it was thought to be.
pub(super) async fn move_head(tx: &mut Tx, from: i64, to: i64, chain: &[u8]) -> Result<bool, Fault> {
    let statement = "update audit_head set position = $2, chain = $3 where one = 1 and position = $1";
    Ok(sql!(tx, execute, statement, from, to, chain.to_vec())? == 1)
}

pub(super) async fn move_anchor(tx: &mut Tx, from: i64, to: i64, chain: &[u8]) -> Result<bool, Fault> {
    let statement = "update audit_head set anchor_position = $2, anchor_chain = $3 where one = 1 and anchor_position = $1";
    Ok(sql!(tx, execute, statement, from, to, chain.to_vec())? == 1)
}

pub(super) async fn unsealed(tx: &mut Tx, limit: i64) -> Result<Vec<Row>, Fault> {
    Ok(sql!(
        tx,
        all Row,
        "select audit.*, null as salt, null as kept from audit where position is null order by at, audit_id limit $1",
        limit,
    )?)
}

pub(super) async fn count_unsealed(tx: &mut Tx) -> Result<i64, Fault> {
    Ok(sql!(tx, value i64, "select count(*) from audit where position is null")?)
}

/// Gives an entry its place; `false` if it has one or is gone.
pub(super) async fn place(tx: &mut Tx, audit_id: i64, position: i64, chain: &[u8]) -> Result<bool, Fault> {
    let statement = "update audit set position = $2, chain = $3 where audit_id = $1 and position is null";
    Ok(sql!(tx, execute, statement, audit_id, position, chain.to_vec())? == 1)
}

/// Sealed entries in their order.
pub(super) async fn sealed(tx: &mut Tx, after: i64, upto: i64, limit: i64) -> Result<Vec<Row>, Fault> {
    Ok(sql!(
        tx,
        all Row,
        "select a.*, d.salt, d.detail as kept
         from audit a left join audit_details d on d.audit_id = a.audit_id
         where a.position > $1 and a.position <= $2
         order by a.position
         limit $3",
        after,
        upto,
        limit,
    )?)
}

/// The first sealed entry after a place, and its place.
pub(super) async fn first_after(tx: &mut Tx, position: i64) -> Result<Option<(i64, i64)>, Fault> {
    let statement = "select position, audit_id from audit where position > $1 order by position limit 1";
    Ok(sql!(tx, optional(i64, i64), statement, position)?)
}

/// The last place up to which every entry is at least so old, but not beyond `most`.
pub(super) async fn old_until(tx: &mut Tx, anchor: i64, most: i64, before: Millis) -> Result<i64, Fault> {
    let younger = sql!(
        tx,
        found i64,
        "select position from audit where position > $1 and position <= $2 and at > $3 order by position limit 1",
        anchor,
        most,
        before,
    )?;
    Ok(younger.map_or(most, |position| position - 1))
}

/// The last sealed entry up to a place: its place and chain value.
pub(super) async fn last_until(tx: &mut Tx, after: i64, upto: i64) -> Result<Option<(i64, Vec<u8>)>, Fault> {
    let statement = "select position, chain from audit where position > $1 and position <= $2 order by position desc limit 1";
    Ok(sql!(tx, optional(i64, Vec<u8>), statement, after, upto)?)
}

/// Deletes sealed entries up to a place, and what was kept aside for them.
pub(super) async fn delete_until(tx: &mut Tx, upto: i64) -> Result<u64, Fault> {
    let details = "delete from audit_details where audit_id in (select audit_id from audit where position <= $1)";
    sql!(tx, execute, details, upto)?;
    Ok(sql!(tx, execute, "delete from audit where position <= $1", upto)?)
}
