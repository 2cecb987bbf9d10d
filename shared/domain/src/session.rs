//! A session: a wallet that signed in, as a short-lived signed token (JWT, HS256, RFC 7519).

use crate::Seconds;
use crate::account::Account;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// Longer tokens are not looked at.
pub const MAX_TOKEN_BYTES: usize = 2 * 1024;
const AUDIENCE: &str = "streamgate";

/// Why a token opens no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Not signed by this stack, or not a session token.
    #[error("the session token is not valid")]
    Invalid,
    /// Over.
    #[error("the session has expired; sign in again")]
    Expired,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: Account,
    aud: String,
    iat: Seconds,
    exp: Seconds,
}

/// Signs a session for `account` from `now` until `expires_at`.
///
/// # Errors
/// [`SessionError::Invalid`] when the claims can't be written, which no account makes happen.
pub fn mint(
    key: &[u8; 32],
    account: &Account,
    now: Seconds,
    expires_at: Seconds,
) -> Result<String, SessionError> {
    let claims = Claims { sub: *account, aud: AUDIENCE.into(), iat: now, exp: expires_at };
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(key))
        .map_err(|_| SessionError::Invalid)
}

/// Whose session a token is.
///
/// # Errors
/// [`SessionError`].
pub fn verify(key: &[u8; 32], token: &str, now: Seconds) -> Result<Account, SessionError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(SessionError::Invalid);
    }
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&[AUDIENCE]);
    // The caller's clock is checked below; the library would read the system's.
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["exp", "aud", "sub"]);
    let claims = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(key), &validation)
        .map_err(|_| SessionError::Invalid)?
        .claims;
    if now >= claims.exp {
        return Err(SessionError::Expired);
    }
    Ok(claims.sub)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    const KEY: [u8; 32] = [1; 32];

    fn account() -> Account {
        "eip155:1:0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045".parse().unwrap()
    }

    #[test]
    fn a_session_lasts_until_it_ends() {
        let token = mint(&KEY, &account(), 100, 200).unwrap();
        assert_eq!(verify(&KEY, &token, 199), Ok(account()));
        assert_eq!(verify(&KEY, &token, 200), Err(SessionError::Expired));
        assert_eq!(verify(&[2; 32], &token, 150), Err(SessionError::Invalid));
    }

    #[test]
    fn other_algorithms_and_altered_claims_are_refused() {
        let token = mint(&KEY, &account(), 100, 200).unwrap();
        let parts: Vec<_> = token.split('.').collect();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        let longer = URL_SAFE_NO_PAD.encode(claims.replace("200", "900"));
        for token in [
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{}.{longer}.{}", parts[0], parts[2]),
            format!("{}.{}", parts[0], parts[1]),
            String::new(),
            "a".repeat(MAX_TOKEN_BYTES + 1),
        ] {
            assert_eq!(verify(&KEY, &token, 150), Err(SessionError::Invalid), "{token}");
        }
    }
}
