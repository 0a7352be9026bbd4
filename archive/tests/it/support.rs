//! Databases on both engines, catalogues over them, and archives opened again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use archive::catalogue::{Catalogue, CatalogueError};
use archive::source::Sources;
use archive::write::{ExportError, Format, Identity, Order, Progress, Summary};
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
    Mysql,
}

/// Runs one body on all three engines.
#[macro_export]
macro_rules! three {
    ($name:ident, $body:path) => {
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                $body($crate::support::Engine::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if $crate::support::postgres_is_there() {
                    $body($crate::support::Engine::Postgres).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mysql() {
                if $crate::support::mysql_is_there() {
                    $body($crate::support::Engine::Mysql).await;
                }
            }
        }
    };
}

/// Runs one body on both engines.
#[macro_export]
macro_rules! both {
    ($name:ident, $body:path) => {
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                $body($crate::support::Engine::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if $crate::support::postgres_is_there() {
                    $body($crate::support::Engine::Postgres).await;
                }
            }
        }
    };
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

/// Without a server the MySQL part fails, unless somebody says that it may be left out.
pub(crate) fn mysql_is_there() -> bool {
    if std::env::var_os("TEST_MYSQL_URL").is_some() {
        return true;
    }
    assert!(
        std::env::var("PORTWARD_SKIP_MYSQL").as_deref() == Ok("1"),
        "TEST_MYSQL_URL is not set. Run ./test, which starts a MariaDB for the tests, or set it to a server whose account may create \
         databases (mysql://root@127.0.0.1:3306/mysql); set PORTWARD_SKIP_MYSQL=1 to leave the MySQL part out"
    );
    false
}

/// A database of its own, dropped at the end.
pub(crate) struct Db {
    pub(crate) folder: TempDir,
    pub(crate) engine: Engine,
    url: String,
    name: Option<String>,
}

impl Db {
    pub(crate) async fn new(engine: Engine, statements: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().unwrap();
        let db = match engine {
            Engine::Sqlite => Self { url: "sqlite:data.db".to_owned(), name: None, folder, engine },
            Engine::Postgres => {
                let name = format!("archive_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
                let server = server();
                admin(&format!("create database {name}")).await;
                let (base, _) = server.rsplit_once('/').unwrap();
                Self { url: format!("{base}/{name}"), name: Some(name), folder, engine }
            }
            Engine::Mysql => {
                let name = format!("archive_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
                mysql_admin(&format!("create database {name} character set utf8mb4")).await;
                let server = mysql_server();
                let (base, _) = server.rsplit_once('/').unwrap();
                Self { url: format!("{base}/{name}"), name: Some(name), folder, engine }
            }
        };
        db.run(statements).await;
        db
    }

    /// Runs statements, as the operator's own programs would.
    pub(crate) async fn run(&self, statements: &str) {
        match self.engine {
            Engine::Sqlite => {
                let connection = rusqlite::Connection::open(self.folder.path().join("data.db")).unwrap();
                connection.execute_batch(statements).unwrap();
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                connection.execute(sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))).await.unwrap();
                connection.close().await.unwrap();
            }
            Engine::Mysql => {
                let mut connection = MySqlConnection::connect(&self.url).await.unwrap();
                connection.execute(sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A catalogue over this database: a head that every test shares, and these sections.
    pub(crate) fn catalogue(&self, sections: &str) -> Arc<Catalogue> {
        self.catalogue_with("", sections)
    }

    pub(crate) fn catalogue_with(&self, source: &str, sections: &str) -> Arc<Catalogue> {
        let text = head(self.engine, &self.url, source) + sections;
        match parse(&text) {
            Ok(catalogue) => Arc::new(catalogue),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn sources(&self, catalogue: &Catalogue) -> Sources {
        Sources::open(catalogue, self.folder.path()).await.unwrap()
    }

    /// Makes an archive of one category for a person.
    pub(crate) async fn export(
        &self,
        catalogue: &Arc<Catalogue>,
        category: &str,
        subject: &str,
        format: impl Into<Format>,
    ) -> Result<(Made, Summary), ExportError> {
        let sources = self.sources(catalogue).await;
        export(catalogue, &sources, category, subject, format).await
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            let engine = self.engine;
            // A runtime of its own: drop may run anywhere.
            let drop = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    match engine {
                        Engine::Mysql => mysql_admin(&format!("drop database if exists {name}")).await,
                        _ => admin(&format!("drop database if exists {name} with (force)")).await,
                    }
                });
            });
            let _ = drop.join();
        }
    }
}

fn server() -> String {
    std::env::var("TEST_DATABASE_URL").unwrap()
}

pub(crate) fn mysql_server() -> String {
    std::env::var("TEST_MYSQL_URL").unwrap()
}

pub(crate) async fn mysql_admin(statement: &str) {
    let mut connection = MySqlConnection::connect(&mysql_server()).await.unwrap();
    connection.execute(sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))).await.unwrap();
    connection.close().await.unwrap();
}

