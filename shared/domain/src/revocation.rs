//! What the edge is told of grants that are over before their time, and of the keys of its tokens.
//!
//! CloudFront's KeyValueStore holds one value for each of 4,096 shards of grants' names, so that one
//! read tells a request all: `k=<key id>:<base64url>` for each live key of tokens,
//! `<tail>.<mark>~<until>` for a grant, `<tail>=<epoch>~<until>` for all that an account was given up to
//! `epoch`, and `a=<epoch>~<until>` for all of the shard. Times are 8 hex digits of Unix seconds; after
//! `until` nothing that an entry tells of can be alive. Entries are joined by `;`.
//!
//! A value may have 1,024 bytes. Where it would be more, the account of which most grants are named is
//! refused all up to the one in their middle, and so on, and at last all of the shard: whoever is
//! refused wrongly asks for a new grant and gets it. So the store can't overflow (4 of its 5 MB), whatever happens,
//! and an account that ends hundreds of streams ends nobody else's. Whoever is let in by some thirty
//! accounts of one shard, which can be sought out, can end the streams of that shard.

use crate::Seconds;
use crate::edge_token::EdgeKey;
use crate::grant::GrantId;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The longest value of the store, in bytes.
pub const MAX_VALUE: usize = 1024;
/// How many shards there are.
pub const SHARDS: usize = 4096;
/// How long a time is, in hex digits.
const TIME: usize = 8;
/// How many keys of tokens may be live.
pub const MAX_KEYS: usize = 2;

/// The store's keys, one for each shard: `r000` to `rfff`.
pub fn shard_keys() -> impl Iterator<Item = String> {
    (0..SHARDS).map(|shard| format!("r{shard:03x}"))
}

/// The store's key for a grant.
pub fn shard_key(grant: &GrantId) -> String {
    format!("r{}", grant.shard())
}

/// An order to refuse.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "revoke", rename_all = "lowercase")]
pub enum Revocation {
    /// One grant.
    Grant {
        /// Which.
        grant: GrantId,
        /// When it would have ended.
        until: Seconds,
    },
    /// Every grant of the account that this one is of, up to this one's second.
    Wallet {
        /// The newest of them.
        newest: GrantId,
        /// When the last of them would have ended.
        until: Seconds,
    },
}

impl Revocation {
    /// A grant that it is about.
    pub fn grant(&self) -> &GrantId {
        match self {
            Self::Grant { grant, .. } => grant,
            Self::Wallet { newest, .. } => newest,
        }
    }
}

/// A time, and until when it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Epoch {
    epoch: u32,
    until: u32,
}

impl Epoch {
    fn join(self, other: Self) -> Self {
        Self { epoch: self.epoch.max(other.epoch), until: self.until.max(other.until) }
    }
}

/// One shard's value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Shard {
    /// The tokens' keys: id and base64url.
    keys: Vec<(String, String)>,
    all: Option<Epoch>,
    /// By tail.
    wallets: BTreeMap<String, Epoch>,
    /// By tail and mark: until when.
    grants: BTreeMap<(String, String), u32>,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<_> = self.keys.iter().map(|(id, _)| id).collect();
        write!(out, "Shard({ids:?}, {:?}, {:?}, {:?})", self.all, self.wallets, self.grants)
    }
}

/// This is no shard's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no value of the edge's store")]
pub struct NoShard;

