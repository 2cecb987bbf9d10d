//! Sign-in: a nonce, a signed message, a session.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use adapter_memory::Memory;
use adapter_memory::arrange::{CHAIN, NOW, account};
use app::SessionKey;
use app::open_session::{Session, open_session};
use app::problem::{Error, Problem};
use app::request_nonce::{Site, request_nonce};
use domain::account::{Account, Address};
use domain::{Seconds, session};
use futures_util::future::join_all;
use k256::ecdsa::SigningKey;
use sha3::{Digest, Keccak256};
use std::sync::atomic::Ordering;

const LIFETIME: Seconds = 3600;

fn site() -> Site {
    Site {
        origin: "https://film.example".into(),
        domain: "film.example".into(),
        key: SessionKey([7; 32]),
        nonce_lifetime: 300,
    }
}

fn wallet() -> (SigningKey, Account) {
    let key = SigningKey::from_slice(&[9; 32]).unwrap();
    let point = key.verifying_key().to_encoded_point(false);
    let hash = Keccak256::digest(&point.as_bytes()[1..]);
    (key, account(Address(hash[12..].try_into().unwrap())))
}

fn sign(key: &SigningKey, text: &str) -> String {
    let prefixed = format!("\x19Ethereum Signed Message:\n{}{text}", text.len());
    let (signature, id) = key.sign_prehash_recoverable(&Keccak256::digest(prefixed)).unwrap();
    format!("0x{}{:02x}", hex::encode(signature.to_bytes()), 27 + id.to_byte())
}

/// A message and its signature, fresh from a wallet.
fn signed(memory: &Memory) -> (String, String) {
    let (key, account) = wallet();
    let message = request_nonce(memory, &site(), &account).message;
    let signature = sign(&key, &message);
    (message, signature)
}

async fn open(memory: &Memory, message: &str, signature: &str) -> Result<Session, Error> {
    open_session(memory, memory, &site(), LIFETIME, message, signature).await
}

fn slug(outcome: &Result<Session, Error>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(Error::Problem(problem)) => problem.slug(),
        Err(Error::Port(_)) => "port",
    }
}

#[tokio::test]
async fn a_wallet_gets_a_session_of_its_own() {
    let memory = Memory::fresh();
    let (message, signature) = signed(&memory);
    assert!(memory.nonces.lock().unwrap().is_empty(), "a nonce costs no write until it is used");
    let session = open(&memory, &message, &signature).await.unwrap();
    assert_eq!(session.account, wallet().1);
    let owner = session::verify(&site().key.0, &session.token, NOW + LIFETIME - 1);
    assert_eq!(owner.unwrap(), wallet().1);
    assert!(session::verify(&site().key.0, &session.token, NOW + LIFETIME).is_err());
}

/// Guard: `open_session` asks `NonceStore::use_up`, a conditional write that one caller wins.
#[tokio::test]
async fn of_a_thousand_parallel_replays_one_opens_a_session() {
    let memory = Memory::fresh();
    let (message, signature) = signed(&memory);
    let outcomes = join_all((0..1000).map(|_| open(&memory, &message, &signature))).await;
    let opened = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let used = outcomes.iter().filter(|outcome| slug(outcome) == "nonce-used").count();
    assert_eq!((opened, used), (1, 999));
}

/// Guard: the order in `open_session`, first the signature, then the nonce. Otherwise anybody who
/// sees a message could use up its nonce.
#[tokio::test]
async fn a_forged_signature_uses_no_nonce_up() {
    let memory = Memory::fresh();
    let (message, signature) = signed(&memory);
    let forged = sign(&SigningKey::from_slice(&[8; 32]).unwrap(), &message);
    assert_eq!(slug(&open(&memory, &message, &forged).await), "signature-invalid");
    assert_eq!(slug(&open(&memory, &message, &signature).await), "ok");
}

/// Guard: the `?` behind `use_up`: a store that does not answer opens nothing.
#[tokio::test]
async fn without_the_store_there_is_no_session_and_the_nonce_stays_good() {
    let memory = Memory::fresh();
    let (message, signature) = signed(&memory);
    memory.fail("nonce.use_up", 1);
    assert_eq!(slug(&open(&memory, &message, &signature).await), "port");
    assert_eq!(slug(&open(&memory, &message, &signature).await), "ok");
}

#[tokio::test]
async fn every_kind_of_bad_message_has_its_own_problem() {
    let cases = [
        ("film.example wants", "evil.example wants", "domain-mismatch"),
        ("URI: https://film.example", "URI: https://evil.example", "domain-mismatch"),
        ("Version: 1", "Version: 2", "message-malformed"),
        // The nonce's MAC binds the chain; a message for another is not the one asked for.
        ("Chain ID: 1", "Chain ID: 137", "nonce-invalid"),
        ("Nonce: a", "Nonce: b", "nonce-invalid"),
        ("Issued At: 2027", "Issued At: 2028", "message-not-yet-valid"),
        ("Issued At: 2027", "Issued At: 2026", "message-expired"),
        ("Expiration Time: 2027", "Expiration Time: 2026", "message-expired"),
        ("Issued At", "Issued  At", "message-malformed"),
    ];
    for (from, to, problem) in cases {
        let memory = Memory::fresh();
        let (key, account) = wallet();
        assert_eq!(account.chain, CHAIN);
        let message = request_nonce(&memory, &site(), &account).message;
        assert!(message.contains(from), "{from} is not in {message}");
        // Signed after the change, so that only the rule in question can refuse it.
        let message = message.replace(from, to);
        let outcome = open(&memory, &message, &sign(&key, &message)).await;
        assert_eq!(slug(&outcome), problem, "{to}");
        assert!(memory.nonces.lock().unwrap().is_empty(), "{to} used the nonce up");
    }
}

#[tokio::test]
async fn a_message_is_good_for_the_life_of_its_nonce() {
    let memory = Memory::fresh();
    let (message, signature) = signed(&memory);
    memory.now.store(NOW + 300, Ordering::SeqCst);
    let outcome = open(&memory, &message, &signature).await;
    let Err(Error::Problem(Problem::MessageExpired(_))) = outcome else { panic!("{outcome:?}") };
    memory.now.store(NOW + 299, Ordering::SeqCst);
    assert_eq!(slug(&open(&memory, &message, &signature).await), "ok");
}
