//! The SQL of accounts.

use super::{Account, AccountKind, Role, Session};
use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::ids::TokenHash;

/// An account by its number.
pub async fn by_id(tx: &mut Tx, account_id: i64) -> Result<Option<Account>, Fault> {
    Ok(sql!(
        tx,
        optional Account,
        "select account_id, kind, email, name, verified_at, totp_confirmed_at, notify, created_at, disabled_at
         from accounts
         where account_id = $1",
        account_id,
    )?)
}

/// An account by its address, in lower case.
pub async fn by_email(tx: &mut Tx, kind: AccountKind, email: &str) -> Result<Option<Account>, Fault> {
    Ok(sql!(
        tx,
        optional Account,
        "select account_id, kind, email, name, verified_at, totp_confirmed_at, notify, created_at, disabled_at
         from accounts
         where kind = $1 and email = $2",
        kind,
        email.to_lowercase(),
    )?)
}

/// What a member of staff may do.
pub async fn roles(tx: &mut Tx, account_id: i64) -> Result<Vec<Role>, Fault> {
    Ok(sql!(tx, values Role, "select role from staff_roles where account_id = $1 order by role", account_id)?)
}

pub(super) async fn insert_session(tx: &mut Tx, hash: TokenHash, session: &Session) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into account_sessions
           (session_hash, session_id, account_id, complete, agent, created_at, fresh_at, seen_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        hash,
        session.session_id,
        session.account_id,
        session.complete,
        session.agent.clone(),
        session.created_at,
        session.fresh_at,
        session.seen_at,
        session.expires_at,
    )?;
    Ok(())
}

pub(super) async fn session(tx: &mut Tx, hash: TokenHash, now: Millis) -> Result<Option<Session>, Fault> {
    Ok(sql!(
        tx,
        optional Session,
        "select session_id, account_id, complete, agent, created_at, fresh_at, seen_at, expires_at
         from account_sessions
         where session_hash = $1 and expires_at > $2",
        hash,
        now,
    )?)
}

pub(super) async fn see_session(tx: &mut Tx, session_id: i64, now: Millis) -> Result<(), Fault> {
    sql!(tx, execute, "update account_sessions set seen_at = $2 where session_id = $1", session_id, now)?;
    Ok(())
}

pub(super) async fn end_session(tx: &mut Tx, hash: TokenHash) -> Result<(), Fault> {
    sql!(tx, execute, "delete from account_sessions where session_hash = $1", hash)?;
    Ok(())
}

pub(super) async fn end_sessions(tx: &mut Tx, account_id: i64, kept: Option<i64>) -> Result<(), Fault> {
    sql!(tx, execute, "delete from account_sessions where account_id = $1 and session_id <> $2", account_id, kept.unwrap_or(0),)?;
    Ok(())
}
