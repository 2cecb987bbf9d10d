//! The token of the carrier `path`, which travels as the first path element: `/~{token}/v/{video}/{file}`.
//!
//! `{grant id}.{base64url of a CWT}`. The id stands in clear because the edge reads one value of its
//! store, and finds it by the grant. The CWT (RFC 8392) is a COSE_MAC0 (RFC 8152) with HMAC 256/256,
//! in the one encoding that RFC 8949 calls deterministic; any other is refused:
//!
//! ```text
//! 17([<<{1: 5, 4: key id}>>, {}, <<claims>>, 32 bytes])
//! claims: 2 (sub) video id, text · 4 (exp), 5 (nbf) Unix seconds · 7 (cti) grant id, 20 bytes
//!         -65537 address prefix: a byte with its bits, then 4 or 16 bytes
//!         -65538 country, two letters · -65539 user agent: the first 16 bytes of its SHA-256
//! ```
//!
//! When it was issued is in the grant's id, so there is no `iat`. The last three are of the range for
//! private use and may be absent; a claim that isn't listed is refused, or a binding could be overlooked.
//! `infra/edge/viewer-request.js` reads the same at the edge. [`verify`] is written apart from it, and a
//! test holds the two against each other.

use crate::Seconds;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The longest CWT that is looked at, in base64url. All that [`mint`] makes is below 300.
pub const MAX_CWT_BYTES: usize = 1_024;

const VIDEO: i64 = 2;
const EXPIRES_AT: i64 = 4;
const NOT_BEFORE: i64 = 5;
const GRANT: i64 = 7;
const ADDRESS: i64 = -65_537;
const COUNTRY: i64 = -65_538;
const USER_AGENT: i64 = -65_539;

/// A key that tokens are signed with. Two are live at a time.
#[derive(Clone, PartialEq, Eq)]
pub struct EdgeKey {
    /// 1 to 8 of `a-z0-9`.
    pub id: String,
    /// Secret.
    pub secret: [u8; 32],
}

