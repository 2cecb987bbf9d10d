//! From facts to what one condition says of a viewer.
//!
//! A leaf asks [`Asker`] for the facts that it needs. Those that are not there yet are noted, and
//! the leaf is pending; when they have been read it is evaluated again, and may ask for more.

mod changes;
mod evm;
mod metadata;
mod solana;

use crate::Seconds;
use crate::account::{Address, ChainId, Pubkey, Wallet};
use crate::condition::{Accounts, Condition, Lambda, Time};
use crate::decision::Verdict;
use crate::fact::{Answer, Fact, Place, PluginRead, Question};
use crate::number::{self, U256};
use crate::session::Holder;
use serde_json::json;
use std::collections::HashMap;
use std::str::FromStr;

pub use changes::{changed_by, is_delegated, native_balance};
pub use evm::{DELEGATE_REGISTRY, is_refused_by_right};
pub use solana::{associated_token_account, metadata_account, programs};

/// How many assets a viewer may name.
pub const MAX_HINTS: usize = 16;

/// Who asks to watch.
#[derive(Debug, Clone, Copy)]
pub struct Viewer<'a> {
    /// The wallets that signed in; what they hold is added up.
    pub holders: &'a [Holder],
    /// What the viewer says to hold: where to look, and no proof of anything.
    pub hints: &'a [Asset],
    /// Now.
    pub now: Seconds,
}

/// One token that a viewer says to hold (CAIP-19).
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Asset {
    /// `eip155:1/erc721:0x../7`, or erc1155.
    Evm {
        /// The chain's number.
        chain: u64,
        /// The contract.
        contract: Address,
        /// The token.
        id: U256,
    },
    /// `solana:../nft:<mint>`, or a Metaplex Core asset's address in the mint's place.
    Solana {
        /// The cluster.
        chain: ChainId,
        /// The mint, or the asset.
        key: Pubkey,
    },
}

impl FromStr for Asset {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (chain, rest) = text.split_once('/')?;
            let chain = chain.parse().ok()?;
            match chain {
                ChainId::Eip155(chain) => {
                    let (contract, id) = rest.split_once('/')?;
                    let contract = contract
                        .strip_prefix("erc721:")
                        .or_else(|| contract.strip_prefix("erc1155:"))?;
                    let (contract, id) = (contract.parse().ok()?, number::whole(id)?);
                    Some(Self::Evm { chain, contract, id })
                }
                ChainId::Solana(_) => {
                    let key = rest.strip_prefix("nft:").or_else(|| rest.strip_prefix("token:"))?;
                    Some(Self::Solana { chain, key: key.parse().ok()? })
                }
            }
        };
        let example =
            "an asset is written eip155:1/erc721:0x../7 or solana:../nft:<mint> (CAIP-19)";
        read().ok_or_else(|| example.to_owned())
    }
}

impl std::fmt::Display for Asset {
    /// Which of the two standards a token is of is not kept: it is looked up by its id alone.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Evm { chain, contract, id } => {
                write!(out, "eip155:{chain}/erc721:{contract}/{id}")
            }
            Self::Solana { chain, key } => write!(out, "{chain}/nft:{key}"),
        }
    }
}

impl From<Asset> for String {
    fn from(asset: Asset) -> Self {
        asset.to_string()
    }
}

impl TryFrom<String> for Asset {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// In what way a fact is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It moves: all such facts of one chain must be of one block.
    Moving,
    /// It does not change while a decision is made, and may be of another block.
    Steady {
        /// Whether it stays as it is for a long time. What is not there yet may come.
        settled: bool,
    },
}

/// The facts at hand, and a note of those that are missing.
#[derive(Debug)]
pub struct Asker<'a> {
    facts: &'a HashMap<Question, Fact>,
    /// What was asked for, in order, and in what way.
    pub asked: Vec<(Question, Manner)>,
    /// Whether something asked for is not there.
    pub pending: bool,
}

impl<'a> Asker<'a> {
    /// Over these facts.
    pub fn new(facts: &'a HashMap<Question, Fact>) -> Self {
        Self { facts, asked: Vec::new(), pending: false }
    }

