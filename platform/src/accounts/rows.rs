//! The SQL of accounts.

use super::{Account, AccountKind, Role, Session};
use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::ids::TokenHash;

/// The columns of an [`Account`], and what follows them.
macro_rules! account {
    ($rest:literal) => {
        concat!(
            "select accounts.account_id, kind, email, name, verified_at, provider_subject, totp_confirmed_at, notify, created_at, disabled_at
             from accounts ",
            $rest
        )
    };
}

/// An account by its number.
pub async fn by_id(tx: &mut Tx, account_id: i64) -> Result<Option<Account>, Fault> {
    Ok(sql!(tx, optional Account, account!("where account_id = $1"), account_id)?)
}

/// Locks an account for the rest of the transaction: whatever it is to be given waits for its closing, or is found by it. `false` if it is closed.
/// Held before organisations and apps.
pub(crate) async fn hold(tx: &mut Tx, account_id: i64) -> Result<bool, Fault> {
    let held = sql!(
        tx,
        execute,
        "update accounts set created_at = created_at where account_id = $1 and disabled_at is null",
        account_id,
    )?;
    Ok(held == 1)
}

/// An account by its address.
pub async fn by_email(tx: &mut Tx, kind: AccountKind, email: &str) -> Result<Option<Account>, Fault> {
    // No address holds a NUL, and PostgreSQL would call it a fault.
    if email.contains('\0') {
        return Ok(None);
    }
    Ok(sql!(tx, optional Account, account!("where kind = $1 and email = $2"), kind, email.to_lowercase())?)
}

pub(super) async fn by_provider(tx: &mut Tx, kind: AccountKind, subject: &str) -> Result<Option<Account>, Fault> {
    Ok(sql!(tx, optional Account, account!("where kind = $1 and provider_subject = $2"), kind, subject.to_owned())?)
}

/// All members of staff, those whose account was closed included, by their address.
pub async fn staff(tx: &mut Tx) -> Result<Vec<Account>, Fault> {
    Ok(sql!(tx, all Account, account!("where kind = 'staff' order by email limit 1000"))?)
}

/// The members of staff with a role whose account is open.
pub async fn with_role(tx: &mut Tx, role: Role) -> Result<Vec<Account>, Fault> {
    Ok(sql!(
        tx,
        all Account,
        account!(
            "join staff_roles on staff_roles.account_id = accounts.account_id
             where staff_roles.role = $1 and kind = 'staff' and disabled_at is null
             order by email"
        ),
        role,
    )?)
}

#[derive(sqlx_macros::FromRow)]
struct WithPassword {
    #[sqlx(flatten)]
    account: Account,
    password_hash: Option<String>,
}

/// An open account and its password's hash, by one statement, so that a known address takes no longer than an unknown one.
pub(super) async fn with_password(
    tx: &mut Tx,
    kind: AccountKind,
    email: &str,
) -> Result<Option<(Account, Option<String>)>, Fault> {
    let found = sql!(
        tx,
        optional WithPassword,
        "select account_id, kind, email, name, verified_at, provider_subject, totp_confirmed_at, notify, created_at, disabled_at, password_hash
         from accounts
         where kind = $1 and email = $2 and disabled_at is null",
        kind,
        email.to_owned(),
    )?;
    Ok(found.map(|row| (row.account, row.password_hash)))
}

pub(super) async fn password_of(tx: &mut Tx, account_id: i64) -> Result<Option<String>, Fault> {
    let hash = sql!(
        tx,
        found Option<String>,
        "select password_hash from accounts where account_id = $1 and disabled_at is null",
        account_id,
    )?;
    Ok(hash.flatten())
}

/// What a member of staff may do.
pub async fn roles(tx: &mut Tx, account_id: i64) -> Result<Vec<Role>, Fault> {
    Ok(sql!(tx, values Role, "select role from staff_roles where account_id = $1 order by role", account_id)?)
}

