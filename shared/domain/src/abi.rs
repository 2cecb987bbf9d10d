//! As much of the Solidity ABI as conditions need: elementary arguments in, one word, a text or
//! a list of words out. Source: docs.soliditylang.org, "Contract ABI Specification".

use crate::account::Address;
use crate::number::{self, U256};
use sha3::{Digest, Keccak256};

/// The longest signature that is read.
pub const MAX_SIGNATURE: usize = 200;

/// Keccak-256.
pub fn keccak(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// Call data of a function whose arguments are all one word each.
pub fn call(signature: &str, words: &[[u8; 32]]) -> Vec<u8> {
    let mut data = keccak(signature.as_bytes())[..4].to_vec();
    data.extend(words.iter().flatten());
    data
}

/// An address as a word.
pub fn address(address: Address) -> [u8; 32] {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&address.0);
    word
}

/// A number as a word.
pub fn uint(number: U256) -> [u8; 32] {
    number.to_be_bytes()
}

/// The word at `index`, if the bytes reach that far.
pub fn word(bytes: &[u8], index: usize) -> Option<[u8; 32]> {
    bytes.get(index.checked_mul(32)?..)?.get(..32)?.try_into().ok()
}

/// The one number that an answer is.
pub fn as_number(bytes: &[u8]) -> Option<U256> {
    (bytes.len() == 32).then(|| word(bytes, 0)).flatten().map(U256::from_be_bytes)
}

/// The one address that an answer is; dirty upper bytes make it none.
pub fn as_address(bytes: &[u8]) -> Option<Address> {
    (bytes.len() == 32).then(|| word(bytes, 0)).flatten().and_then(word_address)
}

/// The address in a word.
pub fn word_address(word: [u8; 32]) -> Option<Address> {
    if word[..12] != [0; 12] {
        return None;
    }
    word[12..].try_into().ok().map(Address)
}

/// The one boolean that an answer is.
pub fn as_bool(bytes: &[u8]) -> Option<bool> {
    match as_number(bytes)? {
        U256::ZERO => Some(false),
        U256::ONE => Some(true),
        _ => None,
    }
}

/// The one `string` or `bytes` that an answer is.
pub fn as_bytes(bytes: &[u8]) -> Option<&[u8]> {
    let start = usize::try_from(U256::from_be_bytes(word(bytes, 0)?)).ok()?;
    let tail = bytes.get(start..)?;
    let length = usize::try_from(U256::from_be_bytes(word(tail, 0)?)).ok()?;
    tail.get(32..)?.get(..length)
}

/// The rows of an array of structs whose fields are one word each.
pub fn as_rows(bytes: &[u8], fields: usize, most: usize) -> Option<Vec<Vec<[u8; 32]>>> {
    let start = usize::try_from(U256::from_be_bytes(word(bytes, 0)?)).ok()?;
    let tail = bytes.get(start..)?;
    let length = usize::try_from(U256::from_be_bytes(word(tail, 0)?)).ok()?;
    let rows = tail.get(32..)?;
    if length > rows.len() / (fields * 32) {
        return None;
    }
    (0..length.min(most))
        .map(|row| (0..fields).map(|field| word(rows, row * fields + field)).collect())
        .collect()
}

/// An elementary type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// `address`.
    Address,
    /// `bool`.
    Bool,
    /// `uint8` to `uint256`, by bits.
    Uint(u16),
    /// `int8` to `int256`, by bits.
    Int(u16),
    /// `bytes1` to `bytes32`, by bytes.
    FixedBytes(u8),
    /// `bytes`.
    Bytes,
    /// `string`.
    String,
}

impl Type {
    fn parse(text: &str) -> Option<Self> {
        let size = |digits: &str| {
            let plain = !digits.is_empty() && !digits.starts_with('0') && digits.len() <= 3;
            plain.then(|| digits.parse::<u16>().ok()).flatten()
        };
        let bits = |digits: &str| size(digits).filter(|bits| bits % 8 == 0 && *bits <= 256);
        Some(match text {
            "address" => Self::Address,
            "bool" => Self::Bool,
            "bytes" => Self::Bytes,
            "string" => Self::String,
            _ => {
                if let Some(digits) = text.strip_prefix("uint") {
                    Self::Uint(bits(digits)?)
                } else if let Some(digits) = text.strip_prefix("int") {
                    Self::Int(bits(digits)?)
                } else {
                    let size = size(text.strip_prefix("bytes")?)?;
                    Self::FixedBytes(u8::try_from(size).ok().filter(|size| *size <= 32)?)
                }
            }
        })
    }

