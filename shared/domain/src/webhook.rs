//! What providers push when a chain has changed: whether it is they who do, and what they say.
//!
//! A delivery never lets anybody in. What is in it, or is not, decides only what is looked at again;
//! one that is good and can't be understood has everything looked at.
//!
//! Sources: Alchemy's docs ("Notify API quickstart", "Address Activity", "NFT Activity", "Custom
//! Webhook"), QuickNode's guide "How to validate incoming Streams webhook messages", Helius' docs
//! ("Webhooks").

use crate::Seconds;
use crate::account::{Address, ChainId, Pubkey};
use crate::number::U256;
use crate::transfer::{Log, Touch};
use hmac::{Hmac, Mac};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use subtle::{Choice, ConstantTimeEq};

/// The longest body that is read, in bytes.
pub const MAX_BODY: usize = 256 * 1024;
/// How far a delivery's own time may be from now, in seconds.
pub const WINDOW: Seconds = 5 * 60;
/// A secret is no shorter, in bytes: whoever guesses it can have everything looked at again.
const MIN_SECRET: usize = 16;
/// How many webhooks one provider may have here.
const MAX_HOOKS: usize = 32;
/// How many accounts of Solana are named one by one.
const MAX_ACCOUNTS: usize = 500;

/// Who watches chains for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// alchemy.com
    Alchemy,
    /// quicknode.com
    QuickNode,
    /// helius.dev
    Helius,
}

impl Provider {
    /// By its name in the address.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "alchemy" => Self::Alchemy,
            "quicknode" => Self::QuickNode,
            "helius" => Self::Helius,
            _ => return None,
        })
    }
}

/// The stack's webhooks.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    alchemy: Vec<Hook>,
    quicknode: Vec<Hook>,
    helius: Vec<Hook>,
}

