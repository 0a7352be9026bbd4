//! App review: what a developer hands in, and what staff decide about it (contract 1.7).

use serde::{Deserialize, Serialize};

use super::details::{Flaw, kept_as_json};
use super::revisions::{self, Revision, RevisionState, SaveError, working_copy};
use super::rows::{self, revisions as sql};
use super::{App, AppStatus, OwnerKind};
use crate::accounts::{Account, Role};
use crate::applications::{clocks, codes};
use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::Tx;
use crate::notices::{self, Notice};
use crate::{Fault, Platform, accounts, organisations, properties, webhooks};

pub use super::rows::revisions::Queued;

/// The longest explanation (contract 1.4).
pub const EXPLANATION_LIMIT: usize = 1000;

/// One reason for a refusal, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Of the published list.
    pub code: String,
    /// What the reviewer wrote beside it.
    pub text: String,
}

/// The reasons of a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reasons(pub Vec<Reason>);

kept_as_json!(Reasons);

/// Why an app was not submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Fields are missing or wrong; all of them.
    #[error("{} things are missing or wrong", .0.len())]
    Flawed(Vec<Flaw>),
    /// The working copy cannot go to review now.
    #[error(transparent)]
    Save(#[from] SaveError),
}

impl From<Fault> for SubmitError {
    fn from(fault: Fault) -> Self {
        Self::Save(SaveError::Fault(fault))
    }
}

impl From<sqlx::Error> for SubmitError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Save(SaveError::Fault(fault.into()))
    }
}

/// Everything that stands against a submission: flaws of fields, addresses whose ownership is not proved, and the explanation.
pub async fn flaws(platform: &Platform, tx: &mut Tx, app: &App, copy: &Revision) -> Result<Vec<Flaw>, Fault> {
    let mut flaws = copy.details.flaws(platform);
    for (field, address) in copy.details.to_be_owned() {
        if !is_owned(tx, app, address).await? {
            let text = format!("Prove that {address} is yours, under URL properties.");
            flaws.push(Flaw { field, text });
        }
    }
    let length = copy.explanation.trim().chars().count();
    if length == 0 {
        let text = "Explain how each product and scope is used; for a later version, what changed.";
        flaws.push(Flaw { field: "explanation", text: text.into() });
    } else if length > EXPLANATION_LIMIT {
        let text = format!("An explanation has at most {EXPLANATION_LIMIT} characters; this one has {length}.");
        flaws.push(Flaw { field: "explanation", text });
    }
    Ok(flaws)
}

/// Whether the owner of an app has proved that an address is theirs.
pub async fn is_owned(tx: &mut Tx, app: &App, address: &str) -> Result<bool, Fault> {
    properties::covers(tx, app.owner_id, address).await
}

/// Puts the working copy before staff. After a refusal or a recall that is a copy of what was written then, so that a cure outside of the app, such as
/// a proved address, needs no change of a field.
pub async fn submit(platform: &Platform, account: &Account, app_id: i64, version: i64) -> Result<Revision, SubmitError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let app = rows::hold(&mut tx, app_id).await?.ok_or(SaveError::Unknown)?;
    if matches!(app.status, AppStatus::Suspended | AppStatus::Revoked) {
        return Err(SaveError::Locked("The app is stopped, so it cannot be submitted. Write to support.").into());
    }
    let mut copy = revisions::writable(platform, &mut tx, account.account_id, app_id, version).await?;
    let flaws = flaws(platform, &mut tx, &app, &copy).await?;
    if !flaws.is_empty() {
        return Err(SubmitError::Flawed(flaws));
    }
    let due = clocks::due(now, platform.settings.apps.limit_days, &platform.settings.review.calendar());
    copy.version += 1;
    (copy.updated_at, copy.submitted_at, copy.submitted_by) = (now, Some(now), Some(account.account_id));
    copy.due_at = Some(due);
    copy.state = RevisionState::InReview;
    if !sql::submit(&mut tx, &copy).await? {
        return Err(Fault::Row(format!("app {app_id} was held, and its draft changed all the same")).into());
    }
    // A live app stays live; any other waits.
    sql::move_app(&mut tx, app_id, AppStatus::InReview, now).await?;
    let entry = Entry { app: Some(app_id), about: Some(copy.revision_id), ..Entry::new(account.actor(), "app.submitted") };
    entry.write(&mut tx, &platform.random, now).await?;
    let told = Notice::AppSubmitted { app: copy.details.name.clone(), due: day(platform, due) };
    notices::send(platform, &mut tx, &account.email, Some(app_id), told).await?;
    tx.commit().await?;
    metrics::counter!("portward_app_reviews_total", "event" => "submitted").increment(1);
    Ok(copy)
}