impl Shard {
    /// Reads a value.
    ///
    /// # Errors
    /// [`NoShard`] if any part of it is not as it should be.
    pub fn read(value: &str) -> Result<Self, NoShard> {
        let mut shard = Self::default();
        if value.len() > MAX_VALUE {
            return Err(NoShard);
        }
        for entry in value.split(';').filter(|entry| !entry.is_empty()) {
            if let Some(key) = entry.strip_prefix("k=") {
                let (id, secret) = key.split_once(':').ok_or(NoShard)?;
                shard.keys.push((id.to_owned(), secret.to_owned()));
                continue;
            }
            let (what, until) = entry.split_once('~').ok_or(NoShard)?;
            let until = time(until)?;
            if let Some((name, epoch)) = what.split_once('=') {
                let epoch = Epoch { epoch: time(epoch)?, until };
                match name {
                    "a" => shard.all = Some(epoch),
                    tail => drop(shard.wallets.insert(tail.to_owned(), epoch)),
                }
            } else {
                let (tail, mark) = what.split_once('.').ok_or(NoShard)?;
                time(mark.get(..TIME).unwrap_or_default())?;
                shard.grants.insert((tail.to_owned(), mark.to_owned()), until);
            }
        }
        Ok(shard)
    }

    /// Sets the keys of tokens, at most [`MAX_KEYS`].
    pub fn set_keys(&mut self, keys: &[EdgeKey]) {
        let text = |key: &EdgeKey| (key.id.clone(), URL_SAFE_NO_PAD.encode(key.secret));
        self.keys = keys.iter().take(MAX_KEYS).map(text).collect();
    }

    /// Adds an order of this shard.
    pub fn add(&mut self, revocation: &Revocation) {
        match revocation {
            Revocation::Grant { grant, until } => {
                let epoch = small(grant.issued_at());
                if let Some(known) =
                    self.wallets.get_mut(grant.tail()).filter(|known| epoch <= known.epoch)
                {
                    known.until = known.until.max(small(*until));
                    return;
                }
                let entry = (grant.tail().to_owned(), grant.mark().to_owned());
                let known = self.grants.entry(entry).or_default();
                *known = small(*until).max(*known);
            }
            Revocation::Wallet { newest, until } => {
                let epoch = Epoch { epoch: small(newest.issued_at()), until: small(*until) };
                self.refuse(newest.tail().to_owned(), epoch);
            }
        }
    }

    /// Forgets what can't be alive any more.
    pub fn prune(&mut self, now: Seconds) {
        let lives = |until: u32| Seconds::from(until) > now;
        self.all = self.all.filter(|epoch| lives(epoch.until));
        self.wallets.retain(|_, epoch| lives(epoch.until));
        self.grants.retain(|_, until| lives(*until));
    }

    /// Whether a grant is refused.
    pub fn is_revoked(&self, grant: &GrantId) -> bool {
        let before = |epoch: &Epoch| grant.issued_at() <= Seconds::from(epoch.epoch);
        self.all.as_ref().is_some_and(before)
            || self.wallets.get(grant.tail()).is_some_and(before)
            || self.grants.contains_key(&(grant.tail().to_owned(), grant.mark().to_owned()))
    }

    /// The value, at most [`MAX_VALUE`] bytes; where it would be more, some grants are refused that
    /// nobody ended: those of an account up to one that was, or all up to `now`.
    pub fn write(&self, now: Seconds) -> String {
        let mut shard = self.clone();
        loop {
            let text = shard.text();
            if text.len() <= MAX_VALUE {
                return text;
            }
            if !shard.fold() {
                break;
            }
        }
        // Clocks differ: what was given a second from now is ended as well.
        let now = Epoch { epoch: small(now), until: 0 };
        let all = shard.wallets.values().chain(&shard.all).copied().fold(now, Epoch::join);
        Self { keys: shard.keys, all: Some(all), ..Self::default() }.text()
    }

    /// Whether a value that was written of it refuses more than it does.
    pub fn is_crowded(&self, value: &str) -> bool {
        value != self.text()
    }

