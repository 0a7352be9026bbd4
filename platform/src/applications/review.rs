//! What staff do with an application before they decide, and what else moves it: taking, handing over, comments, evidence, conflicts of interest,
//! reopening for correction, withdrawal and revocation.

use super::case::{self, Comment, Conflict, Evidence, EvidenceRow};
use super::{Application, Event, Happened, State, codes, rows};
use crate::accounts::{self, Account, AccountKind, Role};
use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::links::{self, Purpose};
use crate::notices::{self, Notice};
use crate::{Fault, Platform, apps};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such application.
    #[error("there is no such application")]
    Unknown,
    /// Somebody changed it since the page was made.
    #[error("somebody else has changed this application since you opened it")]
    Stale,
    /// It stands where this cannot be done.
    #[error("this cannot be done while the application is {}", .0.words())]
    NotNow(State),
    /// Another reviewer has it.
    #[error("another reviewer has this application; take it over or let them hand it over")]
    NotYours,
    /// A conflict of interest.
    #[error("you have a conflict of interest in this application")]
    Conflicted,
    /// The one it should go to cannot have it.
    #[error("{0}")]
    Nobody(&'static str),
    /// What was filled in cannot be so: the field, and why.
    #[error("some fields are missing or wrong")]
    Invalid(Vec<(String, String)>),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for Refusal {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

impl Refusal {
    pub(super) fn of(field: &str, why: impl Into<String>) -> Self {
        Self::Invalid(vec![(field.to_owned(), why.into())])
    }
}

/// The longest text that staff or applicants write in one field.
pub const LONGEST: usize = 10_000;

/// Words as they are kept: trimmed, lines ended one way, no control characters, and not too many.
pub fn tidy(text: &str) -> Result<String, &'static str> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = text.trim();
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err("The text holds characters that cannot be shown.");
    }
    if text.chars().count() > LONGEST {
        return Err("The text is longer than 10,000 characters.");
    }
    Ok(text.to_owned())
}

pub(super) fn required(field: &str, text: &str) -> Result<String, Refusal> {
    let text = tidy(text).map_err(|why| Refusal::of(field, why))?;
    if text.is_empty() { Err(Refusal::of(field, "Write something here.")) } else { Ok(text) }
}

/// An application as it was when the page was made.
pub(super) async fn load(tx: &mut Tx, application_id: i64, version: i64) -> Result<Application, Refusal> {
    let application = rows::by_id(tx, application_id).await?.ok_or(Refusal::Unknown)?;
    if application.version == version { Ok(application) } else { Err(Refusal::Stale) }
}

/// Writes a change and its event.
pub(super) async fn change(
    platform: &Platform,
    tx: &mut Tx,
    before: &Application,
    after: Application,
    mut event: Event<'_>,
) -> Result<Application, Refusal> {
    if before.state != after.state {
        event.moved = Some((before.state, after.state));
    }
    let after = rows::store(tx, before, after, platform.now()).await?.ok_or(Refusal::Stale)?;
    event.write(platform, tx, after.app_id).await?;
    Ok(after)
}

/// Looked at, and complete enough for a reviewer.
pub async fn triage(platform: &Platform, staff: &Account, application_id: i64, version: i64) -> Result<Application, Refusal> {
    let mut tx = platform.db.begin().await?;
    let before = load(&mut tx, application_id, version).await?;
    if before.state != State::Submitted {
        return Err(Refusal::NotNow(before.state));
    }
    let mut after = before.clone();
    after.shift(platform, State::Triage, platform.now());
    let event = Event { visible: true, ..Event::new(application_id, staff.actor(), Happened::Triaged) };
    let after = change(platform, &mut tx, &before, after, event).await?;
    tx.commit().await?;
    Ok(after)
}

/// A reviewer takes an application that nobody has.
pub async fn take(platform: &Platform, staff: &Account, application_id: i64, version: i64) -> Result<Application, Refusal> {
    let mut tx = platform.db.begin().await?;
    let before = load(&mut tx, application_id, version).await?;
    if before.state.is_final() || before.state == State::Draft {
        return Err(Refusal::NotNow(before.state));
    }
    if before.assigned_to.is_some() {
        return Err(Refusal::NotYours);
    }
    if case::is_conflicted(&mut tx, application_id, staff.account_id).await? {
        return Err(Refusal::Conflicted);
    }
    let event = Event { visible: true, ..Event::new(application_id, staff.actor(), Happened::Taken) };
    let after = given_to(platform, &mut tx, &before, staff.account_id, event).await?;
    tx.commit().await?;
    Ok(after)
}

