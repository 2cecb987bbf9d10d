//! Three scripted nodes and the adapter: whatever one of them does, facts are what the two others
//! say; whatever two of them do, nothing is learned that is not so.
#![expect(clippy::unwrap_used, reason = "tests")]

mod logs;
mod scripted;

use adapter_evm::{Connected, Counts, Failure, State, Timing};
use app::ports::{ChainSettings, EvmChains};
use domain::abi;
use domain::account::{Address, ChainId};
use domain::fact::{Answer, Block, EvmRead, Fact, Place};
use futures_util::future::join_all;
use scripted::{CHAIN, Fault, Node, contract};
use std::time::{Duration, Instant};

/// As in production, but that nobody waits for seconds.
fn timing() -> Timing {
    Timing {
        request: Duration::from_millis(700),
        overall: Duration::from_secs(2),
        pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(20),
        open: Duration::from_millis(400),
        late: Duration::from_millis(100),
        ..Timing::default()
    }
}

/// For tests that count requests: nobody is late on a busy machine.
fn patient() -> Timing {
    let (late, request) = (Duration::from_secs(5), Duration::from_secs(10));
    Timing { late, request, overall: Duration::from_secs(20), ..timing() }
}

async fn nodes(count: usize) -> Vec<Node> {
    join_all((0..count).map(|_| Node::start())).await
}

fn connect(nodes: &[Node], quorum: usize, timing: &Timing) -> Connected {
    let settings = ChainSettings {
        chain: ChainId::Eip155(CHAIN),
        rpc: nodes.iter().map(|node| node.url.clone()).collect(),
        quorum,
        confirmations: 0,
    };
    Connected::new(&[settings], timing)
}

async fn three() -> (Vec<Node>, Connected) {
    three_with(&timing()).await
}

async fn three_with(timing: &Timing) -> (Vec<Node>, Connected) {
    let nodes = nodes(3).await;
    let connected = connect(&nodes, 2, timing);
    (nodes, connected)
}

fn call(kind: u8, last: u8) -> EvmRead {
    let mut to = [0x11; 20];
    to[0] = kind;
    EvmRead::Call { to: Address(to), data: vec![1, 2, 3, 4, last] }
}

fn balance() -> EvmRead {
    EvmRead::Balance(Address([0x22; 20]))
}

fn word(last: u8) -> Answer {
    let mut word = vec![0; 32];
    word[31] = last;
    Answer::Bytes(word)
}

fn refused(reason: &str) -> Answer {
    Answer::Refused(reason.into())
}

fn unknown(reason: &str) -> Answer {
    Answer::Unknown(reason.into())
}

fn two_silent() -> [Answer; 1] {
    [unknown("2 of 3 providers do not answer")]
}

fn answers(facts: &[Fact]) -> Vec<Answer> {
    facts.iter().map(|fact| fact.answer.clone()).collect()
}

fn counts(connected: &Connected) -> Counts {
    connected.counts().remove(0).1
}

async fn read(connected: &Connected, reads: &[EvmRead]) -> Vec<Answer> {
    answers(&connected.read(CHAIN, None, reads).await)
}

fn block(number: u64) -> Block {
    Block { number, hash: scripted::hash(number).to_string() }
}

#[tokio::test]
async fn facts_are_what_the_chain_says_and_where() {
    let (_nodes, connected) = three_with(&patient()).await;
    let reads = [
        call(contract::ECHO, 7),
        call(contract::REVERTS, 0),
        call(contract::LONG, 0),
        call(contract::EMPTY, 0),
        balance(),
    ];
    let facts = connected.read(CHAIN, None, &reads).await;
    let expected = [
        word(7),
        refused("reverted"),
        refused("answers more than 32 KiB"),
        Answer::Bytes(Vec::new()),
        word(9),
    ];
    assert_eq!(answers(&facts), expected);
    assert!(facts.iter().all(|fact| fact.place == Some(Place::Block(block(1000)))));
    assert!(facts[0].read_at > 1_700_000_000);
    assert!(read(&connected, &[]).await.is_empty());
    let elsewhere = connected.read(5, None, &reads[..1]).await;
    assert_eq!(answers(&elsewhere), [unknown("the chain is not configured")]);
}

