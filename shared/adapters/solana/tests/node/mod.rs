//! A Solana node that says what a test has it say: JSON-RPC over plain HTTP/1.1.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::account::{Genesis, Pubkey};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub const GENESIS_HASH: &str = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d";
const CLOCK: &str = "SysvarC1ock11111111111111111111111111111111";

pub fn genesis() -> Genesis {
    Genesis::new(&GENESIS_HASH[..32]).unwrap()
}

/// Owner program and data, by key.
pub type Accounts = BTreeMap<Pubkey, (Pubkey, Vec<u8>)>;

/// What a node does with a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    Honest,
    /// Closes the connection.
    Dead,
    /// Never answers.
    Hang,
    /// An HTTP status without a body.
    Status(u16),
    /// A JSON-RPC error.
    Error(i64),
    /// This instead of the result.
    Result(Value),
    /// This instead of the whole body.
    Body(String),
}

#[derive(Debug)]
pub struct Script {
    pub mode: Mode,
    /// For requests of one method only.
    pub modes: BTreeMap<&'static str, Mode>,
    pub delay: Duration,
    pub genesis: String,
    pub slot: u64,
    /// How old its clock says that its state is.
    pub age: i64,
    /// Whether it heeds `minContextSlot` and `dataSlice`.
    pub heeds: bool,
    pub accounts: Accounts,
    /// What it comes to know, one by one, each time after it was asked for accounts.
    pub later: VecDeque<(u64, Accounts)>,
    pub log: Vec<Value>,
}

#[derive(Clone)]
pub struct Node {
    pub address: String,
    script: Arc<Mutex<Script>>,
}

impl Node {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/secret-key", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script {
            mode: Mode::Honest,
            modes: BTreeMap::new(),
            delay: Duration::ZERO,
            genesis: GENESIS_HASH.to_owned(),
            slot: 100,
            age: 0,
            heeds: true,
            accounts: Accounts::new(),
            later: VecDeque::new(),
            log: Vec::new(),
        }));
        let served = script.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, served.clone()));
            }
        });
        Self { address, script }
    }

    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    pub fn put(&self, key: Pubkey, owner: Pubkey, data: &[u8]) {
        self.script().accounts.insert(key, (owner, data.to_vec()));
    }

    /// The methods asked for so far, and no more from here on.
    pub fn asked(&self) -> Vec<String> {
        let log = std::mem::take(&mut self.script().log);
        log.iter().map(|request| request["method"].as_str().unwrap().to_owned()).collect()
    }
}

/// Requests of one connection, until it ends.
async fn serve(stream: TcpStream, script: Arc<Mutex<Script>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let request: Value = serde_json::from_slice(&body).unwrap();
        let (delay, mode, answer) = {
            let mut script = script.lock().unwrap();
            script.log.push(request.clone());
            let method = request["method"].as_str().unwrap();
            let mode = script.modes.get(method).unwrap_or(&script.mode).clone();
            let answer = answer(&mut script, &request);
            (script.delay, mode, answer)
        };
        tokio::time::sleep(delay).await;
        let id = &request["id"];
        let result =
            |result: Value| json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
        let error = |code: i64| {
            let error = json!({"code": code, "message": "a message with http://secret-key"});
            json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string()
        };
        let body = match mode {
            Mode::Honest => answer.map_or_else(error, result),
            Mode::Dead => return None,
            Mode::Hang => std::future::pending().await,
            Mode::Error(code) => error(code),
            Mode::Result(value) => result(value),
            Mode::Body(body) => body,
            Mode::Status(status) => {
                let head = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(head.as_bytes()).await.ok()?;
                continue;
            }
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(body.as_bytes()).await.ok()?;
    }
}

