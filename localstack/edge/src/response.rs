//! What viewers get: answers made from stored objects, the response headers policy, and refusals in CloudFront's words.

use std::time::Instant;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, AGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, ORIGIN, RANGE, SERVER, VARY, VIA,
};
use axum::http::{HeaderValue, Method, Response, StatusCode};

use crate::cache::Stored;
use crate::distribution::{Cors, HeadersPolicy};
use crate::pattern;
use crate::range::{self, Asked};
use crate::refusal::Refusal;

const ALLOW_ORIGIN: HeaderName = HeaderName::from_static("access-control-allow-origin");

/// Answers a GET or HEAD from a whole object: not modified, a part, or all of it.
pub fn from_stored(
    stored: &Stored,
    method: &Method,
    asked: &HeaderMap,
    hit: bool,
) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = stored.status;
    *response.headers_mut() = stored.headers.clone();
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    if hit {
        let age = Instant::now().saturating_duration_since(stored.since).as_secs();
        headers.insert(AGE, HeaderValue::from(age));
    }
    let mut body = stored.body.clone();
    if stored.status == StatusCode::OK {
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if not_modified(&stored.headers, asked) {
            for name in [CONTENT_TYPE, ACCEPT_RANGES] {
                headers.remove(name);
            }
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        let size = body.len();
        let wanted = asked
            .get(RANGE)
            .filter(|_| *method == Method::GET && range_still_fits(&stored.headers, asked))
            .and_then(|value| value.to_str().ok());
        match range::asked(wanted, size) {
            Asked::Whole => {}
            Asked::Part(first, last) => {
                let value = format!("bytes {first}-{last}/{size}");
                if let Ok(value) = HeaderValue::from_str(&value) {
                    headers.insert(CONTENT_RANGE, value);
                }
                body = body.slice(first..=last);
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            }
            Asked::Unsatisfiable => {
                if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                    headers.insert(CONTENT_RANGE, value);
                }
                headers.remove(CONTENT_TYPE);
                body = bytes::Bytes::new();
                *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            }
        }
    }
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    if *method != Method::HEAD {
        *response.body_mut() = Body::from(body);
    }
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn not_modified(object: &HeaderMap, asked: &HeaderMap) -> bool {
    // RFC 9110: If-None-Match, when there, decides alone.
    if let Some(known) = text(asked, &IF_NONE_MATCH) {
        let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        return known.trim() == "*"
            || text(object, &ETAG)
                .is_some_and(|tag| known.split(',').any(|one| weak(one) == weak(tag)));
    }
    match (date(asked, &IF_MODIFIED_SINCE), date(object, &LAST_MODIFIED)) {
        (Some(since), Some(changed)) => changed <= since,
        _ => false,
    }
}

fn range_still_fits(object: &HeaderMap, asked: &HeaderMap) -> bool {
    let Some(known) = text(asked, &IF_RANGE) else { return true };
    if known.starts_with('"') {
        return text(object, &ETAG) == Some(known);
    }
    date(asked, &IF_RANGE).is_some() && date(asked, &IF_RANGE) == date(object, &LAST_MODIFIED)
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<std::time::SystemTime> {
    httpdate::parse_http_date(text(headers, name)?).ok()
}

/// Applies the response headers policy, CORS first, removals last.
pub fn apply_policy(
    headers: &mut HeaderMap,
    policy: &HeadersPolicy,
    asked: &HeaderMap,
    preflight: bool,
) {
    if let Some(cors) = &policy.cors {
        apply_cors(headers, cors, text(asked, &ORIGIN), preflight);
    }
    for header in &policy.added {
        set(headers, &header.name, &header.value, header.overrides);
    }
    for name in &policy.removed {
        headers.remove(name.as_str());
    }
}

fn apply_cors(headers: &mut HeaderMap, cors: &Cors, origin: Option<&str>, preflight: bool) {
    let anyone = cors.origins.iter().any(|known| known == "*");
    if !anyone {
        // The answer differs by origin, and shared caches behind this one must know even when no CORS header is in it.
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    let Some(origin) = origin else { return };
    if !cors.origins.iter().any(|known| pattern::matches(known, origin)) {
        return;
    }
    if headers.contains_key(ALLOW_ORIGIN) && !cors.overrides {
        return;
    }
    set(headers, ALLOW_ORIGIN.as_str(), if anyone { "*" } else { origin }, true);
    if cors.credentials {
        set(headers, "access-control-allow-credentials", "true", true);
    }
    if !cors.exposed.is_empty() {
        set(headers, "access-control-expose-headers", &cors.exposed.join(", "), true);
    }
    if preflight {
        if !cors.headers.is_empty() {
            set(headers, "access-control-allow-headers", &cors.headers.join(", "), true);
        }
        let methods = match cors.methods.as_slice() {
            [all] if all == "ALL" => "GET, DELETE, HEAD, OPTIONS, PATCH, POST, PUT".to_owned(),
            some => some.join(", "),
        };
        set(headers, "access-control-allow-methods", &methods, true);
        if let Some(seconds) = cors.max_age {
            set(headers, "access-control-max-age", &seconds.to_string(), true);
        }
    }
}

fn set(headers: &mut HeaderMap, name: &str, value: &str, overrides: bool) {
    let (Ok(name), Ok(value)) =
        (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
    else {
        return;
    };
    if overrides || !headers.contains_key(&name) {
        headers.insert(name, value);
    }
}

/// A response that a function gave; `None` when its headers can't be sent.
pub fn made(status: u16, headers: &[(String, String)], body: String) -> Option<Response<Body>> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).ok()
}

/// Marks a response as CloudFront does, and returns the mark.
pub fn stamp(response: &mut Response<Body>, hit: bool) -> &'static str {
    let mark = if response.status().is_client_error() || response.status().is_server_error() {
        "Error from cloudfront"
    } else if hit {
        "Hit from cloudfront"
    } else {
        "Miss from cloudfront"
    };
    let headers = response.headers_mut();
    headers.insert("x-cache", HeaderValue::from_static(mark));
    headers.append(VIA, HeaderValue::from_static("1.1 edge.cloudfront.net (CloudFront)"));
    mark
}

