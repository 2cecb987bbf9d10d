//! What follows when a chain has changed: facts are forgotten, and grants decided again. Nothing here
//! grants anything.

use crate::ports::{Clock, FactStore, Policies, PortError, Queue};
use crate::review_grants::ReviewMessage;
use domain::Seconds;
use domain::account::ChainId;
use domain::watch::{Changes, Watched};
use futures_util::future::try_join_all;
use futures_util::lock::Mutex;
use std::sync::Arc;

/// How long policies that were read are good for, in seconds.
const FRESH: Seconds = 20;
/// After how long, in seconds, policies that can't be read again are no longer gone by.
const STALE: Seconds = 120;
/// How many wallets' grants are decided again one by one: beyond, all grants of the chain are.
const MAX_WALLETS: usize = 100;
/// How many facts are forgotten one by one. All of them are soon too old by themselves.
const MAX_FACTS: usize = 2_500;
/// How many messages are sent at the same time.
const AT_ONCE: usize = 16;

/// When [`Notices`] tell again where functions remember facts for so many seconds: later than they
/// do, as far as a queue keeps a message back.
pub fn again_after(facts: Seconds) -> Seconds {
    facts.saturating_add(10).min(900)
}

/// How those are told who forget and decide again.
#[derive(Debug)]
pub struct Notices<'a, F, Q> {
    /// What all functions remember.
    pub facts: &'a F,
    /// Who decides again.
    pub reviews: &'a Q,
    /// After how many seconds again: a function may grant by what it remembers itself for as long
    /// as facts are good, and nobody can make it forget.
    pub again_after: Seconds,
}

impl<F: FactStore, Q: Queue<ReviewMessage>> Notices<'_, F, Q> {
    /// Tells of changes on a chain, in a block or slot `at`.
    ///
    /// # Errors
    /// When not everybody could be told; telling it all again does no harm.
    pub async fn tell(
        &self,
        chain: ChainId,
        changes: &Changes,
        at: Option<u64>,
    ) -> Result<(), PortError> {
        self.forget(changes).await?;
        if changes.wallets.len() > MAX_WALLETS {
            return self.review(vec![ReviewMessage::Chain { chain, lost: false }]).await;
        }
        let wallets = changes.wallets.iter();
        let wallets = wallets.map(|wallet| ReviewMessage::Wallet { wallet: *wallet, chain, at });
        let videos = changes.videos.iter();
        let videos = videos.map(|video| ReviewMessage::Video { video: video.clone() });
        self.review(wallets.chain(videos).collect()).await
    }

    /// Tells that anything may have changed on a chain. Facts that are known to be wrong are
    /// forgotten with it.
    ///
    /// # Errors
    /// As [`Notices::tell`].
    pub async fn tell_all(&self, chain: ChainId, changes: &Changes) -> Result<(), PortError> {
        self.forget(changes).await?;
        self.review(vec![ReviewMessage::Chain { chain, lost: false }]).await
    }

    /// Tells that a chain can't be followed for too long: the grants that need it end.
    ///
    /// # Errors
    /// As [`Notices::tell`].
    pub async fn tell_lost(&self, chain: ChainId) -> Result<(), PortError> {
        self.reviews.send(&ReviewMessage::Chain { chain, lost: true }).await
    }

    /// Forgets facts.
    ///
    /// # Errors
    /// When they could not be.
    pub async fn forget(&self, changes: &Changes) -> Result<(), PortError> {
        let facts: Vec<_> = changes.facts.iter().take(MAX_FACTS).cloned().collect();
        if facts.is_empty() { Ok(()) } else { self.facts.evict(&facts).await }
    }

    /// Sends messages now, and again when nobody can remember what was.
    ///
    /// # Errors
    /// When one of them could not be sent.
    pub async fn review(&self, messages: Vec<ReviewMessage>) -> Result<(), PortError> {
        for some in messages.chunks(AT_ONCE) {
            try_join_all(some.iter().map(|message| self.reviews.send(message))).await?;
        }
        for some in messages.chunks(AT_ONCE) {
            let later =
                some.iter().map(|message| self.reviews.send_later(message, self.again_after));
            try_join_all(later).await?;
        }
        Ok(())
    }
}

/// The policies as they were read lately, kept for as long as a function lives.
#[derive(Debug, Default)]
pub struct PolicyBook(Mutex<Option<(Seconds, Arc<Watched>)>>);

impl PolicyBook {
    /// What is watched, at most [`FRESH`] seconds old unless the policies can't be read.
    ///
    /// # Errors
    /// When they can't be read, and could not for a while.
    pub async fn watched(
        &self,
        clock: &impl Clock,
        policies: &impl Policies,
    ) -> Result<Arc<Watched>, PortError> {
        let mut kept = self.0.lock().await;
        let now = clock.now();
        let young =
            |age: Seconds| kept.as_ref().filter(|(read_at, _)| now.saturating_sub(*read_at) < age);
        if let Some((_, watched)) = young(FRESH) {
            return Ok(Arc::clone(watched));
        }
        match policies.all().await {
            Ok(read) => {
                let named = read.iter().map(|(video, policy)| (video.as_str(), policy));
                let watched = Arc::new(Watched::new(named));
                *kept = Some((now, Arc::clone(&watched)));
                Ok(watched)
            }
            Err(error) => match young(STALE) {
                Some((_, watched)) => {
                    tracing::warn!(%error, "policies can't be read: the last ones are gone by");
                    Ok(Arc::clone(watched))
                }
                None => Err(error),
            },
        }
    }
}
