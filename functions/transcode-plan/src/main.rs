//! SQS: a file has arrived in the uploads bucket.

use adapter_dynamodb::{Tasks, Videos};
use adapter_eventbridge::EventBridge;
use adapter_ffmpeg::Ffmpeg;
use adapter_s3::S3;
use adapter_sqs::Sqs;
use app::plan_transcode::{Failure, fail, plan_transcode};
use app::ports::System;
use domain::ladder::{Limits, MAX_PIXELS};
use domain::video::video_of_source;
use runtime::{keys::ContentKeys, queue};

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let limits = &Limits {
            max_duration_seconds: environment.number("MAX_DURATION_SECONDS")?,
            max_pixels: MAX_PIXELS,
            chunk_seconds: environment.number("CHUNK_SECONDS")?,
            segment_seconds: environment.number("SEGMENT_SECONDS")?,
            extras: environment.parsed_or("EXTRA_CODECS", "")?,
            ceilings: environment.parsed("LADDER")?,
            key_seconds: environment.number("KEY_MINUTES")? * 60,
        };
        let ffmpeg = &Ffmpeg::new(environment.text_or("FFMPEG_DIRECTORY", "/opt/bin").into());
        let aws = runtime::aws::config().await;
        let table = environment.text("VIDEOS_TABLE")?;
        let tasks = &Tasks::new(&aws, environment.text("TASKS_TABLE")?, &table);
        let videos = &Videos::new(&aws, &table);
        let uploads = &S3::new(&aws, environment.text("UPLOADS_BUCKET")?);
        let content = &ContentKeys::new(&environment, &aws)?;
        let next = &Sqs::new(&aws, environment.text("TASK_QUEUE_URL")?);
        // Absent where our own workers do it all.
        let jobs = environment.text("CONVERT_QUEUE_URL").ok().map(|url| Sqs::new(&aws, url));
        let jobs = jobs.as_ref();
        let own = Sqs::new(&aws, environment.text("QUEUE_URL")?);
        let events = &EventBridge::new(&aws, environment.text("EVENT_BUS")?);
        queue::serve("transcode-plan", own, async move |message| {
            for key in queue::created_objects(message)? {
                let Some(id) = video_of_source(&key) else { continue };
                let planned = plan_transcode(
                    &System, videos, tasks, uploads, content, ffmpeg, next, jobs, events, limits,
                    id,
                );
                if let Err(error) = planned.await {
                    if message.is_last_attempt() {
                        let failure = Failure::GaveUp("the file could not be read");
                        fail(&System, videos, events, id, failure).await?;
                    }
                    return Err(error);
                }
            }
            Ok(())
        })
        .await
    })
}
