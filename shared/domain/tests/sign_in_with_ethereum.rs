//! The standard's vectors, which ship inside the crate `signinwithethereum`, against the code that
//! our sign-in uses. Each has the outcome that its file says, or stands in [`EXPLAINED`].
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use domain::Seconds;
use domain::account::{Account, Address, ChainId, Wallet};
use domain::nonce::NonceError;
use domain::sign_in::{Expected, Message, SignInError, SignedIn, Verified, ethereum, verify};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Vectors with another outcome here, each with the reason; exactly these.
const EXPLAINED: &[(&str, &str)] = &[
    (
        "valid_uris: IPv4address leading zeros: uri://[::000.000.010.001]",
        "EIP-4361 takes `uri` from RFC 3986, whose dec-octet has no leading zeros",
    ),
    (
        "valid_uris: IPv4address max value: uri://[::001.099.200.255]",
        "EIP-4361 takes `uri` from RFC 3986, whose dec-octet has no leading zeros",
    ),
    (
        "verification_positive: expired message",
        "EIP-4361's `issued-at` is when the message was made; this one is read two years before",
    ),
];

/// How many there are, so that none is lost on the way.
const VECTORS: usize = 245;

fn folder() -> PathBuf {
    let output = Command::new(std::env::var_os("CARGO").unwrap())
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "signinwithethereum").unwrap();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    manifest.parent().unwrap().join("test-vectors/vectors")
}

/// Every vector: `folder/file: name` and what it says.
fn vectors() -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for group in std::fs::read_dir(folder()).unwrap() {
        for file in std::fs::read_dir(group.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let named: Map<String, Value> = serde_json::from_str(&text).unwrap();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            all.extend(named.into_iter().map(|(name, value)| (format!("{stem}: {name}"), value)));
        }
    }
    all
}

#[test]
fn every_vector_has_its_outcome_or_an_explanation() {
    let all = vectors();
    assert_eq!(all.len(), VECTORS);
    let differing: BTreeSet<_> = all
        .iter()
        .filter(|(name, vector)| !agrees(name, vector))
        .map(|(name, _)| &**name)
        .collect();
    let explained: BTreeSet<_> = EXPLAINED.iter().map(|(name, _)| *name).collect();
    assert_eq!(differing, explained);
}

/// Whether our outcome is the vector's.
fn agrees(name: &str, vector: &Value) -> bool {
    let text = |field: &str| vector[field].as_str().unwrap();
    match name.split(':').next().unwrap() {
        "parsing_positive" | "parsing_warnings" => says(text("message"), &vector["fields"]),
        "parsing_negative" | "invalid_uris" | "invalid_resources" => {
            Message::read(vector.as_str().unwrap()).is_err()
        }
        "parsing_negative_objects" => Message::read(&written(vector)).is_err(),
        "message_objects" => {
            let read = Message::read(&written(&vector["msg"]));
            read.is_ok() == (vector["error"] == "none")
        }
        "valid_resources" => says(text("msg"), vector),
        "valid_specification" => says(text("msg"), &vector["items"]),
        "valid_uris" => has_uri(text("msg"), &vector["uri"]),
        "valid_chars" | "invalid_chars" => {
            is(text("rule"), text("input")) == vector["answer"].as_bool().unwrap()
        }
        "verification_positive" => matches!(outcome(vector), Ok(Verified::SignedIn(_))),
        "verification_negative" => is_refused(name, vector),
        "eip1271" => is_for_the_contract(text("message"), text("signature")),
        other => panic!("{other}: a kind of vector that this test does not know"),
    }
}

