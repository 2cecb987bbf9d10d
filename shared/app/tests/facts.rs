//! What is remembered of chains, for how long, and what a decision costs.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use adapter_memory::Memory;
use adapter_memory::arrange::{
    CONTRACT, FRESHNESS, NOW, OTHER_CONTRACT, VIEWER, balance_of, holds_one, policy, session,
    watch, watch_as,
};
use app::gate::{Cost, FactMemory, Gate, Sharing};
use app::ports::FactStore;
use domain::account::Address;
use domain::decision::Verdict::{self, No, Unknown, Yes};
use domain::decision::{Decision, Freshness};
use domain::fact::{Answer, Question};
use domain::policy::{Policy, Rule};
use domain::session::Session;
use domain::video::Stage;
use std::sync::atomic::Ordering;

async fn decide_by(memory: &Memory, policy: &Policy, freshness: Freshness) -> (Decision, Cost) {
    memory.gate(freshness).decide(memory, policy, &session(VIEWER).wallets, &[]).await
}

async fn decide(memory: &Memory, freshness: Freshness) -> (Verdict, Cost) {
    let (decision, cost) = decide_by(memory, &policy(CONTRACT), freshness).await;
    (decision.verdict, cost)
}

/// How often the chain was asked for the viewer's balance.
fn asked(memory: &Memory) -> usize {
    let read = balance_of(CONTRACT, VIEWER);
    memory.evm_reads.lock().unwrap().iter().filter(|other| **other == read).count()
}

fn pass(memory: &Memory, seconds: u64) {
    memory.now.fetch_add(seconds, Ordering::SeqCst);
}

/// The chain says otherwise, and nobody watches.
fn turns(memory: &Memory, verdict: Verdict) {
    let word = domain::abi::uint(domain::number::U256::from(u8::from(verdict == Yes)));
    memory.evm.lock().unwrap().insert(balance_of(CONTRACT, VIEWER), Answer::Bytes(word.to_vec()));
    memory.height.fetch_add(1, Ordering::SeqCst);
}

fn scene(verdict: Verdict) -> Memory {
    let memory = Memory::with_video(Stage::Ready);
    memory.holds(CONTRACT, VIEWER, verdict);
    memory
}

#[tokio::test]
async fn a_yes_is_good_for_a_while_and_a_no_for_a_moment() {
    for (first, lifetime) in [(Yes, FRESHNESS.event), (No, FRESHNESS.negative)] {
        let memory = scene(first);
        assert_eq!(decide(&memory, FRESHNESS).await, (first, Cost { hits: 0, misses: 2 }));
        turns(&memory, if first == Yes { No } else { Yes });
        pass(&memory, lifetime);
        assert_eq!(decide(&memory, FRESHNESS).await, (first, Cost { hits: 2, misses: 0 }));
        pass(&memory, 1);
        // The collection's manners are remembered longer than the balance.
        let (now, cost) = decide(&memory, FRESHNESS).await;
        assert_eq!((now, cost), (if first == Yes { No } else { Yes }, Cost { hits: 1, misses: 1 }));
        assert_eq!(asked(&memory), 2);
    }
}

/// Guard: `FactStore` between memory and chain: another function knows what one has read.
#[tokio::test]
async fn functions_share_what_they_know() {
    let memory = scene(Yes);
    decide(&memory, FRESHNESS).await;
    let another = FactMemory::default();
    let gate = Gate { memory: &another, ..memory.gate(FRESHNESS) };
    let (decision, cost) =
        gate.decide(&memory, &policy(CONTRACT), &session(VIEWER).wallets, &[]).await;
    assert_eq!((decision.verdict, cost), (Yes, Cost { hits: 2, misses: 0 }));
    assert_eq!(asked(&memory), 1);
}

/// Guard: `Gate::sharing`.
#[tokio::test]
async fn who_shares_nothing_neither_looks_nor_leaves() {
    for (sharing, found, left) in
        [(Sharing::Nothing, 0, 0), (Sharing::Reads, 2, 0), (Sharing::All, 2, 2)]
    {
        let memory = scene(Yes);
        // Of a function that has just started.
        let decide = async |sharing| {
            let gate = Gate { sharing, memory: &FactMemory::default(), ..memory.gate(FRESHNESS) };
            gate.decide(&memory, &policy(CONTRACT), &session(VIEWER).wallets, &[]).await.1
        };
        decide(sharing).await;
        assert_eq!(memory.facts.lock().unwrap().len(), left, "{sharing:?}");
        decide(Sharing::All).await;
        assert_eq!(decide(sharing).await.hits, found, "{sharing:?}");
    }
}

