//! `portward archive verify`

use std::process::ExitCode;

use archive::verify::{Report, Signature, Verdict, verify as judge};
use clap::Args;
use serde_json::json;

use super::keys::{Keys, WhichKeys};
use super::{UNJUDGED, WhichArchive, open};
use crate::demo::thousands;
use crate::out::say;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    which: WhichArchive,
    #[command(flatten)]
    keys: WhichKeys,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn verify(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let keys = args.keys.read().await?;
    let file = open(&args.which.file)?;
    let public = keys.keys.clone();
    let report = tokio::task::spawn_blocking(move || judge(file, &public)).await??;
    let verdict = report.verdict();
    if args.json {
        let manifest = report.manifest.as_ref();
        say!(
            "{:#}",
            json!({
                "verdict": verdict,
                "signature": report.signature,
                "findings": report.findings,
                "members": report.members,
                "bytes": report.bytes,
                "content_bytes": report.content_bytes,
                "request": manifest.map(|manifest| &manifest.request),
                "app": manifest.map(|manifest| &manifest.app),
                "operator": manifest.map(|manifest| &manifest.operator),
            })
        );
    } else {
        tell(&report, verdict, &keys)?;
    }
    Ok(match verdict {
        Verdict::Verified => ExitCode::SUCCESS,
        Verdict::Broken => ExitCode::FAILURE,
        Verdict::Unproven => ExitCode::from(UNJUDGED),
    })
}

fn tell(report: &Report, verdict: Verdict, keys: &Keys) -> anyhow::Result<()> {
    for finding in &report.findings {
        match &finding.file {
            Some(file) => say!("FAULT  {file} {}", finding.what),
            None => say!("FAULT  {}", finding.what),
        }
    }
    say!(
        "{} members, {} bytes, {} before compression",
        thousands(report.members),
        thousands(report.bytes),
        thousands(report.content_bytes)
    );
    if let Some(manifest) = &report.manifest {
        say!(
            "says that {} made it for {}, request {}",
            line(&manifest.operator.name),
            line(&manifest.app.name),
            line(&manifest.request.id)
        );
    }
    match &report.signature {
        Signature::None => say!("not signed"),
        Signature::Unchecked { kid } => {
            say!("signed by {}, which was not checked: give the operator's keys with --keys or --key", line(kid))
        }
        Signature::Good { kid } => {
            let published = keys.published(kid);
            let since = published.and_then(|key| key.from.as_deref()).map(|from| format!(", which signs since {}", line(from)));
            say!("signed by {kid}{}", since.unwrap_or_default());
            if published.and_then(|key| key.world.as_deref()) == Some("sandbox") {
                say!("a key of the sandbox: its people are made up");
            }
        }
        Signature::Bad { kid } => say!("the signature of {} does not count", line(kid)),
    }
    match verdict {
        Verdict::Verified => say!("\nVERIFIED: it is whole, and signed by a key that you gave"),
        Verdict::Unproven if report.manifest.is_none() => {
            say!("\nUNPROVEN: it is whole as a ZIP archive; it says nothing of itself, and nothing proves who made it")
        }
        Verdict::Unproven => say!("\nUNPROVEN: it is what it says; nothing proves who made it"),
        Verdict::Broken => say!("\nBROKEN: do not rely on it"),
    }
    Ok(())
}

/// What an archive says, without what would do something to a terminal.
pub(super) fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
