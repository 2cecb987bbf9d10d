//! Access receipts: what was decided about whom, on what facts, signed so that a creator can check
//! it offline, with the keys that the stack publishes.
//!
//! A JSON Web Signature in its compact form (RFC 7515) with ES256 (RFC 7518 3.4); the keys are a
//! JWK Set (RFC 7517).

use crate::Seconds;
use crate::account::{Account, ChainId};
use crate::decision::{Decision, Outcome, Verdict};
use crate::fact::Block;
use crate::policy::Policy;
use crate::session::Holder;
use crate::video::Video;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The header's `typ`: nothing else that a key signs can be taken for a receipt.
pub const TYPE: &str = "streamgate-receipt+jwt";
/// Longer ones are not looked at: 20 conditions and five wallets make some 8 KiB.
pub const MAX_BYTES: usize = 32 * 1024;

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The stack's public origin, as in `https://d1.cloudfront.net`.
    pub iss: String,
    /// When it was decided, in Unix seconds.
    pub iat: Seconds,
    /// The video's id.
    pub video: String,
    /// The session's wallets.
    pub accounts: Vec<Account>,
    /// [`policy_hash`] of the policy; none of a video without one, which its owner alone may watch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Which revision of the video's policy that was.
    pub policy_revision: u64,
    /// What the decision rests on; nothing where the owner watches.
    pub facts: Vec<ReceiptFact>,
    /// The decision.
    pub verdict: Verdict,
    /// The grant's id, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// When the grant ends, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Seconds>,
}

impl Receipt {
    /// What was decided about a video and these wallets, at the stack of that origin, with no grant.
    pub fn new(
        origin: &str,
        video: &Video,
        wallets: &[Holder],
        decision: &Decision,
        now: Seconds,
    ) -> Self {
        Self {
            iss: origin.into(),
            iat: now,
            video: video.id.clone(),
            accounts: wallets.iter().map(|holder| holder.account).collect(),
            policy: video.policy.as_ref().map(policy_hash),
            policy_revision: video.policy_revision,
            facts: decision.conditions.iter().map(ReceiptFact::from).collect(),
            verdict: decision.verdict,
            grant: None,
            until: None,
        }
    }
}

/// How one condition turned out, and where that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptFact {
    /// The condition's place in the policy: `rule.any[0]`.
    pub path: String,
    /// The condition's kind: `erc721`.
    pub kind: String,
    /// CAIP-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainId>,
    /// Its contract, mint or plug-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Whether it holds.
    pub outcome: Verdict,
    /// At which block, with its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<Block>,
    /// At which slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u64>,
    /// The chain could not be read, and an older answer stood in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grace: bool,
}

impl From<&Outcome> for ReceiptFact {
    fn from(outcome: &Outcome) -> Self {
        Self {
            path: outcome.path.clone(),
            kind: outcome.kind.to_owned(),
            chain: outcome.chain,
            subject: outcome.subject.clone(),
            outcome: outcome.outcome,
            block: outcome.block.clone(),
            slot: outcome.slot,
            grace: outcome.grace,
        }
    }
}

/// SHA-256 in hex over a policy's JSON in one spelling: no spaces, and the fields of every object
/// by name (RFC 8785, for what policies are made of).
pub fn policy_hash(policy: &Policy) -> String {
    let mut text = String::new();
    spell(&policy.to_json(), &mut text);
    hex::encode(Sha256::digest(text.as_bytes()))
}

