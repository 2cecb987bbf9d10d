//! One request from the viewer to the answer: checks, behaviour, gate, cache, origin.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{CONTENT_LENGTH, COOKIE, HOST, ORIGIN, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::mpsc::UnboundedSender;

use crate::cache::{Cache, Stored, lifetime};
use crate::config::Settings;
use crate::distribution::{Behaviour, Distribution, EdgeFunction, Origin, OriginKind};
use crate::engine::{Current, Engine, HttpClient};
use crate::function::{Failed, Interpreter, Outcome, Viewed};
use crate::gate::{self, Viewing, own_cookies, own_query};
use crate::hits::Hits;
use crate::origin::{self, Addresses, Asked};
use crate::path::is_unambiguous;
use crate::refusal::Refusal;
use crate::response::{apply_policy, from_stored, made, refused, stamp};
use crate::viewer::{self, Countries};

// CloudFront's own limits, answered with 413.
const LONGEST_URL: usize = 8_192;
const LONGEST_REQUEST: usize = 32_768;
// The HTTP API's limit.
const LONGEST_BODY: usize = 10 << 20;
// Larger objects pass through without being kept, in pieces.
const LARGEST_STORED: usize = 32 << 20;

/// What is logged about a request, and what tests watch. No query string, no cookie, no signature.
#[derive(Debug, Clone)]
pub struct Record {
    /// The method.
    pub method: Method,
    /// The path as received, but for tokens and grants in it.
    pub path: String,
    /// The status sent.
    pub status: StatusCode,
    /// The X-Cache value sent.
    pub cache: &'static str,
    /// Why it was refused, if the edge itself refused it.
    pub refusal: Option<Refusal>,
    /// The pattern of the behaviour that took it.
    pub behaviour: Option<String>,
}

/// The edge's state.
#[derive(Debug)]
pub struct Edge {
    current: Current,
    cache: Arc<Cache>,
    client: HttpClient,
    addresses: Addresses,
    hosts: Vec<String>,
    scheme: String,
    countries: Countries,
    hits: Hits,
    observer: Option<UnboundedSender<Record>>,
}

struct Served {
    response: Response<Body>,
    hit: bool,
}

impl Edge {
    /// An edge that follows the engine's distribution.
    pub async fn following(settings: Settings) -> Arc<Self> {
        let client = client();
        let cache = Arc::new(Cache::new(settings.cache_bytes));
        let current =
            Engine::new(client.clone(), settings.clone()).follow(Arc::clone(&cache)).await;
        Arc::new(Self::with(settings, current, cache, client, None))
    }

    /// An edge with a distribution given by hand and somebody watching, for tests.
    pub fn watched(
        settings: Settings,
        current: Current,
        observer: UnboundedSender<Record>,
    ) -> Arc<Self> {
        let cache = Arc::new(Cache::new(settings.cache_bytes));
        Arc::new(Self::with(settings, current, cache, client(), Some(observer)))
    }

    fn with(
        settings: Settings,
        current: Current,
        cache: Arc<Cache>,
        client: HttpClient,
        observer: Option<UnboundedSender<Record>>,
    ) -> Self {
        let addresses = Addresses {
            engine: settings.engine,
            api: settings.api_origin,
            api_host: settings.api_host,
        };
        let (hosts, scheme, countries) = (settings.hosts, settings.scheme, settings.countries);
        let hits = Hits::default();
        Self { current, cache, client, addresses, hosts, scheme, countries, hits, observer }
    }

