//! Settings from the environment, read once. A missing or bad one stops start-up and is named.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::Uri;
use axum::http::uri::Authority;

use crate::viewer::{Countries, is_code};

/// Everything the edge is told from outside; the rest it reads from the distribution.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `EDGE_LISTEN`: where to serve.
    pub listen: SocketAddr,
    /// `EDGE_DISTRIBUTION`: the distribution's id.
    pub distribution: String,
    /// `AWS_ENDPOINT_URL`: the local engine.
    pub engine: Authority,
    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
    pub credentials: Credentials,
    /// `EDGE_API_ORIGIN`: where the HTTP API answers on this machine.
    pub api_origin: Authority,
    /// `EDGE_API_HOST`: the Host header for it, where it is not the one in `EDGE_API_ORIGIN`. CloudFront sends the
    /// origin's domain name; the engine serves the API under another.
    pub api_host: String,
    /// `EDGE_HOSTS`: the names the edge answers for; any when empty.
    pub hosts: Vec<String>,
    /// `EDGE_SCHEME`: the scheme viewers use, which signed resources are matched with. `https` behind a TLS proxy.
    pub scheme: String,
    /// `EDGE_REFRESH_SECONDS`: how often the configuration is read again.
    pub refresh: Duration,
    /// `EDGE_CACHE_MEGABYTES`: the most the cache holds.
    pub cache_bytes: usize,
    /// `EDGE_VIEWER_COUNTRY` and `EDGE_COUNTRY_HEADER`.
    pub countries: Countries,
    /// `EDGE_STATUS_LISTEN`: where to tell hit rates; nowhere when it is not set.
    pub status_listen: Option<SocketAddr>,
}

/// Credentials for the engine.
#[derive(Clone)]
pub struct Credentials {
    /// The access key id.
    pub id: String,
    /// The secret access key.
    pub secret: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Credentials").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A variable that stops start-up.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadSetting {
    /// It is not there.
    #[error("the environment variable {0} is missing")]
    Missing(&'static str),
    /// Its value cannot be used.
    #[error("the environment variable {0} is not {1}")]
    Invalid(&'static str, &'static str),
}

impl Settings {
    /// Reads the process's environment.
    pub fn from_environment() -> Result<Self, BadSetting> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads settings from any source.
    pub fn read(look_up: impl Fn(&str) -> Option<String>) -> Result<Self, BadSetting> {
        let optional = |name: &str| look_up(name).filter(|value| !value.is_empty());
        let required = |name: &'static str| optional(name).ok_or(BadSetting::Missing(name));
        let number = |name: &'static str, standard: u64| match optional(name) {
            None => Ok(standard),
            Some(text) => match text.parse() {
                Ok(value) if value > 0 => Ok(value),
                _ => Err(BadSetting::Invalid(name, "a positive whole number")),
            },
        };
        let address = |name: &'static str| {
            let uri: Option<Uri> = required(name)?.parse().ok();
            uri.filter(|uri| uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/"))
                .and_then(|uri| uri.into_parts().authority)
                .ok_or(BadSetting::Invalid(name, "an address like http://127.0.0.1:4566"))
        };
        let api = address("EDGE_API_ORIGIN")?;
        let distribution = required("EDGE_DISTRIBUTION")?;
        if !distribution.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(BadSetting::Invalid("EDGE_DISTRIBUTION", "a distribution id"));
        }
        let scheme = optional("EDGE_SCHEME").unwrap_or_else(|| "http".to_owned());
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err(BadSetting::Invalid("EDGE_SCHEME", "http or https"));
        }
        Ok(Self {
            listen: optional("EDGE_LISTEN")
                .unwrap_or_else(|| "127.0.0.1:8088".to_owned())
                .parse()
                .map_err(|_| BadSetting::Invalid("EDGE_LISTEN", "an address and a port"))?,
            distribution,
            engine: address("AWS_ENDPOINT_URL")?,
            credentials: Credentials {
                id: required("AWS_ACCESS_KEY_ID")?,
                secret: required("AWS_SECRET_ACCESS_KEY")?,
            },
            api_host: optional("EDGE_API_HOST").unwrap_or_else(|| api.to_string()),
            api_origin: on_this_machine(api),
            hosts: optional("EDGE_HOSTS")
                .map(|list| list.split(',').map(|name| name.trim().to_ascii_lowercase()).collect())
                .unwrap_or_default(),
            scheme,
            refresh: Duration::from_secs(number("EDGE_REFRESH_SECONDS", 3)?),
            cache_bytes: usize::try_from(number("EDGE_CACHE_MEGABYTES", 256)?)
                .ok()
                .and_then(|megabytes| megabytes.checked_mul(1 << 20))
                .ok_or(BadSetting::Invalid("EDGE_CACHE_MEGABYTES", "a size in memory"))?,
            countries: Countries {
                all: match optional("EDGE_VIEWER_COUNTRY") {
                    Some(code) if !is_code(&code) => {
                        return Err(BadSetting::Invalid("EDGE_VIEWER_COUNTRY", "a country's code"));
                    }
                    code => code,
                },
                header: optional("EDGE_COUNTRY_HEADER")
                    .map(|name| name.parse())
                    .transpose()
                    .map_err(|_| BadSetting::Invalid("EDGE_COUNTRY_HEADER", "a header's name"))?,
            },
            status_listen: optional("EDGE_STATUS_LISTEN")
                .map(|address| address.parse())
                .transpose()
                .map_err(|_| BadSetting::Invalid("EDGE_STATUS_LISTEN", "an address and a port"))?,
        })
    }
}

