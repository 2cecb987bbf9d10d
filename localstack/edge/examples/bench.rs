//! `delivery.edge_verify`: what the edge function costs for a request, and `delivery.session_crypto`: all the
//! cryptography of carrying a session; as JSON rows `{"name", "value", "unit", "baseline", "ratio"}`.
//!
//!     cargo run --release -p edge --example bench
//!
//! A warm context and a token with all three bindings, on one thread. The time holds all that is done for a request:
//! the event, the key value store's read, the function, and its answer read back. The baseline is the Rust counterpart
//! (`domain::edge_token::verify`) on the same token. Steps are function calls and backward jumps of the engine, in tens
//! of thousands of which it counts; they say how much is run, and not what CloudFront would take for it.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program to measure with")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use domain::edge_token::{self, Claims, EdgeKey, Prefix, Viewer, agent_digest};
use edge::function::{Interpreter, KeyValueStore, Outcome, Viewed};

const FUNCTION: &str = include_str!("../../../infra/edge/viewer-request.js");
const NOW: u64 = 1_800_000_000;
const RUNS: usize = 20_000;
const ROUNDS: usize = 5;
const STEPS_OF_AN_INTERRUPT: f64 = 10_000.0;

/// The best of some rounds, in microseconds for one.
fn measure(mut once: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for _ in 0..RUNS {
            once();
        }
        best = best.min(started.elapsed().as_secs_f64() * 1e6 / RUNS as f64);
    }
    best
}

fn main() {
    let key = EdgeKey { id: "k1".to_owned(), secret: [7; 32] };
    let claims = Claims {
        grant: format!("0123456789abcdef{NOW:08x}fedcba9876543210"),
        video: "8b6ae89a86a4eff8654d031a8bc8dd1a".to_owned(),
        not_before: NOW,
        expires_at: NOW + 3_600,
        address: Prefix::new("2001:db8::".parse().unwrap(), 48),
        country: Some("DE".to_owned()),
        user_agent: Some(agent_digest("player/1")),
    };
    let token = edge_token::mint(&key, &claims).unwrap();
    let uri = format!("/~{token}/v/{}/720p/0a1b/00001.m4s", claims.video);
    let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key.secret);
    // Half full: ten wallets of the shard are revoked.
    let mut value = format!("k=k0:{secret};k=k1:{secret}");
    for number in 0..10 {
        value.push_str(&format!(";{number:013x}={NOW:08x}~{:08x}", NOW + 9_000));
    }
    let values: BTreeMap<String, String> = [("r012".to_owned(), value)].into();
    let store: Arc<dyn KeyValueStore> = Arc::new(values);
    let viewed = Viewed {
        address: "2001:db8::7".to_owned(),
        method: "GET",
        uri: &uri,
        headers: vec![
            ("host", "film.example"),
            ("user-agent", "player/1"),
            ("cloudfront-viewer-country", "DE"),
        ],
        ..Viewed::default()
    };
    let function = Interpreter::new(FUNCTION).unwrap();
    let before = function.interrupts();
    let script = measure(|| {
        let answer = function.run(&viewed, Some(Arc::clone(&store)), NOW * 1_000).unwrap();
        assert!(matches!(black_box(answer), Outcome::Request { .. }));
    });
    let interrupts = (function.interrupts() - before) as f64;
    let steps = interrupts * STEPS_OF_AN_INTERRUPT / (RUNS * ROUNDS) as f64;
    let keys = [key];
    let viewer =
        Viewer { address: "2001:db8::7", country: Some("DE"), user_agent: Some("player/1") };
    let rust = measure(|| {
        black_box(edge_token::verify(&token, &claims.video, &keys, &viewer, NOW).unwrap());
    });
    let row = |name: &str, value: f64, unit: &str, baseline: Option<f64>| {
        let ratio = baseline.map(|baseline| value / baseline);
        println!(
            "{}",
            serde_json::json!({"name": name, "value": value, "unit": unit, "baseline": baseline, "ratio": ratio})
        );
    };
    row("delivery.edge_verify", script, "us", Some(rust));
    row("delivery.edge_verify.steps", steps, "calls and backward jumps", None);
    session_crypto(&keys[0], &claims, &row);
}

/// How many addresses the playlists of a film of two hours have: five renditions and a sound, cut every four seconds.
const ADDRESSES: f64 = 6.0 * (7_200.0 / 4.0 + 1.0);

/// What a session of such a film takes by each carrier: one signature for cookies or query, one token for the path. The
/// baseline is what signing each address by itself takes, RSA-2048 over SHA-1 as the SDKs' signers do.
fn session_crypto(key: &EdgeKey, claims: &Claims, row: &impl Fn(&str, f64, &str, Option<f64>)) {
    let signing = p256::ecdsa::SigningKey::from_slice(&[5; 32]).unwrap();
    let folder = domain::cloudfront::video_path(&claims.video);
    let sign = measure(|| {
        let (id, origin) = ("K1", "https://film.example");
        black_box(domain::cloudfront::sign(&signing, id, origin, &folder, NOW).query());
    });
    let mint = measure(|| drop(black_box(edge_token::mint(key, claims).unwrap())));
    let private = rsa::RsaPrivateKey::new(&mut rand_core::OsRng, 2048).unwrap();
    let digest = [7; 20];
    let mut best = f64::INFINITY;
    for _ in 0..100 {
        let started = Instant::now();
        let padding = rsa::Pkcs1v15Sign::new::<sha1::Sha1>();
        black_box(private.sign(padding, &digest).unwrap());
        best = best.min(started.elapsed().as_secs_f64() * 1e3);
    }
    let each = best * ADDRESSES;
    row("delivery.session_crypto", sign / 1e3, "ms", Some(each));
    row("delivery.session_crypto.path", mint / 1e3, "ms", Some(each));
}
