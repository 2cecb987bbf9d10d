//! Facts from EVM chains, by JSON-RPC.
//!
//! All reads of one chain that a decision needs are made at one block hash (EIP-1898) of one
//! provider. A chain's providers are tried in order until one answers; agreement between them is
//! not asked for yet, so each listed address is trusted. What no provider answers is unknown.

use alloy::eips::BlockId;
use alloy::network::TransactionBuilder;
use alloy::primitives::{Address as EvmAddress, B256, Bytes, U256 as EvmNumber};
use alloy::providers::{Provider, ProviderBuilder, RootProvider};
use alloy::rpc::types::TransactionRequest;
use alloy::sol;
use alloy::sol_types::SolCall;
use alloy::transports::{RpcError, TransportError};
use app::ports::Chains;
use domain::account::{Address, ChainId};
use domain::decision::{Block, Fact, Verdict};
use domain::policy::{Condition, Holding, U256};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// How long one provider has for all the reads of one decision.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(4);
/// A head older than this many seconds is no head: the provider is stuck.
const MAX_HEAD_AGE: u64 = 30 * 60;

sol! {
    function balanceOf(address owner) external view returns (uint256);
    function ownerOf(uint256 tokenId) external view returns (address);
}

/// The configured chains, connected to when first used.
#[derive(Debug, Default)]
pub struct Evm {
    connected: OnceLock<Connected>,
}

/// Chains with their providers.
#[derive(Debug)]
pub struct Connected {
    chains: BTreeMap<ChainId, Vec<RpcProvider>>,
}

#[derive(Debug)]
struct RpcProvider {
    client: RootProvider,
    /// Set once the provider has said that it serves the right chain.
    checked: OnceCell<()>,
}

/// Why a provider gave no answer. No address in it: those may hold keys.
#[derive(Debug, thiserror::Error)]
enum Silence {
    #[error("it did not answer in time")]
    Late,
    #[error("it could not be asked")]
    Transport,
    #[error("it serves another chain")]
    WrongChain,
    #[error("it has no recent head")]
    NoHead,
    #[error("its answer makes no sense")]
    Garbage,
}

impl Evm {
    /// The chains, by the settings of the first call: they are fetched after start-up and kept.
    pub fn with<'a>(
        &self,
        chains: impl IntoIterator<Item = (ChainId, &'a [String])>,
    ) -> &Connected {
        self.connected.get_or_init(|| Connected::new(chains))
    }
}

impl Connected {
    /// Chains with their providers' addresses; an address that is none is left out, loudly.
    pub fn new<'a>(chains: impl IntoIterator<Item = (ChainId, &'a [String])>) -> Self {
        // reqwest is built without a provider of its own; a second install only says it was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let provider = |chain: ChainId, address: &String| match address.parse() {
            Ok(url) => Some(RpcProvider {
                client: ProviderBuilder::default().connect_http(url),
                checked: OnceCell::new(),
            }),
            Err(_) => {
                tracing::error!(%chain, "an RPC address can't be read");
                None
            }
        };
        let chains = chains
            .into_iter()
            .map(|(chain, addresses)| {
                let providers =
                    addresses.iter().filter_map(|address| provider(chain, address)).collect();
                (chain, providers)
            })
            .collect();
        Self { chains }
    }

    /// The head of every configured chain, or why it can't be read.
    pub async fn heads(&self) -> Vec<(ChainId, Result<Block, String>)> {
        let heads = self.chains.iter().map(|(chain, providers)| async move {
            let mut outcome = Err("no provider is configured".to_owned());
            for provider in providers {
                outcome = within(provider.head(*chain)).await.map_err(|error| error.to_string());
                if outcome.is_ok() {
                    break;
                }
            }
            (*chain, outcome)
        });
        futures_util::future::join_all(heads).await
    }

    async fn read(&self, chain: ChainId, holder: Address, reads: &[&Condition]) -> Vec<Fact> {
        let unknown = |reason: &str| vec![Fact::unknown(reason); reads.len()];
        let Some(providers) = self.chains.get(&chain) else {
            return unknown("the chain is not configured");
        };
        let mut best = unknown("no provider of the chain gave an answer");
        for (index, provider) in providers.iter().enumerate() {
            match within(provider.read(chain, holder, reads)).await {
                Ok(facts) if gaps(&facts) == 0 => return facts,
                Ok(facts) if gaps(&facts) < gaps(&best) => best = facts,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%chain, provider = index, %error, "a provider gave no answer");
                }
            }
        }
        best
    }
}

