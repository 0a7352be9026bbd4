//! What every handler shares.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Context;
use archive::catalogue::Catalogue;
use archive::source::Sources;
use platform::failures::Failures;
use platform::people::{Directory, SignIn};
use platform::provider::Provider;
use platform::{Clock, Db, Platform, Random, keys, notices, quotas, vault, webhooks};

use crate::config::Config;
use crate::pages::view;
use crate::worlds::World;

/// Handlers hold it by a cheap clone.
#[derive(Clone, Debug)]
pub(crate) struct State(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) platform: Arc<Platform>,
    pub(crate) sign_in: SignIn,
    /// Where staff can sign in beside by a password.
    pub(crate) staff_provider: Option<Provider>,
    pub(crate) brand: Arc<view::Brand>,
    pub(crate) accent: String,
    /// Without a slash at the end.
    pub(crate) base_url: String,
    /// `None`, or what a strip above every page says.
    pub(crate) banner: Option<String>,
    pub(crate) user_info_strict: bool,
    pub(crate) trusted_proxies: Vec<IpAddr>,
    pub(crate) limits: Limits,
    /// What the open books keep for the next reader.
    pub(crate) books: crate::pages::portal::books::Books,
    pub(crate) world: World,
}

/// Sign-ins at the operator's provider that one address may begin within a time: more than an office full of people needs.
const SIGN_INS: (u32, std::time::Duration) = (300, std::time::Duration::from_secs(600));

/// Limits on failures.
#[derive(Debug)]
pub(crate) struct Limits {
    /// By account, at sign-in.
    pub(crate) accounts: Failures,
    /// By address, at sign-in.
    pub(crate) addresses: Failures,
    /// By account of a developer or of staff, at sign-in.
    pub(crate) holders: Failures,
    /// By account, codes of the second factor.
    pub(crate) codes: Failures,
    /// By address, what sends a mail to somebody who is not known yet.
    pub(crate) mails: Failures,
    /// By app, at the token endpoint.
    pub(crate) apps: Failures,
    /// By address, calls with wrong service tokens.
    pub(crate) services: Failures,
    /// By address: how many sign-ins at the operator's provider are begun. Each leaves a row for ten minutes.
    pub(crate) sign_ins: Failures,
}

impl std::ops::Deref for State {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl State {
    pub(crate) fn new(
        config: &Config,
        platform: Arc<Platform>,
        base_url: String,
        banner: Option<String>,
        world: World,
    ) -> anyhow::Result<Self> {
        // The sandbox's people are made up: no provider knows them.
        let providers = if world.is_sandbox() { (None, None) } else { config.providers(&base_url)? };
        let sign_in = &platform.settings.sign_in;
        let window = sign_in.window.0;
        let accounts = &platform.settings.accounts;
        let limits = Limits {
            accounts: Failures::new(sign_in.failures_per_account, window),
            addresses: Failures::new(sign_in.failures_per_address, window),
            holders: Failures::new(accounts.failures_per_account, accounts.window.0),
            codes: Failures::new(accounts.code_failures, accounts.window.0),
            mails: Failures::new(accounts.mails_per_address, accounts.window.0),
            apps: Failures::new(platform.settings.tokens.failures_per_minute, std::time::Duration::from_secs(60)),
            services: Failures::new(sign_in.failures_per_address, window),
            sign_ins: Failures::new(SIGN_INS.0, SIGN_INS.1),
        };
        let pair = |link: &crate::config::Link| (link.label.clone(), link.url.clone());
        let brand = view::Brand {
            name: config.brand.name.clone(),
            logo_url: config.brand.logo_url.clone(),
            legal: config.brand.legal.iter().map(pair).collect(),
            support: config.brand.support.as_ref().map(pair),
        };
        let sign_in = providers.0.map_or_else(|| SignIn::Directory(Directory::default()), |it| SignIn::Provider(Arc::new(it)));
        Ok(Self(Arc::new(Shared {
            platform,
            sign_in,
            staff_provider: providers.1,
            brand: Arc::new(brand),
            accent: config.brand.accent.clone().unwrap_or_else(|| view::DEFAULT_ACCENT.to_owned()),
            base_url,
            banner,
            user_info_strict: config.user_info.strict,
            trusted_proxies: config.server.trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
            limits,
            books: crate::pages::portal::books::Books::default(),
            world,
        })))
    }

    /// A path of a person's page, as it is in this world.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.world.root())
    }

    /// Whether people reach us over TLS, so that cookies can be kept to it.
    pub(crate) fn is_secure(&self) -> bool {
        self.base_url.starts_with("https://")
    }
}

/// Opens the metadata store, as `store.url` says.
pub(crate) async fn open_store(config: &Config) -> anyhow::Result<Db> {
    let url = store_url(config)?;
    Ok(Db::open(&url, config.store.connections).await?)
}

/// As [`open_store`], apart from other stores in the same database.
pub(crate) async fn open_store_apart(config: &Config, schema: &'static str) -> anyhow::Result<Db> {
    let url = store_url(config)?;
    Ok(Db::open_apart(&url, schema, config.store.connections).await?)
}

fn store_url(config: &Config) -> anyhow::Result<String> {
    let url = config.store_url()?;
    if let Some(folder) = url.strip_prefix("sqlite:").map(std::path::Path::new).and_then(std::path::Path::parent) {
        std::fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    }
    Ok(url)
}

/// Builds the platform from the configuration, on a store whose schema is as it should be.
pub(crate) async fn open_platform(config: &Config, db: Db) -> anyhow::Result<Platform> {
    let catalogue = Catalogue::load(&config.catalog_file())?;
    crate::catalog::publish::warn_of_early(&catalogue, &config.catalog_file());
    open_platform_with(config, db, catalogue).await
}

/// As [`open_platform`], with a catalogue that was loaded before.
pub(crate) async fn open_platform_with(config: &Config, db: Db, catalogue: Catalogue) -> anyhow::Result<Platform> {
    let (clock, random) = (Clock::System, Random::system());
    let keys = keys::Keys::open(&config.key_file(), &random, clock.now())?;
    let folder = config.catalog_file();
    let sources = Sources::open(&catalogue, folder.parent().unwrap_or(&config.folder)).await?;
    let scratch = config.scratch_folder();
    std::fs::create_dir_all(&scratch).with_context(|| format!("the scratch folder {}", scratch.display()))?;
    let settings = config.settings();
    let outbound = webhooks::Outbound::new(&settings.webhooks)?;
    let trials = webhooks::Trials::new(&settings.webhooks);
    let sites = platform::properties::Sites::open(&settings.ownership)?;
    let inspector = crate::inspect::inspector(&settings)?;
    let forms = platform::forms::Forms::open(&settings.applications, &config.brand.name, &config.folder)?;
    let mail = notices::Mail::open(&settings.mail, &config.folder)?;
    Ok(Platform {
        world: platform::World::Production,
        db,
        clock,
        random,
        keys,
        vault: vault::Vault::folder(&config.vault_folder())?,
        catalogue: Arc::new(catalogue),
        sources: Arc::new(sources),
        quotas: quotas::Quotas::default(),
        settings,
        mail,
        outbound,
        trials,
        sites,
        scratch,
        progress: platform::export::Running::default(),
        freezes: platform::freezes::Look::default(),
        access: platform::access_log::AccessLog::default(),
        inspector,
        forms,
    })
}
