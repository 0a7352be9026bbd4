//! The SQL of tickets.

use super::{Kind, Message, State, Ticket, Topic};
use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql};

/// A ticket by its number.
pub async fn by_id(tx: &mut Tx, ticket_id: i64) -> Result<Option<Ticket>, Fault> {
    Ok(sql!(
        tx,
        optional Ticket,
        "select ticket_id, topic, subject, state, version, account_id, app_id, owner_id, application_id, assigned_to, created_at,
                updated_at, due_at, first_answer_due_at, first_answered_at, escalated_at, closed_at
         from tickets
         where ticket_id = $1",
        ticket_id,
    )?)
}

/// Its messages, the oldest first.
pub async fn messages(tx: &mut Tx, ticket_id: i64) -> Result<Vec<Message>, Fault> {
    Ok(sql!(
        tx,
        all Message,
        "select m.message_id, m.ticket_id, m.number, m.account_id, a.name, m.from_staff, m.visible, m.kind, m.text, m.uploads, m.at
         from ticket_messages m
         left join accounts a on a.account_id = m.account_id
         where m.ticket_id = $1
         order by m.number",
        ticket_id,
    )?)
}

/// The ticket of a message.
pub(super) async fn of_message(tx: &mut Tx, message_id: i64) -> Result<Option<Ticket>, Fault> {
    let found = sql!(tx, found i64, "select ticket_id from ticket_messages where message_id = $1", message_id)?;
    match found {
        Some(ticket_id) => by_id(tx, ticket_id).await,
        None => Ok(None),
    }
}

/// The ticket of a form that was posted before.
pub(super) async fn of_form(tx: &mut Tx, form: &str) -> Result<Option<Ticket>, Fault> {
    let found = sql!(tx, found i64, "select ticket_id from ticket_messages where form = $1", form.to_owned())?;
    match found {
        Some(ticket_id) => by_id(tx, ticket_id).await,
        None => Ok(None),
    }
}

/// How many messages an account wrote since a time.
pub(super) async fn written_since(tx: &mut Tx, account_id: i64, since: Millis) -> Result<i64, Fault> {
    Ok(sql!(
        tx,
        value i64,
        "select count(*) from ticket_messages where account_id = $1 and at >= $2",
        account_id,
        since,
    )?)
}

pub(super) async fn insert(tx: &mut Tx, ticket: &Ticket, search: String) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into tickets
           (ticket_id, topic, subject, state, version, account_id, app_id, owner_id, application_id, assigned_to, search, created_at,
            updated_at, due_at, first_answer_due_at, first_answered_at, escalated_at, closed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        ticket.ticket_id,
        ticket.topic,
        ticket.subject.clone(),
        ticket.state,
        ticket.version,
        ticket.account_id,
        ticket.app_id,
        ticket.owner_id,
        ticket.application_id,
        ticket.assigned_to,
        search,
        ticket.created_at,
        ticket.updated_at,
        ticket.due_at,
        ticket.first_answer_due_at,
        ticket.first_answered_at,
        ticket.escalated_at,
        ticket.closed_at,
    )?;
    Ok(())
}

/// Writes a ticket as it is to be, if it still is as it was. The states from which it may come are in the guard; a note or a hand-over leaves it
/// in its state, whichever that is.
pub(super) async fn store(tx: &mut Tx, before: &Ticket, after: &Ticket) -> Result<bool, Fault> {
    let lawful = if before.state == after.state { std::slice::from_ref(&before.state) } else { after.state.may_come_from() };
    let mut from = lawful.iter().copied();
    let (a, b, c) = (from.next(), from.next(), from.next());
    let stored = sql!(
        tx,
        execute,
        "update tickets
         set state = $3, version = version + 1, assigned_to = $4, updated_at = $5, due_at = $6, first_answered_at = $7,
             escalated_at = $8, closed_at = $9
         where ticket_id = $1 and version = $2 and state in ($10, $11, $12)",
        before.ticket_id,
        before.version,
        after.state,
        after.assigned_to,
        after.updated_at,
        after.due_at,
        after.first_answered_at,
        after.escalated_at,
        after.closed_at,
        a,
        b,
        c,
    )?;
    Ok(stored == 1)
}

