//! Conditions on Solana. Layouts: docs of the SPL Token and Token-2022 programs, of Metaplex Token
//! Metadata and of Metaplex Core. An account proves something only by the program that owns it.

use super::{Asker, Asset, Finding, Reading, Tally, Viewer, wallets};
use crate::account::{ChainId, Genesis, Pubkey, Wallet};
use crate::condition::{Mark, SolanaNft, Spl};
use crate::decision::Verdict;
use crate::fact::{Answer, Fact, Find, Question, SolanaRead};
use crate::number::{self, U256};
use curve25519_dalek::edwards::CompressedEdwardsY;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The programs whose accounts are read.
pub mod programs {
    use crate::account::Pubkey;

    /// A program's address, from its 32 bytes in hex.
    const fn key(hex: &[u8; 64]) -> Pubkey {
        const fn digit(byte: u8) -> u8 {
            if byte.is_ascii_digit() { byte - b'0' } else { byte - b'a' + 10 }
        }
        let mut bytes = [0; 32];
        let mut index = 0;
        while index < 32 {
            bytes[index] = digit(hex[2 * index]) << 4 | digit(hex[2 * index + 1]);
            index += 1;
        }
        Pubkey(bytes)
    }

    /// SPL Token: `TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA`.
    pub const TOKEN: Pubkey =
        key(b"06ddf6e1d765a193d9cbe146ceeb79ac1cb485ed5f5b37913a8cf5857eff00a9");
    /// Token-2022: `TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb`.
    pub const TOKEN_2022: Pubkey =
        key(b"06ddf6e1ee758fde18425dbce46ccddab61afc4d83b90d27febdf928d8a18bfc");
    /// Associated Token Account: `ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL`.
    pub const ASSOCIATED_TOKEN: Pubkey =
        key(b"8c97258f4e2489f1bb3d1029148e0d830b5a1399daff1084048e7bd8dbe9f859");
    /// Metaplex Token Metadata: `metaqbxxUerdq28cj1RbAWkYQm3ybzjb6a8bt518x1s`.
    pub const METADATA: Pubkey =
        key(b"0b7065b1e3d17c45389d527f6b04c3cd58b86c731aa0fdb549b6d1bc03f82946");
    /// Metaplex Core: `CoREENxT6tW1HoK8ypY1SxRMZTcVPm7R94rH4PZNhX7d`.
    pub const CORE: Pubkey =
        key(b"af54ab10bd97a542a09ef7b39889dd0cd394a4cce9dfa6cdc97ebe2d235ba748");
}

use programs::{ASSOCIATED_TOKEN, CORE, METADATA, TOKEN, TOKEN_2022};

/// How many tokens of a wallet are looked through for those of a collection.
const MAX_LOOKED_AT: usize = 200;
/// Token-2022's extension by which a mint is a member of a group (`TokenGroupMember`).
const GROUP_MEMBER: u16 = 23;

/// The address that `program` derives from `seeds`: the first that is no point of the curve, so
/// that nobody has a key to it. Solana's docs: "Program Derived Address".
fn derived(seeds: &[&[u8]], program: Pubkey) -> Option<Pubkey> {
    (0..=u8::MAX).rev().find_map(|bump| {
        let mut hasher = Sha256::new();
        seeds.iter().for_each(|seed| hasher.update(seed));
        hasher.update([bump]);
        hasher.update(program.0);
        hasher.update(b"ProgramDerivedAddress");
        let bytes: [u8; 32] = hasher.finalize().into();
        CompressedEdwardsY(bytes).decompress().is_none().then_some(Pubkey(bytes))
    })
}

/// Where wallets keep a token by default.
pub fn associated_token_account(owner: Pubkey, mint: Pubkey, program: Pubkey) -> Option<Pubkey> {
    derived(&[&owner.0, &program.0, &mint.0], ASSOCIATED_TOKEN)
}

