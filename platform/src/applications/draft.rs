//! Writing an application: begun once for an app, saved step by step, and never lost. Of two who write at once the later is shown both.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Application, State, asked_families, is_sensitive, rows, search_words};
use crate::accounts::Account;
use crate::apps::{App, OwnerKind};
use crate::audit::Entry;
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::forms::{self, Answers, Form, Role, Step};
use crate::links::{self, Purpose};
use crate::notices::{self, Notice};
use crate::{Fault, Platform, organisations, uploads};

/// All answers together, as they are kept.
pub const MOST: usize = 1024 * 1024;
/// Mails to the address on a form, an hour: enough for a typo or two, too few to pester a stranger.
const MAILS: i64 = 5;
/// The hour of [`MAILS`].
const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

/// Why a draft was not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// There is no such application.
    #[error("there is no such application")]
    Unknown,
    /// Somebody saved it since; this is how it is now.
    #[error("somebody else has saved this application since you opened it")]
    Stale(Box<Application>),
    /// It cannot be written any more.
    #[error("this application is {} and cannot be changed", .0.words())]
    NotNow(State),
    /// All answers together are too long.
    #[error("the answers together are longer than a megabyte; what was saved before is still there")]
    TooLarge,
    /// A character that no text holds.
    #[error("an answer holds a character that cannot be kept")]
    NotText,
    /// Too many mails were sent.
    #[error("several mails were sent within an hour; wait a while before the next")]
    TooManyMails,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for SaveError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// What is to be changed in a draft.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    /// Field to value.
    pub set: Answers,
    /// Files that were handed in: field, number.
    pub add: Vec<(String, i64)>,
    /// Files that are to go: field, number.
    pub remove: Vec<(String, i64)>,
}

/// Begins an application for an app, or gives the one that is open. A new one starts from what was answered in the last.
pub async fn begin(platform: &Platform, account: &Account, app: &App) -> Result<Application, Fault> {
    // Two who begin at once: the store lets one in, and the other finds it.
    match make(platform, account, app).await {
        Err(Fault::Db(fault)) if is_taken(&fault) => make(platform, account, app).await,
        made => made,
    }
}

