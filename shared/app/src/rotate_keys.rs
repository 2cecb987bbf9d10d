//! On a timer, and at deploys: brings the keyring of one kind to where it should be now.
//!
//! Each step is written before the next, so a run that was cut off is taken up by the next one. Two
//! that run side by side are told apart by the store: who comes second reads again.

use crate::ports::{Clock, KeyPlace, KeyringStore, PortError, Random};
use domain::Seconds;
use domain::keyring::{Key, KeyKind, Keyring, Material, Schedule, Step};
use p256::ecdsa::SigningKey;

/// How many steps a run takes at most, lost races among them. A rotation has two, an ending one.
const MOST_STEPS: usize = 24;

/// The stack's settings for keys, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyTerms {
    /// A key older than this is replaced.
    pub lifetime: Seconds,
    /// How long a new key waits until it is used; also how long a function may go on with what it
    /// remembers of a keyring.
    pub propagation: Seconds,
    /// The longest grant.
    pub grant: Seconds,
    /// The longest session; nonces live shorter.
    pub session: Seconds,
}

impl KeyTerms {
    /// How keys of a kind follow each other. What a function mints with an older keyring is minted
    /// up to one propagation late, so that much is added to what it may live.
    pub fn schedule(&self, kind: KeyKind) -> Schedule {
        let longest = match kind {
            KeyKind::Signing | KeyKind::Token => self.grant,
            KeyKind::Session => self.session,
            // What they made is read for ever, by what is kept of them.
            KeyKind::Content | KeyKind::Receipt => 0,
        };
        Schedule {
            lifetime: self.lifetime,
            propagation: self.propagation,
            longest: longest + self.propagation,
            ending: kind.ending(),
        }
    }
}

/// What a scheduled run, or an operator, asks for. Other fields are EventBridge's.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
pub struct RotateRequest {
    /// Kinds whose newest key is to be replaced whatever its age.
    #[serde(default)]
    pub rotate: Vec<KeyKind>,
}

impl RotateRequest {
    /// The terms for that kind in this run.
    pub fn terms(&self, kind: KeyKind, terms: KeyTerms) -> KeyTerms {
        if self.rotate.contains(&kind) { KeyTerms { lifetime: 0, ..terms } } else { terms }
    }
}

/// Takes the keyring of `kind` as far as it should be now: makes a key, makes it known, ends one
/// whose time is over. In the end `place` knows exactly the live keys, whatever became of it
/// meanwhile. Answers with the keyring.
///
/// # Errors
/// When the store or the place can't be reached, or others change them all the time.
pub async fn rotate_keys(
    system: &(impl Clock + Random),
    store: &impl KeyringStore,
    place: &impl KeyPlace,
    kind: KeyKind,
    terms: KeyTerms,
) -> Result<Keyring, PortError> {
    let mut schedule = terms.schedule(kind);
    for _ in 0..MOST_STEPS {
        let seen = place.look().await?;
        let loaded = store.load(kind).await?;
        let (now, mut ring) = (system.now(), loaded.keyring.clone());
        match ring.next(now, &schedule) {
            Step::Create => {
                ring.add(fresh(system, kind, &ring, now)?);
                // Forced or not: one new key to a run.
                schedule.lifetime = Seconds::MAX;
            }
            Step::Publish => {
                let keys: Vec<_> = ring.live(now).cloned().collect();
                let published = place.publish(seen.as_deref(), &keys).await?;
                let Some(names) = published else { continue };
                // Known from now on, however long that took.
                ring.published(&names, system.now(), &schedule);
            }
            Step::Retire(id) => {
                let keys: Vec<_> = ring.live(now).cloned().collect();
                if place.publish(seen.as_deref(), &keys).await?.is_none() {
                    continue;
                }
                ring.retire(&id, schedule.ending);
            }
            Step::Nothing => {
                let keys: Vec<_> = ring.live(now).cloned().collect();
                if place.publish(seen.as_deref(), &keys).await?.is_none() {
                    continue;
                }
                return Ok(ring);
            }
        }
        if store.replace(kind, &loaded, &ring).await? {
            tracing::info!(kind = kind.as_str(), keys = ring.keys.len(), "a keyring moved on");
        } else {
            tracing::info!(kind = kind.as_str(), "another run was quicker");
        }
    }
    Err(PortError::new("keys", "somebody else keeps changing the keyring"))
}

/// A key with a name that is free.
fn fresh(
    system: &impl Random,
    kind: KeyKind,
    ring: &Keyring,
    now: Seconds,
) -> Result<Key, PortError> {
    for _ in 0..MOST_STEPS {
        let id = hex::encode(&system.bytes::<8>()[4..]);
        if ring.find(&id).is_some() {
            continue;
        }
        let bytes = system.bytes::<32>();
        let material = if kind.is_pair() {
            // Almost every 32 bytes are a P-256 key.
            SigningKey::from_slice(&bytes).map(Material::Pair).ok()
        } else {
            Some(Material::Symmetric(bytes))
        };
        if let Some(material) = material {
            return Ok(Key::new(id, material, now));
        }
    }
    Err(PortError::new("random", "makes no keys"))
}