    /// The HTTP service. Everything is one handler: the distribution decides about paths, not a router.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new().fallback(handle).with_state(self)
    }

    /// What a second listener tells whoever runs the edge: hit rates by behaviour, as JSON. Viewers can't reach it.
    pub fn status(self: Arc<Self>) -> Router {
        Router::new().fallback(async move || axum::Json(self.hits.counts()))
    }

    /// The counts of each behaviour.
    pub fn hits(&self) -> &Hits {
        &self.hits
    }

    async fn answer(&self, request: Request<Body>, viewer: IpAddr) -> Response<Body> {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let distribution = self.current.borrow().clone();
        let behaviour = distribution
            .as_deref()
            .filter(|_| is_unambiguous(&path))
            .and_then(|known| known.behaviour(&path));
        let outcome = match &distribution {
            Some(known) => self.serve(known, behaviour, parts, body, viewer).await,
            None => Err(Refusal::NoConfiguration),
        };
        let (mut response, hit, refusal) = match outcome {
            Ok(served) => (served.response, served.hit, None),
            Err(refusal) => (refused(refusal), false, Some(refusal)),
        };
        let cache = stamp(&mut response, hit);
        let status = response.status();
        let pattern = behaviour.map(|known| known.pattern.as_str());
        self.hits.add(pattern, hit, status.is_client_error() || status.is_server_error());
        let record = Record {
            method,
            path: without_secrets(&path),
            status: response.status(),
            cache,
            refusal,
            behaviour: behaviour.map(|known| known.pattern.clone()),
        };
        tracing::info!(
            method = %record.method,
            path = record.path,
            status = record.status.as_u16(),
            cache = record.cache,
            refusal = record.refusal.map(tracing::field::display),
            behaviour = record.behaviour,
            viewer = %viewer,
            milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
        if let Some(observer) = &self.observer {
            let _ = observer.send(record);
        }
        response
    }

    async fn serve(
        &self,
        distribution: &Distribution,
        behaviour: Option<&Behaviour>,
        mut parts: Parts,
        body: Body,
        viewer: IpAddr,
    ) -> Result<Served, Refusal> {
        let host = self.check_request(&parts)?;
        let country = self.countries.of(&parts.headers);
        if !distribution.restriction.admits(country.as_deref()) {
            return Err(Refusal::CountryRestricted);
        }
        // A path without a behaviour is one with a second reading.
        let behaviour = behaviour.ok_or(Refusal::AmbiguousPath)?;
        let origin =
            distribution.origins.get(&behaviour.origin).ok_or(Refusal::OriginUnreachable)?;

        if !behaviour.methods.iter().any(|known| known == parts.method.as_str()) {
            return Err(Refusal::MethodNotAllowed);
        }
        let bucket = origin.kind == OriginKind::Bucket;
        if is_preflight(&parts) && bucket && behaviour.headers.cors.is_some() {
            return Ok(preflight(behaviour, &parts.headers));
        }
        let reading = matches!(parts.method, Method::GET | Method::HEAD);
        // The engine's data plane would hand out the object for any method.
        if bucket && !reading {
            return Err(Refusal::MethodNotAllowed);
        }
        if reading && has_body(&parts.headers) {
            return Err(Refusal::BodyNotAllowed);
        }

        if let Some(keys) = &behaviour.keys {
            let cookies = joined_cookies(&parts.headers);
            gate::check(
                keys,
                &Viewing {
                    scheme: &self.scheme,
                    host: &host,
                    path: parts.uri.path(),
                    query: parts.uri.query(),
                    cookies: &cookies,
                    viewer,
                    now: SystemTime::now()
                        .duration_since(UNIX_EPOCH)
                        .map_or(0, |time| time.as_secs()),
                },
            )?;
        }

        viewer::introduce(&mut parts.headers, behaviour, country.as_deref());
        let (mut path, mut query) =
            (parts.uri.path().to_owned(), parts.uri.query().map(str::to_owned));
        if let Some(function) = &behaviour.function {
            match self.run(distribution, behaviour, function, &parts, viewer).await? {
                Outcome::Request { uri, query: rest } => (path, query) = (uri, rest),
                Outcome::Response { status, headers, body } => {
                    let response = made(status, &headers, body).ok_or(Refusal::FunctionFailed)?;
                    return Ok(Served { response, hit: false });
                }
            }
            if !is_unambiguous(&path) {
                return Err(Refusal::FunctionFailed);
            }
        }
        if let ("/", Some(name)) = (path.as_str(), &distribution.default_root_object) {
            path = format!("/{name}");
        }
        let body = if reading {
            Bytes::new()
        } else {
            Limited::new(body, LONGEST_BODY)
                .collect()
                .await
                .map_err(|_| Refusal::BodyTooLarge)?
                .to_bytes()
        };
        let asked =
            Asked { method: parts.method, path, query, headers: parts.headers, body, viewer };
        let mut served = if reading && behaviour.cache.maximum > 0 {
            self.through_cache(distribution, behaviour, origin, &asked).await?
        } else {
            self.passed_on(distribution, behaviour, origin, &asked).await?
        };
        let preflight = asked.method == Method::OPTIONS;
        apply_policy(served.response.headers_mut(), &behaviour.headers, &asked.headers, preflight);
        Ok(served)
    }

    /// Lets the behaviour's function look at the request, without what is CloudFront's own.
    async fn run(
        &self,
        distribution: &Distribution,
        behaviour: &Behaviour,
        function: &Arc<EdgeFunction>,
        parts: &Parts,
        viewer: IpAddr,
    ) -> Result<Outcome, Refusal> {
        let signed = behaviour.keys.is_some();
        let query = parts.uri.query().unwrap_or_default();
        let query = if signed { own_query(query) } else { Some(query.to_owned()) };
        let cookies = joined_cookies(&parts.headers);
        let cookies = if signed { own_cookies(&cookies) } else { Some(cookies) };
        let (domain, id) = (distribution.domain.clone(), distribution.id.clone());
        let (method, uri) = (parts.method.clone(), parts.uri.path().to_owned());
        let (headers, function) = (parts.headers.clone(), Arc::clone(function));
        // The function may wait for its store, so it runs where waiting is allowed.
        let ran = tokio::task::spawn_blocking(move || {
            let (query, cookies) = (query.unwrap_or_default(), cookies.unwrap_or_default());
            let pairs = |text: &'_ str, separator: char| {
                let parts = text.split(separator).map(str::trim).filter(|part| !part.is_empty());
                let pair = |part: &str| {
                    part.split_once('=')
                        .map_or((part.to_owned(), String::new()), |(name, value)| {
                            (name.to_owned(), value.to_owned())
                        })
                };
                parts.map(pair).collect::<Vec<_>>()
            };
            let (query, cookies) = (pairs(&query, '&'), pairs(&cookies, ';'));
            let viewed = Viewed {
                domain: &domain,
                distribution: &id,
                address: viewer.to_string(),
                method: method.as_str(),
                uri: &uri,
                query: borrowed(&query),
                headers: headers
                    .iter()
                    .filter(|(name, _)| *name != COOKIE)
                    .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
                    .collect(),
                cookies: borrowed(&cookies),
            };
            with_interpreter(&function, |interpreter| {
                interpreter.run(&viewed, function.store.clone(), milliseconds())
            })
        })
        .await
        .map_err(|_| Refusal::FunctionFailed)?;
        ran.map_err(|error| {
            tracing::warn!(%error, function = function_name(behaviour), "function failed");
            Refusal::FunctionFailed
        })
    }

    /// The checks that need no distribution; returns the Host.
    fn check_request(&self, parts: &Parts) -> Result<String, Refusal> {
        let size: usize =
            parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
        if target > LONGEST_URL || size + target > LONGEST_REQUEST {
            return Err(Refusal::RequestTooLong);
        }
        if !["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
            .contains(&parts.method.as_str())
        {
            return Err(Refusal::MethodUnknown);
        }
        if !is_unambiguous(parts.uri.path()) {
            return Err(Refusal::AmbiguousPath);
        }
        // One name, wherever it is said: in the request line, in the header, or in both alike.
        let mut names = parts.headers.get_all(HOST).iter();
        let (header, more) = (names.next(), names.next());
        let header = header.and_then(|value| value.to_str().ok());
        let line = parts.uri.authority().map(|authority| authority.as_str());
        let host = match (line, header) {
            _ if more.is_some() => return Err(Refusal::UnknownHost),
            (Some(line), Some(header)) if !line.eq_ignore_ascii_case(header) => {
                return Err(Refusal::UnknownHost);
            }
            (_, Some(name)) => name.to_ascii_lowercase(),
            (Some(name), None) if parts.version == Version::HTTP_10 => name.to_ascii_lowercase(),
            _ => return Err(Refusal::UnknownHost),
        };
        let known = self.hosts.is_empty() || self.hosts.contains(&host);
        let plain = host.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']')
        });
        if !known || !plain || host.is_empty() {
            return Err(Refusal::UnknownHost);
        }
        Ok(host)
    }

    async fn through_cache(
        &self,
        distribution: &Distribution,
        behaviour: &Behaviour,
        origin: &Origin,
        asked: &Asked,
    ) -> Result<Served, Refusal> {
        let key = asked.cache_key(behaviour, origin);
        if let Some(stored) = self.cache.get(&key, Instant::now()) {
            let response = from_stored(&stored, &asked.method, &asked.headers, true);
            return Ok(Served { response, hit: true });
        }
        let answer = self.fetch(distribution, behaviour, origin, asked, true).await?;
        if asked.method == Method::HEAD {
            return Ok(Served { response: answer, hit: false });
        }
        let announced = answer
            .headers()
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<usize>().ok());
        if announced.is_none_or(|size| size > LARGEST_STORED) {
            // Too large (or of unknown size): nothing is kept, and the origin itself answers ranges and conditions.
            if origin::CONDITIONS.iter().any(|&name| asked.headers.contains_key(name)) {
                return self.passed_on(distribution, behaviour, origin, asked).await;
            }
            return Ok(Served { response: answer, hit: false });
        }
        let (parts, body) = answer.into_parts();
        let wait = Duration::from_secs(origin.read_timeout);
        let body = tokio::time::timeout(wait, Limited::new(body, LARGEST_STORED).collect())
            .await
            .map_err(|_| Refusal::OriginTimeout)?
            .map_err(|_| Refusal::OriginUnreachable)?
            .to_bytes();
        let mut stored = Stored {
            status: parts.status,
            headers: parts.headers,
            body,
            since: Instant::now(),
            lifetime: Duration::ZERO,
        };
        let response = from_stored(&stored, &asked.method, &asked.headers, false);
        if let Some(time) = lifetime(&behaviour.cache, stored.status, &stored.headers) {
            stored.lifetime = time;
            self.cache.put(key, Arc::new(stored));
        }
        Ok(Served { response, hit: false })
    }

    async fn passed_on(
        &self,
        distribution: &Distribution,
        behaviour: &Behaviour,
        origin: &Origin,
        asked: &Asked,
    ) -> Result<Served, Refusal> {
        let response = self.fetch(distribution, behaviour, origin, asked, false).await?;
        Ok(Served { response, hit: false })
    }

    async fn fetch(
        &self,
        distribution: &Distribution,
        behaviour: &Behaviour,
        origin: &Origin,
        asked: &Asked,
        whole: bool,
    ) -> Result<Response<Body>, Refusal> {
        let domain = &distribution.domain;
        origin::fetch(&self.client, &self.addresses, domain, behaviour, origin, asked, whole).await
    }
}

