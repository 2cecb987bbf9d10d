//! Watching chains: nothing that happens on one is missed, whatever fails in the middle of it.
#![expect(clippy::unwrap_used, reason = "tests")]

use adapter_memory::Memory;
use adapter_memory::arrange::{
    CHAIN, CONTRACT, CREATOR, OTHER_CONTRACT, VIEWER, balance_of, policy,
};
use adapter_memory::watch::{AGAIN, TERMS, transfer, watched};
use app::ports::{FactStore, Resting};
use app::review_grants::ReviewMessage;
use domain::Seconds;
use domain::account::{Address, ChainId, Genesis, Pubkey, Wallet};
use domain::fact::{Answer, Fact, Question, SolanaRead};
use domain::grant::GrantId;
use std::sync::atomic::Ordering;

const BUYER: Address = Address([0xd4; 20]);

fn wallet(wallet: Address, at: u64) -> ReviewMessage {
    ReviewMessage::Wallet { wallet: Wallet::Evm(wallet), chain: CHAIN, at: Some(at) }
}

fn whole() -> ReviewMessage {
    ReviewMessage::Chain { chain: CHAIN, lost: false }
}

/// When nothing new is learned of the chain for too long.
fn lost() -> Vec<(ReviewMessage, Seconds)> {
    vec![(ReviewMessage::Chain { chain: CHAIN, lost: true }, 0)]
}

fn grant(name: &str) -> GrantId {
    let digits: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{digits:0>40}").parse().unwrap()
}

fn now_and_again(messages: &[ReviewMessage]) -> Vec<(ReviewMessage, Seconds)> {
    let each = |after: Seconds| messages.iter().map(move |message| (message.clone(), after));
    each(0).chain(each(AGAIN)).collect()
}

fn tip(memory: &Memory) -> u64 {
    let cursors = memory.watch.cursors.lock().unwrap();
    cursors.get(&CHAIN).and_then(|cursor| Some(cursor.tip()?.number)).unwrap()
}

async fn follow(memory: &Memory) {
    memory.watcher().follow(1).await.unwrap();
}

/// A scene that has been followed up to its head, with nothing told yet.
async fn followed() -> Memory {
    let memory = watched();
    follow(&memory).await;
    memory.take_reviews();
    memory.take_asked();
    memory
}

async fn remember(memory: &Memory, question: &Question) {
    let fact = Fact { answer: Answer::Bytes(vec![1]), place: None, read_at: 1 };
    FactStore::put(memory, &[(question.key(), fact)], u64::MAX).await.unwrap();
}

async fn remembers(memory: &Memory, question: &Question) -> bool {
    FactStore::get(memory, &[question.key()]).await.unwrap()[0].is_some()
}

#[tokio::test]
async fn a_chain_is_followed_from_its_head_on_and_what_was_before_is_decided_again() {
    let memory = watched();
    follow(&memory).await;
    assert_eq!(memory.take_reviews(), now_and_again(&[whole()]));
    assert_eq!((tip(&memory), memory.take_asked()), (9, vec![]));
    follow(&memory).await;
    assert_eq!(memory.take_reviews(), []);
}

/// Guard: both wallets are decided again at once, and once more when no function can remember.
#[tokio::test]
async fn a_transfer_evicts_facts_and_has_both_wallets_decided_again_twice() {
    let memory = followed().await;
    let question = Question::Evm(1, balance_of(CONTRACT, VIEWER));
    let other = Question::Evm(1, balance_of(CONTRACT, CREATOR));
    remember(&memory, &question).await;
    remember(&memory, &other).await;
    memory.mine(0, &[transfer(VIEWER, BUYER, 7)]);
    memory.mine_empty(1);
    follow(&memory).await;
    let both = [wallet(VIEWER, 11), wallet(BUYER, 11)];
    assert_eq!(memory.take_reviews(), now_and_again(&both));
    assert!(!remembers(&memory, &question).await);
    assert!(remembers(&memory, &other).await);
    follow(&memory).await;
    assert_eq!(memory.take_reviews(), []);
}

