//! What delivers grants: the keys of now, and the stack's settings.

use crate::config::{ConfigError, Environment};
use crate::keys::{ReceiptKeys, SigningKeys, TokenKeys};
use crate::settings::EdgeSettings;
use app::deliver::Terms;
use app::ports::PortError;
use app::sign_playlist::Signer;
use domain::Seconds;

/// What signs for the edge.
#[derive(Debug)]
pub struct EdgeSigner {
    edge: EdgeSettings,
    keys: SigningKeys,
}

impl EdgeSigner {
    /// By `EDGE_SECRET` and `SIGNING_SECRET`.
    ///
    /// # Errors
    /// Names a variable that is missing or can't be.
    pub fn new(
        environment: &Environment,
        aws: &aws_config::SdkConfig,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            edge: EdgeSettings::new(environment, aws)?,
            keys: SigningKeys::new(environment, aws)?,
        })
    }

    /// With the key that signs now.
    ///
    /// # Errors
    /// When settings or keys can't be read.
    pub async fn get(&self) -> Result<Signer, PortError> {
        let (key_pair_id, key) = self.keys.minting().await?;
        Ok(Signer { origin: self.edge.get().await?.origin.clone(), key, key_pair_id })
    }
}

/// All that [`Terms`] are made from.
#[derive(Debug)]
pub struct Delivery {
    signer: EdgeSigner,
    tokens: TokenKeys,
    receipts: ReceiptKeys,
    longest: Seconds,
    pause: Seconds,
    cookie: Seconds,
    lease: Seconds,
}

impl Delivery {
    /// By what [`EdgeSigner::new`] needs, and `TOKEN_SECRET`, `RECEIPT_SECRET`, `GRANT_MINUTES`, `PAUSE_MINUTES`,
    /// `COOKIE_SECONDS` and `LEASE_SECONDS`.
    ///
    /// # Errors
    /// Names a variable that is missing or can't be.
    pub fn new(
        environment: &Environment,
        aws: &aws_config::SdkConfig,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            signer: EdgeSigner::new(environment, aws)?,
            tokens: TokenKeys::new(environment, aws)?,
            receipts: ReceiptKeys::new(environment, aws)?,
            longest: environment.number("GRANT_MINUTES")? * 60,
            pause: environment.number_from_zero("PAUSE_MINUTES")? * 60,
            cookie: environment.number("COOKIE_SECONDS")?,
            lease: environment.number("LEASE_SECONDS")?,
        })
    }

    /// The terms of now.
    ///
    /// # Errors
    /// When settings or keys can't be read.
    pub async fn terms(&self) -> Result<Terms, PortError> {
        Ok(Terms {
            signer: self.signer.get().await?,
            token_key: self.tokens.minting().await?,
            receipt_key: self.receipts.minting().await?,
            longest: self.longest,
            pause: self.pause,
            cookie: self.cookie,
            lease: self.lease,
        })
    }
}