fn is_taken(fault: &sqlx::Error) -> bool {
    fault.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

async fn make(platform: &Platform, account: &Account, app: &App) -> Result<Application, Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    if let Some(open) = rows::open_of_app(&mut tx, app.app_id).await? {
        return Ok(open);
    }
    let form = platform.forms.current();
    // What another organisation wrote before the app was handed over is not this one's to read, nor its contact's to be mailed.
    let last = rows::of_owner(&mut tx, app).await?.into_iter().next();
    let answers = match &last {
        Some(last) => carried_over(platform, form, last, app),
        None => first_answers(&mut tx, form, account, app).await?,
    };
    let families = asked_families(&answers);
    let mut new = Application {
        application_id: platform.random.id(),
        app_id: app.app_id,
        owner_id: app.owner_id,
        created_by: account.account_id,
        form: form.key(),
        state: State::Draft,
        version: 1,
        answers: json(&answers)?,
        submissions: 0,
        // A draft that was given up stands in between for nothing: what was handed in before it is what reviewers compare with.
        previous_id: last
            .as_ref()
            .and_then(|last| if last.submissions > 0 { Some(last.application_id) } else { last.previous_id }),
        email: email_of(form, &answers),
        email_confirmed_at: None,
        assigned_to: None,
        search: String::new(),
        sensitive: is_sensitive(platform, &families),
        created_at: now,
        updated_at: now,
        submitted_at: None,
        usual_at: None,
        due_at: None,
        stopped_at: None,
        stood: 0,
        answer_due_at: None,
        reopened_from: None,
        escalated_at: None,
        decided_at: None,
        ended_at: None,
    };
    new.email_confirmed_at = match &last {
        Some(last) if last.email == new.email => last.email_confirmed_at,
        _ => own_address(account, &new.email, now),
    };
    new.search = search_words(new.application_id, app, form.answer(&answers, Role::Organisation), &new.email, &families);
    rows::insert(&mut tx, &new).await?;
    let entry =
        Entry { app: Some(app.app_id), about: Some(new.application_id), ..Entry::new(account.actor(), "application.begun") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(new)
}

/// The answers of an earlier application that the form of today still asks for.
fn carried_over(platform: &Platform, form: &Form, last: &Application, app: &App) -> Answers {
    let earlier = platform.forms.of(&last.form);
    let mut answers = Answers::new();
    for (name, value) in last.answers() {
        let same = form.field(&name).zip(earlier.field(&name)).is_some_and(|(now, then)| now.kind == then.kind);
        if same {
            answers.insert(name, value);
        }
    }
    fill_app_id(form, &mut answers, app);
    answers
}

/// What is known before the first question is read.
async fn first_answers(tx: &mut Tx, form: &Form, account: &Account, app: &App) -> Result<Answers, Fault> {
    let mut answers = Answers::new();
    let mut fill = |role, value: String| {
        if let Some(field) = form.of_role(role) {
            answers.insert(field.name.clone(), value.into());
        }
    };
    fill(Role::Applicant, account.name.clone());
    fill(Role::ContactEmail, account.email.clone());
    if app.owner_kind == OwnerKind::Organisation
        && let Some(organisation) = organisations::by_id(tx, app.owner_id).await?
    {
        fill(Role::Organisation, organisation.name);
    }
    fill_app_id(form, &mut answers, app);
    Ok(answers)
}

fn fill_app_id(form: &Form, answers: &mut Answers, app: &App) {
    for field in form.fields().filter(|field| field.kind == forms::Kind::AppId) {
        answers.insert(field.name.clone(), app.app_id.to_string().into());
    }
}

/// The address on the form as mail goes to it; empty while it is none.
pub(super) fn email_of(form: &Form, answers: &Answers) -> String {
    let email = form.answer(answers, Role::ContactEmail).to_lowercase();
    if forms::is_email(&email) { email } else { String::new() }
}

/// The address that is written on the form, and whether it is confirmed; empty while there is none.
pub fn contact(platform: &Platform, application: &Application) -> (String, bool) {
    let email = email_of(platform.forms.of(&application.form), &application.answers());
    let confirmed = !email.is_empty() && email == application.email && application.email_confirmed_at.is_some();
    (email, confirmed)
}

/// An address that the one who writes it has proved as their account's needs no second proof.
fn own_address(account: &Account, email: &str, now: Millis) -> Option<Millis> {
    account.verified_at.filter(|_| !email.is_empty() && account.email.eq_ignore_ascii_case(email)).map(|_| now)
}

pub(super) fn json(answers: &Answers) -> Result<String, Fault> {
    serde_json::to_string(answers).map_err(|fault| Fault::Row(fault.to_string()))
}

/// Saves what was written, whether it is right or not. Made on an older version than that of now it is refused, and what is there now is given, unless
/// that is the same already.
pub async fn save_draft(
    platform: &Platform,
    account: &Account,
    application_id: i64,
    version: i64,
    edits: &Edits,
) -> Result<Application, SaveError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let before = rows::by_id(&mut tx, application_id).await?.ok_or(SaveError::Unknown)?;
    if !before.state.can_be_written() {
        return Err(SaveError::NotNow(before.state));
    }
    let form = platform.forms.of(&before.form);
    let held = before.answers();
    let mut edits = edits.clone();
    own_files(&mut tx, form, &before, &mut edits).await?;
    let answers = edited(form, &held, &edits)?;
    if answers == held {
        return Ok(before);
    }
    if before.version != version {
        return Err(SaveError::Stale(Box::new(before)));
    }
    let text = json(&answers)?;
    if text.len() > MOST {
        return Err(SaveError::TooLarge);
    }
    keep_files(&mut tx, form, &before, &answers).await?;
    let mut after = Application { answers: text, ..before.clone() };
    let email = email_of(form, &answers);
    if email != email_of(form, &held) {
        links::end(&mut tx, Purpose::ConfirmContact, application_id).await?;
    }
    let proved = own_address(account, &email, now);
    // While a submitted application is corrected, mail still goes to the address that was confirmed, until the new one is.
    if email != before.email && (before.state == State::Draft || proved.is_some()) {
        (after.email, after.email_confirmed_at) = (email, proved);
    }
    describe(platform, &mut tx, form, &answers, &mut after).await?;
    let Some(after) = rows::store(&mut tx, &before, after, now).await? else { return Err(SaveError::Stale(Box::new(before))) };
    let entry =
        Entry { app: Some(after.app_id), about: Some(application_id), ..Entry::new(account.actor(), "application.saved") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(after)
}

/// By what staff find it, and whether two must decide.
pub(super) async fn describe(
    platform: &Platform,
    tx: &mut Tx,
    form: &Form,
    answers: &Answers,
    application: &mut Application,
) -> Result<(), Fault> {
    let families = asked_families(answers);
    application.sensitive = is_sensitive(platform, &families);
    if let Some(app) = crate::apps::by_id(tx, application.app_id).await? {
        let organisation = form.answer(answers, Role::Organisation);
        // An organisation's name is as long as the form lets it be; a draft may hold more.
        let organisation: String = organisation.chars().take(300).collect();
        application.search = search_words(application.application_id, &app, &organisation, &application.email, &families);
    }
    Ok(())
}

/// Only files that were handed in for this app, and for what the question takes, are added: a number can be forged.
async fn own_files(tx: &mut Tx, form: &Form, application: &Application, edits: &mut Edits) -> Result<(), Fault> {
    for (name, id) in std::mem::take(&mut edits.add) {
        let upload = uploads::by_id(tx, id).await?;
        let field = form.field(&name);
        let fits = upload.zip(field).is_some_and(|(upload, field)| {
            upload.app_id == Some(application.app_id) && upload.purpose == field.upload && field.kind == forms::Kind::Upload
        });
        if fits {
            edits.add.push((name, id));
        }
    }
    Ok(())
}

/// The answers with the edits in them. Only fields of the form are taken, and lines end one way.
fn edited(form: &Form, held: &Answers, edits: &Edits) -> Result<Answers, SaveError> {
    let mut answers = held.clone();
    for (name, value) in &edits.set {
        let Some(field) = form.field(name) else { continue };
        if field.kind == forms::Kind::Upload {
            continue;
        }
        let value = tidy(value).ok_or(SaveError::NotText)?;
        let empty =
            matches!(&value, Value::String(text) if text.is_empty()) || matches!(&value, Value::Array(all) if all.is_empty());
        if empty {
            answers.remove(name);
        } else {
            answers.insert(name.clone(), value);
        }
    }
    for field in form.fields().filter(|field| field.kind == forms::Kind::Upload) {
        let mut files = field.uploads(held);
        files.retain(|id| !edits.remove.contains(&(field.name.clone(), *id)));
        let before = files.len();
        for (_, id) in edits.add.iter().filter(|(name, _)| *name == field.name) {
            // The one file of a question is replaced by the next.
            if field.max == 1 {
                files.clear();
            }
            // One form may bring too many, which is told at the field; what comes on top of that is not kept, or a draft would hold any number.
            if before <= field.max && !files.contains(id) {
                files.push(*id);
            }
        }
        if files.is_empty() {
            answers.remove(&field.name);
        } else {
            answers.insert(field.name.clone(), files.into());
        }
    }
    Ok(answers)
}

/// Text as it is kept; none if it holds what no text holds.
fn tidy(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) if text.contains('\0') => None,
        Value::String(text) => Some(text.replace("\r\n", "\n").replace('\r', "\n").into()),
        Value::Array(items) => items.iter().map(tidy).collect::<Option<Vec<_>>>().map(Value::Array),
        other => Some(other.clone()),
    }
}

