//! The providers of one chain: who is asked, when the next one is, and what is held against whom.

use crate::{Breaker, Failure, Latencies, Outcome, Reply, Standing, State, Timing};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The providers of one chain, by their places in the settings.
#[derive(Debug)]
pub struct Panel {
    chain: String,
    quorum: usize,
    timing: Timing,
    members: Vec<Mutex<Member>>,
    requests: Vec<AtomicU64>,
    disagreements: AtomicU64,
}

#[derive(Debug)]
struct Member {
    breaker: Breaker,
    latencies: Latencies,
}

/// A question to the panel.
#[derive(Debug, Clone)]
pub struct Ask {
    /// How many answers it takes; each needs its own quorum.
    pub items: usize,
    /// When to stop waiting.
    pub until: Instant,
    /// Whether to answer other than a quorum is held against a provider. Not where honest ones
    /// may differ.
    pub blames: bool,
    /// Who is not asked.
    pub out: Vec<usize>,
}

impl Ask {
    /// Everyone may be asked, and who is outvoted is to blame.
    pub fn new(items: usize, until: Instant) -> Self {
        Self { items, until, blames: true, out: Vec::new() }
    }
}

/// What was done so far, for tests and benches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests made, by provider.
    pub requests: Vec<u64>,
    /// Questions that providers answered differently.
    pub disagreements: u64,
}

/// A provider that is being asked.
struct Running {
    provider: usize,
    began: Instant,
    late: Instant,
}

impl Panel {
    /// `chain` is for the log. A quorum of none would agree on nothing: it is at least one.
    pub fn new(chain: impl Into<String>, providers: usize, quorum: usize, timing: Timing) -> Self {
        let member = || Member {
            breaker: Breaker::new(timing.failures, timing.open),
            latencies: Latencies::default(),
        };
        Self {
            chain: chain.into(),
            quorum: quorum.max(1),
            members: (0..providers).map(|_| Mutex::new(member())).collect(),
            requests: (0..providers).map(|_| AtomicU64::new(0)).collect(),
            disagreements: AtomicU64::new(0),
            timing,
        }
    }

    /// How long things may take.
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// How many must agree.
    pub fn quorum(&self) -> usize {
        self.quorum
    }

    /// How many providers there are.
    pub fn providers(&self) -> usize {
        self.members.len()
    }

    /// Whether a provider is asked at present.
    pub fn state(&self, provider: usize) -> State {
        self.member(provider).map_or(State::Open, |member| member.breaker.state(Instant::now()))
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        Counts {
            requests: self.requests.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            disagreements: self.disagreements.load(Ordering::Relaxed),
        }
    }

