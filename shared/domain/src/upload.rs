//! How a file is cut into the parts of an S3 multipart upload.
//!
//! S3 takes parts of 5 MiB to 5 GiB (the last may be smaller) and at most 10,000 of them.

use serde::Serialize;

const MIB: u64 = 1024 * 1024;
/// The usual part; larger files get larger parts.
pub const PART_BYTES: u64 = 8 * MIB;
/// How many parts an upload has at most, which bounds the answer that carries their URLs.
pub const MAX_PARTS: u64 = 500;

/// One part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// Its exact size in bytes, which its URL's signature fixes.
    pub size: u64,
}

/// The size of every part but the last, for a file of `size` bytes.
pub fn part_size(size: u64) -> u64 {
    size.div_ceil(MAX_PARTS).div_ceil(MIB).saturating_mul(MIB).max(PART_BYTES)
}

/// The parts of a file of `size` bytes, in order; they add up to `size`.
pub fn parts(size: u64) -> Vec<Part> {
    let each = part_size(size);
    let mut parts = Vec::new();
    let mut left = size;
    let mut number = 1;
    while left > 0 {
        let size = left.min(each);
        parts.push(Part { number, size });
        left -= size;
        number += 1;
    }
    parts
}

/// What has arrived is the whole file: every part once, of its size.
pub fn complete(size: u64, received: &[Part]) -> bool {
    let mut received = received.to_vec();
    received.sort_by_key(|part| part.number);
    received == parts(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_add_up_within_s3s_limits(size in 1_u64..5_000_000_000_000) {
            let parts = parts(size);
            prop_assert_eq!(parts.iter().map(|part| part.size).sum::<u64>(), size);
            prop_assert!(parts.len() as u64 <= MAX_PARTS);
            let (last, rest) = parts.split_last().unwrap();
            prop_assert!(rest.iter().all(|part| part.size == part_size(size)));
            prop_assert!(last.size <= part_size(size));
        }
    }

    #[test]
    fn a_missing_a_short_or_a_foreign_part_is_not_complete() {
        let size = 3 * PART_BYTES + 1;
        let all = parts(size);
        assert_eq!(all.len(), 4);
        assert!(complete(size, &all.iter().rev().copied().collect::<Vec<_>>()));
        assert!(!complete(size, &all[..3]));
        let mut short = all.clone();
        short[1].size -= 1;
        assert!(!complete(size, &short));
        let mut extra = all;
        extra.push(Part { number: 5, size: 1 });
        assert!(!complete(size, &extra));
    }
}
