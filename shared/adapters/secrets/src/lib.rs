//! Secrets and settings, from Secrets Manager. Values never reach a log: errors name the secret.

mod hooks;
mod keyrings;

pub use keyrings::Keyrings;

use app::ports::{ChainSettings, PortError};
use aws_sdk_secretsmanager::Client;
use domain::account::ChainId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// Reads and makes secrets.
#[derive(Debug, Clone)]
pub struct Secrets {
    client: Client,
}

/// Where viewers come.
#[derive(Debug, Clone, Deserialize)]
pub struct Edge {
    /// As in `https://d1.cloudfront.net`.
    pub origin: String,
    /// What wallets sign in to, as in `d1.cloudfront.net`.
    pub signing_domain: String,
}

impl Secrets {
    /// With the credentials of `config`.
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// Where viewers come.
    ///
    /// # Errors
    /// When it can't be read or has another shape.
    pub async fn edge(&self, id: &str) -> Result<Edge, PortError> {
        self.read(id).await
    }

    /// The configured chains.
    ///
    /// # Errors
    /// When they can't be read, or an entry can't be: it is named by its place, not its content.
    pub async fn chains(&self, id: &str) -> Result<Vec<ChainSettings>, PortError> {
        let text = self.value(id).await?.ok_or_else(|| missing(id))?;
        read_chains(&text).map_err(|cause| {
            PortError::new("secretsmanager", format!("Chains (secret {id}){cause}"))
        })
    }

    async fn read<T: DeserializeOwned>(&self, id: &str) -> Result<T, PortError> {
        let text = self.value(id).await?.ok_or_else(|| missing(id))?;
        serde_json::from_str(&text).map_err(|_| shape(id))
    }

    async fn value(&self, id: &str) -> Result<Option<String>, PortError> {
        Ok(self.versioned(id).await?.map(|(text, _)| text))
    }

    /// A secret's current value and the name of its version.
    async fn versioned(&self, id: &str) -> Result<Option<(String, String)>, PortError> {
        match self.client.get_secret_value().secret_id(id).send().await {
            Ok(answer) => {
                let text = answer.secret_string.filter(|text| !text.is_empty());
                Ok(text.map(|text| (text, answer.version_id.unwrap_or_default())))
            }
            Err(error)
                if error.as_service_error().is_some_and(|error| {
                    // A secret without any version answers as if it were not there.
                    error.is_resource_not_found_exception()
                }) =>
            {
                Ok(None)
            }
            Err(error) => Err(adapter_aws::failed("secretsmanager", &error)),
        }
    }
}

/// How many providers a chain may have.
const MAX_PROVIDERS: usize = 5;
/// How many of them must agree unless an entry says otherwise.
const QUORUM: usize = 2;
/// How many blocks an entry may want on top of the one that is read.
const MAX_CONFIRMATIONS: u64 = 1000;

/// An entry of the list of chains.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainEntry {
    chain: ChainId,
    rpc: Vec<String>,
    quorum: Option<usize>,
    confirmations: Option<u64>,
}

/// The chains, or what is wrong with them, without quoting what may hold a key.
fn read_chains(text: &str) -> Result<Vec<ChainSettings>, String> {
    let example = r#"[{"chain":"eip155:1","rpc":["https://...","https://..."],"quorum":2}]"#;
    let entries: Vec<ChainEntry> =
        serde_json::from_str(text).map_err(|_| format!(" is not like {example}"))?;
    let mut chains: Vec<ChainSettings> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate() {
        let ChainEntry { chain, rpc, quorum, confirmations } = entry;
        let places: BTreeSet<_> = rpc.iter().map(|address| place(address)).collect();
        let (count, wanted) = (rpc.len(), quorum.unwrap_or(QUORUM));
        let trouble = if chains.iter().any(|other| other.chain == chain) {
            "is there twice".to_owned()
        } else if !(1..=MAX_PROVIDERS).contains(&count) {
            format!("needs 1 to {MAX_PROVIDERS} rpc addresses")
        } else if !rpc.iter().all(|address| is_http(address)) {
            "has an rpc address that is not http:// or https://".to_owned()
        } else if places.len() < count {
            "has the same rpc address twice, which would vote twice".to_owned()
        } else if wanted == 0 {
            "has a quorum of 0; at least one address must be believed".to_owned()
        } else if quorum.is_none() && count == 1 {
            r#"has a single address, which needs "quorum": 1 said explicitly"#.to_owned()
        } else if wanted > count {
            format!("has a quorum of {wanted}, and only {count} rpc addresses")
        } else if confirmations.is_some_and(|blocks| blocks > MAX_CONFIRMATIONS) {
            format!("has more than {MAX_CONFIRMATIONS} confirmations")
        } else if matches!(chain, ChainId::Solana(_))
            && confirmations.is_some_and(|blocks| blocks > 0)
        {
            "has confirmations, which only eip155 chains have".to_owned()
        } else {
            let confirmations = confirmations.unwrap_or(0);
            chains.push(ChainSettings { chain, rpc, quorum: wanted, confirmations });
            continue;
        };
        return Err(format!(", entry {index}: {chain} {trouble}"));
    }
    Ok(chains)
}

