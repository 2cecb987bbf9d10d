//! Sign-In with Ethereum (EIP-4361): signed by the address's own key (EIP-191), or by a contract.

use super::{Message, SignInError, grammar};
use crate::account::{Account, Address, ChainId, Wallet};
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use sha3::{Digest, Keccak256};

/// Signatures of contract wallets may be long; longer ones than this are not looked at.
pub const MAX_SIGNATURE_BYTES: usize = 4 * 1024;

/// The message that an EVM wallet is asked to sign lies between these lines.
pub(super) const HEADER: &str = " wants you to sign in with your Ethereum account:";

/// Reads a message by EIP-4361's grammar.
///
/// # Errors
/// [`SignInError::Malformed`].
pub fn parse(text: &str) -> Result<signinwithethereum::Message, SignInError> {
    let message: signinwithethereum::Message = text.parse().map_err(malformed)?;
    // No second spelling of the same message. The library writes an empty list as none.
    let written = message.to_string();
    if written != text
        && !(message.resources.is_empty() && format!("{written}\nResources:") == text)
    {
        return Err(malformed("not in its canonical form"));
    }
    // What the grammar forbids and the library lets through.
    if !message.statement.as_deref().is_none_or(grammar::is_statement) {
        return Err(malformed("a statement holds letters, digits, spaces and URI punctuation"));
    }
    if !message.request_id.as_deref().is_none_or(grammar::is_request_id) {
        return Err(malformed("a request id holds what a URI's path segment may hold"));
    }
    Ok(message)
}

pub(super) fn read(text: &str) -> Result<Message, SignInError> {
    let message = parse(text)?;
    let time = |stamp: &signinwithethereum::TimeStamp| {
        grammar::date_time(&stamp.to_string()).ok_or_else(|| malformed("a time is not RFC 3339"))
    };
    Ok(Message {
        scheme: message.scheme.clone(),
        domain: message.domain.to_string(),
        account: Account {
            chain: ChainId::Eip155(message.chain_id),
            wallet: Wallet::Evm(Address(message.address)),
        },
        uri: message.uri.to_string(),
        issued_at: time(&message.issued_at)?,
        expiration_time: message.expiration_time.as_ref().map(time).transpose()?,
        not_before: message.not_before.as_ref().map(time).transpose()?,
        nonce: message.nonce,
    })
}

/// What a wallet's signature is over: the digest of the text behind EIP-191's prefix.
pub fn digest(text: &str) -> [u8; 32] {
    let prefix = format!("\x19Ethereum Signed Message:\n{}", text.len());
    Keccak256::new_with_prefix(prefix).chain_update(text).finalize().into()
}

/// The bytes behind `0x`, at most [`MAX_SIGNATURE_BYTES`]; an empty signature is none.
pub(super) fn signature_bytes(signature: &str) -> Option<Vec<u8>> {
    let digits = signature.strip_prefix("0x")?;
    let fits = (2..=2 * MAX_SIGNATURE_BYTES).contains(&digits.len());
    fits.then(|| hex::decode(digits).ok()).flatten()
}

/// Whether the key of `address` made this signature over `digest`.
pub(super) fn is_by_key(address: Address, digest: &[u8; 32], signature: &[u8]) -> bool {
    recover(digest, signature) == Some(address)
}

fn recover(digest: &[u8; 32], signature: &[u8]) -> Option<Address> {
    let signature: &[u8; 65] = signature.try_into().ok()?;
    let (point, [last]) = signature.split_at(64) else { return None };
    let parity = match last {
        0 | 27 => 0,
        1 | 28 => 1,
        _ => return None,
    };
    let point = Signature::from_slice(point).ok()?;
    let id = RecoveryId::from_byte(parity)?;
    // Takes only the lower of a signature's two forms (s and n - s).
    let key = VerifyingKey::recover_from_prehash(digest, &point, id).ok()?;
    let hash = Keccak256::digest(&key.to_encoded_point(false).as_bytes()[1..]);
    hash[12..].try_into().ok().map(Address)
}

fn malformed(reason: impl ToString) -> SignInError {
    SignInError::Malformed(reason.to_string().chars().take(200).collect())
}
