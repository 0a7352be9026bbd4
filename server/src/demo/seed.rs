//! Seeds a gateway for developing and showing: the demo platform, its people, and an app that is live. It drives the same functions as the
//! operator's commands; seeding what is there already changes nothing.

use std::path::{Path, PathBuf};

use ::platform::apps::{self, AppStatus, Details, RedirectUri};
use ::platform::audit::Actor;
use ::platform::people::{self, AddError, NewPerson};
use ::platform::{Fault, Platform};
use anyhow::Context;
use archive::catalogue::Catalogue;
use serde_json::{Value, json};
use wire::{Scope, ScopeSet};

use super::catalog::{self, Source};
use super::platform::{self, DemoPerson, Plan};

/// What everybody in the demonstration signs in with. It guards made-up data.
pub(crate) const PASSWORD: &str = "open-sesame";
/// What the demo platform calls itself.
pub(super) const BRAND: &str = "Clips";
/// The name of the demo platform's database in its folder.
const DATABASE: &str = "clips.db";

/// Makes the demo platform's database and catalogue in a folder, unless they are there; gives the catalogue's file.
pub(crate) fn demo_platform(folder: &Path, plan: &Plan, progress: platform::Progress<'_>) -> anyhow::Result<PathBuf> {
    let database = folder.join(DATABASE);
    if !database.exists() {
        platform::write_sqlite(&database, plan, progress)?;
    }
    let dir = folder.join("catalog");
    // Written beside and renamed, so that a start that was cut off leaves none by halves.
    if !dir.exists() {
        let beside = folder.join("catalog.new");
        let _ = std::fs::remove_dir_all(&beside);
        let database = database.canonicalize().context("the demo platform's database")?;
        catalog::write_catalog(&beside, Source::Sqlite(&database))?;
        std::fs::rename(&beside, &dir)?;
    }
    Ok(dir.join(catalog::MAIN_FILE))
}

/// Adds the demo platform's people, with their pictures below an address.
pub(crate) async fn demo_people(gateway: &Platform, base_url: &str, plan: &Plan) -> anyhow::Result<Vec<DemoPerson>> {
    let cast = platform::people(plan);
    for person in &cast {
        // Looked for first: hashing the password of each takes longer than all the rest of a start.
        if people::by_username(&mut gateway.db.read().await.map_err(Fault::from)?, &person.username).await?.is_some() {
            continue;
        }
        let info = json!({
            "bio_description": person.bio,
            "is_verified": person.verified,
            "profile_deep_link": format!("{base_url}/@{}", person.username),
            "profile_web_link": format!("{base_url}/@{}", person.username),
            "follower_count": person.followers,
            "following_count": person.following,
            "likes_count": person.likes,
            "video_count": person.videos,
        });
        let Value::Object(info) = info else { continue };
        let new = NewPerson {
            username: person.username.clone(),
            password: PASSWORD.to_owned(),
            subject: person.subject.clone(),
            region: person.region.to_owned(),
            display_name: person.display_name.clone(),
            avatar_url: format!("{base_url}{}", person.avatar),
            email: None,
            info,
        };
        match people::add(gateway, Actor::System, new).await {
            Ok(_) | Err(AddError::Taken) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Ok(cast)
}

/// The seeded app's credentials.
#[derive(Clone, Debug)]
pub(super) struct SeededApp {
    pub(super) client_key: String,
    pub(super) client_secret: String,
}

/// Every scope that an app can be given: those of user info and both kinds of each family.
pub(crate) fn all_scopes(catalogue: &Catalogue) -> ScopeSet {
    let mut scopes: ScopeSet = wire::UserField::ALL.iter().filter_map(|field| Scope::parse(field.scope).ok()).collect();
    for category in catalogue.categories() {
        for kind in ["single", "ongoing"] {
            if let Ok(scope) = Scope::parse(&format!("{}.{kind}", category.scope)) {
                scopes.insert(scope);
            }
        }
    }
    scopes
}

/// Makes a live app, or brings the one of an earlier start up to date. `folder` remembers which it was.
pub(super) async fn app(gateway: &Platform, folder: &Path, details: Details) -> anyhow::Result<SeededApp> {
    let note = folder.join("app.json");
    let details = Details { status: Some(AppStatus::Live), scopes: Some(all_scopes(&gateway.catalogue)), ..details };
    if let Ok(text) = std::fs::read_to_string(&note) {
        let known: Value = serde_json::from_str(&text).with_context(|| format!("{}", note.display()))?;
        let client_key = known["client_key"].as_str().unwrap_or_default().to_owned();
        let app = apps::change(gateway, Actor::System, &client_key, details).await?;
        let mut tx = gateway.db.read().await?;
        let secrets = apps::secrets(gateway, &mut tx, app.app_id).await?;
        let secret = secrets.first().context("the seeded app has no secret in force: remove the data folder and start anew")?;
        return Ok(SeededApp { client_key, client_secret: secret.to_string() });
    }
    let (app, secret) = apps::create(gateway, Actor::System, None, details).await?;
    std::fs::write(&note, json!({ "client_key": app.client_key }).to_string())?;
    Ok(SeededApp { client_key: app.client_key, client_secret: secret.to_string() })
}

/// Reads redirect URIs for an app.
pub(super) fn redirects<'a>(texts: impl IntoIterator<Item = &'a str>) -> anyhow::Result<Vec<RedirectUri>> {
    texts.into_iter().map(|text| RedirectUri::parse(text).with_context(|| format!("--redirect-uri {text}"))).collect()
}

/// Adds one person who is in the operator's own database.
pub(super) async fn own_person(gateway: &Platform, username: &str, subject: &str, region: &str) -> Result<(), AddError> {
    let new = NewPerson {
        username: username.to_owned(),
        password: PASSWORD.to_owned(),
        subject: subject.to_owned(),
        region: region.to_owned(),
        ..NewPerson::default()
    };
    match people::add(gateway, Actor::System, new).await {
        Ok(_) | Err(AddError::Taken) => Ok(()),
        Err(fault) => Err(fault),
    }
}
