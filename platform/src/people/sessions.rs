//! Sessions of people: one for each browser in which somebody signed in.

use std::time::Duration;

use super::{Person, rows};
use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::{Fault, Platform, ids};

/// A session of a person.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Session {
    /// By which it is listed and ended.
    pub session_id: i64,
    /// Whose.
    pub person_id: i64,
    /// The browser, as it names itself.
    pub agent: String,
    /// When it began.
    pub created_at: Millis,
    /// When the person last proved who they are; long ago if the provider does not tell.
    pub fresh_at: Millis,
    /// When it was last used, to the minute.
    pub seen_at: Millis,
    /// When it ends by itself.
    pub expires_at: Millis,
}

/// How a session began.
#[derive(Clone, Debug, Default)]
pub struct Began<'a> {
    /// The browser, as it names itself.
    pub agent: &'a str,
    /// When the person proved who they are, if that was not just now.
    pub proved_at: Option<Millis>,
    /// What the provider is shown at sign-out.
    pub id_token: Option<&'a str>,
}

/// How exactly it is known when a session was last used.
const SEEN_EVERY: Duration = Duration::from_secs(60);
/// Sessions listed at once.
const LISTED: i64 = 100;

fn purpose(session_id: i64) -> String {
    format!("id token of session {session_id}")
}

/// Begins a session; gives the token for the cookie.
pub async fn begin_session(platform: &Platform, person_id: i64, began: Began<'_>) -> Result<String, Fault> {
    let now = platform.now();
    let token = platform.random.token("ses.");
    let session_id = platform.random.id();
    let agent: String = began.agent.chars().filter(|c| !c.is_control()).take(200).collect();
    let id_token = began.id_token.map(|token| platform.keys.seal(&purpose(session_id), token.as_bytes())).transpose()?;
    let mut tx = platform.db.begin().await?;
    sql!(
        tx,
        execute,
        "insert into sessions (session_hash, session_id, person_id, agent, created_at, fresh_at, seen_at, expires_at, id_token)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        ids::hash(&token),
        session_id,
        person_id,
        agent,
        now,
        began.proved_at.unwrap_or(now).min(now),
        now,
        now + platform.settings.sign_in.session.0,
        id_token,
    )?;
    Entry { person: Some(person_id), ..Entry::new(Actor::Person(person_id), "session.begun") }
        .write(&mut tx, &platform.random, now)
        .await?;
    tx.commit().await?;
    Ok(token)
}

/// The person and the session of a token, if both live.
pub async fn session(platform: &Platform, token: &str) -> Result<Option<(Person, Session)>, Fault> {
    let now = platform.now();
    let mut tx = platform.db.read().await?;
    let found = sql!(
        tx,
        optional Session,
        "select session_id, person_id, agent, created_at, fresh_at, seen_at, expires_at
         from sessions
         where session_hash = $1 and expires_at > $2",
        ids::hash(token),
        now,
    )?;
    let Some(session) = found else { return Ok(None) };
    let person = rows::by_id(&mut tx, session.person_id).await?;
    drop(tx);
    let Some(person) = person.filter(|person| person.deleted_at.is_none()) else { return Ok(None) };
    if now.since(session.seen_at) >= SEEN_EVERY {
        let mut tx = platform.db.begin().await?;
        sql!(tx, execute, "update sessions set seen_at = $2 where session_id = $1", session.session_id, now)?;
        tx.commit().await?;
    }
    Ok(Some((person, session)))
}

/// The person of a live session.
pub async fn of_session(platform: &Platform, token: &str) -> Result<Option<Person>, Fault> {
    Ok(session(platform, token).await?.map(|(person, _)| person))
}

/// The live sessions of a person, the newest first.
pub async fn sessions(platform: &Platform, person_id: i64) -> Result<Vec<Session>, Fault> {
    let mut tx = platform.db.read().await?;
    Ok(sql!(
        tx,
        all Session,
        "select session_id, person_id, agent, created_at, fresh_at, seen_at, expires_at
         from sessions
         where person_id = $1 and expires_at > $2
         order by created_at desc, session_id desc
         limit $3",
        person_id,
        platform.now(),
        LISTED,
    )?)
}

#[derive(sqlx_macros::FromRow)]
struct Ended {
    session_id: i64,
    id_token: Option<Vec<u8>>,
}

/// Ends a session by its token. Gives what the provider is to be shown, if the session began there.
pub async fn end_session(platform: &Platform, token: &str) -> Result<Option<String>, Fault> {
    let mut tx = platform.db.begin().await?;
    let ended = sql!(
        tx,
        optional Ended,
        "delete from sessions where session_hash = $1 returning session_id, id_token",
        ids::hash(token),
    )?;
    tx.commit().await?;
    let Some(Ended { session_id, id_token: Some(sealed) }) = ended else { return Ok(None) };
    // A token that no longer opens, after keys were rotated, is no reason to stay signed in.
    let opened = platform.keys.unseal(&purpose(session_id), &sealed).ok();
    Ok(opened.and_then(|opened| String::from_utf8(opened.to_vec()).ok()))
}

/// Ends one session of a person. `false` if it is not theirs or had ended.
pub async fn end_one(platform: &Platform, person_id: i64, session_id: i64) -> Result<bool, Fault> {
    let mut tx = platform.db.begin().await?;
    let ended = sql!(tx, execute, "delete from sessions where session_id = $1 and person_id = $2", session_id, person_id)?;
    if ended == 1 {
        told_ended(platform, &mut tx, person_id).await?;
    }
    tx.commit().await?;
    Ok(ended == 1)
}

/// Ends every session of a person but one. Gives how many.
pub async fn end_others(platform: &Platform, person_id: i64, kept: i64) -> Result<u64, Fault> {
    let mut tx = platform.db.begin().await?;
    let ended = sql!(tx, execute, "delete from sessions where person_id = $1 and session_id <> $2", person_id, kept)?;
    if ended > 0 {
        told_ended(platform, &mut tx, person_id).await?;
    }
    tx.commit().await?;
    Ok(ended)
}

async fn told_ended(platform: &Platform, tx: &mut Tx, person_id: i64) -> Result<(), Fault> {
    Entry { person: Some(person_id), ..Entry::new(Actor::Person(person_id), "session.ended") }
        .write(tx, &platform.random, platform.now())
        .await
}

/// Ends every session of a person.
pub(super) async fn end_all(tx: &mut Tx, person_id: i64) -> Result<(), Fault> {
    sql!(tx, execute, "delete from sessions where person_id = $1", person_id)?;
    Ok(())
}
