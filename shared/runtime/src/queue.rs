//! SQS batches in, the messages that failed out.

use crate::telemetry;
use app::ports::PortError;
use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::{LambdaEvent, service_fn};
use adapter_sqs::Sqs;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long a message stays hidden from others without a sign of life, in seconds. Whoever works
/// on it renews this lease; when a worker is killed, the message is back this soon, rather than
/// after the queue's own visibility timeout, which must outlast the longest task.
const LEASE: i32 = 60;
/// After how many seconds a failed message comes again, for each attempt so far.
const BACK_OFF: i32 = 5;
/// On which delivery a message is tried for the last time: template.yaml's `maxReceiveCount`.
const MAX_ATTEMPTS: u32 = 3;

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
/// When the runtime API is lost.
pub async fn serve(
    route: &'static str,
    own: Sqs,
    handle: impl AsyncFn(&Message) -> Result<(), PortError>,
) -> Result<(), lambda_runtime::Error> {
    let (own, handle) = (&own, &handle);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        let mut failures = SqsBatchResponse::default();
        for message in event.payload.records {
            let since = Instant::now();
            let id = message.message_id.clone().unwrap_or_default();
            let message = read(message);
            let outcome = leased(own, &message.receipt, handle(&message)).await;
            let (word, status) = match outcome {
                Ok(()) => ("ok", 200),
                Err(error) => {
                    tracing::error!(request = id, %error, "a message failed");
                    let wait = BACK_OFF * message.attempt.cast_signed();
                    if let Err(error) = own.extend(&message.receipt, wait).await {
                        tracing::warn!(request = id, %error, "it comes again later than it could");
                    }
                    let mut failure = BatchItemFailure::default();
                    failure.item_identifier.clone_from(&id);
                    failures.batch_item_failures.push(failure);
                    ("failed", 500)
                }
            };
            telemetry::finished(&id, route, word, status, since);
        }
        Ok::<_, lambda_runtime::Error>(failures)
    }))
    .await
}

async fn leased(
    own: &Sqs,
    receipt: &str,
    work: impl Future<Output = Result<(), PortError>>,
) -> Result<(), PortError> {
    let renew = async {
        loop {
            // A lease that can't be renewed risks a duplicate, which changes nothing.
            if let Err(error) = own.extend(receipt, LEASE).await {
                tracing::warn!(%error, "the lease could not be renewed");
            }
            tokio::time::sleep(Duration::from_secs(LEASE.cast_unsigned().into()) / 3).await;
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

fn read(message: SqsMessage) -> Message {
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
