//! Who may watch: the policy language, version 1. `infra/policy.schema.json` is its JSON Schema.
//!
//! ```json
//! {"version": 1, "rule": {"any": [
//!   {"kind": "erc721", "chain": "eip155:1", "contract": "0x..", "min": "2"},
//!   {"at_least": 2, "of": [
//!     {"kind": "erc20", "asset": "eip155:137/erc20:0x..", "min": "10.5"},
//!     {"kind": "spl", "chain": "solana:..", "mint": "..", "min": "1"},
//!     {"none": [{"kind": "accounts", "allow": ["eip155:1:0x.."]}]}]}]}}
//! ```
//!
//! Reading is strict: an unknown field, kind, chain or version is an error that names its path.

use crate::account::ChainId;
use crate::condition::Condition;
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
    /// How many may watch at once by one wallet or token; without it as many as like.
    pub streams: Option<Streams>,
}

/// How many live streams there may be at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    /// Of one wallet.
    pub per_wallet: Option<usize>,
    /// Of one token: lending it does not multiply viewers. Then only tokens that can be told apart
    /// count, those of ERC-721 conditions with `ids` or `traits` and Solana's NFTs.
    pub per_token: Option<usize>,
    /// Whether one more takes the place of the oldest, rather than being refused.
    pub take_over: bool,
}

/// How many streams a limit may allow.
pub const MAX_STREAMS: usize = 100;

/// One node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Every one must hold.
    All(Vec<Rule>),
    /// One must hold.
    Any(Vec<Rule>),
    /// Not one may hold.
    None(Vec<Rule>),
    /// So many must hold.
    AtLeast(usize, Vec<Rule>),
    /// A leaf.
    Condition(Condition),
}

/// What a stack is set up for; policies can name nothing else.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The configured chains.
    pub chains: &'a [ChainId],
    /// The plug-ins' names.
    pub plugins: &'a [String],
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

pub(crate) fn refuse<T>(path: &str, reason: impl Into<String>) -> Result<T, PolicyError> {
    Err(PolicyError { path: path.to_owned(), reason: reason.into() })
}

impl Policy {
    /// Reads a policy that names only what `known` has.
    ///
    /// # Errors
    /// The first thing wrong, with its path.
    pub fn parse(value: &Value, known: &Known<'_>) -> Result<Self, PolicyError> {
        if value.to_string().len() > MAX_BYTES {
            return refuse("policy", format!("a policy has at most {MAX_BYTES} bytes"));
        }
        let policy = Self::read(value)?;
        let list = |names: Vec<String>| match names.is_empty() {
            true => "none".to_owned(),
            false => names.join(", "),
        };
        for (path, condition) in policy.conditions() {
            if let Some(chain) = condition.chain()
                && !known.chains.contains(&chain)
            {
                let names = list(known.chains.iter().map(ChainId::to_string).collect());
                let reason = format!("{chain} is not configured here; configured: {names}");
                return refuse(&format!("{path}.chain"), reason);
            }
            if let Condition::Lambda(plugin) = condition
                && !known.plugins.contains(&plugin.function)
            {
                let names = list(known.plugins.to_vec());
                let reason = format!("no such plug-in on this stack's list; listed: {names}");
                return refuse(&format!("{path}.function"), reason);
            }
        }
        Ok(policy)
    }

    /// Reads a policy that was checked when it was stored: its chain may have gone since then, and
    /// is then unknown at decision time rather than a reason to forget the rule.
    ///
    /// # Errors
    /// As [`Policy::parse`], but for what a stack knows.
    pub fn read(value: &Value) -> Result<Self, PolicyError> {
        let Some(object) = value.as_object() else {
            return refuse("policy", "a policy is an object with version and rule");
        };
        only(object, "policy", &["version", "rule", "streams"])?;
        if object.get("version").and_then(Value::as_u64) != Some(VERSION) {
            return refuse("version", "the version is the number 1");
        }
        let Some(rule) = object.get("rule") else {
            return refuse("rule", "a policy has a rule");
        };
        let mut conditions = 0;
        let rule = read_rule(rule, "rule", 1, &mut conditions)?;
        let streams = object.get("streams").map(read_streams).transpose()?;
        let policy = Self { rule, streams };
        let told_apart = |(_, condition): (String, &Condition)| condition.tells_tokens_apart();
        if streams.is_some_and(|streams| streams.per_token.is_some())
            && !policy.conditions().into_iter().any(told_apart)
        {
            let reason = "needs a condition whose tokens can be told apart: erc721 with ids or \
                          traits, or an NFT of Solana";
            return refuse("streams.per_token", reason);
        }
        Ok(policy)
    }

