//! What is followed on the chains, and how far a chain has been followed.

use crate::Seconds;
use crate::account::{Address, ChainId, Wallet};
use crate::condition::Condition;
use crate::leaf::{self, DELEGATE_REGISTRY};
use crate::policy::Policy;
use crate::transfer::Touch;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// How many places of a chain are remembered, to find the way back by after a reorganisation.
pub const MAX_MARKS: usize = 128;
/// How many touches one of them remembers.
const MAX_TOUCHES_OF_ONE: usize = 64;
/// How many touches all of them remember: what is remembered is written again with every step.
const MAX_TOUCHES: usize = 512;

/// What the policies of all videos name, by chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched(BTreeMap<ChainId, Followed>);

/// What they name of one chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Followed {
    /// The contracts whose logs matter, and who asks what of them.
    contracts: BTreeMap<Address, Vec<Named>>,
    /// Whether native balances matter.
    native: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    video: String,
    condition: Condition,
}

/// What has to be forgotten and decided again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The facts that are no longer so, by their keys.
    pub facts: BTreeSet<String>,
    /// Whose grants to decide again.
    pub wallets: BTreeSet<Wallet>,
    /// The grants of which videos to decide again, where nobody says whose.
    pub videos: BTreeSet<String>,
}

impl Watched {
    /// Of all policies, each with its video.
    pub fn new<'a>(policies: impl IntoIterator<Item = (&'a str, &'a Policy)>) -> Self {
        let mut chains: BTreeMap<ChainId, Followed> = BTreeMap::new();
        for (video, policy) in policies {
            for (_, condition) in policy.conditions() {
                let Some(chain) = condition.chain() else { continue };
                let followed = chains.entry(chain).or_default();
                followed.native |= matches!(condition, Condition::Native(_));
                for contract in contracts(condition) {
                    let named = Named { video: video.to_owned(), condition: condition.clone() };
                    followed.contracts.entry(contract).or_default().push(named);
                }
            }
        }
        Self(chains)
    }

    /// What is followed on a chain; nothing, if no policy names it.
    pub fn on(&self, chain: ChainId) -> Option<&Followed> {
        self.0.get(&chain)
    }
}

/// Whose logs tell of a condition. Those of a contract that is only called tell nothing.
fn contracts(condition: &Condition) -> Vec<Address> {
    let contract = match condition {
        Condition::Erc721(condition) => condition.contract,
        Condition::Erc1155(condition) => condition.contract,
        Condition::Erc20(condition) => condition.contract,
        Condition::Unlock(condition) => condition.contract,
        _ => return Vec::new(),
    };
    let registry = leaf::is_delegated(condition).then_some(DELEGATE_REGISTRY);
    std::iter::once(contract).chain(registry).collect()
}

impl Followed {
    /// Whose logs are asked for.
    pub fn contracts(&self) -> Vec<Address> {
        self.contracts.keys().copied().collect()
    }

    /// Whether a contract's logs matter.
    pub fn names(&self, contract: Address) -> bool {
        self.contracts.contains_key(&contract)
    }

    /// A name of the set of contracts: another set has another.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        self.contracts.keys().for_each(|contract| hasher.update(contract.0));
        hex::encode(&hasher.finalize()[..8])
    }

    /// What follows from touches; those of contracts that no policy names change nothing.
    pub fn changes<'a>(&self, touches: impl IntoIterator<Item = &'a Touch>) -> Changes {
        let mut changes = Changes::default();
        for touch in touches {
            let Some(named) = self.contracts.get(&touch.contract) else { continue };
            for Named { video, condition } in named {
                let facts = leaf::changed_by(condition, touch);
                changes.facts.extend(facts.iter().map(crate::fact::Question::key));
                if touch.wallet.is_none() {
                    changes.videos.insert(video.clone());
                }
            }
            changes.wallets.extend(touch.wallet.map(Wallet::Evm));
        }
        changes
    }

    /// What follows where wallets' native balances may have changed.
    pub fn native_changes(&self, chain: u64, wallets: &BTreeSet<Address>) -> Changes {
        let mut changes = Changes::default();
        for wallet in wallets.iter().filter(|_| self.native) {
            changes.facts.insert(leaf::native_balance(chain, *wallet).key());
            changes.wallets.insert(Wallet::Evm(*wallet));
        }
        changes
    }
}

