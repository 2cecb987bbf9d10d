//! Secrets and settings, from Secrets Manager. Values never reach a log: errors name the secret.

use app::SessionKey;
use app::ports::PortError;
use aws_sdk_secretsmanager::Client;
use domain::account::ChainId;
use p256::ecdsa::SigningKey;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

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

/// A chain and where it is read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainSettings {
    /// Its name (CAIP-2).
    pub chain: ChainId,
    /// JSON-RPC addresses; they may hold keys.
    pub rpc: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct SessionSecret {
    key: String,
}

#[derive(Serialize, Deserialize)]
struct SigningSecret {
    private_key: String,
}

impl Secrets {
    /// With the credentials of `config`.
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// The session and nonce key.
    ///
    /// # Errors
    /// When it can't be read or is not 32 bytes.
    pub async fn session_key(&self, id: &str) -> Result<SessionKey, PortError> {
        let secret: SessionSecret = self.read(id).await?;
        let mut key = [0; 32];
        hex::decode_to_slice(secret.key, &mut key).map_err(|_| shape(id))?;
        Ok(SessionKey(key))
    }

    /// The key that signs for CloudFront.
    ///
    /// # Errors
    /// When it can't be read or is no P-256 key.
    pub async fn signing_key(&self, id: &str) -> Result<SigningKey, PortError> {
        let secret: SigningSecret = self.read(id).await?;
        SigningKey::from_pkcs8_pem(&secret.private_key).map_err(|_| shape(id))
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

    /// Makes the session key unless there is one.
    ///
    /// # Errors
    /// When the secret can't be read or written.
    pub async fn ensure_session_key(&self, id: &str, random: [u8; 32]) -> Result<(), PortError> {
        if self.value(id).await?.is_none() {
            self.write(id, &SessionSecret { key: hex::encode(random) }).await?;
        }
        Ok(())
    }

    /// Makes the signing key unless there is one; answers with its public half in PEM.
    ///
    /// # Errors
    /// When the secret can't be read or written, or holds something else.
    pub async fn ensure_signing_key(
        &self,
        id: &str,
        fresh: SigningKey,
    ) -> Result<String, PortError> {
        let key = if self.value(id).await?.is_some() {
            self.signing_key(id).await?
        } else {
            let pem = fresh.to_pkcs8_pem(LineEnding::LF).map_err(|_| shape(id))?;
            self.write(id, &SigningSecret { private_key: pem.to_string() }).await?;
            fresh
        };
        key.verifying_key().to_public_key_pem(LineEnding::LF).map_err(|_| shape(id))
    }

    async fn read<T: DeserializeOwned>(&self, id: &str) -> Result<T, PortError> {
        let text = self.value(id).await?.ok_or_else(|| missing(id))?;
        serde_json::from_str(&text).map_err(|_| shape(id))
    }

    async fn value(&self, id: &str) -> Result<Option<String>, PortError> {
        match self.client.get_secret_value().secret_id(id).send().await {
            Ok(answer) => Ok(answer.secret_string.filter(|text| !text.is_empty())),
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

    async fn write(&self, id: &str, value: &impl Serialize) -> Result<(), PortError> {
        let text = serde_json::to_string(value).map_err(|_| shape(id))?;
        self.client
            .put_secret_value()
            .secret_id(id)
            .secret_string(text)
            .send()
            .await
            .map(drop)
            .map_err(|error| adapter_aws::failed("secretsmanager", &error))
    }
}

/// How many providers a chain may have; they are tried in turn.
const MAX_PROVIDERS: usize = 5;

/// The chains, or what is wrong with them, without quoting what may hold a key.
fn read_chains(text: &str) -> Result<Vec<ChainSettings>, String> {
    let example = r#"[{"chain":"eip155:1","rpc":["https://..."]}]"#;
    let chains: Vec<ChainSettings> =
        serde_json::from_str(text).map_err(|_| format!(" is not like {example}"))?;
    for (index, settings) in chains.iter().enumerate() {
        let trouble = if chains[..index].iter().any(|other| other.chain == settings.chain) {
            "is there twice"
        } else if !(1..=MAX_PROVIDERS).contains(&settings.rpc.len()) {
            "needs 1 to 5 rpc addresses"
        } else if !settings.rpc.iter().all(|address| is_http(address)) {
            "has an rpc address that is not http:// or https://"
        } else {
            continue;
        };
        return Err(format!(", entry {index}: {} {trouble}", settings.chain));
    }
    Ok(chains)
}

fn is_http(address: &str) -> bool {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
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

    #[test]
    fn bad_chains_are_named_and_their_addresses_are_not() {
        let entry = |chain: &str, rpc: &str| format!(r#"{{"chain":"{chain}","rpc":{rpc}}}"#);
        let good = entry("eip155:1", r#"["https://rpc.example/s3cret"]"#);
        assert_eq!(read_chains(&format!("[{good}]")).unwrap().len(), 1);
        assert_eq!(read_chains("[]").unwrap().len(), 0);
        for (bad, part) in [
            (format!("[{good},{good}]"), "entry 1: eip155:1 is there twice"),
            (format!("[{}]", entry("eip155:5", "[]")), "entry 0: eip155:5 needs"),
            (format!("[{}]", entry("eip155:5", r#"["ftp://s3cret"]"#)), "http"),
            (format!("[{}]", entry("eip155:5", r#"["https://"]"#)), "http"),
            (format!("[{}]", entry("mainnet", r#"["https://s3cret"]"#)), "is not like"),
            (good, "is not like"),
        ] {
            let error = read_chains(&bad).unwrap_err();
            assert!(error.contains(part) && !error.contains("s3cret"), "{error}");
        }
    }
}
