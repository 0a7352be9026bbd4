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
pub(crate) use rows::may_send;
pub use rows::{NoticeRow, list};
pub use samples::sample;

/// Every mail once: its variant, the word under which it is listed, and what its words need. So there is no mail without a word, and no word
/// without a sample (`samples.rs`) and a snapshot.
macro_rules! notices {
    ($($(#[$meta:meta])* $variant:ident = $word:literal { $($field:ident: $type:ty),* $(,)? }),+ $(,)?) => {
        /// One mail: what it tells. Links are paths on this server, such as `/developers/verify?token=..`.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "a variant says what it tells; its fields are the words in it")]
        pub enum Notice { $($(#[$meta])* $variant { $($field: $type),* }),+ }

        crate::db::words! {
            /// Which mail.
            Kind { $($(#[$meta])* $variant = $word),+ }
        }

        impl Notice {
            /// Which mail it is.
            pub fn kind(&self) -> Kind {
                match self { $(Self::$variant { .. } => Kind::$variant),+ }
            }
        }
    };
}

notices! {
    /// From the operator to themselves: whether mail arrives.
    Test = "test" { at: String },
    /// To a new developer: prove the address.
    VerifyEmail = "verify_email" { name: String, path: String },
    /// Somebody signed up with an address that has an account already. The page says the same to both.
    AccountExists = "account_exists" { name: String },
    /// A link for a new password.
    ResetPassword = "reset_password" { name: String, path: String },
    /// To the new address of an account: prove it.
    ChangeEmail = "change_email" { name: String, path: String },
    /// To the old address, once the new one holds.
    EmailChanged = "email_changed" { name: String },
    /// The password was changed; `path` is where a new one is asked for.
    PasswordChanged = "password_changed" { name: String, path: String },
    /// The second factor was switched on.
    SecondFactorOn = "second_factor_on" { name: String, path: String },
    /// The second factor was switched off, by the holder or by an administrator.
    SecondFactorOff = "second_factor_off" { name: String, by_administrator: bool, path: String },
    /// The recovery codes were made anew.
    RecoveryCodesRenewed = "recovery_codes_renewed" { name: String, path: String },
    /// To a new member of staff: set the first password.
    WelcomeStaff = "welcome_staff" { name: String, path: String },
    /// To a developer: join an organisation.
    Invitation = "invitation" { organisation: String, by: String, role: String, path: String },
    /// To owner and admins of an organisation: an app is offered to them.
    TransferOffered = "transfer_offered" { app: String, organisation: String, by: String, path: String },
    /// An app went to review.
    AppSubmitted = "app_submitted" { app: String, due: String },
    /// To the developer: the limit of an app's review passed without a decision.
    AppLate = "app_late" { app: String, due: String, path: String },
    /// To administrators: the same.
    AppEscalated = "app_escalated" { app: String, due: String, path: String },
    /// An app was decided about.
    AppDecided = "app_decided" { app: String, approved: bool, reasons: Vec<Reason>, path: String },
    /// To the developers of an app: the operator suspended or revoked it.
    AppStopped = "app_stopped" { app: String, revoked: bool, path: String },
    /// To a person: an app they had allowed was stopped for good.
    AccessEnded = "access_ended" { app: String, path: String },
    /// To the developers of an app: it was frozen.
    AppFrozen = "app_frozen" { app: String, reason: String, due: String, path: String },
    /// To the developers of an app: nobody has looked at its freeze in time.
    AppFreezeLate = "app_freeze_late" { app: String, due: String, path: String },
    /// To the developers of an app: its freeze was lifted.
    AppThawed = "app_thawed" { app: String, why: String, path: String },
    /// To those who can be the second person: something was frozen.
    FreezeMade = "freeze_made" { what: String, reason: String, due: String, path: String },
    /// To the same: nobody has looked at a freeze in time.
    FreezeLate = "freeze_late" { what: String, due: String, path: String },
    /// To the member of staff who made it: a freeze was lifted.
    FreezeLifted = "freeze_lifted" { what: String, why: String, path: String },
    /// To the address on an application's form: prove it.
    ConfirmContact = "confirm_contact" { organisation: String, app: String, path: String },
    /// An application was submitted.
    ApplicationSubmitted = "application_submitted" { app: String, reference: String, usual: String, due: String, path: String },
    /// A reviewer asks the applicant.
    Question = "question" { app: String, reference: String, question: String, fields: Vec<String>, due: String, path: String },
    /// The question is still open.
    QuestionReminder = "question_reminder" { app: String, reference: String, question: String, fields: Vec<String>, due: String, path: String, days_left: u32 },
    /// To the reviewer: the question was answered.
    QuestionAnswered = "question_answered" { app: String, reference: String, path: String },
    /// To the reviewer: the move is theirs again, and why.
    CaseReturned = "case_returned" { app: String, reference: String, what: String, path: String },
    /// To a member of staff: a case was handed to them; `case` names it.
    CaseHanded = "case_handed" { case: String, by: String, text: String, path: String },
    /// An approval was taken back.
    ApplicationRevoked = "application_revoked" { app: String, reference: String, reason: Reason, path: String },
    /// An application was decided about.
    ApplicationDecided = "application_decided" { app: String, reference: String, outcomes: Vec<ScopeOutcome>, text: String, path: String },
    /// To the applicant: the limit passed without a decision.
    DecisionLate = "decision_late" { app: String, reference: String, due: String, path: String },
    /// To administrators: the same.
    Escalated = "escalated" { reference: String, due: String, path: String },
    /// A submitted application is open for correction.
    Reopened = "reopened" { app: String, reference: String, text: String, path: String },
    /// A correction that was asked for is refused.
    CorrectionRefused = "correction_refused" { app: String, reference: String, reason: String, path: String },
    /// Every call to an app's webhook failed for days, and calls are stopped.
    WebhookStopped = "webhook_stopped" { app: String, days: u64, path: String },
    /// A ticket was opened.
    TicketOpened = "ticket_opened" { ticket: String, subject: String, due: String, path: String },
    /// Staff answered a ticket; `path` answers without signing in.
    TicketAnswered = "ticket_answered" { ticket: String, subject: String, text: String, path: String },
    /// A ticket was closed.
    TicketClosed = "ticket_closed" { ticket: String, subject: String, path: String },
    /// To the member of staff whose ticket it is: the developer wrote.
    TicketReplied = "ticket_replied" { ticket: String, subject: String, path: String },
    /// To a member of staff: a ticket was handed to them.
    TicketHanded = "ticket_handed" { ticket: String, subject: String, by: String, text: String, path: String },
    /// To administrators: a ticket waits for its first answer longer than promised.
    TicketLate = "ticket_late" { ticket: String, subject: String, due: String, path: String },
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
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| at.to_string(), |time| time.to_zoned(jiff::tz::TimeZone::UTC).strftime("%-d %B %Y").to_string())
}
