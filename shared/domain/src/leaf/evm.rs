//! Conditions on EVM chains.

use super::{Asker, Asset, Finding, Reading, Tally, Viewer, metadata, wallets};
use crate::Seconds;
use crate::abi::{self, Type, as_address, as_bool, as_number, as_rows};
use crate::account::{Address, ChainId, Wallet};
use crate::condition::{
    Amounts, Comparator, Contract, Erc20, Erc721, Erc1155, Ids, Native, PLACEHOLDER, Unlock,
};
use crate::decision::Verdict;
use crate::fact::{Answer, EvmRead, Question, REVERTED};
use crate::number::{self, U256};
use std::collections::BTreeSet;

/// delegate.xyz's registry, version 2: at the same address on every chain.
pub const DELEGATE_REGISTRY: Address = Address([
    0, 0, 0, 0, 0, 0, 0, 0x44, 0x7e, 0x69, 0x65, 0x1d, 0x84, 0x1b, 0xd8, 0xd1, 0x04, 0xbe, 0xd4,
    0x93,
]);
/// How many delegations to one wallet are looked at.
const MAX_DELEGATIONS: usize = 64;
/// How many wallets count beside the viewer's own because they delegated.
const MAX_VAULTS: usize = 10;
/// How many tokens of a wallet are listed, where a collection can list them at all (ERC-721
/// Enumerable). Whoever holds more names the token.
pub(super) const MAX_LISTED: u64 = 16;
/// How many keys of one wallet to one lock are looked at.
pub(super) const MAX_KEYS: u64 = 8;

fn call(chain: u64, to: Address, data: Vec<u8>) -> Question {
    Question::Evm(chain, EvmRead::Call { to, data })
}

/// What a contract's answer is by `read`; no answer at all means that there is no such function.
fn reading<T>(
    fact: Option<&crate::fact::Fact>,
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Reading<T> {
    Reading::of(fact, |answer| match answer {
        Answer::Bytes(bytes) if bytes.is_empty() => {
            Err("no contract of this kind answers at that address".to_owned())
        }
        Answer::Bytes(bytes) => {
            read(bytes).ok_or_else(|| "the contract's answer makes no sense".to_owned())
        }
        Answer::Refused(why) => Err(format!("the contract refuses the question: it {why}")),
        _ => Err("the contract's answer makes no sense".to_owned()),
    })
}

const NO_FUNCTION: &str = "streamgateIsNoFunctionOfYours()";

/// Whether a read is the question that every contract with manners refuses: it can be foreseen that
/// it fails, and why it fails is all that matters of it.
pub fn is_refused_by_right(read: &EvmRead) -> bool {
    matches!(read, EvmRead::Call { data, .. } if data.len() == 4 && *data == abi::call(NO_FUNCTION, &[]))
}

/// A contract that answers a question which no contract knows answers anything. `Some` is the
/// finding that then stands for all of its answers.
fn manners(chain: u64, contract: Address, ask: &mut Asker<'_>) -> Option<Finding> {
    let question = call(chain, contract, abi::call(NO_FUNCTION, &[]));
    // A contract refuses; an address without one answers nothing, and may get one.
    let settled = |answer: &Answer| matches!(answer, Answer::Refused(_));
    match ask.ask_steady(question, settled).map(|fact| &fact.answer) {
        Some(Answer::Bytes(bytes)) if !bytes.is_empty() => {
            Some(Finding::doubtful("the contract answers questions that it can't know"))
        }
        Some(Answer::Unknown(reason)) => Some(Finding::unknown(reason)),
        _ => None,
    }
}

fn own_wallets(viewer: &Viewer<'_>, chain: u64) -> Vec<Address> {
    wallets(viewer, ChainId::Eip155(chain))
        .filter_map(|wallet| match wallet {
            Wallet::Evm(address) => Some(address),
            Wallet::Solana(_) => None,
        })
        .collect()
}

const TOO_MANY: &str = "more wallets delegated to this one than are looked at";

fn is_nothing(fact: &crate::fact::Fact) -> bool {
    matches!(&fact.answer, Answer::Bytes(bytes) if bytes.is_empty())
}

/// The ids of a contract's tokens that the viewer says to hold.
fn named_ids(viewer: &Viewer<'_>, chain: u64, contract: Address) -> impl Iterator<Item = U256> {
    viewer.hints.iter().filter_map(move |hint| match hint {
        Asset::Evm { chain: on, contract: of, id } if (*on, *of) == (chain, contract) => Some(*id),
        _ => None,
    })
}

/// What delegations cover, by the registry's numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standard {
    Erc721,
    Erc20,
    Erc1155,
}

