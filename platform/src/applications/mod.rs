//! Applications: the Data Portability API Application, by which an app asks for portability scopes; its review, its clocks and its decision.
//!
//! | state | may come from | who has the move | ended |
//! |---|---|---|---|
//! | draft | (made) | applicant | |
//! | submitted | draft, reopened | reviewers | |
//! | triage | submitted, reopened | reviewers | |
//! | in_review | submitted, triage, needs_info, reopened | the reviewer | |
//! | needs_info | in_review | applicant | |
//! | reopened | submitted, triage, in_review, needs_info | applicant | |
//! | approved | in_review | | yes |
//! | approved_with_conditions | in_review | | yes |
//! | rejected | in_review | | yes |
//! | withdrawn | draft, submitted, triage, in_review, needs_info, reopened | | yes |
//! | expired | draft, approved, approved_with_conditions | | yes |
//! | revoked | approved, approved_with_conditions | | yes |
//!
//! [`State::may_come_from`] is this table. The one statement that changes an application's row ([`rows::store`]) reads it, and so do a property test
//! and the documentation. Each change names the `version` it was made on, so of two at once one wins. The reviewer's clock (`due_at`) stands
//! exactly while the applicant has the move (`stopped_at`); a constraint of the table says so too.

pub mod advice;
pub mod canned;
pub mod case;
pub mod clocks;
pub mod codes;
pub mod copy;
pub mod decide;
pub mod draft;
mod keeping;
pub mod questions;
pub mod queue;
pub mod review;
pub mod rows;
pub mod statistics;
pub mod submit;

use serde_json::{Map, Value};

use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, words};
use crate::{Fault, Platform, webhooks};

pub use draft::{begin, save_draft};
pub(crate) use keeping::keep;
pub(crate) use review::end_of_app;
pub use review::{Refusal, reopen, reopen_in, revoke, withdraw};
pub use rows::{Version, by_id, of_app, of_owner, open_of_app, versions};
pub use submit::submit;

words! {
    /// Where an application stands.
    State {
        /// Being written.
        Draft = "draft",
        /// Handed in; nobody has looked yet.
        Submitted = "submitted",
        /// Looked at, and waiting for a reviewer.
        Triage = "triage",
        /// A reviewer is at it.
        InReview = "in_review",
        /// The applicant was asked something.
        NeedsInfo = "needs_info",
        /// The applicant mends it.
        Reopened = "reopened",
        /// At least one scope was approved, without conditions.
        Approved = "approved",
        /// At least one scope was approved, with conditions.
        ApprovedWithConditions = "approved_with_conditions",
        /// No scope was approved.
        Rejected = "rejected",
        /// Taken back by the applicant.
        Withdrawn = "withdrawn",
        /// A draft that nobody went on with, or an approval whose time is over.
        Expired = "expired",
        /// An approval that was taken back.
        Revoked = "revoked",
    }
}

impl State {
    /// The states from which an application may come into this one.
    pub const fn may_come_from(self) -> &'static [Self] {
        match self {
            Self::Draft => &[],
            Self::Submitted => &[Self::Draft, Self::Reopened],
            Self::Triage => &[Self::Submitted, Self::Reopened],
            Self::InReview => &[Self::Submitted, Self::Triage, Self::NeedsInfo, Self::Reopened],
            Self::NeedsInfo => &[Self::InReview],
            Self::Reopened => &[Self::Submitted, Self::Triage, Self::InReview, Self::NeedsInfo],
            Self::Approved | Self::ApprovedWithConditions | Self::Rejected => &[Self::InReview],
            Self::Withdrawn => &[Self::Draft, Self::Submitted, Self::Triage, Self::InReview, Self::NeedsInfo, Self::Reopened],
            Self::Expired => &[Self::Draft, Self::Approved, Self::ApprovedWithConditions],
            Self::Revoked => &[Self::Approved, Self::ApprovedWithConditions],
        }
    }

    /// Whether nothing more is to be done about it, so that the app can have another.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Approved | Self::ApprovedWithConditions | Self::Rejected | Self::Withdrawn | Self::Expired | Self::Revoked
        )
    }

    /// Whether the applicant has the move after it was submitted; the reviewer's clock stands.
    pub const fn waits_for_applicant(self) -> bool {
        matches!(self, Self::NeedsInfo | Self::Reopened)
    }

    /// Whether staff have the move; the reviewer's clock runs.
    pub const fn waits_for_staff(self) -> bool {
        matches!(self, Self::Submitted | Self::Triage | Self::InReview)
    }

    /// Whether the applicant can write into its answers.
    pub const fn can_be_written(self) -> bool {
        matches!(self, Self::Draft | Self::Reopened)
    }

    /// In plain words, as the applicant reads it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Draft => "Draft",
            Self::Submitted => "Submitted",
            Self::Triage => "Being assigned",
            Self::InReview => "In review",
            Self::NeedsInfo => "Question for you",
            Self::Reopened => "Open for correction",
            Self::Approved => "Approved",
            Self::ApprovedWithConditions => "Approved with conditions",
            Self::Rejected => "Not approved",
            Self::Withdrawn => "Withdrawn",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
        }
    }
}

