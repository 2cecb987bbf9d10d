//! One provider: what it is asked, and how its answers are read. Whether they are true is for the
//! panel of providers to say.

use crate::errors::{self, BURNS, Told};
use crate::logs::{self, RawLog};
use crate::multicall::{self, Inner, MULTICALL, MULTICALL_CODE, REVERTED, TOO_MUCH};
use crate::signature;
use crate::transport::{Transport, failure};
use adapter_provider::{Endpoint, Failure, Panel, attempts};
use alloy::primitives::{Address, B256, Bytes, U64, U256, keccak256};
use alloy::rpc::client::RpcClient;
use alloy::transports::{RpcError, TransportError};
use domain::fact::{Answer, EvmRead};
use domain::leaf;
use domain::transfer;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::slice::from_ref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The most reads that are asked for singly after an aggregate.
const MAX_SINGLE: usize = 64;

/// The most reads in one JSON-RPC batch, where a chain has no Multicall3: nodes limit that.
const MAX_BATCH: usize = 100;

/// The most reads that get a request each, when together they are too long to be read.
const MAX_ALONE: usize = 16;

/// So many of them at once: each may be as long as a body may be.
const ALONE_AT_ONCE: usize = 2;

/// How one provider of a chain is spoken to.
#[derive(Debug)]
pub(crate) struct Provider {
    chain: u64,
    /// Its place among the chain's.
    index: usize,
    panel: Arc<Panel>,
    client: RpcClient,
    /// What it was found to be, before anything it says counts.
    kind: OnceLock<Kind>,
    /// Whether it does not take EIP-1898's `requireCanonical`.
    plain_hash: AtomicBool,
}

/// How many reads go into one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The chain has Multicall3.
    Aggregates,
    /// It has not: a JSON-RPC batch instead.
    Batches,
}

/// A block's header, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Header {
    pub(crate) number: U64,
    pub(crate) hash: B256,
    pub(crate) timestamp: U64,
}

/// What one read came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Read {
    /// The chain's answer, as this provider says.
    Answer(Answer),
    /// The provider has none, but an error of its own with this code.
    None(i64),
    /// It was not asked: too many others failed in a way that needs asking singly.
    Crowded,
}

