//! Functions that EventBridge starts on a schedule, and an operator by hand.

use crate::telemetry;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::time::Instant;

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
        let outcome = work(event.payload).await;
        let (word, status) = if outcome.is_ok() { ("ok", 200) } else { ("failed", 500) };
        telemetry::finished(&event.context.request_id, name, word, status, since);
        outcome.map_err(|error| Error::from(error.to_string()))
    }))
    .await
}
