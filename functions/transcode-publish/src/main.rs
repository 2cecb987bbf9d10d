//! SQS: a task of a video is done.

use adapter_dynamodb::{Tasks, Videos};
use adapter_eventbridge::EventBridge;
use adapter_s3::S3;
use adapter_sqs::Sqs;
use app::plan_transcode::PublishMessage;
use app::ports::System;
use app::publish_video::publish_video;
use runtime::queue;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let table = environment.text("VIDEOS_TABLE")?;
        let tasks = &Tasks::new(&aws, environment.text("TASKS_TABLE")?, &table);
        let videos = &Videos::new(&aws, &table);
        let media = &S3::new(&aws, environment.text("MEDIA_BUCKET")?);
        let own = Sqs::new(&aws, environment.text("QUEUE_URL")?);
        let events = &EventBridge::new(&aws, environment.text("EVENT_BUS")?);
        queue::serve("transcode-publish", own, async move |message| {
            let PublishMessage { video, .. } = message.json()?;
            publish_video(&System, videos, tasks, media, events, &video).await
        })
        .await
    })
}
