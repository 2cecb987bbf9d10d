//! Keys that rotate: a new one is known everywhere before it is used, and the old one stays until
//! nothing that it signed is alive.
//!
//! A keyring changes in single steps, each written before the next is looked for, so that whoever
//! finds it after a crash goes on where it was left. Between steps nothing has to happen at a
//! moment: from when a key is minted with, and until when it is accepted, is written down in it.

use crate::Seconds;
use crate::edge_token::EdgeKey;
use p256::ecdsa::{SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use serde::{Deserialize, Serialize};

/// The name of a key from before keys had names; what it signed names none.
pub const FIRST: &str = "first";
/// A keyring that is read has at most this many keys: what is kept for ever is bounded too, and
/// Secrets Manager takes 64 KiB.
pub const MOST_KEYS: usize = 200;

/// What a keyring is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Signs for CloudFront: P-256, in its trusted key group.
    Signing,
    /// Signs tokens in paths for the edge: 32 bytes.
    Token,
    /// Signs sessions and nonces: 32 bytes.
    Session,
    /// Content keys are derived from it: 32 bytes.
    Content,
    /// Signs access receipts: P-256.
    Receipt,
}

impl KeyKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Signing, Self::Token, Self::Session, Self::Content, Self::Receipt];

    /// `signing`, as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Token => "token",
            Self::Session => "session",
            Self::Content => "content",
            Self::Receipt => "receipt",
        }
    }

    /// Whether its keys have a public half.
    pub fn is_pair(self) -> bool {
        matches!(self, Self::Signing | Self::Receipt)
    }

    /// What becomes of a key whose time is over.
    pub fn ending(self) -> Ending {
        match self {
            Self::Signing | Self::Token | Self::Session => Ending::Removed,
            // Films that it encrypted stay.
            Self::Content => Ending::Kept,
            // Receipts that it signed stay; nobody can sign older ones with it.
            Self::Receipt => Ending::Public,
        }
    }
}

/// What becomes of a key whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It is forgotten.
    Removed,
    /// It is kept for what there is, and used for nothing new.
    Kept,
    /// Its public half is kept.
    Public,
}

/// A key itself. Never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredMaterial", into = "StoredMaterial")]
pub enum Material {
    /// 32 random bytes.
    Symmetric([u8; 32]),
    /// P-256.
    Pair(SigningKey),
    /// What is left of a pair.
    Public(VerifyingKey),
}

impl std::fmt::Debug for Material {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Material(..)")
    }
}

impl Material {
    /// The bytes of a symmetric key.
    pub fn symmetric(&self) -> Option<&[u8; 32]> {
        if let Self::Symmetric(key) = self { Some(key) } else { None }
    }

    /// What signs.
    pub fn signing(&self) -> Option<&SigningKey> {
        if let Self::Pair(key) = self { Some(key) } else { None }
    }

    /// What verifies.
    pub fn public(&self) -> Option<VerifyingKey> {
        match self {
            Self::Symmetric(_) => None,
            Self::Pair(key) => Some(*key.verifying_key()),
            Self::Public(key) => Some(*key),
        }
    }

    /// The public half, as `SubjectPublicKeyInfo` in PEM.
    pub fn public_pem(&self) -> Option<String> {
        self.public()?.to_public_key_pem(p256::pkcs8::LineEnding::LF).ok()
    }
}

/// As it lies in the secret; a secret from before keys rotated is one of these alone.
#[derive(Clone, Serialize, Deserialize)]
enum StoredMaterial {
    #[serde(rename = "key")]
    Symmetric(String),
    #[serde(rename = "private_key")]
    Pair(String),
    #[serde(rename = "public_key")]
    Public(String),
}

impl TryFrom<StoredMaterial> for Material {
    type Error = KeyringError;

    fn try_from(stored: StoredMaterial) -> Result<Self, KeyringError> {
        match stored {
            StoredMaterial::Symmetric(text) => {
                let mut key = [0; 32];
                hex::decode_to_slice(text, &mut key).map_err(|_| KeyringError)?;
                Ok(Self::Symmetric(key))
            }
            StoredMaterial::Pair(pem) => {
                SigningKey::from_pkcs8_pem(&pem).map(Self::Pair).map_err(|_| KeyringError)
            }
            StoredMaterial::Public(pem) => {
                VerifyingKey::from_public_key_pem(&pem).map(Self::Public).map_err(|_| KeyringError)
            }
        }
    }
}

