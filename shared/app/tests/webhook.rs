//! Webhooks: who is not the provider changes nothing, and who is can do no more than have things
//! looked at again.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use adapter_memory::Memory;
use adapter_memory::arrange::{CHAIN, CONTRACT, VIEWER, balance_of};
use adapter_memory::watch::{AGAIN, watched};
use app::ports::FactStore;
use app::problem::{Error, Problem};
use app::receive_webhook::{Delivery, receive_webhook};
use app::review_grants::ReviewMessage;
use app::touched::Notices;
use domain::Seconds;
use domain::account::{Address, ChainId, Genesis, Pubkey, Wallet};
use domain::fact::{Answer, Fact, Question, SolanaRead};
use domain::webhook::{Hooks, MAX_BODY};
use serde_json::{Value, json};

const SOLANA: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
const AUTHORIZATION: &str = "Bearer 0123456789abcdef";
const BUYER: Address = Address([0xd4; 20]);

/// Helius' way, on whatever chain: that others sign is tested in the domain.
fn hooks(chain: &str) -> Hooks {
    let helius = json!({"helius": [{"chain": chain, "authorization": AUTHORIZATION}]});
    Hooks::read(&helius.to_string()).unwrap()
}

async fn post(memory: &Memory, chain: &str, shown: Option<&str>, body: &[u8]) -> Result<(), Error> {
    let notices = Notices { facts: memory, reviews: memory, again_after: AGAIN };
    let header = |name: &'static str| shown.filter(|_| name == "authorization");
    let delivery = Delivery { provider: "helius", header: &header, body };
    let book = &memory.watch.memory.book;
    receive_webhook(memory, (memory, book), memory, &notices, &hooks(chain), &delivery).await
}

async fn deliver(memory: &Memory, value: &Value) -> Result<(), Error> {
    post(memory, "eip155:1", Some(AUTHORIZATION), value.to_string().as_bytes()).await
}

fn activity() -> Value {
    json!({"id": "whevt_1", "event": {"network": "ETH_MAINNET", "activity": [{
        "fromAddress": VIEWER, "toAddress": BUYER, "contractAddress": CONTRACT,
        "erc721TokenId": "0x7", "blockNum": "0xa"}]}})
}

fn wallet(wallet: Address) -> ReviewMessage {
    ReviewMessage::Wallet { wallet: Wallet::Evm(wallet), chain: CHAIN, at: Some(10) }
}

fn now_and_again(messages: &[ReviewMessage]) -> Vec<(ReviewMessage, Seconds)> {
    let each = |after: Seconds| messages.iter().map(move |message| (message.clone(), after));
    each(0).chain(each(AGAIN)).collect()
}

async fn remember(memory: &Memory, question: &Question) {
    let fact = Fact { answer: Answer::Bytes(vec![1]), place: None, read_at: 1 };
    FactStore::put(memory, &[(question.key(), fact)], u64::MAX).await.unwrap();
}

async fn remembers(memory: &Memory, question: &Question) -> bool {
    FactStore::get(memory, &[question.key()]).await.unwrap()[0].is_some()
}

