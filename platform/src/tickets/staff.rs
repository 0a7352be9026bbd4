//! What staff do with tickets: answer, note, hand over, close, open an application for correction or refuse to; and what is done by the clock.

use super::acts::{By, MOST_FILES, Said, Writing, assignee, check, console_path, form_key, keep, portal_path, record, say, tidy};
use super::{Kind, Refusal, State, Ticket, rows, sees};
use crate::accounts::{self, Account, Role};
use crate::applications::{self, clocks};
use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::Tx;
use crate::links::{self, Purpose as LinkPurpose};
use crate::notices::{self, Notice};
use crate::{Fault, Platform, apps, uploads};

/// Tickets looked at in one transaction by the clock.
const BATCH: i64 = 50;

async fn load(tx: &mut Tx, ticket_id: i64, version: i64) -> Result<Ticket, Refusal> {
    let ticket = rows::by_id(tx, ticket_id).await?.ok_or(Refusal::Unknown)?;
    if ticket.version == version { Ok(ticket) } else { Err(Refusal::Stale) }
}

/// Whether this form of this member of staff was posted before; then all is done.
async fn done_before(tx: &mut Tx, form: &str) -> Result<Option<Ticket>, Fault> {
    rows::of_form(tx, form).await
}

/// Staff said something that the developer sees.
fn answered(ticket: &mut Ticket, staff: &Account, now: Millis) {
    (ticket.state, ticket.due_at) = (State::Answered, None);
    ticket.first_answered_at = ticket.first_answered_at.or(Some(now));
    // Whoever answers what nobody has has it from then on.
    ticket.assigned_to = ticket.assigned_to.or(Some(staff.account_id));
}

fn closed(ticket: &mut Ticket, now: Millis) {
    (ticket.state, ticket.due_at, ticket.closed_at) = (State::Closed, None, Some(now));
    ticket.first_answered_at = ticket.first_answered_at.or(Some(now));
}

/// Answers a ticket as it was when the page was made; closes it too, if that is wanted. Everybody who wrote on it and still sees it is mailed
/// the answer, with a link of their own on which they can write back.
pub async fn answer(
    platform: &Platform,
    staff: &Account,
    ticket_id: i64,
    version: i64,
    writing: Writing,
    then_close: bool,
) -> Result<Ticket, Refusal> {
    let form = form_key(platform, staff.account_id, &writing.form);
    let mut tx = platform.db.begin().await?;
    if let Some(made) = done_before(&mut tx, &form).await? {
        return Ok(made);
    }
    let mut found = Vec::new();
    let text = check(&writing, &mut found);
    if !found.is_empty() {
        return Err(Refusal::Invalid(found));
    }
    let before = load(&mut tx, ticket_id, version).await?;
    if before.state == State::Closed {
        return Err(Refusal::NotNow(before.state));
    }
    keep(&mut tx, staff.account_id, &writing.uploads).await?;
    let now = platform.now();
    let mut after = before.clone();
    answered(&mut after, staff, now);
    let said = Said { kind: Kind::Answer, visible: true, text: &text, uploads: &writing.uploads, form };
    let (mut after, message_id) = say(platform, &mut tx, By::Staff(staff), &before, after, said).await?;
    record(platform, &mut tx, staff, &after, "ticket.answered", "").await?;
    mail_answer(platform, &mut tx, &after, message_id, &text, None).await?;
    if then_close {
        let before = after.clone();
        closed(&mut after, now);
        after = close_in(platform, &mut tx, staff, &before, after).await?;
    }
    tx.commit().await?;
    Ok(after)
}

async fn mail_answer(
    platform: &Platform,
    tx: &mut Tx,
    ticket: &Ticket,
    message_id: i64,
    text: &str,
    but: Option<&str>,
) -> Result<(), Fault> {
    for (account_id, email) in rows::writers(tx, ticket.ticket_id).await? {
        if but == Some(email.as_str()) || !sees(tx, ticket, account_id).await? {
            continue;
        }
        let purpose = LinkPurpose::AnswerTicket;
        let token = links::make(platform, tx, purpose, message_id, &email, notices::lives(purpose)).await?;
        let notice = Notice::TicketAnswered {
            ticket: ticket.reference(),
            subject: ticket.subject.clone(),
            text: text.to_owned(),
            path: format!("/developers/support/answer?token={token}"),
        };
        notices::send(platform, tx, &email, Some(ticket.ticket_id), notice).await?;
    }
    Ok(())
}