/// The viewer's wallets, and with `delegated` those that delegated to one of them for all of
/// `contract`. An unknown registry adds nobody, and is told.
struct Purse {
    wallets: Vec<Address>,
    /// Wallets of which only one token counts: (wallet, id).
    tokens: Vec<(Address, U256)>,
    unknown: Option<String>,
    /// Whether there are more delegations than are looked at, or they make no sense.
    doubt: Option<String>,
}

impl Purse {
    fn new(
        viewer: &Viewer<'_>,
        (chain, contract, standard): (u64, Address, Standard),
        delegated: bool,
        ask: &mut Asker<'_>,
    ) -> Self {
        let own = own_wallets(viewer, chain);
        let mut purse =
            Self { wallets: own.clone(), tokens: Vec::new(), unknown: None, doubt: None };
        if !delegated {
            return purse;
        }
        for wallet in own {
            let data = abi::call("getIncomingDelegations(address)", &[abi::address(wallet)]);
            let fact = ask.ask(call(chain, DELEGATE_REGISTRY, data));
            match reading(fact, |bytes| as_rows(bytes, 7, MAX_DELEGATIONS)) {
                Reading::Is(rows) => {
                    if rows.len() == MAX_DELEGATIONS {
                        purse.doubt = Some(TOO_MANY.to_owned());
                    }
                    for row in rows {
                        purse.add(&row, wallet, contract, standard);
                    }
                }
                Reading::Unknown(reason) => purse.unknown = Some(reason),
                // No registry on this chain: nobody delegated.
                Reading::Broken(_) if fact.is_some_and(is_nothing) => {}
                Reading::Broken(reason) => purse.doubt = Some(reason),
                Reading::Pending => {}
            }
        }
        let most = viewer.holders.len() + MAX_VAULTS;
        if purse.wallets.len() > most || purse.tokens.len() > MAX_VAULTS {
            purse.doubt = Some(TOO_MANY.to_owned());
        }
        purse.wallets.truncate(most);
        purse.tokens.truncate(MAX_VAULTS);
        purse
    }

    /// Rows are (type, to, from, rights, contract, token id, amount). Only full rights count.
    fn add(&mut self, row: &[[u8; 32]], to: Address, contract: Address, standard: Standard) {
        let [kind, row_to, from, rights, on, id, _amount] = row else { return };
        let (Some(row_to), Some(from), Some(on)) =
            (abi::word_address(*row_to), abi::word_address(*from), abi::word_address(*on))
        else {
            return;
        };
        if row_to != to || *rights != [0; 32] || from == Address::ZERO {
            return;
        }
        let here = on == contract;
        // Of the amounts that ERC-20 and ERC-1155 delegations may be limited to nothing is taken
        // over: those two count only where the whole contract or wallet is delegated.
        let kind = u64::try_from(U256::from_be_bytes(*kind)).unwrap_or(0);
        let whole = kind == 1 || (kind == 2 && here);
        if whole && !self.wallets.contains(&from) {
            self.wallets.push(from);
        } else if kind == 3 && here && standard == Standard::Erc721 {
            let token = (from, U256::from_be_bytes(*id));
            // Delegated to two linked wallets it is one token all the same.
            if !self.tokens.contains(&token) {
                self.tokens.push(token);
            }
        }
    }
}

fn balance_of(
    chain: u64,
    contract: Address,
    wallet: Address,
    ask: &mut Asker<'_>,
) -> Reading<U256> {
    let data = abi::call("balanceOf(address)", &[abi::address(wallet)]);
    reading(ask.ask(call(chain, contract, data)), as_number)
}