impl From<Material> for StoredMaterial {
    fn from(material: Material) -> Self {
        // Encoding a key that is one does not fail; an empty text would not be read back.
        let line = p256::pkcs8::LineEnding::LF;
        match &material {
            Material::Symmetric(key) => Self::Symmetric(hex::encode(key)),
            Material::Pair(key) => {
                Self::Pair(key.to_pkcs8_pem(line).map(|pem| pem.to_string()).unwrap_or_default())
            }
            Material::Public(key) => Self::Public(key.to_public_key_pem(line).unwrap_or_default()),
        }
    }
}

/// What is stored is no keyring. Says no more: it may be quoted in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no keyring")]
pub struct KeyringError;

/// One key of a keyring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// 1 to 8 of `a-z` and `0-9`; what it signs names it by this.
    pub id: String,
    /// The key itself.
    #[serde(flatten)]
    pub material: Material,
    /// When it was made.
    pub created_at: Seconds,
    /// From when it is minted with; none while not everybody who must know it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usable_at: Option<Seconds>,
    /// When nothing that it signed can be alive any more; none while it is the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retire_at: Option<Seconds>,
    /// What the outside calls it: CloudFront's id of the public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Key {
    /// A key that nobody knows yet.
    pub fn new(id: String, material: Material, created_at: Seconds) -> Self {
        Self { id, material, created_at, usable_at: None, retire_at: None, name: None }
    }

    /// As the edge knows it; `None` for a pair.
    pub fn for_edge(&self) -> Option<EdgeKey> {
        Some(EdgeKey { id: self.id.clone(), secret: *self.material.symmetric()? })
    }

    /// Whether something that it signed may be alive, or will be.
    pub fn is_live(&self, now: Seconds) -> bool {
        self.retire_at.is_none_or(|at| now < at)
    }
}

/// How keys of a kind follow each other, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// A key older than this is replaced.
    pub lifetime: Seconds,
    /// From when a key is known outside until it is minted with. Longer than anybody goes on with
    /// what they remember of the keyring.
    pub propagation: Seconds,
    /// How long what a key signs may live, and some slack.
    pub longest: Seconds,
    /// What becomes of a key then.
    pub ending: Ending,
}

/// What a keyring needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A new key, written before anybody hears of it.
    Create,
    /// Everybody must know all keys; then [`Keyring::published`].
    Publish,
    /// This key's time is over: everybody forgets it, then [`Keyring::retire`].
    Retire(String),
    /// Nothing, for now.
    Nothing,
}

/// The keys of a kind, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Keyring {
    /// Oldest first.
    pub keys: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Ring(Keyring),
    One(StoredMaterial),
}

impl Keyring {
    /// Reads one, or the single key that a secret held before keys rotated.
    ///
    /// # Errors
    /// [`KeyringError`], which quotes nothing.
    pub fn read(text: &str) -> Result<Self, KeyringError> {
        let ring = match serde_json::from_str(text).map_err(|_| KeyringError)? {
            Stored::Ring(ring) => ring,
            Stored::One(stored) => {
                let material = Material::try_from(stored)?;
                // A public half has another name outside, which has to be found out first.
                let usable_at = material.symmetric().map(|_| 0);
                Self { keys: vec![Key { usable_at, ..Key::new(FIRST.into(), material, 0) }] }
            }
        };
        let sound = ring.keys.len() <= MOST_KEYS
            && ring.keys.iter().enumerate().all(|(place, key)| {
                is_id(&key.id) && !ring.keys[..place].iter().any(|other| other.id == key.id)
            });
        if sound { Ok(ring) } else { Err(KeyringError) }
    }

    /// As it is stored: a secret.
    ///
    /// # Errors
    /// [`KeyringError`], never for keys that are some.
    pub fn write(&self) -> Result<String, KeyringError> {
        serde_json::to_string(self).map_err(|_| KeyringError)
    }