/// Files that are named now are kept; those of a first draft that are named no longer may go.
async fn keep_files(tx: &mut Tx, form: &Form, before: &Application, answers: &Answers) -> Result<(), Fault> {
    let (held, named) = (form.uploads(&before.answers()), form.uploads(answers));
    for id in named.iter().filter(|id| !held.contains(id)) {
        uploads::keep(tx, *id).await?;
    }
    // What was submitted once, here or in the application before, is part of the record.
    if before.submissions == 0 && before.previous_id.is_none() {
        for id in held.iter().filter(|id| !named.contains(id)) {
            uploads::release(tx, *id).await?;
        }
    }
    Ok(())
}

/// The answers of a step in short: whether somebody else changed them since a page was made.
pub fn fingerprint(step: &Step, answers: &Answers) -> String {
    let mut hash = Sha256::new();
    for field in &step.fields {
        let value = answers.get(&field.name).map(Value::to_string).unwrap_or_default();
        hash.update(field.name.as_bytes());
        hash.update([0]);
        hash.update(value.as_bytes());
        hash.update([0]);
    }
    hex::encode(hash.finalize()).chars().take(16).collect()
}

/// Mails a link to the address on the form that confirms it. Whether there was something to do.
pub async fn send_confirmation(platform: &Platform, account: &Account, application_id: i64) -> Result<bool, SaveError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let application = rows::by_id(&mut tx, application_id).await?.ok_or(SaveError::Unknown)?;
    if !application.state.can_be_written() {
        return Err(SaveError::NotNow(application.state));
    }
    let (email, confirmed) = contact(platform, &application);
    if email.is_empty() || confirmed {
        return Ok(false);
    }
    let sent = sql!(
        tx,
        value i64,
        "select count(*) from notices where about_id = $1 and kind = $2 and created_at > $3",
        application_id,
        notices::Kind::ConfirmContact,
        now - HOUR,
    )?;
    // By however many applications: the address may be a stranger's.
    if sent >= MAILS || !notices::may_send(platform, &mut tx, notices::Kind::ConfirmContact, &email).await? {
        return Err(SaveError::TooManyMails);
    }
    let purpose = Purpose::ConfirmContact;
    let token = links::make(platform, &mut tx, purpose, application_id, &email, notices::lives(purpose)).await?;
    let form = platform.forms.of(&application.form);
    let app = crate::apps::by_id(&mut tx, application.app_id).await?.map(|app| app.name).unwrap_or_default();
    let organisation = form.answer(&application.answers(), Role::Organisation).chars().take(200).collect();
    let notice = Notice::ConfirmContact { organisation, app, path: format!("/developers/confirm?token={token}") };
    notices::send(platform, &mut tx, &email, Some(application_id), notice).await?;
    let action = "application.contact_mailed";
    let entry = Entry { app: Some(application.app_id), about: Some(application_id), ..Entry::new(account.actor(), action) };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(true)
}