/// Where a mint's Metaplex metadata is. An account elsewhere is somebody's own invention.
pub fn metadata_account(mint: Pubkey) -> Option<Pubkey> {
    derived(&[b"metadata", &METADATA.0, &mint.0], METADATA)
}

fn account(chain: Genesis, key: Pubkey) -> Question {
    Question::Solana(chain, SolanaRead::Account(key))
}

fn pubkey(data: &[u8], at: usize) -> Option<Pubkey> {
    data.get(at..at + 32)?.try_into().ok().map(Pubkey)
}

fn own_wallets(viewer: &Viewer<'_>, chain: Genesis) -> Vec<Pubkey> {
    wallets(viewer, ChainId::Solana(chain))
        .filter_map(|wallet| match wallet {
            Wallet::Solana(key) => Some(key),
            Wallet::Evm(_) => None,
        })
        .collect()
}

/// Whether data is an account of this type with extensions. Multisigs of the same program are 355
/// bytes of whatever their maker likes, which no account with extensions is.
fn is_extended(data: &[u8], kind: u8) -> bool {
    data.len() > 165 && data.len() != 355 && data[165] == kind
}

/// A token account, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TokenAccount {
    mint: Pubkey,
    owner: Pubkey,
    amount: u64,
    frozen: bool,
}

impl TokenAccount {
    /// 165 bytes, and with Token-2022 perhaps the account type 2 and extensions behind them.
    fn read(program: Pubkey, data: &[u8]) -> Option<Self> {
        let whole = match program {
            TOKEN => data.len() == 165,
            TOKEN_2022 => data.len() == 165 || is_extended(data, 2),
            _ => false,
        };
        let state = *data.get(108).filter(|_| whole)?;
        let amount = u64::from_le_bytes(data.get(64..72)?.try_into().ok()?);
        // 0 is not initialised, 1 initialised, 2 frozen.
        matches!(state, 1 | 2).then_some(())?;
        Some(Self { mint: pubkey(data, 0)?, owner: pubkey(data, 32)?, amount, frozen: state == 2 })
    }
}

/// A mint, as far as it matters.
struct Mint<'a> {
    decimals: u8,
    /// Token-2022's extensions: type, length, content, over and over.
    extensions: &'a [u8],
}

impl<'a> Mint<'a> {
    /// 82 bytes; with extensions padded to 165, then the account type 1 and the extensions.
    fn read(program: Pubkey, data: &'a [u8]) -> Option<Self> {
        let whole = match program {
            TOKEN => data.len() == 82,
            TOKEN_2022 => data.len() == 82 || is_extended(data, 1),
            _ => false,
        };
        let initialised = *data.get(45).filter(|_| whole)? == 1;
        let extensions = data.get(166..).unwrap_or_default();
        initialised.then_some(Self { decimals: data[44], extensions })
    }

    fn extension(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut rest = self.extensions;
        while rest.len() >= 4 {
            let kind = u16::from_le_bytes([rest[0], rest[1]]);
            let length = usize::from(u16::from_le_bytes([rest[2], rest[3]]));
            let content = rest.get(4..4 + length)?;
            if kind == wanted {
                return Some(content);
            }
            rest = &rest[4 + length..];
        }
        None
    }
}

fn read_account<'a, T>(
    fact: Option<&'a Fact>,
    absent: &str,
    read: impl FnOnce(Pubkey, &'a [u8]) -> Result<T, String>,
) -> Reading<T> {
    Reading::of(fact, |answer| match answer {
        Answer::Account { owner, data } => read(*owner, data),
        Answer::Refused(why) => Err(why.clone()),
        _ => Err(absent.to_owned()),
    })
}

fn keys(fact: Option<&Fact>) -> Reading<Vec<Pubkey>> {
    Reading::of(fact, |answer| match answer {
        Answer::Keys(keys) => Ok(keys.iter().take(MAX_LOOKED_AT).copied().collect()),
        _ => Err("the provider's answer makes no sense".to_owned()),
    })
}

