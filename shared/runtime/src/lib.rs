//! What every function's start-up and edges share: configuration, logging, HTTP, queues.

pub mod aws;
pub mod config;
pub mod custom_resource;
pub mod health;
pub mod http;
pub mod plugin;
pub mod queue;
pub mod schedule;
pub mod settings;
pub mod telemetry;

pub use config::Environment;
pub use lambda_runtime::Error;

/// Runs a function's `main`: logging first, then a runtime with one thread, which is all that one
/// request at a time needs.
///
/// # Errors
/// Whatever `start` fails with, after logging it; a missing variable is named.
pub fn run<F: Future<Output = Result<(), Error>>>(
    start: impl FnOnce(Environment) -> F,
) -> Result<(), Error> {
    telemetry::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(start(Environment::new()));
    if let Err(error) = &outcome {
        tracing::error!(%error, "the function could not start");
    }
    outcome
}
