//! Notices: mails. What happened and its mail commit together: the mail is rendered and sealed into its row in the transaction of what it tells
//! of, and a job carries it to the mail server, for days if need be. Once it is sent, or given up, what it said is erased.

mod clean;
mod deliver;
mod letter;
mod mail;
mod rows;
mod samples;
mod smtp;
mod words;

use std::time::Duration;

use crate::clock::Millis;
use crate::db::Tx;
use crate::jobs::{self, Job};
use crate::links::Purpose;
use crate::{Fault, Platform};

pub(crate) use deliver::{deliver, forget, reseal};
pub use letter::Rendered;
pub use mail::{Mail, OpenError, Outbox, Sent, Trouble};
pub use rows::{NoticeRow, list};
pub use samples::samples;

/// One mail: what it tells. Links are paths on this server, such as `/developers/verify?token=..`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "a variant says what it tells; its fields are the words in it")]
pub enum Notice {
    /// To a new developer: prove the address.
    VerifyEmail { name: String, path: String },
    /// Somebody signed up with an address that has an account already. The page says the same to both.
    AccountExists { name: String },
    /// A link for a new password.
    ResetPassword { name: String, path: String },
    /// To the new address of an account: prove it.
    ChangeEmail { name: String, path: String },
    /// To the old address, once the new one holds.
    EmailChanged { name: String },
    /// The password was changed.
    PasswordChanged { name: String },
    /// To a new member of staff: set the first password.
    WelcomeStaff { name: String, path: String },
    /// To a developer: join an organisation.
    Invitation { organisation: String, by: String, role: String, path: String },
    /// An app went to review.
    AppSubmitted { app: String, due: String },
    /// An app was decided about.
    AppDecided { app: String, approved: bool, reasons: Vec<Reason>, path: String },
    /// To the address on an application's form: prove it.
    ConfirmContact { organisation: String, app: String, path: String },
    /// An application was submitted.
    ApplicationSubmitted { app: String, reference: String, usual: String, due: String, path: String },
    /// A reviewer asks the applicant.
    Question { app: String, reference: String, question: String, fields: Vec<String>, due: String, path: String },
    /// The question is still open.
    QuestionReminder { app: String, reference: String, question: String, fields: Vec<String>, due: String, path: String, days_left: u32 },
    /// To the reviewer: the question was answered.
    QuestionAnswered { app: String, reference: String, path: String },
    /// An application was decided about.
    ApplicationDecided { app: String, reference: String, outcomes: Vec<ScopeOutcome>, text: String, path: String },
    /// To the applicant: the limit passed without a decision.
    DecisionLate { app: String, reference: String, due: String, path: String },
    /// To administrators: the same.
    Escalated { reference: String, due: String, path: String },
    /// A submitted application is open for correction.
    Reopened { app: String, reference: String, text: String, path: String },
    /// A correction that was asked for is refused.
    CorrectionRefused { app: String, reference: String, reason: String, path: String },
    /// A ticket was opened.
    TicketOpened { ticket: String, subject: String, due: String, path: String },
    /// Staff answered a ticket; `path` answers without signing in.
    TicketAnswered { ticket: String, subject: String, text: String, path: String },
    /// A ticket was closed.
    TicketClosed { ticket: String, subject: String, path: String },
    /// To the member of staff whose ticket it is: the developer wrote.
    TicketReplied { ticket: String, subject: String, path: String },
    /// To administrators: a ticket waits for its first answer longer than promised.
    TicketLate { ticket: String, subject: String, due: String, path: String },
}

/// What was decided about one scope: its name, the outcome in words, the reason if it was refused, the conditions if there are any.
pub type ScopeOutcome = (String, String, Option<Reason>, String);

/// Why something was refused, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// As `LANGUAGE_NOT_ENABLED`.
    pub code: String,
    /// The code in words.
    pub title: String,
    /// What the reviewer wrote.
    pub text: String,
    /// What to do about it.
    pub cure: String,
}

impl Notice {
    /// The word under which it is listed.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "verify_email",
            Self::AccountExists { .. } => "account_exists",
            Self::ResetPassword { .. } => "reset_password",
            Self::ChangeEmail { .. } => "change_email",
            Self::EmailChanged { .. } => "email_changed",
            Self::PasswordChanged { .. } => "password_changed",
            Self::WelcomeStaff { .. } => "welcome_staff",
            Self::Invitation { .. } => "invitation",
            Self::AppSubmitted { .. } => "app_submitted",
            Self::AppDecided { .. } => "app_decided",
            Self::ConfirmContact { .. } => "confirm_contact",
            Self::ApplicationSubmitted { .. } => "application_submitted",
            Self::Question { .. } => "question",
            Self::QuestionReminder { .. } => "question_reminder",
            Self::QuestionAnswered { .. } => "question_answered",
            Self::ApplicationDecided { .. } => "application_decided",
            Self::DecisionLate { .. } => "decision_late",
            Self::Escalated { .. } => "escalated",
            Self::Reopened { .. } => "reopened",
            Self::CorrectionRefused { .. } => "correction_refused",
            Self::TicketOpened { .. } => "ticket_opened",
            Self::TicketAnswered { .. } => "ticket_answered",
            Self::TicketClosed { .. } => "ticket_closed",
            Self::TicketReplied { .. } => "ticket_replied",
            Self::TicketLate { .. } => "ticket_late",
        }
    }

    /// The mail as it would be sent.
    pub fn render(&self, site: &crate::settings::Site) -> Result<Rendered, Fault> {
        letter::render(&words::letter(self, site), site)
    }
}

/// Sends a mail, with the transaction: if that is rolled back, nobody hears of it.
pub async fn send(platform: &Platform, tx: &mut Tx, to: &str, about: Option<i64>, notice: Notice) -> Result<(), Fault> {
    let now = platform.now();
    let notice_id = platform.random.id();
    let rendered = notice.render(&platform.settings.site)?;
    let content = serde_json::to_vec(&rendered).map_err(|fault| Fault::Row(fault.to_string()))?;
    let sealed = platform.keys.seal(&deliver::purpose(notice_id), &content)?;
    rows::insert(tx, notice_id, notice.kind(), &clean::line(to), about, sealed, now).await?;
    jobs::enqueue(tx, platform, Job::Mail { notice_id }, now).await
}

/// How long a mailed link works; the mails say so.
pub const fn lives(purpose: Purpose) -> Duration {
    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;
    Duration::from_secs(match purpose {
        Purpose::ResetPassword => HOUR,
        Purpose::VerifyEmail | Purpose::ChangeEmail => DAY,
        Purpose::WelcomeStaff => 7 * DAY,
        Purpose::Invitation | Purpose::ConfirmContact => 14 * DAY,
        // A question's link lives at least as long as the question may be open, with its extension.
        Purpose::AnswerQuestion | Purpose::AnswerTicket => 60 * DAY,
    })
}

/// A day in words, as mails and pages write it: `6 January 2027`.
pub fn day(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(
        |_| at.to_string(),
        |time| time.to_zoned(jiff::tz::TimeZone::UTC).strftime("%-d %B %Y").to_string(),
    )
}