/// What a wallet holds of a mint, over all of its token accounts. Accounts that are delegated to
/// somebody count for their owner; frozen ones where `frozen` says so. `programs` are those that
/// the mint may be of.
fn held(
    chain: Genesis,
    (owner, mint): (Pubkey, Pubkey),
    (programs, frozen): (&[Pubkey], bool),
    ask: &mut Asker<'_>,
    tally: &mut Tally,
) {
    let find = SolanaRead::Find(Find::TokenAccounts { owner, mint });
    let found = match keys(ask.ask_steady(Question::Solana(chain, find), |_| false)) {
        Reading::Pending => return tally.add(Reading::Pending),
        Reading::Is(found) => {
            if found.len() == MAX_LOOKED_AT {
                tally.doubt = Some(format!(
                    "the wallet keeps the token in more places than the {MAX_LOOKED_AT} that are \
                     looked through"
                ));
            }
            found
        }
        // Most wallets keep a token in one place, which needs no search.
        Reading::Broken(reason) | Reading::Unknown(reason) => {
            tally.unknown = Some(reason);
            Vec::new()
        }
    };
    let usual =
        programs.iter().filter_map(|program| associated_token_account(owner, mint, *program));
    let places: BTreeSet<Pubkey> = found.into_iter().chain(usual).collect();
    for place in places {
        let fact = ask.ask(account(chain, place));
        let Some(Answer::Account { owner: program, data }) = fact.map(|fact| &fact.answer) else {
            match fact.map(|fact| &fact.answer) {
                Some(Answer::Unknown(reason)) => tally.add(Reading::Unknown(reason.clone())),
                None => tally.add(Reading::Pending),
                _ => {}
            }
            continue;
        };
        if !programs.contains(program) {
            continue;
        }
        match TokenAccount::read(*program, data) {
            Some(held) if held.owner == owner && held.mint == mint => {
                if held.frozen && !frozen {
                    tally.doubt = Some("the token account is frozen".to_owned());
                } else {
                    tally.add(Reading::Is(U256::from(held.amount)));
                }
            }
            _ => {}
        }
    }
}

pub(super) fn spl(condition: &Spl, viewer: &Viewer<'_>, ask: &mut Asker<'_>) -> Finding {
    let Spl { chain, mint, min } = condition;
    let settled = |answer: &Answer| matches!(answer, Answer::Account { .. });
    let fact = ask.ask_steady(account(*chain, *mint), settled);
    let read = read_account(fact, "there is no such mint", |program, data| {
        let mint = Mint::read(program, data);
        mint.map(|mint| (program, mint.decimals))
            .ok_or_else(|| "that account is no mint".to_owned())
    });
    let mut tally = Tally::default();
    let programs = match &read {
        Reading::Is((program, _)) => vec![*program],
        _ => vec![TOKEN, TOKEN_2022],
    };
    // Without the mint nothing counts, so nothing else is asked for until it is there.
    if let Reading::Is((_, decimals)) = read {
        for owner in own_wallets(viewer, *chain) {
            // An issuer freezes an account so that its tokens can't be used.
            held(*chain, (owner, *mint), (&programs, false), ask, &mut tally);
        }
        let decimals = u64::from(decimals);
        let Some(least) = min.at_least(decimals) else {
            let reason = format!("with the token's {decimals} decimals nobody can hold {min}");
            return Finding::doubtful(reason);
        };
        return tally.weigh(least, None, |sum| number::in_units(sum, decimals));
    }
    match read {
        Reading::Broken(reason) => Finding::doubtful(reason),
        Reading::Unknown(reason) => Finding::unknown(reason),
        Reading::Is(_) | Reading::Pending => Finding::unknown("not read"),
    }
}

