//! What developers do with tickets: open, write, write by a mailed link, close.

use std::time::Duration;

use super::rows::{self, NewMessage};
use super::{Kind, Message, Refusal, State, Ticket, Topic, for_developer};
use crate::accounts::{self, Account, Role};
use crate::applications::{self, clocks};
use crate::audit::Entry;
use crate::clock::Millis;
use crate::db::Tx;
use crate::links::{self, Purpose as LinkPurpose};
use crate::notices::{self, Notice};
use crate::uploads::{self, Purpose};
use crate::{Fault, Platform, apps, organisations};

/// The longest subject.
pub(super) const LONGEST_SUBJECT: usize = 150;
/// The longest message.
pub(super) const LONGEST_TEXT: usize = 10_000;
/// Files of one message.
pub(super) const MOST_FILES: usize = 5;
/// Messages of one account in an hour. Nobody types so many; each sends mail.
const MOST_IN_AN_HOUR: i64 = 30;

/// A message as it was typed.
#[derive(Clone, Debug, Default)]
pub struct Writing {
    /// What was written.
    pub text: String,
    /// The files that were handed in with it, by the one who writes.
    pub uploads: Vec<i64>,
    /// What stood hidden in the form: posted twice, it makes one message.
    pub form: String,
}

/// A ticket to be opened.
#[derive(Clone, Debug)]
pub struct New {
    /// About what.
    pub topic: Option<Topic>,
    /// In one line.
    pub subject: String,
    /// About which app; one they work on.
    pub app_id: Option<i64>,
    /// About which application; one of such an app.
    pub application_id: Option<i64>,
    /// The first message.
    pub writing: Writing,
}

/// Who writes, on which side.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// A developer.
    Developer(&'a Account),
    /// A member of staff.
    Staff(&'a Account),
}

impl By<'_> {
    pub(super) fn account(&self) -> &Account {
        match self {
            Self::Developer(account) | Self::Staff(account) => account,
        }
    }
}

/// A text as it is kept: lines ended one way, nothing that cannot be shown.
pub(super) fn tidy(text: &str, longest: usize) -> Result<String, String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = text.trim();
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err("Take out the characters that cannot be shown".into());
    }
    match text.chars().count() {
        count if count > longest => Err(format!("Write at most {longest} characters; these are {count}")),
        _ => Ok(text.to_owned()),
    }
}

