//! Reads the distribution from the engine through the CloudFront REST API, and again every few seconds.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{ETAG, HeaderMap};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::cache::Cache;
use crate::config::Settings;
use crate::distribution::{Distribution, EdgeFunction, References, Unusable};
use crate::function::KeyValueStore;
use crate::gate::Keys;
use crate::signature::PublicKey;
use crate::store::EngineStore;
use crate::xml::Element;

/// The plain HTTP client for the engine and the API: everything is on this machine.
pub type HttpClient = Client<HttpConnector, Body>;

/// The current distribution; `None` until one has been read.
pub type Current = watch::Receiver<Option<Arc<Distribution>>>;

const API: &str = "/2020-05-31";
// CloudFront is a global service whose requests are signed for this region, wherever the stack is.
const REGION: &str = "us-east-1";
const LONGEST_ANSWER: usize = 4 << 20;

/// Why the configuration could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The engine did not answer.
    #[error("the engine cannot be reached")]
    Unreachable,
    /// The engine said no.
    #[error("the engine answered {0} to {1}")]
    Status(StatusCode, String),
    /// The engine's answer makes no sense.
    #[error(transparent)]
    NotXml(#[from] crate::xml::NotXml),
    /// The distribution cannot be served.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

/// A reader of one distribution.
#[derive(Debug, Clone)]
pub struct Engine {
    client: HttpClient,
    settings: Settings,
}

impl Engine {
    /// A reader with these settings.
    pub fn new(client: HttpClient, settings: Settings) -> Self {
        Self { client, settings }
    }

    /// Reads once, then keeps reading in the background until the receiver is gone. What cannot be read leaves the last
    /// good configuration in place.
    pub async fn follow(self, cache: Arc<Cache>) -> Current {
        let (sender, receiver) = watch::channel(None);
        let mut known_invalidations = String::new();
        let mut last_trouble = self.refresh(&sender, &cache, &mut known_invalidations, None).await;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = sender.closed() => return,
                    () = tokio::time::sleep(self.settings.refresh) => {}
                }
                last_trouble =
                    self.refresh(&sender, &cache, &mut known_invalidations, last_trouble).await;
            }
        });
        receiver
    }

    async fn refresh(
        &self,
        sender: &watch::Sender<Option<Arc<Distribution>>>,
        cache: &Cache,
        known_invalidations: &mut String,
        last_trouble: Option<String>,
    ) -> Option<String> {
        match self.read().await {
            Ok((distribution, invalidations)) => {
                // Whatever its paths, an invalidation empties this cache: an object too many fetched again is no harm.
                if sender.borrow().is_some() && invalidations != *known_invalidations {
                    cache.clear();
                }
                *known_invalidations = invalidations;
                if last_trouble.is_some() || sender.borrow().is_none() {
                    tracing::info!(distribution = self.settings.distribution, "configuration read");
                }
                sender.send_replace(Some(Arc::new(distribution)));
                None
            }
            Err(error) => {
                let trouble = error.to_string();
                // Said once, not every few seconds.
                if last_trouble.as_ref() != Some(&trouble) {
                    tracing::warn!(error = trouble, "configuration not read");
                }
                Some(trouble)
            }
        }
    }

    async fn read(&self) -> Result<(Distribution, String), Unread> {
        let id = &self.settings.distribution;
        let document = self.get(&format!("distribution/{id}")).await?;
        let config = document
            .child("DistributionConfig")
            .ok_or_else(|| Unusable("is missing".to_owned()))?;
        let [caches, forwards, headers, groups, functions] = Distribution::references(config);
        let mut references = References::default();
        for id in caches {
            let found = self.get(&format!("cache-policy/{id}")).await?;
            references.cache_policies.insert(id, found);
        }
        for id in forwards {
            let found = self.get(&format!("origin-request-policy/{id}")).await?;
            references.origin_request_policies.insert(id, found);
        }
        for id in headers {
            let found = self.get(&format!("response-headers-policy/{id}")).await?;
            references.headers_policies.insert(id, found);
        }
        for id in groups {
            let keys = self.keys(&id).await?;
            references.key_groups.insert(id, keys);
        }
        for arn in functions {
            let function = self.function(&arn).await?;
            references.functions.insert(arn, Arc::new(function));
        }
        for origin in config.items("Origins") {
            if let Some(id) = origin.value("OriginAccessControlId") {
                self.check_access_control(id).await?;
            }
        }
        let invalidations = self.get(&format!("distribution/{id}/invalidation")).await?;
        let known = invalidations.items_here().iter().filter_map(|item| item.value("Id"));
        Ok((Distribution::read(&document, &references)?, known.collect::<Vec<_>>().join(" ")))
    }

    async fn keys(&self, group: &str) -> Result<Keys, Unread> {
        let document = self.get(&format!("key-group/{group}")).await?;
        let mut keys = Keys::new();
        let ids = document.child("KeyGroupConfig").map(|config| config.texts_here());
        for id in ids.unwrap_or_default() {
            let key = self.get(&format!("public-key/{id}")).await?;
            let pem = key
                .child("PublicKeyConfig")
                .and_then(|config| config.value("EncodedKey"))
                .unwrap_or_default();
            match PublicKey::from_pem(pem) {
                Ok(key) => {
                    keys.insert(id, key);
                }
                Err(error) => tracing::warn!(key = id, %error, "public key left out"),
            }
        }
        Ok(keys)
    }

    /// The engine's own data plane does not look at the control's settings; CloudFront would sign nothing with these.
    async fn check_access_control(&self, id: &str) -> Result<(), Unread> {
        let document = self.get(&format!("origin-access-control/{id}")).await?;
        let config = document.child("OriginAccessControlConfig").unwrap_or(&document);
        let signs = config.value("SigningProtocol") == Some("sigv4")
            && config.value("SigningBehavior") == Some("always")
            && config.value("OriginAccessControlOriginType") == Some("s3");
        if signs {
            return Ok(());
        }
        Err(Unusable(format!("has an origin access control {id} that does not sign for S3")).into())
    }

    /// What viewers meet: the published code, and the store that is associated with it.
    async fn function(&self, arn: &str) -> Result<EdgeFunction, Unread> {
        let odd = || Unusable(format!("names the odd function {arn}"));
        let (_, name) = arn.rsplit_once('/').ok_or_else(odd)?;
        let told = self.document(&format!("function/{name}/describe"), "Stage=LIVE").await?;
        let config = told.child("FunctionConfig").ok_or_else(odd)?;
        if config.value("Runtime") != Some("cloudfront-js-2.0") {
            return Err(Unusable(format!("has {arn} on a runtime that is not known here")).into());
        }
        let stores = config.items("KeyValueStoreAssociations").first();
        let store = stores.and_then(|store| store.value("KeyValueStoreARN")).map(|arn| {
            Arc::new(EngineStore::new(self.clone(), arn.to_owned())) as Arc<dyn KeyValueStore>
        });
        let path = path_of(&format!("function/{name}"))?;
        let code = self.answer("cloudfront", &path, "Stage=LIVE").await?;
        let version = code.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).unwrap_or("");
        Ok(EdgeFunction {
            version: format!("{arn} {version}"),
            code: String::from_utf8_lossy(code.body()).into_owned(),
            store,
        })
    }

    async fn get(&self, path: &str) -> Result<Element, Unread> {
        self.document(path, "").await
    }

    async fn document(&self, path: &str, query: &str) -> Result<Element, Unread> {
        let body = self.fetch("cloudfront", &path_of(path)?, query).await?;
        Ok(Element::parse(&String::from_utf8_lossy(&body))?)
    }

    /// The body of what a service answers to a GET.
    pub(crate) async fn fetch(
        &self,
        service: &str,
        path: &str,
        query: &str,
    ) -> Result<Bytes, Unread> {
        Ok(self.answer(service, path, query).await?.into_body())
    }

    async fn answer(
        &self,
        service: &str,
        path: &str,
        query: &str,
    ) -> Result<Response<Bytes>, Unread> {
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let uri = Uri::builder()
            .scheme("http")
            .authority(self.settings.engine.clone())
            .path_and_query(target)
            .build()
            .map_err(|_| Unread::Unreachable)?;
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri;
        *request.headers_mut() =
            self.signed_headers(service, path, query, OffsetDateTime::now_utc());
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|_| Unread::Unreachable)?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER)
                .collect()
                .await
                .map_err(|_| Unread::Unreachable)?
                .to_bytes();
            Ok::<_, Unread>(Response::from_parts(parts, body))
        };
        let answer = tokio::time::timeout(std::time::Duration::from_secs(10), exchange)
            .await
            .map_err(|_| Unread::Unreachable)??;
        if answer.status() != StatusCode::OK {
            return Err(Unread::Status(answer.status(), path.to_owned()));
        }
        Ok(answer)
    }

    /// Signature Version 4 for a GET without a body.
    fn signed_headers(
        &self,
        service: &str,
        path: &str,
        query: &str,
        now: OffsetDateTime,
    ) -> HeaderMap {
        let date = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
        let moment = format!("{date}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second());
        let nothing = hex::encode(Sha256::digest(b""));
        let host = self.settings.engine.as_str();
        let names = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "GET\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{nothing}\nx-amz-date:{moment}\n\n{names}\n{nothing}"
        );
        let scope = format!("{date}/{REGION}/{service}/aws4_request");
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}",
            hex::encode(Sha256::digest(canonical.as_bytes()))
        );
        let credentials = &self.settings.credentials;
        let key = [date.as_str(), REGION, service, "aws4_request"]
            .iter()
            .fold(format!("AWS4{}", credentials.secret).into_bytes(), |key, part| {
                keyed_hash(&key, part.as_bytes())
            });
        let signature = hex::encode(keyed_hash(&key, to_sign.as_bytes()));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            credentials.id
        );
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", host),
            ("x-amz-content-sha256", &nothing),
            ("x-amz-date", &moment),
            ("authorization", &authorization),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        headers
    }
}

/// Ids come from the engine's own documents; anything else would need escaping before signing.
fn path_of(id: &str) -> Result<String, Unread> {
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte)) {
        return Err(Unusable(format!("names the odd id {id}")).into());
    }
    Ok(format!("{API}/{id}"))
}

fn keyed_hash(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length, so this cannot fail.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}