/// One webhook: the chain that it is of, and what is shared with the provider.
#[derive(Clone)]
struct Hook {
    chain: ChainId,
    secret: String,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Hook({})", self.chain)
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    alchemy: Vec<Alchemy>,
    quicknode: Vec<QuickNode>,
    helius: Vec<Helius>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alchemy {
    chain: ChainId,
    signing_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuickNode {
    chain: ChainId,
    security_token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Helius {
    chain: ChainId,
    authorization: String,
}

impl Hooks {
    /// Reads the stack's setting.
    ///
    /// # Errors
    /// What is wrong with it, without quoting it.
    pub fn read(text: &str) -> Result<Self, String> {
        let example = r#" is not like {"alchemy":[{"chain":"eip155:1","signing_key":"..."}]}"#;
        let settings: Settings = serde_json::from_str(text).map_err(|_| example.to_owned())?;
        let Settings { alchemy, quicknode, helius } = settings;
        let alchemy = alchemy.into_iter().map(|hook| (hook.chain, hook.signing_key));
        let quicknode = quicknode.into_iter().map(|hook| (hook.chain, hook.security_token));
        let helius = helius.into_iter().map(|hook| (hook.chain, hook.authorization));
        Ok(Self {
            alchemy: hooks("alchemy", alchemy)?,
            quicknode: hooks("quicknode", quicknode)?,
            helius: hooks("helius", helius)?,
        })
    }

    fn of(&self, provider: Provider) -> &[Hook] {
        match provider {
            Provider::Alchemy => &self.alchemy,
            Provider::QuickNode => &self.quicknode,
            Provider::Helius => &self.helius,
        }
    }

    /// Whether there are any of a provider.
    pub fn has(&self, provider: Provider) -> bool {
        !self.of(provider).is_empty()
    }

    /// The chain that a delivery is of, if it is the provider's. `header` gives the value of a
    /// header that is there exactly once. Takes as long whichever webhook it is of, or of none.
    pub fn authenticate<'a>(
        &self,
        provider: Provider,
        header: impl Fn(&'static str) -> Option<&'a str>,
        body: &[u8],
        now: Seconds,
    ) -> Option<ChainId> {
        let hooks = self.of(provider);
        match provider {
            Provider::Alchemy => {
                let signature = signature(header("x-alchemy-signature")?)?;
                signed(hooks, &[body], &signature)
            }
            Provider::QuickNode => {
                let signature = signature(header("x-qn-signature")?)?;
                let (nonce, time) = (header("x-qn-nonce")?, header("x-qn-timestamp")?);
                let at = seconds(time).filter(|at| at.abs_diff(now) <= WINDOW);
                let text = [nonce.as_bytes(), time.as_bytes(), body];
                signed(hooks, &text, &signature).filter(|_| at.is_some())
            }
            Provider::Helius => {
                // Digests are of one length, and so tell nothing of the secret's.
                let shown = Sha256::digest(header("authorization")?);
                matching(hooks, |hook| Sha256::digest(&hook.secret).ct_eq(&shown))
            }
        }
    }
}

fn hooks(
    provider: &str,
    list: impl Iterator<Item = (ChainId, String)>,
) -> Result<Vec<Hook>, String> {
    let hooks: Vec<_> = list.map(|(chain, secret)| Hook { chain, secret }).collect();
    if hooks.len() > MAX_HOOKS {
        return Err(format!(": {provider} has more than {MAX_HOOKS} webhooks"));
    }
    match hooks.iter().position(|hook| hook.secret.len() < MIN_SECRET) {
        Some(index) => {
            Err(format!(": {provider}[{index}] has a secret of less than {MIN_SECRET} bytes"))
        }
        None => Ok(hooks),
    }
}

fn signature(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(hex, &mut bytes).ok().map(|()| bytes)
}

/// Unix seconds, or milliseconds.
fn seconds(text: &str) -> Option<Seconds> {
    let plain = text.len() <= 13 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = text.parse().ok().filter(|_| plain)?;
    Some(if text.len() == 13 { number / 1000 } else { number })
}

fn signed(hooks: &[Hook], parts: &[&[u8]], signature: &[u8; 32]) -> Option<ChainId> {
    matching(hooks, |hook| {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(hook.secret.as_bytes()) else {
            return Choice::from(0);
        };
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().ct_eq(signature)
    })
}

/// All are tried, whichever it is.
fn matching(hooks: &[Hook], is_its: impl Fn(&Hook) -> Choice) -> Option<ChainId> {
    let mut found = None;
    for hook in hooks {
        if bool::from(is_its(hook)) {
            found = Some(hook.chain);
        }
    }
    found
}

/// What a delivery about an EVM chain says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EvmNews {
    /// What contracts said.
    pub touches: BTreeSet<Touch>,
    /// Who sent or got native coin, perhaps.
    pub wallets: BTreeSet<Address>,
    /// The last block that is told of.
    pub block: Option<u64>,
}

/// What a delivery about a Solana cluster says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SolanaNews {
    /// The accounts that were written to, perhaps.
    pub accounts: BTreeSet<Pubkey>,
    /// Whose they are.
    pub wallets: BTreeSet<Pubkey>,
}

/// Calls `see` with every object in a value, and says whether it has a list in it that is empty
/// where something could be told.
fn every_object<'a>(value: &'a Value, mut see: impl FnMut(&'a Map<String, Value>)) -> bool {
    let mut empty = value.as_array().is_some_and(Vec::is_empty);
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(list) => open.extend(list),
            Value::Object(object) => {
                see(object);
                let lists = ["logs", "activity", "receipts", "data"].map(|name| object.get(name));
                let mut lists = lists.into_iter().flatten();
                empty |= lists.any(|list| list.as_array().is_some_and(Vec::is_empty));
                open.extend(object.values());
            }
            _ => {}
        }
    }
    empty
}

fn hex_bytes(value: &Value) -> Option<Vec<u8>> {
    hex::decode(value.as_str()?.strip_prefix("0x")?).ok()
}

/// Whatever the case of its letters: this is no name that a person wrote.
fn address(value: Option<&Value>) -> Option<Address> {
    hex_bytes(value?)?.try_into().ok().map(Address)
}

