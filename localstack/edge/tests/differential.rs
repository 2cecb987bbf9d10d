//! The edge function against its Rust counterpart, on more than 100,000 requests of which the verdict is known from how
//! they were made: a quarter is good, and each of the others has one fault, so that a check which is missing on either
//! side shows. What the fault is, is held against the reason that Rust gives; the function gives none.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test a panic is the report, in its helpers too"
)]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ciborium::Value as Cbor;
use domain::edge_token::{self, Claims, EdgeKey, Prefix, Refusal, Viewer, agent_digest};
use edge::function::{Interpreter, Outcome, Viewed};
use hmac::Mac as _;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

const FUNCTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/edge/viewer-request.js");
const CASES: usize = 120_000;
const LEAST: usize = 1_000;
const NOW: u64 = 1_800_000_000;
const AGENTS: [&str; 3] = ["Mozilla/5.0 (X11; Linux x86_64)", "player/1", "t\u{e9}l\u{e9}/2"];
const COUNTRIES: [&str; 4] = ["DE", "FR", "US", "CH"];

/// Why a request is refused: what the token's counterpart says, or what stands around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    Token(Refusal),
    Path,
    NoValue,
    BadValue,
    RevokedGrant,
    RevokedHandle,
    RevokedShard,
}

struct Request {
    uri: String,
    address: String,
    country: Option<&'static str>,
    user_agent: Option<&'static str>,
    now: u64,
    value: Option<String>,
}

/// The same cases in every run.
struct Dice(StdRng);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0.random_range(0..limit)
    }

    fn chance(&mut self) -> bool {
        self.next() & 1 == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        self.0.random()
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit((self.next() % 16) as u32, 16).unwrap()).collect()
    }
}

// ---- The Rust side: the domain's verify, and around it what main() of an edge would do ------------------------------

