//! Accounts: developers and staff, their second factor and their sessions. The operator's people are another room.

mod rows;

use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, words};
use crate::ids;
use crate::{Fault, Platform};

pub use rows::{by_email, by_id, roles};

words! {
    /// Whose account it is. One address may have one of each.
    AccountKind {
        /// Of a third party.
        Developer = "developer",
        /// Of the operator.
        Staff = "staff",
    }
}

words! {
    /// What a member of staff may do.
    Role {
        /// Decides about apps and applications.
        Reviewer = "reviewer",
        /// Answers tickets.
        Support = "support",
        /// Looks after those who were approved.
        Compliance = "compliance",
        /// Says who is staff.
        Administrator = "administrator",
    }
}

/// A developer's or a member of staff's account.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Account {
    /// Ours.
    pub account_id: i64,
    /// Whose it is.
    pub kind: AccountKind,
    /// Where mail goes; in lower case.
    pub email: String,
    /// How they call themselves.
    pub name: String,
    /// When the address was proved.
    pub verified_at: Option<Millis>,
    /// When the second factor was switched on.
    pub totp_confirmed_at: Option<Millis>,
    /// Whether they want mail beyond what they must know.
    pub notify: bool,
    /// When it was made.
    pub created_at: Millis,
    /// When it was closed.
    pub disabled_at: Option<Millis>,
}

impl Account {
    /// As the audit names it.
    pub fn actor(&self) -> Actor {
        match self.kind {
            AccountKind::Developer => Actor::Developer(self.account_id),
            AccountKind::Staff => Actor::Staff(self.account_id),
        }
    }
}

/// A session of an account.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Session {
    /// By which it is listed and ended.
    pub session_id: i64,
    /// Whose.
    pub account_id: i64,
    /// False while the second factor is still to be given: such a session opens nothing else.
    pub complete: bool,
    /// The browser, as it names itself.
    pub agent: String,
    /// When it began.
    pub created_at: Millis,
    /// When the account last proved who it is.
    pub fresh_at: Millis,
    /// When it was last used, to the minute.
    pub seen_at: Millis,
    /// When it ends by itself.
    pub expires_at: Millis,
}

/// How long a session of an account lives.
const SESSION: std::time::Duration = std::time::Duration::from_secs(12 * 3600);
/// How exactly it is known when a session was last used.
const SEEN_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// Begins a session; gives the token for the cookie. `complete` is false while a second factor is to be asked for.
pub async fn begin_session(platform: &Platform, account: &Account, complete: bool, agent: &str) -> Result<String, Fault> {
    let now = platform.now();
    let token = platform.random.token("ses.");
    let session = Session {
        session_id: platform.random.id(),
        account_id: account.account_id,
        complete,
        agent: agent.chars().filter(|c| !c.is_control()).take(200).collect(),
        created_at: now,
        fresh_at: now,
        seen_at: now,
        expires_at: now + SESSION,
    };
    let mut tx = platform.db.begin().await?;
    rows::insert_session(&mut tx, ids::hash(&token), &session).await?;
    let action = if complete { "session.begun" } else { "session.half" };
    Entry { about: Some(account.account_id), ..Entry::new(account.actor(), action) }
        .write(&mut tx, &platform.random, now)
        .await?;
    tx.commit().await?;
    Ok(token)
}

/// The account and the session of a token, if both live and the account is of that kind.
pub async fn of_session(platform: &Platform, kind: AccountKind, token: &str) -> Result<Option<(Account, Session)>, Fault> {
    let now = platform.now();
    let mut tx = platform.db.read().await?;
    let Some(session) = rows::session(&mut tx, ids::hash(token), now).await? else { return Ok(None) };
    let account = by_id(&mut tx, session.account_id).await?;
    drop(tx);
    let Some(account) = account.filter(|account| account.kind == kind && account.disabled_at.is_none()) else { return Ok(None) };
    if now.since(session.seen_at) >= SEEN_EVERY {
        let mut tx = platform.db.begin().await?;
        rows::see_session(&mut tx, session.session_id, now).await?;
        tx.commit().await?;
    }
    Ok(Some((account, session)))
}

/// Ends a session by its token.
pub async fn end_session(platform: &Platform, token: &str) -> Result<(), Fault> {
    let mut tx = platform.db.begin().await?;
    rows::end_session(&mut tx, ids::hash(token)).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends every session of an account but one.
pub async fn end_other_sessions(tx: &mut Tx, account_id: i64, kept: Option<i64>) -> Result<(), Fault> {
    rows::end_sessions(tx, account_id, kept).await
}