impl fmt::Debug for EdgeKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EdgeKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Addresses that begin alike, as in `203.0.113.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

impl Prefix {
    /// The first `bits` of an address; `None` when it has fewer. An IPv4 address that is mapped into
    /// IPv6 is the IPv4 address, if the bits reach that far.
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let (address, bits) = match address {
            IpAddr::V6(long) if long.to_ipv4_mapped().is_some() && bits >= 96 => {
                (address.to_canonical(), bits - 96)
            }
            _ => (address, bits),
        };
        let width = if address.is_ipv4() { 32 } else { 128 };
        (bits <= width).then(|| Self { address: masked(address, bits), bits })
    }

    /// Whether an address begins so.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.bits) == self.address
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.bits];
        match self.address {
            IpAddr::V4(short) => bytes.extend(short.octets()),
            IpAddr::V6(long) => bytes.extend(long.octets()),
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (bits, rest) = bytes.split_first()?;
        let address = match rest.len() {
            4 => IpAddr::from(<[u8; 4]>::try_from(rest).ok()?),
            16 => IpAddr::from(<[u8; 16]>::try_from(rest).ok()?),
            _ => return None,
        };
        // As `new` writes it: nothing after the prefix, no mapped address.
        Self::new(address, *bits).filter(|prefix| prefix.bytes() == bytes)
    }
}

impl TryFrom<String> for Prefix {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (address, bits) = text.split_once('/').unwrap_or((&text, ""));
        let read = address.parse::<IpAddr>().ok().and_then(|address| {
            let all = if address.is_ipv4() { 32 } else { 128 };
            let digits = bits.bytes().all(|byte| byte.is_ascii_digit());
            let bits = if text.contains('/') { bits.parse().ok().filter(|_| digits)? } else { all };
            Self::new(address, bits)
        });
        read.ok_or("an address is like 203.0.113.0/24 or 2001:db8::/48")
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        format!("{}/{}", prefix.address, prefix.bits)
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(short) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::from((u32::from(short) & mask).to_be_bytes())
        }
        IpAddr::V6(long) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(long) & mask))
        }
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The grant's id: 40 lower-case hex digits.
    pub grant: String,
    /// The video's id.
    pub video: String,
    /// From when on it counts.
    pub not_before: Seconds,
    /// From when on it doesn't.
    pub expires_at: Seconds,
    /// Only for viewers with such an address.
    pub address: Option<Prefix>,
    /// Only for viewers in this country: two upper-case letters, as CloudFront writes it.
    pub country: Option<String>,
    /// Only for viewers with this `User-Agent`: see [`agent_digest`].
    pub user_agent: Option<[u8; 16]>,
}

/// Who asks, as CloudFront says; a header that isn't there is `None`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Viewer<'a> {
    /// The address, in any spelling.
    pub address: &'a str,
    /// `CloudFront-Viewer-Country`.
    pub country: Option<&'a str>,
    /// `User-Agent`.
    pub user_agent: Option<&'a str>,
}

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// Longer than [`MAX_CWT_BYTES`].
    #[error("the token is too long")]
    Oversized,
    /// Neither a grant's id nor base64url nor the one encoding.
    #[error("the token is malformed")]
    Malformed,
    /// Not HMAC 256/256.
    #[error("the token names another algorithm")]
    Algorithm,
    /// Not one of the live keys.
    #[error("the token's key is not known")]
    UnknownKey,
    /// Altered, or made by somebody else.
    #[error("the token's MAC does not fit")]
    BadMac,
    /// Signed, but not what [`mint`] signs.
    #[error("the token's claims make no sense")]
    BadClaims,
    /// For another video.
    #[error("the token is for another video")]
    OtherVideo,
    /// The id in clear is another.
    #[error("the token is of another grant")]
    OtherGrant,
    /// Not yet.
    #[error("the token does not count yet")]
    NotYetValid,
    /// No longer.
    #[error("the token has expired")]
    Expired,
    /// Another address, or none that can be read.
    #[error("the viewer's address is another")]
    Address,
    /// Another country, or none given.
    #[error("the viewer's country is another")]
    Country,
    /// Another user agent, or none given.
    #[error("the viewer's user agent is another")]
    UserAgent,
}

/// What a token keeps of a `User-Agent`.
pub fn agent_digest(user_agent: &str) -> [u8; 16] {
    let mut digest = [0; 16];
    digest.copy_from_slice(&Sha256::digest(user_agent.as_bytes())[..16]);
    digest
}

/// The token of these claims. The same input gives the same token.
///
/// # Errors
/// [`Refusal::UnknownKey`] and [`Refusal::BadClaims`] where key or claims are not as they are described.
pub fn mint(key: &EdgeKey, claims: &Claims) -> Result<String, Refusal> {
    if !is_key_id(key.id.as_bytes()) {
        return Err(Refusal::UnknownKey);
    }
    let grant = grant_bytes(&claims.grant).ok_or(Refusal::BadClaims)?;
    let country = claims.country.as_deref();
    // The edge reads times as JavaScript's numbers.
    let late = claims.expires_at.max(claims.not_before) >= 1 << 53;
    let odd_country = country.is_some_and(|code| !is_country(code));
    if !crate::video::is_id(&claims.video) || late || odd_country {
        return Err(Refusal::BadClaims);
    }
    let mut entries = vec![
        (VIDEO, Item::Text(&claims.video)),
        (EXPIRES_AT, Item::Unsigned(claims.expires_at)),
        (NOT_BEFORE, Item::Unsigned(claims.not_before)),
        (GRANT, Item::Bytes(&grant)),
    ];
    let address = claims.address.map(|prefix| prefix.bytes());
    entries.extend(address.as_deref().map(|bytes| (ADDRESS, Item::Bytes(bytes))));
    entries.extend(country.map(|code| (COUNTRY, Item::Text(code))));
    entries.extend(claims.user_agent.as_ref().map(|bytes| (USER_AGENT, Item::Bytes(bytes))));
    let mut payload = Vec::new();
    write_map(&mut payload, &entries);
    let mut protected = Vec::new();
    write_map(&mut protected, &[(1, Item::Unsigned(5)), (4, Item::Bytes(key.id.as_bytes()))]);

    let mut cwt = vec![0xd1, 0x84];
    Item::Bytes(&protected).write(&mut cwt);
    write_map(&mut cwt, &[]);
    Item::Bytes(&payload).write(&mut cwt);
    let tag = mac(&key.secret, &protected, &payload).finalize().into_bytes();
    Item::Bytes(&tag).write(&mut cwt);
    Ok(format!("{}.{}", claims.grant, URL_SAFE_NO_PAD.encode(cwt)))
}

/// Reads a token that was asked with for a file of `video`, and checks all of it but whether its grant
/// was revoked.
///
/// # Errors
/// The first [`Refusal`] in the order in which they are listed.
pub fn verify(
    token: &str,
    video: &str,
    keys: &[EdgeKey],
    viewer: &Viewer<'_>,
    now: Seconds,
) -> Result<Claims, Refusal> {
    let (grant, cwt) = token.split_once('.').ok_or(Refusal::Malformed)?;
    if cwt.len() > MAX_CWT_BYTES {
        return Err(Refusal::Oversized);
    }
    let clear = grant_bytes(grant).ok_or(Refusal::Malformed)?;
    let cwt = URL_SAFE_NO_PAD.decode(cwt).map_err(|_| Refusal::Malformed)?;
    let signed = Signed::read(&cwt).ok_or(Refusal::Malformed)?;
    if signed.algorithm != Item::Unsigned(5) {
        return Err(Refusal::Algorithm);
    }
    let known = keys.iter().find(|key| key.id.as_bytes() == signed.key_id);
    let key = known.filter(|key| is_key_id(key.id.as_bytes())).ok_or(Refusal::UnknownKey)?;
    // Constant-time, and of the whole tag's length.
    mac(&key.secret, signed.protected, signed.payload)
        .verify_slice(signed.tag)
        .map_err(|_| Refusal::BadMac)?;
    let claims = read_claims(signed.payload).ok_or(Refusal::BadClaims)?;
    if claims.video != video {
        return Err(Refusal::OtherVideo);
    }
    if claims.grant != hex::encode(clear) {
        return Err(Refusal::OtherGrant);
    }
    if now < claims.not_before {
        return Err(Refusal::NotYetValid);
    }
    if now >= claims.expires_at {
        return Err(Refusal::Expired);
    }
    // A binding whose header is missing refuses.
    if claims.address.is_some_and(|prefix| {
        !parse_address(viewer.address).is_some_and(|address| prefix.contains(address))
    }) {
        return Err(Refusal::Address);
    }
    if claims.country.is_some() && claims.country.as_deref() != viewer.country {
        return Err(Refusal::Country);
    }
    if claims.user_agent.is_some() && claims.user_agent != viewer.user_agent.map(agent_digest) {
        return Err(Refusal::UserAgent);
    }
    Ok(claims)
}

/// An address in any spelling; what follows a `%` is a zone of the viewer's own and says nothing here.
fn parse_address(text: &str) -> Option<IpAddr> {
    text.split('%').next()?.parse().ok()
}

fn is_key_id(id: &[u8]) -> bool {
    (1..=8).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

/// Two upper-case letters.
pub(crate) fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|letter| letter.is_ascii_uppercase())
}

fn grant_bytes(id: &str) -> Option<[u8; 20]> {
    let lower = id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    hex::decode(id).ok().filter(|_| lower)?.try_into().ok()
}

/// HMAC over the `MAC_structure` of RFC 8152, section 6.3.
fn mac(secret: &[u8; 32], protected: &[u8], payload: &[u8]) -> Hmac<Sha256> {
    let mut message = vec![0x84];
    for part in [Item::Text("MAC0"), Item::Bytes(protected), Item::Bytes(&[]), Item::Bytes(payload)]
    {
        part.write(&mut message);
    }
    // The block size is 64, so a key of 32 bytes is padded with zeros: `Mac::new` takes exactly a block.
    let mut block = [0; 64];
    block[..secret.len()].copy_from_slice(secret);
    <Hmac<Sha256> as Mac>::new(&block.into()).chain_update(message)
}

/// The few kinds of CBOR item that a token has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item<'a> {
    Unsigned(u64),
    Bytes(&'a [u8]),
    Text(&'a str),
}

impl Item<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unsigned(number) => write_head(out, 0, *number),
            Self::Bytes(bytes) => {
                write_head(out, 2, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Self::Text(text) => {
                write_head(out, 3, text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
}

/// A major type with its argument, in the shortest form.
fn write_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let bytes = argument.to_be_bytes();
    let (low, width) = match argument {
        0..=23 => (bytes[7], 0),
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    out.push(major << 5 | low);
    out.extend_from_slice(&bytes[8 - width..]);
}

/// A map with integers for keys; they come in the order of their bytes.
fn write_map(out: &mut Vec<u8>, entries: &[(i64, Item<'_>)]) {
    write_head(out, 5, entries.len() as u64);
    for (key, value) in entries {
        match u64::try_from(*key) {
            Ok(key) => write_head(out, 0, key),
            Err(_) => write_head(out, 1, key.unsigned_abs() - 1),
        }
        value.write(out);
    }
}

struct Signed<'a> {
    protected: &'a [u8],
    algorithm: Item<'a>,
    key_id: &'a [u8],
    payload: &'a [u8],
    tag: &'a [u8],
}

impl<'a> Signed<'a> {
    fn read(cwt: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(cwt.strip_prefix(&[0xd1, 0x84])?);
        let protected = reader.bytes()?;
        if !reader.map()?.is_empty() {
            return None;
        }
        let (payload, tag) = (reader.bytes()?, reader.bytes()?);
        let mut headers = Reader(protected);
        let entries = headers.map()?;
        match (entries.as_slice(), reader.0, headers.0) {
            ([(1, algorithm), (4, Item::Bytes(key_id))], [], []) => {
                Some(Self { protected, algorithm: *algorithm, key_id, payload, tag })
            }
            _ => None,
        }
    }
}

fn read_claims(payload: &[u8]) -> Option<Claims> {
    let mut reader = Reader(payload);
    let entries = reader.map().filter(|_| reader.0.is_empty())?;
    let mut entries = entries.into_iter().peekable();
    let (
        Some((VIDEO, Item::Text(video))),
        Some((EXPIRES_AT, Item::Unsigned(expires_at))),
        Some((NOT_BEFORE, Item::Unsigned(not_before))),
        Some((GRANT, Item::Bytes(grant))),
    ) = (entries.next(), entries.next(), entries.next(), entries.next())
    else {
        return None;
    };
    let mut claims = Claims {
        grant: hex::encode(<[u8; 20]>::try_from(grant).ok()?),
        video: video.to_owned(),
        not_before,
        expires_at,
        address: None,
        country: None,
        user_agent: None,
    };
    for entry in entries {
        match entry {
            (ADDRESS, Item::Bytes(bytes)) => claims.address = Some(Prefix::read(bytes)?),
            (COUNTRY, Item::Text(code)) => claims.country = Some(code.to_owned()),
            (USER_AGENT, Item::Bytes(bytes)) => claims.user_agent = Some(bytes.try_into().ok()?),
            _ => return None,
        }
    }
    Some(claims)
}

/// Reads the encoding that [`Item::write`] writes, and no other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn head(&mut self) -> Option<(u8, u64)> {
        let first = *self.take(1)?.first()?;
        let (width, least) = match first & 31 {
            low @ 0..=23 => return Some((first >> 5, u64::from(low))),
            24 => (1, 24),
            25 => (2, 0x100),
            26 => (4, 0x1_0000),
            27 => (8, 0x1_0000_0000),
            _ => return None,
        };
        let argument = self.take(width)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        (argument >= least).then_some((first >> 5, argument))
    }

    fn item(&mut self) -> Option<Item<'a>> {
        match self.head()? {
            (0, number) => Some(Item::Unsigned(number)),
            (2, length) => Some(Item::Bytes(self.take(usize::try_from(length).ok()?)?)),
            (3, length) => {
                let bytes = self.take(usize::try_from(length).ok()?)?;
                Some(Item::Text(std::str::from_utf8(bytes).ok()?))
            }
            _ => None,
        }
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        match self.item()? {
            Item::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The entries, each key greater than the one before in the order of their bytes.
    fn map(&mut self) -> Option<Vec<(i64, Item<'a>)>> {
        let (5, length) = self.head()? else { return None };
        let mut entries = Vec::new();
        let mut last: &[u8] = &[];
        for _ in 0..length {
            let before = self.0;
            let key = match self.head()? {
                (0, number) => i64::try_from(number).ok()?,
                (1, number) => -1 - i64::try_from(number).ok()?,
                _ => return None,
            };
            let written = &before[..before.len() - self.0.len()];
            if written <= last {
                return None;
            }
            last = written;
            entries.push((key, self.item()?));
        }
        Some(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Seconds = 1_800_000_000;
    const VIDEO_ID: &str = "8b6ae89a86a4eff8654d031a8bc8dd1a";
    const VIEWER: Viewer<'_> =
        Viewer { address: "2001:DB8::7", country: Some("DE"), user_agent: Some("player/1") };

    fn key(id: &str, byte: u8) -> EdgeKey {
        EdgeKey { id: id.to_owned(), secret: [byte; 32] }
    }

    fn claims() -> Claims {
        Claims {
            grant: "0123456789abcdef6b49d200fedcba9876543210".to_owned(),
            video: VIDEO_ID.to_owned(),
            not_before: NOW,
            expires_at: NOW + 60,
            address: None,
            country: None,
            user_agent: None,
        }
    }

    fn bound() -> Claims {
        Claims {
            address: Prefix::new("2001:db8::".parse().unwrap(), 32),
            country: Some("DE".to_owned()),
            user_agent: Some(agent_digest("player/1")),
            ..claims()
        }
    }

    fn read(token: &str, viewer: &Viewer<'_>, now: Seconds) -> Result<Claims, Refusal> {
        verify(token, VIDEO_ID, &[key("k1", 1), key("k2", 2)], viewer, now)
    }

    #[test]
    fn what_is_minted_is_read_again() {
        for claims in [claims(), bound()] {
            for key in [key("k1", 1), key("k2", 2)] {
                let token = mint(&key, &claims).unwrap();
                assert_eq!(read(&token, &VIEWER, NOW).as_ref(), Ok(&claims));
                assert_eq!(token, mint(&key, &claims).unwrap());
                assert!(token.len() < 341, "{}", token.len());
            }
        }
    }

    #[test]
    fn the_encoding_is_as_it_is_told() {
        let token = mint(&key("k1", 1), &bound()).unwrap();
        let cwt = hex::encode(URL_SAFE_NO_PAD.decode(token.split_once('.').unwrap().1).unwrap());
        let parts = [
            "d18447a201050442",
            &hex::encode("k1"),
            "a0587b",
            "a7",
            &format!("027820{}", hex::encode(VIDEO_ID)),
            "041a6b49d23c",
            "051a6b49d200",
            "0754",
            &claims().grant,
            "3a00010000512020010db8000000000000000000000000",
            "3a00010001624445",
            "3a0001000250",
            &hex::encode(agent_digest("player/1")),
            "5820",
        ];
        assert_eq!(cwt[..cwt.len() - 64], parts.concat());
    }

    #[test]
    fn no_secret_is_shown() {
        assert_eq!(format!("{:?}", key("k1", 7)), r#"EdgeKey { id: "k1", .. }"#);
    }

    #[test]
    fn times_are_from_and_until() {
        let token = mint(&key("k1", 1), &claims()).unwrap();
        for (now, expected) in [
            (NOW - 1, Err(Refusal::NotYetValid)),
            (NOW, Ok(())),
            (NOW + 59, Ok(())),
            (NOW + 60, Err(Refusal::Expired)),
        ] {
            assert_eq!(read(&token, &VIEWER, now).map(drop), expected, "{now}");
        }
    }

    #[test]
    fn each_binding_stands_alone() {
        let token = mint(&key("k1", 1), &bound()).unwrap();
        for (viewer, expected) in [
            (Viewer { address: "2001:db9::7", ..VIEWER }, Refusal::Address),
            (Viewer { address: "", ..VIEWER }, Refusal::Address),
            (Viewer { address: "32.1.13.184", ..VIEWER }, Refusal::Address),
            (Viewer { country: Some("FR"), ..VIEWER }, Refusal::Country),
            (Viewer { country: None, ..VIEWER }, Refusal::Country),
            (Viewer { user_agent: Some("player/2"), ..VIEWER }, Refusal::UserAgent),
            (Viewer { user_agent: None, ..VIEWER }, Refusal::UserAgent),
        ] {
            assert_eq!(read(&token, &viewer, NOW), Err(expected), "{viewer:?}");
        }
    }

    #[test]
    fn every_altered_byte_is_noticed() {
        let token = mint(&key("k1", 1), &bound()).unwrap();
        let (grant, cwt) = token.split_once('.').unwrap();
        let cwt = URL_SAFE_NO_PAD.decode(cwt).unwrap();
        for at in 0..cwt.len() {
            for bit in 0..8 {
                let mut altered = cwt.clone();
                altered[at] ^= 1 << bit;
                let token = format!("{grant}.{}", URL_SAFE_NO_PAD.encode(altered));
                assert!(read(&token, &VIEWER, NOW).is_err(), "byte {at}, bit {bit}");
            }
        }
        for end in 0..token.len() {
            assert!(read(&token[..end], &VIEWER, NOW).is_err(), "cut at {end}");
        }
        assert_eq!(read(&token.repeat(2), &VIEWER, NOW), Err(Refusal::Malformed));
        let long = format!("{token}{}", "A".repeat(MAX_CWT_BYTES));
        assert_eq!(read(&long, &VIEWER, NOW), Err(Refusal::Oversized));
    }

    #[test]
    fn another_key_grant_or_video_opens_nothing() {
        let token = mint(&key("k3", 1), &claims()).unwrap();
        assert_eq!(read(&token, &VIEWER, NOW), Err(Refusal::UnknownKey));
        let token = mint(&key("k1", 2), &claims()).unwrap();
        assert_eq!(read(&token, &VIEWER, NOW), Err(Refusal::BadMac));
        let token = mint(&key("k1", 1), &claims()).unwrap();
        let other = format!("{}{}", "f".repeat(40), &token[40..]);
        assert_eq!(read(&other, &VIEWER, NOW), Err(Refusal::OtherGrant));
        let other = "0".repeat(32);
        let outcome = verify(&token, &other, &[key("k1", 1)], &VIEWER, NOW);
        assert_eq!(outcome, Err(Refusal::OtherVideo));
    }

    #[test]
    fn signed_nonsense_is_refused() {
        let key = key("k1", 1);
        let sealed = |algorithm: u64, payload: &[u8]| {
            let mut protected = Vec::new();
            write_map(&mut protected, &[(1, Item::Unsigned(algorithm)), (4, Item::Bytes(b"k1"))]);
            let mut cwt = vec![0xd1, 0x84];
            Item::Bytes(&protected).write(&mut cwt);
            cwt.push(0xa0);
            Item::Bytes(payload).write(&mut cwt);
            let tag = mac(&key.secret, &protected, payload).finalize().into_bytes();
            Item::Bytes(&tag).write(&mut cwt);
            format!("{}.{}", claims().grant, URL_SAFE_NO_PAD.encode(cwt))
        };
        let token = mint(&key, &claims()).unwrap();
        let cwt = URL_SAFE_NO_PAD.decode(&token[41..]).unwrap();
        let payload = &cwt[13..cwt.len() - 34];
        assert_eq!(sealed(5, payload), token);
        for algorithm in [4, 6, 7] {
            assert_eq!(read(&sealed(algorithm, payload), &VIEWER, NOW), Err(Refusal::Algorithm));
        }
        let mut unlisted = payload.to_vec();
        unlisted[0] += 1;
        unlisted.extend([0x18, 99, 0]);
        let mut doubled = payload.to_vec();
        doubled[0] += 1;
        doubled.extend_from_slice(&payload[payload.len() - 22..]);
        for payload in [&unlisted[..], &doubled, &payload[..payload.len() - 1], &[0xa0]] {
            assert_eq!(read(&sealed(5, payload), &VIEWER, NOW), Err(Refusal::BadClaims));
        }
    }

    #[test]
    fn nonsense_is_not_minted() {
        for id in ["", "K1", "k-1", "ninechars"] {
            assert_eq!(mint(&key(id, 1), &claims()), Err(Refusal::UnknownKey), "{id}");
        }
        for nonsense in [
            Claims { grant: "F".repeat(40), ..claims() },
            Claims { grant: "f".repeat(39), ..claims() },
            Claims { video: "..".to_owned(), ..claims() },
            Claims { country: Some("de".to_owned()), ..claims() },
            Claims { expires_at: 1 << 53, ..claims() },
        ] {
            assert_eq!(mint(&key("k1", 1), &nonsense), Err(Refusal::BadClaims), "{nonsense:?}");
        }
    }

    #[test]
    fn addresses_count_in_every_spelling() {
        let prefix = |text: &str, bits| Prefix::new(text.parse().unwrap(), bits).unwrap();
        for (prefix, inside, outside) in [
            (prefix("192.0.2.9", 24), "::FFFF:192.0.2.200", "192.0.3.9"),
            (prefix("::ffff:c000:209", 120), "192.0.2.1", "::192.0.2.9"),
            (prefix("192.0.2.9", 0), "8.8.8.8", "::1"),
            (prefix("2001:db8::", 128), "2001:0db8:0:0::0.0.0.0", "2001:db8::1"),
            (prefix("fe80::1", 10), "febf::1%eth0", "fec0::1"),
            (prefix("::1", 0), "ff::", "1.2.3.4"),
        ] {
            assert!(prefix.contains(parse_address(inside).unwrap()), "{inside}");
            assert!(!prefix.contains(parse_address(outside).unwrap()), "{outside}");
            assert_eq!(Prefix::read(&prefix.bytes()), Some(prefix));
        }
        assert_eq!(Prefix::new("1.2.3.4".parse().unwrap(), 33), None);
        assert_eq!(Prefix::new("::".parse().unwrap(), 129), None);
        for bytes in [&[][..], &[24, 1, 2, 3], &[33, 0, 0, 0, 0], &[24, 1, 2, 3, 4]] {
            assert_eq!(Prefix::read(bytes), None, "{bytes:?}");
        }
    }
}
