//! The adapter against scripted nodes: what is true is found out, and nothing else is believed.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod node;

use adapter_provider::{Failure, State, Timing};
use adapter_solana::Connected;
use app::ports::{ChainSettings, SolanaChains};
use domain::account::{ChainId, Pubkey};
use domain::fact::{Answer, Fact, Find, MAX_ANSWER, Place, SolanaRead};
use futures_util::future::join_all;
use node::{Accounts, Mode, Node, genesis};
use serde_json::json;
use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

const OWNER: Pubkey = Pubkey([6; 32]);
const KEY: Pubkey = Pubkey([1; 32]);
const WALLET: Pubkey = Pubkey([2; 32]);
const MINT: Pubkey = Pubkey([3; 32]);

/// As in production, but with shorter waits; hedging only where a test is about it.
fn timing() -> Timing {
    Timing {
        request: Duration::from_millis(1_500),
        overall: Duration::from_secs(4),
        pause: Duration::from_millis(20),
        late: Duration::from_secs(1),
        open: Duration::from_millis(400),
        ..Timing::default()
    }
}

async fn nodes<const N: usize>() -> [Node; N] {
    let nodes = join_all((0..N).map(|_| Node::new())).await;
    for node in &nodes {
        node.put(KEY, OWNER, b"true");
    }
    nodes.try_into().ok().unwrap()
}

