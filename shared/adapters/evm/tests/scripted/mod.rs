//! A scripted node: JSON-RPC over plain HTTP/1.1, one small chain for all of them, and one fault at
//! a time for each.

use alloy::primitives::{Address, B256, Bytes, U64, U256, keccak256};
use alloy::sol;
use alloy::sol_types::{SolCall, SolValue};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

sol! {
    struct Call3 {
        address target;
        bool allowFailure;
        bytes callData;
    }
    function aggregate3(Call3[] calls) external;
    function getEthBalance(address holder) external;
}

const MULTICALL_CODE: &str = include_str!("../../../../../localstack/contracts/multicall3.hex");

/// A block has one timestamp, whoever is asked for it and when.
static START: LazyLock<u64> =
    LazyLock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs());

/// The chain that all nodes serve.
pub const CHAIN: u64 = 1;

/// What contracts do, by the first byte of their address.
pub mod contract {
    /// Answers one word: the last byte of its call data.
    pub const ECHO: u8 = 1;
    /// Reverts with a reason.
    pub const REVERTS: u8 = 2;
    /// Burns all gas: whatever comes after it in an aggregate is starved.
    pub const BURNS: u8 = 3;
    /// Answers 40 kB.
    pub const LONG: u8 = 4;
    /// Answers nothing, successfully.
    pub const EMPTY: u8 = 5;
    /// Answers 3 MB, 6 in hex: over the cap on a body.
    pub const BOMB: u8 = 6;
    /// No aggregate that has it in it comes to an end.
    pub const POISON: u8 = 7;
}

/// How a node fails or lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    Honest,
    /// Every word of an answer is one more.
    Alters,
    /// Says that every call reverts.
    Denies,
    /// Claims a head far ahead, and makes up hashes.
    FarHead,
    /// Claims the true height, and makes up its hash.
    OtherHash,
    /// Says that it is this many blocks behind, and knows no later ones.
    Behind(u64),
    OtherChain,
    OtherCode,
    /// Every result is null.
    Null,
    /// Every answer is an internal error.
    Error,
    /// Every answer is a JSON-RPC rate limit.
    Limited,
    Status(u16),
    /// A body that does not end.
    Huge,
    /// Not JSON.
    Garbage,
    HangUp,
    Slow(Duration),
    /// Takes no `requireCanonical`.
    Plain,
    /// Has a head, and an internal error for every call.
    NoCalls,
    /// Claims a block that it has not got yet, as one behind a load balancer may.
    NoTip,
    /// Gives the header of another block than it is asked for.
    OtherNumber,
    /// Does not know the block that is asked for by hash.
    NoBlock,
    /// Tells of no logs.
    HidesLogs,
    /// Tells of a transfer that never was, beside others that nobody asked for.
    InventsLogs,
    /// Refuses to tell of logs of more than so many blocks.
    FewBlocks(u64),
    /// Tells of six thousand logs.
    ManyLogs,
}

/// One node.
#[derive(Clone)]
pub struct Node {
    pub url: String,
    state: Arc<Mutex<State>>,
}

struct State {
    fault: Fault,
    head: u64,
    /// How old the head's timestamp is, in seconds.
    age: u64,
    multicall: bool,
    forked: bool,
    requests: usize,
    methods: BTreeMap<String, usize>,
}

