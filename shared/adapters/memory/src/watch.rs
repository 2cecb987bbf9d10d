//! A chain that can be watched, and what watching it leaves behind.

use crate::arrange::{CONTRACT, NOW};
use crate::{Memory, lock, yield_once};
use app::ports::{
    Clock, Cursors, Deliveries, EvmLogs, Leases, LiveGrants, Logs, Pace, Policies, PortError,
    Queue, Resting, Tip,
};
use app::review_grants::ReviewMessage;
use app::touched::Notices;
use app::watch_chain::{Terms, WatchMemory, Watcher};
use domain::Seconds;
use domain::abi;
use domain::account::{Address, ChainId, Genesis};
use domain::fact::Block;
use domain::grant::GrantId;
use domain::number::U256;
use domain::policy::Policy;
use domain::transfer::Log;
use domain::watch::Cursor;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::Ordering;

/// All of it. Fields are open so that a test can arrange and look.
#[derive(Debug, Default)]
pub struct Watch {
    /// The EVM chain's blocks by height: hash, time and logs.
    pub blocks: Mutex<BTreeMap<u64, Made>>,
    /// How many blocks' logs it tells at once; any number if 0.
    pub most_blocks: Mutex<u64>,
    /// Each question for logs: from and to.
    pub asked: Mutex<Vec<(u64, u64)>>,
    /// How far chains have been followed.
    pub cursors: Mutex<BTreeMap<ChainId, Cursor>>,
    /// Who holds what, and until when.
    pub leases: Mutex<BTreeMap<String, (String, Seconds)>>,
    /// Grants that rest on Solana accounts.
    pub resting: Mutex<Vec<Resting>>,
    /// Grants that are due.
    pub due: Mutex<Vec<GrantId>>,
    /// Deliveries that were worked on.
    pub deliveries: Mutex<BTreeSet<String>>,
    /// What is to be decided again, and after how many seconds.
    pub reviews: Mutex<Vec<(ReviewMessage, Seconds)>>,
    /// What a watcher remembers.
    pub memory: WatchMemory,
}

/// A block.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its hash.
    pub hash: String,
    /// Its time.
    pub time: Seconds,
    /// What was logged in it.
    pub logs: Vec<Log>,
}

/// How scenes are watched.
pub const TERMS: Terms = Terms { every: 3, lag: 120, length: 56 };
/// After how long they are looked at again, in seconds.
pub const AGAIN: Seconds = 70;

/// A token of [`CONTRACT`] that goes from one to the other.
pub fn transfer(from: Address, to: Address, id: u64) -> Log {
    let words = [abi::address(from), abi::address(to), abi::uint(U256::from(id))];
    let event = abi::keccak(b"Transfer(address,address,uint256)");
    let topics = std::iter::once(event).chain(words).collect();
    Log { contract: CONTRACT, topics, data: Vec::new() }
}

impl Memory {
    /// Who watches here.
    pub fn watcher(&self) -> Watcher<'_, Self, Self, Self, Self, Self, Self, Self, Self> {
        let notices = Notices { facts: self, reviews: self, again_after: AGAIN };
        Watcher {
            clock: self,
            evm: self,
            solana: self,
            cursors: self,
            policies: self,
            grants: self,
            notices,
            memory: &self.watch.memory,
            terms: TERMS,
        }
    }

    /// Makes the next block, of now, of some fork; a second passes.
    pub fn mine(&self, fork: u8, logs: &[Log]) {
        let mut blocks = lock(&self.watch.blocks);
        let number = blocks.last_key_value().map_or(0, |(number, _)| number + 1);
        let time = self.now.fetch_add(1, Ordering::SeqCst);
        let hash = format!("0x{fork:02x}{number:062x}");
        blocks.insert(number, Made { hash, time, logs: logs.to_vec() });
    }

    /// Makes so many empty ones.
    pub fn mine_empty(&self, count: u64) {
        (0..count).for_each(|_| self.mine(0, &[]));
    }

    /// Takes blocks back, from this height on.
    pub fn unmine(&self, from: u64) {
        lock(&self.watch.blocks).retain(|number, _| *number < from);
    }

    /// What is to be decided again, and after how many seconds, since the last look.
    pub fn take_reviews(&self) -> Vec<(ReviewMessage, Seconds)> {
        std::mem::take(&mut *lock(&self.watch.reviews))
    }

    /// The stretches of blocks whose logs were asked for since the last look.
    pub fn take_asked(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut *lock(&self.watch.asked))
    }

    fn tip(&self, number: Option<u64>) -> Result<Tip, PortError> {
        let blocks = lock(&self.watch.blocks);
        let found = match number {
            Some(number) => blocks.get_key_value(&number),
            None => blocks.last_key_value(),
        };
        let (number, made) = found.ok_or_else(|| PortError::new("memory", "no such block"))?;
        Ok(Tip { block: Block { number: *number, hash: made.hash.clone() }, time: made.time })
    }
}

