//! A whole platform built by hand: a fresh store on either engine, a clock that stands, seeded randomness, a vault, a key file, and a
//! small catalogue over a small SQLite source that can be made to block, to break and to lie.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use archive::catalogue::Catalogue;
use archive::read::Contents;
use archive::source::Sources;
use futures_util::TryStreamExt;
use platform::apps::{self, App, AppStatus, Details, OwnerKind, RedirectUri};
use platform::audit::Actor;
use platform::db::Handle;
use platform::grants::{self, Bearer};
use platform::people::{self, NewPerson};
use platform::requests::{self, AddRefusal, Asked, Request, RequestState};
use platform::vault::ArchiveRow;
use platform::{Clock, Db, Millis, Platform, Random, Settings, jobs, keys, quotas, vault, webhooks};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use testkit::postgres::{self, Database};
use wire::{AddBody, DataFormat, RequestId, ScopeSet, TokenAnswer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// Runs one body on both engines: `name::sqlite` and `name::postgres`.
#[macro_export]
macro_rules! db_test {
    ($(#[$meta:meta])* async fn $name:ident($engine:ident) $body:block) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports, reason = "each body uses some of its module's names")]
            use super::*;

            async fn body($engine: $crate::support::Engine) $body

            #[test]
            fn sqlite() {
                $crate::support::run(body($crate::support::Engine::Sqlite));
            }

            #[test]
            fn postgres() {
                if $crate::support::postgres_is_there() {
                    $crate::support::run(body($crate::support::Engine::Postgres));
                }
            }
        }
    };
}

pub(crate) fn run(body: impl Future<Output = ()>) {
    runtime().block_on(body);
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Without a server the PostgreSQL half fails, unless somebody says that it may be left out.
pub(crate) fn postgres_is_there() -> bool {
    if std::env::var_os("TEST_DATABASE_URL").is_some() {
        return true;
    }
    assert!(
        std::env::var("PORTWARD_SKIP_POSTGRES").as_deref() == Ok("1"),
        "TEST_DATABASE_URL is not set; set PORTWARD_SKIP_POSTGRES=1 to leave the PostgreSQL half out"
    );
    false
}

pub(crate) const REDIRECT: &str = "https://app.example/callback";
/// 2026-01-01T00:00:00Z. Earlier than the files of the vault say, so that nothing there looks old unless a test makes it so.
pub(crate) const START: Millis = Millis(1_767_225_600_000);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const MS: Duration = Duration::from_millis(1);

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const BASIC: &str = "user.info.basic";
pub(crate) const ACTIVITY: &str = "portability.activity.single";
pub(crate) const ACTIVITY_ONGOING: &str = "portability.activity.ongoing";
pub(crate) const PROFILE: &str = "portability.profile.single";
pub(crate) const ALL: &str = "portability.all.single";

const CATALOGUE: &str = r#"
format = 1
edition = "test"
document = "user_data.json"
text_root = "Data"

[subject]
type = "integer"

[source.clips]
kind = "sqlite"
url = "sqlite:clips.db"
snapshot = "request"
max_concurrent = 8
connect_timeout = "60 s"

[source.cards]
kind = "sqlite"
url = "sqlite:cards.db"

[[category]]
name = "all_data"
scope = "portability.all"
title = { en = "Everything" }
text = { en = "All of it" }

[[category]]
name = "activity"
aliases = ["doings"]
scope = "portability.activity"
title = { en = "Activity" }
text = { en = "What you did" }

[[category]]
name = "profile"
scope = "portability.profile"
title = { en = "Profile" }
text = { en = "Who you are" }
sensitivity = "sensitive"

[[section]]
categories = ["activity"]
path = ["Activity", "Likes"]
source = "clips"
shape = "list"
empty = "[]"
owner = "user_id"
query = "select user_id, link from likes where (user_id = :subject or everybody = 1) and abs(trouble) >= 0 order by user_id, link"

[[section]]
categories = ["profile"]
path = ["Profile", "Name"]
source = "cards"
shape = "list"
empty = "[]"
owner = "user_id"
query = "select user_id, name from people where user_id = :subject"
"#;

/// Anna is 1, Ben is 2; both like things. A row marked `everybody` is what a planted `or 1=1` would let through; one in `trouble` breaks
/// the query off, when that has no absolute value.
const DATA: &str = "
    create table likes (user_id integer not null, link text not null, everybody integer not null default 0, trouble integer not null default 0);
    insert into likes (user_id, link) values
      (1, 'https://clips.example/1'), (1, 'https://clips.example/2'), (1, 'https://clips.example/3'), (2, 'https://clips.example/bens');
";

/// Their names stand in a database of their own, which is never blocked.
const CARDS: &str = "
    create table people (user_id integer primary key, name text not null);
    insert into people values (1, 'Anna'), (2, 'Ben'), (3, 'Cleo');
";

/// What the source gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Everybody's own rows.
    Good,
    /// A row of Ben's with everybody's.
    Foreign,
    /// The query breaks off.
    Broken,
}

/// Everything a test needs. The folder and the database go with it.
pub(crate) struct World {
    pub(crate) platform: Arc<Platform>,
    /// Live, with every scope of the catalogue, without a webhook address.
    pub(crate) app: App,
    pub(crate) secret: String,
    /// Anna: subject 1, in Germany.
    pub(crate) anna: i64,
    source: std::sync::Mutex<rusqlite::Connection>,
    pub(crate) folder: TempDir,
    store: String,
    database: Option<Database>,
}

impl World {
    pub(crate) async fn new(engine: Engine) -> Self {
        Self::with(engine, |_| {}).await
    }

    pub(crate) async fn with(engine: Engine, settings: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = (engine == Engine::Postgres).then(|| postgres::database().unwrap());
        let store = match &database {
            Some(database) => database.url().to_owned(),
            None => format!("sqlite:{}", folder.path().join("store.db").display()),
        };
        std::fs::write(folder.path().join("catalog.toml"), CATALOGUE).unwrap();
        let source = rusqlite::Connection::open(folder.path().join("clips.db")).unwrap();
        // A rollback journal, and no waiting for the disk: readers wait for a writer, which is the gate.
        source.execute_batch("pragma journal_mode = delete; pragma synchronous = off;").unwrap();
        source.busy_timeout(10 * SECOND).unwrap();
        source.execute_batch(DATA).unwrap();
        rusqlite::Connection::open(folder.path().join("cards.db")).unwrap().execute_batch(CARDS).unwrap();
        let mut set = Settings::default();
        set.webhooks.allow = vec!["127.0.0.1".into()];
        settings(&mut set);
        let platform = Arc::new(build(folder.path(), &store, Clock::at(START), 1, set).await);
        platform.db.migrate().await.unwrap();
        let (app, secret) = app(&platform, "Gallery", None).await;
        let anna = person(&platform, "anna", "1", "DE").await;
        Self { platform, app, secret, anna, source: source.into(), folder, store, database }
    }

    /// A second process on the same store, vault, keys and clock, with its own pools and its own settings.
    pub(crate) async fn another(&self, settings: impl FnOnce(&mut Settings)) -> Arc<Platform> {
        let mut set = self.platform.settings.clone();
        settings(&mut set);
        Arc::new(build(self.folder.path(), &self.store, self.platform.clock.clone(), self.platform.random.id() as u64, set).await)
    }

    /// The mails that were sent.
    pub(crate) fn outbox(&self) -> &platform::notices::Outbox {
        let platform::notices::Mail::Memory(outbox) = &self.platform.mail else { panic!("mail goes elsewhere") };
        outbox
    }

    /// A second process whose PDFs are read by something else.
    pub(crate) async fn another_inspector(&self, inspector: platform::uploads::Inspector) -> Platform {
        let seed = self.platform.random.id() as u64;
        let settings = self.platform.settings.clone();
        let built = build(self.folder.path(), &self.store, self.platform.clock.clone(), seed, settings).await;
        Platform { inspector, ..built }
    }

    pub(crate) fn store_url(&self) -> &str {
        &self.store
    }

    /// Opens all of the pool's connections, so that calls at once are at once, and do not queue behind the first connection.
    pub(crate) async fn warm(&self) {
        let open = (0..CONNECTIONS).map(|_| self.platform.db.read());
        drop(futures_util::future::try_join_all(open).await.unwrap());
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.database.is_some()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.platform.clock.advance(by);
    }

    // People and apps.

    pub(crate) async fn person(&self, name: &str, subject: &str, region: &str) -> i64 {
        person(&self.platform, name, subject, region).await
    }

    pub(crate) async fn another_app(&self, name: &str, owner: Option<i64>) -> App {
        app(&self.platform, name, owner).await.0
    }

    pub(crate) async fn webhook(&self, url: &str) {
        let details = Details { webhook_url: Some(url.into()), ..Details::default() };
        apps::change(&self.platform, Actor::Operator, &self.app.client_key, details).await.unwrap();
    }

    // Consents and tokens.

    pub(crate) async fn code(&self, app: &App, person_id: i64, scopes: &[&str]) -> String {
        grants::allow(&self.platform, app, person_id, &set(scopes), REDIRECT, None).await.unwrap()
    }

    pub(crate) async fn exchange(&self, app: &App, code: &str) -> Result<TokenAnswer, grants::Refusal> {
        grants::exchange(&self.platform, app.app_id, code, REDIRECT, None).await
    }

    /// Anna's consent to the app, exchanged.
    pub(crate) async fn tokens(&self, scopes: &[&str]) -> TokenAnswer {
        self.tokens_of(&self.app, self.anna, scopes).await
    }

    pub(crate) async fn tokens_of(&self, app: &App, person_id: i64, scopes: &[&str]) -> TokenAnswer {
        let code = self.code(app, person_id, scopes).await;
        self.exchange(app, &code).await.unwrap()
    }

    pub(crate) async fn refresh(&self, tokens: &TokenAnswer) -> Result<TokenAnswer, grants::Refusal> {
        grants::refresh(&self.platform, self.app.app_id, &tokens.refresh_token).await
    }

    pub(crate) async fn lives(&self, tokens: &TokenAnswer) -> bool {
        grants::bearer(&self.platform, &tokens.access_token, None).await.unwrap().is_some()
    }

    pub(crate) async fn bearer(&self, tokens: &TokenAnswer) -> Bearer {
        grants::bearer(&self.platform, &tokens.access_token, None).await.unwrap().expect("the token lives")
    }

    /// Anna's consent to these scopes, and what its token may do.
    pub(crate) async fn consent(&self, scopes: &[&str]) -> Bearer {
        let tokens = self.tokens(scopes).await;
        self.bearer(&tokens).await
    }

    /// The unspent scopes of a grant.
    pub(crate) async fn left(&self, bearer: &Bearer) -> Vec<String> {
        let mut tx = self.platform.db.read().await.unwrap();
        grants::unspent(&mut tx, bearer.grant_id).await.unwrap().iter().map(ToString::to_string).collect()
    }

    // Requests.

    pub(crate) fn asked(&self, categories: &[&str]) -> Asked {
        self.asked_as(categories, DataFormat::Json)
    }

    pub(crate) fn asked_as(&self, categories: &[&str], data_format: DataFormat) -> Asked {
        let categories = categories.iter().map(|name| (*name).to_owned()).collect();
        Asked::new(AddBody { data_format, categories }, &self.platform.catalogue).unwrap()
    }

    pub(crate) async fn try_add(&self, bearer: &Bearer, categories: &[&str]) -> Result<RequestId, AddRefusal> {
        requests::add(&self.platform, bearer, &self.asked(categories), None).await
    }

    pub(crate) async fn add(&self, bearer: &Bearer, categories: &[&str]) -> RequestId {
        self.try_add(bearer, categories).await.unwrap()
    }

    pub(crate) async fn request(&self, id: RequestId) -> Request {
        let mut tx = self.platform.db.read().await.unwrap();
        requests::by_id(&mut tx, id.get()).await.unwrap().expect("the request is there")
    }

    pub(crate) async fn state(&self, id: RequestId) -> RequestState {
        self.request(id).await.status
    }

    pub(crate) async fn archive(&self, id: RequestId) -> Option<ArchiveRow> {
        let mut tx = self.platform.db.read().await.unwrap();
        requests::archive_of(&mut tx, id.get()).await.unwrap()
    }

    /// The plain bytes of a request's archive.
    pub(crate) async fn download(&self, id: RequestId) -> Result<Vec<u8>, platform::Fault> {
        let row = self.archive(id).await.expect("the request has an archive");
        plain(&self.platform, &row).await
    }

    /// The archive of a request, opened.
    pub(crate) async fn contents(&self, id: RequestId) -> Contents {
        let bytes = self.download(id).await.unwrap();
        archive::read::inspect_reader(std::io::Cursor::new(bytes), None).unwrap()
    }

    // Work.

    pub(crate) async fn drain(&self) -> u32 {
        jobs::drain(&self.platform).await.unwrap()
    }

    /// Runs one of the scheduled jobs now: `expire`, `sweep` or `forget`, as the schedule would enqueue it; and what follows from it.
    pub(crate) async fn keep(&self, job: &str) {
        let id = self.platform.random.id();
        let now = self.platform.now().0;
        self.execute(format!(
            "insert into jobs (job_id, lane, payload, priority, run_at, attempt, max_attempts, dedupe_key, created_at)
             values ({id}, 'keep', '{{\"job\":\"{job}\"}}', 0, {now}, 0, 5, '{job}', {now})"
        ))
        .await;
        assert!(self.drain().await >= 1);
        assert_eq!(
            self.number(format!("select count(*) from jobs where dedupe_key = '{job}' or dead_at >= {now}")).await,
            0,
            "{job} failed"
        );
    }

    /// Begins an export that blocks at its source until [`World::open`]: gives its end once the request is running in the attempt named.
    pub(crate) async fn begin(&self, platform: &Arc<Platform>, id: RequestId, attempt: i32) -> tokio::task::JoinHandle<u32> {
        let worker = Arc::clone(platform);
        let end = tokio::spawn(async move { jobs::drain(&worker).await.unwrap() });
        self.until(async || {
            let request = self.request(id).await;
            request.status == RequestState::Running && request.attempt == attempt
        })
        .await;
        end
    }

    /// Waits for something that happens elsewhere.
    pub(crate) async fn until(&self, happened: impl AsyncFn() -> bool) {
        let wait = async {
            while !happened().await {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it happens within 20 seconds");
    }

    // The source.

    /// From now on readers of the source wait.
    pub(crate) fn shut(&self) {
        let source = self.source.lock().unwrap();
        if source.is_autocommit() {
            source.execute_batch("begin exclusive").unwrap();
        }
    }

    /// They go on, and find this.
    pub(crate) fn open(&self, what: Source) {
        self.shut();
        let source = self.source.lock().unwrap();
        source.execute_batch("delete from likes where everybody = 1; update likes set trouble = 0;").unwrap();
        match what {
            Source::Good => {}
            Source::Foreign => {
                source.execute_batch("insert into likes values (2, 'https://clips.example/bens secret', 1, 0)").unwrap()
            }
            Source::Broken => source.execute_batch("update likes set trouble = -9223372036854775807 - 1").unwrap(),
        }
        source.execute_batch("commit").unwrap();
    }

    // The store and the vault, behind the rooms' backs.

    pub(crate) async fn execute(&self, sql: impl Into<String>) -> u64 {
        let mut tx = self.platform.db.begin().await.unwrap();
        let sql = AssertSqlSafe(sql.into());
        let done = match tx.handle() {
            Handle::Sqlite(c) => sqlx::raw_sql(sql).execute(c).await.unwrap().rows_affected(),
            Handle::Postgres(c) => sqlx::raw_sql(sql).execute(c).await.unwrap().rows_affected(),
        };
        tx.commit().await.unwrap();
        done
    }

    /// One number that a query gives.
    pub(crate) async fn number(&self, sql: impl Into<String>) -> i64 {
        let mut tx = self.platform.db.read().await.unwrap();
        let sql = AssertSqlSafe(sql.into());
        match tx.handle() {
            Handle::Sqlite(c) => sqlx::query_scalar(sql).fetch_one(c).await.unwrap(),
            Handle::Postgres(c) => sqlx::query_scalar(sql).fetch_one(c).await.unwrap(),
        }
    }

    /// One column of texts that a query gives.
    pub(crate) async fn texts(&self, sql: impl Into<String>) -> Vec<String> {
        let mut tx = self.platform.db.read().await.unwrap();
        let sql = AssertSqlSafe(sql.into());
        match tx.handle() {
            Handle::Sqlite(c) => sqlx::query_scalar(sql).fetch_all(c).await.unwrap(),
            Handle::Postgres(c) => sqlx::query_scalar(sql).fetch_all(c).await.unwrap(),
        }
    }

    /// The audit's actions about anything, in the order they were written (those of one moment by name).
    pub(crate) async fn actions(&self) -> Vec<String> {
        self.texts("select action from audit order by at, action").await
    }

    pub(crate) fn vault_folder(&self) -> PathBuf {
        self.folder.path().join("vault")
    }

    /// The names of all files in the vault.
    pub(crate) fn objects(&self) -> Vec<String> {
        let mut found = Vec::new();
        let root = self.vault_folder();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        found
    }
}

/// The plain bytes of an archive.
pub(crate) async fn plain(platform: &Platform, row: &ArchiveRow) -> Result<Vec<u8>, platform::Fault> {
    let key = row.key(platform)?;
    let pieces = platform.vault.read(&row.object, &key, row.len(), 0..row.len());
    pieces
        .try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        })
        .await
}

pub(crate) fn set(scopes: &[&str]) -> ScopeSet {
    ScopeSet::parse(&scopes.join(",")).unwrap()
}

const CONNECTIONS: u32 = 8;

static PROVIDER: Once = Once::new();

async fn build(folder: &Path, store: &str, clock: Clock, seed: u64, settings: Settings) -> Platform {
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let random = Random::seeded(seed);
    let keys = keys::Keys::open(&folder.join("keys"), &random, clock.now()).unwrap();
    let catalogue = Catalogue::load(&folder.join("catalog.toml")).unwrap();
    let sources = Sources::open(&catalogue, folder).await.unwrap();
    let scratch = folder.join("scratch");
    std::fs::create_dir_all(&scratch).unwrap();
    let forms = platform::forms::Forms::open(&settings.applications, "Clips", folder).unwrap();
    Platform {
        world: platform::World::Production,
        db: Db::open(store, CONNECTIONS).await.unwrap(),
        clock,
        random,
        keys,
        vault: vault::Vault::folder(&folder.join("vault")).unwrap(),
        catalogue: Arc::new(catalogue),
        sources: Arc::new(sources),
        quotas: quotas::Quotas::default(),
        outbound: webhooks::Outbound::new(&settings.webhooks).unwrap(),
        trials: webhooks::Trials::new(&settings.webhooks),
        sites: platform::properties::Sites::open(&settings.ownership).unwrap(),
        settings,
        mail: platform::notices::Mail::Memory(platform::notices::Outbox::default()),
        scratch,
        progress: platform::export::Running::default(),
        freezes: platform::freezes::Look::default(),
        access: platform::access_log::AccessLog::default(),
        inspector: platform::uploads::Inspector::in_process(),
        forms,
    }
}

async fn app(platform: &Platform, name: &str, owner: Option<i64>) -> (App, String) {
    let details = Details {
        name: Some(name.into()),
        status: Some(AppStatus::Live),
        redirects: Some(vec![RedirectUri::parse(REDIRECT).unwrap()]),
        scopes: Some(set(&[BASIC, ACTIVITY, ACTIVITY_ONGOING, PROFILE, ALL])),
        ..Details::default()
    };
    let owner = owner.map(|owner| (OwnerKind::Operator, owner));
    let (app, secret) = apps::create(platform, Actor::Operator, owner, details).await.unwrap();
    (app, secret.to_string())
}

async fn person(platform: &Platform, name: &str, subject: &str, region: &str) -> i64 {
    let new = NewPerson {
        username: name.into(),
        password: PASSWORD.into(),
        subject: subject.into(),
        region: region.into(),
        display_name: format!("{name} of the tests"),
        ..NewPerson::default()
    };
    people::add(platform, Actor::Operator, new).await.unwrap()
}