#[tokio::test]
async fn what_no_policy_names_is_nobodys_business() {
    let memory = followed().await;
    let mut log = transfer(VIEWER, BUYER, 7);
    log.contract = OTHER_CONTRACT;
    memory.mine(0, &[log]);
    follow(&memory).await;
    assert_eq!((memory.take_reviews(), tip(&memory)), (vec![], 10));
    memory.watcher().follow(5).await.unwrap();
    assert!(!memory.watch.cursors.lock().unwrap().contains_key(&ChainId::Eip155(5)));
}

/// Guard: transfers of the seconds between a new policy and the watcher's learning of it.
#[tokio::test]
async fn a_contract_that_is_followed_anew_has_all_decided_again() {
    let memory = followed().await;
    memory.new_policy(Some(policy(OTHER_CONTRACT)));
    follow(&memory).await;
    assert_eq!(memory.take_reviews(), []);
    memory.now.fetch_add(20, Ordering::SeqCst);
    follow(&memory).await;
    assert_eq!(memory.take_reviews(), now_and_again(&[whole()]));
    memory.now.fetch_add(20, Ordering::SeqCst);
    follow(&memory).await;
    assert_eq!(memory.take_reviews(), []);
}

/// Guard: the wallets of dropped blocks, not only of new ones.
#[tokio::test]
async fn a_reorganisation_is_walked_back_and_both_sides_are_decided_again() {
    let memory = followed().await;
    memory.mine_empty(1);
    follow(&memory).await;
    memory.mine(0, &[transfer(VIEWER, BUYER, 7)]);
    follow(&memory).await;
    memory.mine_empty(1);
    follow(&memory).await;
    memory.take_reviews();
    memory.take_asked();
    // The chain thinks better of it, and somebody else buys the token two blocks later.
    memory.unmine(11);
    memory.mine(1, &[]);
    memory.mine(1, &[]);
    memory.mine(1, &[transfer(VIEWER, CREATOR, 7)]);
    let question = Question::Evm(1, balance_of(CONTRACT, BUYER));
    remember(&memory, &question).await;
    follow(&memory).await;
    let dropped = now_and_again(&[wallet(VIEWER, 13), wallet(BUYER, 13)]);
    let new = now_and_again(&[wallet(VIEWER, 13), wallet(CREATOR, 13)]);
    assert_eq!(memory.take_reviews(), [dropped, new].concat());
    assert!(!remembers(&memory, &question).await);
    // From the last block that both have.
    assert_eq!(memory.take_asked(), [(11, 13)]);
    assert_eq!(tip(&memory), 13);
}

/// Guard: `Cursor::watch`. Who held the new contract's token in a block that is gone was never noted.
#[tokio::test]
async fn a_reorganisation_to_before_a_contract_was_followed_has_all_decided_again() {
    let memory = followed().await;
    memory.mine_empty(1);
    follow(&memory).await;
    let mut log = transfer(VIEWER, BUYER, 7);
    log.contract = OTHER_CONTRACT;
    memory.mine(0, &[log]);
    follow(&memory).await;
    memory.new_policy(Some(policy(OTHER_CONTRACT)));
    memory.now.fetch_add(20, Ordering::SeqCst);
    follow(&memory).await;
    memory.take_reviews();
    memory.unmine(11);
    memory.mine(1, &[]);
    memory.mine(1, &[]);
    follow(&memory).await;
    assert_eq!(memory.take_reviews(), now_and_again(&[whole()]));
}

#[tokio::test]
async fn a_reorganisation_beyond_memory_has_all_decided_again() {
    let memory = watched();
    for _ in 0..3 {
        memory.mine_empty(1);
        follow(&memory).await;
    }
    memory.take_reviews();
    memory.unmine(0);
    for _ in 0..20 {
        memory.mine(1, &[]);
    }
    follow(&memory).await;
    assert_eq!(memory.take_reviews(), now_and_again(&[whole()]));
    assert_eq!(tip(&memory), 19);
}

