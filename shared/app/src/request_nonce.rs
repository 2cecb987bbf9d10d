//! `POST /v1/auth/nonce`: a nonce, and the message to sign with it.

use crate::ports::{Clock, Random};
use domain::account::Account;
use domain::session::SessionKeys;
use domain::sign_in::{self, Expected};
use domain::{Seconds, nonce};

/// The site that wallets sign in to.
#[derive(Debug, Clone)]
pub struct Site {
    /// As in `https://d1.cloudfront.net`.
    pub origin: String,
    /// As in `d1.cloudfront.net`.
    pub domain: String,
    /// Of nonces and sessions.
    pub keys: SessionKeys,
    /// How long a nonce lives.
    pub nonce_lifetime: Seconds,
}

impl Site {
    /// What a sign-in message must say now.
    pub fn expected(&self, now: Seconds) -> Expected<'_> {
        Expected {
            origin: &self.origin,
            domain: &self.domain,
            keys: self.keys.all(),
            lifetime: self.nonce_lifetime,
            now,
        }
    }
}

/// The request's body.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonceRequest {
    /// Who wants to sign in (CAIP-10).
    pub account: Account,
}

/// A nonce and its message.
#[derive(Debug, serde::Serialize)]
pub struct Nonce {
    /// The message's `Nonce`.
    pub nonce: String,
    /// RFC 3339.
    pub expires_at: String,
    /// Ready to be signed: with `personal_sign`, or with Solana's `signMessage` or `signIn`.
    pub message: String,
}

/// Makes a nonce for `account`; nothing is stored.
pub fn request_nonce(system: &(impl Clock + Random), site: &Site, account: &Account) -> Nonce {
    let now = system.now();
    let expires_at = now + site.nonce_lifetime;
    let nonce = nonce::mint(site.keys.minting(), system.bytes(), &site.domain, account, expires_at);
    let message = sign_in::message(&site.expected(now), account, &nonce);
    Nonce { nonce, expires_at: domain::rfc3339(expires_at), message }
}
