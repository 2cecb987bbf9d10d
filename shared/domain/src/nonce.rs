//! Sign-in nonces that prove themselves: they cost no write until they are used up.
//!
//! 64 hex digits: 12 random bytes, the expiry (4 bytes), and 16 bytes of HMAC-SHA256 over both, the
//! signing domain and the account. EIP-4361 wants 8 or more alphanumeric characters.

use crate::Seconds;
use crate::account::Account;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

const RANDOM: usize = 12;
const BODY: usize = RANDOM + 4;
const MAC: usize = 16;

/// Why a nonce is not ours, or no longer good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    /// Not of our making, or made for another account or domain.
    #[error("this nonce was not issued here for this account")]
    Foreign,
    /// Its time is over.
    #[error("this nonce has expired; ask for a new one")]
    Expired,
}

/// Makes a nonce for `account` at `domain` that is good until `expires_at`.
pub fn mint(
    key: &[u8; 32],
    random: [u8; RANDOM],
    domain: &str,
    account: &Account,
    expires_at: Seconds,
) -> String {
    let mut body = [0_u8; BODY];
    body[..RANDOM].copy_from_slice(&random);
    body[RANDOM..].copy_from_slice(&u32::try_from(expires_at).unwrap_or(u32::MAX).to_be_bytes());
    hex::encode([&body[..], &mac(key, &body, domain, account)].concat())
}

/// Checks a nonce that one of `keys` made; answers with its expiry.
///
/// # Errors
/// [`NonceError`]; the MAC is looked at before the time.
pub fn check(
    keys: &[[u8; 32]],
    nonce: &str,
    domain: &str,
    account: &Account,
    now: Seconds,
) -> Result<Seconds, NonceError> {
    let mut bytes = [0_u8; BODY + MAC];
    // One spelling only, or a used nonce would work again in capitals.
    if nonce.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(NonceError::Foreign);
    }
    hex::decode_to_slice(nonce, &mut bytes).map_err(|_| NonceError::Foreign)?;
    let (body, tag) = bytes.split_at(BODY);
    let made = |key: &[u8; 32]| bool::from(mac(key, body, domain, account).ct_eq(tag));
    if !keys.iter().any(made) {
        return Err(NonceError::Foreign);
    }
    let mut expiry = [0_u8; 4];
    expiry.copy_from_slice(&body[RANDOM..]);
    let expires_at = Seconds::from(u32::from_be_bytes(expiry));
    if now >= expires_at {
        return Err(NonceError::Expired);
    }
    Ok(expires_at)
}

fn mac(key: &[u8; 32], body: &[u8], domain: &str, account: &Account) -> [u8; MAC] {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; MAC] };
    mac.update(b"streamgate nonce v1\0");
    mac.update(body);
    mac.update(domain.as_bytes());
    mac.update(b"\0");
    mac.update(account.to_string().as_bytes());
    let mut tag = [0; MAC];
    tag.copy_from_slice(&mac.finalize().into_bytes()[..MAC]);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn account(chain: u64) -> Account {
        format!("eip155:{chain}:0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045").parse().unwrap()
    }

    #[test]
    fn a_nonce_is_good_for_its_account_domain_and_time() {
        let nonce = mint(&KEY, [1; 12], "a.example", &account(1), 1_000);
        assert_eq!(nonce.len(), 64);
        assert_eq!(check(&[KEY], &nonce, "a.example", &account(1), 999), Ok(1_000));
        let expired = check(&[KEY], &nonce, "a.example", &account(1), 1_000);
        assert_eq!(expired, Err(NonceError::Expired));
        for (key, domain, account) in [
            ([8; 32], "a.example", account(1)),
            (KEY, "b.example", account(1)),
            (KEY, "a.example", account(2)),
        ] {
            assert_eq!(check(&[key], &nonce, domain, &account, 1), Err(NonceError::Foreign));
        }
    }

    #[test]
    fn any_live_key_may_have_made_it() {
        let nonce = mint(&KEY, [1; 12], "a.example", &account(1), 1_000);
        let checked = |keys: &[[u8; 32]]| check(keys, &nonce, "a.example", &account(1), 1);
        assert_eq!(checked(&[[8; 32], KEY]), Ok(1_000));
        assert_eq!(checked(&[KEY, [8; 32]]), Ok(1_000));
        assert_eq!(checked(&[[8; 32], [9; 32]]), Err(NonceError::Foreign));
        assert_eq!(checked(&[]), Err(NonceError::Foreign));
    }

    #[test]
    fn no_digit_can_be_changed() {
        let nonce = mint(&KEY, [0xab; 12], "a.example", &account(1), 1_000);
        for at in 0..nonce.len() {
            let mut bytes = nonce.clone().into_bytes();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(bytes).unwrap();
            let answer = check(&[KEY], &changed, "a.example", &account(1), 1);
            assert_eq!(answer, Err(NonceError::Foreign), "{at}");
        }
        for text in ["", "zz", &nonce[2..], &nonce.to_uppercase(), &format!("{nonce}00")] {
            assert!(check(&[KEY], text, "a.example", &account(1), 1).is_err());
        }
    }
}
