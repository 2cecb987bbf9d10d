use crate::{
    OPEN, failed, from_item, held, number, open_values, seconds, string, to_attribute, to_item,
};
use app::ports::{Change, ConversionStore, PortError, VideoStore};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::Seconds;
use domain::account::Wallet;
use domain::conversion::Conversion;
use domain::policy::Policy;
use domain::subtitle::Uploaded;
use domain::video::{Stage, Video};
use std::collections::BTreeMap;

/// How many videos a list has at most.
const LIST: i32 = 100;

/// The videos.
#[derive(Debug, Clone)]
pub struct Videos {
    client: Client,
    table: String,
    consistent: bool,
}

impl Videos {
    /// In the table of that name, with an index `owner` on owner and created_at.
    pub fn new(config: &aws_config::SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Client::new(config), table: table.into(), consistent: true }
    }

    /// A video as it was a second ago, maybe, for half the price
    /// (docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html): for
    /// who does nothing about it that is not done again after each change.
    #[must_use]
    pub fn a_moment_old(self) -> Self {
        Self { consistent: false, ..self }
    }

    /// That the table is there.
    ///
    /// # Errors
    /// When it is not, or can't be asked.
    pub async fn check(&self) -> Result<(), PortError> {
        let answer = self.client.describe_table().table_name(&self.table).send().await;
        answer.map(drop).map_err(failed)
    }

    fn update(&self, id: &str, now: Seconds) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key("id", string(id))
            .expression_attribute_values(":now", seconds(now))
    }
}

impl VideoStore for Videos {
    async fn create(&self, video: &Video) -> Result<(), PortError> {
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(video)?))
            .condition_expression("attribute_not_exists(id)")
            .send()
            .await
            .map(drop)
            .map_err(failed)
    }

    async fn get(&self, id: &str) -> Result<Option<Video>, PortError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("id", string(id))
            .consistent_read(self.consistent)
            .send()
            .await
            .map_err(failed)?;
        answer.item.map(from_item).transpose()
    }

    async fn list(&self, owner: Wallet) -> Result<Vec<Video>, PortError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("owner")
            .key_condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", string(owner.to_string()))
            .scan_index_forward(false)
            .limit(LIST)
            .send()
            .await
            .map_err(failed)?;
        answer.items.unwrap_or_default().into_iter().map(from_item).collect()
    }

    async fn advance(
        &self,
        id: &str,
        from: &[Stage],
        change: &Change,
        now: Seconds,
    ) -> Result<bool, PortError> {
        let names: Vec<_> = (0..from.len()).map(|index| format!(":from{index}")).collect();
        let mut set = String::from("SET stage = :stage, updated_at = :now");
        let mut update = self
            .update(id, now)
            .expression_attribute_values(":stage", string(change.stage().as_str()))
            .condition_expression(format!("stage IN ({})", names.join(", ")));
        for (name, stage) in names.into_iter().zip(from) {
            update = update.expression_attribute_values(name, string(stage.as_str()));
        }
        match change {
            Change::Transcoding { plan, duration_seconds } => {
                set += ", tasks_total = :tasks, #plan = :plan, planned_at = :now, \
                        duration_seconds = :duration";
                update = update
                    .expression_attribute_names("#plan", "plan")
                    .expression_attribute_values(":plan", to_attribute(plan)?)
                    .expression_attribute_values(":tasks", number(plan.works().len()))
                    .expression_attribute_values(":duration", number(duration_seconds));
            }
            Change::Growing { segments } => {
                set += ", segments_shown = :segments";
                update = update.expression_attribute_values(":segments", number(segments));
            }
            Change::Failed { reason, redrivable } => {
                set += ", reason = :reason, redrivable = :redrivable";
                update = update
                    .expression_attribute_values(":reason", string(reason))
                    .expression_attribute_values(":redrivable", AttributeValue::Bool(*redrivable));
            }
            // A part that failed and was tried again is no reason any more.
            Change::Ready => set += " REMOVE reason",
            Change::Uploaded | Change::Deleting => {}
        }
        held(update.update_expression(set).send().await)
    }

    async fn set_policy(
        &self,
        id: &str,
        revision: u64,
        policy: Option<&Policy>,
        now: Seconds,
    ) -> Result<bool, PortError> {
        let update = self
            .update(id, now)
            .expression_attribute_values(":revision", number(revision))
            .expression_attribute_values(":next", number(revision + 1))
            .condition_expression("policy_revision = :revision");
        let set = "SET policy_revision = :next, updated_at = :now";
        let update = match policy {
            Some(policy) => update
                .update_expression(format!("{set}, policy = :policy"))
                .expression_attribute_values(":policy", string(policy.to_json().to_string())),
            None => update.update_expression(format!("{set} REMOVE policy")),
        };
        held(update.send().await)
    }

    async fn set_subtitles(
        &self,
        id: &str,
        before: &BTreeMap<String, Uploaded>,
        after: &BTreeMap<String, Uploaded>,
        now: Seconds,
    ) -> Result<bool, PortError> {
        // Videos of before there were any have no such attribute.
        let none = if before.is_empty() { "attribute_not_exists(subtitles) OR " } else { "" };
        let update = self
            .update(id, now)
            .update_expression("SET subtitles = :after, updated_at = :now")
            .condition_expression(format!(
                "attribute_exists(id) AND stage <> :deleting AND ({none}subtitles = :before)"
            ))
            .expression_attribute_values(":deleting", string(Stage::Deleting.as_str()))
            .expression_attribute_values(":before", to_attribute(before)?)
            .expression_attribute_values(":after", to_attribute(after)?);
        held(update.send().await)
    }

    async fn remove(&self, id: &str) -> Result<(), PortError> {
        self.client
            .delete_item()
            .table_name(&self.table)
            .key("id", string(id))
            .send()
            .await
            .map(drop)
            .map_err(failed)
    }
}

impl ConversionStore for Videos {
    async fn replace(
        &self,
        video: &str,
        from: Option<&Conversion>,
        to: &Conversion,
        now: Seconds,
    ) -> Result<bool, PortError> {
        let mut update = self
            .update(video, now)
            .update_expression("SET updated_at = :now, conversion = :to")
            .expression_attribute_values(":to", to_attribute(to)?);
        for (name, value) in open_values() {
            update = update.expression_attribute_values(name, value);
        }
        let update = match from {
            Some(from) => update
                .condition_expression(format!("{OPEN} AND conversion = :from"))
                .expression_attribute_values(":from", to_attribute(from)?),
            None => {
                update.condition_expression(format!("{OPEN} AND attribute_not_exists(conversion)"))
            }
        };
        held(update.send().await)
    }
}
