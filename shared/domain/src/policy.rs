//! Who may watch: the policy language, version 1.
//!
//! ```json
//! {"version": 1, "rule": {"any": [
//!   {"kind": "erc721", "chain": "eip155:1", "contract": "0x..", "min_balance": "2"},
//!   {"kind": "erc721", "chain": "eip155:137", "contract": "0x..", "token_id": "42"}]}}
//! ```
//!
//! Reading is strict: an unknown field, kind, chain or version is an error that names its path.

use crate::account::{Address, ChainId};
use serde_json::{Map, Value, json};

/// The only version there is.
pub const VERSION: u64 = 1;
/// How deep rules may nest; a lone condition has depth 1.
pub const MAX_DEPTH: usize = 4;
/// How many conditions a policy may have.
pub const MAX_CONDITIONS: usize = 20;
/// How long a policy's JSON may be, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;

/// A rule tree over conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The top of the tree.
    pub rule: Rule,
}

/// One node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Every one must hold.
    All(Vec<Rule>),
    /// One must hold.
    Any(Vec<Rule>),
    /// A leaf.
    Condition(Condition),
}

/// What a chain is asked about a wallet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Condition {
    /// ERC-721 (EIP-721) ownership.
    Erc721 {
        /// The chain that the contract is on.
        chain: ChainId,
        /// The collection.
        contract: Address,
        /// What must be held of it.
        holding: Holding,
    },
}

/// What must be held of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Holding {
    /// `balanceOf(wallet)` is at least this.
    Balance(U256),
    /// `ownerOf(id)` is the wallet.
    Token(U256),
}

/// An unsigned 256-bit number, big-endian; decimal in JSON, as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct U256(pub [u8; 32]);

impl U256 {
    /// The number one.
    pub const ONE: Self = {
        let mut bytes = [0; 32];
        bytes[31] = 1;
        Self(bytes)
    };

    /// Zero?
    pub fn is_zero(&self) -> bool {
        self.0 == [0; 32]
    }

    /// A plain decimal of 1 to 78 digits without leading zeros, below 2^256.
    pub fn from_decimal(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let plain = !digits.is_empty()
            && digits.len() <= 78
            && digits.iter().all(u8::is_ascii_digit)
            && (digits.len() == 1 || digits[0] != b'0');
        if !plain {
            return None;
        }
        let mut bytes = [0_u8; 32];
        for digit in digits {
            let mut carry = u16::from(digit - b'0');
            for byte in bytes.iter_mut().rev() {
                let product = u16::from(*byte) * 10 + carry;
                *byte = (product & 0xff) as u8;
                carry = product >> 8;
            }
            if carry != 0 {
                return None;
            }
        }
        Some(Self(bytes))
    }
}

impl std::fmt::Display for U256 {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = self.0;
        let mut digits = Vec::with_capacity(78);
        while bytes != [0; 32] {
            let mut remainder = 0_u16;
            for byte in &mut bytes {
                let value = (remainder << 8) | u16::from(*byte);
                *byte = (value / 10) as u8;
                remainder = value % 10;
            }
            digits.push(char::from(b'0' + remainder as u8));
        }
        if digits.is_empty() {
            digits.push('0');
        }
        out.write_str(&digits.into_iter().rev().collect::<String>())
    }
}

/// A policy that can't be, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct PolicyError {
    /// The place, as in `rule.any[1].chain`.
    pub path: String,
    /// What is wrong there, in a sentence.
    pub reason: String,
}

fn refuse<T>(path: &str, reason: impl Into<String>) -> Result<T, PolicyError> {
    Err(PolicyError { path: path.to_owned(), reason: reason.into() })
}

