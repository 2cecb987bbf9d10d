use crate::live::{MARKS, marks};
use crate::{failed, from_item, held, number, seconds, string, to_attribute, to_item, transact};
use app::ports::{GrantStore, PortError};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use domain::Seconds;
use domain::account::Wallet;
use domain::grant::{Ended, Grant, GrantId};
use domain::lease::{Seat, Sheet};
use std::collections::BTreeSet;

/// The index by wallet, and the one by video.
const BY_WALLET: &str = "by_wallet";
const BY_VIDEO: &str = "by_video";

/// The grants, and the leases' sheets.
#[derive(Debug, Clone)]
pub struct Grants {
    pub(crate) client: Client,
    pub(crate) table: String,
}

impl Grants {
    /// In the table of that name.
    pub fn new(config: &aws_config::SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Client::new(config), table: table.into() }
    }

    /// The items of an index under `value` that are not over.
    pub(crate) async fn indexed(
        &self,
        index: &str,
        attribute: &str,
        value: String,
        now: Seconds,
    ) -> Result<Vec<crate::Item>, PortError> {
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(index)
                .key_condition_expression("#attribute = :value AND expires_at > :now")
                .expression_attribute_names("#attribute", attribute)
                .expression_attribute_values(":value", string(value.clone()))
                .expression_attribute_values(":now", seconds(now))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(failed)?;
            found.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(found);
            }
        }
    }
}

/// What a decision changes of a grant, see [`Grant::decided`], and its lease; those that are not there are
/// removed.
const DECIDED: [&str; 8] = [
    "policy_revision",
    "expires_at",
    "review_at",
    "cluster",
    "accounts",
    "grace",
    "leases",
    "lease_until",
];

/// What the index by wallet shows of a grant: the first wallet in the grant itself, each further one
/// in an item of its own that names the grant.
fn pointers(grant: &Grant) -> Vec<crate::Item> {
    let first = grant.account.wallet;
    let others: BTreeSet<_> = grant.wallets.iter().map(|holder| holder.account.wallet).collect();
    let others = others.into_iter().filter(|wallet| *wallet != first).enumerate();
    let pointer = |(number, wallet): (usize, Wallet)| {
        crate::Item::from([
            ("grant".to_owned(), string(format!("{}#{number}", grant.grant))),
            ("of".to_owned(), string(grant.grant.as_str())),
            ("wallet".to_owned(), string(wallet.to_string())),
            ("expires_at".to_owned(), seconds(grant.expires_at)),
        ])
    };
    others.map(pointer).collect()
}

