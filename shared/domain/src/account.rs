//! Chains and accounts by their chain-agnostic names (CAIP-2, CAIP-10).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a name is not a chain, an address or an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not `eip155:<decimal>`.
    #[error("a chain is written eip155:<chain id>, as in eip155:1")]
    Chain,
    /// Not 20 bytes of hex behind 0x, or of mixed case with a wrong EIP-55 checksum.
    #[error("an address is 0x and 40 hex digits; mixed case must match its EIP-55 checksum")]
    Address,
    /// Not `<chain>:<address>`.
    #[error("an account is written eip155:<chain id>:<address>")]
    Account,
}

/// An EVM chain: CAIP-2 `eip155:<chain id>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChainId(pub u64);

impl FromStr for ChainId {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let digits = text.strip_prefix("eip155:").ok_or(NameError::Chain)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        if !plain {
            return Err(NameError::Chain);
        }
        digits.parse().map(ChainId).map_err(|_| NameError::Chain)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "eip155:{}", self.0)
    }
}

/// A 20-byte EVM address; written with its EIP-55 checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(pub [u8; 20]);

impl Address {
    /// Nobody's address: never a contract, never a holder.
    pub const ZERO: Self = Self([0; 20]);
}

impl FromStr for Address {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let digits = text.strip_prefix("0x").ok_or(NameError::Address)?;
        let mut bytes = [0_u8; 20];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| NameError::Address)?;
        let mixed = digits.bytes().any(|byte| byte.is_ascii_lowercase())
            && digits.bytes().any(|byte| byte.is_ascii_uppercase());
        if mixed && !signinwithethereum::is_checksum(digits) {
            return Err(NameError::Address);
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&signinwithethereum::eip55(&self.0))
    }
}

/// A wallet on a chain: CAIP-10 `eip155:1:0xAb..`.
///
/// The chain says where the wallet signed in. An externally owned wallet is the same person on
/// every EVM chain, so holdings and ownership are looked up by `address` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Account {
    /// Where it signed in.
    pub chain: ChainId,
    /// Who it is.
    pub address: Address,
}

impl FromStr for Account {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (chain, address) = text.rsplit_once(':').ok_or(NameError::Account)?;
        Ok(Self {
            chain: chain.parse().map_err(|_| NameError::Account)?,
            address: address.parse()?,
        })
    }
}

impl fmt::Display for Account {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.chain, self.address)
    }
}

/// Makes serde read and write types by their names.
macro_rules! by_name {
    ($($name:ident),+) => {$(
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(named: $name) -> Self {
                named.to_string()
            }
        }
    )+};
}
by_name!(ChainId, Address, Account);

#[cfg(test)]
mod tests {
    use super::*;

    const VITALIK: &str = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";

    #[test]
    fn accounts_are_read_and_written_the_same() {
        let text = format!("eip155:137:{VITALIK}");
        assert_eq!(text.parse::<Account>().unwrap().to_string(), text);
        let lower = format!("eip155:137:{}", VITALIK.to_lowercase());
        assert_eq!(lower.parse::<Account>().unwrap().to_string(), text);
    }

    #[test]
    fn a_wrong_checksum_is_no_address() {
        assert_eq!(VITALIK.replace("d8dA", "d8Da").parse::<Address>(), Err(NameError::Address));
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in ["eip155:01", "eip155:", "eip155:+1", "eip155:1 ", "solana:1", "1"] {
            assert_eq!(text.parse::<ChainId>(), Err(NameError::Chain), "{text}");
        }
        for text in ["", "0x", "d8dA6BF26964aF9D7eEd9e03E53415D37aA96045", "0x00"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        assert_eq!(VITALIK.parse::<Account>(), Err(NameError::Account));
    }
}
