use crate::{failed, from_item, held, number, seconds, string, to_item};
use app::ports::{Cursors, Deliveries, Leases, Policies, PortError};
use aws_sdk_dynamodb::Client;
use domain::Seconds;
use domain::account::ChainId;
use domain::policy::Policy;
use domain::watch::Cursor;
use serde_json::Value;

/// How many policies are followed. They are all kept in memory, and read again every 20 s.
const MAX_POLICIES: usize = 20_000;

/// Who watches, and how far the chains have been followed: items by `name`.
#[derive(Debug, Clone)]
pub struct Watch {
    client: Client,
    table: String,
}

impl Watch {
    /// In the table of that name.
    pub fn new(config: &aws_config::SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Client::new(config), table: table.into() }
    }
}

impl Leases for Watch {
    async fn take(
        &self,
        name: &str,
        holder: &str,
        now: Seconds,
        until: Seconds,
    ) -> Result<bool, PortError> {
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("name", string(format!("lease:{name}")))
            .item("holder", string(holder))
            .item("until", seconds(until))
            .condition_expression(
                "attribute_not_exists(#name) OR holder = :holder OR #until <= :now",
            )
            .expression_attribute_names("#name", "name")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":holder", string(holder))
            .expression_attribute_values(":now", seconds(now))
            .send()
            .await;
        held(answer)
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), PortError> {
        let answer = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("name", string(format!("lease:{name}")))
            .condition_expression("holder = :holder")
            .expression_attribute_values(":holder", string(holder))
            .send()
            .await;
        // Another's stays.
        held(answer).map(drop)
    }
}

impl Cursors for Watch {
    async fn get(&self, chain: ChainId) -> Result<Option<Cursor>, PortError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("name", string(chain.to_string()))
            .consistent_read(true)
            .send()
            .await
            .map_err(failed)?;
        answer.item.map(from_item).transpose()
    }

    async fn put(&self, cursor: &Cursor) -> Result<bool, PortError> {
        let next = Cursor { revision: cursor.revision + 1, ..cursor.clone() };
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(&next)?))
            .item("name", string(cursor.chain.to_string()));
        let put = match cursor.revision {
            0 => put
                .condition_expression("attribute_not_exists(#name)")
                .expression_attribute_names("#name", "name"),
            revision => put
                .condition_expression("revision = :revision")
                .expression_attribute_values(":revision", number(revision)),
        };
        held(put.send().await)
    }
}

/// The policies, out of the videos' table.
#[derive(Debug, Clone)]
pub struct PolicyList {
    client: Client,
    videos: String,
}

impl PolicyList {
    /// `videos` is the videos' table.
    pub fn new(config: &aws_config::SdkConfig, videos: impl Into<String>) -> Self {
        Self { client: Client::new(config), videos: videos.into() }
    }
}

impl Policies for PolicyList {
    async fn all(&self) -> Result<Vec<(String, Policy)>, PortError> {
        let mut pages = self
            .client
            .scan()
            .table_name(&self.videos)
            .projection_expression("id, #policy")
            .filter_expression("attribute_exists(#policy)")
            .expression_attribute_names("#policy", "policy")
            .into_paginator()
            .items()
            .send();
        let mut policies = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(failed)?;
            let text = |name| item.get(name).and_then(|value| value.as_s().ok());
            let (Some(id), Some(policy)) = (text("id"), text("policy")) else { continue };
            match read(policy) {
                Some(policy) => policies.push((id.clone(), policy)),
                // Nobody gets in by it either.
                None => tracing::error!(video = id, "a stored policy can't be read"),
            }
            if policies.len() > MAX_POLICIES {
                let cause = format!("more than {MAX_POLICIES} policies can't be followed");
                return Err(PortError::new("dynamodb", cause));
            }
        }
        Ok(policies)
    }
}

fn read(text: &str) -> Option<Policy> {
    let value: Value = serde_json::from_str(text).ok()?;
    Policy::read(&value).ok()
}

/// Deliveries, beside the used nonces: both are forgotten by the table's TTL.
#[derive(Debug, Clone)]
pub struct DeliveryLog {
    client: Client,
    nonces: String,
}

impl DeliveryLog {
    /// `nonces` is the nonces' table.
    pub fn new(config: &aws_config::SdkConfig, nonces: impl Into<String>) -> Self {
        Self { client: Client::new(config), nonces: nonces.into() }
    }
}

impl Deliveries for DeliveryLog {
    async fn is_done(&self, id: &str) -> Result<bool, PortError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.nonces)
            .key("nonce", string(id))
            .consistent_read(true)
            .send()
            .await
            .map_err(failed)?;
        Ok(answer.item.is_some())
    }

    async fn done(&self, id: &str, until: Seconds) -> Result<(), PortError> {
        let answer = self
            .client
            .put_item()
            .table_name(&self.nonces)
            .item("nonce", string(id))
            .item("expires_at", seconds(until))
            .condition_expression("attribute_not_exists(nonce)")
            .send()
            .await;
        // Another delivery of the same was as quick.
        held(answer).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::account::Address;
    use domain::transfer::Touch;
    use domain::watch::Mark;

    #[test]
    fn cursors_survive_being_items() {
        let mut cursor = Cursor::new(ChainId::Eip155(1), "ab".into(), 5);
        let touch = Touch {
            contract: Address([1; 20]),
            wallet: Some(Address([2; 20])),
            id: Some(domain::number::U256::MAX),
        };
        let hash = format!("0x{}", "ab".repeat(32));
        let mark = Mark { number: u64::MAX, hash, time: 9, touches: vec![touch], more: false };
        cursor.push(mark.clone());
        cursor.push(Mark { touches: Vec::new(), more: true, ..mark });
        cursor.lagged_at = Some(7);
        let mut item = to_item(&cursor).unwrap();
        item.insert("name".into(), string("eip155:1"));
        assert_eq!(from_item::<Cursor>(item).unwrap(), cursor);
    }

    #[test]
    fn a_policy_is_read_as_it_is_stored() {
        let rule = serde_json::json!({"kind": "time", "from": "2026-01-01T00:00:00Z"});
        let text = serde_json::json!({"version": 1, "rule": rule}).to_string();
        assert!(read(&text).is_some());
        assert!(read("{}").is_none() && read("x").is_none());
    }
}
