//! The one place where requests are made again.

use crate::{Failure, Timing};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Makes a request until it is answered, fails in a way that would not pass, or has failed
/// [`Timing::retries`] times more; each try has [`Timing::request`].
pub async fn attempts<T, F>(timing: &Timing, once: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut retry = 0;
    loop {
        let outcome = timeout(timing.request, once()).await.unwrap_or(Err(Failure::Late));
        match outcome {
            Err(failure) if failure.may_pass() && retry < timing.retries => {
                sleep(pause(timing, retry)).await;
                retry += 1;
            }
            outcome => return outcome,
        }
    }
}

/// How long to wait before a retry, of which this many were made: anything up to the whole pause,
/// so that those who failed together do not return together.
pub fn pause(timing: &Timing, retry: u32) -> Duration {
    let most = timing.pause.saturating_mul(2_u32.saturating_pow(retry)).min(timing.longest_pause);
    rand::random_range(Duration::ZERO..=most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    async fn run(outcomes: &[Result<u8, Failure>]) -> (Result<u8, Failure>, usize) {
        let made = Cell::new(0);
        let outcome = attempts(&Timing::default(), || {
            let outcome = outcomes[made.get()].clone();
            made.set(made.get() + 1);
            async { outcome }
        })
        .await;
        (outcome, made.get())
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_three_times() {
        let (busy, lost) = (Err(Failure::Busy), Err(Failure::Unreachable));
        assert_eq!(run(&[busy.clone(), lost.clone(), Ok(1)]).await, (Ok(1), 3));
        assert_eq!(run(&[busy.clone(), lost, busy.clone(), Ok(1)]).await, (busy, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_an_answer() {
        for failure in [
            Failure::Late,
            Failure::Status(401),
            Failure::TooLong,
            Failure::Garbage,
            Failure::Error(-32000),
            Failure::Behind,
            Failure::WrongChain,
            Failure::Unfit("it lies"),
        ] {
            assert_eq!(run(&[Err(failure.clone()), Ok(1)]).await, (Err(failure), 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_hangs_is_given_up() {
        let hang = || std::future::pending::<Result<(), Failure>>();
        let start = tokio::time::Instant::now();
        assert_eq!(attempts(&Timing::default(), hang).await, Err(Failure::Late));
        assert_eq!(start.elapsed().as_secs(), 3);
    }

    #[test]
    fn pauses_grow_up_to_their_limit_and_vary() {
        let timing = Timing::default();
        for (retry, most) in [(0, 100), (1, 200), (2, 400), (9, 1000), (99, 1000)] {
            let pauses: Vec<_> = (0..200).map(|_| pause(&timing, retry)).collect();
            assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(most)));
            assert!(pauses.iter().any(|pause| *pause > Duration::from_millis(most / 2)));
            assert!(pauses.iter().any(|pause| *pause < Duration::from_millis(most / 2)));
        }
    }
}