    /// The answer to a question, if it is there.
    fn ask(&mut self, question: Question) -> Option<&'a Fact> {
        self.note(question, |_| Manner::Moving)
    }

    /// As [`Asker::ask`], for what does not change while a decision is made: a token's decimals,
    /// a contract's manners, where to look. `settled` says which answers are good for long.
    fn ask_steady(
        &mut self,
        question: Question,
        settled: impl FnOnce(&Answer) -> bool,
    ) -> Option<&'a Fact> {
        self.note(question, |fact| Manner::Steady {
            settled: fact.is_some_and(|fact| settled(&fact.answer)),
        })
    }

    fn note(
        &mut self,
        question: Question,
        manner: impl FnOnce(Option<&Fact>) -> Manner,
    ) -> Option<&'a Fact> {
        let fact = self.facts.get(&question);
        self.pending |= fact.is_none();
        if !self.asked.iter().any(|(other, _)| *other == question) {
            self.asked.push((question, manner(fact)));
        }
        fact
    }
}

/// What one condition says of a viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it holds.
    pub verdict: Verdict,
    /// Whether a no can be relied on where a no lets somebody in. It can't when the contract makes
    /// no sense, or not everything could be looked at.
    pub firm: bool,
    /// What was seen: a number of tokens, an amount, a result.
    pub value: Option<String>,
    /// Where.
    pub place: Option<Place>,
    /// Why, when it is not a plain yes.
    pub reason: Option<String>,
    /// When this may change by itself.
    pub until: Option<Seconds>,
    /// The single tokens that count, where it is known which they are.
    pub tokens: Vec<Asset>,
}

impl Finding {
    fn new(verdict: Verdict) -> Self {
        Self {
            verdict,
            firm: true,
            value: None,
            place: None,
            reason: None,
            until: None,
            tokens: Vec::new(),
        }
    }

    fn because(verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::new(verdict) }
    }

    fn unknown(reason: impl Into<String>) -> Self {
        Self::because(Verdict::Unknown, reason)
    }

    /// A no that is the contract's fault, or of a search that had to end.
    fn doubtful(reason: impl Into<String>) -> Self {
        Self { firm: false, ..Self::because(Verdict::No, reason) }
    }

    fn with_value(self, value: impl Into<String>) -> Self {
        Self { value: Some(value.into()), ..self }
    }
}

/// What became of asking for one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reading<T> {
    /// Not read yet.
    Pending,
    /// It is this.
    Is(T),
    /// What was asked makes no sense to whom it was asked of; the text says why.
    Broken(String),
    /// It can't be learned now; the text says why.
    Unknown(String),
}

impl<T> Reading<T> {
    /// What an answer is, by `read`, which says why it is nothing.
    fn of<'a>(fact: Option<&'a Fact>, read: impl FnOnce(&'a Answer) -> Result<T, String>) -> Self {
        match fact.map(|fact| &fact.answer) {
            None => Self::Pending,
            Some(Answer::Unknown(reason)) => Self::Unknown(reason.clone()),
            Some(answer) => match read(answer) {
                Ok(value) => Self::Is(value),
                Err(reason) => Self::Broken(reason),
            },
        }
    }
}

impl<T> Reading<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Pending => Reading::Pending,
            Self::Is(value) => Reading::Is(change(value)),
            Self::Broken(reason) => Reading::Broken(reason),
            Self::Unknown(reason) => Reading::Unknown(reason),
        }
    }
}

/// A number that is being added up, some of whose parts may be missing.
#[derive(Debug, Default)]
struct Tally {
    sum: U256,
    unknown: Option<String>,
    doubt: Option<String>,
    /// Which ones, of single tokens.
    tokens: Vec<Asset>,
}

impl Tally {
    fn add(&mut self, reading: Reading<U256>) {
        match reading {
            Reading::Pending => self.unknown = Some("not read".to_owned()),
            Reading::Is(value) => self.sum = self.sum.saturating_add(value),
            Reading::Broken(reason) => self.doubt = Some(reason),
            Reading::Unknown(reason) => self.unknown = Some(reason),
        }
    }

    /// As [`Tally::add`], of one token.
    fn add_token(&mut self, counts: Reading<bool>, token: Asset) {
        if counts == Reading::Is(true) {
            self.tokens.push(token);
        }
        self.add(counts.map(|yes| U256::from(yes)));
    }

    /// Whether the whole is from `min` to `max`, whatever the missing parts are; `show` writes a
    /// number for people.
    fn weigh(self, min: U256, max: Option<U256>, show: impl Fn(U256) -> String) -> Finding {
        let Self { sum, unknown, doubt, tokens } = self;
        let finding = if max.is_some_and(|max| sum > max) {
            let most = show(max.unwrap_or_default());
            Finding::because(Verdict::No, format!("holds {}, at most {most} is allowed", show(sum)))
        } else if let Some(reason) = unknown.filter(|_| sum < min || max.is_some()) {
            Finding::unknown(reason)
        } else if let Some(reason) = doubt.filter(|_| sum < min || max.is_some()) {
            Finding::doubtful(reason)
        } else if sum < min {
            Finding::because(Verdict::No, format!("holds {}, needs {}", show(sum), show(min)))
        } else {
            Finding::new(Verdict::Yes)
        };
        Finding { tokens, ..finding.with_value(show(sum)) }
    }
}

