//! Revisions: what a developer writes about an app, and what became of it. The newest revision of an app is its working copy; the app's own row is
//! what is in force.
//!
//! | state of a revision | may come from | who has the move |
//! |---|---|---|
//! | draft | (made) | the developer |
//! | in_review | draft | staff |
//! | approved | in_review | |
//! | not_approved | in_review | the developer, by a new draft |
//! | recalled | in_review | the developer, by a new draft |
//!
//! | status of an app | may come by review from |
//! |---|---|
//! | draft | in_review, when its submission is recalled |
//! | in_review | draft, not_approved |
//! | live | in_review; live, by a later revision |
//! | not_approved | in_review |
//!
//! What was submitted is never written again: whoever goes on after a decision or a recall writes a copy. A live app keeps what was approved until a
//! later revision is. [`RevisionState::may_come_from`] and [`review_may_move_from`] are these tables; the SQL guards read them, and so does a property
//! test over random orders of events.

use wire::Scope;

use super::details::{AppDetails, PlatformKind, Product};
use super::review::Reasons;
use super::rows::{self, revisions as sql};
use super::{App, AppStatus, OwnerKind, new_secret};
use crate::accounts::{self, Account};
use crate::audit::Entry;
use crate::clock::Millis;
use crate::db::{Tx, words};
use crate::uploads::{self, Purpose};
use crate::{Fault, Platform};

words! {
    /// Where a revision stands.
    RevisionState {
        /// Being written.
        Draft = "draft",
        /// Before staff; nobody writes.
        InReview = "in_review",
        /// In force, or it was until a later one.
        Approved = "approved",
        /// Refused, with reasons.
        NotApproved = "not_approved",
        /// Taken back by the developer.
        Recalled = "recalled",
    }
}

impl RevisionState {
    /// The states from which a revision may come into this one.
    pub const fn may_come_from(self) -> &'static [Self] {
        match self {
            Self::Draft => &[],
            Self::InReview => &[Self::Draft],
            Self::Approved | Self::NotApproved | Self::Recalled => &[Self::InReview],
        }
    }

    /// In plain words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Draft => "Draft",
            Self::InReview => "In review",
            Self::Approved => "Approved",
            Self::NotApproved => "Not approved",
            Self::Recalled => "Recalled",
        }
    }
}

/// The statuses from which its review may move an app to another. Suspension and revocation are not the review's: it neither makes nor lifts them.
pub const fn review_may_move_from(to: AppStatus) -> &'static [AppStatus] {
    match to {
        AppStatus::Draft | AppStatus::NotApproved => &[AppStatus::InReview],
        AppStatus::InReview => &[AppStatus::Draft, AppStatus::NotApproved],
        AppStatus::Live => &[AppStatus::InReview, AppStatus::Live],
        AppStatus::Suspended | AppStatus::Revoked => &[],
    }
}

/// One revision.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Revision {
    /// Ours.
    pub revision_id: i64,
    /// Of which app.
    pub app_id: i64,
    /// Counted from 1 for each app.
    pub number: i32,
    /// Where it stands.
    pub state: RevisionState,
    /// What was written.
    pub details: AppDetails,
    /// How each product and scope is used, or what changed.
    pub explanation: String,
    /// Counts every change of the working copy, from one revision to the next.
    pub version: i64,
    /// Who began it.
    pub created_by: Option<i64>,
    /// When it was begun.
    pub created_at: Millis,
    /// When it was last written.
    pub updated_at: Millis,
    /// When it went to review.
    pub submitted_at: Option<Millis>,
    /// Who submitted it.
    pub submitted_by: Option<i64>,
    /// By when it is to be decided.
    pub due_at: Option<Millis>,
    /// Who reviews it.
    pub assigned_to: Option<i64>,
    /// When it was decided about.
    pub decided_at: Option<Millis>,
    /// Who decided.
    pub decided_by: Option<i64>,
    /// Why it was refused.
    pub reasons: Reasons,
    /// When its lateness was told.
    pub escalated_at: Option<Millis>,
}

impl Revision {
    /// Whether staff should have decided about it by now.
    pub fn is_late(&self, now: Millis) -> bool {
        self.state == RevisionState::InReview && self.due_at.is_some_and(|due| due < now)
    }
}

