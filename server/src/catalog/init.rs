//! `portward catalog init`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use archive::discover::{Head, ServiceWish, Wish, draft, draft_of_service};
use clap::Args;
use url::Url;

use super::{counted, now};
use crate::out::say;

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The database: `sqlite:shop.db`, `postgres://reader@db.example/shop`, `mysql://reader@db.example/shop`; or a service: `https://people.internal/api/`
    #[arg(long, value_name = "URL")]
    source: String,
    /// The table in which a person is one row, perhaps with its schema: `users`, `crm.customers`
    #[arg(long, value_name = "TABLE")]
    person_table: Option<String>,
    /// Of a service: what it answers somebody's rows at, as in `/people/:subject/orders?since=:since&until=:until`; repeat for more
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
    /// Of a service: somebody for whom it has rows; their names and types are looked at, and no value is kept
    #[arg(long, value_name = "ID")]
    person: Option<String>,
    /// Of a service: the file of its bearer token, from the folder of the catalogue
    #[arg(long, value_name = "FILE")]
    token_file: Option<String>,
    /// Of a service: the file of certificates (PEM) to trust instead of the system's, from the folder of the catalogue
    #[arg(long, value_name = "FILE")]
    ca_file: Option<String>,
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
    let head = Head { edition, source, address };
    let is_service = ["http://", "https://"].iter().any(|begin| args.source.starts_with(begin));
    let draft = if is_service {
        let (false, Some(person)) = (args.paths.is_empty(), args.person.clone()) else {
            anyhow::bail!(
                "a service does not say what it has: name a path for each section, --path '/people/:subject/orders', and --person ID, \
                 somebody for whom it has rows"
            )
        };
        let wish = ServiceWish {
            url: args.source.clone(),
            paths: args.paths.clone(),
            person,
            token_file: args.token_file.clone(),
            ca_file: args.ca_file.clone(),
            head,
        };
        draft_of_service(&wish, folder).await?
    } else {
        let of_services = !args.paths.is_empty() || args.person.is_some() || args.token_file.is_some() || args.ca_file.is_some();
        anyhow::ensure!(!of_services, "--path, --person, --token-file and --ca-file are for services, at http:// or https://");
        let person_table = args.person_table.clone().context("name the table that people are in: --person-table users")?;
        let wish = Wish { url: args.source.clone(), person_table, person_key: args.person_key.clone(), head };
        draft(&wish, Path::new("")).await?
    };
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
        None => match Url::parse(url) {
            // A service is called by where it is, not by its path.
            Ok(url) if url.scheme().starts_with("http") => {
                url.domain().and_then(|host| host.split('.').next()).unwrap_or_default().to_owned()
            }
            Ok(url) => url.path().trim_matches('/').to_owned(),
            Err(_) => String::new(),
        },
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
        assert_eq!(name("https://people.internal/api/"), "people");
        assert_eq!(name("http://127.0.0.1:8080/api/"), "main");
    }
}
