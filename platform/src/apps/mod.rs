//! Apps: who may ask. Their credentials, redirect URIs, scopes and status; what developers write about them, and its review.

mod checklist;
mod credentials;
mod details;
mod ending;
mod mirror;
mod redirect;
pub mod review;
mod revisions;
mod rows;
mod scopes;
pub mod transfer;

use std::time::Duration;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, words};
use crate::quotas::RequestType;
use crate::{Fault, Platform, jobs};

pub use checklist::{Checklist, Move, Part, Progress, Track, checklist, page_of};
pub use credentials::{SecretError, SecretFacts, end_secret, reveal_secret, rotate, secret_facts};
pub use details::{
    Android, AppDetails, DESCRIPTION_LIMIT, Flaw, Ios, NAME_LIMIT, PlatformKind, Product, REDIRECT_LIMIT, Site, is_disguise,
    redirects_field,
};
pub use ending::delete;
pub(crate) use ending::{close, finish};
pub use mirror::mirror;
pub use redirect::{BadRedirect, RedirectUri};
pub use revisions::{
    Change, MakeError, Revision, RevisionState, SaveError, approved_revision, begin_revision, create_for, platforms, revert,
    review_may_move_from, revision, revisions, save, working_copy,
};
pub use rows::{by_client_key, by_id, list, managed_by, of_owner, overrides, people_of, redirects, scopes};
pub(crate) use scopes::usable;
pub use scopes::{Approval, SwitchError, approvals, approve_families, families, pair, switch_off, switch_on, withdraw_families};

words! {
    /// Where an app stands.
    AppStatus {
        /// Never reviewed, or a working copy.
        Draft = "draft",
        /// Before staff.
        InReview = "in_review",
        /// Refused; can be submitted again.
        NotApproved = "not_approved",
        /// May ask.
        Live = "live",
        /// Stopped for a time.
        Suspended = "suspended",
        /// Stopped for good.
        Revoked = "revoked",
    }
}

words! {
    /// Whose an app is.
    OwnerKind {
        /// An organisation's.
        Organisation = "organisation",
        /// One developer's.
        Account = "account",
        /// Made by the operator on the command line.
        Operator = "operator",
    }
}

/// A third party's program.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct App {
    /// Ours.
    pub app_id: i64,
    /// By which it names itself on the wire.
    pub client_key: String,
    /// Whose it is: apps of one owner know a person by one union id.
    pub owner_id: i64,
    /// Shown on the consent page.
    pub name: String,
    /// Shown on the consent page.
    pub description: String,
    /// A picture's address, or empty.
    pub icon_url: String,
    /// Or empty.
    pub terms_url: String,
    /// Or empty.
    pub privacy_url: String,
    /// Where it stands.
    pub status: AppStatus,
    /// Where its events go.
    pub webhook_url: Option<String>,
    /// Whether authorize without a challenge is refused.
    pub require_pkce: bool,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
    /// What `owner_id` is the number of.
    pub owner_kind: OwnerKind,
    /// Products switched on, comma separated: `login`, `webhooks`, `portability`.
    pub products: String,
    /// What kind of program it is, one of the operator's list; may be empty.
    pub category: String,
    /// Where it runs, as JSON.
    pub platforms: String,
    /// The picture that was handed in.
    pub icon_upload: Option<i64>,
    /// When it was deleted.
    pub deleted_at: Option<Millis>,
}

impl App {
    /// Whether it may ask for codes, tokens and data.
    pub fn may_ask(&self) -> bool {
        self.status == AppStatus::Live && self.deleted_at.is_none()
    }
}

/// An app to be made, or the fields to be changed.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// Shown on the consent page.
    pub name: Option<String>,
    /// Shown on the consent page; at most 120 characters (contract 1.4).
    pub description: Option<String>,
    /// A picture's address.
    pub icon_url: Option<String>,
    /// Its terms.
    pub terms_url: Option<String>,
    /// Its privacy policy.
    pub privacy_url: Option<String>,
    /// Where its events go; empty takes it away.
    pub webhook_url: Option<String>,
    /// Where it stands.
    pub status: Option<AppStatus>,
    /// Whether authorize without a challenge is refused.
    pub require_pkce: Option<bool>,
    /// All of its redirect URIs.
    pub redirects: Option<Vec<RedirectUri>>,
    /// All of the scopes it may ask for.
    pub scopes: Option<wire::ScopeSet>,
}

/// Why an app was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// A field cannot be so.
    #[error("{0}")]
    Invalid(String),
    /// There is no such app.
    #[error("there is no app with that client key")]
    Unknown,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Redirect URIs of one app (contract 1.5).
const MAX_REDIRECTS: usize = 10;

