//! A cluster: what its providers agree on.

use crate::accounts::{self, Seen};
use crate::find;
use crate::provider::{COMMITMENT, Provider};
use adapter_provider::{Ask, Counts, Failure, Fresh, Outcome, Panel, Standing, State, Timing};
use app::ports::{ChainSettings, Clock, System};
use domain::account::{Genesis, Pubkey};
use domain::fact::{Answer, Fact, Find, Place, SolanaRead};
use domain::{Seconds, account::ChainId};
use futures_util::future::{join, join_all, try_join};
use serde_json::json;
use solana_client::rpc_request::RpcRequest;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::{Instant, timeout, timeout_at};

/// What providers say of accounts, with the slot of each answer.
type Answers = Outcome<Seen, Vec<u64>>;

/// How a cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterHealth {
    /// The slot that a quorum has reached, or why there is none.
    pub head: Result<u64, String>,
    /// How many providers must agree. One of one is to trust it.
    pub quorum: usize,
    /// By their places in the settings.
    pub providers: Vec<ProviderHealth>,
}

/// How a provider is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderHealth {
    /// Whether it is asked at present.
    pub state: State,
    /// The slot that it is at, or what is wrong with it.
    pub head: Result<u64, Failure>,
}

/// The providers of one cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    genesis: Genesis,
    providers: Vec<Option<Provider>>,
    panel: Panel,
    recent: Fresh<u64, String>,
}

impl Cluster {
    /// An address that is none keeps its place, and never answers.
    pub(crate) fn new(genesis: Genesis, settings: &ChainSettings, timing: &Timing) -> Self {
        let chain = ChainId::Solana(genesis);
        let addresses = settings.rpc.iter().enumerate();
        let providers = addresses.map(|(place, address)| {
            let provider = Provider::new(place, address);
            if provider.is_none() {
                tracing::error!(%chain, provider = place, "an RPC address can't be read");
            }
            provider
        });
        let panel =
            Panel::new(chain.to_string(), settings.rpc.len(), settings.quorum, timing.clone());
        Self { genesis, providers: providers.collect(), panel, recent: Fresh::default() }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.panel.counts()
    }

    pub(crate) async fn health(&self) -> ClusterHealth {
        let now = System.now();
        let heads = self.panel.ask_each(|place| async move {
            let head = async {
                let provider = self.checked(place).await?;
                accounts::head(provider, &self.panel, now).await
            };
            timeout(self.panel.timing().overall, head).await.unwrap_or(Err(Failure::Late))
        });
        let heads = heads.await;
        let reached: Vec<_> = heads.iter().filter_map(|head| head.as_ref().ok().copied()).collect();
        let silent = heads.len() - reached.len();
        let head = quorum_reached(reached, self.panel.quorum())
            .ok_or_else(|| format!("{silent} of {} providers do not answer", heads.len()));
        let providers = heads.into_iter().enumerate();
        let provider = |(place, head)| ProviderHealth { state: self.panel.state(place), head };
        ClusterHealth {
            head,
            quorum: self.panel.quorum(),
            providers: providers.map(provider).collect(),
        }
    }

    /// One fact per read, in order.
    pub(crate) async fn read(&self, at: Option<u64>, reads: &[SolanaRead]) -> Vec<Fact> {
        // Facts are as old as the first request for them.
        let (now, until) = (System.now(), Instant::now() + self.panel.timing().overall);
        let keys: Vec<_> = reads
            .iter()
            .filter_map(|read| match read {
                SolanaRead::Account(key) => Some(*key),
                SolanaRead::Find(_) => None,
            })
            .collect();
        let finds = reads.iter().filter_map(|read| match read {
            SolanaRead::Account(_) => None,
            SolanaRead::Find(find) => Some(self.find(at, find, now, until)),
        });
        let (accounts, finds) = join(self.accounts(at, &keys, now, until), join_all(finds)).await;
        let (mut accounts, mut finds) = (accounts.into_iter(), finds.into_iter());
        let fact = |read| match read {
            &SolanaRead::Account(_) => accounts.next(),
            SolanaRead::Find(_) => finds.next(),
        };
        let unread = || Fact::unknown("it was not read", now);
        reads.iter().map(fact).map(|fact| fact.unwrap_or_else(unread)).collect()
    }

