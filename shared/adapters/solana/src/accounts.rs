//! Accounts as providers answer them: `getMultipleAccounts`.

use crate::provider::{COMMITMENT, Provider};
use adapter_provider::{Failure, Panel, pause};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Seconds;
use domain::account::Pubkey;
use domain::fact::{Answer, MAX_ANSWER};
use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use solana_client::rpc_request::RpcRequest;
use tokio::time::sleep;

/// Accounts of one request. A provider takes 100; but 90 and the clock are the most that stay
/// under [`adapter_provider::MAX_BODY`] if each is as long as may be.
const BATCH: usize = 90;
/// The sysvar that holds the cluster's time; asked for along with every batch.
const CLOCK: &str = "SysvarC1ock11111111111111111111111111111111";
/// Where in it the Unix time is: after slot, epoch start, epoch and leader schedule epoch.
const CLOCK_TIME: usize = 32;
/// State older than this many seconds is no state: the provider, or the cluster, is stuck. The
/// cluster's clock may be minutes off.
const MAX_AGE: Seconds = 30 * 60;
/// Why an account is not looked at.
pub(crate) const TOO_LONG: &str = "the account holds more than 32 KiB";

/// An account, as far as it is compared: not its lamports, which anyone may add to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Absent,
    Account { owner: Pubkey, data: Vec<u8> },
    TooLong,
}

impl From<&Seen> for Answer {
    fn from(seen: &Seen) -> Self {
        match seen {
            Seen::Absent => Self::Absent,
            Seen::Account { owner, data } => Self::Account { owner: *owner, data: data.clone() },
            Seen::TooLong => Self::Refused(TOO_LONG.to_owned()),
        }
    }
}

/// An answer and the slot it was given at.
#[derive(Deserialize)]
pub(crate) struct At<T> {
    pub(crate) context: Context,
    pub(crate) value: T,
}

#[derive(Deserialize)]
pub(crate) struct Context {
    pub(crate) slot: u64,
}

/// An account on the wire: data and the name of its encoding.
#[derive(Debug, Deserialize)]
pub(crate) struct Wire {
    owner: Pubkey,
    data: (String, String),
}

impl Wire {
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Failure> {
        match self.data.1.as_str() {
            "base64" => STANDARD.decode(&self.data.0).map_err(|_| Failure::Garbage),
            _ => Err(Failure::Garbage),
        }
    }
}

/// What a provider says of these accounts, all at `slot` or later, and the slot of each answer.
pub(crate) async fn read(
    provider: &Provider,
    panel: &Panel,
    keys: &[Pubkey],
    slot: u64,
    now: Seconds,
) -> Result<(Vec<Option<Seen>>, Vec<u64>), Failure> {
    let batches = keys.chunks(BATCH).map(|keys| batch(provider, panel, keys, slot, now));
    let (mut seen, mut slots) = (Vec::new(), Vec::new());
    for (accounts, at) in try_join_all(batches).await? {
        slots.resize(slots.len() + accounts.len(), at);
        seen.extend(accounts.into_iter().map(Some));
    }
    Ok((seen, slots))
}

/// The slot that a provider is at, if it is not stuck.
pub(crate) async fn head(provider: &Provider, panel: &Panel, now: Seconds) -> Result<u64, Failure> {
    batch(provider, panel, &[], 0, now).await.map(|(_, slot)| slot)
}

async fn batch(
    provider: &Provider,
    panel: &Panel,
    keys: &[Pubkey],
    slot: u64,
    now: Seconds,
) -> Result<(Vec<Seen>, u64), Failure> {
    let ask = || provider.ask(panel, RpcRequest::GetMultipleAccounts, params(keys, slot));
    let answer = match ask().await {
        // A slot lasts 400 ms: it may have caught up by then.
        Err(Failure::Behind) => {
            sleep(pause(panel.timing(), 2)).await;
            ask().await
        }
        answer => answer,
    };
    parse(answer?, keys.len(), slot, now)
}

fn params(keys: &[Pubkey], slot: u64) -> Value {
    let keys: Vec<_> =
        std::iter::once(CLOCK.to_owned()).chain(keys.iter().map(Pubkey::to_string)).collect();
    json!([keys, {
        "encoding": "base64",
        "commitment": COMMITMENT,
        "minContextSlot": slot,
        // One byte more than may be tells those that are longer.
        "dataSlice": { "offset": 0, "length": MAX_ANSWER + 1 },
    }])
}

