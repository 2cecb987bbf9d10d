//! Sign-in: a nonce, a signed message, a session.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use adapter_memory::Memory;
use adapter_memory::arrange::NOW;
use app::open_session::{OpenedSession, SignedMessage, open_session};
use app::ports::{ChainSettings, PortError};
use app::problem::{Error, Problem};
use app::request_nonce::{Site, request_nonce};
use domain::account::{Account, Address, ChainId, Pubkey, Wallet};
use domain::session::{self, Holder, MAX_WALLETS, Session, SessionKeys};
use domain::{Seconds, sign_in};
use ed25519_dalek::Signer;
use futures_util::future::join_all;
use k256::ecdsa::SigningKey;
use sha3::{Digest, Keccak256};
use std::sync::atomic::Ordering;

const LIFETIME: Seconds = 3600;
const CHAIN: ChainId = ChainId::Eip155(1);

fn site() -> Site {
    Site {
        origin: "https://film.example".into(),
        domain: "film.example".into(),
        keys: SessionKeys::single([7; 32]),
        nonce_lifetime: 300,
    }
}

/// A wallet with a key of its own, and how it signs.
enum Key {
    Evm(SigningKey),
    Solana(ed25519_dalek::SigningKey),
}

impl Key {
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
                let address = Address(hash[12..].try_into().unwrap());
                Account { chain: CHAIN, wallet: Wallet::Evm(address) }
            }
            Self::Solana(key) => {
                let chain = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".parse().unwrap();
                let wallet = Wallet::Solana(Pubkey(key.verifying_key().to_bytes()));
                Account { chain, wallet }
            }
        }
    }

    fn holder(&self) -> Holder {
        Holder::with_key(self.account())
    }

    fn sign(&self, text: &str) -> String {
        match self {
            Self::Evm(key) => {
                let digest = sign_in::ethereum::digest(text);
                let (signature, id) = key.sign_prehash_recoverable(&digest).unwrap();
                format!("0x{}{:02x}", hex::encode(signature.to_bytes()), 27 + id.to_byte())
            }
            Self::Solana(key) => bs58::encode(key.sign(text.as_bytes()).to_bytes()).into_string(),
        }
    }

    /// A message and its signature, fresh from the wallet.
    fn signed(&self, memory: &Memory) -> SignedMessage {
        let message = request_nonce(memory, &site(), &self.account()).message;
        SignedMessage { signature: self.sign(&message), message, link: false }
    }
}

fn configured() -> Vec<ChainSettings> {
    vec![ChainSettings { chain: CHAIN, rpc: vec![], quorum: 1, confirmations: 0 }]
}

/// What becomes of a message that needs no chain.
async fn open(memory: &Memory, signed: &SignedMessage) -> Result<OpenedSession, Error> {
    let never = async || -> Result<(&[ChainSettings], &Memory), PortError> {
        unreachable!("this needs no chain")
    };
    open_session(memory, memory, never, &site(), LIFETIME, None, signed).await
}

/// What becomes of a message where contracts can be asked.
async fn open_on_chain(memory: &Memory, signed: &SignedMessage) -> Result<OpenedSession, Error> {
    let chains = configured();
    let contracts = async || Ok((&*chains, memory));
    open_session(memory, memory, contracts, &site(), LIFETIME, None, signed).await
}

async fn link(
    memory: &Memory,
    shown: Option<&Session>,
    mut signed: SignedMessage,
) -> Result<OpenedSession, Error> {
    signed.link = true;
    let chains = configured();
    let contracts = async || Ok((&*chains, memory));
    open_session(memory, memory, contracts, &site(), LIFETIME, shown, &signed).await
}

fn session(opened: &OpenedSession) -> Session {
    session::verify(&site().keys, &opened.token, NOW).unwrap()
}

fn slug(outcome: &Result<OpenedSession, Error>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(Error::Problem(problem)) => problem.slug(),
        Err(Error::Port(_)) => "port",
    }
}

fn used_nonces(memory: &Memory) -> usize {
    memory.nonces.lock().unwrap().len()
}

