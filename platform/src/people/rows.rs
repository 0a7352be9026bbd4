//! The SQL of people and their sessions.

use super::Person;
use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql};

const NO_CLASH: &str = "insert into people
   (person_id, username, password_hash, subject, region, display_name, avatar_url, info, created_at, email)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
 on conflict do nothing";

/// `false` if the username or the subject is taken.
pub(super) async fn insert(tx: &mut Tx, person: &Person, password_hash: &str) -> Result<bool, Fault> {
    let inserted = sql!(
        tx,
        execute,
        NO_CLASH,
        person.person_id,
        person.username.clone(),
        password_hash.to_owned(),
        person.subject.clone(),
        person.region.clone(),
        person.display_name.clone(),
        person.avatar_url.clone(),
        person.info.clone(),
        person.created_at,
        person.email.clone(),
    )?;
    Ok(inserted == 1)
}

/// Takes away everything that names the person. `false` if there was nobody.
pub(super) async fn erase(tx: &mut Tx, person_id: i64, now: Millis) -> Result<bool, Fault> {
    let erased = sql!(
        tx,
        execute,
        "update people
         set username = null, password_hash = null, subject = null, display_name = '', avatar_url = '', info = '{}', email = null,
             deleted_at = $2
         where person_id = $1 and deleted_at is null",
        person_id,
        now,
    )?;
    Ok(erased == 1)
}

/// The person with that id, deleted ones included.
pub async fn by_id(tx: &mut Tx, person_id: i64) -> Result<Option<Person>, Fault> {
    Ok(sql!(tx, optional Person, "select * from people where person_id = $1", person_id)?)
}

/// Who is known by a subject.
pub(super) async fn by_subject(tx: &mut Tx, subject: &str) -> Result<Option<i64>, Fault> {
    // No subject holds a NUL, and PostgreSQL would call it a fault.
    if subject.contains('\0') {
        return Ok(None);
    }
    Ok(sql!(tx, found i64, "select person_id from people where subject = $1 and deleted_at is null", subject.to_owned())?)
}

/// The person who signs in by that name.
pub async fn by_username(tx: &mut Tx, username: &str) -> Result<Option<Person>, Fault> {
    Ok(with_password(tx, username).await?.map(|(person, _)| person))
}

#[derive(sqlx_macros::FromRow)]
struct WithPassword {
    #[sqlx(flatten)]
    person: Person,
    password_hash: Option<String>,
}

/// The person and their password's hash, by one statement, so that a known name takes no longer than an unknown one.
pub(super) async fn with_password(tx: &mut Tx, username: &str) -> Result<Option<(Person, Option<String>)>, Fault> {
    // No name holds a NUL, and PostgreSQL would call it a fault.
    if username.contains('\0') {
        return Ok(None);
    }
    let found = sql!(tx, optional WithPassword, "select * from people where username = $1", username.to_owned())?;
    Ok(found.map(|row| (row.person, row.password_hash)))
}

/// Locks a person for the rest of the transaction. `false` if they were deleted.
pub(crate) async fn hold(tx: &mut Tx, person_id: i64) -> Result<bool, Fault> {
    let held = sql!(tx, execute, "update people set deleted_at = null where person_id = $1 and deleted_at is null", person_id)?;
    Ok(held == 1)
}

/// People by username, from `after` on.
pub async fn list(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<Person>, Fault> {
    Ok(sql!(
        tx,
        all Person,
        "select * from people
         where username > $1
         order by username
         limit $2",
        after.to_owned(),
        limit,
    )?)
}
