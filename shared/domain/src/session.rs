//! A session: wallets that signed in, as a short-lived signed token (JWT, HS256, RFC 7519).

use crate::Seconds;
use crate::account::{Account, ChainId, Wallet};
use crate::keyring::{self, Keyring};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// A session has at least one wallet and at most this many.
pub const MAX_WALLETS: usize = 5;
/// Longer tokens are not looked at. Five Solana wallets make about 1,000 bytes.
pub const MAX_TOKEN_BYTES: usize = 2 * 1024;
/// No session lasts longer: the most that template.yaml takes as SessionMinutes.
pub const LONGEST: Seconds = 86_400;
const AUDIENCE: &str = "streamgate";

/// Why a token opens no session, or a session can't be as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Not signed by this stack, or not a session token.
    #[error("the session token is not valid")]
    Invalid,
    /// Signed by a key that is not known here: one that is newer than what is remembered, one that
    /// is gone, or nobody's.
    #[error("the session token is not valid")]
    UnknownKey,
    /// Over.
    #[error("the session has expired; sign in again")]
    Expired,
    /// Somebody signed out.
    #[error("the session was ended; sign in again")]
    Ended,
}

/// A session can't have more than [`MAX_WALLETS`] wallets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session has at most {MAX_WALLETS} wallets")]
pub struct TooManyWallets;

/// The live keys of sessions and nonces.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKeys {
    /// The first is minted with.
    names: Vec<String>,
    keys: Vec<[u8; 32]>,
}

impl std::fmt::Debug for SessionKeys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SessionKeys({:?})", self.names)
    }
}

impl SessionKeys {
    /// One key alone, with the name of those from before keys had names.
    pub fn single(key: [u8; 32]) -> Self {
        Self { names: vec![keyring::FIRST.into()], keys: vec![key] }
    }

    /// Those of a keyring; none when there is none to mint with.
    pub fn of(ring: &Keyring, now: Seconds) -> Option<Self> {
        let minting = ring.minting(now)?;
        let others = ring.live(now).filter(|key| key.id != minting.id);
        let (mut names, mut keys) = (Vec::new(), Vec::new());
        for key in std::iter::once(minting).chain(others) {
            names.push(key.id.clone());
            keys.push(*key.material.symmetric()?);
        }
        Some(Self { names, keys })
    }

    /// The one that is minted with.
    pub fn minting(&self) -> &[u8; 32] {
        &self.keys[0]
    }

    /// All that something alive may have been made with.
    pub fn all(&self) -> &[[u8; 32]] {
        &self.keys
    }

    fn named(&self, name: &str) -> Option<&[u8; 32]> {
        let mut pairs = self.names.iter().zip(&self.keys);
        pairs.find(|(known, _)| *known == name).map(|(_, key)| key)
    }
}

/// A wallet that signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// Which wallet, and where it signed in.
    pub account: Account,
    /// Whether a contract spoke for it (EIP-1271, EIP-6492). Then the same address on another
    /// chain may be somebody else's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub contract: bool,
}

impl Holder {
    /// A wallet that signed with a key of its own.
    pub fn with_key(account: Account) -> Self {
        Self { account, contract: false }
    }

    /// Whether what this address has on `chain` is this holder's: a key's owner is the same on
    /// every chain of the family, a contract is known on its own chain only.
    pub fn counts_on(&self, chain: ChainId) -> bool {
        let same_family = matches!(
            (self.account.chain, chain),
            (ChainId::Eip155(_), ChainId::Eip155(_)) | (ChainId::Solana(_), ChainId::Solana(_))
        );
        same_family && (!self.contract || self.account.chain == chain)
    }

    /// Whether both are the same person by the same proof.
    fn is(&self, other: &Self) -> bool {
        self.account.wallet == other.account.wallet
            && self.contract == other.contract
            && (!self.contract || self.account.chain == other.account.chain)
    }
}

/// As [`Session::owns`], for those who signed in earlier.
pub fn owns(wallets: &[Holder], owner: Wallet) -> bool {
    wallets.iter().any(|holder| !holder.contract && holder.account.wallet == owner)
}

/// Who signed in, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its name, which stays when wallets are linked: the nonce that it was opened with.
    pub id: String,
    /// The wallets, in the order in which they signed in: 1 to [`MAX_WALLETS`], each once.
    pub wallets: Vec<Holder>,
    /// When it ends.
    pub expires_at: Seconds,
}

impl Session {
    /// Of one wallet.
    pub fn new(id: impl Into<String>, holder: Holder, expires_at: Seconds) -> Self {
        Self { id: id.into(), wallets: vec![holder], expires_at }
    }

