//! Tickets: developers and the operator's support write to each other. A ticket says whose move it is; the first answer has a date; a mistake in a
//! submitted application is mended through one.

mod acts;
pub mod canned;
mod rows;
mod staff;
#[cfg(test)]
mod tests;

use crate::applications;
use crate::clock::Millis;
use crate::db::{Tx, words};
use crate::organisations::{self, Seat};
use crate::{Fault, apps, uploads};

pub use acts::{By, LinkLook, New, Writing, account_of_link, close, is_new, look_at_link, open, write, write_by_link};
pub use canned::{Canned, texts};
pub use rows::{After, Filter, Line, by_id, concerning, list, messages, numbers, of_account};
pub use staff::{answer, assign, close_by_staff, note, open_for_correction, refuse_correction};
pub(crate) use staff::{escalate, forget};

words! {
    /// What a ticket is about, as pages and mails name it.
    Topic {
        /// Also mistakes in a submitted application.
        Portability = "Data Portability API",
        /// The check of the app itself.
        AppReview = "App review",
        /// Sign-in with the operator's accounts.
        Login = "Login Kit",
        /// Calls to apps.
        Webhooks = "Webhooks",
        /// Developing against made-up people.
        Sandbox = "Sandbox",
        /// Sign-in and organisations of developers.
        Account = "Account",
        /// Anything else.
        Other = "Other",
    }
}

words! {
    /// Whose move it is.
    State {
        /// Staff's.
        Open = "open",
        /// The developer's.
        Answered = "answered",
        /// Nobody's; a message of the developer's opens it again.
        Closed = "closed",
    }
}

impl State {
    /// The states from which a ticket may come into this one. A second message in a row leaves it where it is.
    pub const fn may_come_from(self) -> &'static [Self] {
        match self {
            Self::Open => &[Self::Open, Self::Answered, Self::Closed],
            Self::Answered | Self::Closed => &[Self::Open, Self::Answered],
        }
    }
}

words! {
    /// What was done by a message.
    Kind {
        /// The developer wrote.
        Message = "message",
        /// Staff answered.
        Answer = "answer",
        /// Staff wrote to each other; the developer does not see it.
        Note = "note",
        /// It was closed.
        Closed = "closed",
        /// It was given to somebody; the developer does not see it.
        HandedOver = "handed_over",
        /// The application was opened for correction.
        CorrectionOpened = "correction_opened",
        /// It was not.
        CorrectionRefused = "correction_refused",
    }
}

/// One ticket.
#[derive(Clone, Debug, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct Ticket {
    /// Ours.
    pub ticket_id: i64,
    /// What it is about.
    pub topic: Topic,
    /// In one line.
    pub subject: String,
    /// Whose move it is.
    pub state: State,
    /// Counts every change and every message.
    pub version: i64,
    /// Who opened it.
    pub account_id: i64,
    /// About which app.
    pub app_id: Option<i64>,
    /// Whose app that was.
    pub owner_id: Option<i64>,
    /// About which application.
    pub application_id: Option<i64>,
    /// Whose it is among staff.
    pub assigned_to: Option<i64>,
    /// When it was opened.
    pub created_at: Millis,
    /// When something was last done.
    pub updated_at: Millis,
    /// While staff have the move: by when.
    pub due_at: Option<Millis>,
    /// By when the first answer was promised.
    pub first_answer_due_at: Millis,
    /// When it came.
    pub first_answered_at: Option<Millis>,
    /// When its absence was told.
    pub escalated_at: Option<Millis>,
    /// When it was closed.
    pub closed_at: Option<Millis>,
}

impl Ticket {
    /// By which people name it: `T-` and eleven letters and digits.
    pub fn reference(&self) -> String {
        reference(self.ticket_id)
    }

    /// Whether staff have the move for longer than they should.
    pub fn is_late(&self, now: Millis) -> bool {
        self.due_at.is_some_and(|due| due < now)
    }