#[test]
fn renewals_share_what_is_good_at_the_next_one_or_may_stand_in() {
    let of = |event, grace| Sharing::of_renewals(&Freshness { event, grace, ..FRESHNESS }, 120);
    assert_eq!((of(119, 0), of(120, 0), of(0, 1)), (Sharing::Nothing, Sharing::All, Sharing::All));
}

/// Guard: `Fact::is_known` where facts are kept.
#[tokio::test]
async fn what_could_not_be_learned_is_not_remembered() {
    let memory = scene(Yes);
    memory.fail("evm.read", 1);
    assert_eq!(decide(&memory, FRESHNESS).await.0, Unknown);
    assert!(memory.facts.lock().unwrap().is_empty());
    assert_eq!(decide(&memory, FRESHNESS).await.0, Yes);
}

#[tokio::test]
async fn a_store_that_is_down_costs_a_read_and_nothing_else() {
    let memory = scene(Yes);
    memory.fail("facts.get", 1);
    memory.fail("facts.put", 1);
    assert_eq!(decide(&memory, FRESHNESS).await.0, Yes);
    let memory = scene(No);
    memory.fail("facts.get", 1);
    assert_eq!(decide(&memory, FRESHNESS).await.0, No);
}

/// Guard: `FactMemory::turn` and `Gate::remember`.
#[tokio::test]
async fn of_many_that_miss_the_same_fact_one_asks() {
    let memory = scene(Yes);
    let asks = (0..50).map(|_| decide(&memory, FRESHNESS));
    let outcomes = futures_util::future::join_all(asks).await;
    assert!(outcomes.iter().all(|(verdict, _)| *verdict == Yes));
    assert_eq!(asked(&memory), 1);
    let misses: usize = outcomes.iter().map(|(_, cost)| cost.misses).sum();
    assert_eq!(misses, 2);
}

/// Guard: `evict`, which whoever watches a chain calls.
#[tokio::test]
async fn a_fact_that_is_evicted_is_asked_for_again() {
    let memory = scene(Yes);
    decide(&memory, FRESHNESS).await;
    turns(&memory, No);
    let question = Question::Evm(1, balance_of(CONTRACT, VIEWER));
    memory.fact_memory.evict(&question);
    memory.evict(&[question.key()]).await.unwrap();
    assert_eq!(decide(&memory, FRESHNESS).await.0, No);
}

/// Guard: `Course::places`: all rounds of one decision read one block, though the head moves on.
#[tokio::test]
async fn a_decision_reads_one_block() {
    let memory = scene(Yes);
    memory.holds(OTHER_CONTRACT, VIEWER, Yes);
    // The first collection is known, at an older block than the second will be.
    decide(&memory, FRESHNESS).await;
    memory.height.fetch_add(5, Ordering::SeqCst);
    let both = Policy::new(Rule::All(vec![holds_one(CONTRACT), holds_one(OTHER_CONTRACT)]));
    let (decision, _) = decide_by(&memory, &both, FRESHNESS).await;
    assert_eq!(decision.verdict, Yes);
    let blocks: Vec<_> = decision.conditions.iter().map(|one| one.block.clone().unwrap()).collect();
    assert_eq!(blocks[0], blocks[1]);
}

/// Guard: `Needs::note` compares blocks: a token that went from one linked wallet to the other is
/// not counted in both, though one of the two balances was remembered.
#[tokio::test]
async fn a_token_that_moves_between_linked_wallets_counts_once() {
    let (alice, bob) = (Address([1; 20]), Address([2; 20]));
    let memory = Memory::with_video(Stage::Ready);
    memory.holds(CONTRACT, alice, Yes);
    memory.holds(CONTRACT, bob, No);
    let of = |wallets: &[Address]| {
        let holders: Vec<_> = wallets.iter().flat_map(|wallet| session(*wallet).wallets).collect();
        Session { wallets: holders, ..session(alice) }
    };
    watch_as(&memory, &of(&[alice]), FRESHNESS).await.unwrap();
    // It moves, and nobody has told.
    for (wallet, count) in [(alice, 0_u8), (bob, 1)] {
        let word = domain::abi::uint(domain::number::U256::from(count)).to_vec();
        memory.evm.lock().unwrap().insert(balance_of(CONTRACT, wallet), Answer::Bytes(word));
    }
    memory.height.fetch_add(1, Ordering::SeqCst);
    let two = serde_json::json!({"version": 1, "rule": {"kind": "erc721", "chain": "eip155:1",
        "contract": CONTRACT.to_string(), "min": "2"}});
    memory.new_policy(Some(Policy::read(&two).unwrap()));
    assert!(watch_as(&memory, &of(&[alice, bob]), FRESHNESS).await.is_err());
    assert_eq!(memory.grant_count(), 1);
}

// ---- Grace

const GRACE: Freshness = Freshness { grace: 300, ..FRESHNESS };