/// Staff write to each other. The developer does not see it, and whose move it is does not change.
pub async fn note(platform: &Platform, staff: &Account, ticket_id: i64, writing: Writing) -> Result<Ticket, Refusal> {
    let form = form_key(platform, staff.account_id, &writing.form);
    let mut tx = platform.db.begin().await?;
    if let Some(made) = done_before(&mut tx, &form).await? {
        return Ok(made);
    }
    let mut found = Vec::new();
    if writing.uploads.len() > MOST_FILES {
        found.push(("note_files", format!("Attach at most {MOST_FILES} files")));
    }
    let text = tidy(&writing.text, super::acts::LONGEST_TEXT).unwrap_or_else(|why| {
        found.push(("note", why));
        String::new()
    });
    if text.is_empty() && found.is_empty() {
        found.push(("note", "Write a note".into()));
    }
    if !found.is_empty() {
        return Err(Refusal::Invalid(found));
    }
    let before = rows::by_id(&mut tx, ticket_id).await?.ok_or(Refusal::Unknown)?;
    keep(&mut tx, staff.account_id, &writing.uploads).await?;
    let said = Said { kind: Kind::Note, visible: false, text: &text, uploads: &writing.uploads, form };
    let (after, _) = say(platform, &mut tx, By::Staff(staff), &before, before.clone(), said).await?;
    record(platform, &mut tx, staff, &after, "ticket.noted", "").await?;
    tx.commit().await?;
    Ok(after)
}

/// Closes a ticket. The developer is told, and can open it again by writing.
pub async fn close_by_staff(platform: &Platform, staff: &Account, ticket_id: i64, version: i64) -> Result<Ticket, Refusal> {
    let mut tx = platform.db.begin().await?;
    let before = load(&mut tx, ticket_id, version).await?;
    if before.state == State::Closed {
        return Err(Refusal::NotNow(before.state));
    }
    let mut after = before.clone();
    closed(&mut after, platform.now());
    let after = close_in(platform, &mut tx, staff, &before, after).await?;
    tx.commit().await?;
    Ok(after)
}

async fn close_in(platform: &Platform, tx: &mut Tx, staff: &Account, before: &Ticket, after: Ticket) -> Result<Ticket, Refusal> {
    let form = form_key(platform, staff.account_id, "");
    let said = Said { kind: Kind::Closed, visible: true, text: "", uploads: &[], form };
    let (after, _) = say(platform, tx, By::Staff(staff), before, after, said).await?;
    record(platform, tx, staff, &after, "ticket.closed", "by staff").await?;
    if let Some(author) = author(tx, &after).await? {
        let notice = Notice::TicketClosed {
            ticket: after.reference(),
            subject: after.subject.clone(),
            path: portal_path(after.ticket_id),
        };
        notices::send(platform, tx, &author.email, Some(after.ticket_id), notice).await?;
    }
    Ok(after)
}

/// Who opened it, if they can still sign in.
async fn author(tx: &mut Tx, ticket: &Ticket) -> Result<Option<Account>, Fault> {
    Ok(accounts::by_id(tx, ticket.account_id).await?.filter(|account| account.disabled_at.is_none()))
}

