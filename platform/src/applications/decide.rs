//! Decisions: per family of scopes, by one reviewer, or by two who agree where a category is marked sensitive.

use serde::{Deserialize, Serialize};

use super::case::{self, Decision, Evidence, NewDecision};
use super::review::{self, Refusal, change, load, tidy};
use super::{Application, Event, Happened, State, asked_families, clocks, codes};
use crate::accounts::Account;
use crate::clock::Millis;
use crate::db::Tx;
use crate::notices::{Notice, Reason, ScopeOutcome};
use crate::{Fault, Platform, apps};

/// What was decided about one family of scopes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Such as `portability.activity`.
    pub family: String,
    /// How.
    pub verdict: Verdict,
}

/// How it was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Yes.
    Approve,
    /// Yes, if something is done by a day.
    Conditions {
        /// What.
        text: String,
        /// By when, in milliseconds since the epoch.
        due_at: i64,
    },
    /// No.
    Refuse {
        /// Why: one of [`codes::CODES`].
        code: String,
        /// In the reviewer's words.
        text: String,
    },
}

impl Outcome {
    /// Whether the app gets the scopes.
    pub fn is_approval(&self) -> bool {
        !matches!(self.verdict, Verdict::Refuse { .. })
    }

    /// In plain words.
    pub fn words(&self) -> &'static str {
        match self.verdict {
            Verdict::Approve => "Approved",
            Verdict::Conditions { .. } => "Approved with conditions",
            Verdict::Refuse { .. } => "Not approved",
        }
    }

    /// Whether two reviewers mean the same. Their words on a refusal may differ; what an applicant has to do may not.
    fn agrees(&self, other: &Self) -> bool {
        self.family == other.family
            && match (&self.verdict, &other.verdict) {
                (Verdict::Refuse { code, .. }, Verdict::Refuse { code: theirs, .. }) => code == theirs,
                (ours, theirs) => ours == theirs,
            }
    }

    /// What the app has to keep to, for its page.
    pub fn conditions(&self, platform: &Platform) -> String {
        match &self.verdict {
            Verdict::Conditions { text, due_at } => {
                let day = clocks::in_words(Millis(*due_at), &platform.settings.review.calendar());
                format!("{text} (by {day})")
            }
            _ => String::new(),
        }
    }

    /// The reason of a refusal, with its cure.
    pub fn reason(&self) -> Option<Reason> {
        let Verdict::Refuse { code, text } = &self.verdict else { return None };
        let known = codes::find(code);
        Some(Reason {
            code: code.clone(),
            title: known.map_or(code.as_str(), |code| code.title).to_owned(),
            text: if text.is_empty() { known.map_or("", |code| code.text).to_owned() } else { text.clone() },
            cure: known.map_or("", |code| code.cure).to_owned(),
        })
    }
}

/// What a decision led to.
#[derive(Clone, Debug)]
pub enum Decided {
    /// It took effect.
    InForce(Application),
    /// It waits for a second reviewer.
    Waits(Application),
    /// The other reviewer decided otherwise; both are shown to both.
    Disagrees(Application),
}

impl Decided {
    /// The application as it is now.
    pub fn application(&self) -> &Application {
        match self {
            Self::InForce(application) | Self::Waits(application) | Self::Disagrees(application) => application,
        }
    }
}

/// The state that outcomes lead to.
pub(super) fn state_of(outcomes: &[Outcome]) -> State {
    if outcomes.iter().any(|outcome| matches!(outcome.verdict, Verdict::Conditions { .. })) {
        State::ApprovedWithConditions
    } else if outcomes.iter().any(Outcome::is_approval) {
        State::Approved
    } else {
        State::Rejected
    }
}

