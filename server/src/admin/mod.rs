//! `portward admin`: the operator's hand on what the gateway knows. Every change goes through the same functions as calls and pages, and is
//! audited. With `--json` each command prints one JSON value.

mod audit;
mod freeze;
mod notices;
mod staff;
mod tokens;

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use comfy_table::Table;
use platform::apps::{self, App, AppStatus, Details, RedirectUri};
use platform::audit::Actor;
use platform::people::{self, NewPerson, Person};
use platform::quotas::RequestType;
use platform::requests::{self, Request};
use platform::settings::Span;
use platform::{Fault, Millis, Platform, jobs};
use serde_json::{Map, Value, json};
use wire::ScopeSet;

use crate::config::Config;
use crate::out::{self, say};
use crate::{sandbox, state};

#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    /// The configuration file
    #[arg(long, default_value = "portward.toml", env = "PORTWARD_CONFIG", global = true)]
    config: PathBuf,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Debug, Subcommand)]
enum Noun {
    /// Apps: who may ask
    #[command(subcommand)]
    App(AppVerb),
    /// Quotas: requests a minute
    #[command(subcommand)]
    Quota(QuotaVerb),
    /// People: whose data it is
    #[command(subcommand)]
    Person(PersonVerb),
    /// Requests: calls for data
    #[command(subcommand)]
    Request(RequestVerb),
    /// Jobs: background work
    #[command(subcommand)]
    Job(JobVerb),
    /// Keys: what seals secrets and archives
    #[command(subcommand)]
    Keys(KeysVerb),
    /// Signing: the keys that sign what archives say of themselves
    #[command(subcommand)]
    Signing(SigningVerb),
    /// Staff: who reviews, helps and administers
    #[command(subcommand)]
    Staff(staff::StaffVerb),
    /// Notices: mails to developers and staff
    #[command(subcommand)]
    Notices(notices::NoticesVerb),
    /// Freeze: the brake. Stop an app, a category, a source or everything at once; a second person confirms or lifts it
    #[command(subcommand)]
    Freeze(freeze::FreezeVerb),
    /// Tokens: by which your own programs call the operator's part of /v1
    #[command(subcommand)]
    Tokens(tokens::TokensVerb),
    /// Audit: who did what, and whether the record is whole
    #[command(subcommand)]
    Audit(audit::AuditVerb),
    /// Everything that can be done in the portal and the console, and what each needs
    Acts,
}

#[derive(Debug, Subcommand)]
enum AppVerb {
    /// Make an app; prints its secret, once
    Create(AppFields),
    /// List all apps
    List,
    /// Show an app
    Show {
        /// Its client key
        client_key: String,
    },
    /// Change an app
    Set {
        /// Its client key
        client_key: String,
        #[command(flatten)]
        fields: AppFields,
    },
    /// Show an app's credentials in the sandbox, made now if there are none yet
    Sandbox {
        /// Its client key in production
        client_key: String,
    },
    /// Give an app another secret; prints it, once
    RotateSecret {
        /// Its client key
        client_key: String,
        /// How long the earlier secret goes on
        #[arg(long, default_value = "24 h", value_parser = span)]
        overlap: Span,
    },
}

