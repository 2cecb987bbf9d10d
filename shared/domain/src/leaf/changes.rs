//! Which facts a transfer changes: the other side of what the leaves ask.

use super::evm::{DELEGATE_REGISTRY, MAX_KEYS, MAX_LISTED};
use crate::abi;
use crate::account::Address;
use crate::condition::{Condition, Erc721, Ids};
use crate::fact::{EvmRead, Question};
use crate::number::U256;
use crate::transfer::Touch;

/// What `condition` may have asked of its contract, or of the registry of delegations, that is no
/// longer so after `touch`. What is a token's own, as its metadata, does not move with it.
pub fn changed_by(condition: &Condition, touch: &Touch) -> Vec<Question> {
    let mut asked = Vec::new();
    let mut ask = |chain: u64, function: &str, words: &[[u8; 32]]| {
        let data = abi::call(function, words);
        asked.push(Question::Evm(chain, EvmRead::Call { to: touch.contract, data }));
    };
    let wallet = touch.wallet.map(abi::address);
    let id = touch.id.map(abi::uint);
    let list = |most: u64| (0..most).map(|index| abi::uint(U256::from(index)));
    if touch.contract == DELEGATE_REGISTRY && is_delegated(condition) {
        if let (Some(wallet), Some(chain)) = (wallet, evm_chain(condition)) {
            ask(chain, "getIncomingDelegations(address)", &[wallet]);
        }
        return asked;
    }
    match condition {
        Condition::Erc721(Erc721 { chain, ids, traits, .. }) => {
            if let Some(wallet) = wallet {
                ask(*chain, "balanceOf(address)", &[wallet]);
                let by_list = Ids::each(ids).is_none_or(|ids| ids.is_empty() && !traits.is_empty());
                for index in list(MAX_LISTED).filter(|_| by_list) {
                    ask(*chain, "tokenOfOwnerByIndex(address,uint256)", &[wallet, index]);
                }
            }
            if let Some(id) = id {
                ask(*chain, "ownerOf(uint256)", &[id]);
            }
        }
        Condition::Erc1155(condition) => {
            if let (Some(wallet), Some(id)) = (wallet, id) {
                ask(condition.chain, "balanceOf(address,uint256)", &[wallet, id]);
            }
        }
        Condition::Erc20(condition) => {
            if let Some(wallet) = wallet {
                ask(condition.chain, "balanceOf(address)", &[wallet]);
            }
        }
        Condition::Unlock(condition) => {
            let chain = condition.chain;
            if let Some(wallet) = wallet {
                ask(chain, "getHasValidKey(address)", &[wallet]);
                ask(chain, "totalKeys(address)", &[wallet]);
                for index in list(MAX_KEYS) {
                    ask(chain, "tokenOfOwnerByIndex(address,uint256)", &[wallet, index]);
                }
            }
            if let Some(id) = id {
                ask(chain, "keyExpirationTimestampFor(uint256)", &[id]);
            }
        }
        _ => {}
    }
    asked
}

/// The native balance of a wallet.
pub fn native_balance(chain: u64, wallet: Address) -> Question {
    Question::Evm(chain, EvmRead::Balance(wallet))
}

/// Whether what other wallets delegated counts.
pub fn is_delegated(condition: &Condition) -> bool {
    match condition {
        Condition::Erc721(condition) => condition.delegated,
        Condition::Erc1155(condition) => condition.delegated,
        Condition::Erc20(condition) => condition.delegated,
        _ => false,
    }
}

fn evm_chain(condition: &Condition) -> Option<u64> {
    match condition.chain()? {
        crate::account::ChainId::Eip155(chain) => Some(chain),
        crate::account::ChainId::Solana(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Account, ChainId, Wallet};
    use crate::fact::{Answer, Fact};
    use crate::leaf::{Asker, Manner, Viewer, evaluate};
    use crate::policy::Policy;
    use crate::session::Holder;
    use serde_json::{Value, json};
    use std::collections::HashMap;

    const CONTRACT: &str = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
    const WALLET: Address = Address([0xb2; 20]);

    /// What a leaf asks about the wallet, where every question is answered by the number 1.
    fn asked(condition: &Condition) -> Vec<Question> {
        let holder = Account { chain: ChainId::Eip155(1), wallet: Wallet::Evm(WALLET) };
        let holders = [Holder::with_key(holder)];
        let viewer = Viewer { holders: &holders, hints: &[], now: 1_800_000_000 };
        let mut facts = HashMap::new();
        loop {
            let mut ask = Asker::new(&facts);
            evaluate(condition, &viewer, &mut ask);
            let (asked, pending) = (ask.asked, ask.pending);
            if !pending {
                let moving = asked.into_iter().filter(|(_, manner)| *manner == Manner::Moving);
                return moving.map(|(question, _)| question).collect();
            }
            for (question, _) in asked {
                let answer = Answer::Bytes(abi::uint(U256::ONE).to_vec());
                facts.insert(question, Fact { answer, place: None, read_at: 1_800_000_000 });
            }
        }
    }

    fn condition(leaf: Value) -> Condition {
        let policy = Policy::read(&json!({"version": 1, "rule": leaf})).unwrap();
        policy.conditions()[0].1.clone()
    }

    /// Guard: a leaf that learns to ask something new of a wallet's holdings, and [`changed_by`]
    /// does not know it: a sold token would be believed for as long as facts are.
    #[test]
    fn a_transfer_evicts_all_that_leaves_ask_about_a_wallet() {
        let touch = Touch {
            contract: CONTRACT.parse().unwrap(),
            wallet: Some(WALLET),
            id: Some(U256::ONE),
        };
        let leaf = |kind: &str, more: Value| {
            let mut leaf = json!({"kind": kind, "chain": "eip155:1", "contract": CONTRACT});
            let fields = more.as_object().unwrap().clone();
            leaf.as_object_mut().unwrap().extend(fields);
            condition(leaf)
        };
        let wide = json!({"ids": ["0-1000"]});
        let traits = json!({"traits": [{"trait": "a", "value": "b"}]});
        for (condition, least) in [
            (leaf("erc721", json!({})), 1),
            (leaf("erc721", json!({"ids": ["1"]})), 2),
            (leaf("erc721", wide), 17),
            (leaf("erc721", traits), 17),
            (leaf("erc1155", json!({"ids": ["1"]})), 1),
            (leaf("erc20", json!({"min": "1"})), 1),
            (leaf("unlock", json!({})), 4),
        ] {
            let changed = changed_by(&condition, &touch);
            let own = |question: &Question| match question {
                // What a token's metadata says is its own, not its holder's.
                Question::Evm(_, EvmRead::Call { data, .. }) => {
                    data[..4] != abi::call("tokenURI(uint256)", &[])[..4]
                }
                _ => true,
            };
            let asked: Vec<_> = asked(&condition).into_iter().filter(own).collect();
            assert!(asked.len() >= least, "{condition:?}");
            for question in asked {
                assert!(changed.contains(&question), "{condition:?}: {question:?}");
            }
        }
    }

    #[test]
    fn a_delegation_evicts_what_the_registry_said() {
        let delegated = condition(json!({"kind": "erc721", "chain": "eip155:1",
            "contract": CONTRACT, "via": "delegate.xyz"}));
        let touch = Touch { contract: DELEGATE_REGISTRY, wallet: Some(WALLET), id: None };
        let changed = changed_by(&delegated, &touch);
        assert_eq!(changed.len(), 1);
        assert!(asked(&delegated).contains(&changed[0]));
    }
}
