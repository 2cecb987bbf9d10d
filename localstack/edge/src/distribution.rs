//! The distribution as the edge needs it, read from the CloudFront API's XML.

use std::collections::HashMap;
use std::sync::Arc;

use crate::function::KeyValueStore;
use crate::gate::Keys;
use crate::pattern::path_matches;
use crate::viewer::Restriction;
use crate::xml::Element;

/// A deployed distribution with everything its behaviours refer to.
#[derive(Debug)]
pub struct Distribution {
    /// Its id.
    pub id: String,
    /// `<label>.cloudfront.net`.
    pub domain: String,
    /// The alternate domain names.
    pub aliases: Vec<String>,
    /// Served for `/`.
    pub default_root_object: Option<String>,
    /// Which countries are served.
    pub restriction: Restriction,
    /// By origin id.
    pub origins: HashMap<String, Origin>,
    /// In order; the default behaviour is the last one, with pattern `*`.
    pub behaviours: Vec<Behaviour>,
}

/// Where objects come from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// What kind of origin it is.
    pub kind: OriginKind,
    /// The configured domain name.
    pub domain: String,
    /// Put before the path.
    pub path: String,
    /// Headers CloudFront adds.
    pub headers: Vec<(String, String)>,
    /// Seconds to wait for an answer.
    pub read_timeout: u64,
}

/// The two kinds of origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginKind {
    /// A bucket.
    Bucket,
    /// Anything that speaks HTTP; here, the HTTP API.
    Custom,
}

/// One cache behaviour.
#[derive(Debug)]
pub struct Behaviour {
    /// Its path pattern.
    pub pattern: String,
    /// The origin it sends to.
    pub origin: String,
    /// Methods it lets through.
    pub methods: Vec<String>,
    /// `Some` when viewers need a signature, with the keys that may make it (perhaps none).
    pub keys: Option<Keys>,
    /// What is cached and for how long.
    pub cache: CachePolicy,
    /// What else the origin gets to see.
    pub forward: Forward,
    /// What is added to answers.
    pub headers: HeadersPolicy,
    /// What looks at viewers' requests after the gate.
    pub function: Option<Arc<EdgeFunction>>,
}

/// A published function (stage LIVE).
pub struct EdgeFunction {
    /// Its ARN and the ETag of what is published: what is compiled once for both stays good.
    pub version: String,
    /// Its code.
    pub code: String,
    /// The store it may read.
    pub store: Option<Arc<dyn KeyValueStore>>,
}

impl std::fmt::Debug for EdgeFunction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("EdgeFunction")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// A set of names, in the four ways policies write it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Selection {
    /// Nothing.
    #[default]
    None,
    /// Everything.
    All,
    /// These.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

/// Which headers, cookies and query parameters are meant.
#[derive(Debug, Clone, Default)]
pub struct Forward {
    /// Header names, in any case.
    pub headers: Selection,
    /// Cookie names.
    pub cookies: Selection,
    /// Query parameter names.
    pub queries: Selection,
}

/// A cache policy.
#[derive(Debug, Clone, Default)]
pub struct CachePolicy {
    /// Seconds an object stays at least.
    pub minimum: u64,
    /// Seconds it stays when the origin does not say.
    pub default: u64,
    /// Seconds it stays at most; 0 means no caching.
    pub maximum: u64,
    /// What is part of the key, and so goes to the origin too.
    pub key: Forward,
}

/// A header with its value; `overrides` says whether it replaces the origin's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedHeader {
    /// Lower-case name.
    pub name: String,
    /// Value.
    pub value: String,
    /// Whether it replaces the origin's.
    pub overrides: bool,
}

/// A response headers policy.
#[derive(Debug, Clone, Default)]
pub struct HeadersPolicy {
    /// Its CORS part.
    pub cors: Option<Cors>,
    /// Security and custom headers.
    pub added: Vec<AddedHeader>,
    /// Lower-case names of headers to take away.
    pub removed: Vec<String>,
}

