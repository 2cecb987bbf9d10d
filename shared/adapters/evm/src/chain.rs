//! One chain: its providers, its head, and what they agree on.

use crate::head::{self, Head};
use crate::provider::{Header, Provider, Read};
use crate::{ChainHealth, ProviderHealth, signature};
use adapter_provider::{
    Ask, Counts, Endpoint, Failure, Fresh, Outcome, Panel, Reply, Standing, Timing,
};
use alloy::primitives::Address;
use app::ports::{ChainSettings, Clock, System};
use domain::fact::{Answer, Block, EvmRead, Fact, Place};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) panel: Arc<Panel>,
    /// By their places in the settings; none where the address can't be read.
    providers: Vec<Option<Provider>>,
    confirmations: u64,
    head: Fresh<Head, String>,
    /// The number of the last head.
    reached: AtomicU64,
}

/// An answer as it is compared: nodes differ in how they say that a call fails, and none of them
/// shows in a decision.
#[derive(Debug, Clone)]
struct Said(Answer);

impl PartialEq for Said {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Answer::Refused(_), Answer::Refused(_)) => true,
            (one, other) => one == other,
        }
    }
}

impl Eq for Said {}

/// What each provider claims to be its newest block.
type Claims = BTreeMap<usize, u64>;

impl Chain {
    pub(crate) fn new(id: u64, settings: &ChainSettings, timing: Timing) -> Self {
        let name = settings.chain;
        let count = settings.rpc.len();
        let panel = Arc::new(Panel::new(name.to_string(), count, settings.quorum, timing));
        let connect = |(index, address): (usize, &String)| match Endpoint::new(address) {
            Some(endpoint) => Some(Provider::new(id, index, Arc::clone(&panel), endpoint)),
            None => {
                tracing::error!(chain = %name, provider = index, "an RPC address can't be read");
                None
            }
        };
        Self {
            providers: settings.rpc.iter().enumerate().map(connect).collect(),
            panel,
            confirmations: settings.confirmations,
            head: Fresh::default(),
            reached: AtomicU64::new(0),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.panel.counts()
    }

    pub(crate) async fn read(&self, at: Option<&Block>, reads: &[EvmRead]) -> Vec<Fact> {
        let now = System.now();
        let until = Instant::now() + self.panel.timing().overall;
        let mut head = match self.place(at, until).await {
            Ok(head) => head,
            Err(reason) => return vec![Fact::unknown(reason, now); reads.len()],
        };
        let (mut outcome, lost) = self.read_at(&head, reads, until).await;
        let open = |item| !matches!(outcome.standing(item), Standing::Agreed(..));
        // The shared head may have been replaced by another block. A decision's earlier round can't.
        if at.is_none()
            && lost
            && (0..reads.len()).any(open)
            && let Ok(newer) = self.head.get(Duration::ZERO, || self.renew(until)).await
            && newer.hash != head.hash
        {
            head = newer;
            outcome = self.read_at(&head, reads, until).await.0;
        }
        let fact = |item| match outcome.standing(item) {
            Standing::Agreed(Said(answer), _) => Fact {
                answer: answer.clone(),
                place: Some(Place::Block(head.block.clone())),
                read_at: now,
            },
            Standing::Silent if outcome.replies.iter().any(|reply| reply.aside[item]) => {
                Fact::unknown("too many calls fail together", now)
            }
            _ => Fact::unknown(outcome.reason(item), now),
        };
        (0..reads.len()).map(fact).collect()
    }

    /// What the providers say at a head, and whether one of them does not have it.
    async fn read_at(
        &self,
        head: &Head,
        reads: &[EvmRead],
        until: Instant,
    ) -> (Outcome<Said, Vec<bool>>, bool) {
        let ask = Ask { out: head.out.clone(), ..Ask::new(reads.len(), until) };
        let lost = &AtomicBool::new(false);
        let outcome = self.panel.ask(&ask, |index| async move {
            match self.provider(index)?.read(head.hash, reads).await {
                Ok(answers) => sayings(answers),
                // Not held against it: after a reorganisation it is in the right.
                Err(Failure::Behind) => {
                    lost.store(true, Ordering::Relaxed);
                    Ok((vec![None; reads.len()], vec![false; reads.len()]))
                }
                Err(failure) => Err(failure),
            }
        });
        (outcome.await, lost.load(Ordering::Relaxed))
    }

    pub(crate) async fn signed(
        &self,
        wallet: Address,
        digest: [u8; 32],
        signature: &[u8],
    ) -> Option<bool> {
        if signature.len() > signature::MAX_SIGNATURE {
            return Some(false);
        }
        let question = &signature::question(wallet, digest, signature)?;
        let until = Instant::now() + self.panel.timing().overall;
        let head = self.place(None, until).await.ok()?;
        let ask = Ask { out: head.out, ..Ask::new(1, until) };
        let outcome = self
            .panel
            .ask(&ask, |index| async move {
                match self.provider(index)?.signed(head.hash, question).await {
                    Err(Failure::Behind) => Ok((vec![None], ())),
                    signed => Ok((vec![Some(signed?)], ())),
                }
            })
            .await;
        match outcome.standing(0) {
            Standing::Agreed(signed, _) => Some(*signed),
            _ => None,
        }
    }

    /// Asks every provider for its newest block, be it needed or not, and for the head that they
    /// should all have.
    pub(crate) async fn health(&self) -> ChainHealth {
        let until = Instant::now() + self.panel.timing().overall;
        let newest = self.panel.ask_each(|index| async move {
            let newest = async { self.provider(index)?.newest().await };
            timeout_at(until, newest).await.unwrap_or(Err(Failure::Late))
        });
        let mut heads = newest.await;
        let numbers: Vec<_> = heads.iter().flatten().copied().collect();
        let quorum = self.panel.quorum();
        let head = match head::target(&numbers, quorum, self.confirmations) {
            Some(target) => self.compare(target, &mut heads, until).await,
            None => {
                let silent = heads.len() - numbers.len();
                Err(format!("{silent} of {} providers do not answer", heads.len()))
            }
        };
        let provider = |(index, head)| ProviderHealth { state: self.panel.state(index), head };
        let providers = heads.into_iter().enumerate().map(provider).collect();
        ChainHealth { head, quorum, providers }
    }

    /// The head that a quorum of those who answered agrees on; who has another loses its own.
    async fn compare(
        &self,
        target: u64,
        heads: &mut [Result<u64, Failure>],
        until: Instant,
    ) -> Result<Block, String> {
        let fine = heads.iter().enumerate().filter(|(_, head)| head.is_ok());
        let headers = join_all(fine.map(|(index, _)| async move {
            let header = async { self.provider(index)?.header(target).await };
            (index, timeout_at(until, header).await.unwrap_or(Err(Failure::Late)))
        }));
        let mut outcome = Outcome {
            replies: Vec::new(),
            providers: self.panel.providers(),
            quorum: self.panel.quorum(),
            unheard: 0,
        };
        for (provider, header) in headers.await {
            match header {
                Ok(Some(header)) => {
                    let answers = vec![Some(header)];
                    outcome.replies.push(Reply { provider, answers, aside: () });
                }
                Ok(None) => heads[provider] = Err(Failure::Behind),
                Err(failure) => heads[provider] = Err(failure),
            }
        }
        for reply in outcome.replies.iter().filter(|reply| outcome.is_outvoted(reply)) {
            let failure = Failure::Unfit("it contradicts the others");
            self.panel.failed(reply.provider, &failure);
            heads[reply.provider] = Err(failure);
        }
        match outcome.standing(0) {
            Standing::Agreed(header, _) => {
                head::head(header, self.confirmations, Vec::new(), System.now())
                    .map(|head| head.block)
            }
            _ => Err(outcome.reason(0)),
        }
    }

    pub(crate) fn provider(&self, index: usize) -> Result<&Provider, Failure> {
        self.providers
            .get(index)
            .and_then(Option::as_ref)
            .ok_or(Failure::Unfit("its address can't be read"))
    }

    /// Where to read: at the given block, or at the shared head.
    async fn place(&self, at: Option<&Block>, until: Instant) -> Result<Head, String> {
        match at {
            Some(block) => {
                let hash = block.hash.parse().map_err(|_| "the block has no hash".to_owned())?;
                Ok(Head { block: block.clone(), hash, time: 0, out: Vec::new() })
            }
            None => self.head(self.panel.timing().head, until).await,
        }
    }

    /// The shared head, if it is no older.
    pub(crate) async fn head(&self, age: Duration, until: Instant) -> Result<Head, String> {
        self.head.get(age, || self.renew(until)).await
    }

    /// When a question that is asked now is given up.
    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.panel.timing().overall
    }