    /// The account that signed in first: the session's name.
    pub fn account(&self) -> Account {
        // Only code of ours could make one of no wallets; then there is no answer to go on with.
        self.wallets[0].account
    }

    /// Every wallet's account.
    pub fn accounts(&self) -> Vec<Account> {
        self.wallets.iter().map(|holder| holder.account).collect()
    }

    /// Whether `owner` is one of the wallets, by its own key. A contract wallet owns nothing here:
    /// on which chain is not written down with an owner.
    pub fn owns(&self, owner: Wallet) -> bool {
        owns(&self.wallets, owner)
    }

    /// The same session with one more wallet. It does not last longer than it did, so that linking
    /// can't keep one alive; a wallet that is there already stays as it is.
    ///
    /// # Errors
    /// [`TooManyWallets`].
    pub fn linked(&self, holder: Holder, expires_at: Seconds) -> Result<Self, TooManyWallets> {
        let mut wallets = self.wallets.clone();
        if !wallets.iter().any(|known| known.is(&holder)) {
            if wallets.len() >= MAX_WALLETS {
                return Err(TooManyWallets);
            }
            wallets.push(holder);
        }
        let expires_at = self.expires_at.min(expires_at);
        Ok(Self { id: self.id.clone(), wallets, expires_at })
    }