/// The CORS part of a response headers policy.
#[derive(Debug, Clone, Default)]
pub struct Cors {
    /// Origins, `*` being a wildcard.
    pub origins: Vec<String>,
    /// Header names for preflights.
    pub headers: Vec<String>,
    /// Methods for preflights.
    pub methods: Vec<String>,
    /// Names scripts may read.
    pub exposed: Vec<String>,
    /// Whether cookies may be sent.
    pub credentials: bool,
    /// Preflight lifetime.
    pub max_age: Option<u64>,
    /// Whether it replaces the origin's.
    pub overrides: bool,
}

/// What a configuration lacks.
#[derive(Debug, thiserror::Error)]
#[error("the distribution's configuration {0}")]
pub struct Unusable(pub String);

/// The documents a distribution refers to, by id, as the API returned them.
#[derive(Debug, Default)]
pub struct References {
    /// Cache policies.
    pub cache_policies: HashMap<String, Element>,
    /// Origin request policies.
    pub origin_request_policies: HashMap<String, Element>,
    /// Response headers policies.
    pub headers_policies: HashMap<String, Element>,
    /// Key groups, each with its usable public keys.
    pub key_groups: HashMap<String, Keys>,
    /// Functions, by ARN.
    pub functions: HashMap<String, Arc<EdgeFunction>>,
}

impl Selection {
    /// Whether a name is in the set.
    pub fn includes(&self, name: &str, any_case: bool) -> bool {
        let listed = |names: &[String]| {
            names.iter().any(|known| {
                if any_case { known.eq_ignore_ascii_case(name) } else { known == name }
            })
        };
        match self {
            Self::None => false,
            Self::All => true,
            Self::Only(names) => listed(names),
            Self::Except(names) => !listed(names),
        }
    }

    fn read(behaviour: Option<&str>, names: Vec<String>) -> Self {
        match behaviour {
            Some("all" | "allViewer" | "allViewerAndWhitelistCloudFront") => Self::All,
            Some("whitelist") => Self::Only(names),
            Some("allExcept") => Self::Except(names),
            _ => Self::None,
        }
    }
}

impl Forward {
    fn read(element: &Element) -> Self {
        let part = |config: &str, behaviour: &str, list: &str| {
            element
                .child(config)
                .map(|part| Selection::read(part.value(behaviour), part.texts(list)))
                .unwrap_or_default()
        };
        Self {
            headers: part("HeadersConfig", "HeaderBehavior", "Headers"),
            cookies: part("CookiesConfig", "CookieBehavior", "Cookies"),
            queries: part("QueryStringsConfig", "QueryStringBehavior", "QueryStrings"),
        }
    }
}

impl CachePolicy {
    /// Reads a `CachePolicyConfig`.
    pub fn read(config: &Element) -> Self {
        Self {
            minimum: config.number("MinTTL").unwrap_or(0),
            default: config.number("DefaultTTL").unwrap_or(86_400),
            maximum: config.number("MaxTTL").unwrap_or(31_536_000),
            key: config
                .child("ParametersInCacheKeyAndForwardedToOrigin")
                .map(Forward::read)
                .unwrap_or_default(),
        }
    }
}

