//! Requests to the two origins, and what of a viewer's request they get to see.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT, VIA,
};
use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderValue, Method, Request, Response, Uri};
use bytes::Bytes;

use crate::distribution::{Behaviour, Origin, OriginKind, Selection};
use crate::engine::HttpClient;
use crate::gate::{own_cookies, own_query};
use crate::refusal::Refusal;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// Headers that CloudFront forwards whatever the policies say, and that an edge answering from whole objects keeps back.
pub const CONDITIONS: [&str; 6] =
    ["range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];

/// A viewer's request after the gate.
#[derive(Debug)]
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// The one reading of its path, the default root object put in.
    pub path: String,
    /// Its query as received.
    pub query: Option<String>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
    /// The TCP peer.
    pub viewer: IpAddr,
}

/// Where requests of each kind go on this machine.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The engine, for buckets.
    pub engine: Authority,
    /// The HTTP API.
    pub api: Authority,
    /// The Host header for the HTTP API.
    pub api_host: String,
}

impl Asked {
    fn cookies(&self) -> String {
        let all: Vec<&str> =
            self.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).collect();
        all.join("; ")
    }

    /// The query, cookies and headers a selection names, as one text for the cache key.
    pub fn cache_key(&self, behaviour: &Behaviour, origin: &Origin) -> String {
        let mut key = format!("{}{}{}", origin.domain, origin.path, self.path);
        let wanted = &behaviour.cache.key;
        if let Some(query) =
            self.chosen_query(behaviour, |name| wanted.queries.includes(name, false))
        {
            let _ = write!(key, "?{query}");
        }
        if let Some(cookies) = self.chosen_cookies(|name| wanted.cookies.includes(name, false)) {
            let _ = write!(key, "\ncookie: {cookies}");
        }
        if let Selection::Only(names) = &wanted.headers {
            for name in names.iter().filter(|name| !name.eq_ignore_ascii_case("cookie")) {
                for value in self.headers.get_all(name) {
                    let _ = write!(key, "\n{}: {value:?}", name.to_ascii_lowercase());
                }
            }
        }
        key
    }

    fn chosen_query(&self, behaviour: &Behaviour, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let query = self.query.as_deref()?;
        // The signature is CloudFront's business: the origin never sees it, and it never splits the cache.
        let query = if behaviour.keys.is_some() { own_query(query)? } else { query.to_owned() };
        let parts: Vec<&str> = query
            .split('&')
            .filter(|part| wanted(part.split_once('=').map_or(*part, |(name, _)| name)))
            .collect();
        (!parts.is_empty()).then(|| parts.join("&"))
    }

    fn chosen_cookies(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let own = own_cookies(&self.cookies())?;
        let parts: Vec<&str> = own
            .split("; ")
            .filter(|part| wanted(part.split_once('=').map_or(*part, |(name, _)| name)))
            .collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// Sends a request to its origin. `whole` keeps ranges and conditions back, for an answer that can be cached.
pub async fn fetch(
    client: &HttpClient,
    addresses: &Addresses,
    domain: &str,
    behaviour: &Behaviour,
    origin: &Origin,
    asked: &Asked,
    whole: bool,
) -> Result<Response<Body>, Refusal> {
    // Only what may be repeated is: the client's pool may hold a connection that the other side has just closed.
    let tries = if matches!(asked.method, Method::GET | Method::HEAD) { 2 } else { 1 };
    let mut outcome = Err(Refusal::OriginUnreachable);
    for _ in 0..tries {
        let request = match origin.kind {
            OriginKind::Bucket => bucket_request(addresses, domain, asked, whole),
            OriginKind::Custom => custom_request(addresses, behaviour, origin, asked, whole),
        }
        .ok_or(Refusal::OriginUnreachable)?;
        let wait = Duration::from_secs(origin.read_timeout);
        outcome = match tokio::time::timeout(wait, client.request(request)).await {
            Err(_) => Err(Refusal::OriginTimeout),
            Ok(Err(_)) => Err(Refusal::OriginUnreachable),
            Ok(Ok(mut answer)) => {
                remove_connection_headers(answer.headers_mut());
                Ok(answer.map(Body::new))
            }
        };
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// A bucket is fetched through the engine's own CloudFront data plane, addressed by the distribution's domain name: it
/// puts the OriginPath before the key and lets the real bucket policy decide about cloudfront.amazonaws.com with this
/// distribution's ARN, which is what OAC does. It verifies no viewer signature and needs none, so this side must never
/// be reachable for viewers; the engine listens on 127.0.0.1 only.
fn bucket_request(
    addresses: &Addresses,
    domain: &str,
    asked: &Asked,
    whole: bool,
) -> Option<Request<Body>> {
    // No query: an object is named by its path alone, and `versionId` or `partNumber` are not for viewers.
    let mut request = addressed(&addresses.engine, &asked.path, None, asked.method.clone())?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(domain).ok()?);
    headers.insert(USER_AGENT, HeaderValue::from_static("Amazon CloudFront"));
    // The edge stands for the TLS endpoint; without this the data plane would redirect to https.
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
    if !whole {
        for name in CONDITIONS {
            if let Some(value) = asked.headers.get(name) {
                headers.insert(name, value.clone());
            }
        }
    }
    Some(request)
}

fn custom_request(
    addresses: &Addresses,
    behaviour: &Behaviour,
    origin: &Origin,
    asked: &Asked,
    whole: bool,
) -> Option<Request<Body>> {
    let (key, more) = (&behaviour.cache.key, &behaviour.forward);
    let header = |name: &str| key.headers.includes(name, true) || more.headers.includes(name, true);
    let query = asked.chosen_query(behaviour, |name| {
        key.queries.includes(name, false) || more.queries.includes(name, false)
    });
    let cookies = asked.chosen_cookies(|name| {
        key.cookies.includes(name, false) || more.cookies.includes(name, false)
    });

    let path = format!("{}{}", origin.path, asked.path);
    let mut request = addressed(&addresses.api, &path, query.as_deref(), asked.method.clone())?;
    let headers = request.headers_mut();
    let named_by_connection: Vec<String> = asked
        .headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    for (name, value) in &asked.headers {
        let condition = CONDITIONS.contains(&name.as_str());
        let kept_back = is_connection_header(name)
            || named_by_connection.iter().any(|known| known == name.as_str())
            || [HOST, COOKIE, CONTENT_LENGTH, EXPECT, VIA, USER_AGENT].contains(name)
            || [FORWARDED_FOR, FORWARDED_PROTO, REAL_IP].contains(name)
            || (condition && whole)
            // A compressed answer in the cache would be served to viewers who cannot read it.
            || (*name == ACCEPT_ENCODING && whole);
        if !kept_back && (condition || header(name.as_str())) {
            headers.append(name, value.clone());
        }
    }
    let host = if header("host") {
        asked.headers.get(HOST).cloned()
    } else {
        HeaderValue::from_str(&addresses.api_host).ok()
    };
    headers.insert(HOST, host?);
    let agent = asked.headers.get(USER_AGENT).filter(|_| header("user-agent")).cloned();
    headers.insert(USER_AGENT, agent.unwrap_or(HeaderValue::from_static("Amazon CloudFront")));
    headers.insert(VIA, HeaderValue::from_static("1.1 edge.cloudfront.net (CloudFront)"));
    let mut chain: Vec<String> = asked
        .headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(str::to_owned)
        .collect();
    chain.push(asked.viewer.to_canonical().to_string());
    headers.insert(FORWARDED_FOR, HeaderValue::from_str(&chain.join(", ")).ok()?);
    if let Some(cookies) = cookies {
        headers.insert(COOKIE, HeaderValue::from_str(&cookies).ok()?);
    }
    for (name, value) in &origin.headers {
        headers.insert(
            HeaderName::from_bytes(name.as_bytes()).ok()?,
            HeaderValue::from_str(value).ok()?,
        );
    }
    if !asked.body.is_empty() {
        *request.body_mut() = Body::from(asked.body.clone());
    } else if matches!(asked.method, Method::POST | Method::PUT | Method::PATCH) {
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Some(request)
}

fn addressed(
    authority: &Authority,
    path: &str,
    query: Option<&str>,
    method: Method,
) -> Option<Request<Body>> {
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let uri = Uri::builder()
        .scheme("http")
        .authority(authority.clone())
        .path_and_query(PathAndQuery::try_from(target).ok()?)
        .build()
        .ok()?;
    Request::builder().method(method).uri(uri).body(Body::empty()).ok()
}

fn is_connection_header(name: &HeaderName) -> bool {
    [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, KEEP_ALIVE].contains(name)
        || name.as_str().starts_with("proxy-")
}

fn remove_connection_headers(headers: &mut HeaderMap) {
    let names: Vec<HeaderName> =
        headers.keys().filter(|name| is_connection_header(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
    // The engine's data plane says what CloudFront says; the edge says it itself.
    for name in ["x-cache", "via", "x-amz-cf-id", "x-amz-cf-pop"] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::{CachePolicy, Forward, HeadersPolicy};
    use crate::gate::Keys;

    fn behaviour(headers: Selection) -> Behaviour {
        Behaviour {
            pattern: "*".to_owned(),
            origin: "api".to_owned(),
            methods: Vec::new(),
            keys: None,
            cache: CachePolicy::default(),
            forward: Forward { headers, cookies: Selection::All, queries: Selection::All },
            headers: HeadersPolicy::default(),
            function: None,
        }
    }

    fn origin() -> Origin {
        Origin {
            kind: OriginKind::Custom,
            domain: "api.example".to_owned(),
            path: "/stage".to_owned(),
            headers: vec![("X-Edge".to_owned(), "yes".to_owned())],
            read_timeout: 30,
        }
    }

    fn asked(headers: &[(&'static str, &'static str)]) -> Asked {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        Asked {
            method: Method::GET,
            path: "/v1/health".to_owned(),
            query: Some("grant=a%2Fb&Policy=x".to_owned()),
            headers: map,
            body: Bytes::new(),
            viewer: IpAddr::from([192, 0, 2, 9]),
        }
    }

    fn addresses() -> Addresses {
        Addresses {
            engine: Authority::from_static("127.0.0.1:1"),
            api: Authority::from_static("127.0.0.1:2"),
            api_host: "api.example".to_owned(),
        }
    }

    #[test]
    fn the_api_sees_what_the_policy_says_and_another_host() {
        let asked = asked(&[
            ("host", "edge"),
            ("authorization", "Bearer t"),
            ("connection", "x-hop, keep-alive"),
            ("x-hop", "1"),
            ("x-forwarded-for", "203.0.113.5"),
            ("x-forwarded-proto", "https"),
            ("cookie", "a=1; CloudFront-Policy=secret"),
            ("user-agent", "player"),
        ]);
        let all_but_host = behaviour(Selection::Except(vec!["Host".to_owned()]));
        let request =
            custom_request(&addresses(), &all_but_host, &origin(), &asked, false).unwrap();
        assert_eq!(request.uri(), "http://127.0.0.1:2/stage/v1/health?grant=a%2Fb&Policy=x");
        let get = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(get("host"), Some("api.example"));
        assert_eq!(get("authorization"), Some("Bearer t"));
        assert_eq!(get("x-forwarded-for"), Some("203.0.113.5, 192.0.2.9"));
        assert_eq!(get("x-forwarded-proto"), None);
        assert_eq!(get("x-hop"), None);
        assert_eq!(get("cookie"), Some("a=1"));
        assert_eq!(get("user-agent"), Some("player"));
        assert_eq!(get("x-edge"), Some("yes"));

        let nothing = behaviour(Selection::None);
        let request = custom_request(&addresses(), &nothing, &origin(), &asked, false).unwrap();
        assert!(request.headers().get("authorization").is_none());
        assert_eq!(request.headers()["user-agent"], "Amazon CloudFront");
    }

    #[test]
    fn signatures_split_no_cache_and_other_parameters_do_when_the_policy_says_so() {
        let mut signed = behaviour(Selection::None);
        signed.keys = Some(Keys::new());
        signed.cache.key.queries = Selection::All;
        let mut one = asked(&[]);
        one.query = Some("size=1&Policy=a&Signature=b&Key-Pair-Id=c".to_owned());
        let mut other = asked(&[]);
        other.query = Some("size=1&Policy=d&Signature=e&Key-Pair-Id=c".to_owned());
        assert_eq!(one.cache_key(&signed, &origin()), other.cache_key(&signed, &origin()));
        other.query = Some("size=2&Policy=d&Signature=e&Key-Pair-Id=c".to_owned());
        assert_ne!(one.cache_key(&signed, &origin()), other.cache_key(&signed, &origin()));
        signed.cache.key.queries = Selection::None;
        assert_eq!(one.cache_key(&signed, &origin()), other.cache_key(&signed, &origin()));
    }

    #[test]
    fn buckets_get_no_query_and_the_distributions_name() {
        let asked = asked(&[("range", "bytes=0-1"), ("cookie", "a=1"), ("origin", "http://x")]);
        let request = bucket_request(&addresses(), "d1.cloudfront.net", &asked, false).unwrap();
        assert_eq!(request.uri(), "http://127.0.0.1:1/v1/health");
        assert_eq!(request.headers()["host"], "d1.cloudfront.net");
        assert_eq!(request.headers()["range"], "bytes=0-1");
        assert!(request.headers().get("cookie").is_none());
        assert!(request.headers().get("origin").is_none());
        let request = bucket_request(&addresses(), "d1.cloudfront.net", &asked, true).unwrap();
        assert!(request.headers().get("range").is_none());
    }
}