/// Makes an app; gives it and its secret, which is not shown again.
pub async fn create(
    platform: &Platform,
    actor: Actor,
    owner: Option<(OwnerKind, i64)>,
    details: Details,
) -> Result<(App, Zeroizing<String>), ChangeError> {
    let now = platform.now();
    let app_id = platform.random.id();
    let mut app = App {
        app_id,
        client_key: format!("aw{}", platform.random.word(14)),
        owner_id: owner.map_or(app_id, |(_, id)| id),
        name: String::new(),
        description: String::new(),
        icon_url: String::new(),
        terms_url: String::new(),
        privacy_url: String::new(),
        status: AppStatus::Draft,
        webhook_url: None,
        require_pkce: false,
        created_at: now,
        updated_at: now,
        owner_kind: owner.map_or(OwnerKind::Operator, |(kind, _)| kind),
        products: "login,webhooks,portability".into(),
        category: String::new(),
        platforms: "[]".into(),
        icon_upload: None,
        deleted_at: None,
    };
    apply(platform, &mut app, &details)?;
    let mut tx = platform.db.begin().await.map_err(Fault::from)?;
    rows::insert(&mut tx, &app).await?;
    rows::replace_lists(&mut tx, app_id, details.redirects.as_deref(), None).await?;
    set_scopes(&mut tx, &app, details.scopes.as_ref(), now).await?;
    let secret = new_secret(platform, &mut tx, app_id, now).await?;
    let entry = Entry { app: Some(app_id), ..Entry::new(actor, "app.created") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await.map_err(Fault::from)?;
    Ok((app, secret))
}

/// Changes an app.
pub async fn change(platform: &Platform, actor: Actor, client_key: &str, details: Details) -> Result<App, ChangeError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await.map_err(Fault::from)?;
    let mut app = by_client_key(&mut tx, client_key).await?.ok_or(ChangeError::Unknown)?;
    let before = app.status;
    apply(platform, &mut app, &details)?;
    app.updated_at = now;
    rows::update(&mut tx, &app).await?;
    set_scopes(&mut tx, &app, details.scopes.as_ref(), now).await?;
    rows::replace_lists(&mut tx, app.app_id, details.redirects.as_deref(), None).await?;
    let moved = if before == app.status { String::new() } else { format!("{before} to {}", app.status) };
    let entry = Entry { app: Some(app.app_id), detail: &moved, ..Entry::new(actor, "app.changed") };
    entry.write(&mut tx, &platform.random, now).await?;
    let came_to = |status| before != status && app.status == status;
    let revoked = came_to(AppStatus::Revoked);
    if revoked || came_to(AppStatus::Suspended) {
        ending::stop(platform, &mut tx, &app, revoked).await?;
    } else if came_to(AppStatus::Live) {
        jobs::wake_held(&mut tx, now).await?;
    }
    tx.commit().await.map_err(Fault::from)?;
    if revoked {
        // What is left by a death here is taken up by the clock.
        ending::follow_revocation(platform, app.app_id).await?;
    }
    Ok(app)
}

/// The operator says what an app may ask for. For an app of the operator's that is the approval too; a developer's app gets portability scopes by an
/// application only, and keeps those it has.
async fn set_scopes(tx: &mut Tx, app: &App, scopes: Option<&wire::ScopeSet>, now: Millis) -> Result<(), ChangeError> {
    let Some(scopes) = scopes else { return Ok(()) };
    if app.owner_kind == OwnerKind::Operator {
        scopes::approve_by_operator(tx, app, scopes, now).await?;
        return Ok(rows::replace_lists(tx, app.app_id, None, Some(scopes)).await?);
    }
    if scopes.iter().any(wire::Scope::is_portability) {
        let words = "the portability scopes of a developer's app are approved by an application and switched on by the developer";
        return Err(ChangeError::Invalid(words.into()));
    }
    let scopes: Vec<wire::Scope> = scopes.iter().cloned().collect();
    Ok(rows::replace_login_scopes(tx, app.app_id, &scopes).await?)
}

fn apply(platform: &Platform, app: &mut App, details: &Details) -> Result<(), ChangeError> {
    let invalid = |message: String| Err(ChangeError::Invalid(message));
    if let Some(name) = &details.name {
        app.name = name.trim().to_owned();
    }
    if app.name.is_empty() || app.name.chars().count() > 50 || app.name.chars().any(char::is_control) {
        return invalid("an app's name has 1 to 50 characters, none of them a control character".into());
    }
    if let Some(description) = &details.description {
        if description.chars().count() > 120 {
            return invalid("an app's description has at most 120 characters".into());
        }
        app.description = description.trim().to_owned();
    }
    for (field, given, target) in [
        ("icon", &details.icon_url, &mut app.icon_url),
        ("terms", &details.terms_url, &mut app.terms_url),
        ("privacy policy", &details.privacy_url, &mut app.privacy_url),
    ] {
        if let Some(text) = given {
            if !text.is_empty() && !matches!(url::Url::parse(text), Ok(url) if url.scheme() == "https") {
                return invalid(format!("the address of the {field} must begin with https://"));
            }
            target.clone_from(text);
        }
    }
    if let Some(text) = &details.webhook_url {
        if text.is_empty() {
            app.webhook_url = None;
        } else {
            let url = platform.outbound.admit(text).map_err(|refusal| ChangeError::Invalid(format!("webhook URL: {refusal}")))?;
            app.webhook_url = Some(url.to_string());
        }
    }
    if details.redirects.as_ref().is_some_and(|list| list.len() > MAX_REDIRECTS) {
        return invalid(format!("an app has at most {MAX_REDIRECTS} redirect URIs"));
    }
    if let Some(scopes) = &details.scopes {
        for scope in scopes.iter() {
            if !is_known(platform, scope) {
                return invalid(format!("the catalogue has no scope {scope}"));
            }
        }
    }
    app.status = details.status.unwrap_or(app.status);
    app.require_pkce = details.require_pkce.unwrap_or(app.require_pkce);
    Ok(())
}

