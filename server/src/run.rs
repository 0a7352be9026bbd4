//! The roles that run until they are told to stop: `serve` and `worker`; and `migrate`.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use platform::db::SchemaState;
use platform::{Db, Platform};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};
use crate::out::say;
use crate::state::{self, State};
use crate::worlds::World;
use crate::{sandbox, serve};

/// `portward serve`
pub(crate) async fn serve(file: &Path) -> anyhow::Result<()> {
    let mut config = Config::read(file)?;
    start_log(&config)?;
    let doors = Doors::open(&mut config).await?;
    let db = state::open_store(&config).await?;
    prepare_schema(&db, config.store.migrate).await?;
    let platform = Arc::new(state::open_platform(&config, db).await?);
    let house = House::open(doors, config, Arc::clone(&platform), None).await?;
    // A source that is down must not hold up the start; the operator is told all the same.
    tokio::spawn(async move {
        let examined = platform.sources.examine(&platform.catalogue).await;
        for fault in examined.faults {
            tracing::warn!(%fault, "a section cannot be read as it is");
        }
        for warning in examined.warnings {
            tracing::warn!(%warning, "a section is read and should be looked at");
        }
    });
    if house.has_directory() {
        tracing::warn!(
            "people sign in by passwords kept here, which is meant for development and small installations: set [provider.people]"
        );
    }
    let stop = serve::asked_to_stop();
    tracing::info!(address = %house.public_address, url = house.base_url, ops = %house.ops_address, "serving");
    house.run(stop).await
}

/// `portward worker`
pub(crate) async fn worker(file: &Path) -> anyhow::Result<()> {
    let config = Config::read(file)?;
    start_log(&config)?;
    let db = state::open_store(&config).await?;
    prepare_schema(&db, config.store.migrate).await?;
    let platform = Arc::new(state::open_platform(&config, db).await?);
    let asked_to_stop = serve::asked_to_stop();
    let stop = CancellationToken::new();
    let sandbox = sandbox::open(&config).await?.map(|(_, platform)| platform);
    let rooms = TaskTracker::new();
    for platform in [Some(&platform), sandbox.as_ref()].into_iter().flatten() {
        rooms.spawn(platform::jobs::run(Arc::clone(platform), stop.clone()));
    }
    asked_to_stop.await;
    stop.cancel();
    rooms.close();
    rooms.wait().await;
    platform.db.close().await;
    if let Some(sandbox) = sandbox {
        sandbox.db.close().await;
    }
    Ok(())
}

/// `portward migrate`
pub(crate) async fn migrate(file: &Path) -> anyhow::Result<()> {
    let config = Config::read(file)?;
    migrate_store(state::open_store(&config).await?, "").await?;
    if let Some((_, db)) = sandbox::open_store(&config).await? {
        migrate_store(db, "Sandbox: ").await?;
    }
    Ok(())
}

async fn migrate_store(db: Db, whose: &str) -> anyhow::Result<()> {
    match db.schema().await? {
        SchemaState::Current => say!("{whose}The schema is current."),
        SchemaState::Behind(count) => {
            db.migrate().await?;
            say!("{whose}{count} migration{} run; the schema is current.", if count == 1 { "" } else { "s" });
        }
        // `migrate` tells what is wrong with it.
        SchemaState::Ahead(_) => db.migrate().await?,
    }
    db.close().await;
    Ok(())
}

/// Migrates, or refuses to go on, as the operator has set.
pub(crate) async fn prepare_schema(db: &Db, migrate: bool) -> anyhow::Result<()> {
    match db.schema().await? {
        SchemaState::Current => Ok(()),
        SchemaState::Behind(count) if !migrate => {
            anyhow::bail!("the store lacks {count} migrations, and store.migrate is off: run `portward migrate` first")
        }
        SchemaState::Behind(_) | SchemaState::Ahead(_) => Ok(db.migrate().await?),
    }
}

/// Begins to log to standard error: standard output belongs to the commands' own results.
pub(crate) fn start_log(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log.level).with_context(|| format!("log.level {:?}", config.log.level))?;
    let colours = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let started = match config.log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|fault| anyhow::anyhow!("logging cannot be started: {fault}"))
}

/// The listeners. They are bound before the rooms are opened, so that mails and pages know the address under which we are reached.
#[derive(Debug)]
pub(crate) struct Doors {
    public: TcpListener,
    ops: TcpListener,
}

