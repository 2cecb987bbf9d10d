//! Runs the table in `tests/edge/cases.json` against an edge in this process, over real TCP so that no client tidies the
//! odd paths up, with fresh keys and a tiny origin that stands for bucket and API.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report, in its helpers too")]

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use base64::Engine as _;
use domain::edge_token::{self, Claims, EdgeKey};
use edge::config::{Credentials, Settings};
use edge::distribution::{Distribution, EdgeFunction, References};
use edge::function::{KeyValueStore, Unreadable};
use edge::gate::Keys;
use edge::policy::canned_text;
use edge::server::{Edge, Record};
use edge::signature::{PublicKey, encode};
use edge::viewer::{Countries, Restriction};
use edge::xml::Element;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::pkcs8::EncodePublicKey as _;
use rand_core::OsRng;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

const CASES: &str = include_str!("../../../tests/edge/cases.json");
const ETAG: &str = "\"an-etag\"";

// Finding two large primes takes seconds; the tests of one run share them.
static RSA: LazyLock<rsa::RsaPrivateKey> =
    LazyLock::new(|| rsa::RsaPrivateKey::new(&mut OsRng, 2048).unwrap());

enum PrivateKey {
    Rsa(Box<rsa::RsaPrivateKey>),
    Ecdsa(p256::ecdsa::SigningKey),
}

impl PrivateKey {
    fn sign(&self, message: &[u8], hash: &str, raw_ecdsa: bool) -> Vec<u8> {
        let digest = match hash {
            "SHA1" => Sha1::digest(message).to_vec(),
            _ => Sha256::digest(message).to_vec(),
        };
        match self {
            Self::Rsa(key) => match hash {
                "SHA1" => key.sign(rsa::Pkcs1v15Sign::new::<Sha1>(), &digest).unwrap(),
                _ => key.sign(rsa::Pkcs1v15Sign::new::<Sha256>(), &digest).unwrap(),
            },
            Self::Ecdsa(key) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(&digest).unwrap();
                if raw_ecdsa {
                    signature.to_bytes().to_vec()
                } else {
                    signature.to_der().as_bytes().to_vec()
                }
            }
        }
    }

    fn public(&self) -> PublicKey {
        let pem = match self {
            Self::Rsa(key) => rsa::pkcs8::EncodePublicKey::to_public_key_pem(
                &key.to_public_key(),
                Default::default(),
            )
            .unwrap(),
            Self::Ecdsa(key) => key.verifying_key().to_public_key_pem(Default::default()).unwrap(),
        };
        PublicKey::from_pem(&pem).unwrap()
    }
}

/// An edge, its origin, and what can be watched of both.
struct House {
    address: SocketAddr,
    records: mpsc::UnboundedReceiver<Record>,
    seen: Arc<Seen>,
    keys: HashMap<&'static str, PrivateKey>,
    publish: watch::Sender<Option<Arc<Distribution>>>,
    store: Arc<Store>,
}

/// The key value store; `None` can't be read.
#[derive(Default)]
struct Store(Mutex<Option<BTreeMap<String, String>>>);

impl KeyValueStore for Store {
    fn get(&self, key: &str) -> Result<Option<String>, Unreadable> {
        self.0.lock().unwrap().as_ref().map(|values| values.get(key).cloned()).ok_or(Unreadable)
    }
}

#[derive(Default)]
struct Seen {
    count: AtomicUsize,
    last: Mutex<Option<Value>>,
}

async fn origin(State(seen): State<Arc<Seen>>, request: Request) -> Response<Body> {
    seen.count.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        parts.headers.get(name).map(|value| value.to_str().unwrap_or_default().to_owned())
    };
    let body = to_bytes(body, 64 << 20).await.unwrap();
    let told = json!({
        "method": parts.method.as_str(), "path": parts.uri.path(), "query": parts.uri.query(),
        "host": header("host"), "cookie": header("cookie"), "authorization": header("authorization"),
        "forwarded_for": header("x-forwarded-for"), "body": String::from_utf8_lossy(&body),
    });
    *seen.last.lock().unwrap() = Some(told.clone());
    let answer = Response::builder();
    if header("host").is_some_and(|host| host.ends_with(".cloudfront.net")) {
        if parts.uri.path().ends_with("/missing.m4s") {
            return answer
                .status(StatusCode::FORBIDDEN)
                .body(Body::from("<Error><Code>AccessDenied</Code></Error>"))
                .unwrap();
        }
        return answer
            .header("etag", ETAG)
            .header("content-type", "video/mp4")
            .body(Body::from(format!("object {}", parts.uri.path())))
            .unwrap();
    }
    answer
        .header("set-cookie", "session=1; HttpOnly")
        .header("content-type", "application/json")
        .body(Body::from(told.to_string()))
        .unwrap()
}