/// Gives a ticket to a member of staff who answers tickets, or to nobody, with a note for them.
pub async fn assign(
    platform: &Platform,
    staff: &Account,
    ticket_id: i64,
    version: i64,
    to: Option<i64>,
    text: &str,
) -> Result<Ticket, Refusal> {
    let text = tidy(text, 2000).map_err(|why| Refusal::Invalid(vec![("handover", why)]))?;
    let mut tx = platform.db.begin().await?;
    let before = load(&mut tx, ticket_id, version).await?;
    if before.assigned_to == to {
        return Ok(before);
    }
    let after = Ticket { assigned_to: to, ..before.clone() };
    let new = assignee(&mut tx, &after).await?;
    if to.is_some() && new.is_none() {
        return Err(Refusal::Invalid(vec![("to", "Choose somebody who answers tickets".into())]));
    }
    let words =
        new.as_ref().map_or_else(|| "To nobody: whoever comes first takes it.".to_owned(), |new| format!("To {}.", new.name));
    let words = if text.is_empty() { words } else { format!("{words}\n{text}") };
    let form = form_key(platform, staff.account_id, "");
    let said = Said { kind: Kind::HandedOver, visible: false, text: &words, uploads: &[], form };
    let (after, _) = say(platform, &mut tx, By::Staff(staff), &before, after, said).await?;
    let detail = to.map_or_else(|| "to nobody".to_owned(), |to| format!("to staff {to}"));
    record(platform, &mut tx, staff, &after, "ticket.assigned", &detail).await?;
    if let Some(new) = new.filter(|new| new.account_id != staff.account_id) {
        let notice = Notice::TicketHanded {
            ticket: after.reference(),
            subject: after.subject.clone(),
            by: staff.name.clone(),
            text,
            path: console_path(after.ticket_id),
        };
        notices::send(platform, &mut tx, &new.email, Some(after.ticket_id), notice).await?;
    }
    tx.commit().await?;
    Ok(after)
}

/// A ticket about a mistake in its application, as it was when the page was made.
async fn about_correction(tx: &mut Tx, ticket_id: i64, version: i64) -> Result<(Ticket, applications::Application), Refusal> {
    let ticket = load(tx, ticket_id, version).await?;
    if !ticket.is_about_correction() {
        return Err(Refusal::NotNow(ticket.state));
    }
    let application_id = ticket.application_id.ok_or(Refusal::Unknown)?;
    let application = applications::rows::by_id(tx, application_id).await?.ok_or(Refusal::Unknown)?;
    Ok((ticket, application))
}

fn required(field: &'static str, text: &str, what: &str) -> Result<String, Refusal> {
    let text = tidy(text, super::acts::LONGEST_TEXT).map_err(|why| Refusal::Invalid(vec![(field, why)]))?;
    if text.is_empty() { Err(Refusal::Invalid(vec![(field, what.to_owned())])) } else { Ok(text) }
}

/// Opens the application of a ticket for correction (rule 9): it keeps its place in the queue. The applicant is told at the form's address and on
/// the ticket.
pub async fn open_for_correction(
    platform: &Platform,
    staff: &Account,
    ticket_id: i64,
    version: i64,
    text: &str,
) -> Result<Ticket, Refusal> {
    let text = required("correction", text, "Write what they can correct")?;
    let mut tx = platform.db.begin().await?;
    let (before, application) = about_correction(&mut tx, ticket_id, version).await?;
    applications::reopen_in(platform, &mut tx, staff, application.application_id, &text).await.map_err(
        |refusal| match refusal {
            applications::Refusal::Fault(fault) => Refusal::Fault(fault),
            other => Refusal::Application(other.to_string()),
        },
    )?;
    let mut after = before.clone();
    answered(&mut after, staff, platform.now());
    let form = form_key(platform, staff.account_id, "");
    let said = Said { kind: Kind::CorrectionOpened, visible: true, text: &text, uploads: &[], form };
    let (after, message_id) = say(platform, &mut tx, By::Staff(staff), &before, after, said).await?;
    let detail = format!("application {}", application.application_id);
    record(platform, &mut tx, staff, &after, "ticket.correction_opened", &detail).await?;
    // The form's address hears of it from the application.
    mail_answer(platform, &mut tx, &after, message_id, &text, Some(&application.email)).await?;
    tx.commit().await?;
    Ok(after)
}

