//! What a server has told of the queries that it was asked, so that each is prepared once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::write::Failure;

/// What is known of each query, by its text.
pub(super) struct Known<P>(Mutex<HashMap<String, Arc<P>>>);

impl<P> Default for Known<P> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<P> Known<P> {
    fn queries(&self) -> MutexGuard<'_, HashMap<String, Arc<P>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a query.
    pub(super) fn get(&self, sql: &str) -> Option<Arc<P>> {
        self.queries().get(sql).cloned()
    }

    /// Keeps what the server told.
    pub(super) fn keep(&self, sql: &str, prepared: P) -> Arc<P> {
        let prepared = Arc::new(prepared);
        self.queries().insert(sql.to_owned(), prepared.clone());
        prepared
    }

    /// What came of a query, which was prepared `anew` or before.
    pub(super) fn judge<T>(&self, sql: &str, anew: bool, result: Result<T, Failure>) -> Result<T, Failure> {
        if matches!(result, Err(Failure::Query(_) | Failure::Broken(_) | Failure::Columns(_))) {
            // The tables may have changed under the query: ask the server anew next time.
            self.queries().remove(sql);
        }
        result.map_err(|failure| match failure {
            // What was true when it was prepared may not be now; the next attempt prepares it anew.
            Failure::Query(words) if !anew => Failure::Broken(words),
            other => other,
        })
    }
}