    /// A policy without limits.
    pub fn new(rule: Rule) -> Self {
        Self { rule, streams: None }
    }

    /// As JSON; reading it again gives the same policy.
    pub fn to_json(&self) -> Value {
        let mut policy = json!({"version": VERSION, "rule": self.rule.to_json()});
        if let Some(streams) = self.streams {
            policy["streams"] = streams.to_json();
        }
        policy
    }

    /// As [`Policy::to_json`] for everybody's eyes: without the accounts of lists, and without what
    /// plug-ins are told.
    pub fn to_public_json(&self) -> Value {
        fn hide(value: &mut Value) {
            match value {
                Value::Object(object) => {
                    let secret: &[&str] = match object.get("kind").and_then(Value::as_str) {
                        Some("accounts") => &["allow", "deny"],
                        Some("lambda") => &["parameters"],
                        _ => &[],
                    };
                    secret.iter().for_each(|field| drop(object.remove(*field)));
                    object.values_mut().for_each(hide);
                }
                Value::Array(list) => list.iter_mut().for_each(hide),
                _ => {}
            }
        }
        let mut value = self.to_json();
        hide(&mut value);
        value
    }

    /// Every condition with its path, in order.
    pub fn conditions(&self) -> Vec<(String, &Condition)> {
        fn walk<'a>(rule: &'a Rule, path: String, found: &mut Vec<(String, &'a Condition)>) {
            let (word, rules) = match rule {
                Rule::Condition(condition) => return found.push((path, condition)),
                Rule::All(rules) => ("all", rules),
                Rule::Any(rules) => ("any", rules),
                Rule::None(rules) => ("none", rules),
                Rule::AtLeast(_, rules) => ("of", rules),
            };
            for (index, rule) in rules.iter().enumerate() {
                walk(rule, format!("{path}.{word}[{index}]"), found);
            }
        }
        let mut found = Vec::new();
        walk(&self.rule, "rule".to_owned(), &mut found);
        found
    }
}

impl Rule {
    fn to_json(&self) -> Value {
        let list = |rules: &[Self]| rules.iter().map(Self::to_json).collect::<Vec<_>>();
        match self {
            Self::All(rules) => json!({"all": list(rules)}),
            Self::Any(rules) => json!({"any": list(rules)}),
            Self::None(rules) => json!({"none": list(rules)}),
            Self::AtLeast(count, rules) => json!({"at_least": count, "of": list(rules)}),
            Self::Condition(condition) => condition.to_json(),
        }
    }
}

impl Streams {
    fn to_json(self) -> Value {
        let mut streams = Map::new();
        for (name, limit) in [("per_wallet", self.per_wallet), ("per_token", self.per_token)] {
            if let Some(limit) = limit {
                streams.insert(name.into(), limit.into());
            }
        }
        if self.take_over {
            streams.insert("when_full".into(), "take_over".into());
        }
        streams.into()
    }
}

fn read_streams(value: &Value) -> Result<Streams, PolicyError> {
    let Some(object) = value.as_object() else {
        return refuse("streams", "an object with per_wallet, per_token or both");
    };
    only(object, "streams", &["per_wallet", "per_token", "when_full"])?;
    let limit = |name: &str| match object.get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64().and_then(|limit| usize::try_from(limit).ok()) {
            Some(limit) if (1..=MAX_STREAMS).contains(&limit) => Ok(Some(limit)),
            _ => refuse(&format!("streams.{name}"), format!("a number from 1 to {MAX_STREAMS}")),
        },
    };
    let (per_wallet, per_token) = (limit("per_wallet")?, limit("per_token")?);
    if per_wallet.is_none() && per_token.is_none() {
        return refuse("streams", "per_wallet, per_token or both");
    }
    let take_over = match object.get("when_full").map(Value::as_str) {
        None | Some(Some("refuse")) => false,
        Some(Some("take_over")) => true,
        _ => return refuse("streams.when_full", "refuse or take_over"),
    };
    Ok(Streams { per_wallet, per_token, take_over })
}