impl Node {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/a-secret-key", listener.local_addr().unwrap());
        let state = State {
            fault: Fault::Honest,
            head: 1000,
            age: 5,
            multicall: true,
            forked: false,
            requests: 0,
            methods: BTreeMap::new(),
        };
        let node = Self { url, state: Arc::new(Mutex::new(state)) };
        let serving = node.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let node = serving.clone();
                tokio::spawn(async move { node.serve(stream).await });
            }
        });
        node
    }

    pub fn fault(&self, fault: Fault) {
        self.state.lock().unwrap().fault = fault;
    }

    pub fn head(&self, head: u64, age: u64) {
        let mut state = self.state.lock().unwrap();
        (state.head, state.age) = (head, age);
    }

    pub fn no_multicall(&self) {
        self.state.lock().unwrap().multicall = false;
    }

    /// Every block is replaced by another.
    pub fn fork(&self) {
        self.state.lock().unwrap().forked = true;
    }

    /// HTTP requests since the last look.
    pub fn requests(&self) -> usize {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    /// How often each method was called since the last look.
    pub fn methods(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut self.state.lock().unwrap().methods)
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut received = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
                    break end + 4;
                }
                if stream.read_buf(&mut received).await.ok()? == 0 {
                    return None;
                }
            };
            let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
            let length = head.split("content-length:").nth(1)?.lines().next()?.trim();
            let length: usize = length.parse().ok()?;
            while received.len() < end + length {
                if stream.read_buf(&mut received).await.ok()? == 0 {
                    return None;
                }
            }
            let question: Value = serde_json::from_slice(&received[end..end + length]).ok()?;
            received.drain(..end + length);
            self.state.lock().unwrap().requests += 1;
            let fault = self.state.lock().unwrap().fault;
            let (status, answer) = match fault {
                Fault::HangUp => return None,
                Fault::Slow(time) => {
                    tokio::time::sleep(time).await;
                    (200, self.answer(&question).to_string())
                }
                Fault::Status(status) => (status, "busy".to_owned()),
                Fault::Garbage => (200, "<html>captcha</html>".to_owned()),
                Fault::Huge => {
                    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                    stream.write_all(head.as_bytes()).await.ok()?;
                    let part = format!("100000\r\n{}\r\n", " ".repeat(0x10_0000));
                    loop {
                        stream.write_all(part.as_bytes()).await.ok()?;
                    }
                }
                _ => (200, self.answer(&question).to_string()),
            };
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", answer.len());
            stream.write_all(head.as_bytes()).await.ok()?;
            stream.write_all(answer.as_bytes()).await.ok()?;
        }
    }

    fn answer(&self, question: &Value) -> Value {
        match question {
            Value::Array(questions) => questions.iter().map(|one| self.answer(one)).collect(),
            one => {
                let method = one["method"].as_str().unwrap();
                let mut state = self.state.lock().unwrap();
                *state.methods.entry(method.to_owned()).or_default() += 1;
                let outcome = match state.fault {
                    Fault::Null => Ok(Value::Null),
                    Fault::Error => Err((-32603, "internal error")),
                    Fault::Limited => Err((-32005, "rate limit exceeded")),
                    _ => state.outcome(method, &one["params"]),
                };
                match outcome {
                    Ok(result) => json!({"jsonrpc": "2.0", "id": one["id"], "result": result}),
                    Err((code, message)) => {
                        let error = json!({"code": code, "message": message});
                        json!({"jsonrpc": "2.0", "id": one["id"], "error": error})
                    }
                }
            }
        }
    }
}

/// The token whose one transfer is in the block [`LOGGED`].
pub const TOKEN: Address = Address::repeat_byte(0x33);
/// See [`TOKEN`].
pub const LOGGED: u64 = 995;

/// A transfer of the token with this id.
fn transfer(token: Address, id: u8, number: u64) -> Value {
    let event = keccak256("Transfer(address,address,uint256)");
    let holder = |byte| Address::repeat_byte(byte).into_word();
    json!({
        "address": token, "data": "0x", "blockNumber": U64::from(number), "blockHash": hash(number),
        "topics": [event, holder(0x44), holder(0x55), B256::with_last_byte(id)],
        "logIndex": "0x0", "transactionHash": B256::ZERO, "transactionIndex": "0x0", "removed": false,
    })
}

/// The true hash of a block.
pub fn hash(number: u64) -> B256 {
    keccak256(number.to_be_bytes())
}

/// The true hash of a block after [`Node::fork`].
pub fn fork_hash(number: u64) -> B256 {
    keccak256(hash(number))
}

