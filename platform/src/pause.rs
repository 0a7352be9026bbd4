//! Points at which a kill test stops the program to kill it there. They exist in debug builds only.

/// Waits for ever when `PORTWARD_PAUSE_AT` names this point, after saying so on standard error.
#[cfg(debug_assertions)]
pub(crate) async fn at(point: &str) {
    if std::env::var("PORTWARD_PAUSE_AT").is_ok_and(|wanted| wanted == point) {
        eprintln!("paused at {point}");
        std::future::pending::<()>().await;
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub(crate) async fn at(_point: &str) {}
