//! Questions to the applicant. While one is open the reviewer's clock stands; the mail to the confirmed address on the form holds a link on which it
//! can be answered without an account.

use std::time::Duration;

use serde_json::{Map, Value};

use super::case::{self, Question};
use super::draft::{describe, email_of};
use super::review::{self, Refusal, change, load, required, tidy};
use super::submit::{self, MachineFinding};
use super::{Application, Event, Happened, State, Version, clocks, rows};
use crate::accounts::Account;
use crate::audit::Actor;
use crate::db::Tx;
use crate::forms::{self, Field, Kind, Role};
use crate::links::{self, Purpose};
use crate::notices::Notice;
use crate::{Fault, Platform, uploads};

/// Whether a question can open a field. The address is proved before a submission, so it is changed by a correction.
pub fn can_open(field: &Field) -> bool {
    field.role != Some(Role::ContactEmail) && field.kind != Kind::AppId
}

/// A reviewer asks the applicant, and gives them the move.
pub async fn ask(
    platform: &Platform,
    staff: &Account,
    application_id: i64,
    version: i64,
    text: &str,
    fields: &[String],
) -> Result<Application, Refusal> {
    let text = required("question", text)?;
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let before = load(&mut tx, application_id, version).await?;
    let form = platform.forms.of(&before.form);
    if !fields.iter().all(|name| form.field(name).is_some_and(can_open)) {
        return Err(Refusal::of("fields", "One of the fields cannot be changed by an answer."));
    }
    if before.state != State::InReview {
        return Err(Refusal::NotNow(before.state));
    }
    if before.assigned_to != Some(staff.account_id) {
        return Err(Refusal::NotYours);
    }
    if before.email_confirmed_at.is_none() {
        return Err(Refusal::of("question", "The address on the form is not confirmed."));
    }
    let mut after = before.clone();
    after.shift(platform, State::NeedsInfo, now);
    let question = Question {
        question_id: platform.random.id(),
        application_id,
        asked_by: staff.account_id,
        asked_at: now,
        text: text.clone(),
        fields: fields.join(","),
        due_at: after.answer_due_at.unwrap_or(now),
        reminders: 0,
        answered_at: None,
        answer: None,
        changes: None,
        closed_at: None,
    };
    let event = Event { text: &text, visible: true, ..Event::new(application_id, staff.actor(), Happened::Asked) };
    let after = change(platform, &mut tx, &before, after, event).await?;
    case::insert_question(&mut tx, &question).await?;
    let path = link(platform, &mut tx, &after, &question).await?;
    let app = review::app_name(&mut tx, after.app_id).await?;
    let notice = Notice::Question {
        app,
        reference: after.reference(),
        question: text,
        fields: labels(platform, &before, &question),
        due: clocks::in_words(question.due_at, &platform.settings.review.calendar()),
        path,
    };
    review::to_applicant(platform, &mut tx, &after, notice).await?;
    tx.commit().await?;
    Ok(after)
}

/// What the fields of a question are called.
pub fn labels(platform: &Platform, application: &Application, question: &Question) -> Vec<String> {
    let form = platform.forms.of(&application.form);
    question.fields().into_iter().map(|name| form.field(&name).map_or(name.clone(), |field| field.label.clone())).collect()
}

/// The mailed path. It works until the answer is due, once; a later one takes its place.
async fn link(platform: &Platform, tx: &mut Tx, application: &Application, question: &Question) -> Result<String, Fault> {
    let lives = question.due_at.since(platform.now());
    let token = links::make(platform, tx, Purpose::AnswerQuestion, question.question_id, &application.email, lives).await?;
    Ok(format!("/developers/answer?token={token}"))
}

/// What a mailed link opens: the question and its application, without using the link up.
pub async fn behind(platform: &Platform, token: &str) -> Result<Option<(Application, Question)>, Fault> {
    let Some(found) = links::look(platform, Purpose::AnswerQuestion, token).await? else { return Ok(None) };
    let mut tx = platform.db.read().await?;
    let Some(question) = case::question(&mut tx, found.about_id).await?.filter(|question| question.closed_at.is_none()) else {
        return Ok(None);
    };
    let application = rows::by_id(&mut tx, question.application_id).await?;
    Ok(application.map(|application| (application, question)))
}

