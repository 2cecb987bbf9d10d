//! Keyrings as functions hold them: read again every few minutes, and at once when something names
//! a key that is not known.

use crate::config::{ConfigError, Environment};
use adapter_secrets::{Keyrings, Secrets};
use app::ports::{Clock, PortError, Random, System};
use domain::Seconds;
use domain::edge_token::EdgeKey;
use domain::keyring::{Key, KeyKind, Keyring};
use p256::ecdsa::{SigningKey, VerifyingKey};
use std::sync::Arc;
use tokio::sync::Mutex;

/// A keyring is read again after this many seconds, or up to [`REFRESH_SPREAD`] more, so that not
/// all functions ask in the same second. `KEY_REFRESH_SECONDS` sets another number.
const REFRESH: Seconds = 60;
const REFRESH_SPREAD: Seconds = 240;
/// How long a new key waits to be used, unless `PROPAGATION_SECONDS` says otherwise.
pub const PROPAGATION: Seconds = 900;
/// For so long a function goes on with what it remembers when it can't read it again. Not longer
/// than a new key waits, or it would use an old one too long.
const REMEMBERED: Seconds = PROPAGATION;
/// Who names unknown keys has the secret read once in so many seconds, however often they ask.
const ASKED_AT_MOST: Seconds = 10;

/// The environment variable that names the secret of a kind of keys.
pub fn variable(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Signing => "SIGNING_SECRET",
        KeyKind::Token => "TOKEN_SECRET",
        KeyKind::Session => "SESSION_SECRET",
        KeyKind::Content => "CONTENT_SECRET",
        KeyKind::Receipt => "RECEIPT_SECRET",
    }
}

/// The property of the custom resource that names it.
pub fn property(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Signing => "SigningSecret",
        KeyKind::Token => "TokenSecret",
        KeyKind::Session => "SessionSecret",
        KeyKind::Content => "ContentSecret",
        KeyKind::Receipt => "ReceiptSecret",
    }
}

/// All keyrings, for who changes them; `secret` names each one's.
///
/// # Errors
/// When it does not know one.
pub fn keyrings<Failure>(
    aws: &aws_config::SdkConfig,
    secret: impl Fn(KeyKind) -> Result<String, Failure>,
) -> Result<Keyrings, Failure> {
    let ids = KeyKind::ALL.into_iter().map(|kind| Ok((kind, secret(kind)?)));
    Ok(Keyrings::new(Secrets::new(aws), ids.collect::<Result<Vec<_>, _>>()?))
}

/// The keyring in one secret.
#[derive(Debug)]
pub struct Keys {
    secrets: Secrets,
    id: String,
    refresh: Seconds,
    held: Mutex<Option<Held>>,
}

/// What is remembered.
#[derive(Debug, Clone)]
struct Held {
    ring: Arc<Keyring>,
    read_at: Seconds,
    /// When it was last tried.
    asked_at: Seconds,
}

/// What to do with what is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It is good.
    AsIs,
    /// It should be read again; if that fails it still is good.
    Refresh,
    /// It must be read again.
    Read,
}

impl Held {
    /// `unknown`: somebody names a key that is not in it.
    fn judge(&self, now: Seconds, refresh: Seconds, unknown: bool) -> Use {
        let age = now.saturating_sub(self.read_at);
        let asked = now.saturating_sub(self.asked_at);
        if age >= REMEMBERED {
            Use::Read
        } else if asked >= ASKED_AT_MOST && (unknown || age >= refresh) {
            Use::Refresh
        } else {
            Use::AsIs
        }
    }
}

impl Keys {
    /// The keyring in the secret that `variable` names.
    ///
    /// # Errors
    /// Names a variable that is missing or can't be.
    pub fn new(
        environment: &Environment,
        aws: &aws_config::SdkConfig,
        variable: &'static str,
    ) -> Result<Self, ConfigError> {
        let spread = u64::from(u16::from_be_bytes(System.bytes())) % REFRESH_SPREAD;
        let refresh = environment.number_or("KEY_REFRESH_SECONDS", REFRESH + spread)?;
        let id = environment.text(variable)?;
        Ok(Self { secrets: Secrets::new(aws), id, refresh, held: Mutex::default() })
    }

    /// The keys.
    ///
    /// # Errors
    /// When they can't be read, and what is remembered is too old.
    pub async fn ring(&self) -> Result<Arc<Keyring>, PortError> {
        self.read(|_| false).await
    }

    /// The keys, among them the one of that name if there is one.
    ///
    /// # Errors
    /// As [`Keys::ring`].
    pub async fn ring_with(&self, id: &str) -> Result<Arc<Keyring>, PortError> {
        self.read(|ring| ring.find(id).is_none()).await
    }

    /// The keys, read again just now, unless that was done a moment ago.
    ///
    /// # Errors
    /// As [`Keys::ring`].
    pub async fn ring_anew(&self) -> Result<Arc<Keyring>, PortError> {
        self.read(|_| true).await
    }

    async fn read(&self, unknown: impl Fn(&Keyring) -> bool) -> Result<Arc<Keyring>, PortError> {
        let mut held = self.held.lock().await;
        let now = System.now();
        let judged = held
            .as_ref()
            .map_or(Use::Read, |held| held.judge(now, self.refresh, unknown(&held.ring)));
        if judged != Use::AsIs {
            match (self.secrets.keyring(&self.id).await, held.as_mut()) {
                (Ok(ring), _) => {
                    *held = Some(Held { ring: Arc::new(ring), read_at: now, asked_at: now });
                }
                (Err(error), Some(old)) if judged == Use::Refresh => {
                    old.asked_at = now;
                    tracing::warn!(%error, "keys could not be read again");
                }
                (Err(error), _) => return Err(error),
            }
        }
        let ring = held.as_ref().map(|held| Arc::clone(&held.ring));
        ring.ok_or_else(|| none(&self.id))
    }

