//! The edge's store and caches in memory.

use crate::{Memory, lock};
use app::ports::{EdgeStore, Invalidations, MAX_STORE_WRITES, PortError, StoreRead, StoreSize};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is there. Fields are open so that a test can arrange and look.
#[derive(Debug, Default)]
pub struct Edge {
    /// Keys and values.
    pub values: Mutex<BTreeMap<String, String>>,
    /// Counts the writes; the store's version.
    pub writes: AtomicU64,
    /// The paths that were to be forgotten, in order.
    pub forgotten: Mutex<Vec<String>>,
}

impl Edge {
    fn version(&self) -> String {
        self.writes.load(Ordering::SeqCst).to_string()
    }
}

impl EdgeStore for Memory {
    async fn size(&self) -> Result<StoreSize, PortError> {
        self.step("edge.size").await?;
        let values = lock(&self.edge.values);
        let bytes = values.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
        Ok(StoreSize { bytes, items: values.len() as u64 })
    }

    async fn get(&self, keys: &[String]) -> Result<StoreRead, PortError> {
        let version = self.edge.version();
        self.step("edge.get").await?;
        let values = lock(&self.edge.values);
        let found = keys.iter().filter_map(|key| Some((key.clone(), values.get(key)?.clone())));
        Ok(StoreRead { values: found.collect(), version })
    }

    async fn all(&self) -> Result<StoreRead, PortError> {
        let version = self.edge.version();
        self.step("edge.all").await?;
        Ok(StoreRead { values: lock(&self.edge.values).clone(), version })
    }

    async fn write(
        &self,
        version: &str,
        puts: &BTreeMap<String, String>,
        deletes: &[String],
    ) -> Result<Option<String>, PortError> {
        self.step("edge.write").await?;
        if puts.len() + deletes.len() > MAX_STORE_WRITES {
            return Err(PortError::new("memory", "too many keys at once"));
        }
        let mut values = lock(&self.edge.values);
        if version != self.edge.version() {
            return Ok(None);
        }
        values.extend(puts.clone());
        values.retain(|key, _| !deletes.contains(key));
        self.edge.writes.fetch_add(1, Ordering::SeqCst);
        Ok(Some(self.edge.version()))
    }
}

impl Invalidations for Memory {
    async fn invalidate(&self, paths: &[String]) -> Result<(), PortError> {
        self.step("edge.invalidate").await?;
        lock(&self.edge.forgotten).extend_from_slice(paths);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_writes_second_at_a_version_reads_again() {
        let memory = Memory::default();
        let keys = ["r012".to_owned()];
        let put = |value: &str| [(keys[0].clone(), value.to_owned())].into();
        let first = EdgeStore::get(&memory, &keys).await.unwrap();
        assert!(first.values.is_empty());
        let second = EdgeStore::get(&memory, &keys).await.unwrap();
        let version = memory.write(&first.version, &put("one"), &[]).await.unwrap();
        assert_eq!(memory.write(&second.version, &put("two"), &[]).await, Ok(None));
        let now = EdgeStore::get(&memory, &keys).await.unwrap();
        assert_eq!((Some(&now.version), now.values["r012"].as_str()), (version.as_ref(), "one"));
        assert_eq!(memory.size().await, Ok(StoreSize { bytes: 7, items: 1 }));
        memory.write(&now.version, &BTreeMap::new(), &keys).await.unwrap();
        assert!(memory.all().await.unwrap().values.is_empty());
        let many: Vec<String> = (0..51).map(|number| number.to_string()).collect();
        let version = memory.all().await.unwrap().version;
        assert!(memory.write(&version, &BTreeMap::new(), &many).await.is_err());
    }
}