/// What an honest node answers, or its error.
fn answer(script: &mut Script, request: &Value) -> Result<Value, i64> {
    let params = &request["params"];
    let config = params.as_array().and_then(|params| params.last()).unwrap_or(&Value::Null);
    if script.heeds && config["minContextSlot"].as_u64().is_some_and(|slot| slot > script.slot) {
        advance(script);
        return Err(-32016);
    }
    let slice = &config["dataSlice"];
    let slice = script.heeds.then(|| {
        slice["length"].as_u64().map(|length| {
            (
                usize::try_from(slice["offset"].as_u64().unwrap()).unwrap(),
                usize::try_from(length).unwrap(),
            )
        })
    });
    let wire = |owner: &Pubkey, data: &[u8]| {
        let data = match slice.flatten() {
            Some((offset, length)) => {
                let data = data.get(offset..).unwrap_or_default();
                &data[..data.len().min(length)]
            }
            None => data,
        };
        json!({
            "owner": owner, "data": [STANDARD.encode(data), "base64"], "lamports": 1,
            "executable": false, "rentEpoch": u64::MAX, "space": data.len(),
        })
    };
    let keyed = |(key, (owner, data)): (&Pubkey, &(Pubkey, Vec<u8>))| json!({"pubkey": key, "account": wire(owner, data)});
    let at = |value: Value| json!({"context": {"slot": script.slot, "apiVersion": "4.2.2"}, "value": value});
    match request["method"].as_str().unwrap() {
        "getGenesisHash" => Ok(json!(script.genesis)),
        "getSlot" => Ok(json!(script.slot)),
        "getMultipleAccounts" => {
            let keys = params[0].as_array().unwrap();
            if keys.len() > 100
                || config["encoding"] != "base64"
                || config["commitment"] != "confirmed"
            {
                return Err(-32602);
            }
            let accounts: Vec<_> = keys
                .iter()
                .map(|key| {
                    let key = key.as_str().unwrap();
                    if key == CLOCK {
                        return wire(&Pubkey([6; 32]), &clock(script.age));
                    }
                    let found = script.accounts.get(&key.parse().unwrap());
                    found.map_or(Value::Null, |(owner, data)| wire(owner, data))
                })
                .collect();
            let answer = at(json!(accounts));
            advance(script);
            Ok(answer)
        }
        "getTokenAccountsByOwner" => {
            let owner: Pubkey = params[0].as_str().unwrap().parse().unwrap();
            let wanted =
                |field: &str| params[1][field].as_str().map(|key| key.parse::<Pubkey>().unwrap());
            let (mint, program) = (wanted("mint"), wanted("programId"));
            let accounts = script.accounts.iter().filter(|(_, (of, data))| {
                data.len() >= 72
                    && data[32..64] == owner.0
                    && mint.is_none_or(|mint| data[..32] == mint.0)
                    && program.is_none_or(|program| *of == program)
            });
            Ok(at(accounts.map(keyed).collect()))
        }
        "getProgramAccounts" => {
            let program: Pubkey = params[0].as_str().unwrap().parse().unwrap();
            let matches = |data: &[u8]| {
                config["filters"].as_array().unwrap().iter().all(|filter| {
                    let memcmp = &filter["memcmp"];
                    let bytes = bs58::decode(memcmp["bytes"].as_str().unwrap()).into_vec().unwrap();
                    let offset = usize::try_from(memcmp["offset"].as_u64().unwrap()).unwrap();
                    data.get(offset..offset + bytes.len()) == Some(bytes.as_slice())
                })
            };
            let accounts =
                script.accounts.iter().filter(|(_, (of, data))| *of == program && matches(data));
            Ok(at(accounts.map(keyed).collect()))
        }
        _ => Err(-32601),
    }
}

fn advance(script: &mut Script) {
    if let Some((slot, accounts)) = script.later.pop_front() {
        script.slot = slot;
        script.accounts = accounts;
    }
}

fn clock(age: i64) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let time = i64::try_from(now).unwrap() - age;
    [[0; 32].as_slice(), &time.to_le_bytes()].concat()
}
