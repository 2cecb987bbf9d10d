//! Facts from EVM chains, by JSON-RPC, from providers that nobody trusts.
//!
//! A fact is what a quorum of a chain's providers answered, byte for byte, at the same block hash
//! (EIP-1898). One that is down, slow or lying changes nothing; where too few agree, the fact is
//! unknown. All reads of a decision are one `eth_call` to each provider that is asked.

mod chain;
mod errors;
mod head;
mod logs;
mod multicall;
mod provider;
mod signature;
mod transport;

pub use adapter_provider::{Counts, Failure, State, Timing};

use alloy::primitives::Address as EvmAddress;
use app::ports::{ChainSettings, Clock, EvmChains, EvmLogs, Logs, PortError, System, Tip};
use chain::Chain;
use domain::account::{Address, ChainId};
use domain::fact::{Block, EvmRead, Fact};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

/// The configured chains, connected to when first used.
#[derive(Debug, Default)]
pub struct Evm {
    timing: Timing,
    connected: OnceLock<Connected>,
}

/// Chains with their providers.
#[derive(Debug)]
pub struct Connected {
    chains: BTreeMap<u64, Chain>,
}

/// How a chain is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainHealth {
    /// Its head, or why there is none.
    pub head: Result<Block, String>,
    /// How many providers must agree. One of one is to trust it.
    pub quorum: usize,
    /// By their places in the settings. No addresses: those may hold keys.
    pub providers: Vec<ProviderHealth>,
}

/// How a provider is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderHealth {
    /// Whether it is asked at present.
    pub state: State,
    /// The block that it says it is at, or what is wrong with it.
    pub head: Result<u64, Failure>,
}

impl Evm {
    /// With a head that is shared for so long.
    pub fn with_head(head: Duration) -> Self {
        Self { timing: Timing { head, ..Timing::default() }, connected: OnceLock::new() }
    }

    /// The chains, by the settings of the first call: they are fetched after start-up and kept.
    pub fn with(&self, chains: &[ChainSettings]) -> &Connected {
        self.connected.get_or_init(|| Connected::new(chains, &self.timing))
    }
}

impl Connected {
    /// The EVM chains among these. An address that can't be read is a provider that fails.
    pub fn new(chains: &[ChainSettings], timing: &Timing) -> Self {
        let chains = chains.iter().filter_map(|settings| match settings.chain {
            ChainId::Eip155(id) => Some((id, Chain::new(id, settings, timing.clone()))),
            ChainId::Solana(_) => None,
        });
        Self { chains: chains.collect() }
    }

    /// How every chain and every provider of it is, asked just now.
    pub async fn health(&self) -> Vec<(ChainId, ChainHealth)> {
        let each = self.chains.iter();
        join_all(each.map(async |(id, chain)| (ChainId::Eip155(*id), chain.health().await))).await
    }

    /// What was done so far, by chain.
    pub fn counts(&self) -> Vec<(ChainId, Counts)> {
        let each = self.chains.iter();
        each.map(|(id, chain)| (ChainId::Eip155(*id), chain.counts())).collect()
    }
}

impl EvmChains for Connected {
    async fn read(&self, chain: u64, at: Option<&Block>, reads: &[EvmRead]) -> Vec<Fact> {
        match self.chains.get(&chain) {
            Some(chain) => chain.read(at, reads).await,
            None => vec![Fact::unknown("the chain is not configured", System.now()); reads.len()],
        }
    }

    async fn signed(
        &self,
        chain: u64,
        wallet: Address,
        digest: [u8; 32],
        signature: &[u8],
    ) -> Option<bool> {
        let chain = self.chains.get(&chain)?;
        chain.signed(EvmAddress::from(wallet.0), digest, signature).await
    }
}

impl Connected {
    /// A chain to follow.
    fn followed(&self, chain: u64) -> Result<&Chain, PortError> {
        let none = || PortError::new("evm", format!("eip155:{chain} is not configured"));
        self.chains.get(&chain).ok_or_else(none)
    }
}

impl EvmLogs for Connected {
    async fn newest(&self, chain: u64) -> Result<Tip, PortError> {
        self.followed(chain)?.newest().await.map_err(|reason| PortError::new("evm", reason))
    }

    async fn at(&self, chain: u64, number: u64) -> Result<Tip, PortError> {
        self.followed(chain)?.at(number).await.map_err(|reason| PortError::new("evm", reason))
    }

    async fn logs(
        &self,
        chain: u64,
        from: u64,
        to: &Block,
        contracts: &[Address],
    ) -> Result<Option<Logs>, PortError> {
        let logs = self.followed(chain)?.logs(from, to, contracts).await;
        logs.map_err(|reason| PortError::new("evm", reason))
    }
}
