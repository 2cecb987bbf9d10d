//! Facts: what a chain, or a plug-in, answered to one question, and where and when it was read.
//!
//! A question says nothing of what is wanted of its answer, so that a fact serves every policy
//! that asks the same, whatever it compares the answer with.

use crate::Seconds;
use crate::account::{Account, Address, Genesis, Pubkey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest answer that is kept or looked at, in bytes.
pub const MAX_ANSWER: usize = 32 * 1024;

/// What [`Answer::Refused`] says where a call reverted: the contract's own no, as distinct from
/// one that fails in other ways.
pub const REVERTED: &str = "reverted";

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Question {
    /// Of an EVM chain.
    Evm(u64, EvmRead),
    /// Of a Solana cluster.
    Solana(Genesis, SolanaRead),
    /// Of a plug-in.
    Plugin(PluginRead),
}

/// A read of an EVM chain's state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EvmRead {
    /// `eth_call`; the answer is [`Answer::Bytes`] or [`Answer::Refused`].
    Call {
        /// The contract.
        to: Address,
        /// Selector and arguments.
        data: Vec<u8>,
    },
    /// The native balance in wei: 32 bytes, big-endian.
    Balance(Address),
}

/// A read of a Solana cluster's state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SolanaRead {
    /// One account, by agreement of the providers: [`Answer::Account`] or [`Answer::Absent`].
    Account(Pubkey),
    /// Where to look: [`Answer::Keys`] by any one provider, which proves nothing. What is found is
    /// read as [`SolanaRead::Account`] before it counts; what is held back only takes away.
    Find(Find),
}

/// Accounts to look for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Find {
    /// A wallet's token accounts of one mint (`getTokenAccountsByOwner`).
    TokenAccounts {
        /// The wallet.
        owner: Pubkey,
        /// The mint.
        mint: Pubkey,
    },
    /// The mints of which a wallet holds anything, under one token program.
    Mints {
        /// The wallet.
        owner: Pubkey,
        /// SPL Token or Token-2022.
        program: Pubkey,
    },
    /// A wallet's Metaplex Core assets of one collection (`getProgramAccounts`).
    CoreAssets {
        /// The wallet.
        owner: Pubkey,
        /// The collection.
        collection: Pubkey,
    },
}

/// What a plug-in is asked: its answer is [`Answer::Said`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PluginRead {
    /// The plug-in's name on the stack's list.
    pub function: String,
    /// The policy's parameters, as JSON.
    pub parameters: String,
    /// The viewer's accounts.
    pub accounts: Vec<Account>,
}

/// Where on a chain a fact was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A block of an EVM chain.
    Block(Block),
    /// A Solana slot: the least that the agreeing providers answered at.
    Slot(u64),
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Its height.
    pub number: u64,
    /// Its hash, 0x and 64 hex digits.
    pub hash: String,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What was answered.
    pub answer: Answer,
    /// Where; absent for plug-ins, and where nothing was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// When it was read.
    pub read_at: Seconds,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// What an EVM call returned, at most [`MAX_ANSWER`].
    Bytes(#[serde(with = "base64_bytes")] Vec<u8>),
    /// The providers agree that the call fails, or answers more than [`MAX_ANSWER`]: the
    /// contract's own doing. The text says which.
    Refused(String),
    /// A Solana account.
    Account {
        /// The program that owns it, and alone writes its data.
        owner: Pubkey,
        /// Its data.
        #[serde(with = "base64_bytes")]
        data: Vec<u8>,
    },
    /// There is no such Solana account.
    Absent,
    /// Accounts to look at.
    Keys(Vec<Pubkey>),
    /// A plug-in's yes or no.
    Said {
        /// Whether its condition holds.
        yes: bool,
        /// Its reason, for the viewer.
        reason: String,
    },
    /// It could not be learned: providers are down, disagree, or make no sense. The text is for
    /// callers, and names no address. Never stored.
    Unknown(String),
}

impl Fact {
    /// Not learned, and why.
    pub fn unknown(reason: impl Into<String>, now: Seconds) -> Self {
        Self { answer: Answer::Unknown(reason.into()), place: None, read_at: now }
    }