fn gaps(facts: &[Fact]) -> usize {
    facts.iter().filter(|fact| fact.verdict == Verdict::Unknown).count()
}

async fn within<T>(work: impl Future<Output = Result<T, Silence>>) -> Result<T, Silence> {
    timeout(PROVIDER_TIMEOUT, work).await.unwrap_or(Err(Silence::Late))
}

impl Chains for Connected {
    async fn facts(&self, holder: Address, conditions: &[&Condition]) -> Vec<Fact> {
        let mut by_chain: BTreeMap<ChainId, Vec<usize>> = BTreeMap::new();
        for (index, condition) in conditions.iter().enumerate() {
            let Condition::Erc721 { chain, .. } = condition;
            by_chain.entry(*chain).or_default().push(index);
        }
        let mut facts = vec![Fact::unknown("not read"); conditions.len()];
        let reads = by_chain.into_iter().map(|(chain, indexes)| async move {
            let reads: Vec<_> = indexes.iter().map(|index| conditions[*index]).collect();
            (self.read(chain, holder, &reads).await, indexes)
        });
        for (answers, indexes) in futures_util::future::join_all(reads).await {
            for (fact, index) in answers.into_iter().zip(indexes) {
                facts[index] = fact;
            }
        }
        facts
    }
}

impl RpcProvider {
    async fn head(&self, chain: ChainId) -> Result<Block, Silence> {
        self.checked
            .get_or_try_init(|| async {
                match self.client.get_chain_id().await {
                    Ok(id) if id == chain.0 => Ok(()),
                    Ok(_) => Err(Silence::WrongChain),
                    Err(error) => Err(silence(&error)),
                }
            })
            .await?;
        let head = self
            .client
            .get_block(BlockId::latest())
            .await
            .map_err(|error| silence(&error))?
            .ok_or(Silence::NoHead)?;
        let now = app::ports::Clock::now(&app::ports::System);
        if head.header.timestamp.saturating_add(MAX_HEAD_AGE) < now {
            return Err(Silence::NoHead);
        }
        Ok(Block { number: head.header.number, hash: head.header.hash.to_string() })
    }

    async fn read(
        &self,
        chain: ChainId,
        holder: Address,
        reads: &[&Condition],
    ) -> Result<Vec<Fact>, Silence> {
        let block = self.head(chain).await?;
        let hash: B256 = block.hash.parse().map_err(|_| Silence::Garbage)?;
        let calls = reads.iter().map(|condition| self.check(holder, condition, hash, &block));
        futures_util::future::try_join_all(calls).await
    }

    async fn check(
        &self,
        holder: Address,
        condition: &Condition,
        hash: B256,
        block: &Block,
    ) -> Result<Fact, Silence> {
        let Condition::Erc721 { contract, holding, .. } = condition;
        let wallet = EvmAddress::from(holder.0);
        let data = match holding {
            Holding::Balance(_) => balanceOfCall { owner: wallet }.abi_encode(),
            Holding::Token(id) => {
                ownerOfCall { tokenId: EvmNumber::from_be_bytes(id.0) }.abi_encode()
            }
        };
        let call = TransactionRequest::default()
            .with_to(EvmAddress::from(contract.0))
            .with_input(Bytes::from(data));
        let answer = match self.client.call(call).block(BlockId::hash(hash)).await {
            Ok(answer) => Some(answer),
            Err(error) if reverted(&error) => None,
            // This one question could not be answered; the others of the decision may be.
            Err(RpcError::ErrorResp(_)) => {
                return Ok(Fact::unknown("the provider could not run the question"));
            }
            Err(error) => return Err(silence(&error)),
        };
        let Ok((verdict, value, reason)) = judge(holding, wallet, answer.as_ref()) else {
            return Ok(Fact::unknown("the contract's answer makes no sense"));
        };
        Ok(Fact { verdict, value, block: Some(block.clone()), reason })
    }
}

