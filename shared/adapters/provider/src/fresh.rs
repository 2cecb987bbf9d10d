//! A value that is shared until it is too old.

use std::sync::{Mutex as Lock, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A value that all who ask share; one of them renews it while the others wait.
#[derive(Debug)]
pub struct Fresh<T, E> {
    kept: Lock<Option<Kept<Result<T, E>>>>,
    renewing: Mutex<()>,
}

#[derive(Debug)]
struct Kept<V> {
    outcome: V,
    began: Instant,
    /// A frozen machine's monotonic clock may have stood still; its wall clock is set right.
    wall: SystemTime,
    done: Instant,
}

impl<T, E> Default for Fresh<T, E> {
    fn default() -> Self {
        Self { kept: Lock::new(None), renewing: Mutex::new(()) }
    }
}

impl<T: Clone, E: Clone> Fresh<T, E> {
    /// The value, renewed if it is older than `age`. Whoever waited for another's renewal takes
    /// what came of it, be it a failure: to try one after the other would only make them late.
    pub async fn get<F>(&self, age: Duration, renew: impl FnOnce() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let asked = Instant::now();
        if let Some(value) = self.young(age) {
            return Ok(value);
        }
        let _turn = self.renewing.lock().await;
        if let Some(kept) = self.kept().as_ref().filter(|kept| kept.done >= asked) {
            return kept.outcome.clone();
        }
        let (began, wall) = (Instant::now(), SystemTime::now());
        let outcome = renew().await;
        let kept = Kept { outcome: outcome.clone(), began, wall, done: Instant::now() };
        *self.kept() = Some(kept);
        outcome
    }

    fn young(&self, age: Duration) -> Option<T> {
        let kept = self.kept();
        let kept = kept.as_ref()?;
        let value = kept.outcome.as_ref().ok()?;
        // A wall clock that was set back tells nothing.
        let young = kept.began.elapsed() < age && kept.wall.elapsed().unwrap_or_default() < age;
        young.then(|| value.clone())
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept<Result<T, E>>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::cell::Cell;

    const AGE: Duration = Duration::from_secs(5);

    async fn renewed(count: &Cell<u32>, fine: bool) -> Result<u32, &'static str> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        count.set(count.get() + 1);
        fine.then(|| count.get()).ok_or("no")
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_at_once_share_one_renewal() {
        let (fresh, count) = (Fresh::default(), Cell::new(0));
        let all = || join_all((0..9).map(|_| fresh.get(AGE, || renewed(&count, true))));
        assert!(all().await.iter().all(|value| *value == Ok(1)));
        assert!(all().await.iter().all(|value| *value == Ok(1)));
        tokio::time::advance(AGE).await;
        assert!(all().await.iter().all(|value| *value == Ok(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_by_those_who_waited_and_by_nobody_else() {
        let (fresh, count) = (Fresh::default(), Cell::new(0));
        let all = || join_all((0..9).map(|_| fresh.get(AGE, || renewed(&count, false))));
        assert!(all().await.iter().all(|value| *value == Err("no")));
        assert_eq!(count.get(), 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(fresh.get(AGE, || renewed(&count, true)).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_is_given_up_does_not_block_the_next() {
        let (fresh, count) = (Fresh::default(), Cell::new(0));
        let given_up = fresh.get(AGE, || renewed(&count, true));
        assert!(tokio::time::timeout(Duration::from_millis(10), given_up).await.is_err());
        assert_eq!(fresh.get(AGE, || renewed(&count, true)).await, Ok(1));
    }
}
