//! What a chain's logs say of whose holdings have changed.
//!
//! A log only ever has something looked at again: one that is made up costs a look, and one that
//! can't be read counts as a change of everything that its contract says. Sources: ERC-20, ERC-721,
//! ERC-1155, ERC-2309; Unlock's PublicLock; delegate.xyz's DelegateRegistry, version 2.

use crate::abi;
use crate::account::Address;
use crate::number::U256;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// How many ids of one transfer are told apart.
const MAX_IDS: usize = 64;

/// A log of an EVM chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Log {
    /// Whose it is.
    pub contract: Address,
    /// The event, and what of it is indexed.
    pub topics: Vec<[u8; 32]>,
    /// The rest.
    pub data: Vec<u8>,
}

/// Something that a policy may ask about has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Touch {
    /// By the word of this contract.
    pub contract: Address,
    /// Whose holdings; anybody's, where the log does not say.
    pub wallet: Option<Address>,
    /// Of this token.
    pub id: Option<U256>,
}

/// Where in an event the wallets and the ids are, counted in words: first what is indexed.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// From, to, and an id where it is indexed (an amount is not).
    Transfer,
    /// Operator, from, to, id.
    Single,
    /// Operator, from, to, list of ids.
    Batch,
    /// First id, and then wherever they are: two wallets.
    Consecutive,
    /// Id, owner.
    Cancel,
    /// Id, and nobody's name.
    Key,
    /// From, to.
    Delegation,
}

const EVENTS: [(&str, Shape); 13] = [
    ("Transfer(address,address,uint256)", Shape::Transfer),
    ("TransferSingle(address,address,address,uint256,uint256)", Shape::Single),
    ("TransferBatch(address,address,address,uint256[],uint256[])", Shape::Batch),
    ("ConsecutiveTransfer(uint256,uint256,address,address)", Shape::Consecutive),
    ("CancelKey(uint256,address,address,uint256)", Shape::Cancel),
    ("ExpireKey(uint256)", Shape::Key),
    ("KeyExtended(uint256,uint256)", Shape::Key),
    ("ExpirationChanged(uint256,uint256,bool)", Shape::Key),
    ("DelegateAll(address,address,bytes32,bool)", Shape::Delegation),
    ("DelegateContract(address,address,address,bytes32,bool)", Shape::Delegation),
    ("DelegateERC721(address,address,address,uint256,bytes32,bool)", Shape::Delegation),
    ("DelegateERC20(address,address,address,bytes32,uint256)", Shape::Delegation),
    ("DelegateERC1155(address,address,address,uint256,bytes32,uint256)", Shape::Delegation),
];

static TOPICS: LazyLock<[[u8; 32]; EVENTS.len()]> =
    LazyLock::new(|| EVENTS.map(|(signature, _)| abi::keccak(signature.as_bytes())));

/// The first topics of all events that are followed.
pub fn topics() -> &'static [[u8; 32]] {
    TOPICS.as_slice()
}

impl Log {
    /// What it changes; nothing, if its event is none of those that are followed.
    pub fn touches(&self) -> BTreeSet<Touch> {
        let event = TOPICS.iter().position(|topic| self.topics.first() == Some(topic));
        let Some(event) = event else { return BTreeSet::new() };
        self.read(EVENTS[event].1).unwrap_or_else(|| BTreeSet::from([self.touch(None, None)]))
    }

    fn touch(&self, wallet: Option<Address>, id: Option<U256>) -> Touch {
        Touch { contract: self.contract, wallet, id }
    }

    /// The word at `place`, among what is indexed and then the data: some contracts index less
    /// than their standard says.
    fn word(&self, place: usize) -> Option<[u8; 32]> {
        let indexed = self.topics.len().saturating_sub(1);
        match place.checked_sub(indexed) {
            None => self.topics.get(place + 1).copied(),
            Some(place) => abi::word(&self.data, place),
        }
    }

    fn wallet(&self, place: usize) -> Option<Address> {
        abi::word_address(self.word(place)?)
    }

    fn id(&self, place: usize) -> Option<U256> {
        self.word(place).map(U256::from_be_bytes)
    }

    fn read(&self, shape: Shape) -> Option<BTreeSet<Touch>> {
        let (wallets, ids) = match shape {
            // An ERC-20's amount is the one thing that is never indexed where both wallets are.
            Shape::Transfer if self.topics.len() == 3 => {
                ([self.wallet(0)?, self.wallet(1)?], vec![None])
            }
            Shape::Transfer => ([self.wallet(0)?, self.wallet(1)?], vec![Some(self.id(2)?)]),
            Shape::Single => ([self.wallet(1)?, self.wallet(2)?], vec![Some(self.id(3)?)]),
            Shape::Batch => {
                let rows = abi::as_rows(&self.data, 1, MAX_IDS + 1)?;
                let few = self.topics.len() == 4 && rows.len() <= MAX_IDS;
                let ids = rows.into_iter().flatten().map(U256::from_be_bytes).map(Some);
                ([self.wallet(1)?, self.wallet(2)?], few.then(|| ids.collect())?)
            }
            Shape::Consecutive => {
                // Thousands of ids, perhaps.
                let full = self.topics.len() == 4;
                ([self.wallet(1)?, self.wallet(2)?], full.then(|| vec![None])?)
            }
            Shape::Cancel => ([self.wallet(1)?; 2], vec![Some(self.id(0)?)]),
            Shape::Key => return Some(BTreeSet::from([self.touch(None, Some(self.id(0)?))])),
            Shape::Delegation => ([self.wallet(0)?, self.wallet(1)?], vec![None]),
        };
        // Nobody mints and burns: that wallet is never anybody's.
        let held = wallets.into_iter().filter(|wallet| *wallet != Address::ZERO);
        let each = |wallet| ids.iter().map(move |id| (wallet, *id));
        Some(held.flat_map(each).map(|(wallet, id)| self.touch(Some(wallet), id)).collect())
    }
}

