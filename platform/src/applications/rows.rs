//! The SQL of applications. One statement changes a row, guarded by its version and by the states it may come from.

use super::{Application, Event, Happened, State};
use crate::Fault;
use crate::apps::App;
use crate::clock::Millis;
use crate::db::{Tx, sql};

/// What was handed in, as it was.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Version {
    /// Of which application.
    pub application_id: i64,
    /// Counted from 1.
    pub number: i32,
    /// Field to value, as JSON.
    pub answers: String,
    /// What the machine found, and what the applicant remarked on it, as JSON.
    pub findings: String,
    /// What the applicant declared, as JSON.
    pub declarations: String,
    /// Which programme terms were accepted.
    pub terms_version: String,
    /// Who handed it in.
    pub submitted_by: Option<i64>,
    /// When.
    pub submitted_at: Millis,
}

/// An application by its number.
pub async fn by_id(tx: &mut Tx, application_id: i64) -> Result<Option<Application>, Fault> {
    Ok(sql!(tx, optional Application, "select * from applications where application_id = $1", application_id)?)
}

/// All applications of an app, the latest first.
pub async fn of_app(tx: &mut Tx, app_id: i64) -> Result<Vec<Application>, Fault> {
    Ok(sql!(
        tx,
        all Application,
        "select * from applications where app_id = $1 order by created_at desc, application_id desc",
        app_id,
    )?)
}

/// Those that its present owner made, the latest first: what was written before the app changed hands is not theirs to know of.
pub async fn of_owner(tx: &mut Tx, app: &App) -> Result<Vec<Application>, Fault> {
    let mut all = of_app(tx, app.app_id).await?;
    all.retain(|application| application.owner_id == app.owner_id);
    Ok(all)
}

/// The one application of an app that has not ended.
pub async fn open_of_app(tx: &mut Tx, app_id: i64) -> Result<Option<Application>, Fault> {
    Ok(sql!(tx, optional Application, "select * from applications where app_id = $1 and ended_at is null", app_id)?)
}

/// Puts a new application there.
pub async fn insert(tx: &mut Tx, new: &Application) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into applications
           (application_id, app_id, owner_id, created_by, form, state, version, answers, submissions, previous_id, email,
            email_confirmed_at, assigned_to, search, sensitive, created_at, updated_at, submitted_at, usual_at, due_at,
            stopped_at, stood, answer_due_at, reopened_from, escalated_at, decided_at, ended_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
                 $25, $26, $27)",
        new.application_id,
        new.app_id,
        new.owner_id,
        new.created_by,
        new.form.clone(),
        new.state,
        new.version,
        new.answers.clone(),
        new.submissions,
        new.previous_id,
        new.email.clone(),
        new.email_confirmed_at,
        new.assigned_to,
        new.search.clone(),
        new.sensitive,
        new.created_at,
        new.updated_at,
        new.submitted_at,
        new.usual_at,
        new.due_at,
        new.stopped_at,
        new.stood,
        new.answer_due_at,
        new.reopened_from.clone(),
        new.escalated_at,
        new.decided_at,
        new.ended_at,
    )?;
    Ok(())
}

/// The states that a change may start from, as many as the longest row of the table has.
fn guard(before: State, to: State) -> [State; 6] {
    let from = if before == to { std::slice::from_ref(&before) } else { to.may_come_from() };
    // A state without predecessors is never moved into; naming itself then matches only what stays as it is.
    std::array::from_fn(|place| from.get(place).or(from.first()).copied().unwrap_or(to))
}

/// Writes `after` over `before`: only if nobody changed it since, and only along the table of states. Gives the row with its new version, or
/// none; then the transaction is to be dropped.
pub async fn store(tx: &mut Tx, before: &Application, after: Application, now: Millis) -> Result<Option<Application>, Fault> {
    if before.state != after.state && !after.state.may_come_from().contains(&before.state) {
        return Ok(None);
    }
    let [a, b, c, d, e, f] = guard(before.state, after.state);
    let after = Application { version: before.version + 1, updated_at: now, ..after };
    let changed = sql!(
        tx,
        execute,
        "update applications
         set state = $3, version = version + 1, updated_at = $4, form = $5, answers = $6, submissions = $7, email = $8,
             email_confirmed_at = $9, assigned_to = $10, search = $11, sensitive = $12, submitted_at = $13, usual_at = $14,
             due_at = $15, stopped_at = $16, answer_due_at = $17, reopened_from = $18, escalated_at = $19, decided_at = $20,
             ended_at = $21, stood = $22
         where application_id = $1 and version = $2 and state in ($23, $24, $25, $26, $27, $28)",
        before.application_id,
        before.version,
        after.state,
        now,
        after.form.clone(),
        after.answers.clone(),
        after.submissions,
        after.email.clone(),
        after.email_confirmed_at,
        after.assigned_to,
        after.search.clone(),
        after.sensitive,
        after.submitted_at,
        after.usual_at,
        after.due_at,
        after.stopped_at,
        after.answer_due_at,
        after.reopened_from.clone(),
        after.escalated_at,
        after.decided_at,
        after.ended_at,
        after.stood,
        a,
        b,
        c,
        d,
        e,
        f,
    )?;
    Ok((changed == 1).then_some(after))
}

/// Freezes what was handed in.
pub async fn insert_version(tx: &mut Tx, new: &Version) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into application_versions
           (application_id, number, answers, findings, declarations, terms_version, submitted_by, submitted_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        new.application_id,
        new.number,
        new.answers.clone(),
        new.findings.clone(),
        new.declarations.clone(),
        new.terms_version.clone(),
        new.submitted_by,
        new.submitted_at,
    )?;
    Ok(())
}

/// All that was handed in, the first version first.
pub async fn versions(tx: &mut Tx, application_id: i64) -> Result<Vec<Version>, Fault> {
    Ok(sql!(
        tx,
        all Version,
        "select application_id, number, answers, findings, declarations, terms_version, submitted_by, submitted_at
         from application_versions
         where application_id = $1
         order by number",
        application_id,
    )?)
}

/// One line of an application's timeline.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct EventRow {
    /// When.
    pub at: Millis,
    /// Who, as the audit names them: `staff 5`.
    pub actor: String,
    /// What.
    pub kind: Happened,
    /// The state before, when it changed.
    pub from_state: Option<State>,
    /// The state after.
    pub to_state: Option<State>,
    /// A decision code.
    pub code: Option<String>,
    /// Words on it.
    pub text: String,
    /// Whether the applicant sees it.
    pub visible: bool,
}

/// The timeline of an application, the first event first.
pub async fn events(tx: &mut Tx, application_id: i64) -> Result<Vec<EventRow>, Fault> {
    Ok(sql!(
        tx,
        all EventRow,
        "select at, actor, kind, from_state, to_state, code, text, visible
         from application_events
         where application_id = $1
         order by at, event_id",
        application_id,
    )?)
}

pub(super) async fn insert_event(tx: &mut Tx, event_id: i64, now: Millis, event: &Event<'_>) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into application_events (event_id, application_id, at, actor, kind, from_state, to_state, code, text, visible)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        event_id,
        event.application_id,
        now,
        event.actor.to_string(),
        event.kind,
        event.moved.map(|(from, _)| from),
        event.moved.map(|(_, to)| to),
        event.code.map(ToOwned::to_owned),
        event.text.to_owned(),
        event.visible,
    )?;
    Ok(())
}
