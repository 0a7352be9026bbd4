//! People: the data subjects, how they sign in, and their sessions.

mod claimed;
pub mod events;
mod rows;
mod sessions;

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::audit::{self, Actor, Entry};
use crate::clock::Millis;
use crate::db::Tx;
use crate::grants::{self, EndCause};
use crate::provider::Provider;
use crate::{Fault, Platform, password};

pub use claimed::{Claimed, NotAdmitted, of_provider, readmit};
pub(crate) use rows::hold;
pub use rows::{by_id, by_username, list};
pub use sessions::{Began, Session, begin_session, end_one, end_others, end_session, of_session, session, sessions};

/// A data subject.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Person {
    /// Ours.
    pub person_id: i64,
    /// By which they sign in; none once deleted.
    pub username: Option<String>,
    /// Who they are in the operator's databases; two people never share one; none once deleted.
    pub subject: Option<String>,
    /// ISO 3166 code; empty if unknown, which is eligible nowhere.
    pub region: String,
    /// How they call themselves.
    pub display_name: String,
    /// A picture's address, or empty.
    pub avatar_url: String,
    /// Further fields of user info, as a JSON object.
    pub info: String,
    /// Where they are written to, if the operator told it.
    pub email: Option<String>,
    /// When they were added.
    pub created_at: Millis,
    /// When they were deleted.
    pub deleted_at: Option<Millis>,
}

impl Person {
    /// The further fields of user info.
    pub fn info(&self) -> Map<String, Value> {
        serde_json::from_str(&self.info).unwrap_or_default()
    }
}

/// A person to be added.
#[derive(Clone, Debug, Default)]
pub struct NewPerson {
    /// By which they sign in.
    pub username: String,
    /// Kept as an argon2id hash.
    pub password: String,
    /// Who they are in the operator's databases.
    pub subject: String,
    /// ISO 3166 code.
    pub region: String,
    /// How they call themselves.
    pub display_name: String,
    /// A picture's address, or empty.
    pub avatar_url: String,
    /// Where they are written to when something of theirs ends that they did not end themselves.
    pub email: Option<String>,
    /// Further fields of user info.
    pub info: Map<String, Value>,
}

/// Why a person was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// A field cannot be so.
    #[error("{0}")]
    Invalid(&'static str),
    /// The name or the subject belongs to somebody.
    #[error("there is a person with that username or subject already; two people never share one")]
    Taken,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Adds a person.
pub async fn add(platform: &Platform, actor: Actor, new: NewPerson) -> Result<i64, AddError> {
    let username = new.username.trim();
    if username.is_empty() || username.len() > 200 || username.chars().any(char::is_control) {
        return Err(AddError::Invalid("a username has 1 to 200 characters, none of them a control character"));
    }
    if new.password.len() < 8 || new.password.len() > 1000 {
        return Err(AddError::Invalid("a password has 8 to 1,000 bytes"));
    }
    if new.subject.is_empty() {
        return Err(AddError::Invalid("a subject is needed: who the person is in your databases"));
    }
    if !(new.region.is_empty() || new.region.len() == 2 && new.region.bytes().all(|b| b.is_ascii_alphabetic())) {
        return Err(AddError::Invalid("a region is an ISO 3166 code of two letters, such as DE"));
    }
    if new.email.as_deref().map(str::trim).is_some_and(|email| !email.is_empty() && !is_address(email)) {
        return Err(AddError::Invalid("an address for mail has an @ between two parts, no blanks, and at most 254 characters"));
    }
    let password_hash = password::hash(platform.random.clone(), new.password.clone()).await?;
    let now = platform.now();
    let person = Person {
        person_id: platform.random.id(),
        username: Some(username.to_owned()),
        // In its one spelling, so that two people cannot share it in two; what does not parse fails that person's requests, and only those.
        subject: Some(
            archive::Subject::parse(platform.catalogue.subject, &new.subject)
                .map_or(new.subject, |subject| subject.as_str().to_owned()),
        ),
        region: new.region.to_ascii_uppercase(),
        display_name: if new.display_name.is_empty() { username.to_owned() } else { new.display_name },
        avatar_url: new.avatar_url,
        info: Value::Object(new.info).to_string(),
        email: new.email.map(|email| email.trim().to_owned()).filter(|email| !email.is_empty()),
        created_at: now,
        deleted_at: None,
    };
    let mut tx = platform.db.begin().await.map_err(Fault::from)?;
    if !rows::insert(&mut tx, &person, &password_hash).await? {
        return Err(AddError::Taken);
    }
    let entry = Entry { person: Some(person.person_id), personal: Some(username), ..Entry::new(actor, "person.added") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await.map_err(Fault::from)?;
    Ok(person.person_id)
}

/// Whether something can be an address for mail; whether it is one, only a mail finds out.
fn is_address(text: &str) -> bool {
    let parts = text.rsplit_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty());
    parts && text.len() <= 254 && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Deletes a person: every app loses access with the wire's reason 2, sessions end, and what names them is erased. The row stays, empty, for
/// the requests and the audit that refer to it. Gives `false` if there was nobody to delete.
pub async fn delete(platform: &Platform, actor: Actor, person_id: i64) -> Result<bool, Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    if erase_in(platform, &mut tx, actor, person_id, now).await?.is_none() {
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}

/// The same within a transaction: how many apps lost access; none if there was nobody to delete.
async fn erase_in(platform: &Platform, tx: &mut Tx, actor: Actor, person_id: i64, now: Millis) -> Result<Option<i64>, Fault> {
    let cause = EndCause::AccountDeleted;
    // Grants before the person, as every call takes its locks; then once more, for a consent that was just being given.
    let mut ended = end_grants(platform, tx, actor, person_id, cause, now).await?;
    if !rows::erase(tx, person_id, now).await? {
        return Ok(None);
    }
    ended += end_grants(platform, tx, actor, person_id, cause, now).await?;
    sessions::end_all(tx, person_id).await?;
    audit::erase(tx, person_id).await?;
    Entry { person: Some(person_id), ..Entry::new(actor, "person.deleted") }.write(tx, &platform.random, now).await?;
    Ok(Some(ended))
}

/// Ends what a person allowed; how many apps lost access.
async fn end_grants(
    platform: &Platform,
    tx: &mut Tx,
    actor: Actor,
    person_id: i64,
    cause: EndCause,
    now: Millis,
) -> Result<i64, Fault> {
    let mut ended = 0;
    for app_id in grants::apps_of(tx, person_id).await? {
        ended += i64::from(grants::end_all(platform, tx, actor, app_id, person_id, cause, now).await?);
    }
    Ok(ended)
}

/// How people sign in.
#[derive(Clone, Debug)]
pub enum SignIn {
    /// By a username and a password kept here: for development and small installations.
    Directory(Directory),
    /// At the operator's OpenID provider.
    Provider(Arc<Provider>),
}

/// Checks passwords.
#[derive(Clone, Debug, Default)]
pub struct Directory {}

impl Directory {
    /// The person whose name and password these are. An unknown name takes as long as a wrong password.
    pub async fn check(&self, platform: &Platform, username: &str, password: &str) -> Result<Option<Person>, Fault> {
        let mut tx = platform.db.read().await?;
        let found = rows::with_password(&mut tx, username.trim()).await?;
        drop(tx);
        let (person, hash) = match found {
            Some((person, Some(hash))) => (Some(person), hash),
            _ => (None, password::NOBODY.to_owned()),
        };
        if password.len() > 1000 {
            return Ok(None);
        }
        let right = password::matches(hash, password.to_owned()).await;
        Ok(person.filter(|_| right))
    }
}
