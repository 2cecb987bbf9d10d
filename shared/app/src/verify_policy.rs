//! `POST /v1/verify`: what would this policy say to that account? Grants nothing.

use crate::ports::Chains;
use crate::problem::Error;
use domain::account::{Account, Address, ChainId};
use domain::decision::{self, Decision};
use domain::policy::Policy;
use serde_json::Value;

/// The request's body.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// A policy.
    pub policy: Value,
    /// An account (CAIP-10).
    pub account: Account,
}

/// Reads the facts and decides; an unknown verdict is an answer here.
///
/// # Errors
/// A policy that can't be.
pub async fn verify_policy(
    chains: &impl Chains,
    configured: &[ChainId],
    question: &Question,
) -> Result<Decision, Error> {
    let policy = Policy::parse(&question.policy, configured)?;
    Ok(ask(chains, &policy, question.account.address).await)
}

/// What `policy` says to `holder` now.
pub(crate) async fn ask(chains: &impl Chains, policy: &Policy, holder: Address) -> Decision {
    let conditions: Vec<_> =
        policy.conditions().into_iter().map(|(_, condition)| condition).collect();
    let facts = chains.facts(holder, &conditions).await;
    decision::decide(policy, &facts)
}