/// Gives an application to a reviewer; from another reviewer only with a note.
pub async fn assign(
    platform: &Platform,
    staff: &Account,
    application_id: i64,
    version: i64,
    to: i64,
    note: &str,
) -> Result<Application, Refusal> {
    let mut tx = platform.db.begin().await?;
    let before = load(&mut tx, application_id, version).await?;
    if before.state.is_final() || before.state == State::Draft {
        return Err(Refusal::NotNow(before.state));
    }
    let heir = accounts::by_id(&mut tx, to).await?;
    let heir = heir.filter(|heir| heir.kind == AccountKind::Staff && heir.disabled_at.is_none());
    let heir = heir.ok_or_else(|| Refusal::of("to", "Choose a reviewer."))?;
    if !accounts::roles(&mut tx, to).await?.contains(&Role::Reviewer) {
        return Err(Refusal::of("to", "They are not a reviewer."));
    }
    if before.assigned_to == Some(to) {
        return Err(Refusal::of("to", "They have it already."));
    }
    if case::is_conflicted(&mut tx, application_id, heir.account_id).await? {
        return Err(Refusal::of("to", "They have a conflict of interest."));
    }
    let (note, kind) = match before.assigned_to {
        Some(_) => (required("note", note)?, Happened::HandedOver),
        None => (tidy(note).map_err(|why| Refusal::of("note", why))?, Happened::Assigned),
    };
    let event = Event { text: &note, ..Event::new(application_id, staff.actor(), kind) };
    let after = given_to(platform, &mut tx, &before, to, event).await?;
    if to != staff.account_id {
        let case = format!("application {} of {}", after.reference(), app_name(&mut tx, after.app_id).await?);
        let path = console_path(application_id);
        let notice = Notice::CaseHanded { case, by: staff.name.clone(), text: note, path };
        notices::send(platform, &mut tx, &heir.email, Some(application_id), notice).await?;
    }
    tx.commit().await?;
    Ok(after)
}

async fn given_to(
    platform: &Platform,
    tx: &mut Tx,
    before: &Application,
    to: i64,
    event: Event<'_>,
) -> Result<Application, Refusal> {
    let mut after = Application { assigned_to: Some(to), ..before.clone() };
    if matches!(before.state, State::Submitted | State::Triage) {
        after.shift(platform, State::InReview, platform.now());
    } else if before.state == State::Reopened {
        // It comes back to them, wherever it was.
        after.reopened_from = Some(State::InReview.to_string());
    }
    change(platform, tx, before, after, event).await
}

