//! The leaves of a policy: what is asked of chains, lists, clocks and plug-ins about a viewer.

use crate::Seconds;
use crate::abi::{Function, Type};
use crate::account::{Account, Address, ChainId, Genesis, Pubkey, Wallet};
use crate::number::{self, Amount, U256};
use crate::policy::{PolicyError, only, refuse};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How many token ids a condition can look at one by one.
pub const MAX_IDS: u64 = 64;
/// How many entries an `ids` list may have.
pub const MAX_ID_ENTRIES: usize = 32;
/// How many accounts a list may have.
pub const MAX_ACCOUNTS: usize = 200;
/// How many traits a condition may ask for.
pub const MAX_TRAITS: usize = 10;
/// How long a trait's name and value, an argument, a text to compare with may be, in bytes.
pub const MAX_TEXT: usize = 200;
/// How long a plug-in's parameters may be, as JSON, in bytes.
pub const MAX_PARAMETERS: usize = 2 * 1024;

/// One leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Tokens of an ERC-721 collection.
    Erc721(Erc721),
    /// Tokens of an ERC-1155 contract, of these ids together.
    Erc1155(Erc1155),
    /// An amount of an ERC-20 token.
    Erc20(Erc20),
    /// An amount of a chain's own coin.
    Native(Native),
    /// What a view function answers.
    Contract(Box<Contract>),
    /// A valid key of an Unlock Protocol lock.
    Unlock(Unlock),
    /// An amount of an SPL token (SPL Token or Token-2022).
    Spl(Spl),
    /// NFTs of a Solana collection, creator or group.
    SolanaNft(SolanaNft),
    /// A list of accounts.
    Accounts(Accounts),
    /// A stretch of time.
    Time(Time),
    /// A plug-in.
    Lambda(Lambda),
}

/// See [`Condition::Erc721`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erc721 {
    /// The chain's number.
    pub chain: u64,
    /// The collection.
    pub contract: Address,
    /// How many.
    pub count: Bounds,
    /// Which ids count; all if empty.
    pub ids: Vec<Ids>,
    /// Which traits a token must have to count.
    pub traits: Vec<Trait>,
    /// Whether tokens of wallets count that delegated to the viewer by delegate.xyz.
    pub delegated: bool,
}

/// See [`Condition::Erc1155`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erc1155 {
    /// The chain's number.
    pub chain: u64,
    /// The contract.
    pub contract: Address,
    /// How many, over all ids.
    pub count: Bounds,
    /// Which ids count.
    pub ids: Vec<Ids>,
    /// As in [`Erc721`].
    pub delegated: bool,
}

/// See [`Condition::Erc20`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erc20 {
    /// The chain's number.
    pub chain: u64,
    /// The token.
    pub contract: Address,
    /// How much.
    pub amount: Amounts,
    /// As in [`Erc721`].
    pub delegated: bool,
}

/// See [`Condition::Native`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Native {
    /// The chain's number.
    pub chain: u64,
    /// How much, in units of 10^18.
    pub amount: Amounts,
}

/// See [`Condition::Contract`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// The chain's number.
    pub chain: u64,
    /// The contract.
    pub contract: Address,
    /// As it was written.
    pub signature: String,
    /// What that says.
    pub function: Function,
    /// As they were written; `:account` stands for a viewer's wallet.
    pub arguments: Vec<String>,
    /// How the result is compared.
    pub comparator: Comparator,
    /// With what.
    pub expected: String,
}

/// How a result is compared with what is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparator {
    /// The same.
    Equals,
    /// Another.
    NotEquals,
    /// The same or more.
    AtLeast,
    /// The same or less.
    AtMost,
    /// More.
    Above,
    /// Less.
    Below,
}

impl Comparator {
    const ALL: [(&'static str, Self); 6] = [
        ("equals", Self::Equals),
        ("not_equals", Self::NotEquals),
        ("at_least", Self::AtLeast),
        ("at_most", Self::AtMost),
        ("above", Self::Above),
        ("below", Self::Below),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, comparator)| *comparator == self).map_or("", |(word, _)| word)
    }
}

/// See [`Condition::Unlock`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlock {
    /// The chain's number.
    pub chain: u64,
    /// The lock.
    pub contract: Address,
}

/// See [`Condition::Spl`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spl {
    /// The cluster.
    pub chain: Genesis,
    /// The token.
    pub mint: Pubkey,
    /// The least amount, in token units.
    pub min: Amount,
}