/// Guard: agreement (`Chain::read` takes what a quorum says, and `Chain::agree` the hash that a
/// quorum has). Each fault hits one provider, in each place, and the facts are the same and at the
/// same block, in time.
#[tokio::test]
async fn one_provider_changes_nothing_whatever_it_does() {
    let faults = [
        Fault::Alters,
        Fault::Denies,
        Fault::FarHead,
        Fault::OtherHash,
        Fault::Behind(3),
        Fault::Behind(90),
        Fault::OtherChain,
        Fault::OtherCode,
        Fault::Null,
        Fault::Error,
        Fault::Limited,
        Fault::Status(500),
        Fault::Status(429),
        Fault::Status(401),
        Fault::Huge,
        Fault::Garbage,
        Fault::HangUp,
        Fault::Slow(Duration::from_secs(9)),
        Fault::Plain,
        Fault::NoBlock,
        Fault::NoCalls,
        Fault::NoTip,
        Fault::OtherNumber,
    ];
    let reads = [call(contract::ECHO, 7), call(contract::REVERTS, 0), balance()];
    let expected = vec![word(7), refused("reverted"), word(9)];
    for fault in faults {
        join_all((0..3).map(async |place| {
            let (nodes, connected) = three().await;
            nodes[place].fault(fault);
            for round in 0..3 {
                let began = Instant::now();
                let facts = connected.read(CHAIN, None, &reads).await;
                let what = format!("{fault:?} of {place} in round {round}");
                assert_eq!(answers(&facts), expected, "{what}");
                let Some(Place::Block(block)) = &facts[0].place else { panic!("{what}") };
                // Who lags a little may make the head as old as itself, and no older.
                let back = if fault == Fault::Behind(3) { 3 } else { 0 };
                assert!((1000 - back..=1000).contains(&block.number), "{what}: {}", block.number);
                assert_eq!(*block, self::block(block.number), "{what}");
                assert!(began.elapsed() < timing().overall, "{what}");
            }
        }))
        .await;
    }
}

/// Guard: the quorum. Two that are away leave one, who may say anything.
#[tokio::test]
async fn two_dead_of_three_leave_it_unknown() {
    let slow = Fault::Slow(Duration::from_secs(9));
    for fault in [Fault::Status(500), Fault::HangUp, Fault::NoCalls, Fault::NoBlock, slow] {
        let (nodes, connected) = three().await;
        nodes[1].fault(fault);
        nodes[2].fault(fault);
        let reads = [call(contract::ECHO, 7)];
        assert_eq!(read(&connected, &reads).await, two_silent(), "{fault:?}");
        // At a block that is known, too.
        let facts = connected.read(CHAIN, Some(&block(1000)), &reads).await;
        assert_eq!(answers(&facts), two_silent(), "{fault:?}");
        assert_eq!(connected.signed(CHAIN, Address([3; 20]), [4; 32], &[1; 32]).await, None);
    }
}

/// Guard: a node error that is no contract's doing is the provider's failure, and no refusal.
#[tokio::test]
async fn a_node_that_can_not_run_calls_is_not_asked_for_ever() {
    let nodes = nodes(1).await;
    let connected = connect(&nodes, 1, &timing());
    nodes[0].fault(Fault::NoCalls);
    let expected = [unknown("the provider does not answer")];
    for _ in 0..5 {
        assert_eq!(read(&connected, &[call(contract::ECHO, 7)]).await, expected);
    }
    nodes[0].requests();
    assert_eq!(read(&connected, &[call(contract::ECHO, 7)]).await, expected);
    assert_eq!(nodes[0].requests(), 0);
}

/// Guard: agreement. Without a quorum it is a yes for one and a no for the other.
#[tokio::test]
async fn two_that_contradict_each_other_settle_nothing() {
    let nodes = nodes(2).await;
    let connected = connect(&nodes, 2, &timing());
    let reads = [call(contract::ECHO, 7), call(contract::EMPTY, 7)];
    read(&connected, &reads).await;
    nodes[1].fault(Fault::Alters);
    let expected = [unknown("the providers disagree"), Answer::Bytes(Vec::new())];
    assert_eq!(read(&connected, &reads).await, expected);
    nodes[1].fault(Fault::Denies);
    assert_eq!(read(&connected, &reads).await[0], unknown("the providers disagree"));
    assert_eq!(counts(&connected).disagreements, 2);
}

