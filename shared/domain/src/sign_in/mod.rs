//! Sign-in: a short-lived message that was made for this site, signed by the wallet that it names.
//!
//! The two standards differ in grammar and signature ([`ethereum`], [`solana`]); what a message must
//! say is the same for both, and is checked here.

pub mod ethereum;
mod grammar;
pub mod solana;

use crate::account::{Account, Address, ChainId, Wallet};
use crate::{Seconds, nonce, rfc3339};

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
    /// The nonces' keys; any may have made one.
    pub keys: &'a [[u8; 32]],
    /// How long a nonce lives; a message is not older.
    pub lifetime: Seconds,
    /// Now.
    pub now: Seconds,
}

/// What a well-formed message says, whichever standard it follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Of the page that asked, if it is told.
    pub scheme: Option<String>,
    /// The authority that asked.
    pub domain: String,
    /// Who signs, and on which chain.
    pub account: Account,
    /// What is signed in to.
    pub uri: String,
    /// Good only once.
    pub nonce: String,
    /// Unix seconds.
    pub issued_at: i64,
    /// Unix seconds.
    pub expiration_time: Option<i64>,
    /// Unix seconds.
    pub not_before: Option<i64>,
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

/// A message that is good but for its signature, which no key of the address made: if there is a
/// contract at the address, only the chain can tell whose signature it is (EIP-1271, EIP-6492).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeedsContract {
    /// Who signs in if the contract agrees.
    pub signed_in: SignedIn,
    /// Whom to ask.
    pub wallet: Address,
    /// On which chain (EIP-155).
    pub chain: u64,
    /// What was signed.
    pub digest: [u8; 32],
    /// By the contract's own rules.
    pub signature: Vec<u8>,
}

/// How far a message gets without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// The wallet's own key signed.
    SignedIn(SignedIn),
    /// Nobody has signed in yet.
    NeedsContract(NeedsContract),
}

/// Why a message does not sign anybody in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Neither EIP-4361 nor Sign In With Solana.
    #[error("the message is neither EIP-4361 nor Sign In With Solana: {0}")]
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
    let (header, chain) = match account.chain {
        ChainId::Eip155(id) => (ethereum::HEADER, id.to_string()),
        chain @ ChainId::Solana(_) => (solana::HEADER, chain.to_string()),
    };
    let (issued, expires) = (rfc3339(*now), rfc3339(now + lifetime));
    format!(
        "{domain}{header}\n{}\n\n\
         Sign in to StreamGate. This costs nothing and moves nothing.\n\n\
         URI: {origin}\nVersion: 1\nChain ID: {chain}\nNonce: {nonce}\n\
         Issued At: {issued}\nExpiration Time: {expires}",
        account.wallet
    )
}

/// Checks a signed message; whoever calls must then ask the contract, where one is needed, and use
/// up the nonce, exactly once.
///
/// # Errors
/// The first thing wrong: form, domain, URI, times, nonce, signature.
pub fn verify(
    expected: &Expected<'_>,
    text: &str,
    signature: &str,
) -> Result<Verified, SignInError> {
    let message = Message::read(text)?;
    message.check(expected)?;
    let Message { account, nonce, .. } = message;
    let nonce_expires_at =
        nonce::check(expected.keys, &nonce, expected.domain, &account, expected.now)?;
    SignedIn { account, nonce, nonce_expires_at }.by(text, signature)
}

impl Message {
    /// Reads a message by the grammar that its first line announces.
    ///
    /// # Errors
    /// [`SignInError::Malformed`].
    pub fn read(text: &str) -> Result<Self, SignInError> {
        if text.len() > MAX_MESSAGE_BYTES {
            return Err(SignInError::Malformed(format!("over {MAX_MESSAGE_BYTES} bytes")));
        }
        let first = text.split('\n').next().unwrap_or_default();
        match first.ends_with(solana::HEADER) {
            true => solana::read(text),
            false => ethereum::read(text),
        }
    }