    /// Puts the account of which most grants are named in the place of the older half of them; false
    /// if none is named.
    fn fold(&mut self) -> bool {
        let mut named: BTreeMap<&str, usize> = BTreeMap::new();
        for (tail, _) in self.grants.keys() {
            *named.entry(tail).or_default() += 1;
        }
        let most = named.into_iter().max_by_key(|(_, grants)| *grants);
        let Some(tail) = most.map(|(tail, _)| tail.to_owned()) else { return false };
        // In the order of their marks, which is that of time.
        let marks: Vec<_> =
            self.grants.keys().filter(|(of, _)| *of == tail).map(|(_, mark)| given(mark)).collect();
        let epoch = marks[(marks.len() - 1) / 2];
        let theirs =
            self.grants.extract_if(.., |(of, mark), _| *of == tail && given(mark) <= epoch);
        let until = theirs.map(|(_, until)| until).max().unwrap_or_default();
        self.refuse(tail, Epoch { epoch, until });
        true
    }

    fn refuse(&mut self, tail: String, epoch: Epoch) {
        let known = self.wallets.entry(tail).or_insert(epoch);
        *known = known.join(epoch);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut put = |entry: std::fmt::Arguments<'_>| {
            if !text.is_empty() {
                text.push(';');
            }
            // Writing to a string does not fail.
            let _ = text.write_fmt(entry);
        };
        for (id, secret) in &self.keys {
            put(format_args!("k={id}:{secret}"));
        }
        if let Some(Epoch { epoch, until }) = self.all {
            put(format_args!("a={epoch:08x}~{until:08x}"));
        }
        for (tail, Epoch { epoch, until }) in &self.wallets {
            put(format_args!("{tail}={epoch:08x}~{until:08x}"));
        }
        for ((tail, mark), until) in &self.grants {
            put(format_args!("{tail}.{mark}~{until:08x}"));
        }
        text
    }
}

/// When a grant was given, by its mark.
fn given(mark: &str) -> u32 {
    mark.get(..TIME).and_then(|text| time(text).ok()).unwrap_or(u32::MAX)
}

fn small(time: Seconds) -> u32 {
    u32::try_from(time).unwrap_or(u32::MAX)
}

