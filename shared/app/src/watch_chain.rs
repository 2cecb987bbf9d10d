//! Watches the chains: what changes on them is forgotten, and the grants that rest on it are decided
//! again. EVM chains are followed by their logs, Solana by the accounts behind live grants, and what
//! no event tells of by a timer. Nothing here grants anything.

use crate::ports::{
    Clock, Cursors, EvmLogs, FactStore, Leases, LiveGrants, Logs, Pace, Policies, PortError, Queue,
    SolanaChains, Tip,
};
use crate::review_grants::ReviewMessage;
use crate::touched::{Notices, PolicyBook};
use domain::Seconds;
use domain::account::{ChainId, Genesis, Pubkey};
use domain::fact::{Answer, Place, Question, SolanaRead};
use domain::grant::GrantId;
use domain::transfer::Touch;
use domain::watch::{Changes, Cursor, Followed, Mark};
use futures_util::future::{join, join_all};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many blocks' logs are asked for at once; half as many whenever that is refused.
const MAX_BLOCKS: u64 = 500;
/// How many steps one poll takes: a gap is caught up over several.
const MAX_STEPS: usize = 20;
/// How many accounts are read at once.
const ACCOUNTS: usize = 100;
/// How many accounts of a cluster are looked at. Grants that rest on others are left to the timer.
const MAX_ACCOUNTS: usize = 5_000;
/// How many grants one message names.
const GRANTS: usize = 25;
/// Grants that are due are asked for again no sooner than this, in seconds: deciding takes a while.
/// A chain that still lags is told of again as late.
const PATIENCE: Seconds = 60;
/// How long a lease is good for without a renewal, in seconds.
const LEASE: Seconds = 30;
/// How often it is written down that a cluster's slots go on, in seconds.
const NOTE: Seconds = 30;
/// The name of the only lease.
const WATCH: &str = "watch";

/// How the chains are watched; times in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// From one poll to the next.
    pub every: Seconds,
    /// How long nothing new may be known of a chain before its grants are decided again.
    pub lag: Seconds,
    /// How long one invocation lasts.
    pub length: Seconds,
}

/// Who is asked and told.
#[derive(Debug)]
pub struct Watcher<'a, K, E, S, C, P, G, F, Q> {
    /// The time, and how to wait.
    pub clock: &'a K,
    /// EVM chains.
    pub evm: &'a E,
    /// Solana clusters.
    pub solana: &'a S,
    /// How far they have been followed, and by whom they are.
    pub cursors: &'a C,
    /// What is worth following.
    pub policies: &'a P,
    /// The grants that can still be used.
    pub grants: &'a G,
    /// Who is told.
    pub notices: Notices<'a, F, Q>,
    /// What this function remembers.
    pub memory: &'a WatchMemory,
    /// How.
    pub terms: Terms,
}

/// What the function remembers from poll to poll. A fresh one has every grant on Solana decided
/// again once.
#[derive(Debug, Default)]
pub struct WatchMemory {
    /// The policies.
    pub book: PolicyBook,
    seen: Mutex<BTreeMap<Genesis, Seen>>,
    /// The grants that were due, and when they were asked for.
    asked: Mutex<BTreeMap<GrantId, Seconds>>,
}