/// `false` if the address or the provider's subject is another's.
pub(super) async fn insert(tx: &mut Tx, account: &Account, password_hash: Option<String>) -> Result<bool, Fault> {
    let inserted = sql!(
        tx,
        execute,
        "insert into accounts
           (account_id, kind, email, name, password_hash, verified_at, provider_subject, notify, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict do nothing",
        account.account_id,
        account.kind,
        account.email.clone(),
        account.name.clone(),
        password_hash,
        account.verified_at,
        account.provider_subject.clone(),
        account.notify,
        account.created_at,
    )?;
    Ok(inserted == 1)
}

pub(super) async fn set_name(tx: &mut Tx, account_id: i64, name: &str) -> Result<(), Fault> {
    sql!(tx, execute, "update accounts set name = $2 where account_id = $1", account_id, name.to_owned())?;
    Ok(())
}

/// `false` if the account was closed meanwhile.
pub(super) async fn set_password(tx: &mut Tx, account_id: i64, hash: &str, now: Millis) -> Result<bool, Fault> {
    let set = sql!(
        tx,
        execute,
        "update accounts
         set password_hash = $2, verified_at = coalesce(verified_at, $3)
         where account_id = $1 and disabled_at is null and provider_subject is null",
        account_id,
        hash.to_owned(),
        now,
    )?;
    Ok(set == 1)
}

/// `false` if another account has it. Whoever calls looks first; this holds when two look at once.
pub(super) async fn set_email(tx: &mut Tx, account: &Account, email: &str) -> Result<bool, Fault> {
    let set = sql!(
        tx,
        execute,
        "update accounts
         set email = $2
         where account_id = $1
           and not exists (select 1 from accounts other where other.kind = $3 and other.email = $2 and other.account_id <> $1)",
        account.account_id,
        email.to_owned(),
        account.kind,
    )?;
    Ok(set == 1)
}

pub(super) async fn set_notify(tx: &mut Tx, account_id: i64, notify: bool) -> Result<(), Fault> {
    sql!(tx, execute, "update accounts set notify = $2 where account_id = $1", account_id, notify)?;
    Ok(())
}

pub(super) async fn set_provider(tx: &mut Tx, account_id: i64, subject: &str) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update accounts
         set provider_subject = $2, password_hash = null, totp_sealed = null, totp_confirmed_at = null, totp_step = null
         where account_id = $1",
        account_id,
        subject.to_owned(),
    )?;
    Ok(())
}

/// `false` if there was nothing to change.
pub(super) async fn set_disabled(tx: &mut Tx, account_id: i64, disabled_at: Option<Millis>) -> Result<bool, Fault> {
    let set = sql!(
        tx,
        execute,
        "update accounts
         set disabled_at = $2
         where account_id = $1 and (disabled_at is null) <> ($3)",
        account_id,
        disabled_at,
        disabled_at.is_none(),
    )?;
    Ok(set == 1)
}

/// Takes away everything that names whose account it was.
pub(super) async fn erase(tx: &mut Tx, account_id: i64, now: Millis) -> Result<bool, Fault> {
    let erased = sql!(
        tx,
        execute,
        "update accounts
         set email = $2, name = '', password_hash = null, provider_subject = null, totp_sealed = null, totp_confirmed_at = null,
             totp_step = null, notify = false, disabled_at = $3
         where account_id = $1 and disabled_at is null",
        account_id,
        format!("closed {account_id}"),
        now,
    )?;
    Ok(erased == 1)
}

// Roles.

/// Holds the administrators for the rest of the transaction, so that two who take each other's role away do not both succeed.
pub(super) async fn hold_administrators(tx: &mut Tx) -> Result<(), Fault> {
    sql!(tx, execute, "update staff_roles set role = role where role = 'administrator'")?;
    Ok(())
}

/// How many administrators there are besides one.
pub(super) async fn other_administrators(tx: &mut Tx, account_id: i64) -> Result<i64, Fault> {
    Ok(sql!(
        tx,
        value i64,
        "select count(*)
         from staff_roles
         join accounts on accounts.account_id = staff_roles.account_id
         where staff_roles.role = 'administrator' and accounts.disabled_at is null and accounts.account_id <> $1",
        account_id,
    )?)
}