pub(super) fn nft(condition: &SolanaNft, viewer: &Viewer<'_>, ask: &mut Asker<'_>) -> Finding {
    let SolanaNft { chain, min, .. } = condition;
    let least = U256::from(*min);
    let named: BTreeSet<Pubkey> = viewer
        .hints
        .iter()
        .filter_map(|hint| match hint {
            Asset::Solana { chain: on, key } if *on == ChainId::Solana(*chain) => Some(*key),
            _ => None,
        })
        .collect();
    let show = |sum: U256| sum.to_string();
    if !named.is_empty() {
        let mut tally = Tally::default();
        count(condition, viewer, &named, ask, &mut tally);
        if ask.pending {
            return Finding::unknown("not read");
        }
        let finding = tally.weigh(least, None, show);
        if finding.verdict == Verdict::Yes {
            return finding;
        }
    }
    let mut tally = Tally::default();
    let mut candidates = named;
    for owner in own_wallets(viewer, *chain) {
        let finds = match condition.mark {
            Mark::MetaplexCollection | Mark::MetaplexCreator => {
                vec![
                    Find::Mints { owner, program: TOKEN },
                    Find::Mints { owner, program: TOKEN_2022 },
                ]
            }
            Mark::Token2022Group => vec![Find::Mints { owner, program: TOKEN_2022 }],
            Mark::CoreCollection => vec![Find::CoreAssets { owner, collection: condition.key }],
        };
        for find in finds {
            let question = Question::Solana(*chain, SolanaRead::Find(find));
            match keys(ask.ask_steady(question, |_| false)) {
                Reading::Is(found) => {
                    if found.len() == MAX_LOOKED_AT {
                        let reason = format!(
                            "the wallet holds more tokens than the {MAX_LOOKED_AT} that are looked \
                             through: name the token in assets"
                        );
                        tally.doubt = Some(reason);
                    }
                    candidates.extend(found);
                }
                other => tally.add(match other {
                    Reading::Unknown(reason) => Reading::Unknown(reason),
                    Reading::Broken(reason) => Reading::Broken(reason),
                    _ => Reading::Pending,
                }),
            }
        }
    }
    if !ask.pending {
        count(condition, viewer, &candidates, ask, &mut tally);
    }
    tally.weigh(least, None, show)
}

/// Counts the candidates that bear the mark and are the viewer's.
fn count(
    condition: &SolanaNft,
    viewer: &Viewer<'_>,
    candidates: &BTreeSet<Pubkey>,
    ask: &mut Asker<'_>,
    tally: &mut Tally,
) {
    let SolanaNft { mark, chain, key, .. } = condition;
    let owners = own_wallets(viewer, *chain);
    for candidate in candidates {
        let token = Asset::Solana { chain: ChainId::Solana(*chain), key: *candidate };
        if *mark == Mark::CoreCollection {
            // One asset has one owner, whatever block it is of.
            let fact = ask.ask_steady(account(*chain, *candidate), |_| false);
            let counts = match fact.map(|fact| &fact.answer) {
                Some(Answer::Account { owner: CORE, data }) => {
                    let owner = core_owner(data, *key);
                    Reading::Is(owner.is_some_and(|owner| owners.contains(&owner)))
                }
                Some(Answer::Unknown(reason)) => Reading::Unknown(reason.clone()),
                Some(_) => Reading::Is(false),
                None => Reading::Pending,
            };
            tally.add_token(counts, token);
            continue;
        }
        let (place, programs): (_, &[Pubkey]) = match mark {
            Mark::Token2022Group => (Some(*candidate), &[TOKEN_2022]),
            _ => (metadata_account(*candidate), &[TOKEN, TOKEN_2022]),
        };
        let Some(place) = place else { continue };
        // A mark does not move from wallet to wallet, so it may be of another slot than holdings.
        let fact = ask.ask_steady(account(*chain, place), |_| false);
        let bears = match fact.map(|fact| &fact.answer) {
            Some(Answer::Account { owner, data }) => {
                bears_mark(*mark, *owner, data, *candidate, *key)
            }
            Some(Answer::Unknown(reason)) => {
                tally.add(Reading::Unknown(reason.clone()));
                false
            }
            Some(_) => false,
            None => {
                tally.add(Reading::Pending);
                false
            }
        };
        if !bears {
            continue;
        }
        let mut of_this = Tally::default();
        for owner in &owners {
            // Accounts of programmable NFTs are always frozen, so frozen counts here.
            held(*chain, (*owner, *candidate), (programs, true), ask, &mut of_this);
        }
        // One token, however many copies of it.
        tally.add_token(Reading::Is(!of_this.sum.is_zero()), token);
        tally.unknown = tally.unknown.take().or(of_this.unknown);
    }
}