/// Guard: dropped blocks are forgotten when they have been told of, and not by whoever writes next.
#[tokio::test]
async fn a_reorganisation_that_could_not_be_told_is_told_by_the_next_poll() {
    let memory = followed().await;
    memory.mine(0, &[transfer(VIEWER, BUYER, 7)]);
    follow(&memory).await;
    memory.take_reviews();
    memory.unmine(10);
    memory.mine(1, &[]);
    // It lags besides, which is told and written down in the same poll.
    memory.now.fetch_add(TERMS.lag + 10, Ordering::SeqCst);
    memory.fail("reviews.send", 1);
    assert!(memory.watcher().follow(1).await.is_err());
    assert!(memory.take_reviews().contains(&lost()[0]));
    follow(&memory).await;
    let dropped = now_and_again(&[wallet(VIEWER, 10), wallet(BUYER, 10)]);
    assert_eq!((memory.take_reviews(), tip(&memory)), (dropped, 10));
}

/// Guard: blocks that are gone while no longer ones are there yet, as behind providers that lag.
#[tokio::test]
async fn a_head_that_is_behind_is_waited_for() {
    let memory = followed().await;
    memory.mine(0, &[transfer(VIEWER, BUYER, 7)]);
    follow(&memory).await;
    memory.take_reviews();
    memory.unmine(10);
    follow(&memory).await;
    assert_eq!((memory.take_reviews(), tip(&memory)), (vec![], 10));
    memory.mine(1, &[]);
    follow(&memory).await;
    let dropped = now_and_again(&[wallet(VIEWER, 10), wallet(BUYER, 10)]);
    assert_eq!((memory.take_reviews(), tip(&memory)), (dropped, 10));
}

#[tokio::test]
async fn a_gap_is_caught_up_with_in_bounded_steps() {
    let memory = followed().await;
    memory.mine_empty(1200);
    memory.mine(0, &[transfer(VIEWER, BUYER, 7)]);
    memory.now.store(memory.watch.blocks.lock().unwrap()[&1210].time, Ordering::SeqCst);
    follow(&memory).await;
    assert_eq!(memory.take_asked(), [(10, 509), (510, 1009), (1010, 1210)]);
    let both = now_and_again(&[wallet(VIEWER, 1210), wallet(BUYER, 1210)]);
    assert_eq!((memory.take_reviews(), tip(&memory)), (both, 1210));
}

#[tokio::test]
async fn a_range_that_is_refused_is_halved() {
    let memory = followed().await;
    memory.mine_empty(40);
    *memory.watch.most_blocks.lock().unwrap() = 10;
    follow(&memory).await;
    let asked = memory.take_asked();
    assert_eq!(asked[..4], [(10, 49), (10, 29), (10, 19), (20, 29)]);
    assert_eq!((tip(&memory), memory.take_reviews()), (49, vec![]));
}

/// Guard: [`MAX_STEPS`]. One poll of a chain that is far behind comes to an end.
#[tokio::test]
async fn one_poll_takes_so_many_steps() {
    let memory = followed().await;
    memory.mine_empty(100);
    *memory.watch.most_blocks.lock().unwrap() = 1;
    follow(&memory).await;
    assert_eq!(memory.take_asked().len(), 20);
    let (first, now) = (tip(&memory), memory.now.load(Ordering::SeqCst));
    assert!(first < 109);
    memory.now.store(now, Ordering::SeqCst);
    while tip(&memory) < 109 {
        follow(&memory).await;
    }
}