#[tokio::test]
async fn a_wallet_gets_a_session_of_its_own() {
    for key in [Key::evm(9), Key::solana(9)] {
        let memory = Memory::fresh();
        let signed = key.signed(&memory);
        assert_eq!(used_nonces(&memory), 0, "a nonce costs no write until it is used");
        let opened = open(&memory, &signed).await.unwrap();
        assert_eq!(opened.account, key.account());
        assert_eq!(opened.accounts, [key.account()]);
        let used = memory.nonces.lock().unwrap().iter().next().cloned().unwrap();
        let expected = Session::new(used, key.holder(), NOW + LIFETIME);
        let at = |now| session::verify(&site().keys, &opened.token, now);
        assert_eq!(at(NOW + LIFETIME - 1), Ok(expected));
        assert!(at(NOW + LIFETIME).is_err());
    }
}

/// Guard: `open_session` asks `NonceStore::use_up`, a conditional write that one caller wins.
#[tokio::test]
async fn of_a_thousand_parallel_replays_one_opens_a_session() {
    for key in [Key::evm(9), Key::solana(9)] {
        let memory = Memory::fresh();
        let signed = key.signed(&memory);
        let outcomes = join_all((0..1000).map(|_| open(&memory, &signed))).await;
        let opened = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let used = outcomes.iter().filter(|outcome| slug(outcome) == "nonce-used").count();
        assert_eq!((opened, used), (1, 999));
    }
}

/// Guard: the order in `open_session`, first the signature, then the nonce. Otherwise anybody who
/// sees a message could use up its nonce.
#[tokio::test]
async fn a_forged_signature_uses_no_nonce_up() {
    for (key, forger) in [(Key::evm(9), Key::evm(8)), (Key::solana(9), Key::solana(8))] {
        let memory = Memory::fresh();
        let mut signed = key.signed(&memory);
        let good = std::mem::replace(&mut signed.signature, forger.sign(&signed.message));
        assert_eq!(slug(&open_on_chain(&memory, &signed).await), "signature-invalid");
        signed.signature = good;
        assert_eq!(slug(&open(&memory, &signed).await), "ok");
    }
}

/// Guard: the `?` behind `use_up`: a store that does not answer opens nothing.
#[tokio::test]
async fn without_the_store_there_is_no_session_and_the_nonce_stays_good() {
    let memory = Memory::fresh();
    let signed = Key::evm(9).signed(&memory);
    memory.fail("nonce.use_up", 1);
    assert_eq!(slug(&open(&memory, &signed).await), "port");
    assert_eq!(slug(&open(&memory, &signed).await), "ok");
}

#[tokio::test]
async fn every_kind_of_bad_message_has_its_own_problem() {
    let both = [
        ("film.example wants", "evil.example wants", "domain-mismatch"),
        ("URI: https://film.example", "URI: https://evil.example", "domain-mismatch"),
        ("Version: 1", "Version: 2", "message-malformed"),
        ("Nonce: a", "Nonce: b", "nonce-invalid"),
        ("Issued At: 2027", "Issued At: 2028", "message-not-yet-valid"),
        ("Issued At: 2027", "Issued At: 2026", "message-expired"),
        ("Expiration Time: 2027", "Expiration Time: 2026", "message-expired"),
        ("Issued At", "Issued  At", "message-malformed"),
    ];
    // The nonce's MAC binds the chain; a message for another is not the one asked for.
    let evm = ("Chain ID: 1", "Chain ID: 137", "nonce-invalid");
    let solana = ("Chain ID: solana:5", "Chain ID: solana:6", "nonce-invalid");
    for (key, own) in [(Key::evm(9), evm), (Key::solana(9), solana)] {
        for (from, to, problem) in both.into_iter().chain([own]) {
            let memory = Memory::fresh();
            let message = key.signed(&memory).message;
            assert!(message.contains(from), "{from} is not in {message}");
            // Signed after the change, so that only the rule in question can refuse it.
            let message = message.replace(from, to);
            let signed = SignedMessage { signature: key.sign(&message), message, link: false };
            assert_eq!(slug(&open(&memory, &signed).await), problem, "{to}");
            assert_eq!(used_nonces(&memory), 0, "{to} used the nonce up");
        }
    }
}