/// A message to be written.
#[derive(Clone, Debug)]
pub(super) struct NewMessage<'a> {
    pub(super) message_id: i64,
    pub(super) ticket_id: i64,
    /// The ticket's version that it makes.
    pub(super) number: i64,
    pub(super) account_id: Option<i64>,
    pub(super) from_staff: bool,
    pub(super) visible: bool,
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) uploads: &'a [i64],
    pub(super) form: String,
    pub(super) at: Millis,
}

/// Writes it; `false` if that form was posted before.
pub(super) async fn insert_message(tx: &mut Tx, new: NewMessage<'_>) -> Result<bool, Fault> {
    let uploads: Vec<String> = new.uploads.iter().map(ToString::to_string).collect();
    let inserted = sql!(
        tx,
        execute,
        "insert into ticket_messages (message_id, ticket_id, number, account_id, from_staff, visible, kind, text, uploads, form, at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         on conflict (form) do nothing",
        new.message_id,
        new.ticket_id,
        new.number,
        new.account_id,
        new.from_staff,
        new.visible,
        new.kind,
        new.text.to_owned(),
        uploads.join(","),
        new.form,
        new.at,
    )?;
    Ok(inserted == 1)
}

/// One line of a list of tickets.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Line {
    /// Which ticket.
    pub ticket_id: i64,
    /// What it is about.
    pub topic: Topic,
    /// In one line.
    pub subject: String,
    /// Whose move it is.
    pub state: State,
    /// Who opened it.
    pub account_id: i64,
    /// Their name.
    pub author: String,
    /// The app's name.
    pub app: Option<String>,
    /// Whose it is among staff.
    pub assigned_to: Option<i64>,
    /// Their name.
    pub assignee: Option<String>,
    /// When it was opened.
    pub created_at: Millis,
    /// When something was last done.
    pub updated_at: Millis,
    /// While staff have the move: by when.
    pub due_at: Option<Millis>,
    /// When the first answer came.
    pub first_answered_at: Option<Millis>,
    /// When its absence was told.
    pub escalated_at: Option<Millis>,
}

impl Line {
    /// After which the next page begins.
    pub fn key(&self) -> After {
        let at = if self.state == State::Open { self.due_at.unwrap_or(self.updated_at) } else { self.updated_at };
        (at, self.ticket_id)
    }
}

/// After which line a page begins: its due date (or its last change, among those that do not wait for staff), and its number.
pub type After = (Millis, i64);

/// Which tickets of the queue.
#[derive(Clone, Debug)]
pub struct Filter {
    /// In which state. Open ones come by due date, the others the latest first.
    pub state: State,
    /// About what.
    pub topic: Option<Topic>,
    /// Of one member of staff.
    pub assigned_to: Option<i64>,
    /// Those that nobody has.
    pub unassigned: bool,
    /// Those that are late, at this time.
    pub late: Option<Millis>,
    /// Words that all have to occur: of the subject, the first message, the app, the number; of the author's name and address.
    pub words: String,
}

impl Filter {
    /// All of a state.
    pub fn new(state: State) -> Self {
        Self { state, topic: None, assigned_to: None, unassigned: false, late: None, words: String::new() }
    }
}