impl GrantStore for Grants {
    async fn create(&self, grant: &Grant) -> Result<(), PortError> {
        let mut item = to_item(grant)?;
        item.insert("wallet".into(), string(grant.account.wallet.to_string()));
        item.extend(marks(grant).into_iter().map(|(name, value)| (name.to_owned(), value)));
        for item in [item].into_iter().chain(pointers(grant)) {
            self.client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item))
                .condition_expression("attribute_not_exists(#grant)")
                .expression_attribute_names("#grant", "grant")
                .send()
                .await
                .map_err(failed)?;
        }
        Ok(())
    }

    async fn get(&self, id: &GrantId) -> Result<Option<Grant>, PortError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("grant", string(id.as_str()))
            .consistent_read(true)
            .send()
            .await
            .map_err(failed)?;
        answer.item.map(from_item).transpose()
    }

    async fn renew(&self, grant: &Grant) -> Result<bool, PortError> {
        let item = to_item(grant)?;
        let mut changes: Vec<_> = DECIDED
            .iter()
            .map(|name| (*name, item.get(*name).cloned()))
            .chain(MARKS.iter().map(|name| (*name, None)))
            .collect();
        for (name, value) in marks(grant) {
            changes.retain(|(other, _)| *other != name);
            changes.push((name, Some(value)));
        }
        let (kept, gone): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|(_, value)| value.is_some());
        let sets: Vec<_> = kept.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
        let removes: Vec<_> = gone.iter().map(|(name, _)| format!("#{name}")).collect();
        let mut update = format!("SET {}", sets.join(", "));
        if !removes.is_empty() {
            update += &format!(" REMOVE {}", removes.join(", "));
        }
        let mut request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("grant", string(grant.grant.as_str()))
            .condition_expression("attribute_exists(#grant) AND attribute_not_exists(ended)")
            .update_expression(update)
            .expression_attribute_names("#grant", "grant");
        for (name, value) in kept.into_iter().chain(gone) {
            request = request.expression_attribute_names(format!("#{name}"), name);
            if let Some(value) = value {
                request = request.expression_attribute_values(format!(":{name}"), value);
            }
        }
        held(request.send().await)
    }

    async fn end(&self, id: &GrantId, ended: &Ended) -> Result<bool, PortError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("grant", string(id.as_str()))
            .condition_expression("attribute_exists(#grant) AND attribute_not_exists(ended)")
            .update_expression("SET ended = :ended")
            .expression_attribute_names("#grant", "grant")
            .expression_attribute_values(":ended", to_attribute(ended)?)
            .send()
            .await;
        held(answer)
    }

    async fn of_wallet(&self, wallet: Wallet, now: Seconds) -> Result<Vec<Grant>, PortError> {
        let mut grants = Vec::new();
        for item in self.indexed(BY_WALLET, "wallet", wallet.to_string(), now).await? {
            let grant: Option<Grant> = match item.get("of").and_then(|of| of.as_s().ok()) {
                Some(of) => {
                    let id = of.parse().map_err(|error| PortError::new("dynamodb", error))?;
                    self.get(&id).await?
                }
                None => Some(from_item(item)?),
            };
            grants.extend(grant.filter(|grant| grant.is_open(now)));
        }
        Ok(grants)
    }

    async fn of_video(&self, video: &str, now: Seconds) -> Result<Vec<Grant>, PortError> {
        let items = self.indexed(BY_VIDEO, "video", video.to_owned(), now).await?;
        let grants = items.into_iter().map(from_item::<Grant>).collect::<Result<Vec<_>, _>>()?;
        Ok(grants.into_iter().filter(|grant| grant.is_open(now)).collect())
    }

    async fn sheets(&self, subjects: &[String]) -> Result<Vec<Sheet>, PortError> {
        let each = subjects.iter().map(async |subject| {
            let request = self.client.get_item().table_name(&self.table);
            let request = request.key("grant", string(subject)).consistent_read(true);
            match request.send().await.map_err(failed)?.item {
                None => Ok(Sheet::empty(subject)),
                Some(item) => {
                    let SheetRow { revision, seats } = from_item(item)?;
                    Ok(Sheet { subject: subject.clone(), revision, seats })
                }
            }
        });
        futures_util::future::try_join_all(each).await
    }

    async fn write_sheets(&self, sheets: &[Sheet]) -> Result<bool, PortError> {
        let items = sheets.iter().map(|sheet| self.put_sheet(sheet)).collect::<Result<_, _>>()?;
        transact(&self.client, items).await
    }
}

impl Grants {
    /// A sheet lies among the grants, under its subject, which no grant's id is.
    fn put_sheet(&self, sheet: &Sheet) -> Result<TransactWriteItem, PortError> {
        let last = sheet.seats.iter().map(|seat| seat.until).max().unwrap_or_default();
        let item = crate::Item::from([
            ("grant".to_owned(), string(&sheet.subject)),
            ("revision".to_owned(), number(sheet.revision + 1)),
            ("seats".to_owned(), to_attribute(&sheet.seats)?),
            ("expires_at".to_owned(), seconds(last + SHEET_SECONDS)),
        ]);
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .expression_attribute_names("#revision", "revision");
        let put = match sheet.revision {
            0 => put.condition_expression("attribute_not_exists(#revision)"),
            known => put
                .condition_expression("#revision = :revision")
                .expression_attribute_values(":revision", number(known)),
        };
        let put = put.build().map_err(|error| PortError::new("dynamodb", error))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

/// How long a sheet stays after its last lease, in seconds: as long as one might be renewed.
const SHEET_SECONDS: Seconds = 86_400;

/// A sheet as it is stored.
#[derive(serde::Deserialize)]
struct SheetRow {
    revision: u64,
    seats: Vec<Seat>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_further_wallet_has_an_item_of_its_own() {
        let account = |text: &str| serde_json::from_value(serde_json::json!({"account": text}));
        let wallets = [
            account("eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266").unwrap(),
            // The same wallet on another chain is no other wallet.
            account("eip155:10:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266").unwrap(),
            account("eip155:1:0x70997970C51812dc3A010C7d01b50e0d17dc79C8").unwrap(),
        ];
        let holder: &domain::session::Holder = &wallets[0];
        let grant: Grant = serde_json::from_value(serde_json::json!({
            "grant": GrantId::new(holder.account, 5, [1; 8]), "secret": "", "video": "v",
            "account": holder.account, "wallets": wallets, "carrier": "path",
            "policy_revision": 1, "created_at": 5, "expires_at": 9,
        }))
        .unwrap();
        let found = pointers(&grant);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0]["wallet"].as_s().unwrap(),
            "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
        );
        assert_eq!(found[0]["of"].as_s().unwrap(), grant.grant.as_str());
        let read: Grant = from_item(to_item(&grant).unwrap()).unwrap();
        assert_eq!(read, grant);
    }
}