/// Guard: `head::seems_old` and `Chain::ask_others`. A liar who says that it is long ago would
/// else show a film to whoever held the token then.
#[tokio::test]
async fn a_head_of_long_ago_needs_all_to_say_so() {
    let (nodes, connected) = three().await;
    for place in 0..3 {
        for node in &nodes {
            node.fault(Fault::Honest);
        }
        nodes[place].fault(Fault::Behind(50));
        let connected = connect(&nodes, 2, &timing());
        let facts = connected.read(CHAIN, None, &[call(contract::ECHO, 7)]).await;
        assert_eq!(facts[0].place, Some(Place::Block(block(1000))), "{place}");
    }
    // All of them: a chain that pauses is a chain, for five minutes.
    for node in &nodes {
        node.fault(Fault::Honest);
        node.head(1000, 290);
    }
    assert_eq!(read(&connected, &[call(contract::ECHO, 7)]).await, [word(7)]);
    let connected = connect(&nodes, 2, &timing());
    for node in &nodes {
        node.head(1000, 310);
    }
    let reason = "the chain is stuck: its newest block is not of the last 5 minutes";
    assert_eq!(read(&connected, &[call(contract::ECHO, 7)]).await, [unknown(reason)]);
}

/// Guard: `Chain::reached`. A liar may not take the head back, not by a block, while the others
/// have it.
#[tokio::test]
async fn the_head_does_not_go_back_for_one() {
    let nodes = nodes(3).await;
    let connected = connect(&nodes, 2, &Timing { head: Duration::ZERO, ..timing() });
    let reads = [call(contract::ECHO, 7)];
    read(&connected, &reads).await;
    for (place, node) in nodes.iter().enumerate() {
        node.fault(Fault::Behind(2));
        let facts = connected.read(CHAIN, None, &reads).await;
        assert_eq!(facts[0].place, Some(Place::Block(block(1000))), "{place}");
        node.fault(Fault::Honest);
    }
}

/// Guard: `Chain::read` looks for a new head when the shared one is gone. At an earlier round's
/// block it does not: a decision is made at one block.
#[tokio::test]
async fn a_head_that_is_replaced_is_not_insisted_on() {
    let (nodes, connected) = three().await;
    let reads = [call(contract::ECHO, 7)];
    read(&connected, &reads).await;
    nodes.iter().for_each(Node::fork);
    let facts = connected.read(CHAIN, None, &reads).await;
    assert_eq!(answers(&facts), [word(7)]);
    let hash = scripted::fork_hash(1000).to_string();
    assert_eq!(facts[0].place, Some(Place::Block(Block { number: 1000, hash })));
    // And nobody is shut out for what is nobody's fault.
    for _ in 0..6 {
        let facts = connected.read(CHAIN, Some(&block(1000)), &reads).await;
        assert!(matches!(facts[0].answer, Answer::Unknown(_)));
    }
    assert_eq!(read(&connected, &reads).await, [word(7)]);
}

/// Guard: `Chain::agree` steps back one block where the tip is not settled.
#[tokio::test]
async fn a_tip_that_one_has_not_got_yet_is_left_for_later() {
    let nodes = nodes(2).await;
    let connected = connect(&nodes, 2, &timing());
    nodes[1].fault(Fault::NoTip);
    let facts = connected.read(CHAIN, None, &[call(contract::ECHO, 7)]).await;
    assert_eq!(answers(&facts), [word(7)]);
    assert_eq!(facts[0].place, Some(Place::Block(block(999))));
}

#[tokio::test]
async fn confirmations_keep_a_distance_from_the_tip() {
    let nodes = nodes(3).await;
    let settings = ChainSettings {
        chain: ChainId::Eip155(CHAIN),
        rpc: nodes.iter().map(|node| node.url.clone()).collect(),
        quorum: 2,
        confirmations: 12,
    };
    let connected = Connected::new(&[settings], &timing());
    let facts = connected.read(CHAIN, None, &[balance()]).await;
    assert_eq!(facts[0].place, Some(Place::Block(block(988))));
}