    /// Whether anything was learned.
    pub fn is_known(&self) -> bool {
        !matches!(self.answer, Answer::Unknown(_))
    }
}

impl Question {
    /// The name a fact is stored under: chain, target and a digest of the rest. Whoever watches a
    /// chain can make it from a transfer's fields.
    pub fn key(&self) -> String {
        let digest = |parts: &[&[u8]]| {
            let mut hasher = Sha256::new();
            for part in parts {
                hasher.update((part.len() as u64).to_be_bytes());
                hasher.update(part);
            }
            hex::encode(hasher.finalize())
        };
        match self {
            Self::Evm(chain, EvmRead::Call { to, data }) => {
                format!("eip155:{chain}:{}:{}", hex::encode(to.0), digest(&[data]))
            }
            Self::Evm(chain, EvmRead::Balance(address)) => {
                format!("eip155:{chain}:native:{}", hex::encode(address.0))
            }
            Self::Solana(genesis, read) => {
                let place = match read {
                    SolanaRead::Account(key) => key.to_string(),
                    SolanaRead::Find(Find::TokenAccounts { owner, mint }) => {
                        format!("{owner}:mint:{mint}")
                    }
                    SolanaRead::Find(Find::Mints { owner, program }) => {
                        format!("{owner}:mints:{program}")
                    }
                    SolanaRead::Find(Find::CoreAssets { owner, collection }) => {
                        format!("{owner}:core:{collection}")
                    }
                };
                format!("solana:{}:{place}", genesis.as_str())
            }
            Self::Plugin(PluginRead { function, parameters, accounts }) => {
                let accounts: Vec<_> = accounts.iter().map(Account::to_string).collect();
                let digest = digest(&[parameters.as_bytes(), accounts.join(" ").as_bytes()]);
                format!("plugin:{function}:{digest}")
            }
        }
    }
}

mod base64_bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn different_questions_have_different_keys() {
        let (one, two) = (Address([1; 20]), Address([2; 20]));
        let call = |chain, to, data: &[u8]| {
            Question::Evm(chain, EvmRead::Call { to, data: data.to_vec() })
        };
        let genesis = Genesis::new("5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp").unwrap();
        let (key, other) = (Pubkey([3; 32]), Pubkey([4; 32]));
        let find = |find| Question::Solana(genesis, SolanaRead::Find(find));
        let plugin = |function: &str, parameters: &str| {
            Question::Plugin(PluginRead {
                function: function.into(),
                parameters: parameters.into(),
                accounts: Vec::new(),
            })
        };
        let questions = [
            call(1, one, b"a"),
            call(2, one, b"a"),
            call(1, two, b"a"),
            call(1, one, b"b"),
            Question::Evm(1, EvmRead::Balance(one)),
            Question::Evm(1, EvmRead::Balance(two)),
            Question::Solana(genesis, SolanaRead::Account(key)),
            Question::Solana(genesis, SolanaRead::Account(other)),
            find(Find::TokenAccounts { owner: key, mint: other }),
            find(Find::TokenAccounts { owner: other, mint: key }),
            find(Find::Mints { owner: key, program: other }),
            find(Find::CoreAssets { owner: key, collection: other }),
            plugin("one", "{}"),
            plugin("two", "{}"),
            plugin("one", "[]"),
        ];
        let keys: std::collections::BTreeSet<_> = questions.iter().map(Question::key).collect();
        assert_eq!(keys.len(), questions.len());
    }

    #[test]
    fn facts_survive_being_stored() {
        let block = Block { number: 7, hash: format!("0x{}", "ab".repeat(32)) };
        for (answer, place) in [
            (Answer::Bytes(vec![0, 255]), Some(Place::Block(block))),
            (Answer::Refused("reverted".into()), None),
            (Answer::Account { owner: Pubkey([1; 32]), data: vec![1] }, Some(Place::Slot(9))),
            (Answer::Absent, Some(Place::Slot(9))),
            (Answer::Keys(vec![Pubkey([2; 32])]), None),
            (Answer::Said { yes: true, reason: "because".into() }, None),
        ] {
            let fact = Fact { answer, place, read_at: 5 };
            assert_eq!(serde_json::from_value::<Fact>(json!(fact)).unwrap(), fact);
        }
    }
}