/// Outcomes as they are kept, in the order in which the application names its families; or all that is wrong with them.
fn checked(platform: &Platform, application: &Application, outcomes: &[Outcome]) -> Result<Vec<Outcome>, Refusal> {
    let now = platform.now();
    let mut wrong = Vec::new();
    let mut kept = Vec::new();
    for family in asked_families(&application.answers()) {
        let mut given = outcomes.iter().filter(|outcome| outcome.family == family);
        let (Some(outcome), None) = (given.next(), given.next()) else {
            wrong.push((format!("verdict.{family}"), "Decide about this scope.".to_owned()));
            continue;
        };
        let mut fault = |field: &str, why: &str| wrong.push((format!("{field}.{family}"), why.to_owned()));
        let verdict = match &outcome.verdict {
            Verdict::Approve => Verdict::Approve,
            Verdict::Conditions { text, due_at } => {
                let text = tidy(text).unwrap_or_else(|why| {
                    fault("conditions", why);
                    String::new()
                });
                if text.is_empty() {
                    fault("conditions", "Say what has to be done.");
                }
                if *due_at <= now.0 {
                    fault("deadline", "Give a day in the future.");
                }
                Verdict::Conditions { text, due_at: *due_at }
            }
            Verdict::Refuse { code, text } => {
                let text = tidy(text).unwrap_or_else(|why| {
                    fault("text", why);
                    String::new()
                });
                match codes::find(code) {
                    None => fault("code", "Choose a code."),
                    Some(known) if known.needs_text() && text.is_empty() => {
                        fault("text", "With the code OTHER the reason has to be written out.");
                    }
                    Some(_) => {}
                }
                Verdict::Refuse { code: code.clone(), text }
            }
        };
        kept.push(Outcome { family, verdict });
    }
    if outcomes.iter().any(|outcome| !kept.iter().any(|known| known.family == outcome.family)) && wrong.is_empty() {
        wrong.push(("outcomes".into(), "The application does not ask for one of these scopes.".into()));
    }
    if kept.is_empty() && wrong.is_empty() {
        wrong.push(("outcomes".into(), "The application names no scope. Ask the applicant which they need.".into()));
    }
    if wrong.is_empty() { Ok(kept) } else { Err(Refusal::Invalid(wrong)) }
}

/// Rule 1 and rule 3: nothing is approved before it is recorded that the organisation exists, and that the language was looked at.
async fn may_approve(tx: &mut Tx, application_id: i64) -> Result<(), Refusal> {
    let missing = case::missing(&case::evidence(tx, application_id).await?);
    if missing.is_empty() {
        return Ok(());
    }
    let why = |kind: Evidence| match kind {
        Evidence::Language => "Tick that all of it, pictures and short answers included, is in an enabled language.",
        Evidence::Register => "Record the register entry, or what the organisation is instead.",
        Evidence::NoRegister | Evidence::Domain | Evidence::Site | Evidence::Contact => {
            "Record this before anything is approved."
        }
    };
    Err(Refusal::Invalid(missing.into_iter().map(|kind| (format!("evidence.{kind}"), why(kind).to_owned())).collect()))
}

/// Decides about every family that the application asks for. Where a category is sensitive the first of two decisions waits for the second.
pub async fn decide(
    platform: &Platform,
    staff: &Account,
    application_id: i64,
    version: i64,
    outcomes: &[Outcome],
    text: &str,
) -> Result<Decided, Refusal> {
    let now = platform.now();
    let text = tidy(text).map_err(|why| Refusal::of("text", why))?;
    let mut tx = platform.db.begin().await?;
    let before = load(&mut tx, application_id, version).await?;
    if before.state != State::InReview {
        return Err(Refusal::NotNow(before.state));
    }
    if case::is_conflicted(&mut tx, application_id, staff.account_id).await? {
        return Err(Refusal::Conflicted);
    }
    let conflicts = case::conflicts(&mut tx, application_id).await?;
    let earlier = case::waiting(&case::decisions(&mut tx, application_id).await?, before.submissions, &conflicts);
    let mut others: Vec<&Decision> = Vec::new();
    for decision in earlier.iter().filter(|decision| decision.account_id != staff.account_id) {
        // Who has lost the role since, or was found to be on the applicant's side, is not one of two.
        if case::may_decide(&mut tx, application_id, decision.account_id).await? {
            others.push(decision);
        }
    }
    // The second of two need not have it; the first, or the only one, must.
    if before.assigned_to != Some(staff.account_id) && (others.is_empty() || !before.sensitive) {
        return Err(Refusal::NotYours);
    }
    let outcomes = checked(platform, &before, outcomes)?;
    if outcomes.iter().any(Outcome::is_approval) {
        may_approve(&mut tx, application_id).await?;
    }
    let agrees = |other: &Decision| {
        let theirs = other.outcomes();
        theirs.len() == outcomes.len() && outcomes.iter().all(|ours| theirs.iter().any(|theirs| ours.agrees(theirs)))
    };
    let partner = others.iter().find(|other| agrees(other));
    let in_force = !before.sensitive || partner.is_some();
    // Who agrees without words of their own says what the first said.
    let text = if text.is_empty() { partner.map(|partner| partner.text.clone()).unwrap_or_default() } else { text };
    let decision = NewDecision {
        decision_id: platform.random.id(),
        number: before.submissions,
        account_id: staff.account_id,
        outcomes: &outcomes,
        text: &text,
        in_force,
    };
    case::insert_decision(&mut tx, application_id, decision, now).await?;
    if !in_force {
        let kind = if others.is_empty() { Happened::Proposed } else { Happened::Disagreed };
        let event = Event::new(application_id, staff.actor(), kind);
        let after = change(platform, &mut tx, &before, before.clone(), event).await?;
        if !others.is_empty() {
            let app = review::app_name(&mut tx, after.app_id).await?;
            review::tell_reviewer(platform, &mut tx, &after, app, "has two decisions that differ").await?;
        }
        tx.commit().await?;
        return Ok(if kind == Happened::Proposed { Decided::Waits(after) } else { Decided::Disagrees(after) });
    }
    let after = put_in_force(platform, &mut tx, staff, &before, &outcomes, &text).await?;
    tx.commit().await?;
    metrics::counter!("portward_applications_decided_total", "outcome" => after.state.as_str()).increment(1);
    Ok(Decided::InForce(after))
}