/// Guard: the breaker. And that a lie counts as a failure, as not to answer does.
#[tokio::test]
async fn who_fails_or_lies_is_not_asked_for_a_while() {
    for fault in [Fault::Status(500), Fault::Alters] {
        let nodes = nodes(2).await;
        let connected = connect(&nodes, 1, &timing());
        let liar = connect(&[&nodes[..], &self::nodes(1).await].concat(), 2, &timing());
        let connected = if fault == Fault::Alters { &liar } else { &connected };
        let reads = [call(contract::ECHO, 7)];
        read(connected, &reads).await;
        nodes[0].fault(fault);
        let mut rounds = 0;
        // It is asked while it seems the quickest; its failures must be in a row.
        for _ in 0..60 {
            assert_eq!(read(connected, &reads).await, [word(7)]);
            rounds += 1;
            if nodes[0].requests() == 0 && rounds > 5 {
                break;
            }
        }
        assert!(rounds < 60, "{fault:?} is asked for ever");
    }
}

/// Guard: the state machine's times, seen from outside: open, then one trial, then closed.
#[tokio::test]
async fn a_breaker_opens_and_tries_again() {
    let nodes = nodes(1).await;
    let connected = connect(&nodes, 1, &Timing { retries: 0, ..timing() });
    let reads = [call(contract::ECHO, 7)];
    nodes[0].fault(Fault::Status(500));
    for _ in 0..5 {
        assert!(!matches!(read(&connected, &reads).await[0], Answer::Bytes(_)));
    }
    assert_eq!(nodes[0].requests(), 5);
    nodes[0].fault(Fault::Honest);
    let expected = [unknown("the provider does not answer")];
    assert_eq!(read(&connected, &reads).await, expected);
    assert_eq!(nodes[0].requests(), 0, "it is open");
    tokio::time::sleep(timing().open).await;
    assert_eq!(read(&connected, &reads).await, [word(7)]);
}

/// Guard: `adapter_provider::attempts` is the only retry: what was lost on its way is asked again
/// twice, and an error answer is an answer.
#[tokio::test]
async fn lost_requests_are_made_again_and_answers_are_not() {
    for (fault, requests) in [
        (Fault::Status(429), 3),
        (Fault::HangUp, 3),
        (Fault::Status(401), 1),
        (Fault::Error, 1),
        (Fault::Limited, 1),
        (Fault::Garbage, 1),
        (Fault::Huge, 1),
        (Fault::OtherChain, 1),
        (Fault::OtherNumber, 2),
    ] {
        let nodes = nodes(1).await;
        let connected = connect(&nodes, 1, &timing());
        nodes[0].fault(fault);
        assert!(matches!(read(&connected, &[balance()]).await[0], Answer::Unknown(_)));
        assert_eq!(nodes[0].requests(), requests, "{fault:?}");
        assert_eq!(counts(&connected).requests, [requests as u64]);
    }
}

/// Guard: hedging. The third is asked when one of two is late, and not before.
#[tokio::test]
async fn the_third_is_asked_only_when_it_is_needed() {
    let (nodes, connected) = three().await;
    let reads = [call(contract::ECHO, 7)];
    read(&connected, &reads).await;
    assert_eq!([0, 1, 2].map(|place| nodes[place].requests()), [3, 3, 0]);
    read(&connected, &reads).await;
    assert_eq!([0, 1, 2].map(|place| nodes[place].requests()), [1, 1, 0]);
    nodes[1].fault(Fault::Slow(Duration::from_millis(500)));
    let began = Instant::now();
    assert_eq!(read(&connected, &reads).await, [word(7)]);
    assert!(began.elapsed() < Duration::from_millis(450), "{:?}", began.elapsed());
    assert_eq!([0, 1].map(|place| nodes[place].requests()), [1, 1]);
    // Its checks come first: it was never asked before.
    assert_eq!(nodes[2].requests(), 2);
}