fn is_http(address: &str) -> bool {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}

/// An address as it is compared: neither the case of its host, nor a usual port, nor a slash at
/// the end make another provider of it.
fn place(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let host = host.to_ascii_lowercase();
    let usual = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(usual).unwrap_or(&host);
    format!("{scheme}://{host}{}", path.trim_end_matches('/'))
}

fn missing(id: &str) -> PortError {
    PortError::new("secretsmanager", format!("the secret {id} has no value"))
}

fn shape(id: &str) -> PortError {
    PortError::new("secretsmanager", format!("the secret {id} does not hold what it should"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOLANA: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
    const TWO: &str = r#"["https://one.example/s3cret","https://two.example/s3cret"]"#;

    fn entry(chain: &str, rpc: &str, more: &str) -> String {
        format!(r#"{{"chain":"{chain}","rpc":{rpc}{more}}}"#)
    }

    #[test]
    fn chains_have_a_quorum_of_two_unless_they_say_otherwise() {
        let one = r#"["https://one.example/s3cret"]"#;
        let three = r#"["https://a.example/k","https://a.example/K","http://a.example:8545/"]"#;
        let text = [
            entry("eip155:1", TWO, ""),
            entry("eip155:10", one, r#","quorum":1"#),
            entry("eip155:137", three, r#","quorum":3,"confirmations":1000"#),
            entry(SOLANA, TWO, r#","confirmations":0"#),
        ];
        let chains = read_chains(&format!("[{}]", text.join(","))).unwrap();
        let read: Vec<_> = chains
            .iter()
            .map(|chain| (chain.rpc.len(), chain.quorum, chain.confirmations))
            .collect();
        assert_eq!(read, [(2, 2, 0), (1, 1, 0), (3, 3, 1000), (2, 2, 0)]);
        assert_eq!(chains[3].chain.to_string(), SOLANA);
        assert_eq!(read_chains("[]").unwrap(), []);
    }

    #[test]
    fn bad_chains_are_named_and_their_addresses_are_not() {
        let good = &entry("eip155:1", TWO, "");
        let five = |rpc: &str, more: &str| format!("[{good},{}]", entry("eip155:5", rpc, more));
        let six: Vec<_> =
            (0..6).map(|index| format!(r#""https://{index}.example/s3cret""#)).collect();
        let twins = |other: &str| format!(r#"["https://rpc.example/s3cret","{other}"]"#);
        for (bad, part) in [
            (format!("[{good},{good}]"), "entry 1: eip155:1 is there twice"),
            (five("[]", ""), "entry 1: eip155:5 needs 1 to 5"),
            (five(&format!("[{}]", six.join(",")), ""), "entry 1: eip155:5 needs 1 to 5"),
            (five(r#"["ftp://s3cret"]"#, ""), "not http"),
            (five(r#"["https://"]"#, ""), "not http"),
            (five(&twins("https://rpc.example/s3cret"), ""), "twice"),
            (five(&twins("https://RPC.example:443/s3cret/"), ""), "twice"),
            (five(TWO, r#","quorum":0"#), "quorum of 0"),
            (five(TWO, r#","quorum":3"#), "a quorum of 3, and only 2"),
            (five(r#"["https://s3cret"]"#, ""), r#""quorum": 1 said explicitly"#),
            (five(r#"["https://s3cret"]"#, r#","quorum":2"#), "a quorum of 2, and only 1"),
            (five(TWO, r#","confirmations":1001"#), "more than 1000"),
            (format!("[{}]", entry(SOLANA, TWO, r#","confirmations":1"#)), "only eip155"),
            (five(TWO, r#","quorum":-1"#), "is not like"),
            (five(TWO, r#","quorums":1"#), "is not like"),
            (format!("[{}]", entry("mainnet", TWO, "")), "is not like"),
            (good.clone(), "is not like"),
        ] {
            let error = read_chains(&bad).unwrap_err();
            assert!(error.contains(part) && !error.contains("s3cret"), "{error}");
        }
    }
}
