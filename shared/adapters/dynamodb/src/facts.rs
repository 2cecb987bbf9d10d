use crate::{failed, from_item, pause, string, to_item};
use app::ports::{FactStore, PortError};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest};
use domain::Seconds;
use domain::fact::Fact;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many keys one request may ask for.
const READS: usize = 100;
/// How many items one request may write.
const WRITES: usize = 25;
/// How often what a request left undone is asked for again.
const TRIES: u32 = 5;

/// Facts, for as long as they may serve. Nothing is lost with them: they can be read again.
#[derive(Debug, Clone)]
pub struct Facts {
    client: Client,
    table: String,
}

#[derive(Serialize)]
struct Row<'a> {
    fact: &'a str,
    found: &'a Fact,
    expires_at: Seconds,
}

#[derive(Deserialize)]
struct Found {
    fact: String,
    found: Fact,
}

impl Facts {
    /// In the table of that name.
    pub fn new(config: &aws_config::SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Client::new(config), table: table.into() }
    }

    async fn read(
        &self,
        keys: &[&String],
        facts: &mut HashMap<String, Fact>,
    ) -> Result<(), PortError> {
        let broken = |error| PortError::new("dynamodb", error);
        let keys = keys.iter().map(|key| HashMap::from([("fact".to_owned(), string(*key))]));
        // Eventually consistent reads do: a fact may be some seconds old as it is.
        let mut wanted =
            KeysAndAttributes::builder().set_keys(Some(keys.collect())).build().map_err(broken)?;
        for tries in 1..=TRIES {
            let request = self.client.batch_get_item().request_items(&self.table, wanted);
            let answer = request.send().await.map_err(failed)?;
            let items = answer.responses.and_then(|mut tables| tables.remove(&self.table));
            for item in items.unwrap_or_default() {
                // What another release wrote in another form is missing.
                if let Ok(Found { fact, found }) = from_item(item) {
                    facts.insert(fact, found);
                }
            }
            match answer.unprocessed_keys.and_then(|mut tables| tables.remove(&self.table)) {
                Some(rest) if !rest.keys.is_empty() => wanted = rest,
                _ => return Ok(()),
            }
            pause(tries).await;
        }
        Err(PortError::new("dynamodb", "some facts stay unread"))
    }

    async fn write(&self, requests: Vec<WriteRequest>) -> Result<(), PortError> {
        for chunk in requests.chunks(WRITES) {
            self.write_some(chunk.to_vec()).await?;
        }
        Ok(())
    }

    async fn write_some(&self, mut wanted: Vec<WriteRequest>) -> Result<(), PortError> {
        for tries in 1..=TRIES {
            let request = self.client.batch_write_item().request_items(&self.table, wanted);
            let answer = request.send().await.map_err(failed)?;
            match answer.unprocessed_items.and_then(|mut tables| tables.remove(&self.table)) {
                Some(rest) if !rest.is_empty() => wanted = rest,
                _ => return Ok(()),
            }
            pause(tries).await;
        }
        Err(PortError::new("dynamodb", "some facts stay unwritten"))
    }
}

impl FactStore for Facts {
    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Fact>>, PortError> {
        let mut facts = HashMap::new();
        // A request that names a key twice is refused.
        let each: Vec<_> = keys.iter().collect::<BTreeSet<_>>().into_iter().collect();
        for chunk in each.chunks(READS) {
            self.read(chunk, &mut facts).await?;
        }
        Ok(keys.iter().map(|key| facts.get(key).cloned()).collect())
    }

    async fn put(&self, facts: &[(String, Fact)], until: Seconds) -> Result<(), PortError> {
        let broken = |error| PortError::new("dynamodb", error);
        let each: BTreeMap<_, _> = facts.iter().map(|(key, fact)| (key, fact)).collect();
        let requests = each.into_iter().map(|(fact, found)| {
            let item = to_item(&Row { fact, found, expires_at: until })?;
            let put = PutRequest::builder().set_item(Some(item)).build().map_err(broken)?;
            Ok(WriteRequest::builder().put_request(put).build())
        });
        self.write(requests.collect::<Result<_, PortError>>()?).await
    }

    async fn evict(&self, keys: &[String]) -> Result<(), PortError> {
        let broken = |error| PortError::new("dynamodb", error);
        let each: BTreeSet<_> = keys.iter().collect();
        let requests = each.into_iter().map(|key| {
            let delete =
                DeleteRequest::builder().key("fact", string(key)).build().map_err(broken)?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        });
        self.write(requests.collect::<Result<_, PortError>>()?).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::account::Pubkey;
    use domain::fact::{Answer, Block, Place};

    #[test]
    fn facts_survive_being_items() {
        let block = Block { number: u64::MAX, hash: format!("0x{}", "ab".repeat(32)) };
        for (answer, place) in [
            (Answer::Bytes(vec![0, 255]), Some(Place::Block(block))),
            (Answer::Bytes(Vec::new()), None),
            (Answer::Refused("reverted".into()), None),
            (Answer::Account { owner: Pubkey([1; 32]), data: vec![1] }, Some(Place::Slot(9))),
            (Answer::Absent, Some(Place::Slot(9))),
            (Answer::Keys(vec![Pubkey([2; 32])]), None),
            (Answer::Keys(Vec::new()), None),
            (Answer::Said { yes: true, reason: String::new() }, None),
        ] {
            let fact = Fact { answer, place, read_at: 5 };
            let item = to_item(&Row { fact: "a:b", found: &fact, expires_at: 7 }).unwrap();
            assert_eq!(item["fact"].as_s().unwrap(), "a:b");
            assert_eq!(item["expires_at"].as_n().unwrap(), "7");
            let read: Found = from_item(item).unwrap();
            assert_eq!((read.fact.as_str(), read.found), ("a:b", fact));
        }
    }
}