pub(super) async fn set_roles(tx: &mut Tx, account_id: i64, roles: &[Role]) -> Result<(), Fault> {
    sql!(tx, execute, "delete from staff_roles where account_id = $1", account_id)?;
    for role in roles {
        sql!(
            tx,
            execute,
            "insert into staff_roles (account_id, role) values ($1, $2) on conflict do nothing",
            account_id,
            *role,
        )?;
    }
    Ok(())
}

// The second factor.

/// The sealed secret of the second factor and the last step that was used.
#[derive(sqlx_macros::FromRow)]
pub(super) struct Totp {
    pub(super) totp_sealed: Option<Vec<u8>>,
    pub(super) totp_confirmed_at: Option<Millis>,
}

pub(super) async fn totp(tx: &mut Tx, account_id: i64) -> Result<Option<Totp>, Fault> {
    Ok(sql!(tx, optional Totp, "select totp_sealed, totp_confirmed_at from accounts where account_id = $1", account_id)?)
}

/// Puts a secret that is still to be confirmed; not over one that is.
pub(super) async fn set_totp(tx: &mut Tx, account_id: i64, sealed: Vec<u8>) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update accounts set totp_sealed = $2, totp_step = null where account_id = $1 and totp_confirmed_at is null",
        account_id,
        sealed,
    )?;
    Ok(())
}

pub(super) async fn confirm_totp(tx: &mut Tx, account_id: i64, now: Millis) -> Result<bool, Fault> {
    let confirmed = sql!(
        tx,
        execute,
        "update accounts
         set totp_confirmed_at = $2
         where account_id = $1 and totp_sealed is not null and totp_confirmed_at is null",
        account_id,
        now,
    )?;
    Ok(confirmed == 1)
}

/// Uses a step up: `false` if it, or a later one, was used before.
pub(super) async fn use_step(tx: &mut Tx, account_id: i64, step: i64) -> Result<bool, Fault> {
    let used = sql!(
        tx,
        execute,
        "update accounts set totp_step = $2 where account_id = $1 and (totp_step is null or totp_step < $2)",
        account_id,
        step,
    )?;
    Ok(used == 1)
}

/// Takes the second factor away, and its recovery codes; `false` if none was in force.
pub(super) async fn drop_totp(tx: &mut Tx, account_id: i64) -> Result<bool, Fault> {
    let dropped = sql!(
        tx,
        execute,
        "update accounts
         set totp_sealed = null, totp_confirmed_at = null, totp_step = null
         where account_id = $1 and totp_confirmed_at is not null",
        account_id,
    )?;
    // One that was begun and not confirmed goes too.
    sql!(tx, execute, "update accounts set totp_sealed = null, totp_step = null where account_id = $1", account_id)?;
    sql!(tx, execute, "delete from recovery_codes where account_id = $1", account_id)?;
    Ok(dropped == 1)
}

#[derive(sqlx_macros::FromRow)]
pub(super) struct SealedTotp {
    pub(super) account_id: i64,
    pub(super) totp_sealed: Vec<u8>,
}

pub(super) async fn all_totp(tx: &mut Tx, after: i64) -> Result<Vec<SealedTotp>, Fault> {
    Ok(sql!(
        tx,
        all SealedTotp,
        "select account_id, totp_sealed
         from accounts
         where totp_sealed is not null and account_id > $1
         order by account_id
         limit 500",
        after,
    )?)
}

/// Puts the same secret sealed anew, unless it is another by now.
pub(super) async fn reseal_totp(tx: &mut Tx, account_id: i64, old: Vec<u8>, new: Vec<u8>) -> Result<(), Fault> {
    sql!(tx, execute, "update accounts set totp_sealed = $3 where account_id = $1 and totp_sealed = $2", account_id, old, new,)?;
    Ok(())
}

