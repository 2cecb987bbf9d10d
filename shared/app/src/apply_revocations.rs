//! SQS: tells the edge which grants are over, in its KeyValueStore. One consumer, one at a time.

use crate::ports::{Clock, EdgeStore, KeyPlace, MAX_STORE_WRITES, PortError};
use domain::keyring::Key;
use domain::revocation::{Revocation, Shard, shard_key, shard_keys};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How often a write is made anew because another's came between.
const TRIES: usize = 10;

/// The queue's one group: all orders are worked on one after the other.
const GROUP: &str = "edge";

/// A message of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeMessage {
    /// The FIFO queue's group.
    group: String,
    /// What to refuse.
    pub orders: Vec<Revocation>,
}

impl RevokeMessage {
    /// Refuse these.
    pub fn revoke(orders: &[Revocation]) -> Self {
        Self { group: GROUP.into(), orders: orders.to_vec() }
    }
}

/// Writes what a batch of messages says, and forgets in the same shards what is over. Done twice it
/// writes nothing new.
///
/// # Errors
/// When the store can't be read or written; then all of it is to be done again.
pub async fn apply_revocations(
    clock: &impl Clock,
    store: &impl EdgeStore,
    messages: &[RevokeMessage],
) -> Result<(), PortError> {
    let mut orders: BTreeMap<String, Vec<&Revocation>> = BTreeMap::new();
    for order in messages.iter().flat_map(|message| &message.orders) {
        orders.entry(shard_key(order.grant())).or_default().push(order);
    }
    let shards: Vec<_> = orders.keys().cloned().collect();
    // One write's worth after the other: the first need not wait for the last to be read.
    for some in shards.chunks(MAX_STORE_WRITES) {
        rewrite(clock, store, Some(some), |name, shard| {
            for order in orders.get(name).into_iter().flatten() {
                shard.add(order);
            }
        })
        .await?;
    }
    let size = store.size().await?;
    // Read by the stack's metric filter.
    tracing::info!(edge_store_bytes = size.bytes, edge_store_items = size.items, "edge store");
    Ok(())
}

/// Changes some shards, or all, and forgets in them what is over. What is as it should be is not
/// written; what another writes meanwhile stays.
async fn rewrite(
    clock: &impl Clock,
    store: &impl EdgeStore,
    some: Option<&[String]>,
    change: impl Fn(&str, &mut Shard),
) -> Result<(), PortError> {
    let all: Vec<_> = if some.is_none() { shard_keys().collect() } else { Vec::new() };
    for _ in 0..TRIES {
        let now = clock.now();
        let read = match some {
            Some(names) => store.get(names).await?,
            None => store.all().await?,
        };
        let mut puts = BTreeMap::new();
        for name in some.unwrap_or(&all) {
            let before = read.values.get(name);
            // What can't be read refuses everything at the edge; so does a shard without keys.
            let mut shard = before.and_then(|value| Shard::read(value).ok()).unwrap_or_default();
            shard.prune(now);
            change(name, &mut shard);
            let after = shard.write(now);
            if shard.is_crowded(&after) {
                // Who reads this often may have somebody who ends streams in order to end others'.
                tracing::warn!(
                    shard = name,
                    "grants that nobody ended are refused with those that were"
                );
            }
            if before != Some(&after) {
                puts.insert(name.clone(), after);
            }
        }
        if put(store, read.version, puts).await? {
            return Ok(());
        }
    }
    Err(PortError::new("edge store", "others keep writing to it"))
}

/// False where another's write came between: what was written so far needs no second time.
async fn put(
    store: &impl EdgeStore,
    mut version: String,
    puts: BTreeMap<String, String>,
) -> Result<bool, PortError> {
    let mut some = BTreeMap::new();
    let last = puts.len();
    for (index, (name, value)) in puts.into_iter().enumerate() {
        some.insert(name, value);
        if some.len() == MAX_STORE_WRITES || index + 1 == last {
            match store.write(&version, &std::mem::take(&mut some), &[]).await? {
                Some(next) => version = next,
                None => return Ok(false),
            }
        }
    }
    Ok(true)
}

/// The edge's store as the place of the tokens' keys: each of its shards has all of them.
#[derive(Debug)]
pub struct ShardKeys<'a, C, S> {
    /// The time.
    pub clock: &'a C,
    /// The store.
    pub store: &'a S,
}

impl<C: Clock, S: EdgeStore> KeyPlace for ShardKeys<'_, C, S> {
    async fn look(&self) -> Result<Option<String>, PortError> {
        // Whatever is written meanwhile is read again before each write of ours.
        Ok(None)
    }

    /// Also forgets what is over, in all shards. Revocations that are written meanwhile stay.
    async fn publish(
        &self,
        _: Option<&str>,
        keys: &[Key],
    ) -> Result<Option<Vec<(String, String)>>, PortError> {
        let keys: Vec<_> = keys.iter().filter_map(Key::for_edge).collect();
        rewrite(self.clock, self.store, None, |_, shard| shard.set_keys(&keys)).await?;
        Ok(Some(Vec::new()))
    }
}