    fn is_sound(&self) -> bool {
        (1..=MAX_WALLETS).contains(&self.wallets.len())
            && self.wallets.iter().enumerate().all(|(place, holder)| {
                let known_family = matches!(holder.account.chain, ChainId::Eip155(_));
                (!holder.contract || known_family)
                    && !self.wallets[..place].iter().any(|earlier| earlier.is(holder))
            })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    jti: String,
    sub: Account,
    wallets: Vec<Holder>,
    aud: String,
    iat: Seconds,
    exp: Seconds,
}

/// Signs a session from `now` on.
///
/// # Errors
/// [`SessionError::Invalid`] when it has no wallets, too many, or one twice.
pub fn mint(keys: &SessionKeys, session: &Session, now: Seconds) -> Result<String, SessionError> {
    if !session.is_sound() {
        return Err(SessionError::Invalid);
    }
    let claims = Claims {
        jti: session.id.clone(),
        sub: session.account(),
        wallets: session.wallets.clone(),
        aud: AUDIENCE.into(),
        iat: now,
        exp: session.expires_at,
    };
    let header = Header { kid: keys.names.first().cloned(), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(keys.minting()))
        .map_err(|_| SessionError::Invalid)
}

/// The session that a token stands for.
///
/// # Errors
/// [`SessionError`].
pub fn verify(keys: &SessionKeys, token: &str, now: Seconds) -> Result<Session, SessionError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(SessionError::Invalid);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| SessionError::Invalid)?;
    let kid = header.kid.as_deref().unwrap_or(keyring::FIRST);
    let key = keys.named(kid).ok_or(SessionError::UnknownKey)?;
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&[AUDIENCE]);
    // The caller's clock is checked below; the library would read the system's.
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["exp", "aud", "sub"]);
    let claims = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(key), &validation)
        .map_err(|_| SessionError::Invalid)?
        .claims;
    let session = Session { id: claims.jti, wallets: claims.wallets, expires_at: claims.exp };
    if !session.is_sound() || session.account() != claims.sub {
        return Err(SessionError::Invalid);
    }
    if now >= session.expires_at {
        return Err(SessionError::Expired);
    }
    Ok(session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::{Key, Material};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    const KEY: [u8; 32] = [1; 32];
    const ETHEREUM: ChainId = ChainId::Eip155(1);
    const POLYGON: ChainId = ChainId::Eip155(137);
    const EVM: &str = "eip155:1:0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
    const SOLANA: &str =
        "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv";

    fn keys() -> SessionKeys {
        SessionKeys::single(KEY)
    }

    fn ring(keys: &[(&str, u8, Seconds)]) -> Keyring {
        let key = |&(id, byte, usable_at): &(&str, u8, Seconds)| Key {
            usable_at: Some(usable_at),
            ..Key::new(id.into(), Material::Symmetric([byte; 32]), 0)
        };
        Keyring { keys: keys.iter().map(key).collect() }
    }

    fn account(text: &str) -> Account {
        text.parse().unwrap()
    }

    fn numbered(number: u8) -> Holder {
        Holder::with_key(account(&format!("eip155:1:0x{}", hex::encode([number; 20]))))
    }

    fn contract(chain: ChainId) -> Holder {
        Holder { account: Account { chain, ..account(EVM) }, contract: true }
    }

    fn session(wallets: Vec<Holder>) -> Session {
        Session { id: "n".into(), wallets, expires_at: 200 }
    }

    fn by_key(text: &str) -> Holder {
        Holder::with_key(account(text))
    }

    #[test]
    fn a_session_lasts_until_it_ends() {
        let session = session(vec![by_key(EVM), by_key(SOLANA), contract(POLYGON)]);
        let token = mint(&keys(), &session, 100).unwrap();
        assert_eq!(verify(&keys(), &token, 199), Ok(session));
        assert_eq!(verify(&keys(), &token, 200), Err(SessionError::Expired));
        let other = SessionKeys::single([2; 32]);
        assert_eq!(verify(&other, &token, 150), Err(SessionError::Invalid));
    }

    #[test]
    fn a_session_outlives_a_rotation() {
        let session = session(vec![by_key(EVM)]);
        let before = SessionKeys::of(&ring(&[("first", 1, 0)]), 100).unwrap();
        let during = SessionKeys::of(&ring(&[("first", 1, 0), ("two", 2, 120)]), 130).unwrap();
        let after = SessionKeys::of(&ring(&[("two", 2, 120)]), 140).unwrap();
        let old = mint(&before, &session, 100).unwrap();
        let new = mint(&during, &session, 130).unwrap();
        assert_eq!(verify(&during, &old, 150), Ok(session.clone()));
        assert_eq!(verify(&during, &new, 150), Ok(session.clone()));
        assert_eq!(verify(&after, &new, 150), Ok(session.clone()));
        assert_eq!(verify(&after, &old, 150), Err(SessionError::UnknownKey));
        assert_eq!(verify(&before, &new, 150), Err(SessionError::UnknownKey), "read again");
        // Tokens from before keys had names.
        let claims: Claims = {
            let body = URL_SAFE_NO_PAD.decode(old.split('.').nth(1).unwrap()).unwrap();
            serde_json::from_slice(&body).unwrap()
        };
        let nameless = |key: [u8; 32]| {
            let key = EncodingKey::from_secret(&key);
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
        };
        assert_eq!(verify(&during, &nameless([1; 32]), 150), Ok(session));
        assert_eq!(verify(&during, &nameless([2; 32]), 150), Err(SessionError::Invalid));
        assert_eq!(verify(&after, &nameless([2; 32]), 150), Err(SessionError::UnknownKey));
    }

    /// The name of one key over the signature of another opens nothing.
    #[test]
    fn a_key_counts_under_its_own_name_only() {
        let both = SessionKeys::of(&ring(&[("first", 1, 0), ("two", 2, 0)]), 150).unwrap();
        let swapped = SessionKeys::of(&ring(&[("first", 2, 0), ("two", 1, 0)]), 150).unwrap();
        let token = mint(&both, &session(vec![by_key(EVM)]), 100).unwrap();
        assert!(verify(&both, &token, 150).is_ok());
        assert_eq!(verify(&swapped, &token, 150), Err(SessionError::Invalid));
        assert_eq!(SessionKeys::of(&Keyring::default(), 150), None);
        assert!(!format!("{both:?}").contains("1, 1"));
    }

    #[test]
    fn five_of_the_longest_wallets_fit_in_a_token() {
        let longest = |number: u8| {
            let key = crate::account::Pubkey([255 - number; 32]);
            by_key(&format!("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:{key}"))
        };
        let session = session((0..5).map(longest).collect());
        let token = mint(&keys(), &session, 100).unwrap();
        assert!(token.len() < MAX_TOKEN_BYTES, "{}", token.len());
        assert_eq!(verify(&keys(), &token, 150), Ok(session));
    }

    #[test]
    fn other_algorithms_and_altered_claims_are_refused() {
        let token = mint(&keys(), &session(vec![by_key(EVM)]), 100).unwrap();
        let parts: Vec<_> = token.split('.').collect();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        let longer = URL_SAFE_NO_PAD.encode(claims.replace("200", "900"));
        for token in [
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{}.{longer}.{}", parts[0], parts[2]),
            format!("{}.{}", parts[0], parts[1]),
            String::new(),
            "a".repeat(MAX_TOKEN_BYTES + 1),
        ] {
            assert_eq!(verify(&keys(), &token, 150), Err(SessionError::Invalid), "{token}");
        }
    }

    /// Tokens that our own key signed, but that say what no session says.
    #[test]
    fn claims_that_make_no_session_are_refused() {
        let signed = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut claims = json!({
                "jti": "n", "sub": EVM, "wallets": [{"account": EVM}], "aud": AUDIENCE, "iat": 100,
                "exp": 200,
            });
            change(&mut claims);
            let key = EncodingKey::from_secret(&KEY);
            let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key);
            verify(&keys(), &token.unwrap(), 150)
        };
        assert_eq!(signed(&|_| ()), Ok(session(vec![by_key(EVM)])));
        let wallets =
            |wallets: serde_json::Value| signed(&|claims| claims["wallets"] = wallets.clone());
        let six: Vec<_> = (1..=6).map(numbered).collect();
        let other_chain = EVM.replace("eip155:1:", "eip155:137:");
        for (outcome, why) in [
            (wallets(json!([])), "none"),
            (wallets(json!(six)), "too many"),
            (wallets(json!([{"account": EVM}, {"account": EVM}])), "one twice"),
            (wallets(json!([{"account": EVM}, {"account": other_chain}])), "one key twice"),
            (wallets(json!([{"account": SOLANA}])), "the subject is not the first"),
            (wallets(json!([{"account": EVM}, {"account": SOLANA, "contract": true}])), "Solana"),
            (wallets(json!([{"account": EVM, "more": 1}])), "more"),
            (wallets(json!(null)), "null"),
            (signed(&|claims| claims["aud"] = json!("other")), "audience"),
            (signed(&|claims| claims["more"] = json!(1)), "more claims"),
            (signed(&|claims| drop(claims.as_object_mut().unwrap().remove("wallets"))), "missing"),
            (signed(&|claims| drop(claims.as_object_mut().unwrap().remove("exp"))), "endless"),
            (signed(&|claims| drop(claims.as_object_mut().unwrap().remove("jti"))), "nameless"),
        ] {
            assert_eq!(outcome, Err(SessionError::Invalid), "{why}");
        }
    }

    #[test]
    fn what_makes_no_session_is_not_signed() {
        let two = vec![by_key(EVM), by_key(EVM)];
        for wallets in [vec![], two, (1..=6).map(numbered).collect()] {
            assert_eq!(mint(&keys(), &session(wallets), 100), Err(SessionError::Invalid));
        }
    }

    #[test]
    fn linking_adds_a_wallet_and_no_time() {
        let first = session(vec![by_key(EVM)]);
        let both = first.linked(by_key(SOLANA), 900).unwrap();
        assert_eq!(both, session(vec![by_key(EVM), by_key(SOLANA)]));
        assert_eq!(both.account(), account(EVM));
        assert_eq!(first.linked(by_key(SOLANA), 150).unwrap().expires_at, 150);
    }

    #[test]
    fn a_wallet_is_linked_once() {
        let first = session(vec![by_key(EVM)]);
        assert_eq!(first.linked(by_key(EVM), 900), Ok(first.clone()));
        let elsewhere = EVM.replace("eip155:1:", "eip155:137:");
        assert_eq!(first.linked(by_key(&elsewhere), 900), Ok(first.clone()));
        // A contract at the same address is another proof, and on each chain another person.
        let all = first.linked(contract(ETHEREUM), 900).unwrap();
        let all = all.linked(contract(POLYGON), 900).unwrap();
        assert_eq!(all.wallets.len(), 3);
        assert_eq!(all.linked(contract(POLYGON), 900), Ok(all.clone()));
    }

    #[test]
    fn five_wallets_are_enough() {
        let five = session((1..=5).map(numbered).collect());
        assert_eq!(five.linked(numbered(6), 900), Err(TooManyWallets));
        assert_eq!(five.linked(numbered(5), 900), Ok(five.clone()));
    }

    #[test]
    fn a_key_counts_on_its_family_and_a_contract_on_its_chain() {
        let mainnet = account(SOLANA).chain;
        let devnet = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1".parse().unwrap();
        let on = |holder: Holder| {
            [ETHEREUM, POLYGON, mainnet, devnet].map(|chain| holder.counts_on(chain))
        };
        assert_eq!(on(by_key(EVM)), [true, true, false, false]);
        assert_eq!(on(contract(POLYGON)), [false, true, false, false]);
        assert_eq!(on(by_key(SOLANA)), [false, false, true, true]);
    }

    #[test]
    fn only_a_key_owns() {
        let wallet = account(EVM).wallet;
        assert!(session(vec![by_key(SOLANA), by_key(EVM)]).owns(wallet));
        assert!(!session(vec![by_key(SOLANA)]).owns(wallet));
        assert!(!session(vec![contract(ETHEREUM)]).owns(wallet));
    }
}