/// A refusal, in the XML of signature errors or the page of all others. It says nothing about the request.
pub fn refused(refusal: Refusal) -> Response<Body> {
    let (kind, body) = match refusal.wording() {
        Some((code, message)) => (
            "text/xml",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
            ),
        ),
        None => (
            "text/html",
            format!(
                "<!DOCTYPE html><html><head><title>ERROR: The request could not be satisfied</title></head><body>\
                 <h1>{} ERROR</h1><h2>The request could not be satisfied.</h2></body></html>",
                refusal.status()
            ),
        ),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(SERVER, HeaderValue::from_static("CloudFront"));
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::distribution::AddedHeader;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn object() -> Stored {
        Stored {
            status: StatusCode::OK,
            headers: map(&[
                ("etag", "\"abc\""),
                ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
                ("content-type", "video/mp4"),
            ]),
            body: Bytes::from_static(b"0123456789"),
            since: Instant::now(),
            lifetime: Duration::from_secs(60),
        }
    }

    #[test]
    fn conditions_and_ranges() {
        for (asked, status, length) in [
            (map(&[]), 200, Some("10")),
            (map(&[("range", "bytes=2-4")]), 206, Some("3")),
            (map(&[("range", "bytes=10-")]), 416, Some("0")),
            (map(&[("range", "bytes=2-4"), ("if-range", "\"abc\"")]), 206, Some("3")),
            (map(&[("range", "bytes=2-4"), ("if-range", "\"old\"")]), 200, Some("10")),
            (map(&[("range", "bytes=2-4"), ("if-range", "W/\"abc\"")]), 200, Some("10")),
            (map(&[("if-none-match", "\"x\", W/\"abc\"")]), 304, None),
            (map(&[("if-none-match", "\"x\"")]), 200, Some("10")),
            (map(&[("if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT")]), 304, None),
            (map(&[("if-modified-since", "Wed, 31 Dec 2025 00:00:00 GMT")]), 200, Some("10")),
            // If-None-Match decides alone.
            (
                map(&[
                    ("if-none-match", "\"x\""),
                    ("if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT"),
                ]),
                200,
                Some("10"),
            ),
        ] {
            let response = from_stored(&object(), &Method::GET, &asked, false);
            assert_eq!(response.status(), status, "{asked:?}");
            assert_eq!(text(response.headers(), &CONTENT_LENGTH), length, "{asked:?}");
        }
        let head = from_stored(&object(), &Method::HEAD, &map(&[("range", "bytes=2-4")]), true);
        assert_eq!(head.status(), 200);
        assert!(head.headers().contains_key(AGE));
    }

    fn cors(origins: &[&str]) -> HeadersPolicy {
        HeadersPolicy {
            cors: Some(Cors {
                origins: origins.iter().map(|&name| name.to_owned()).collect(),
                methods: vec!["GET".to_owned(), "HEAD".to_owned()],
                headers: vec!["Range".to_owned()],
                exposed: vec!["ETag".to_owned()],
                max_age: Some(60),
                overrides: true,
                ..Cors::default()
            }),
            ..HeadersPolicy::default()
        }
    }

    #[test]
    fn cors_names_only_allowed_origins() {
        let listed = cors(&["https://page.example", "https://*.team.example"]);
        for (origin, expected) in [
            ("https://page.example", true),
            ("https://a.team.example", true),
            ("https://evil.example", false),
            ("null", false),
        ] {
            let mut headers = HeaderMap::new();
            apply_policy(&mut headers, &listed, &map(&[("origin", origin)]), false);
            assert_eq!(text(&headers, &ALLOW_ORIGIN), expected.then_some(origin));
            assert_eq!(headers[VARY], "Origin");
            assert!(!headers.contains_key("access-control-allow-methods"));
        }
        let mut headers = HeaderMap::new();
        apply_policy(&mut headers, &cors(&["*"]), &map(&[("origin", "https://x")]), true);
        assert_eq!(headers[ALLOW_ORIGIN], "*");
        assert_eq!(headers["access-control-allow-methods"], "GET, HEAD");
        assert_eq!(headers["access-control-max-age"], "60");
        let mut headers = HeaderMap::new();
        apply_policy(&mut headers, &cors(&["*"]), &HeaderMap::new(), false);
        assert!(headers.is_empty(), "no Origin, no CORS");
    }

    #[test]
    fn added_headers_respect_override() {
        let added = |name: &str, overrides| AddedHeader {
            name: name.to_owned(),
            value: "policy".to_owned(),
            overrides,
        };
        let policy = HeadersPolicy {
            added: vec![added("x-a", true), added("x-b", false), added("x-c", false)],
            removed: vec!["server".to_owned()],
            ..HeadersPolicy::default()
        };
        let mut headers = map(&[("x-a", "origin"), ("x-b", "origin"), ("server", "S3")]);
        apply_policy(&mut headers, &policy, &HeaderMap::new(), false);
        assert_eq!(headers["x-a"], "policy");
        assert_eq!(headers["x-b"], "origin");
        assert_eq!(headers["x-c"], "policy");
        assert!(!headers.contains_key(SERVER));
    }
}
