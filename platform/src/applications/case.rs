//! What hangs on an application: comments, questions, evidence, conflicts of interest and decisions, and their SQL.

use serde_json::{Map, Value};

use super::decide::Outcome;
use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql, words};

words! {
    /// What a reviewer records before anything can be approved.
    Evidence {
        /// The organisation's entry in a public register.
        Register = "register",
        /// Why there is none, and what kind of organisation it is: a research group, an association, one person.
        NoRegister = "no_register",
        /// That the domain is the organisation's.
        Domain = "domain",
        /// That the site is live and shows what the application says.
        Site = "site",
        /// That the contact can be reached there.
        Contact = "contact",
        /// That all of it is in a language that is enabled, pictures and short answers included.
        Language = "language",
    }
}

impl Evidence {
    /// In plain words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Register => "Register entry",
            Self::NoRegister => "No register: what it is instead",
            Self::Domain => "Domain",
            Self::Site => "Site",
            Self::Contact => "Contact",
            Self::Language => "Language",
        }
    }
}

/// One recorded piece.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct EvidenceRow {
    /// What it shows.
    pub kind: Evidence,
    /// Where it was found, in the reviewer's words.
    pub text: String,
    /// Who recorded it.
    pub account_id: i64,
    /// When.
    pub at: Millis,
}

/// What is still to be recorded before an approval.
pub fn missing(recorded: &[EvidenceRow]) -> Vec<Evidence> {
    let holds = |kind| recorded.iter().any(|row| row.kind == kind);
    let mut missing = Vec::new();
    if !holds(Evidence::Register) && !holds(Evidence::NoRegister) {
        missing.push(Evidence::Register);
    }
    missing.extend(
        [Evidence::Domain, Evidence::Site, Evidence::Contact, Evidence::Language].into_iter().filter(|kind| !holds(*kind)),
    );
    missing
}

/// All that was recorded about an application.
pub async fn evidence(tx: &mut Tx, application_id: i64) -> Result<Vec<EvidenceRow>, Fault> {
    Ok(sql!(
        tx,
        all EvidenceRow,
        "select kind, text, account_id, at from application_evidence where application_id = $1 order by kind",
        application_id,
    )?)
}

pub(super) async fn record(tx: &mut Tx, application_id: i64, row: &EvidenceRow) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into application_evidence (application_id, kind, text, account_id, at)
         values ($1, $2, $3, $4, $5)
         on conflict (application_id, kind) do update set text = $3, account_id = $4, at = $5",
        application_id,
        row.kind,
        row.text.clone(),
        row.account_id,
        row.at,
    )?;
    Ok(())
}

/// Takes a piece back. Whether there was one.
pub(super) async fn forget_evidence(tx: &mut Tx, application_id: i64, kind: Evidence) -> Result<bool, Fault> {
    let gone =
        sql!(tx, execute, "delete from application_evidence where application_id = $1 and kind = $2", application_id, kind,)?;
    Ok(gone == 1)
}

/// One comment on a field.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Comment {
    /// Ours.
    pub comment_id: i64,
    /// On which version.
    pub number: i32,
    /// On which field; empty for the whole.
    pub field: String,
    /// Whose.
    pub account_id: i64,
    /// Whether the applicant sees it.
    pub visible: bool,
    /// What it says.
    pub text: String,
    /// When.
    pub at: Millis,
}

/// All comments on an application, the first one first.
pub async fn comments(tx: &mut Tx, application_id: i64) -> Result<Vec<Comment>, Fault> {
    Ok(sql!(
        tx,
        all Comment,
        "select comment_id, number, field, account_id, visible, text, at
         from application_comments
         where application_id = $1
         order by at, comment_id",
        application_id,
    )?)
}

pub(super) async fn insert_comment(tx: &mut Tx, application_id: i64, new: &Comment) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into application_comments (comment_id, application_id, number, field, account_id, visible, text, at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        new.comment_id,
        application_id,
        new.number,
        new.field.clone(),
        new.account_id,
        new.visible,
        new.text.clone(),
        new.at,
    )?;
    Ok(())
}

/// One question to the applicant.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Question {
    /// Ours.
    pub question_id: i64,
    /// About which application.
    pub application_id: i64,
    /// Who asked.
    pub asked_by: i64,
    /// When.
    pub asked_at: Millis,
    /// What.
    pub text: String,
    /// The fields it is about, comma separated.
    pub fields: String,
    /// Until when it should be answered.
    pub due_at: Millis,
    /// How many reminders went out.
    pub reminders: i32,
    /// When it was answered.
    pub answered_at: Option<Millis>,
    /// What was answered.
    pub answer: Option<String>,
    /// What the answer changed: field to value, as JSON.
    pub changes: Option<String>,
    /// When nobody waited for the answer any more.
    pub closed_at: Option<Millis>,
}