fn bears_mark(mark: Mark, program: Pubkey, data: &[u8], mint: Pubkey, key: Pubkey) -> bool {
    match mark {
        Mark::Token2022Group => Mint::read(program, data)
            .filter(|_| program == TOKEN_2022)
            .and_then(|mint| mint.extension(GROUP_MEMBER))
            // The mint, the group, and the number within it.
            .is_some_and(|member| {
                member.len() == 72
                    && pubkey(member, 0) == Some(mint)
                    && pubkey(member, 32) == Some(key)
            }),
        Mark::MetaplexCollection | Mark::MetaplexCreator => {
            program == METADATA
                && Metadata::read(data).is_some_and(|metadata| {
                    metadata.mint == mint
                        && match mark {
                            Mark::MetaplexCollection => metadata.collection == Some((true, key)),
                            _ => metadata.creators.contains(&(key, true)),
                        }
                })
        }
        Mark::CoreCollection => false,
    }
}

/// The owner of a Metaplex Core asset, if the collection is its update authority.
fn core_owner(data: &[u8], collection: Pubkey) -> Option<Pubkey> {
    // 1 is AssetV1, then the owner; of update authorities 2 is a collection.
    let asset = data.first() == Some(&1) && data.get(33) == Some(&2);
    (asset && pubkey(data, 34) == Some(collection)).then(|| pubkey(data, 1)).flatten()
}

/// Metaplex metadata, as far as it matters.
struct Metadata {
    mint: Pubkey,
    creators: Vec<(Pubkey, bool)>,
    collection: Option<(bool, Pubkey)>,
}

impl Metadata {
    /// Borsh: key 4, update authority, mint, name, symbol, uri, fee, creators, two flags, edition
    /// nonce, token standard, collection, and more that is not read.
    fn read(data: &[u8]) -> Option<Self> {
        let mut rest = data;
        if *take(&mut rest, 1)?.first()? != 4 {
            return None;
        }
        take(&mut rest, 32)?;
        let mint = pubkey(take(&mut rest, 32)?, 0)?;
        for _ in 0..3 {
            let length = length(&mut rest)?;
            take(&mut rest, length)?;
        }
        take(&mut rest, 2)?;
        let mut creators = Vec::new();
        if flag(&mut rest)? {
            let count = length(&mut rest)?;
            for _ in 0..count {
                let creator = pubkey(take(&mut rest, 32)?, 0)?;
                creators.push((creator, flag(&mut rest)?));
                take(&mut rest, 1)?;
            }
        }
        // Sold before, and mutable.
        take(&mut rest, 2)?;
        // The oldest metadata ends here.
        let mut collection = None;
        if let Some(true) = flag(&mut rest) {
            take(&mut rest, 1)?;
        }
        if let Some(true) = flag(&mut rest) {
            take(&mut rest, 1)?;
        }
        if let Some(true) = flag(&mut rest) {
            let verified = flag(&mut rest)?;
            collection = Some((verified, pubkey(take(&mut rest, 32)?, 0)?));
        }
        Some(Self { mint, creators, collection })
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    let bytes = take(rest, 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

/// A boolean: 0 or 1, and nothing else.
fn flag(rest: &mut &[u8]) -> Option<bool> {
    match take(rest, 1)? {
        [0] => Some(false),
        [1] => Some(true),
        _ => None,
    }
}
