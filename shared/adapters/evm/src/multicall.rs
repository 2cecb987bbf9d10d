//! Many reads in one `eth_call`: what Multicall3 takes and gives.

use alloy::primitives::{Address, B256, Bytes, address, b256};
use alloy::sol;
use alloy::sol_types::abi::decode_sequence;
use alloy::sol_types::{SolCall, SolType};
use domain::fact::{Answer, EvmRead, MAX_ANSWER};

/// Where Multicall3 stands on every chain that has it.
pub(crate) const MULTICALL: Address = address!("0xcA11bde05977b3631167028862bE2a173976CA11");

/// The digest of its code: another contract at that address could answer what it likes.
pub(crate) const MULTICALL_CODE: B256 =
    b256!("0xd5c15df687b16f2ff992fc8d767b4216323184a2bbc6ee2f9c398c318e770891");

/// The most reads in one aggregate.
const MAX_READS: usize = 300;

/// The most bytes of call data in one aggregate.
const MAX_DATA: usize = 100_000;

/// Said of an answer over [`MAX_ANSWER`].
pub(crate) const TOO_MUCH: &str = "answers more than 32 KiB";

/// Said of a call that reverts.
pub(crate) use domain::fact::REVERTED;

sol! {
    struct Call3 {
        address target;
        bool allowFailure;
        bytes callData;
    }
    function aggregate3(Call3[] calls) external;
    function getEthBalance(address holder) external;
}

/// What a read of an aggregate came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Inner {
    /// Its answer.
    Answer(Answer),
    /// It failed and said nothing: perhaps its own doing, perhaps a neighbour burnt all the gas.
    Silent,
}

/// Cuts reads, in order, into parts that fit into an aggregate each.
pub(crate) fn parts(reads: &[EvmRead]) -> Vec<&[EvmRead]> {
    let mut parts = Vec::new();
    let (mut start, mut data) = (0, 0);
    for (index, read) in reads.iter().enumerate() {
        let more = call_data(read);
        if index > start && (index - start == MAX_READS || data + more > MAX_DATA) {
            parts.push(&reads[start..index]);
            (start, data) = (index, 0);
        }
        data += more;
    }
    if start < reads.len() {
        parts.push(&reads[start..]);
    }
    parts
}

fn call_data(read: &EvmRead) -> usize {
    match read {
        EvmRead::Call { data, .. } => data.len(),
        EvmRead::Balance(_) => 36,
    }
}

/// The call data of an aggregate.
pub(crate) fn encode(reads: &[EvmRead]) -> Bytes {
    let calls = reads.iter().map(|read| {
        let (target, data) = match read {
            EvmRead::Call { to, data } => (Address::from(to.0), Bytes::copy_from_slice(data)),
            EvmRead::Balance(holder) => {
                let call = getEthBalanceCall { holder: Address::from(holder.0) };
                (MULTICALL, call.abi_encode().into())
            }
        };
        Call3 { target, allowFailure: true, callData: data }
    });
    aggregate3Call { calls: calls.collect() }.abi_encode().into()
}