/// Guard: `Gate::stand_in`.
#[tokio::test]
async fn grace_is_off_unless_the_stack_says_otherwise_and_it_ends() {
    for (freshness, age, granted) in
        [(FRESHNESS, 200, false), (GRACE, 200, true), (GRACE, 300, true), (GRACE, 301, false)]
    {
        let memory = scene(Yes);
        watch_as(&memory, &session(VIEWER), freshness).await.unwrap();
        pass(&memory, age);
        memory.fail("evm.read", u32::MAX);
        let outcome = watch_as(&memory, &session(VIEWER), freshness).await;
        assert_eq!(outcome.is_ok(), granted, "{freshness:?} {age}");
        if let Ok(playback) = outcome {
            // It says so.
            assert!(playback.grant.grace);
        }
    }
}

#[tokio::test]
async fn grace_is_for_those_who_held_and_refuses_nobody() {
    let memory = scene(No);
    assert!(watch_as(&memory, &session(VIEWER), GRACE).await.is_err());
    pass(&memory, 100);
    memory.fail("evm.read", u32::MAX);
    let (verdict, _) = decide(&memory, GRACE).await;
    assert_eq!(verdict, Unknown);
}

#[tokio::test]
async fn with_the_chain_back_grace_is_over() {
    let memory = scene(Yes);
    watch_as(&memory, &session(VIEWER), GRACE).await.unwrap();
    pass(&memory, 100);
    turns(&memory, No);
    assert!(watch_as(&memory, &session(VIEWER), GRACE).await.is_err());
}

// ---- Bounds

/// Guard: `Decision::until` in `grant_playback`.
#[tokio::test]
async fn a_grant_ends_with_the_shortest_of_its_conditions() {
    let memory = scene(Yes);
    let until = |seconds| {
        let time = serde_json::json!({"kind": "time", "until": domain::rfc3339(NOW + seconds)});
        let both = serde_json::json!({"version": 1, "rule": {"all": [policy(CONTRACT).to_json()["rule"], time]}});
        Some(Policy::read(&both).unwrap())
    };
    for (ends, expected) in [(100, 100), (5000, 600)] {
        memory.new_policy(until(ends));
        watch(&memory, VIEWER).await.unwrap();
        let grants = memory.grants.lock().unwrap();
        let last = grants.values().max_by_key(|grant| grant.policy_revision).unwrap();
        assert_eq!(last.expires_at, NOW + expected);
        assert_eq!(last.wallets, session(VIEWER).wallets);
    }
}
// ---- Survivors of a mutation check

fn both() -> Policy {
    Policy::new(Rule::All(vec![holds_one(CONTRACT), holds_one(OTHER_CONTRACT)]))
}

/// Two collections, each known at a block of its own, in one and the same second.
async fn known_apart() -> Memory {
    let memory = scene(Yes);
    memory.holds(OTHER_CONTRACT, VIEWER, Yes);
    decide(&memory, FRESHNESS).await;
    memory.height.fetch_add(5, Ordering::SeqCst);
    decide_by(&memory, &policy(OTHER_CONTRACT), FRESHNESS).await;
    memory
}

/// Guard: `Some(fact)` compared in `Gate::remember`: what is wanted again is no news.
#[tokio::test]
async fn facts_of_two_blocks_in_one_second_are_read_again() {
    let memory = known_apart().await;
    let (decision, _) = decide_by(&memory, &both(), FRESHNESS).await;
    assert_eq!(decision.verdict, Yes);
    assert_eq!(decision.conditions[0].block, decision.conditions[1].block);
}

/// Guard: `grace == 0` in `Gate::stand_in`: off is off, also for what was read this second.
#[tokio::test]
async fn without_grace_nothing_stands_in() {
    let memory = known_apart().await;
    memory.fail("evm.read", 1);
    let (decision, _) = decide_by(&memory, &both(), FRESHNESS).await;
    assert_eq!((decision.verdict, decision.grace), (Unknown, false));
}

/// Guard: `Fact::is_known` in `Gate::look_up`: the store may say anything.
#[tokio::test]
async fn what_the_store_does_not_know_is_asked_for() {
    let memory = scene(Yes);
    let question = Question::Evm(1, balance_of(CONTRACT, VIEWER));
    let fact = domain::fact::Fact::unknown("down", NOW);
    memory.facts.lock().unwrap().insert(question.key(), (fact, NOW + 60));
    assert_eq!(decide(&memory, FRESHNESS).await.0, Yes);
}

/// One token of a wide range, which takes two rounds: what the wallet lists, then whose it is.
fn ranged(ids: &str) -> Policy {
    Policy::read(&serde_json::json!({"version": 1, "rule": {"kind": "erc721", "chain": "eip155:1",
        "contract": CONTRACT.to_string(), "ids": [ids]}}))
    .unwrap()
}