thread_local! {
    /// What was logged by this test: each runs on a thread of its own.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Has everything logged, of all tests from their first line on: a line that was passed before
/// anyone listened may stay silent.
static LISTENING: LazyLock<()> = LazyLock::new(|| {
    let level = tracing_subscriber::filter::LevelFilter::TRACE;
    tracing_subscriber::fmt().with_max_level(level).with_writer(|| Log).init();
});

fn connect(nodes: &[Node], quorum: usize, timing: Timing) -> Connected {
    LazyLock::force(&LISTENING);
    let rpc = nodes.iter().map(|node| node.address.clone()).collect();
    let chain = ChainId::Solana(genesis());
    Connected::new(&[ChainSettings { chain, rpc, quorum, confirmations: 0 }], &timing)
}

async fn read(connected: &Connected, key: Pubkey) -> Fact {
    connected.read(genesis(), None, &[SolanaRead::Account(key)]).await.remove(0)
}

async fn find(connected: &Connected, find: Find) -> Answer {
    connected.read(genesis(), None, &[SolanaRead::Find(find)]).await.remove(0).answer
}

fn account(data: &[u8]) -> Answer {
    Answer::Account { owner: OWNER, data: data.to_vec() }
}

fn unknown(reason: &str) -> Answer {
    Answer::Unknown(reason.to_owned())
}

fn requests(connected: &Connected) -> Vec<u64> {
    connected.counts()[0].1.requests.clone()
}

#[tokio::test]
async fn a_fact_is_what_two_of_three_say() {
    let nodes = nodes::<3>().await;
    nodes[1].script().slot = 103;
    let connected = connect(&nodes, 2, timing());
    let fact = read(&connected, KEY).await;
    assert_eq!((fact.answer, fact.place), (account(b"true"), Some(Place::Slot(100))));
    assert_eq!(read(&connected, Pubkey([9; 32])).await.answer, Answer::Absent);
    assert_eq!(nodes[2].asked(), [""; 0], "no more are asked than must agree");
    let first = nodes[0].script().log[2]["params"][1].clone();
    assert_eq!(first["minContextSlot"], 100, "the slot that two have reached");
}

/// Guards: agreement over owner and data, the quorum-th highest slot, the cure's slot, the body's
/// cap, time limits and hedging. Whatever one of three does, wherever it stands, the truth comes
/// out.
#[tokio::test]
async fn no_single_provider_changes_or_blocks_a_fact() {
    type Trick = fn(&Node);
    let tricks: [(&str, Trick); 18] = [
        ("other data", |node| node.put(KEY, OWNER, b"false")),
        ("other owner", |node| node.put(KEY, Pubkey([9; 32]), b"true")),
        ("nothing", |node| node.script().accounts.clear()),
        ("too much", |node| node.put(KEY, OWNER, &[0; MAX_ANSWER + 1])),
        ("a far slot", |node| node.script().slot = u64::MAX),
        ("a far slot and other data", |node| {
            node.script().slot = u64::MAX;
            node.put(KEY, OWNER, b"false");
        }),
        ("an early slot", |node| {
            node.script().slot = 0;
            node.script().heeds = false;
        }),
        ("another cluster", |node| {
            node.script().genesis = node::GENESIS_HASH.replace("5ey", "6ey")
        }),
        ("a short genesis", |node| node.script().genesis = "5".to_owned()),
        ("an old clock", |node| node.script().age = 31 * 60),
        ("null", |node| node.script().mode = Mode::Result(json!(null))),
        ("no accounts", |node| {
            let none = Mode::Result(json!({"context": {"slot": 100}, "value": []}));
            node.script().modes.insert("getMultipleAccounts", none);
        }),
        ("an error", |node| node.script().mode = Mode::Error(-32603)),
        ("no JSON", |node| node.script().mode = Mode::Body("<html>".to_owned())),
        ("a huge body", |node| node.script().mode = Mode::Body(" ".repeat(5 << 20))),
        ("HTTP 500", |node| node.script().mode = Mode::Status(500)),
        ("a closed door", |node| node.script().mode = Mode::Dead),
        ("silence", |node| node.script().mode = Mode::Hang),
    ];
    for (name, trick) in tricks {
        join_all((0..3).map(|place| async move {
            let nodes = nodes::<3>().await;
            trick(&nodes[place]);
            let timing = Timing {
                request: Duration::from_secs(3),
                overall: Duration::from_secs(10),
                late: Duration::from_millis(300),
                ..timing()
            };
            let connected = connect(&nodes, 2, timing);
            for round in 0..2 {
                let answer = read(&connected, KEY).await.answer;
                assert_eq!(answer, account(b"true"), "{name} at {place}, {round}");
            }
            // What only the liar has is not there.
            let made_up = Pubkey([9; 32]);
            nodes[place].put(made_up, OWNER, b"made up");
            let answer = read(&connected, made_up).await.answer;
            assert_eq!(answer, Answer::Absent, "{name} at {place}");
        }))
        .await;
    }
}

#[tokio::test]
async fn two_dead_of_three_leave_it_unknown() {
    for mode in [Mode::Dead, Mode::Status(503), Mode::Error(-32603)] {
        let nodes = nodes::<3>().await;
        nodes[0].script().mode = mode.clone();
        nodes[2].script().mode = mode.clone();
        let connected = connect(&nodes, 2, timing());
        let fact = read(&connected, KEY).await;
        assert_eq!(fact.answer, unknown("2 of 3 providers do not answer"), "{mode:?}");
        assert_eq!(fact.place, None);
    }
}

#[tokio::test]
async fn two_that_lie_differently_leave_it_unknown() {
    let nodes = nodes::<3>().await;
    nodes[0].put(KEY, OWNER, b"false");
    nodes[1].put(KEY, OWNER, b"untrue");
    let connected = connect(&nodes, 2, timing());
    assert_eq!(read(&connected, KEY).await.answer, unknown("the providers disagree"));
    assert!(connected.counts()[0].1.disagreements > 0);
}

#[tokio::test]
async fn all_hanging_costs_no_more_than_the_overall_time() {
    let nodes = nodes::<3>().await;
    for node in &nodes {
        node.script().mode = Mode::Hang;
    }
    let connected = connect(&nodes, 2, timing());
    let start = Instant::now();
    // When two have failed, the third is not waited for.
    let fact = read(&connected, KEY).await;
    assert_eq!(fact.answer, unknown("2 of 3 providers do not answer"));
    assert!(start.elapsed() < timing().overall + Duration::from_millis(500));
}

/// Guards: retries. What may pass is asked for three times; an error is an answer.
#[tokio::test]
async fn a_busy_provider_is_asked_three_times_and_an_error_is_an_answer() {
    let [node] = nodes::<1>().await;
    let connected = connect(std::slice::from_ref(&node), 1, timing());
    let accounts = |mode| node.script().modes.insert("getMultipleAccounts", mode);
    accounts(Mode::Status(429));
    assert_eq!(read(&connected, KEY).await.answer, unknown("the provider does not answer"));
    assert_eq!(requests(&connected), [5], "genesis, slot and three times accounts");
    accounts(Mode::Error(-32603));
    read(&connected, KEY).await;
    assert_eq!(requests(&connected), [6]);
}

/// Guards: the breaker. A dead provider is left alone, tried once after a while, and used again.
#[tokio::test]
async fn a_breaker_opens_tries_and_closes() {
    let [node] = nodes::<1>().await;
    let timing = Timing { retries: 0, head: Duration::ZERO, ..timing() };
    let connected = connect(std::slice::from_ref(&node), 1, timing.clone());
    assert_eq!(read(&connected, KEY).await.answer, account(b"true"));
    node.script().mode = Mode::Dead;
    for _ in 0..5 {
        read(&connected, KEY).await;
    }
    node.script().mode = Mode::Honest;
    let before = requests(&connected);
    assert_eq!(read(&connected, KEY).await.answer, unknown("the provider does not answer"));
    assert_eq!(requests(&connected), before, "open: not asked at all");
    tokio::time::sleep(timing.open).await;
    assert_eq!(read(&connected, KEY).await.answer, account(b"true"));
}

/// Guards: hedging. Nobody waits for the slow one while a third can answer.
#[tokio::test]
async fn the_third_is_asked_when_one_is_late_and_only_then() {
    let nodes = nodes::<3>().await;
    nodes[0].script().delay = Duration::from_millis(1_200);
    let late = Timing { late: Duration::from_millis(100), ..timing() };
    let connected = connect(&nodes, 2, late);
    let start = Instant::now();
    assert_eq!(read(&connected, KEY).await.answer, account(b"true"));
    assert!(start.elapsed() < Duration::from_millis(1_000), "{:?}", start.elapsed());
    assert!(!nodes[2].asked().is_empty());
    nodes[0].asked();
    read(&connected, KEY).await;
    assert_eq!(nodes[0].asked(), [""; 0], "who was late is asked last");
}

#[tokio::test]
async fn a_provider_of_another_cluster_is_out() {
    let [node] = nodes::<1>().await;
    node.script().genesis = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG".to_owned();
    let connected = connect(std::slice::from_ref(&node), 1, timing());
    assert_eq!(read(&connected, KEY).await.answer, unknown("the provider does not answer"));
    let asked = node.asked();
    assert!(!asked.contains(&"getMultipleAccounts".to_owned()), "{asked:?}");
    let health = connected.health().await.remove(0).1;
    assert_eq!(health.providers[0].head, Err(Failure::WrongChain));
    // The address may come to lead to the right one.
    node.script().genesis = node::GENESIS_HASH.to_owned();
    assert_eq!(read(&connected, KEY).await.answer, account(b"true"));
}

/// Guards: minContextSlot. A node that is behind is asked once more, and is out if it still is.
#[tokio::test]
async fn a_node_that_is_behind_catches_up_or_is_out() {
    let [one, two] = nodes::<2>().await;
    let connected = connect(&[one.clone(), two.clone()], 2, timing());
    let accounts: Accounts = [(KEY, (OWNER, b"newer".to_vec()))].into();
    for node in [&one, &two] {
        node.script().slot = 199;
        node.script().later = [(200, accounts.clone())].into();
    }
    let at = |slot| connected.read(genesis(), Some(slot), &[SolanaRead::Account(KEY)]);
    let fact = at(200).await.remove(0);
    assert_eq!((fact.answer, fact.place), (account(b"newer"), Some(Place::Slot(200))));
    assert!(matches!(at(201).await.remove(0).answer, Answer::Unknown(_)));
    // One that does not know of minContextSlot is found out by its answer's slot.
    for node in [&one, &two] {
        node.script().heeds = false;
    }
    assert!(matches!(at(201).await.remove(0).answer, Answer::Unknown(_)));
}

/// Guards: the second round. An account that changed between two providers' slots is asked for
/// once more, at the later slot.
#[tokio::test]
async fn a_change_between_slots_is_no_disagreement() {
    let changed: Accounts = [(KEY, (OWNER, b"sold".to_vec()))].into();
    let [one, two] = nodes::<2>().await;
    two.script().slot = 101;
    two.script().accounts = changed.clone();
    one.script().later = [(101, changed)].into();
    let connected = connect(&[one.clone(), two], 2, timing());
    let fact = read(&connected, KEY).await;
    assert_eq!((fact.answer, fact.place), (account(b"sold"), Some(Place::Slot(101))));
    let slots: Vec<_> = (one.script().log.iter())
        .filter(|request| request["method"] == "getMultipleAccounts")
        .map(|request| request["params"][1]["minContextSlot"].as_u64().unwrap())
        .collect();
    assert_eq!(slots, [100, 101]);
}

#[tokio::test]
async fn a_stuck_cluster_is_unknown() {
    let nodes = nodes::<3>().await;
    for node in &nodes {
        node.script().age = 31 * 60;
    }
    let connected = connect(&nodes, 2, timing());
    assert!(matches!(read(&connected, KEY).await.answer, Answer::Unknown(_)));
    let health = connected.health().await.remove(0).1;
    assert_eq!(health.head, Err("3 of 3 providers do not answer".to_owned()));
    assert_eq!(health.providers[1].head, Err(Failure::Behind));
}

#[tokio::test]
async fn long_accounts_are_refused_whether_or_not_the_provider_cuts_them() {
    let nodes = nodes::<2>().await;
    for node in &nodes {
        node.put(Pubkey([7; 32]), OWNER, &[5; MAX_ANSWER]);
        node.put(Pubkey([8; 32]), OWNER, &[5; MAX_ANSWER + 1]);
        node.put(Pubkey([9; 32]), OWNER, &[5; 10 * MAX_ANSWER]);
    }
    nodes[1].script().heeds = false;
    let connected = connect(&nodes, 2, timing());
    let refused = Answer::Refused("the account holds more than 32 KiB".to_owned());
    assert_eq!(read(&connected, Pubkey([7; 32])).await.answer, account(&[5; MAX_ANSWER]));
    assert_eq!(read(&connected, Pubkey([8; 32])).await.answer, refused);
    assert_eq!(read(&connected, Pubkey([9; 32])).await.answer, refused);
}

#[tokio::test]
async fn many_reads_are_few_requests_and_facts_keep_their_order() {
    let nodes = nodes::<3>().await;
    let key = |number: u8| Pubkey([number; 32]);
    for node in &nodes {
        for number in (10..=250).step_by(2) {
            node.put(key(number), OWNER, &[number]);
        }
    }
    let connected = connect(&nodes, 2, timing());
    read(&connected, KEY).await;
    let before = requests(&connected);
    let reads = |range: std::ops::RangeInclusive<u8>| -> Vec<_> {
        range.map(|number| SolanaRead::Account(key(number))).collect()
    };
    assert_eq!(connected.read(genesis(), None, &reads(10..=29)).await.len(), 20);
    assert_eq!(requests(&connected), [before[0] + 1, before[1] + 1, 0], "20 reads, one request");
    let facts = connected.read(genesis(), None, &reads(10..=250)).await;
    assert_eq!(requests(&connected), [before[0] + 4, before[1] + 4, 0], "241 reads, three");
    for (fact, number) in facts.iter().zip(10..=250_u8) {
        match number % 2 {
            0 => assert_eq!(fact.answer, account(&[number])),
            _ => assert_eq!(fact.answer, Answer::Absent),
        }
    }
    assert_eq!(facts.len(), 241);
}

/// Ninety accounts of the greatest length at once stay under the body's cap.
#[tokio::test]
async fn the_longest_answers_are_read() {
    let [node] = nodes::<1>().await;
    let keys: Vec<_> = (100..200).map(|number| Pubkey([number; 32])).collect();
    for key in &keys {
        node.put(*key, OWNER, &[5; MAX_ANSWER]);
    }
    let connected = connect(&[node], 1, timing());
    let reads: Vec<_> = keys.into_iter().map(SolanaRead::Account).collect();
    let facts = connected.read(genesis(), None, &reads).await;
    assert!(facts.iter().all(|fact| fact.answer == account(&[5; MAX_ANSWER])));
}

#[tokio::test]
async fn concurrent_reads_share_one_look_at_the_slot() {
    let nodes = nodes::<2>().await;
    let connected = Arc::new(connect(&nodes, 2, timing()));
    let reads = (0..10).map(|_| {
        let connected = connected.clone();
        // A future that a server may run on any thread.
        tokio::spawn(async move { read(&connected, KEY).await.answer })
    });
    for answer in join_all(reads).await {
        assert_eq!(answer.unwrap(), account(b"true"));
    }
    let asked = nodes[0].asked();
    let count = |method: &str| asked.iter().filter(|asked| *asked == method).count();
    assert_eq!((count("getGenesisHash"), count("getSlot")), (1, 1));
    assert_eq!(count("getMultipleAccounts"), 10);
}

fn token_account(mint: Pubkey, owner: Pubkey, amount: u64) -> Vec<u8> {
    [mint.0.as_slice(), &owner.0, &amount.to_le_bytes(), &[0; 93]].concat()
}

#[tokio::test]
async fn finds_look_where_they_should() {
    let [node] = nodes::<1>().await;
    let (program, other) = (Pubkey([20; 32]), Pubkey([21; 32]));
    let core = "CoREENxT6tW1HoK8ypY1SxRMZTcVPm7R94rH4PZNhX7d".parse().unwrap();
    let asset = |kind: u8, owner: Pubkey, authority: u8, of: Pubkey| {
        [[kind].as_slice(), &owner.0, &[authority], &of.0, &[0; 40]].concat()
    };
    let key = |number| Pubkey([number; 32]);
    for (number, owner, data) in [
        (30, program, token_account(MINT, WALLET, 5)),
        (31, program, token_account(MINT, WALLET, 8)),
        (32, program, token_account(MINT, WALLET, 0)),
        (33, program, token_account(MINT, KEY, 8)),
        (34, program, token_account(key(90), WALLET, 1)),
        (35, other, token_account(key(91), WALLET, 1)),
        (40, core, asset(1, WALLET, 2, MINT)),
        (41, core, asset(1, KEY, 2, MINT)),
        (42, core, asset(1, WALLET, 1, MINT)),
        (43, core, asset(1, WALLET, 2, KEY)),
        (44, core, asset(5, WALLET, 2, MINT)),
        (45, program, asset(1, WALLET, 2, MINT)),
    ] {
        node.put(key(number), owner, &data);
    }
    let connected = connect(&[node], 1, timing());
    let accounts = find(&connected, Find::TokenAccounts { owner: WALLET, mint: MINT }).await;
    assert_eq!(accounts, Answer::Keys(vec![key(31), key(30)]));
    let mints = find(&connected, Find::Mints { owner: WALLET, program }).await;
    assert_eq!(mints, Answer::Keys(vec![key(90), MINT]));
    let assets = find(&connected, Find::CoreAssets { owner: WALLET, collection: MINT }).await;
    assert_eq!(assets, Answer::Keys(vec![key(40)]));
}

const HELD: Find = Find::TokenAccounts { owner: WALLET, mint: MINT };

/// Guard: the way to the next provider.
#[tokio::test]
async fn a_find_goes_on_to_the_next_provider() {
    let held = Answer::Keys(vec![Pubkey([30; 32])]);
    for mode in [
        Mode::Dead,
        Mode::Error(-32010),
        Mode::Body("no".to_owned()),
        Mode::Body(" ".repeat(5 << 20)),
        Mode::Hang,
    ] {
        let nodes = nodes::<3>().await;
        for node in &nodes {
            node.put(Pubkey([30; 32]), OWNER, &token_account(MINT, WALLET, 5));
        }
        nodes[0].script().modes.insert("getTokenAccountsByOwner", mode.clone());
        let connected = connect(&nodes, 2, timing());
        assert_eq!(find(&connected, HELD).await, held, "{mode:?}");
        assert!(nodes[2].asked().iter().any(|asked| asked == "getTokenAccountsByOwner"));
    }
}

/// Guard: a quorum is asked, and what they find is put together. One that hides a token would else
/// let in whom `none` keeps out.
#[tokio::test]
async fn what_one_hides_another_finds() {
    for liar in 0..3 {
        let nodes = nodes::<3>().await;
        for node in &nodes {
            node.put(Pubkey([30; 32]), OWNER, &token_account(MINT, WALLET, 5));
        }
        let hides = Mode::Result(json!({"context": {"slot": 1}, "value": []}));
        nodes[liar].script().modes.insert("getTokenAccountsByOwner", hides);
        let connected = connect(&nodes, 2, timing());
        assert_eq!(find(&connected, HELD).await, Answer::Keys(vec![Pubkey([30; 32])]), "{liar}");
    }
}

#[tokio::test]
async fn a_find_takes_a_quorum() {
    let nodes = nodes::<3>().await;
    let connected = connect(&nodes, 2, timing());
    assert_eq!(find(&connected, HELD).await, Answer::Keys(Vec::new()));
    assert!(nodes[2].asked().is_empty());
    nodes[1].script().mode = Mode::Dead;
    nodes[2].script().mode = Mode::Dead;
    assert_eq!(find(&connected, HELD).await, unknown("2 of 3 providers do not answer"));
    // Where one is trusted alone, its word is enough.
    let connected = connect(&nodes, 1, timing());
    assert_eq!(find(&connected, HELD).await, Answer::Keys(Vec::new()));
}

/// Guards: what is not held against a provider. Whoever fills a wallet until no provider can list
/// it shuts out nobody else, nor does a provider itself that keeps no index to look into.
#[tokio::test]
async fn a_find_that_cannot_be_answered_opens_no_breaker() {
    for (mode, reason) in [
        (Mode::Body(" ".repeat(5 << 20)), "the wallet holds too much to look through"),
        (Mode::Error(-32010), "2 of 3 providers do not answer"),
    ] {
        let nodes = nodes::<3>().await;
        for node in &nodes {
            node.script().modes.insert("getTokenAccountsByOwner", mode.clone());
        }
        let connected = connect(&nodes, 2, timing());
        for _ in 0..6 {
            assert_eq!(find(&connected, HELD).await, unknown(reason));
        }
        assert_eq!(read(&connected, KEY).await.answer, account(b"true"));
    }
}

#[tokio::test]
async fn finds_and_accounts_are_answered_together_and_in_order() {
    let nodes = nodes::<2>().await;
    for node in &nodes {
        node.put(Pubkey([30; 32]), OWNER, &token_account(MINT, WALLET, 5));
    }
    let connected = connect(&nodes, 2, timing());
    let absent = SolanaRead::Account(Pubkey([9; 32]));
    let reads = [SolanaRead::Find(HELD), absent, SolanaRead::Account(KEY)];
    let facts = connected.read(genesis(), Some(90), &reads).await;
    let answers: Vec<_> = facts.into_iter().map(|fact| fact.answer).collect();
    let keys = Answer::Keys(vec![Pubkey([30; 32])]);
    assert_eq!(answers, [keys, Answer::Absent, account(b"true")]);
    let log = nodes[0].script().log.clone();
    let find = log.iter().find(|request| request["method"] == "getTokenAccountsByOwner").unwrap();
    assert_eq!(find["params"][2]["minContextSlot"], 90);
}

#[tokio::test]
async fn health_looks_at_each_provider() {
    let nodes = nodes::<3>().await;
    nodes[0].script().slot = 105;
    nodes[2].script().mode = Mode::Dead;
    let connected = connect(&nodes, 2, timing());
    for _ in 0..6 {
        connected.health().await;
    }
    let (chain, health) = connected.health().await.remove(0);
    assert_eq!(chain, ChainId::Solana(genesis()));
    assert_eq!((health.head, health.quorum), (Ok(100), 2));
    let providers: Vec<_> =
        health.providers.into_iter().map(|provider| (provider.state, provider.head)).collect();
    let dead = (State::Open, Err(Failure::Unreachable));
    assert_eq!(providers, [(State::Closed, Ok(105)), (State::Closed, Ok(100)), dead]);
}

#[tokio::test]
async fn an_unknown_chain_and_an_unreadable_address_are_said_so() {
    LazyLock::force(&LISTENING);
    let [node] = nodes::<1>().await;
    let rpc = vec!["not an address".to_owned(), node.address.clone()];
    let settings = |quorum| {
        let chain = ChainId::Solana(genesis());
        vec![
            ChainSettings { chain, rpc: rpc.clone(), quorum, confirmations: 0 },
            ChainSettings {
                chain: ChainId::Eip155(1),
                rpc: vec![node.address.clone()],
                quorum: 1,
                confirmations: 0,
            },
        ]
    };
    let connected = Connected::new(&settings(1), &timing());
    assert_eq!(connected.counts().len(), 1);
    assert_eq!(read(&connected, KEY).await.answer, account(b"true"));
    let connected = Connected::new(&settings(2), &timing());
    assert_eq!(read(&connected, KEY).await.answer, unknown("1 of 2 providers do not answer"));
    let none = Connected::new(&[], &timing());
    assert_eq!(read(&none, KEY).await.answer, unknown("the chain is not configured"));
    assert!(none.read(genesis(), None, &[]).await.is_empty());
}

/// Guards: what errors and logs may say. Addresses hold keys; messages are strangers' text.
#[tokio::test]
async fn nothing_of_an_address_or_a_providers_text_is_logged() {
    let mut said = String::new();
    for mode in
        [Mode::Dead, Mode::Error(-1), Mode::Status(401), Mode::Status(302), Mode::Body("?".into())]
    {
        let nodes = nodes::<2>().await;
        nodes[0].script().mode = mode;
        nodes[1].put(KEY, OWNER, b"false");
        let connected = connect(&nodes, 2, timing());
        said += &format!("{:?} {connected:?}", read(&connected, KEY).await);
        said += &format!("{:?} {:?}", find(&connected, HELD).await, connected.health().await);
    }
    let log = String::from_utf8(LOG.take()).unwrap();
    // What our own crates say; hyper names the address at its finest level, which is never on.
    let ours: Vec<_> = log.lines().filter(|line| line.contains("adapter_")).collect();
    assert!(ours.iter().any(|line| line.contains("it could not be reached")), "{log}");
    assert!(!log.contains("secret-key"), "{log}");
    for text in [said.as_str(), ours.join("\n").as_str()] {
        assert!(!text.contains("secret-key") && !text.contains("127.0.0.1"), "{text}");
    }
}
