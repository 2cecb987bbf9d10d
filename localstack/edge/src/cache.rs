//! The edge's memory: whole answers, bounded in bytes, the least recently used going first.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::header::{AGE, CACHE_CONTROL, EXPIRES, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;

use crate::distribution::CachePolicy;

// CloudFront keeps errors for 10 s by default. A film that has just been published must not look missing for that long
// on a developer's machine.
const ERROR_LIFETIME: Duration = Duration::from_secs(1);
// What an entry costs beside its body: key, headers and bookkeeping, roughly.
const OVERHEAD: usize = 2_048;

/// A whole answer of an origin.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those of the connection.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// When it arrived.
    pub since: Instant,
    /// How long it may be used.
    pub lifetime: Duration,
}

/// The cache of one edge.
#[derive(Debug)]
pub struct Cache {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<String, (u64, Arc<Stored>)>,
    by_use: BTreeMap<u64, String>,
    clock: u64,
    bytes: usize,
}

impl Cache {
    /// A cache of at most this many bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, inner: Mutex::default() }
    }

    /// A fresh entry, if there is one.
    pub fn get(&self, key: &str, now: Instant) -> Option<Arc<Stored>> {
        let mut inner = self.lock();
        let (_, stored) = inner.entries.get(key)?;
        if now.saturating_duration_since(stored.since) >= stored.lifetime {
            inner.remove(key);
            return None;
        }
        let stored = Arc::clone(stored);
        inner.touch(key);
        Some(stored)
    }

    /// Keeps an answer, at the cost of older ones.
    pub fn put(&self, key: String, stored: Arc<Stored>) {
        let mut inner = self.lock();
        inner.remove(&key);
        let cost = cost(&key, &stored);
        if cost > self.limit {
            return;
        }
        inner.bytes += cost;
        inner.clock += 1;
        let turn = inner.clock;
        inner.by_use.insert(turn, key.clone());
        inner.entries.insert(key, (turn, stored));
        while inner.bytes > self.limit {
            let Some((_, oldest)) = inner.by_use.first_key_value() else { break };
            let oldest = oldest.clone();
            inner.remove(&oldest);
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.lock() = Inner::default();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remove(&mut self, key: &str) {
        if let Some((turn, stored)) = self.entries.remove(key) {
            self.by_use.remove(&turn);
            self.bytes -= cost(key, &stored);
        }
    }

    fn touch(&mut self, key: &str) {
        self.clock += 1;
        if let Some((turn, _)) = self.entries.get_mut(key) {
            self.by_use.remove(turn);
            *turn = self.clock;
            self.by_use.insert(self.clock, key.to_owned());
        }
    }
}

fn cost(key: &str, stored: &Stored) -> usize {
    stored.body.len() + key.len() + OVERHEAD
}

/// How long an answer may be kept; `None` for not at all. CloudFront's table of minimum, default and maximum TTL with
/// `Cache-Control` and `Expires`.
pub fn lifetime(policy: &CachePolicy, status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    // CloudFront would cache cookies for everybody; nobody wants that, so here such answers stay out.
    if policy.maximum == 0 || headers.contains_key(SET_COOKIE) {
        return None;
    }
    let control: Vec<String> = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|part| part.trim().to_ascii_lowercase())
        .collect();
    let forbidden =
        control.iter().any(|part| matches!(part.as_str(), "no-cache" | "no-store" | "private"));
    if status.is_client_error() || status.is_server_error() {
        return (!forbidden).then_some(ERROR_LIFETIME);
    }
    if !matches!(status.as_u16(), 200 | 301 | 302 | 307 | 308) {
        return None;
    }
    let said = |name: &str| {
        control.iter().find_map(|part| {
            part.strip_prefix(name)?.strip_prefix('=')?.trim_matches('"').parse::<u64>().ok()
        })
    };
    let seconds = if forbidden {
        policy.minimum
    } else {
        said("s-maxage")
            .or_else(|| said("max-age"))
            .or_else(|| expires_in(headers))
            .unwrap_or(policy.default)
            .min(policy.maximum)
            .max(policy.minimum)
    };
    // The origin may have had it for a while already.
    let age = headers
        .get(AGE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok())
        .unwrap_or(0);
    match seconds.saturating_sub(age) {
        0 => None,
        left => Some(Duration::from_secs(left)),
    }
}