#[tokio::test]
async fn a_message_is_good_for_the_life_of_its_nonce() {
    let memory = Memory::fresh();
    let signed = Key::solana(9).signed(&memory);
    memory.now.store(NOW + 300, Ordering::SeqCst);
    let outcome = open(&memory, &signed).await;
    let Err(Error::Problem(Problem::MessageExpired(_))) = outcome else { panic!("{outcome:?}") };
    memory.now.store(NOW + 299, Ordering::SeqCst);
    assert_eq!(slug(&open(&memory, &signed).await), "ok");
}

/// A message for a contract wallet, with a signature of no key that its contract takes.
fn of_contract(memory: &Memory) -> (Account, SignedMessage) {
    let wallet = Address([0xcc; 20]);
    let account = Account { chain: CHAIN, wallet: Wallet::Evm(wallet) };
    let message = request_nonce(memory, &site(), &account).message;
    let digest = sign_in::ethereum::digest(&message);
    memory.signed.lock().unwrap().insert((1, wallet, digest, vec![0x12, 0x34]));
    (account, SignedMessage { message, signature: "0x1234".into(), link: false })
}

#[tokio::test]
async fn a_contract_wallet_signs_in_where_its_contract_says_so() {
    let memory = Memory::fresh();
    let (account, signed) = of_contract(&memory);
    let opened = open_on_chain(&memory, &signed).await.unwrap();
    assert_eq!(session(&opened).wallets, [Holder { account, contract: true }]);
    // The chain would say so again; the nonce is used up.
    assert_eq!(slug(&open_on_chain(&memory, &signed).await), "nonce-used");
}

/// Guard: the match in `ask_contract`. The last one is as long as a key's signature.
#[tokio::test]
async fn what_the_contract_denies_signs_nobody_in() {
    let memory = Memory::fresh();
    let (_, mut signed) = of_contract(&memory);
    for signature in ["0x1235".to_owned(), "0x123400".into(), Key::evm(8).sign(&signed.message)] {
        signed.signature = signature;
        assert_eq!(slug(&open_on_chain(&memory, &signed).await), "signature-invalid");
    }
    signed.signature = "0x1234".into();
    signed.message = signed.message.replace("moves nothing", "moves little");
    assert_eq!(slug(&open_on_chain(&memory, &signed).await), "signature-invalid");
    assert_eq!(used_nonces(&memory), 0);
}

/// Guard: `None` is not `Some(false)`, and the chain is asked before the nonce is used up.
#[tokio::test]
async fn without_the_chain_a_contract_wallet_waits_and_its_message_stays_good() {
    let memory = Memory::fresh();
    let (_, signed) = of_contract(&memory);
    memory.fail("evm.signed", 1);
    assert_eq!(slug(&open_on_chain(&memory, &signed).await), "unavailable");
    let outage = async || -> Result<(&[ChainSettings], &Memory), PortError> {
        Err(PortError::new("secrets", "no answer"))
    };
    let outcome = open_session(&memory, &memory, outage, &site(), LIFETIME, None, &signed).await;
    assert_eq!(slug(&outcome), "port");
    assert_eq!(slug(&open_on_chain(&memory, &signed).await), "ok");
}

#[tokio::test]
async fn contracts_are_asked_on_configured_chains_only() {
    let memory = Memory::fresh();
    let (_, signed) = of_contract(&memory);
    let mut chains = configured();
    chains[0].chain = ChainId::Eip155(137);
    let contracts = async || Ok((&*chains, &memory));
    let outcome = open_session(&memory, &memory, contracts, &site(), LIFETIME, None, &signed).await;
    let Err(Error::Problem(Problem::SignatureInvalid(detail))) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(detail.contains("eip155:1:"), "{detail}");
    assert_eq!(used_nonces(&memory), 0);
}

/// Guard: the checks in `sign_in::verify` come before `contracts` is called.
#[tokio::test]
async fn junk_reaches_no_chain() {
    for (from, to, problem) in [
        ("film.example wants", "evil.example wants", "domain-mismatch"),
        ("Expiration Time: 2027", "Expiration Time: 2026", "message-expired"),
        ("Nonce: a", "Nonce: b", "nonce-invalid"),
        ("Chain ID: 1", "Chain ID: 137", "nonce-invalid"),
    ] {
        let memory = Memory::fresh();
        let (_, mut signed) = of_contract(&memory);
        assert!(signed.message.contains(from), "{from}");
        signed.message = signed.message.replace(from, to);
        assert_eq!(slug(&open(&memory, &signed).await), problem, "{to}");
    }
    let memory = Memory::fresh();
    let (_, mut signed) = of_contract(&memory);
    for signature in ["", "0x", "1234", "0x123", "hello"] {
        signed.signature = signature.into();
        assert_eq!(slug(&open(&memory, &signed).await), "signature-invalid", "{signature}");
    }
}