/// See [`Condition::SolanaNft`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SolanaNft {
    /// By what it is recognised.
    pub mark: Mark,
    /// The cluster.
    pub chain: Genesis,
    /// The collection, creator or group.
    pub key: Pubkey,
    /// How many, at least.
    pub min: u64,
}

/// By what a Solana NFT is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Metaplex Token Metadata: a verified collection.
    MetaplexCollection,
    /// Metaplex Token Metadata: a verified creator.
    MetaplexCreator,
    /// Metaplex Core: the collection that is its update authority.
    CoreCollection,
    /// Token-2022: membership in a group.
    Token2022Group,
}

impl Mark {
    const ALL: [(&'static str, &'static str, Self); 4] = [
        ("metaplex_collection", "collection", Self::MetaplexCollection),
        ("metaplex_creator", "creator", Self::MetaplexCreator),
        ("core_collection", "collection", Self::CoreCollection),
        ("token2022_group", "group", Self::Token2022Group),
    ];

    /// Its kind, and the field that names the key.
    fn words(self) -> (&'static str, &'static str) {
        Self::ALL
            .iter()
            .find(|(_, _, mark)| *mark == self)
            .map_or(("", ""), |(kind, field, _)| (kind, field))
    }
}

/// See [`Condition::Accounts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// Whether the listed are let in, or kept out.
    pub allow: bool,
    /// Who is listed. A wallet with a key of its own is the same on every chain of its family.
    pub accounts: Vec<Account>,
}

/// See [`Condition::Time`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Time {
    /// Not before.
    pub from: Option<Seconds>,
    /// Before.
    pub until: Option<Seconds>,
}

/// See [`Condition::Lambda`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lambda {
    /// Its name on the stack's list.
    pub function: String,
    /// What it is told beside the viewer's accounts.
    pub parameters: Map<String, Value>,
}

/// How many: at least `min`, at most `max`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// At least.
    pub min: U256,
    /// At most.
    pub max: Option<U256>,
}

/// How much: at least `min`, at most `max`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amounts {
    /// At least.
    pub min: Amount,
    /// At most.
    pub max: Option<Amount>,
}

/// Token ids from the first to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// The first.
    pub first: U256,
    /// The last; the same for a single id.
    pub last: U256,
}

impl Ids {
    /// Whether an id is one of these.
    pub fn contain(&self, id: U256) -> bool {
        (self.first..=self.last).contains(&id)
    }

    /// Every id of a list, if they are no more than [`MAX_IDS`].
    pub fn each(list: &[Self]) -> Option<Vec<U256>> {
        let mut ids = std::collections::BTreeSet::new();
        for Self { first, last } in list {
            let count = u64::try_from(last - first).ok().filter(|count| *count < MAX_IDS)?;
            ids.extend((0..=count).map(|step| first + U256::from(step)));
        }
        (ids.len() as u64 <= MAX_IDS).then(|| ids.into_iter().collect())
    }
}

/// A trait of a token's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trait {
    /// Its name (`trait_type`).
    pub name: String,
    /// Its value, as text.
    pub value: String,
}

/// How a policy's author learns that what was held is held no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// By an event of the chain: a transfer.
    Event,
    /// By asking again after a while.
    Timer,
    /// At a time that is known beforehand, or by a new policy.
    Known,
}