impl Policy {
    /// Reads a policy; `chains` are those that the stack is configured for.
    ///
    /// # Errors
    /// The first thing wrong, with its path.
    pub fn parse(value: &Value, chains: &[ChainId]) -> Result<Self, PolicyError> {
        if value.to_string().len() > MAX_BYTES {
            return refuse("policy", format!("a policy has at most {MAX_BYTES} bytes"));
        }
        let policy = Self::read(value)?;
        for (path, condition) in policy.conditions() {
            let Condition::Erc721 { chain, .. } = condition;
            if !chains.contains(chain) {
                let known: Vec<_> = chains.iter().map(ChainId::to_string).collect();
                let list = if known.is_empty() { "none".into() } else { known.join(", ") };
                return refuse(
                    &format!("{path}.chain"),
                    format!("{chain} is not configured here; configured: {list}"),
                );
            }
        }
        Ok(policy)
    }

    /// Reads a policy that was checked when it was stored: its chain may have gone since then, and
    /// is then unknown at decision time rather than a reason to forget the rule.
    ///
    /// # Errors
    /// As [`Policy::parse`], but for the chains.
    pub fn read(value: &Value) -> Result<Self, PolicyError> {
        let Some(object) = value.as_object() else {
            return refuse("policy", "a policy is an object with version and rule");
        };
        only(object, "policy", &["version", "rule"])?;
        if object.get("version").and_then(Value::as_u64) != Some(VERSION) {
            return refuse("version", "the version is the number 1");
        }
        let Some(rule) = object.get("rule") else {
            return refuse("rule", "a policy has a rule");
        };
        let mut conditions = 0;
        Ok(Self { rule: read_rule(rule, "rule", 1, &mut conditions)? })
    }

    /// As JSON; reading it again gives the same policy.
    pub fn to_json(&self) -> Value {
        json!({"version": VERSION, "rule": rule_to_json(&self.rule)})
    }

    /// Every condition with its path, in order.
    pub fn conditions(&self) -> Vec<(String, &Condition)> {
        fn walk<'a>(rule: &'a Rule, path: String, found: &mut Vec<(String, &'a Condition)>) {
            match rule {
                Rule::Condition(condition) => found.push((path, condition)),
                Rule::All(rules) | Rule::Any(rules) => {
                    let word = if matches!(rule, Rule::All(_)) { "all" } else { "any" };
                    for (index, rule) in rules.iter().enumerate() {
                        walk(rule, format!("{path}.{word}[{index}]"), found);
                    }
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.rule, "rule".to_owned(), &mut found);
        found
    }
}

fn only(object: &Map<String, Value>, path: &str, fields: &[&str]) -> Result<(), PolicyError> {
    match object.keys().find(|key| !fields.contains(&key.as_str())) {
        Some(key) => {
            let key: String = key.chars().take(40).collect();
            refuse(&format!("{path}.{key}"), format!("unknown field; known: {}", fields.join(", ")))
        }
        None => Ok(()),
    }
}

fn read_rule(
    value: &Value,
    path: &str,
    depth: usize,
    conditions: &mut usize,
) -> Result<Rule, PolicyError> {
    let Some(object) = value.as_object() else {
        return refuse(path, "a rule is an object with all, any or kind");
    };
    if depth > MAX_DEPTH {
        return refuse(path, format!("rules nest at most {MAX_DEPTH} deep"));
    }
    for word in ["all", "any"] {
        let Some(list) = object.get(word) else { continue };
        only(object, path, &[word])?;
        let path = format!("{path}.{word}");
        let list = match list.as_array() {
            Some(list) if !list.is_empty() => list,
            _ => return refuse(&path, "a list of at least one rule"),
        };
        let mut rules = Vec::with_capacity(list.len().min(MAX_CONDITIONS));
        for (index, value) in list.iter().enumerate() {
            rules.push(read_rule(value, &format!("{path}[{index}]"), depth + 1, conditions)?);
        }
        return Ok(if word == "all" { Rule::All(rules) } else { Rule::Any(rules) });
    }
    *conditions += 1;
    if *conditions > MAX_CONDITIONS {
        return refuse(path, format!("a policy has at most {MAX_CONDITIONS} conditions"));
    }
    match object.get("kind").and_then(Value::as_str) {
        Some("erc721") => read_erc721(object, path).map(Rule::Condition),
        Some(_) => refuse(&format!("{path}.kind"), "unknown kind; known: erc721"),
        None => refuse(path, "a rule has one of all, any and kind"),
    }
}

fn text<'a>(
    object: &'a Map<String, Value>,
    path: &str,
    field: &str,
) -> Result<&'a str, PolicyError> {
    match object.get(field).and_then(Value::as_str) {
        Some(text) => Ok(text),
        None => refuse(&format!("{path}.{field}"), "a string is needed here"),
    }
}