/// Whether a scope exists: one of user info, or one of a family of the catalogue.
pub fn is_known(platform: &Platform, scope: &wire::Scope) -> bool {
    if scope.is_portability() {
        platform.catalogue.categories().iter().any(|category| category.scope == scope.family())
    } else {
        wire::UserField::ALL.iter().any(|field| field.scope == scope.as_str())
    }
}

/// Gives an app a second secret; the earlier ones go on for `overlap`, and the oldest signs webhooks until then (`client-rules.md` 36).
pub async fn rotate_secret(
    platform: &Platform,
    actor: Actor,
    client_key: &str,
    overlap: Duration,
) -> Result<Zeroizing<String>, ChangeError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await.map_err(Fault::from)?;
    let app = by_client_key(&mut tx, client_key).await?.ok_or(ChangeError::Unknown)?;
    rows::retire_secrets(&mut tx, app.app_id, now + overlap).await?;
    let secret = new_secret(platform, &mut tx, app.app_id, now).await?;
    let entry = Entry { app: Some(app.app_id), ..Entry::new(actor, "app.secret_rotated") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await.map_err(Fault::from)?;
    Ok(secret)
}

async fn new_secret(platform: &Platform, tx: &mut Tx, app_id: i64, now: Millis) -> Result<Zeroizing<String>, Fault> {
    let secret = Zeroizing::new(platform.random.secret(32));
    let secret_id = platform.random.id();
    let sealed = platform.keys.seal(&purpose(secret_id), secret.as_bytes())?;
    rows::insert_secret(tx, secret_id, app_id, sealed, now).await?;
    Ok(secret)
}

fn purpose(secret_id: i64) -> String {
    format!("secret {secret_id}")
}

/// The app's secrets in force, the oldest first.
pub async fn secrets(platform: &Platform, tx: &mut Tx, app_id: i64) -> Result<Vec<Zeroizing<String>>, Fault> {
    let mut secrets = Vec::new();
    for row in rows::secrets(tx, app_id, platform.now()).await? {
        let bytes = platform.keys.unseal(&purpose(row.secret_id), &row.sealed)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Fault::Row("a client secret that is not text".into()))?;
        secrets.push(Zeroizing::new(text.to_owned()));
    }
    Ok(secrets)
}

/// Whether a secret is one of the app's, compared in constant time.
pub async fn holds_secret(platform: &Platform, tx: &mut Tx, app_id: i64, secret: &str) -> Result<bool, Fault> {
    let held = secrets(platform, tx, app_id).await?;
    Ok(held.iter().fold(false, |found, held| found | bool::from(held.as_bytes().ct_eq(secret.as_bytes()))))
}

/// Seals every client secret anew under the newest key. Gives how many there were to do.
pub(crate) async fn reseal(platform: &Platform) -> Result<u64, Fault> {
    let mut done = 0;
    let mut tx = platform.db.begin().await?;
    for row in rows::all_secrets(&mut tx).await? {
        if !platform.keys.is_current(&row.sealed) {
            let purpose = purpose(row.secret_id);
            let value = platform.keys.unseal(&purpose, &row.sealed)?;
            rows::set_sealed(&mut tx, row.secret_id, platform.keys.seal(&purpose, &value)?).await?;
            done += 1;
        }
    }
    tx.commit().await?;
    Ok(done)
}

/// Sets an app's own quota for a request type, or takes it back.
pub async fn set_quota(
    platform: &Platform,
    actor: Actor,
    client_key: &str,
    request_type: RequestType,
    per_minute: Option<u32>,
) -> Result<(), ChangeError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await.map_err(Fault::from)?;
    let app = by_client_key(&mut tx, client_key).await?.ok_or(ChangeError::Unknown)?;
    rows::set_override(&mut tx, app.app_id, request_type, per_minute).await?;
    let detail = format!("{request_type} {}", per_minute.map_or("cleared".into(), |limit| limit.to_string()));
    let entry = Entry { app: Some(app.app_id), detail: &detail, ..Entry::new(actor, "quota.set") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await.map_err(Fault::from)?;
    Ok(())
}