    /// A request is made: the adapter says so for each that goes out.
    pub fn count(&self, provider: usize) {
        if let Some(count) = self.requests.get(provider) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Who may be asked, best first: closed breakers, then short answers of late. One that was
    /// never asked is taken for just quick enough, so that it is tried where the others are slow.
    pub fn order(&self) -> Vec<usize> {
        let now = Instant::now();
        let mut order: Vec<_> = (0..self.members.len())
            .filter_map(|provider| {
                let member = self.member(provider)?;
                let took = member.latencies.median().unwrap_or(self.timing.late);
                match member.breaker.state(now) {
                    State::Open => None,
                    state => Some((state != State::Closed, took, provider)),
                }
            })
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, _, provider)| provider).collect()
    }

    /// Whether a request may be made now. Of a provider that failed too often, only one may try.
    pub fn admit(&self, provider: usize) -> bool {
        self.member(provider).is_some_and(|mut member| member.breaker.admit(Instant::now()))
    }

    /// A provider answered, and nothing speaks against its answer.
    pub fn answered(&self, provider: usize, took: Duration) {
        if let Some(mut member) = self.member(provider) {
            member.breaker.succeeded();
            member.latencies.add(took);
        }
    }

    /// A provider gave no answer, or none that counts.
    pub fn failed(&self, provider: usize, failure: &Failure) {
        tracing::warn!(chain = self.chain, provider, %failure, "a provider gave no answer");
        if failure.is_its_fault()
            && let Some(mut member) = self.member(provider)
        {
            member.breaker.failed(Instant::now());
        }
    }

    /// Asks as many providers as must agree, and one more whenever one of them fails, differs or
    /// is late, until every item is agreed on, or can't be, or time is up.
    ///
    /// The future of a provider whose answer is no longer needed is dropped.
    pub async fn ask<A, S, F>(&self, ask: &Ask, of: impl Fn(usize) -> F) -> Outcome<A, S>
    where
        A: Eq,
        F: Future<Output = Result<(Vec<Option<A>>, S), Failure>>,
    {
        let mut outcome = Outcome {
            replies: Vec::new(),
            providers: self.members.len(),
            quorum: self.quorum,
            unheard: 0,
        };
        let mut waiting: VecDeque<_> =
            self.order().into_iter().filter(|provider| !ask.out.contains(provider)).collect();
        let mut running: Vec<Running> = Vec::new();
        let mut answers = FuturesUnordered::new();
        loop {
            let needed = self.needed(&outcome, ask.items, running.len() + waiting.len());
            let now = Instant::now();
            if needed == 0 || now >= ask.until {
                break;
            }
            while running.iter().filter(|one| now < one.late).count() < needed {
                let Some(provider) = waiting.pop_front() else { break };
                if self.admit(provider) {
                    running.push(Running { provider, began: now, late: now + self.late(provider) });
                    let answer = of(provider);
                    answers.push(async move { (provider, answer.await) });
                }
            }
            if running.is_empty() {
                break;
            }
            let late = running.iter().map(|one| one.late).filter(|late| *late > now).min();
            let wake = late.filter(|_| !waiting.is_empty()).unwrap_or(ask.until).min(ask.until);
            tokio::select! {
                biased;
                Some((provider, answer)) = answers.next() => {
                    let place = running.iter().position(|one| one.provider == provider);
                    let took = place.map(|place| running.swap_remove(place).began.elapsed());
                    match answer {
                        Ok((answers, aside)) => {
                            self.took(provider, took.unwrap_or_default());
                            outcome.replies.push(Reply { provider, answers, aside });
                        }
                        Err(failure) => self.failed(provider, &failure),
                    }
                }
                () = sleep_until(wake) => {}
            }
        }
        if Instant::now() < ask.until {
            outcome.unheard = running.len() + waiting.len();
        }
        self.settle(&outcome, ask, &running);
        outcome
    }

    /// Asks every provider, be its breaker open or not, as health must.
    pub async fn ask_each<T, F>(&self, of: impl Fn(usize) -> F) -> Vec<Result<T, Failure>>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let each = (0..self.members.len()).map(|provider| {
            let (answer, began) = (of(provider), Instant::now());
            async move {
                let answer = answer.await;
                match &answer {
                    Ok(_) => self.answered(provider, began.elapsed()),
                    Err(failure) => self.failed(provider, failure),
                }
                answer
            }
        });
        join_all(each).await
    }

    /// How many more answers the items take at least that can still be agreed on.
    fn needed<A: Eq, S>(&self, outcome: &Outcome<A, S>, items: usize, to_come: usize) -> usize {
        (0..items)
            .map(|item| self.quorum.saturating_sub(outcome.votes(item)))
            .filter(|missing| *missing <= to_come)
            .max()
            .unwrap_or(0)
    }

    fn settle<A: Eq, S>(&self, outcome: &Outcome<A, S>, ask: &Ask, running: &[Running]) {
        let now = Instant::now();
        for one in running.iter().filter(|one| now >= one.late) {
            // Nobody waits for it any longer, and it is to be asked later next time.
            self.took(one.provider, one.began.elapsed());
            if now >= ask.until {
                self.failed(one.provider, &Failure::Late);
            }
        }
        let disputed = |item| outcome.differs(item);
        if (0..ask.items).any(disputed) {
            self.disagreements.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(chain = self.chain, "the providers disagree");
        }
        let open = (0..ask.items)
            .any(|item| disputed(item) && !matches!(outcome.standing(item), Standing::Agreed(..)));
        for reply in &outcome.replies {
            if outcome.is_outvoted(reply) {
                if ask.blames {
                    self.failed(reply.provider, &Failure::Unfit("it was outvoted"));
                }
            } else if !open && let Some(mut member) = self.member(reply.provider) {
                // Of those who differ without a quorum, nobody knows who is right.
                member.breaker.succeeded();
            }
        }
    }

    fn took(&self, provider: usize, took: Duration) {
        if let Some(mut member) = self.member(provider) {
            member.latencies.add(took);
        }
    }

    fn late(&self, provider: usize) -> Duration {
        let usual = self.member(provider).and_then(|member| member.latencies.p95());
        usual.unwrap_or_default().max(self.timing.late)
    }

    fn member(&self, provider: usize) -> Option<MutexGuard<'_, Member>> {
        let member = self.members.get(provider)?;
        Some(member.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex as Log;
    use tokio::time::sleep;

    const FAST: u64 = 20;

    /// What a scripted provider does: answers after so many milliseconds, or fails after them.
    type Script = (u64, Result<&'static [Option<u8>], Failure>);

    fn says(answers: &'static [Option<u8>]) -> Script {
        (FAST, Ok(answers))
    }

    fn fails() -> Script {
        (FAST, Err(Failure::Unreachable))
    }

    fn panel(providers: usize, quorum: usize) -> Panel {
        Panel::new("chain", providers, quorum, Timing::default())
    }

    async fn run(panel: &Panel, items: usize, scripts: &[Script]) -> (Outcome<u8, ()>, Vec<usize>) {
        let asked = Log::new(Vec::new());
        let ask = Ask::new(items, Instant::now() + panel.timing().overall);
        let outcome = panel
            .ask(&ask, |provider| {
                asked.lock().unwrap().push(provider);
                let (millis, answer) = scripts[provider].clone();
                async move {
                    sleep(Duration::from_millis(millis)).await;
                    answer.map(|answers| (answers.to_vec(), ()))
                }
            })
            .await;
        (outcome, asked.into_inner().unwrap())
    }

    fn agreed(outcome: &Outcome<u8, ()>, item: usize) -> Option<u8> {
        match outcome.standing(item) {
            Standing::Agreed(answer, _) => Some(*answer),
            _ => None,
        }
    }

    const ONE: &[Option<u8>] = &[Some(1)];
    const TWO: &[Option<u8>] = &[Some(2)];

    #[tokio::test(start_paused = true)]
    async fn no_more_are_asked_than_must_agree() {
        let panel = panel(3, 2);
        let (outcome, asked) = run(&panel, 1, &[says(ONE), says(ONE), says(TWO)]).await;
        assert_eq!((agreed(&outcome, 0), asked), (Some(1), vec![0, 1]));
        assert_eq!(panel.counts().disagreements, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_is_asked_when_one_fails_differs_or_is_late() {
        let late = (1_000, Ok(ONE));
        for first in [fails(), says(TWO), late] {
            let (outcome, asked) = run(&panel(3, 2), 1, &[first, says(ONE), says(ONE)]).await;
            assert_eq!((agreed(&outcome, 0), asked), (Some(1), vec![0, 1, 2]));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_one_is_waited_for_where_nobody_else_can_stand_in() {
        let start = Instant::now();
        let (outcome, _) = run(&panel(3, 2), 1, &[(1_000, Ok(ONE)), says(ONE), fails()]).await;
        assert_eq!(agreed(&outcome, 0), Some(1));
        assert_eq!(start.elapsed(), Duration::from_millis(1_000));
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_late_is_asked_last_the_next_time() {
        let panel = panel(3, 2);
        let scripts = [(1_000, Ok(ONE)), says(ONE), says(ONE)];
        run(&panel, 1, &scripts).await;
        let start = Instant::now();
        assert_eq!(run(&panel, 1, &scripts).await.1, [1, 2]);
        assert_eq!(start.elapsed(), Duration::from_millis(FAST));
    }

    #[tokio::test(start_paused = true)]
    async fn two_dead_of_three_leave_it_open_at_once() {
        let start = Instant::now();
        let hangs = (60_000, Ok(ONE));
        let (outcome, _) = run(&panel(3, 2), 1, &[fails(), fails(), hangs]).await;
        assert_eq!(outcome.standing(0), Standing::Silent);
        assert_eq!(outcome.reason(0), "2 of 3 providers do not answer");
        assert_eq!(start.elapsed(), Duration::from_millis(FAST));
    }

    #[tokio::test(start_paused = true)]
    async fn time_runs_out() {
        let (panel, start) = (panel(3, 2), Instant::now());
        let hangs = || (60_000, Ok(ONE));
        let (outcome, _) = run(&panel, 1, &[hangs(), hangs(), hangs()]).await;
        assert_eq!(outcome.standing(0), Standing::Silent);
        assert_eq!(outcome.reason(0), "3 of 3 providers do not answer");
        assert_eq!(start.elapsed(), panel.timing().overall);
    }

    #[tokio::test(start_paused = true)]
    async fn each_item_needs_its_own_quorum() {
        let scripts =
            [says(&[Some(1), Some(5)]), says(&[Some(1), Some(6)]), says(&[Some(9), Some(6)])];
        let (outcome, asked) = run(&panel(3, 2), 2, &scripts).await;
        assert_eq!((agreed(&outcome, 0), agreed(&outcome, 1)), (Some(1), Some(6)));
        assert_eq!(asked.len(), 3);
        // An item that can't be agreed on any more does not keep the other from being so.
        let scripts = [says(&[Some(1), None]), says(&[Some(2), None]), says(&[Some(1), None])];
        let (outcome, _) = run(&panel(3, 2), 2, &scripts).await;
        assert_eq!((agreed(&outcome, 0), agreed(&outcome, 1)), (Some(1), None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_liar_is_outvoted_and_in_the_end_not_asked() {
        let panel = panel(3, 2);
        // Keeps the liar in front, where it does most harm.
        let scripts = [(1, Ok(TWO)), says(ONE), says(ONE)];
        for round in 1..=5 {
            assert_eq!(agreed(&run(&panel, 1, &scripts).await.0, 0), Some(1));
            assert_eq!(panel.counts().disagreements, round);
        }
        assert_eq!(panel.state(0), State::Open);
        assert_eq!(run(&panel, 1, &scripts).await.1, [1, 2]);
        tokio::time::advance(panel.timing().open).await;
        assert_eq!(panel.state(0), State::HalfOpen);
        assert_eq!(run(&panel, 1, &scripts).await.1, [1, 2], "it is tried where it is needed");
        let (outcome, asked) = run(&panel, 1, &[says(ONE), fails(), says(ONE)]).await;
        assert_eq!((agreed(&outcome, 0), asked), (Some(1), vec![1, 2, 0]));
        assert_eq!(panel.state(0), State::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_quorum_nobody_is_to_blame() {
        let panel = panel(2, 2);
        for _ in 0..9 {
            let (outcome, _) = run(&panel, 1, &[says(ONE), says(TWO)]).await;
            assert_eq!(outcome.reason(0), "the providers disagree");
        }
        assert_eq!([panel.state(0), panel.state(1)], [State::Closed; 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_too_long_is_not_held_against_its_bearer() {
        let panel = panel(1, 1);
        for _ in 0..9 {
            run(&panel, 1, &[(FAST, Err(Failure::TooLong))]).await;
        }
        assert_eq!(panel.state(0), State::Closed);
        for _ in 0..5 {
            run(&panel, 1, &[fails()]).await;
        }
        assert_eq!(panel.state(0), State::Open);
        let (outcome, asked) = run(&panel, 1, &[says(ONE)]).await;
        assert_eq!((outcome.reason(0).as_str(), asked.len()), ("the provider does not answer", 0));
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_asked_whatever_its_breaker_says() {
        let panel = panel(2, 1);
        for _ in 0..5 {
            panel.failed(0, &Failure::Busy);
        }
        let answers = panel.ask_each(|provider| async move { Ok(provider) }).await;
        assert_eq!(answers, [Ok(0), Ok(1)]);
        assert_eq!(panel.state(0), State::Closed);
    }
}