impl HeadersPolicy {
    /// Reads a `ResponseHeadersPolicyConfig`.
    pub fn read(config: &Element) -> Self {
        let cors = config.child("CorsConfig").map(|cors| Cors {
            origins: cors.texts("AccessControlAllowOrigins"),
            headers: cors.texts("AccessControlAllowHeaders"),
            methods: cors.texts("AccessControlAllowMethods"),
            exposed: cors.texts("AccessControlExposeHeaders"),
            credentials: cors.flag("AccessControlAllowCredentials"),
            max_age: cors.number("AccessControlMaxAgeSec"),
            overrides: cors.flag("OriginOverride"),
        });
        let mut added = Vec::new();
        if let Some(security) = config.child("SecurityHeadersConfig") {
            let mut add = |part: &str, name: &str, value: &dyn Fn(&Element) -> Option<String>| {
                if let Some(part) = security.child(part)
                    && let Some(value) = value(part)
                {
                    added.push(AddedHeader {
                        name: name.to_owned(),
                        value,
                        overrides: part.flag("Override"),
                    });
                }
            };
            let text =
                |member: &'static str| move |part: &Element| part.value(member).map(str::to_owned);
            add("ContentTypeOptions", "x-content-type-options", &|_| Some("nosniff".to_owned()));
            add("FrameOptions", "x-frame-options", &text("FrameOption"));
            add("ReferrerPolicy", "referrer-policy", &text("ReferrerPolicy"));
            add("ContentSecurityPolicy", "content-security-policy", &text("ContentSecurityPolicy"));
            add("StrictTransportSecurity", "strict-transport-security", &|part| {
                let mut value = format!("max-age={}", part.number("AccessControlMaxAgeSec")?);
                if part.flag("IncludeSubdomains") {
                    value.push_str("; includeSubDomains");
                }
                if part.flag("Preload") {
                    value.push_str("; preload");
                }
                Some(value)
            });
            add("XSSProtection", "x-xss-protection", &|part| {
                let mut value = if part.flag("Protection") { "1" } else { "0" }.to_owned();
                if part.flag("ModeBlock") {
                    value.push_str("; mode=block");
                }
                if let Some(report) = part.value("ReportUri") {
                    value.push_str("; report=");
                    value.push_str(report);
                }
                Some(value)
            });
        }
        for item in config.items("CustomHeadersConfig") {
            if let Some(name) = item.value("Header") {
                added.push(AddedHeader {
                    name: name.to_ascii_lowercase(),
                    value: item.value("Value").unwrap_or_default().to_owned(),
                    overrides: item.flag("Override"),
                });
            }
        }
        let removed = config
            .items("RemoveHeadersConfig")
            .iter()
            .filter_map(|item| item.value("Header"))
            .map(str::to_ascii_lowercase)
            .collect();
        Self { cors, added, removed }
    }
}

impl Distribution {
    /// What a distribution's configuration refers to: the ids of cache, origin request and response headers policies and
    /// of key groups, the ARNs of functions.
    pub fn references(config: &Element) -> [Vec<String>; 5] {
        let mut found: [Vec<String>; 5] = Default::default();
        for behaviour in behaviour_elements(config) {
            let names = ["CachePolicyId", "OriginRequestPolicyId", "ResponseHeadersPolicyId"];
            for (list, name) in found.iter_mut().zip(names) {
                list.extend(behaviour.value(name).map(str::to_owned));
            }
            found[3].extend(behaviour.texts("TrustedKeyGroups"));
            let functions = behaviour.items("FunctionAssociations").iter();
            found[4]
                .extend(functions.filter_map(|item| item.value("FunctionARN")).map(str::to_owned));
        }
        for list in &mut found {
            list.sort();
            list.dedup();
        }
        found
    }

    /// Puts a `Distribution` document and what it refers to together.
    pub fn read(document: &Element, references: &References) -> Result<Self, Unusable> {
        let config = document
            .child("DistributionConfig")
            .ok_or_else(|| Unusable("is missing".to_owned()))?;
        let origins: HashMap<_, _> = config
            .items("Origins")
            .iter()
            .filter_map(|item| Some((item.value("Id")?.to_owned(), Origin::read(item))))
            .collect();
        let behaviours = behaviour_elements(config)
            .map(|element| Behaviour::read(element, references))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(lost) = behaviours.iter().find(|known| !origins.contains_key(&known.origin)) {
            return Err(Unusable(format!("has no origin {}", lost.origin)));
        }
        if behaviours.last().is_none_or(|last| last.pattern != "*") {
            return Err(Unusable("has no default behaviour".to_owned()));
        }
        Ok(Self {
            id: document.value("Id").unwrap_or_default().to_owned(),
            domain: document.value("DomainName").unwrap_or_default().to_owned(),
            aliases: config.texts("Aliases"),
            default_root_object: config
                .value("DefaultRootObject")
                .map(|name| name.trim_start_matches('/').to_owned()),
            restriction: Restriction::read(config),
            origins,
            behaviours,
        })
    }