impl From<Touch> for String {
    fn from(Touch { contract, wallet, id }: Touch) -> Self {
        let wallet = wallet.map(|wallet| hex::encode(wallet.0)).unwrap_or_default();
        let id = id.map(|id| format!("{id:x}")).unwrap_or_default();
        format!("{}/{wallet}/{id}", hex::encode(contract.0))
    }
}

impl TryFrom<String> for Touch {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let address = |text: &str| {
            let mut bytes = [0; 20];
            hex::decode_to_slice(text, &mut bytes).ok().map(|()| Address(bytes))
        };
        let read = || {
            let (contract, rest) = text.split_once('/')?;
            let (wallet, id) = rest.split_once('/')?;
            let some = |text: &str| !text.is_empty();
            Some(Self {
                contract: address(contract)?,
                wallet: if some(wallet) { Some(address(wallet)?) } else { None },
                id: if some(id) { Some(U256::from_str_radix(id, 16).ok()?) } else { None },
            })
        };
        read().ok_or("a touch is contract/wallet/id in hex")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONTRACT: Address = Address([9; 20]);
    const FROM: Address = Address([1; 20]);
    const TO: Address = Address([2; 20]);

    fn log(signature: &str, indexed: &[[u8; 32]], data: &[[u8; 32]]) -> Log {
        let event = abi::keccak(signature.as_bytes());
        let topics = std::iter::once(event).chain(indexed.iter().copied()).collect();
        Log { contract: CONTRACT, topics, data: data.concat() }
    }

    fn touched(log: &Log) -> Vec<(Option<Address>, Option<u64>)> {
        let each = log.touches().into_iter();
        each.map(|touch| (touch.wallet, touch.id.map(|id| id.to::<u64>()))).collect()
    }

    fn number(number: u64) -> [u8; 32] {
        abi::uint(U256::from(number))
    }

    #[test]
    fn a_transfer_touches_both_wallets() {
        let (from, to) = (abi::address(FROM), abi::address(TO));
        let transfer = "Transfer(address,address,uint256)";
        let (nobody, both) = (number(0), |id| vec![(Some(FROM), id), (Some(TO), id)]);
        for (log, expected) in [
            (log(transfer, &[from, to], &[number(5)]), both(None)),
            (log(transfer, &[from, to, number(7)], &[]), both(Some(7))),
            // As CryptoKitties does, which indexes nothing.
            (log(transfer, &[], &[from, to, number(7)]), both(Some(7))),
            (log(transfer, &[nobody, to, number(7)], &[]), vec![(Some(TO), Some(7))]),
            (log(EVENTS[1].0, &[nobody, from, to], &[number(3), number(1)]), both(Some(3))),
            (
                log(EVENTS[2].0, &[nobody, from, nobody], &[64, 160, 2, 3, 4, 2, 1, 1].map(number)),
                vec![(Some(FROM), Some(3)), (Some(FROM), Some(4))],
            ),
            (log(EVENTS[3].0, &[number(1), nobody, to], &[number(9)]), vec![(Some(TO), None)]),
            (log(EVENTS[4].0, &[number(6), from, to], &[number(0)]), vec![(Some(FROM), Some(6))]),
            (log(EVENTS[5].0, &[number(6)], &[]), vec![(None, Some(6))]),
            (log(EVENTS[7].0, &[number(6)], &[number(1), number(0)]), vec![(None, Some(6))]),
            (log(EVENTS[8].0, &[from, to], &[number(0), number(1)]), both(None)),
            (log("Approval(address,address,uint256)", &[from, to], &[number(5)]), vec![]),
        ] {
            assert_eq!(touched(&log), expected, "{log:?}");
        }
    }

    /// Guard: a log that makes no sense must not be taken for none.
    #[test]
    fn what_can_not_be_read_touches_everybody() {
        let (from, dirty) = (abi::address(FROM), [0xff; 32]);
        let many: Vec<_> = [64, 160, 65].into_iter().chain(0..65).map(number).collect();
        for log in [
            log(EVENTS[0].0, &[from, dirty], &[number(5)]),
            log(EVENTS[0].0, &[from], &[]),
            log(EVENTS[1].0, &[from, from, from], &[]),
            log(EVENTS[2].0, &[from, from, from], &many),
            log(EVENTS[2].0, &[from, from, from], &[number(u64::MAX)]),
            log(EVENTS[4].0, &[], &[]),
        ] {
            assert_eq!(touched(&log), [(None, None)], "{log:?}");
        }
    }

    proptest! {
        #[test]
        fn any_log_is_answered(
            event in 0..EVENTS.len(),
            indexed in proptest::collection::vec(any::<[u8; 32]>(), 0..5),
            data in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let log = Log { data, ..log(EVENTS[event].0, &indexed, &[]) };
            let touches = log.touches();
            prop_assert!(touches.len() <= 2 * MAX_IDS);
            for touch in touches {
                prop_assert_eq!(Touch::try_from(String::from(touch)), Ok(touch));
            }
        }
    }
}
