//! The gate as the stack's settings make it. A package of its own, so that only the functions
//! which decide link what can be asked.

use adapter_dynamodb::Facts;
use adapter_evm::Evm;
use adapter_lambda::PluginCaller;
use adapter_solana::Solana;
use app::gate::{FactMemory, Gate, Sharing};
use app::ports::PortError;
use domain::account::ChainId;
use domain::decision::Freshness;
use domain::policy::Known;
use runtime::config::{ConfigError, Environment};
use runtime::settings::{self, Chains};
use std::time::Duration;

/// How long what hardly ever changes is good for, in seconds: a token's decimals, where to look.
const STEADY: u64 = 3600;

/// The gate of a function.
pub type OpenGate<'a> =
    Gate<'a, adapter_evm::Connected, adapter_solana::Connected, PluginCaller, Facts>;

/// All that a gate needs, for as long as a function lives.
#[derive(Debug)]
pub struct Gatehouse {
    chains: Chains,
    plugin_names: Vec<String>,
    evm: Evm,
    solana: Solana,
    plugins: PluginCaller,
    facts: Facts,
    memory: FactMemory,
    freshness: Freshness,
}

/// The chains that are configured now, and the plug-ins.
#[derive(Debug)]
pub struct Names<'a> {
    chains: Vec<ChainId>,
    plugins: &'a [String],
}

impl Names<'_> {
    /// What policies may name.
    pub fn known(&self) -> Known<'_> {
        Known { chains: &self.chains, plugins: self.plugins }
    }
}

impl Gatehouse {
    /// By `CHAINS_SECRET`, `PLUGINS`, `FACTS_TABLE`, and how long facts are good for:
    /// `FACT_SECONDS`, `TIMER_SECONDS` (the same, unless it is set) and `NEGATIVE_SECONDS`;
    /// `GRACE_SECONDS` and `RECHECK_MINUTES`; `HEAD_SECONDS` is how long a chain's head is shared.
    ///
    /// # Errors
    /// Names a variable that is missing or can't be.
    pub fn new(
        environment: &Environment,
        aws: &aws_config::SdkConfig,
    ) -> Result<Self, ConfigError> {
        let event = environment.number_from_zero("FACT_SECONDS")?;
        let freshness = Freshness {
            event,
            timer: match environment.text_or("TIMER_SECONDS", "").is_empty() {
                true => event,
                false => environment.number_from_zero("TIMER_SECONDS")?,
            },
            negative: environment.number_from_zero("NEGATIVE_SECONDS")?,
            steady: STEADY,
            grace: environment.number_from_zero("GRACE_SECONDS")?,
            recheck: environment.number("RECHECK_MINUTES")? * 60,
        };
        let head = Duration::from_secs(environment.number("HEAD_SECONDS")?);
        let plugins = settings::plugins(environment)?;
        Ok(Self {
            chains: Chains::new(environment, aws)?,
            plugin_names: plugins.keys().cloned().collect(),
            evm: Evm::with_head(head),
            solana: Solana::with_head(head),
            plugins: PluginCaller::new(aws, plugins),
            facts: Facts::new(aws, environment.text("FACTS_TABLE")?),
            memory: FactMemory::default(),
            freshness,
        })
    }

    /// The gate.
    ///
    /// # Errors
    /// When the chains' settings can't be read.
    pub async fn gate(&self, sharing: Sharing) -> Result<OpenGate<'_>, PortError> {
        let chains = self.chains.get().await?;
        Ok(Gate {
            evm: self.evm.with(chains),
            solana: self.solana.with(chains),
            plugins: &self.plugins,
            store: &self.facts,
            memory: &self.memory,
            freshness: self.freshness,
            sharing,
        })
    }

    /// How long facts are good for.
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// What policies may name.
    ///
    /// # Errors
    /// When the chains' settings can't be read.
    pub async fn names(&self) -> Result<Names<'_>, PortError> {
        Ok(Names { chains: self.chains.names().await?, plugins: &self.plugin_names })
    }
}
