//! How many requests each behaviour took, and how many were answered from the cache.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// One behaviour's counts since the edge was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Count {
    /// All requests.
    pub requests: u64,
    /// Those answered from the cache.
    pub hits: u64,
    /// Those answered with 400 or above.
    pub errors: u64,
    /// Hits among the requests without errors, 0 to 1.
    pub rate: f64,
}

/// Counts by path pattern; what no behaviour took is under `-`.
#[derive(Debug, Default)]
pub struct Hits(Mutex<BTreeMap<String, Count>>);

impl Hits {
    /// One more request.
    pub fn add(&self, pattern: Option<&str>, hit: bool, error: bool) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(pattern.unwrap_or("-").to_owned()).or_default();
        count.requests += 1;
        count.errors += u64::from(error);
        count.hits += u64::from(hit && !error);
        let served = count.requests - count.errors;
        count.rate = if served == 0 { 0.0 } else { count.hits as f64 / served as f64 };
    }

    /// All of them.
    pub fn counts(&self) -> BTreeMap<String, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_no_part_of_the_rate() {
        let hits = Hits::default();
        for (hit, error) in
            [(false, false), (true, false), (true, true), (true, false), (true, false)]
        {
            hits.add(Some("/v/*"), hit, error);
        }
        hits.add(None, false, true);
        let counts = hits.counts();
        assert_eq!(counts["/v/*"], Count { requests: 5, hits: 3, errors: 1, rate: 0.75 });
        assert_eq!(counts["-"], Count { requests: 1, hits: 0, errors: 1, rate: 0.0 });
    }
}
