//! Signing in by a password, and what helps when it is forgotten.

use super::{Account, AccountKind, Flaw, rows, rules, sign_up};
use crate::audit::Entry;
use crate::links::{self, Link, Purpose};
use crate::notices::{self, Notice};
use crate::{Fault, Platform, password};

/// What comes of an address and a password.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// No such address, another password, or a closed account: never told which, and all take the same time.
    Wrong,
    /// They are in.
    In(Account),
    /// A code is still to be given: the session begins half.
    SecondFactor(Account),
    /// A second factor is still to be set up: the session begins half.
    Enrol(Account),
}

/// Checks an address and a password.
pub async fn sign_in(platform: &Platform, kind: AccountKind, email: &str, password: &str) -> Result<Outcome, Fault> {
    let found = match rules::email(email) {
        Ok(email) => {
            let mut tx = platform.db.read().await?;
            rows::with_password(&mut tx, kind, &email).await?
        }
        Err(_) => None,
    };
    let (account, hash) = match found {
        Some((account, Some(hash))) => (Some(account), hash),
        _ => (None, password::NOBODY.to_owned()),
    };
    if password.len() > rules::LONGEST_PASSWORD {
        return Ok(Outcome::Wrong);
    }
    let right = password::matches(hash, password.to_owned()).await;
    Ok(match account.filter(|_| right) {
        None => Outcome::Wrong,
        Some(account) if account.has_second_factor() => Outcome::SecondFactor(account),
        Some(account) if account.must_enrol(platform) => Outcome::Enrol(account),
        Some(account) => Outcome::In(account),
    })
}

/// Whether a password is that of an account whose session lives already.
pub async fn proves_who_it_is(platform: &Platform, account: &Account, password: &str) -> Result<bool, Fault> {
    let mut tx = platform.db.read().await?;
    let hash = rows::password_of(&mut tx, account.account_id).await?;
    drop(tx);
    let Some(hash) = hash.filter(|_| password.len() <= rules::LONGEST_PASSWORD) else { return Ok(false) };
    Ok(password::matches(hash, password.to_owned()).await)
}

/// Why a password was not set by a link.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// The link was used, has ended, or never was.
    #[error("the link does not work any more")]
    Link,
    /// The password is not good enough; the link is still good.
    #[error("{}", .0.message)]
    Flaw(Flaw),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for ResetError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// Mails a link for a new password, if there is an account with a password of ours; else a link that nobody gets is written all the same, so
/// that both take the same way.
///
/// Who signs in at the operator's OpenID provider has no password of ours and gets no mail; neither has a new member of staff who has not followed
/// the link for the first one.
pub async fn forgot(platform: &Platform, kind: AccountKind, email: &str) -> Result<(), Fault> {
    let Ok(email) = rules::email(email) else { return Ok(()) };
    let mut tx = platform.db.begin().await?;
    let account = rows::with_password(&mut tx, kind, &email).await?.and_then(|(account, hash)| hash.map(|_| account));
    let about = account.as_ref().map_or(0, |account| account.account_id);
    let purpose = Purpose::ResetPassword;
    let token = links::make(platform, &mut tx, purpose, about, &email, notices::lives(purpose)).await?;
    let may_mail = sign_up::may_mail(platform, &mut tx, &email).await?;
    if let Some(account) = account.filter(|_| may_mail) {
        let notice = Notice::ResetPassword { name: account.name, path: format!("{}?token={token}", kind.reset_path()) };
        notices::send(platform, &mut tx, &email, Some(account.account_id), notice).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Whose password a link sets, without using it up. A link of one side is none on the other.
pub async fn look_at_reset(platform: &Platform, kind: AccountKind, token: &str) -> Result<Option<Account>, Fault> {
    whose(platform, links::look(platform, Purpose::ResetPassword, token).await?, kind).await
}

/// The account that a link is about, if it is open and still has the address to which the link was mailed.
pub(super) async fn whose(platform: &Platform, link: Option<Link>, kind: AccountKind) -> Result<Option<Account>, Fault> {
    let Some(link) = link else { return Ok(None) };
    let mut tx = platform.db.read().await?;
    let account = rows::by_id(&mut tx, link.about_id).await?;
    Ok(account.filter(|account| account.kind == kind && account.disabled_at.is_none() && account.email == link.email))
}

/// Sets a new password by a mailed link. Every session of the account ends, and its holder is told. A second factor stays in force: whoever has
/// the mailbox alone does not come in.
pub async fn reset(platform: &Platform, kind: AccountKind, token: &str, password: &str) -> Result<Account, ResetError> {
    let account = look_at_reset(platform, kind, token).await?.ok_or(ResetError::Link)?;
    set_by_link(platform, Purpose::ResetPassword, token, &account, password, "account.password_reset").await?;
    Ok(account)
}

/// Uses a link up for a new password.
pub(super) async fn set_by_link(
    platform: &Platform,
    purpose: Purpose,
    token: &str,
    account: &Account,
    password: &str,
    action: &str,
) -> Result<(), ResetError> {
    rules::password(password, &account.email, &account.name).map_err(ResetError::Flaw)?;
    let hash = password::hash(platform.random.clone(), password.to_owned()).await?;
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    links::take(platform, &mut tx, purpose, token).await?.ok_or(ResetError::Link)?;
    if !rows::set_password(&mut tx, account.account_id, &hash, now).await? {
        return Err(ResetError::Link);
    }
    // Whichever link set the password, no other of them does.
    for purpose in [Purpose::ResetPassword, Purpose::WelcomeStaff] {
        links::end(&mut tx, purpose, account.account_id).await?;
    }
    rows::end_sessions(&mut tx, account.account_id, None).await?;
    if purpose == Purpose::ResetPassword {
        let path = account.kind.forgot_path().to_owned();
        let notice = Notice::PasswordChanged { name: account.name.clone(), path };
        notices::send(platform, &mut tx, &account.email, Some(account.account_id), notice).await?;
    }
    Entry { about: Some(account.account_id), ..Entry::new(account.actor(), action) }
        .write(&mut tx, &platform.random, now)
        .await?;
    tx.commit().await?;
    Ok(())
}
