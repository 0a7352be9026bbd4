//! `portward admin notices`: what mails say, and what became of them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use platform::Platform;
use platform::notices::{self, Kind, Notice};
use platform::settings::Site;
use serde_json::{Value, json};

use super::time;
use crate::config::Config;
use crate::out::{self, say};

#[derive(Debug, Subcommand)]
pub(super) enum NoticesVerb {
    /// Show what a mail says, with made-up names
    Preview {
        /// Which; without it, their names are listed
        #[arg(value_parser = kind, conflicts_with = "all")]
        kind: Option<Kind>,
        /// All of them
        #[arg(long)]
        all: bool,
        /// The page instead of the text
        #[arg(long)]
        html: bool,
        /// Write a .txt and an .html file for each into this folder instead
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
    /// Send a test mail: whoever works the queue takes it to the mail server
    Test {
        /// To whom
        to: String,
    },
    /// List the latest mails: to whom, and what became of them
    List {
        /// About this application, ticket, account or app
        #[arg(long)]
        about: Option<i64>,
        /// How many
        #[arg(long, default_value_t = 50)]
        limit: i64,
    },
}

fn kind(word: &str) -> Result<Kind, String> {
    Kind::parse(word)
        .ok_or_else(|| format!("there is no such mail; {}", super::words(Kind::ALL.iter().map(|kind| kind.as_str()))))
}

/// What can be told without a store; `None` for the rest.
pub(super) fn preview(config: &Path, verb: &NoticesVerb) -> Option<anyhow::Result<()>> {
    let NoticesVerb::Preview { kind, all, html, out } = verb else { return None };
    let kinds = match kind {
        Some(kind) => std::slice::from_ref(kind),
        None => Kind::ALL,
    };
    Some(if kind.is_none() && !all && out.is_none() {
        Kind::ALL.iter().try_for_each(|kind| Ok(out::line(format_args!("{kind}"))?))
    } else {
        show(config, kinds, *html, out.as_deref())
    })
}

fn show(config: &Path, kinds: &[Kind], html: bool, out: Option<&Path>) -> anyhow::Result<()> {
    let site = if config.exists() { Config::read(config)?.settings().site } else { Site::default() };
    for (at, kind) in kinds.iter().enumerate() {
        let rendered = notices::sample(*kind).render(&site)?;
        let text = format!("Subject: {}\n\n{}", rendered.subject, rendered.text);
        let Some(folder) = out else {
            let line = if at > 0 { "\n".to_owned() + &"=".repeat(76) + "\n\n" } else { String::new() };
            say!("{line}{}", if html { &rendered.html } else { &text });
            continue;
        };
        std::fs::create_dir_all(folder).with_context(|| format!("--out {}", folder.display()))?;
        for (ending, content) in [("txt", &text), ("html", &rendered.html)] {
            let file = folder.join(format!("{kind}.{ending}"));
            std::fs::write(&file, content).with_context(|| format!("{}", file.display()))?;
        }
    }
    if let Some(folder) = out {
        say!("{} mails written to {}", kinds.len(), folder.display());
    }
    Ok(())
}

pub(super) async fn notices(platform: &Platform, verb: NoticesVerb) -> anyhow::Result<Value> {
    let (about, limit) = match verb {
        NoticesVerb::List { about, limit } => (about, limit),
        NoticesVerb::Test { to } => {
            let mut tx = platform.db.begin().await?;
            let at = time(platform.now());
            notices::send(platform, &mut tx, &to, None, Notice::Test { at }).await?;
            tx.commit().await?;
            return Ok(json!({ "to": to, "state": "waiting" }));
        }
        // Shown before a store was opened.
        NoticesVerb::Preview { .. } => return Ok(Value::Null),
    };
    let mut tx = platform.db.read().await?;
    let rows = notices::list(&mut tx, about, limit).await?.into_iter().map(|row| {
        let state = match (row.sent_at, row.given_up_at) {
            (Some(_), _) => "sent",
            (None, Some(_)) => "given up",
            (None, None) => "waiting",
        };
        json!({
            "notice_id": row.notice_id.to_string(),
            "kind": row.kind.as_str(),
            "to": row.recipient,
            "about": row.about_id.map(|id| id.to_string()),
            "state": state,
            "attempts": row.attempts,
            "created_at": time(row.created_at),
            "sent_at": row.sent_at.map(time),
            "last_error": row.last_error,
        })
    });
    Ok(Value::Array(rows.collect()))
}
