use crate::{Grants, failed, from_item, seconds, string};
use app::ports::{LiveGrants, PortError, Resting};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::Seconds;
use domain::account::{ChainId, Genesis};
use domain::grant::{Grant, GrantId};

/// The index of those that have to be looked at by some time, and of those that rest on accounts.
/// Grants that events alone tell of are in neither.
const DUE: &str = "due";
const RESTING: &str = "resting";
/// How many that are due are told at once.
const MOST_DUE: i32 = 500;

/// The attributes that both indexes are made of.
pub(crate) const MARKS: [&str; 3] = ["due", "due_at", "resting_on"];

/// What both indexes are told of a grant.
pub(crate) fn marks(grant: &Grant) -> Vec<(&'static str, AttributeValue)> {
    let mut marks = Vec::new();
    if let Some(due_at) = grant.due_at() {
        marks.extend([("due", string(DUE)), ("due_at", seconds(due_at))]);
    }
    if let Some(cluster) = grant.cluster {
        marks.push(("resting_on", string(cluster.to_string())));
    }
    marks
}

impl LiveGrants for Grants {
    async fn resting_on(&self, chain: Genesis) -> Result<Vec<Resting>, PortError> {
        let name = ChainId::Solana(chain).to_string();
        let now = app::ports::Clock::now(&app::ports::System);
        let items = self.indexed(RESTING, "resting_on", name, now).await?;
        let mut resting = Vec::with_capacity(items.len());
        for item in items {
            let Grant { grant, accounts, ended, .. } = from_item(item)?;
            if ended.is_none() {
                resting.push(Resting { grant, accounts });
            }
        }
        Ok(resting)
    }

    async fn due(&self, now: Seconds) -> Result<Vec<GrantId>, PortError> {
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(DUE)
            .key_condition_expression("due = :due AND due_at <= :now")
            .filter_expression("attribute_not_exists(ended) AND expires_at > :now")
            .expression_attribute_values(":due", string(DUE))
            .expression_attribute_values(":now", seconds(now))
            .limit(MOST_DUE)
            .send()
            .await
            .map_err(failed)?;
        let ids = page.items.unwrap_or_default().into_iter().filter_map(|item| {
            let id = item.get("grant")?.as_s().ok()?;
            id.parse().ok()
        });
        Ok(ids.collect())
    }
}
