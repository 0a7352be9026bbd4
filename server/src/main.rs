//! `portward`: the data portability gateway. Each role is a command: `serve`, `worker`, `dev`, `demo` and the operator's tools.

mod admin;
mod api;
mod archive;
mod catalog;
mod check;
mod config;
mod demo;
mod http;
mod inspect;
mod out;
mod pages;
mod run;
mod sandbox;
mod serve;
mod state;
mod worlds;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// The data portability gateway.
#[derive(Debug, Parser)]
#[command(name = "portward", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole job on a made-up platform, or on your own database, and keep serving it
    Demo(demo::DemoArgs),
    /// Write the made-up platform's database by itself
    DemoData(demo::DemoDataArgs),
    /// Serve the made-up platform for developing apps against it
    Dev(demo::DevArgs),
    /// Serve people and apps, and work the queue
    Serve(ConfigArgs),
    /// Work the queue only
    Worker(ConfigArgs),
    /// Bring the metadata store's schema up to this version
    Migrate(ConfigArgs),
    /// Check configuration, catalogue, sources, store and vault
    Check(ConfigArgs),
    /// Draft a catalogue from a database, check it, and see what a person would get
    Catalog(catalog::CatalogArgs),
    /// Verify an archive off line, see what is in it, and compare it with its sources
    Archive(archive::ArchiveArgs),
    /// Look at and change what the gateway knows
    Admin(admin::AdminArgs),
    /// Read a PDF from standard input within limits; for our own use
    #[command(hide = true)]
    InspectPdf,
}

#[derive(Clone, Debug, Args)]
struct ConfigArgs {
    /// The configuration file
    #[arg(long, default_value = "portward.toml", env = "PORTWARD_CONFIG")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::InspectPdf) {
        // Before there are threads, which would count against its limits.
        return inspect::inspect_pdf();
    }
    // Every connection out and in uses this one provider; it must be there before the first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(fault) => {
            eprintln!("portward: no threads to run on: {fault}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Demo(args) => demo::demo(args).await,
            Command::DemoData(args) => demo::demo_data(args).await,
            Command::Dev(args) => demo::dev(args).await,
            Command::Serve(args) => run::serve(&args.config).await,
            Command::Worker(args) => run::worker(&args.config).await,
            Command::Migrate(args) => run::migrate(&args.config).await,
            Command::Check(args) => check::check(&args.config).await,
            Command::Catalog(args) => return catalog::catalog(args).await,
            Command::Archive(args) => return Ok(archive::archive(args).await),
            Command::Admin(args) => admin::admin(args).await,
            Command::InspectPdf => Ok(()),
        }
        .map(|()| ExitCode::SUCCESS)
    });
    // Threads that still read a database or a file must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match done {
        Ok(code) => code,
        Err(fault) => {
            eprintln!("portward: {fault:#}");
            ExitCode::FAILURE
        }
    }
}
