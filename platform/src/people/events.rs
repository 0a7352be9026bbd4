//! What the operator's own systems tell of people, and what ends with it: every app's access, with the wire's reason, and every session. Told twice
//! under one key, the second time changes nothing.

use super::{end_grants, erase_in, rows, sessions};
use crate::audit::{Actor, Entry};
use crate::db::{sql, words};
use crate::grants::EndCause;
use crate::services::ServiceToken;
use crate::{Fault, Platform};

words! {
    /// What became of a person.
    PersonEvent {
        /// The account is gone; what names them here is erased.
        Deleted = "deleted",
        /// The account was banned.
        Banned = "banned",
        /// They are known to be of another age than before.
        AgeChanged = "age_changed",
        /// Their password or another means of sign-in was changed or taken over.
        CredentialChanged = "credential_changed",
    }
}

impl PersonEvent {
    fn cause(self) -> EndCause {
        match self {
            Self::Deleted => EndCause::AccountDeleted,
            Self::Banned => EndCause::Banned,
            Self::AgeChanged => EndCause::AgeChanged,
            Self::CredentialChanged => EndCause::CredentialChanged,
        }
    }
}

/// What came of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// How many apps lost access.
    pub ended: i64,
    /// Whether it had been told before; then nothing was done now.
    pub replayed: bool,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// Nobody here is known by that subject: they never came, or were deleted before.
    #[error("nobody is known by this subject: they never signed in here, or were deleted before")]
    Unknown,
    /// The key was used for another event.
    #[error("this event_id was used for another event; send a new one")]
    KeyReused,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for TellError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

#[derive(sqlx_macros::FromRow)]
struct Before {
    person_id: i64,
    kind: PersonEvent,
    ended: i64,
}

/// Takes an event. Whatever lives when it arrives ends: when it happened elsewhere is not asked, so clocks that differ spare nothing.
pub async fn tell(
    platform: &Platform,
    token: &ServiceToken,
    subject: &str,
    event: PersonEvent,
    key: &str,
) -> Result<Told, TellError> {
    let now = platform.now();
    // In its one spelling, as it is kept; what does not parse is kept as it came.
    let parsed = archive::Subject::parse(platform.catalogue.subject, subject);
    let mut tx = platform.db.begin().await?;
    let person_id = rows::by_subject(&mut tx, parsed.as_ref().map_or(subject, archive::Subject::as_str)).await?;
    let kept = sql!(
        tx,
        execute,
        "insert into person_events (event_key, token_id, person_id, kind, ended, at) values ($1, $2, $3, $4, 0, $5)
         on conflict do nothing",
        key.to_owned(),
        token.token_id,
        person_id.unwrap_or_default(),
        event,
        now,
    )?;
    if kept == 0 {
        let before =
            sql!(tx, one Before, "select person_id, kind, ended from person_events where event_key = $1", key.to_owned())?;
        // Whom the first telling deleted is known by no subject any more.
        let same = before.kind == event && person_id.is_none_or(|person_id| person_id == before.person_id);
        return if same { Ok(Told { ended: before.ended, replayed: true }) } else { Err(TellError::KeyReused) };
    }
    // Of somebody unknown nothing is kept, so that the same event can be told once they are there.
    let person_id = person_id.ok_or(TellError::Unknown)?;
    let ended = match event {
        PersonEvent::Deleted => erase_in(platform, &mut tx, Actor::Operator, person_id, now).await?.ok_or(TellError::Unknown)?,
        _ => {
            // The person is locked only after their grants, as every call takes its locks; then once more, for a consent just being given.
            let mut ended = end_grants(platform, &mut tx, Actor::Operator, person_id, event.cause(), now).await?;
            if !rows::hold(&mut tx, person_id).await? {
                return Err(TellError::Unknown);
            }
            ended += end_grants(platform, &mut tx, Actor::Operator, person_id, event.cause(), now).await?;
            sessions::end_all(&mut tx, person_id).await?;
            ended
        }
    };
    sql!(tx, execute, "update person_events set ended = $2 where event_key = $1", key.to_owned(), ended)?;
    let entry = Entry { person: Some(person_id), about: Some(token.token_id), ..Entry::new(Actor::Operator, "person.event") };
    Entry { detail: event.as_str(), ..entry }.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(Told { ended, replayed: false })
}