/// Refuses to, with a reason. The application goes on as it was handed in.
pub async fn refuse_correction(
    platform: &Platform,
    staff: &Account,
    ticket_id: i64,
    version: i64,
    reason: &str,
) -> Result<Ticket, Refusal> {
    let reason = required("correction", reason, "Write why not")?;
    let mut tx = platform.db.begin().await?;
    let (before, application) = about_correction(&mut tx, ticket_id, version).await?;
    let mut after = before.clone();
    answered(&mut after, staff, platform.now());
    let form = form_key(platform, staff.account_id, "");
    let said = Said { kind: Kind::CorrectionRefused, visible: true, text: &reason, uploads: &[], form };
    let (after, _) = say(platform, &mut tx, By::Staff(staff), &before, after, said).await?;
    let detail = format!("application {}", application.application_id);
    record(platform, &mut tx, staff, &after, "ticket.correction_refused", &detail).await?;
    let about = application.application_id;
    let event = applications::Event::new(about, staff.actor(), applications::Happened::CorrectionRefused);
    applications::Event { text: &reason, visible: true, ..event }.write(platform, &mut tx, application.app_id).await?;
    let app = apps::by_id(&mut tx, application.app_id).await?.map(|app| app.name).unwrap_or_default();
    for (account_id, email) in rows::writers(&mut tx, after.ticket_id).await? {
        if !sees(&mut tx, &after, account_id).await? {
            continue;
        }
        let notice = Notice::CorrectionRefused {
            app: app.clone(),
            reference: application.reference(),
            reason: reason.clone(),
            path: portal_path(after.ticket_id),
        };
        notices::send(platform, &mut tx, &email, Some(after.ticket_id), notice).await?;
    }
    tx.commit().await?;
    Ok(after)
}

/// Tells the administrators, and whose ticket it is, of first answers that were promised and did not come. Nothing is decided by it.
pub(crate) async fn escalate(platform: &Platform) -> Result<(), Fault> {
    let now = platform.now();
    let calendar = platform.settings.review.calendar();
    loop {
        let late = rows::unanswered(&mut platform.db.read().await?, now, BATCH).await?;
        for ticket_id in &late {
            let mut tx = platform.db.begin().await?;
            let Some(ticket) = rows::by_id(&mut tx, *ticket_id).await? else { continue };
            if !rows::escalated(&mut tx, *ticket_id, now).await? {
                continue;
            }
            let mut told = accounts::with_role(&mut tx, Role::Administrator).await?;
            if let Some(assignee) = assignee(&mut tx, &ticket).await?
                && !told.iter().any(|account| account.account_id == assignee.account_id)
            {
                told.push(assignee);
            }
            for account in told.into_iter().filter(|account| account.disabled_at.is_none()) {
                let notice = Notice::TicketLate {
                    ticket: ticket.reference(),
                    subject: ticket.subject.clone(),
                    due: clocks::in_words(ticket.first_answer_due_at, &calendar),
                    path: console_path(*ticket_id),
                };
                notices::send(platform, &mut tx, &account.email, Some(*ticket_id), notice).await?;
            }
            Entry { about: Some(*ticket_id), app: ticket.app_id, ..Entry::new(Actor::System, "ticket.late") }
                .write(&mut tx, &platform.random, now)
                .await?;
            tx.commit().await?;
            tracing::warn!(ticket_id, "a ticket has no first answer in time");
            metrics::counter!("portward_tickets_late_total").increment(1);
        }
        if late.len() < usize::try_from(BATCH).unwrap_or(usize::MAX) {
            return Ok(());
        }
    }
}

/// Takes away tickets that were closed before a time, with their messages; their files are left to the sweep.
pub(crate) async fn forget(platform: &Platform, before: Millis) -> Result<u64, Fault> {
    let mut forgotten = 0;
    loop {
        let old = rows::closed_before(&mut platform.db.read().await?, before, BATCH).await?;
        if old.is_empty() {
            return Ok(forgotten);
        }
        let mut tx = platform.db.begin().await?;
        for ticket_id in old {
            for message in rows::messages(&mut tx, ticket_id).await? {
                for upload_id in message.uploads() {
                    uploads::release(&mut tx, upload_id).await?;
                }
            }
            rows::delete(&mut tx, ticket_id).await?;
            forgotten += 1;
        }
        tx.commit().await?;
    }
}