impl Doors {
    /// Binds them; the configuration then names the addresses that were given, also where it asked for any free port.
    pub(crate) async fn open(config: &mut Config) -> anyhow::Result<Self> {
        let bind = async |key: &str, address: SocketAddr| {
            TcpListener::bind(address).await.with_context(|| format!("{key} {address} cannot be listened at"))
        };
        let public = bind("server.listen", config.server.listen).await?;
        let ops = bind("server.ops_listen", config.server.ops_listen).await?;
        (config.server.listen, config.server.ops_listen) = (public.local_addr()?, ops.local_addr()?);
        Ok(Self { public, ops })
    }
}

/// A gateway with its listeners bound, ready to be run.
pub(crate) struct House {
    pub(crate) platform: Arc<Platform>,
    sandbox: Option<Arc<Platform>>,
    pub(crate) public_address: SocketAddr,
    pub(crate) ops_address: SocketAddr,
    /// How others reach us; no slash at the end.
    pub(crate) base_url: String,
    state: State,
    public: TcpListener,
    ops: TcpListener,
    tls: Option<tokio_rustls::TlsAcceptor>,
    grace: std::time::Duration,
    metrics: PrometheusHandle,
}

impl House {
    pub(crate) async fn open(
        doors: Doors,
        config: Config,
        platform: Arc<Platform>,
        banner: Option<String>,
    ) -> anyhow::Result<Self> {
        let Doors { public, ops } = doors;
        let (public_address, ops_address) = (public.local_addr()?, ops.local_addr()?);
        let tls = match (&config.tls.cert, &config.tls.key) {
            (Some(cert), Some(key)) => Some(serve::tls(&config.path(cert), &config.path(key))?),
            (None, None) => None,
            _ => anyhow::bail!("tls.cert and tls.key are needed together"),
        };
        let base_url = config.base_url();
        if !platform.mail.is_real() && banner.is_none() {
            let folder = config.path(&config.mail.folder);
            tracing::warn!(folder = %folder.display(), "mail.host is not set: mails are written into a folder and reach nobody");
        }
        // A second recorder in one process (tests) keeps the first.
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = recorder.handle();
        let _ = metrics::set_global_recorder(recorder);
        let (sandbox, sandbox_platform) = match sandbox::open(&config).await? {
            Some((own, platform)) => {
                (Some(sandbox::state(&own, &config, Arc::clone(&platform), &base_url).await?), Some(platform))
            }
            None => (None, None),
        };
        platform::editions::record(&platform).await?;
        let world = World::Production { sandbox };
        let state = State::new(&config, Arc::clone(&platform), base_url.clone(), banner, world)?;
        let grace = config.server.stop_within.0;
        Ok(Self {
            platform,
            sandbox: sandbox_platform,
            public_address,
            ops_address,
            base_url,
            state,
            public,
            ops,
            tls,
            grace,
            metrics,
        })
    }

    /// Whether people sign in by passwords kept here.
    fn has_directory(&self) -> bool {
        matches!(self.state.sign_in, platform::people::SignIn::Directory(_))
    }

    /// Serves and works until `until` resolves, then ends in order: no new calls, no new jobs, then what runs.
    pub(crate) async fn run(self, until: impl Future<Output = ()>) -> anyhow::Result<()> {
        let stop = CancellationToken::new();
        let rooms = TaskTracker::new();
        let public = serve::public(self.state.clone());
        rooms.spawn(serve::serve(self.public, public, self.tls, stop.clone(), self.grace));
        for platform in [Some(&self.platform), self.sandbox.as_ref()].into_iter().flatten() {
            rooms.spawn(platform::jobs::run(Arc::clone(platform), stop.clone()));
        }
        // The writers of the access log go on until the last call has ended.
        let (writers, calls_ended) = (TaskTracker::new(), CancellationToken::new());
        for platform in [Some(&self.platform), self.sandbox.as_ref()].into_iter().flatten() {
            let (platform, calls_ended) = (Arc::clone(platform), calls_ended.clone());
            writers.spawn(async move { platform::access_log::run(&platform, calls_ended).await });
        }
        let ops = serve::ops(self.state, self.metrics, stop.clone());
        let ops_stop = CancellationToken::new();
        let ops = tokio::spawn(serve::serve(self.ops, ops, None, ops_stop.clone(), std::time::Duration::from_secs(1)));
        until.await;
        tracing::info!("stopping");
        stop.cancel();
        rooms.close();
        rooms.wait().await;
        ops_stop.cancel();
        ops.await?;
        calls_ended.cancel();
        writers.close();
        writers.wait().await;
        self.platform.db.close().await;
        if let Some(sandbox) = self.sandbox {
            sandbox.db.close().await;
        }
        Ok(())
    }
}
