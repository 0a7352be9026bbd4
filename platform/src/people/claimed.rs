//! People whom the operator's OpenID provider vouches for: made at their first sign-in, and kept as the provider says from then on.

use serde_json::{Map, Value};

use super::{Person, rows};
use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::{Fault, Platform};

/// Who somebody is, as the provider says. A field that is `None` is not told by this provider and stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Claimed {
    /// A hash of issuer and subject identifier: the one name that never passes to somebody else.
    pub key: Vec<u8>,
    /// Who they are in the operator's databases.
    pub subject: String,
    /// Their user name.
    pub username: Option<String>,
    /// How they call themselves.
    pub name: Option<String>,
    /// The address of their picture; empty for none.
    pub avatar: Option<String>,
    /// ISO 3166 code in upper case; empty if unknown.
    pub region: Option<String>,
    /// The year they were born in, if known.
    pub birth_year: Option<i16>,
}

/// Why somebody whom the provider knows cannot come in.
#[derive(Debug, thiserror::Error)]
pub enum NotAdmitted {
    /// The operator deleted them, and has not said that they may come again.
    #[error("the person was deleted")]
    Deleted,
    /// Their subject is that of somebody else.
    #[error("the subject belongs to another person")]
    Shared,
    /// They come with another subject than before: the data of somebody else may be behind it.
    #[error("the subject of the person has changed")]
    Changed,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for NotAdmitted {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// The person of these claims: found, brought up to date, or made.
pub async fn of_provider(platform: &Platform, claimed: &Claimed) -> Result<Person, NotAdmitted> {
    // Several times: somebody may come in by two browsers at once for the first time, and the later finds what the earlier made.
    for _ in 0..3 {
        let mut tx = platform.db.begin().await?;
        if let Some(person) = admit(platform, &mut tx, claimed).await? {
            tx.commit().await?;
            return Ok(person);
        }
    }
    Err(NotAdmitted::Shared)
}

async fn admit(platform: &Platform, tx: &mut Tx, claimed: &Claimed) -> Result<Option<Person>, NotAdmitted> {
    let now = platform.now();
    let subject = archive::Subject::parse(platform.catalogue.subject, &claimed.subject)
        .map_or_else(|| claimed.subject.clone(), |subject| subject.as_str().to_owned());
    let known = sql!(tx, optional Person, "select * from people where provider_key = $1", claimed.key.clone())?;
    if let Some(person) = known {
        if person.deleted_at.is_some() {
            return Err(NotAdmitted::Deleted);
        }
        if person.subject.as_deref() != Some(subject.as_str()) {
            return Err(NotAdmitted::Changed);
        }
        return Ok(Some(refreshed(platform, tx, person, claimed).await?));
    }
    // Somebody whom the directory knew before the operator had a provider: the same subject is the same person.
    let same = sql!(tx, optional Person, "select * from people where subject = $1", subject.clone())?;
    if let Some(person) = same {
        let adopted = sql!(
            tx,
            execute,
            "update people set provider_key = $2 where person_id = $1 and provider_key is null and deleted_at is null",
            person.person_id,
            claimed.key.clone(),
        )?;
        if adopted != 1 {
            // Of the same person by another browser, made since the first look; or of somebody else.
            let since = sql!(tx, found i64, "select person_id from people where provider_key = $1", claimed.key.clone())?;
            return if since == Some(person.person_id) { Ok(None) } else { Err(NotAdmitted::Shared) };
        }
        let entry = Entry { person: Some(person.person_id), ..Entry::new(Actor::Person(person.person_id), "person.adopted") };
        entry.write(tx, &platform.random, now).await?;
        return Ok(Some(refreshed(platform, tx, person, claimed).await?));
    }
    let person_id = platform.random.id();
    let username = match &claimed.username {
        Some(name) if rows::by_username(tx, name).await?.is_none() => name.clone(),
        _ => format!("person-{person_id}"),
    };
    let info = with_birth_year(Map::new(), claimed.birth_year);
    let person = Person {
        person_id,
        display_name: claimed.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| username.clone()),
        username: Some(username),
        subject: Some(subject),
        region: claimed.region.clone().unwrap_or_default(),
        avatar_url: claimed.avatar.clone().unwrap_or_default(),
        info: Value::Object(info).to_string(),
        email: None,
        created_at: now,
        deleted_at: None,
    };
    if !insert(tx, &person, &claimed.key).await? {
        return Ok(None);
    }
    let entry = Entry { person: Some(person_id), detail: "provider", ..Entry::new(Actor::Person(person_id), "person.added") };
    entry.write(tx, &platform.random, now).await?;
    Ok(Some(person))
}

/// Brings a person up to what the provider says now.
async fn refreshed(platform: &Platform, tx: &mut Tx, person: Person, claimed: &Claimed) -> Result<Person, Fault> {
    let mut new = person.clone();
    if let Some(name) = claimed.name.as_ref().filter(|name| !name.is_empty()) {
        new.display_name.clone_from(name);
    }
    if let Some(avatar) = &claimed.avatar {
        new.avatar_url.clone_from(avatar);
    }
    if let Some(region) = &claimed.region {
        new.region.clone_from(region);
    }
    if let Some(username) = &claimed.username
        && person.username.as_ref() != Some(username)
        && rows::by_username(tx, username).await?.is_none()
    {
        new.username = Some(username.clone());
    }
    if claimed.birth_year.is_some() {
        new.info = Value::Object(with_birth_year(person.info(), claimed.birth_year)).to_string();
    }
    let same = new.display_name == person.display_name
        && new.avatar_url == person.avatar_url
        && new.region == person.region
        && new.username == person.username
        && new.info() == person.info();
    if same {
        return Ok(person);
    }
    sql!(
        tx,
        execute,
        "update people
         set username = $2, display_name = $3, avatar_url = $4, region = $5, info = $6
         where person_id = $1 and deleted_at is null",
        new.person_id,
        new.username.clone(),
        new.display_name.clone(),
        new.avatar_url.clone(),
        new.region.clone(),
        new.info.clone(),
    )?;
    let id = new.person_id;
    Entry { person: Some(id), ..Entry::new(Actor::Person(id), "person.updated") }
        .write(tx, &platform.random, platform.now())
        .await?;
    Ok(new)
}

fn with_birth_year(mut info: Map<String, Value>, year: Option<i16>) -> Map<String, Value> {
    if let Some(year) = year {
        info.insert("birth_year".into(), year.into());
    }
    info
}

async fn insert(tx: &mut Tx, person: &Person, key: &[u8]) -> Result<bool, Fault> {
    let inserted = sql!(
        tx,
        execute,
        "insert into people (person_id, username, subject, region, display_name, avatar_url, info, created_at, provider_key)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict do nothing",
        person.person_id,
        person.username.clone(),
        person.subject.clone(),
        person.region.clone(),
        person.display_name.clone(),
        person.avatar_url.clone(),
        person.info.clone(),
        person.created_at,
        key.to_vec(),
    )?;
    Ok(inserted == 1)
}

/// Lets somebody who was deleted come in by the provider again, as somebody new. `false` if there is nobody of that number to whom it applies.
pub async fn readmit(platform: &Platform, actor: Actor, person_id: i64) -> Result<bool, Fault> {
    let now: Millis = platform.now();
    let mut tx = platform.db.begin().await?;
    let freed = sql!(
        tx,
        execute,
        "update people set provider_key = null where person_id = $1 and deleted_at is not null and provider_key is not null",
        person_id,
    )?;
    if freed == 1 {
        let entry = Entry { person: Some(person_id), ..Entry::new(actor, "person.readmitted") };
        entry.write(&mut tx, &platform.random, now).await?;
    }
    tx.commit().await?;
    Ok(freed == 1)
}
