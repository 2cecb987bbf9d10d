//! The engine's key value store as a function sees it: a value is at most half a second old.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::engine::{Engine, Unread};
use crate::function::{KeyValueStore, Unreadable};

/// CloudFront tells of seconds until a write is everywhere; here it is at once, nearly.
const FRESH: Duration = Duration::from_millis(500);
/// More than there are keys in use; beyond that all is forgotten.
const MOST: usize = 10_000;

/// One store, read key by key.
#[derive(Debug)]
pub struct EngineStore {
    engine: Engine,
    arn: String,
    handle: Handle,
    known: Mutex<HashMap<String, (Instant, Option<String>)>>,
}

impl EngineStore {
    /// The store with this ARN. To be made inside the runtime that makes its requests.
    pub fn new(engine: Engine, arn: String) -> Self {
        Self { engine, arn, handle: Handle::current(), known: Mutex::default() }
    }
}

impl KeyValueStore for EngineStore {
    /// Blocks, so only for threads that may.
    fn get(&self, key: &str) -> Result<Option<String>, Unreadable> {
        // What a key may be is CloudFront's; more would need escaping in the path.
        if key.is_empty()
            || key.len() > 512
            || !key.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return Err(Unreadable);
        }
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, value)) = known().get(key)
            && since.elapsed() < FRESH
        {
            return Ok(value.clone());
        }
        let asked = Instant::now();
        let value = match self.handle.block_on(self.engine.stored(&self.arn, key)) {
            Ok(value) => value,
            Err(error) => {
                let told: &dyn std::error::Error = &error;
                tracing::warn!(error = told, "key value store not read");
                return Err(Unreadable);
            }
        };
        let mut known = known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key.to_owned(), (asked, value.clone()));
        Ok(value)
    }
}

impl Engine {
    /// The value of a key, `None` where there is none.
    async fn stored(&self, arn: &str, key: &str) -> Result<Option<String>, Unread> {
        let path = format!("/key-value-stores/{arn}/keys/{key}");
        let body = match self.fetch("cloudfront-keyvaluestore", &path, "").await {
            Err(Unread::Status(status, _)) if status == 404 => return Ok(None),
            answer => answer?,
        };
        let answer: serde_json::Value =
            serde_json::from_slice(&body).map_err(|_| Unread::Unreachable)?;
        Ok(answer["Value"].as_str().map(str::to_owned))
    }
}
