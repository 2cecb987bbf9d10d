use crate::{
    Item, OPEN, failed, from_item, held, number, open_values, seconds, string, to_attribute,
    to_item, transact,
};
use app::ports::{PortError, TaskStore};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use domain::Seconds;
use domain::presentation::Piece;
use domain::video::Task;

/// The tasks, beside the videos that count them.
#[derive(Debug, Clone)]
pub struct Tasks {
    client: Client,
    table: String,
    videos: String,
}

impl Tasks {
    /// In the table of that name; `videos` is the videos'.
    pub fn new(
        config: &aws_config::SdkConfig,
        table: impl Into<String>,
        videos: impl Into<String>,
    ) -> Self {
        Self { client: Client::new(config), table: table.into(), videos: videos.into() }
    }

    async fn items(&self, video: &str) -> Result<Vec<Item>, PortError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("video = :video")
            .expression_attribute_values(":video", string(video))
            .consistent_read(true)
            .into_paginator()
            .send();
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            items.extend(page.map_err(failed)?.items.unwrap_or_default());
        }
        Ok(items)
    }
}

impl TaskStore for Tasks {
    async fn create(&self, task: &Task) -> Result<(), PortError> {
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(task)?))
            .condition_expression("attribute_not_exists(task)")
            .send()
            .await;
        // There already: what was made of it since stays.
        held(answer).map(drop)
    }

    async fn get(&self, video: &str, task: &str) -> Result<Option<Task>, PortError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("video", string(video))
            .key("task", string(task))
            .consistent_read(true)
            .send()
            .await
            .map_err(failed)?;
        answer.item.map(from_item).transpose()
    }

    async fn list(&self, video: &str) -> Result<Vec<Task>, PortError> {
        self.items(video).await?.into_iter().map(from_item).collect()
    }

    async fn finish(
        &self,
        video: &str,
        task: &str,
        output: &[Piece],
        now: Seconds,
    ) -> Result<bool, PortError> {
        let broken = |error| PortError::new("dynamodb", error);
        let record = Update::builder()
            .table_name(&self.table)
            .key("video", string(video))
            .key("task", string(task))
            .update_expression("SET #output = :output")
            .condition_expression("attribute_exists(task) AND attribute_not_exists(#output)")
            .expression_attribute_names("#output", "output")
            .expression_attribute_values(":output", to_attribute(output)?)
            .build()
            .map_err(broken)?;
        let mut count = Update::builder()
            .table_name(&self.videos)
            .key("id", string(video))
            .update_expression("SET updated_at = :now ADD tasks_done :one")
            .condition_expression(OPEN)
            .expression_attribute_values(":now", seconds(now))
            .expression_attribute_values(":one", number(1));
        for (name, value) in open_values() {
            count = count.expression_attribute_values(name, value);
        }
        let items = vec![
            TransactWriteItem::builder().update(record).build(),
            TransactWriteItem::builder().update(count.build().map_err(broken)?).build(),
        ];
        transact(&self.client, items).await
    }

    async fn remove(&self, video: &str) -> Result<(), PortError> {
        // By their names alone: a task that an earlier version wrote goes with the others.
        for mut item in self.items(video).await? {
            let Some(task) = item.remove("task") else { continue };
            self.client
                .delete_item()
                .table_name(&self.table)
                .key("video", string(video))
                .key("task", task)
                .send()
                .await
                .map_err(failed)?;
        }
        Ok(())
    }
}