/// Guard: the order of telling and going on. Whoever dies in between leaves the step to the next.
#[tokio::test]
async fn a_death_between_steps_repeats_one_and_loses_none() {
    for method in ["facts.evict", "reviews.send", "cursor.put"] {
        let memory = followed().await;
        memory.mine(0, &[transfer(VIEWER, BUYER, 7)]);
        memory.fail(method, 1);
        assert!(memory.watcher().follow(1).await.is_err(), "{method}");
        assert_eq!(tip(&memory), 9, "{method}");
        memory.take_reviews();
        follow(&memory).await;
        let both = now_and_again(&[wallet(VIEWER, 10), wallet(BUYER, 10)]);
        assert_eq!((memory.take_reviews(), tip(&memory)), (both, 10), "{method}");
    }
}

#[tokio::test]
async fn two_watchers_at_once_skip_nothing() {
    let memory = followed().await;
    memory.mine(0, &[transfer(VIEWER, BUYER, 7)]);
    // The rival is a step ahead just before this one writes.
    memory.meanwhile("cursor.put", |memory| {
        adapter_memory::arrange::at_once(follow(memory));
        memory.mine_empty(1);
    });
    follow(&memory).await;
    assert_eq!(tip(&memory), 10);
    follow(&memory).await;
    assert_eq!(tip(&memory), 11);
    let told = memory.take_reviews();
    assert!(told.contains(&(wallet(VIEWER, 10), 0)) && told.contains(&(wallet(BUYER, 10), AGAIN)));
}

#[tokio::test]
async fn more_than_can_be_told_has_all_decided_again() {
    let memory = followed().await;
    let logs: Vec<_> = (0..60_u8)
        .map(|index| transfer(Address([index + 1; 20]), Address([index + 100; 20]), 1))
        .collect();
    memory.mine(0, &logs);
    follow(&memory).await;
    assert_eq!(memory.take_reviews(), now_and_again(&[whole()]));
    // And so it is when that block goes.
    memory.unmine(10);
    memory.mine(1, &[]);
    follow(&memory).await;
    assert_eq!(memory.take_reviews(), now_and_again(&[whole()]));
}

/// Guard: a chain of which nothing is heard for too long keeps nobody's stream alive.
#[tokio::test]
async fn a_chain_that_lags_ends_its_grants() {
    let memory = followed().await;
    let last = memory.watch.blocks.lock().unwrap()[&9].time;
    for (after, unreadable, told) in [
        (TERMS.lag, false, false),
        (TERMS.lag, true, false),
        (TERMS.lag + 1, true, true),
        (TERMS.lag + 2, false, false),
        (TERMS.lag + 61, false, true),
    ] {
        memory.now.store(last + after, Ordering::SeqCst);
        if unreadable {
            memory.fail("logs.newest", 1);
        }
        assert_eq!(memory.watcher().follow(1).await.is_err(), unreadable);
        let expected = if told { lost() } else { Vec::new() };
        assert_eq!(memory.take_reviews(), expected, "{after}");
    }
    memory.mine_empty(1);
    follow(&memory).await;
    assert_eq!(memory.take_reviews(), []);
}

#[tokio::test]
async fn a_chain_that_never_answered_lags_too() {
    let memory = watched();
    memory.unmine(0);
    assert!(memory.watcher().follow(1).await.is_err());
    memory.take_reviews();
    memory.now.fetch_add(TERMS.lag + 1, Ordering::SeqCst);
    assert!(memory.watcher().follow(1).await.is_err());
    assert_eq!(memory.take_reviews(), lost());
}

#[tokio::test]
async fn policies_that_can_not_be_read_for_a_moment_are_gone_by_all_the_same() {
    let memory = followed().await;
    memory.now.fetch_add(30, Ordering::SeqCst);
    memory.mine(0, &[transfer(VIEWER, BUYER, 7)]);
    memory.fail("policies.all", 1);
    follow(&memory).await;
    assert_eq!(memory.take_reviews().len(), 4);
    memory.now.fetch_add(200, Ordering::SeqCst);
    memory.fail("policies.all", 1);
    assert!(memory.watcher().follow(1).await.is_err());
}

// ---- One invocation