impl Condition {
    /// Its kind, as written.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Erc721(_) => "erc721",
            Self::Erc1155(_) => "erc1155",
            Self::Erc20(_) => "erc20",
            Self::Native(_) => "native",
            Self::Contract(_) => "contract",
            Self::Unlock(_) => "unlock",
            Self::Spl(_) => "spl",
            Self::SolanaNft(nft) => nft.mark.words().0,
            Self::Accounts(_) => "accounts",
            Self::Time(_) => "time",
            Self::Lambda(_) => "lambda",
        }
    }

    /// The chain it is asked of, if any.
    pub fn chain(&self) -> Option<ChainId> {
        Some(match self {
            Self::Erc721(Erc721 { chain, .. })
            | Self::Erc1155(Erc1155 { chain, .. })
            | Self::Erc20(Erc20 { chain, .. })
            | Self::Native(Native { chain, .. })
            | Self::Unlock(Unlock { chain, .. }) => ChainId::Eip155(*chain),
            Self::Contract(contract) => ChainId::Eip155(contract.chain),
            Self::Spl(Spl { chain, .. }) | Self::SolanaNft(SolanaNft { chain, .. }) => {
                ChainId::Solana(*chain)
            }
            Self::Accounts(_) | Self::Time(_) | Self::Lambda(_) => return None,
        })
    }

    /// What it is about, for whoever reads an outcome: a contract, a mint, a plug-in.
    pub fn subject(&self) -> Option<String> {
        Some(match self {
            Self::Erc721(Erc721 { contract, .. })
            | Self::Erc1155(Erc1155 { contract, .. })
            | Self::Erc20(Erc20 { contract, .. })
            | Self::Unlock(Unlock { contract, .. }) => contract.to_string(),
            Self::Contract(contract) => contract.contract.to_string(),
            Self::Spl(Spl { mint, .. }) => mint.to_string(),
            Self::SolanaNft(SolanaNft { key, .. }) => key.to_string(),
            Self::Lambda(Lambda { function, .. }) => function.clone(),
            Self::Native(_) | Self::Accounts(_) | Self::Time(_) => return None,
        })
    }

    /// Whether a decision learns which single tokens let in, not only how many.
    pub fn tells_tokens_apart(&self) -> bool {
        match self {
            Self::Erc721(Erc721 { ids, traits, .. }) => !ids.is_empty() || !traits.is_empty(),
            Self::SolanaNft(_) => true,
            _ => false,
        }
    }

    /// How its loss is noticed.
    pub fn notice(&self) -> Notice {
        match self {
            // Traits are no part of a transfer, and a delegation ends without one.
            Self::Erc721(Erc721 { traits, delegated, .. }) if !traits.is_empty() || *delegated => {
                Notice::Timer
            }
            Self::Erc1155(Erc1155 { delegated: true, .. })
            | Self::Erc20(Erc20 { delegated: true, .. }) => Notice::Timer,
            Self::Erc721(_) | Self::Erc1155(_) | Self::Erc20(_) | Self::Unlock(_) => Notice::Event,
            Self::Native(_)
            | Self::Contract(_)
            | Self::Spl(_)
            | Self::SolanaNft(_)
            | Self::Lambda(_) => Notice::Timer,
            Self::Accounts(_) | Self::Time(_) => Notice::Known,
        }
    }

    /// Reads a leaf.
    pub(crate) fn read(object: &Map<String, Value>, path: &str) -> Result<Self, PolicyError> {
        let fields = Fields { object, path };
        let kind = match object.get("kind") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(_) => return refuse(&format!("{path}.kind"), "a string is needed here"),
            None => {
                return refuse(path, "a rule has one of all, any, none, at_least and kind");
            }
        };
        match kind {
            "erc721" => fields.erc721().map(Self::Erc721),
            "erc1155" => fields.erc1155().map(Self::Erc1155),
            "erc20" => fields.erc20().map(Self::Erc20),
            "native" => fields.native().map(Self::Native),
            "contract" => fields.contract_call().map(|contract| Self::Contract(Box::new(contract))),
            "unlock" => fields.unlock().map(Self::Unlock),
            "spl" => fields.spl().map(Self::Spl),
            "accounts" => fields.accounts().map(Self::Accounts),
            "time" => fields.time().map(Self::Time),
            "lambda" => fields.lambda().map(Self::Lambda),
            _ => match Mark::ALL.iter().find(|(name, _, _)| *name == kind) {
                Some((_, field, mark)) => fields.solana_nft(field, *mark).map(Self::SolanaNft),
                None => refuse(
                    &format!("{path}.kind"),
                    "unknown kind; known: erc721, erc1155, erc20, native, contract, unlock, spl, \
                     metaplex_collection, metaplex_creator, core_collection, token2022_group, \
                     accounts, time, lambda",
                ),
            },
        }
    }

    /// As JSON; reading it again gives the same condition.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        let mut put = |field: &str, value: Value| {
            object.insert(field.to_owned(), value);
        };
        put("kind", json!(self.kind()));
        if let Some(chain) = self.chain() {
            put("chain", json!(chain));
        }
        let ids = |ids: &[Ids]| {
            ids.iter()
                .map(|Ids { first, last }| match first == last {
                    true => first.to_string(),
                    false => format!("{first}-{last}"),
                })
                .collect::<Vec<_>>()
        };
        match self {
            Self::Erc721(Erc721 { contract, count, ids: list, traits, delegated, .. }) => {
                put("contract", json!(contract));
                count.write(&mut put);
                if !list.is_empty() {
                    put("ids", json!(ids(list)));
                }
                if !traits.is_empty() {
                    let pair =
                        |Trait { name, value }: &Trait| json!({"trait": name, "value": value});
                    put("traits", traits.iter().map(pair).collect());
                }
                write_via(*delegated, &mut put);
            }
            Self::Erc1155(Erc1155 { contract, count, ids: list, delegated, .. }) => {
                put("contract", json!(contract));
                count.write(&mut put);
                put("ids", json!(ids(list)));
                write_via(*delegated, &mut put);
            }
            Self::Erc20(Erc20 { contract, amount, delegated, .. }) => {
                put("contract", json!(contract));
                amount.write(&mut put);
                write_via(*delegated, &mut put);
            }
            Self::Native(Native { amount, .. }) => amount.write(&mut put),
            Self::Contract(contract) => {
                put("contract", json!(contract.contract));
                put("function", json!(contract.signature));
                put("arguments", json!(contract.arguments));
                put("result", json!({contract.comparator.word(): contract.expected}));
            }
            Self::Unlock(Unlock { contract, .. }) => put("contract", json!(contract)),
            Self::Spl(Spl { mint, min, .. }) => {
                put("mint", json!(mint));
                put("min", json!(min.to_string()));
            }
            Self::SolanaNft(SolanaNft { mark, key, min, .. }) => {
                put(mark.words().1, json!(key));
                put("min", json!(min.to_string()));
            }
            Self::Accounts(Accounts { allow, accounts }) => {
                put(if *allow { "allow" } else { "deny" }, json!(accounts));
            }
            Self::Time(Time { from, until }) => {
                for (field, moment) in [("from", from), ("until", until)] {
                    if let Some(moment) = moment {
                        put(field, json!(crate::rfc3339(*moment)));
                    }
                }
            }
            Self::Lambda(Lambda { function, parameters }) => {
                put("function", json!(function));
                put("parameters", json!(parameters));
            }
        }
        Value::Object(object)
    }
}