/// What an aggregate of `reads` answered; `None` when that is no answer to it.
///
/// Answers are looked at where they lie and copied only when they are short enough: a few bytes
/// can name one long answer many times.
pub(crate) fn decode(reads: &[EvmRead], answer: &[u8]) -> Option<Vec<Inner>> {
    type Results = sol! { (bool, bytes)[] };
    let (results,) = decode_sequence::<(<Results as SolType>::Token<'_>,)>(answer).ok()?;
    let results = results.as_ref();
    if results.len() != reads.len() {
        return None;
    }
    let inner = |(read, (success, data)): (&EvmRead, &(_, _))| {
        let success: &alloy::sol_types::abi::token::WordToken = success;
        let data: &alloy::sol_types::abi::token::PackedSeqToken<'_> = data;
        let data = data.0;
        let success = match (success.0[..31].iter().all(|byte| *byte == 0), success.0[31]) {
            (true, 0) => false,
            (true, 1) => true,
            _ => return None,
        };
        Some(match (read, success) {
            (EvmRead::Balance(_), true) if data.len() == 32 => {
                Inner::Answer(Answer::Bytes(data.to_vec()))
            }
            // Multicall3's own function does not fail unless it is starved.
            (EvmRead::Balance(_), false) => Inner::Silent,
            (EvmRead::Balance(_), true) => return None,
            (EvmRead::Call { .. }, true) => Inner::Answer(bytes(data)),
            (EvmRead::Call { .. }, false) if data.is_empty() => Inner::Silent,
            (EvmRead::Call { .. }, false) => Inner::Answer(Answer::Refused(REVERTED.into())),
        })
    };
    reads.iter().zip(results).map(inner).collect()
}

/// What a call returned, unless it is too much.
pub(crate) fn bytes(data: &[u8]) -> Answer {
    match data.len() > MAX_ANSWER {
        true => Answer::Refused(TOO_MUCH.into()),
        false => Answer::Bytes(data.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::sol_types::SolValue;
    use domain::account::Address as Holder;

    fn call(data: &[u8]) -> EvmRead {
        EvmRead::Call { to: Holder([7; 20]), data: data.to_vec() }
    }

    fn answers(results: &[(bool, Vec<u8>)]) -> Vec<u8> {
        let results: Vec<(bool, Bytes)> =
            results.iter().map(|(success, data)| (*success, data.clone().into())).collect();
        results.abi_encode()
    }

    #[test]
    fn reads_become_calls_that_may_fail() {
        let encoded = encode(&[call(b"\x01\x02\x03\x04"), EvmRead::Balance(Holder([9; 20]))]);
        assert_eq!(encoded[..4], [0x82, 0xad, 0x56, 0xcb]);
        let calls = aggregate3Call::abi_decode(&encoded).unwrap().calls;
        assert!(calls.iter().all(|call| call.allowFailure));
        assert_eq!(calls[0].target, Address::repeat_byte(7));
        assert_eq!(calls[0].callData.as_ref(), b"\x01\x02\x03\x04");
        assert_eq!(calls[1].target, MULTICALL);
        assert_eq!(calls[1].callData[..4], [0x4d, 0x23, 0x01, 0xcc]);
    }

    #[test]
    fn each_read_has_its_own_outcome() {
        let reads =
            [call(b"1"), call(b"2"), call(b"3"), call(b"4"), EvmRead::Balance(Holder::ZERO)];
        let answer = answers(&[
            (true, vec![5; 32]),
            (true, vec![]),
            (false, vec![8, 195, 121, 160]),
            (false, vec![]),
            (true, vec![1; 32]),
        ]);
        let expected = vec![
            Inner::Answer(Answer::Bytes(vec![5; 32])),
            Inner::Answer(Answer::Bytes(vec![])),
            Inner::Answer(Answer::Refused("reverted".into())),
            Inner::Silent,
            Inner::Answer(Answer::Bytes(vec![1; 32])),
        ];
        assert_eq!(decode(&reads, &answer), Some(expected));
    }

    #[test]
    fn a_long_answer_is_refused() {
        let answer = answers(&[(true, vec![0; MAX_ANSWER]), (true, vec![0; MAX_ANSWER + 1])]);
        let decoded = decode(&[call(b"1"), call(b"2")], &answer).unwrap();
        assert!(
            matches!(&decoded[0], Inner::Answer(Answer::Bytes(data)) if data.len() == MAX_ANSWER)
        );
        assert_eq!(decoded[1], Inner::Answer(Answer::Refused(TOO_MUCH.into())));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let reads = [call(b"1")];
        let good = answers(&[(true, vec![1])]);
        assert!(decode(&reads, &good).is_some());
        assert!(decode(&reads, &[]).is_none());
        assert!(decode(&reads, &good[..good.len() - 33]).is_none());
        // Too many or too few.
        assert!(decode(&reads, &answers(&[])).is_none());
        assert!(decode(&reads, &answers(&[(true, vec![1]), (true, vec![1])])).is_none());
        // A success of 2, and a balance of one byte.
        let mut odd = good.clone();
        odd[32 * 3 + 31] = 2;
        assert!(decode(&reads, &odd).is_none());
        assert!(decode(&[EvmRead::Balance(Holder::ZERO)], &good).is_none());
    }

    /// 300 results that all point at the same megabyte must not become 300 megabytes.
    #[test]
    fn one_long_answer_named_often_is_not_copied() {
        let word = |number: usize| {
            let mut word = vec![0; 32];
            word[24..].copy_from_slice(&(number as u64).to_be_bytes());
            word
        };
        let mut answer = [word(32), word(300)].concat();
        for _ in 0..300 {
            answer.extend(word(300 * 32));
        }
        answer.extend([word(1), word(64), word(1 << 20), vec![7; 1 << 20]].concat());
        let reads = vec![call(b"1"); 300];
        let decoded = decode(&reads, &answer).unwrap();
        assert!(decoded.iter().all(|one| *one == Inner::Answer(Answer::Refused(TOO_MUCH.into()))));
    }

    #[test]
    fn long_requests_are_cut_in_order() {
        assert!(parts(&[]).is_empty());
        let many: Vec<_> = (0..601_u32).map(|number| call(&number.to_be_bytes())).collect();
        let cut = parts(&many);
        assert_eq!(cut.iter().map(|part| part.len()).collect::<Vec<_>>(), [300, 300, 1]);
        assert_eq!(cut.concat(), many);
        let wide: Vec<_> = (0..3).map(|_| call(&[0; 50_000])).collect();
        assert_eq!(parts(&wide).iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 1]);
        // One that is too wide by itself goes alone.
        let alone = [call(&[0; 200_000]), call(b"1")];
        assert_eq!(parts(&alone).iter().map(|part| part.len()).collect::<Vec<_>>(), [1, 1]);
    }
}
