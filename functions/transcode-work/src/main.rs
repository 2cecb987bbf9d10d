//! SQS: one task of a transcode.

use adapter_dynamodb::{Tasks, Videos};
use adapter_eventbridge::EventBridge;
use adapter_ffmpeg::Ffmpeg;
use adapter_s3::S3;
use adapter_sqs::Sqs;
use app::plan_transcode::TaskMessage;
use app::ports::System;
use app::run_task::{give_up, run_task};
use runtime::queue;
use runtime::settings::ContentKeys;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let ffmpeg = &Ffmpeg::new(environment.text_or("FFMPEG_DIRECTORY", "/opt/bin").into());
        let aws = runtime::aws::config().await;
        let table = environment.text("VIDEOS_TABLE")?;
        let tasks = &Tasks::new(&aws, environment.text("TASKS_TABLE")?, &table);
        let videos = &Videos::new(&aws, &table);
        let uploads = &S3::new(&aws, environment.text("UPLOADS_BUCKET")?);
        let media = &S3::new(&aws, environment.text("MEDIA_BUCKET")?);
        let content = &ContentKeys::new(&environment, &aws)?;
        let next = &Sqs::in_groups(&aws, environment.text("PUBLISH_QUEUE_URL")?, "video");
        let own = Sqs::new(&aws, environment.text("QUEUE_URL")?);
        let events = &EventBridge::new(&aws, environment.text("EVENT_BUS")?);
        queue::serve("transcode-work", own, async move |message| {
            let task: TaskMessage = message.json()?;
            let done = run_task(
                &System, videos, tasks, uploads, media, content, ffmpeg, next, events, &task,
            );
            match done.await {
                Err(cause) if message.is_last_attempt() => {
                    give_up(&System, videos, tasks, next, events, &task, cause).await
                }
                done => done,
            }
        })
        .await
    })
}
