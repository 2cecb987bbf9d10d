use crate::{held, seconds, string};
use app::ports::{NonceStore, PortError};
use aws_sdk_dynamodb::Client;
use domain::Seconds;

/// Used nonces, until they would have expired anyway.
#[derive(Debug, Clone)]
pub struct Nonces {
    client: Client,
    table: String,
}

impl Nonces {
    /// In the table of that name.
    pub fn new(config: &aws_config::SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Client::new(config), table: table.into() }
    }
}

impl NonceStore for Nonces {
    async fn use_up(&self, nonce: &str, expires_at: Seconds) -> Result<bool, PortError> {
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("nonce", string(nonce))
            .item("expires_at", seconds(expires_at))
            .condition_expression("attribute_not_exists(nonce)")
            .send()
            .await;
        held(answer)
    }
}
