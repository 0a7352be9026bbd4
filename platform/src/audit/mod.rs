//! The append-only record of who did what, written in the transaction it records.
//!
//! Entries hold identifiers. Personal detail is kept aside with a salt, and the entry holds their hash: when the detail is erased, the salt goes
//! with it, and what is left of it says nothing. A job chains the entries in one order (`chain`), so that one that was altered, taken out or
//! moved is found later, and by whoever kept the head of the chain also if the whole chain was made anew.

mod chain;
mod rows;

use sha2::{Digest, Sha256};

use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::ids::Random;

pub use chain::{Finding, KnownHead, Report, cut, seal, verify};
pub use rows::{Listed, Wanted, list};

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person, about their own data.
    Person(i64),
    /// An app, by its credentials or a token.
    App(i64),
    /// A developer, by their account.
    Developer(i64),
    /// A member of staff, by their account.
    Staff(i64),
    /// The operator, on the command line.
    Operator,
    /// Portward itself.
    System,
}

impl Actor {
    /// Their number, where they have one.
    fn id(self) -> Option<i64> {
        match self {
            Self::Person(id) | Self::App(id) | Self::Developer(id) | Self::Staff(id) => Some(id),
            Self::Operator | Self::System => None,
        }
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Person(id) => write!(f, "person {id}"),
            Self::App(id) => write!(f, "app {id}"),
            Self::Developer(id) => write!(f, "developer {id}"),
            Self::Staff(id) => write!(f, "staff {id}"),
            Self::Operator => f.write_str("operator"),
            Self::System => f.write_str("system"),
        }
    }
}

/// One entry. It holds identifiers, never content, tokens or names.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Who.
    pub actor: Actor,
    /// What, as noun and participle: `grant.ended`.
    pub action: &'a str,
    /// Which app it concerns.
    pub app: Option<i64>,
    /// Which person it concerns.
    pub person: Option<i64>,
    /// Which grant.
    pub grant: Option<i64>,
    /// Which request.
    pub request: Option<i64>,
    /// Which other thing: an organisation, an application, a ticket, an account.
    pub about: Option<i64>,
    /// Further words, such as a reason code.
    pub detail: &'a str,
    /// What a person could be known by, such as an address that was changed. It is kept aside, so that [`erase`] can take it away, and belongs to
    /// the entry's person, or else to what `about` names, or else to the actor.
    pub personal: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// An entry that concerns nothing yet.
    pub fn new(actor: Actor, action: &'a str) -> Self {
        Self { actor, action, app: None, person: None, grant: None, request: None, about: None, detail: "", personal: None }
    }

    /// Writes it.
    pub async fn write(self, tx: &mut Tx, random: &Random, now: Millis) -> Result<(), Fault> {
        let audit_id = random.id();
        let kept = self.personal.filter(|personal| !personal.is_empty()).map(|personal| {
            let salt = random.bytes::<16>();
            (salt, hash_detail(&salt, personal), personal.to_owned())
        });
        sql!(
            tx,
            execute,
            "insert into audit (audit_id, at, actor, action, app_id, person_id, grant_id, request_id, about_id, detail, detail_hash)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            audit_id,
            now,
            self.actor.to_string(),
            self.action.to_owned(),
            self.app,
            self.person,
            self.grant,
            self.request,
            self.about,
            self.detail.to_owned(),
            kept.as_ref().map(|(_, hash, _)| hash.clone()),
        )?;
        if let Some((salt, _, personal)) = kept {
            sql!(
                tx,
                execute,
                "insert into audit_details (audit_id, subject_id, salt, detail) values ($1, $2, $3, $4)",
                audit_id,
                self.person.or(self.about).or(self.actor.id()),
                salt.to_vec(),
                personal,
            )?;
        }
        Ok(())
    }
}

/// Erases what was kept aside about a person or an account. The entries stay, with hashes that nothing can be compared with any more.
pub async fn erase(tx: &mut Tx, subject_id: i64) -> Result<u64, Fault> {
    Ok(sql!(tx, execute, "delete from audit_details where subject_id = $1", subject_id)?)
}

fn hash_detail(salt: &[u8], detail: &str) -> Vec<u8> {
    Sha256::new_with_prefix(salt).chain_update(detail).finalize().to_vec()
}