fn number(object: &Map<String, Value>, path: &str, field: &str) -> Result<U256, PolicyError> {
    match U256::from_decimal(text(object, path, field)?) {
        Some(number) => Ok(number),
        None => refuse(&format!("{path}.{field}"), "a decimal number below 2^256, as a string"),
    }
}

fn read_erc721(object: &Map<String, Value>, path: &str) -> Result<Condition, PolicyError> {
    only(object, path, &["kind", "chain", "contract", "min_balance", "token_id"])?;
    let chain = match text(object, path, "chain")?.parse() {
        Ok(chain) => chain,
        Err(error) => return refuse(&format!("{path}.chain"), error_text(&error)),
    };
    let contract: Address = match text(object, path, "contract")?.parse() {
        Ok(Address::ZERO) => {
            return refuse(&format!("{path}.contract"), "the zero address is no contract");
        }
        Ok(contract) => contract,
        Err(error) => return refuse(&format!("{path}.contract"), error_text(&error)),
    };
    let holding = match (object.contains_key("min_balance"), object.contains_key("token_id")) {
        (true, true) => return refuse(path, "give min_balance or token_id, not both"),
        (false, true) => Holding::Token(number(object, path, "token_id")?),
        (true, false) => {
            let least = number(object, path, "min_balance")?;
            if least.is_zero() {
                let path = format!("{path}.min_balance");
                return refuse(&path, "at least 1: everybody holds 0");
            }
            Holding::Balance(least)
        }
        (false, false) => Holding::Balance(U256::ONE),
    };
    Ok(Condition::Erc721 { chain, contract, holding })
}

fn error_text(error: &crate::account::NameError) -> String {
    error.to_string()
}

