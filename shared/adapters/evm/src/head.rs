//! The block that decisions are made at: new, and such that a quorum of providers has it.
//!
//! A liar may claim a far head, or a head of long ago. The first is not among the `quorum` highest
//! once an honest provider has spoken, and nobody else has its hash. The second shows in the
//! block's timestamp: an old head is believed when all providers were asked, and not before.

use crate::provider::Header;
use alloy::primitives::B256;
use domain::Seconds;
use domain::fact::Block;

/// A head this much older, or newer, than now, in seconds, is none: the chain is stuck, or its
/// providers are. It is also how long a liar can hold the head back where only one other answers.
const MAX_HEAD_AGE: Seconds = 5 * 60;

/// A head that is no older is taken without asking all providers, in seconds.
const FRESH: Seconds = 60;

/// Both are so much longer for each confirmation: the slowest pace of the common chains.
const BLOCK_TIME: Seconds = 12;

/// Where decisions read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) block: Block,
    pub(crate) hash: B256,
    /// When it was made; 0 where nobody asked.
    pub(crate) time: Seconds,
    /// The providers that lag behind it or have another in its place.
    pub(crate) out: Vec<usize>,
}

/// The highest block that `quorum` providers claim to have, less the confirmations.
pub(crate) fn target(numbers: &[u64], quorum: usize, confirmations: u64) -> Option<u64> {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable_by(|one, other| other.cmp(one));
    numbers.get(quorum.checked_sub(1)?).map(|number| number.saturating_sub(confirmations))
}

/// Whether it is worth asking the other providers too.
pub(crate) fn seems_old(header: &Header, confirmations: u64, now: Seconds) -> bool {
    header.timestamp.to::<u64>().saturating_add(longer(FRESH, confirmations)) < now
}

fn longer(age: Seconds, confirmations: u64) -> Seconds {
    age.saturating_add(BLOCK_TIME.saturating_mul(confirmations))
}

/// A header as a head.
///
/// # Errors
/// When it is of another time.
pub(crate) fn head(
    header: &Header,
    confirmations: u64,
    out: Vec<usize>,
    now: Seconds,
) -> Result<Head, String> {
    let oldest = longer(MAX_HEAD_AGE, confirmations);
    if header.timestamp.to::<u64>().abs_diff(now) > oldest {
        let minutes = oldest / 60;
        return Err(format!(
            "the chain is stuck: its newest block is not of the last {minutes} minutes"
        ));
    }
    let block = Block { number: header.number.to(), hash: header.hash.to_string() };
    Ok(Head { block, hash: header.hash, time: header.timestamp.to(), out })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::U64;

    fn header(timestamp: Seconds) -> Header {
        let hash = B256::repeat_byte(0xab);
        Header { number: U64::from(7), hash, timestamp: U64::from(timestamp) }
    }

    /// Guard: the quorum-th highest. With the highest, one liar would name a block of no one's.
    #[test]
    fn a_far_head_is_not_aimed_at() {
        assert_eq!(target(&[100, 1_000_000, 101], 2, 0), Some(101));
        assert_eq!(target(&[100, 1_000_000], 2, 0), Some(100));
        assert_eq!(target(&[100, 101], 1, 0), Some(101));
        assert_eq!(target(&[100], 2, 0), None);
        assert_eq!(target(&[100, 99], 2, 12), Some(87));
        assert_eq!(target(&[3, 3], 2, 12), Some(0));
    }

    #[test]
    fn a_head_is_of_now() {
        let now = 1_700_000_000;
        let made = head(&header(now - 300), 0, vec![2], now).unwrap();
        assert_eq!((made.block.number, made.out), (7, vec![2]));
        assert_eq!(made.block.hash, format!("0x{}", "ab".repeat(32)));
        let stuck = head(&header(now - 301), 0, Vec::new(), now).unwrap_err();
        assert_eq!(stuck, "the chain is stuck: its newest block is not of the last 5 minutes");
        assert!(head(&header(now + 301), 0, Vec::new(), now).is_err());
        assert!(head(&header(now - 420), 10, Vec::new(), now).is_ok());
        assert!(head(&header(now - 421), 10, Vec::new(), now).is_err());
    }

    #[test]
    fn confirmations_make_a_head_older() {
        let now = 1_700_000_000;
        assert!(!seems_old(&header(now - 60), 0, now));
        assert!(seems_old(&header(now - 61), 0, now));
        assert!(!seems_old(&header(now - 180), 10, now));
        assert!(seems_old(&header(now - 181), 10, now));
    }
}
