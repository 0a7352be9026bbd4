//! The sandbox: a second world for developing against. It is a platform of its own, with its own store, vault, keys, catalogue, people and queue, in the
//! same process and behind the same code; nothing in it holds a way to the other's rows. `worlds` decides which of the two a call is for.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use archive::catalogue::Catalogue;
use platform::apps::{self, App, ChangeError, Details, RedirectUri};
use platform::audit::Actor;
use platform::{Db, Fault, Platform};
use serde::Deserialize;

use crate::config::Config;
use crate::demo::platform::{DemoPerson, Plan};
use crate::demo::seed;
use crate::state::{self, State};
use crate::worlds::World;

/// What its client keys begin with.
pub(crate) const KEY_MARK: &str = "sb";
/// What its tokens have behind their kind.
pub(crate) const TOKEN_MARK: &str = "sb.";
/// Its pages are below this path.
pub(crate) const ROOT: &str = "/sandbox";
/// Its schema in a PostgreSQL database.
pub(crate) const SCHEMA: &str = "portward_sandbox";
/// The strip above its pages.
const BANNER: &str = "Sandbox: the people and the data here are made up.";
/// Counted up when the made-up platform changes, so that an older one is made anew.
const EDITION: u32 = 1;

/// `[sandbox]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SandboxConfig {
    /// Whether there is one.
    pub(crate) enabled: bool,
    /// Where all of it lies.
    folder: PathBuf,
    /// How many rows its heavy person has.
    heavy_rows: u64,
    /// A made-up platform that is there already, and what it was made by: `dev` and `demo` have one to share.
    #[serde(skip)]
    pub(crate) shared: Option<(PathBuf, Plan)>,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self { enabled: true, folder: "sandbox".into(), heavy_rows: 20_000, shared: None }
    }
}

impl SandboxConfig {
    /// What its made-up platform is made by.
    pub(crate) fn plan(&self) -> Plan {
        self.shared.as_ref().map_or(Plan { heavy_rows: self.heavy_rows, ..Plan::default() }, |(_, plan)| *plan)
    }

    /// Its folder, as the file means it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// A synthetic person, as the sign-in page and the developer's page name them.
#[derive(Clone, Debug)]
pub(crate) struct Synthetic {
    pub(crate) username: String,
    pub(crate) display_name: String,
    pub(crate) region: &'static str,
    pub(crate) size: &'static str,
    /// Rows in all tables together.
    pub(crate) rows: u64,
    /// Whether their region is one whose people may have their data exported.
    pub(crate) eligible: bool,
}

impl Synthetic {
    /// How much there is of them: "heavy: 20,000 rows".
    pub(crate) fn size_words(&self) -> String {
        match self.rows {
            0 => format!("{}: no data at all", self.size),
            rows => format!("{}: {} rows", self.size, crate::demo::thousands(rows)),
        }
    }

    /// Where they live, and what that means.
    pub(crate) fn region_words(&self) -> String {
        if self.eligible { self.region.to_owned() } else { format!("{}, not served", self.region) }
    }
}

/// What every synthetic person signs in with.
pub(crate) const PASSWORD: &str = seed::PASSWORD;

/// Opens the sandbox's store; `None` without a sandbox.
pub(crate) async fn open_store(config: &Config) -> anyhow::Result<Option<(Config, Db)>> {
    let Some(own) = config.of_sandbox()? else { return Ok(None) };
    std::fs::create_dir_all(&own.folder).with_context(|| format!("sandbox.folder {}", own.folder.display()))?;
    let db = state::open_store_apart(&own, SCHEMA).await.context("the sandbox's store")?;
    Ok(Some((own, db)))
}

/// Opens the whole platform of the sandbox, making what is missing; `None` without a sandbox.
pub(crate) async fn open(config: &Config) -> anyhow::Result<Option<(Config, Arc<Platform>)>> {
    let Some((mut own, db)) = open_store(config).await? else { return Ok(None) };
    crate::run::prepare_schema(&db, config.store.migrate).await.context("the sandbox's store")?;
    let (folder, settings) = (own.folder.clone(), config.sandbox.clone());
    let file = tokio::task::spawn_blocking(move || made_up(&folder, &settings)).await?.context("the sandbox's data")?;
    // As it is from here, not from the folder of the sandbox.
    own.set_catalog_file(std::path::absolute(file)?);
    let catalogue = Catalogue::load(&own.catalog_file())?;
    let platform = state::open_platform_with(&own, db, catalogue).await.context("the sandbox")?;
    Ok(Some((own, Arc::new(Platform { world: platform::World::Sandbox, ..platform }))))
}

/// The catalogue's file of the made-up platform, which is made unless it is there as it should be.
fn made_up(folder: &Path, settings: &SandboxConfig) -> anyhow::Result<PathBuf> {
    if let Some((file, _)) = &settings.shared {
        return Ok(file.clone());
    }
    // Two programs that start at once make it one after the other; the second finds it made.
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    let plan = settings.plan();
    let made = folder.join(format!("made-up-{EDITION}-{}-{}", plan.seed, plan.heavy_rows));
    std::fs::create_dir_all(&made)?;
    let file = seed::demo_platform(&made, &plan, &|_, _| {})?;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let older = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("made-up-"));
        if older && path != made {
            tracing::info!(folder = %path.display(), "an older made-up platform is removed");
            std::fs::remove_dir_all(path)?;
        }
    }
    Ok(file)
}

