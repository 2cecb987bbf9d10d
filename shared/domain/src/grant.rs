//! A grant: one wallet's leave to watch one video until a time.

use crate::Seconds;
use crate::account::Account;
use crate::session::Holder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Who may watch what, until when. Stored under [`key`] of its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// SHA-256 of the token: whoever reads the table can't play.
    pub grant: String,
    /// The video.
    pub video: String,
    /// The wallet that signed in first.
    pub account: Account,
    /// All wallets that were linked, whose holdings were added up.
    #[serde(default)]
    pub wallets: Vec<Holder>,
    /// The video's policy revision that was decided on.
    pub policy_revision: u64,
    /// When it was given.
    pub created_at: Seconds,
    /// When it ends; also the table's TTL, which may be days late, so it is checked on reading.
    pub expires_at: Seconds,
    /// It rests on an older answer, given while a chain could not be read.
    #[serde(default)]
    pub grace: bool,
}

/// The name under which a token's grant is stored; `None` if it can't be a token.
///
/// A token is 64 lower-case hex digits, 32 random bytes.
pub fn key(token: &str) -> Option<String> {
    let plain = token.len() == 64
        && token.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    plain.then(|| hex::encode(Sha256::digest(token.as_bytes())))
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_tokens_have_keys() {
        let token = "0123456789abcdef".repeat(4);
        assert_eq!(super::key(&token).map(|key| key.len()), Some(64));
        for text in ["", "abc", &token.to_uppercase(), &format!("{token}0"), &token[1..]] {
            assert_eq!(super::key(text), None);
        }
    }
}