/// Who answers.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// Whoever holds the mailed link.
    Link(&'a str),
    /// A developer who works on the app, the question with this number.
    Developer(&'a Account, i64),
}

/// The answer: the application returns to the reviewer who asked, the clock goes on, and what changed is kept as a version of its own.
pub async fn answer(platform: &Platform, by: By<'_>, text: &str, fields: Map<String, Value>) -> Result<Application, Refusal> {
    let text = tidy(text).map_err(|why| Refusal::of("answer", why))?;
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let question_id = match by {
        // Taken in this transaction: what is refused below leaves the link as it was.
        By::Link(token) => {
            links::take(platform, &mut tx, Purpose::AnswerQuestion, token).await?.ok_or(Refusal::Unknown)?.about_id
        }
        By::Developer(_, question_id) => question_id,
    };
    let question = case::question(&mut tx, question_id).await?.ok_or(Refusal::Unknown)?;
    let before = rows::by_id(&mut tx, question.application_id).await?.ok_or(Refusal::Unknown)?;
    if before.state != State::NeedsInfo || question.closed_at.is_some() {
        return Err(Refusal::NotNow(before.state));
    }
    let (actor, account_id) = match by {
        By::Link(_) => (Actor::App(before.app_id), None),
        By::Developer(account, _) => (account.actor(), Some(account.account_id)),
    };
    let mut answers = before.answers();
    let open = question.fields();
    let mut changed = Map::new();
    for (field, value) in fields {
        if open.contains(&field) && answers.get(&field) != Some(&value) {
            answers.insert(field.clone(), value.clone());
            changed.insert(field, value);
        }
    }
    let wrong = faults(platform, &mut tx, &before, &answers, &changed).await?;
    if !wrong.is_empty() {
        return Err(Refusal::Invalid(wrong));
    }
    if text.is_empty() && changed.is_empty() {
        return Err(Refusal::of("answer", "Write an answer, or change one of the fields."));
    }
    let json = |value: &Map<String, Value>| serde_json::to_string(value).map_err(|fault| Fault::Row(fault.to_string()));
    if !case::answer(&mut tx, question_id, &text, &json(&changed)?, now).await? {
        return Err(Refusal::NotNow(before.state));
    }
    links::end(&mut tx, Purpose::AnswerQuestion, question_id).await?;
    let mut after = before.clone();
    after.shift(platform, State::InReview, now);
    if !changed.is_empty() {
        after.submissions += 1;
        after.answers = json(&answers)?;
        let form = platform.forms.of(&before.form);
        describe(platform, &mut tx, form, &answers, &mut after).await?;
        freeze(platform, &mut tx, &after, &changed, account_id).await?;
    }
    let event = Event { text: &text, visible: true, ..Event::new(after.application_id, actor, Happened::Answered) };
    let after = change(platform, &mut tx, &before, after, event).await?;
    let app = review::app_name(&mut tx, after.app_id).await?;
    let notice = Notice::QuestionAnswered { app, reference: after.reference(), path: review::console_path(after.application_id) };
    review::to_reviewer(platform, &mut tx, &after, notice).await?;
    tx.commit().await?;
    Ok(after)
}

/// What is wrong with the fields that an answer changes. What was handed in before stays as it was taken then.
async fn faults(
    platform: &Platform,
    tx: &mut Tx,
    application: &Application,
    answers: &Map<String, Value>,
    changed: &Map<String, Value>,
) -> Result<Vec<(String, String)>, Fault> {
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let form = platform.forms.of(&application.form);
    let mut files = Vec::new();
    for upload_id in form.uploads(answers) {
        files.extend(uploads::by_id(tx, upload_id).await?.filter(|file| file.app_id == Some(application.app_id)));
    }
    let scopes = forms::scopes(&platform.catalogue);
    let context = forms::Context { app_id: application.app_id, scopes: &scopes, uploads: &files };
    let found = forms::check(form, answers, &context).into_iter();
    let found: Vec<_> =
        found.filter(|finding| changed.contains_key(&finding.field)).map(|finding| (finding.field, finding.message)).collect();
    if found.is_empty() {
        for file in &files {
            uploads::keep(tx, file.upload_id).await?;
        }
    }
    Ok(found)
}

/// The next version: as the last one, with the answers of now. What was declared and accepted then holds on; what changed is read for its language
/// again, for the reviewer to see.
async fn freeze(
    platform: &Platform,
    tx: &mut Tx,
    after: &Application,
    changed: &Map<String, Value>,
    account_id: Option<i64>,
) -> Result<(), Fault> {
    let last = rows::versions(tx, after.application_id).await?.pop();
    let last = last.ok_or_else(|| Fault::Row(format!("application {} has no version", after.application_id)))?;
    let mut findings: Vec<MachineFinding> = serde_json::from_str(&last.findings).unwrap_or_default();
    findings.retain(|finding| !changed.contains_key(&finding.field));
    let read = submit::findings(platform, tx, after, &after.answers()).await?;
    findings.extend(read.into_iter().filter(|finding| changed.contains_key(&finding.field)));
    let next = Version {
        number: after.submissions,
        answers: after.answers.clone(),
        findings: serde_json::to_string(&findings).map_err(|fault| Fault::Row(fault.to_string()))?,
        submitted_by: account_id,
        submitted_at: platform.now(),
        ..last
    };
    rows::insert_version(tx, &next).await
}

/// Sends the reminders that are due, and gives back to the reviewer what was not answered in time. Gives how many of each there were.
pub(super) async fn keep(platform: &Platform) -> Result<(u64, u64), Fault> {
    let now = platform.now();
    let spans: Vec<Duration> = platform.settings.review.reminders.iter().map(|span| span.0).collect();
    let first = spans.iter().min().copied().unwrap_or(platform.settings.review.answer.0).min(platform.settings.review.answer.0);
    let mut tx = platform.db.read().await?;
    let open = case::open_questions(&mut tx, now - first).await?;
    drop(tx);
    let (mut reminded, mut unanswered) = (0, 0);
    for question in open {
        if question.due_at <= now {
            unanswered += u64::from(give_back(platform, question.application_id).await?);
        } else {
            reminded += u64::from(remind(platform, &question, &spans).await?);
        }
    }
    Ok((reminded, unanswered))
}

async fn remind(platform: &Platform, question: &Question, spans: &[Duration]) -> Result<bool, Fault> {
    let now = platform.now();
    let passed = spans.iter().filter(|span| question.asked_at + **span <= now).count();
    let passed = i32::try_from(passed).unwrap_or(i32::MAX);
    // After a standstill of the program one reminder goes out for all that were missed.
    if passed <= question.reminders {
        return Ok(false);
    }
    let mut tx = platform.db.begin().await?;
    if !case::remind(&mut tx, question.question_id, question.reminders, passed).await? {
        return Ok(false);
    }
    let Some(application) = rows::by_id(&mut tx, question.application_id).await? else { return Ok(false) };
    let path = link(platform, &mut tx, &application, question).await?;
    let app = review::app_name(&mut tx, application.app_id).await?;
    // Begun days count: who has an hour left has not got a day, but is not told of none.
    let days_left = question.due_at.since(now).as_secs().div_ceil(24 * 3600);
    let notice = Notice::QuestionReminder {
        app,
        reference: application.reference(),
        question: question.text.clone(),
        fields: labels(platform, &application, question),
        due: clocks::in_words(question.due_at, &platform.settings.review.calendar()),
        path,
        days_left: u32::try_from(days_left).unwrap_or(u32::MAX),
    };
    review::to_applicant(platform, &mut tx, &application, notice).await?;
    Event { visible: true, ..Event::new(application.application_id, Actor::System, Happened::Reminded) }
        .write(platform, &mut tx, application.app_id)
        .await?;
    tx.commit().await?;
    Ok(true)
}

/// Nobody answered, or nobody corrected: the move is the reviewer's again, with that said. Nothing is refused by it.
pub(super) async fn give_back(platform: &Platform, application_id: i64) -> Result<bool, Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let Some(before) = rows::by_id(&mut tx, application_id).await? else { return Ok(false) };
    if !before.state.waits_for_applicant() || before.answer_due_at.is_none_or(|due| due > now) {
        return Ok(false);
    }
    review::close_questions(&mut tx, application_id, now).await?;
    let mut after = before.clone();
    let back = before.reopened_from.as_deref().and_then(State::parse).filter(|_| before.state == State::Reopened);
    after.shift(platform, back.unwrap_or(State::InReview), now);
    after.reopened_from = None;
    if before.state == State::Reopened
        && let Some(last) = rows::versions(&mut tx, application_id).await?.pop()
    {
        // What was begun and not handed in is not what is decided about: neither the answers nor what is told by them, such as whether two must
        // decide, nor where mail goes. The address of a version that was handed in had been confirmed.
        let form = platform.forms.of(&before.form);
        after.answers = last.answers;
        let answers = after.answers();
        let email = email_of(form, &answers);
        if !email.is_empty() && email != after.email {
            (after.email, after.email_confirmed_at) = (email, Some(last.submitted_at));
        }
        links::end(&mut tx, Purpose::ConfirmContact, application_id).await?;
        describe(platform, &mut tx, form, &answers, &mut after).await?;
    }
    let Some(after) = rows::store(&mut tx, &before, after, now).await? else { return Ok(false) };
    Event {
        moved: Some((before.state, after.state)),
        visible: true,
        ..Event::new(application_id, Actor::System, Happened::Unanswered)
    }
    .write(platform, &mut tx, after.app_id)
    .await?;
    let app = review::app_name(&mut tx, after.app_id).await?;
    let what = if before.state == State::Reopened { "was not corrected in time" } else { "was not answered in time" };
    review::tell_reviewer(platform, &mut tx, &after, app, what).await?;
    tx.commit().await?;
    Ok(true)
}
