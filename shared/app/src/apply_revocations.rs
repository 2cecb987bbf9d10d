//! SQS: tells the edge which grants are over, in its KeyValueStore. One consumer, one at a time.

use crate::ports::{Clock, EdgeStore, PortError};
use domain::edge_token::EdgeKey;
use domain::revocation::{Revocation, Shard, shard_keys};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many values one request writes: CloudFront's limit.
const WRITES: usize = 50;
/// How often a write is made anew because another's came between.
const TRIES: usize = 5;

/// The queue's one group: all orders are worked on one after the other.
const GROUP: &str = "edge";

/// A message of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeMessage {
    /// The FIFO queue's group.
    group: String,
    /// What to refuse.
    pub orders: Vec<Revocation>,
    /// Whether every shard is to have the keys of now.
    #[serde(default)]
    pub keys: bool,
}

impl RevokeMessage {
    /// Refuse these.
    pub fn revoke(orders: &[Revocation]) -> Self {
        Self { group: GROUP.into(), orders: orders.to_vec(), keys: false }
    }

    /// Give every shard the keys of now, and forget in each what is over.
    pub fn keys() -> Self {
        Self { group: GROUP.into(), orders: Vec::new(), keys: true }
    }
}

/// Writes what a batch of messages says. Done twice it writes nothing new.
///
/// # Errors
/// When the store can't be read or written; then all of it is to be done again.
pub async fn apply_revocations(
    clock: &impl Clock,
    store: &impl EdgeStore,
    keys: &[EdgeKey],
    messages: &[RevokeMessage],
) -> Result<(), PortError> {
    let mut orders: BTreeMap<String, Vec<&Revocation>> = BTreeMap::new();
    for order in messages.iter().flat_map(|message| &message.orders) {
        orders.entry(domain::revocation::shard_key(order.grant())).or_default().push(order);
    }
    let mut shards: BTreeSet<String> = orders.keys().cloned().collect();
    if messages.iter().any(|message| message.keys) {
        shards.extend(shard_keys());
    }
    let shards: Vec<_> = shards.into_iter().collect();
    for some in shards.chunks(WRITES) {
        write(clock, store, keys, some, &orders).await?;
    }
    let size = store.size().await?;
    tracing::info!(
        edge_store_bytes = size.bytes,
        edge_store_items = size.items,
        "the edge's store"
    );
    Ok(())
}

async fn write(
    clock: &impl Clock,
    store: &impl EdgeStore,
    keys: &[EdgeKey],
    shards: &[String],
    orders: &BTreeMap<String, Vec<&Revocation>>,
) -> Result<(), PortError> {
    for _ in 0..TRIES {
        let now = clock.now();
        let (version, values) = store.read(shards).await?;
        let mut puts = Vec::new();
        for name in shards {
            let before = values.get(name);
            // What can't be read refuses everything at the edge: it is made anew, with what is known.
            let mut shard = before.and_then(|value| Shard::read(value).ok()).unwrap_or_default();
            shard.prune(now);
            shard.set_keys(keys);
            for order in orders.get(name).into_iter().flatten() {
                shard.add(order);
            }
            let after = shard.write(now);
            if before != Some(&after) {
                puts.push((name.clone(), after));
            }
        }
        if puts.is_empty() || store.write(&version, &puts).await? {
            return Ok(());
        }
    }
    Err(PortError::new("edge store", "others keep writing to it"))
}
