//! The gate before a behaviour with trusted key groups: signed URLs, else signed cookies. Pure.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::policy::{Policy, canned_text};
use crate::refusal::Refusal;
use crate::signature::{Hash, PublicKey, decode};

/// The query parameters that are CloudFront's and never the origin's.
const PARAMETERS: [&str; 5] = ["Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"];
/// A cookie of the same meaning has this before its name.
const COOKIE_PREFIX: &str = "CloudFront-";

// Nothing longer fits in CloudFront's 8,192 byte URL, and no key makes longer signatures.
const LONGEST_POLICY: usize = 8_192;
const LONGEST_SIGNATURE: usize = 1_024;
const LONGEST_KEY_ID: usize = 64;

/// The keys a behaviour trusts, by key pair id.
pub type Keys = HashMap<String, PublicKey>;

/// What the gate looks at.
#[derive(Debug, Clone, Copy)]
pub struct Viewing<'a> {
    /// `http` or `https`, as the viewer sees it.
    pub scheme: &'a str,
    /// The Host header.
    pub host: &'a str,
    /// The path as received; the same string goes to the origin.
    pub path: &'a str,
    /// The query as received, without its question mark.
    pub query: Option<&'a str>,
    /// The Cookie header.
    pub cookies: &'a str,
    /// The address of the TCP peer. Headers such as X-Forwarded-For do not count.
    pub viewer: IpAddr,
    /// Unix seconds.
    pub now: u64,
}

#[derive(Default)]
struct Signed<'a> {
    expires: Option<&'a str>,
    policy: Option<&'a str>,
    signature: Option<&'a str>,
    key: Option<&'a str>,
    hash: Option<&'a str>,
}

impl<'a> Signed<'a> {
    fn take(&mut self, name: &str, value: &'a str) -> Result<(), Refusal> {
        let slot = match name {
            "Expires" => &mut self.expires,
            "Policy" => &mut self.policy,
            "Signature" => &mut self.signature,
            "Key-Pair-Id" => &mut self.key,
            "Hash-Algorithm" => &mut self.hash,
            _ => return Ok(()),
        };
        if slot.replace(value).is_some() {
            // Two of a kind: whoever checks might look at one and obey the other.
            return Err(Refusal::AmbiguousParameters);
        }
        Ok(())
    }
}

/// The query without CloudFront's parameters: what the origin gets and what `Resource` is matched with.
pub fn own_query(query: &str) -> Option<String> {
    let kept: Vec<&str> = query
        .split('&')
        .filter(|part| !part.is_empty() && !PARAMETERS.contains(&name_of(part)))
        .collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

/// The cookies without CloudFront's.
pub fn own_cookies(cookies: &str) -> Option<String> {
    let kept: Vec<&str> = cookies
        .split(';')
        .map(str::trim)
        .filter(|part| {
            !part.is_empty()
                && !name_of(part)
                    .strip_prefix(COOKIE_PREFIX)
                    .is_some_and(|name| PARAMETERS.contains(&name))
        })
        .collect();
    (!kept.is_empty()).then(|| kept.join("; "))
}

fn name_of(part: &str) -> &str {
    part.split_once('=').map_or(part, |(name, _)| name)
}

/// Lets the request pass or says why not.
pub fn check(keys: &Keys, request: &Viewing<'_>) -> Result<(), Refusal> {
    let query = request.query.unwrap_or_default();
    let parameters = || query.split('&').filter_map(|part| part.split_once('='));
    let mut signed = Signed::default();
    // A URL that carries any of them is a signed URL, and then cookies are not looked at: signed URLs take precedence.
    if query.split('&').any(|part| PARAMETERS.contains(&name_of(part))) {
        for (name, value) in parameters() {
            signed.take(name, value)?;
        }
    } else {
        for (name, value) in
            request.cookies.split(';').filter_map(|cookie| cookie.trim().split_once('='))
        {
            if let Some(name) = name.strip_prefix(COOKIE_PREFIX) {
                signed.take(name, value)?;
            }
        }
    }

    let key_id = present(signed.key).ok_or(Refusal::MissingKey)?;
    let signature = present(signed.signature).ok_or(Refusal::MissingSignature)?;
    if key_id.len() > LONGEST_KEY_ID
        || signature.len() > LONGEST_SIGNATURE
        || signed.policy.is_some_and(|policy| policy.len() > LONGEST_POLICY)
    {
        return Err(Refusal::Oversized);
    }
    let key = keys.get(key_id).ok_or(Refusal::UnknownKey)?;
    let hash = signed.hash.map_or(Ok(Hash::default()), Hash::named)?;
    let signature = decode(&plain(signature)?)?;

    let mut url = format!("{}://{}{}", request.scheme, request.host, request.path);
    if let Some(own) = own_query(query) {
        url.push('?');
        url.push_str(&own);
    }

    // The signature is checked over the received bytes before anything in them is interpreted.
    let policy = match (present(signed.policy), present(signed.expires)) {
        (Some(_), Some(_)) => return Err(Refusal::AmbiguousParameters),
        (None, None) => return Err(Refusal::MissingPolicy),
        (Some(policy), None) => {
            let text = decode(&plain(policy)?)?;
            if !key.verifies(&text, &signature, hash) {
                return Err(Refusal::BadSignature);
            }
            Policy::custom(&text)?
        }
        (None, Some(expires)) => {
            let until = seconds(expires)?;
            // These two would end the string in the policy's text early.
            if url.contains(['"', '\\'])
                || !key.verifies(canned_text(&url, until).as_bytes(), &signature, hash)
            {
                return Err(Refusal::BadSignature);
            }
            Policy::canned(until)
        }
    };
    policy.allows(&url, request.now, request.viewer)
}

fn present(value: Option<&str>) -> Option<&str> {
    value.filter(|text| !text.is_empty())
}

/// Some clients percent-encode the tilde of CloudFront's base64, so one layer is undone.
fn plain(value: &str) -> Result<String, Refusal> {
    match percent_encoding::percent_decode_str(value).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Refusal::MalformedBase64),
    }
}

