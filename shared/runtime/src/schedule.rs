//! Functions that EventBridge starts on a schedule, and an operator by hand.

use crate::telemetry;
use app::ports::{Clock, Pace, PortError, System};
use domain::Seconds;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::time::{Duration, Instant};

/// Does the work for as long as the function lives, one log line each. What fails is tried again
/// by Lambda, twice.
///
/// # Errors
/// When the runtime API is lost.
pub async fn serve<Wish: DeserializeOwned, Failure: Display>(
    name: &'static str,
    work: impl AsyncFn(Wish) -> Result<(), Failure>,
) -> Result<(), Error> {
    let work = &work;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Wish>| async move {
        let since = Instant::now();
        let outcome = Box::pin(work(event.payload)).await;
        let (word, status) = if outcome.is_ok() { ("ok", 200) } else { ("failed", 500) };
        telemetry::finished(&event.context.request_id, name, word, status, since);
        outcome.map_err(|error| Error::from(error.to_string()))
    }))
    .await
}

/// What a schedule says; by hand, `{}` does.
#[derive(Debug, Default, Deserialize)]
pub struct Tick {
    /// The event's id.
    #[serde(default)]
    pub id: Option<String>,
}

/// The system's time, and how to wait for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Seconds {
        System.now()
    }
}

impl Pace for WallClock {
    async fn wait(&self, seconds: Seconds) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

/// Does `handle` at each tick for as long as the function lives, one log line each; it is told a
/// name that no other invocation has, and says in a word what came of it. One that takes longer
/// than `limit` is ended.
///
/// # Errors
/// When the runtime API is lost.
pub async fn serve_ticks(
    route: &'static str,
    limit: Duration,
    handle: impl AsyncFn(&str) -> Result<&'static str, PortError>,
) -> Result<(), Error> {
    let handle = &handle;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Tick>| async move {
        let since = Instant::now();
        let id = event.context.request_id;
        // Boxed, or the compiler gives up on the size of what the function makes of it.
        let outcome = match tokio::time::timeout(limit, Box::pin(handle(&id))).await {
            Ok(outcome) => outcome,
            Err(_) => Err(PortError::new("schedule", "it took too long")),
        };
        let (word, status) = match &outcome {
            Ok(word) => (*word, 200),
            Err(error) => {
                tracing::error!(request = id, %error, "a tick failed");
                ("failed", 500)
            }
        };
        telemetry::finished(&id, route, word, status, since);
        // EventBridge would only try again what the next minute does anyway.
        Ok::<_, Error>(())
    }))
    .await
}
