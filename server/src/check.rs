//! `portward check`: says whether everything that is configured can be used, and what to do where it cannot.

use std::path::Path;

use archive::catalogue::Catalogue;
use archive::discover::Level;
use platform::applications::canned;
use platform::db::SchemaState;
use platform::toml_file::BadLines;
use platform::{Clock, Random, keys, notices, properties, tickets, vault, webhooks};

use crate::config::Config;
use crate::out::{self, say};
use crate::{catalog, sandbox, serve, state};

/// Scope strings longer than this do not fit the columns of clients that are widely used (`client-rules.md` 16).
const SCOPE_WIDTH: usize = 249;

/// `portward check`
pub(crate) async fn check(file: &Path) -> anyhow::Result<()> {
    let config = Config::read(file)?;
    say!("configuration   ok      {}", file.display());
    let mut report = Report { faults: 0, unsaid: None };
    if let (Some(cert), Some(key)) = (&config.tls.cert, &config.tls.key) {
        report.line("tls", serve::tls(&config.path(cert), &config.path(key)).map(|_| cert.display().to_string()));
    }
    let (clock, random) = (Clock::System, Random::system());
    report.line(
        "keys",
        keys::Keys::open(&config.key_file(), &random, clock.now()).map(|_| config.key_file().display().to_string()),
    );
    report.line(
        "ownership",
        properties::Sites::open(&config.settings().ownership).map(|_| "address guard and name servers set".to_owned()),
    );
    report.line("webhooks", webhooks::Outbound::new(&config.settings().webhooks).map(|_| "address guard set".to_owned()));
    providers(&config, clock.now(), &mut report).await;
    mail(&config, &mut report).await;
    let folder = config.vault_folder();
    if folder.exists() {
        match vault::Vault::folder(&folder) {
            Ok(vault) => report.line("vault", vault.check().await.map(|()| folder.display().to_string())),
            Err(fault) => report.line("vault", Err::<String, _>(fault)),
        }
    } else {
        report.line("vault", Ok::<_, anyhow::Error>(format!("{} will be made at first start", folder.display())));
    }
    let forms = platform::forms::Forms::open(&config.settings().applications, &config.brand.name, &config.folder);
    report.line("forms", forms.map(|forms| format!("{}, terms {}", forms.current().key(), forms.terms.version)));
    texts(&config, &mut report);
    store(&config, "store", None, &mut report).await;
    if let Some(own) = config.of_sandbox()? {
        store(&own, "sandbox", Some(sandbox::SCHEMA), &mut report).await;
    }
    let catalogue = match Catalogue::load(&config.catalog_file()) {
        Ok(catalogue) => {
            let told = format!("edition {}, {} categories", catalogue.edition, catalogue.categories().len());
            report.line("catalogue", Ok::<_, anyhow::Error>(told));
            catalogue
        }
        Err(fault) => {
            report.line("catalogue", Err::<String, _>(fault));
            return report.end();
        }
    };
    let folder = config.catalog_file();
    match catalog::check::findings(&catalogue, folder.parent().unwrap_or(Path::new("."))).await {
        Ok((_, found)) => {
            if found.iter().all(|finding| finding.level != Level::Fault) {
                report.line("sources", Ok::<_, anyhow::Error>("every section can be read".to_owned()));
            }
            for finding in found {
                let at = finding.place.map(|place| format!("{place}: ")).unwrap_or_default();
                let told = format!("{at}{}; {}", finding.what, finding.cure);
                match finding.level {
                    Level::Fault => report.line("sources", Err::<String, _>(told)),
                    Level::Warning => report.warning("sources", format_args!("{told}")),
                    Level::Note => report.note("sources", format_args!("{told}")),
                }
            }
        }
        Err(fault) => report.line("sources", Err::<String, _>(fault.what)),
    }
    report.end()
}

/// Asks each provider that is set for its discovery document and keys.
async fn providers(config: &Config, now: platform::Millis, report: &mut Report) {
    let base_url = config.server.public_url.clone().unwrap_or_else(|| format!("http://{}", config.server.listen));
    let providers = match config.providers(base_url.trim_end_matches('/')) {
        Ok((people, staff)) => [("people", people), ("staff", staff)],
        Err(fault) => return report.line("provider", Err::<String, _>(fault)),
    };
    for (realm, provider) in providers {
        let Some(provider) = provider else { continue };
        let told = provider.check(now).await.map(|keys| format!("{realm}: {keys} keys; its callback is {}", provider.callback()));
        report.line("provider", told.map_err(|why| format!("{realm}: {why}")));
    }
}