fn expires_in(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(EXPIRES)?.to_str().ok()?;
    // An unreadable date means the past.
    let Ok(moment) = httpdate::parse_http_date(value) else { return Some(0) };
    Some(moment.duration_since(std::time::SystemTime::now()).map_or(0, |left| left.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(size: usize, seconds: u64) -> Arc<Stored> {
        Arc::new(Stored {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::from(vec![0; size]),
            since: Instant::now(),
            lifetime: Duration::from_secs(seconds),
        })
    }

    #[test]
    fn the_least_recently_used_goes_first_and_memory_is_bounded() {
        let cache = Cache::new(3 * (10_000 + OVERHEAD + 1));
        let now = Instant::now();
        for key in ["a", "b", "c"] {
            cache.put(key.to_owned(), stored(10_000, 60));
        }
        assert!(cache.get("a", now).is_some());
        cache.put("d".to_owned(), stored(10_000, 60));
        assert!(cache.get("b", now).is_none());
        assert!(cache.get("a", now).is_some() && cache.get("c", now).is_some());
        cache.put("e".to_owned(), stored(1_000_000, 60));
        assert!(cache.get("e", now).is_none(), "larger than the whole cache");
        cache.put("a".to_owned(), stored(10, 60));
        assert!(cache.lock().bytes <= cache.limit);
        cache.clear();
        assert!(cache.get("a", now).is_none());
        assert_eq!(cache.lock().bytes, 0);
    }

    #[test]
    fn entries_end() {
        let cache = Cache::new(1 << 20);
        cache.put("a".to_owned(), stored(1, 5));
        let now = Instant::now();
        assert!(cache.get("a", now + Duration::from_secs(4)).is_some());
        assert!(cache.get("a", now + Duration::from_secs(6)).is_none());
        assert_eq!(cache.lock().bytes, 0);
    }

    #[test]
    fn lifetimes_follow_the_policy_and_the_origin() {
        let policy = |minimum, default, maximum| CachePolicy {
            minimum,
            default,
            maximum,
            ..CachePolicy::default()
        };
        let headers = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            headers
        };
        let none = HeaderMap::new();
        let seconds = |policy: &CachePolicy, status: u16, headers: &HeaderMap| {
            lifetime(policy, StatusCode::from_u16(status).unwrap(), headers)
                .map(|time| time.as_secs())
        };
        let usual = policy(1, 86_400, 31_536_000);
        assert_eq!(seconds(&usual, 200, &none), Some(86_400));
        assert_eq!(seconds(&usual, 200, &headers("cache-control", "public, max-age=60")), Some(60));
        assert_eq!(
            seconds(&usual, 200, &headers("cache-control", "max-age=60, s-maxage=30")),
            Some(30)
        );
        assert_eq!(seconds(&usual, 200, &headers("cache-control", "no-store")), Some(1));
        assert_eq!(seconds(&usual, 200, &headers("expires", "0")), Some(1));
        assert_eq!(seconds(&usual, 200, &headers("set-cookie", "a=b")), None);
        assert_eq!(seconds(&usual, 206, &none), None);
        assert_eq!(seconds(&usual, 403, &none), Some(1));
        let strict = policy(0, 0, 31_536_000);
        assert_eq!(seconds(&strict, 200, &none), None);
        assert_eq!(seconds(&strict, 200, &headers("cache-control", "private, max-age=60")), None);
        assert_eq!(
            seconds(&policy(10, 20, 30), 200, &headers("cache-control", "max-age=99")),
            Some(30)
        );
        let disabled = policy(0, 0, 0);
        assert_eq!(seconds(&disabled, 200, &headers("cache-control", "max-age=60")), None);
        assert_eq!(seconds(&disabled, 404, &none), None);
    }
}