/// What is wrong with a message.
pub(super) fn check(writing: &Writing, found: &mut Vec<(&'static str, String)>) -> String {
    if writing.uploads.len() > MOST_FILES {
        found.push(("files", format!("Attach at most {MOST_FILES} files")));
    }
    match tidy(&writing.text, LONGEST_TEXT) {
        Ok(text) if text.is_empty() => {
            found.push(("text", "Write a message".into()));
            text
        }
        Ok(text) => text,
        Err(why) => {
            found.push(("text", why));
            String::new()
        }
    }
}

/// The form's token with the account's number before it, so that nobody meets a form of somebody else's. Without a token, a form is its own.
pub(super) fn form_key(platform: &Platform, account_id: i64, form: &str) -> String {
    let good = (8..=64).contains(&form.len()) && form.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let form = if good { form.to_owned() } else { platform.random.word(24) };
    format!("{account_id}:{form}")
}

/// Names the files of a message, so that they are not swept; only files that the writer handed in for a ticket and that nothing names yet.
pub(super) async fn keep(tx: &mut Tx, account_id: i64, files: &[i64]) -> Result<(), Refusal> {
    for (at, upload_id) in files.iter().enumerate() {
        let upload = uploads::by_id(tx, *upload_id).await?;
        let theirs = upload.is_some_and(|upload| {
            upload.account_id == Some(account_id) && upload.purpose == Purpose::TicketAttachment && upload.kept_at.is_none()
        });
        if !theirs || files[..at].contains(upload_id) || !uploads::keep(tx, *upload_id).await? {
            return Err(Refusal::Invalid(vec![("files", "Attach the files again".into())]));
        }
    }
    Ok(())
}

/// Opens a ticket. Posted twice, a form gives the same ticket again.
pub async fn open(platform: &Platform, account: &Account, new: New) -> Result<Ticket, Refusal> {
    let form = form_key(platform, account.account_id, &new.writing.form);
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    if let Some(made) = rows::of_form(&mut tx, &form).await? {
        return Ok(made);
    }
    let mut found = Vec::new();
    let topic = new.topic.unwrap_or_else(|| {
        found.push(("topic", "Choose a topic".into()));
        Topic::Other
    });
    let subject = match tidy(&new.subject.replace(['\n', '\r', '\t'], " "), LONGEST_SUBJECT) {
        Ok(subject) if subject.is_empty() => {
            found.push(("subject", "Enter a subject".into()));
            subject
        }
        Ok(subject) => subject,
        Err(why) => {
            found.push(("subject", why));
            String::new()
        }
    };
    let text = check(&new.writing, &mut found);
    let about = about(&mut tx, account.account_id, new.app_id, new.application_id).await?;
    if !found.is_empty() {
        return Err(Refusal::Invalid(found));
    }
    not_too_many(&mut tx, account.account_id, now).await?;
    let calendar = platform.settings.review.calendar();
    let due = clocks::due(now, platform.settings.tickets.first_answer, &calendar);
    let ticket = Ticket {
        ticket_id: platform.random.id(),
        topic,
        subject,
        state: State::Open,
        version: 1,
        account_id: account.account_id,
        app_id: about.as_ref().map(|about| about.app.app_id),
        owner_id: about.as_ref().map(|about| about.app.owner_id),
        application_id: about.as_ref().and_then(|about| about.application_id),
        assigned_to: None,
        created_at: now,
        updated_at: now,
        due_at: Some(due),
        first_answer_due_at: due,
        first_answered_at: None,
        escalated_at: None,
        closed_at: None,
    };
    rows::insert(&mut tx, &ticket, search_words(&ticket, about.as_ref(), &text)).await?;
    keep(&mut tx, account.account_id, &new.writing.uploads).await?;
    let message = NewMessage {
        message_id: platform.random.id(),
        ticket_id: ticket.ticket_id,
        number: 1,
        account_id: Some(account.account_id),
        from_staff: false,
        visible: true,
        kind: Kind::Message,
        text: &text,
        uploads: &new.writing.uploads,
        form: form.clone(),
        at: now,
    };
    if !rows::insert_message(&mut tx, message).await? {
        // The same form at the same moment: the other one made it.
        drop(tx);
        return rows::of_form(&mut platform.db.read().await?, &form).await?.ok_or(Refusal::Unknown);
    }
    record(platform, &mut tx, account, &ticket, "ticket.opened", topic_word(topic)).await?;
    let notice = Notice::TicketOpened {
        ticket: ticket.reference(),
        subject: ticket.subject.clone(),
        due: clocks::in_words(due, &calendar),
        path: portal_path(ticket.ticket_id),
    };
    notices::send(platform, &mut tx, &account.email, Some(ticket.ticket_id), notice).await?;
    tx.commit().await?;
    metrics::counter!("portward_tickets_total").increment(1);
    Ok(ticket)
}

/// A topic as the audit names it.
fn topic_word(topic: Topic) -> &'static str {
    topic.as_str()
}

struct About {
    app: apps::App,
    application_id: Option<i64>,
}

/// The app and the application that a ticket is about. Both must be of those the developer works on; anything else does not exist.
async fn about(tx: &mut Tx, account_id: i64, app_id: Option<i64>, application_id: Option<i64>) -> Result<Option<About>, Refusal> {
    let of_application = match application_id {
        Some(id) => Some(organisations::app_of_application(tx, id).await?.ok_or(Refusal::Unknown)?),
        None => None,
    };
    let Some(id) = of_application.or(app_id) else { return Ok(None) };
    if app_id.is_some_and(|named| named != id) {
        return Err(Refusal::Unknown);
    }
    let app = apps::by_id(tx, id).await?.filter(|app| app.deleted_at.is_none()).ok_or(Refusal::Unknown)?;
    if organisations::seat_at_app(tx, &app, account_id).await?.is_none() {
        return Err(Refusal::Unknown);
    }
    Ok(Some(About { app, application_id }))
}

fn search_words(ticket: &Ticket, about: Option<&About>, text: &str) -> String {
    let reference = ticket.reference();
    let mut words = format!(" {} {} {} {}", ticket.subject, reference, reference.replace('-', ""), ticket.ticket_id);
    if let Some(about) = about {
        words.push_str(&format!(" {} {} {}", about.app.name, about.app.client_key, about.app.app_id));
    }
    if let Some(application_id) = ticket.application_id {
        let reference = applications::reference(application_id);
        words.push_str(&format!(" {reference} {} {application_id}", reference.replace('-', "")));
    }
    words.extend([' '].into_iter().chain(text.chars().take(2000)));
    words.push(' ');
    words.to_lowercase()
}

