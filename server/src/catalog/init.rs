//! `portward catalog init`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use archive::discover::{Head, Wish, draft};
use clap::Args;
use url::Url;

use super::{counted, now};
use crate::out::say;

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The database: `sqlite:shop.db`, `postgres://reader@db.example/shop`, `mysql://reader@db.example/shop`
    #[arg(long, value_name = "URL")]
    source: String,
    /// The table in which a person is one row, perhaps with its schema: `users`, `crm.customers`
    #[arg(long, value_name = "TABLE")]
    person_table: String,
    /// The column that names a person; by default the primary key
    #[arg(long, value_name = "COLUMN")]
    person_key: Option<String>,
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "catalog.toml")]
    out: PathBuf,
    /// The edition, in your own words; by default today's date
    #[arg(long)]
    edition: Option<String>,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

pub(super) async fn init(args: InitArgs) -> anyhow::Result<()> {
    let out = &args.out;
    anyhow::ensure!(
        args.force || !out.exists(),
        "{} is there already: choose another --out, or write over it with --force",
        out.display()
    );
    let folder = out.parent().unwrap_or(Path::new(""));
    anyhow::ensure!(folder.as_os_str().is_empty() || folder.is_dir(), "there is no folder {}", folder.display());
    let edition = args.edition.clone().unwrap_or_else(|| now().strftime("%Y-%m-%d").to_string());
    let source = name(&args.source);
    let (address, secret) = address(&args.source, &source, folder)?;
    let wish = Wish {
        url: args.source.clone(),
        person_table: args.person_table.clone(),
        person_key: args.person_key.clone(),
        head: Head { edition, source, address },
    };
    let draft = draft(&wish, Path::new("")).await?;
    if let Some((file, url)) = &secret {
        write_secret(file, url).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    std::fs::write(out, &draft.text).with_context(|| format!("{} cannot be written", out.display()))?;
    say!(
        "{}: {} in {}, {} excused.",
        out.display(),
        counted(draft.sections, "section"),
        counted(draft.categories, "category"),
        counted(draft.excused, "table")
    );
    if let Some((file, _)) = secret {
        say!("The address has a password: it is in {}, readable by you alone; keep it out of version control.", file.display());
    }
    if draft.unsure > 0 {
        say!(
            "It was unsure {}: look for `# unsure:`.",
            if draft.unsure == 1 { "once".to_owned() } else { format!("{} times", draft.unsure) }
        );
    }
    let which = if out.as_os_str() == "catalog.toml" { String::new() } else { format!(" --catalog {}", out.display()) };
    say!("Next: portward catalog check{which}, then portward catalog preview{which} --person ID");
    Ok(())
}

/// A name for the source: the database's own.
fn name(url: &str) -> String {
    let last = match url.strip_prefix("sqlite:") {
        Some(path) => Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned(),
        None => Url::parse(url).map(|url| url.path().trim_matches('/').to_owned()).unwrap_or_default(),
    };
    let plain: String = last
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect::<String>()
        .trim_matches('_')
        .to_owned();
    if plain.is_empty() { "main".to_owned() } else { plain }
}

/// A key of `[source]` and its value.
type Entry = (String, String);

/// How the catalogue says where the database is, and what has to be written beside it when that has a password.
fn address(url: &str, source: &str, folder: &Path) -> anyhow::Result<(Entry, Option<(PathBuf, String)>)> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = Path::new(path.strip_prefix("//").unwrap_or(path));
        // Relative paths in a catalogue begin at its folder.
        let path = if path.is_absolute() || folder.as_os_str().is_empty() || folder == Path::new(".") {
            path.to_owned()
        } else {
            std::fs::canonicalize(path).with_context(|| format!("{} cannot be found", path.display()))?
        };
        return Ok((("url".to_owned(), format!("sqlite:{}", path.display())), None));
    }
    let has_password =
        Url::parse(url).is_ok_and(|url| url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password"));
    if has_password {
        let file = format!("{source}.url");
        return Ok((("url_file".to_owned(), file.clone()), Some((folder.join(file), url.to_owned()))));
    }
    Ok((("url".to_owned(), url.to_owned()), None))
}

fn write_secret(file: &Path, url: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    writeln!(options.open(file)?, "{url}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_out_of_the_catalogue() {
        let told = |url: &str| address(url, "shop", Path::new("")).map(|(entry, _)| entry).ok();
        let entry = |key: &str, value: &str| Some((key.to_owned(), value.to_owned()));
        assert_eq!(told("postgres://reader:hush@db.example/shop"), entry("url_file", "shop.url"));
        assert_eq!(told("postgres://db.example/shop?password=hush"), entry("url_file", "shop.url"));
        assert_eq!(told("postgres://reader@db.example/shop"), entry("url", "postgres://reader@db.example/shop"));
        assert_eq!(told("sqlite:shop.db"), entry("url", "sqlite:shop.db"));
        assert_eq!(name("postgres://reader@db.example/web-shop?sslmode=require"), "web_shop");
        assert_eq!(name("sqlite:/var/lib/My Shop.db"), "my_shop");
        assert_eq!(name("postgres://db.example"), "main");
    }
}
