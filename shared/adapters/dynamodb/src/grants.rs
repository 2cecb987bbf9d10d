use crate::{failed, from_item, number, string, to_item};
use app::ports::{GrantStore, PortError};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::{
    TransactWriteItemsError, TransactWriteItemsOutput,
};
use aws_sdk_dynamodb::types::{ConditionCheck, Put, TransactWriteItem};
use domain::grant::Grant;
use domain::video::Stage;

/// The grants, beside the videos whose policies they were decided on.
#[derive(Debug, Clone)]
pub struct Grants {
    client: Client,
    table: String,
    videos: Option<String>,
}

impl Grants {
    /// For giving grants: `videos` is the videos' table.
    pub fn new(
        config: &aws_config::SdkConfig,
        table: impl Into<String>,
        videos: impl Into<String>,
    ) -> Self {
        Self { client: Client::new(config), table: table.into(), videos: Some(videos.into()) }
    }

    /// For reading grants only.
    pub fn reader(config: &aws_config::SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Client::new(config), table: table.into(), videos: None }
    }
}

/// Whether a transaction's conditions held. A conflict with another transaction is a fault: the
/// SDK has retried it already.
pub(crate) fn transacted<R: std::fmt::Debug + Send + Sync + 'static>(
    answer: Result<TransactWriteItemsOutput, SdkError<TransactWriteItemsError, R>>,
) -> Result<bool, PortError> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) => {
            let refused = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => cancelled
                    .cancellation_reasons()
                    .iter()
                    .any(|reason| reason.code() == Some("ConditionalCheckFailed")),
                _ => false,
            };
            if refused { Ok(false) } else { Err(failed(error)) }
        }
    }
}

impl GrantStore for Grants {
    async fn create(&self, grant: &Grant) -> Result<bool, PortError> {
        let broken = |error| PortError::new("dynamodb", error);
        let videos = self
            .videos
            .as_ref()
            .ok_or_else(|| PortError::new("dynamodb", "these grants are for reading only"))?;
        let check = ConditionCheck::builder()
            .table_name(videos)
            .key("id", string(&grant.video))
            .condition_expression("stage = :ready AND policy_revision = :revision")
            .expression_attribute_values(":ready", string(Stage::Ready.as_str()))
            .expression_attribute_values(":revision", number(grant.policy_revision))
            .build()
            .map_err(broken)?;
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(grant)?))
            .condition_expression("attribute_not_exists(#grant)")
            .expression_attribute_names("#grant", "grant")
            .build()
            .map_err(broken)?;
        let answer = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().condition_check(check).build())
            .transact_items(TransactWriteItem::builder().put(put).build())
            .send()
            .await;
        transacted(answer)
    }

    async fn get(&self, key: &str) -> Result<Option<Grant>, PortError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("grant", string(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(failed)?;
        answer.item.map(from_item).transpose()
    }
}