fn write_via(delegated: bool, put: &mut impl FnMut(&str, Value)) {
    if delegated {
        put("via", json!(DELEGATE_XYZ));
    }
}

const DELEGATE_XYZ: &str = "delegate.xyz";

impl Bounds {
    fn write(&self, put: &mut impl FnMut(&str, Value)) {
        put("min", json!(self.min.to_string()));
        if let Some(max) = self.max {
            put("max", json!(max.to_string()));
        }
    }
}

impl Amounts {
    fn write(&self, put: &mut impl FnMut(&str, Value)) {
        put("min", json!(self.min.to_string()));
        if let Some(max) = &self.max {
            put("max", json!(max.to_string()));
        }
    }
}

/// A leaf's fields, by the rules that all leaves share.
struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: &'a str,
}

impl<'a> Fields<'a> {
    fn place(&self, field: &str) -> String {
        format!("{}.{field}", self.path)
    }

    fn refuse<T>(&self, field: &str, reason: impl Into<String>) -> Result<T, PolicyError> {
        refuse(&self.place(field), reason)
    }

    fn only(&self, fields: &[&str]) -> Result<(), PolicyError> {
        let known: Vec<_> = std::iter::once("kind").chain(fields.iter().copied()).collect();
        only(self.object, self.path, &known)
    }

    fn has(&self, field: &str) -> bool {
        self.object.contains_key(field)
    }