    async fn accounts(
        &self,
        at: Option<u64>,
        keys: &[Pubkey],
        now: Seconds,
        until: Instant,
    ) -> Vec<Fact> {
        if keys.is_empty() {
            return Vec::new();
        }
        let slot = match at {
            Some(slot) => slot,
            None => match self.recent(until).await {
                Ok(slot) => slot,
                Err(reason) => return vec![Fact::unknown(reason, now); keys.len()],
            },
        };
        let first = self.ask(keys, slot, now, until, &[]).await;
        let mut facts: Vec<_> = (0..keys.len()).map(|item| fact(&first, item, now)).collect();
        // Honest providers differ where an account changed between their slots.
        let disputed: Vec<_> = (0..keys.len())
            .filter(|item| matches!(first.standing(*item), Standing::Disagree))
            .collect();
        if let Some(slot) = disputed.iter().filter_map(|item| later_slot(&first, *item)).max() {
            let keys: Vec<_> = disputed.iter().map(|item| keys[*item]).collect();
            let silent: Vec<_> = (0..self.providers.len())
                .filter(|place| !first.replies.iter().any(|reply| reply.provider == *place))
                .collect();
            let second = self.ask(&keys, slot, now, until, &silent).await;
            for (place, item) in disputed.into_iter().enumerate() {
                if matches!(second.standing(place), Standing::Agreed(..)) {
                    facts[item] = fact(&second, place, now);
                }
            }
        }
        facts
    }

    async fn ask(
        &self,
        keys: &[Pubkey],
        slot: u64,
        now: Seconds,
        until: Instant,
        out: &[usize],
    ) -> Answers {
        let ask = Ask { blames: false, out: out.to_vec(), ..Ask::new(keys.len(), until) };
        let answer = |place| async move {
            let provider = self.checked(place).await?;
            accounts::read(provider, &self.panel, keys, slot, now).await
        };
        let answers = self.panel.ask(&ask, answer).await;
        for place in liars(&answers, keys.len()) {
            self.panel.failed(place, &Failure::Unfit("it was outvoted"));
        }
        answers
    }

    /// A slot that a quorum has reached, at most [`Timing::head`] ago: one that claims a far slot
    /// alone moves nothing.
    async fn recent(&self, until: Instant) -> Result<u64, String> {
        let renew = || async {
            let slot = |place| async move {
                let ask = json!([{ "commitment": COMMITMENT }]);
                let provider = self.provider(place)?;
                let check = provider.check(&self.panel, self.genesis);
                let slot = provider.ask::<u64>(&self.panel, RpcRequest::GetSlot, ask);
                let ((), slot) = try_join(check, slot).await?;
                Ok((vec![Some(())], slot))
            };
            let slots = self.panel.ask(&Ask::new(1, until), slot).await;
            let reached = slots.replies.iter().map(|reply| reply.aside).collect();
            quorum_reached(reached, self.panel.quorum()).ok_or_else(|| slots.reason(0))
        };
        let recent = self.recent.get(self.panel.timing().head, renew);
        // Another's renewal may have begun later than this read.
        timeout_at(until, recent)
            .await
            .unwrap_or_else(|_| Err("the cluster does not answer".to_owned()))
    }

    /// What a quorum of providers finds, together: what one of them makes up is read by agreement
    /// before it counts, and what it hides another finds.
    async fn find(&self, at: Option<u64>, what: &Find, now: Seconds, until: Instant) -> Fact {
        let too_long = &AtomicBool::new(false);
        let ask = Ask { blames: false, ..Ask::new(1, until) };
        let look = |place| async move {
            let provider = self.checked(place).await?;
            match find::find(provider, &self.panel, what, at).await {
                Ok(found) => Ok((vec![Some(())], Some(found))),
                // Not every provider keeps an index to look into: nothing is wrong with it.
                Err(failure @ Failure::Error(_)) => {
                    let chain = ChainId::Solana(self.genesis);
                    tracing::warn!(%chain, provider = place, %failure, "a provider can't look");
                    Ok((vec![None], None))
                }
                Err(failure) => {
                    too_long.fetch_or(failure == Failure::TooLong, Ordering::Relaxed);
                    Err(failure)
                }
            }
        };
        let answers = self.panel.ask(&ask, look).await;
        if !matches!(answers.standing(0), Standing::Agreed(..)) {
            if too_long.load(Ordering::Relaxed) {
                return Fact::unknown("the wallet holds too much to look through", now);
            }
            return Fact::unknown(answers.reason(0), now);
        }
        let found: Vec<_> = answers.replies.into_iter().filter_map(|reply| reply.aside).collect();
        let place = found.iter().map(|(_, slot)| *slot).min().map(Place::Slot);
        let found: Vec<_> = found.into_iter().map(|(keys, _)| keys).collect();
        Fact { answer: Answer::Keys(find::together(&found)), place, read_at: now }
    }

