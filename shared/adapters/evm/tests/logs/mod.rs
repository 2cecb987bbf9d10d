//! Following logs over three scripted nodes: whatever one of them hides or invents, no transfer is
//! missed.

use crate::scripted::{self, CHAIN, Fault, LOGGED, Node, TOKEN};
use adapter_evm::{Connected, Timing};
use app::ports::{ChainSettings, EvmLogs, Logs};
use domain::account::{Address, ChainId};
use domain::fact::Block;
use std::time::Duration;

const SLOW: Duration = Duration::from_secs(60);

async fn three() -> (Vec<Node>, Connected) {
    let nodes = futures_util::future::join_all((0..3).map(|_| Node::start())).await;
    let settings = ChainSettings {
        chain: ChainId::Eip155(CHAIN),
        rpc: nodes.iter().map(|node| node.url.clone()).collect(),
        quorum: 2,
        confirmations: 0,
    };
    let timing = Timing {
        request: Duration::from_millis(700),
        overall: Duration::from_secs(2),
        pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(20),
        ..Timing::default()
    };
    let connected = Connected::new(&[settings], &timing);
    (nodes, connected)
}

fn block(number: u64) -> Block {
    Block { number, hash: scripted::hash(number).to_string() }
}

async fn logs(connected: &Connected, from: u64, to: &Block) -> Result<Option<Logs>, String> {
    let contracts = [Address(TOKEN.into())];
    connected.logs(CHAIN, from, to, &contracts).await.map_err(|error| error.to_string())
}

/// The ids of the transfers that were told.
async fn told(connected: &Connected, from: u64, to: u64) -> Vec<u8> {
    let logs = logs(connected, from, &block(to)).await.unwrap().unwrap();
    assert!(!logs.more);
    logs.logs.iter().map(|log| log.topics[3][31]).collect()
}

#[tokio::test]
async fn logs_are_told_of_their_blocks() {
    let (_nodes, connected) = three().await;
    let head = connected.newest(CHAIN).await.unwrap();
    assert_eq!(head.block, block(1000));
    assert_eq!(connected.at(CHAIN, 998).await.unwrap().block, block(998));
    assert_eq!(connected.at(CHAIN, 1000).await.unwrap(), head);
    assert_eq!(told(&connected, 990, 1000).await, [1]);
    assert_eq!(told(&connected, LOGGED, LOGGED).await, [1]);
    assert!(told(&connected, 996, 1000).await.is_empty());
    assert!(connected.at(CHAIN, 1001).await.is_err());
    assert!(connected.newest(5).await.is_err());
}

/// Guard: the union. With agreement, one that hides a transfer would keep a stream alive.
#[tokio::test]
async fn one_that_hides_fails_or_lies_hides_nothing() {
    for fault in [
        Fault::HidesLogs,
        Fault::FewBlocks(1),
        Fault::FarHead,
        Fault::OtherHash,
        Fault::Behind(3),
        Fault::OtherChain,
        Fault::Error,
        Fault::Garbage,
        Fault::HangUp,
        Fault::Slow(SLOW),
        Fault::Status(401),
    ] {
        for place in 0..3 {
            let (nodes, connected) = three().await;
            nodes[place].fault(fault);
            assert_eq!(told(&connected, 990, 1000).await, [1], "{fault:?}");
        }
    }
    // Also where a second one is down.
    let (nodes, connected) = three().await;
    nodes[0].fault(Fault::HidesLogs);
    nodes[1].fault(Fault::Status(503));
    assert_eq!(told(&connected, 990, 1000).await, [1]);
}

#[tokio::test]
async fn what_one_invents_counts_within_what_was_asked() {
    let (nodes, connected) = three().await;
    nodes[2].fault(Fault::InventsLogs);
    let mut ids = told(&connected, 990, 1000).await;
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
}

#[tokio::test]
async fn one_that_tells_without_end_is_heard_out_and_it_is_said() {
    let (nodes, connected) = three().await;
    nodes[2].fault(Fault::ManyLogs);
    let logs = logs(&connected, 990, &block(1000)).await.unwrap().unwrap();
    assert!(logs.more && logs.logs.len() == 2);
}

#[tokio::test]
async fn a_range_that_too_many_refuse_is_refused() {
    let (nodes, connected) = three().await;
    nodes[0].fault(Fault::FewBlocks(5));
    nodes[1].fault(Fault::FewBlocks(5));
    assert_eq!(logs(&connected, 990, &block(1000)).await, Ok(None));
    assert_eq!(told(&connected, 994, 998).await, [1]);
}

/// Guard: silence of too many is no sign that nothing happened; nor is a word from another fork.
#[tokio::test]
async fn fewer_than_a_quorum_tell_nothing() {
    for fault in [Fault::Status(503), Fault::Behind(3), Fault::OtherHash, Fault::Null] {
        let (nodes, connected) = three().await;
        nodes[0].fault(fault);
        nodes[1].fault(fault);
        assert!(logs(&connected, 990, &block(1000)).await.is_err(), "{fault:?}");
    }
    let (nodes, connected) = three().await;
    nodes.iter().for_each(Node::fork);
    assert!(logs(&connected, 990, &block(1000)).await.is_err());
}