/// The state of the sandbox's world, with its people in it.
pub(crate) async fn state(own: &Config, config: &Config, platform: Arc<Platform>, base_url: &str) -> anyhow::Result<State> {
    let plan = config.sandbox.plan();
    let cast = seed::demo_people(&platform, &format!("{base_url}{ROOT}"), &plan).await?;
    let eligibility = &platform.settings.eligibility;
    let synthetic = |person: DemoPerson| Synthetic {
        eligible: eligibility.holds(person.region),
        username: person.username,
        display_name: person.display_name,
        region: person.region,
        size: person.size.as_str(),
        rows: person.rows,
    };
    let people = cast.into_iter().map(synthetic).collect();
    let world = World::Sandbox { people };
    State::new(own, platform, base_url.to_owned(), Some(BANNER.to_owned()), world)
}

/// An app's credentials in the sandbox.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) app: App,
    /// The newest in force.
    pub(crate) secret: String,
    pub(crate) redirects: Vec<RedirectUri>,
}

/// Makes or brings up to date an app's double in the sandbox from the app's working copy; gives its client key, or none without a sandbox. Calling it
/// again changes nothing. What the working copy has wrong or unfinished is left out.
pub(crate) async fn sync(state: &State, app: &App, details: Details) -> Result<Option<String>, ChangeError> {
    let Some(sandbox) = state.world.sandbox() else { return Ok(None) };
    let double = double(&sandbox.platform, &sandbox.base_url, app, details).await?;
    Ok(Some(double.client_key))
}

/// As [`sync`], from the app as it is in force: for apps that have no working copy.
pub(crate) async fn sync_in_force(state: &State, app: &App) -> Result<Option<String>, ChangeError> {
    if state.world.sandbox().is_none() {
        return Ok(None);
    }
    let details = in_force(&state.platform, app).await?;
    sync(state, app, details).await
}

/// Makes or brings up to date the double, on the sandbox's platform.
pub(crate) async fn double(platform: &Platform, base_url: &str, app: &App, details: Details) -> Result<App, ChangeError> {
    let mut redirects = details.redirects.unwrap_or_default();
    // The built-in page comes last: should there be too many, it is the one to go.
    redirects.extend(built_in_callback(base_url).filter(|own| !redirects.contains(own)));
    let details = Details {
        redirects: Some(redirects),
        scopes: Some(seed::all_scopes(&platform.catalogue)),
        // A field that the working copy no longer has goes here too.
        description: Some(details.description.unwrap_or_default()),
        icon_url: Some(details.icon_url.unwrap_or_default()),
        terms_url: Some(details.terms_url.unwrap_or_default()),
        privacy_url: Some(details.privacy_url.unwrap_or_default()),
        webhook_url: Some(details.webhook_url.unwrap_or_default()),
        ..details
    };
    apps::mirror(platform, app, details).await
}

/// What an app in force says of itself.
pub(crate) async fn in_force(platform: &Platform, app: &App) -> Result<Details, Fault> {
    let redirects = apps::redirects(&mut platform.db.read().await?, app.app_id).await?;
    Ok(Details {
        name: Some(app.name.clone()),
        description: Some(app.description.clone()),
        icon_url: Some(app.icon_url.clone()),
        terms_url: Some(app.terms_url.clone()),
        privacy_url: Some(app.privacy_url.clone()),
        webhook_url: app.webhook_url.clone(),
        redirects: Some(redirects),
        ..Details::default()
    })
}

/// Ends an app's double, when the app is deleted: it can ask no more.
pub(crate) async fn end(state: &State, app: &App) -> Result<(), ChangeError> {
    let Some(sandbox) = state.world.sandbox() else { return Ok(()) };
    let mut tx = sandbox.platform.db.read().await.map_err(Fault::from)?;
    let Some(double) = apps::by_id(&mut tx, app.app_id).await? else { return Ok(()) };
    drop(tx);
    let details = Details { status: Some(apps::AppStatus::Revoked), ..Details::default() };
    apps::change(&sandbox.platform, Actor::System, &double.client_key, details).await.map(drop)
}

/// The credentials of an app in the sandbox; none without a sandbox, or before the first [`sync`].
pub(crate) async fn credentials(state: &State, app_id: i64) -> Result<Option<Credentials>, Fault> {
    match state.world.sandbox() {
        Some(sandbox) => held(&sandbox.platform, app_id).await,
        None => Ok(None),
    }
}

/// As [`credentials`], on the sandbox's platform.
pub(crate) async fn held(platform: &Platform, app_id: i64) -> Result<Option<Credentials>, Fault> {
    let mut tx = platform.db.read().await?;
    let Some(app) = apps::by_id(&mut tx, app_id).await? else { return Ok(None) };
    let secret = apps::secrets(platform, &mut tx, app_id).await?.pop().map(|secret| secret.to_string());
    let redirects = apps::redirects(&mut tx, app_id).await?;
    Ok(secret.map(|secret| Credentials { app, secret, redirects }))
}

/// The sandbox's own page for coming back to, where such an address can be registered.
pub(crate) fn built_in_callback(base_url: &str) -> Option<RedirectUri> {
    RedirectUri::parse(&format!("{base_url}{ROOT}/callback")).ok()
}
