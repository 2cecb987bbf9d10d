//! Secrets and settings that are fetched at the first request and kept: start-up stays quick.

use crate::config::{ConfigError, Environment};
use crate::http;
use crate::keys::Keys;
use adapter_dynamodb::Nonces;
use adapter_secrets::{Edge, Secrets};
use app::ports::{ChainSettings, Clock, EndedSessions, PortError, System};
use app::problem::{Error, Problem};
use domain::account::ChainId;
use domain::keyring::Keyring;
use domain::session::{self, Session, SessionError, SessionKeys};
use domain::webhook::Hooks;
use lambda_http::Request;
use std::collections::BTreeMap;
use tokio::sync::OnceCell;

pub use crate::keys::{ContentKeys, ReceiptKeys, SigningKeys, TokenKeys};

/// What signs sessions and nonces.
#[derive(Debug)]
pub struct SessionSecret {
    keys: Keys,
}

impl SessionSecret {
    /// The keys in the secret that `SESSION_SECRET` names.
    ///
    /// # Errors
    /// Names a missing variable.
    pub fn new(
        environment: &Environment,
        aws: &aws_config::SdkConfig,
    ) -> Result<Self, ConfigError> {
        Ok(Self { keys: Keys::new(environment, aws, "SESSION_SECRET")? })
    }

    /// The live keys.
    ///
    /// # Errors
    /// When they can't be read.
    pub async fn keys(&self) -> Result<SessionKeys, PortError> {
        live(&*self.keys.ring().await?)
    }
}

/// Sessions, for functions that only callers with one may use.
#[derive(Debug)]
pub struct Sessions {
    secret: SessionSecret,
    ended: Nonces,
}

impl Sessions {
    /// By what [`SessionSecret::new`] needs; `NONCES_TABLE` has those that were ended.
    ///
    /// # Errors
    /// Names a missing variable.
    pub fn new(
        environment: &Environment,
        aws: &aws_config::SdkConfig,
    ) -> Result<Self, ConfigError> {
        let ended = Nonces::new(aws, environment.text("NONCES_TABLE")?);
        Ok(Self { secret: SessionSecret::new(environment, aws)?, ended })
    }

    /// As [`SessionSecret::keys`].
    ///
    /// # Errors
    /// When they can't be read.
    pub async fn keys(&self) -> Result<SessionKeys, PortError> {
        self.secret.keys().await
    }

    /// The session that a request shows.
    ///
    /// # Errors
    /// 401 without a valid session.
    pub async fn caller(&self, request: &Request) -> Result<Session, Error> {
        self.caller_if_any(request).await?.ok_or_else(|| Problem::SessionRequired.into())
    }

    /// The session that a request shows, if it shows one.
    ///
    /// # Errors
    /// 401 when it shows one that is not valid.
    pub async fn caller_if_any(&self, request: &Request) -> Result<Option<Session>, Error> {
        let Some(token) = http::bearer(request)? else { return Ok(None) };
        let now = System.now();
        let verified = match session::verify(&self.keys().await?, token, now) {
            // Another function may know a newer key than is remembered here.
            Err(SessionError::UnknownKey) => {
                session::verify(&live(&*self.secret.keys.ring_anew().await?)?, token, now)
            }
            verified => verified,
        }?;
        if self.ended.is_ended(&verified.id).await? {
            return Err(SessionError::Ended.into());
        }
        Ok(Some(verified))
    }
}

fn live(ring: &Keyring) -> Result<SessionKeys, PortError> {
    let keys = SessionKeys::of(ring, System.now());
    keys.ok_or_else(|| PortError::new("keys", "there is no session key to go on with"))
}

/// Where viewers come.
#[derive(Debug)]
pub struct EdgeSettings {
    secrets: Secrets,
    id: String,
    edge: OnceCell<Edge>,
}

impl EdgeSettings {
    /// From the secret that `EDGE_SECRET` names.
    ///
    /// # Errors
    /// Names a missing variable.
    pub fn new(
        environment: &Environment,
        aws: &aws_config::SdkConfig,
    ) -> Result<Self, ConfigError> {
        let id = environment.text("EDGE_SECRET")?;
        Ok(Self { secrets: Secrets::new(aws), id, edge: OnceCell::new() })
    }

    /// The settings.
    ///
    /// # Errors
    /// When they can't be read.
    pub async fn get(&self) -> Result<&Edge, PortError> {
        self.edge.get_or_try_init(|| self.secrets.edge(&self.id)).await
    }
}

/// The configured chains.
#[derive(Debug)]
pub struct Chains {
    secrets: Secrets,
    id: String,
    chains: OnceCell<Vec<ChainSettings>>,
}

impl Chains {
    /// From the secret that `CHAINS_SECRET` names.
    ///
    /// # Errors
    /// Names a missing variable.
    pub fn new(
        environment: &Environment,
        aws: &aws_config::SdkConfig,
    ) -> Result<Self, ConfigError> {
        let id = environment.text("CHAINS_SECRET")?;
        Ok(Self { secrets: Secrets::new(aws), id, chains: OnceCell::new() })
    }

    /// The chains.
    ///
    /// # Errors
    /// When they can't be read.
    pub async fn get(&self) -> Result<&[ChainSettings], PortError> {
        let chains = self.chains.get_or_try_init(|| self.secrets.chains(&self.id)).await?;
        Ok(chains)
    }

    /// Their names.
    ///
    /// # Errors
    /// When they can't be read.
    pub async fn names(&self) -> Result<Vec<ChainId>, PortError> {
        Ok(self.get().await?.iter().map(|settings| settings.chain).collect())
    }
}

/// The webhooks of chain watchers.
#[derive(Debug)]
pub struct Webhooks {
    secrets: Secrets,
    id: String,
    hooks: OnceCell<Hooks>,
}

impl Webhooks {
    /// From the secret that `WEBHOOKS_SECRET` names.
    ///
    /// # Errors
    /// Names a missing variable.
    pub fn new(
        environment: &Environment,
        aws: &aws_config::SdkConfig,
    ) -> Result<Self, ConfigError> {
        let id = environment.text("WEBHOOKS_SECRET")?;
        Ok(Self { secrets: Secrets::new(aws), id, hooks: OnceCell::new() })
    }

    /// The webhooks.
    ///
    /// # Errors
    /// When they can't be read.
    pub async fn get(&self) -> Result<&Hooks, PortError> {
        self.hooks.get_or_try_init(|| self.secrets.hooks(&self.id)).await
    }
}

/// The plug-ins that policies may name: a function's name by the plug-in's, from `PLUGINS`.
///
/// # Errors
/// Names the variable and the entry that can't be read.
pub fn plugins(environment: &Environment) -> Result<BTreeMap<String, String>, ConfigError> {
    environment.pairs("PLUGINS")
}
