//! The tables, in DynamoDB. Every state moves by a conditional write.

mod grants;
mod nonces;
mod tasks;
mod videos;

pub use grants::Grants;
pub use nonces::Nonces;
pub use tasks::Tasks;
pub use videos::Videos;

use app::ports::PortError;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::Seconds;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;

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

fn to_item(value: &impl Serialize) -> Result<Item, PortError> {
    serde_dynamo::to_item(value).map_err(|error| PortError::new("dynamodb", error))
}

fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, PortError> {
    serde_dynamo::from_item(item).map_err(|error| PortError::new("dynamodb", error))
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