/// A due date as mails tell it.
fn day(platform: &Platform, at: Millis) -> String {
    platform.settings.review.calendar().day(at).strftime("%-d %B %Y").to_string()
}

/// Takes a submission back. What was submitted stays as it was, marked as recalled; a draft that says the same begins.
pub async fn recall(platform: &Platform, account: &Account, app_id: i64) -> Result<Revision, SaveError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    rows::hold(&mut tx, app_id).await?.ok_or(SaveError::Unknown)?;
    let copy = working_copy(&mut tx, app_id).await?;
    let recalled = sql::close(&mut tx, copy.revision_id, copy.version, RevisionState::Recalled, None, "[]".into(), now).await?;
    if !recalled {
        return Err(SaveError::Locked("There is nothing in review to recall: it was decided about, or recalled before."));
    }
    sql::move_app(&mut tx, app_id, AppStatus::Draft, now).await?;
    let copy = working_copy(&mut tx, app_id).await?;
    let draft = revisions::copy(platform, &mut tx, account.account_id, &copy).await?;
    let entry = Entry { app: Some(app_id), about: Some(copy.revision_id), ..Entry::new(account.actor(), "app.recalled") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    metrics::counter!("portward_app_reviews_total", "event" => "recalled").increment(1);
    Ok(draft)
}

/// What staff decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes live.
    Approve,
    /// It does not, for these reasons.
    Refuse(Vec<Reason>),
}

/// Why a decision was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// It is not in review any more, or was changed; this is how it is now.
    #[error("it was decided about, recalled or changed meanwhile")]
    Moved(Box<Revision>),
    /// A decision that cannot be so.
    #[error("{0}")]
    Invalid(String),
    /// There is no such revision.
    #[error("there is no such revision")]
    Unknown,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for DecideError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// Decides about a revision in review. An approval makes its details, redirect URIs and login scopes the ones in force and the app live, in one
/// transaction; a refusal leaves a live app as it is.
pub async fn decide(
    platform: &Platform,
    staff: &Account,
    revision_id: i64,
    version: i64,
    verdict: Verdict,
) -> Result<Revision, DecideError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let seen = sql::by_id(&mut tx, revision_id).await?.ok_or(DecideError::Unknown)?;
    // The app before its revisions, as developers' calls take their locks; what the revision is now is looked at behind it.
    let app = rows::hold(&mut tx, seen.app_id).await?.ok_or(DecideError::Unknown)?;
    if sql::is_of_staff(&mut tx, &app, staff.account_id).await? {
        let words = "You work on this app yourself, as a developer with the same address. Somebody else has to decide about it.";
        return Err(DecideError::Invalid(words.into()));
    }
    let (to, reasons) = match &verdict {
        Verdict::Approve => (RevisionState::Approved, Vec::new()),
        Verdict::Refuse(reasons) => (RevisionState::NotApproved, checked(reasons)?),
    };
    let json = serde_json::to_string(&reasons).map_err(|fault| Fault::Row(fault.to_string()))?;
    if !sql::close(&mut tx, revision_id, version, to, Some(staff.account_id), json, now).await? {
        let now = sql::by_id(&mut tx, revision_id).await?.ok_or(DecideError::Unknown)?;
        return Err(DecideError::Moved(Box::new(now)));
    }
    let decided = sql::by_id(&mut tx, revision_id).await?.ok_or(DecideError::Unknown)?;
    match verdict {
        Verdict::Approve => {
            if !sql::move_app(&mut tx, app.app_id, AppStatus::Live, now).await? {
                let words = "The app is stopped, so that no version of it can be approved. Refuse it, or lift the stop first.";
                return Err(DecideError::Invalid(words.into()));
            }
            let app = super::by_id(&mut tx, app.app_id).await?.ok_or(DecideError::Unknown)?;
            revisions::apply(platform, &mut tx, &app, &decided.details, now).await?;
        }
        Verdict::Refuse(_) => {
            sql::move_app(&mut tx, app.app_id, AppStatus::NotApproved, now).await?;
        }
    }
    let codes = reasons.iter().map(|reason| reason.code.as_str()).collect::<Vec<_>>().join(",");
    let action = if to == RevisionState::Approved { "app.approved" } else { "app.not_approved" };
    let entry = Entry { app: Some(app.app_id), about: Some(revision_id), detail: &codes, ..Entry::new(staff.actor(), action) };
    entry.write(&mut tx, &platform.random, now).await?;
    webhooks::review_changed(platform, &mut tx, app.app_id, ("app", revision_id), to.as_str()).await?;
    for email in to_be_told(&mut tx, &app, decided.submitted_by).await? {
        let told = Notice::AppDecided {
            app: decided.details.name.clone(),
            approved: to == RevisionState::Approved,
            reasons: reasons.iter().map(in_full).collect(),
            path: format!("/developers/apps/{}", app.app_id),
        };
        notices::send(platform, &mut tx, &email, Some(app.app_id), told).await?;
    }
    tx.commit().await?;
    let event = if to == RevisionState::Approved { "approved" } else { "not_approved" };
    metrics::counter!("portward_app_reviews_total", "event" => event).increment(1);
    Ok(decided)
}