async fn not_too_many(tx: &mut Tx, account_id: i64, now: Millis) -> Result<(), Refusal> {
    let written = rows::written_since(tx, account_id, now - Duration::from_secs(3600)).await?;
    if written >= MOST_IN_AN_HOUR { Err(Refusal::TooMany) } else { Ok(()) }
}

/// Says in the audit what was done with a ticket.
pub(super) async fn record(
    platform: &Platform,
    tx: &mut Tx,
    account: &Account,
    ticket: &Ticket,
    action: &str,
    detail: &str,
) -> Result<(), Fault> {
    let entry = Entry { about: Some(ticket.ticket_id), app: ticket.app_id, detail, ..Entry::new(account.actor(), action) };
    entry.write(tx, &platform.random, platform.now()).await
}

/// A developer writes on a ticket that they see. It is staff's move then, also if it was closed.
pub async fn write(platform: &Platform, account: &Account, ticket_id: i64, writing: Writing) -> Result<Ticket, Refusal> {
    let form = form_key(platform, account.account_id, &writing.form);
    let mut tx = platform.db.begin().await?;
    let ticket = for_developer(&mut tx, ticket_id, account.account_id).await?.ok_or(Refusal::Unknown)?;
    if rows::of_form(&mut tx, &form).await?.is_some() {
        return Ok(ticket);
    }
    write_in(platform, tx, account, ticket, writing, form).await
}

async fn write_in(
    platform: &Platform,
    mut tx: Tx,
    account: &Account,
    before: Ticket,
    writing: Writing,
    form: String,
) -> Result<Ticket, Refusal> {
    let mut found = Vec::new();
    let text = check(&writing, &mut found);
    if !found.is_empty() {
        return Err(Refusal::Invalid(found));
    }
    let now = platform.now();
    not_too_many(&mut tx, account.account_id, now).await?;
    keep(&mut tx, account.account_id, &writing.uploads).await?;
    let mut after = before.clone();
    opened_again(platform, &mut after, now);
    let message = Said { kind: Kind::Message, visible: true, text: &text, uploads: &writing.uploads, form };
    let (after, _) = say(platform, &mut tx, By::Developer(account), &before, after, message).await?;
    record(platform, &mut tx, account, &after, "ticket.written", "").await?;
    if let Some(assignee) = assignee(&mut tx, &after).await? {
        let notice = Notice::TicketReplied {
            ticket: after.reference(),
            subject: after.subject.clone(),
            path: console_path(after.ticket_id),
        };
        notices::send(platform, &mut tx, &assignee.email, Some(after.ticket_id), notice).await?;
    }
    tx.commit().await?;
    Ok(after)
}

/// Staff have the move: from now if the developer had it, else since before.
fn opened_again(platform: &Platform, ticket: &mut Ticket, now: Millis) {
    if ticket.state != State::Open {
        let due = clocks::due(now, platform.settings.tickets.answer, &platform.settings.review.calendar());
        // A first answer that is still owed stays owed by its day.
        ticket.due_at = Some(if ticket.first_answered_at.is_none() { ticket.first_answer_due_at } else { due });
    }
    (ticket.state, ticket.closed_at) = (State::Open, None);
}

/// The member of staff whose ticket it is, if they still answer tickets.
pub(super) async fn assignee(tx: &mut Tx, ticket: &Ticket) -> Result<Option<Account>, Fault> {
    let Some(account_id) = ticket.assigned_to else { return Ok(None) };
    let Some(account) = accounts::by_id(tx, account_id).await?.filter(|account| account.disabled_at.is_none()) else {
        return Ok(None);
    };
    Ok(accounts::roles(tx, account_id).await?.contains(&Role::Support).then_some(account))
}

/// What is written with a change.
pub(super) struct Said<'a> {
    pub(super) kind: Kind,
    pub(super) visible: bool,
    pub(super) text: &'a str,
    pub(super) uploads: &'a [i64],
    pub(super) form: String,
}

/// Writes a ticket as it is to be, and the message that changes it. Gives the ticket and the message's number.
pub(super) async fn say(
    platform: &Platform,
    tx: &mut Tx,
    by: By<'_>,
    before: &Ticket,
    after: Ticket,
    said: Said<'_>,
) -> Result<(Ticket, i64), Refusal> {
    let now = platform.now();
    let after = Ticket { version: before.version + 1, updated_at: now, ..after };
    if !rows::store(tx, before, &after).await? {
        return Err(Refusal::Stale);
    }
    let message_id = platform.random.id();
    let message = NewMessage {
        message_id,
        ticket_id: after.ticket_id,
        number: after.version,
        account_id: Some(by.account().account_id),
        from_staff: matches!(by, By::Staff(_)),
        visible: said.visible,
        kind: said.kind,
        text: said.text,
        uploads: said.uploads,
        form: said.form,
        at: now,
    };
    if rows::insert_message(tx, message).await? { Ok((after, message_id)) } else { Err(Refusal::Stale) }
}

