//! `portward demo`: the whole job, made and told, on the made-up platform or on a database of the user's own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::platform::Platform;
use ::platform::apps::Details;
use anyhow::Context;
use archive::catalogue::{ALL_DATA, Catalogue};
use clap::Args;
use client::DataFormat;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::dev::BANNER;
use super::journey::{self, Built, JourneyPlan};
use super::platform::{self, Plan};
use super::receiver::Receiver;
use super::tell::Tell;
use super::{bar, own_folder, seed};
use crate::config::Config;
use crate::run::{self, Doors, House};
use crate::{serve, state};

const FOLDER: &str = "portward-demo";
/// Marks a folder as made by `demo`.
const MARK: &str = ".portward-demo";
/// Longer than the largest of demonstrations takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(3600);
/// Where the app's own server listens if it can.
const APP_PORT: u16 = 8090;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// End after the journey, with an exit status
    #[arg(long)]
    once: bool,
    /// Show it on the heavy person, who then has so many rows
    #[arg(long, conflicts_with = "person")]
    heavy_rows: Option<u64>,
    /// Show it on your own SQLite database
    #[arg(long, value_name = "FILE", requires_all = ["catalog", "person"])]
    input: Option<PathBuf>,
    /// The catalogue of your own database
    #[arg(long, value_name = "FILE", requires = "person")]
    catalog: Option<PathBuf>,
    /// Who it is about: their subject in your database
    #[arg(long, value_name = "ID", requires = "catalog")]
    person: Option<String>,
}

/// Who is shown, and what can be expected.
struct Cast {
    username: String,
    display_name: String,
    expected_rows: Option<u64>,
}