async fn serve(router: axum::routing::IntoMakeService<Router>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

fn distribution(keys: Keys, store: &Arc<Store>) -> Distribution {
    let document = Element::parse(include_str!("fixtures/distribution.xml")).unwrap();
    let policies = Element::parse(include_str!("fixtures/policies.xml")).unwrap();
    let mut references = References::default();
    for policy in &policies.children {
        let id = policy.value("Id").unwrap().to_owned();
        match policy.name.as_str() {
            "CachePolicy" => references.cache_policies.insert(id, policy.clone()),
            "OriginRequestPolicy" => references.origin_request_policies.insert(id, policy.clone()),
            _ => references.headers_policies.insert(id, policy.clone()),
        };
    }
    references.key_groups.insert("group".to_owned(), keys);
    for (name, code) in [
        ("gate", include_str!("../../../infra/edge/viewer-request.js")),
        ("broken", "function handler(event) { throw new Error('broken'); }"),
    ] {
        let function = EdgeFunction {
            version: name.to_owned(),
            code: code.to_owned(),
            store: Some(Arc::clone(store) as Arc<dyn KeyValueStore>),
        };
        let arn = format!("arn:aws:cloudfront::000000000000:function/{name}");
        references.functions.insert(arn, Arc::new(function));
    }
    Distribution::read(&document, &references).unwrap()
}

async fn house() -> House {
    let keys: HashMap<_, _> = [
        ("rsa", PrivateKey::Rsa(Box::new(RSA.clone()))),
        ("ecdsa", PrivateKey::Ecdsa(p256::ecdsa::SigningKey::random(&mut OsRng))),
        ("untrusted", PrivateKey::Ecdsa(p256::ecdsa::SigningKey::random(&mut OsRng))),
    ]
    .into();
    let trusted: Keys =
        ["rsa", "ecdsa"].map(|name| (key_id(name), keys[name].public())).into_iter().collect();
    let seen = Arc::new(Seen::default());
    let origin =
        serve(Router::new().fallback(origin).with_state(Arc::clone(&seen)).into_make_service())
            .await;
    let settings = Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        distribution: "E1".to_owned(),
        engine: origin.to_string().parse().unwrap(),
        credentials: Credentials { id: "test".to_owned(), secret: "test".to_owned() },
        api_origin: origin.to_string().parse().unwrap(),
        api_host: "abc.execute-api.localhost".to_owned(),
        hosts: Vec::new(),
        scheme: "http".to_owned(),
        refresh: Duration::from_secs(3),
        cache_bytes: 1 << 20,
        countries: Countries { all: None, header: Some("x-test-country".parse().unwrap()) },
        status_listen: None,
    };
    let store = Arc::new(Store(Mutex::new(Some(BTreeMap::new()))));
    let (publish, current) = watch::channel(Some(Arc::new(distribution(trusted, &store))));
    let (observer, records) = mpsc::unbounded_channel();
    let edge = Edge::watched(settings, current, observer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = edge.router().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    House { address, records, seen, keys, publish, store }
}

fn key_id(name: &str) -> String {
    format!("K{}", name.to_ascii_uppercase())
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl House {
    async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: &str,
    ) -> Answer {
        let mut text = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            self.address
        );
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method == "POST" {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body);
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).await.unwrap();
        let raw = String::from_utf8(raw).unwrap();
        let (head, body) = raw.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(
                axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        Answer { status, headers, body: body.to_owned() }
    }

    fn fill(&self, text: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        text.replace("{origin}", &format!("http://{}", self.address))
            .replace("{other_scheme_origin}", &format!("https://{}", self.address))
            .replace("{scheme}", "http")
            .replace("{viewer}", "127.0.0.1")
            .replace("{later}", &(now + 3_600).to_string())
            .replace("{much_later}", &(now + 36_000).to_string())
            .replace("{earlier}", &(now - 3_600).to_string())
            .replace("{etag}", ETAG)
    }

    /// The name and value pairs of one signature, without a cookie's prefix.
    fn signed(&self, sign: &Value, url: &str) -> Vec<(String, String)> {
        let now =
            i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let text = |name: &str| sign[name].as_str();
        let key = text("key").unwrap_or("rsa");
        let hash = text("hash").unwrap_or("SHA1");
        let until = u64::try_from(now + sign["less_than"].as_i64().unwrap_or(3_600)).unwrap();
        let resource = text("resource").map_or(url.to_owned(), |resource| self.fill(resource));
        let custom = |resource: &str| {
            let mut condition = json!({"DateLessThan": {"AWS:EpochTime": until}});
            if let Some(from) = sign["greater_than"].as_i64() {
                condition["DateGreaterThan"] = json!({"AWS:EpochTime": now + from});
            }
            if let Some(range) = text("ip") {
                condition["IpAddress"] = json!({"AWS:SourceIp": self.fill(range)});
            }
            json!({"Statement": [{"Resource": resource, "Condition": condition}]}).to_string()
        };
        let mut pairs = Vec::new();
        let message = if text("policy") == Some("canned") {
            pairs.push(("Expires".to_owned(), until.to_string()));
            canned_text(&resource, until)
        } else {
            let policy = text("text").map_or_else(|| custom(&resource), |policy| self.fill(policy));
            pairs.push(("Policy".to_owned(), encode(policy.as_bytes())));
            text("signed_resource").map_or(policy, |other| custom(&self.fill(other)))
        };
        let raw = sign["raw_ecdsa"].as_bool().unwrap_or(false);
        let mut signature = self.keys[key].sign(message.as_bytes(), hash, raw);
        if sign["flip"].as_bool().unwrap_or(false) {
            *signature.last_mut().unwrap() ^= 1;
        }
        pairs.push(("Signature".to_owned(), encode(&signature)));
        pairs.push(("Key-Pair-Id".to_owned(), key_id(text("key_id").unwrap_or(key))));
        let announced = match &sign["say_hash"] {
            Value::String(name) => Some(name.clone()),
            Value::Null if sign.get("say_hash").is_none() && hash == "SHA256" => {
                Some(hash.to_owned())
            }
            _ => None,
        };
        pairs.extend(announced.map(|name| ("Hash-Algorithm".to_owned(), name)));

        for (_, value) in
            pairs.iter_mut().filter(|(name, _)| name == "Policy" || name == "Signature")
        {
            *value = match text("encoding") {
                Some("standard") => {
                    value.replace('-', "%2B").replace('_', "%3D").replace('~', "%2F")
                }
                // The wrong alphabet must differ in the value at hand, whatever the random signature holds.
                Some("url") => format!("{}_-_", value.trim_end_matches('_').replace('-', "+")),
                Some("unpadded") => value.trim_end_matches('_').to_owned(),
                Some("percent") => value.replace('~', "%7E"),
                _ => continue,
            };
        }
        if let Some(changes) = sign["change"].as_object() {
            for (name, value) in changes {
                pairs.retain(|(known, _)| known != name);
                if let Some(value) = value.as_str() {
                    pairs.push((name.clone(), self.fill(value)));
                }
            }
        }
        if let Some(names) = sign["rename"].as_object() {
            for (name, _) in &mut pairs {
                if let Some(other) = names.get(name.as_str()).and_then(Value::as_str) {
                    *name = other.to_owned();
                }
            }
        }
        if let Some(kept) = sign["keep"].as_array() {
            pairs.retain(|(name, _)| kept.iter().any(|known| known == name));
        }
        for extra in sign["extra"].as_array().into_iter().flatten() {
            pairs.push((
                extra[0].as_str().unwrap().to_owned(),
                self.fill(extra[1].as_str().unwrap()),
            ));
        }
        pairs
    }

    async fn run(&mut self, case: &Value) -> Result<(), String> {
        let (request, expect) = (&case["request"], &case["expect"]);
        let path = request["path"].as_str().unwrap();
        let own = request["query"].as_str();
        let mut url = format!("http://{}{path}", self.address);
        if let Some(own) = own {
            url.push_str(&format!("?{own}"));
        }
        let mut headers: Vec<(String, String)> = request["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), self.fill(value.as_str().unwrap())))
            .collect();
        let mut query: Vec<String> = own.map(str::to_owned).into_iter().collect();
        let signatures = match &case["sign"] {
            Value::Array(several) => several.clone(),
            Value::Null => Vec::new(),
            one => vec![one.clone()],
        };
        let mut secrets: Vec<String> = Vec::new();
        for sign in &signatures {
            let pairs = self.signed(sign, &url);
            secrets.extend(pairs.iter().map(|(_, value)| value.clone()));
            if sign["kind"] == "cookie" {
                let prefix = sign["cookie_prefix"].as_str().unwrap_or("CloudFront-");
                let cookies: Vec<String> =
                    pairs.iter().map(|(name, value)| format!("{prefix}{name}={value}")).collect();
                headers.push(("Cookie".to_owned(), cookies.join("; ")));
            } else {
                let parts = pairs.iter().map(|(name, value)| format!("{name}={value}"));
                if sign["own_query_last"] == true {
                    query.splice(0..0, parts);
                } else {
                    query.extend(parts);
                }
            }
        }
        let target =
            if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) };
        let method = request["method"].as_str().unwrap_or("GET");
        let body = request["body"].as_str().unwrap_or("");
        if request["repeat"] == true {
            self.send(method, &target, &headers, body).await;
            self.records.recv().await.unwrap();
        }
        let before = self.seen.count.load(Ordering::SeqCst);
        let answer = self.send(method, &target, &headers, body).await;
        let record = tokio::time::timeout(Duration::from_secs(5), self.records.recv())
            .await
            .map_err(|_| format!("no record; status {}", answer.status))?
            .unwrap();

        let reason = record.refusal.map(|refusal| refusal.to_string());
        let mut faults = Vec::new();
        let mut check = |what: &str, got: Option<String>, wanted: Option<String>| {
            if got != wanted {
                faults.push(format!("{what}: got {got:?}, want {wanted:?}"));
            }
        };
        check("status", Some(answer.status.to_string()), Some(expect["status"].to_string()));
        check("reason", reason.clone(), expect["reason"].as_str().map(str::to_owned));
        if let Some(code) = expect["code"].as_str() {
            let got = answer.body.split("<Code>").nth(1).and_then(|rest| rest.split('<').next());
            check("code", got.map(str::to_owned), Some(code.to_owned()));
        }
        if let Some(body) = expect["body"].as_str() {
            check("body", Some(answer.body.clone()), Some(body.to_owned()));
        }
        if let Some(behaviour) = expect["behaviour"].as_str() {
            check("behaviour", record.behaviour.clone(), Some(behaviour.to_owned()));
        }
        for (name, value) in expect["headers"].as_object().into_iter().flatten() {
            let got = answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            check(name, got, value.as_str().map(str::to_owned));
        }
        if reason.is_some() {
            let reached = self.seen.count.load(Ordering::SeqCst) - before;
            check("requests at the origin", Some(reached.to_string()), Some("0".to_owned()));
        }
        let told = format!("{record:?}");
        if secrets.iter().any(|secret| secret.len() > 20 && told.contains(secret.as_str())) {
            faults.push("the record holds a signature or a policy".to_owned());
        }
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }
}

