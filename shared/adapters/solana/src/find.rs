//! Where to look: what providers find is read by agreement before it counts.

use crate::accounts::{At, Wire};
use crate::provider::{COMMITMENT, Provider};
use adapter_provider::{Failure, Panel};
use domain::account::Pubkey;
use domain::fact::Find;
use serde::Deserialize;
use serde_json::{Value, json};
use solana_client::rpc_filter::{Memcmp, RpcFilterType};
use solana_client::rpc_request::RpcRequest;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The most that is looked at.
const MOST: usize = 200;
/// Metaplex Core.
const CORE: &str = "CoREENxT6tW1HoK8ypY1SxRMZTcVPm7R94rH4PZNhX7d";
/// What a Core asset starts with: its kind, its owner, and who may update it.
const CORE_ASSET: u8 = 1;
const CORE_OWNER: usize = 1;
const CORE_AUTHORITY: usize = 33;
/// Its collection may.
const CORE_COLLECTION: u8 = 2;
/// A token account, of either program, starts with mint (32), owner (32) and amount (8).
const TOKEN_HEAD: usize = 72;
const TOKEN_AMOUNT: usize = 64;

#[derive(Deserialize)]
struct Found {
    pubkey: Pubkey,
    account: Wire,
}

/// What a provider finds, best first, and the slot it looked at.
pub(crate) async fn find(
    provider: &Provider,
    panel: &Panel,
    find: &Find,
    slot: Option<u64>,
) -> Result<(Vec<Pubkey>, u64), Failure> {
    let (request, params) = question(find, slot);
    let answer: At<Vec<Found>> = provider.ask(panel, request, params).await?;
    Ok((sorted(find, &answer.value)?, answer.context.slot))
}

fn question(find: &Find, slot: Option<u64>) -> (RpcRequest, Value) {
    let mut config = json!({
        "encoding": "base64",
        "commitment": COMMITMENT,
        "dataSlice": { "offset": 0, "length": TOKEN_HEAD },
    });
    if let Some(slot) = slot {
        config["minContextSlot"] = slot.into();
    }
    match find {
        Find::TokenAccounts { owner, mint } => {
            (RpcRequest::GetTokenAccountsByOwner, json!([owner, { "mint": mint }, config]))
        }
        Find::Mints { owner, program } => {
            (RpcRequest::GetTokenAccountsByOwner, json!([owner, { "programId": program }, config]))
        }
        Find::CoreAssets { owner, collection } => {
            let starts = |offset, bytes: &[u8]| {
                RpcFilterType::Memcmp(Memcmp::new_base58_encoded(offset, bytes))
            };
            let authority = [&[CORE_COLLECTION], collection.0.as_slice()].concat();
            config["dataSlice"]["length"] = 0.into();
            config["withContext"] = true.into();
            config["filters"] = json!([
                starts(0, &[CORE_ASSET]),
                starts(CORE_OWNER, &owner.0),
                starts(CORE_AUTHORITY, &authority),
            ]);
            (RpcRequest::GetProgramAccounts, json!([CORE, config]))
        }
    }
}

/// Anyone may open empty token accounts for anyone, or send dust: what is empty is left out, and
/// what is most likely looked for comes first.
fn sorted(find: &Find, found: &[Found]) -> Result<Vec<Pubkey>, Failure> {
    let mut keys: Vec<_> = match find {
        Find::TokenAccounts { .. } => {
            let mut accounts = Vec::new();
            for one in found {
                accounts.push((Reverse(token(&one.account)?.1), one.pubkey));
            }
            accounts.retain(|(Reverse(amount), _)| *amount > 0);
            accounts.sort_unstable();
            accounts.into_iter().map(|(_, key)| key).collect()
        }
        Find::Mints { .. } => {
            let mut mints: BTreeMap<Pubkey, u64> = BTreeMap::new();
            for one in found {
                let (mint, amount) = token(&one.account)?;
                let sum = mints.entry(mint).or_default();
                *sum = sum.saturating_add(amount);
            }
            mints.retain(|_, amount| *amount > 0);
            let mut mints: Vec<_> = mints.into_iter().collect();
            // Of an NFT there is one.
            mints.sort_by_key(|(_, amount)| *amount != 1);
            mints.into_iter().map(|(mint, _)| mint).collect()
        }
        Find::CoreAssets { .. } => {
            let mut assets: Vec<_> = found.iter().map(|one| one.pubkey).collect();
            assets.sort_unstable();
            assets
        }
    };
    keys.truncate(MOST);
    Ok(keys)
}