fn parse(
    answer: At<Vec<Option<Wire>>>,
    keys: usize,
    slot: u64,
    now: Seconds,
) -> Result<(Vec<Seen>, u64), Failure> {
    if answer.value.len() != keys + 1 {
        return Err(Failure::Garbage);
    }
    let mut accounts = answer.value.into_iter();
    let clock = accounts.next().flatten().ok_or(Failure::Garbage)?.bytes()?;
    let time = clock.get(CLOCK_TIME..CLOCK_TIME + 8).and_then(|time| time.try_into().ok());
    let time = time.map(i64::from_le_bytes).ok_or(Failure::Garbage)?;
    let fresh = u64::try_from(time).is_ok_and(|time| time.saturating_add(MAX_AGE) >= now);
    // Whatever stands before the node may not know of minContextSlot.
    if !fresh || answer.context.slot < slot {
        return Err(Failure::Behind);
    }
    let seen = accounts.map(|account| match account {
        None => Ok(Seen::Absent),
        Some(account) => {
            let data = account.bytes()?;
            Ok(match data.len() > MAX_ANSWER {
                true => Seen::TooLong,
                false => Seen::Account { owner: account.owner, data },
            })
        }
    });
    Ok((seen.collect::<Result<_, Failure>>()?, answer.context.slot))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Seconds = 1_000_000;

    fn wire(data: &[u8]) -> Value {
        json!({
            "owner": Pubkey([7; 32]), "data": [STANDARD.encode(data), "base64"],
            "lamports": 5, "executable": false, "rentEpoch": u64::MAX, "space": data.len(),
        })
    }

    fn clock(time: i64) -> Value {
        wire(&[[0; CLOCK_TIME].as_slice(), &time.to_le_bytes()].concat())
    }

    fn parsed(value: &[Value], keys: usize) -> Result<(Vec<Seen>, u64), Failure> {
        let answer = json!({"context": {"slot": 9, "apiVersion": "2.0.1"}, "value": value});
        parse(serde_json::from_value(answer).map_err(|_| Failure::Garbage)?, keys, 9, NOW)
    }

    #[test]
    fn accounts_are_there_or_absent_or_too_long() {
        let now = NOW as i64;
        let (most, more) = (vec![1; MAX_ANSWER], vec![1; MAX_ANSWER + 1]);
        let value = [clock(now), wire(b"ab"), Value::Null, wire(&most), wire(&more)];
        let (seen, slot) = parsed(&value, 4).unwrap();
        let owner = Pubkey([7; 32]);
        let account = |data: &[u8]| Seen::Account { owner, data: data.to_vec() };
        assert_eq!(seen, [account(b"ab"), Seen::Absent, account(&most), Seen::TooLong]);
        assert_eq!(slot, 9);
    }

    #[test]
    fn answers_of_another_shape_are_garbage() {
        let clock = clock(NOW as i64);
        for value in [
            vec![],
            vec![clock.clone()],
            vec![clock.clone(), Value::Null, Value::Null],
            vec![Value::Null, Value::Null],
            vec![wire(b"short"), Value::Null],
            vec![clock.clone(), json!({"owner": Pubkey([7; 32]), "data": ["a", "base58"]})],
            vec![clock.clone(), json!({"owner": Pubkey([7; 32]), "data": ["*", "base64"]})],
            vec![clock.clone(), json!({"owner": "0", "data": ["", "base64"]})],
            vec![clock, json!({"owner": Pubkey([7; 32]), "data": "ab"})],
        ] {
            assert_eq!(parsed(&value, 1), Err(Failure::Garbage), "{value:?}");
        }
    }

    #[test]
    fn what_is_old_is_no_answer() {
        let age = MAX_AGE as i64;
        let now = NOW as i64;
        assert!(parsed(&[clock(now - age)], 0).is_ok());
        for time in [now - age - 1, 0, -1, i64::MIN] {
            assert_eq!(parsed(&[clock(time)], 0), Err(Failure::Behind), "{time}");
        }
        let answer = json!({"context": {"slot": 9}, "value": [clock(now)]});
        let earlier = parse(serde_json::from_value(answer).unwrap(), 0, 10, NOW);
        assert_eq!(earlier, Err(Failure::Behind));
    }

    /// The reason for [`BATCH`].
    #[test]
    fn the_longest_batch_is_read_whole() {
        let account = wire(&vec![1; MAX_ANSWER + 1]).to_string().len() + 1;
        assert!(account * BATCH + 1_000 < adapter_provider::MAX_BODY);
        let one = params(&[Pubkey([255; 32])], u64::MAX);
        assert_eq!(one[0].as_array().map(Vec::len), Some(2));
    }
}
