use crate::{failed, held, seconds, string};
use app::ports::{EndedSessions, NonceStore, PortError};
use aws_sdk_dynamodb::Client;
use domain::Seconds;

/// Used nonces and ended sessions, until they would have expired anyway.
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

/// The key of an ended session; no nonce has a slash.
fn ended(id: &str) -> String {
    format!("ended/{id}")
}

impl EndedSessions for Nonces {
    async fn end(&self, id: &str, until: Seconds) -> Result<(), PortError> {
        let item = self.client.put_item().table_name(&self.table);
        let item = item.item("nonce", string(ended(id))).item("expires_at", seconds(until));
        item.send().await.map(drop).map_err(failed)
    }

    async fn is_ended(&self, id: &str) -> Result<bool, PortError> {
        let read = self.client.get_item().table_name(&self.table).consistent_read(true);
        let answer = read.key("nonce", string(ended(id))).send().await.map_err(failed)?;
        Ok(answer.item.is_some())
    }
}