/// One application.
#[derive(Clone, Debug, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct Application {
    /// Ours.
    pub application_id: i64,
    /// For which app.
    pub app_id: i64,
    /// Whose app it was when the application was made: an organisation or an account.
    pub owner_id: i64,
    /// The account that began it.
    pub created_by: i64,
    /// Which form, as name and version: `compatible.1`.
    pub form: String,
    /// Where it stands.
    pub state: State,
    /// Counts every change, for optimistic locking.
    pub version: i64,
    /// What is being written, as JSON: field to value. After a submission the versions hold what was handed in.
    pub answers: String,
    /// How often it was submitted.
    pub submissions: i32,
    /// The application that was refused or revoked before it.
    pub previous_id: Option<i64>,
    /// The address on the form, in lower case; empty while it is not given.
    pub email: String,
    /// When that address was confirmed.
    pub email_confirmed_at: Option<Millis>,
    /// The reviewer.
    pub assigned_to: Option<i64>,
    /// Lower-case words by which staff find it: [`search_words`].
    pub search: String,
    /// Whether a category that it asks for is marked sensitive, so that two reviewers decide.
    pub sensitive: bool,
    /// When it was begun.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
    /// When it was first submitted.
    pub submitted_at: Option<Millis>,
    /// By when most are decided.
    pub usual_at: Option<Millis>,
    /// By when it is to be decided. While `stopped_at` is set it says where the clock stood.
    pub due_at: Option<Millis>,
    /// Since when the applicant has the move.
    pub stopped_at: Option<Millis>,
    /// For how many milliseconds in all the reviewer's clock has been standing, the present pause not counted.
    pub stood: i64,
    /// Until when the applicant should have answered.
    pub answer_due_at: Option<Millis>,
    /// Where it goes back to when it was reopened for correction.
    pub reopened_from: Option<String>,
    /// When the missed limit was told.
    pub escalated_at: Option<Millis>,
    /// When it was decided.
    pub decided_at: Option<Millis>,
    /// When it came into a final state.
    pub ended_at: Option<Millis>,
}

impl Application {
    /// By which people name it: see [`reference()`].
    pub fn reference(&self) -> String {
        reference(self.application_id)
    }

    /// What is being written.
    pub fn answers(&self) -> Map<String, Value> {
        serde_json::from_str(&self.answers).unwrap_or_default()
    }

    /// Whether the limit was missed while the reviewer's clock runs, or had been when it stopped.
    pub fn is_late(&self, now: Millis) -> bool {
        let clock = self.stopped_at.or(self.ended_at).unwrap_or(now);
        self.due_at.is_some_and(|due| due < clock)
    }

