//! One JSON line per request, by `tracing`, and nothing secret in it.

use std::time::{Duration, Instant};
use tracing_subscriber::EnvFilter;

/// Sends log lines to standard output as JSON; `LOG_LEVEL` filters (default `info`).
pub fn start() {
    let level = std::env::var("LOG_LEVEL").unwrap_or_default();
    let level = if level.is_empty() { "info".to_owned() } else { level };
    // The SDK and HTTP crates write request details at debug level; those never get out.
    let quiet = ["aws_", "hyper", "reqwest", "alloy", "rustls", "h2", "lambda_"]
        .map(|name| format!("{}=warn", name.trim_end_matches('_')));
    let filter = EnvFilter::try_new(format!("{level},{}", quiet.join(",")))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .init();
}

/// The one line of a finished request.
pub fn finished(request: &str, route: &str, outcome: &str, status: u16, since: Instant) {
    let duration_ms = millis(since.elapsed());
    tracing::info!(request, route, outcome, status, duration_ms, "request");
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e5).round() / 100.0
}
