//! Following a chain's logs.
//!
//! A log lets nobody in: it only has something looked at again. So everything that any provider
//! says counts, and a provider that hides a transfer hides it alone. At least a quorum must have
//! answered, each of them knowing the block that the question ends with.

use crate::chain::Chain;
use crate::provider::Provider;
use adapter_provider::Failure;
use alloy::primitives::{Address as EvmAddress, B256, Bytes, U64};
use app::ports::{Logs, Tip};
use domain::account::Address;
use domain::fact::Block;
use domain::transfer::{Log, topics};
use futures_util::future::join_all;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How many contracts one `eth_getLogs` names; more take more of them, in the same request.
pub(crate) const CONTRACTS: usize = 250;
/// How many logs of one provider are looked at.
const MAX_LOGS: usize = 5_000;
/// The longest data of a log that is looked at, in bytes: a batch of 64 ids has less.
const MAX_DATA: usize = 8 * 1024;
/// How long a head is shared by those who follow: shorter than from poll to poll.
const HEAD: Duration = Duration::from_secs(1);

/// A log as nodes tell it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawLog {
    address: EvmAddress,
    topics: Vec<B256>,
    data: Bytes,
    block_number: Option<U64>,
}

/// What one provider says of a stretch of blocks.
#[derive(Debug)]
enum Told {
    Logs(Vec<RawLog>),
    /// They are too many for it, or the blocks are.
    TooMany,
}

impl Chain {
    pub(crate) async fn newest(&self) -> Result<Tip, String> {
        let until = self.until();
        let head = self.head(HEAD, until).await?;
        Ok(Tip { block: head.block, time: head.time })
    }

    pub(crate) async fn at(&self, number: u64) -> Result<Tip, String> {
        let header = self.exactly(number, self.until()).await?;
        let block = Block { number: header.number.to(), hash: header.hash.to_string() };
        Ok(Tip { block, time: header.timestamp.to() })
    }

    /// Asks every provider that is asked at all, and takes all that they say together.
    pub(crate) async fn logs(
        &self,
        from: u64,
        to: &Block,
        contracts: &[Address],
    ) -> Result<Option<Logs>, String> {
        let hash: B256 = to.hash.parse().map_err(|_| "the block has no hash".to_owned())?;
        let until = self.until();
        let each = self.panel.order().into_iter().filter(|index| self.panel.admit(*index));
        let asked = each.map(|index| async move {
            let began = Instant::now();
            let told =
                async { self.provider(index)?.logs(from, (to.number, hash), contracts).await };
            let told = timeout_at(until, told).await.unwrap_or(Err(Failure::Late));
            match &told {
                Ok(_) => self.panel.answered(index, began.elapsed()),
                // After a reorganisation it is in the right.
                Err(Failure::Behind) => self.panel.answered(index, began.elapsed()),
                Err(failure) => self.panel.failed(index, failure),
            }
            told
        });
        let (mut good, mut refused) = (0, 0);
        let (mut logs, mut more) = (BTreeSet::new(), false);
        for told in join_all(asked).await.into_iter().flatten() {
            match told {
                Told::TooMany => refused += 1,
                Told::Logs(raw) => {
                    good += 1;
                    more |= raw.len() > MAX_LOGS;
                    let fine = |log: &RawLog| {
                        let within = log.block_number.map(|number| number.to::<u64>());
                        within.is_some_and(|number| (from..=to.number).contains(&number))
                    };
                    let few = raw.into_iter().take(MAX_LOGS).filter(fine);
                    logs.extend(few.filter_map(|log| read(log, contracts)));
                }
            }
        }
        match good >= self.panel.quorum() {
            true => Ok(Some(Logs { logs: logs.into_iter().collect(), more })),
            false if good + refused >= self.panel.quorum() => Ok(None),
            false => Err("too few providers tell of logs".to_owned()),
        }
    }
}

/// One that was asked for; a provider may say more than that.
fn read(RawLog { address, topics: raw, data, .. }: RawLog, contracts: &[Address]) -> Option<Log> {
    let contract = Address(address.into());
    let first = raw.first().is_some_and(|first| topics().contains(&first.0));
    if !first || raw.len() > 4 || !contracts.contains(&contract) {
        return None;
    }
    // What is cut off makes a log that can't be read, and that is one of anybody.
    let data = data.get(..MAX_DATA).unwrap_or(&data).to_vec();
    Some(Log { contract, topics: raw.into_iter().map(|topic| topic.0).collect(), data })
}

impl Provider {
    /// The logs from a height to a block, which this provider must have.
    async fn logs(
        &self,
        from: u64,
        (to, hash): (u64, B256),
        contracts: &[Address],
    ) -> Result<Told, Failure> {
        match self.raw_logs(from, to, contracts).await {
            Ok(Some((header, logs))) if header.hash == hash => Ok(Told::Logs(logs)),
            Ok(Some(_)) | Err(Failure::Behind) => Err(Failure::Behind),
            // Nodes refuse too many blocks or logs with whatever error; one that refuses everything
            // is none of the quorum, however few blocks it is asked for.
            Ok(None) | Err(Failure::TooLong) => Ok(Told::TooMany),
            Err(failure) => Err(failure),
        }
    }
}
