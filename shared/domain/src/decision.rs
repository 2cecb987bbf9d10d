//! From chain facts to a verdict, three-valued: what could not be learned is neither yes nor no.

use crate::policy::{Condition, Policy, Rule};
use serde::{Deserialize, Serialize};

/// Yes, no, or not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// The chain could not be read, or its answer made no sense.
    Unknown,
}

/// The block at which a fact was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Its height.
    pub number: u64,
    /// Its hash, 0x and 64 hex digits.
    pub hash: String,
}

/// What was learned of one condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Whether the condition holds.
    pub verdict: Verdict,
    /// What was seen: a balance in decimal, an owner's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where on the chain it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<Block>,
    /// Why, when it is not a plain yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Fact {
    /// Not known, and why.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown, value: None, block: None, reason: Some(reason.into()) }
    }
}

/// One condition's part in the answer to a caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Its place in the policy.
    pub path: String,
    /// Its kind.
    pub kind: &'static str,
    /// Its chain.
    pub chain: String,
    /// Its contract.
    pub contract: String,
    /// Whether it holds.
    pub outcome: Verdict,
    /// What was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// At which block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<Block>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The verdict with what led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The policy's answer.
    pub verdict: Verdict,
    /// Every condition's, in the policy's order.
    pub conditions: Vec<Outcome>,
}

/// Decides `policy` from one fact per condition, in the order of [`Policy::conditions`].
///
/// A missing fact is unknown. `all` is no as soon as one is no, `any` is yes as soon as one is yes
/// (Kleene's logic), so that a dead chain only matters where it could change the answer.
pub fn decide(policy: &Policy, facts: &[Fact]) -> Decision {
    let mut next = facts.iter();
    let verdict = weigh(&policy.rule, &mut next);
    let missing = Fact::unknown("not read");
    let conditions = policy
        .conditions()
        .into_iter()
        .enumerate()
        .map(|(index, (path, condition))| {
            let Condition::Erc721 { chain, contract, .. } = condition;
            let fact = facts.get(index).unwrap_or(&missing).clone();
            Outcome {
                path,
                kind: "erc721",
                chain: chain.to_string(),
                contract: contract.to_string(),
                outcome: fact.verdict,
                value: fact.value,
                block: fact.block,
                reason: fact.reason,
            }
        })
        .collect();
    Decision { verdict, conditions }
}

fn weigh<'a>(rule: &Rule, facts: &mut impl Iterator<Item = &'a Fact>) -> Verdict {
    match rule {
        Rule::Condition(_) => facts.next().map_or(Verdict::Unknown, |fact| fact.verdict),
        // Every child takes its facts off the iterator, so none may be skipped.
        Rule::All(rules) => {
            rules.iter().fold(Verdict::Yes, |sum, rule| match (sum, weigh(rule, facts)) {
                (Verdict::No, _) | (_, Verdict::No) => Verdict::No,
                (Verdict::Unknown, _) | (_, Verdict::Unknown) => Verdict::Unknown,
                _ => Verdict::Yes,
            })
        }
        Rule::Any(rules) => {
            rules.iter().fold(Verdict::No, |sum, rule| match (sum, weigh(rule, facts)) {
                (Verdict::Yes, _) | (_, Verdict::Yes) => Verdict::Yes,
                (Verdict::Unknown, _) | (_, Verdict::Unknown) => Verdict::Unknown,
                _ => Verdict::No,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn policy(rule: Value) -> Policy {
        Policy::read(&json!({"version": 1, "rule": rule})).unwrap()
    }

    fn leaf() -> Value {
        json!({"kind": "erc721", "chain": "eip155:1",
            "contract": "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"})
    }

    fn facts(verdicts: &[Verdict]) -> Vec<Fact> {
        verdicts
            .iter()
            .map(|verdict| Fact { verdict: *verdict, ..Fact::unknown("a test") })
            .collect()
    }

    #[test]
    fn unknown_matters_only_where_it_could_change_the_answer() {
        use Verdict::{No, Unknown, Yes};
        let any = policy(json!({"any": [leaf(), leaf()]}));
        let all = policy(json!({"all": [leaf(), leaf()]}));
        for (one, two, in_any, in_all) in [
            (Yes, Yes, Yes, Yes),
            (Yes, No, Yes, No),
            (Yes, Unknown, Yes, Unknown),
            (No, No, No, No),
            (No, Unknown, Unknown, No),
            (Unknown, Unknown, Unknown, Unknown),
        ] {
            for verdicts in [[one, two], [two, one]] {
                assert_eq!(decide(&any, &facts(&verdicts)).verdict, in_any, "{verdicts:?}");
                assert_eq!(decide(&all, &facts(&verdicts)).verdict, in_all, "{verdicts:?}");
            }
        }
    }

    #[test]
    fn each_fact_meets_its_own_condition() {
        use Verdict::{No, Yes};
        let nested = policy(json!({"all": [{"any": [leaf(), leaf()]}, leaf()]}));
        assert_eq!(decide(&nested, &facts(&[Yes, No, No])).verdict, No);
        assert_eq!(decide(&nested, &facts(&[Yes, No, Yes])).verdict, Yes);
        assert_eq!(decide(&nested, &facts(&[No, No, Yes])).verdict, No);
    }

    #[test]
    fn a_missing_fact_never_grants() {
        let one = policy(leaf());
        let decision = decide(&one, &[]);
        assert_eq!(decision.verdict, Verdict::Unknown);
        assert_eq!(decision.conditions[0].outcome, Verdict::Unknown);
    }
}