/// What `condition` says of `viewer` by the facts at hand; not to be used while `ask`, which is
/// this condition's own, is pending.
pub fn evaluate(condition: &Condition, viewer: &Viewer<'_>, ask: &mut Asker<'_>) -> Finding {
    let mut finding = match condition {
        Condition::Erc721(condition) => evm::erc721(condition, viewer, ask),
        Condition::Erc1155(condition) => evm::erc1155(condition, viewer, ask),
        Condition::Erc20(condition) => evm::erc20(condition, viewer, ask),
        Condition::Native(condition) => evm::native(condition, viewer, ask),
        Condition::Contract(condition) => evm::contract(condition, viewer, ask),
        Condition::Unlock(condition) => evm::unlock(condition, viewer, ask),
        Condition::Spl(condition) => solana::spl(condition, viewer, ask),
        Condition::SolanaNft(condition) => solana::nft(condition, viewer, ask),
        Condition::Accounts(condition) => accounts(condition, viewer),
        Condition::Time(condition) => time(condition, viewer.now),
        Condition::Lambda(condition) => lambda(condition, viewer, ask),
    };
    let moving = ask.asked.iter().filter(|(_, manner)| *manner == Manner::Moving);
    // Where nothing moves, the last place that was looked at.
    let steady = ask.asked.iter().rev().filter(|(_, manner)| *manner != Manner::Moving);
    let place = |(question, _): &(Question, Manner)| ask.facts.get(question)?.place.clone();
    finding.place = moving.chain(steady).find_map(place);
    finding
}

/// The viewer's wallets whose holdings on `chain` are the viewer's, each once.
fn wallets<'a>(viewer: &'a Viewer<'_>, chain: ChainId) -> impl Iterator<Item = Wallet> + 'a {
    let counted = move |holder: &Holder| holder.counts_on(chain);
    viewer.holders.iter().enumerate().filter(move |(_, holder)| counted(holder)).filter_map(
        move |(index, holder)| {
            let wallet = holder.account.wallet;
            let before = viewer.holders[..index].iter();
            let again =
                before.filter(|other| counted(other)).any(|other| other.account.wallet == wallet);
            (!again).then_some(wallet)
        },
    )
}

fn accounts(Accounts { allow, accounts }: &Accounts, viewer: &Viewer<'_>) -> Finding {
    let listed = viewer.holders.iter().find(|holder| {
        accounts.iter().any(|account| {
            account.wallet == holder.account.wallet && holder.counts_on(account.chain)
        })
    });
    match (listed, allow) {
        (Some(holder), true) => Finding::new(Verdict::Yes).with_value(holder.account.to_string()),
        (Some(holder), false) => Finding::because(Verdict::No, "the account is on the list")
            .with_value(holder.account.to_string()),
        (None, true) => Finding::because(Verdict::No, "the account is not on the list"),
        (None, false) => Finding::new(Verdict::Yes),
    }
}

fn time(Time { from, until }: &Time, now: Seconds) -> Finding {
    let value = crate::rfc3339(now);
    let finding = match (from, until) {
        (Some(from), _) if now < *from => Finding {
            until: Some(*from),
            ..Finding::because(Verdict::No, format!("begins at {}", crate::rfc3339(*from)))
        },
        (_, Some(until)) if now >= *until => {
            Finding::because(Verdict::No, format!("ended at {}", crate::rfc3339(*until)))
        }
        _ => Finding { until: *until, ..Finding::new(Verdict::Yes) },
    };
    finding.with_value(value)
}

fn lambda(
    Lambda { function, parameters }: &Lambda,
    viewer: &Viewer<'_>,
    ask: &mut Asker<'_>,
) -> Finding {
    let question = Question::Plugin(PluginRead {
        function: function.clone(),
        parameters: json!(parameters).to_string(),
        accounts: viewer.holders.iter().map(|holder| holder.account).collect(),
    });
    match ask.ask(question).map(|fact| &fact.answer) {
        Some(Answer::Said { yes: true, reason }) => Finding::because(Verdict::Yes, reason),
        Some(Answer::Said { yes: false, reason }) => Finding::because(Verdict::No, reason),
        Some(Answer::Unknown(reason)) => Finding::unknown(reason),
        _ => Finding::unknown("the plug-in gave no answer"),
    }
}