fn says(memory: &Memory, signature: &str, words: &[[u8; 32]], answer: [u8; 32]) {
    let data = domain::abi::call(signature, words);
    let read = domain::fact::EvmRead::Call { to: CONTRACT, data };
    memory.evm.lock().unwrap().insert(read, Answer::Bytes(answer.to_vec()));
}

fn lists(memory: &Memory, id: u64) {
    let (viewer, number) = (domain::abi::address(VIEWER), |value: u64| {
        domain::abi::uint(domain::number::U256::from(value))
    });
    says(memory, "tokenOfOwnerByIndex(address,uint256)", &[viewer, number(0)], number(id));
    says(memory, "ownerOf(uint256)", &[number(id)], viewer);
}

/// Guard: `Course::places`: later rounds read the block of the first, though the head moves on.
#[tokio::test]
async fn later_rounds_read_the_block_of_the_first() {
    let memory = scene(Yes);
    lists(&memory, 5000);
    let first = memory.height.load(Ordering::SeqCst);
    // A new block comes between the rounds.
    memory.meanwhile("evm.read", |memory| {
        memory.meanwhile("evm.read", |memory| {
            memory.height.fetch_add(1, Ordering::SeqCst);
        });
    });
    let wide = ranged("1000-999999");
    let (decision, _) = decide_by(&memory, &wide, FRESHNESS).await;
    let block = decision.conditions[0].block.as_ref().unwrap().number;
    assert_eq!((decision.verdict, block), (Yes, first));
}

/// Guard: `places` in `Gate::stand_in`: once a decision has read a chain, nothing older stands in.
#[tokio::test]
async fn grace_does_not_follow_upon_a_reading() {
    let memory = scene(Yes);
    lists(&memory, 5000);
    let wide = ranged("1000-999999");
    assert_eq!(decide_by(&memory, &wide, GRACE).await.0.verdict, Yes);
    lists(&memory, 6000);
    assert_eq!(decide_by(&memory, &ranged("6000"), GRACE).await.0.verdict, Yes);
    pass(&memory, 100);
    memory.height.fetch_add(1, Ordering::SeqCst);
    // The first round goes well, and the second finds the chain down.
    memory.meanwhile("evm.read", |memory| {
        memory.meanwhile("evm.read", |memory| memory.fail("evm.read", u32::MAX));
    });
    let (decision, _) = decide_by(&memory, &wide, GRACE).await;
    assert_eq!((decision.verdict, decision.grace), (Unknown, false));
}

/// Guard: `MAX_READS`.
#[tokio::test]
async fn one_decision_reads_no_more_than_it_may() {
    let memory = scene(Yes);
    let rule = serde_json::json!({"kind": "erc1155", "chain": "eip155:1",
        "contract": CONTRACT.to_string(), "ids": ["1-64"]});
    let policy = Policy::read(&serde_json::json!({"version": 1, "rule": rule})).unwrap();
    let holders: Vec<_> = (1..=10).flat_map(|one| session(Address([one; 20])).wallets).collect();
    let (decision, _) = memory.gate(FRESHNESS).decide(&memory, &policy, &holders, &[]).await;
    assert_eq!(decision.verdict, Unknown);
    assert!(memory.evm_reads.lock().unwrap().is_empty());
}

/// Guards: what the request names is where to look, and no more than so much of it.
#[tokio::test]
async fn a_viewer_names_where_to_look() {
    use app::grant_playback::Wish;
    use app::problem::{Error, Problem};
    let memory = scene(Yes);
    lists(&memory, 5000);
    // The collection lists nothing.
    memory.evm.lock().unwrap().retain(|read, _| match read {
        domain::fact::EvmRead::Call { data, .. } => {
            data[..4] != domain::abi::call("tokenOfOwnerByIndex(address,uint256)", &[])[..]
        }
        domain::fact::EvmRead::Balance(_) => true,
    });
    memory.new_policy(Some(ranged("1000-999999")));
    let asset: domain::leaf::Asset = format!("eip155:1/erc721:{CONTRACT}/5000").parse().unwrap();
    let caller = session(VIEWER);
    for (count, granted) in [(0, false), (1, true), (16, true), (17, false)] {
        let wish = Wish { assets: vec![asset.clone(); count], ..Wish::default() };
        let outcome = adapter_memory::arrange::watch_with(&memory, &caller, FRESHNESS, &wish).await;
        assert_eq!(outcome.is_ok(), granted, "{count}: {outcome:?}");
        if count == 17 {
            assert!(matches!(outcome, Err(Error::Problem(Problem::BodyInvalid { .. }))));
        }
    }
}
