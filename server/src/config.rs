//! `portward.toml`: what the operator sets. `portward.default.toml` explains every key; any of them can be given as
//! `PORTWARD__SECTION__KEY` in the environment.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use figment::Figment;
use figment::providers::{Env, Format, Toml};
use platform::provider::{Provider, Realm};
use platform::settings::{self, Settings};
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use crate::sandbox::{self, SandboxConfig};

/// All of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) tls: Tls,
    pub(crate) store: Store,
    pub(crate) vault: Folder,
    pub(crate) scratch: Folder,
    pub(crate) keys: KeyFile,
    pub(crate) catalog: CatalogFile,
    pub(crate) brand: Brand,
    pub(crate) log: Log,
    pub(crate) user_info: UserInfo,
    pub(crate) sandbox: SandboxConfig,
    tokens: settings::Tokens,
    requests: settings::Requests,
    eligibility: settings::Eligibility,
    quotas: settings::Quotas,
    sign_in: settings::SignIn,
    pub(crate) provider: settings::Providers,
    pub(crate) accounts: settings::Accounts,
    organisations: settings::Organisations,
    pub(crate) apps: settings::Apps,
    review: settings::Review,
    webhooks: settings::Webhooks,
    ownership: settings::Ownership,
    jobs: settings::Jobs,
    retention: settings::Retention,
    pub(crate) mail: settings::Mail,
    tickets: settings::Tickets,
    freezes: settings::Freezes,
    uploads: settings::Uploads,
    applications: settings::Applications,
    /// Relative paths begin at the folder of the file.
    #[serde(skip)]
    pub(crate) folder: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// Where people, apps and developers come in.
    pub(crate) listen: SocketAddr,
    /// Where the operator's own tools come in: health and metrics. Never to be public.
    pub(crate) ops_listen: SocketAddr,
    /// How others reach `listen`, when a proxy stands before it.
    pub(crate) public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// How long open connections may go on after a request to stop.
    pub(crate) stop_within: settings::Span,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            ops_listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
            public_url: None,
            trusted_proxies: Vec::new(),
            stop_within: settings::Span::seconds(20),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Store {
    url: String,
    url_file: Option<PathBuf>,
    pub(crate) connections: u32,
    /// Whether `serve` migrates an older schema; otherwise it refuses to start on one.
    pub(crate) migrate: bool,
}

