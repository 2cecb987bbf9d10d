//! A grant: one wallet's leave to watch one video until a time, and how it travels.

use crate::Seconds;
use crate::account::{Account, ChainId, Pubkey};
use crate::binding::Binding;
use crate::decision::Decision;
use crate::leaf::Asset;
use crate::session::{Holder, Session};
use crate::video::Video;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;

const HANDLE: usize = 16;
const ISSUED: usize = 8;
const SECRET: usize = 64;
const SHARD: usize = 3;
/// By how many seconds a review may come early.
const REVIEW_SLACK: Seconds = 30;

/// A grant's name, which is no secret: 40 lower-case hex digits that say whose it is (16, a digest
/// of the account), when it was given (8, Unix seconds), and which of those it is (16, random).
///
/// So the edge, which knows nothing but the name, can be told to refuse one grant, or all that a
/// wallet was given up to some second.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GrantId(String);

/// This is no grant's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a grant's id is 40 lower-case hex digits")]
pub struct NoGrantId;

impl GrantId {
    /// How long it is, in characters.
    pub const LENGTH: usize = 40;

    /// A new one of an account. The time holds until the year 2106.
    pub fn new(account: Account, issued_at: Seconds, random: [u8; 8]) -> Self {
        let issued_at = u32::try_from(issued_at).unwrap_or(u32::MAX);
        Self(format!("{}{issued_at:08x}{}", handle(account), hex::encode(random)))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whose it is: the same for all grants of an account.
    pub fn handle(&self) -> &str {
        &self.0[..HANDLE]
    }

    /// Where the edge looks it up: the first three digits.
    pub fn shard(&self) -> &str {
        &self.0[..SHARD]
    }

    /// Whose it is within the shard.
    pub fn tail(&self) -> &str {
        &self.0[SHARD..HANDLE]
    }

    /// When it was given.
    pub fn issued_at(&self) -> Seconds {
        Seconds::from_str_radix(&self.0[HANDLE..HANDLE + ISSUED], 16).unwrap_or_default()
    }

    /// Which of its account's it is, as far as the edge need know: when it was given, and the first
    /// half of what is random.
    pub fn mark(&self) -> &str {
        &self.0[HANDLE..HANDLE + 2 * ISSUED]
    }
}

/// What all grants of an account begin with.
pub fn handle(account: Account) -> String {
    let name = account.to_string().to_ascii_lowercase();
    // Base58 tells cases apart: of Solana's accounts the text stays as it is.
    let text = match account.chain {
        ChainId::Eip155(_) => name,
        ChainId::Solana(_) => account.to_string(),
    };
    hex::encode(&Sha256::digest(text.as_bytes())[..HANDLE / 2])
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

impl FromStr for GrantId {
    type Err = NoGrantId;
    fn from_str(text: &str) -> Result<Self, NoGrantId> {
        let plain = text.len() == Self::LENGTH && is_hex(text);
        plain.then(|| Self(text.to_owned())).ok_or(NoGrantId)
    }
}

impl TryFrom<String> for GrantId {
    type Error = NoGrantId;
    fn try_from(text: String) -> Result<Self, NoGrantId> {
        text.parse()
    }
}

impl From<GrantId> for String {
    fn from(id: GrantId) -> Self {
        id.0
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What its holder shows: the id and 32 random bytes in hex. A secret.
#[derive(Clone, PartialEq, Eq)]
pub struct GrantToken {
    /// Of which grant.
    pub id: GrantId,
    secret: String,
}

impl GrantToken {
    /// Of new random bytes.
    pub fn new(id: GrantId, random: [u8; 32]) -> Self {
        Self { id, secret: hex::encode(random) }
    }

    /// Reads one; `None` if it can't be.
    pub fn read(text: &str) -> Option<Self> {
        let (id, secret) = text.split_at_checked(GrantId::LENGTH)?;
        let plain = secret.len() == SECRET && is_hex(secret);
        Some(Self { id: id.parse().ok()?, secret: plain.then(|| secret.to_owned())? })
    }

    /// As it travels.
    pub fn text(&self) -> String {
        format!("{}{}", self.id, self.secret)
    }

    /// What is stored of it: whoever reads the table can't play.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.secret.as_bytes()))
    }
}

impl fmt::Debug for GrantToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "GrantToken({})", self.id)
    }
}

/// How a grant travels with a player's requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// CloudFront's signed cookies, for minutes at a time. For browsers.
    #[default]
    Cookie,
    /// A token as the path's first element, for players with neither cookies nor rewritten
    /// playlists.
    Path,
    /// A signature in every address of playlists that are written for it.
    Query,
}

impl Carrier {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Path => "path",
            Self::Query => "query",
        }
    }
}

/// Who may watch what, until when. Stored under its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its name.
    pub grant: GrantId,
    /// [`GrantToken::digest`].
    pub secret: String,
    /// The video.
    pub video: String,
    /// The wallet that signed in first.
    pub account: Account,
    /// All wallets that were linked, whose holdings were added up.
    #[serde(default)]
    pub wallets: Vec<Holder>,
    /// The tokens that the viewer said to hold (CAIP-19), to look there again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<Asset>,
    /// How it travels.
    pub carrier: Carrier,
    /// Whom its path is bound to.
    #[serde(default, skip_serializing_if = "Binding::is_empty")]
    pub bind: Binding,
    /// The video's policy revision that was decided on last.
    pub policy_revision: u64,
    /// When it was given.
    pub created_at: Seconds,
    /// When it ends; also the table's TTL, which may be days late, so it is checked on reading.
    pub expires_at: Seconds,
    /// When it has to be decided again, if it rests on what no event tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_at: Option<Seconds>,
    /// The Solana cluster that it rests on, if it does: the first, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ChainId>,
    /// The accounts there that it was decided by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<Pubkey>,
    /// It rests on an older answer, given while a chain could not be read.
    #[serde(default)]
    pub grace: bool,
    /// Where it has a place, if the policy limits streams: subjects of [`crate::lease::Sheet`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<String>,
    /// Until when it keeps its place, where the policy limits streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Seconds>,
    /// When and why it was ended before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// The end of a grant before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub at: Seconds,
    /// Why.
    pub why: EndReason,
}

