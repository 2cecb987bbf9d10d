use crate::{failed, from_item, held, string, to_item};
use app::audit::{AuditLog, AuditReader, AuditRecord};
use app::ports::PortError;
use aws_sdk_dynamodb::Client;

/// Decisions, which are only ever added.
#[derive(Debug, Clone)]
pub struct Audit {
    client: Client,
    table: String,
}

impl Audit {
    /// In the table of that name.
    pub fn new(config: &aws_config::SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Client::new(config), table: table.into() }
    }
}

impl AuditLog for Audit {
    async fn append(&self, record: &AuditRecord) -> Result<(), PortError> {
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(record)?))
            .item("moment", string(record.moment()))
            .condition_expression("attribute_not_exists(moment)")
            .send()
            .await;
        // One that is there is this one, sent again.
        held(answer).map(drop)
    }
}

impl AuditReader for Audit {
    async fn of_video(
        &self,
        video: &str,
        before: Option<&str>,
        most: usize,
    ) -> Result<Vec<AuditRecord>, PortError> {
        // Above all moments, which begin with a year.
        let before = before.unwrap_or("9999~");
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("video = :video AND moment < :before")
            .expression_attribute_values(":video", string(video))
            .expression_attribute_values(":before", string(before))
            .scan_index_forward(false)
            // A hundred of the largest stay below the 1 MiB of a page.
            .set_limit(i32::try_from(most).ok())
            .send()
            .await
            .map_err(failed)?;
        answer.items.unwrap_or_default().into_iter().map(from_item).collect()
    }
}