fn decide(request: &Request) -> Result<String, Reason> {
    let (token, grant, path) = if let Some(rest) = request.uri.strip_prefix("/~") {
        let (token, path) = rest.split_once('/').ok_or(Reason::Path)?;
        (Some(token), token.get(..40).ok_or(Reason::Token(Refusal::Malformed))?, path)
    } else {
        let rest = request.uri.strip_prefix("/q/").ok_or(Reason::Path)?;
        let (grant, path) = rest.split_once('/').ok_or(Reason::Path)?;
        (None, grant, path)
    };
    let segments: Vec<&str> = path.split('/').collect();
    let plain = |segment: &&str| {
        !matches!(*segment, "" | "." | "..")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    if segments.len() < 3 || segments[0] != "v" || !segments.iter().all(plain) {
        return Err(Reason::Path);
    }
    let video = segments[1];
    if !domain::video::is_id(video) {
        return Err(Reason::Path);
    }
    if !is_hex(grant, 40) {
        return Err(if token.is_some() { Reason::Token(Refusal::Malformed) } else { Reason::Path });
    }
    let value = request.value.as_deref().ok_or(Reason::NoValue)?;
    let keys = read_value(value, grant)?;
    if let Some(token) = token {
        let viewer = Viewer {
            address: &request.address,
            country: request.country,
            user_agent: request.user_agent,
        };
        edge_token::verify(token, video, &keys, &viewer, request.now).map_err(Reason::Token)?;
    }
    Ok(format!("/{path}"))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The live keys of a shard's value, unless it ends this grant.
fn read_value(value: &str, grant: &str) -> Result<Vec<EdgeKey>, Reason> {
    let (handle, issued_at, mark) = (&grant[3..16], &grant[16..24], &grant[16..32]);
    let mut keys = Vec::new();
    let mut revoked = None;
    for entry in value.split(';') {
        if let Some(key) = entry.strip_prefix("k=") {
            let (id, secret) = key.split_once(':').ok_or(Reason::BadValue)?;
            let secret = URL_SAFE_NO_PAD.decode(secret).map_err(|_| Reason::BadValue)?;
            let secret = secret.try_into().map_err(|_| Reason::BadValue)?;
            keys.push(EdgeKey { id: id.to_owned(), secret });
            continue;
        }
        let (what, until) = entry.split_once('~').ok_or(Reason::BadValue)?;
        let good = is_hex(until, 8)
            && match what.split_once('=') {
                Some((whose, epoch)) => {
                    let number = |text: &str| u32::from_str_radix(text, 16).unwrap();
                    let ends = is_hex(epoch, 8) && number(issued_at) <= number(epoch);
                    if whose == "a" && ends {
                        revoked = Some(Reason::RevokedShard);
                    } else if whose == handle && ends {
                        revoked = Some(Reason::RevokedHandle);
                    }
                    is_hex(epoch, 8) && (whose == "a" || is_hex(whose, 13))
                }
                None => {
                    let (whose, which) = what.split_once('.').ok_or(Reason::BadValue)?;
                    if whose == handle && which == mark {
                        revoked = Some(Reason::RevokedGrant);
                    }
                    is_hex(whose, 13) && is_hex(which, 16)
                }
            };
        if !good {
            return Err(Reason::BadValue);
        }
    }
    revoked.map_or(Ok(keys), Err)
}

// ---- The function's side --------------------------------------------------------------------------------------------

fn ask(function: &Interpreter, request: &Request) -> Option<String> {
    let mut headers = vec![("Host", "film.example")];
    headers.extend(request.country.map(|country| ("CloudFront-Viewer-Country", country)));
    headers.extend(request.user_agent.map(|agent| ("User-Agent", agent)));
    let viewed = Viewed {
        address: request.address.clone(),
        method: "GET",
        uri: &request.uri,
        query: vec![("a", "b")],
        headers,
        ..Viewed::default()
    };
    let key = request.uri.trim_start_matches("/~").trim_start_matches("/q/").get(..3);
    let mut store = BTreeMap::new();
    if let (Some(key), Some(value)) = (key, &request.value) {
        store.insert(format!("r{key}"), value.clone());
    }
    match function.run(&viewed, Some(Arc::new(store)), request.now * 1_000 + 999).unwrap() {
        Outcome::Request { uri, query } => {
            assert_eq!(query, None, "the query stays behind");
            Some(uri)
        }
        Outcome::Response { status, headers, body } => {
            assert_eq!((status, body.as_str()), (403, ""));
            assert_eq!(headers, [("cache-control".to_owned(), "no-store".to_owned())]);
            None
        }
    }
}

// ---- Making requests ------------------------------------------------------------------------------------------------

/// A good request's parts, before it is spoilt.
struct Made {
    keys: [EdgeKey; 2],
    key: usize,
    claims: Claims,
    file: String,
    request: Request,
}

fn entry(key: &EdgeKey) -> String {
    format!("k={}:{}", key.id, URL_SAFE_NO_PAD.encode(key.secret))
}

fn make(dice: &mut Dice) -> Made {
    let issued_at = NOW - dice.next() % 10_000;
    let keys = std::array::from_fn(|at| {
        let id = format!("{}{}", ["a", "9"][at], &dice.hex(7)[..dice.below(8)]);
        EdgeKey { id, secret: dice.bytes() }
    });
    let user_agent = dice.pick(&AGENTS);
    let country = dice.pick(&COUNTRIES);
    let address = any_address(dice);
    let width = if address.to_canonical().is_ipv4() { 32 } else { 128 };
    let bits = u8::try_from(dice.below(width + 1)).unwrap();
    let bindings = dice.next();
    let bound = |bit: u64| bindings >> bit & 1 == 1;
    let not_before = issued_at;
    let expires_at = NOW + 1 + dice.next() % 10_000;
    let claims = Claims {
        grant: format!("{}{issued_at:08x}{}", dice.hex(16), dice.hex(16)),
        video: dice.hex(32),
        not_before,
        expires_at,
        address: bound(0).then(|| Prefix::new(address.to_canonical(), bits).unwrap()),
        country: bound(1).then(|| country.to_owned()),
        user_agent: bound(2).then(|| agent_digest(user_agent)),
    };
    let file =
        dice.pick(&["master.m3u8", "720p/0a1b/00001.m4s", "a.b-c_d", "...", "x/.hidden/..y"]);
    // Both ends of the time are inside.
    let now = dice.pick(&[NOW, not_before, expires_at - 1]);
    let handle = &claims.grant[3..16];
    let until = NOW + 90_000;
    let mut entries: Vec<String> = keys.iter().map(entry).collect();
    // Revocations that don't concern it: another wallet's, another grant's, and earlier ones.
    for _ in 0..dice.below(8) {
        let earlier = issued_at - 1 - dice.next() % 1_000;
        entries.push(match dice.below(5) {
            0 => format!("{}={:08x}~{until:08x}", dice.hex(13), NOW),
            1 => format!("{}.{}~{until:08x}", dice.hex(13), dice.hex(16)),
            2 => format!("{handle}.{}~{until:08x}", dice.hex(16)),
            3 => format!("{handle}={earlier:08x}~{until:08x}"),
            _ => format!("a={earlier:08x}~{until:08x}"),
        });
    }
    let request = Request {
        uri: String::new(),
        address: spelt(dice, address),
        country: (claims.country.is_some() || dice.chance()).then_some(country),
        user_agent: (claims.user_agent.is_some() || dice.chance()).then_some(user_agent),
        now,
        value: Some(entries.join(";")),
    };
    let mut made = Made { keys, key: dice.below(2), claims, file: file.to_owned(), request };
    made.sign();
    made
}

impl Made {
    fn token(&self) -> String {
        edge_token::mint(&self.keys[self.key], &self.claims).unwrap()
    }

    fn sign(&mut self) {
        self.carry(&self.token());
    }

    fn carry(&mut self, token: &str) {
        self.request.uri = format!("/~{token}/v/{}/{}", self.claims.video, self.file);
    }

    fn cwt(&self) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(&self.token()[41..]).unwrap()
    }

    fn carry_cwt(&mut self, cwt: &[u8]) {
        self.carry(&format!("{}.{}", self.claims.grant, URL_SAFE_NO_PAD.encode(cwt)));
    }

    fn payload(&self) -> Vec<(Cbor, Cbor)> {
        let cwt = ciborium::from_reader::<Cbor, _>(self.cwt().as_slice()).unwrap();
        let parts = cwt.into_tag().unwrap().1.into_array().unwrap();
        read(parts[2].as_bytes().unwrap()).into_map().unwrap()
    }

    /// Signs other headers and claims with a good key, as a thief of the key could.
    fn seal(&mut self, protected: Cbor, payload: Cbor) {
        let (protected, payload) = (written(&protected), written(&payload));
        let structure = Cbor::Array(vec![
            Cbor::from("MAC0"),
            Cbor::Bytes(protected.clone()),
            Cbor::Bytes(Vec::new()),
            Cbor::Bytes(payload.clone()),
        ]);
        let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&self.keys[self.key].secret).unwrap();
        let tag = mac.chain_update(written(&structure)).finalize().into_bytes().to_vec();
        let parts = vec![
            Cbor::Bytes(protected),
            Cbor::Map(Vec::new()),
            Cbor::Bytes(payload),
            Cbor::Bytes(tag),
        ];
        self.carry_cwt(&written(&Cbor::Tag(17, Box::new(Cbor::Array(parts)))));
    }

    fn headers(&self, algorithm: i64) -> Cbor {
        let id = Cbor::Bytes(self.keys[self.key].id.clone().into_bytes());
        Cbor::Map(vec![(Cbor::from(1), Cbor::from(algorithm)), (Cbor::from(4), id)])
    }

    fn add(&mut self, entry: &str) {
        let value = self.request.value.take().unwrap();
        self.request.value = Some(format!("{value};{entry}"));
    }
}