fn number(value: Option<&Value>) -> Option<U256> {
    match value? {
        Value::Number(number) => number.as_u64().map(U256::from),
        Value::String(text) => match text.strip_prefix("0x") {
            Some(hex) => U256::from_str_radix(hex, 16).ok(),
            None => crate::number::whole(text),
        },
        _ => None,
    }
}

impl EvmNews {
    /// What is told, in whatever shape: logs as `eth_getLogs` gives them, or Alchemy's activities.
    /// `None` if nothing is understood.
    pub fn read(value: &Value) -> Option<Self> {
        let mut news = Self::default();
        let (mut known, mut broken) = (false, false);
        let empty = every_object(value, |object| {
            let block = number(object.get("blockNumber").or_else(|| object.get("blockNum")));
            news.block = news.block.max(block.and_then(|block| u64::try_from(block).ok()));
            if object.get("topics").is_some_and(Value::is_array) {
                match log(object) {
                    Some(log) => news.touches.extend(log.touches()),
                    None => broken = true,
                }
                known = true;
            } else if let Some((from, to)) = pair(object, "fromAddress", "toAddress") {
                news.activity(object, from, to);
                known = true;
            } else if let Some((from, to)) = pair(object, "from", "to") {
                news.wallets.extend([from, to].into_iter().flatten());
                known = true;
            }
        });
        ((known || empty) && !broken).then_some(news)
    }

    /// One of Alchemy's: of a contract, or of native coin.
    fn activity(
        &mut self,
        object: &Map<String, Value>,
        from: Option<Address>,
        to: Option<Address>,
    ) {
        let raw = object.get("rawContract").and_then(|raw| raw.get("address"));
        let contract = address(object.get("contractAddress")).or_else(|| address(raw));
        let both = [from, to].into_iter().flatten();
        let Some(contract) = contract else {
            return self.wallets.extend(both);
        };
        let many = object.get("erc1155Metadata").and_then(Value::as_array);
        let mut ids: BTreeSet<_> =
            many.into_iter().flatten().map(|one| number(one.get("tokenId"))).collect();
        ids.insert(number(object.get("erc721TokenId")));
        let each = both.flat_map(|wallet| ids.iter().map(move |id| (wallet, *id)));
        let touch = |(wallet, id)| Touch { contract, wallet: Some(wallet), id };
        self.touches.extend(each.map(touch));
    }
}

/// Two wallets by their names in an object, one of which may be nobody.
type Pair = (Option<Address>, Option<Address>);

fn pair(object: &Map<String, Value>, from: &str, to: &str) -> Option<Pair> {
    let pair = (address(object.get(from)), address(object.get(to)));
    let held = |wallet: Address| wallet != Address::ZERO;
    (pair != (None, None))
        .then(|| (pair.0.filter(|one| held(*one)), pair.1.filter(|one| held(*one))))
}

fn log(object: &Map<String, Value>) -> Option<Log> {
    let account = object.get("account").and_then(|account| account.get("address"));
    let contract = address(object.get("address").or(account))?;
    let word = |topic: &Value| hex_bytes(topic)?.try_into().ok();
    let topics = object.get("topics")?.as_array()?.iter().map(word).collect::<Option<_>>()?;
    let data = object.get("data").map_or_else(|| Some(Vec::new()), hex_bytes)?;
    Some(Log { contract, topics, data })
}

