//! `portward dev`: the demo platform served for developing apps against it. The names of its arguments and of its JSON line are fixed (design 7).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ::platform::apps::Details;
use archive::catalogue::Catalogue;
use clap::Args;
use serde_json::json;

use super::platform::Plan;
use super::{bar, own_folder, portal, seed};
use crate::config::Config;
use crate::out::say;
use crate::run::{self, Doors, House};
use crate::{serve, state};

/// Marks a folder as made by `dev`.
const MARK: &str = ".portward-dev";
/// The strip above every page.
pub(super) const BANNER: &str = "Demonstration: the people and the data here are made up.";

#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Print one line of JSON once it is ready, and nothing else
    #[arg(long)]
    json: bool,
    /// Where people and apps come in; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where health and metrics are
    #[arg(long, default_value = "127.0.0.1:9090")]
    ops_listen: SocketAddr,
    /// Where everything is kept; a folder made by an earlier `dev` is used again
    #[arg(long, default_value = "portward-dev")]
    data_dir: PathBuf,
    /// Serve this catalogue instead of the demo platform's
    #[arg(long)]
    catalog: Option<PathBuf>,
    /// How many rows the heavy person has
    #[arg(long, default_value_t = Plan::default().heavy_rows)]
    heavy_rows: u64,
    /// A redirect URI of the seeded app; repeat for more
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// Where the seeded app's events go
    #[arg(long)]
    webhook_url: Option<String>,
    /// A PEM file with a certificate chain: serves TLS
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// A PEM file with its key
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// Seeds, serves, and works.
pub(crate) async fn dev(args: DevArgs) -> anyhow::Result<()> {
    own_folder(&args.data_dir, MARK, false)?;
    let folder = args.data_dir.canonicalize()?;
    let mut config = Config::defaults(&folder)?;
    run::start_log(&config)?;
    config.server.listen = args.listen;
    config.server.ops_listen = args.ops_listen;
    let absolute = |path: Option<PathBuf>| path.map(std::path::absolute).transpose();
    (config.tls.cert, config.tls.key) = (absolute(args.tls_cert)?, absolute(args.tls_key)?);
    config.brand.name = seed::BRAND.into();
    config.accounts.staff_second_factor = false;
    config.allow_webhooks_to(&["127.0.0.0/8", "::1", "localhost"]);

    let plan = Plan { heavy_rows: args.heavy_rows, ..Plan::default() };
    let bar = bar();
    let made = seed::demo_platform(&folder, &plan, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    // The sandbox's people live on the same made-up platform: it need not be made twice.
    config.sandbox.shared = Some((made.clone(), plan));
    config.set_catalog_file(match &args.catalog {
        Some(file) => std::path::absolute(file)?,
        None => made,
    });
    let catalogue = Catalogue::load(&config.catalog_file())?;
    let doors = Doors::open(&mut config).await?;
    let db = state::open_store(&config).await?;
    db.migrate().await?;
    let gateway = Arc::new(state::open_platform_with(&config, db, catalogue).await?);
    let house = House::open(doors, config.clone(), Arc::clone(&gateway), Some(BANNER.to_owned())).await?;
    config.write_down(&house.base_url)?;

    let own = format!("{}/callback", house.base_url);
    let redirect_uris: Vec<String> = args.redirect_uris.into_iter().chain([own]).collect();
    let portal = portal::seed(&config, &gateway).await?;
    let cast = seed::demo_people(&gateway, &house.base_url, &plan).await?;
    let app = seed::app(
        &gateway,
        &folder,
        Details {
            name: Some("Clipkeeper".into()),
            description: Some("Keeps your clips and what you watched in one place that is yours.".into()),
            terms_url: Some("https://clipkeeper.example/terms".into()),
            privacy_url: Some("https://clipkeeper.example/privacy".into()),
            webhook_url: Some(args.webhook_url.unwrap_or_default()),
            redirects: Some(seed::redirects(redirect_uris.iter().map(String::as_str))?),
            ..Details::default()
        },
    )
    .await?;

    let people = cast.iter().map(|person| {
        json!({
            "username": person.username,
            "password": seed::PASSWORD,
            "region": person.region,
            "size": person.size.as_str(),
        })
    });
    let line = json!({
        "base_url": house.base_url,
        "ops_url": format!("http://{}", house.ops_address),
        "client_key": app.client_key,
        "client_secret": app.client_secret,
        "redirect_uris": redirect_uris,
        "people": people.collect::<Vec<_>>(),
        "staff": portal.staff.iter().map(|member| {
            json!({ "username": member.email, "password": portal::PASSWORD, "role": member.role })
        }).collect::<Vec<_>>(),
        "developer": { "username": portal.developer, "password": portal::PASSWORD },
        "data_dir": folder,
    });
    let stop = serve::asked_to_stop();
    if args.json {
        // The listeners are bound: whoever connects from now on is answered as soon as `run` is under way.
        say!("{line}");
    } else {
        say!("Portward is ready at {}", house.base_url);
        say!("  client key     {}", app.client_key);
        say!("  client secret  {}", app.client_secret);
        for uri in &redirect_uris {
            say!("  redirect URI   {uri}");
        }
        say!("  people         all sign in with the password {}", seed::PASSWORD);
        for person in &cast {
            say!("                 {:<10} {:<8} {}", person.username, person.size.as_str(), person.region);
        }
        say!("  operations     http://{}/metrics", house.ops_address);
        say!("  data folder    {}", folder.display());
        say!("  admin          portward admin --config {}", folder.join("portward.toml").display());
    }
    house.run(stop).await
}