/// Names under .localhost mean this machine (RFC 6761), but not every resolver knows.
fn on_this_machine(address: Authority) -> Authority {
    if !address.host().to_ascii_lowercase().ends_with(".localhost") {
        return address;
    }
    let port = address.port_u16().unwrap_or(80);
    Authority::try_from(format!("127.0.0.1:{port}")).unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        ("EDGE_DISTRIBUTION", "E1ABC"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
        ("EDGE_API_ORIGIN", "http://127.0.0.1:4566/"),
    ];

    fn read(changes: &[(&str, &str)]) -> Result<Settings, BadSetting> {
        Settings::read(|name| {
            changes
                .iter()
                .chain(&GOOD)
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults_fill_what_may_be_left_out() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8088");
        assert_eq!(settings.scheme, "http");
        assert!(settings.hosts.is_empty());
        assert!(!format!("{settings:?}").contains("hush"), "secrets stay out of debug output");
    }

    #[test]
    fn the_api_may_have_a_name_under_localhost() {
        let settings =
            read(&[("EDGE_API_ORIGIN", "http://abc.execute-api.localhost:4566")]).unwrap();
        assert_eq!(settings.api_origin, "127.0.0.1:4566");
        assert_eq!(settings.api_host, "abc.execute-api.localhost:4566");
        assert_eq!(read(&[("EDGE_API_HOST", "api.example")]).unwrap().api_host, "api.example");
    }

    #[test]
    fn what_is_missing_or_bad_is_named() {
        for (name, _) in GOOD {
            assert!(read(&[(name, "")]).unwrap_err().to_string().contains(name));
        }
        for (name, value) in [
            ("EDGE_LISTEN", "8088"),
            ("EDGE_DISTRIBUTION", "../x"),
            ("AWS_ENDPOINT_URL", "https://example.com"),
            ("EDGE_API_ORIGIN", "http://127.0.0.1/stage"),
            ("EDGE_SCHEME", "ftp"),
            ("EDGE_REFRESH_SECONDS", "0"),
            ("EDGE_CACHE_MEGABYTES", "much"),
            ("EDGE_VIEWER_COUNTRY", "de"),
            ("EDGE_COUNTRY_HEADER", "x y"),
            ("EDGE_STATUS_LISTEN", "8089"),
        ] {
            assert!(read(&[(name, value)]).unwrap_err().to_string().contains(name), "{name}");
        }
    }
}