/// Makes everything, makes the journey, and serves on.
pub(crate) async fn demo(args: DemoArgs) -> anyhow::Result<()> {
    let mut tell = Tell::stdout();
    own_folder(Path::new(FOLDER), MARK, true)?;
    let folder = Path::new(FOLDER).canonicalize()?;
    let mut config = Config::defaults(&folder)?;
    config.log.level = "warn".into();
    run::start_log(&config)?;
    config.server.listen = free(config.server.listen).await?;
    config.server.ops_listen = free(config.server.ops_listen).await?;
    config.brand.name = if args.catalog.is_some() { "Your platform".into() } else { seed::BRAND.into() };
    config.accounts.staff_second_factor = false;
    config.allow_webhooks_to(&["127.0.0.0/8", "::1", "localhost"]);

    // On somebody's own database there is nothing for it to share, and nobody who develops against it.
    config.sandbox.enabled = args.catalog.is_none();

    tell.title("Portward: an app asks, a person agrees, the archive is built and downloaded");
    let plan = Plan { heavy_rows: args.heavy_rows.unwrap_or(Plan::default().heavy_rows), ..Plan::default() };
    let catalogue = match (&args.catalog, &args.input) {
        (Some(file), input) => own_catalogue(&mut config, file, input.as_deref())?,
        (None, _) => {
            let bar = bar();
            let made = seed::demo_platform(&folder, &plan, &|done, total| {
                bar.set_length(total);
                bar.set_position(done);
            })?;
            bar.finish_and_clear();
            config.sandbox.shared = Some((made.clone(), plan));
            config.set_catalog_file(made);
            Catalogue::load(&config.catalog_file())?
        }
    };
    let category = if catalogue.category(ALL_DATA).is_some() {
        ALL_DATA.to_owned()
    } else {
        catalogue.categories().first().context("the catalogue has no category")?.name.clone()
    };
    let family = catalogue.category(&category).map(|category| category.scope.clone()).unwrap_or_default();

    let sections = catalogue.sections().iter().map(|section| section.path.clone()).collect();

    let doors = Doors::open(&mut config).await?;
    let db = state::open_store(&config).await?;
    db.migrate().await?;
    let brand = config.brand.name.clone();
    let gateway = Arc::new(state::open_platform_with(&config, db, catalogue).await?);
    if args.catalog.is_some() {
        let faults = gateway.sources.check(&gateway.catalogue).await;
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow::ensure!(told.is_empty(), "the catalogue does not fit the database:\n{}", told.join("\n"));
    }
    // Somebody's own data are not made up.
    let banner = args.catalog.is_none().then(|| BANNER.to_owned());
    let house = House::open(doors, config.clone(), Arc::clone(&gateway), banner).await?;
    config.write_down(&house.base_url)?;
    let cast = match &args.person {
        Some(subject) => own_person(&gateway, subject).await?,
        None => demo_person(&gateway, &house.base_url, &plan, args.heavy_rows).await?,
    };
    let receiver = Receiver::start(APP_PORT).await?;
    let app_name = "Clipkeeper";
    let redirects = [receiver.redirect_uri(), format!("{}/callback", house.base_url)];
    let app = seed::app(
        &gateway,
        &folder,
        Details {
            name: Some(app_name.into()),
            description: Some("Keeps a copy of what is yours.".into()),
            webhook_url: Some(receiver.webhook_url()),
            redirects: Some(seed::redirects(redirects.iter().map(String::as_str))?),
            ..Details::default()
        },
    )
    .await?;

    let (base_url, ops_address) = (house.base_url.clone(), house.ops_address);
    // Asked once and remembered: an interrupt between two steps counts too.
    let interrupted = CancellationToken::new();
    let (asked, signal) = (serve::asked_to_stop(), interrupted.clone());
    tokio::spawn(async move {
        asked.await;
        signal.cancel();
    });
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let serving = tokio::spawn(house.run(async move { stopped.cancelled().await }));
    let clock = gateway.clock.clone();
    let journey = JourneyPlan {
        base_url: base_url.clone(),
        platform: brand,
        app: app_name.into(),
        client_key: app.client_key.clone(),
        client_secret: app.client_secret.clone(),
        person: cast.display_name,
        username: cast.username.clone(),
        password: seed::PASSWORD.into(),
        scopes: vec![wire::BASIC_SCOPE.into(), format!("{family}.single")],
        categories: vec![category],
        format: DataFormat::Json,
        receiver,
        gauge: gauge(Arc::clone(&gateway)),
        expected_rows: cast.expected_rows,
        now: Box::new(move || clock.now().0),
        archive: folder.join("archive.zip"),
        sections,
        limit: LIMIT,
        root_pem: None,
    };
    let report = tokio::select! {
        report = journey::run(journey, &mut tell) => report,
        () = interrupted.cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    if let (Ok((_, link)), false) = (&report, args.once) {
        tell.line("");
        tell.title("Still serving, until you press Ctrl-C");
        tell.fact("decide yourself", link.as_str());
        tell.fact("sign in", &format!("{base_url}/login"));
        tell.fact("connections", &format!("{base_url}/connections"));
        tell.fact("operations", &format!("http://{ops_address}/metrics"));
        tell.fact("as", &format!("{} with the password {}", cast.username, seed::PASSWORD));
        tell.fact("client key", &app.client_key);
        tell.fact("client secret", &app.client_secret);
        tell.fact("archive", &format!("{FOLDER}/archive.zip"));
        tell.fact("admin", &format!("portward admin --config {FOLDER}/portward.toml request list"));
        interrupted.cancelled().await;
    }
    stop.cancel();
    serving.await??;
    report.map(drop)
}

/// The address, or a free port of its host if something listens there.
async fn free(wanted: SocketAddr) -> anyhow::Result<SocketAddr> {
    Ok(match TcpListener::bind(wanted).await {
        Ok(_) => wanted,
        Err(_) => SocketAddr::new(wanted.ip(), 0),
    })
}

/// The user's own catalogue. `--input` says where its one SQLite source is, whatever the catalogue says.
fn own_catalogue(config: &mut Config, file: &Path, input: Option<&Path>) -> anyhow::Result<Catalogue> {
    config.set_catalog_file(std::path::absolute(file)?);
    let mut catalogue = Catalogue::load(&config.catalog_file())?;
    if let Some(input) = input {
        anyhow::ensure!(input.is_file(), "--input {}: there is no such file", input.display());
        let input = std::path::absolute(input)?;
        catalogue.read_from_sqlite(&input).context("--input")?;
    }
    Ok(catalogue)
}

async fn demo_person(gateway: &Platform, base_url: &str, plan: &Plan, heavy: Option<u64>) -> anyhow::Result<Cast> {
    let cast = seed::demo_people(gateway, base_url, plan).await?;
    let size = if heavy.is_some() { platform::Size::Heavy } else { platform::Size::Typical };
    let person = cast.iter().find(|person| person.size == size).context("the demo platform has nobody of that size")?;
    Ok(Cast { username: person.username.clone(), display_name: person.display_name.clone(), expected_rows: heavy })
}

async fn own_person(gateway: &Platform, subject: &str) -> anyhow::Result<Cast> {
    // Any region that the operator serves will do: it is the user's own machine.
    let region = gateway.settings.eligibility.regions.first().cloned().unwrap_or_default();
    seed::own_person(gateway, "me", subject, &region).await?;
    Ok(Cast { username: "me".into(), display_name: format!("the person {subject}"), expected_rows: None })
}

/// Reads how far the export in this process is.
fn gauge(gateway: Arc<Platform>) -> journey::Gauge {
    Box::new(move |request| {
        let progress = gateway.progress.of(request.get());
        progress.map_or(Built::default(), |progress| Built {
            rows: progress.rows.load(Ordering::Relaxed),
            bytes: progress.bytes.load(Ordering::Relaxed),
            sections_done: progress.sections_done.load(Ordering::Relaxed),
            sections_total: progress.sections_total.load(Ordering::Relaxed),
        })
    })
}