    /// Into another state, the clocks with it: stopped when the applicant gets the move, going on from where they stood when staff get it back.
    fn shift(&mut self, platform: &Platform, to: State, now: Millis) {
        let calendar = platform.settings.review.calendar();
        if let Some(stopped) = self.stopped_at.filter(|_| !to.waits_for_applicant()) {
            for clock in [&mut self.usual_at, &mut self.due_at] {
                *clock = clock.map(|due| clocks::resumed(due, stopped, now, &calendar));
            }
            self.stood = self.stood.saturating_add(now.0.saturating_sub(stopped.0));
            (self.stopped_at, self.answer_due_at) = (None, None);
        }
        if to.waits_for_applicant() {
            // Asked and then reopened: the reviewer's clock has been standing since the question.
            self.stopped_at = self.stopped_at.or(Some(now));
            self.answer_due_at = Some(now + platform.settings.review.answer.0);
        }
        if to.is_final() {
            self.ended_at = self.ended_at.or(Some(now));
        }
        if to != State::Reopened {
            self.reopened_from = None;
        }
        self.state = to;
    }
}

/// The number by which people name an application: `DP-` and eleven letters and digits in groups, without those that are taken for others.
pub fn reference(application_id: i64) -> String {
    let digit = |place: u32| {
        let value = usize::try_from(application_id >> (place * 5) & 31).unwrap_or(0);
        char::from(ALPHABET[value])
    };
    let digits: Vec<char> = (0..11).rev().map(digit).collect();
    let group = |range: std::ops::Range<usize>| digits[range].iter().collect::<String>();
    format!("DP-{}-{}-{}", group(0..4), group(4..8), group(8..11))
}

/// Crockford's base 32.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The words by which staff find an application: organisation, app, the address, its reference with and without dashes, and what it asks for.
pub fn search_words(application_id: i64, app: &crate::apps::App, organisation: &str, email: &str, families: &[String]) -> String {
    let reference = reference(application_id);
    let scopes: String = families.iter().map(|family| format!("scope:{family} ")).collect();
    format!(
        " {organisation} {} {} {email} {reference} {} {application_id} {} {scopes}",
        app.name,
        app.client_key,
        reference.replace('-', ""),
        app.app_id,
    )
    .to_lowercase()
}

/// The families of scopes that answers ask for, in the order they name them. The form's field of kind `scopes` is named `scopes`; its value is a list of
/// scopes or families.
pub fn asked_families(answers: &Map<String, Value>) -> Vec<String> {
    let mut families: Vec<String> = Vec::new();
    for scope in answers.get("scopes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        let Ok(scope) = wire::Scope::parse(scope) else { continue };
        if !families.iter().any(|known| known == scope.family()) {
            families.push(scope.family().to_owned());
        }
    }
    families
}

/// The scopes themselves, as they were chosen: `portability.activity.single`.
pub fn asked_scopes(answers: &Map<String, Value>) -> Vec<String> {
    let scopes = answers.get("scopes").and_then(Value::as_array).into_iter().flatten();
    scopes.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

/// Whether the catalogue marks a category of one of these families as sensitive.
pub fn is_sensitive(platform: &Platform, families: &[String]) -> bool {
    platform
        .catalogue
        .categories()
        .iter()
        .any(|category| category.sensitivity == archive::catalogue::Sensitivity::Sensitive && families.contains(&category.scope))
}

/// What was handed in before this should have been taken up: `review.triage` working days ago.
pub fn to_be_taken_by(platform: &Platform) -> Millis {
    let calendar = platform.settings.review.calendar();
    clocks::before(platform.now(), platform.settings.review.triage, &calendar)
}

words! {
    /// What happened to an application.
    Happened {
        /// It was handed in.
        Submitted = "submitted",
        /// It was handed in again, corrected.
        Corrected = "corrected",
        /// It was looked at, and is complete enough to be reviewed.
        Triaged = "triaged",
        /// A reviewer took it.
        Taken = "taken",
        /// Somebody gave it to a reviewer.
        Assigned = "assigned",
        /// A reviewer gave it to another.
        HandedOver = "handed_over",
        /// The applicant was asked.
        Asked = "asked",
        /// They were reminded.
        Reminded = "reminded",
        /// They answered.
        Answered = "answered",
        /// They did not answer in time.
        Unanswered = "unanswered",
        /// A comment was written.
        Commented = "commented",
        /// Evidence that the organisation exists was recorded.
        Evidence = "evidence",
        /// A reviewer has a conflict of interest.
        Conflict = "conflict",
        /// The first of two reviewers has decided.
        Proposed = "proposed",
        /// The second decided otherwise.
        Disagreed = "disagreed",
        /// It was decided.
        Decided = "decided",
        /// The applicant took it back.
        Withdrawn = "withdrawn",
        /// It was opened for correction.
        Reopened = "reopened",
        /// A correction was asked for and refused.
        CorrectionRefused = "correction_refused",
        /// Its limit was missed.
        Escalated = "escalated",
        /// A draft was given up, or an approval ended.
        Expired = "expired",
        /// An approval was taken back.
        Revoked = "revoked",
    }
}

/// One line of an application's timeline, to be written.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// About which application.
    pub application_id: i64,
    /// Who did it.
    pub actor: Actor,
    /// What.
    pub kind: Happened,
    /// The state before and after, when it changed.
    pub moved: Option<(State, State)>,
    /// A decision code.
    pub code: Option<&'a str>,
    /// Words for those who may see it.
    pub text: &'a str,
    /// Whether the applicant sees it.
    pub visible: bool,
}