thread_local! {
    /// The function that this thread ran last, compiled.
    static COMPILED: RefCell<Option<(String, Interpreter)>> = const { RefCell::new(None) };
}

fn with_interpreter<T>(
    function: &EdgeFunction,
    run: impl FnOnce(&Interpreter) -> Result<T, Failed>,
) -> Result<T, Failed> {
    COMPILED.with_borrow_mut(|compiled| {
        if compiled.as_ref().is_none_or(|(version, _)| *version != function.version) {
            // The old one goes first: two engines on one thread is more than is needed.
            *compiled = None;
            *compiled = Some((function.version.clone(), Interpreter::new(&function.code)?));
        }
        compiled.as_ref().map_or(Err(Failed::NoAnswer), |(_, interpreter)| run(interpreter))
    })
}

fn function_name(behaviour: &Behaviour) -> &str {
    behaviour.function.as_ref().map_or("", |function| &function.version)
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// A path for the log: who reads that could play with a token, and learn whose a grant is.
fn without_secrets(path: &str) -> String {
    let hidden = |start: &str| {
        let (_, rest) = path.strip_prefix(start)?.split_once('/').unwrap_or_default();
        Some(format!("{start}\u{2026}/{rest}"))
    };
    hidden("/~").or_else(|| hidden("/q/")).unwrap_or_else(|| path.to_owned())
}

async fn handle(
    State(edge): State<Arc<Edge>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response<Body> {
    edge.answer(request, peer.ip().to_canonical()).await
}

fn client() -> HttpClient {
    // A short idle time: the engine closes quiet connections itself, and a race with that looks like a dead origin.
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(1))
        .build_http()
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
        || headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
}

fn joined_cookies(headers: &HeaderMap) -> String {
    let all: Vec<&str> =
        headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).collect();
    all.join("; ")
}

fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS
        && parts.headers.contains_key(ORIGIN)
        && parts.headers.contains_key("access-control-request-method")
}

/// Preflights carry no cookies, so they pass without a signature, and hold nothing of the object. On AWS the bucket's
/// CORS rules decide first; the engine's data plane does not know OPTIONS, so here the headers policy decides alone.
fn preflight(behaviour: &Behaviour, asked: &HeaderMap) -> Served {
    let mut response = Response::new(Body::empty());
    apply_policy(response.headers_mut(), &behaviour.headers, asked, true);
    Served { response, hit: false }
}