#[tokio::test]
async fn one_invocation_polls_until_its_minute_is_nearly_over() {
    let memory = watched();
    let begun = memory.now.load(Ordering::SeqCst);
    assert!(memory.watcher().watch(&[CHAIN], "one").await.unwrap());
    let took = memory.now.load(Ordering::SeqCst) - begun;
    assert!((TERMS.length - TERMS.every..=TERMS.length).contains(&took), "{took}");
    assert!(memory.watch.leases.lock().unwrap().is_empty());
}

/// Guard: the lease. A second invocation ends at once; one that died is followed when its lease ends.
#[tokio::test]
async fn two_invocations_do_not_overlap() {
    let memory = watched();
    let begun = memory.now.load(Ordering::SeqCst);
    let lease = ("dead".to_owned(), begun + 10);
    memory.watch.leases.lock().unwrap().insert("watch".to_owned(), lease);
    assert!(!memory.watcher().watch(&[CHAIN], "two").await.unwrap());
    assert_eq!(memory.now.load(Ordering::SeqCst), begun);
    assert!(memory.watch.cursors.lock().unwrap().is_empty());
    memory.now.fetch_add(10, Ordering::SeqCst);
    assert!(memory.watcher().watch(&[CHAIN], "two").await.unwrap());
}

#[tokio::test]
async fn who_lost_the_lease_stops() {
    let memory = watched();
    let begun = memory.now.load(Ordering::SeqCst);
    memory.meanwhile("policies.all", |memory| {
        let lease = ("other".to_owned(), u64::MAX);
        memory.watch.leases.lock().unwrap().insert("watch".to_owned(), lease);
    });
    assert!(memory.watcher().watch(&[CHAIN], "one").await.unwrap());
    assert!(memory.now.load(Ordering::SeqCst) - begun <= 2 * TERMS.every);
    assert!(memory.watch.leases.lock().unwrap().contains_key("watch"));
}

#[tokio::test]
async fn a_chain_that_fails_stops_no_other() {
    let memory = watched();
    memory.watch.due.lock().unwrap().push(grant("g1"));
    memory.fail("logs.newest", u32::MAX);
    assert!(memory.watcher().watch(&[CHAIN, ChainId::Solana(genesis())], "one").await.unwrap());
    let told = memory.take_reviews();
    assert!(told.contains(&(ids(&["g1"]), 0)));
    assert!(memory.watch.cursors.lock().unwrap().contains_key(&ChainId::Solana(genesis())));
}

// ---- Solana

const KEY: Pubkey = Pubkey([1; 32]);
const OTHER_KEY: Pubkey = Pubkey([2; 32]);

fn genesis() -> Genesis {
    Genesis::new("5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp").unwrap()
}

fn ids(ids: &[&str]) -> ReviewMessage {
    ReviewMessage::Grants { ids: ids.iter().map(|id| grant(id)).collect(), lost: None }
}

fn rests(memory: &Memory, name: &str, accounts: &[Pubkey]) {
    let resting = Resting { grant: grant(name), accounts: accounts.to_vec() };
    memory.watch.resting.lock().unwrap().push(resting);
}

fn account(memory: &Memory, key: Pubkey, answer: Answer) {
    memory.solana.lock().unwrap().insert(SolanaRead::Account(key), answer);
    memory.height.fetch_add(1, Ordering::SeqCst);
}

fn holding(data: u8) -> Answer {
    Answer::Account { owner: Pubkey([9; 32]), data: vec![data] }
}

async fn look(memory: &Memory) -> Vec<(ReviewMessage, Seconds)> {
    memory.watcher().look(genesis()).await.unwrap();
    memory.take_reviews()
}