/// What several found, the best of each first: whoever makes up more than is looked at can't crowd
/// out what the others found.
pub(crate) fn together(found: &[Vec<Pubkey>]) -> Vec<Pubkey> {
    let mut seen = BTreeSet::new();
    (0..MOST)
        .flat_map(|rank| found.iter().filter_map(move |keys| keys.get(rank)))
        .filter(|key| seen.insert(**key))
        .take(MOST)
        .copied()
        .collect()
}

/// A token account's mint and amount.
fn token(account: &Wire) -> Result<(Pubkey, u64), Failure> {
    let data = account.bytes()?;
    let mint = data.get(..32).and_then(|mint| mint.try_into().ok());
    let amount = data.get(TOKEN_AMOUNT..TOKEN_HEAD).and_then(|amount| amount.try_into().ok());
    match (mint, amount) {
        (Some(mint), Some(amount)) => Ok((Pubkey(mint), u64::from_le_bytes(amount))),
        _ => Err(Failure::Garbage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    fn token_account(key: u8, mint: u8, amount: u64) -> Value {
        let data = [[mint; 32].as_slice(), &[0; 32], &amount.to_le_bytes()].concat();
        wire(key, &data)
    }

    fn wire(key: u8, data: &[u8]) -> Value {
        let account = json!({"owner": Pubkey([1; 32]), "data": [STANDARD.encode(data), "base64"]});
        json!({"pubkey": Pubkey([key; 32]), "account": account})
    }

    fn found(find: Find, accounts: &[Value]) -> Result<Vec<u8>, Failure> {
        let accounts: Vec<Found> = serde_json::from_value(json!(accounts)).unwrap();
        Ok(sorted(&find, &accounts)?.into_iter().map(|key| key.0[0]).collect())
    }

    const KEY: Pubkey = Pubkey([1; 32]);

    #[test]
    fn token_accounts_come_fullest_first_and_without_empty_ones() {
        let accounts = Find::TokenAccounts { owner: KEY, mint: KEY };
        let full = [
            token_account(1, 9, 5),
            token_account(2, 9, 0),
            token_account(3, 9, u64::MAX),
            token_account(4, 9, 6),
        ];
        assert_eq!(found(accounts.clone(), &full), Ok(vec![3, 4, 1]));
        // 300 accounts with dust do not hide what counts.
        let mut dust = vec![token_account(1, 9, 1); 300];
        dust.push(token_account(2, 9, 50));
        let keys = found(accounts, &dust).unwrap();
        assert_eq!((keys.len(), keys[0]), (MOST, 2));
    }

    #[test]
    fn nobody_crowds_out_what_others_find() {
        let key = |number: u16| {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&number.to_be_bytes());
            Pubkey(key)
        };
        let made_up: Vec<_> = (1000..1200).map(key).collect();
        let together = together(&[made_up, vec![key(1), key(2)]]);
        assert_eq!(together[..4], [key(1000), key(1), key(1001), key(2)]);
        assert_eq!(together.len(), MOST);
        assert_eq!(super::together(&[vec![key(1), key(2)], vec![key(2), key(1)]]).len(), 2);
    }

    #[test]
    fn mints_of_one_come_first() {
        let accounts = [
            token_account(1, 3, 500),
            token_account(2, 9, 1),
            token_account(3, 5, 0),
            token_account(4, 4, 1),
            token_account(5, 2, 1),
            token_account(6, 2, 1),
        ];
        assert_eq!(
            found(Find::Mints { owner: KEY, program: KEY }, &accounts),
            Ok(vec![4, 9, 2, 3])
        );
    }

    #[test]
    fn what_is_no_token_account_is_garbage() {
        let short = [wire(1, &[0; TOKEN_HEAD - 1])];
        assert_eq!(found(Find::Mints { owner: KEY, program: KEY }, &short), Err(Failure::Garbage));
    }

    #[test]
    fn core_assets_are_filtered_where_they_are() {
        let find = Find::CoreAssets { owner: Pubkey([2; 32]), collection: Pubkey([3; 32]) };
        let (request, params) = question(&find, Some(8));
        assert_eq!(request.to_string(), "getProgramAccounts");
        let bytes = |filter: usize| {
            let memcmp = &params[1]["filters"][filter]["memcmp"];
            let bytes = bs58::decode(memcmp["bytes"].as_str().unwrap()).into_vec().unwrap();
            (memcmp["offset"].as_u64().unwrap(), bytes)
        };
        assert_eq!(bytes(0), (0, vec![1]));
        assert_eq!(bytes(1), (1, vec![2; 32]));
        assert_eq!(bytes(2), (33, [vec![2], vec![3; 32]].concat()));
        assert_eq!(params[1]["minContextSlot"], 8);
        assert_eq!(params[1]["withContext"], true);
        assert_eq!(found(find, &[wire(2, &[]), wire(1, &[])]), Ok(vec![1, 2]));
    }
}