/// Why a grant was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The policy says no by now.
    Refused,
    /// Its chain can't be read for too long.
    ChainLost,
    /// The viewer ended it.
    Left,
    /// The video's owner ended it.
    Revoked,
    /// Another stream took its place.
    TakenOver,
    /// The player did not renew it.
    Lapsed,
    /// The video is gone.
    Deleted,
}

impl Grant {
    /// What is opened by a token, for those who are signed in; as if nothing was decided yet.
    pub fn new(
        token: &GrantToken,
        video: impl Into<String>,
        caller: &Session,
        carrier: Carrier,
        (created_at, expires_at): (Seconds, Seconds),
    ) -> Self {
        Self {
            grant: token.id.clone(),
            secret: token.digest(),
            video: video.into(),
            account: caller.account(),
            wallets: caller.wallets.clone(),
            assets: Vec::new(),
            carrier,
            bind: Binding::default(),
            policy_revision: 0,
            created_at,
            expires_at,
            review_at: None,
            cluster: None,
            accounts: Vec::new(),
            grace: false,
            leases: Vec::new(),
            lease_until: None,
            ended: None,
        }
    }

    /// Whether it was decided by this video's policy of now, and there is something to watch.
    pub fn stands(&self, video: &Video) -> bool {
        video.is_watchable() && video.policy_revision == self.policy_revision
    }

    /// Whether its time is not over, and nobody ended it.
    pub fn is_open(&self, now: Seconds) -> bool {
        self.ended.is_none() && now < self.expires_at
    }

    /// Whether it may still be used: one whose lease has lapsed may not, and is yet to be ended.
    pub fn is_live(&self, now: Seconds) -> bool {
        self.is_open(now) && self.lease_until.is_none_or(|until| now < until)
    }

    /// When it has to be looked at again at the latest.
    pub fn due_at(&self) -> Option<Seconds> {
        [self.review_at, self.lease_until].into_iter().flatten().min()
    }

    /// This grant as a decision says that it goes on: never longer than it did.
    pub fn decided(&self, decision: &Decision, policy_revision: u64) -> Self {
        let expires_at = decision.until.map_or(self.expires_at, |until| until.min(self.expires_at));
        let first = decision.accounts.first_key_value();
        let accounts = first.map(|(_, accounts)| accounts.clone()).unwrap_or_default();
        Self {
            policy_revision,
            expires_at,
            review_at: decision.review_at,
            cluster: first.map(|(cluster, _)| ChainId::Solana(*cluster)),
            accounts,
            grace: decision.grace,
            ..self.clone()
        }
    }

    /// Whether a decision has changed what is written down of it.
    pub fn differs(&self, before: &Self) -> bool {
        // When it is to be reviewed moves on with each decision: a few seconds are worth no write.
        let moved = match (self.review_at, before.review_at) {
            (Some(next), Some(known)) => next.saturating_sub(known) > REVIEW_SLACK,
            (next, known) => next != known,
        };
        let calm = Self { review_at: before.review_at, ..self.clone() };
        moved || calm != *before
    }

    /// Whether this is its token, told in constant time.
    pub fn is_opened_by(&self, token: &GrantToken) -> bool {
        let same: bool = self.secret.as_bytes().ct_eq(token.digest().as_bytes()).into();
        same && self.grant == token.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(text: &str) -> Account {
        text.parse().unwrap()
    }

    #[test]
    fn an_id_says_whose_it_is_and_when_it_was_given() {
        let account = account("eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        let id = GrantId::new(account, 1_800_000_000, [0xab; 8]);
        assert_eq!(id.handle(), handle(account));
        assert_eq!(format!("{}{}", id.shard(), id.tail()), id.handle());
        assert_eq!((id.issued_at(), id.mark()), (1_800_000_000, "6b49d200abababab"));
        assert_eq!(id.as_str().parse::<GrantId>().unwrap(), id);
        // sha256 of the CAIP-10 text, the address in lower case.
        let text = "eip155:1:0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
        assert_eq!(id.handle(), &hex::encode(Sha256::digest(text))[..16]);
    }

    #[test]
    fn only_tokens_are_read() {
        let account = account("eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        let token = GrantToken::new(GrantId::new(account, 1, [1; 8]), [7; 32]);
        let text = token.text();
        assert_eq!(GrantToken::read(&text), Some(token.clone()));
        let stored = format!("{}{}", token.id, token.digest());
        assert_ne!(GrantToken::read(&stored).unwrap().digest(), token.digest());
        for bad in ["", "abc", &text.to_uppercase(), &format!("{text}0"), &text[1..], "é"] {
            assert_eq!(GrantToken::read(bad), None, "{bad}");
        }
        assert!(!format!("{token:?}").contains(&text[40..]));
    }
}
