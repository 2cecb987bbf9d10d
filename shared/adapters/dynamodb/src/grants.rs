use crate::{failed, from_item, number, string, to_item, transact};
use app::ports::{GrantStore, PortError};
use aws_sdk_dynamodb::Client;
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
            // As `Video::is_watchable` says.
            .condition_expression(
                "policy_revision = :revision AND \
                 (stage = :ready OR (stage = :transcoding AND segments_shown > :none))",
            )
            .expression_attribute_values(":ready", string(Stage::Ready.as_str()))
            .expression_attribute_values(":transcoding", string(Stage::Transcoding.as_str()))
            .expression_attribute_values(":none", number(0))
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
        let items = vec![
            TransactWriteItem::builder().condition_check(check).build(),
            TransactWriteItem::builder().put(put).build(),
        ];
        transact(&self.client, items).await
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