#[tokio::test]
async fn an_account_that_changes_has_its_grants_decided_again() {
    let memory = watched();
    account(&memory, KEY, holding(1));
    account(&memory, OTHER_KEY, holding(1));
    rests(&memory, "one", &[KEY]);
    rests(&memory, "both", &[KEY, OTHER_KEY]);
    // What was given before it was looked at may rest on what was so before.
    assert_eq!(look(&memory).await, now_and_again(&[ids(&["one", "both"])]));
    assert_eq!(look(&memory).await, []);
    let question = Question::Solana(genesis(), SolanaRead::Account(OTHER_KEY));
    remember(&memory, &question).await;
    account(&memory, OTHER_KEY, holding(0));
    assert_eq!(look(&memory).await, now_and_again(&[ids(&["both"])]));
    assert!(!remembers(&memory, &question).await);
    account(&memory, KEY, Answer::Absent);
    assert_eq!(look(&memory).await, now_and_again(&[ids(&["one", "both"])]));
    // One that can't be read is as it was.
    account(&memory, KEY, Answer::Unknown("no".into()));
    assert_eq!(look(&memory).await, []);
    account(&memory, KEY, Answer::Absent);
    assert_eq!(look(&memory).await, []);
    // A new grant on an old account.
    rests(&memory, "new", &[KEY]);
    assert_eq!(look(&memory).await, now_and_again(&[ids(&["new"])]));
}

#[tokio::test]
async fn a_change_that_could_not_be_told_is_told_by_the_next_poll() {
    let memory = watched();
    account(&memory, KEY, holding(1));
    rests(&memory, "one", &[KEY]);
    look(&memory).await;
    account(&memory, KEY, holding(0));
    memory.fail("reviews.send", 1);
    assert!(memory.watcher().look(genesis()).await.is_err());
    memory.take_reviews();
    assert_eq!(look(&memory).await, now_and_again(&[ids(&["one"])]));
}

#[tokio::test]
async fn a_cluster_whose_slots_stand_still_lags() {
    let memory = watched();
    account(&memory, KEY, holding(1));
    rests(&memory, "one", &[KEY]);
    look(&memory).await;
    let all = ReviewMessage::Chain { chain: ChainId::Solana(genesis()), lost: true };
    memory.now.fetch_add(TERMS.lag, Ordering::SeqCst);
    assert_eq!(look(&memory).await, []);
    memory.now.fetch_add(1, Ordering::SeqCst);
    assert_eq!(look(&memory).await, [(all.clone(), 0)]);
    memory.fail("solana.read", 1);
    memory.now.fetch_add(60, Ordering::SeqCst);
    assert_eq!(look(&memory).await, [(all, 0)]);
    memory.height.fetch_add(1, Ordering::SeqCst);
    assert_eq!(look(&memory).await, []);
    // Where nothing is looked for, nothing is late.
    memory.watch.resting.lock().unwrap().clear();
    memory.now.fetch_add(TERMS.lag + 1, Ordering::SeqCst);
    assert_eq!(look(&memory).await, []);
    rests(&memory, "two", &[KEY]);
    assert_eq!(look(&memory).await, now_and_again(&[ids(&["two"])]));
}

// ---- The timer

#[tokio::test]
async fn grants_that_are_due_are_asked_for_once_in_a_while() {
    let memory = watched();
    let due: Vec<_> = (0..30).map(|index| grant(&format!("g{index:02}"))).collect();
    memory.watch.due.lock().unwrap().clone_from(&due);
    let remind = async || {
        memory.watcher().remind().await.unwrap();
        memory.take_reviews()
    };
    let message = |ids: &[GrantId]| (ReviewMessage::Grants { ids: ids.to_vec(), lost: None }, 0);
    assert_eq!(remind().await, [message(&due[..25]), message(&due[25..])]);
    assert_eq!(remind().await, []);
    memory.watch.due.lock().unwrap().push(grant("new"));
    assert_eq!(remind().await, [message(&[grant("new")])]);
    memory.now.fetch_add(60, Ordering::SeqCst);
    assert_eq!(remind().await.len(), 2);
    memory.now.fetch_add(60, Ordering::SeqCst);
    memory.fail("reviews.send", 1);
    assert!(memory.watcher().remind().await.is_err());
    assert_eq!(remind().await.len(), 2);
}
