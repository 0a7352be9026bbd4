//! What an account's holder changes about it. Whoever calls has asked for the password lately.

use super::{Account, AccountKind, Flaw, rows, rules, sign_up};
use crate::audit::{self, Entry};
use crate::db::Tx;
use crate::links::{self, Purpose};
use crate::notices::{self, Notice};
use crate::{Fault, Platform, password};

async fn record(platform: &Platform, tx: &mut Tx, account: &Account, action: &str) -> Result<(), Fault> {
    record_with(platform, tx, account, action, None).await
}

/// An entry with what its holder could be known by, kept aside.
async fn record_with(
    platform: &Platform,
    tx: &mut Tx,
    account: &Account,
    action: &str,
    personal: Option<&str>,
) -> Result<(), Fault> {
    Entry { personal, about: Some(account.account_id), ..Entry::new(account.actor(), action) }
        .write(tx, &platform.random, platform.now())
        .await
}

/// Changes the name.
pub async fn rename(platform: &Platform, account: &Account, name: &str) -> Result<Result<(), Flaw>, Fault> {
    let name = match rules::name(name) {
        Ok(name) => name,
        Err(flaw) => return Ok(Err(flaw)),
    };
    let mut tx = platform.db.begin().await?;
    rows::set_name(&mut tx, account.account_id, &name).await?;
    record(platform, &mut tx, account, "account.renamed").await?;
    tx.commit().await?;
    Ok(Ok(()))
}

/// Changes the password. Every session but the one it is changed in ends, and so do links for a new password.
pub async fn change_password(
    platform: &Platform,
    account: &Account,
    session_id: i64,
    password: &str,
) -> Result<Result<(), Flaw>, Fault> {
    if let Err(flaw) = rules::password(password, &account.email, &account.name) {
        return Ok(Err(flaw));
    }
    let hash = password::hash(platform.random.clone(), password.to_owned()).await?;
    let mut tx = platform.db.begin().await?;
    if rows::set_password(&mut tx, account.account_id, &hash, platform.now()).await? {
        rows::end_sessions(&mut tx, account.account_id, Some(session_id)).await?;
        links::end(&mut tx, Purpose::ResetPassword, account.account_id).await?;
        let path = account.kind.forgot_path().to_owned();
        let notice = Notice::PasswordChanged { name: account.name.clone(), path };
        notices::send(platform, &mut tx, &account.email, Some(account.account_id), notice).await?;
        record(platform, &mut tx, account, "account.password_changed").await?;
        tx.commit().await?;
    }
    Ok(Ok(()))
}

/// Says whether mail is wanted beyond what the holder must know.
pub async fn set_notify(platform: &Platform, account: &Account, notify: bool) -> Result<(), Fault> {
    let mut tx = platform.db.begin().await?;
    rows::set_notify(&mut tx, account.account_id, notify).await?;
    record(platform, &mut tx, account, "account.notify_set").await?;
    tx.commit().await?;
    Ok(())
}

/// Asks for another address: a link goes to the new one. If that has an account already, its holder is told instead, and nobody else.
pub async fn ask_for_email(platform: &Platform, account: &Account, email: &str) -> Result<Result<(), Flaw>, Fault> {
    let email = match rules::email(email) {
        Ok(email) => email,
        Err(flaw) => return Ok(Err(flaw)),
    };
    if email == account.email {
        return Ok(Err(Flaw { field: "email", message: "This is the address that the account has." }));
    }
    let mut tx = platform.db.begin().await?;
    let taken = rows::by_email(&mut tx, account.kind, &email).await?;
    let purpose = Purpose::ChangeEmail;
    // One change at a time: a link mailed to an address mistyped before ends.
    links::end(&mut tx, purpose, account.account_id).await?;
    let token = links::make(platform, &mut tx, purpose, account.account_id, &email, notices::lives(purpose)).await?;
    if sign_up::may_mail(platform, &mut tx, &email).await? {
        let notice = match taken {
            Some(holder) => Notice::AccountExists { name: holder.name },
            None => {
                let path = format!("/developers/account/email/confirm?token={token}");
                Notice::ChangeEmail { name: account.name.clone(), path }
            }
        };
        notices::send(platform, &mut tx, &email, Some(account.account_id), notice).await?;
    }
    record(platform, &mut tx, account, "account.email_asked").await?;
    tx.commit().await?;
    Ok(Ok(()))
}