pub(super) fn erc721(condition: &Erc721, viewer: &Viewer<'_>, ask: &mut Asker<'_>) -> Finding {
    let Erc721 { chain, contract, count, ids, traits, delegated } = condition;
    let purse = Purse::new(viewer, (*chain, *contract, Standard::Erc721), *delegated, ask);
    let manners = manners(*chain, *contract, ask);
    let mut tally =
        Tally { unknown: purse.unknown.clone(), doubt: purse.doubt.clone(), ..Tally::default() };
    if ids.is_empty() && traits.is_empty() {
        for wallet in &purse.wallets {
            tally.add(balance_of(*chain, *contract, *wallet, ask));
        }
        // A single delegated token counts where the wallet it is in does not count whole.
        for (wallet, id) in &purse.tokens {
            if !purse.wallets.contains(wallet) {
                tally.add(owns(condition, *id, &[*wallet], ask).map(|yes| U256::from(yes)));
            }
        }
    } else {
        let held = held_ids(condition, &purse, viewer, ask, &mut tally);
        for id in held {
            let token = Asset::Evm { chain: *chain, contract: *contract, id };
            if traits.is_empty() {
                tally.add_token(Reading::Is(true), token);
                continue;
            }
            let data = abi::call("tokenURI(uint256)", &[abi::uint(id)]);
            let fact = ask.ask(call(*chain, *contract, data));
            let uri = reading(fact, |bytes| {
                std::str::from_utf8(abi::as_bytes(bytes)?).ok().map(str::to_owned)
            });
            let counts = match uri {
                Reading::Is(uri) => match metadata::has_traits(&uri, traits) {
                    Ok(yes) => Reading::Is(yes),
                    Err(reason) => Reading::Broken(reason),
                },
                Reading::Broken(reason) => Reading::Broken(reason),
                Reading::Unknown(reason) => Reading::Unknown(reason),
                Reading::Pending => Reading::Pending,
            };
            tally.add_token(counts, token);
        }
    }
    manners.unwrap_or_else(|| tally.weigh(count.min, count.max, |sum| sum.to_string()))
}

/// Whether one of `wallets` owns a token. A refusal is how ERC-721 says that there is none.
fn owns(
    Erc721 { chain, contract, .. }: &Erc721,
    id: U256,
    wallets: &[Address],
    ask: &mut Asker<'_>,
) -> Reading<bool> {
    let data = abi::call("ownerOf(uint256)", &[abi::uint(id)]);
    let fact = ask.ask(call(*chain, *contract, data));
    if matches!(fact.map(|fact| &fact.answer), Some(Answer::Refused(why)) if why == REVERTED) {
        return Reading::Is(false);
    }
    reading(fact, as_address).map(|owner| owner != Address::ZERO && wallets.contains(&owner))
}

/// The tokens among a condition's ids that the purse's wallets own, as far as can be seen; what
/// can't be seen goes into the tally.
fn held_ids(
    condition: &Erc721,
    purse: &Purse,
    viewer: &Viewer<'_>,
    ask: &mut Asker<'_>,
    tally: &mut Tally,
) -> Vec<U256> {
    let Erc721 { chain, contract, ids, .. } = condition;
    let wanted = |id: U256| ids.is_empty() || ids.iter().any(|range| range.contain(id));
    let few = Ids::each(ids).filter(|ids| !ids.is_empty());
    let mut candidates: BTreeSet<U256> = named_ids(viewer, *chain, *contract)
        .chain(purse.tokens.iter().map(|(_, id)| *id))
        .chain(few.iter().flatten().copied())
        .filter(|id| wanted(*id))
        .collect();
    for wallet in &purse.wallets {
        if few.is_some() {
            // A refusal of `ownerOf` says that there is no such token, if the contract is well.
            if let trouble @ (Reading::Broken(_) | Reading::Unknown(_)) =
                balance_of(*chain, *contract, *wallet, ask)
            {
                tally.add(trouble);
            }
        } else {
            list_tokens(condition, *wallet, ask, tally, |id| {
                if wanted(id) {
                    candidates.insert(id);
                }
            });
        }
    }
    let mut held = Vec::new();
    for id in candidates {
        let mut counted = purse.wallets.clone();
        counted.extend(purse.tokens.iter().filter(|(_, one)| *one == id).map(|(from, _)| *from));
        match owns(condition, id, &counted, ask) {
            Reading::Is(true) => held.push(id),
            Reading::Is(false) => {}
            other => tally.add(other.map(|_| U256::ZERO)),
        }
    }
    held
}