fn time(text: &str) -> Result<u32, NoShard> {
    let plain = text.len() == TIME && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(text, 16).ok()).flatten().ok_or(NoShard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grant(account: u8, issued_at: Seconds, random: u8) -> GrantId {
        let account = format!("eip155:1:0x{}", hex::encode([account; 20])).parse().unwrap();
        GrantId::new(account, issued_at, [random; 8])
    }

    fn key() -> EdgeKey {
        EdgeKey { id: "k1".to_owned(), secret: [0; 32] }
    }

    #[test]
    fn one_is_refused_and_its_neighbour_is_not() {
        let mut shard = Shard::default();
        shard.set_keys(&[key()]);
        let (one, other) = (grant(1, 100, 1), grant(1, 100, 2));
        shard.add(&Revocation::Grant { grant: one.clone(), until: 900 });
        let shard = Shard::read(&shard.write(100)).unwrap();
        assert!(shard.is_revoked(&one) && !shard.is_revoked(&other));
        let mut later = shard.clone();
        later.prune(899);
        assert_eq!(later, shard);
        later.prune(900);
        assert!(!later.is_revoked(&one));
        assert_eq!(later.write(900), format!("k=k1:{}", "A".repeat(43)));
    }

    #[test]
    fn a_wallets_grants_end_up_to_a_second() {
        let mut shard = Shard::default();
        shard.add(&Revocation::Wallet { newest: grant(1, 100, 1), until: 900 });
        shard.add(&Revocation::Wallet { newest: grant(1, 90, 1), until: 950 });
        assert!(shard.is_revoked(&grant(1, 100, 9)) && shard.is_revoked(&grant(1, 5, 9)));
        assert!(!shard.is_revoked(&grant(1, 101, 9)) && !shard.is_revoked(&grant(2, 5, 9)));
        shard.prune(949);
        assert!(shard.is_revoked(&grant(1, 100, 9)));
    }

    #[test]
    fn what_is_too_much_refuses_the_whole_shard() {
        let mut shard = Shard::default();
        shard.set_keys(&[key(), key()]);
        let refused: Vec<_> = (0..40).map(|account| grant(account, 100, 1)).collect();
        for grant in &refused {
            shard.add(&Revocation::Grant { grant: grant.clone(), until: 900 });
        }
        // Also by a clock that is behind the one that gave them.
        let behind = Shard::read(&shard.write(90)).unwrap();
        assert!(refused.iter().all(|grant| behind.is_revoked(grant)));
        let value = shard.write(200);
        assert!(value.len() <= MAX_VALUE, "{value}");
        let shard = Shard::read(&value).unwrap();
        assert!(refused.iter().all(|grant| shard.is_revoked(grant)));
        assert!(shard.is_revoked(&grant(50, 200, 1)) && !shard.is_revoked(&grant(1, 201, 1)));
        let mut later = shard.clone();
        later.prune(899);
        assert!(refused.iter().all(|grant| later.is_revoked(grant)));
        assert_eq!(value.matches("k=k1:").count(), 2, "the keys stay");
    }

    #[test]
    fn what_was_given_by_a_clock_ahead_is_folded_as_well() {
        let mut shard = Shard::default();
        let refused: Vec<_> = (0..40).map(|random| grant(1, 205, random)).collect();
        for grant in &refused {
            shard.add(&Revocation::Grant { grant: grant.clone(), until: 900 });
        }
        let mut shard = Shard::read(&shard.write(200)).unwrap();
        assert!(refused.iter().all(|grant| shard.is_revoked(grant)));
        // Told again it is no longer.
        let before = shard.clone();
        shard.add(&Revocation::Grant { grant: refused[0].clone(), until: 900 });
        assert_eq!(shard.write(200), before.write(200));
    }

    /// An account could else end strangers' streams by ending own ones.
    #[test]
    fn an_account_that_ends_many_streams_ends_nobody_elses() {
        let mut shard = Shard::default();
        shard.set_keys(&[key(), key()]);
        let other = grant(2, 100, 1);
        shard.add(&Revocation::Grant { grant: other.clone(), until: 900 });
        for random in 0..250 {
            let own = grant(1, 100 + u64::from(random), random);
            shard.add(&Revocation::Grant { grant: own.clone(), until: 950 });
            shard = Shard::read(&shard.write(400)).unwrap();
            assert!(shard.is_revoked(&own) && shard.is_revoked(&other));
            assert!(!shard.is_revoked(&grant(2, 100, 2)) && !shard.is_revoked(&grant(3, 1, 1)));
        }
        // Nor the one that it watches now.
        assert!(!shard.is_revoked(&grant(1, 400, 251)));
        shard.prune(949);
        assert!(shard.is_revoked(&grant(1, 100, 0)) && !shard.is_revoked(&other));
    }

    #[test]
    fn what_is_no_value_is_not_half_read() {
        for bad in ["x", "k=k1", "a=1~2", "ab=00000001", "ab.cd~0000000g", &"a".repeat(1025)] {
            assert_eq!(Shard::read(bad), Err(NoShard), "{bad}");
        }
        assert_eq!(Shard::read(""), Ok(Shard::default()));
    }

    proptest! {
        /// Whatever is revoked stays refused until its time, through any writing and reading.
        #[test]
        fn nothing_revoked_comes_back(
            orders in prop::collection::vec((any::<bool>(), 0..60u8, 0..50u64, 0..9u8, 100..200u64), 0..200)
        ) {
            let mut shard = Shard::default();
            let mut refused = Vec::new();
            for (whole, account, issued_at, random, until) in orders {
                let grant = grant(account, issued_at, random);
                refused.push((grant.clone(), until));
                shard.add(&match whole {
                    true => Revocation::Wallet { newest: grant, until },
                    false => Revocation::Grant { grant, until },
                });
                let value = shard.write(60);
                prop_assert!(value.len() <= MAX_VALUE);
                shard = Shard::read(&value).unwrap();
                shard.prune(150);
                for (grant, until) in &refused {
                    prop_assert!(*until <= 150 || shard.is_revoked(grant));
                }
            }
        }
    }
}