/// Whether a text is read, and says just this.
fn says(text: &str, fields: &Value) -> bool {
    let Ok(read) = ethereum::parse(text) else { return false };
    let some = |text: &Option<String>| text.clone().map_or(Value::Null, Value::from);
    let time = |stamp: &Option<signinwithethereum::TimeStamp>| {
        stamp.as_ref().map_or(Value::Null, |stamp| stamp.to_string().into())
    };
    let address = format!("0x{}", hex::encode(read.address));
    let resources: Vec<_> = read.resources.iter().map(|uri| uri.as_str()).collect();
    let found = serde_json::json!({
        "scheme": some(&read.scheme),
        "domain": read.domain.as_str(),
        "address": address,
        "statement": some(&read.statement),
        "uri": read.uri.as_str(),
        "version": "1",
        "chainId": read.chain_id,
        "nonce": read.nonce,
        "issuedAt": read.issued_at.to_string(),
        "expirationTime": time(&read.expiration_time),
        "notBefore": time(&read.not_before),
        "requestId": some(&read.request_id),
        "resources": resources,
    });
    let fields = fields.as_object().unwrap();
    Message::read(text).is_ok()
        && fields.iter().filter(|(name, _)| *name != "msg").all(|(name, value)| match &**name {
            "address" => value.as_str().unwrap().to_lowercase() == address,
            "resources" if value.is_null() => resources.is_empty(),
            name => {
                assert!(found.get(name).is_some(), "{name}: a field that this test does not know");
                found[name] == *value
            }
        })
}

/// A message of these fields, by EIP-4361's template; a missing field leaves its line out.
fn written(fields: &Value) -> String {
    let text = |name: &str| match &fields[name] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let domain = text("domain").unwrap_or_default();
    let address = text("address").unwrap_or_default();
    let mut lines =
        vec![format!("{domain} wants you to sign in with your Ethereum account:"), address];
    lines.push(String::new());
    lines.extend(text("statement"));
    lines.push(String::new());
    for (tag, name) in [
        ("URI", "uri"),
        ("Version", "version"),
        ("Chain ID", "chainId"),
        ("Nonce", "nonce"),
        ("Issued At", "issuedAt"),
        ("Expiration Time", "expirationTime"),
        ("Not Before", "notBefore"),
        ("Request ID", "requestId"),
    ] {
        lines.extend(text(name).map(|value| format!("{tag}: {value}")));
    }
    if let Some(resources) = fields["resources"].as_array() {
        lines.push("Resources:".into());
        lines.extend(resources.iter().map(|uri| format!("- {}", uri.as_str().unwrap())));
    }
    lines.join("\n")
}

const ADDRESS: &str = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2";

fn with(domain: &str, statement: &str, uri: &str) -> String {
    written(&serde_json::json!({
        "domain": domain,
        "address": ADDRESS,
        "statement": statement,
        "uri": uri,
        "version": "1",
        "chainId": 1,
        "nonce": "32891757",
        "issuedAt": "2021-09-30T16:25:24.000Z",
    }))
}

/// Whether the whole of an input is taken as this rule of the grammar.
fn is(rule: &str, input: &str) -> bool {
    let uri = match rule {
        "scheme" => {
            let read = Message::read(&with(&format!("{input}://service.org"), "", "uri:"));
            return read.is_ok_and(|message| message.scheme.as_deref() == Some(input));
        }
        "statement" => {
            let read = ethereum::parse(&with("service.org", input, "uri:"));
            return read.is_ok_and(|message| message.statement.as_deref() == Some(input));
        }
        "userinfo" => format!("uri://{input}@service.org"),
        "IPvFuture" => format!("uri://[{input}]"),
        "reg-name" => format!("uri://{input}"),
        "segment-nz" | "pct-encoded" => format!("uri:/{input}"),
        "fragment" => format!("uri:#{input}"),
        other => panic!("{other}: a rule that this test does not know"),
    };
    let Ok(message) = ethereum::parse(&with("service.org", "", &uri)) else { return false };
    let authority = message.uri.authority_components();
    match rule {
        "userinfo" => authority.and_then(|authority| authority.userinfo()) == Some(input),
        "IPvFuture" => authority.map(|authority| authority.host()) == Some(&format!("[{input}]")),
        "reg-name" => authority.map(|authority| authority.host()) == Some(input),
        "fragment" => message.uri.fragment_str() == Some(input),
        _ => message.uri.path_str().strip_prefix('/') == Some(input),
    }
}

/// Whether a message is read, and its URI has these parts.
fn has_uri(text: &str, parts: &Value) -> bool {
    let Ok(message) = ethereum::parse(text) else { return false };
    let uri = &message.uri;
    let authority = uri.authority_components();
    parts.as_object().unwrap().iter().all(|(name, value)| {
        let found = match &**name {
            "scheme" => Some(uri.scheme_str()),
            "userinfo" => authority.and_then(|authority| authority.userinfo()),
            "host" => authority.map(|authority| authority.host()),
            "port" => authority.and_then(|authority| authority.port()),
            "path" => Some(uri.path_str()),
            "query" => uri.query_str(),
            "fragment" => uri.fragment_str(),
            other => panic!("{other}: a part that this test does not know"),
        };
        let found = found.map(|text| text.trim_matches(['[', ']']));
        match value {
            Value::Null => found.is_none(),
            Value::String(text) => found == Some(text),
            other => found == Some(&other.to_string()),
        }
    })
}