/// A wallet's tokens by ERC-721 Enumerable, all asked at once: those beyond the last one refuse.
fn list_tokens(
    Erc721 { chain, contract, .. }: &Erc721,
    wallet: Address,
    ask: &mut Asker<'_>,
    tally: &mut Tally,
    mut found: impl FnMut(U256),
) {
    let balance = balance_of(*chain, *contract, wallet, ask);
    let mut listed = U256::ZERO;
    for index in 0..MAX_LISTED {
        let words = [abi::address(wallet), abi::uint(U256::from(index))];
        let data = abi::call("tokenOfOwnerByIndex(address,uint256)", &words);
        match reading(ask.ask(call(*chain, *contract, data)), as_number) {
            Reading::Is(id) => {
                listed += U256::ONE;
                found(id);
            }
            Reading::Unknown(reason) => tally.unknown = Some(reason),
            Reading::Broken(_) | Reading::Pending => {}
        }
    }
    match balance {
        Reading::Is(balance) if listed < balance => {
            tally.doubt = Some(format!(
                "the wallet holds {balance} tokens of the collection, and only {listed} could be \
                 listed: name the token in assets"
            ));
        }
        Reading::Is(_) => {}
        other => tally.add(other),
    }
}

pub(super) fn erc1155(condition: &Erc1155, viewer: &Viewer<'_>, ask: &mut Asker<'_>) -> Finding {
    let Erc1155 { chain, contract, count, ids, delegated } = condition;
    let purse = Purse::new(viewer, (*chain, *contract, Standard::Erc1155), *delegated, ask);
    let manners = manners(*chain, *contract, ask);
    let mut tally = Tally { unknown: purse.unknown, doubt: purse.doubt, ..Tally::default() };
    let each = Ids::each(ids);
    let candidates: BTreeSet<U256> = match &each {
        Some(each) => each.iter().copied().collect(),
        None => {
            tally.doubt = Some(
                "the range of ids is too wide to look through: name the token in assets".into(),
            );
            named_ids(viewer, *chain, *contract)
                .filter(|id| ids.iter().any(|range| range.contain(*id)))
                .collect()
        }
    };
    for wallet in &purse.wallets {
        for id in &candidates {
            let words = [abi::address(*wallet), abi::uint(*id)];
            let data = abi::call("balanceOf(address,uint256)", &words);
            tally.add(reading(ask.ask(call(*chain, *contract, data)), as_number));
        }
    }
    manners.unwrap_or_else(|| tally.weigh(count.min, count.max, |sum| sum.to_string()))
}

/// Weighs a tally of smallest units against amounts in token units.
fn weigh_amounts(tally: Tally, amounts: &Amounts, decimals: u64) -> Finding {
    let Some(min) = amounts.min.at_least(decimals) else {
        return Finding::doubtful(format!(
            "with the token's {decimals} decimals nobody can hold {}",
            amounts.min
        ));
    };
    // More than there can be is no limit.
    let max = amounts.max.as_ref().and_then(|max| max.at_most(decimals));
    tally.weigh(min, max, |sum| number::in_units(sum, decimals))
}