/// Refuses fields that are not listed.
pub(crate) fn only(
    object: &Map<String, Value>,
    path: &str,
    fields: &[&str],
) -> Result<(), PolicyError> {
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
        return refuse(path, "a rule is an object with all, any, none, at_least or kind");
    };
    if depth > MAX_DEPTH {
        return refuse(path, format!("rules nest at most {MAX_DEPTH} deep"));
    }
    for word in ["all", "any", "none", "of"] {
        let Some(list) = object.get(word) else { continue };
        let fields: &[&str] = if word == "of" { &["at_least", "of"] } else { &[word] };
        only(object, path, fields)?;
        let place = format!("{path}.{word}");
        let list = match list.as_array() {
            Some(list) if !list.is_empty() => list,
            _ => return refuse(&place, "a list of at least one rule"),
        };
        let mut rules = Vec::with_capacity(list.len().min(MAX_CONDITIONS));
        for (index, value) in list.iter().enumerate() {
            rules.push(read_rule(value, &format!("{place}[{index}]"), depth + 1, conditions)?);
        }
        return Ok(match word {
            "all" => Rule::All(rules),
            "any" => Rule::Any(rules),
            "none" => Rule::None(rules),
            _ => {
                let count = object.get("at_least").and_then(Value::as_u64);
                match count.and_then(|count| usize::try_from(count).ok()) {
                    Some(count) if (1..=rules.len()).contains(&count) => {
                        Rule::AtLeast(count, rules)
                    }
                    _ => {
                        let place = format!("{path}.at_least");
                        let most = rules.len();
                        return refuse(
                            &place,
                            format!("a number from 1 to {most}, the rules in of"),
                        );
                    }
                }
            }
        });
    }
    if object.contains_key("at_least") {
        return refuse(&format!("{path}.of"), "at_least goes with a list of rules in of");
    }
    *conditions += 1;
    if *conditions > MAX_CONDITIONS {
        return refuse(path, format!("a policy has at most {MAX_CONDITIONS} conditions"));
    }
    Condition::read(object, path).map(Rule::Condition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Address;
    use proptest::prelude::*;

    const CHAINS: [ChainId; 2] = [ChainId::Eip155(1), ChainId::Eip155(137)];
    const CONTRACT: &str = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
    const SOLANA: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
    const KEY: &str = "7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv";

    fn parse(rule: Value) -> Result<Policy, PolicyError> {
        let chains = [CHAINS.as_slice(), &[SOLANA.parse().unwrap()]].concat();
        let plugins = ["door".to_owned()];
        let known = Known { chains: &chains, plugins: &plugins };
        Policy::parse(&json!({"version": 1, "rule": rule}), &known)
    }

    fn path_of(rule: Value) -> String {
        parse(rule).unwrap_err().path
    }

    /// A leaf that can be, with some fields changed; null takes one away.
    fn leaf(kind: &str, changes: Value) -> Value {
        let contract = json!({"kind": kind, "chain": "eip155:1", "contract": CONTRACT});
        let on_solana =
            |field: &str| json!({"kind": kind, "chain": SOLANA, field: KEY, "min": "1"});
        let mut leaf = match kind {
            "erc1155" => {
                let mut leaf = contract;
                leaf["ids"] = json!(["1", "5-9"]);
                leaf
            }
            "erc20" => {
                let mut leaf = contract;
                leaf["min"] = json!("10.5");
                leaf
            }
            "native" => json!({"kind": kind, "chain": "eip155:1", "min": "0.1"}),
            "contract" => json!({"kind": kind, "chain": "eip155:1", "contract": CONTRACT,
                "function": "levelOf(address,uint256)(uint256)", "arguments": [":account", "7"],
                "result": {"at_least": "3"}}),
            "spl" => on_solana("mint"),
            "metaplex_collection" | "core_collection" => on_solana("collection"),
            "metaplex_creator" => on_solana("creator"),
            "token2022_group" => on_solana("group"),
            "accounts" => json!({"kind": kind, "allow": [format!("eip155:1:{CONTRACT}")]}),
            "time" => json!({"kind": kind, "from": "2026-01-01T00:00:00Z"}),
            "lambda" => json!({"kind": kind, "function": "door", "parameters": {"a": 1}}),
            _ => contract,
        };
        for (field, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(leaf.as_object_mut().unwrap().remove(field)),
                value => leaf[field] = value.clone(),
            }
        }
        leaf
    }

    const KINDS: [&str; 14] = [
        "erc721",
        "erc1155",
        "erc20",
        "native",
        "contract",
        "unlock",
        "spl",
        "metaplex_collection",
        "metaplex_creator",
        "core_collection",
        "token2022_group",
        "accounts",
        "time",
        "lambda",
    ];

    #[test]
    fn what_is_read_is_written_the_same() {
        for kind in KINDS {
            let policy = parse(leaf(kind, json!({}))).unwrap();
            let written = policy.to_json();
            assert_eq!(Policy::read(&written).unwrap(), policy, "{kind}");
            assert_eq!(Policy::read(&written).unwrap().to_json(), written, "{kind}");
        }
        let rule = json!({"any": [
            {"all": [leaf("erc721", json!({"min": "1", "ids": ["0", "7-9"]}))]},
            {"at_least": 1, "of": [leaf("time", json!({}))]},
            {"none": [leaf("accounts", json!({}))]}]});
        let policy = parse(rule.clone()).unwrap();
        assert_eq!(policy.to_json()["rule"], rule);
        let paths: Vec<_> = policy.conditions().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["rule.any[0].all[0]", "rule.any[1].of[0]", "rule.any[2].none[0]"]);
    }

    #[test]
    fn an_asset_is_chain_and_contract_in_one() {
        let asset =
            |text: String| json!({"asset": text, "chain": null, "contract": null, "mint": null});
        for (kind, name) in [
            ("erc721", format!("eip155:1/erc721:{CONTRACT}")),
            ("erc20", format!("eip155:1/erc20:{CONTRACT}")),
            ("spl", format!("{SOLANA}/token:{KEY}")),
        ] {
            let policy = parse(leaf(kind, asset(name.clone()))).unwrap();
            assert_eq!(policy, parse(leaf(kind, json!({}))).unwrap(), "{name}");
        }
        let one = leaf("erc721", asset(format!("eip155:1/erc721:{CONTRACT}/7")));
        assert_eq!(parse(one).unwrap().to_json()["rule"]["ids"], json!(["7"]));
        for (kind, name) in [
            ("erc721", format!("eip155:1/erc20:{CONTRACT}")),
            ("erc721", format!("{SOLANA}/erc721:{CONTRACT}")),
            ("erc721", "eip155:1".to_owned()),
            ("erc721", format!("eip155:1/erc721:{CONTRACT}/x")),
            ("erc20", format!("eip155:1/erc20:{CONTRACT}/1")),
            ("spl", format!("{SOLANA}/token:{CONTRACT}")),
        ] {
            assert_eq!(path_of(leaf(kind, asset(name.clone()))), "rule.asset", "{name}");
        }
        let both = leaf("erc721", json!({"asset": format!("eip155:1/erc721:{CONTRACT}")}));
        assert_eq!(path_of(both), "rule.asset");
    }

    #[test]
    fn errors_name_the_place() {
        for (kind, changes, path) in [
            ("erc721", json!({"extra": 1}), "rule.extra"),
            ("erc721", json!({"kind": "ERC721"}), "rule.kind"),
            ("erc721", json!({"kind": 1}), "rule.kind"),
            ("erc721", json!({"kind": null}), "rule"),
            ("erc721", json!({"chain": "eip155:5"}), "rule.chain"),
            ("erc721", json!({"chain": SOLANA}), "rule.chain"),
            ("erc721", json!({"chain": 1}), "rule.chain"),
            ("erc721", json!({"contract": "0x12"}), "rule.contract"),
            ("erc721", json!({"contract": Address::ZERO.to_string()}), "rule.contract"),
            ("erc721", json!({"min": "0"}), "rule.min"),
            ("erc721", json!({"min": 1}), "rule.min"),
            ("erc721", json!({"min": "3", "max": "2"}), "rule.max"),
            ("erc721", json!({"ids": []}), "rule.ids"),
            ("erc721", json!({"ids": ["1", "-1"]}), "rule.ids[1]"),
            ("erc721", json!({"ids": ["9-5"]}), "rule.ids[0]"),
            ("erc721", json!({"ids": [format!("1{}", "0".repeat(78))]}), "rule.ids[0]"),
            ("erc721", json!({"ids": vec!["1"; 33]}), "rule.ids"),
            ("erc721", json!({"ids": ["1", "2"], "min": "3"}), "rule.min"),
            ("erc721", json!({"traits": [{"trait": "a"}]}), "rule.traits[0].value"),
            (
                "erc721",
                json!({"traits": [{"trait": "a", "value": "b", "c": 1}]}),
                "rule.traits[0].c",
            ),
            ("erc721", json!({"traits": ["a"]}), "rule.traits[0]"),
            ("erc721", json!({"via": "warm.xyz"}), "rule.via"),
            ("erc1155", json!({"ids": null}), "rule.ids"),
            ("erc1155", json!({"ids": ["0-1000"], "max": "5"}), "rule.max"),
            ("erc20", json!({"min": null}), "rule.min"),
            ("erc20", json!({"min": "1.0"}), "rule.min"),
            ("erc20", json!({"min": "0"}), "rule.min"),
            ("erc20", json!({"min": "2", "max": "1.5"}), "rule.max"),
            ("erc20", json!({"ids": ["1"]}), "rule.ids"),
            ("native", json!({"contract": CONTRACT}), "rule.contract"),
            ("native", json!({"chain": SOLANA}), "rule.chain"),
            ("contract", json!({"function": "levelOf"}), "rule.function"),
            ("contract", json!({"function": "f(uint256[])(bool)"}), "rule.function"),
            ("contract", json!({"arguments": [":account"]}), "rule.arguments"),
            ("contract", json!({"arguments": ":account"}), "rule.arguments"),
            ("contract", json!({"arguments": ["7", "7"]}), "rule.arguments[0]"),
            ("contract", json!({"arguments": [":account", ":account"]}), "rule.arguments[1]"),
            ("contract", json!({"arguments": [":account", 7]}), "rule.arguments[1]"),
            ("contract", json!({"result": {"at_least": "3", "below": "5"}}), "rule.result"),
            ("contract", json!({"result": {"is": "3"}}), "rule.result.is"),
            ("contract", json!({"result": {"at_least": "x"}}), "rule.result.at_least"),
            (
                "contract",
                json!({"function": "f()(bool)", "arguments": [], "result": {"above": "true"}}),
                "rule.result.above",
            ),
            ("unlock", json!({"min": "1"}), "rule.min"),
            ("spl", json!({"mint": CONTRACT}), "rule.mint"),
            ("spl", json!({"mint": "11111111111111111111111111111111"}), "rule.mint"),
            ("spl", json!({"chain": "eip155:1"}), "rule.chain"),
            ("spl", json!({"min": "0"}), "rule.min"),
            ("metaplex_collection", json!({"collection": null}), "rule.collection"),
            ("metaplex_creator", json!({"collection": KEY}), "rule.collection"),
            ("core_collection", json!({"min": "65"}), "rule.min"),
            ("token2022_group", json!({"min": "0"}), "rule.min"),
            ("accounts", json!({"deny": []}), "rule"),
            ("accounts", json!({"allow": []}), "rule.allow"),
            ("accounts", json!({"allow": [CONTRACT]}), "rule.allow[0]"),
            ("accounts", json!({"allow": vec![format!("eip155:1:{CONTRACT}"); 201]}), "rule.allow"),
            ("time", json!({"from": null}), "rule"),
            ("time", json!({"from": "tomorrow"}), "rule.from"),
            ("time", json!({"until": "2025-01-01T00:00:00Z"}), "rule.until"),
            ("lambda", json!({"function": "window"}), "rule.function"),
            ("lambda", json!({"function": "a b"}), "rule.function"),
            ("lambda", json!({"parameters": []}), "rule.parameters"),
            ("lambda", json!({"parameters": {"a": "x".repeat(2048)}}), "rule.parameters"),
        ] {
            assert_eq!(path_of(leaf(kind, changes.clone())), path, "{kind} {changes}");
        }
    }

    #[test]
    fn a_tree_that_can_not_be_names_the_place() {
        let one = || leaf("erc721", json!({}));
        for (rule, path) in [
            (json!([]), "rule"),
            (json!({}), "rule"),
            (json!({"any": [one(), {"all": []}]}), "rule.any[1].all"),
            (json!({"any": [one()], "all": [one()]}), "rule.any"),
            (json!({"none": []}), "rule.none"),
            (json!({"at_least": 1}), "rule.of"),
            (json!({"of": [one()]}), "rule.at_least"),
            (json!({"at_least": 0, "of": [one()]}), "rule.at_least"),
            (json!({"at_least": 2, "of": [one()]}), "rule.at_least"),
            (json!({"at_least": "1", "of": [one()]}), "rule.at_least"),
        ] {
            assert_eq!(path_of(rule.clone()), path, "{rule}");
        }
        for version in [json!(2), json!("1"), json!(null)] {
            let policy = json!({"version": version, "rule": one()});
            assert_eq!(Policy::read(&policy).unwrap_err().path, "version");
        }
        let policy = json!({"version": 1, "rule": one(), "allow": true});
        assert_eq!(Policy::read(&policy).unwrap_err().path, "policy.allow");
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let mut rule = leaf("erc721", json!({}));
        for _ in 0..MAX_DEPTH - 1 {
            rule = json!({"none": [rule]});
        }
        assert!(parse(rule.clone()).is_ok());
        assert!(path_of(json!({"all": [rule]})).ends_with("none[0]"));
        let many = vec![leaf("erc721", json!({})); MAX_CONDITIONS + 1];
        assert_eq!(path_of(json!({"any": many})), "rule.any[20]");
        assert_eq!(path_of(json!({"any": vec![leaf("erc721", json!({})); 1000]})), "policy");
    }

    #[test]
    fn a_stored_policy_outlives_its_chain_and_its_plug_in() {
        for kind in KINDS {
            let value = json!({"version": 1, "rule": leaf(kind, json!({}))});
            let chainless = matches!(kind, "accounts" | "time");
            assert_eq!(Policy::parse(&value, &Known::default()).is_ok(), chainless, "{kind}");
            assert!(Policy::read(&value).is_ok());
        }
    }

    #[test]
    fn others_do_not_see_lists_and_parameters() {
        let rule = json!({"any": [leaf("accounts", json!({})), leaf("lambda", json!({}))]});
        let seen = parse(rule).unwrap().to_public_json();
        let expected = json!([{"kind": "accounts"}, {"kind": "lambda", "function": "door"}]);
        assert_eq!(seen["rule"]["any"], expected);
    }

    proptest! {
        #[test]
        fn any_json_is_answered(text in "\\PC{0,200}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let _ = parse(value);
            }
        }

        #[test]
        fn any_field_of_any_kind_is_answered(
            kind in proptest::sample::select(KINDS.to_vec()),
            field in proptest::sample::select(vec![
                "chain", "contract", "asset", "min", "max", "ids", "traits", "via", "function",
                "arguments", "result", "mint", "collection", "allow", "deny", "from", "until",
            ]),
            text in "\\PC{0,40}",
        ) {
            if let Ok(policy) = parse(leaf(kind, json!({field: text}))) {
                prop_assert_eq!(Policy::read(&policy.to_json()).unwrap(), policy);
            }
        }
    }
}