impl Default for Store {
    fn default() -> Self {
        Self { url: "sqlite:portward.db".into(), url_file: None, connections: 16, migrate: true }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Folder {
    folder: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct KeyFile {
    file: PathBuf,
}

impl Default for KeyFile {
    fn default() -> Self {
        Self { file: "portward.keys".into() }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CatalogFile {
    file: PathBuf,
}

impl Default for CatalogFile {
    fn default() -> Self {
        Self { file: "catalog.toml".into() }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Brand {
    pub(crate) name: String,
    pub(crate) logo_url: Option<String>,
    pub(crate) accent: Option<String>,
    pub(crate) legal: Vec<Link>,
    pub(crate) support: Option<Link>,
}

impl Default for Brand {
    fn default() -> Self {
        Self { name: "Portward".into(), logo_url: None, accent: None, legal: Vec::new(), support: None }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Link {
    pub(crate) label: String,
    pub(crate) url: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// `text` or `json`.
    pub(crate) format: LogFormat,
    /// As tracing's directives: `info`, `info,platform=debug`.
    pub(crate) level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".into() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UserInfo {
    /// Whether one field without its scope refuses the whole call, as TikTok is said to do; else the field is left out
    /// (`client-rules.md` 22).
    pub(crate) strict: bool,
}

impl Config {
    /// Reads a file and the environment. A fault names the key, and where it was given.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        anyhow::ensure!(
            file.exists(),
            "there is no {}: copy portward.default.toml from the documentation and adapt it",
            file.display()
        );
        let text = Figment::new().merge(Toml::file_exact(file));
        let mut config = Self::layered(text).with_context(|| format!("{} cannot be used", file.display()))?;
        config.folder = file.parent().map(Path::to_owned).unwrap_or_default();
        Ok(config)
    }

    /// The defaults and the environment, with relative paths from a folder.
    pub(crate) fn defaults(folder: &Path) -> anyhow::Result<Self> {
        let mut config = Self::layered(Figment::new())?;
        config.folder = folder.to_owned();
        Ok(config)
    }

    fn layered(text: Figment) -> anyhow::Result<Self> {
        let config: Self = text.merge(Env::prefixed("PORTWARD__").split("__")).extract()?;
        config.is_sound()?;
        Ok(config)
    }

    /// What types cannot say.
    fn is_sound(&self) -> anyhow::Result<()> {
        let second = settings::Span::seconds(1);
        anyhow::ensure!(self.store.connections >= 4, "store.connections is at least 4: one listens, the others work");
        anyhow::ensure!(self.jobs.lease >= second, "jobs.lease is at least one second");
        anyhow::ensure!(self.jobs.poll >= settings::Span(std::time::Duration::from_millis(10)), "jobs.poll is at least 10 ms");
        let code = self.tokens.code;
        anyhow::ensure!(
            code <= settings::Span::minutes(10),
            "tokens.code is longer than ten minutes, the most that RFC 6749 recommends"
        );
        anyhow::ensure!((1..=9).contains(&self.requests.level), "requests.level is a level of DEFLATE, 1 to 9");
        anyhow::ensure!(self.tls.cert.is_some() == self.tls.key.is_some(), "tls.cert and tls.key are needed together");
        if let Some(accent) = &self.brand.accent {
            let known = crate::pages::view::brand_css(accent).is_some();
            anyhow::ensure!(known, "brand.accent {accent:?} is not a colour: write one such as #0a6a6e");
        }
        self.review.is_sound().map_err(anyhow::Error::msg)?;
        self.tickets.is_sound().map_err(anyhow::Error::msg)?;
        self.freezes.is_sound().map_err(anyhow::Error::msg)?;
        EnvFilter::try_new(&self.log.level).with_context(|| format!("log.level {:?}", self.log.level))?;
        Ok(())
    }

    /// The settings of the rules.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            tokens: self.tokens.clone(),
            requests: self.requests.clone(),
            eligibility: self.eligibility.clone(),
            quotas: self.quotas.clone(),
            sign_in: self.sign_in.clone(),
            accounts: self.accounts.clone(),
            organisations: self.organisations.clone(),
            apps: self.apps.clone(),
            review: {
                let mut review = self.review.clone();
                review.canned_texts = review.canned_texts.map(|file| self.path(&file));
                review
            },
            webhooks: self.webhooks.clone(),
            ownership: self.ownership.clone(),
            jobs: self.jobs.clone(),
            retention: self.retention.clone(),
            mail: self.mail.clone(),
            tickets: settings::Tickets {
                canned_texts: self.tickets.canned_texts.as_deref().map(|file| self.path(file)),
                ..self.tickets.clone()
            },
            freezes: self.freezes.clone(),
            site: settings::Site { base_url: self.base_url(), brand: self.brand.name.clone() },
            uploads: self.uploads.clone(),
            applications: self.applications.clone(),
        }
    }

    /// The configuration of the sandbox: as this one, with a folder of its own and nothing that points elsewhere. `None` if it is switched off.
    pub(crate) fn of_sandbox(&self) -> anyhow::Result<Option<Self>> {
        if !self.sandbox.enabled {
            return Ok(None);
        }
        let url = self.store_url()?;
        let url = if url.starts_with("sqlite:") { Store::default().url } else { url };
        // Fewer connections: the operator's database is not to give as many to what is made up.
        let connections = (self.store.connections / 2).max(4);
        let mut own = Self {
            folder: self.path(self.sandbox.folder()),
            store: Store { url, url_file: None, connections, migrate: self.store.migrate },
            vault: Folder::default(),
            scratch: Folder::default(),
            keys: KeyFile::default(),
            catalog: CatalogFile::default(),
            ..self.clone()
        };
        own.tokens.mark = sandbox::TOKEN_MARK;
        // Some of its people live where data can be asked for and some do not, whatever the operator serves.
        own.eligibility.regions = settings::Eligibility::default().regions;
        own.jobs.exports = 1;
        own.jobs.heavy_exports = 1;
        own.jobs.deliveries = own.jobs.deliveries.clamp(1, 2);
        own.sandbox.enabled = false;
        Ok(Some(own))
    }

    /// How others reach us, without a slash at the end: as the operator says, or the address at which we listen.
    pub(crate) fn base_url(&self) -> String {
        let listen = self.server.listen;
        // Nobody can call "any address" back; an IPv6 address needs its brackets, which `SocketAddr` writes.
        let host = if listen.ip().is_unspecified() { format!("localhost:{}", listen.port()) } else { listen.to_string() };
        let scheme = if self.tls.cert.is_some() { "https" } else { "http" };
        let url = self.server.public_url.clone().unwrap_or_else(|| format!("{scheme}://{host}"));
        url.trim_end_matches('/').to_owned()
    }

    /// The operator's OpenID providers: of people, and of staff. `base_url` is how browsers reach us.
    pub(crate) fn providers(&self, base_url: &str) -> anyhow::Result<(Option<Provider>, Option<Provider>)> {
        let open = |realm: Realm, settings: &Option<settings::Provider>| {
            let Some(settings) = settings else { return Ok(None) };
            let secret = match &settings.client_secret_file {
                Some(file) => {
                    let file = self.path(file);
                    let read = std::fs::read_to_string(&file);
                    Some(
                        read.with_context(|| format!("provider.{realm}.client_secret_file {}", file.display()))?
                            .trim()
                            .to_owned(),
                    )
                }
                None => settings.client_secret.as_ref().map(|secret| secret.0.clone()),
            };
            Ok::<_, anyhow::Error>(Some(Provider::new(realm, settings, secret, base_url)?))
        };
        Ok((open(Realm::People, &self.provider.people)?, open(Realm::Staff, &self.provider.staff)?))
    }

    /// Writes down what makes this gateway another than the default, so that `portward admin --config` finds the same one.
    pub(crate) fn write_down(&self, base_url: &str) -> anyhow::Result<()> {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let allow: Vec<String> = self.webhooks.allow.iter().map(|entry| text(entry)).collect();
        let toml = format!(
            "# Written by portward at each start.\n[server]\npublic_url = {}\n[catalog]\nfile = {}\n[brand]\nname = {}\n[webhooks]\nallow = [{}]\n[accounts]\nstaff_second_factor = {}\n",
            text(base_url),
            text(&self.catalog_file().display().to_string()),
            text(&self.brand.name),
            allow.join(", "),
            self.accounts.staff_second_factor,
        );
        Ok(std::fs::write(self.folder.join("portward.toml"), toml)?)
    }

    /// Lets webhooks go to a host that is not on the public Internet.
    pub(crate) fn allow_webhooks_to(&mut self, hosts: &[&str]) {
        self.webhooks.allow.extend(hosts.iter().map(|host| (*host).to_owned()));
    }

    /// The metadata store's address; a relative path of SQLite's begins at the folder.
    pub(crate) fn store_url(&self) -> anyhow::Result<String> {
        let url = match &self.store.url_file {
            Some(file) => {
                let file = self.path(file);
                std::fs::read_to_string(&file).with_context(|| format!("store.url_file {}", file.display()))?.trim().to_owned()
            }
            None => self.store.url.clone(),
        };
        Ok(match url.strip_prefix("sqlite:") {
            Some(path) => format!("sqlite:{}", self.path(Path::new(path.trim_start_matches("//"))).display()),
            None => url,
        })
    }

    pub(crate) fn vault_folder(&self) -> PathBuf {
        self.path(self.vault.folder.as_deref().unwrap_or(Path::new("vault")))
    }

    pub(crate) fn scratch_folder(&self) -> PathBuf {
        self.path(self.scratch.folder.as_deref().unwrap_or(Path::new("scratch")))
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.path(&self.keys.file)
    }

    pub(crate) fn catalog_file(&self) -> PathBuf {
        self.path(&self.catalog.file)
    }

    pub(crate) fn set_catalog_file(&mut self, file: PathBuf) {
        self.catalog.file = file;
    }

    /// A path as the file means it.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        if path.is_absolute() { path.to_owned() } else { self.folder.join(path) }
    }
}