impl Question {
    /// The fields it is about, which the answer may change.
    pub fn fields(&self) -> Vec<String> {
        self.fields.split(',').filter(|field| !field.is_empty()).map(ToOwned::to_owned).collect()
    }

    /// What the answer changed.
    pub fn changes(&self) -> Map<String, Value> {
        self.changes.as_deref().and_then(|changes| serde_json::from_str(changes).ok()).unwrap_or_default()
    }
}

/// The questions about an application, the first one first.
pub async fn questions(tx: &mut Tx, application_id: i64) -> Result<Vec<Question>, Fault> {
    Ok(sql!(
        tx,
        all Question,
        "select * from application_questions where application_id = $1 order by asked_at, question_id",
        application_id,
    )?)
}

/// A question by its number.
pub async fn question(tx: &mut Tx, question_id: i64) -> Result<Option<Question>, Fault> {
    Ok(sql!(tx, optional Question, "select * from application_questions where question_id = $1", question_id)?)
}

pub(super) async fn insert_question(tx: &mut Tx, new: &Question) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into application_questions (question_id, application_id, asked_by, asked_at, text, fields, due_at, reminders)
         values ($1, $2, $3, $4, $5, $6, $7, 0)",
        new.question_id,
        new.application_id,
        new.asked_by,
        new.asked_at,
        new.text.clone(),
        new.fields.clone(),
        new.due_at,
    )?;
    Ok(())
}

/// Writes the answer down, once.
pub(super) async fn answer(tx: &mut Tx, question_id: i64, text: &str, changes: &str, now: Millis) -> Result<bool, Fault> {
    let changed = sql!(
        tx,
        execute,
        "update application_questions
         set answered_at = $2, closed_at = $2, answer = $3, changes = $4
         where question_id = $1 and closed_at is null",
        question_id,
        now,
        text.to_owned(),
        changes.to_owned(),
    )?;
    Ok(changed == 1)
}

/// Ends the open question about an application, and gives its number.
pub(super) async fn close_questions(tx: &mut Tx, application_id: i64, now: Millis) -> Result<Vec<i64>, Fault> {
    Ok(sql!(
        tx,
        values i64,
        "update application_questions set closed_at = $2 where application_id = $1 and closed_at is null returning question_id",
        application_id,
        now,
    )?)
}

/// Counts reminders, so that each goes out once.
pub(super) async fn remind(tx: &mut Tx, question_id: i64, before: i32, count: i32) -> Result<bool, Fault> {
    let changed = sql!(
        tx,
        execute,
        "update application_questions set reminders = $3 where question_id = $1 and reminders = $2 and closed_at is null",
        question_id,
        before,
        count,
    )?;
    Ok(changed == 1)
}

/// Open questions that were asked before a time, in the order in which they are due.
pub(super) async fn open_questions(tx: &mut Tx, asked_before: Millis) -> Result<Vec<Question>, Fault> {
    Ok(sql!(
        tx,
        all Question,
        "select * from application_questions where closed_at is null and asked_at <= $1 order by due_at, question_id",
        asked_before,
    )?)
}

/// A reviewer who must not decide.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Conflict {
    /// Who.
    pub account_id: i64,
    /// Why, for staff.
    pub text: String,
    /// Since when.
    pub at: Millis,
}

/// Who must not decide about an application.
pub async fn conflicts(tx: &mut Tx, application_id: i64) -> Result<Vec<Conflict>, Fault> {
    Ok(sql!(
        tx,
        all Conflict,
        "select account_id, text, at from application_conflicts where application_id = $1 order by at, account_id",
        application_id,
    )?)
}

pub(super) async fn insert_conflict(tx: &mut Tx, application_id: i64, new: &Conflict) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into application_conflicts (application_id, account_id, text, at)
         values ($1, $2, $3, $4)
         on conflict (application_id, account_id) do update set text = $3",
        application_id,
        new.account_id,
        new.text.clone(),
        new.at,
    )?;
    Ok(())
}