async fn admin(statement: &str) {
    let mut connection = PgConnection::connect(&server()).await.unwrap();
    connection.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
    connection.close().await.unwrap();
}

pub(crate) fn head(engine: Engine, url: &str, source: &str) -> String {
    let kind = match engine {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgres",
        Engine::Mysql => "mysql",
    };
    format!(
        r#"
format = 1
edition = "test"
document = "data.json"
text_root = "Data"
[subject]
type = "integer"
[source.db]
kind = "{kind}"
url = "{url}"
{source}
[[category]]
name = "all_data"
scope = "portability.all"
title = {{ en = "Everything" }}
text = {{ en = "All of it" }}
[[category]]
name = "activity"
aliases = ["activities"]
scope = "portability.activity"
title = {{ en = "Activity" }}
text = {{ en = "What you did" }}
"#
    )
}

pub(crate) fn parse(text: &str) -> Result<Catalogue, CatalogueError> {
    Catalogue::parse("catalog.toml", text, &mut |pattern| Err(format!("no include {pattern}")))
}

pub(crate) fn order(category: &str, subject: &str, format: impl Into<Format>) -> Order {
    Order {
        subject: subject.to_owned(),
        categories: vec![category.to_owned()],
        format: format.into(),
        at: "2026-03-01T12:00:00Z".parse().unwrap(),
        since: None,
        until: None,
        identity: Identity::default(),
        level: 1,
        documents: None,
    }
}

pub(crate) async fn export(
    catalogue: &Arc<Catalogue>,
    sources: &Sources,
    category: &str,
    subject: &str,
    format: impl Into<Format>,
) -> Result<(Made, Summary), ExportError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let progress = Arc::new(Progress::default());
    let handle: File = file.reopen().unwrap();
    let mut most: BTreeMap<Vec<String>, (u64, u64)> = BTreeMap::new();
    let writing = archive::write::write(
        catalogue.clone(),
        sources,
        order(category, subject, format),
        handle,
        progress.clone(),
        CancellationToken::new(),
    );
    let looking = async {
        loop {
            for (path, (rows, bytes)) in progress.by_section() {
                let most = most.entry(path).or_default();
                *most = (most.0.max(rows), most.1.max(bytes));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let summary = tokio::select! {
        summary = writing => summary?,
        () = looking => unreachable!(),
    };
    // Each section tells its own, and while it was read it never told more than that: not even when a connection was lost.
    let told: Vec<_> = summary.sections.iter().map(|section| (section.path.clone(), (section.rows, section.bytes))).collect();
    assert_eq!(progress.by_section().into_iter().collect::<Vec<_>>(), sorted(told));
    for (path, most) in most {
        let whole = progress.by_section()[&path];
        assert!(most.0 <= whole.0 && most.1 <= whole.1, "{path:?} told {most:?} on its way to {whole:?}");
    }
    assert_eq!(progress.rows.load(Ordering::Relaxed), summary.sections.iter().map(|section| section.rows).sum::<u64>());
    assert_eq!(progress.bytes.load(Ordering::Relaxed), summary.json_bytes);
    assert_eq!(progress.sections_done.load(Ordering::Relaxed), progress.sections_total.load(Ordering::Relaxed));
    Ok((Made { file }, summary))
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

/// An archive on disk.
pub(crate) struct Made {
    pub(crate) file: tempfile::NamedTempFile,
}

impl Made {
    pub(crate) fn path(&self) -> PathBuf {
        self.file.path().to_owned()
    }

    /// The members, in order.
    pub(crate) fn members(&self) -> Vec<(String, String)> {
        let mut zip = zip::ZipArchive::new(self.file.reopen().unwrap()).unwrap();
        (0..zip.len())
            .map(|at| {
                let mut member = zip.by_index(at).unwrap();
                let mut text = String::new();
                member.read_to_string(&mut text).unwrap();
                (member.name().unwrap().into_owned(), text)
            })
            .collect()
    }

    /// The members, in order, whatever they hold.
    pub(crate) fn members_raw(&self) -> Vec<(String, Vec<u8>)> {
        let mut zip = zip::ZipArchive::new(self.file.reopen().unwrap()).unwrap();
        (0..zip.len())
            .map(|at| {
                let mut member = zip.by_index(at).unwrap();
                let mut bytes = Vec::new();
                member.read_to_end(&mut bytes).unwrap();
                (member.name().unwrap().into_owned(), bytes)
            })
            .collect()
    }

    pub(crate) fn json(&self) -> String {
        let mut members = self.members();
        assert_eq!(members.len(), 1);
        let (name, text) = members.remove(0);
        assert_eq!(name, "data.json");
        text
    }

    pub(crate) fn value(&self) -> serde_json::Value {
        serde_json::from_str(&self.json()).unwrap()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.members().into_iter().find(|(member, _)| member == name).unwrap_or_else(|| panic!("no member {name}")).1
    }
}