#[tokio::test]
async fn a_session_takes_more_wallets() {
    let memory = Memory::fresh();
    let first = session(&open(&memory, &Key::evm(9).signed(&memory)).await.unwrap());
    memory.now.store(NOW + 60, Ordering::SeqCst);
    let opened = link(&memory, Some(&first), Key::solana(9).signed(&memory)).await.unwrap();
    assert_eq!(opened.account, Key::evm(9).account());
    assert_eq!(opened.accounts, [Key::evm(9).account(), Key::solana(9).account()]);
    // It lasts no longer than it did.
    let expected = vec![Key::evm(9).holder(), Key::solana(9).holder()];
    assert_eq!(session(&opened), Session { wallets: expected, ..first });
    // The first wallet again changes nothing, but its nonce is used up.
    let used = used_nonces(&memory);
    let again = link(&memory, Some(&session(&opened)), Key::evm(9).signed(&memory)).await.unwrap();
    assert_eq!(session(&again), session(&opened));
    assert_eq!(used_nonces(&memory), used + 1);
}

#[tokio::test]
async fn a_linked_contract_wallet_stays_one() {
    let memory = Memory::fresh();
    let first = session(&open(&memory, &Key::evm(9).signed(&memory)).await.unwrap());
    let (account, signed) = of_contract(&memory);
    let opened = link(&memory, Some(&first), signed).await.unwrap();
    assert_eq!(session(&opened).wallets[1], Holder { account, contract: true });
}

/// Guard: `link` is looked at, not whether a session is shown.
#[tokio::test]
async fn without_link_a_shown_session_is_nothing() {
    let memory = Memory::fresh();
    let shown = Session::new("n", Key::evm(9).holder(), NOW + 10);
    let signed = Key::solana(9).signed(&memory);
    let never = async || -> Result<(&[ChainSettings], &Memory), PortError> {
        unreachable!("this needs no chain")
    };
    let outcome =
        open_session(&memory, &memory, never, &site(), LIFETIME, Some(&shown), &signed).await;
    let opened = session(&outcome.unwrap());
    assert_eq!(opened, Session::new(&*opened.id, Key::solana(9).holder(), NOW + LIFETIME));
    assert_ne!(opened.id, shown.id);
}

#[tokio::test]
async fn a_link_needs_a_session_and_room_in_it() {
    let memory = Memory::fresh();
    let outcome = link(&memory, None, Key::evm(9).signed(&memory)).await;
    assert_eq!(slug(&outcome), "session-required");
    let wallets = (1..=5).map(|seed| Key::solana(seed).holder()).collect::<Vec<_>>();
    assert_eq!(wallets.len(), MAX_WALLETS);
    let full = Session { id: "n".into(), wallets, expires_at: NOW + LIFETIME };
    let outcome = link(&memory, Some(&full), Key::evm(9).signed(&memory)).await;
    let Err(Error::Problem(Problem::BodyInvalid { field, reason })) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((&*field, reason.contains('5')), ("link", true));
    assert_eq!(used_nonces(&memory), 0);
    // One that is there already needs no room.
    assert_eq!(slug(&link(&memory, Some(&full), Key::solana(5).signed(&memory)).await), "ok");
}

#[tokio::test]
async fn a_bad_link_leaves_the_session_as_it_is() {
    let memory = Memory::fresh();
    let shown = Session::new("n", Key::evm(9).holder(), NOW + LIFETIME);
    let mut signed = Key::solana(9).signed(&memory);
    signed.signature = Key::solana(8).sign(&signed.message);
    assert_eq!(slug(&link(&memory, Some(&shown), signed).await), "signature-invalid");
    assert_eq!(used_nonces(&memory), 0);
}