    /// Whether less and more mean something.
    pub fn is_ordered(self) -> bool {
        matches!(self, Self::Uint(_) | Self::Int(_))
    }

    /// A value of this type as policies write it, in the ABI's form: one word, or for `bytes` and
    /// `string` the content alone.
    pub fn encode(self, text: &str) -> Option<Vec<u8>> {
        Some(match self {
            Self::Address => address(text.parse().ok()?).to_vec(),
            Self::Bool => uint(U256::from(match text {
                "true" => 1,
                "false" => 0,
                _ => return None,
            }))
            .to_vec(),
            Self::Uint(bits) => {
                let value = number::whole(text)?;
                (value.bit_len() <= usize::from(bits)).then(|| uint(value).to_vec())?
            }
            Self::Int(bits) => {
                let value = number::signed(text)?;
                let size = if text.starts_with('-') { !value } else { value };
                (size.bit_len() < usize::from(bits)).then(|| uint(value).to_vec())?
            }
            Self::FixedBytes(size) => {
                let bytes = from_hex(text)?;
                (bytes.len() == usize::from(size)).then(|| padded(&bytes))?
            }
            Self::Bytes => from_hex(text)?,
            Self::String => text.as_bytes().to_vec(),
        })
    }

    /// An answer of this type as policies write values; `None` if it is no such value.
    pub fn decode(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Address => as_address(bytes).map(|address| address.to_string()),
            Self::Bool => as_bool(bytes).map(|yes| yes.to_string()),
            Self::Uint(bits) => as_number(bytes)
                .filter(|value| value.bit_len() <= usize::from(bits))
                .map(|value| value.to_string()),
            Self::Int(_) => as_number(bytes).map(|value| {
                if value.bit(255) {
                    format!("-{}", value.wrapping_neg())
                } else {
                    value.to_string()
                }
            }),
            Self::FixedBytes(size) => {
                let word = (bytes.len() == 32).then(|| word(bytes, 0)).flatten()?;
                let (value, rest) = word.split_at(usize::from(size));
                rest.iter().all(|byte| *byte == 0).then(|| format!("0x{}", hex::encode(value)))
            }
            Self::Bytes => as_bytes(bytes).map(|value| format!("0x{}", hex::encode(value))),
            Self::String => std::str::from_utf8(as_bytes(bytes)?).ok().map(str::to_owned),
        }
    }

    fn is_dynamic(self) -> bool {
        matches!(self, Self::Bytes | Self::String)
    }
}

/// A function with elementary arguments and one elementary result: `levelOf(address)(uint256)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Function {
    /// Name and argument types, as they are hashed.
    pub canonical: String,
    /// What it takes.
    pub arguments: Vec<Type>,
    /// What it answers.
    pub result: Type,
}

impl Function {
    /// Reads `name(type,..)(type)`.
    pub fn parse(text: &str) -> Option<Self> {
        let whole = text.len() <= MAX_SIGNATURE;
        let (name, rest) = text.split_once('(').filter(|_| whole)?;
        let (arguments, result) = rest.split_once(")(")?;
        let result = result.strip_suffix(')')?;
        let named = !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_$".contains(&byte));
        let types: Option<Vec<_>> = match arguments {
            "" => Some(Vec::new()),
            _ => arguments.split(',').map(Type::parse).collect(),
        };
        named.then_some(())?;
        Some(Self {
            canonical: format!("{name}({arguments})"),
            arguments: types?,
            result: Type::parse(result)?,
        })
    }

