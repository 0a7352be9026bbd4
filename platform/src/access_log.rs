//! The access log: calls and downloads, each with its answer. Append-only, with its own retention.
//!
//! Calls do not wait for it. What they leave lies in a buffer until the writer puts it into the store: once a second, at once for what matters most (an
//! added request, a download), and at the stop. When the store cannot keep up for long, entries are dropped and counted, never the calls.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::QueryBuilder;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Millis;
use crate::db::{Handle, Tx, sql, words};
use crate::{Fault, Platform};

/// How many entries wait at most: some seconds of a busy server, about a megabyte.
const WAITING: usize = 10_000;
/// How many entries one statement writes: 4,500 values, below both engines' limits.
const AT_ONCE: usize = 500;
/// How long an entry waits at most while the store keeps up.
const EVERY: Duration = Duration::from_secs(1);
/// How many entries are deleted in one transaction.
const FORGET_AT_ONCE: i64 = 5000;

words! {
    /// What was called.
    Call {
        /// The token endpoint.
        Token = "token",
        /// A token given back.
        Revoke = "revoke",
        /// User info.
        UserInfo = "user_info",
        /// A request for an archive.
        Add = "add",
        /// How a request stands.
        Check = "check",
        /// A request taken back.
        Cancel = "cancel",
        /// An archive, or a part of one.
        Download = "download",
        /// An object that an archive links to, or a part of it.
        Media = "media",
    }
}

/// One call of an app that is known.
#[derive(Clone, Debug, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct Access {
    /// When it was answered.
    pub at: Millis,
    /// By which app.
    pub app_id: i64,
    /// On whose behalf.
    pub person_id: Option<i64>,
    /// By which grant.
    pub grant_id: Option<i64>,
    /// About which request.
    pub request_id: Option<i64>,
    /// What.
    pub call: Call,
    /// `ok`, or the code of the refusal; for a download `whole`, `part` or `broken_off`.
    pub answer: String,
    /// How many bytes of an archive were sent.
    pub bytes: i64,
}

/// What waits to be written.
#[derive(Debug, Default)]
pub struct AccessLog {
    waiting: Mutex<Vec<Access>>,
    urgent: Notify,
}

impl AccessLog {
    /// Takes an entry. It takes no longer than to put it into a list.
    pub fn note(&self, access: Access) {
        let urgent = matches!(access.call, Call::Add | Call::Download);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let full = waiting.len() >= WAITING;
        if !full {
            waiting.push(access);
        }
        let many = waiting.len() >= AT_ONCE;
        drop(waiting);
        if full {
            metrics::counter!("portward_access_log_dropped_total").increment(1);
        }
        if urgent || many {
            self.urgent.notify_one();
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn take(&self) -> Vec<Access> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts back what could not be written, before what came since.
    fn give_back(&self, mut entries: Vec<Access>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        entries.append(&mut waiting);
        let dropped = entries.len().saturating_sub(WAITING);
        entries.truncate(WAITING);
        *waiting = entries;
        drop(waiting);
        metrics::counter!("portward_access_log_dropped_total").increment(u64::try_from(dropped).unwrap_or(0));
    }
}

/// Writes what waits, until it is told to stop; then once more. It is to be told after the last call has ended.
pub async fn run(platform: &Platform, stop: CancellationToken) {
    loop {
        let stopping = tokio::select! {
            () = stop.cancelled() => true,
            () = platform.access.urgent.notified() => false,
            () = tokio::time::sleep(EVERY) => false,
        };
        if let Err(fault) = flush(platform).await {
            tracing::warn!(%fault, waiting = platform.access.waiting(), "the access log cannot be written; trying again");
            // Not at once, whoever is in a hurry.
            if !stopping {
                tokio::time::sleep(EVERY).await;
            }
        }
        if stopping {
            return;
        }
    }
}

/// Writes what waits now.
pub async fn flush(platform: &Platform) -> Result<(), Fault> {
    let entries = platform.access.take();
    if entries.is_empty() {
        return Ok(());
    }
    let written = async {
        let mut tx = platform.db.begin().await?;
        for batch in entries.chunks(AT_ONCE) {
            insert(platform, &mut tx, batch).await?;
        }
        tx.commit().await
    };
    if let Err(fault) = written.await {
        platform.access.give_back(entries);
        return Err(fault.into());
    }
    Ok(())
}

async fn insert(platform: &Platform, tx: &mut Tx, batch: &[Access]) -> Result<(), sqlx::Error> {
    const INTO: &str = "insert into access_log (access_id, at, app_id, person_id, grant_id, request_id, call, answer, bytes) ";
    macro_rules! insert {
        ($connection:expr) => {{
            let mut query = QueryBuilder::new(INTO);
            query.push_values(batch, |mut row, access| {
                row.push_bind(platform.random.id());
                row.push_bind(access.at).push_bind(access.app_id).push_bind(access.person_id).push_bind(access.grant_id);
                row.push_bind(access.request_id).push_bind(access.call).push_bind(access.answer.clone()).push_bind(access.bytes);
            });
            query.build().persistent(batch.len() == 1).execute($connection).await.map(drop)
        }};
    }
    match tx.handle() {
        Handle::Sqlite(connection) => insert!(connection),
        Handle::Postgres(connection) => insert!(connection),
    }
}

/// The latest entries about an app.
pub async fn of_app(tx: &mut Tx, app_id: i64, limit: i64) -> Result<Vec<Access>, Fault> {
    Ok(sql!(
        tx,
        all Access,
        "select at, app_id, person_id, grant_id, request_id, call, answer, bytes
         from access_log
         where app_id = $1
         order by at desc, access_id desc
         limit $2",
        app_id,
        limit,
    )?)
}

/// Deletes what was kept long enough.
pub(crate) async fn forget(platform: &Platform, before: Millis) -> Result<u64, Fault> {
    let mut deleted = 0;
    loop {
        let mut tx = platform.db.begin().await?;
        let statement =
            "delete from access_log where access_id in (select access_id from access_log where at <= $1 order by at limit $2)";
        let gone = sql!(tx, execute, statement, before, FORGET_AT_ONCE)?;
        tx.commit().await?;
        deleted += gone;
        if gone == 0 {
            return Ok(deleted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(log: &AccessLog, call: Call) -> bool {
        let entry = Access {
            at: Millis(0),
            app_id: 1,
            person_id: None,
            grant_id: None,
            request_id: None,
            call,
            answer: "ok".into(),
            bytes: 0,
        };
        log.note(entry);
        std::pin::pin!(log.urgent.notified()).enable()
    }

    #[test]
    fn the_writer_is_woken_at_once_by_what_matters_most_and_by_many() {
        let log = AccessLog::default();
        for call in [Call::Token, Call::Revoke, Call::UserInfo, Call::Check, Call::Cancel] {
            assert!(!noted(&log, call), "{call}");
        }
        assert!(noted(&log, Call::Add));
        assert!(noted(&log, Call::Download));
        while log.waiting() < AT_ONCE - 1 {
            assert!(!noted(&log, Call::Check));
        }
        assert!(noted(&log, Call::Check), "a full statement does not wait for the second");
    }
}