impl Changes {
    /// Both.
    pub fn and(mut self, other: Self) -> Self {
        self.facts.extend(other.facts);
        self.wallets.extend(other.wallets);
        self.videos.extend(other.videos);
        self
    }
}

/// How far a chain has been followed. Written by who holds its newest revision, and by nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The chain.
    pub chain: ChainId,
    /// Grows with every write.
    pub revision: u64,
    /// When the chain was first followed.
    pub since: Seconds,
    /// [`Followed::digest`] of what was followed.
    pub watched: String,
    /// When it was last said that the chain lags.
    #[serde(default)]
    pub lagged_at: Option<Seconds>,
    /// Where it has been followed to, oldest first.
    pub marks: Vec<Mark>,
}

/// A block to which a chain was followed, and what changed since the mark before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The block's height, or the slot.
    pub number: u64,
    /// Its hash, 0x and 64 hex digits; empty for a slot.
    pub hash: String,
    /// Its time.
    pub time: Seconds,
    /// What changed; not all of it, if there is `more`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touches: Vec<Touch>,
    /// Whether more changed than is remembered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl Cursor {
    /// Of a chain that was not followed before.
    pub fn new(chain: ChainId, watched: String, now: Seconds) -> Self {
        Self { chain, revision: 0, since: now, watched, lagged_at: None, marks: Vec::new() }
    }

    /// The last block to which everything is known, if there is one yet.
    pub fn tip(&self) -> Option<&Mark> {
        self.marks.last()
    }

    /// For how long, in seconds, nothing newer is known.
    pub fn behind(&self, now: Seconds) -> Seconds {
        now.saturating_sub(self.tip().map_or(self.since, |mark| mark.time))
    }

    /// Follows other contracts from here on: what those did in the blocks so far was not looked at.
    pub fn watch(&mut self, watched: &str) {
        watched.clone_into(&mut self.watched);
        self.marks.iter_mut().for_each(forget);
    }

    /// Goes on to `mark`. The oldest marks are forgotten, and of too many touches that there were
    /// more.
    pub fn push(&mut self, mut mark: Mark) {
        if mark.touches.len() > MAX_TOUCHES_OF_ONE {
            forget(&mut mark);
        }
        self.marks.push(mark);
        let excess = self.marks.len().saturating_sub(MAX_MARKS);
        self.marks.drain(..excess);
        let mut all: usize = self.marks.iter().map(|mark| mark.touches.len()).sum();
        for mark in &mut self.marks {
            if all <= MAX_TOUCHES {
                break;
            }
            all -= mark.touches.len();
            if !mark.touches.is_empty() {
                forget(mark);
            }
        }
    }

    /// Goes back to the first `keep` marks; answers with what changed in those that are dropped,
    /// or with none where that is not remembered.
    pub fn rewind(&mut self, keep: usize) -> Option<Vec<Touch>> {
        let dropped = self.marks.split_off(keep.min(self.marks.len()));
        let all = keep > 0 && dropped.iter().all(|mark| !mark.more);
        all.then(|| dropped.into_iter().flat_map(|mark| mark.touches).collect())
    }
}