impl SolanaNews {
    /// What is told, in Helius' enhanced shape or that of raw transactions. `None` if nothing is
    /// understood, or too much is told.
    pub fn read(value: &Value) -> Option<Self> {
        let mut news = Self::default();
        let key = |value: &Value| value.as_str().and_then(|text| text.parse::<Pubkey>().ok());
        let empty = every_object(value, |object| {
            for (name, value) in object {
                match name.as_str() {
                    "fromUserAccount" | "toUserAccount" | "userAccount" | "owner" => {
                        news.wallets.extend(key(value));
                    }
                    "account" | "pubkey" | "tokenAccount" | "fromTokenAccount"
                    | "toTokenAccount" => news.accounts.extend(key(value)),
                    "accountKeys" | "writable" => {
                        let keys = value.as_array().into_iter().flatten();
                        news.accounts.extend(keys.filter_map(key));
                    }
                    _ => {}
                }
            }
        });
        let known = empty || !news.accounts.is_empty() || !news.wallets.is_empty();
        (known && news.accounts.len() <= MAX_ACCOUNTS).then_some(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: Seconds = 1_800_000_000;
    const BODY: &[u8] = br#"{"event":{}}"#;
    const MAINNET: ChainId = ChainId::Eip155(1);
    const POLYGON: ChainId = ChainId::Eip155(137);

    fn hooks() -> Hooks {
        let solana = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
        let text = json!({
            "alchemy": [
                {"chain": "eip155:1", "signing_key": "whsec_0123456789"},
                {"chain": "eip155:137", "signing_key": "whsec_9876543210"}],
            "quicknode": [{"chain": "eip155:1", "security_token": "qnsec_0123456789"}],
            "helius": [{"chain": solana, "authorization": "Bearer 0123456789"}]});
        Hooks::read(&text.to_string()).unwrap()
    }

    fn sign(key: &str, parts: &[&[u8]]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        parts.iter().for_each(|part| mac.update(part));
        hex::encode(mac.finalize().into_bytes())
    }

    fn ask(provider: Provider, headers: &[(&'static str, &str)], body: &[u8]) -> Option<ChainId> {
        let header =
            |name| headers.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        hooks().authenticate(provider, header, body, NOW)
    }

    fn alchemy(signature: &str, body: &[u8]) -> Option<ChainId> {
        ask(Provider::Alchemy, &[("x-alchemy-signature", signature)], body)
    }

    #[test]
    fn alchemy_signs_the_body() {
        let good = sign("whsec_0123456789", &[BODY]);
        assert_eq!(alchemy(&good, BODY), Some(MAINNET));
        assert_eq!(alchemy(&sign("whsec_9876543210", &[BODY]), BODY), Some(POLYGON));
        let twice = format!("{good},{good}");
        let other = sign("whsec_0000000000", &[BODY]);
        let empty = sign("", &[BODY]);
        for bad in ["", "0", &good[1..], &format!("{good}00"), &twice, &other, &empty] {
            assert_eq!(alchemy(bad, BODY), None, "{bad}");
        }
        assert_eq!(alchemy(&good, br#"{"event": {}}"#), None);
        assert_eq!(alchemy(&good, b""), None);
        assert_eq!(ask(Provider::Alchemy, &[], BODY), None);
        // One provider's word is not another's.
        assert_eq!(ask(Provider::QuickNode, &[("x-alchemy-signature", &good)], BODY), None);
    }

    #[test]
    fn quicknode_signs_nonce_time_and_body() {
        let shown = |nonce: &str, time: &str, signature: &str| {
            let headers =
                [("x-qn-nonce", nonce), ("x-qn-timestamp", time), ("x-qn-signature", signature)];
            ask(Provider::QuickNode, &headers, BODY)
        };
        let signed = |nonce: &str, time: &str| {
            let text = [nonce.as_bytes(), time.as_bytes(), BODY];
            shown(nonce, time, &sign("qnsec_0123456789", &text))
        };
        let at = |time: Seconds| signed("n", &time.to_string());
        assert_eq!(at(NOW), Some(MAINNET));
        assert_eq!(at(NOW * 1000), Some(MAINNET));
        assert_eq!((at(NOW - WINDOW), at(NOW + WINDOW)), (Some(MAINNET), Some(MAINNET)));
        assert_eq!((at(NOW - WINDOW - 1), at(NOW + WINDOW + 1)), (None, None));
        for time in ["", "x", "-1", "+1800000000", "99999999999999"] {
            assert_eq!(signed("n", time), None, "{time}");
        }
        let good = sign("qnsec_0123456789", &[b"n", NOW.to_string().as_bytes(), BODY]);
        assert_eq!(shown("m", &NOW.to_string(), &good), None);
        assert_eq!(shown("n", &(NOW + 1).to_string(), &good), None);
        let without = [("x-qn-timestamp", "1800000000"), ("x-qn-signature", good.as_str())];
        assert_eq!(ask(Provider::QuickNode, &without, BODY), None);
    }

    #[test]
    fn helius_shows_what_was_agreed_on() {
        let shown = |value: &str| ask(Provider::Helius, &[("authorization", value)], BODY);
        assert!(matches!(shown("Bearer 0123456789"), Some(ChainId::Solana(_))));
        for bad in ["", "Bearer 012345678", "bearer 0123456789", "Bearer 0123456789 "] {
            assert_eq!(shown(bad), None, "{bad}");
        }
        assert_eq!(ask(Provider::Helius, &[], BODY), None);
    }

    #[test]
    fn without_webhooks_nothing_is_good() {
        let none = Hooks::read("{}").unwrap();
        for provider in ["alchemy", "quicknode", "helius"].map(Provider::named) {
            let provider = provider.unwrap();
            assert!(!none.has(provider) && hooks().has(provider));
            assert_eq!(none.authenticate(provider, |_| Some(""), BODY, NOW), None);
        }
        assert_eq!(Provider::named("Alchemy"), None);
    }

    #[test]
    fn settings_that_can_not_be_are_refused_and_not_quoted() {
        let short = r#"{"alchemy":[{"chain":"eip155:1","signing_key":"s3cret"}]}"#;
        let unknown = r#"{"alchemy":[{"chain":"eip155:1","key":"s3cret-0123456789"}]}"#;
        let chain = r#"{"helius":[{"chain":"mainnet","authorization":"s3cret-0123456789"}]}"#;
        for (text, part) in [
            (short, "alchemy[0] has a secret of less than 16"),
            (unknown, "is not like"),
            (chain, "is not like"),
            ("[]s3cret", "is not like"),
            ("", "is not like"),
        ] {
            let error = Hooks::read(text).unwrap_err();
            assert!(error.contains(part) && !error.contains("s3cret"), "{error}");
        }
        assert!(!format!("{:?}", hooks()).contains("0123456789"));
    }

    const ONE: &str = "0x1111111111111111111111111111111111111111";
    const TWO: &str = "0x2222222222222222222222222222222222222222";
    const TOKEN: &str = "0x3333333333333333333333333333333333333333";

    fn touched(news: &EvmNews) -> Vec<(u8, u8, Option<u64>)> {
        let each = news.touches.iter();
        each.map(|touch| {
            let wallet = touch.wallet.map_or(0, |wallet| wallet.0[0]);
            (touch.contract.0[0], wallet, touch.id.map(|id| id.to::<u64>()))
        })
        .collect()
    }

    fn transfer_log() -> Value {
        let word = |text: &str| format!("0x{:0>64}", &text[2..]);
        json!({"address": TOKEN, "data": "0x", "blockNumber": "0xdf34a3", "removed": false,
            "topics": ["0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
                word(ONE), word(TWO), word("0x7")]})
    }

    #[test]
    fn deliveries_are_understood_in_their_providers_shapes() {
        let both = vec![(0x33, 0x11, Some(7)), (0x33, 0x22, Some(7))];
        let nft = json!({"fromAddress": ONE, "toAddress": TWO, "contractAddress": TOKEN,
            "blockNum": "0xdf34a3", "erc721TokenId": "0x7", "category": "erc721"});
        let editions = json!({"fromAddress": ONE, "toAddress": TWO, "contractAddress": TOKEN,
            "blockNum": "0xdf34a3", "erc1155Metadata": [{"tokenId": "0x7", "value": "0xa"}]});
        let mut custom = transfer_log();
        custom.as_object_mut().unwrap().remove("address");
        custom["account"] = json!({"address": TOKEN});
        for (value, least) in [
            (json!({"event": {"network": "ETH_MAINNET", "activity": [nft]}}), both.clone()),
            (json!({"event": {"activity": [editions]}}), both.clone()),
            (
                json!({"type": "GRAPHQL", "event": {"data": {"block": {"logs": [custom]}}}}),
                both.clone(),
            ),
            (json!({"data": [[{"logs": [transfer_log()]}]], "metadata": {}}), both.clone()),
            (json!([transfer_log()]), both),
        ] {
            let news = EvmNews::read(&value).unwrap();
            let told = touched(&news);
            assert!(least.iter().all(|one| told.contains(one)), "{value}: {told:?}");
            assert_eq!(news.block, Some(0xdf34a3));
        }
        let coin = json!({"event": {"activity": [{"fromAddress": ONE, "toAddress": TWO,
            "category": "external", "rawContract": {"address": null}}]}});
        let news = EvmNews::read(&coin).unwrap();
        assert_eq!((news.wallets.len(), news.touches.len()), (2, 0));
        let nothing = json!({"event": {"data": {"block": {"logs": []}}}});
        assert_eq!(EvmNews::read(&nothing), Some(EvmNews::default()));
    }

    /// Guard: what is not understood must not be taken for nothing.
    #[test]
    fn what_is_not_understood_is_not_nothing() {
        let mut broken = transfer_log();
        broken["topics"][1] = json!("0x12");
        for value in [
            json!({"message": "PING"}),
            json!({"wallets": [ONE]}),
            json!({"data": [{"wallet": ONE}]}),
            json!([transfer_log(), broken]),
            json!("text"),
            json!(null),
        ] {
            assert_eq!(EvmNews::read(&value), None, "{value}");
            assert_eq!(SolanaNews::read(&value), None, "{value}");
        }
    }

    #[test]
    fn solana_is_understood_enhanced_and_raw() {
        let key = |byte: u8| Pubkey([byte; 32]);
        let enhanced = json!([{"accountData": [{"account": key(1), "nativeBalanceChange": 0,
            "tokenBalanceChanges": [{"tokenAccount": key(2), "userAccount": key(3), "mint": key(9)}]}],
            "tokenTransfers": [{"fromUserAccount": key(3), "toUserAccount": key(4),
                "fromTokenAccount": key(2), "toTokenAccount": key(5), "mint": key(9)}]}]);
        let news = SolanaNews::read(&enhanced).unwrap();
        assert_eq!(news.wallets, BTreeSet::from([key(3), key(4)]));
        assert_eq!(news.accounts, BTreeSet::from([key(1), key(2), key(5)]));
        let raw = json!([{"meta": {"postTokenBalances": [{"owner": key(3), "mint": key(9)}],
            "loadedAddresses": {"writable": [key(6)], "readonly": []}},
            "transaction": {"message": {"accountKeys": [key(1), key(2)]}}}]);
        let news = SolanaNews::read(&raw).unwrap();
        assert_eq!(news.wallets, BTreeSet::from([key(3)]));
        assert_eq!(news.accounts, BTreeSet::from([key(1), key(2), key(6)]));
        let mut keys = vec![Value::Null; MAX_ACCOUNTS + 1];
        for (index, place) in (1_u16..).zip(&mut keys) {
            let mut bytes = [7; 32];
            bytes[..2].copy_from_slice(&index.to_be_bytes());
            *place = json!(Pubkey(bytes));
        }
        assert_eq!(SolanaNews::read(&json!({"accountKeys": keys})), None);
    }

    proptest! {
        #[test]
        fn any_json_is_answered(text in "[\\[\\]{}\":,0-9a-z ]{0,60}", name in "topics|from|data|logs|address|account") {
            for text in [text.clone(), format!("{{\"{name}\":{text}}}")] {
                if let Ok(value) = serde_json::from_str::<Value>(&text) {
                    let _ = (EvmNews::read(&value), SolanaNews::read(&value));
                }
            }
        }
    }
}