/// Why a working copy was not changed.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// It was changed meanwhile; this is how it is now.
    #[error("somebody else has changed this app meanwhile")]
    Stale(Box<Revision>),
    /// It cannot be written as it stands.
    #[error("{0}")]
    Locked(&'static str),
    /// There is no such app.
    #[error("there is no such app")]
    Unknown,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for SaveError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// Why an app was not made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// A name that cannot be so.
    #[error("{0}")]
    Name(String),
    /// As many apps as one owner may have.
    #[error("there are {0} apps already, as many as one owner may have")]
    TooMany(u32),
    /// Not somebody who may make apps for that owner.
    #[error("only the owner or an admin of an organisation makes apps for it")]
    Forbidden,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for MakeError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

const LOCKED: &str = "The app is in review, so nothing can be changed. Recall it first.";
const LIVE: &str =
    "This version is live. Create a revision to change it; the live version stays as it is until the revision is approved.";

/// Makes an app for a developer or an organisation: a draft with its App ID, a first revision, and credentials. The secret is not given; it is shown
/// once by [`super::reveal_secret`].
pub async fn create_for(platform: &Platform, account: &Account, owner: (OwnerKind, i64), name: &str) -> Result<App, MakeError> {
    let now = platform.now();
    let name = name.trim();
    let seen = super::details::is_seen(name) && !name.chars().any(super::details::is_disguise);
    if !seen || name.chars().count() > super::details::NAME_LIMIT {
        let limit = super::details::NAME_LIMIT;
        return Err(MakeError::Name(format!(
            "A name has 1 to {limit} characters, at least one of them a letter or digit, and no control characters or marks of direction."
        )));
    }
    let (owner_kind, owner_id) = owner;
    let mut tx = platform.db.begin().await?;
    // Held, so that the account is not closed in the same moment and leaves an app that is nobody's.
    if !accounts::hold(&mut tx, account.account_id).await? {
        return Err(MakeError::Forbidden);
    }
    let allowed = match owner_kind {
        OwnerKind::Account => owner_id == account.account_id,
        OwnerKind::Organisation => {
            crate::organisations::hold(&mut tx, owner_id).await?
                && matches!(
                    crate::organisations::seat(&mut tx, owner_id, account.account_id).await?,
                    Some(crate::organisations::Seat::Owner | crate::organisations::Seat::Admin)
                )
        }
        OwnerKind::Operator => false,
    };
    if !allowed {
        return Err(MakeError::Forbidden);
    }
    let most = platform.settings.apps.of_one_owner;
    if rows::count_of_owner(&mut tx, owner_kind, owner_id).await? >= i64::from(most) {
        return Err(MakeError::TooMany(most));
    }
    let app_id = platform.random.id();
    let app = App {
        app_id,
        client_key: format!("aw{}", platform.random.word(14)),
        owner_id,
        name: name.to_owned(),
        description: String::new(),
        icon_url: String::new(),
        terms_url: String::new(),
        privacy_url: String::new(),
        status: AppStatus::Draft,
        webhook_url: None,
        require_pkce: false,
        created_at: now,
        updated_at: now,
        owner_kind,
        products: String::new(),
        category: String::new(),
        platforms: "[]".into(),
        icon_upload: None,
        deleted_at: None,
    };
    rows::insert(&mut tx, &app).await?;
    new_secret(platform, &mut tx, app_id, now).await?;
    let details = AppDetails { name: name.to_owned(), ..AppDetails::default() };
    let first = fresh(platform, app_id, 1, 1, Some(account.account_id), details, String::new());
    sql::insert(&mut tx, &first).await?;
    let entry = Entry { app: Some(app_id), about: Some(owner_id), ..Entry::new(account.actor(), "app.created") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(app)
}

fn fresh(
    platform: &Platform,
    app_id: i64,
    number: i32,
    version: i64,
    by: Option<i64>,
    details: AppDetails,
    explanation: String,
) -> Revision {
    let now = platform.now();
    Revision {
        revision_id: platform.random.id(),
        app_id,
        number,
        state: RevisionState::Draft,
        details,
        explanation,
        version,
        created_by: by,
        created_at: now,
        updated_at: now,
        submitted_at: None,
        submitted_by: None,
        due_at: None,
        assigned_to: None,
        decided_at: None,
        decided_by: None,
        reasons: Reasons::default(),
        escalated_at: None,
    }
}

/// The working copy of an app: its newest revision. Apps that the operator made have none until somebody writes one; theirs is read from what is in
/// force.
pub async fn working_copy(tx: &mut Tx, app_id: i64) -> Result<Revision, Fault> {
    sql::newest(tx, app_id).await?.ok_or_else(|| Fault::Row(format!("app {app_id} has no revision")))
}

/// All revisions of an app, the newest first.
pub async fn revisions(tx: &mut Tx, app_id: i64) -> Result<Vec<Revision>, Fault> {
    sql::of_app(tx, app_id).await
}

/// A revision by its number of ours.
pub async fn revision(tx: &mut Tx, revision_id: i64) -> Result<Option<Revision>, Fault> {
    sql::by_id(tx, revision_id).await
}

/// What was last approved.
pub async fn approved_revision(tx: &mut Tx, app_id: i64) -> Result<Option<Revision>, Fault> {
    sql::approved(tx, app_id).await
}

/// What is to be changed of a working copy.
#[derive(Clone, Debug)]
pub enum Change {
    /// The fields, but for pictures and videos.
    Details(Box<AppDetails>),
    /// The picture, or none.
    Icon(Option<i64>),
    /// One more demo video.
    AddVideo(i64),
    /// One less.
    RemoveVideo(i64),
    /// What reviewers are told.
    Explanation(String),
}

/// Writes into the working copy, if it is still of that version. What staff have decided about stays as it was: the first change after a decision or a
/// recall goes into a new draft. As long as an app was never live, its own row follows with what can be put before people.
pub async fn save(
    platform: &Platform,
    account: &Account,
    app_id: i64,
    version: i64,
    change: Change,
) -> Result<Revision, SaveError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let app = rows::hold(&mut tx, app_id).await?.ok_or(SaveError::Unknown)?;
    let mut draft = writable(platform, &mut tx, account.account_id, app_id, version).await?;
    let mut loose = None;
    match change {
        Change::Details(new) => {
            draft.details = AppDetails { icon_upload: draft.details.icon_upload, videos: draft.details.videos, ..*new };
        }
        Change::Icon(icon) => {
            if let Some(upload_id) = icon {
                take_up(&mut tx, app_id, upload_id, Purpose::Icon).await?;
            }
            loose = draft.details.icon_upload.filter(|old| Some(*old) != icon);
            draft.details.icon_upload = icon;
        }
        Change::AddVideo(upload_id) => {
            if draft.details.videos.len() >= usize::try_from(platform.settings.apps.videos).unwrap_or(usize::MAX) {
                return Err(SaveError::Locked("There are as many demo videos as an app may have. Remove one first."));
            }
            take_up(&mut tx, app_id, upload_id, Purpose::DemoVideo).await?;
            draft.details.videos.push(upload_id);
        }
        Change::RemoveVideo(upload_id) => {
            draft.details.videos.retain(|held| *held != upload_id);
            loose = Some(upload_id);
        }
        Change::Explanation(text) => draft.explanation = text.chars().filter(|c| *c != '\0').collect(),
    }
    draft.version += 1;
    draft.updated_at = now;
    if !sql::write(&mut tx, &draft).await? {
        return Err(Fault::Row(format!("app {app_id} was held, and its draft changed all the same")).into());
    }
    if !was_live(&mut tx, &app).await? {
        apply(platform, &mut tx, &app, &draft.details, now).await?;
    }
    if let Some(upload_id) = loose
        && !sql::names_upload(&mut tx, app_id, upload_id).await?
    {
        uploads::release(&mut tx, upload_id).await?;
    }
    let entry = Entry { app: Some(app_id), about: Some(draft.revision_id), ..Entry::new(account.actor(), "app.draft_saved") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(draft)
}

/// Names a file that was handed in for this app as this.
async fn take_up(tx: &mut Tx, app_id: i64, upload_id: i64, purpose: Purpose) -> Result<(), SaveError> {
    let found = uploads::by_id(tx, upload_id).await?.filter(|upload| upload.app_id == Some(app_id) && upload.purpose == purpose);
    if found.is_none() || !uploads::keep(tx, upload_id).await? {
        return Err(SaveError::Locked("This file is not there any more. Hand it in again."));
    }
    Ok(())
}

/// The draft that is to be written, if the working copy is of that version: itself, or a new one after a refusal or a recall. The app is held.
pub(super) async fn writable(
    platform: &Platform,
    tx: &mut Tx,
    by: i64,
    app_id: i64,
    version: i64,
) -> Result<Revision, SaveError> {
    let newest = working_copy(tx, app_id).await?;
    match newest.state {
        RevisionState::InReview => return Err(SaveError::Locked(LOCKED)),
        RevisionState::Approved => return Err(SaveError::Locked(LIVE)),
        _ if newest.version != version => return Err(SaveError::Stale(Box::new(newest))),
        RevisionState::Draft => return Ok(newest),
        RevisionState::NotApproved | RevisionState::Recalled => {}
    }
    copy(platform, tx, by, &newest).await.map_err(Into::into)
}

/// A new draft that says what an earlier revision said.
pub(super) async fn copy(platform: &Platform, tx: &mut Tx, by: i64, of: &Revision) -> Result<Revision, Fault> {
    let (number, version) = (of.number + 1, of.version + 1);
    let draft = fresh(platform, of.app_id, number, version, Some(by), of.details.clone(), of.explanation.clone());
    sql::insert(tx, &draft).await?;
    Ok(draft)
}

/// Begins a revision of a live app: a copy of what is in force, while that stays untouched. Pressed twice, it begins one.
pub async fn begin_revision(platform: &Platform, account: &Account, app_id: i64) -> Result<Revision, SaveError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    rows::hold(&mut tx, app_id).await?.ok_or(SaveError::Unknown)?;
    let newest = working_copy(&mut tx, app_id).await?;
    if newest.state != RevisionState::Approved {
        return Ok(newest);
    }
    let mut draft = copy(platform, &mut tx, account.account_id, &newest).await?;
    // What changed is told anew.
    draft.explanation.clear();
    sql::write(&mut tx, &draft).await?;
    let entry = Entry { app: Some(app_id), about: Some(draft.revision_id), ..Entry::new(account.actor(), "app.revision_begun") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(draft)
}

/// Writes what was last approved over the draft.
pub async fn revert(platform: &Platform, account: &Account, app_id: i64, version: i64) -> Result<Revision, SaveError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    rows::hold(&mut tx, app_id).await?.ok_or(SaveError::Unknown)?;
    let Some(approved) = approved_revision(&mut tx, app_id).await? else {
        return Err(SaveError::Locked("No version of this app was approved yet."));
    };
    let mut draft = writable(platform, &mut tx, account.account_id, app_id, version).await?;
    draft.details = approved.details;
    draft.version += 1;
    draft.updated_at = now;
    sql::write(&mut tx, &draft).await?;
    let entry = Entry { app: Some(app_id), about: Some(draft.revision_id), ..Entry::new(account.actor(), "app.reverted") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(draft)
}

/// Whether people may have seen the app: then only an approved revision changes what they see.
pub(super) async fn was_live(tx: &mut Tx, app: &App) -> Result<bool, Fault> {
    Ok(!matches!(app.status, AppStatus::Draft | AppStatus::InReview | AppStatus::NotApproved)
        || approved_revision(tx, app.app_id).await?.is_some())
}

/// Makes details the ones in force: fields that cannot be put before people are left out. Portability scopes are none of its business, but they go
/// when the product goes.
pub(super) async fn apply(platform: &Platform, tx: &mut Tx, app: &App, details: &AppDetails, now: Millis) -> Result<App, Fault> {
    let flaws = details.flaws(platform);
    let fit = |field: &str, text: &str| if AppDetails::is_fit(&flaws, field) { text.to_owned() } else { String::new() };
    let mut new = app.clone();
    if AppDetails::is_fit(&flaws, "name") {
        new.name.clone_from(&details.name);
    }
    new.description = fit("description", &details.description);
    new.category = fit("category", &details.category);
    new.terms_url = fit("terms-url", &details.terms_url);
    new.privacy_url = fit("privacy-url", &details.privacy_url);
    new.icon_upload = details.icon_upload;
    new.products = join(details.products.iter().map(|product| product.as_str()));
    new.platforms = join_json(details.platforms.iter().map(|platform| platform.as_str()));
    let hooked = details.has(Product::Webhooks) && AppDetails::is_fit(&flaws, "webhook-url");
    new.webhook_url = hooked.then(|| details.webhook_url.clone()).filter(|url| !url.is_empty());
    new.updated_at = now;
    rows::update(tx, &new).await?;
    let redirects = if details.has(Product::Login) { details.redirects() } else { Vec::new() };
    rows::replace_lists(tx, app.app_id, Some(&redirects), None).await?;
    let scopes: Vec<Scope> = details.login_scopes().iter().filter_map(|scope| Scope::parse(scope).ok()).collect();
    rows::replace_login_scopes(tx, app.app_id, &scopes).await?;
    if !details.has(Product::Portability) {
        rows::remove_portability_scopes(tx, app.app_id).await?;
    }
    Ok(new)
}

fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(",")
}

fn join_json<'a>(words: impl Iterator<Item = &'a str>) -> String {
    serde_json::json!(words.collect::<Vec<_>>()).to_string()
}

/// The platforms on which an app in force runs.
pub fn platforms(app: &App) -> Vec<PlatformKind> {
    serde_json::from_str(&app.platforms).unwrap_or_default()
}