/// What was last seen of a cluster.
#[derive(Debug, Clone, Default)]
struct Seen {
    accounts: BTreeMap<Pubkey, [u8; 32]>,
    grants: BTreeSet<GrantId>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K, E, S, C, P, G, F, Q> Watcher<'_, K, E, S, C, P, G, F, Q>
where
    K: Clock + Pace,
    E: EvmLogs,
    S: SolanaChains,
    C: Cursors + Leases,
    P: Policies,
    G: LiveGrants,
    F: FactStore,
    Q: Queue<ReviewMessage>,
{
    /// Polls these chains until its time is over, each at its own pace: one that hangs or fails
    /// stops no other. False, and nothing is done, while another holder is at it.
    ///
    /// # Errors
    /// When the lease can't be asked for.
    pub async fn watch(&self, chains: &[ChainId], holder: &str) -> Result<bool, PortError> {
        let begun = self.clock.now();
        if !self.cursors.take(WATCH, holder, begun, begun + LEASE).await? {
            return Ok(false);
        }
        let held = &AtomicBool::new(true);
        let until = begun.saturating_add(self.terms.length);
        let goes_on = || {
            held.load(Ordering::Relaxed)
                && self.clock.now().saturating_add(self.terms.every) <= until
        };
        let lease = async {
            while goes_on() {
                self.clock.wait(self.terms.every).await;
                let now = self.clock.now();
                match self.cursors.take(WATCH, holder, now, now + LEASE).await {
                    Ok(still) => held.store(still, Ordering::Relaxed),
                    // Two at work do what one does: every step is a conditional write.
                    Err(error) => tracing::warn!(%error, "the watch can't be renewed"),
                }
            }
        };
        let each = join_all(chains.iter().map(|chain| async move {
            loop {
                // Boxed, for the compiler counts how deep futures go.
                let polled = match chain {
                    ChainId::Eip155(id) => Box::pin(self.follow(*id)).await,
                    ChainId::Solana(genesis) => Box::pin(self.look(*genesis)).await,
                };
                if let Err(error) = polled {
                    tracing::warn!(%chain, %error, "a chain could not be watched");
                }
                if !goes_on() {
                    break;
                }
                self.clock.wait(self.terms.every).await;
            }
        }));
        let timer = async {
            loop {
                if let Err(error) = Box::pin(self.remind()).await {
                    tracing::warn!(%error, "grants that are due could not be decided again");
                }
                if !goes_on() {
                    break;
                }
                self.clock.wait(self.terms.every).await;
            }
        };
        join(lease, join(Box::pin(each), Box::pin(timer))).await;
        if let Err(error) = self.cursors.release(WATCH, holder).await {
            tracing::warn!(%error, "the watch can't be given up: it ends by itself");
        }
        Ok(true)
    }

    /// Follows an EVM chain to its head, or as far as one poll goes.
    ///
    /// # Errors
    /// When it can't be read, or what follows from it can't be told. Then nothing is skipped: the
    /// next poll begins where this one could not go on.
    pub async fn follow(&self, chain: u64) -> Result<(), PortError> {
        let name = ChainId::Eip155(chain);
        let watched = self.memory.book.watched(self.clock, self.policies).await?;
        let Some(followed) = watched.on(name) else { return Ok(()) };
        let Some(mut cursor) = self.cursor(name, &followed.digest()).await? else { return Ok(()) };
        let advanced = self.advance(chain, followed, &mut cursor).await;
        self.lag(&mut cursor).await.and(advanced)
    }

    /// The cursor of a chain. Where other contracts are followed than before, what they did until
    /// now was not: all is decided again. None where another is at work.
    async fn cursor(&self, chain: ChainId, watched: &str) -> Result<Option<Cursor>, PortError> {
        let mut cursor = match self.cursors.get(chain).await? {
            Some(cursor) if cursor.watched == watched => return Ok(Some(cursor)),
            Some(cursor) => cursor,
            None => Cursor::new(chain, String::new(), self.clock.now()),
        };
        self.notices.tell_all(chain, &Changes::default()).await?;
        cursor.watch(watched);
        Ok(self.save(&mut cursor).await?.then_some(cursor))
    }

    async fn save(&self, cursor: &mut Cursor) -> Result<bool, PortError> {
        let saved = self.cursors.put(cursor).await?;
        cursor.revision += u64::from(saved);
        Ok(saved)
    }

    async fn advance(
        &self,
        chain: u64,
        followed: &Followed,
        cursor: &mut Cursor,
    ) -> Result<(), PortError> {
        let head = self.evm.newest(chain).await?;
        if !self.walk_back(chain, followed, cursor, &head).await? {
            return Ok(());
        }
        let contracts = followed.contracts();
        let mut size = MAX_BLOCKS;
        for _ in 0..MAX_STEPS {
            let from = match cursor.tip() {
                Some(tip) if tip.number >= head.block.number => break,
                Some(tip) if !contracts.is_empty() => tip.number + 1,
                // Nothing was followed before, or there is nothing to look for.
                _ => {
                    cursor.push(mark(&head, BTreeSet::new(), false));
                    self.save(cursor).await?;
                    break;
                }
            };
            let last = head.block.number.min(from.saturating_add(size - 1));
            // Its hash is known before its logs are asked for: whatever replaces it is noticed.
            let to = match last == head.block.number {
                true => head.clone(),
                false => self.evm.at(chain, last).await?,
            };
            let logs = match self.evm.logs(chain, from, &to.block, &contracts).await? {
                Some(logs) => logs,
                None if last > from => {
                    size = (last - from).div_ceil(2);
                    continue;
                }
                // What happened in a block that nobody tells of may be anything.
                None => Logs { more: true, ..Logs::default() },
            };
            if !self.step(followed, cursor, &to, logs).await? {
                break;
            }
        }
        Ok(())
    }

    /// Tells what logs say, and then goes on to `to`: who dies between the two repeats the step.
    /// False where another is at work.
    async fn step(
        &self,
        followed: &Followed,
        cursor: &mut Cursor,
        to: &Tip,
        Logs { logs, more }: Logs,
    ) -> Result<bool, PortError> {
        let touches: BTreeSet<Touch> = logs
            .iter()
            .filter(|log| followed.names(log.contract))
            .flat_map(domain::transfer::Log::touches)
            .collect();
        let changes = followed.changes(&touches);
        match more {
            true => self.notices.tell_all(cursor.chain, &changes).await?,
            false => {
                self.notices.tell(cursor.chain, &changes, Some(to.block.number)).await?;
            }
        }
        cursor.push(mark(to, touches, more));
        self.save(cursor).await
    }

    /// After a reorganisation goes back to the last mark that still stands, and tells what changed
    /// in the blocks that are gone. False where another is at work.
    async fn walk_back(
        &self,
        chain: u64,
        followed: &Followed,
        cursor: &mut Cursor,
        head: &Tip,
    ) -> Result<bool, PortError> {
        // Providers that have fallen behind say nothing of blocks that they do not have.
        let reached = cursor.marks.partition_point(|mark| mark.number <= head.block.number);
        let (mut stand, mut gone) = (0, reached);
        let mut middle = reached.saturating_sub(1);
        while stand < gone {
            let Mark { number, hash, .. } = &cursor.marks[middle];
            let block = match *number == head.block.number {
                true => head.block.clone(),
                false => self.evm.at(chain, *number).await?.block,
            };
            match block.hash == *hash {
                true => stand = middle + 1,
                false => gone = middle,
            }
            middle = (stand + gone) / 2;
        }
        if stand == reached {
            return Ok(true);
        }
        let dropped = cursor.marks.len() - stand;
        tracing::warn!(chain = %cursor.chain, dropped, "the chain was reorganised");
        // Only what has been told may be forgotten.
        let mut back = cursor.clone();
        match back.rewind(stand) {
            Some(touches) => {
                let changes = followed.changes(&touches);
                self.notices.tell(cursor.chain, &changes, Some(head.block.number)).await?;
            }
            None => self.notices.tell_all(cursor.chain, &Changes::default()).await?,
        }
        *cursor = back;
        self.save(cursor).await
    }

    /// Has the grants of a chain decided again of which nothing new was learned for too long: the
    /// chain stands still, can't be read, or is not caught up with yet.
    async fn lag(&self, cursor: &mut Cursor) -> Result<(), PortError> {
        let now = self.clock.now();
        let behind = cursor.behind(now);
        let told = cursor.lagged_at.is_some_and(|at| now.saturating_sub(at) < PATIENCE);
        if behind <= self.terms.lag || told {
            return Ok(());
        }
        // Counted into the stack's alarm by a metric filter.
        tracing::error!(chain = %cursor.chain, behind_seconds = behind, "a chain lags");
        self.notices.tell_lost(cursor.chain).await?;
        cursor.lagged_at = Some(now);
        self.save(cursor).await.map(drop)
    }

    /// Looks at the accounts behind live grants, and has those grants decided again that rest on
    /// one that has changed; also each that was not seen before, for it may have been given by what
    /// a function remembered.
    ///
    /// # Errors
    /// When they can't be learned, or told of; the next poll finds the same.
    pub async fn look(&self, genesis: Genesis) -> Result<(), PortError> {
        let resting = self.grants.resting_on(genesis).await?;
        let mut accounts: BTreeSet<Pubkey> =
            resting.iter().flat_map(|grant| grant.accounts.iter().copied()).collect();
        while accounts.len() > MAX_ACCOUNTS {
            accounts.pop_last();
        }
        let before = lock(&self.memory.seen).get(&genesis).cloned().unwrap_or_default();
        let mut seen = Seen::default();
        let mut slot = None;
        let keys: Vec<_> = accounts.iter().copied().collect();
        for some in keys.chunks(ACCOUNTS) {
            let reads: Vec<_> = some.iter().map(|key| SolanaRead::Account(*key)).collect();
            let facts = self.solana.read(genesis, None, &reads).await;
            for (key, fact) in some.iter().zip(facts) {
                if let Some(Place::Slot(at)) = fact.place {
                    slot = slot.max(Some(at));
                }
                // One that can't be read is as it was, until the cluster lags or the timer comes.
                let last = before.accounts.get(key).copied();
                if let Some(digest) = digest(&fact.answer).or(last) {
                    seen.accounts.insert(*key, digest);
                }
            }
        }
        let news = seen.accounts.iter().filter(|(key, is)| before.accounts.get(*key) != Some(*is));
        let changed: BTreeSet<Pubkey> = news.map(|(key, _)| *key).collect();
        let facts = changed
            .iter()
            .map(|key| Question::Solana(genesis, SolanaRead::Account(*key)).key())
            .collect();
        let again = resting.iter().filter(|grant| {
            !before.grants.contains(&grant.grant)
                || grant.accounts.iter().any(|key| changed.contains(key))
        });
        let ids: Vec<_> = again.map(|grant| grant.grant.clone()).collect();
        self.notices.forget(&Changes { facts, ..Changes::default() }).await?;
        self.notices.review(grants(&ids)).await?;
        seen.grants = resting.into_iter().map(|grant| grant.grant).collect();
        lock(&self.memory.seen).insert(genesis, seen);
        self.note(ChainId::Solana(genesis), keys.is_empty(), slot).await
    }

    /// Notes that a cluster's slots go on, or that there is nothing to look for.
    async fn note(&self, chain: ChainId, idle: bool, slot: Option<u64>) -> Result<(), PortError> {
        let now = self.clock.now();
        let stored = self.cursors.get(chain).await?;
        let mut cursor = stored.unwrap_or_else(|| Cursor::new(chain, String::new(), now));
        let last = cursor.tip().map(|mark| mark.number);
        let news = idle || slot.is_some_and(|slot| last.is_none_or(|last| slot > last));
        if news && (cursor.marks.is_empty() || cursor.behind(now) >= NOTE) {
            let number = slot.or(last).unwrap_or_default();
            let mark =
                Mark { number, hash: String::new(), time: now, touches: Vec::new(), more: false };
            cursor.marks = vec![mark];
            self.save(&mut cursor).await?;
        } else if !news {
            return self.lag(&mut cursor).await;
        }
        Ok(())
    }

    /// Has the grants decided again whose time has come: what they rest on changes without an
    /// event.
    ///
    /// # Errors
    /// When they can't be learned, or told of.
    pub async fn remind(&self) -> Result<(), PortError> {
        let now = self.clock.now();
        let due = self.grants.due(now).await?;
        let ids: Vec<_> = {
            let mut asked = lock(&self.memory.asked);
            asked.retain(|_, at| now.saturating_sub(*at) < PATIENCE);
            due.into_iter().filter(|id| !asked.contains_key(id)).collect()
        };
        for message in grants(&ids) {
            self.notices.reviews.send(&message).await?;
        }
        lock(&self.memory.asked).extend(ids.into_iter().map(|id| (id, now)));
        Ok(())
    }
}

fn grants(ids: &[GrantId]) -> Vec<ReviewMessage> {
    ids.chunks(GRANTS).map(|ids| ReviewMessage::Grants { ids: ids.to_vec(), lost: None }).collect()
}

fn mark(tip: &Tip, touches: BTreeSet<Touch>, more: bool) -> Mark {
    let Tip { block, time } = tip;
    let touches = touches.into_iter().collect();
    Mark { number: block.number, hash: block.hash.clone(), time: *time, touches, more }
}

/// What an account is, in short; none if that is not known.
fn digest(answer: &Answer) -> Option<[u8; 32]> {
    let mut hasher = Sha256::new();
    match answer {
        Answer::Account { owner, data } => {
            hasher.update(owner.0);
            hasher.update(data);
        }
        Answer::Unknown(_) => return None,
        _ => {}
    }
    Some(hasher.finalize().into())
}