    async fn minting<T>(&self, of: impl FnOnce(&Key) -> Option<T>) -> Result<T, PortError> {
        let ring = self.ring().await?;
        ring.minting(System.now()).and_then(of).ok_or_else(|| none(&self.id))
    }
}

fn none(id: &str) -> PortError {
    PortError::new("keys", format!("the secret {id} has no key to go on with"))
}

/// The keys that sign for CloudFront, from the secret that `SIGNING_SECRET` names.
#[derive(Debug)]
pub struct SigningKeys(Keys);

impl SigningKeys {
    /// # Errors
    /// As [`Keys::new`].
    pub fn new(
        environment: &Environment,
        aws: &aws_config::SdkConfig,
    ) -> Result<Self, ConfigError> {
        Keys::new(environment, aws, "SIGNING_SECRET").map(Self)
    }

    /// CloudFront's id of the public key, and the key that signs now.
    ///
    /// # Errors
    /// As [`Keys::ring`].
    pub async fn minting(&self) -> Result<(String, SigningKey), PortError> {
        self.0.minting(|key| Some((key.name.clone()?, key.material.signing()?.clone()))).await
    }
}

/// The keys of tokens in paths, from the secret that `TOKEN_SECRET` names.
#[derive(Debug)]
pub struct TokenKeys(Keys);

impl TokenKeys {
    /// # Errors
    /// As [`Keys::new`].
    pub fn new(
        environment: &Environment,
        aws: &aws_config::SdkConfig,
    ) -> Result<Self, ConfigError> {
        Keys::new(environment, aws, "TOKEN_SECRET").map(Self)
    }

    /// The key that signs now.
    ///
    /// # Errors
    /// As [`Keys::ring`].
    pub async fn minting(&self) -> Result<EdgeKey, PortError> {
        self.0.minting(Key::for_edge).await
    }
}

/// The keys that content keys are derived from, from the secret that `CONTENT_SECRET` names.
#[derive(Debug)]
pub struct ContentKeys(Keys);

impl app::ports::ContentKeys for ContentKeys {
    async fn newest(&self) -> Result<String, PortError> {
        self.0.minting(|key| Some(key.id.clone())).await
    }

    async fn key(&self, id: &str) -> Result<[u8; 32], PortError> {
        let ring = self.0.ring_with(id).await?;
        let key = ring.find(id).and_then(|key| key.material.symmetric());
        key.copied().ok_or_else(|| none(&self.0.id))
    }
}

impl ContentKeys {
    /// # Errors
    /// As [`Keys::new`].
    pub fn new(
        environment: &Environment,
        aws: &aws_config::SdkConfig,
    ) -> Result<Self, ConfigError> {
        Keys::new(environment, aws, "CONTENT_SECRET").map(Self)
    }
}

/// The keys that sign receipts, from the secret that `RECEIPT_SECRET` names.
#[derive(Debug)]
pub struct ReceiptKeys(Keys);

impl ReceiptKeys {
    /// # Errors
    /// As [`Keys::new`].
    pub fn new(
        environment: &Environment,
        aws: &aws_config::SdkConfig,
    ) -> Result<Self, ConfigError> {
        Keys::new(environment, aws, "RECEIPT_SECRET").map(Self)
    }

    /// The name of the key that signs now, and the key.
    ///
    /// # Errors
    /// As [`Keys::ring`].
    pub async fn minting(&self) -> Result<(String, SigningKey), PortError> {
        self.0.minting(|key| Some((key.id.clone(), key.material.signing()?.clone()))).await
    }

    /// The public halves of all there ever were, oldest first, by name.
    ///
    /// # Errors
    /// As [`Keys::ring`].
    pub async fn public(&self) -> Result<Vec<(String, VerifyingKey)>, PortError> {
        let ring = self.0.ring().await?;
        let named = |key: &Key| Some((key.id.clone(), key.material.public()?));
        Ok(ring.keys.iter().filter_map(named).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_again_in_time() {
        let held = Held { ring: Arc::default(), read_at: 1000, asked_at: 1000 };
        assert_eq!(held.judge(1099, 100, false), Use::AsIs);
        assert_eq!(held.judge(1100, 100, false), Use::Refresh);
        assert_eq!(held.judge(1899, 100, false), Use::Refresh);
        assert_eq!(held.judge(1900, 100, false), Use::Read);
        assert_eq!(held.judge(900, 100, false), Use::AsIs, "a clock that was set back");
    }

    #[test]
    fn an_unknown_key_is_looked_for_at_once_but_not_by_everybody() {
        let held = Held { ring: Arc::default(), read_at: 1000, asked_at: 1000 };
        assert_eq!(held.judge(1009, 100, true), Use::AsIs);
        assert_eq!(held.judge(1010, 100, true), Use::Refresh);
        let tried = Held { asked_at: 1100, ..held };
        assert_eq!(tried.judge(1105, 100, true), Use::AsIs);
        assert_eq!(tried.judge(1105, 100, false), Use::AsIs, "nor after a failure");
        assert_eq!(tried.judge(1110, 100, false), Use::Refresh);
    }
}