/// A pattern that finds a text wherever it stands, and nothing else.
fn pattern(word: &str) -> String {
    let mut pattern = String::from("%");
    for c in word.to_lowercase().chars().filter(|c| !c.is_control()).take(100) {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// One page of the queue.
pub async fn list(tx: &mut Tx, filter: &Filter, after: Option<After>, limit: i64) -> Result<Vec<Line>, Fault> {
    let mut words = filter.words.split_whitespace().map(pattern);
    let [a, b, c, d]: [String; 4] = std::array::from_fn(|_| words.next().unwrap_or_else(|| "%".into()));
    let late = filter.late.unwrap_or(Millis(i64::MAX));
    if filter.state == State::Open {
        let (at, id) = after.unwrap_or((Millis(i64::MIN), 0));
        return Ok(sql!(
            tx,
            all Line,
            "select t.ticket_id, t.topic, t.subject, t.state, t.account_id, a.name as author, p.name as app, t.assigned_to,
                    s.name as assignee, t.created_at, t.updated_at, t.due_at, t.first_answered_at, t.escalated_at
             from tickets t
             join accounts a on a.account_id = t.account_id
             left join accounts s on s.account_id = t.assigned_to
             left join apps p on p.app_id = t.app_id
             where t.state = 'open' and (t.due_at, t.ticket_id) > ($1, $2)
               and ($3 is null or t.topic = $3)
               and ($4 is null or t.assigned_to = $4)
               and (not $5 or t.assigned_to is null)
               and t.due_at < $6
               and (t.search like $7 escape '\\' or a.email like $7 escape '\\' or lower(a.name) like $7 escape '\\')
               and (t.search like $8 escape '\\' or a.email like $8 escape '\\' or lower(a.name) like $8 escape '\\')
               and (t.search like $9 escape '\\' or a.email like $9 escape '\\' or lower(a.name) like $9 escape '\\')
               and (t.search like $10 escape '\\' or a.email like $10 escape '\\' or lower(a.name) like $10 escape '\\')
             order by t.due_at, t.ticket_id
             limit $11",
            at,
            id,
            filter.topic,
            filter.assigned_to,
            filter.unassigned,
            late,
            a,
            b,
            c,
            d,
            limit,
        )?);
    }
    let (at, id) = after.unwrap_or((Millis(i64::MAX), i64::MAX));
    Ok(sql!(
        tx,
        all Line,
        "select t.ticket_id, t.topic, t.subject, t.state, t.account_id, a.name as author, p.name as app, t.assigned_to,
                s.name as assignee, t.created_at, t.updated_at, t.due_at, t.first_answered_at, t.escalated_at
         from tickets t
         join accounts a on a.account_id = t.account_id
         left join accounts s on s.account_id = t.assigned_to
         left join apps p on p.app_id = t.app_id
         where t.state = $1 and (t.updated_at, t.ticket_id) < ($2, $3)
           and ($4 is null or t.topic = $4)
           and ($5 is null or t.assigned_to = $5)
           and (not $6 or t.assigned_to is null)
           and (t.search like $7 escape '\\' or a.email like $7 escape '\\' or lower(a.name) like $7 escape '\\')
           and (t.search like $8 escape '\\' or a.email like $8 escape '\\' or lower(a.name) like $8 escape '\\')
           and (t.search like $9 escape '\\' or a.email like $9 escape '\\' or lower(a.name) like $9 escape '\\')
           and (t.search like $10 escape '\\' or a.email like $10 escape '\\' or lower(a.name) like $10 escape '\\')
         order by t.updated_at desc, t.ticket_id desc
         limit $11",
        filter.state,
        at,
        id,
        filter.topic,
        filter.assigned_to,
        filter.unassigned,
        a,
        b,
        c,
        d,
        limit,
    )?)
}

/// The tickets that concern an application or its app, the latest first.
pub async fn concerning(tx: &mut Tx, application_id: i64, app_id: i64, limit: i64) -> Result<Vec<Line>, Fault> {
    Ok(sql!(
        tx,
        all Line,
        "select t.ticket_id, t.topic, t.subject, t.state, t.account_id, a.name as author, p.name as app, t.assigned_to,
                s.name as assignee, t.created_at, t.updated_at, t.due_at, t.first_answered_at, t.escalated_at
         from tickets t
         join accounts a on a.account_id = t.account_id
         left join accounts s on s.account_id = t.assigned_to
         left join apps p on p.app_id = t.app_id
         where t.application_id = $1 or t.app_id = $2
         order by t.updated_at desc, t.ticket_id desc
         limit $3",
        application_id,
        app_id,
        limit,
    )?)
}

/// How many wait for staff: in all, of those late, and of one member of staff.
pub async fn numbers(tx: &mut Tx, account_id: i64, now: Millis) -> Result<(i64, i64, i64), Fault> {
    Ok(sql!(
        tx,
        one(i64, i64, i64),
        "select count(*), count(case when due_at < $1 then 1 end), count(case when assigned_to = $2 then 1 end)
         from tickets
         where state = 'open'",
        now,
        account_id,
    )?)
}

/// The tickets that a developer sees (as [`super::sees`] says), the latest first.
pub async fn of_account(tx: &mut Tx, account_id: i64, after: Option<After>, limit: i64) -> Result<Vec<Line>, Fault> {
    let (at, id) = after.unwrap_or((Millis(i64::MAX), i64::MAX));
    Ok(sql!(
        tx,
        all Line,
        "select t.ticket_id, t.topic, t.subject, t.state, t.account_id, a.name as author, p.name as app, t.assigned_to,
                cast(null as text) as assignee, t.created_at, t.updated_at, t.due_at, t.first_answered_at, t.escalated_at
         from tickets t
         join accounts a on a.account_id = t.account_id
         left join apps p on p.app_id = t.app_id
         where (t.updated_at, t.ticket_id) < ($1, $2)
           and (t.account_id = $3
                  and (t.owner_id is null or t.owner_id = $3
                       or exists (select 1 from members m where m.organisation_id = t.owner_id and m.account_id = $3))
                or (p.deleted_at is null and p.owner_id = t.owner_id
                    and (p.owner_kind = 'account' and p.owner_id = $3
                         or p.owner_kind = 'organisation' and exists (
                              select 1
                              from members m
                              where m.organisation_id = p.owner_id and m.account_id = $3 and m.role in ('owner', 'admin')))))
         order by t.updated_at desc, t.ticket_id desc
         limit $4",
        at,
        id,
        account_id,
        limit,
    )?)
}

/// Developers who wrote on a ticket: account and address, those who can still sign in.
pub(super) async fn writers(tx: &mut Tx, ticket_id: i64) -> Result<Vec<(i64, String)>, Fault> {
    Ok(sql!(
        tx,
        all(i64, String),
        "select distinct a.account_id, a.email
         from ticket_messages m
         join accounts a on a.account_id = m.account_id
         where m.ticket_id = $1 and not m.from_staff and a.disabled_at is null
         order by a.account_id",
        ticket_id,
    )?)
}

/// Tickets whose first answer is missing and was not told of, the oldest first.
pub(super) async fn unanswered(tx: &mut Tx, now: Millis, limit: i64) -> Result<Vec<i64>, Fault> {
    Ok(sql!(
        tx,
        values i64,
        "select ticket_id
         from tickets
         where first_answered_at is null and escalated_at is null and first_answer_due_at < $1 and state = 'open'
         order by first_answer_due_at
         limit $2",
        now,
        limit,
    )?)
}

/// Says that the missing answer is told of; `false` if it came meanwhile, or somebody else told.
pub(super) async fn escalated(tx: &mut Tx, ticket_id: i64, now: Millis) -> Result<bool, Fault> {
    let set = sql!(
        tx,
        execute,
        "update tickets
         set escalated_at = $2
         where ticket_id = $1 and first_answered_at is null and escalated_at is null and state = 'open'",
        ticket_id,
        now,
    )?;
    Ok(set == 1)
}

/// Tickets that were closed before a time.
pub(super) async fn closed_before(tx: &mut Tx, before: Millis, limit: i64) -> Result<Vec<i64>, Fault> {
    Ok(sql!(
        tx,
        values i64,
        "select ticket_id from tickets where state = 'closed' and updated_at <= $1 order by updated_at limit $2",
        before,
        limit,
    )?)
}

/// Takes a ticket and all of it away.
pub(super) async fn delete(tx: &mut Tx, ticket_id: i64) -> Result<(), Fault> {
    sql!(tx, execute, "delete from ticket_messages where ticket_id = $1", ticket_id)?;
    sql!(tx, execute, "delete from tickets where ticket_id = $1", ticket_id)?;
    Ok(())
}