/// Reads the operator's texts for staff, where there are any.
fn texts(config: &Config, report: &mut Report) {
    let settings = config.settings();
    let decisions = |text: &str| canned::parse(text).map(|texts| texts.len());
    let answers = |text: &str| tickets::canned::parse(text).map(|texts| texts.len());
    for (file, parse) in [
        (&settings.review.canned_texts, &decisions as &dyn Fn(&str) -> Result<usize, BadLines>),
        (&settings.tickets.canned_texts, &answers),
    ] {
        let Some(file) = file else { continue };
        let told = match std::fs::read_to_string(file) {
            Ok(text) => parse(&text)
                .map(|count| format!("{count} in {}", file.display()))
                .map_err(|bad| format!("{}: {bad}", file.display())),
            Err(fault) => Err(format!("{}: {fault}", file.display())),
        };
        report.line("texts", told);
    }
}

/// Whether the mail server answers and lets us in.
async fn mail(config: &Config, report: &mut Report) {
    match notices::Mail::open(&config.mail, &config.folder) {
        Ok(notices::Mail::Smtp(smtp)) => {
            let checked = smtp.check().await.map(|()| format!("{smtp} takes mail"));
            report.line("mail", checked.map_err(anyhow::Error::msg));
        }
        Ok(_) => {
            report.note("mail", format_args!("mail.host is not set: mails are written into a folder and reach nobody"));
        }
        Err(fault) => report.line("mail", Err::<String, _>(fault)),
    }
}

async fn store(config: &Config, what: &'static str, apart: Option<&'static str>, report: &mut Report) {
    match config.store_url() {
        Ok(url) if url.strip_prefix("sqlite:").is_some_and(|path| !Path::new(path).exists()) => {
            return report.line(what, Ok::<_, anyhow::Error>(format!("{url} will be made at first start")));
        }
        Ok(_) => {}
        Err(fault) => return report.line(what, Err::<String, _>(fault)),
    }
    let opened = match apart {
        None => state::open_store(config).await,
        Some(schema) => state::open_store_apart(config, schema).await,
    };
    let db = match opened {
        Ok(db) => db,
        Err(fault) => return report.line(what, Err::<String, _>(fault)),
    };
    let schema = db.schema().await;
    let current = matches!(schema, Ok(SchemaState::Current));
    let told = match schema {
        Ok(SchemaState::Current) => Ok(format!("{}, schema current", db.engine())),
        Ok(SchemaState::Behind(count)) => Ok(format!("{}, {count} migrations to be run by `portward migrate`", db.engine())),
        Ok(SchemaState::Ahead(version)) => Err(anyhow::anyhow!("the schema is of version {version}, made by a later Portward")),
        Err(fault) => Err(fault.into()),
    };
    report.line(what, told);
    if current
        && apart.is_none()
        && let Ok(mut tx) = db.read().await
    {
        let mut after = String::new();
        while let Ok(apps) = platform::apps::list(&mut tx, &after, 100).await {
            let Some(last) = apps.last() else { break };
            after.clone_from(&last.client_key);
            for app in &apps {
                let width = platform::apps::scopes(&mut tx, app.app_id).await.map_or(0, |scopes| scopes.to_string().len());
                if width > SCOPE_WIDTH {
                    let (name, key) = (&app.name, &app.client_key);
                    let words = "characters; clients that keep them in 250 cannot";
                    report.note("apps", format_args!("{name} ({key}): its scopes have {width} {words}"));
                }
            }
        }
    }
    db.close().await;
}

struct Report {
    faults: usize,
    /// Why a line could not be printed.
    unsaid: Option<std::io::Error>,
}

impl Report {
    fn line<E: std::fmt::Display>(&mut self, what: &str, result: Result<String, E>) {
        match result {
            Ok(told) => self.say(format_args!("{what:<15} ok      {told}")),
            Err(fault) => {
                self.faults += 1;
                self.say(format_args!("{what:<15} FAULT   {fault}"));
            }
        }
    }

    fn note(&mut self, what: &str, words: std::fmt::Arguments<'_>) {
        self.say(format_args!("{what:<15} note    {words}"));
    }

    fn warning(&mut self, what: &str, words: std::fmt::Arguments<'_>) {
        self.say(format_args!("{what:<15} warning {words}"));
    }

    fn say(&mut self, words: std::fmt::Arguments<'_>) {
        let said = out::line(words);
        self.unsaid = self.unsaid.take().or(said.err());
    }

    fn end(self) -> anyhow::Result<()> {
        if let Some(fault) = self.unsaid {
            return Err(fault.into());
        }
        match self.faults {
            0 => Ok(()),
            1 => anyhow::bail!("1 fault"),
            count => anyhow::bail!("{count} faults"),
        }
    }
}