    /// Whether staff can open the application for correction, or refuse to, here (rule 9).
    pub fn is_about_correction(&self) -> bool {
        self.topic == Topic::Portability && self.application_id.is_some() && self.state != State::Closed
    }
}

/// By which people name a ticket.
pub fn reference(ticket_id: i64) -> String {
    applications::reference(ticket_id).replacen("DP-", "T-", 1)
}

/// One message of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct Message {
    /// Ours.
    pub message_id: i64,
    /// Of which ticket.
    pub ticket_id: i64,
    /// Counted within it.
    pub number: i64,
    /// Who wrote it; none if it was Portward.
    pub account_id: Option<i64>,
    /// Their name.
    pub name: Option<String>,
    /// Whether they are staff.
    pub from_staff: bool,
    /// Whether the developer sees it.
    pub visible: bool,
    /// What was done by it.
    pub kind: Kind,
    /// What was written; may be empty.
    pub text: String,
    uploads: String,
    /// When.
    pub at: Millis,
}

impl Message {
    /// The files that were handed in with it.
    pub fn uploads(&self) -> Vec<i64> {
        ids(&self.uploads)
    }
}

fn ids(list: &str) -> Vec<i64> {
    list.split(',').filter_map(|id| id.parse().ok()).collect()
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such ticket, app or application, or none of theirs.
    #[error("there is no such ticket")]
    Unknown,
    /// Something happened since the page was made.
    #[error("something was done with this ticket since you opened it")]
    Stale,
    /// It stands where this cannot be done.
    #[error("this cannot be done while the ticket is {0}")]
    NotNow(State),
    /// The application cannot be opened for correction.
    #[error("{0}")]
    Application(String),
    /// What was filled in cannot be so: the field, and what to do.
    #[error("some fields are missing or wrong")]
    Invalid(Vec<(&'static str, String)>),
    /// The link was used, or has ended.
    #[error("this link was used, or has ended")]
    Link,
    /// Too many tickets or messages in a short time.
    #[error("you have written a lot in the last hour; please wait a little")]
    TooMany,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for Refusal {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// How a developer may see a ticket: as its author, or as one of those who own the app that it is about. Ownership is looked at as it is now, and
/// the app must still belong to whom it did when the ticket was opened.
pub async fn sees(tx: &mut Tx, ticket: &Ticket, account_id: i64) -> Result<bool, Fault> {
    if ticket.account_id == account_id {
        // What was written for an organisation stays with it when its writer leaves.
        return match ticket.owner_id.filter(|owner_id| *owner_id != account_id) {
            Some(owner_id) => Ok(organisations::seat(tx, owner_id, account_id).await?.is_some()),
            None => Ok(true),
        };
    }
    let (Some(app_id), Some(owner_id)) = (ticket.app_id, ticket.owner_id) else { return Ok(false) };
    let Some(app) = apps::by_id(tx, app_id).await? else { return Ok(false) };
    if app.deleted_at.is_some() || app.owner_id != owner_id {
        return Ok(false);
    }
    let seat = organisations::seat_at_app(tx, &app, account_id).await?;
    Ok(matches!(seat, Some(Seat::Owner | Seat::Admin)))
}

/// A ticket that a developer may see; none for any other number.
pub async fn for_developer(tx: &mut Tx, ticket_id: i64, account_id: i64) -> Result<Option<Ticket>, Fault> {
    let Some(ticket) = by_id(tx, ticket_id).await? else { return Ok(None) };
    Ok(sees(tx, &ticket, account_id).await?.then_some(ticket))
}

/// A file that a message of a ticket names: of a visible one, unless staff ask.
pub async fn file(tx: &mut Tx, ticket_id: i64, upload_id: i64, for_staff: bool) -> Result<Option<uploads::Upload>, Fault> {
    let named = messages(tx, ticket_id)
        .await?
        .into_iter()
        .any(|message| (message.visible || for_staff) && message.uploads().contains(&upload_id));
    if named { uploads::by_id(tx, upload_id).await } else { Ok(None) }
}