/// Guard: the shared head. Twenty reads are one request per provider, and no read fetches a head
/// that another has just fetched.
#[tokio::test]
async fn reads_of_a_decision_share_a_request_and_decisions_share_a_head() {
    let (nodes, connected) = three_with(&patient()).await;
    let reads: Vec<_> = (0..20).map(|last| call(contract::ECHO, last)).collect();
    let expected: Vec<_> = (0..20).map(word).collect();
    assert_eq!(read(&connected, &reads).await, expected);
    for node in &nodes[..2] {
        let methods = node.methods();
        // A cold chain: checks and number, header, reads.
        assert_eq!((node.requests(), methods["eth_blockNumber"]), (3, 1));
        assert_eq!((methods["eth_getBlockByNumber"], methods["eth_call"]), (1, 1));
    }
    assert_eq!(read(&connected, &reads).await, expected);
    for node in &nodes[..2] {
        let methods = node.methods();
        assert_eq!((node.requests(), methods.len(), methods["eth_call"]), (1, 1, 1));
    }
    // Fifty decisions at once, cold.
    let connected = connect(&nodes, 2, &patient());
    let all = join_all((0..50).map(|_| read(&connected, &reads[..1]))).await;
    assert!(all.iter().all(|answers| *answers == expected[..1]));
    for node in &nodes[..2] {
        let methods = node.methods();
        assert_eq!((methods["eth_blockNumber"], methods["eth_getBlockByNumber"]), (1, 1));
        assert_eq!(methods["eth_call"], 50);
    }
    // At the block of an earlier round no head is asked for at all.
    connected.read(CHAIN, Some(&block(990)), &reads).await;
    assert_eq!(nodes[0].methods().keys().collect::<Vec<_>>(), ["eth_call"]);
    // And an old head is fetched anew.
    let connected = connect(&nodes, 2, &Timing { head: Duration::from_millis(50), ..patient() });
    read(&connected, &reads).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    nodes.iter().for_each(|node| node.head(1001, 5));
    let facts = connected.read(CHAIN, None, &reads).await;
    assert_eq!(facts[0].place, Some(Place::Block(block(1001))));
}

/// Guard: what fails and says nothing is asked again by itself.
#[tokio::test]
async fn a_neighbour_that_burns_all_gas_starves_nobody() {
    let (nodes, connected) = three_with(&patient()).await;
    let reads =
        [call(contract::ECHO, 1), call(contract::BURNS, 0), call(contract::ECHO, 2), balance()];
    let expected = [word(1), refused("uses up all gas"), word(2), word(9)];
    assert_eq!(read(&connected, &reads).await, expected);
    let methods = nodes[0].methods();
    // The aggregate; then, in one request, the three that came after the fire.
    assert_eq!((methods["eth_call"], methods["eth_getBalance"]), (3, 1));
    assert_eq!(nodes[0].requests(), 4);
    // An aggregate that fails as a whole is taken apart.
    let reads = [call(contract::ECHO, 1), call(contract::POISON, 0), balance()];
    assert_eq!(read(&connected, &reads).await, [word(1), Answer::Bytes(Vec::new()), word(9)]);
    // So is one whose body is too long, and so is the batch of its parts.
    let reads = [call(contract::ECHO, 1), call(contract::BOMB, 0), balance()];
    let expected = [word(1), refused("answers more than 32 KiB"), word(9)];
    assert_eq!(read(&connected, &reads).await, expected);
    assert_eq!(counts(&connected).disagreements, 0);
}

/// Guard: `is_refused_by_right`. In an aggregate its silence would tell nothing, and every contract
/// that nobody has asked about yet would cost a second request.
#[tokio::test]
async fn what_every_contract_refuses_rides_along() {
    let (nodes, connected) = three_with(&patient()).await;
    read(&connected, &[balance()]).await;
    nodes[0].requests();
    nodes[0].methods();
    let probe = |kind| {
        let EvmRead::Call { to, .. } = call(kind, 0) else { unreachable!() };
        EvmRead::Call { to, data: abi::call("streamgateIsNoFunctionOfYours()", &[]) }
    };
    let reads = [
        call(contract::ECHO, 1),
        probe(contract::REVERTS),
        probe(contract::BURNS),
        call(contract::ECHO, 2),
    ];
    let expected = [word(1), refused("reverted"), refused("uses up all gas"), word(2)];
    assert_eq!(read(&connected, &reads).await, expected);
    assert_eq!((nodes[0].requests(), nodes[0].methods()["eth_call"]), (1, 3));
}

