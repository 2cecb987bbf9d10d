//! The signatures of contract wallets (EIP-1271), deployed or not yet (EIP-6492).
//!
//! The question is an `eth_call` that creates a contract: our validator, which never stands on
//! any chain. Its constructor asks the wallet and gives one byte instead of code.

use alloy::primitives::{Address, B256, Bytes, hex};
use alloy::sol_types::SolValue;

/// Made from SignatureValidator.sol.
const VALIDATOR: &str = include_str!("signature_validator.hex");

/// The longest signature that is looked at, in bytes.
pub(crate) const MAX_SIGNATURE: usize = 4096;

/// The creation code with its arguments; `None` when that can't be made.
pub(crate) fn question(wallet: Address, digest: [u8; 32], signature: &[u8]) -> Option<Bytes> {
    let mut code = hex::decode(VALIDATOR.trim()).ok()?;
    let signature = Bytes::copy_from_slice(signature);
    code.extend((wallet, B256::from(digest), signature).abi_encode_params());
    Some(code.into())
}

/// The validator's byte; anything else is no answer.
pub(crate) fn verdict(answer: &[u8]) -> Option<bool> {
    match answer {
        [1] => Some(true),
        [0] => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_follow_the_code() {
        let code = hex::decode(VALIDATOR.trim()).unwrap();
        assert!(code.len() > 100);
        let question = question(Address::repeat_byte(3), [4; 32], &[5; 65]).unwrap();
        let (before, after) = question.split_at(code.len());
        assert_eq!(before, code);
        let (wallet, digest, signature) =
            <(Address, B256, Bytes)>::abi_decode_params(after).unwrap();
        assert_eq!((wallet, digest), (Address::repeat_byte(3), B256::repeat_byte(4)));
        assert_eq!(signature.as_ref(), [5; 65]);
    }

    /// The limit on creation code (EIP-3860) leaves room for the longest signature.
    #[test]
    fn the_longest_question_is_short_enough() {
        let question = question(Address::ZERO, [0; 32], &[0; MAX_SIGNATURE]).unwrap();
        assert!(question.len() < 49_152);
    }

    /// Guard: a longer answer that begins or ends with 1 is none.
    #[test]
    fn only_one_byte_is_a_verdict() {
        assert_eq!((verdict(&[1]), verdict(&[0])), (Some(true), Some(false)));
        for other in [&[][..], &[2], &[0, 1], &[1, 0], &[0; 32], &[1; 32]] {
            assert_eq!(verdict(other), None);
        }
    }
}
