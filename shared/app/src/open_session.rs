//! `POST /v1/auth/session`: a signed message in, a session out.

use crate::ports::{Clock, NonceStore};
use crate::problem::{Error, Problem};
use crate::request_nonce::Site;
use domain::account::Account;
use domain::sign_in::{self, SignInError};
use domain::{Seconds, session};

/// The request's body.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedMessage {
    /// EIP-4361.
    pub message: String,
    /// Hex, as `personal_sign` answers.
    pub signature: String,
}

impl std::fmt::Debug for SignedMessage {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SignedMessage(..)")
    }
}

/// A session.
#[derive(Debug, serde::Serialize)]
pub struct Session {
    /// For `Authorization: Bearer`.
    pub token: String,
    /// Whose it is.
    pub account: Account,
    /// RFC 3339.
    pub expires_at: String,
}

/// Checks the message and its signature, uses the nonce up, and signs a session.
///
/// # Errors
/// Each kind of bad message has its own [`Problem`]; of parallel replays exactly one succeeds.
pub async fn open_session(
    system: &impl Clock,
    nonces: &impl NonceStore,
    site: &Site,
    lifetime: Seconds,
    message: &str,
    signature: &str,
) -> Result<Session, Error> {
    let now = system.now();
    let signed_in = sign_in::verify(&site.expected(now), message, signature).map_err(refusal)?;
    if !nonces.use_up(&signed_in.nonce, signed_in.nonce_expires_at).await? {
        return Err(Problem::NonceUsed.into());
    }
    let expires_at = now + lifetime;
    let token = session::mint(&site.key.0, &signed_in.account, now, expires_at)?;
    let expires_at = domain::rfc3339(expires_at);
    Ok(Session { token, account: signed_in.account, expires_at })
}

fn refusal(error: SignInError) -> Problem {
    let detail = error.to_string();
    match error {
        SignInError::Malformed(_) => Problem::MessageMalformed(detail),
        SignInError::Foreign(_) => Problem::DomainMismatch(detail),
        SignInError::Expired => Problem::MessageExpired(detail),
        SignInError::NotYet => Problem::MessageNotYetValid(detail),
        SignInError::Nonce(_) => Problem::NonceInvalid(detail),
        SignInError::Signature => Problem::SignatureInvalid(detail),
    }
}