/// Guard: the bound on what is asked singly.
#[tokio::test]
async fn more_failing_calls_than_64_are_not_asked_singly() {
    let (nodes, connected) = three_with(&patient()).await;
    let mut reads = vec![call(contract::BURNS, 0)];
    reads.extend((0..99).map(|last| call(contract::ECHO, last)));
    let answers = read(&connected, &reads).await;
    assert_eq!(answers[0], refused("uses up all gas"));
    for (index, answer) in answers.iter().enumerate().skip(1) {
        match index < 64 {
            true => assert_eq!(*answer, word(u8::try_from(index - 1).unwrap())),
            false => assert_eq!(*answer, unknown("too many calls fail together"), "{index}"),
        }
    }
    assert_eq!(nodes[0].methods()["eth_call"], 65);
}

#[tokio::test]
async fn long_requests_are_several_aggregates_in_one_request() {
    let (nodes, connected) = three_with(&patient()).await;
    read(&connected, &[balance()]).await;
    nodes[0].requests();
    nodes[0].methods();
    let reads: Vec<_> = (0..700).map(|index| call(contract::ECHO, (index % 250) as u8)).collect();
    let expected: Vec<_> = (0..700).map(|index| word((index % 250) as u8)).collect();
    assert_eq!(read(&connected, &reads).await, expected);
    assert_eq!((nodes[0].requests(), nodes[0].methods()["eth_call"]), (1, 3));
}

#[tokio::test]
async fn a_chain_without_multicall_is_read_by_batches() {
    let (nodes, connected) = three_with(&patient()).await;
    nodes.iter().for_each(Node::no_multicall);
    let reads = [
        call(contract::ECHO, 7),
        call(contract::REVERTS, 0),
        call(contract::BURNS, 0),
        call(contract::EMPTY, 0),
        balance(),
    ];
    let expected = [
        word(7),
        refused("reverted"),
        refused("uses up all gas"),
        Answer::Bytes(Vec::new()),
        word(9),
    ];
    assert_eq!(read(&connected, &reads).await, expected);
    let methods = nodes[0].methods();
    assert_eq!((methods["eth_call"], methods["eth_getBalance"]), (4, 1));
    assert_eq!(nodes[0].requests(), 3);
    // One that hides its Multicall3 says the same all the same.
    let (nodes, connected) = three_with(&patient()).await;
    nodes[0].no_multicall();
    assert_eq!(read(&connected, &reads).await, expected);
}

/// Guard: the digest of the code. Another contract there could answer what it likes, also through
/// honest nodes; and one node alone that shows it is a liar.
#[tokio::test]
async fn another_contract_in_multicalls_place_is_not_asked() {
    let (nodes, connected) = three().await;
    for node in &nodes[..2] {
        node.fault(Fault::OtherCode);
    }
    assert_eq!(read(&connected, &[call(contract::ECHO, 7)]).await, two_silent());
    assert!(nodes.iter().all(|node| !node.methods().contains_key("eth_call")));
}

/// Guard: the chain id is asked for. Nodes of another chain answer perfectly well.
#[tokio::test]
async fn providers_of_another_chain_are_not_believed() {
    let (nodes, connected) = three().await;
    for node in &nodes[..2] {
        node.fault(Fault::OtherChain);
    }
    assert_eq!(read(&connected, &[call(contract::ECHO, 7)]).await, two_silent());
    let facts = connected.read(CHAIN, Some(&block(1000)), &[call(contract::ECHO, 7)]).await;
    assert_eq!(answers(&facts), two_silent());
}