    fn text(&self, field: &str) -> Result<&'a str, PolicyError> {
        match self.object.get(field).and_then(Value::as_str) {
            Some(text) => Ok(text),
            None => self.refuse(field, "a string is needed here"),
        }
    }

    fn named<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        field: &str,
    ) -> Result<T, PolicyError> {
        let text = self.text(field)?;
        text.parse().or_else(|error: T::Err| self.refuse(field, error.to_string()))
    }

    /// Chain and thing, by their two fields or by `asset` (CAIP-19), and that asset's token id.
    fn asset(
        &self,
        namespace: &str,
        thing: &str,
    ) -> Result<(ChainId, String, Option<String>), PolicyError> {
        if !self.has("asset") {
            return Ok((self.named("chain")?, self.text(thing)?.to_owned(), None));
        }
        if self.has("chain") || self.has(thing) {
            return self.refuse("asset", format!("give asset, or chain and {thing}, not both"));
        }
        let text = self.text("asset")?;
        let example = || format!("an asset is written <chain>/{namespace}:<{thing}> (CAIP-19)");
        let Some((chain, rest)) = text.split_once('/') else {
            return self.refuse("asset", example());
        };
        let chain = match chain.parse() {
            Ok(chain) => chain,
            Err(_) => return self.refuse("asset", example()),
        };
        let (name, id) = match rest.split_once('/') {
            Some((name, id)) => (name, Some(id.to_owned())),
            None => (rest, None),
        };
        match name.split_once(':') {
            Some((given, name)) if given == namespace => Ok((chain, name.to_owned(), id)),
            _ => self.refuse("asset", example()),
        }
    }

    /// Where an asset's parts were written, for errors.
    fn asset_field(&self, field: &'static str) -> &'static str {
        if self.has("asset") { "asset" } else { field }
    }

    fn evm_asset(&self, namespace: &str) -> Result<(u64, Address, Option<String>), PolicyError> {
        let (chain, contract, id) = self.asset(namespace, "contract")?;
        let chain = self.evm(chain, self.asset_field("chain"))?;
        Ok((chain, self.contract_address(&contract)?, id))
    }

    fn contract_address(&self, text: &str) -> Result<Address, PolicyError> {
        let field = self.asset_field("contract");
        match text.parse() {
            Ok(Address::ZERO) => self.refuse(field, "the zero address is no contract"),
            Ok(contract) => Ok(contract),
            Err(error) => {
                let error: crate::account::NameError = error;
                self.refuse(field, error.to_string())
            }
        }
    }

    fn evm(&self, chain: ChainId, field: &str) -> Result<u64, PolicyError> {
        match chain {
            ChainId::Eip155(chain) => Ok(chain),
            ChainId::Solana(_) => self.refuse(field, "this kind is for eip155 chains"),
        }
    }

    fn solana(&self, chain: ChainId, field: &str) -> Result<Genesis, PolicyError> {
        match chain {
            ChainId::Solana(chain) => Ok(chain),
            ChainId::Eip155(_) => self.refuse(field, "this kind is for solana chains"),
        }
    }

    fn whole(&self, field: &str) -> Result<Option<U256>, PolicyError> {
        if !self.has(field) {
            return Ok(None);
        }
        match number::whole(self.text(field)?) {
            Some(number) => Ok(Some(number)),
            None => self.refuse(field, "a decimal number below 2^256, as a string"),
        }
    }

    fn count(&self) -> Result<Bounds, PolicyError> {
        let (min, max) = (self.whole("min")?.unwrap_or(U256::ONE), self.whole("max")?);
        if min.is_zero() && max.is_none() {
            return self.refuse("min", "at least 1: everybody holds 0");
        }
        if max.is_some_and(|max| max < min) {
            return self
                .refuse("max", format!("less than min, which is {min}: nobody can hold that"));
        }
        Ok(Bounds { min, max })
    }

    fn amount(&self, field: &str) -> Result<Amount, PolicyError> {
        match Amount::parse(self.text(field)?) {
            Some(amount) => Ok(amount),
            None => self.refuse(
                field,
                "an amount in token units, as a string like \"10.5\": below 2^256, no more than 77 \
                 digits behind the point and no zero at their end",
            ),
        }
    }

    fn amounts(&self) -> Result<Amounts, PolicyError> {
        let min = self.amount("min")?;
        let max = if self.has("max") { Some(self.amount("max")?) } else { None };
        if min.is_zero() && max.is_none() {
            return self.refuse("min", "more than 0: everybody holds 0");
        }
        if max.as_ref().is_some_and(|max| min.exceeds(max)) {
            return self
                .refuse("max", format!("less than min, which is {min}: nobody can hold that"));
        }
        Ok(Amounts { min, max })
    }

    fn delegated(&self) -> Result<bool, PolicyError> {
        match self.has("via") {
            false => Ok(false),
            true if self.text("via")? == DELEGATE_XYZ => Ok(true),
            true => self.refuse("via", format!("known: {DELEGATE_XYZ}")),
        }
    }

    fn list(&self, field: &str, most: usize) -> Result<&'a [Value], PolicyError> {
        match self.object.get(field).and_then(Value::as_array) {
            Some(list) if (1..=most).contains(&list.len()) => Ok(list),
            _ => self.refuse(field, format!("a list of 1 to {most} entries")),
        }
    }

    fn ids(&self, of_asset: Option<String>) -> Result<Vec<Ids>, PolicyError> {
        if let Some(id) = of_asset {
            if self.has("ids") {
                return self.refuse("ids", "the asset names a token already");
            }
            return match number::whole(&id) {
                Some(id) => Ok(vec![Ids { first: id, last: id }]),
                None => self.refuse("asset", "its token id is a decimal number below 2^256"),
            };
        }
        if !self.has("ids") {
            return Ok(Vec::new());
        }
        let mut ids = Vec::new();
        for (index, entry) in self.list("ids", MAX_ID_ENTRIES)?.iter().enumerate() {
            let text = entry.as_str().unwrap_or_default();
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            match (number::whole(first), number::whole(last)) {
                (Some(first), Some(last)) if first <= last => ids.push(Ids { first, last }),
                _ => {
                    let reason =
                        "a token id below 2^256 as a string, or a range of them like \"10-20\"";
                    return self.refuse(&format!("ids[{index}]"), reason);
                }
            }
        }
        Ok(ids)
    }

    fn traits(&self) -> Result<Vec<Trait>, PolicyError> {
        if !self.has("traits") {
            return Ok(Vec::new());
        }
        let mut traits = Vec::new();
        for (index, entry) in self.list("traits", MAX_TRAITS)?.iter().enumerate() {
            let path = self.place(&format!("traits[{index}]"));
            let Some(object) = entry.as_object() else {
                return refuse(&path, "an object with trait and value");
            };
            only(object, &path, &["trait", "value"])?;
            let fields = Fields { object, path: &path };
            traits.push(Trait { name: fields.short("trait")?, value: fields.short("value")? });
        }
        Ok(traits)
    }

    /// Text of 1 to [`MAX_TEXT`] bytes.
    fn short(&self, field: &str) -> Result<String, PolicyError> {
        let text = self.text(field)?;
        if (1..=MAX_TEXT).contains(&text.len()) {
            return Ok(text.to_owned());
        }
        self.refuse(field, format!("a text of 1 to {MAX_TEXT} bytes"))
    }

    fn erc721(&self) -> Result<Erc721, PolicyError> {
        self.only(&["chain", "contract", "asset", "min", "max", "ids", "traits", "via"])?;
        let (chain, contract, id) = self.evm_asset("erc721")?;
        let (count, ids) = (self.count()?, self.ids(id)?);
        if let Some(each) = Ids::each(&ids).filter(|each| !each.is_empty())
            && count.min > U256::from(each.len())
        {
            let reason = format!("only {} ids are listed, and each can be held once", each.len());
            return self.refuse("min", reason);
        }
        let (traits, delegated) = (self.traits()?, self.delegated()?);
        Ok(Erc721 { chain, contract, count, ids, traits, delegated })
    }

    fn erc1155(&self) -> Result<Erc1155, PolicyError> {
        self.only(&["chain", "contract", "asset", "min", "max", "ids", "via"])?;
        let (chain, contract, id) = self.evm_asset("erc1155")?;
        let (count, ids) = (self.count()?, self.ids(id)?);
        if ids.is_empty() {
            return self.refuse("ids", "ERC-1155 has no balance over all ids: list some");
        }
        if count.max.is_some() && Ids::each(&ids).is_none() {
            let reason =
                format!("max needs every id looked at, which is done for {MAX_IDS} at most");
            return self.refuse("max", reason);
        }
        Ok(Erc1155 { chain, contract, count, ids, delegated: self.delegated()? })
    }

    fn erc20(&self) -> Result<Erc20, PolicyError> {
        self.only(&["chain", "contract", "asset", "min", "max", "via"])?;
        let (chain, contract, id) = self.evm_asset("erc20")?;
        if id.is_some() {
            return self.refuse("asset", "an ERC-20 token has no token ids");
        }
        Ok(Erc20 { chain, contract, amount: self.amounts()?, delegated: self.delegated()? })
    }

    fn native(&self) -> Result<Native, PolicyError> {
        self.only(&["chain", "min", "max"])?;
        let chain = self.evm(self.named("chain")?, "chain")?;
        Ok(Native { chain, amount: self.amounts()? })
    }

    fn unlock(&self) -> Result<Unlock, PolicyError> {
        self.only(&["chain", "contract"])?;
        let chain = self.evm(self.named("chain")?, "chain")?;
        Ok(Unlock { chain, contract: self.contract_address(self.text("contract")?)? })
    }

    fn contract_call(&self) -> Result<Contract, PolicyError> {
        self.only(&["chain", "contract", "function", "arguments", "result"])?;
        let chain = self.evm(self.named("chain")?, "chain")?;
        let contract = self.contract_address(self.text("contract")?)?;
        let signature = self.text("function")?.to_owned();
        let Some(function) = Function::parse(&signature) else {
            return self.refuse(
                "function",
                "a view function like levelOf(address,uint256)(uint256): elementary types, one result",
            );
        };
        let arguments = match self.object.get("arguments") {
            None => &[],
            Some(Value::Array(list)) => list.as_slice(),
            Some(_) => return self.refuse("arguments", "a list of strings"),
        };
        if arguments.len() != function.arguments.len() {
            let count = function.arguments.len();
            return self.refuse("arguments", format!("the function takes {count}"));
        }
        let mut written = Vec::new();
        for (index, (argument, kind)) in arguments.iter().zip(&function.arguments).enumerate() {
            let fits = |text: &&str| match *text {
                PLACEHOLDER => *kind == Type::Address,
                text => text.len() <= MAX_TEXT && kind.encode(text).is_some(),
            };
            let Some(text) = argument.as_str().filter(fits) else {
                let reason = format!(
                    "a string that is a value of its type, at most {MAX_TEXT} bytes, or {PLACEHOLDER} \
                     for an address"
                );
                return self.refuse(&format!("arguments[{index}]"), reason);
            };
            written.push(text.to_owned());
        }
        let (comparator, expected) = self.comparison(function.result)?;
        Ok(Contract {
            chain,
            contract,
            signature,
            function,
            arguments: written,
            comparator,
            expected,
        })
    }

    fn comparison(&self, kind: Type) -> Result<(Comparator, String), PolicyError> {
        let words = || Comparator::ALL.map(|(word, _)| word).join(", ");
        let one = match self.object.get("result").and_then(Value::as_object) {
            Some(object) if object.len() == 1 => object.iter().next(),
            _ => None,
        };
        let Some((word, value)) = one else {
            return self.refuse("result", format!("an object with one of {}", words()));
        };
        let found = Comparator::ALL.iter().find(|(name, _)| name == word);
        let Some((_, comparator)) = found else {
            let word: String = word.chars().take(40).collect();
            return self.refuse(&format!("result.{word}"), format!("known: {}", words()));
        };
        let place = format!("result.{word}");
        let ordered = !matches!(comparator, Comparator::Equals | Comparator::NotEquals);
        if ordered && !kind.is_ordered() {
            return self.refuse(&place, "this type of result has no more and no less");
        }
        let text = value.as_str().filter(|text| text.len() <= MAX_TEXT);
        // What is compared is the decoded result, so this must be in that form too.
        let canonical = text.and_then(|text| {
            let encoded = kind.encode(text)?;
            match kind {
                Type::String => Some(text.to_owned()),
                Type::Bytes => Some(format!("0x{}", hex::encode(encoded))),
                _ => kind.decode(&encoded),
            }
        });
        match canonical {
            Some(expected) => Ok((*comparator, expected)),
            None => self.refuse(&place, "a string that is a value of the result's type"),
        }
    }

    fn pubkey(&self, text: &str, field: &str) -> Result<Pubkey, PolicyError> {
        match text.parse() {
            Ok(Pubkey::ZERO) => self.refuse(field, "this is the system program's address"),
            Ok(key) => Ok(key),
            Err(error) => {
                let error: crate::account::NameError = error;
                self.refuse(field, error.to_string())
            }
        }
    }

    fn spl(&self) -> Result<Spl, PolicyError> {
        self.only(&["chain", "mint", "asset", "min"])?;
        let (chain, mint, id) = self.asset("token", "mint")?;
        if id.is_some() {
            return self.refuse("asset", "an SPL token has no token ids");
        }
        let chain = self.solana(chain, self.asset_field("chain"))?;
        let mint = self.pubkey(&mint, self.asset_field("mint"))?;
        let min = self.amount("min")?;
        if min.is_zero() {
            return self.refuse("min", "more than 0: everybody holds 0");
        }
        Ok(Spl { chain, mint, min })
    }

    fn solana_nft(&self, field: &'static str, mark: Mark) -> Result<SolanaNft, PolicyError> {
        self.only(&["chain", field, "min"])?;
        let chain = self.solana(self.named("chain")?, "chain")?;
        let key = self.pubkey(self.text(field)?, field)?;
        let min = match self.whole("min")? {
            None => 1,
            Some(min) => match u64::try_from(min) {
                Ok(min @ 1..=MAX_IDS) => min,
                _ => return self.refuse("min", format!("from 1 to {MAX_IDS}")),
            },
        };
        Ok(SolanaNft { mark, chain, key, min })
    }

    fn accounts(&self) -> Result<Accounts, PolicyError> {
        self.only(&["allow", "deny"])?;
        let (field, allow) = match (self.has("allow"), self.has("deny")) {
            (true, false) => ("allow", true),
            (false, true) => ("deny", false),
            _ => return refuse(self.path, "give allow or deny, one of them"),
        };
        let mut accounts = Vec::new();
        for (index, entry) in self.list(field, MAX_ACCOUNTS)?.iter().enumerate() {
            let account: Option<Account> = entry.as_str().and_then(|text| text.parse().ok());
            match account {
                Some(Account { wallet: Wallet::Evm(Address::ZERO), .. }) | None => {
                    let reason = "an account like eip155:1:0x.. or solana:..:<base58> (CAIP-10)";
                    return self.refuse(&format!("{field}[{index}]"), reason);
                }
                Some(account) => accounts.push(account),
            }
        }
        Ok(Accounts { allow, accounts })
    }

    fn time(&self) -> Result<Time, PolicyError> {
        self.only(&["from", "until"])?;
        let moment = |field: &str| {
            if !self.has(field) {
                return Ok(None);
            }
            let read = OffsetDateTime::parse(self.text(field)?, &Rfc3339);
            match read.ok().and_then(|time| Seconds::try_from(time.unix_timestamp()).ok()) {
                Some(moment) => Ok(Some(moment)),
                None => self.refuse(field, "a time like 2026-11-22T20:15:00Z (RFC 3339)"),
            }
        };
        let (from, until) = (moment("from")?, moment("until")?);
        match (from, until) {
            (None, None) => refuse(self.path, "give from, until or both"),
            (Some(from), Some(until)) if until <= from => {
                self.refuse("until", "no later than from: that is no time at all")
            }
            _ => Ok(Time { from, until }),
        }
    }

    fn lambda(&self) -> Result<Lambda, PolicyError> {
        self.only(&["function", "parameters"])?;
        let function = self.text("function")?.to_owned();
        let named = (1..=64).contains(&function.len())
            && function.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !named {
            return self.refuse("function", "a plug-in's name: letters, digits, - and _");
        }
        let parameters = match self.object.get("parameters") {
            None => Map::new(),
            Some(Value::Object(parameters)) => parameters.clone(),
            Some(_) => return self.refuse("parameters", "an object"),
        };
        if json!(parameters).to_string().len() > MAX_PARAMETERS {
            return self.refuse("parameters", format!("at most {MAX_PARAMETERS} bytes of JSON"));
        }
        Ok(Lambda { function, parameters })
    }
}

/// Stands for a viewer's wallet in a function's arguments.
pub const PLACEHOLDER: &str = ":account";
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_ids_are_looked_at_than_can_be() {
        let ids = |first: u64, last: u64| Ids { first: U256::from(first), last: U256::from(last) };
        let count = |list: &[Ids]| Ids::each(list).map(|ids| ids.len());
        assert_eq!(count(&[ids(1, 64)]), Some(64));
        assert_eq!(count(&[ids(1, 65)]), None);
        assert_eq!(count(&[ids(1, 40), ids(30, 64)]), Some(64), "each once");
        assert_eq!(count(&[ids(1, 40), ids(101, 140)]), None);
        assert_eq!(count(&[Ids { first: U256::ZERO, last: U256::MAX }]), None);
    }

    #[test]
    fn nobody_is_the_zero_address() {
        let zero = json!({"kind": "accounts", "allow": [format!("eip155:1:{}", Address::ZERO)]});
        let refused = Condition::read(zero.as_object().unwrap(), "rule").unwrap_err();
        assert_eq!(refused.path, "rule.allow[0]");
    }
}