fn slug(outcome: Result<(), Error>) -> &'static str {
    match outcome {
        Err(Error::Problem(problem)) => problem.slug(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_is_not_the_provider_changes_nothing() {
    let memory = watched();
    let question = Question::Evm(1, balance_of(CONTRACT, VIEWER));
    remember(&memory, &question).await;
    let body = activity().to_string();
    for shown in [None, Some(""), Some("Bearer 0123456789abcdeF"), Some("0123456789abcdef")] {
        let outcome = post(&memory, "eip155:1", shown, body.as_bytes()).await;
        assert_eq!(slug(outcome), "signature-invalid", "{shown:?}");
    }
    let long = vec![b' '; MAX_BODY + 1];
    for shown in [None, Some(AUTHORIZATION)] {
        assert_eq!(slug(post(&memory, "eip155:1", shown, &long).await), "body-too-large");
    }
    let notices = Notices { facts: &memory, reviews: &memory, again_after: AGAIN };
    for provider in ["alchemy", "Helius", "", "helius/x"] {
        let header = |_: &'static str| Some(AUTHORIZATION);
        let delivery = Delivery { provider, header: &header, body: body.as_bytes() };
        let book = &memory.watch.memory.book;
        let hooks = hooks("eip155:1");
        let outcome =
            receive_webhook(&memory, (&memory, book), &memory, &notices, &hooks, &delivery).await;
        assert!(matches!(outcome, Err(Error::Problem(Problem::NotFound))), "{provider}");
    }
    assert_eq!(memory.take_reviews(), []);
    assert!(remembers(&memory, &question).await);
    assert!(memory.watch.deliveries.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_delivery_has_wallets_decided_again_once() {
    let memory = watched();
    let question = Question::Evm(1, balance_of(CONTRACT, VIEWER));
    remember(&memory, &question).await;
    deliver(&memory, &activity()).await.unwrap();
    let both = now_and_again(&[wallet(VIEWER), wallet(BUYER)]);
    assert_eq!(memory.take_reviews(), both);
    assert!(!remembers(&memory, &question).await);
    // Replayed, or sent again.
    deliver(&memory, &activity()).await.unwrap();
    assert_eq!(memory.take_reviews(), []);
    // Nothing of the chain was asked, and no grant made.
    assert!(memory.evm_reads.lock().unwrap().is_empty() && memory.grant_count() == 0);
}

/// Guard: a delivery counts as done when everybody was told, and not before.
#[tokio::test]
async fn a_delivery_that_could_not_be_worked_on_works_when_it_comes_again() {
    for method in
        ["policies.all", "delivery.is_done", "facts.evict", "reviews.send", "delivery.done"]
    {
        let memory = watched();
        memory.fail(method, 1);
        assert!(matches!(deliver(&memory, &activity()).await, Err(Error::Port(_))), "{method}");
        memory.take_reviews();
        deliver(&memory, &activity()).await.unwrap();
        assert_eq!(memory.take_reviews().len(), 4, "{method}");
        deliver(&memory, &activity()).await.unwrap();
        assert_eq!(memory.take_reviews(), [], "{method}");
    }
}

#[tokio::test]
async fn what_is_not_understood_has_the_whole_chain_decided_again() {
    let whole = now_and_again(&[ReviewMessage::Chain { chain: CHAIN, lost: false }]);
    for value in [json!({"message": "PING"}), json!({"data": [{"wallet": VIEWER}]})] {
        let memory = watched();
        deliver(&memory, &value).await.unwrap();
        assert_eq!(memory.take_reviews(), whole, "{value}");
    }
    let memory = watched();
    post(&memory, "eip155:1", Some(AUTHORIZATION), b"{").await.unwrap();
    assert_eq!(memory.take_reviews(), whole);
    // So has one that names too many.
    let many: Vec<_> = (1..=101_u8)
        .map(|byte| json!({"toAddress": Address([byte; 20]), "contractAddress": CONTRACT}))
        .collect();
    deliver(&memory, &json!({"activity": many})).await.unwrap();
    assert_eq!(memory.take_reviews(), whole);
}

#[tokio::test]
async fn what_no_policy_names_is_nobodys_business() {
    let memory = watched();
    let mut other = activity();
    other["event"]["activity"][0]["contractAddress"] = json!(Address([0x77; 20]));
    deliver(&memory, &other).await.unwrap();
    let body = activity().to_string();
    post(&memory, "eip155:5", Some(AUTHORIZATION), body.as_bytes()).await.unwrap();
    assert_eq!(memory.take_reviews(), []);
}

#[tokio::test]
async fn accounts_on_solana_are_forgotten_and_their_owners_decided_again() {
    let memory = watched();
    let leaf = json!({"kind": "spl", "chain": SOLANA, "mint": Pubkey([9; 32]), "min": "1"});
    let policy = domain::policy::Policy::read(&json!({"version": 1, "rule": leaf})).unwrap();
    memory.new_policy(Some(policy));
    let genesis = Genesis::new(&SOLANA[7..]).unwrap();
    let question = Question::Solana(genesis, SolanaRead::Account(Pubkey([2; 32])));
    remember(&memory, &question).await;
    let body = json!([{"tokenTransfers": [{"fromUserAccount": Pubkey([3; 32]),
        "fromTokenAccount": Pubkey([2; 32])}]}]);
    post(&memory, SOLANA, Some(AUTHORIZATION), body.to_string().as_bytes()).await.unwrap();
    let owner = Wallet::Solana(Pubkey([3; 32]));
    let chain = ChainId::Solana(genesis);
    let expected = [ReviewMessage::Wallet { wallet: owner, chain, at: None }];
    assert_eq!(memory.take_reviews(), now_and_again(&expected));
    assert!(!remembers(&memory, &question).await);
}