#[tokio::test]
async fn a_node_that_takes_only_a_plain_hash_gets_one() {
    let nodes = nodes(1).await;
    let connected = connect(&nodes, 1, &timing());
    nodes[0].fault(Fault::Plain);
    assert_eq!(read(&connected, &[balance()]).await, [word(9)]);
    assert_eq!(nodes[0].requests(), 4);
    assert_eq!(read(&connected, &[balance()]).await, [word(9)]);
    assert_eq!(nodes[0].requests(), 1, "it is remembered");
}

/// Guard: agreement on the validator's byte, and the bound on a signature.
#[tokio::test]
async fn a_wallets_word_needs_the_quorum_too() {
    let (nodes, connected) = three().await;
    let signed = async |verdict: u8| {
        let mut signature = [5; 32];
        signature[0] = verdict;
        connected.signed(CHAIN, Address([3; 20]), [4; 32], &signature).await
    };
    assert_eq!((signed(1).await, signed(0).await), (Some(true), Some(false)));
    // No byte that it may answer; and a wallet that burns all gas has not signed.
    assert_eq!((signed(2).await, signed(0xee).await), (None, Some(false)));
    nodes[0].fault(Fault::Alters);
    assert_eq!((signed(1).await, signed(0).await), (Some(true), Some(false)));
    nodes[1].fault(Fault::Status(500));
    assert_eq!(signed(0).await, None);
    let long = connected.signed(CHAIN, Address([3; 20]), [4; 32], &[1; 4097]).await;
    assert_eq!(long, Some(false));
    assert_eq!(connected.signed(5, Address([3; 20]), [4; 32], &[1; 65]).await, None);
}

#[tokio::test]
async fn health_looks_at_every_provider_and_names_no_address() {
    let (nodes, connected) = three().await;
    let (chain, health) = connected.health().await.remove(0);
    assert_eq!((chain, health.quorum), (ChainId::Eip155(CHAIN), 2));
    assert_eq!(health.head, Ok(block(1000)));
    assert!(health.providers.iter().all(|one| one.head == Ok(1000)));
    for (fault, trouble) in [
        (Fault::OtherHash, Failure::Unfit("it contradicts the others")),
        (Fault::OtherChain, Failure::WrongChain),
        (Fault::OtherCode, Failure::Unfit("it has another Multicall3 than the chain")),
        (Fault::Behind(50), Failure::Behind),
        (Fault::Status(503), Failure::Busy),
        (Fault::Slow(Duration::from_secs(9)), Failure::Late),
    ] {
        let connected = connect(&nodes, 2, &timing());
        nodes[2].fault(fault);
        let (_, health) = connected.health().await.remove(0);
        assert_eq!(health.head, Ok(block(1000)), "{fault:?}");
        let heads: Vec<_> = health.providers.into_iter().map(|one| one.head).collect();
        assert_eq!(heads, [Ok(1000), Ok(1000), Err(trouble)]);
    }
    nodes[1].fault(Fault::Status(503));
    let connected = connect(&nodes, 2, &Timing { open: Duration::from_secs(60), ..timing() });
    for _ in 0..5 {
        let (_, health) = connected.health().await.remove(0);
        assert_eq!(health.head, Err("2 of 3 providers do not answer".into()));
    }
    let health = connected.health().await;
    let states: Vec<_> = health[0].1.providers.iter().map(|one| one.state).collect();
    assert_eq!(states, [State::Closed, State::Open, State::Open]);
    let shown = format!("{connected:?} {health:?}");
    assert!(!shown.contains("127.0.0.1") && !shown.contains("secret"), "{shown}");
}

/// An address that can't be read is a provider that fails, in its place; others keep theirs.
#[tokio::test]
async fn a_bad_address_fails_alone() {
    let nodes = nodes(2).await;
    let settings = ChainSettings {
        chain: ChainId::Eip155(CHAIN),
        rpc: vec!["no address".into(), nodes[0].url.clone(), nodes[1].url.clone()],
        quorum: 2,
        confirmations: 0,
    };
    let connected = Connected::new(&[settings], &timing());
    assert_eq!(read(&connected, &[balance()]).await, [word(9)]);
    let (_, health) = connected.health().await.remove(0);
    assert_eq!(health.providers[0].head, Err(Failure::Unfit("its address can't be read")));
    assert_eq!(health.head, Ok(block(1000)));
}
