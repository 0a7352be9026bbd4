//! Sessions of accounts. A session is half until the second factor was given, and lives ten minutes as long; half ones open nothing.

use std::time::Duration;

use super::{Account, AccountKind, rows};
use crate::audit::Entry;
use crate::clock::Millis;
use crate::db::Tx;
use crate::{Fault, Platform, ids};

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

/// How long a session waits for its second factor.
const HALF: Duration = Duration::from_secs(10 * 60);
/// How exactly it is known when a session was last used.
const SEEN_EVERY: Duration = Duration::from_secs(60);

/// Begins a session; gives the token for the cookie. `complete` is false while a second factor is to be asked for.
pub async fn begin_session(platform: &Platform, account: &Account, complete: bool, agent: &str) -> Result<String, Fault> {
    let now = platform.now();
    let token = platform.random.token("ses.");
    let whole = platform.settings.accounts.session.0;
    let session = Session {
        session_id: platform.random.id(),
        account_id: account.account_id,
        complete,
        agent: agent.chars().filter(|c| !c.is_control()).take(200).collect(),
        created_at: now,
        fresh_at: now,
        seen_at: now,
        expires_at: now + if complete { whole } else { whole.min(HALF) },
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

/// Completes a half session, once the second factor was given: it goes on under another token. None if it has ended meanwhile.
pub async fn complete_session(platform: &Platform, account: &Account, token: &str) -> Result<Option<String>, Fault> {
    let until = platform.now() + platform.settings.accounts.session.0;
    rotate(platform, account, token, "session.begun", Some(until)).await
}

/// Notes that the account has just proved once more who it is: the session goes on under another token.
pub async fn freshen(platform: &Platform, account: &Account, token: &str) -> Result<Option<String>, Fault> {
    rotate(platform, account, token, "session.fresh", None).await
}

async fn rotate(
    platform: &Platform,
    account: &Account,
    old: &str,
    action: &str,
    until: Option<Millis>,
) -> Result<Option<String>, Fault> {
    let now = platform.now();
    let token = platform.random.token("ses.");
    let mut tx = platform.db.begin().await?;
    if !rows::rotate_session(&mut tx, ids::hash(old), ids::hash(&token), now, until).await? {
        return Ok(None);
    }
    Entry { about: Some(account.account_id), ..Entry::new(account.actor(), action) }
        .write(&mut tx, &platform.random, now)
        .await?;
    tx.commit().await?;
    Ok(Some(token))
}

/// The account and the session of a token, if both live and the account is of that kind.
pub async fn of_session(platform: &Platform, kind: AccountKind, token: &str) -> Result<Option<(Account, Session)>, Fault> {
    let now = platform.now();
    let mut tx = platform.db.read().await?;
    let Some(mut session) = rows::session(&mut tx, ids::hash(token), now).await? else { return Ok(None) };
    let account = rows::by_id(&mut tx, session.account_id).await?;
    drop(tx);
    let Some(account) = account.filter(|account| account.kind == kind && account.disabled_at.is_none()) else { return Ok(None) };
    // Whatever the session was when it began: who must have a second factor and has none goes nowhere but to where it is set up.
    session.complete &= !account.must_enrol(platform);
    if now.since(session.seen_at) >= SEEN_EVERY {
        let mut tx = platform.db.begin().await?;
        rows::see_session(&mut tx, session.session_id, now).await?;
        tx.commit().await?;
    }
    Ok(Some((account, session)))
}

/// Whether the account proved who it is so lately that the password is not asked for again.
pub fn is_fresh(platform: &Platform, session: &Session) -> bool {
    session.complete && platform.now().since(session.fresh_at) < platform.settings.accounts.fresh.0
}

/// Ends a session by its token.
pub async fn end_session(platform: &Platform, token: &str) -> Result<(), Fault> {
    let mut tx = platform.db.begin().await?;
    rows::end_session(&mut tx, ids::hash(token)).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends one of the account's own sessions. `false` if there is none of that number.
pub async fn end_session_of(platform: &Platform, account: &Account, session_id: i64) -> Result<bool, Fault> {
    let mut tx = platform.db.begin().await?;
    if !rows::end_session_of(&mut tx, account.account_id, session_id).await? {
        return Ok(false);
    }
    ended(platform, &mut tx, account).await?;
    tx.commit().await?;
    Ok(true)
}

/// Ends every session of the account but the one it looks from. Gives how many.
pub async fn end_sessions_but(platform: &Platform, account: &Account, session_id: i64) -> Result<u64, Fault> {
    let mut tx = platform.db.begin().await?;
    let count = rows::end_sessions(&mut tx, account.account_id, Some(session_id)).await?;
    ended(platform, &mut tx, account).await?;
    tx.commit().await?;
    Ok(count)
}

async fn ended(platform: &Platform, tx: &mut Tx, account: &Account) -> Result<(), Fault> {
    Entry { about: Some(account.account_id), ..Entry::new(account.actor(), "session.ended") }
        .write(tx, &platform.random, platform.now())
        .await
}

/// Ends every session of an account but one.
pub async fn end_other_sessions(tx: &mut Tx, account_id: i64, kept: Option<i64>) -> Result<(), Fault> {
    rows::end_sessions(tx, account_id, kept).await.map(drop)
}