fn rule_to_json(rule: &Rule) -> Value {
    match rule {
        Rule::All(rules) => json!({"all": rules.iter().map(rule_to_json).collect::<Vec<_>>()}),
        Rule::Any(rules) => json!({"any": rules.iter().map(rule_to_json).collect::<Vec<_>>()}),
        Rule::Condition(Condition::Erc721 { chain, contract, holding }) => {
            let (field, number) = match holding {
                Holding::Balance(least) => ("min_balance", least),
                Holding::Token(id) => ("token_id", id),
            };
            json!({
                "kind": "erc721",
                "chain": chain.to_string(),
                "contract": contract.to_string(),
                field: number.to_string(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHAINS: [ChainId; 2] = [ChainId(1), ChainId(137)];
    const CONTRACT: &str = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";

    fn leaf() -> Value {
        json!({"kind": "erc721", "chain": "eip155:1", "contract": CONTRACT})
    }

    fn path_of(rule: Value) -> String {
        Policy::parse(&json!({"version": 1, "rule": rule}), &CHAINS).unwrap_err().path
    }

    #[test]
    fn what_is_read_is_written_the_same() {
        let value = json!({"version": 1, "rule": {"any": [
            {"all": [{"kind": "erc721", "chain": "eip155:137", "contract": CONTRACT, "token_id": "0"}]},
            {"kind": "erc721", "chain": "eip155:1", "contract": CONTRACT, "min_balance": "2"}]}});
        let policy = Policy::parse(&value, &CHAINS).unwrap();
        assert_eq!(policy.to_json(), value);
        let paths: Vec<_> = policy.conditions().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["rule.any[0].all[0]", "rule.any[1]"]);
    }

    #[test]
    fn a_balance_of_one_is_the_default() {
        let policy = Policy::parse(&json!({"version": 1, "rule": leaf()}), &CHAINS).unwrap();
        assert_eq!(policy.to_json()["rule"]["min_balance"], "1");
    }

    #[test]
    fn errors_name_the_place() {
        let with = |field: &str, value: Value| {
            let mut leaf = leaf();
            leaf[field] = value;
            leaf
        };
        assert_eq!(path_of(with("extra", json!(1))), "rule.extra");
        assert_eq!(path_of(with("kind", json!("erc20"))), "rule.kind");
        assert_eq!(path_of(with("chain", json!("eip155:5"))), "rule.chain");
        assert_eq!(path_of(with("chain", json!("solana:x"))), "rule.chain");
        assert_eq!(path_of(with("chain", json!(1))), "rule.chain");
        assert_eq!(path_of(with("contract", json!("0x12"))), "rule.contract");
        assert_eq!(path_of(with("contract", json!(Address::ZERO.to_string()))), "rule.contract");
        assert_eq!(path_of(with("min_balance", json!("0"))), "rule.min_balance");
        assert_eq!(path_of(with("min_balance", json!(1))), "rule.min_balance");
        assert_eq!(path_of(with("token_id", json!("-1"))), "rule.token_id");
        assert_eq!(path_of(with("token_id", json!("1".repeat(78) + "0"))), "rule.token_id");
        assert_eq!(path_of(json!({"any": [leaf(), {"all": []}]})), "rule.any[1].all");
        assert_eq!(path_of(json!({"any": [leaf()], "all": [leaf()]})), "rule.any");
        assert_eq!(path_of(json!([])), "rule");
        let both = json!({"kind": "erc721", "chain": "eip155:1", "contract": CONTRACT,
            "min_balance": "1", "token_id": "1"});
        assert_eq!(path_of(both), "rule");
        for version in [json!(2), json!("1"), json!(null)] {
            let policy = json!({"version": version, "rule": leaf()});
            assert_eq!(Policy::parse(&policy, &CHAINS).unwrap_err().path, "version");
        }
        let policy = json!({"version": 1, "rule": leaf(), "allow": true});
        assert_eq!(Policy::parse(&policy, &CHAINS).unwrap_err().path, "policy.allow");
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let mut rule = leaf();
        for _ in 0..MAX_DEPTH - 1 {
            rule = json!({"all": [rule]});
        }
        assert!(Policy::parse(&json!({"version": 1, "rule": rule}), &CHAINS).is_ok());
        assert!(path_of(json!({"all": [rule]})).ends_with("all[0]"));
        let many = vec![leaf(); MAX_CONDITIONS + 1];
        assert_eq!(path_of(json!({"any": many})), "rule.any[20]");
        let huge = json!({"version": 1, "rule": {"any": vec![leaf(); 1000]}});
        assert_eq!(Policy::parse(&huge, &CHAINS).unwrap_err().path, "policy");
    }

    #[test]
    fn a_stored_policy_outlives_its_chain() {
        let value = json!({"version": 1, "rule": leaf()});
        assert!(Policy::parse(&value, &[]).is_err());
        assert!(Policy::read(&value).is_ok());
    }

    #[test]
    fn the_largest_number_and_no_larger() {
        let largest =
            "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        assert_eq!(U256::from_decimal(largest), Some(U256([0xff; 32])));
        assert_eq!(U256([0xff; 32]).to_string(), largest);
        let larger = largest.replace("9935", "9936");
        assert_eq!(U256::from_decimal(&larger), None);
        assert_eq!(U256::from_decimal("00"), None);
        assert_eq!(U256::from_decimal(""), None);
    }

    proptest! {
        #[test]
        fn numbers_survive_writing(bytes in any::<[u8; 32]>()) {
            let number = U256(bytes);
            prop_assert_eq!(U256::from_decimal(&number.to_string()), Some(number));
        }

        #[test]
        fn any_json_is_answered(text in "\\PC{0,200}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let _ = Policy::parse(&value, &CHAINS);
            }
        }
    }
}