type Question = (&'static str, Value);
type Reply = Result<Box<RawValue>, Told>;

impl Provider {
    pub(crate) fn new(chain: u64, index: usize, panel: Arc<Panel>, endpoint: Endpoint) -> Self {
        Self {
            chain,
            index,
            panel,
            client: RpcClient::new(Transport(endpoint), false),
            kind: OnceLock::new(),
            plain_hash: AtomicBool::new(false),
        }
    }

    /// The number of its newest block; the checks ride along when they are due.
    pub(crate) async fn newest(&self) -> Result<u64, Failure> {
        let mut questions = match self.kind.get() {
            Some(_) => Vec::new(),
            None => checks(),
        };
        questions.push(("eth_blockNumber", json!([])));
        let replies = self.ask(&questions).await?;
        if replies.len() > 1 {
            self.check(&replies)?;
        }
        let number: U64 = read(replies.last().ok_or(Failure::Garbage)?)?;
        Ok(number.to())
    }

    async fn kind(&self) -> Result<Kind, Failure> {
        match self.kind.get() {
            Some(kind) => Ok(*kind),
            None => self.check(&self.ask(&checks()).await?),
        }
    }

    fn check(&self, replies: &[Reply]) -> Result<Kind, Failure> {
        let [id, code, ..] = replies else { return Err(Failure::Garbage) };
        if read::<U64>(id)?.to::<u64>() != self.chain {
            return Err(Failure::WrongChain);
        }
        let code: Bytes = read(code)?;
        let kind = match code.is_empty() {
            true => Kind::Batches,
            false if keccak256(&code) == MULTICALL_CODE => Kind::Aggregates,
            false => return Err(Failure::Unfit("it has another Multicall3 than the chain")),
        };
        Ok(*self.kind.get_or_init(|| kind))
    }

    /// The header of a block by its number; `None` while the provider does not have it.
    pub(crate) async fn header(&self, number: u64) -> Result<Option<Header>, Failure> {
        self.kind().await?;
        let number = U64::from(number);
        let question = ("eth_getBlockByNumber", json!([number, false]));
        let replies = self.ask(from_ref(&question)).await?;
        let header: Option<Header> = read(replies.first().ok_or(Failure::Garbage)?)?;
        match &header {
            Some(header) if header.number != number => Err(Failure::Garbage),
            _ => Ok(header),
        }
    }

    /// The header at `to`, and the logs of contracts up to there, in one request; `None` if the node
    /// refuses so many. Nodes say that in all ways that there are, so any error of theirs is taken
    /// for it, but for those that are known to mean something else.
    pub(crate) async fn raw_logs(
        &self,
        from: u64,
        to: u64,
        contracts: &[domain::account::Address],
    ) -> Result<Option<(Header, Vec<RawLog>)>, Failure> {
        self.kind().await?;
        let number = U64::from(to);
        let mut questions = vec![("eth_getBlockByNumber", json!([number, false]))];
        let events: Vec<_> = transfer::topics().iter().map(B256::from).collect();
        for some in contracts.chunks(logs::CONTRACTS) {
            let addresses: Vec<_> = some.iter().map(|one| Address::from(one.0)).collect();
            let wanted = json!([{"fromBlock": U64::from(from), "toBlock": number,
                "address": addresses, "topics": [events]}]);
            questions.push(("eth_getLogs", wanted));
        }
        let replies = self.ask(&questions).await?;
        let (header, lists) = replies.split_first().ok_or(Failure::Garbage)?;
        let header: Header = read::<Option<Header>>(header)?.ok_or(Failure::Behind)?;
        let mut logs = Vec::new();
        for list in lists {
            match list {
                Ok(list) => logs.extend(parse::<Vec<RawLog>>(list)?),
                Err(told @ (Told::NoBlock | Told::Trouble(-32601))) => return Err((*told).into()),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some((header, logs)))
    }

    /// Whether a contract wallet says that a signature is its own.
    pub(crate) async fn signed(&self, block: B256, question: &Bytes) -> Result<bool, Failure> {
        self.kind().await?;
        let replies = self.at(block, |place| vec![call(None, question, place)]).await?;
        match replies.first().ok_or(Failure::Garbage)? {
            Ok(answer) => signature::verdict(&parse::<Bytes>(answer)?).ok_or(Failure::Garbage),
            // The validator itself does not fail: the wallet burnt all there was.
            Err(Told::Reverted | Told::Burnt) => Ok(false),
            Err(told) => Err((*told).into()),
        }
    }

    /// All reads at one block, each with its own outcome.
    pub(crate) async fn read(&self, block: B256, reads: &[EvmRead]) -> Result<Vec<Read>, Failure> {
        match self.kind().await? {
            Kind::Batches => {
                let parts = reads.chunks(MAX_BATCH).map(|part| self.singly(block, part));
                Ok(try_join_all(parts).await?.into_iter().flatten().collect())
            }
            Kind::Aggregates => {
                let mut outcomes = self.together(block, reads).await?;
                let open = outcomes.iter_mut().zip(reads);
                let mut open: Vec<_> = open.filter(|(one, _)| **one == Read::Crowded).collect();
                open.truncate(MAX_SINGLE);
                let alone: Vec<_> = open.iter().map(|(_, read)| (*read).clone()).collect();
                for ((place, _), outcome) in open.into_iter().zip(self.singly(block, &alone).await?)
                {
                    *place = outcome;
                }
                Ok(outcomes)
            }
        }
    }

    /// Reads in as few calls as they fit into, all in one request. What can't be told from that stays
    /// [`Read::Crowded`], and is to be asked for singly; what is bound to fail is asked for singly
    /// at once.
    async fn together(&self, block: B256, reads: &[EvmRead]) -> Result<Vec<Read>, Failure> {
        let mut outcomes = vec![Read::Crowded; reads.len()];
        let (mut alone, joined): (Vec<_>, Vec<_>) =
            (0..reads.len()).partition(|index| leaf::is_refused_by_right(&reads[*index]));
        alone.truncate(MAX_SINGLE);
        let inside: Vec<_> = joined.iter().map(|index| reads[*index].clone()).collect();
        let parts = multicall::parts(&inside);
        let data: Vec<_> = parts.iter().map(|part| multicall::encode(part)).collect();
        let questions = |place: &Value| {
            let aggregates = data.iter().map(|data| call(Some(MULTICALL), data, place));
            aggregates.chain(alone.iter().map(|index| question(&reads[*index], place))).collect()
        };
        let replies = match self.at(block, questions).await {
            Ok(replies) => replies,
            // One of them answers too much, perhaps; the others must not go short for it.
            Err(Failure::TooLong) => return Ok(outcomes),
            Err(failure) => return Err(failure),
        };
        let (aggregates, singles) =
            replies.split_at_checked(parts.len()).ok_or(Failure::Garbage)?;
        let mut places = joined.into_iter();
        for (part, reply) in parts.iter().zip(aggregates) {
            let places = places.by_ref().take(part.len());
            match reply {
                Ok(answer) => {
                    let answer: Bytes = parse(answer)?;
                    let inner = multicall::decode(part, &answer).ok_or(Failure::Garbage)?;
                    for (place, inner) in places.zip(inner) {
                        if let Inner::Answer(answer) = inner {
                            outcomes[place] = Read::Answer(answer);
                        }
                    }
                }
                Err(told @ (Told::NoBlock | Told::Busy)) => return Err((*told).into()),
                // Perhaps the doing of one read among them: each for itself, then.
                Err(_) => places.for_each(drop),
            }
        }
        for (place, reply) in alone.into_iter().zip(singles) {
            outcomes[place] = single(&reads[place], reply)?;
        }
        Ok(outcomes)
    }

    /// Each read by itself, in one JSON-RPC batch.
    async fn singly(&self, block: B256, reads: &[EvmRead]) -> Result<Vec<Read>, Failure> {
        if reads.is_empty() {
            return Ok(Vec::new());
        }
        match self.batch(block, reads).await {
            Ok(replies) => {
                reads.iter().zip(&replies).map(|(read, reply)| single(read, reply)).collect()
            }
            Err(Failure::TooLong) if reads.len() <= MAX_ALONE => {
                let alone = reads.iter().map(|read| self.alone(block, read));
                stream::iter(alone).buffered(ALONE_AT_ONCE).try_collect().await
            }
            Err(failure) => Err(failure),
        }
    }

    async fn alone(&self, block: B256, read: &EvmRead) -> Result<Read, Failure> {
        match self.batch(block, from_ref(read)).await {
            Ok(replies) => single(read, replies.first().ok_or(Failure::Garbage)?),
            // More than a body may hold is more than an answer may.
            Err(Failure::TooLong) => Ok(Read::Answer(Answer::Refused(TOO_MUCH.into()))),
            Err(failure) => Err(failure),
        }
    }

    async fn batch(&self, block: B256, reads: &[EvmRead]) -> Result<Vec<Reply>, Failure> {
        self.at(block, |place| reads.iter().map(|read| question(read, place)).collect()).await
    }

    /// Asks at a block by its hash (EIP-1898), in the form that the provider takes.
    async fn at(
        &self,
        block: B256,
        questions: impl Fn(&Value) -> Vec<Question>,
    ) -> Result<Vec<Reply>, Failure> {
        if !self.plain_hash.load(Ordering::Relaxed) {
            let place = json!({"blockHash": block, "requireCanonical": true});
            let replies = self.ask(&questions(&place)).await?;
            if !replies.iter().all(|reply| matches!(reply, Err(Told::Form))) {
                return Ok(replies);
            }
            self.plain_hash.store(true, Ordering::Relaxed);
        }
        self.ask(&questions(&json!({"blockHash": block}))).await
    }

    /// Asks, in one HTTP request, and again if that is lost on its way.
    async fn ask(&self, questions: &[Question]) -> Result<Vec<Reply>, Failure> {
        attempts(self.panel.timing(), || {
            self.panel.count(self.index);
            self.once(questions)
        })
        .await
    }

    async fn once(&self, questions: &[Question]) -> Result<Vec<Reply>, Failure> {
        if let [(method, arguments)] = questions {
            let answer = self.client.request(*method, arguments.clone()).await;
            return Ok(vec![reply(answer)?]);
        }
        let mut batch = self.client.new_batch();
        let mut waiting = Vec::with_capacity(questions.len());
        for (method, arguments) in questions {
            waiting.push(batch.add_call(*method, arguments).map_err(failure)?);
        }
        batch.send().await.map_err(failure)?;
        let mut replies = Vec::with_capacity(waiting.len());
        for one in waiting {
            replies.push(reply(one.await)?);
        }
        Ok(replies)
    }
}

fn checks() -> Vec<Question> {
    vec![("eth_chainId", json!([])), ("eth_getCode", json!([MULTICALL, "latest"]))]
}

/// A call; without an address, a creation. `data` and not `input`: every node takes that.
fn call(to: Option<Address>, data: &Bytes, place: &Value) -> Question {
    let call = match to {
        Some(to) => json!({"to": to, "data": data}),
        None => json!({"data": data}),
    };
    ("eth_call", json!([call, place]))
}

/// A read by itself.
fn question(read: &EvmRead, place: &Value) -> Question {
    match read {
        EvmRead::Call { to, data } => {
            call(Some(Address::from(to.0)), &Bytes::copy_from_slice(data), place)
        }
        EvmRead::Balance(holder) => ("eth_getBalance", json!([Address::from(holder.0), place])),
    }
}

fn reply(answer: Result<Box<RawValue>, TransportError>) -> Result<Reply, Failure> {
    match answer {
        Ok(answer) => Ok(Ok(answer)),
        Err(RpcError::ErrorResp(error)) => Ok(Err(errors::told(&error))),
        Err(error) => Err(failure(error)),
    }
}

fn parse<T: DeserializeOwned>(answer: &RawValue) -> Result<T, Failure> {
    serde_json::from_str(answer.get()).map_err(|_| Failure::Garbage)
}

/// An answer that no contract has a say in.
fn read<T: DeserializeOwned>(reply: &Reply) -> Result<T, Failure> {
    match reply {
        Ok(answer) => parse(answer),
        Err(told) => Err((*told).into()),
    }
}

/// What one read by itself came to. A failure spoils the provider's other answers too.
fn single(read: &EvmRead, reply: &Reply) -> Result<Read, Failure> {
    Ok(Read::Answer(match (read, reply) {
        (EvmRead::Call { .. }, Ok(answer)) => multicall::bytes(&parse::<Bytes>(answer)?),
        (EvmRead::Balance(_), Ok(answer)) => {
            Answer::Bytes(parse::<U256>(answer)?.to_be_bytes_vec())
        }
        (EvmRead::Call { .. }, Err(Told::Reverted)) => Answer::Refused(REVERTED.into()),
        (EvmRead::Call { .. }, Err(Told::Burnt)) => Answer::Refused(BURNS.into()),
        (_, Err(told @ (Told::NoBlock | Told::Busy))) => return Err((*told).into()),
        (_, Err(Told::Trouble(code))) => return Ok(Read::None(*code)),
        (_, Err(_)) => return Ok(Read::None(0)),
    }))
}