impl<'a> Event<'a> {
    /// An event that moves nothing and that only staff see.
    pub fn new(application_id: i64, actor: Actor, kind: Happened) -> Self {
        Self { application_id, actor, kind, moved: None, code: None, text: "", visible: false }
    }

    /// Writes it, and the audit's entry of the same name: `application.submitted`.
    pub async fn write(self, platform: &Platform, tx: &mut Tx, app_id: i64) -> Result<(), Fault> {
        let now = platform.now();
        rows::insert_event(tx, platform.random.id(), now, &self).await?;
        let action = format!("application.{}", self.kind);
        let moved = self.moved.map(|(from, to)| format!("{from} to {to}")).unwrap_or_default();
        let detail = [moved.as_str(), self.code.unwrap_or_default()].join(" ");
        if let Some((_, state)) = self.moved {
            webhooks::review_changed(platform, tx, app_id, ("application", self.application_id), state.as_str()).await?;
        }
        Entry { app: Some(app_id), about: Some(self.application_id), detail: detail.trim(), ..Entry::new(self.actor, &action) }
            .write(tx, &platform.random, now)
            .await
    }
}

/// Hands an application in, or in again: `after` is `before` with what was written since (answers, address, `search`, `sensitive`). Sets state,
/// clocks and counts, and writes the timeline. A first submission starts the clocks; one after a correction goes back to where it was and keeps
/// its place. None if somebody else changed it meanwhile. The caller freezes the version ([`rows::insert_version`], numbered by the returned
/// `submissions`) and sends the notices to the applicant.
pub async fn hand_in(
    platform: &Platform,
    tx: &mut Tx,
    actor: Actor,
    before: &Application,
    mut after: Application,
) -> Result<Option<Application>, Fault> {
    let now = platform.now();
    let kind = match before.state {
        State::Draft => {
            let review = &platform.settings.review;
            let calendar = review.calendar();
            after.shift(platform, State::Submitted, now);
            after.submitted_at = Some(now);
            after.usual_at = Some(clocks::due(now, review.usual(), &calendar));
            after.due_at = Some(clocks::due(now, review.limit(), &calendar));
            Happened::Submitted
        }
        State::Reopened => {
            let back = before.reopened_from.as_deref().and_then(State::parse).unwrap_or(State::Submitted);
            after.shift(platform, back, now);
            Happened::Corrected
        }
        _ => return Ok(None),
    };
    after.submissions += 1;
    let Some(after) = rows::store(tx, before, after, now).await? else { return Ok(None) };
    Event { moved: Some((before.state, after.state)), visible: true, ..Event::new(after.application_id, actor, kind) }
        .write(platform, tx, after.app_id)
        .await?;
    Ok(Some(after))
}