pub(super) fn erc20(condition: &Erc20, viewer: &Viewer<'_>, ask: &mut Asker<'_>) -> Finding {
    let Erc20 { chain, contract, amount, delegated } = condition;
    let purse = Purse::new(viewer, (*chain, *contract, Standard::Erc20), *delegated, ask);
    let manners = manners(*chain, *contract, ask);
    let question = call(*chain, *contract, abi::call("decimals()", &[]));
    let settled = |answer: &Answer| matches!(answer, Answer::Bytes(bytes) if !bytes.is_empty());
    let fact = ask.ask_steady(question, settled);
    let decimals = reading(fact, as_number);
    let mut tally = Tally { unknown: purse.unknown, doubt: purse.doubt, ..Tally::default() };
    for wallet in &purse.wallets {
        tally.add(balance_of(*chain, *contract, *wallet, ask));
    }
    if let Some(finding) = manners {
        return finding;
    }
    match decimals {
        Reading::Is(decimals) => match u64::try_from(decimals) {
            Ok(decimals @ 0..=number::MAX_DECIMALS) => weigh_amounts(tally, amount, decimals),
            _ => Finding::doubtful(format!(
                "the token says that it has {decimals} decimals; {} are the most there can be",
                number::MAX_DECIMALS
            )),
        },
        Reading::Broken(reason) => Finding::doubtful(reason),
        Reading::Unknown(reason) => Finding::unknown(reason),
        Reading::Pending => Finding::unknown("not read"),
    }
}

pub(super) fn native(condition: &Native, viewer: &Viewer<'_>, ask: &mut Asker<'_>) -> Finding {
    let Native { chain, amount } = condition;
    let mut tally = Tally::default();
    for wallet in own_wallets(viewer, *chain) {
        let fact = ask.ask(Question::Evm(*chain, EvmRead::Balance(wallet)));
        tally.add(reading(fact, as_number));
    }
    weigh_amounts(tally, amount, 18)
}

pub(super) fn unlock(condition: &Unlock, viewer: &Viewer<'_>, ask: &mut Asker<'_>) -> Finding {
    let Unlock { chain, contract } = condition;
    let manners = manners(*chain, *contract, ask);
    let mut latest: Option<U256> = None;
    let mut trouble: Option<Finding> = None;
    // What is not known is never overruled by what is only doubtful.
    let worse = |trouble: &mut Option<Finding>, finding: Finding| {
        if trouble.as_ref().is_none_or(|known| known.verdict != Verdict::Unknown) {
            *trouble = Some(finding);
        }
    };
    for wallet in own_wallets(viewer, *chain) {
        let data = abi::call("getHasValidKey(address)", &[abi::address(wallet)]);
        let valid = reading(ask.ask(call(*chain, *contract, data)), as_bool);
        let data = abi::call("totalKeys(address)", &[abi::address(wallet)]);
        let total = reading(ask.ask(call(*chain, *contract, data)), as_number);
        match valid {
            Reading::Is(true) => {}
            Reading::Is(false) | Reading::Pending => continue,
            Reading::Broken(reason) => {
                worse(&mut trouble, Finding::doubtful(reason));
                continue;
            }
            Reading::Unknown(reason) => {
                worse(&mut trouble, Finding::unknown(reason));
                continue;
            }
        }
        // How long the key is good bounds the grant: a key whose end can't be read opens nothing.
        let keys = match total {
            Reading::Is(total) => u64::try_from(total).unwrap_or(MAX_KEYS).min(MAX_KEYS),
            _ => MAX_KEYS,
        };
        for index in 0..keys {
            match key_end(*chain, *contract, wallet, index, ask) {
                Reading::Is(end) => latest = latest.max(Some(end)),
                Reading::Broken(reason) => worse(&mut trouble, Finding::doubtful(reason)),
                Reading::Unknown(reason) => worse(&mut trouble, Finding::unknown(reason)),
                Reading::Pending => {}
            }
        }
    }
    if let Some(finding) = manners {
        return finding;
    }
    match latest.map(|end| Seconds::try_from(end).unwrap_or(Seconds::MAX)) {
        Some(end) if end > viewer.now => {
            let value = match end > 4_102_444_800 {
                // Unlock writes 2^256 - 1 for keys without an end; past 2100 is no time to print.
                true => "never".to_owned(),
                false => crate::rfc3339(end),
            };
            Finding { until: Some(end), ..Finding::new(Verdict::Yes) }.with_value(value)
        }
        // The lock says that a key is valid, and those that were looked at are not.
        Some(end) => trouble.unwrap_or_else(|| {
            Finding::doubtful(format!("the key ended at {}", crate::rfc3339(end)))
        }),
        None => trouble.unwrap_or_else(|| Finding::because(Verdict::No, "holds no valid key")),
    }
}

