use crate::{held, string, to_item};
use app::audit::{AuditLog, AuditRecord};
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
