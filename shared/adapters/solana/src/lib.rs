//! Facts from Solana clusters, by JSON-RPC.
//!
//! An account is what a quorum of providers says of it: the same owner program and the same data,
//! each at the asked slot or later. Where to look is any one provider's word, which proves nothing.
//! What can't be learned is unknown.

mod accounts;
mod cluster;
mod find;
mod provider;
mod transport;

use adapter_provider::{Counts, Timing};
use app::ports::{ChainSettings, Clock, SolanaChains, System};
use cluster::Cluster;
use domain::account::{ChainId, Genesis};
use domain::fact::{Fact, SolanaRead};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

pub use cluster::{ClusterHealth, ProviderHealth};

/// The configured clusters, connected to when first used.
#[derive(Debug, Default)]
pub struct Solana {
    timing: Timing,
    connected: OnceLock<Connected>,
}

/// Clusters with their providers.
#[derive(Debug)]
pub struct Connected {
    clusters: BTreeMap<Genesis, Cluster>,
}

impl Solana {
    /// With a head that is shared for so long.
    pub fn with_head(head: Duration) -> Self {
        Self { timing: Timing { head, ..Timing::default() }, connected: OnceLock::new() }
    }

    /// The clusters, by the settings of the first call: they are fetched after start-up and kept.
    /// Chains of other families are for other adapters.
    pub fn with(&self, chains: &[ChainSettings]) -> &Connected {
        self.connected.get_or_init(|| Connected::new(chains, &self.timing))
    }
}

impl Connected {
    /// Clusters with their providers' addresses. Nothing is asked yet.
    pub fn new(chains: &[ChainSettings], timing: &Timing) -> Self {
        let clusters = chains.iter().filter_map(|settings| match settings.chain {
            ChainId::Solana(genesis) => Some((genesis, Cluster::new(genesis, settings, timing))),
            ChainId::Eip155(_) => None,
        });
        Self { clusters: clusters.collect() }
    }

    /// How every cluster and every provider of it is, asked just now.
    pub async fn health(&self) -> Vec<(ChainId, ClusterHealth)> {
        let each = self.clusters.iter().map(|(genesis, cluster)| async move {
            (ChainId::Solana(*genesis), cluster.health().await)
        });
        join_all(each).await
    }

    /// What was done so far, by cluster.
    pub fn counts(&self) -> Vec<(ChainId, Counts)> {
        let counts = |(genesis, cluster): (&Genesis, &Cluster)| {
            (ChainId::Solana(*genesis), cluster.counts())
        };
        self.clusters.iter().map(counts).collect()
    }
}

impl SolanaChains for Connected {
    async fn read(&self, chain: Genesis, at: Option<u64>, reads: &[SolanaRead]) -> Vec<Fact> {
        match self.clusters.get(&chain) {
            Some(cluster) => cluster.read(at, reads).await,
            None => vec![Fact::unknown("the chain is not configured", System.now()); reads.len()],
        }
    }
}
