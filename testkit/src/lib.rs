//! What the integration tests of several crates share: a PostgreSQL database of one's own, a webhook receiver whose
//! answer can change mid-test, a running `portward dev`, and a person who signs in and consents.
//!
//! Everything here panics when it cannot do its work: in a test that is the clearest way to say so.

pub mod dev;
pub mod dns;
pub mod mail;
pub mod page;
pub mod person;
pub mod postgres;
pub mod provider;
pub mod receiver;
pub mod site;
pub mod visitor;

use std::future::Future;

/// Runs a future to its end on a thread and runtime of its own, so that it can be called with or without a runtime
/// around it, also from `Drop`.
fn apart<T: Send>(work: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime for a test helper")
                    .block_on(work)
            })
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