    /// The header that a quorum has at this very height.
    pub(crate) async fn exactly(&self, number: u64, until: Instant) -> Result<Header, String> {
        let outcome = self
            .panel
            .ask(&Ask::new(1, until), |index| async move {
                Ok((vec![self.provider(index)?.header(number).await?], ()))
            })
            .await;
        match outcome.standing(0) {
            Standing::Agreed(header, _) => Ok(header.clone()),
            _ => Err(outcome.reason(0)),
        }
    }

    async fn renew(&self, until: Instant) -> Result<Head, String> {
        let ask = Ask { blames: false, ..Ask::new(1, until) };
        let outcome = self
            .panel
            .ask(&ask, |index| async move {
                Ok((vec![Some(())], self.provider(index)?.newest().await?))
            })
            .await;
        if !matches!(outcome.standing(0), Standing::Agreed(..)) {
            return Err(outcome.reason(0));
        }
        let mut claims: Claims =
            outcome.replies.iter().map(|reply| (reply.provider, reply.aside)).collect();
        let target = self.target(&claims);
        let (mut header, mut out) = self.agree(target, until).await?;
        let went_back = target < self.reached.load(Ordering::Relaxed);
        if went_back || head::seems_old(&header, self.confirmations, System.now()) {
            self.ask_others(&mut claims, until).await;
            let again = self.target(&claims);
            if again != target {
                (header, out) = self.agree(again, until).await?;
            }
        }
        self.reached.store(header.number.to(), Ordering::Relaxed);
        head::head(&header, self.confirmations, out, System.now())
    }