    /// What to do next.
    pub fn next(&self, now: Seconds, schedule: &Schedule) -> Step {
        let live = || self.keys.iter().filter(|key| key.is_live(now));
        if live().any(|key| key.usable_at.is_none()) {
            return Step::Publish;
        }
        let over = self.keys.iter().find(|key| {
            !key.is_live(now)
                && match schedule.ending {
                    Ending::Removed => true,
                    Ending::Public => key.material.signing().is_some(),
                    Ending::Kept => false,
                }
        });
        if let Some(key) = over {
            return Step::Retire(key.id.clone());
        }
        let due = match live().collect::<Vec<_>>()[..] {
            [] => true,
            [only] => now >= only.created_at.saturating_add(schedule.lifetime),
            // Never three: the old one goes before the next one comes.
            _ => false,
        };
        if due && self.keys.len() < MOST_KEYS { Step::Create } else { Step::Nothing }
    }

    /// Takes in a new key, which is not minted with yet.
    pub fn add(&mut self, key: Key) {
        self.keys.push(key);
    }

    /// Everybody knows all keys now, under these names by id. The newest is minted with once
    /// that has reached the last, the first key of all at once; the older one ends after it.
    pub fn published(&mut self, names: &[(String, String)], now: Seconds, schedule: &Schedule) {
        for key in &mut self.keys {
            if let Some((_, name)) = names.iter().find(|(id, _)| *id == key.id) {
                key.name = Some(name.clone());
            }
        }
        let first = !self.keys.iter().any(|key| key.usable_at.is_some() && key.is_live(now));
        let usable = if first { now } else { now.saturating_add(schedule.propagation) };
        if self.keys.iter().all(|key| key.usable_at.is_some()) {
            return;
        }
        for key in &mut self.keys {
            if key.usable_at.is_none() {
                key.usable_at = Some(usable);
            } else {
                key.retire_at.get_or_insert(usable.saturating_add(schedule.longest));
            }
        }
    }

    /// The key's time is over.
    pub fn retire(&mut self, id: &str, ending: Ending) {
        match ending {
            Ending::Removed => self.keys.retain(|key| key.id != id),
            Ending::Kept => {}
            Ending::Public => {
                for key in self.keys.iter_mut().filter(|key| key.id == id) {
                    if let Some(public) = key.material.public() {
                        key.material = Material::Public(public);
                    }
                }
            }
        }
    }

    /// The one key that is minted with now. A clock that is a little behind finds the first key of
    /// all too.
    pub fn minting(&self, now: Seconds) -> Option<&Key> {
        let known = || self.keys.iter().filter(|key| key.usable_at.is_some() && key.is_live(now));
        let usable = known().filter(|key| key.usable_at.is_some_and(|at| at <= now));
        usable.max_by_key(|key| key.usable_at).or_else(|| known().min_by_key(|key| key.usable_at))
    }

    /// The key of that name, if what it signed may be alive.
    pub fn accepts(&self, id: &str, now: Seconds) -> Option<&Key> {
        self.find(id).filter(|key| key.is_live(now))
    }

    /// All keys that may have signed something which is alive.
    pub fn live(&self, now: Seconds) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| key.is_live(now))
    }

    /// The key of that name, live or kept.
    pub fn find(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }
}