pub(super) async fn set_recovery_codes(tx: &mut Tx, account_id: i64, hashes: Vec<TokenHash>) -> Result<(), Fault> {
    sql!(tx, execute, "delete from recovery_codes where account_id = $1", account_id)?;
    for hash in hashes {
        sql!(tx, execute, "insert into recovery_codes (code_hash, account_id) values ($1, $2)", hash, account_id)?;
    }
    Ok(())
}

pub(super) async fn use_recovery_code(tx: &mut Tx, account_id: i64, hash: TokenHash, now: Millis) -> Result<bool, Fault> {
    let used = sql!(
        tx,
        execute,
        "update recovery_codes set used_at = $3 where code_hash = $2 and account_id = $1 and used_at is null",
        account_id,
        hash,
        now,
    )?;
    Ok(used == 1)
}

/// How many recovery codes are still good.
pub async fn recovery_codes_left(tx: &mut Tx, account_id: i64) -> Result<i64, Fault> {
    Ok(sql!(tx, value i64, "select count(*) from recovery_codes where account_id = $1 and used_at is null", account_id)?)
}

// Sign-ups.

/// A sign-up whose address is still to be proved.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub(super) struct SignUpRow {
    pub(super) sign_up_id: i64,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) password_hash: String,
}

pub(super) async fn insert_sign_up(tx: &mut Tx, row: &SignUpRow, now: Millis, expires_at: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into sign_ups (sign_up_id, email, name, password_hash, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)",
        row.sign_up_id,
        row.email.clone(),
        row.name.clone(),
        row.password_hash.clone(),
        now,
        expires_at,
    )?;
    Ok(())
}

pub(super) async fn sign_up(tx: &mut Tx, sign_up_id: i64, now: Millis) -> Result<Option<SignUpRow>, Fault> {
    Ok(sql!(
        tx,
        optional SignUpRow,
        "select sign_up_id, email, name, password_hash from sign_ups where sign_up_id = $1 and expires_at > $2",
        sign_up_id,
        now,
    )?)
}

/// Ends every sign-up of an address, and the links that were mailed for them.
pub(super) async fn end_sign_ups(tx: &mut Tx, email: &str) -> Result<(), Fault> {
    sql!(tx, execute, "delete from links where purpose = 'verify_email' and email = $1", email.to_owned())?;
    sql!(tx, execute, "delete from sign_ups where email = $1", email.to_owned())?;
    Ok(())
}

/// How many mails that anybody can have sent went to a recipient since a time.
pub(super) async fn mails_since(tx: &mut Tx, email: &str, since: Millis) -> Result<i64, Fault> {
    Ok(sql!(
        tx,
        value i64,
        "select count(*)
         from notices
         where created_at > $2 and recipient = $1 and kind in ('verify_email', 'account_exists', 'reset_password', 'change_email')",
        email.to_owned(),
        since,
    )?)
}

/// Forgets sessions and sign-ups whose time is over.
pub(super) async fn forget(tx: &mut Tx, now: Millis) -> Result<u64, Fault> {
    let sessions = sql!(tx, execute, "delete from account_sessions where expires_at <= $1", now)?;
    let sign_ups = sql!(tx, execute, "delete from sign_ups where expires_at <= $1", now)?;
    Ok(sessions + sign_ups)
}

// Closing an account.

/// Whether apps belong to the account, or to an organisation that it owns.
pub(super) async fn owns_apps(tx: &mut Tx, account_id: i64) -> Result<bool, Fault> {
    let owned = sql!(
        tx,
        value i64,
        "select count(*)
         from apps
         where deleted_at is null
           and ((owner_kind = 'account' and owner_id = $1)
             or (owner_kind = 'organisation'
               and owner_id in (select organisation_id from members where account_id = $1 and role = 'owner')))",
        account_id,
    )?;
    Ok(owned > 0)
}