#[derive(Debug, Args)]
struct AppFields {
    /// Shown to people
    #[arg(long)]
    name: Option<String>,
    /// Shown to people, at most 120 characters
    #[arg(long)]
    description: Option<String>,
    /// Address of its icon
    #[arg(long)]
    icon_url: Option<String>,
    /// Address of its terms
    #[arg(long)]
    terms_url: Option<String>,
    /// Address of its privacy policy
    #[arg(long)]
    privacy_url: Option<String>,
    /// Where its events go; empty for nowhere
    #[arg(long)]
    webhook_url: Option<String>,
    /// draft, in_review, not_approved, live, suspended or revoked
    #[arg(long, value_parser = status)]
    status: Option<AppStatus>,
    /// Whether it must use PKCE
    #[arg(long)]
    require_pkce: Option<bool>,
    /// A redirect URI; repeat for more. Replaces those there were
    #[arg(long = "redirect-uri", value_parser = redirect)]
    redirects: Vec<RedirectUri>,
    /// The scopes it may ask for, separated by commas; repeat for more. Replaces those there were
    #[arg(long = "scope")]
    scopes: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum QuotaVerb {
    /// Give an app its own quota
    Set {
        /// Its client key
        client_key: String,
        /// add, check, cancel or download
        #[arg(value_parser = request_type)]
        request_type: RequestType,
        /// Requests in any minute
        per_minute: u32,
    },
    /// Give an app the operator's default again
    Clear {
        /// Its client key
        client_key: String,
        /// add, check, cancel or download
        #[arg(value_parser = request_type)]
        request_type: RequestType,
    },
}

#[derive(Debug, Subcommand)]
enum PersonVerb {
    /// Add a person
    Add {
        /// By which they sign in
        username: String,
        /// Who they are in your databases
        #[arg(long)]
        subject: String,
        /// ISO 3166 code, such as DE
        #[arg(long)]
        region: String,
        /// How they call themselves
        #[arg(long)]
        name: Option<String>,
        /// Where they are written to when an app they let in is stopped for good
        #[arg(long)]
        email: Option<String>,
        /// A file that holds the password; - reads standard input. Without it one is made and printed
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// List people
    List,
    /// Delete a person: apps lose access, archives go. They stay deleted, also when your OpenID provider signs them in
    Delete {
        /// By which they sign in
        username: String,
    },
    /// Let a deleted person come in by your OpenID provider again, as somebody new
    Readmit {
        /// Their number, as `delete` told it
        person_id: i64,
    },
}

#[derive(Debug, Subcommand)]
enum RequestVerb {
    /// List the latest requests
    List {
        /// Of one app only
        #[arg(long)]
        client_key: Option<String>,
        /// How many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Show a request
    Show {
        /// Its number
        request_id: i64,
    },
    /// Take a failed request up again
    Retry {
        /// Its number
        request_id: i64,
    },
}

#[derive(Debug, Subcommand)]
enum JobVerb {
    /// List jobs, those given up first
    List {
        /// How many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Take a job that was given up back to the queue
    Retry {
        /// Its number
        job_id: i64,
    },
}

#[derive(Debug, Subcommand)]
enum KeysVerb {
    /// Make a new key and seal everything under it
    Rotate,
}

#[derive(Debug, Subcommand)]
enum SigningVerb {
    /// List the keys, those that sign no more and the sandbox's included
    List,
    /// Have another key sign from now on; earlier ones stay published, so that earlier archives verify
    Rotate {
        /// The key of the sandbox, whose archives are of made-up people
        #[arg(long)]
        sandbox: bool,
    },
}

fn span(text: &str) -> Result<Span, String> {
    Span::parse(text).ok_or_else(|| "write a whole number and s, min, h or d, such as 24h".into())
}

fn status(text: &str) -> Result<AppStatus, String> {
    AppStatus::parse(text).ok_or_else(|| words(AppStatus::ALL.iter().map(|word| word.as_str())))
}

fn request_type(text: &str) -> Result<RequestType, String> {
    RequestType::parse(text).ok_or_else(|| words(RequestType::ALL.iter().map(|word| word.as_str())))
}

fn redirect(text: &str) -> Result<RedirectUri, String> {
    RedirectUri::parse(text).map_err(|bad| bad.to_string())
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    format!("it is one of {}", words.collect::<Vec<_>>().join(", "))
}

impl AppFields {
    fn details(self) -> anyhow::Result<Details> {
        let scopes = ScopeSet::parse(&self.scopes.join(",")).context("--scope")?;
        Ok(Details {
            name: self.name,
            description: self.description,
            icon_url: self.icon_url,
            terms_url: self.terms_url,
            privacy_url: self.privacy_url,
            webhook_url: self.webhook_url,
            status: self.status,
            require_pkce: self.require_pkce,
            redirects: (!self.redirects.is_empty()).then_some(self.redirects),
            scopes: (!self.scopes.is_empty()).then_some(scopes),
        })
    }
}

/// `portward admin ..`
pub(crate) async fn admin(args: AdminArgs) -> anyhow::Result<()> {
    if matches!(args.noun, Noun::Acts) {
        return tell(&acts(), args.json);
    }
    if let Noun::Notices(verb) = &args.noun
        && let Some(shown) = notices::preview(&args.config, verb)
    {
        return shown;
    }
    let config = Config::read(&args.config)?;
    let db = state::open_store(&config).await?;
    // The brake does not wait for a migration that runs: its table has been there since the version that brought it.
    anyhow::ensure!(
        matches!(args.noun, Noun::Freeze(_)) || db.schema().await? == platform::db::SchemaState::Current,
        "the store's schema is not this version's: run `portward migrate` first"
    );
    let platform = state::open_platform(&config, db).await?;
    let mut well = true;
    let told = match args.noun {
        Noun::App(AppVerb::Sandbox { client_key }) => sandbox_of(&config, &platform, &client_key).await,
        Noun::App(verb) => app(&platform, verb).await,
        Noun::Quota(verb) => quota(&platform, verb).await,
        Noun::Person(verb) => person(&platform, verb).await,
        Noun::Request(verb) => request(&platform, verb).await,
        Noun::Job(verb) => job(&platform, verb).await,
        Noun::Staff(verb) => staff::staff(&platform, verb).await,
        Noun::Notices(verb) => notices::notices(&platform, verb).await,
        Noun::Audit(verb) => audit::audit(&platform, verb).await.map(|(told, whole)| {
            well = whole;
            told
        }),
        Noun::Freeze(verb) => freeze::freeze(&platform, verb).await,
        Noun::Tokens(verb) => tokens::tokens(&platform, verb).await,
        Noun::Keys(KeysVerb::Rotate) => {
            let mut sealed = platform.rotate_keys(Actor::Operator).await?;
            if let Some((_, sandbox)) = sandbox::open(&config).await? {
                sealed += sandbox.rotate_keys(Actor::Operator).await?;
                sandbox.db.close().await;
            }
            Ok(json!({ "resealed": sealed }))
        }
        Noun::Signing(verb) => signing(&config, &platform, verb).await,
        // Told above, where no store is needed.
        Noun::Acts => Ok(acts()),
    };
    platform.db.close().await;
    tell(&told?, args.json)?;
    anyhow::ensure!(well, "the audit record is not as it was sealed");
    Ok(())
}

fn tell(told: &Value, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        say!("{told:#}");
    } else {
        print(told)?;
    }
    Ok(())
}

/// The routes of the portal and the console, with what their guard asks for.
fn acts() -> Value {
    let acts = crate::pages::acts();
    acts.iter()
        .map(|act| json!({ "method": act.method, "path": act.path, "what": act.what, "needs": act.needs.to_string() }))
        .collect()
}

/// For people: a list as a table, one thing as its fields.
fn print(told: &Value) -> std::io::Result<()> {
    match told {
        Value::Array(rows) => {
            let Some(Value::Object(first)) = rows.first() else { return out::line(format_args!("None.")) };
            let mut table = Table::new();
            table.load_style(comfy_table::presets::NOTHING);
            table.set_header(first.keys());
            for row in rows.iter().filter_map(Value::as_object) {
                table.add_row(row.values().map(plain));
            }
            say!("{table}");
        }
        Value::Object(fields) => {
            let width = fields.keys().map(String::len).max().unwrap_or(0);
            for (name, value) in fields {
                say!("{name:<width$}  {}", plain(value));
            }
        }
        other => say!("{}", plain(other)),
    }
    Ok(())
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// An app's double in the sandbox.
async fn sandbox_of(config: &Config, platform: &Platform, client_key: &str) -> anyhow::Result<Value> {
    let app =
        apps::by_client_key(&mut platform.db.read().await?, client_key).await?.context("there is no app with that client key")?;
    let (_, sandbox) = sandbox::open(config).await?.context("the sandbox is switched off: sandbox.enabled")?;
    let base_url = config.server.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
    let double = sandbox::double(&sandbox, base_url, &app, sandbox::in_force(platform, &app).await?).await?;
    let held = sandbox::held(&sandbox, double.app_id).await?.context("it has no secret in force")?;
    let mut told = app_value(&sandbox, &double).await?;
    told["client_secret"] = json!(held.secret);
    sandbox.db.close().await;
    Ok(told)
}

async fn app(platform: &Platform, verb: AppVerb) -> anyhow::Result<Value> {
    match verb {
        AppVerb::Create(fields) => {
            let (app, secret) = apps::create(platform, Actor::Operator, None, fields.details()?).await?;
            let mut told = app_value(platform, &app).await?;
            told["client_secret"] = json!(secret.as_str());
            Ok(told)
        }
        AppVerb::List => {
            let mut tx = platform.db.read().await?;
            let mut told = Vec::new();
            let mut after = String::new();
            loop {
                let apps = apps::list(&mut tx, &after, 200).await?;
                let Some(last) = apps.last() else { return Ok(Value::Array(told)) };
                after.clone_from(&last.client_key);
                told.extend(apps.iter().map(|app| {
                    json!({ "client_key": app.client_key, "name": app.name, "status": app.status.as_str(), "created_at": time(app.created_at) })
                }));
            }
        }
        AppVerb::Show { client_key } => {
            let mut tx = platform.db.read().await?;
            let app = apps::by_client_key(&mut tx, &client_key).await?.context("there is no app with that client key")?;
            drop(tx);
            Ok(app_value(platform, &app).await?)
        }
        AppVerb::Set { client_key, fields } => {
            let app = apps::change(platform, Actor::Operator, &client_key, fields.details()?).await?;
            Ok(app_value(platform, &app).await?)
        }
        // Told by its own function, which opens the sandbox.
        AppVerb::Sandbox { client_key } => anyhow::bail!("{client_key}: the sandbox is not open"),
        AppVerb::RotateSecret { client_key, overlap } => {
            let secret = apps::rotate_secret(platform, Actor::Operator, &client_key, overlap.0).await?;
            Ok(json!({ "client_key": client_key, "client_secret": secret.as_str() }))
        }
    }
}

async fn app_value(platform: &Platform, app: &App) -> Result<Value, Fault> {
    let mut tx = platform.db.read().await?;
    let redirects = apps::redirects(&mut tx, app.app_id).await?;
    let scopes = apps::scopes(&mut tx, app.app_id).await?;
    let overrides = apps::overrides(&mut tx, app.app_id).await?;
    let quotas: Map<String, Value> =
        overrides.into_iter().map(|(kind, limit)| (kind.as_str().to_owned(), json!(limit))).collect();
    Ok(json!({
        "app_id": app.app_id.to_string(),
        "client_key": app.client_key,
        "name": app.name,
        "description": app.description,
        "status": app.status.as_str(),
        "icon_url": app.icon_url,
        "terms_url": app.terms_url,
        "privacy_url": app.privacy_url,
        "webhook_url": app.webhook_url,
        "require_pkce": app.require_pkce,
        "redirect_uris": redirects.iter().map(RedirectUri::as_str).collect::<Vec<_>>(),
        "scopes": scopes.iter().map(wire::Scope::as_str).collect::<Vec<_>>(),
        "quotas": quotas,
        "created_at": time(app.created_at),
        "updated_at": time(app.updated_at),
    }))
}

async fn quota(platform: &Platform, verb: QuotaVerb) -> anyhow::Result<Value> {
    let (client_key, request_type, limit) = match verb {
        QuotaVerb::Set { client_key, request_type, per_minute } => (client_key, request_type, Some(per_minute)),
        QuotaVerb::Clear { client_key, request_type } => (client_key, request_type, None),
    };
    apps::set_quota(platform, Actor::Operator, &client_key, request_type, limit).await?;
    let per_minute = limit.unwrap_or(platform.settings.quotas.per_minute);
    Ok(json!({ "client_key": client_key, "request_type": request_type.as_str(), "per_minute": per_minute }))
}

async fn person(platform: &Platform, verb: PersonVerb) -> anyhow::Result<Value> {
    match verb {
        PersonVerb::Add { username, subject, region, name, email, password_file } => {
            let given = password_file.map(|file| read_secret(&file)).transpose()?;
            let password = given.clone().unwrap_or_else(|| platform.random.secret(20));
            let new = NewPerson {
                username: username.clone(),
                password: password.clone(),
                subject,
                region,
                display_name: name.unwrap_or_default(),
                email,
                ..NewPerson::default()
            };
            let person_id = people::add(platform, Actor::Operator, new).await?;
            let mut told = json!({ "person_id": person_id.to_string(), "username": username });
            if given.is_none() {
                told["password"] = json!(password);
            }
            Ok(told)
        }
        PersonVerb::List => {
            let mut tx = platform.db.read().await?;
            let mut told = Vec::new();
            let mut after = String::new();
            loop {
                let found = people::list(&mut tx, &after, 200).await?;
                let Some(last) = found.last().and_then(|person| person.username.clone()) else { return Ok(Value::Array(told)) };
                after = last;
                told.extend(found.iter().map(person_value));
            }
        }
        PersonVerb::Delete { username } => {
            let mut tx = platform.db.read().await?;
            let person = people::by_username(&mut tx, &username).await?.context("there is nobody who signs in by that name")?;
            drop(tx);
            people::delete(platform, Actor::Operator, person.person_id).await?;
            Ok(json!({ "person_id": person.person_id.to_string(), "deleted": true }))
        }
        PersonVerb::Readmit { person_id } => {
            anyhow::ensure!(
                people::readmit(platform, Actor::Operator, person_id).await?,
                "there is nobody of that number who was deleted and came by the provider"
            );
            Ok(json!({ "person_id": person_id.to_string(), "readmitted": true }))
        }
    }
}

fn read_secret(file: &std::path::Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if file == std::path::Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| format!("--password-file {}", file.display()))?;
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn person_value(person: &Person) -> Value {
    json!({
        "person_id": person.person_id.to_string(),
        "username": person.username,
        "subject": person.subject,
        "region": person.region,
        "name": person.display_name,
        "created_at": time(person.created_at),
    })
}

async fn request(platform: &Platform, verb: RequestVerb) -> anyhow::Result<Value> {
    match verb {
        RequestVerb::List { client_key, limit } => {
            let mut tx = platform.db.read().await?;
            let app = match client_key {
                Some(key) => {
                    Some(apps::by_client_key(&mut tx, &key).await?.context("there is no app with that client key")?.app_id)
                }
                None => None,
            };
            let found = requests::list(&mut tx, app, Millis(i64::MAX), limit).await?;
            Ok(Value::Array(found.iter().map(request_row).collect::<Result<_, Fault>>()?))
        }
        RequestVerb::Show { request_id } => {
            let mut tx = platform.db.read().await?;
            let request = requests::by_id(&mut tx, request_id).await?.context("there is no request of that number")?;
            let archive = requests::archive_of(&mut tx, request_id).await?;
            let mut told = request_row(&request)?;
            told["grant_id"] = json!(request.grant_id.to_string());
            told["app_id"] = json!(request.app_id.to_string());
            told["person_id"] = json!(request.person_id.to_string());
            told["attempt"] = json!(request.attempt);
            told["collecting_at"] = json!(request.collecting_at.map(time));
            told["ready_at"] = json!(request.ready_at.map(time));
            told["expires_at"] = json!(request.expires_at.map(time));
            told["ended_at"] = json!(request.ended_at.map(time));
            told["failure_detail"] = json!(request.failure_detail);
            told["bytes"] = json!(archive.as_ref().map(|archive| archive.size));
            told["sha256"] = json!(archive.as_ref().map(|archive| archive.sha256.clone()));
            Ok(told)
        }
        RequestVerb::Retry { request_id } => {
            requests::retry(platform, request_id).await?;
            Ok(json!({ "request_id": request_id.to_string(), "status": "queued" }))
        }
    }
}

fn request_row(request: &Request) -> Result<Value, Fault> {
    Ok(json!({
        "request_id": request.request_id.to_string(),
        "status": request.status.as_str(),
        "categories": request.categories()?,
        "format": request.format,
        "applied_at": time(request.applied_at),
        "failure": request.failure,
    }))
}

async fn signing(config: &Config, platform: &Platform, verb: SigningVerb) -> anyhow::Result<Value> {
    use platform::signing::{published, published_in, rotate};
    match verb {
        SigningVerb::List => {
            let mut keys = published(platform).await?;
            // What was never served has no keys, and is not made to be looked at.
            if let Some((_, db)) = sandbox::open_store(config).await? {
                if db.schema().await? == platform::db::SchemaState::Current {
                    keys.extend(published_in(&db, platform::World::Sandbox).await?);
                }
                db.close().await;
            }
            let told = keys
                .into_iter()
                .map(|key| json!({ "kid": key.kid, "key": key.x, "world": key.world, "from": key.from, "until": key.until }));
            Ok(told.collect())
        }
        SigningVerb::Rotate { sandbox: false } => Ok(json!({ "kid": rotate(platform, Actor::Operator).await? })),
        SigningVerb::Rotate { sandbox: true } => {
            let opened = sandbox::open(config).await?;
            let (_, sandbox) = opened.context("there is no sandbox: sandbox.enabled is false")?;
            let kid = rotate(&sandbox, Actor::Operator).await?;
            sandbox.db.close().await;
            Ok(json!({ "kid": kid }))
        }
    }
}

async fn job(platform: &Platform, verb: JobVerb) -> anyhow::Result<Value> {
    match verb {
        JobVerb::List { limit } => {
            let mut tx = platform.db.read().await?;
            let told = jobs::list(&mut tx, limit).await?.into_iter().map(|job| {
                json!({
                    "job_id": job.job_id.to_string(),
                    "lane": job.lane.as_str(),
                    "payload": job.payload,
                    "attempt": job.attempt,
                    "run_at": time(job.run_at),
                    "leased_until": job.lease_until.map(time),
                    "dead_at": job.dead_at.map(time),
                    "last_error": job.last_error,
                })
            });
            Ok(Value::Array(told.collect()))
        }
        JobVerb::Retry { job_id } => {
            let revived = jobs::retry(platform, job_id).await?;
            anyhow::ensure!(revived, "there is no job of that number that was given up");
            Ok(json!({ "job_id": job_id.to_string(), "status": "queued" }))
        }
    }
}

fn time(at: Millis) -> String {
    at.to_string()
}
