//! Keyrings, and the place where their keys must be known.

use crate::{Memory, lock};
use app::audit::{AuditLog, AuditReader, AuditRecord};
use app::ports::{ContentKeys, KeyPlace, KeyringStore, PortError, StoredKeyring};
use domain::keyring::{Key, KeyKind, Keyring};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// All of it.
#[derive(Debug, Default)]
pub struct Keys {
    /// Keyrings by kind, and how often each was written.
    pub rings: Mutex<BTreeMap<KeyKind, (u64, Keyring)>>,
    /// Decisions by video and moment.
    pub audit: Mutex<BTreeMap<(String, String), AuditRecord>>,
    /// The ids of the keys that are known outside, and how often that changed.
    pub outside: Mutex<(u64, Vec<String>)>,
}

impl KeyringStore for Memory {
    async fn load(&self, kind: KeyKind) -> Result<StoredKeyring, PortError> {
        self.step("keys.load").await?;
        let rings = lock(&self.keys.rings);
        Ok(rings.get(&kind).map_or_else(StoredKeyring::default, |(version, keyring)| {
            StoredKeyring { version: Some(version.to_string()), keyring: keyring.clone() }
        }))
    }

    async fn replace(
        &self,
        kind: KeyKind,
        loaded: &StoredKeyring,
        keyring: &Keyring,
    ) -> Result<bool, PortError> {
        self.step("keys.replace").await?;
        let mut rings = lock(&self.keys.rings);
        let version = rings.get(&kind).map(|(version, _)| version.to_string());
        if version != loaded.version {
            return Ok(false);
        }
        let next = rings.get(&kind).map_or(1, |(version, _)| version + 1);
        rings.insert(kind, (next, keyring.clone()));
        Ok(true)
    }
}

impl AuditLog for Memory {
    async fn append(&self, record: &AuditRecord) -> Result<(), PortError> {
        self.step("audit.append").await?;
        let key = (record.receipt.video.clone(), record.moment());
        lock(&self.keys.audit).entry(key).or_insert_with(|| record.clone());
        Ok(())
    }
}

impl AuditReader for Memory {
    async fn of_video(
        &self,
        video: &str,
        before: Option<&str>,
        most: usize,
    ) -> Result<Vec<AuditRecord>, PortError> {
        self.step("audit.of_video").await?;
        let audit = lock(&self.keys.audit);
        let of_it = audit.iter().rev().filter(|((known, moment), _)| {
            known == video && before.is_none_or(|before| moment.as_str() < before)
        });
        Ok(of_it.map(|(_, record)| record.clone()).take(most).collect())
    }
}

/// The name of the master key of new films.
pub const NEWEST: &str = "newest";

impl ContentKeys for Memory {
    async fn newest(&self) -> Result<String, PortError> {
        self.step("content.newest").await?;
        Ok(NEWEST.into())
    }

    async fn key(&self, id: &str) -> Result<[u8; 32], PortError> {
        self.step("content.key").await?;
        // Each name has a key of its own.
        let mut key = [0; 32];
        key.iter_mut().zip(id.bytes().cycle()).for_each(|(byte, letter)| *byte = letter);
        Ok(key)
    }
}

impl KeyPlace for Memory {
    async fn look(&self) -> Result<Option<String>, PortError> {
        self.step("keys.look").await?;
        Ok(Some(lock(&self.keys.outside).0.to_string()))
    }

    async fn publish(
        &self,
        seen: Option<&str>,
        keys: &[Key],
    ) -> Result<Option<Vec<(String, String)>>, PortError> {
        self.step("keys.publish").await?;
        let mut outside = lock(&self.keys.outside);
        let ids: Vec<_> = keys.iter().map(|key| key.id.clone()).collect();
        if outside.1 != ids {
            if seen != Some(outside.0.to_string().as_str()) {
                return Ok(None);
            }
            *outside = (outside.0 + 1, ids.clone());
        }
        Ok(Some(ids.into_iter().map(|id| (id.clone(), format!("K-{id}"))).collect()))
    }
}