impl EvmLogs for Memory {
    async fn newest(&self, _: u64) -> Result<Tip, PortError> {
        self.step("logs.newest").await?;
        self.tip(None)
    }

    async fn at(&self, _: u64, number: u64) -> Result<Tip, PortError> {
        self.step("logs.at").await?;
        self.tip(Some(number))
    }

    async fn logs(
        &self,
        _: u64,
        from: u64,
        to: &Block,
        contracts: &[Address],
    ) -> Result<Option<Logs>, PortError> {
        self.step("logs.logs").await?;
        lock(&self.watch.asked).push((from, to.number));
        let most = *lock(&self.watch.most_blocks);
        if most > 0 && to.number - from >= most {
            return Ok(None);
        }
        let blocks = lock(&self.watch.blocks);
        let each = blocks.range(from..=to.number).flat_map(|(_, made)| &made.logs);
        let logs = each.filter(|log| contracts.contains(&log.contract)).cloned().collect();
        Ok(Some(Logs { logs, more: false }))
    }
}

impl Pace for Memory {
    /// Time passes for all who wait together.
    async fn wait(&self, seconds: Seconds) {
        let until = self.now() + seconds;
        for _ in 0..64 {
            yield_once().await;
        }
        self.now.fetch_max(until, Ordering::SeqCst);
    }
}

impl Leases for Memory {
    async fn take(
        &self,
        name: &str,
        holder: &str,
        now: Seconds,
        until: Seconds,
    ) -> Result<bool, PortError> {
        self.step("lease.take").await?;
        let mut leases = lock(&self.watch.leases);
        let others = leases.get(name).is_some_and(|(other, until)| other != holder && now < *until);
        if !others {
            leases.insert(name.to_owned(), (holder.to_owned(), until));
        }
        Ok(!others)
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), PortError> {
        self.step("lease.release").await?;
        lock(&self.watch.leases).retain(|other, (by, _)| other != name || by != holder);
        Ok(())
    }
}

impl Cursors for Memory {
    async fn get(&self, chain: ChainId) -> Result<Option<Cursor>, PortError> {
        self.step("cursor.get").await?;
        Ok(lock(&self.watch.cursors).get(&chain).cloned())
    }

    async fn put(&self, cursor: &Cursor) -> Result<bool, PortError> {
        self.step("cursor.put").await?;
        let mut cursors = lock(&self.watch.cursors);
        let newest = cursors.get(&cursor.chain).map_or(0, |stored| stored.revision);
        let holds = newest == cursor.revision;
        if holds {
            let next = Cursor { revision: newest + 1, ..cursor.clone() };
            cursors.insert(cursor.chain, next);
        }
        Ok(holds)
    }
}

impl Policies for Memory {
    async fn all(&self) -> Result<Vec<(String, Policy)>, PortError> {
        self.step("policies.all").await?;
        let videos = lock(&self.videos);
        let each = videos.values();
        Ok(each.filter_map(|video| Some((video.id.clone(), video.policy.clone()?))).collect())
    }
}

impl LiveGrants for Memory {
    async fn resting_on(&self, _: Genesis) -> Result<Vec<Resting>, PortError> {
        self.step("grants.resting").await?;
        Ok(lock(&self.watch.resting).clone())
    }

    async fn due(&self, _: Seconds) -> Result<Vec<GrantId>, PortError> {
        self.step("grants.due").await?;
        Ok(lock(&self.watch.due).clone())
    }
}

impl Deliveries for Memory {
    async fn is_done(&self, id: &str) -> Result<bool, PortError> {
        self.step("delivery.is_done").await?;
        Ok(lock(&self.watch.deliveries).contains(id))
    }

    async fn done(&self, id: &str, _: Seconds) -> Result<(), PortError> {
        self.step("delivery.done").await?;
        lock(&self.watch.deliveries).insert(id.to_owned());
        Ok(())
    }
}

impl Queue<ReviewMessage> for Memory {
    async fn send_later(&self, message: &ReviewMessage, after: Seconds) -> Result<(), PortError> {
        self.step("reviews.send").await?;
        lock(&self.watch.reviews).push((message.clone(), after));
        Ok(())
    }
}

/// The chain of a scene that is watched: a few blocks, the newest of now.
pub fn watched() -> Memory {
    let memory = Memory::with_video(domain::video::Stage::Ready);
    memory.now.store(NOW - 10, Ordering::SeqCst);
    memory.mine_empty(10);
    memory
}