fn checked(reasons: &[Reason]) -> Result<Vec<Reason>, DecideError> {
    let invalid = |text: &str| DecideError::Invalid(text.to_owned());
    if reasons.is_empty() {
        return Err(invalid("Choose at least one reason: the developer has to know what to mend."));
    }
    let mut checked: Vec<Reason> = Vec::new();
    for reason in reasons {
        let code = codes::find(&reason.code).ok_or_else(|| DecideError::Invalid(format!("There is no code {}.", reason.code)))?;
        let text: String = reason.text.trim().chars().filter(|c| *c != '\0').collect();
        if text.chars().count() > 4000 {
            return Err(invalid("A text has at most 4,000 characters."));
        }
        if code.needs_text() && text.is_empty() {
            return Err(DecideError::Invalid(format!("{} needs a text of your own: it says nothing by itself.", code.code)));
        }
        if checked.iter().any(|known| known.code == code.code) {
            return Err(DecideError::Invalid(format!("{} is chosen twice.", code.code)));
        }
        checked.push(Reason { code: code.code.to_owned(), text });
    }
    Ok(checked)
}

/// A reason with what its code says, as mails and pages tell it.
pub fn in_full(reason: &Reason) -> notices::Reason {
    let code = codes::find(&reason.code);
    let said = code.map_or("", |code| code.text);
    notices::Reason {
        code: reason.code.clone(),
        title: code.map_or_else(|| reason.code.clone(), |code| code.title.to_owned()),
        text: if reason.text.is_empty() { said.to_owned() } else { reason.text.clone() },
        cure: code.map_or_else(String::new, |code| code.cure.to_owned()),
    }
}

/// Whom a decision is told: who submitted it, if they are still of the app, and else its owner.
pub(crate) async fn to_be_told(tx: &mut Tx, app: &App, submitted_by: Option<i64>) -> Result<Vec<String>, Fault> {
    if let Some(account_id) = submitted_by
        && organisations::seat_at_app(tx, app, account_id).await?.is_some()
        && let Some(account) = accounts::by_id(tx, account_id).await?.filter(|account| account.disabled_at.is_none())
    {
        return Ok(vec![account.email]);
    }
    let owner = match app.owner_kind {
        OwnerKind::Account => Some(app.owner_id),
        OwnerKind::Organisation => organisations::owner(tx, app.owner_id).await?,
        OwnerKind::Operator => None,
    };
    let Some(owner) = owner else { return Ok(Vec::new()) };
    let owner = accounts::by_id(tx, owner).await?.filter(|account| account.disabled_at.is_none());
    Ok(owner.into_iter().map(|account| account.email).collect())
}

