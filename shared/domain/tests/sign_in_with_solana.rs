//! Messages of Sign In With Solana that sign in and that don't, each with its reason, in
//! `sign_in_with_solana/`.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use domain::nonce::NonceError;
use domain::sign_in::{Expected, SignInError, Verified, solana, verify};
use ed25519_dalek::{Signer, SigningKey};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    reason: String,
    lines: Vec<String>,
    signature: String,
    refused_as: Option<String>,
}

impl Case {
    fn text(&self) -> String {
        self.lines.join("\n")
    }

    fn outcome(&self) -> Result<Verified, SignInError> {
        let expected = Expected {
            origin: "https://film.example",
            domain: "film.example",
            keys: &[[3; 32]],
            lifetime: 300,
            now: 1_800_000_000,
        };
        verify(&expected, &self.text(), &self.signature)
    }

    fn is_signed_as_it_stands(&self) -> bool {
        let signature = SigningKey::from_bytes(&[9; 32]).sign(self.text().as_bytes());
        self.signature == bs58::encode(signature.to_bytes()).into_string()
    }
}

fn cases(text: &str) -> Vec<Case> {
    let Cases { cases } = serde_json::from_str(text).unwrap();
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "every name stands once");
    assert!(cases.iter().all(|case| !case.reason.is_empty()));
    cases
}

#[test]
fn good_messages_sign_in() {
    let cases = cases(include_str!("sign_in_with_solana/positive.json"));
    assert!(cases.len() >= 20);
    for case in cases {
        let outcome = case.outcome();
        assert!(matches!(outcome, Ok(Verified::SignedIn(_))), "{}: {outcome:?}", case.name);
        assert_eq!(solana::parse(&case.text()).unwrap().to_string(), case.text());
    }
}

#[test]
fn bad_messages_are_refused_for_their_reason() {
    let cases = cases(include_str!("sign_in_with_solana/negative.json"));
    assert!(cases.len() >= 100);
    for case in cases {
        let Case { name, reason, .. } = &case;
        let error = case.outcome().expect_err(name);
        let kind = match error {
            SignInError::Malformed(_) => "malformed",
            SignInError::Foreign(field) => field,
            SignInError::Expired => "expired",
            SignInError::NotYet => "not yet",
            SignInError::Nonce(NonceError::Foreign) => "nonce",
            SignInError::Nonce(NonceError::Expired) => "nonce expired",
            SignInError::Signature => "signature",
        };
        assert_eq!(Some(kind), case.refused_as.as_deref(), "{name}: {reason} {error}");
        assert_eq!(case.is_signed_as_it_stands(), kind != "signature", "{name}");
    }
}
