//! Chains, wallets and accounts by their chain-agnostic names (CAIP-2, CAIP-10).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a name is not a chain, an address or an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Neither `eip155:<decimal>` nor `solana:<start of the genesis hash>`.
    #[error(
        "a chain is written eip155:<chain id> or solana:<first 32 characters of its genesis hash>"
    )]
    Chain,
    /// Not 20 bytes of hex behind 0x, or of mixed case with a wrong EIP-55 checksum.
    #[error("an address is 0x and 40 hex digits; mixed case must match its EIP-55 checksum")]
    Address,
    /// Not 32 bytes of base58.
    #[error("a Solana address is 32 bytes in base58")]
    Pubkey,
    /// Not `<chain>:<address>`, or an address of another family of chains.
    #[error("an account is written <chain>:<address>, as in eip155:1:0x.. or solana:..:<base58>")]
    Account,
}

/// A chain, by its CAIP-2 name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ChainId {
    /// `eip155:<chain id>`.
    Eip155(u64),
    /// `solana:<genesis>`.
    Solana(Genesis),
}

const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// A Solana cluster: the first 32 characters of its genesis hash in base58.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Genesis([u8; 32]);

impl Genesis {
    /// Of these 32 characters.
    pub fn new(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(|byte| BASE58.contains(byte)).then_some(Self(bytes))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Genesis {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for ChainId {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        if let Some(genesis) = text.strip_prefix("solana:") {
            return Genesis::new(genesis).map(Self::Solana).ok_or(NameError::Chain);
        }
        let digits = text.strip_prefix("eip155:").ok_or(NameError::Chain)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        if !plain {
            return Err(NameError::Chain);
        }
        digits.parse().map(Self::Eip155).map_err(|_| NameError::Chain)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eip155(id) => write!(out, "eip155:{id}"),
            Self::Solana(genesis) => write!(out, "solana:{}", genesis.as_str()),
        }
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

/// A 32-byte Solana address, of a wallet or of any other account; written in base58.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pubkey(pub [u8; 32]);

impl Pubkey {
    /// The system program, and nobody's wallet.
    pub const ZERO: Self = Self([0; 32]);
}

impl FromStr for Pubkey {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        // 32 bytes have 32 to 44 digits; longer text is not looked at.
        if !(32..=44).contains(&text.len()) {
            return Err(NameError::Pubkey);
        }
        let mut bytes = [0; 32];
        match bs58::decode(text).onto(&mut bytes) {
            Ok(32) => Ok(Self(bytes)),
            _ => Err(NameError::Pubkey),
        }
    }
}

impl fmt::Display for Pubkey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&bs58::encode(self.0).into_string())
    }
}

impl fmt::Debug for Pubkey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Whoever can sign, wherever: `0x..` or base58.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Wallet {
    /// On EVM chains.
    Evm(Address),
    /// On Solana.
    Solana(Pubkey),
}

impl FromStr for Wallet {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.starts_with("0x") {
            true => text.parse().map(Self::Evm),
            false => text.parse().map(Self::Solana),
        }
    }
}

impl fmt::Display for Wallet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evm(address) => address.fmt(out),
            Self::Solana(key) => key.fmt(out),
        }
    }
}

/// A wallet on a chain: CAIP-10 `eip155:1:0xAb..`, `solana:5eykt..:7S3P..`.
///
/// The chain says where the wallet signed in. One that signs with a key of its own is the same
/// person on every chain of its family; a contract wallet is not, see [`crate::session::Holder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Account {
    /// Where it signed in.
    pub chain: ChainId,
    /// Who it is; of the chain's family.
    pub wallet: Wallet,
}

impl FromStr for Account {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (chain, address) = text.rsplit_once(':').ok_or(NameError::Account)?;
        let chain = chain.parse().map_err(|_| NameError::Account)?;
        let wallet = match chain {
            ChainId::Eip155(_) => Wallet::Evm(address.parse()?),
            ChainId::Solana(_) => Wallet::Solana(address.parse()?),
        };
        Ok(Self { chain, wallet })
    }
}

impl fmt::Display for Account {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.chain, self.wallet)
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
by_name!(ChainId, Address, Pubkey, Wallet, Account);

#[cfg(test)]
mod tests {
    use super::*;

    const VITALIK: &str = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
    const SOLANA: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
    const KEY: &str = "7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv";

    #[test]
    fn accounts_are_read_and_written_the_same() {
        let text = format!("eip155:137:{VITALIK}");
        assert_eq!(text.parse::<Account>().unwrap().to_string(), text);
        let lower = format!("eip155:137:{}", VITALIK.to_lowercase());
        assert_eq!(lower.parse::<Account>().unwrap().to_string(), text);
        let text = format!("{SOLANA}:{KEY}");
        assert_eq!(text.parse::<Account>().unwrap().to_string(), text);
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
        // 0, O, I and l are no digits of base58; a whole genesis hash is too long.
        for genesis in ["0eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc"] {
            assert_eq!(format!("solana:{genesis}").parse::<ChainId>(), Err(NameError::Chain));
        }
        for text in ["", "0x", "d8dA6BF26964aF9D7eEd9e03E53415D37aA96045", "0x00"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        for text in
            ["", "1", &KEY[..30], &format!("{KEY}1"), &"1".repeat(33), &KEY.replace('S', "l")]
        {
            assert_eq!(text.parse::<Pubkey>(), Err(NameError::Pubkey), "{text}");
        }
        assert_eq!(VITALIK.parse::<Account>(), Err(NameError::Account));
    }

    #[test]
    fn an_account_has_an_address_of_its_chains_family() {
        assert!(format!("eip155:1:{KEY}").parse::<Account>().is_err());
        assert!(format!("{SOLANA}:{VITALIK}").parse::<Account>().is_err());
    }
}
