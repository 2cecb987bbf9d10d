//! A file has arrived: look at it, and cut the work into tasks.

use crate::ports::{
    Change, Clock, ContentKeys, Event, Events, MediaError, PortError, Queue, TaskStore, Transcoder,
    UploadStore, VideoStore,
};
use domain::Seconds;
use domain::encryption::{Encryption, Method};
use domain::ladder::{self, Ceilings, Limits};
use domain::video::{Stage, Task, source_key};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How many tasks are written side by side.
const TASKS_AT_ONCE: usize = 16;

/// How long a worker may read the source; longer than any function lives.
pub const SOURCE_LIFETIME: Seconds = 3600;

/// A task's message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskMessage {
    /// The video.
    pub video: String,
    /// The task's name.
    pub task: String,
}

/// A message to whoever publishes: one video's are worked on one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishMessage {
    /// The video.
    pub video: String,
    /// The task that is finished.
    pub task: String,
}

/// What whoever converts by jobs is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ConvertMessage {
    /// To have that video converted.
    Convert(String),
    /// To end that job.
    Cancel(String),
}

/// Plans a video's transcode. The plan is written first, and once; done twice or late, it only sends
/// again what is not finished. Where there is a queue of `conversions`, new videos are converted by a
/// job; one that was planned otherwise stays with who has it.
///
/// # Errors
/// What is worth another try. An input that can't become a film fails the video instead.
#[expect(clippy::too_many_arguments, reason = "each is one port")]
pub async fn plan_transcode(
    clock: &impl Clock,
    videos: &impl VideoStore,
    tasks: &impl TaskStore,
    uploads: &impl UploadStore,
    content: &impl ContentKeys,
    transcoder: &impl Transcoder,
    queue: &impl Queue<TaskMessage>,
    conversions: Option<&impl Queue<ConvertMessage>>,
    events: &impl Events,
    limits: &Limits,
    id: &str,
) -> Result<(), PortError> {
    const BEFORE: [Stage; 3] = [Stage::Uploading, Stage::Uploaded, Stage::Failed];
    let Some(video) = videos.get(id).await? else {
        tracing::warn!(video = id, "a file of no video arrived");
        return Ok(());
    };
    // Failed before it was planned, and brought back by a redrive: from the start.
    let unplanned = video.stage == Stage::Failed && video.redrivable && video.plan.is_none();
    if matches!(video.stage, Stage::Uploading | Stage::Uploaded) || unplanned {
        let source = uploads.source_url(&source_key(id), SOURCE_LIFETIME).await?;
        let probe = match transcoder.probe(&source).await {
            Ok(probe) => probe,
            Err(MediaError::Refused(reason)) => {
                return fail(clock, videos, events, id, Failure::Refused(&reason)).await;
            }
            Err(MediaError::Failed(cause)) => return Err(PortError::new("transcoder", cause)),
        };
        let mut plan = match ladder::plan(&probe, limits) {
            Ok(plan) => plan,
            Err(refusal) => {
                return fail(clock, videos, events, id, Failure::Refused(&refusal.to_string()))
                    .await;
            }
        };
        if limits.ceilings == Ceilings::PerTitle {
            match transcoder.measure(&source, &plan).await {
                Ok(factor) => plan.spend(factor),
                // Whether it can be encoded, the tasks find out.
                Err(error) => tracing::warn!(video = id, %error, "the film could not be sampled"),
            }
        }
        plan.encryption = match video.encryption {
            Some(Method::Aes128) => {
                let key = content.newest().await?;
                Some(Encryption::new(&key, limits.key_seconds, &plan.grid))
            }
            None => None,
        };
        // What is encrypted is made by our own workers: a job would leave it plain.
        if conversions.is_some() && plan.encryption.is_none() {
            plan = plan.for_job(limits);
        }
        let change = Change::Transcoding { plan, duration_seconds: probe.duration_seconds };
        videos.advance(id, &BEFORE, &change, clock.now()).await?;
    }
    // The plan that was written, which may be another's: all that follows is by that one.
    let plan = match videos.get(id).await? {
        Some(video) if video.is_open() => video.plan,
        _ => return Ok(()),
    };
    let Some(plan) = plan else { return Ok(()) };
    let works = plan.works();
    for works in works.chunks(TASKS_AT_ONCE) {
        let created = works.iter().map(|work| async {
            let (video, task) = (id.to_owned(), work.name());
            tasks.create(&Task { video, task, work: work.clone(), output: None }).await
        });
        try_join_all(created).await?;
    }
    let finished: BTreeSet<_> = tasks
        .list(id)
        .await?
        .into_iter()
        .filter_map(|task| task.output.is_some().then_some(task.task))
        .collect();
    let open: Vec<_> = works.into_iter().filter(|work| !finished.contains(&work.name())).collect();
    if open.iter().any(|work| !plan.is_ours(work)) {
        let gone = || PortError::new("conversions", "the stack has no such transcoder any more");
        let conversions = conversions.ok_or_else(gone)?;
        conversions.send(&ConvertMessage::Convert(id.to_owned())).await?;
    }
    for work in open {
        if plan.is_ours(&work) {
            queue.send(&TaskMessage { video: id.to_owned(), task: work.name() }).await?;
        }
    }
    Ok(())
}

/// Why a video failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure<'a> {
    /// Its file's fault: what is left of the work is dropped.
    Refused(&'a str),
    /// Every attempt at a message failed: it is in the dead-letter queue, and a redrive may still
    /// finish the film.
    GaveUp(&'a str),
}

/// The video failed; says so once.
///
/// # Errors
/// When the store or the bus can't be written.
pub async fn fail(
    clock: &impl Clock,
    videos: &impl VideoStore,
    events: &impl Events,
    id: &str,
    failure: Failure<'_>,
) -> Result<(), PortError> {
    const LIVE: [Stage; 3] = [Stage::Uploading, Stage::Uploaded, Stage::Transcoding];
    let (reason, redrivable) = match failure {
        Failure::Refused(reason) => (reason, false),
        Failure::GaveUp(reason) => (reason, true),
    };
    let change = Change::Failed { reason: reason.to_owned(), redrivable };
    if videos.advance(id, &LIVE, &change, clock.now()).await? {
        tracing::warn!(video = id, reason, redrivable, "the video failed");
        let event = Event::VideoFailed { video: id.to_owned(), reason: reason.to_owned() };
        events.emit(&event).await?;
    }
    Ok(())
}
