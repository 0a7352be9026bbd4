//! `[source.NAME]`.

use std::path::PathBuf;
use std::time::Duration;

use super::{duration, size};
use crate::catalogue::excuse;
use crate::catalogue::file::Table;
use crate::catalogue::{Address, Engine, HttpSpec, Snapshot, SourceSpec};

pub(super) fn read_source(name: String, table: Table<'_, '_, '_>) -> Option<SourceSpec> {
    if !table.has("kind") {
        table.missing("kind", "write kind = \"sqlite\", \"postgres\", \"mysql\" or \"http\"");
    }
    let kind = table.choice(
        "kind",
        &[("sqlite", Engine::Sqlite), ("postgres", Engine::Postgres), ("mysql", Engine::Mysql), ("http", Engine::Http)],
    );
    let address = match (table.word("url"), table.word("url_file")) {
        (Some(url), None) => {
            let begins: &[&str] = match kind {
                Some(Engine::Sqlite) => &["sqlite:"],
                Some(Engine::Postgres) => &["postgres://", "postgresql://"],
                Some(Engine::Mysql) => &["mysql://", "mariadb://"],
                Some(Engine::Http) => &["https://", "http://"],
                None => &[""],
            };
            if !begins.iter().any(|begin| url.value.starts_with(begin)) {
                table.fault(
                    "url",
                    format!("`url` of [source.{name}] does not fit its kind"),
                    format!("begin it with {}", begins.join(" or ")),
                );
            }
            Some(Address::Url(url.value))
        }
        (None, Some(path)) => Some(Address::File(PathBuf::from(path.value))),
        (None, None) if !table.has("url") && !table.has("url_file") => {
            table.missing("url", "write url = \"sqlite:data.db\", or url_file with the path of a file that holds the address");
            None
        }
        (Some(_), Some(_)) => {
            table.fault("url_file", format!("[source.{name}] has `url` and `url_file`"), "keep one of them");
            None
        }
        _ => None,
    };
    let mut snapshot =
        table.choice("snapshot", &[("request", Snapshot::Request), ("section", Snapshot::Section), ("none", Snapshot::None)]);
    if kind == Some(Engine::Http) {
        if snapshot.is_some_and(|snapshot| snapshot != Snapshot::None) {
            table.fault("snapshot", "an HTTP service has no snapshots", "write snapshot = \"none\", or take it out");
        }
        snapshot = Some(Snapshot::None);
    }
    let http = read_http(&table, kind);
    let spec = SourceSpec {
        kind: kind.unwrap_or(Engine::Sqlite),
        address: address.unwrap_or_else(|| Address::Url(String::new())),
        snapshot: snapshot.unwrap_or(Snapshot::Request),
        max_snapshot: duration(&table, "max_snapshot").unwrap_or(Duration::from_secs(300)),
        max_concurrent: table.integer("max_concurrent", 1..=1_000).unwrap_or(4) as usize,
        statement_timeout: duration(&table, "statement_timeout").unwrap_or(Duration::from_secs(60)),
        connect_timeout: duration(&table, "connect_timeout").unwrap_or(Duration::from_secs(10)),
        person: excuse::read_person(&table),
        http,
        place: table.place(),
        name,
    };
    table.finish();
    Some(spec)
}

const HTTP_ONLY: &[&str] = &["token_file", "ca_file", "health", "first_byte_timeout", "idle_timeout", "max_line", "max_pages"];

fn read_http(table: &Table<'_, '_, '_>, kind: Option<Engine>) -> HttpSpec {
    for key in HTTP_ONLY {
        if kind.is_some_and(|kind| kind != Engine::Http) && table.has(key) {
            table.fault(key, format!("`{key}` is only for sources of kind \"http\""), "take it out");
        }
    }
    let health = table.word("health").map(|at| at.value);
    if health.as_ref().is_some_and(|path| !path.starts_with('/')) {
        table.fault("health", "`health` is not a path", "write health = \"/health\"");
    }
    let usual = HttpSpec::default();
    HttpSpec {
        token_file: table.word("token_file").map(|at| PathBuf::from(at.value)),
        ca_file: table.word("ca_file").map(|at| PathBuf::from(at.value)),
        health,
        first_byte_timeout: duration(table, "first_byte_timeout").unwrap_or(usual.first_byte_timeout),
        idle_timeout: duration(table, "idle_timeout").unwrap_or(usual.idle_timeout),
        max_line: size(table, "max_line", 1 << 30).map_or(usual.max_line, |bytes| bytes as usize),
        max_pages: table.integer("max_pages", 1..=1_000_000).map_or(usual.max_pages, |pages| pages as usize),
    }
}