type Judgement = (Verdict, Option<String>, Option<String>);

fn judge(
    holding: &Holding,
    wallet: EvmAddress,
    answer: Option<&Bytes>,
) -> Result<Judgement, Silence> {
    let no = |reason: &str| (Verdict::No, None, Some(reason.to_owned()));
    let answer = match answer {
        None => {
            return Ok(no(
                "the contract refused the question: there is no such token, or it is no ERC-721",
            ));
        }
        Some(answer) if answer.is_empty() => return Ok(no("no ERC-721 contract answers there")),
        Some(answer) if answer.len() != 32 => return Err(Silence::Garbage),
        Some(answer) => answer,
    };
    let verdict = |holds| if holds { Verdict::Yes } else { Verdict::No };
    Ok(match holding {
        Holding::Balance(least) => {
            let balance =
                balanceOfCall::abi_decode_returns_validate(answer).map_err(|_| Silence::Garbage)?;
            let holds = U256(balance.to_be_bytes()) >= *least;
            let reason = (!holds).then(|| format!("holds {balance}, needs {least}"));
            (verdict(holds), Some(balance.to_string()), reason)
        }
        Holding::Token(id) => {
            let owner =
                ownerOfCall::abi_decode_returns_validate(answer).map_err(|_| Silence::Garbage)?;
            let holds = owner == wallet && !owner.is_zero();
            let reason = (!holds).then(|| format!("token {id} belongs to another wallet"));
            (verdict(holds), Some(owner.to_string()), reason)
        }
    })
}

/// A revert is the contract's own answer; everything else is the provider's trouble.
fn reverted(error: &TransportError) -> bool {
    matches!(error, RpcError::ErrorResp(payload)
        if payload.code == 3 || payload.message.contains("revert"))
}

fn silence(error: &TransportError) -> Silence {
    match error {
        RpcError::DeserError { .. } | RpcError::NullResp => Silence::Garbage,
        _ => Silence::Transport,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(last: u8) -> Bytes {
        let mut word = [0_u8; 32];
        word[31] = last;
        Bytes::copy_from_slice(&word)
    }

    fn two() -> Holding {
        Holding::Balance(U256::from_decimal("2").unwrap())
    }

    #[test]
    fn a_balance_is_compared() {
        let wallet = EvmAddress::repeat_byte(1);
        assert_eq!(judge(&two(), wallet, Some(&word(2))).unwrap().0, Verdict::Yes);
        let (verdict, value, reason) = judge(&two(), wallet, Some(&word(1))).unwrap();
        assert_eq!((verdict, value.as_deref()), (Verdict::No, Some("1")));
        assert_eq!(reason.as_deref(), Some("holds 1, needs 2"));
    }

    #[test]
    fn the_owner_is_compared_and_nobody_is_no_owner() {
        let token = Holding::Token(U256::ONE);
        let wallet = EvmAddress::with_last_byte(7);
        assert_eq!(judge(&token, wallet, Some(&word(7))).unwrap().0, Verdict::Yes);
        assert_eq!(judge(&token, wallet, Some(&word(8))).unwrap().0, Verdict::No);
        assert_eq!(judge(&token, EvmAddress::ZERO, Some(&word(0))).unwrap().0, Verdict::No);
    }

    #[test]
    fn no_contract_and_a_revert_are_no_and_garbage_is_no_answer() {
        let wallet = EvmAddress::repeat_byte(1);
        assert_eq!(judge(&two(), wallet, Some(&Bytes::new())).unwrap().0, Verdict::No);
        assert_eq!(judge(&two(), wallet, None).unwrap().0, Verdict::No);
        assert!(judge(&two(), wallet, Some(&Bytes::from_static(&[1; 31]))).is_err());
        let dirty = Bytes::from_static(&[0xff; 32]);
        assert!(judge(&Holding::Token(U256::ONE), wallet, Some(&dirty)).is_err());
    }
}