fn seconds(text: &str) -> Option<Seconds> {
    let format = &time::format_description::well_known::Rfc3339;
    let moment = time::OffsetDateTime::parse(text, format).ok()?;
    Some(moment.unix_timestamp().try_into().unwrap())
}

/// What our sign-in makes of a signed message at the vector's time, for the vector's site.
fn outcome(vector: &Value) -> Result<Verified, SignInError> {
    let text = |name: &str| vector[name].as_str();
    let at = text("time").or(text("issuedAt")).and_then(seconds).unwrap_or(1_660_000_000);
    let expected = Expected {
        origin: text("uri").unwrap(),
        domain: text("domainBinding").or(text("domain")).unwrap(),
        keys: &[[0; 32]],
        // The standard sets no greatest age.
        lifetime: 100 * 366 * 86_400,
        now: at,
    };
    let message = written(vector);
    let signature = text("signature").unwrap();
    if text("matchNonce").is_some() {
        // Not the nonce that was asked for: here all are checked by their MAC.
        return verify(&expected, &message, signature);
    }
    let read = Message::read(&message)?;
    read.check(&expected)?;
    // The vectors' nonces have no MAC of ours: the one check that is left out.
    let signed_in = SignedIn { account: read.account, nonce: read.nonce, nonce_expires_at: 0 };
    signed_in.by(&message, signature)
}

/// Whether it is refused for what is wrong with it.
fn is_refused(name: &str, vector: &Value) -> bool {
    let outcome = outcome(vector);
    match name.split(": ").nth(1).unwrap() {
        "expired message" | "custom time" => outcome == Err(SignInError::Expired),
        "not yet valid" => outcome == Err(SignInError::NotYet),
        "domain binding" => outcome == Err(SignInError::Foreign("domain")),
        "custom nonce" => outcome == Err(SignInError::Nonce(NonceError::Foreign)),
        "malformed signature" => outcome == Err(SignInError::Signature),
        // Nobody has signed in; without a contract at the address nobody will.
        "wrong signature" => matches!(outcome, Ok(Verified::NeedsContract(_))),
        "invalid issuedAt" | "invalid notBefore" | "invalid expirationTime" => {
            matches!(outcome, Err(SignInError::Malformed(_)))
        }
        other => panic!("{other}: a vector that this test does not know"),
    }
}

/// Whether the contract is asked what it must be asked. The answer lies on mainnet.
fn is_for_the_contract(text: &str, signature: &str) -> bool {
    let message = ethereum::parse(text).unwrap();
    let chain = ChainId::Eip155(message.chain_id);
    let account = Account { chain, wallet: Wallet::Evm(Address(message.address)) };
    let signed_in = SignedIn { account, nonce: message.nonce.clone(), nonce_expires_at: 0 };
    let Ok(Verified::NeedsContract(needs)) = signed_in.by(text, signature) else { return false };
    needs.digest == message.eip191_hash().unwrap()
        && (needs.wallet, needs.chain) == (Address(message.address), 1)
        && format!("0x{}", hex::encode(needs.signature)) == signature
}

/// Without this the list above would be as good as it is long.
#[test]
fn a_good_vector_is_refused_once_anything_in_it_changes() {
    let all = vectors();
    let good = &all["verification_positive: example message"];
    assert!(matches!(outcome(good), Ok(Verified::SignedIn(_))));
    for (field, value) in [
        ("statement", "another statement"),
        ("nonce", "bTyXgcQxn2htgkjJm"),
        ("issuedAt", "2022-01-27T17:09:38.579Z"),
        ("address", ADDRESS),
        ("expirationTime", "2100-01-07T14:31:43.951Z"),
    ] {
        let mut changed = good.clone();
        changed[field] = value.into();
        assert!(!matches!(outcome(&changed), Ok(Verified::SignedIn(_))), "{field}");
    }
}