    /// Whether it was made for this site and is valid now. The nonce is not looked at.
    ///
    /// # Errors
    /// The first thing wrong: domain, scheme, URI, times.
    pub fn check(&self, expected: &Expected<'_>) -> Result<(), SignInError> {
        if self.domain != expected.domain {
            return Err(SignInError::Foreign("domain"));
        }
        let (scheme, _) = expected.origin.split_once("://").unwrap_or_default();
        if self.scheme.as_deref().is_some_and(|given| given != scheme) {
            return Err(SignInError::Foreign("scheme"));
        }
        if self.uri.strip_suffix('/').unwrap_or(&self.uri) != expected.origin {
            return Err(SignInError::Foreign("URI"));
        }
        let now = i64::try_from(expected.now).unwrap_or(i64::MAX);
        let skew = CLOCK_SKEW.cast_signed();
        if self.issued_at > now + skew || self.not_before.is_some_and(|at| at > now) {
            return Err(SignInError::NotYet);
        }
        let too_old = self.issued_at < now - expected.lifetime.cast_signed() - skew;
        if too_old || self.expiration_time.is_some_and(|at| at <= now) {
            return Err(SignInError::Expired);
        }
        Ok(())
    }
}

impl SignedIn {
    /// Whether it was this wallet that signed, by its own key or, perhaps, a contract's word.
    ///
    /// # Errors
    /// [`SignInError::Signature`].
    pub fn by(self, text: &str, signature: &str) -> Result<Verified, SignInError> {
        match (self.account.chain, self.account.wallet) {
            (ChainId::Eip155(chain), Wallet::Evm(wallet)) => {
                let signature =
                    ethereum::signature_bytes(signature).ok_or(SignInError::Signature)?;
                let digest = ethereum::digest(text);
                if ethereum::is_by_key(wallet, &digest, &signature) {
                    return Ok(Verified::SignedIn(self));
                }
                let signed_in = self;
                let needs = NeedsContract { signed_in, wallet, chain, digest, signature };
                Ok(Verified::NeedsContract(needs))
            }
            (ChainId::Solana(_), Wallet::Solana(wallet)) => {
                match solana::is_signed(wallet, text, signature) {
                    true => Ok(Verified::SignedIn(self)),
                    false => Err(SignInError::Signature),
                }
            }
            // No message names a wallet of another family than its chain's.
            _ => Err(SignInError::Signature),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::Signer;
    use k256::ecdsa::SigningKey;
    use sha3::{Digest, Keccak256};

    const KEY: [u8; 32] = [3; 32];
    const NOW: Seconds = 1_800_000_000;
    const DEVNET: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";

    fn expected() -> Expected<'static> {
        Expected {
            origin: "https://film.example",
            domain: "film.example",
            keys: &[KEY],
            lifetime: 300,
            now: NOW,
        }
    }

    /// A key of either family.
    enum Signs {
        Evm(SigningKey),
        Solana(ed25519_dalek::SigningKey),
    }

    impl Signs {
        fn evm(seed: u8) -> Self {
            Self::Evm(SigningKey::from_slice(&[seed; 32]).unwrap())
        }

        fn solana(seed: u8) -> Self {
            Self::Solana(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
        }

        fn account(&self) -> Account {
            match self {
                Self::Evm(key) => {
                    let point = key.verifying_key().to_encoded_point(false);
                    let hash = Keccak256::digest(&point.as_bytes()[1..]);
                    let wallet = Wallet::Evm(Address(hash[12..].try_into().unwrap()));
                    Account { chain: ChainId::Eip155(1), wallet }
                }
                Self::Solana(key) => {
                    let wallet = bs58::encode(key.verifying_key().to_bytes()).into_string();
                    format!("{DEVNET}:{wallet}").parse().unwrap()
                }
            }
        }

        fn sign(&self, text: &str) -> String {
            match self {
                Self::Evm(key) => {
                    let digest = ethereum::digest(text);
                    let (signature, id) = key.sign_prehash_recoverable(&digest).unwrap();
                    format!("0x{}{:02x}", hex::encode(signature.to_bytes()), 27 + id.to_byte())
                }
                Self::Solana(key) => {
                    bs58::encode(key.sign(text.as_bytes()).to_bytes()).into_string()
                }
            }
        }

        fn fresh(&self) -> String {
            let account = self.account();
            let nonce = nonce::mint(&KEY, [5; 12], "film.example", &account, NOW + 300);
            message(&expected(), &account, &nonce)
        }
    }

    fn both() -> [Signs; 2] {
        [Signs::evm(9), Signs::solana(9)]
    }

    #[test]
    fn a_wallet_signs_in_with_the_message_it_was_given() {
        for key in both() {
            let text = key.fresh();
            let outcome = verify(&expected(), &text, &key.sign(&text)).unwrap();
            let Verified::SignedIn(signed_in) = outcome else { panic!("{outcome:?}") };
            assert_eq!(signed_in.account, key.account());
            assert_eq!(signed_in.nonce_expires_at, NOW + 300);
        }
    }

    /// Changes the message before it is signed, so that only the rule in question can refuse it.
    fn refusal(key: &Signs, from: &str, to: &str) -> SignInError {
        let text = key.fresh();
        assert!(text.contains(from), "{from}");
        let text = text.replace(from, to);
        verify(&expected(), &text, &key.sign(&text)).unwrap_err()
    }

    #[test]
    fn every_field_is_checked() {
        for key in both() {
            let foreign = |from, to, field| {
                assert_eq!(refusal(&key, from, to), SignInError::Foreign(field));
            };
            foreign("film.example wants", "evil.example wants", "domain");
            let uri = "URI: https://film.example";
            foreign(uri, "URI: https://film.example.evil", "URI");
            foreign(uri, "URI: https://film.example//", "URI");
            foreign(uri, "URI: http://film.example", "URI");
            for (from, to) in
                [("Version: 1", "Version: 2"), ("\nNonce", "\r\nNonce"), ("Nonce", "nonce")]
            {
                assert!(matches!(refusal(&key, from, to), SignInError::Malformed(_)), "{to}");
            }
            let issued = rfc3339(NOW);
            assert_eq!(refusal(&key, &issued, &rfc3339(NOW + 61)), SignInError::NotYet);
            assert_eq!(refusal(&key, &issued, &rfc3339(NOW - 361)), SignInError::Expired);
            let expires = format!("Expiration Time: {}", rfc3339(NOW + 300));
            let passed = format!("Expiration Time: {}", rfc3339(NOW));
            assert_eq!(refusal(&key, &expires, &passed), SignInError::Expired);
            let later = format!("{expires}\nNot Before: {}", rfc3339(NOW + 1));
            assert_eq!(refusal(&key, &expires, &later), SignInError::NotYet);
        }
        let foreign_nonce = SignInError::Nonce(nonce::NonceError::Foreign);
        let [evm, solana] = both();
        assert_eq!(refusal(&evm, "Chain ID: 1", "Chain ID: 5"), foreign_nonce);
        assert_eq!(refusal(&solana, DEVNET, "mainnet"), foreign_nonce);
        let wants = "http://film.example wants";
        assert_eq!(
            refusal(&evm, "film.example wants", wants),
            SignInError::Foreign("scheme"),
            "a scheme is EIP-4361's"
        );
        assert!(matches!(refusal(&solana, "film.example wants", wants), SignInError::Malformed(_)));
        // What the library for EIP-4361 reads, but the standard or we do not.
        let with_id = format!("Expiration Time: {}\nRequest ID: a b", rfc3339(NOW + 300));
        for (from, to) in [
            ("Chain ID: 1", "Chain ID: 01"),
            ("Chain ID: 1", "Chain ID: +1"),
            ("T08:00:00Z", " 08:00:00Z"),
            ("StreamGate.", "\"StreamGate\"."),
            (&*with_id.replace("\nRequest ID: a b", ""), &*with_id),
        ] {
            assert!(matches!(refusal(&evm, from, to), SignInError::Malformed(_)), "{to}");
        }
    }

    #[test]
    fn a_cluster_has_a_short_name_too() {
        let key = Signs::solana(9);
        for chain in ["devnet", "solana:devnet"] {
            let text = key.fresh().replace(DEVNET, chain);
            assert!(verify(&expected(), &text, &key.sign(&text)).is_ok(), "{chain}");
        }
        for chain in ["localnet", "eip155:1", "solana:", "Devnet", "solana:solana:devnet", ""] {
            let malformed = refusal(&key, DEVNET, chain);
            assert!(matches!(malformed, SignInError::Malformed(_)), "{chain}");
        }
    }

    #[test]
    fn only_the_named_wallets_key_signs_in_at_once() {
        for (key, other) in [(Signs::evm(9), Signs::evm(10)), (Signs::solana(9), Signs::solana(10))]
        {
            let text = key.fresh();
            let good = key.sign(&text);
            let elsewhere = Expected { keys: &[[4; 32]], ..expected() };
            assert_eq!(
                verify(&elsewhere, &text, &good),
                Err(SignInError::Nonce(nonce::NonceError::Foreign))
            );
            for signature in [other.sign(&text), key.sign(&format!("{text} "))] {
                let outcome = verify(&expected(), &text, &signature);
                assert!(!matches!(outcome, Ok(Verified::SignedIn(_))), "{outcome:?}");
            }
        }
    }

    #[test]
    fn a_signature_of_no_key_is_the_contracts_matter() {
        let key = Signs::evm(9);
        let text = key.fresh();
        let good = key.sign(&text);
        let twin = {
            let bytes = hex::decode(&good[2..]).unwrap();
            let low = k256::ecdsa::Signature::from_slice(&bytes[..64]).unwrap();
            let (r, s) = low.split_scalars();
            let high = k256::ecdsa::Signature::from_scalars(r.to_bytes(), (-s).to_bytes()).unwrap();
            format!("0x{}{:02x}", hex::encode(high.to_bytes()), 55 - bytes[64])
        };
        let mut last = good.clone();
        last.replace_range(130.., "25");
        for signature in [
            Signs::evm(10).sign(&text),
            twin,
            last,
            good[..130].into(),
            format!("{good}00"),
            "0x00".into(),
            format!("0x{}", "ab".repeat(ethereum::MAX_SIGNATURE_BYTES)),
        ] {
            let outcome = verify(&expected(), &text, &signature).unwrap();
            let Verified::NeedsContract(needs) = outcome else { panic!("{outcome:?}") };
            assert_eq!(needs.signed_in.account, key.account());
            assert_eq!((Wallet::Evm(needs.wallet), needs.chain), (key.account().wallet, 1));
            assert_eq!(needs.digest, ethereum::digest(&text));
            assert_eq!(hex::encode(&needs.signature), signature.trim_start_matches("0x"));
        }
    }

    #[test]
    fn what_is_no_signature_is_nobodys() {
        let bare = {
            let key = Signs::evm(9);
            key.sign(&key.fresh()).replace("0x", "")
        };
        let long = format!("0x{}", "ab".repeat(ethereum::MAX_SIGNATURE_BYTES + 1));
        let evm = ["", "0x", "0x0", "0xzz", &bare, &long];
        let solana = ["", "0x", &"1".repeat(63), &"1".repeat(64), &"z".repeat(88), &"1".repeat(89)];
        for (key, signatures) in both().iter().zip([evm, solana]) {
            let text = key.fresh();
            for signature in signatures {
                let outcome = verify(&expected(), &text, signature);
                assert_eq!(outcome, Err(SignInError::Signature), "{signature}");
            }
        }
    }

    #[test]
    fn hex_is_no_signature_of_solana() {
        let key = Signs::solana(9);
        let text = key.fresh();
        let hex = hex::encode(bs58::decode(key.sign(&text)).into_vec().unwrap());
        for signature in [format!("0x{hex}"), hex] {
            assert_eq!(verify(&expected(), &text, &signature), Err(SignInError::Signature));
        }
    }

    /// The order in `verify`: what costs a call to a chain comes last.
    #[test]
    fn nothing_but_a_good_message_gets_as_far_as_a_contract() {
        let key = Signs::evm(9);
        let text = key.fresh();
        let junk = format!("0x{}", "ab".repeat(100));
        assert!(matches!(verify(&expected(), &text, &junk), Ok(Verified::NeedsContract(_))));
        for (from, to) in [
            ("Version: 1", "Version: 2"),
            ("film.example wants", "evil.example wants"),
            ("Issued At: 2027", "Issued At: 2026"),
            ("Chain ID: 1", "Chain ID: 5"),
            ("Nonce: 05", "Nonce: 06"),
        ] {
            assert!(text.contains(from), "{from}");
            let outcome = verify(&expected(), &text.replace(from, to), &junk);
            assert!(outcome.is_err(), "{to}: {outcome:?}");
        }
    }

    #[test]
    fn a_long_message_is_not_read() {
        let text = "x".repeat(MAX_MESSAGE_BYTES + 1);
        assert!(matches!(verify(&expected(), &text, ""), Err(SignInError::Malformed(_))));
    }
}