/// The application whose address a link confirms, without using the link up.
pub async fn behind(platform: &Platform, token: &str) -> Result<Option<Application>, Fault> {
    let Some(link) = links::look(platform, Purpose::ConfirmContact, token).await? else { return Ok(None) };
    let mut tx = platform.db.read().await?;
    let found = rows::by_id(&mut tx, link.about_id).await?;
    Ok(found.filter(|application| application.state.can_be_written() && contact(platform, application).0 == link.email))
}

/// Confirms the address on a form. None if the link is used up, over, or for an address that is no longer there.
pub async fn confirm_contact(platform: &Platform, token: &str) -> Result<Option<Application>, Fault> {
    let now = platform.now();
    // A draft that is saved in the same moment changes the version; then it is tried again.
    for _ in 0..5 {
        let mut tx = platform.db.begin().await?;
        let Some(link) = links::take(platform, &mut tx, Purpose::ConfirmContact, token).await? else { return Ok(None) };
        let Some(before) = rows::by_id(&mut tx, link.about_id).await? else { return Ok(None) };
        if contact(platform, &before).0 != link.email || !before.state.can_be_written() {
            return Ok(None);
        }
        let after = Application { email: link.email, email_confirmed_at: Some(now), ..before.clone() };
        let Some(after) = rows::store(&mut tx, &before, after, now).await? else { continue };
        let action = "application.contact_confirmed";
        let entry = Entry {
            app: Some(after.app_id),
            about: Some(after.application_id),
            ..Entry::new(crate::audit::Actor::App(after.app_id), action)
        };
        entry.write(&mut tx, &platform.random, now).await?;
        tx.commit().await?;
        return Ok(Some(after));
    }
    Ok(None)
}
