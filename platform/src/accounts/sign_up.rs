//! Signing up. Nobody learns whether an address has an account: what is asked for, what is written and what the page says is the same; only the
//! mail differs, and that goes to whoever holds the address. An account is made by whoever has both the mailed link and the password: a link
//! that a stranger asked for is of no use to them, nor do they get an account in another's name when that other follows it.

use super::{Account, AccountKind, Flaw, rows, rules};
use crate::audit::Entry;
use crate::db::Tx;
use crate::links::{self, Purpose};
use crate::notices::{self, Notice};
use crate::{Fault, Platform, password};

/// What a new developer writes.
#[derive(Clone, Debug)]
pub struct NewDeveloper {
    /// Their address.
    pub email: String,
    /// How they call themselves.
    pub name: String,
    /// Kept as an argon2id hash.
    pub password: String,
}

/// A sign-up that waits for its address to be proved.
#[derive(Clone, Debug)]
pub struct PendingSignUp {
    /// Ours.
    pub sign_up_id: i64,
    /// The address.
    pub email: String,
}

/// Why an address was not proved.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The link was used, has ended, or never was.
    #[error("the link does not work any more")]
    Link,
    /// Another password than the one of the sign-up; the link is still good.
    #[error("the password is not the one of the sign-up")]
    Password,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for VerifyError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// Signs somebody up: a mail goes to the address. Gives the token of the link in it, which no page shows; if the address has an account
/// already, the mail says so instead, and the token is of no use. All flaws are told at once.
pub async fn sign_up(platform: &Platform, new: NewDeveloper) -> Result<Result<String, Vec<Flaw>>, Fault> {
    let (email, name) = (rules::email(&new.email), rules::name(&new.name));
    let own_words = (email.as_deref().unwrap_or_default(), name.as_deref().unwrap_or_default());
    let password = rules::password(&new.password, own_words.0, own_words.1);
    let (email, name) = match (email, name, password) {
        (Ok(email), Ok(name), Ok(())) => (email, name),
        (email, name, password) => return Ok(Err([name.err(), email.err(), password.err()].into_iter().flatten().collect())),
    };
    let password_hash = password::hash(platform.random.clone(), new.password).await?;
    let now = platform.now();
    let row = rows::SignUpRow { sign_up_id: platform.random.id(), email, name, password_hash };
    let mut tx = platform.db.begin().await?;
    let taken = rows::by_email(&mut tx, AccountKind::Developer, &row.email).await?;
    let lives = notices::lives(Purpose::VerifyEmail);
    rows::insert_sign_up(&mut tx, &row, now, now + lives).await?;
    let token = links::make(platform, &mut tx, Purpose::VerifyEmail, row.sign_up_id, &row.email, lives).await?;
    if may_mail(platform, &mut tx, &row.email).await? {
        let notice = match taken {
            // By the name of its holder, not by what somebody wrote into the form.
            Some(holder) => Notice::AccountExists { name: holder.name },
            None => Notice::VerifyEmail { name: row.name.clone(), path: format!("/developers/verify?token={token}") },
        };
        notices::send(platform, &mut tx, &row.email, None, notice).await?;
    }
    tx.commit().await?;
    Ok(Ok(token))
}

/// Whether one more mail may go to a recipient who did not ask us for it: anybody can write any address into a form.
pub(super) async fn may_mail(platform: &Platform, tx: &mut Tx, email: &str) -> Result<bool, Fault> {
    let hour = std::time::Duration::from_secs(3600);
    let sent = rows::mails_since(tx, email, platform.now() - hour).await?;
    Ok(sent < i64::from(platform.settings.accounts.mails_per_recipient))
}

/// Looks at the sign-up of a link without using the link up.
pub async fn look_at_sign_up(platform: &Platform, token: &str) -> Result<Option<PendingSignUp>, Fault> {
    Ok(find(platform, token).await?.map(|row| PendingSignUp { sign_up_id: row.sign_up_id, email: row.email }))
}

async fn find(platform: &Platform, token: &str) -> Result<Option<rows::SignUpRow>, Fault> {
    let Some(link) = links::look(platform, Purpose::VerifyEmail, token).await? else { return Ok(None) };
    let mut tx = platform.db.read().await?;
    rows::sign_up(&mut tx, link.about_id, platform.now()).await
}

/// Makes the account, for whoever has the mailed link and knows the password of the sign-up. A wrong password does not use the link up.
pub async fn verify(platform: &Platform, token: &str, password: &str) -> Result<Account, VerifyError> {
    let row = find(platform, token).await?.ok_or(VerifyError::Link)?;
    if password.len() > rules::LONGEST_PASSWORD || !password::matches(row.password_hash.clone(), password.to_owned()).await {
        return Err(VerifyError::Password);
    }
    let now = platform.now();
    let account = Account {
        account_id: platform.random.id(),
        kind: AccountKind::Developer,
        email: row.email,
        name: row.name,
        verified_at: Some(now),
        provider_subject: None,
        totp_confirmed_at: None,
        notify: true,
        created_at: now,
        disabled_at: None,
    };
    let mut tx = platform.db.begin().await?;
    links::take(platform, &mut tx, Purpose::VerifyEmail, token).await?.ok_or(VerifyError::Link)?;
    // Somebody else may have proved the same address meanwhile, with a link of their own.
    if !rows::insert(&mut tx, &account, Some(row.password_hash)).await? {
        return Err(VerifyError::Link);
    }
    rows::end_sign_ups(&mut tx, &account.email).await?;
    let personal = Some(account.email.as_str());
    Entry { about: Some(account.account_id), personal, ..Entry::new(account.actor(), "account.made") }
        .write(&mut tx, &platform.random, now)
        .await?;
    tx.commit().await?;
    Ok(account)
}