    fn target(&self, claims: &Claims) -> u64 {
        let numbers: Vec<_> = claims.values().copied().collect();
        head::target(&numbers, self.panel.quorum(), self.confirmations).unwrap_or_default()
    }

    /// What those who were not needed so far claim.
    async fn ask_others(&self, claims: &mut Claims, until: Instant) {
        let others = self.panel.order().into_iter();
        let others = others.filter(|index| !claims.contains_key(index) && self.panel.admit(*index));
        let asked = others.map(|index| async move {
            let began = Instant::now();
            let newest = async { self.provider(index)?.newest().await };
            let newest = timeout_at(until, newest).await.unwrap_or(Err(Failure::Late));
            match &newest {
                Ok(_) => self.panel.answered(index, began.elapsed()),
                Err(failure) => self.panel.failed(index, failure),
            }
            Some((index, newest.ok()?))
        });
        claims.extend(join_all(asked.collect::<Vec<_>>()).await.into_iter().flatten());
    }

    /// The header that a quorum has at this height, and who has not; at the tip, where that is
    /// not settled yet, of the block before.
    async fn agree(&self, target: u64, until: Instant) -> Result<(Header, Vec<usize>), String> {
        let mut reason = String::new();
        for number in [target, target.saturating_sub(1)] {
            let outcome = self
                .panel
                .ask(&Ask::new(1, until), |index| async move {
                    Ok((vec![self.provider(index)?.header(number).await?], ()))
                })
                .await;
            if let Standing::Agreed(header, agreeing) = outcome.standing(0) {
                let out = outcome.replies.iter().filter(|reply| !agreeing.contains(reply));
                return Ok((header.clone(), out.map(|reply| reply.provider).collect()));
            }
            reason = outcome.reason(0);
            // Too few are there at all.
            if outcome.replies.len() + outcome.unheard < self.panel.quorum() {
                break;
            }
        }
        Err(reason)
    }
}

/// Answers as they are compared, and which reads were not asked.
fn sayings(reads: Vec<Read>) -> Result<(Vec<Option<Said>>, Vec<bool>), Failure> {
    let crowded = reads.iter().map(|read| *read == Read::Crowded).collect();
    // A provider that has nothing but errors has failed.
    if let Some(Read::None(code)) = reads.first()
        && reads.iter().all(|read| matches!(read, Read::None(_)))
    {
        return Err(Failure::Error(*code));
    }
    let said = reads.into_iter().map(|read| match read {
        Read::Answer(answer) => Some(Said(answer)),
        _ => None,
    });
    Ok((said.collect(), crowded))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guard: [`Said`]. Two nodes that word a revert differently would else never agree.
    #[test]
    fn a_refusal_is_a_refusal_in_any_words() {
        let refused = |reason: &str| Said(Answer::Refused(reason.into()));
        assert_eq!(refused("reverted"), refused("uses up all gas"));
        assert_ne!(refused("reverted"), Said(Answer::Bytes(Vec::new())));
        assert_ne!(Said(Answer::Bytes(vec![1])), Said(Answer::Bytes(vec![0, 1])));
    }

    /// Guard: [`sayings`]. One read may fail by itself; all of them are the provider's failure.
    #[test]
    fn nothing_but_errors_is_a_failure() {
        let answer = Read::Answer(Answer::Bytes(vec![1]));
        assert_eq!(sayings(vec![Read::None(-32603); 2]), Err(Failure::Error(-32603)));
        let (said, crowded) = sayings(vec![Read::None(1), answer, Read::Crowded]).unwrap();
        assert_eq!(said, [None, Some(Said(Answer::Bytes(vec![1]))), None]);
        assert_eq!(crowded, [false, false, true]);
        assert_eq!(sayings(Vec::new()), Ok((Vec::new(), Vec::new())));
    }
}