fn written(item: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(item, &mut bytes).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Cbor {
    ciborium::from_reader(bytes).unwrap()
}

fn any_address(dice: &mut Dice) -> IpAddr {
    match dice.below(5) {
        0 | 1 => IpAddr::V4(Ipv4Addr::from(dice.bytes::<4>())),
        2 => IpAddr::V6(Ipv4Addr::from(dice.bytes::<4>()).to_ipv6_mapped()),
        3 => IpAddr::V6(Ipv6Addr::from(dice.bytes::<16>())),
        _ => {
            // Runs of zeros, for the double colon.
            let groups: [u16; 8] =
                std::array::from_fn(|_| if dice.below(3) == 0 { 0xdb8 } else { 0 });
            IpAddr::V6(Ipv6Addr::from(groups))
        }
    }
}

/// One of the many spellings of an address.
fn spelt(dice: &mut Dice, address: IpAddr) -> String {
    let long = match address {
        IpAddr::V4(short) if dice.chance() => return short.to_string(),
        IpAddr::V4(short) => short.to_ipv6_mapped(),
        IpAddr::V6(long) => long,
    };
    let mut groups: Vec<String> = long
        .segments()
        .iter()
        .map(|group| match dice.below(3) {
            0 => format!("{group:04x}"),
            1 => format!("{group:X}"),
            _ => format!("{group:x}"),
        })
        .collect();
    if dice.below(3) == 0 {
        groups.truncate(6);
        let [.., a, b, c, d] = long.octets();
        groups.push(format!("{a}.{b}.{c}.{d}"));
    }
    let is_zero = |group: &String| group.bytes().all(|byte| byte == b'0');
    let zeros: Vec<usize> = (0..groups.len()).filter(|at| is_zero(&groups[*at])).collect();
    let mut text = groups.join(":");
    if !zeros.is_empty() && dice.below(4) > 0 {
        let start = dice.pick(&zeros);
        let run = groups[start..].iter().take_while(|group| is_zero(group)).count();
        let end = start + 1 + dice.below(run);
        text = format!("{}::{}", groups[..start].join(":"), groups[end..].join(":"));
    }
    if dice.below(8) == 0 {
        text.push_str(dice.pick(&["%eth0", "%1", "%"]));
    }
    text
}

/// What is wrong with one; the index goes round, so that each comes equally often.
fn spoil(dice: &mut Dice, made: &mut Made, fault: usize) -> Option<Reason> {
    let token = made.token();
    let until = NOW + 90_000;
    let handle = made.claims.grant[3..16].to_owned();
    let issued_at = made.claims.not_before;
    let refused = |refusal| Some(Reason::Token(refusal));
    match fault {
        0 => {
            // Cut. Where only the MAC is shorter, or the form is, it is malformed all the same.
            made.carry(&token[..dice.below(token.len())]);
            refused(Refusal::Malformed)
        }
        1 => {
            let doubled = match dice.below(3) {
                0 => token.repeat(2),
                1 => format!("{token}{}", &token[41..]),
                _ => format!("{token}.{}", &token[41..]),
            };
            made.carry(&doubled);
            refused(Refusal::Malformed)
        }
        2 => {
            let at = dice.below(token.len());
            let odd = dice.pick(&["=", "+", "!", "A.", "\u{e9}", " ", "A%41"]);
            made.carry(&format!("{}{odd}{}", &token[..at], &token[at + 1..]));
            refused(Refusal::Malformed)
        }
        3 => {
            // The same bytes with another spelling: CBOR's, base64url's or hex's.
            let mut cwt = made.cwt();
            match dice.below(5) {
                0 => {
                    cwt.splice(0..1, [0xd8, 0x11]);
                }
                1 => {
                    cwt.splice(0..0, [0xd8, 61]);
                }
                2 => cwt.push(dice.next() as u8),
                3 if !cwt.len().is_multiple_of(3) => {
                    // Bits after the last byte, which many decoders drop.
                    let alphabet =
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
                    let last = alphabet.find(&token[token.len() - 1..]).unwrap();
                    let loose = &alphabet[last + 1..=last + 1];
                    made.carry(&format!("{}{loose}", &token[..token.len() - 1]));
                    return refused(Refusal::Malformed);
                }
                _ => {
                    made.carry(&token.replacen(
                        &made.claims.grant,
                        &format!(
                            "{}{}",
                            &made.claims.grant[..39],
                            dice.pick(&["A", "g", "", "00"])
                        ),
                        1,
                    ));
                    return refused(Refusal::Malformed);
                }
            }
            made.carry_cwt(&cwt);
            refused(Refusal::Malformed)
        }
        4 => {
            made.carry(&format!("{token}{}", "A".repeat(1_024 + dice.below(5_000))));
            refused(Refusal::Oversized)
        }
        5 => {
            let payload = Cbor::Map(made.payload());
            made.seal(made.headers(dice.pick(&[4, 6, 7, 0, 1])), payload);
            refused(Refusal::Algorithm)
        }
        6 => {
            let retired = dice.hex(1).replace(|digit: char| digit.is_ascii_digit(), "b");
            made.keys[made.key].id = format!("z{retired}{}", dice.hex(5));
            made.sign();
            refused(Refusal::UnknownKey)
        }
        7 => {
            // The other live key's id, or a live id with a secret that is not its own.
            if dice.chance() {
                let other = made.keys[1 - made.key].id.clone();
                made.keys[made.key].id = other;
            } else {
                made.keys[made.key].secret[dice.below(32)] ^= 1 << dice.below(8);
            }
            made.sign();
            refused(Refusal::BadMac)
        }
        8 => {
            // A bit of what is signed, or of the MAC.
            let mut cwt = made.cwt();
            let start = 11 + made.keys[made.key].id.len();
            let mut at = start + dice.below(cwt.len() - start);
            // The MAC's own head would be malformed.
            if (cwt.len() - 34..cwt.len() - 32).contains(&at) {
                at += 2;
            }
            cwt[at] ^= 1 << dice.below(8);
            made.carry_cwt(&cwt);
            refused(Refusal::BadMac)
        }
        9 => {
            // Each field put to what would help, under the old MAC.
            let old = made.cwt();
            let claims = &mut made.claims;
            match dice.below(7) {
                0 => claims.video = dice.hex(32),
                1 => claims.expires_at += 1 + dice.next() % 1_000,
                2 => claims.not_before -= 1 + dice.next() % 1_000,
                3 => {
                    claims.grant = format!(
                        "{}{}",
                        &claims.grant[..39],
                        if claims.grant.ends_with('0') { "1" } else { "0" }
                    )
                }
                4 => {
                    claims.address =
                        if claims.address.is_some() { None } else { Prefix::new([0; 4].into(), 0) }
                }
                5 => {
                    claims.country =
                        if claims.country.is_some() { None } else { Some("DE".to_owned()) }
                }
                _ => {
                    claims.user_agent =
                        if claims.user_agent.is_some() { None } else { Some(dice.bytes()) }
                }
            }
            let mut cwt = made.cwt();
            let end = cwt.len() - 32;
            cwt[end..].copy_from_slice(&old[old.len() - 32..]);
            made.request.country =
                made.claims.country.as_deref().map(|_| "DE").or(made.request.country);
            made.carry_cwt(&cwt);
            refused(Refusal::BadMac)
        }
        10 => {
            let mut payload = made.payload();
            let text = Cbor::from("1");
            match dice.below(5) {
                // A binding of a kind that nobody here checks.
                0 => payload.push((Cbor::from(-65_540 - dice.below(9) as i64), text)),
                1 => payload.push((Cbor::from(-65_999), Cbor::Bytes(vec![1]))),
                2 => {
                    payload.remove(dice.below(4));
                }
                3 => payload[1 + dice.below(3)].1 = text,
                _ => {
                    payload.retain(|(key, _)| *key != Cbor::from(-65_537));
                    payload.insert(
                        4,
                        (Cbor::from(-65_537), Cbor::Bytes(vec![8; dice.pick(&[0, 1, 4, 6, 18])])),
                    );
                }
            }
            made.seal(made.headers(5), Cbor::Map(payload));
            refused(Refusal::BadClaims)
        }
        11 => {
            made.claims.video = dice.hex(32);
            made.carry(&token);
            refused(Refusal::OtherVideo)
        }
        12 => {
            let other = match dice.below(3) {
                0 => dice.hex(40),
                // The same wallet's, given later: its own revocation would not reach it.
                1 => format!("{}{:08x}{}", &token[..16], NOW + 1, &token[24..40]),
                _ => format!("{}{}", &token[..24], dice.hex(16)),
            };
            made.request.value = Some(made.keys.iter().map(entry).collect::<Vec<_>>().join(";"));
            made.carry(&format!("{other}{}", &token[40..]));
            refused(Refusal::OtherGrant)
        }
        13 => {
            made.request.now = made.claims.not_before - dice.pick(&[1, 1, 30, 86_400]);
            refused(Refusal::NotYetValid)
        }
        14 => {
            made.request.now = made.claims.expires_at + dice.pick(&[0, 0, 30, 86_400]);
            refused(Refusal::Expired)
        }
        15 => {
            let address = any_address(dice);
            let canonical = address.to_canonical();
            let bits =
                1 + u8::try_from(dice.below(if canonical.is_ipv4() { 32 } else { 128 })).unwrap();
            made.claims.address = Prefix::new(canonical, bits);
            made.sign();
            // The last bit that counts is another, or it is of the other family, or can't be read.
            let flipped = match canonical {
                IpAddr::V4(short) => {
                    IpAddr::from((u32::from(short) ^ 1 << (32 - bits)).to_be_bytes())
                }
                IpAddr::V6(long) => {
                    IpAddr::V6(Ipv6Addr::from(u128::from(long) ^ 1 << (128 - bits)))
                }
            };
            let other = if canonical.is_ipv4() { "2001:db8::1" } else { "192.0.2.1" };
            // What the flip made may be an IPv4 address in disguise, or the reverse; then it is of another family.
            made.request.address = match dice.below(8) {
                0 => other.to_owned(),
                1 => dice
                    .pick(&[
                        "",
                        "unknown",
                        "1.2.3",
                        "1.2.3.256",
                        "1.2.3.04",
                        ":::",
                        "1::2::3",
                        "12345::",
                        "1:2:3:4:5:6:7",
                        "1:2:3:4:5:6:7::8",
                        "1.2.3.4::",
                        "%eth0",
                        "::1.2.3.4.5",
                        "1:2:3:4:5:6:7:8:9",
                    ])
                    .to_owned(),
                _ => spelt(dice, flipped),
            };
            refused(Refusal::Address)
        }
        16 => {
            made.claims.country = Some("NL".to_owned());
            made.sign();
            made.request.country = dice.pick(&[None, Some("DE"), Some("nl"), Some("")]);
            refused(Refusal::Country)
        }
        17 => {
            made.claims.user_agent = Some(agent_digest("another/1"));
            made.sign();
            made.request.user_agent =
                dice.pick(&[None, Some(AGENTS[0]), Some("another/1 "), Some("")]);
            refused(Refusal::UserAgent)
        }
        18 => {
            made.add(&format!("{handle}.{}~{until:08x}", &made.claims.grant[16..32]));
            Some(Reason::RevokedGrant)
        }
        19 => {
            let epoch = issued_at + dice.pick(&[0, 0, 1, 100_000]);
            made.add(&format!("{handle}={epoch:08x}~{until:08x}"));
            Some(Reason::RevokedHandle)
        }
        20 => {
            let epoch = issued_at + dice.pick(&[0, 0, 1, 100_000]);
            made.add(&format!("a={epoch:08x}~{until:08x}"));
            Some(Reason::RevokedShard)
        }
        21 => {
            made.request.value = None;
            Some(Reason::NoValue)
        }
        22 => {
            let odd = dice.pick(&[
                "",
                " ",
                "b=1",
                "a=",
                "a=12345678",
                "a=1234567~12345678",
                "x",
                "A=12345678~12345678",
                "0123456789abc=12345678~1234567g",
                "0123456789abc.0123~12345678",
                "k=A:b",
                "k=",
                "a=12345678~12345678~",
            ]);
            made.add(odd);
            Some(Reason::BadValue)
        }
        _ => {
            let (video, file) = (made.claims.video.clone(), made.file.clone());
            let start = if dice.chance() {
                format!("/~{token}")
            } else {
                format!("/q/{}", made.claims.grant)
            };
            let path = match dice.below(14) {
                0 => format!("/v/{video}/../{}/{file}", dice.hex(32)),
                1 => format!("/v/{video}/./{file}"),
                2 => format!("/v/{video}//{file}"),
                3 => format!("/v/{video}/%2e%2e/{file}"),
                4 => format!("/v/{video}/{file}/"),
                5 => format!("/v/{video}"),
                6 => format!("//v/{video}/{file}"),
                7 => format!("/x/{video}/{file}"),
                8 => format!("/v/{video}/{file}/.."),
                9 => format!("/v/{video}/a b"),
                10 => format!("/v/{video}/a\\..\\b"),
                11 => format!("/v/{}/{file}", video.to_uppercase() + "A"),
                12 => format!("/v/{video}/a%00"),
                _ => format!("/v/{video}/a*"),
            };
            made.request.uri = format!("{start}{path}");
            Some(Reason::Path)
        }
    }
}

#[test]
fn the_function_and_its_counterpart_agree_on_every_request() {
    const FAULTS: usize = 24;
    let function = Interpreter::new(&std::fs::read_to_string(FUNCTION).unwrap()).unwrap();
    let mut dice = Dice(StdRng::seed_from_u64(2026));
    let mut counts: BTreeMap<Option<Reason>, usize> = BTreeMap::new();
    for case in 0..CASES {
        let mut made = make(&mut dice);
        let known = if case % 4 == 0 {
            None
        } else {
            spoil(&mut dice, &mut made, (case - case / 4) % FAULTS)
        };
        // The carrier with a signature has a grant, a path and revocations in common with the token.
        let shared = !matches!(known, Some(Reason::Token(_) | Reason::Path));
        if shared && dice.below(4) == 0 {
            made.request.uri =
                format!("/q/{}/v/{}/{}", made.claims.grant, made.claims.video, made.file);
        }
        let request = &made.request;
        let told = || {
            format!(
                "case {case}: {} from {} ({:?}, {:?}) at {}, with {:?}",
                request.uri,
                request.address,
                request.country,
                request.user_agent,
                request.now,
                request.value
            )
        };
        let rust = decide(request);
        let script = ask(&function, request);
        assert_eq!(
            script,
            rust.clone().ok(),
            "the two differ; {:?}, {:?}; {}",
            known,
            rust,
            told()
        );
        assert_eq!(rust.as_ref().err(), known.as_ref(), "made as {known:?}; {}", told());
        if let Ok(path) = rust {
            assert_eq!(path, format!("/v/{}/{}", made.claims.video, made.file));
        }
        *counts.entry(known).or_default() += 1;
    }
    for (reason, count) in &counts {
        let name = reason.map_or("allowed".to_owned(), |reason| format!("{reason:?}"));
        println!("{count:>7} {name}");
        assert!(*count >= LEAST, "{name}: {count}");
    }
    assert_eq!(counts.len(), 1 + 13 + 6, "every reason occurs");
    assert_eq!(counts[&None] * 4, CASES);
}