/// When one of a wallet's keys ends.
fn key_end(
    chain: u64,
    contract: Address,
    wallet: Address,
    index: u64,
    ask: &mut Asker<'_>,
) -> Reading<U256> {
    let words = [abi::address(wallet), abi::uint(U256::from(index))];
    let data = abi::call("tokenOfOwnerByIndex(address,uint256)", &words);
    match reading(ask.ask(call(chain, contract, data)), as_number) {
        Reading::Is(key) => {
            let data = abi::call("keyExpirationTimestampFor(uint256)", &[abi::uint(key)]);
            reading(ask.ask(call(chain, contract, data)), as_number)
        }
        other => other,
    }
}

pub(super) fn contract(condition: &Contract, viewer: &Viewer<'_>, ask: &mut Asker<'_>) -> Finding {
    let Contract { chain, contract, function, arguments, comparator, expected, .. } = condition;
    let manners = manners(*chain, *contract, ask);
    let personal = arguments.iter().any(|argument| argument == PLACEHOLDER);
    let mut askers: Vec<_> = own_wallets(viewer, *chain);
    if !personal {
        askers = vec![Address::ZERO];
    }
    // One wallet that satisfies it is enough; results can't be added up.
    let mut best = Finding::because(Verdict::No, "no wallet of this family is signed in");
    for wallet in askers {
        let encode = |(argument, kind): (&String, &Type)| match argument.as_str() {
            PLACEHOLDER => Some(abi::address(wallet).to_vec()),
            text => kind.encode(text),
        };
        let values: Option<Vec<_>> =
            arguments.iter().zip(&function.arguments).map(encode).collect();
        let Some(values) = values else { return Finding::doubtful("the arguments make no sense") };
        let fact = ask.ask(call(*chain, *contract, function.encode(&values)));
        let finding = match reading(fact, |bytes| function.result.decode(bytes)) {
            Reading::Is(value) => {
                let shown: String = value.chars().take(100).collect();
                if compare(*comparator, function.result, &value, expected) {
                    Finding::new(Verdict::Yes).with_value(shown)
                } else {
                    let reason = format!("answers {shown}, which is not {}", phrase(condition));
                    Finding::because(Verdict::No, reason).with_value(shown)
                }
            }
            Reading::Broken(reason) => Finding::doubtful(reason),
            Reading::Unknown(reason) => Finding::unknown(reason),
            Reading::Pending => Finding::unknown("not read"),
        };
        best = match (best.verdict, finding.verdict) {
            (Verdict::Yes, _) | (Verdict::Unknown, Verdict::No) => best,
            // One wallet's doubtful no is not mended by another's good one.
            (Verdict::No, Verdict::No) if !best.firm => best,
            _ => finding,
        };
    }
    manners.unwrap_or(best)
}

fn phrase(Contract { comparator, expected, .. }: &Contract) -> String {
    let word = match comparator {
        Comparator::Equals => "",
        Comparator::NotEquals => "other than ",
        Comparator::AtLeast => "at least ",
        Comparator::AtMost => "at most ",
        Comparator::Above => "above ",
        Comparator::Below => "below ",
    };
    format!("{word}{expected}")
}

/// Both are in the decoded form of `kind`.
fn compare(comparator: Comparator, kind: Type, value: &str, expected: &str) -> bool {
    use std::cmp::Ordering::{Greater, Less};
    let number = |text: &str| {
        // Shifted by 2^255, two's complement has the order of its numbers.
        let shift = if matches!(kind, Type::Int(_)) { U256::ONE << 255 } else { U256::ZERO };
        number::signed(text).or_else(|| number::whole(text)).map(|value| value ^ shift)
    };
    let order = || Some(number(value)?.cmp(&number(expected)?));
    match comparator {
        Comparator::Equals => value == expected,
        Comparator::NotEquals => value != expected,
        Comparator::AtLeast => order().is_some_and(|order| order != Less),
        Comparator::AtMost => order().is_some_and(|order| order != Greater),
        Comparator::Above => order() == Some(Greater),
        Comparator::Below => order() == Some(Less),
    }
}