#[tokio::test]
async fn every_case_of_the_table() {
    let mut house = house().await;
    let table: Value = serde_json::from_str(CASES).unwrap();
    let cases = table["cases"].as_array().unwrap();
    assert!(cases.len() >= 45);
    let mut failures = Vec::new();
    for case in cases {
        assert!(
            case["source"]
                .as_str()
                .is_some_and(|source| source.starts_with("https://docs.aws.amazon.com/"))
        );
        if let Err(fault) = house.run(case).await {
            failures.push(format!("{}: {fault}", case["name"]));
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[tokio::test]
async fn the_api_gets_body_query_and_headers_but_not_the_host() {
    let house = house().await;
    let headers = [
        ("Authorization".to_owned(), "Bearer token".to_owned()),
        ("Cookie".to_owned(), "session=1; CloudFront-Signature=hush".to_owned()),
        ("X-Forwarded-For".to_owned(), "203.0.113.7".to_owned()),
    ];
    let answer =
        house.send("POST", "/v1/videos?grant=a&Expires=1", &headers, "{\"title\":1}").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let told: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(told["method"], "POST");
    assert_eq!(told["path"], "/v1/videos");
    assert_eq!(told["query"], "grant=a&Expires=1");
    assert_eq!(told["body"], "{\"title\":1}");
    assert_eq!(told["host"], "abc.execute-api.localhost");
    assert_eq!(told["authorization"], "Bearer token");
    assert_eq!(told["cookie"], "session=1");
    assert_eq!(told["forwarded_for"], "203.0.113.7, 127.0.0.1");
    assert_eq!(answer.headers["set-cookie"], "session=1; HttpOnly");
    assert_eq!(answer.headers["x-cache"], "Miss from cloudfront");
    let again = house.send("GET", "/v1/videos", &[], "").await;
    let once_more = house.send("GET", "/v1/videos", &[], "").await;
    assert_eq!((again.status, once_more.status), (200, 200));
    assert_eq!(once_more.headers["x-cache"], "Miss from cloudfront", "the API is never cached");
}

#[tokio::test]
async fn bodies_have_the_limit_of_the_http_api() {
    let mut house = house().await;
    let big = "x".repeat((10 << 20) + 1);
    let answer = house.send("POST", "/v1/videos", &[], &big).await;
    assert_eq!(answer.status, 413);
    let record = house.records.recv().await.unwrap();
    assert_eq!(record.refusal.unwrap().to_string(), "BodyTooLarge");
    assert_eq!(house.seen.count.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn errors_are_kept_for_a_moment_only() {
    let house = house().await;
    let first = house.send("GET", "/missing.m4s", &[], "").await;
    let second = house.send("GET", "/missing.m4s", &[], "").await;
    assert_eq!((first.status, second.status), (403, 403));
    assert_eq!(house.seen.count.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    house.send("GET", "/missing.m4s", &[], "").await;
    assert_eq!(house.seen.count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_redeployed_distribution_counts_from_the_next_request() {
    let mut house = house().await;
    let case = json!({
        "sign": {"kind": "url", "policy": "canned"}, "request": {"path": "/v/film/a.m4s"},
        "expect": {"status": 200},
    });
    house.run(&case).await.unwrap();
    // The key group loses its keys; the object is in the cache, which must not help.
    house.publish.send_replace(Some(Arc::new(distribution(Keys::new(), &house.store))));
    let refused = json!({
        "sign": {"kind": "url", "policy": "canned"}, "request": {"path": "/v/film/a.m4s"},
        "expect": {"status": 403, "reason": "UnknownKey", "code": "InvalidKey"},
    });
    house.run(&refused).await.unwrap();
    house.publish.send_replace(None);
    assert_eq!(house.send("GET", "/", &[], "").await.status, 503);
}

#[tokio::test]
async fn preflights_pass_without_a_signature_and_reach_no_origin() {
    let mut house = house().await;
    let headers = |origin: &str| {
        vec![
            ("Origin".to_owned(), origin.to_owned()),
            ("Access-Control-Request-Method".to_owned(), "GET".to_owned()),
        ]
    };
    let answer =
        house.send("OPTIONS", "/listed/film/a.m4s", &headers("https://page.example"), "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["access-control-allow-origin"], "https://page.example");
    assert_eq!(answer.headers["access-control-allow-credentials"], "true");
    assert_eq!(answer.headers["access-control-allow-methods"], "GET, HEAD");
    assert_eq!(answer.headers["vary"], "Origin");
    assert_eq!(answer.body, "");
    let other =
        house.send("OPTIONS", "/listed/film/a.m4s", &headers("https://evil.example"), "").await;
    assert!(!other.headers.contains_key("access-control-allow-origin"));
    assert_eq!(house.seen.count.load(Ordering::SeqCst), 0);
    let plain = house.send("OPTIONS", "/listed/film/a.m4s", &[], "").await;
    assert_eq!(plain.status, 403, "not a preflight");
    let mut last = None;
    while let Ok(record) = house.records.try_recv() {
        last = record.refusal;
    }
    // Not for want of a signature: no OPTIONS goes to a bucket.
    assert_eq!(last.map(|refusal| refusal.to_string()).as_deref(), Some("MethodNotAllowed"));
}

const GRANT: &str = "0123456789abcdef6b49d200fedcba9876543210";
const FILM: &str = "8b6ae89a86a4eff8654d031a8bc8dd1a";

impl House {
    /// The shard's value: the live key and more.
    fn hold(&self, more: &str) {
        let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([7; 32]);
        let value = format!("k=k1:{secret}{more}");
        *self.store.0.lock().unwrap() = Some([("r012".to_owned(), value)].into());
    }

    async fn get(&mut self, target: &str, headers: &[(&str, &str)]) -> (Answer, Record) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers: Vec<_> = headers.iter().map(owned).collect();
        let answer = self.send("GET", target, &headers, "").await;
        (answer, self.records.recv().await.unwrap())
    }
}

fn token(country: Option<&str>) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = Claims {
        grant: GRANT.to_owned(),
        video: FILM.to_owned(),
        not_before: now - 10,
        expires_at: now + 60,
        address: None,
        country: country.map(str::to_owned),
        user_agent: None,
    };
    edge_token::mint(&EdgeKey { id: "k1".to_owned(), secret: [7; 32] }, &claims).unwrap()
}

#[tokio::test]
async fn a_token_in_the_path_opens_its_film_until_its_grant_is_revoked() {
    let mut house = house().await;
    house.hold("");
    let path = format!("/~{}/v/{FILM}/360p/1.m4s", token(None));
    let (answer, record) = house.get(&format!("{path}?a=b"), &[]).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, &*format!("object /v/{FILM}/360p/1.m4s"))
    );
    assert_eq!(record.path, format!("/~\u{2026}/v/{FILM}/360p/1.m4s"));
    assert_eq!(record.behaviour.as_deref(), Some("/~*"));
    // Another token, the same object: neither is part of the cache's key.
    let other = format!("/~{}/v/{FILM}/360p/1.m4s", token(Some("DE")));
    let (answer, _) = house.get(&other, &[("X-Test-Country", "DE")]).await;
    assert_eq!(
        (answer.status, answer.headers["x-cache"].to_str().unwrap()),
        (200, "Hit from cloudfront")
    );
    house.hold(&format!(";{}={:08x}~ffffffff", &GRANT[3..16], 0x6b49_d200));
    let (answer, record) = house.get(&path, &[]).await;
    assert_eq!((answer.status, answer.body.as_str()), (403, ""));
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(record.refusal, None, "the function said no, not the edge");
    *house.store.0.lock().unwrap() = None;
    assert_eq!(house.get(&path, &[]).await.0.status, 403, "a store that can't be read");
    assert_eq!(house.seen.count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_viewer_cannot_say_its_country() {
    let mut house = house().await;
    house.hold("");
    let path = format!("/~{}/v/{FILM}/a.m4s", token(Some("DE")));
    for (headers, status) in [
        (&[("X-Test-Country", "DE")][..], 200),
        (&[("X-Test-Country", "FR")], 403),
        (&[], 403),
        (&[("CloudFront-Viewer-Country", "DE")], 403),
        (&[("CloudFront-Viewer-Country", "DE"), ("X-Test-Country", "FR")], 403),
    ] {
        assert_eq!(house.get(&path, headers).await.0.status, status, "{headers:?}");
    }
}

#[tokio::test]
async fn the_signature_is_checked_before_the_function_runs() {
    let mut house = house().await;
    house.hold("");
    let path = format!("/q/{GRANT}/v/{FILM}/a.m4s");
    let (answer, record) = house.get(&path, &[]).await;
    assert_eq!((answer.status, record.refusal.unwrap().to_string().as_str()), (403, "MissingKey"));
    let signed = |house: &House, resource: &str| {
        let pairs = house.signed(
            &json!({"policy": "custom", "resource": resource, "key": "ecdsa", "hash": "SHA256"}),
            "",
        );
        let pairs: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{path}?{}", pairs.join("&"))
    };
    let target = signed(&house, &format!("{{origin}}/q/{GRANT}/v/{FILM}/*"));
    let (answer, record) = house.get(&target, &[]).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, &*format!("object /v/{FILM}/a.m4s")));
    assert_eq!(record.path, format!("/q/\u{2026}/v/{FILM}/a.m4s"));
    // A policy for the folder that the function makes of it does not fit what the viewer asked for.
    let target_within = signed(&house, &format!("{{origin}}/v/{FILM}/*"));
    let (_, record) = house.get(&target_within, &[]).await;
    assert_eq!(record.refusal.unwrap().to_string(), "ResourceMismatch");
    house.hold(&format!(";{}.{}~ffffffff", &GRANT[3..16], &GRANT[16..32]));
    assert_eq!(house.get(&target, &[]).await.0.status, 403);
}

#[tokio::test]
async fn a_function_that_fails_serves_nothing() {
    let mut house = house().await;
    let (answer, record) = house.get("/broken/a", &[]).await;
    assert_eq!(
        (answer.status, record.refusal.unwrap().to_string().as_str()),
        (503, "FunctionFailed")
    );
    assert_eq!(house.seen.count.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn countries_are_kept_out_everywhere() {
    let mut house = house().await;
    let mut restricted = distribution(Keys::new(), &house.store);
    restricted.restriction = Restriction::Only(vec!["DE".to_owned()]);
    house.publish.send_replace(Some(Arc::new(restricted)));
    assert_eq!(house.get("/", &[("X-Test-Country", "DE")]).await.0.status, 200);
    let (answer, record) = house.get("/", &[("X-Test-Country", "FR")]).await;
    assert_eq!(
        (answer.status, record.refusal.unwrap().to_string().as_str()),
        (403, "CountryRestricted")
    );
}