fn forget(mark: &mut Mark) {
    mark.touches.clear();
    mark.more = true;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ONE: &str = "0x1111111111111111111111111111111111111111";
    const TWO: &str = "0x2222222222222222222222222222222222222222";
    const CHAIN: ChainId = ChainId::Eip155(1);

    fn policy(rule: Value) -> Policy {
        Policy::read(&json!({"version": 1, "rule": rule})).unwrap()
    }

    fn leaf(kind: &str, contract: &str, more: Value) -> Value {
        let mut leaf = json!({"kind": kind, "chain": "eip155:1", "contract": contract});
        leaf.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        leaf
    }

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn touch(contract: &str, wallet: Option<u8>) -> Touch {
        let wallet = wallet.map(|byte| Address([byte; 20]));
        Touch { contract: address(contract), wallet, id: None }
    }

    fn mark(number: u64, touches: usize) -> Mark {
        let touches = (0..touches).map(|_| touch(ONE, Some(1))).collect();
        Mark { number, hash: format!("0x{number:064x}"), time: number, touches, more: false }
    }

    #[test]
    fn contracts_of_all_policies_are_followed_by_chain() {
        let first = policy(json!({"any": [
            leaf("erc721", ONE, json!({})),
            leaf("erc20", TWO, json!({"min": "1", "via": "delegate.xyz"})),
            {"kind": "native", "chain": "eip155:10", "min": "1"}]}));
        let second = policy(json!({"all": [
            leaf("unlock", ONE, json!({})),
            {"kind": "time", "from": "2026-01-01T00:00:00Z"}]}));
        let watched = Watched::new([("a", &first), ("b", &second)]);
        let followed = watched.on(CHAIN).unwrap();
        assert_eq!(followed.contracts(), [DELEGATE_REGISTRY, address(ONE), address(TWO)]);
        assert!(watched.on(ChainId::Eip155(10)).unwrap().contracts().is_empty());
        assert!(watched.on(ChainId::Eip155(137)).is_none());
        let fewer = Watched::new([("b", &second)]);
        assert_ne!(followed.digest(), fewer.on(CHAIN).unwrap().digest());
        assert_eq!(followed.digest(), watched.clone().on(CHAIN).unwrap().digest());
    }

    #[test]
    fn a_touch_that_names_nobody_is_every_viewers_of_its_videos() {
        let lock = policy(leaf("unlock", ONE, json!({})));
        let other = policy(leaf("erc721", TWO, json!({})));
        let watched = Watched::new([("a", &lock), ("b", &other)]);
        let followed = watched.on(CHAIN).unwrap();
        let changes = followed.changes(&[touch(ONE, None), touch(TWO, Some(5))]);
        assert_eq!(changes.videos, BTreeSet::from(["a".to_owned()]));
        assert_eq!(changes.wallets, BTreeSet::from([Wallet::Evm(Address([5; 20]))]));
        assert_eq!(changes.facts.len(), 1);
        let elsewhere = Touch { contract: Address([3; 20]), ..touch(ONE, Some(1)) };
        assert_eq!(followed.changes(&[elsewhere]), Changes::default());
    }

    #[test]
    fn native_balances_matter_where_a_policy_names_them() {
        let wallets = BTreeSet::from([Address([5; 20])]);
        let native = policy(json!({"kind": "native", "chain": "eip155:1", "min": "1"}));
        let watched = Watched::new([("a", &native)]);
        let changes = watched.on(CHAIN).unwrap().native_changes(1, &wallets);
        let key = format!("eip155:1:native:{}", "05".repeat(20));
        assert_eq!(changes.facts, BTreeSet::from([key]));
        let other = policy(leaf("erc721", ONE, json!({})));
        let watched = Watched::new([("a", &other)]);
        let none = watched.on(CHAIN).unwrap().native_changes(1, &wallets);
        assert_eq!(none, Changes::default());
    }

    #[test]
    fn a_cursor_remembers_so_much_and_says_where_there_was_more() {
        let mut cursor = Cursor::new(CHAIN, String::new(), 5);
        assert_eq!(cursor.behind(7), 2);
        for number in 0..200 {
            cursor.push(mark(number, 3));
        }
        assert_eq!((cursor.marks.len(), cursor.tip().unwrap().number), (MAX_MARKS, 199));
        assert_eq!(cursor.behind(200), 1);
        cursor.push(mark(200, 65));
        assert!(cursor.tip().unwrap().more);
        for number in 201..210 {
            cursor.push(mark(number, 64));
        }
        let kept: usize = cursor.marks.iter().map(|mark| mark.touches.len()).sum();
        assert!(kept <= MAX_TOUCHES && cursor.marks[0].more);
        let text = serde_json::to_string(&cursor).unwrap();
        assert!(text.len() < 100_000, "{}", text.len());
        assert_eq!(serde_json::from_str::<Cursor>(&text).unwrap(), cursor);
        // Two marks back all is remembered; further there was more; all the way nothing is left.
        assert_eq!(cursor.clone().rewind(MAX_MARKS - 2).map(|touches| touches.len()), Some(128));
        assert_eq!(cursor.clone().rewind(10), None);
        assert_eq!(cursor.rewind(0), None);
        assert!(cursor.marks.is_empty());
    }
}