    /// The first behaviour whose pattern fits; the default one fits everything.
    pub fn behaviour(&self, path: &str) -> Option<&Behaviour> {
        self.behaviours.iter().find(|behaviour| path_matches(&behaviour.pattern, path))
    }
}

/// The behaviours in order, the default one last.
fn behaviour_elements(config: &Element) -> impl Iterator<Item = &Element> {
    config.items("CacheBehaviors").iter().chain(config.child("DefaultCacheBehavior"))
}

impl Origin {
    fn read(element: &Element) -> Self {
        let custom = element.child("CustomOriginConfig");
        Self {
            kind: if custom.is_some() { OriginKind::Custom } else { OriginKind::Bucket },
            domain: element.value("DomainName").unwrap_or_default().to_owned(),
            path: element.value("OriginPath").unwrap_or_default().trim_end_matches('/').to_owned(),
            headers: element
                .items("CustomHeaders")
                .iter()
                .filter_map(|item| {
                    Some((
                        item.value("HeaderName")?.to_owned(),
                        item.value("HeaderValue")?.to_owned(),
                    ))
                })
                .collect(),
            read_timeout: custom.and_then(|part| part.number("OriginReadTimeout")).unwrap_or(30),
        }
    }
}

impl Behaviour {
    fn read(element: &Element, references: &References) -> Result<Self, Unusable> {
        let pattern = match element.name.as_str() {
            "DefaultCacheBehavior" => "*",
            _ => element
                .value("PathPattern")
                .ok_or_else(|| Unusable("has a behaviour without a pattern".to_owned()))?,
        };
        let groups = element.texts("TrustedKeyGroups");
        let signed = |name| element.child(name).is_some_and(|part| part.flag("Enabled"));
        // Closed when in doubt: trusted signers (account keys, which nothing here can read) and an empty list of groups
        // both mean that a signature is needed and that none is good.
        let keys = if groups.is_empty() && !signed("TrustedKeyGroups") && !signed("TrustedSigners")
        {
            None
        } else {
            let mut keys = Keys::new();
            for group in groups {
                let known = references
                    .key_groups
                    .get(&group)
                    .ok_or_else(|| Unusable(format!("names the unknown key group {group}")))?;
                keys.extend(known.clone());
            }
            Some(keys)
        };
        let named = |name: &str, known: &HashMap<String, Element>, config: &str| {
            let Some(id) = element.value(name) else { return Ok(None) };
            known
                .get(id)
                .and_then(|document| document.child(config))
                .cloned()
                .map(Some)
                .ok_or_else(|| Unusable(format!("names the unknown {name} {id}")))
        };
        let cache = named("CachePolicyId", &references.cache_policies, "CachePolicyConfig")?;
        let forward = named(
            "OriginRequestPolicyId",
            &references.origin_request_policies,
            "OriginRequestPolicyConfig",
        )?;
        let headers = named(
            "ResponseHeadersPolicyId",
            &references.headers_policies,
            "ResponseHeadersPolicyConfig",
        )?;
        let mut function = None;
        for association in element.items("FunctionAssociations") {
            let arn = association.value("FunctionARN").unwrap_or_default();
            if association.value("EventType") != Some("viewer-request") {
                return Err(Unusable(format!("has {arn} on an event that is not known here")));
            }
            let known = references.functions.get(arn).cloned();
            function =
                Some(known.ok_or_else(|| Unusable(format!("names the unknown function {arn}")))?);
        }
        let mut methods = element.texts("AllowedMethods");
        if methods.is_empty() {
            methods = vec!["GET".to_owned(), "HEAD".to_owned()];
        }
        Ok(Self {
            pattern: pattern.to_owned(),
            origin: element.value("TargetOriginId").unwrap_or_default().to_owned(),
            methods,
            keys,
            // The legacy ForwardedValues have no place in the template: without a policy nothing is cached.
            cache: cache.as_ref().map(CachePolicy::read).unwrap_or_default(),
            forward: forward.as_ref().map(Forward::read).unwrap_or_default(),
            headers: headers.as_ref().map(HeadersPolicy::read).unwrap_or_default(),
            function,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(behaviours: &str) -> Element {
        Element::parse(&format!(
            "<Distribution><DomainName>d1.cloudfront.net</DomainName><DistributionConfig>\
             <DefaultRootObject>index.html</DefaultRootObject><Origins><Items><Origin><Id>media</Id>\
             <DomainName>b.s3.us-east-1.amazonaws.com</DomainName><OriginPath>/page</OriginPath><S3OriginConfig/></Origin>\
             </Items></Origins>{behaviours}</DistributionConfig></Distribution>"
        ))
        .unwrap()
    }

    const DEFAULT: &str =
        "<DefaultCacheBehavior><TargetOriginId>media</TargetOriginId></DefaultCacheBehavior>";

    #[test]
    fn behaviours_are_tried_in_order_and_the_default_last() {
        let behaviours = format!(
            "{DEFAULT}<CacheBehaviors><Items>\
             <CacheBehavior><PathPattern>/v/special/*</PathPattern><TargetOriginId>media</TargetOriginId></CacheBehavior>\
             <CacheBehavior><PathPattern>/v/*</PathPattern><TargetOriginId>media</TargetOriginId></CacheBehavior>\
             </Items></CacheBehaviors>"
        );
        let distribution =
            Distribution::read(&document(&behaviours), &References::default()).unwrap();
        let chosen = |path: &str| distribution.behaviour(path).unwrap().pattern.as_str();
        assert_eq!(chosen("/v/special/x"), "/v/special/*");
        assert_eq!(chosen("/v/x"), "/v/*");
        assert_eq!(chosen("/V/x"), "*");
        assert_eq!(distribution.default_root_object.as_deref(), Some("index.html"));
        assert_eq!(distribution.behaviour("/").unwrap().methods, ["GET", "HEAD"]);
    }

    #[test]
    fn a_behaviour_that_wants_signatures_never_opens_by_accident() {
        for part in [
            "<TrustedKeyGroups><Enabled>true</Enabled><Quantity>0</Quantity></TrustedKeyGroups>",
            "<TrustedSigners><Enabled>true</Enabled><Items><AwsAccountNumber>self</AwsAccountNumber></Items></TrustedSigners>",
        ] {
            let behaviours = format!(
                "<DefaultCacheBehavior><TargetOriginId>media</TargetOriginId>{part}</DefaultCacheBehavior>"
            );
            let distribution =
                Distribution::read(&document(&behaviours), &References::default()).unwrap();
            assert_eq!(distribution.behaviours[0].keys.as_ref().map(HashMap::len), Some(0));
        }
        let unknown = "<DefaultCacheBehavior><TargetOriginId>media</TargetOriginId><TrustedKeyGroups><Items>\
                       <KeyGroup>gone</KeyGroup></Items></TrustedKeyGroups></DefaultCacheBehavior>";
        assert!(Distribution::read(&document(unknown), &References::default()).is_err());
    }

    #[test]
    fn what_is_referred_to_must_exist() {
        let policy = "<DefaultCacheBehavior><TargetOriginId>media</TargetOriginId>\
                      <CachePolicyId>x</CachePolicyId></DefaultCacheBehavior>";
        let config = document(policy);
        assert_eq!(Distribution::references(config.child("DistributionConfig").unwrap())[0], ["x"]);
        assert!(Distribution::read(&config, &References::default()).is_err());
        let origin =
            "<DefaultCacheBehavior><TargetOriginId>other</TargetOriginId></DefaultCacheBehavior>";
        assert!(Distribution::read(&document(origin), &References::default()).is_err());
        assert!(Distribution::read(&document(""), &References::default()).is_err());
    }
}
