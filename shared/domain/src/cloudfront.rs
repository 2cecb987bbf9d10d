//! CloudFront's signed URLs with a custom policy, ECDSA P-256 over SHA-256.
//!
//! Follows "Create a signed URL using a custom policy" in the Amazon CloudFront Developer Guide:
//! the policy JSON is signed as it is, and policy and DER signature travel in a base64 whose
//! `+ = /` are written `- _ ~`. SHA-256 needs `Hash-Algorithm=SHA256` beside them.

use crate::Seconds;
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

/// The one resource that a grant opens: a video's folder and nothing beside it.
pub fn video_resource(origin: &str, video: &str) -> String {
    format!("{origin}/v/{video}/*")
}

/// The query string that opens `resource` until `expires_at`.
///
/// The same input gives the same answer (RFC 6979), so all playlists of a grant carry one signature.
pub fn signed_query(
    key: &SigningKey,
    key_pair_id: &str,
    resource: &str,
    expires_at: Seconds,
) -> String {
    let policy = custom_policy(resource, expires_at);
    let signature: DerSignature = key.sign(policy.as_bytes());
    format!(
        "Policy={}&Signature={}&Key-Pair-Id={key_pair_id}&Hash-Algorithm=SHA256",
        encode(policy.as_bytes()),
        encode(signature.as_bytes()),
    )
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
        let resource = video_resource("https://film.example", "0a");
        let query = signed_query(&key, "K1", &resource, 1_800_000_000);
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
        assert_eq!(query, signed_query(&key, "K1", &resource, 1_800_000_000));
    }
}