fn spell(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<_> = fields.keys().collect();
            // By UTF-16 code units in the RFC; the names of policies are ASCII.
            names.sort();
            for (index, name) in names.into_iter().enumerate() {
                text.push(if index == 0 { '{' } else { ',' });
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                spell(&fields[name], text);
            }
            text.push_str(if fields.is_empty() { "{}" } else { "}" });
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                spell(item, text);
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// No receipt, or not one of this version.
    #[error("this is no receipt")]
    Malformed,
    /// Signed by a key that is not among the published ones.
    #[error("the receipt names a key that is not known")]
    UnknownKey,
    /// Altered, or signed by somebody else.
    #[error("the receipt's signature is not good")]
    Signature,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// Signs a receipt with the key of that name.
///
/// # Errors
/// [`ReceiptError::Malformed`] when it can't be written.
pub fn mint(kid: &str, key: &SigningKey, receipt: &Receipt) -> Result<String, ReceiptError> {
    let header = Header { alg: "ES256".into(), typ: TYPE.into(), kid: kid.into() };
    let part = |json: Result<Vec<u8>, serde_json::Error>| {
        json.map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|_| ReceiptError::Malformed)
    };
    let body =
        format!("{}.{}", part(serde_json::to_vec(&header))?, part(serde_json::to_vec(receipt))?);
    let signature: Signature = key.sign(body.as_bytes());
    Ok(format!("{body}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes())))
}

/// What a receipt says, if one of `keys` signed it.
///
/// # Errors
/// [`ReceiptError`]. Whose receipt it is, the caller sees in `iss`.
pub fn verify(
    keys: impl Fn(&str) -> Option<VerifyingKey>,
    token: &str,
) -> Result<Receipt, ReceiptError> {
    let malformed = || ReceiptError::Malformed;
    if token.len() > MAX_BYTES {
        return Err(malformed());
    }
    let (body, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
    let (header, claims) = body.split_once('.').ok_or_else(malformed)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| ReceiptError::Malformed);
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| malformed())?;
    if header.alg != "ES256" || header.typ != TYPE {
        return Err(malformed());
    }
    let key = keys(&header.kid).ok_or(ReceiptError::UnknownKey)?;
    let signature =
        Signature::from_slice(&decode(signature)?).map_err(|_| ReceiptError::Signature)?;
    key.verify(body.as_bytes(), &signature).map_err(|_| ReceiptError::Signature)?;
    serde_json::from_slice(&decode(claims)?).map_err(|_| malformed())
}

/// The public keys as a JWK Set (RFC 7517, RFC 7518 6.2).
pub fn key_set(keys: &[(String, VerifyingKey)]) -> Value {
    let keys: Vec<_> = keys
        .iter()
        .filter_map(|(kid, key)| {
            let point = key.to_encoded_point(false);
            Some(json!({
                "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid,
                "x": URL_SAFE_NO_PAD.encode(point.x()?), "y": URL_SAFE_NO_PAD.encode(point.y()?),
            }))
        })
        .collect();
    json!({ "keys": keys })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Known;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_slice(&[seed; 32]).unwrap()
    }

    fn receipt() -> Receipt {
        let account = "eip155:1:0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045".parse().unwrap();
        Receipt {
            iss: "https://film.example".into(),
            iat: 1_800_000_000,
            video: "00112233445566778899aabbccddeeff".into(),
            accounts: vec![account],
            policy: Some("ab".repeat(32)),
            policy_revision: 3,
            facts: vec![ReceiptFact {
                path: "rule".into(),
                kind: "erc721".into(),
                chain: Some(ChainId::Eip155(1)),
                subject: Some("0x5FbDB2315678afecb367f032d93F642f64180aa3".into()),
                outcome: Verdict::Yes,
                block: Some(Block { number: 7, hash: format!("0x{}", "cd".repeat(32)) }),
                slot: None,
                grace: false,
            }],
            verdict: Verdict::Yes,
            grant: Some("0".repeat(40)),
            until: Some(1_800_003_600),
        }
    }

    fn known(kid: &str) -> Option<VerifyingKey> {
        match kid {
            "one" => Some(*key(1).verifying_key()),
            "two" => Some(*key(2).verifying_key()),
            _ => None,
        }
    }

    #[test]
    fn a_receipt_says_what_was_decided() {
        let token = mint("one", &key(1), &receipt()).unwrap();
        assert_eq!(verify(known, &token), Ok(receipt()));
        let refusal = Receipt { verdict: Verdict::No, grant: None, until: None, ..receipt() };
        let token = mint("two", &key(2), &refusal).unwrap();
        assert_eq!(verify(known, &token), Ok(refusal));
    }

    #[test]
    fn nothing_in_it_can_be_changed() {
        let token = mint("one", &key(1), &receipt()).unwrap();
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(verify(known, &changed).is_err(), "{at}");
        }
    }

    #[test]
    fn keys_types_and_algorithms_can_not_be_swapped() {
        let token = mint("one", &key(1), &receipt()).unwrap();
        let parts: Vec<_> = token.split('.').collect();
        let signed = |header: Value, seed: u8| {
            let header = URL_SAFE_NO_PAD.encode(header.to_string());
            let body = format!("{header}.{}", parts[1]);
            let signature: Signature = key(seed).sign(body.as_bytes());
            verify(known, &format!("{body}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes())))
        };
        let header = |alg: &str, typ: &str, kid: &str| json!({"alg": alg, "typ": typ, "kid": kid});
        assert!(signed(header("ES256", TYPE, "one"), 1).is_ok());
        assert_eq!(signed(header("ES256", TYPE, "two"), 1), Err(ReceiptError::Signature));
        assert_eq!(signed(header("ES256", TYPE, "nine"), 1), Err(ReceiptError::UnknownKey));
        for (alg, typ) in [("none", TYPE), ("HS256", TYPE), ("ES256", "JWT"), ("es256", TYPE)] {
            assert_eq!(signed(header(alg, typ, "one"), 1), Err(ReceiptError::Malformed), "{alg}");
        }
        let critical = json!({"alg": "ES256", "typ": TYPE, "kid": "one", "crit": ["b64"]});
        assert_eq!(signed(critical, 1), Err(ReceiptError::Malformed));
        let (header, claims, signature) = (parts[0], parts[1], parts[2]);
        for bad in [
            String::new(),
            format!("{header}.{claims}"),
            format!("{header}.{claims}."),
            format!("{header}.{claims}.{signature}.{signature}"),
            format!("{token}="),
            "a".repeat(MAX_BYTES + 1),
        ] {
            assert!(verify(known, &bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_policy_has_one_hash_however_it_is_written() {
        let known = Known { chains: &[ChainId::Eip155(1)], plugins: &[] };
        let read = |text: &str| {
            policy_hash(&Policy::parse(&serde_json::from_str(text).unwrap(), &known).unwrap())
        };
        let contract = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
        let one = read(&format!(
            r#"{{"version":1,"rule":{{"kind":"erc721","chain":"eip155:1","contract":"{contract}"}}}}"#
        ));
        let other = read(&format!(
            r#"{{ "rule": {{"contract": "{contract}", "chain": "eip155:1", "kind": "erc721"}}, "version": 1 }}"#
        ));
        assert_eq!(one, other);
        let two = read(&format!(
            r#"{{"version":1,"rule":{{"kind":"erc721","chain":"eip155:1","contract":"{contract}","min":"2"}}}}"#
        ));
        assert_ne!(one, two);
        let mut text = String::new();
        spell(&json!({"b": [1, "\"", {}], "a": {"d": null, "c": true}}), &mut text);
        assert_eq!(text, r#"{"a":{"c":true,"d":null},"b":[1,"\"",{}]}"#);
    }

    #[test]
    fn the_published_keys_are_jwks() {
        let set = key_set(&[("one".into(), *key(1).verifying_key())]);
        let published = &set["keys"][0];
        assert_eq!((&published["kty"], &published["crv"]), (&json!("EC"), &json!("P-256")));
        assert_eq!((&published["kid"], &published["alg"]), (&json!("one"), &json!("ES256")));
        // The sample that the offline verifier is tried on is one of ours.
        let sample: Value = serde_json::from_str(include_str!("../tests/receipt.json")).unwrap();
        assert_eq!(sample["keys"], set);
        assert_eq!(verify(known, sample["receipt"].as_str().unwrap()), Ok(receipt()));
        assert!(published.get("d").is_none(), "no private half");
    }
}
