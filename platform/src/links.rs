//! Single-use links that are mailed. The store keeps the hash of the token; taking a link uses it up, whatever comes after in the transaction.

use std::time::Duration;

use crate::clock::Millis;
use crate::db::{Tx, sql, words};
use crate::{Fault, Platform, ids};

words! {
    /// What a link is for.
    Purpose {
        /// Proves an account's address.
        VerifyEmail = "verify_email",
        /// Sets a new password.
        ResetPassword = "reset_password",
        /// Proves a new address of an account.
        ChangeEmail = "change_email",
        /// Proves the address on an application's form.
        ConfirmContact = "confirm_contact",
        /// Answers a reviewer's question.
        AnswerQuestion = "answer_question",
        /// Answers a ticket.
        AnswerTicket = "answer_ticket",
        /// Joins an organisation.
        Invitation = "invitation",
        /// A member of staff sets their first password.
        WelcomeStaff = "welcome_staff",
    }
}

/// A link that lives.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Link {
    /// What it is about: an account, an application, a question, a ticket.
    pub about_id: i64,
    /// To whom it was mailed.
    pub email: String,
    /// When it ends.
    pub expires_at: Millis,
}

/// Makes a link's token. Earlier ones of the same purpose about the same thing to the same address end.
pub async fn make(
    platform: &Platform,
    tx: &mut Tx,
    purpose: Purpose,
    about_id: i64,
    email: &str,
    lives: Duration,
) -> Result<String, Fault> {
    let now = platform.now();
    let token = platform.random.token("lnk.");
    sql!(
        tx,
        execute,
        "delete from links where purpose = $1 and about_id = $2 and email = $3",
        purpose,
        about_id,
        email.to_owned(),
    )?;
    sql!(
        tx,
        execute,
        "insert into links (link_hash, purpose, about_id, email, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)",
        ids::hash(&token),
        purpose,
        about_id,
        email.to_owned(),
        now,
        now + lives,
    )?;
    Ok(token)
}

/// Looks at a link without using it up, for the page that it opens: a mail scanner that follows links must not spend them.
pub async fn look(platform: &Platform, purpose: Purpose, token: &str) -> Result<Option<Link>, Fault> {
    let mut tx = platform.db.read().await?;
    Ok(sql!(
        tx,
        optional Link,
        "select about_id, email, expires_at
         from links
         where link_hash = $1 and purpose = $2 and used_at is null and expires_at > $3",
        ids::hash(token),
        purpose,
        platform.now(),
    )?)
}

/// Uses a link up; none if it was used, has ended, or is for something else.
pub async fn take(platform: &Platform, tx: &mut Tx, purpose: Purpose, token: &str) -> Result<Option<Link>, Fault> {
    let now = platform.now();
    Ok(sql!(
        tx,
        optional Link,
        "update links
         set used_at = $3
         where link_hash = $1 and purpose = $2 and used_at is null and expires_at > $3
         returning about_id, email, expires_at",
        ids::hash(token),
        purpose,
        now,
    )?)
}

/// Ends every link of a purpose about a thing.
pub async fn end(tx: &mut Tx, purpose: Purpose, about_id: i64) -> Result<(), Fault> {
    sql!(tx, execute, "delete from links where purpose = $1 and about_id = $2", purpose, about_id)?;
    Ok(())
}
