//! SQS batches in, the messages that failed out.

use crate::config::{ConfigError, Environment};
use crate::telemetry;
use adapter_sqs::Sqs;
use app::ports::PortError;
use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::{LambdaEvent, service_fn};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long a message stays hidden from others without a sign of life, in seconds, unless
/// `LEASE_SECONDS` says otherwise. Whoever works on it renews this lease; when a worker is killed,
/// the message is back this soon, rather than after the queue's own visibility timeout, which must
/// outlast the longest task.
const LEASE: u64 = 60;
/// SQS hides a message for at most 12 hours.
const LONGEST: i32 = 12 * 3600;
/// After how many seconds a message that failed once comes again, unless `RETRY_SECONDS` says
/// otherwise; twice as long after each failure.
const RETRY: u64 = 15;
/// On which delivery a message is tried for the last time: template.yaml's `maxReceiveCount`.
pub const MAX_ATTEMPTS: u32 = 5;

/// A message at work.
#[derive(Debug)]
pub struct Message {
    /// Its text.
    pub body: String,
    /// With which its visibility is extended.
    pub receipt: String,
    /// From 1.
    pub attempt: u32,
}

impl Message {
    /// Whether the dead-letter queue is next.
    pub fn is_last_attempt(&self) -> bool {
        self.attempt >= MAX_ATTEMPTS
    }

    /// How many seconds it stays hidden after it failed. After the last attempt none: nobody tries it
    /// again, and the dead-letter queue gets it when it is due.
    fn wait(&self, retry: i32) -> i32 {
        if self.is_last_attempt() {
            return 0;
        }
        (retry << self.attempt.saturating_sub(1)).min(LONGEST)
    }

    /// The text as JSON.
    ///
    /// # Errors
    /// When it is something else; it will then end in the dead-letter queue.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, PortError> {
        serde_json::from_str(&self.body).map_err(|error| PortError::new("message", error))
    }
}

/// Works on messages with `handle` for as long as the function lives, one log line each. `own` is
/// the queue that they come from: a lease on the message is renewed while `handle` works. A message
/// that fails is told to SQS alone, and comes again until it ends in the dead-letter queue.
///
/// # Errors
/// When `LEASE_SECONDS` or `RETRY_SECONDS` can't be one, or the runtime API is lost.
pub async fn serve(
    route: &'static str,
    own: Sqs,
    handle: impl AsyncFn(&Message) -> Result<(), PortError>,
) -> Result<(), lambda_runtime::Error> {
    let seconds = |name, default| {
        let seconds = Environment::new().number_or(name, default)?;
        Ok::<_, ConfigError>(i32::try_from(seconds).map_or(LONGEST, |seconds| seconds.min(LONGEST)))
    };
    let (lease, retry) = (seconds("LEASE_SECONDS", LEASE)?, seconds("RETRY_SECONDS", RETRY)?);
    let (own, handle) = (&own, &handle);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        let mut failures = SqsBatchResponse::default();
        for message in event.payload.records {
            let since = Instant::now();
            let id = message.message_id.clone().unwrap_or_default();
            let message = read(message);
            // Boxed, as requests are.
            let work = Box::pin(handle(&message));
            let outcome = leased(own, lease, &message.receipt, work).await;
            let (word, status) = match outcome {
                Ok(()) => ("ok", 200),
                Err(error) => {
                    tracing::error!(request = id, %error, "a message failed");
                    failures.batch_item_failures.push(failed(own, retry, &id, &message).await);
                    ("failed", 500)
                }
            };
            telemetry::finished(&id, route, word, status, since);
        }
        Ok::<_, lambda_runtime::Error>(failures)
    }))
    .await
}

/// As [`serve`], all messages of a batch together: it is done as a whole, or comes again as a whole.
/// For work that is done at once; no lease is renewed.
///
/// # Errors
/// When the runtime API is lost.
pub async fn serve_batches(
    route: &'static str,
    own: Sqs,
    handle: impl AsyncFn(&[Message]) -> Result<(), PortError>,
) -> Result<(), lambda_runtime::Error> {
    let (own, handle) = (&own, &handle);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        let since = Instant::now();
        let request = event.context.request_id;
        let records = event.payload.records;
        let ids: Vec<_> =
            records.iter().map(|record| record.message_id.clone().unwrap_or_default()).collect();
        let messages: Vec<_> = records.into_iter().map(read).collect();
        let mut failures = SqsBatchResponse::default();
        let (word, status) = match Box::pin(handle(&messages)).await {
            Ok(()) => ("ok", 200),
            Err(error) => {
                tracing::error!(request, %error, "a batch failed");
                for (id, message) in ids.iter().zip(&messages) {
                    failures.batch_item_failures.push(failed(own, 1, id, message).await);
                }
                ("failed", 500)
            }
        };
        telemetry::finished(&request, route, word, status, since);
        Ok::<_, lambda_runtime::Error>(failures)
    }))
    .await
}

/// Has SQS show a message again, `retry` seconds from now after its first failure.
async fn failed(own: &Sqs, retry: i32, id: &str, message: &Message) -> BatchItemFailure {
    if let Err(error) = own.extend(&message.receipt, message.wait(retry)).await {
        tracing::warn!(request = id, %error, "it comes again later than it could");
    }
    let mut failure = BatchItemFailure::default();
    id.clone_into(&mut failure.item_identifier);
    failure
}

async fn leased(
    own: &Sqs,
    lease: i32,
    receipt: &str,
    work: impl Future<Output = Result<(), PortError>>,
) -> Result<(), PortError> {
    let renew = async {
        loop {
            // A lease that can't be renewed risks a duplicate, which changes nothing.
            if let Err(error) = own.extend(receipt, lease).await {
                tracing::warn!(%error, "the lease could not be renewed");
            }
            tokio::time::sleep(Duration::from_secs(lease.cast_unsigned().into()) / 3).await;
        }
    };
    tokio::select! {
        outcome = work => outcome,
        () = renew => Ok(()),
    }
}

/// The keys of objects that an S3 notification tells of; none for S3's test event.
///
/// # Errors
/// When the message is no notification.
pub fn created_objects(message: &Message) -> Result<Vec<String>, PortError> {
    let notification: Value = message.json()?;
    if notification["Event"] == "s3:TestEvent" {
        return Ok(Vec::new());
    }
    let records = notification["Records"]
        .as_array()
        .ok_or_else(|| PortError::new("message", "not an S3 notification"))?;
    records
        .iter()
        .map(|record| match record["s3"]["object"]["key"].as_str() {
            // Keys come URL-encoded; ours have no character that would be.
            Some(key) => Ok(key.to_owned()),
            None => Err(PortError::new("message", "a notification without a key")),
        })
        .collect()
}

/// A message as SQS hands it over.
pub fn read(message: SqsMessage) -> Message {
    let attempt = message
        .attributes
        .get("ApproximateReceiveCount")
        .and_then(|count| count.parse().ok())
        .unwrap_or(1);
    Message {
        body: message.body.unwrap_or_default(),
        receipt: message.receipt_handle.unwrap_or_default(),
        attempt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_waits_longer_each_time_and_not_at_all_when_it_is_given_up() {
        let message = |attempt| Message { body: String::new(), receipt: String::new(), attempt };
        let waits = |retry| [1, 2, 3, 4, MAX_ATTEMPTS].map(|attempt| message(attempt).wait(retry));
        assert_eq!(waits(15), [15, 30, 60, 120, 0]);
        assert_eq!(waits(LONGEST), [LONGEST, LONGEST, LONGEST, LONGEST, 0]);
    }
}
