//! Sign-in with Ethereum (EIP-4361) by an externally owned wallet (EIP-191 signature).

use crate::account::{Account, Address, ChainId};
use crate::nonce;
use crate::{Seconds, rfc3339};
use signinwithethereum::Message;

/// A sign-in message is short; longer ones are not looked at.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// How far a wallet's clock may be ahead of ours.
pub const CLOCK_SKEW: Seconds = 60;

/// What a message must say to be for us.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Scheme and authority of the page, as in `https://d1.cloudfront.net`.
    pub origin: &'a str,
    /// The authority that asks for the signature, as in `d1.cloudfront.net`.
    pub domain: &'a str,
    /// The nonces' key.
    pub key: &'a [u8; 32],
    /// How long a nonce lives; a message is not older.
    pub lifetime: Seconds,
    /// Now.
    pub now: Seconds,
}

/// Who signed in, and the nonce that must still be used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The wallet.
    pub account: Account,
    /// Good only once.
    pub nonce: String,
    /// When the nonce ends; its use must be remembered until then.
    pub nonce_expires_at: Seconds,
}

/// Why a message does not sign anybody in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Not EIP-4361.
    #[error("the message is not EIP-4361: {0}")]
    Malformed(String),
    /// Made for another site.
    #[error("the message's {0} is not this site's")]
    Foreign(&'static str),
    /// Too old, or its expiration time has passed.
    #[error("the message has expired; ask for a new nonce")]
    Expired,
    /// Its issued-at or not-before lies ahead.
    #[error("the message is not valid yet")]
    NotYet,
    /// See [`nonce::NonceError`].
    #[error(transparent)]
    Nonce(#[from] nonce::NonceError),
    /// Not the named wallet's signature over this very text.
    #[error("the signature is not this wallet's for this message")]
    Signature,
}

/// The message that a wallet is asked to sign.
pub fn message(expected: &Expected<'_>, account: &Account, nonce: &str) -> String {
    let Expected { origin, domain, lifetime, now, .. } = expected;
    let Account { chain: ChainId(chain), address } = account;
    let (issued, expires) = (rfc3339(*now), rfc3339(now + lifetime));
    format!(
        "{domain} wants you to sign in with your Ethereum account:\n{address}\n\n\
         Sign in to StreamGate. This costs nothing and moves nothing.\n\n\
         URI: {origin}\nVersion: 1\nChain ID: {chain}\nNonce: {nonce}\n\
         Issued At: {issued}\nExpiration Time: {expires}"
    )
}

/// Checks a signed message; whoever calls must then use up the nonce, exactly once.
///
/// # Errors
/// The first thing wrong: form, domain, URI, times, nonce, signature.
pub fn verify(
    expected: &Expected<'_>,
    text: &str,
    signature: &str,
) -> Result<SignedIn, SignInError> {
    if text.len() > MAX_MESSAGE_BYTES {
        return Err(SignInError::Malformed(format!("over {MAX_MESSAGE_BYTES} bytes")));
    }
    let message: Message = text.parse().map_err(malformed)?;
    // What was signed must be what was read: no second spelling of the same message.
    if message.to_string() != text {
        return Err(SignInError::Malformed("not in its canonical form".into()));
    }
    if message.domain.as_str() != expected.domain {
        return Err(SignInError::Foreign("domain"));
    }
    let (scheme, _) = expected.origin.split_once("://").unwrap_or_default();
    if message.scheme.as_deref().is_some_and(|given| given != scheme) {
        return Err(SignInError::Foreign("scheme"));
    }
    if message.uri.as_str().trim_end_matches('/') != expected.origin {
        return Err(SignInError::Foreign("URI"));
    }
    check_times(expected, &message)?;
    let account = Account { chain: ChainId(message.chain_id), address: Address(message.address) };
    let nonce_expires_at =
        nonce::check(expected.key, &message.nonce, expected.domain, &account, expected.now)?;
    let mut bytes = [0_u8; 65];
    hex::decode_to_slice(signature.strip_prefix("0x").unwrap_or(signature), &mut bytes)
        .map_err(|_| SignInError::Signature)?;
    if !matches!(bytes[64], 0 | 1 | 27 | 28) {
        return Err(SignInError::Signature);
    }
    message.verify_eip191(&bytes).map_err(|_| SignInError::Signature)?;
    Ok(SignedIn { account, nonce: message.nonce, nonce_expires_at })
}

fn malformed(error: signinwithethereum::ParseError) -> SignInError {
    SignInError::Malformed(error.to_string().chars().take(200).collect())
}

fn check_times(expected: &Expected<'_>, message: &Message) -> Result<(), SignInError> {
    let seconds = |stamp: &signinwithethereum::TimeStamp| stamp.as_ref().unix_timestamp();
    let now = i64::try_from(expected.now).unwrap_or(i64::MAX);
    let skew = CLOCK_SKEW.cast_signed();
    let issued = seconds(&message.issued_at);
    if issued > now + skew || message.not_before.as_ref().is_some_and(|at| seconds(at) > now) {
        return Err(SignInError::NotYet);
    }
    let too_old = issued < now - expected.lifetime.cast_signed() - skew;
    if too_old || message.expiration_time.as_ref().is_some_and(|at| seconds(at) <= now) {
        return Err(SignInError::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k256::ecdsa::SigningKey;
    use sha3::{Digest, Keccak256};

    const KEY: [u8; 32] = [3; 32];
    const NOW: Seconds = 1_800_000_000;

    fn expected() -> Expected<'static> {
        Expected {
            origin: "https://film.example",
            domain: "film.example",
            key: &KEY,
            lifetime: 300,
            now: NOW,
        }
    }

    fn wallet() -> (SigningKey, Account) {
        let key = SigningKey::from_slice(&[9; 32]).unwrap();
        let point = key.verifying_key().to_encoded_point(false);
        let hash = Keccak256::digest(&point.as_bytes()[1..]);
        let address = Address(hash[12..].try_into().unwrap());
        (key, Account { chain: ChainId(1), address })
    }

    fn sign(key: &SigningKey, text: &str) -> String {
        let prefixed = format!("\x19Ethereum Signed Message:\n{}{text}", text.len());
        let (signature, id) = key.sign_prehash_recoverable(&Keccak256::digest(prefixed)).unwrap();
        format!("0x{}{:02x}", hex::encode(signature.to_bytes()), 27 + id.to_byte())
    }

    fn fresh() -> (SigningKey, Account, String) {
        let (key, account) = wallet();
        let nonce = nonce::mint(&KEY, [5; 12], "film.example", &account, NOW + 300);
        let text = message(&expected(), &account, &nonce);
        (key, account, text)
    }

    #[test]
    fn a_wallet_signs_in_with_the_message_it_was_given() {
        let (key, account, text) = fresh();
        let signed_in = verify(&expected(), &text, &sign(&key, &text)).unwrap();
        assert_eq!(signed_in.account, account);
        assert_eq!(signed_in.nonce_expires_at, NOW + 300);
    }

    /// Changes the message before it is signed, so that only the rule in question can refuse it.
    fn refusal(from: &str, to: &str) -> SignInError {
        let (key, _, text) = fresh();
        assert!(text.contains(from), "{from}");
        let text = text.replace(from, to);
        verify(&expected(), &text, &sign(&key, &text)).unwrap_err()
    }

    #[test]
    fn every_field_is_checked() {
        assert_eq!(
            refusal("film.example wants", "evil.example wants"),
            SignInError::Foreign("domain")
        );
        assert_eq!(
            refusal("film.example wants", "http://film.example wants"),
            SignInError::Foreign("scheme")
        );
        assert_eq!(
            refusal("URI: https://film.example", "URI: https://film.example.evil"),
            SignInError::Foreign("URI")
        );
        assert!(matches!(refusal("Version: 1", "Version: 2"), SignInError::Malformed(_)));
        assert_eq!(
            refusal("Chain ID: 1", "Chain ID: 5"),
            SignInError::Nonce(nonce::NonceError::Foreign)
        );
        let issued = rfc3339(NOW);
        assert_eq!(refusal(&issued, &rfc3339(NOW + 61)), SignInError::NotYet);
        assert_eq!(refusal(&issued, &rfc3339(NOW - 361)), SignInError::Expired);
        let expires = format!("Expiration Time: {}", rfc3339(NOW + 300));
        let passed = format!("Expiration Time: {}", rfc3339(NOW));
        assert_eq!(refusal(&expires, &passed), SignInError::Expired);
        let later = format!("{expires}\nNot Before: {}", rfc3339(NOW + 1));
        assert_eq!(refusal(&expires, &later), SignInError::NotYet);
        assert!(matches!(refusal("\nNonce", "\r\nNonce"), SignInError::Malformed(_)));
    }

    #[test]
    fn only_the_named_wallet_can_sign() {
        let (key, _, text) = fresh();
        let other = SigningKey::from_slice(&[10; 32]).unwrap();
        let good = sign(&key, &text);
        let mut altered = good.clone();
        altered.replace_range(10..12, if &good[10..12] == "00" { "01" } else { "00" });
        for signature in [sign(&other, &text), altered, "0x".into(), good[..130].into()] {
            assert_eq!(verify(&expected(), &text, &signature), Err(SignInError::Signature));
        }
        let elsewhere = Expected { key: &[4; 32], ..expected() };
        assert_eq!(
            verify(&elsewhere, &text, &good),
            Err(SignInError::Nonce(nonce::NonceError::Foreign))
        );
    }

    #[test]
    fn a_long_message_is_not_read() {
        let text = "x".repeat(MAX_MESSAGE_BYTES + 1);
        assert!(matches!(verify(&expected(), &text, ""), Err(SignInError::Malformed(_))));
    }
}