/// What a reviewer remarks on a field, for colleagues or for the applicant too.
pub async fn comment(
    platform: &Platform,
    staff: &Account,
    application_id: i64,
    field: &str,
    visible: bool,
    text: &str,
) -> Result<(), Refusal> {
    let text = required("text", text)?;
    let field = tidy(field).map_err(|why| Refusal::of("field", why))?;
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let application = rows::by_id(&mut tx, application_id).await?.ok_or(Refusal::Unknown)?;
    if application.submissions == 0 || (visible && application.state.is_final()) {
        return Err(Refusal::NotNow(application.state));
    }
    let comment = Comment {
        comment_id: platform.random.id(),
        number: application.submissions,
        field,
        account_id: staff.account_id,
        visible,
        text,
        at: now,
    };
    case::insert_comment(&mut tx, application_id, &comment).await?;
    let detail = if visible { "visible" } else { "internal" };
    Entry {
        app: Some(application.app_id),
        about: Some(application_id),
        detail,
        ..Entry::new(staff.actor(), "application.commented")
    }
    .write(&mut tx, &platform.random, now)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Records what shows that the organisation exists, or that the language is an enabled one; an empty text takes it back.
pub async fn record(
    platform: &Platform,
    staff: &Account,
    application_id: i64,
    kind: Evidence,
    text: &str,
) -> Result<(), Refusal> {
    let now = platform.now();
    let text = tidy(text).map_err(|why| Refusal::of(kind.as_str(), why))?;
    let mut tx = platform.db.begin().await?;
    let application = rows::by_id(&mut tx, application_id).await?.ok_or(Refusal::Unknown)?;
    if application.state.is_final() || application.submissions == 0 {
        return Err(Refusal::NotNow(application.state));
    }
    // What an approval rests on is not recorded by the applicant's side.
    if case::is_conflicted(&mut tx, application_id, staff.account_id).await? {
        return Err(Refusal::Conflicted);
    }
    let detail = if text.is_empty() {
        if !case::forget_evidence(&mut tx, application_id, kind).await? {
            return Ok(());
        }
        format!("{kind} taken back")
    } else {
        case::record(&mut tx, application_id, &EvidenceRow { kind, text, account_id: staff.account_id, at: now }).await?;
        kind.to_string()
    };
    Event { text: &detail, ..Event::new(application_id, staff.actor(), Happened::Evidence) }
        .write(platform, &mut tx, application.app_id)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// A reviewer has a conflict of interest: they lose the application if they have it, and what they had decided about it, and cannot decide any more.
pub async fn declare_conflict(
    platform: &Platform,
    staff: &Account,
    application_id: i64,
    text: &str,
) -> Result<Application, Refusal> {
    let text = required("conflict", text)?;
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let before = rows::by_id(&mut tx, application_id).await?.ok_or(Refusal::Unknown)?;
    if before.state.is_final() || before.submissions == 0 {
        return Err(Refusal::NotNow(before.state));
    }
    case::insert_conflict(&mut tx, application_id, &Conflict { account_id: staff.account_id, text, at: now }).await?;
    case::forget_decision(&mut tx, application_id, staff.account_id).await?;
    let mut after = before.clone();
    after.assigned_to = before.assigned_to.filter(|held| *held != staff.account_id);
    let event = Event::new(application_id, staff.actor(), Happened::Conflict);
    let after = change(platform, &mut tx, &before, after, event).await?;
    tx.commit().await?;
    Ok(after)
}

/// Staff open a submitted application for correction. It keeps its place: its due date stands still until it is handed in again.
pub async fn reopen(platform: &Platform, staff: &Account, application_id: i64, text: &str) -> Result<Application, Refusal> {
    let mut tx = platform.db.begin().await?;
    let after = reopen_in(platform, &mut tx, staff, application_id, text).await?;
    tx.commit().await?;
    Ok(after)
}

/// The same, with what it belongs to: the ticket that asked for it.
pub async fn reopen_in(
    platform: &Platform,
    tx: &mut Tx,
    staff: &Account,
    application_id: i64,
    text: &str,
) -> Result<Application, Refusal> {
    let text = required("text", text)?;
    let now = platform.now();
    let before = rows::by_id(tx, application_id).await?.ok_or(Refusal::Unknown)?;
    if !State::Reopened.may_come_from().contains(&before.state) {
        return Err(Refusal::NotNow(before.state));
    }
    if case::is_conflicted(tx, application_id, staff.account_id).await? {
        return Err(Refusal::Conflicted);
    }
    close_questions(tx, application_id, now).await?;
    let mut after = before.clone();
    after.shift(platform, State::Reopened, now);
    let back = if before.state == State::NeedsInfo { State::InReview } else { before.state };
    after.reopened_from = Some(back.to_string());
    let event = Event { text: &text, visible: true, ..Event::new(application_id, staff.actor(), Happened::Reopened) };
    let after = change(platform, tx, &before, after, event).await?;
    let app = app_name(tx, after.app_id).await?;
    let notice = Notice::Reopened { app, reference: after.reference(), text, path: portal_path(application_id) };
    to_applicant(platform, tx, &after, notice).await?;
    Ok(after)
}

/// The applicant takes the application back.
pub async fn withdraw(platform: &Platform, account: &Account, application_id: i64, version: i64) -> Result<Application, Refusal> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let before = load(&mut tx, application_id, version).await?;
    if !State::Withdrawn.may_come_from().contains(&before.state) {
        return Err(Refusal::NotNow(before.state));
    }
    close_questions(&mut tx, application_id, now).await?;
    let mut after = before.clone();
    after.shift(platform, State::Withdrawn, now);
    let event = Event { visible: true, ..Event::new(application_id, account.actor(), Happened::Withdrawn) };
    let after = change(platform, &mut tx, &before, after, event).await?;
    tx.commit().await?;
    Ok(after)
}

/// The app was deleted: its open application goes with it.
pub(crate) async fn end_of_app(platform: &Platform, tx: &mut Tx, actor: Actor, app_id: i64) -> Result<(), Fault> {
    let Some(before) = rows::open_of_app(tx, app_id).await? else { return Ok(()) };
    let now = platform.now();
    close_questions(tx, before.application_id, now).await?;
    let mut after = before.clone();
    after.shift(platform, State::Withdrawn, now);
    let event = Event { visible: true, ..Event::new(before.application_id, actor, Happened::Withdrawn) };
    match change(platform, tx, &before, after, event).await {
        Ok(_) => Ok(()),
        Err(Refusal::Fault(fault)) => Err(fault),
        // Somebody is at it in this very moment; whoever deletes the app tries again.
        Err(refusal) => Err(Fault::Row(refusal.to_string())),
    }
}

/// Takes an approval back, with the scopes that it gave.
pub async fn revoke(
    platform: &Platform,
    staff: &Account,
    application_id: i64,
    version: i64,
    code: &str,
    text: &str,
) -> Result<Application, Refusal> {
    let known = codes::find(code).ok_or_else(|| Refusal::of("code", "Choose a code."))?;
    let text = required("text", text)?;
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let before = load(&mut tx, application_id, version).await?;
    if !State::Revoked.may_come_from().contains(&before.state) {
        return Err(Refusal::NotNow(before.state));
    }
    let mut after = before.clone();
    after.shift(platform, State::Revoked, now);
    let event = Event {
        code: Some(known.code),
        text: &text,
        visible: true,
        ..Event::new(application_id, staff.actor(), Happened::Revoked)
    };
    let after = change(platform, &mut tx, &before, after, event).await?;
    let given = apps::approvals(&mut tx, after.app_id).await?.into_iter();
    let families: Vec<String> =
        given.filter(|approval| approval.application_id == Some(application_id)).map(|approval| approval.family).collect();
    apps::withdraw_families(&mut tx, platform, staff.actor(), after.app_id, &families).await?;
    let (code, title, cure) = (known.code.to_owned(), known.title.to_owned(), known.cure.to_owned());
    let reason = notices::Reason { code, title, text, cure };
    let app = app_name(&mut tx, after.app_id).await?;
    let (reference, path) = (after.reference(), portal_path(application_id));
    to_applicant(platform, &mut tx, &after, Notice::ApplicationRevoked { app, reference, reason, path }).await?;
    tx.commit().await?;
    Ok(after)
}

/// Nobody waits for an answer any more; its links end too.
pub(super) async fn close_questions(tx: &mut Tx, application_id: i64, now: Millis) -> Result<(), Fault> {
    for question_id in case::close_questions(tx, application_id, now).await? {
        links::end(tx, Purpose::AnswerQuestion, question_id).await?;
    }
    Ok(())
}

/// The applicant's page of an application.
pub(super) fn portal_path(application_id: i64) -> String {
    format!("/developers/applications/{application_id}")
}

/// The reviewers' page of it.
pub(super) fn console_path(application_id: i64) -> String {
    format!("/console/applications/{application_id}")
}

pub(super) async fn app_name(tx: &mut Tx, app_id: i64) -> Result<String, Fault> {
    Ok(apps::by_id(tx, app_id).await?.map(|app| app.name).unwrap_or_default())
}

/// A mail to the address on the form.
pub(super) async fn to_applicant(
    platform: &Platform,
    tx: &mut Tx,
    application: &Application,
    notice: Notice,
) -> Result<(), Fault> {
    if application.email.is_empty() {
        return Ok(());
    }
    notices::send(platform, tx, &application.email, Some(application.application_id), notice).await
}

/// A mail to the reviewer, if there is one.
pub(super) async fn to_reviewer(
    platform: &Platform,
    tx: &mut Tx,
    application: &Application,
    notice: Notice,
) -> Result<(), Fault> {
    let Some(account_id) = application.assigned_to else { return Ok(()) };
    let Some(account) = accounts::by_id(tx, account_id).await?.filter(|account| account.disabled_at.is_none()) else {
        return Ok(());
    };
    notices::send(platform, tx, &account.email, Some(application.application_id), notice).await
}

/// Tells the reviewer that the move is theirs again, and why.
pub(super) async fn tell_reviewer(
    platform: &Platform,
    tx: &mut Tx,
    application: &Application,
    app: String,
    what: &str,
) -> Result<(), Fault> {
    let path = console_path(application.application_id);
    let notice = Notice::CaseReturned { app, reference: application.reference(), what: what.to_owned(), path };
    to_reviewer(platform, tx, application, notice).await
}

/// Staff who hold a role and can sign in, by name.
pub async fn staff_with(tx: &mut Tx, role: Role) -> Result<Vec<(i64, String, String)>, Fault> {
    Ok(sql!(
        tx,
        all(i64, String, String),
        "select a.account_id, a.name, a.email
         from accounts a join staff_roles r on r.account_id = a.account_id
         where a.kind = 'staff' and a.disabled_at is null and r.role = $1
         order by a.name, a.account_id",
        role,
    )?)
}
