//! `POST /v1/verify`: what would this policy say to that account? Grants nothing.

use crate::gate::Gate;
use crate::ports::{Clock, EvmChains, FactStore, Plugins, SolanaChains};
use crate::problem::{Error, Problem};
use domain::account::Account;
use domain::decision::Decision;
use domain::leaf::{Asset, MAX_HINTS};
use domain::policy::{Known, Policy};
use domain::session::{Holder, MAX_WALLETS};
use serde_json::Value;

/// The request's body.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// A policy.
    pub policy: Value,
    /// An account (CAIP-10), taken for a wallet with a key of its own.
    pub account: Account,
    /// Accounts that are linked to it.
    #[serde(default)]
    pub linked: Vec<Account>,
    /// Tokens it is said to hold (CAIP-19), for where they can't be searched for.
    #[serde(default)]
    pub assets: Vec<Asset>,
}

/// Reads the facts and decides; an unknown verdict is an answer here.
///
/// # Errors
/// A policy that can't be, or too many accounts or assets.
pub async fn verify_policy<E: EvmChains, S: SolanaChains, P: Plugins, F: FactStore>(
    clock: &impl Clock,
    gate: &Gate<'_, E, S, P, F>,
    known: &Known<'_>,
    question: &Question,
) -> Result<Decision, Error> {
    let policy = Policy::parse(&question.policy, known)?;
    check_assets(&question.assets)?;
    if question.linked.len() >= MAX_WALLETS {
        let reason = format!("at most {} accounts beside the first", MAX_WALLETS - 1);
        return Err(Problem::BodyInvalid { field: "linked".into(), reason }.into());
    }
    let accounts = std::iter::once(&question.account).chain(&question.linked);
    let holders: Vec<_> = accounts.map(|account| Holder::with_key(*account)).collect();
    let (decision, cost) = gate.decide(clock, &policy, &holders, &question.assets).await;
    cost.count();
    Ok(decision)
}

/// Refuses more hints than are looked at.
///
/// # Errors
/// Names the field.
pub(crate) fn check_assets(assets: &[Asset]) -> Result<(), Error> {
    if assets.len() <= MAX_HINTS {
        return Ok(());
    }
    let reason = format!("at most {MAX_HINTS}");
    Err(Problem::BodyInvalid { field: "assets".into(), reason }.into())
}