/// A change of address that waits for its proof.
#[derive(Clone, Debug)]
pub struct PendingEmail {
    /// The new address.
    pub email: String,
}

/// Why an address was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EmailError {
    /// The link was used, has ended, is another account's, or the address was taken meanwhile.
    #[error("the link does not work any more")]
    Link,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for EmailError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// Looks at the change of a link without using it up. Only the account that asked for it sees it.
pub async fn look_at_email(platform: &Platform, account: &Account, token: &str) -> Result<Option<PendingEmail>, Fault> {
    let link = links::look(platform, Purpose::ChangeEmail, token).await?;
    Ok(link.filter(|link| link.about_id == account.account_id).map(|link| PendingEmail { email: link.email }))
}

/// Changes the address, for whoever has the link mailed to the new one and is signed in. The old one is told.
pub async fn confirm_email(platform: &Platform, account: &Account, token: &str) -> Result<String, EmailError> {
    // Looked at before: another account's link is not used up.
    look_at_email(platform, account, token).await?.ok_or(EmailError::Link)?;
    let mut tx = platform.db.begin().await?;
    let link = links::take(platform, &mut tx, Purpose::ChangeEmail, token).await?.ok_or(EmailError::Link)?;
    if !rows::set_email(&mut tx, account, &link.email).await? {
        return Err(EmailError::Link);
    }
    links::end(&mut tx, Purpose::ResetPassword, account.account_id).await?;
    let notice = Notice::EmailChanged { name: account.name.clone() };
    notices::send(platform, &mut tx, &account.email, Some(account.account_id), notice).await?;
    record_with(platform, &mut tx, account, "account.email_changed", Some(&link.email)).await?;
    tx.commit().await?;
    Ok(link.email)
}

/// Why an account cannot be closed yet.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// Apps would be nobody's.
    #[error("the account, or an organisation that it owns, has apps")]
    OwnsApps,
    /// Others would lose their organisation.
    #[error("the account owns an organisation with other members")]
    OwnsOrganisation,
    /// The operator closes accounts of staff.
    #[error("accounts of staff are closed by an administrator")]
    Staff,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for CloseError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// Closes a developer's account and erases what names its holder. The row stays, empty, for the records that refer to it.
pub async fn close(platform: &Platform, account: &Account) -> Result<(), CloseError> {
    if account.kind != AccountKind::Developer {
        return Err(CloseError::Staff);
    }
    let now = platform.now();
    let account_id = account.account_id;
    let mut tx = platform.db.begin().await?;
    // First, so that whatever would give the account an app at the same time finds it closed, or is found here.
    if !rows::erase(&mut tx, account_id, now).await? {
        return Ok(());
    }
    rows::hold_owned(&mut tx, account_id).await?;
    if rows::owns_apps(&mut tx, account_id).await? {
        return Err(CloseError::OwnsApps);
    }
    if rows::owns_others(&mut tx, account_id).await? {
        return Err(CloseError::OwnsOrganisation);
    }
    rows::leave_all(&mut tx, account_id, now).await?;
    rows::drop_totp(&mut tx, account_id).await?;
    rows::end_sessions(&mut tx, account_id, None).await?;
    rows::end_sign_ups(&mut tx, &account.email).await?;
    for purpose in [Purpose::ResetPassword, Purpose::ChangeEmail, Purpose::Invitation] {
        links::end(&mut tx, purpose, account_id).await?;
    }
    record(platform, &mut tx, account, "account.closed").await?;
    audit::erase(&mut tx, account_id).await?;
    tx.commit().await?;
    Ok(())
}
