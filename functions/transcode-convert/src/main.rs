//! SQS: a film is to be converted by MediaConvert, a job of it tells how it is, or is to end.

use adapter_dynamodb::{Tasks, Videos};
use adapter_eventbridge::EventBridge;
use adapter_mediaconvert::{Buckets, MediaConvert, Speke};
use adapter_s3::S3;
use adapter_sqs::Sqs;
use app::convert_video::convert_video;
use app::follow_job::{ConvertNews, follow_job};
use app::plan_transcode::{ConvertMessage, Failure, fail};
use app::ports::{Converter, System};
use runtime::queue;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let buckets = Buckets {
            uploads: environment.text("UPLOADS_BUCKET")?,
            media: environment.text("MEDIA_BUCKET")?,
            speke: match environment.text("SPEKE_URL") {
                Ok(url) => Some(Speke { url, system_ids: environment.list("SPEKE_SYSTEM_IDS")? }),
                Err(_) => None,
            },
        };
        let table = environment.text("VIDEOS_TABLE")?;
        let tasks = &Tasks::new(&aws, environment.text("TASKS_TABLE")?, &table);
        let videos = &Videos::new(&aws, &table);
        let media = &S3::new(&aws, &buckets.media);
        let (queue, role) = (environment.text("CONVERT_QUEUE")?, environment.text("CONVERT_ROLE")?);
        let jobs = &MediaConvert::new(&aws, queue, role, buckets);
        let next = &Sqs::in_groups(&aws, environment.text("PUBLISH_QUEUE_URL")?, "video");
        let own = Sqs::new(&aws, environment.text("QUEUE_URL")?);
        let events = &EventBridge::new(&aws, environment.text("EVENT_BUS")?);
        queue::serve("transcode-convert", own, async move |message| {
            let (video, done) = match message.json::<ConvertNews>()? {
                ConvertNews::Order(ConvertMessage::Cancel(job)) => return jobs.cancel(&job).await,
                ConvertNews::Order(ConvertMessage::Convert(id)) => {
                    let done =
                        convert_video(&System, videos, tasks, media, jobs, next, events, &id);
                    (id.clone(), done.await)
                }
                ConvertNews::Event(event) => {
                    let news = event.news()?;
                    let done = follow_job(&System, videos, tasks, media, jobs, next, events, &news);
                    (news.video.clone(), done.await)
                }
            };
            if done.is_err() && message.is_last_attempt() {
                let failure = Failure::GaveUp("the film could not be converted");
                fail(&System, videos, events, &video, failure).await?;
            }
            done
        })
        .await
    })
}