    async fn checked(&self, place: usize) -> Result<&Provider, Failure> {
        let provider = self.provider(place)?;
        provider.check(&self.panel, self.genesis).await?;
        Ok(provider)
    }

    fn provider(&self, place: usize) -> Result<&Provider, Failure> {
        let provider = self.providers.get(place).and_then(Option::as_ref);
        provider.ok_or(Failure::Unfit("its address can't be read"))
    }
}

fn fact(answers: &Answers, item: usize, now: Seconds) -> Fact {
    match answers.standing(item) {
        Standing::Agreed(seen, agreeing) => {
            let slots = agreeing.iter().filter_map(|reply| reply.aside.get(item));
            let place = slots.min().copied().map(Place::Slot);
            Fact { answer: Answer::from(seen), place, read_at: now }
        }
        _ => Fact::unknown(answers.reason(item), now),
    }
}

/// The slot that so many have reached.
fn quorum_reached(mut slots: Vec<u64>, quorum: usize) -> Option<u64> {
    slots.sort_unstable_by(|one, other| other.cmp(one));
    slots.get(quorum.checked_sub(1)?).copied()
}

/// The latest slot that an item was answered at, but for as many of the latest as there can be
/// liars beside a quorum: one that claims a far slot must not have the others wait for it.
fn later_slot(answers: &Answers, item: usize) -> Option<u64> {
    let slots = answers.replies.iter().filter_map(|reply| reply.aside.get(item).copied());
    let slots: Vec<_> = slots.collect();
    let liars = slots.len().saturating_sub(answers.quorum);
    quorum_reached(slots, liars + 1)
}

/// Who answers other than a quorum though at a slot of one of them: no change in between can
/// account for that.
fn liars(answers: &Answers, items: usize) -> Vec<usize> {
    let lies = |reply: &&adapter_provider::Reply<Seen, Vec<u64>>| {
        (0..items).any(|item| match (answers.standing(item), &reply.answers[item]) {
            (Standing::Agreed(agreed, agreeing), Some(answer)) => {
                let slot = reply.aside.get(item);
                answer != agreed && agreeing.iter().any(|other| other.aside.get(item) == slot)
            }
            _ => false,
        })
    };
    answers.replies.iter().filter(lies).map(|reply| reply.provider).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use adapter_provider::Reply;

    fn answers(replies: &[(u8, u64)]) -> Answers {
        let reply = |(provider, (data, slot)): (usize, &(u8, u64))| Reply {
            provider,
            answers: vec![Some(Seen::Account { owner: Pubkey::ZERO, data: vec![*data] })],
            aside: vec![*slot],
        };
        let replies = replies.iter().enumerate().map(reply).collect();
        Outcome { replies, providers: 3, quorum: 2, unheard: 0 }
    }

    #[test]
    fn one_alone_moves_no_slot() {
        assert_eq!(quorum_reached(vec![7, u64::MAX], 2), Some(7));
        assert_eq!(quorum_reached(vec![8, u64::MAX, 9], 2), Some(9));
        assert_eq!(quorum_reached(vec![8, 0, 9], 2), Some(8));
        assert_eq!(quorum_reached(vec![8], 2), None);
        assert_eq!(later_slot(&answers(&[(1, 5), (2, u64::MAX), (3, 7)]), 0), Some(7));
        assert_eq!(later_slot(&answers(&[(1, 5), (2, 7)]), 0), Some(7));
    }

    #[test]
    fn a_fact_is_as_new_as_the_oldest_that_agree() {
        let fact = fact(&answers(&[(1, 5), (2, 4), (1, 7)]), 0, 9);
        assert_eq!((fact.place, fact.read_at), (Some(Place::Slot(5)), 9));
    }

    #[test]
    fn who_differs_at_the_same_slot_lies_and_at_another_may_not() {
        assert_eq!(liars(&answers(&[(1, 5), (2, 5), (1, 7)]), 1), [1]);
        assert_eq!(liars(&answers(&[(1, 5), (2, 6), (1, 7)]), 1), [0; 0]);
        assert_eq!(liars(&answers(&[(1, 5), (2, 5)]), 1), [0; 0]);
    }
}
