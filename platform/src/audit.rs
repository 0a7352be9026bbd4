//! The append-only record of who did what, written in the transaction it records.

use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::ids::Random;

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
}

impl<'a> Entry<'a> {
    /// An entry that concerns nothing yet.
    pub fn new(actor: Actor, action: &'a str) -> Self {
        Self { actor, action, app: None, person: None, grant: None, request: None, about: None, detail: "" }
    }

    /// Writes it.
    pub async fn write(self, tx: &mut Tx, random: &Random, now: Millis) -> Result<(), Fault> {
        sql!(
            tx,
            execute,
            "insert into audit (audit_id, at, actor, action, app_id, person_id, grant_id, request_id, about_id, detail)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            random.id(),
            now,
            self.actor.to_string(),
            self.action.to_owned(),
            self.app,
            self.person,
            self.grant,
            self.request,
            self.about,
            self.detail.to_owned(),
        )?;
        Ok(())
    }
}
