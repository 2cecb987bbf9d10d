//! The tables, in DynamoDB. Every state moves by a conditional write.

mod audit;
mod facts;
mod grants;
mod live;
mod nonces;
mod tasks;
mod videos;
mod watch;

pub use audit::Audit;
pub use facts::Facts;
pub use grants::Grants;
pub use nonces::Nonces;
pub use tasks::Tasks;
pub use videos::Videos;
pub use watch::{DeliveryLog, PolicyList, Watch};

use app::ports::{PortError, Random, System};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, TransactWriteItem};
use domain::Seconds;
use domain::video::Stage;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::time::Duration;

type Item = HashMap<String, AttributeValue>;

fn failed<E: ProvideErrorMetadata, R>(error: SdkError<E, R>) -> PortError {
    adapter_aws::failed("dynamodb", &error)
}

/// Whether a conditional write's condition held.
fn held<T, E: ProvideErrorMetadata, R>(
    answer: Result<T, SdkError<E, R>>,
) -> Result<bool, PortError> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// How often a transaction is tried that meets another on the same item. The SDK does not: many
/// viewers of one video, or two tasks that end together, are no reason to fail.
const TRIES: u32 = 8;

/// Writes all of it, or nothing if a condition does not hold.
async fn transact(client: &Client, items: Vec<TransactWriteItem>) -> Result<bool, PortError> {
    let mut tries = 1;
    loop {
        let answer =
            client.transact_write_items().set_transact_items(Some(items.clone())).send().await;
        let Err(error) = answer else { return Ok(true) };
        let reasons: Vec<_> = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => cancelled
                .cancellation_reasons()
                .iter()
                .filter_map(CancellationReason::code)
                .collect(),
            _ => Vec::new(),
        };
        if reasons.contains(&"ConditionalCheckFailed") {
            return Ok(false);
        }
        if !reasons.contains(&"TransactionConflict") || tries == TRIES {
            return Err(failed(error));
        }
        tries += 1;
        pause(tries).await;
    }
}

/// Longer with each try, and never the same as somebody else's.
async fn pause(tries: u32) {
    let jitter = u64::from(Random::bytes::<1>(&System)[0]);
    tokio::time::sleep(Duration::from_millis(jitter * u64::from(tries) / 4)).await;
}

fn to_item(value: &impl Serialize) -> Result<Item, PortError> {
    serde_dynamo::to_item(value).map_err(|error| PortError::new("dynamodb", error))
}

fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, PortError> {
    serde_dynamo::from_item(item).map_err(|error| PortError::new("dynamodb", error))
}

fn to_attribute(value: &(impl Serialize + ?Sized)) -> Result<AttributeValue, PortError> {
    serde_dynamo::to_attribute_value(value).map_err(|error| PortError::new("dynamodb", error))
}

/// Of a video's item, that finished work still counts ([`domain::video::Video::is_open`]); what it compares with is
/// [`open_values`].
const OPEN: &str = "(stage = :transcoding OR (stage = :failed AND redrivable = :true))";

/// What [`OPEN`] compares with.
fn open_values() -> [(&'static str, AttributeValue); 3] {
    [
        (":transcoding", string(Stage::Transcoding.as_str())),
        (":failed", string(Stage::Failed.as_str())),
        (":true", AttributeValue::Bool(true)),
    ]
}

fn string(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn seconds(value: Seconds) -> AttributeValue {
    number(value)
}
