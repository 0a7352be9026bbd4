//! What a worker does for a request, without a server around it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use archive::catalogue::Catalogue;
use archive::source::Sources;
use archive::write::{Order, Progress};
use clap::Args;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[arg(long)]
    catalogue: PathBuf,
    /// One or several, one after another.
    #[arg(long, value_delimiter = ',')]
    subject: Vec<String>,
    #[arg(long)]
    out: PathBuf,
    #[arg(long)]
    level: u32,
    /// So many of each at once.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
}

pub(crate) fn export(args: ExportArgs) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let catalogue = Arc::new(Catalogue::load(&args.catalogue)?);
        let sources = Sources::open(&catalogue, args.catalogue.parent().unwrap_or(Path::new("."))).await?;
        let mut json_bytes = 0;
        for subject in &args.subject {
            let mut jobs = Vec::new();
            for job in 0..args.jobs {
                let order = Order {
                    subject: subject.clone(),
                    categories: vec![archive::catalogue::ALL_DATA.into()],
                    format: archive::write::Format::Json,
                    at: jiff::Timestamp::from_second(1_793_491_200)?,
                    since: None,
                    until: None,
                    identity: archive::write::Identity::default(),
                    level: args.level,
                    documents: None,
                };
                let file = if job == 0 { std::fs::File::create(&args.out)? } else { tempfile::tempfile()? };
                let (catalogue, progress) = (catalogue.clone(), Arc::<Progress>::default());
                jobs.push(archive::write::write(catalogue, &sources, order, file, progress, CancellationToken::new()));
            }
            for made in futures_util::future::join_all(jobs).await {
                json_bytes += made?.json_bytes;
            }
        }
        println!("{{\"json_bytes\":{json_bytes}}}");
        Ok(())
    })
}