fn seconds(text: &str) -> Result<u64, Refusal> {
    // One spelling per number: no sign, no leading zero, or another string would carry the same signature.
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(Refusal::MalformedExpires);
    }
    text.parse().map_err(|_| Refusal::MalformedExpires)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(query: &'a str, cookies: &'a str) -> Viewing<'a> {
        Viewing {
            scheme: "http",
            host: "edge",
            path: "/v/a",
            query: Some(query),
            cookies,
            viewer: IpAddr::from([127, 0, 0, 1]),
            now: 100,
        }
    }

    #[test]
    fn own_parameters_keep_their_order_and_spelling() {
        assert_eq!(
            own_query("b=2&Policy=x&a=%41&Signature=y&Key-Pair-Id=z&Hash-Algorithm=SHA256&c"),
            Some("b=2&a=%41&c".to_owned())
        );
        assert_eq!(own_query("Expires=1&Signature=y&Key-Pair-Id=z&"), None);
        assert_eq!(own_query("expires=1&policy=2"), Some("expires=1&policy=2".to_owned()));
        assert_eq!(own_query(""), None);
    }

    #[test]
    fn own_cookies_lose_only_cloudfronts() {
        assert_eq!(
            own_cookies("a=1; CloudFront-Policy=x; CloudFront-Other=2;b=3"),
            Some("a=1; CloudFront-Other=2; b=3".to_owned())
        );
        assert_eq!(own_cookies("CloudFront-Key-Pair-Id=x"), None);
    }

    #[test]
    fn what_is_missing_is_named() {
        let keys = Keys::new();
        for (query, cookies, expected) in [
            ("", "", Refusal::MissingKey),
            ("Signature=x&Expires=1", "", Refusal::MissingKey),
            ("Key-Pair-Id=&Signature=x", "", Refusal::MissingKey),
            ("Key-Pair-Id=K", "", Refusal::MissingSignature),
            ("Key-Pair-Id", "", Refusal::MissingKey),
            ("Key-Pair-Id=K&Signature=AAAA", "", Refusal::UnknownKey),
            ("", "CloudFront-Key-Pair-Id=K; CloudFront-Signature=AAAA", Refusal::UnknownKey),
            ("Key-Pair-Id=K&Key-Pair-Id=L", "", Refusal::AmbiguousParameters),
            ("", "CloudFront-Policy=a; CloudFront-Policy=b", Refusal::AmbiguousParameters),
            // A bare mention in the URL is enough for cookies not to count.
            (
                "Hash-Algorithm=SHA256",
                "CloudFront-Key-Pair-Id=K; CloudFront-Signature=AAAA",
                Refusal::MissingKey,
            ),
        ] {
            assert_eq!(check(&keys, &request(query, cookies)), Err(expected), "{query} {cookies}");
        }
        let long = format!("Key-Pair-Id=K&Signature={}", "A".repeat(LONGEST_SIGNATURE + 1));
        assert_eq!(check(&keys, &request(&long, "")), Err(Refusal::Oversized));
    }

    #[test]
    fn expiry_times_have_one_spelling() {
        assert_eq!(seconds("1767225600"), Ok(1_767_225_600));
        for text in ["", "+1", "-1", "01", "1.0", "1e9", " 1", "99999999999999999999999"] {
            assert_eq!(seconds(text), Err(Refusal::MalformedExpires), "{text}");
        }
    }
}