    /// Call data for arguments in the form of [`Type::encode`], one for each of the types.
    pub fn encode(&self, values: &[Vec<u8>]) -> Vec<u8> {
        let mut head = keccak(self.canonical.as_bytes())[..4].to_vec();
        let mut tail = Vec::new();
        for (kind, value) in self.arguments.iter().zip(values) {
            if kind.is_dynamic() {
                let offset = self.arguments.len() * 32 + tail.len();
                head.extend(uint(U256::from(offset)));
                tail.extend(uint(U256::from(value.len())));
                tail.extend(padded(value));
            } else {
                head.extend(value);
            }
        }
        head.extend(tail);
        head
    }
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut words = bytes.to_vec();
    words.resize(bytes.len().div_ceil(32) * 32, 0);
    words
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("0x")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_examples_come_out_as_printed() {
        // "Examples" in the ABI specification: baz(uint32,bool) of 69 and true.
        let baz = Function::parse("baz(uint32,bool)(bool)").unwrap();
        let values = [Type::Uint(32).encode("69").unwrap(), Type::Bool.encode("true").unwrap()];
        let mut expected = "cdcd77c0".to_owned();
        expected += &format!("{:064x}{:064x}", 69, 1);
        assert_eq!(hex::encode(baz.encode(&values)), expected);
        assert_eq!(&call("balanceOf(address)", &[])[..], [0x70, 0xa0, 0x82, 0x31]);
    }

    #[test]
    fn dynamic_arguments_lie_behind_the_static_ones() {
        let function = Function::parse("f(string,uint256,bytes)(uint256)").unwrap();
        let values = ["ab", "7", "0xff"];
        let encoded: Vec<_> = function
            .arguments
            .iter()
            .zip(values)
            .map(|(kind, text)| kind.encode(text).unwrap())
            .collect();
        let data = function.encode(&encoded);
        let body = &data[4..];
        assert_eq!(body.len(), 7 * 32);
        assert_eq!(as_bytes(body), Some(&b"ab"[..]));
        assert_eq!(word(body, 1), Some(uint(U256::from(7))));
        assert_eq!(word(body, 2), Some(uint(U256::from(160))));
        assert_eq!(body[6 * 32], 0xff);
    }

    #[test]
    fn signatures_that_can_not_be_are_none() {
        for text in [
            "f(address)",
            "f()",
            "(uint256)(bool)",
            "f(uint)(bool)",
            "f(uint7)(bool)",
            "1f()(bool)",
            "f(uint264)(bool)",
            "f(bytes33)(bool)",
            "f(bytes0)(bool)",
            "f(address[])(bool)",
            "f(address,)(bool)",
            "f( address)(bool)",
            "f((uint256))(bool)",
            "f()(bool,bool)",
            "f()()",
            "f()(bool) view",
            "f(uint08)(bool)",
            &format!("{}()(bool)", "f".repeat(200)),
        ] {
            assert_eq!(Function::parse(text), None, "{text}");
        }
        assert!(Function::parse("f()(string)").is_some());
    }

    #[test]
    fn values_have_their_types_size() {
        assert!(Type::Uint(8).encode("255").is_some() && Type::Uint(8).encode("256").is_none());
        assert!(Type::Int(8).encode("127").is_some() && Type::Int(8).encode("128").is_none());
        assert!(Type::Int(8).encode("-128").is_some() && Type::Int(8).encode("-129").is_none());
        assert!(Type::FixedBytes(2).encode("0xabcd").is_some());
        assert!(Type::FixedBytes(2).encode("0xab").is_none());
        assert!(Type::Address.encode("0x12").is_none() && Type::Bool.encode("1").is_none());
    }

    #[test]
    fn answers_are_read_strictly() {
        let ones = [0xff; 32];
        assert_eq!(Type::Int(256).decode(&ones).as_deref(), Some("-1"));
        assert_eq!(Type::Uint(8).decode(&ones), None);
        assert_eq!(Type::Bool.decode(&ones), None);
        assert_eq!(Type::Address.decode(&ones), None);
        assert_eq!(Type::FixedBytes(4).decode(&ones), None);
        assert_eq!(as_number(&ones[..31]), None);
        assert_eq!(as_number(&[0; 64]), None);
        // An offset or a length beyond the end.
        assert_eq!(as_bytes(&ones), None);
        let mut beyond = uint(U256::from(32)).to_vec();
        beyond.extend(uint(U256::from(33)));
        beyond.extend([0; 32]);
        assert_eq!(as_bytes(&beyond), None);
        assert_eq!(as_rows(&beyond, 7, 5), None);
    }
}
