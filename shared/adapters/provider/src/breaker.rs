//! Who is worth asking: a breaker, and how long answers took lately. Time is handed in.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How many answers are remembered.
const REMEMBERED: usize = 64;

/// Whether a provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is.
    Closed,
    /// It is not: it failed too often in a row.
    Open,
    /// One request may try whether it is back, or does so just now.
    HalfOpen,
}

impl State {
    /// As health says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// Spares a provider that fails, and those who would wait for it.
#[derive(Debug, Clone)]
pub struct Breaker {
    limit: u32,
    pause: Duration,
    failures: u32,
    /// Set while it is not closed: from then on one request may try.
    try_at: Option<Instant>,
}

impl Breaker {
    /// Opens after `limit` failures in a row, for `pause`.
    pub fn new(limit: u32, pause: Duration) -> Self {
        Self { limit, pause, failures: 0, try_at: None }
    }

    /// What it is at this time.
    pub fn state(&self, now: Instant) -> State {
        match self.try_at {
            None => State::Closed,
            Some(try_at) if now < try_at => State::Open,
            Some(_) => State::HalfOpen,
        }
    }

    /// Whether a request may be made. Of an opened breaker it lets one through per pause; that
    /// one may end without a word, as nobody waits for an answer that is no longer needed.
    pub fn admit(&mut self, now: Instant) -> bool {
        match self.state(now) {
            State::Closed => true,
            State::Open => false,
            State::HalfOpen => {
                self.try_at = Some(now + self.pause);
                true
            }
        }
    }

    /// A request was answered.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.try_at = None;
    }

    /// A request failed.
    pub fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.limit {
            self.try_at = Some(now + self.pause);
        }
    }
}

/// How long a provider took, lately.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    recent: VecDeque<Duration>,
}

impl Latencies {
    /// One more.
    pub fn add(&mut self, took: Duration) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(took);
    }

    /// What half of them stayed under; `None` before the first.
    pub fn median(&self) -> Option<Duration> {
        self.quantile(50)
    }

    /// What 95 of 100 stayed within; `None` before the first.
    pub fn p95(&self) -> Option<Duration> {
        self.quantile(95)
    }

    fn quantile(&self, percent: usize) -> Option<Duration> {
        let mut sorted: Vec<_> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        // The nearest rank: the least value that so many per cent do not exceed.
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);

    #[test]
    fn failures_in_a_row_open_it_and_others_do_not() {
        let (now, mut breaker) = (Instant::now(), Breaker::new(3, PAUSE));
        for _ in 0..4 {
            breaker.failed(now);
            breaker.failed(now);
            breaker.succeeded();
        }
        assert_eq!(breaker.state(now), State::Closed);
        for _ in 0..3 {
            assert!(breaker.admit(now));
            breaker.failed(now);
        }
        assert_eq!(breaker.state(now), State::Open);
        assert!(!breaker.admit(now));
        assert!(!breaker.admit(now + PAUSE - Duration::from_millis(1)));
    }

    #[test]
    fn one_request_tries_and_its_outcome_decides() {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(1, PAUSE);
        breaker.failed(now);
        now += PAUSE;
        assert_eq!(breaker.state(now), State::HalfOpen);
        assert!(breaker.admit(now));
        assert!(!breaker.admit(now), "only one");
        breaker.failed(now);
        assert!(!breaker.admit(now + PAUSE / 2));
        now += PAUSE;
        assert!(breaker.admit(now));
        breaker.succeeded();
        assert_eq!(breaker.state(now), State::Closed);
        assert!(breaker.admit(now) && breaker.admit(now));
    }

    #[test]
    fn a_try_without_outcome_does_not_close_the_door_for_good() {
        let now = Instant::now();
        let mut breaker = Breaker::new(1, PAUSE);
        breaker.failed(now);
        assert!(breaker.admit(now + PAUSE));
        assert!(!breaker.admit(now + PAUSE + PAUSE / 2));
        assert!(breaker.admit(now + PAUSE * 2));
    }

    #[test]
    fn latencies_are_those_of_lately() {
        let mut latencies = Latencies::default();
        assert_eq!((latencies.median(), latencies.p95()), (None, None));
        latencies.add(Duration::from_millis(7));
        assert_eq!(latencies.p95(), Some(Duration::from_millis(7)));
        for millis in 1..=100 {
            latencies.add(Duration::from_millis(millis));
        }
        // 37 to 100 are left: 64 of them.
        assert_eq!(latencies.median(), Some(Duration::from_millis(68)));
        assert_eq!(latencies.p95(), Some(Duration::from_millis(97)));
    }
}