async fn put_in_force(
    platform: &Platform,
    tx: &mut Tx,
    staff: &Account,
    before: &Application,
    outcomes: &[Outcome],
    text: &str,
) -> Result<Application, Refusal> {
    let now = platform.now();
    let mut after = before.clone();
    after.shift(platform, state_of(outcomes), now);
    after.decided_at = Some(now);
    let code = outcomes.iter().find_map(Outcome::reason).map(|reason| reason.code);
    let event = Event {
        code: code.as_deref(),
        text,
        visible: true,
        ..Event::new(before.application_id, staff.actor(), Happened::Decided)
    };
    let after = change(platform, tx, before, after, event).await?;
    let approved: Vec<(String, String)> = outcomes
        .iter()
        .filter(|outcome| outcome.is_approval())
        .map(|outcome| (outcome.family.clone(), outcome.conditions(platform)))
        .collect();
    if !approved.is_empty() {
        apps::approve_families(tx, platform, after.app_id, after.application_id, &approved).await?;
    }
    let app = review::app_name(tx, after.app_id).await?;
    let told = |outcome: &Outcome| -> ScopeOutcome {
        (outcome.family.clone(), outcome.words().to_lowercase(), outcome.reason(), outcome.conditions(platform))
    };
    let notice = Notice::ApplicationDecided {
        app,
        reference: after.reference(),
        outcomes: outcomes.iter().map(told).collect(),
        text: text.to_owned(),
        path: review::portal_path(after.application_id),
    };
    review::to_applicant(platform, tx, &after, notice).await?;
    Ok(after)
}

/// The second reviewer says the same as the first.
pub async fn agree(
    platform: &Platform,
    staff: &Account,
    application_id: i64,
    version: i64,
    decision_id: i64,
    text: &str,
) -> Result<Decided, Refusal> {
    let mut tx = platform.db.read().await?;
    let decisions = case::decisions(&mut tx, application_id).await?;
    drop(tx);
    let first = decisions.into_iter().find(|decision| decision.decision_id == decision_id).ok_or(Refusal::Stale)?;
    if first.account_id == staff.account_id {
        return Err(Refusal::of("outcomes", "A second reviewer has to decide."));
    }
    decide(platform, staff, application_id, version, &first.outcomes(), text).await
}

/// The decision that took effect.
pub async fn in_force(tx: &mut Tx, application_id: i64) -> Result<Option<Decision>, Fault> {
    Ok(case::decisions(tx, application_id).await?.into_iter().find(|decision| decision.in_force))
}

/// A day as a form gives it, `2026-12-24`: its end where the operator is.
pub fn end_of_day(platform: &Platform, day: &str) -> Option<i64> {
    let day: jiff::civil::Date = day.trim().parse().ok()?;
    let calendar = platform.settings.review.calendar();
    let next = day.tomorrow().ok()?.to_zoned(calendar.time_zone).ok()?;
    Some(next.timestamp().as_millisecond() - 1)
}