/// Locks the organisations that an account owns, so that nobody joins them and no app comes to them while it is closed.
pub(super) async fn hold_owned(tx: &mut Tx, account_id: i64) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update organisations
         set created_at = created_at
         where deleted_at is null
           and organisation_id in (select organisation_id from members where account_id = $1 and role = 'owner')",
        account_id,
    )?;
    Ok(())
}

/// Whether somebody else is a member of an organisation that the account owns.
pub(super) async fn owns_others(tx: &mut Tx, account_id: i64) -> Result<bool, Fault> {
    let others = sql!(
        tx,
        value i64,
        "select count(*)
         from members own
         join members other on other.organisation_id = own.organisation_id and other.account_id <> own.account_id
         join organisations on organisations.organisation_id = own.organisation_id
         where own.account_id = $1 and own.role = 'owner' and organisations.deleted_at is null",
        account_id,
    )?;
    Ok(others > 0)
}

/// Leaves every organisation and app; organisations that are nobody's then are deleted. Invitations to the account, by it, and to those organisations
/// end: what somebody could invite to, they could still let in.
pub(super) async fn leave_all(tx: &mut Tx, account_id: i64, now: Millis) -> Result<(), Fault> {
    for statement in [
        "update organisations
         set deleted_at = $2
         where deleted_at is null
           and organisation_id in (select organisation_id from members where account_id = $1 and role = 'owner')",
        "update invitations
         set ended_at = $2, outcome = 'cancelled'
         where ended_at is null
           and (account_id = $1 or invited_by = $1
             or organisation_id in (select organisation_id from members where account_id = $1 and role = 'owner'))",
    ] {
        sql!(tx, execute, statement, account_id, now)?;
    }
    for statement in ["delete from app_managers where account_id = $1", "delete from members where account_id = $1"] {
        sql!(tx, execute, statement, account_id)?;
    }
    Ok(())
}

// Sessions.

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

/// The sessions of an account that are under way, the last used first.
pub async fn sessions(tx: &mut Tx, account_id: i64, now: Millis) -> Result<Vec<Session>, Fault> {
    Ok(sql!(
        tx,
        all Session,
        "select session_id, account_id, complete, agent, created_at, fresh_at, seen_at, expires_at
         from account_sessions
         where account_id = $1 and complete and expires_at > $2
         order by seen_at desc, session_id
         limit 100",
        account_id,
        now,
    )?)
}

pub(super) async fn see_session(tx: &mut Tx, session_id: i64, now: Millis) -> Result<(), Fault> {
    sql!(tx, execute, "update account_sessions set seen_at = $2 where session_id = $1", session_id, now)?;
    Ok(())
}

/// Gives a session another token. `completed_until` completes one that was not: none if it was.
pub(super) async fn rotate_session(
    tx: &mut Tx,
    old: TokenHash,
    new: TokenHash,
    now: Millis,
    completed_until: Option<Millis>,
) -> Result<bool, Fault> {
    let rotated = sql!(
        tx,
        execute,
        "update account_sessions
         set session_hash = $2, fresh_at = $3, seen_at = $3, complete = true, expires_at = coalesce($4, expires_at)
         where session_hash = $1 and expires_at > $3",
        old,
        new,
        now,
        completed_until,
    )?;
    Ok(rotated == 1)
}

pub(super) async fn end_session(tx: &mut Tx, hash: TokenHash) -> Result<(), Fault> {
    sql!(tx, execute, "delete from account_sessions where session_hash = $1", hash)?;
    Ok(())
}

pub(super) async fn end_session_of(tx: &mut Tx, account_id: i64, session_id: i64) -> Result<bool, Fault> {
    let ended =
        sql!(tx, execute, "delete from account_sessions where account_id = $1 and session_id = $2", account_id, session_id,)?;
    Ok(ended == 1)
}

pub(super) async fn end_sessions(tx: &mut Tx, account_id: i64, kept: Option<i64>) -> Result<u64, Fault> {
    Ok(sql!(
        tx,
        execute,
        "delete from account_sessions where account_id = $1 and session_id <> $2",
        account_id,
        kept.unwrap_or(0),
    )?)
}
