//! The catalogue that ships: TikTok's layout of late 2025 for the demo platform, carried in the binary.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The name of the catalogue's main file in the folder that [`write_catalog`] fills.
pub(crate) const MAIN_FILE: &str = "catalog.toml";

macro_rules! files {
    ($($name:literal)*) => { &[$(($name, include_str!($name))),*] };
}

const FILES: &[(&str, &str)] = files! {
    "catalog.toml"
    "sections/01-comment.toml"
    "sections/02-direct-message.toml"
    "sections/03-income-wallet.toml"
    "sections/04-likes-and-favorites.toml"
    "sections/05-location-review.toml"
    "sections/06-post.toml"
    "sections/07-profile-and-settings.toml"
    "sections/08-tiktok-live.toml"
    "sections/09-tiktok-shop.toml"
    "sections/10-your-activity.toml"
};

/// What the main file says of its one source, as shipped.
const KIND: &str = "kind = \"sqlite\"\n";
const URL: &str = "url  = \"sqlite:clips.db\"\n";

/// Where the catalogue's one source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    /// A SQLite file; a relative path counts from the folder that the sources are opened with.
    Sqlite(&'a Path),
    /// A PostgreSQL database, by URL.
    #[allow(dead_code, reason = "no command points the shipped catalogue at PostgreSQL yet; the tests of both engines do")]
    Postgres(&'a str),
}

/// Writes the catalogue into `dir`, which is made if it is missing, and gives back the path of the main file.
///
/// A file that is there already is refused.
pub(crate) fn write_catalog(dir: &Path, source: Source<'_>) -> Result<PathBuf> {
    let (kind, url) = match source {
        Source::Sqlite(path) => {
            let path = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
            ("sqlite", format!("sqlite:{path}"))
        }
        Source::Postgres(url) => ("postgres", url.to_owned()),
    };
    DirBuilder::new()
        .recursive(true)
        .create(dir.join("sections"))
        .with_context(|| format!("cannot make the folder {}", dir.display()))?;
    for (name, text) in FILES {
        let path = dir.join(name);
        let text = match *name {
            MAIN_FILE => {
                text.replacen(KIND, &format!("kind = \"{kind}\"\n"), 1).replacen(URL, &format!("url  = {}\n", quoted(&url)), 1)
            }
            _ => (*text).to_owned(),
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(dir.join(MAIN_FILE))
}

/// A TOML string. JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests;
