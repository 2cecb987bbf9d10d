//! CloudFront's signed URLs with a custom policy, ECDSA P-256 over SHA-256.
//!
//! Follows "Create a signed URL using a custom policy" in the Amazon CloudFront Developer Guide:
//! the policy JSON is signed as it is, and policy and DER signature travel in a base64 whose
//! `+ = /` are written `- _ ~`. SHA-256 needs `Hash-Algorithm=SHA256` beside them.

use crate::Seconds;
use crate::grant::GrantId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};

/// The custom policy: `resource` (`*` and `?` are wildcards) until `expires_at`.
pub fn custom_policy(resource: &str, expires_at: Seconds) -> String {
    serde_json::json!({"Statement": [{
        "Resource": resource,
        "Condition": {"DateLessThan": {"AWS:EpochTime": expires_at}},
    }]})
    .to_string()
}

/// The folder that a grant's cookies open: a video's, and nothing beside it.
pub fn video_path(video: &str) -> String {
    format!("/v/{video}/")
}

/// The folder that a grant's addresses open: that video's, under the grant's name, by which the edge
/// can be told to refuse it.
pub fn grant_path(grant: &GrantId, video: &str) -> String {
    format!("/q/{grant}{}", video_path(video))
}

/// What a signature with a custom policy travels in.
pub const PARAMETERS: [&str; 4] = ["Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"];

/// One signature: for all below `origin` and `folder` until `expires_at`.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    values: [String; 4],
}

/// Signs a folder. The same input gives the same answer (RFC 6979), so all playlists of a grant carry
/// one signature.
pub fn sign(
    key: &SigningKey,
    key_pair_id: &str,
    origin: &str,
    folder: &str,
    expires_at: Seconds,
) -> Signed {
    let policy = custom_policy(&format!("{origin}{folder}*"), expires_at);
    let signature: DerSignature = key.sign(policy.as_bytes());
    Signed {
        values: [
            encode(policy.as_bytes()),
            encode(signature.as_bytes()),
            key_pair_id.to_owned(),
            "SHA256".to_owned(),
        ],
    }
}

impl Signed {
    /// As a query string, without `?`.
    pub fn query(&self) -> String {
        self.pairs().map(|(name, value)| format!("{name}={value}")).join("&")
    }

    /// As cookies: names and values ("Set signed cookies using a custom policy").
    pub fn cookies(&self) -> [(String, &str); 4] {
        self.pairs().map(|(name, value)| (format!("CloudFront-{name}"), value))
    }

    fn pairs(&self) -> [(&'static str, &str); 4] {
        std::array::from_fn(|index| (PARAMETERS[index], &*self.values[index]))
    }
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Signed")
    }
}

fn encode(bytes: &[u8]) -> String {
    STANDARD
        .encode(bytes)
        .chars()
        .map(|letter| match letter {
            '+' => '-',
            '=' => '_',
            '/' => '~',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::VerifyingKey;
    use p256::ecdsa::signature::Verifier;

    #[test]
    fn the_signature_is_over_the_policy_for_that_folder_only() {
        let key = SigningKey::from_slice(&[5; 32]).unwrap();
        let signed = sign(&key, "K1", "https://film.example", &video_path("0a"), 1_800_000_000);
        let query = signed.query();
        let field = |name: &str| {
            let (_, value) = query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .find(|(key, _)| *key == name)
                .unwrap();
            value.to_owned()
        };
        let decode = |text: String| {
            STANDARD.decode(text.replace('-', "+").replace('_', "=").replace('~', "/")).unwrap()
        };
        let policy = decode(field("Policy"));
        assert_eq!(
            String::from_utf8(policy.clone()).unwrap(),
            r#"{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":1800000000}},"Resource":"https://film.example/v/0a/*"}]}"#
        );
        let signature = DerSignature::from_bytes(&decode(field("Signature"))).unwrap();
        VerifyingKey::from(&key).verify(&policy, &signature).unwrap();
        assert_eq!(field("Key-Pair-Id"), "K1");
        for (name, value) in signed.cookies() {
            assert_eq!(field(name.strip_prefix("CloudFront-").unwrap()), value);
        }
    }
}