type Outcome = Result<Value, (i64, &'static str)>;

impl State {
    fn outcome(&self, method: &str, arguments: &Value) -> Outcome {
        let newest = match self.fault {
            Fault::FarHead => self.head + 1_000_000,
            Fault::Behind(blocks) => self.head - blocks,
            _ => self.head,
        };
        let lies = matches!(self.fault, Fault::FarHead | Fault::OtherHash);
        match method {
            "eth_chainId" => {
                Ok(json!(U64::from(if self.fault == Fault::OtherChain { 5 } else { CHAIN })))
            }
            "eth_blockNumber" => Ok(json!(U64::from(newest))),
            "eth_getCode" => Ok(match (self.multicall, self.fault) {
                (_, Fault::OtherCode) => json!("0x60016002"),
                (true, _) => json!(format!("0x{}", MULTICALL_CODE.trim())),
                (false, _) => json!("0x"),
            }),
            "eth_getBlockByNumber" => {
                let number: U64 = serde_json::from_value(arguments[0].clone()).unwrap();
                let mut number: u64 = number.to();
                if self.fault == Fault::OtherNumber {
                    number -= 20;
                }
                if number > newest || (number == newest && self.fault == Fault::NoTip) {
                    return Ok(Value::Null);
                }
                let hash = if lies { hash(number ^ 0xffff) } else { self.hash(number) };
                // Twelve seconds a block, as on the main chain.
                let time = *START - self.age - self.head.saturating_sub(number) * 12;
                Ok(json!({
                    "number": U64::from(number), "hash": hash, "timestamp": U64::from(time),
                    "miner": Address::ZERO, "transactions": [],
                }))
            }
            "eth_call" | "eth_getBalance" => {
                let place = &arguments[1];
                if self.fault == Fault::Plain && !place["requireCanonical"].is_null() {
                    return Err((-32602, "unknown field"));
                }
                if self.fault == Fault::NoCalls {
                    return Err((-32603, "internal error"));
                }
                if self.fault == Fault::NoBlock {
                    return Err((-32000, "header not found"));
                }
                let asked: B256 = serde_json::from_value(place["blockHash"].clone()).unwrap();
                let known = (self.head - 100..=newest).any(|number| self.hash(number) == asked);
                // A liar answers whatever it is asked.
                if !known && !lies {
                    return Err((-32000, "header not found"));
                }
                match method {
                    "eth_getBalance" => Ok(json!(self.balance())),
                    _ => self.call(&arguments[0]),
                }
            }
            "eth_getLogs" => {
                let wanted = &arguments[0];
                let number = |field: &str| -> u64 {
                    let number: U64 = serde_json::from_value(wanted[field].clone()).unwrap();
                    number.to()
                };
                let (from, to) = (number("fromBlock"), number("toBlock"));
                match self.fault {
                    Fault::FewBlocks(most) if to - from >= most => {
                        return Err((-32602, "block range is too wide"));
                    }
                    Fault::HidesLogs => return Ok(json!([])),
                    _ => {}
                }
                assert!(wanted["topics"][0].as_array().unwrap().len() > 10);
                let mut logs = Vec::new();
                if (from..=to).contains(&LOGGED) {
                    logs.push(transfer(TOKEN, 1, LOGGED));
                }
                if self.fault == Fault::InventsLogs {
                    logs.push(transfer(TOKEN, 2, to));
                    logs.push(transfer(TOKEN, 3, to + 1));
                    logs.push(transfer(Address::ZERO, 4, to));
                    let mut other = transfer(TOKEN, 5, to);
                    other["topics"][0] = json!(B256::ZERO);
                    logs.push(other);
                }
                if self.fault == Fault::ManyLogs {
                    logs.extend((0..6000).map(|_| transfer(TOKEN, 6, to)));
                }
                Ok(json!(logs))
            }
            _ => Err((-32601, "no such method")),
        }
    }

    fn hash(&self, number: u64) -> B256 {
        if self.forked { fork_hash(number) } else { hash(number) }
    }

    fn balance(&self) -> U256 {
        if self.fault == Fault::Alters { U256::from(10) } else { U256::from(9) }
    }

    fn call(&self, call: &Value) -> Outcome {
        let data: Bytes = serde_json::from_value(call["data"].clone()).unwrap();
        let Some(to) = call["to"].as_str() else {
            // The signature validator: the last word of its arguments says what to answer.
            let verdict = data[data.len() - 32];
            return match verdict {
                0xee => Err((-32000, "out of gas")),
                _ if self.fault == Fault::Alters => Ok(json!(Bytes::from(vec![1 - verdict]))),
                _ => Ok(json!(Bytes::from(vec![verdict]))),
            };
        };
        let to: Address = to.parse().unwrap();
        if to[0] == 0xca {
            return self.aggregate(&data);
        }
        match self.run(to, &data) {
            Ran::Answer(answer) => Ok(json!(answer)),
            Ran::Reverts => Err((3, "execution reverted: no such token")),
            Ran::Burns => Err((-32000, "out of gas")),
        }
    }

    fn aggregate(&self, data: &[u8]) -> Outcome {
        let calls = aggregate3Call::abi_decode(data).unwrap().calls;
        if calls.iter().any(|call| call.target[0] == contract::POISON) {
            return Err((-32000, "response is too large"));
        }
        let mut starved = false;
        let mut results = Vec::new();
        for call in calls {
            assert!(call.allowFailure);
            let ran = match call.target[0] {
                _ if starved => Ran::Burns,
                0xca => {
                    assert_eq!(call.callData[..4], getEthBalanceCall::SELECTOR);
                    Ran::Answer(self.balance().to_be_bytes_vec().into())
                }
                _ => self.run(call.target, &call.callData),
            };
            results.push(match ran {
                Ran::Answer(answer) => (true, answer),
                Ran::Reverts => (false, Bytes::from_static(b"\x08\xc3\x79\xa0 no such token")),
                Ran::Burns => {
                    starved = true;
                    (false, Bytes::new())
                }
            });
        }
        Ok(json!(Bytes::from(results.abi_encode())))
    }

    fn run(&self, to: Address, data: &[u8]) -> Ran {
        if self.fault == Fault::Denies {
            return Ran::Reverts;
        }
        let more = u8::from(self.fault == Fault::Alters);
        match to[0] {
            contract::ECHO => {
                let mut word = vec![0; 32];
                word[31] = data[data.len() - 1] + more;
                Ran::Answer(word.into())
            }
            contract::REVERTS => Ran::Reverts,
            contract::BURNS => Ran::Burns,
            contract::LONG => Ran::Answer(vec![more; 40_000].into()),
            contract::BOMB => Ran::Answer(vec![more; 3_000_000].into()),
            _ => Ran::Answer(Bytes::new()),
        }
    }
}

enum Ran {
    Answer(Bytes),
    Reverts,
    Burns,
}