/// Whether a text can be a key's name.
pub fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=8).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCHEDULE: Schedule =
        Schedule { lifetime: 1000, propagation: 10, longest: 100, ending: Ending::Removed };

    fn key(number: u8, now: Seconds) -> Key {
        Key::new(format!("k{number}"), Material::Symmetric([number; 32]), now)
    }

    fn pair(number: u8) -> Material {
        Material::Pair(SigningKey::from_slice(&[number; 32]).unwrap())
    }

    /// Takes one step; answers whether there was one.
    fn step(ring: &mut Keyring, now: Seconds, schedule: &Schedule, made: &mut u8) -> bool {
        match ring.next(now, schedule) {
            Step::Create => {
                *made += 1;
                ring.add(key(*made, now));
            }
            Step::Publish => ring.published(&[], now, schedule),
            Step::Retire(id) => ring.retire(&id, schedule.ending),
            Step::Nothing => return false,
        }
        true
    }

    fn ids(ring: &Keyring) -> Vec<&str> {
        ring.keys.iter().map(|key| key.id.as_str()).collect()
    }

    #[test]
    fn a_rotation_from_the_first_key_to_the_second() {
        let (mut ring, mut made) = (Keyring::default(), 0);
        while step(&mut ring, 50, &SCHEDULE, &mut made) {}
        assert_eq!(ring.minting(50).unwrap().id, "k1", "the first is usable at once");
        assert_eq!(ring.next(1049, &SCHEDULE), Step::Nothing);
        assert_eq!(ring.next(1050, &SCHEDULE), Step::Create);
        assert!(step(&mut ring, 1050, &SCHEDULE, &mut made));
        // Until it is known outside it is minted with by nobody, however long that takes.
        assert_eq!(ring.minting(5000).unwrap().id, "k1");
        assert_eq!(ring.next(1050, &SCHEDULE), Step::Publish);
        assert!(step(&mut ring, 1100, &SCHEDULE, &mut made));
        assert_eq!(ring.minting(1109).unwrap().id, "k1");
        assert_eq!(ring.minting(1110).unwrap().id, "k2");
        assert!(ring.accepts("k1", 1209).is_some() && ring.accepts("k1", 1210).is_none());
        assert_eq!(ring.next(1209, &SCHEDULE), Step::Nothing);
        assert_eq!(ring.next(1210, &SCHEDULE), Step::Retire("k1".into()));
        // However late, the old one goes before the next one comes.
        assert_eq!(ring.next(9000, &SCHEDULE), Step::Retire("k1".into()));
        assert!(step(&mut ring, 9000, &SCHEDULE, &mut made));
        assert_eq!(ids(&ring), ["k2"]);
        assert_eq!(ring.next(9000, &SCHEDULE), Step::Create);
    }

    #[test]
    fn what_is_kept_can_be_found_and_is_not_live() {
        for ending in [Ending::Kept, Ending::Public] {
            let schedule = Schedule { ending, ..SCHEDULE };
            let mut ring = Keyring::default();
            for (id, now) in [("one", 0), ("two", 1000)] {
                assert_eq!(ring.next(now, &schedule), Step::Create);
                ring.add(Key::new(id.into(), pair(7), now));
                ring.published(&[], now, &schedule);
            }
            if let Step::Retire(id) = ring.next(1110, &schedule) {
                ring.retire(&id, ending);
            }
            assert_eq!(ring.next(1110, &schedule), Step::Nothing, "{ending:?}");
            assert_eq!(ring.accepts("one", 1110), None);
            let kept = &ring.find("one").unwrap().material;
            assert_eq!(kept.signing().is_some(), ending == Ending::Kept);
            assert_eq!(kept.public(), pair(7).public());
            assert_eq!(ring.minting(1110).unwrap().id, "two");
            assert_eq!(Keyring::read(&ring.write().unwrap()), Ok(ring));
        }
    }

    #[test]
    fn what_is_kept_for_ever_has_an_end_too() {
        let schedule = Schedule { ending: Ending::Kept, ..SCHEDULE };
        let keys = (0..MOST_KEYS).map(|number| Key {
            usable_at: Some(0),
            retire_at: (number > 0).then_some(1),
            ..Key::new(format!("k{number}"), Material::Symmetric([1; 32]), 0)
        });
        let mut ring = Keyring { keys: keys.collect() };
        assert_eq!(ring.next(5000, &schedule), Step::Nothing);
        let text = ring.write().unwrap();
        assert!(text.len() < 60_000, "{}", text.len());
        assert!(Keyring::read(&text).is_ok());
        ring.add(key(1, 0));
        assert_eq!(Keyring::read(&ring.write().unwrap()), Err(KeyringError));
    }

    #[test]
    fn the_single_key_of_earlier_stacks_is_a_keyring_of_one() {
        let text = format!(r#"{{"key":"{}"}}"#, "ab".repeat(32));
        let ring = Keyring::read(&text).unwrap();
        assert_eq!(ring.minting(5).unwrap().material.symmetric(), Some(&[0xab; 32]));
        assert!(ring.accepts(FIRST, Seconds::MAX).is_some());
        // The public half of a pair has to be found outside first, and is usable then at once.
        let Material::Pair(signing) = pair(9) else { unreachable!() };
        let pem = signing.to_pkcs8_pem(p256::pkcs8::LineEnding::LF).unwrap();
        let text = serde_json::json!({"private_key": pem.as_str()}).to_string();
        let mut ring = Keyring::read(&text).unwrap();
        assert_eq!(ring.minting(5), None);
        assert_eq!(ring.next(5, &SCHEDULE), Step::Publish);
        ring.published(&[(FIRST.into(), "K123".into())], 5, &SCHEDULE);
        let minting = ring.minting(5).unwrap();
        assert_eq!((minting.name.as_deref(), &minting.material), (Some("K123"), &pair(9)));
    }

    #[test]
    fn what_is_no_keyring_is_refused_and_not_quoted() {
        let one =
            |id: &str| format!(r#"{{"id":"{id}","created_at":0,"key":"{}"}}"#, "ab".repeat(32));
        let ring = |keys: &[String]| format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        assert!(Keyring::read(&ring(&[one("a"), one("b")])).is_ok());
        for text in [
            String::new(),
            "{}".into(),
            "[]".into(),
            r#"{"key":"abcd"}"#.into(),
            r#"{"private_key":"s3cret"}"#.into(),
            ring(&[one("a"), one("a")]),
            ring(&[one("")]),
            ring(&[one("UPPER")]),
            ring(&[one("ninechars")]),
            ring(&[r#"{"id":"a","created_at":0}"#.into()]),
        ] {
            let error = Keyring::read(&text).unwrap_err();
            assert_eq!(error.to_string(), "it is no keyring", "{text}");
        }
    }

    #[test]
    fn nothing_shows_a_key() {
        let mut ring = Keyring::default();
        ring.add(Key::new("a".into(), Material::Symmetric([0xab; 32]), 1));
        ring.add(Key::new("b".into(), pair(0xab), 1));
        let shown = format!("{ring:?}").to_lowercase();
        assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
    }

    proptest! {
        /// Whenever steps are taken, one at a time and with pauses as after crashes, and however
        /// long somebody goes on with an older keyring (less than the propagation): there is one
        /// key to mint with, there are never more than two live ones, and a token is accepted for
        /// all of its life by everybody who knows the newest keyring.
        #[test]
        fn no_rotation_interrupts(
            propagation in 1u64..60,
            longest in 0u64..200,
            lifetime in 0u64..400,
            moments in prop::collection::vec((0u64..90, 0usize..3, 0u64..60, 0u64..=200), 1..80),
        ) {
            let schedule = Schedule {
                lifetime, propagation, longest: longest + propagation, ending: Ending::Removed,
            };
            let (mut ring, mut made, mut now) = (Keyring::default(), 0, 1000);
            while step(&mut ring, now, &schedule, &mut made) {}
            let mut history = vec![(now, ring.clone())];
            let mut tokens: Vec<(String, Seconds)> = Vec::new();
            for (pause, steps, lag, life) in moments {
                now += pause;
                for _ in 0..steps {
                    if made < 250 && step(&mut ring, now, &schedule, &mut made) {
                        history.push((now, ring.clone()));
                    }
                }
                prop_assert!(ring.live(now).count() <= 2 && ring.keys.len() <= 2);
                // Somebody who read the keyring less than the propagation ago mints.
                let since = now.saturating_sub(lag.min(propagation - 1));
                let held = history.iter().rev().find(|(at, _)| *at <= since);
                let held = held.map_or(&history[0].1, |(_, ring)| ring);
                let minting = held.minting(now);
                prop_assert!(minting.is_some());
                tokens.push((minting.unwrap().id.clone(), now + life.min(longest)));
                for (id, until) in &tokens {
                    if now < *until {
                        prop_assert!(ring.accepts(id, now).is_some(), "{id} at {now} of {ring:?}");
                    }
                }
            }
        }
    }
}