/// Its author, or one of those who see it, says that a ticket is settled.
pub async fn close(platform: &Platform, account: &Account, ticket_id: i64) -> Result<Ticket, Refusal> {
    let mut tx = platform.db.begin().await?;
    let before = for_developer(&mut tx, ticket_id, account.account_id).await?.ok_or(Refusal::Unknown)?;
    if before.state == State::Closed {
        return Ok(before);
    }
    let now = platform.now();
    let mut after = before.clone();
    (after.state, after.due_at, after.closed_at) = (State::Closed, None, Some(now));
    let form = form_key(platform, account.account_id, "");
    let said = Said { kind: Kind::Closed, visible: true, text: "", uploads: &[], form };
    let (after, _) = say(platform, &mut tx, By::Developer(account), &before, after, said).await?;
    record(platform, &mut tx, account, &after, "ticket.closed", "by the developer").await?;
    tx.commit().await?;
    Ok(after)
}

/// What a mailed answer link opens.
#[derive(Clone, Debug)]
pub struct LinkLook {
    /// The ticket.
    pub ticket: Ticket,
    /// Its visible messages.
    pub messages: Vec<Message>,
    /// Whose answer it would be.
    pub account: Account,
}

/// Looks at an answer link without using it up.
pub async fn look_at_link(platform: &Platform, token: &str) -> Result<Option<LinkLook>, Fault> {
    let Some(link) = links::look(platform, LinkPurpose::AnswerTicket, token).await? else { return Ok(None) };
    let mut tx = platform.db.read().await?;
    let Some((ticket, account)) = of_link(&mut tx, &link).await? else { return Ok(None) };
    let messages = rows::messages(&mut tx, ticket.ticket_id).await?.into_iter().filter(|message| message.visible).collect();
    Ok(Some(LinkLook { ticket, messages, account }))
}

/// The account of a link that works, to know whose files come with the answer.
pub async fn account_of_link(platform: &Platform, token: &str) -> Result<Option<i64>, Fault> {
    Ok(look_at_link(platform, token).await?.map(|look| look.account.account_id))
}

/// The ticket of the message that a link answers, and who may answer it: the account of the address it was mailed to, while it may see the ticket.
async fn of_link(tx: &mut Tx, link: &links::Link) -> Result<Option<(Ticket, Account)>, Fault> {
    let Some(ticket) = rows::of_message(tx, link.about_id).await? else { return Ok(None) };
    let account = accounts::by_email(tx, accounts::AccountKind::Developer, &link.email).await?;
    let Some(account) = account.filter(|account| account.disabled_at.is_none()) else { return Ok(None) };
    Ok(super::sees(tx, &ticket, account.account_id).await?.then_some((ticket, account)))
}

/// Writes on a ticket by the link of a mail, which is used up. What is wrong with the message leaves it as it was.
pub async fn write_by_link(platform: &Platform, token: &str, writing: Writing) -> Result<Ticket, Refusal> {
    let mut tx = platform.db.begin().await?;
    let Some(link) = links::take(platform, &mut tx, LinkPurpose::AnswerTicket, token).await? else {
        // The second press of one button finds its link used, and its message written.
        drop(tx);
        let known = rows::of_form(&mut platform.db.read().await?, &link_form(token, &writing.form)).await?;
        return known.ok_or(Refusal::Link);
    };
    let (ticket, account) = of_link(&mut tx, &link).await?.ok_or(Refusal::Link)?;
    let form = link_form(token, &writing.form);
    write_in(platform, tx, &account, ticket, writing, form).await
}

/// The key of a form behind a link: nobody without the link can name it.
fn link_form(token: &str, form: &str) -> String {
    format!(
        "link:{}:{}",
        hex::encode(crate::ids::hash(token)),
        form.chars().filter(char::is_ascii_alphanumeric).take(64).collect::<String>()
    )
}

/// Whether a message is newer than what somebody saw.
pub fn is_new(message: &Message, seen: i64) -> bool {
    message.number > seen
}

pub(super) fn portal_path(ticket_id: i64) -> String {
    format!("/developers/support/{ticket_id}")
}

pub(super) fn console_path(ticket_id: i64) -> String {
    format!("/console/tickets/{ticket_id}")
}