/// Whether somebody must not decide: they said so, or they are on the applicant's side, by the same address: as a developer who works on the app, or as
/// the contact on the form.
pub async fn is_conflicted(tx: &mut Tx, application_id: i64, account_id: i64) -> Result<bool, Fault> {
    let said = sql!(
        tx,
        found i64,
        "select account_id from application_conflicts where application_id = $1 and account_id = $2",
        application_id,
        account_id,
    )?;
    if said.is_some() {
        return Ok(true);
    }
    let own = sql!(
        tx,
        found i64,
        "select a.application_id
         from applications a
         join accounts staff on staff.account_id = $2
         left join accounts developer on developer.kind = 'developer' and developer.email = staff.email
         where a.application_id = $1
           and (a.email = staff.email
             or a.created_by = developer.account_id
             or a.owner_id = developer.account_id
             or exists (select 1 from members m
                        where m.organisation_id = a.owner_id and m.account_id = developer.account_id)
             or exists (select 1 from application_versions v
                        where v.application_id = a.application_id and v.submitted_by = developer.account_id))",
        application_id,
        account_id,
    )?;
    Ok(own.is_some())
}

/// Whether somebody could decide now: a reviewer whose account is open, and who is not on the applicant's side.
pub async fn may_decide(tx: &mut Tx, application_id: i64, account_id: i64) -> Result<bool, Fault> {
    let reviewer = sql!(
        tx,
        found i64,
        "select a.account_id
         from accounts a
         join staff_roles r on r.account_id = a.account_id
         where a.account_id = $1 and a.kind = 'staff' and a.disabled_at is null and r.role = 'reviewer'",
        account_id,
    )?;
    Ok(reviewer.is_some() && !is_conflicted(tx, application_id, account_id).await?)
}

/// One reviewer's decision.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Decision {
    /// Ours.
    pub decision_id: i64,
    /// About which version.
    pub number: i32,
    /// Whose.
    pub account_id: i64,
    /// For each family, as JSON.
    outcomes: String,
    /// Words to the applicant.
    pub text: String,
    /// When.
    pub at: Millis,
    /// Whether it took effect.
    pub in_force: bool,
}

impl Decision {
    /// For each family.
    pub fn outcomes(&self) -> Vec<Outcome> {
        serde_json::from_str(&self.outcomes).unwrap_or_default()
    }
}

/// All decisions about an application, the first one first.
pub async fn decisions(tx: &mut Tx, application_id: i64) -> Result<Vec<Decision>, Fault> {
    Ok(sql!(
        tx,
        all Decision,
        "select decision_id, number, account_id, outcomes, text, at, in_force
         from application_decisions
         where application_id = $1
         order by at, decision_id",
        application_id,
    )?)
}

/// The decisions that wait for another reviewer's: of each who may decide, the latest about this version.
pub fn waiting(decisions: &[Decision], number: i32, conflicts: &[Conflict]) -> Vec<Decision> {
    let mut latest: Vec<Decision> = Vec::new();
    for decision in decisions.iter().filter(|decision| decision.number == number && !decision.in_force) {
        latest.retain(|earlier| earlier.account_id != decision.account_id);
        if !conflicts.iter().any(|conflict| conflict.account_id == decision.account_id) {
            latest.push(decision.clone());
        }
    }
    latest
}

pub(super) struct NewDecision<'a> {
    pub(super) decision_id: i64,
    pub(super) number: i32,
    pub(super) account_id: i64,
    pub(super) outcomes: &'a [Outcome],
    pub(super) text: &'a str,
    pub(super) in_force: bool,
}

pub(super) async fn insert_decision(tx: &mut Tx, application_id: i64, new: NewDecision<'_>, now: Millis) -> Result<(), Fault> {
    let outcomes = serde_json::to_string(new.outcomes).map_err(|fault| Fault::Row(fault.to_string()))?;
    // Of one reviewer and one version only the latest counts, so that nobody waits for what was given up.
    sql!(
        tx,
        execute,
        "delete from application_decisions
         where application_id = $1 and account_id = $2 and number = $3 and not in_force",
        application_id,
        new.account_id,
        new.number,
    )?;
    sql!(
        tx,
        execute,
        "insert into application_decisions (decision_id, application_id, number, account_id, outcomes, text, at, in_force)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        new.decision_id,
        application_id,
        new.number,
        new.account_id,
        outcomes,
        new.text.to_owned(),
        now,
        new.in_force,
    )?;
    Ok(())
}

/// A member of staff gives up what they had decided, when it has not taken effect.
pub(super) async fn forget_decision(tx: &mut Tx, application_id: i64, account_id: i64) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "delete from application_decisions where application_id = $1 and account_id = $2 and not in_force",
        application_id,
        account_id,
    )?;
    Ok(())
}
