//! An app's double in the sandbox: the same id and owner, a key and a secret of its own, and live whatever the app itself is.

use super::rows;
use super::{App, AppStatus, ChangeError, Details, MAX_REDIRECTS, apply, new_secret};
use crate::audit::{Actor, Entry};
use crate::db::sql;
use crate::{Fault, Platform};

/// Makes or brings up to date the double of an app, on the sandbox's own platform. What a working copy says may be unfinished: a field that cannot be
/// so is left as it was, and redirect URIs beyond the number that an app can have are left out.
pub async fn mirror(platform: &Platform, of: &App, details: Details) -> Result<App, ChangeError> {
    match put(platform, of, details.clone()).await {
        // Another call has just made it.
        Err(ChangeError::Fault(Fault::Db(sqlx::Error::Database(fault)))) if fault.is_unique_violation() => {
            put(platform, of, details).await
        }
        done => done,
    }
}

async fn put(platform: &Platform, of: &App, mut details: Details) -> Result<App, ChangeError> {
    let now = platform.now();
    if let Some(redirects) = &mut details.redirects {
        redirects.truncate(MAX_REDIRECTS);
    }
    details.status = Some(AppStatus::Live);
    let mut tx = platform.db.begin().await.map_err(Fault::from)?;
    let there = rows::by_id(&mut tx, of.app_id).await?;
    let before = there.clone();
    let mut app = there.unwrap_or_else(|| App {
        client_key: format!("sb{}", platform.random.word(16)),
        name: "App without a name".into(),
        description: String::new(),
        icon_url: String::new(),
        terms_url: String::new(),
        privacy_url: String::new(),
        webhook_url: None,
        icon_upload: None,
        deleted_at: None,
        products: "login,webhooks,portability".into(),
        require_pkce: false,
        created_at: now,
        ..of.clone()
    });
    (app.owner_kind, app.owner_id) = (of.owner_kind, of.owner_id);
    app.deleted_at = None;
    for part in parts(details.clone()) {
        let mut changed = app.clone();
        if apply(platform, &mut changed, &part).is_ok() {
            app = changed;
        }
    }
    app.updated_at = now;
    match &before {
        Some(before) => {
            if before.owner_kind != app.owner_kind || before.owner_id != app.owner_id {
                let given = "update apps set owner_kind = $2, owner_id = $3 where app_id = $1";
                sql!(tx, execute, given, app.app_id, app.owner_kind, app.owner_id).map_err(Fault::from)?;
            }
            rows::update(&mut tx, &app).await?;
        }
        None => rows::insert(&mut tx, &app).await?,
    }
    rows::replace_lists(&mut tx, app.app_id, details.redirects.as_deref(), details.scopes.as_ref()).await?;
    if let Some(scopes) = &details.scopes {
        // In the sandbox nobody applies: what the double is given is approved.
        super::scopes::approve_by_operator(&mut tx, &app, scopes, now).await?;
    }
    if before.is_none() {
        new_secret(platform, &mut tx, app.app_id, now).await?;
        let entry = Entry { app: Some(app.app_id), ..Entry::new(Actor::System, "app.created") };
        entry.write(&mut tx, &platform.random, now).await?;
    }
    tx.commit().await.map_err(Fault::from)?;
    Ok(app)
}

/// Details one field each, so that one that is wrong takes no other with it.
fn parts(details: Details) -> Vec<Details> {
    let none = Details::default;
    vec![
        // The name first: without one nothing else is taken.
        Details { name: details.name, ..none() },
        Details { description: details.description.map(|text| text.chars().take(120).collect()), ..none() },
        Details { icon_url: details.icon_url, ..none() },
        Details { terms_url: details.terms_url, ..none() },
        Details { privacy_url: details.privacy_url, ..none() },
        Details { webhook_url: details.webhook_url, ..none() },
        Details { status: details.status, require_pkce: details.require_pkce, ..none() },
    ]
}