/// Takes a review, gives it to somebody else, or lays it back. `false` if it is over.
pub async fn assign(platform: &Platform, staff: &Account, revision_id: i64, to: Option<i64>) -> Result<bool, Fault> {
    let mut tx = platform.db.begin().await?;
    let Some(revision) = sql::by_id(&mut tx, revision_id).await? else { return Ok(false) };
    if !sql::assign(&mut tx, revision_id, to).await? {
        return Ok(false);
    }
    let detail = to.map_or_else(|| "nobody".to_owned(), |account_id| account_id.to_string());
    let about =
        Entry { app: Some(revision.app_id), about: Some(revision_id), ..Entry::new(staff.actor(), "app.review_assigned") };
    Entry { detail: &detail, ..about }.write(&mut tx, &platform.random, platform.now()).await?;
    if let Some(heir) = to.filter(|heir| *heir != staff.account_id && revision.assigned_to != Some(*heir))
        && let Some(heir) = accounts::by_id(&mut tx, heir).await?.filter(|heir| heir.disabled_at.is_none())
    {
        let case = format!("the review of the app {}", revision.details.name);
        let (by, path) = (staff.name.clone(), format!("/console/apps/{revision_id}"));
        let notice = Notice::CaseHanded { case, by, text: String::new(), path };
        notices::send(platform, &mut tx, &heir.email, Some(revision.app_id), notice).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// How many late reviews are looked at in one go.
const PIECE: i64 = 100;

/// Missed limits are told: to the developer, to the administrators, in the record. Once each; nothing is decided by it.
pub(crate) async fn keep(platform: &Platform) -> Result<(), Fault> {
    let now = platform.now();
    let mut escalated = 0;
    loop {
        let overdue = sql::overdue(&mut platform.db.read().await?, now, PIECE).await?;
        let before = escalated;
        for late in &overdue {
            escalated += u64::from(escalate(platform, late).await?);
        }
        if escalated == before {
            break;
        }
    }
    let (_, late) = load(&mut platform.db.read().await?, now).await?;
    metrics::gauge!("portward_app_reviews_late").set(f64::from(u32::try_from(late).unwrap_or(u32::MAX)));
    metrics::counter!("portward_app_reviews_escalated_total").increment(escalated);
    if escalated > 0 {
        tracing::warn!(escalated, "app reviews are not decided in time");
    }
    Ok(())
}

async fn escalate(platform: &Platform, late: &sql::Overdue) -> Result<bool, Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    // Deleted in between: there is nobody to be told.
    let Some(app) = rows::hold(&mut tx, late.app_id).await? else { return Ok(false) };
    if !sql::escalate(&mut tx, late.revision_id, now).await? {
        return Ok(false);
    }
    let Some(revision) = sql::by_id(&mut tx, late.revision_id).await? else { return Ok(false) };
    let due = clocks::in_words(revision.due_at.unwrap_or(now), &platform.settings.review.calendar());
    for email in to_be_told(&mut tx, &app, revision.submitted_by).await? {
        let (name, path) = (revision.details.name.clone(), format!("/developers/apps/{}/review", app.app_id));
        let told = Notice::AppLate { app: name, due: due.clone(), path };
        notices::send(platform, &mut tx, &email, Some(app.app_id), told).await?;
    }
    for account in accounts::with_role(&mut tx, Role::Administrator).await? {
        let (name, path) = (revision.details.name.clone(), format!("/console/apps/{}", late.revision_id));
        let told = Notice::AppEscalated { app: name, due: due.clone(), path };
        notices::send(platform, &mut tx, &account.email, Some(app.app_id), told).await?;
    }
    let entry = Entry { app: Some(app.app_id), about: Some(late.revision_id), ..Entry::new(Actor::System, "app.review_late") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(true)
}

/// Which of those in review are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// All.
    All,
    /// Nobody's.
    Nobodys,
    /// One reviewer's.
    Of(i64),
}

/// The revisions in review, by due date, from one on.
pub async fn queue(
    tx: &mut Tx,
    whose: Whose,
    words: &str,
    after: Option<(Millis, i64)>,
    limit: i64,
) -> Result<Vec<Queued>, Fault> {
    let assigned = match whose {
        Whose::All => None,
        Whose::Nobodys => Some(None),
        Whose::Of(account_id) => Some(Some(account_id)),
    };
    sql::queue(tx, assigned, words, after.unwrap_or((Millis(i64::MIN), 0)), limit).await
}

/// The latest decisions, from one on.
pub async fn decided(tx: &mut Tx, words: &str, before: Option<(Millis, i64)>, limit: i64) -> Result<Vec<Queued>, Fault> {
    sql::decided(tx, words, before.unwrap_or((Millis(i64::MAX), i64::MAX)), limit).await
}

/// How many apps are in review, and how many of them are late.
pub async fn load(tx: &mut Tx, now: Millis) -> Result<(i64, i64), Fault> {
    sql::load(tx, now).await
}
