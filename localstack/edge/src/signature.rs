//! Verification of CloudFront signatures: the key types, the two hashes, and CloudFront's own base64. Pure.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::pkcs8::DecodePublicKey as _;
use rsa::traits::PublicKeyParts as _;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::refusal::Refusal;

/// The hash a viewer asked for. CloudFront takes SHA-1 unless SHA-256 is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hash {
    /// The default of every signed URL and cookie without a hash parameter.
    #[default]
    Sha1,
    /// Only with `Hash-Algorithm=SHA256` or the cookie `CloudFront-Hash-Algorithm`.
    Sha256,
}

impl Hash {
    /// Reads the value of `Hash-Algorithm`; case matters.
    pub fn named(name: &str) -> Result<Self, Refusal> {
        match name {
            "SHA1" => Ok(Self::Sha1),
            "SHA256" => Ok(Self::Sha256),
            _ => Err(Refusal::UnknownHashAlgorithm),
        }
    }
}

/// A public key of a key group. Its PEM says which kind it is, never the request.
#[derive(Debug, Clone)]
pub enum PublicKey {
    /// RSA of 2,048 bits, PKCS #1 v1.5.
    Rsa(Box<rsa::RsaPublicKey>),
    /// ECDSA on P-256, signatures in DER.
    Ecdsa(Box<p256::ecdsa::VerifyingKey>),
}

/// A public key that CloudFront would not have taken either.
#[derive(Debug, thiserror::Error)]
#[error("not a public key in PEM for RSA 2048 or ECDSA P-256")]
pub struct UnusableKey;

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo PEM.
    pub fn from_pem(pem: &str) -> Result<Self, UnusableKey> {
        let pem = pem.trim();
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_pem(pem) {
            return Ok(Self::Ecdsa(Box::new(key)));
        }
        match rsa::RsaPublicKey::from_public_key_pem(pem) {
            Ok(key) if key.n().bits() == 2048 => Ok(Self::Rsa(Box::new(key))),
            _ => Err(UnusableKey),
        }
    }

    /// Whether the signature over the message was made with this key and this hash.
    pub fn verifies(&self, message: &[u8], signature: &[u8], hash: Hash) -> bool {
        match self {
            Self::Rsa(key) => match hash {
                Hash::Sha1 => key
                    .verify(rsa::Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(message), signature)
                    .is_ok(),
                Hash::Sha256 => key
                    .verify(rsa::Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signature)
                    .is_ok(),
            },
            Self::Ecdsa(key) => {
                let Ok(signature) = p256::ecdsa::Signature::from_der(signature) else {
                    return false;
                };
                match hash {
                    Hash::Sha1 => key.verify_prehash(&Sha1::digest(message), &signature).is_ok(),
                    Hash::Sha256 => {
                        key.verify_prehash(&Sha256::digest(message), &signature).is_ok()
                    }
                }
            }
        }
    }
}

/// Undoes CloudFront's base64: the standard one with `+ = /` written as `- _ ~`. AWS's own examples leave the padding
/// out, so it is optional; the standard alphabet is refused, or one value would have two spellings.
pub fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    let mut standard = String::with_capacity(text.len());
    for character in text.chars() {
        standard.push(match character {
            '-' => '+',
            '_' => '=',
            '~' => '/',
            plain if plain.is_ascii_alphanumeric() => plain,
            _ => return Err(Refusal::MalformedBase64),
        });
    }
    let engine = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    match engine.decode(standard) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(Refusal::MalformedBase64),
    }
}

/// Writes CloudFront's base64. The edge never signs; its tests do.
pub fn encode(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD
        .encode(bytes)
        .replace('+', "-")
        .replace('=', "_")
        .replace('/', "~")
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::signature::hazmat::PrehashSigner as _;
    use p256::pkcs8::EncodePublicKey as _;
    use rand_core::OsRng;

    use super::*;

    #[test]
    fn the_three_characters_are_swapped_both_ways() {
        let bytes = [0xfb, 0xff, 0xfe, 0x01];
        assert_eq!(encode(&bytes), "-~~-AQ__");
        assert_eq!(decode("-~~-AQ__").unwrap(), bytes);
        assert_eq!(decode("-~~-AQ").unwrap(), bytes);
    }

    #[test]
    fn other_alphabets_and_loose_ends_are_refused() {
        for text in ["", "_", "+//+AQ==", "A", "AR__x", "A Q_", "AQ==", "\u{e9}", "AR"] {
            assert_eq!(decode(text), Err(Refusal::MalformedBase64), "{text}");
        }
    }

    #[test]
    fn a_p256_signature_fits_one_message_one_key_and_one_hash() {
        let secret = p256::ecdsa::SigningKey::random(&mut OsRng);
        let pem = secret.verifying_key().to_public_key_pem(Default::default()).unwrap();
        let key = PublicKey::from_pem(&pem).unwrap();
        for (hash, digest) in [
            (Hash::Sha1, Sha1::digest(b"policy").to_vec()),
            (Hash::Sha256, Sha256::digest(b"policy").to_vec()),
        ] {
            let made: p256::ecdsa::Signature = secret.sign_prehash(&digest).unwrap();
            let der = made.to_der();
            assert!(key.verifies(b"policy", der.as_bytes(), hash));
            assert!(!key.verifies(b"Policy", der.as_bytes(), hash));
            let other = if hash == Hash::Sha1 { Hash::Sha256 } else { Hash::Sha1 };
            assert!(!key.verifies(b"policy", der.as_bytes(), other));
            assert!(!key.verifies(b"policy", &made.to_bytes(), hash), "raw r and s are not DER");
        }
    }

    #[test]
    fn keys_of_other_kinds_are_not_usable() {
        assert!(PublicKey::from_pem("").is_err());
        assert!(
            PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----")
                .is_err()
        );
        let short = rsa::RsaPrivateKey::new(&mut OsRng, 1024).unwrap().to_public_key();
        let pem =
            rsa::pkcs8::EncodePublicKey::to_public_key_pem(&short, Default::default()).unwrap();
        assert!(PublicKey::from_pem(&pem).is_err(), "CloudFront takes 2,048 bits only");
    }
}
