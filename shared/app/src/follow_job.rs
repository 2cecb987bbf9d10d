//! A job tells how it is: note how far, take over what it made, try again, or give up.

use crate::convert_video::start;
use crate::plan_transcode::{ConvertMessage, Failure, PublishMessage, fail};
use crate::ports::{
    Clock, ConversionStore, Converter, Events, MediaStore, PortError, Queue, TaskStore, VideoStore,
};
use domain::conversion::{self, Conversion, JobState, MOST_ATTEMPTS, is_worth_another_attempt};
use domain::mpd;
use domain::video::{Stage, Video, is_id, media_folder};
use serde::Deserialize;

/// What a job tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobNews {
    /// The video that it was ordered for.
    pub video: String,
    /// And as which attempt.
    pub attempt: u32,
    /// The service's name for it.
    pub job: String,
    /// How it is.
    pub state: JobState,
}

/// `MediaConvert Job State Change`, as EventBridge delivers it; what we don't read may be there too
/// (docs.aws.amazon.com/mediaconvert/latest/ug/mediaconvert_event_list.html).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct JobEvent {
    source: String,
    detail: Detail,
}

/// What comes to whoever converts: from our own functions, or from the service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ConvertNews {
    /// To do something.
    Order(ConvertMessage),
    /// How a job is.
    Event(JobEvent),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    job_id: String,
    status: String,
    user_metadata: Metadata,
    #[serde(default)]
    job_progress: Option<Progress>,
    #[serde(default)]
    error_code: i32,
    #[serde(default)]
    error_message: String,
}

/// Written by our own orders.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Metadata {
    video: String,
    attempt: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    #[serde(default)]
    job_percent_complete: u8,
}

impl JobEvent {
    /// What it tells.
    ///
    /// # Errors
    /// When it is of another service, or of a job that is none of ours.
    pub fn news(self) -> Result<JobNews, PortError> {
        let Detail { job_id, status, user_metadata, job_progress, error_code, error_message } =
            self.detail;
        let foreign = |why| PortError::new("message", why);
        if self.source != "aws.mediaconvert" {
            return Err(foreign("an event of another service"));
        }
        let Metadata { video, attempt } = user_metadata;
        if !is_id(&video) {
            return Err(foreign("a job of no video"));
        }
        let attempt = attempt.parse().map_err(|_| foreign("a job of no attempt"))?;
        let state = match &*status {
            "COMPLETE" => JobState::Complete,
            "ERROR" => JobState::Failed(error_code, error_message),
            "CANCELED" => JobState::Canceled,
            _ => {
                JobState::Running(job_progress.map_or(0, |progress| progress.job_percent_complete))
            }
        };
        Ok(JobNews { video, attempt, job: job_id, state })
    }
}

/// Acts on what a job tells. Told twice, late or out of order it changes nothing; what a job wrote
/// whose video is gone is removed when the job is over.
///
/// # Errors
/// What is worth another try.
#[expect(clippy::too_many_arguments, reason = "each is one port")]
pub async fn follow_job(
    clock: &impl Clock,
    videos: &(impl VideoStore + ConversionStore),
    tasks: &impl TaskStore,
    media: &impl MediaStore,
    converter: &impl Converter,
    queue: &impl Queue<PublishMessage>,
    events: &impl Events,
    news: &JobNews,
) -> Result<(), PortError> {
    let JobNews { video: id, attempt, job, state } = news;
    let is_running = matches!(state, JobState::Running(_));
    let video = match videos.get(id).await? {
        Some(video) if video.is_open() => video,
        _ if is_running => return converter.cancel(job).await,
        Some(Video { stage: Stage::Deleting, .. }) | None => {
            return media.remove_folder(&media_folder(id)).await;
        }
        Some(_) => return Ok(()),
    };
    let stored = video.conversion.clone().unwrap_or_default();
    match &stored.job {
        Some(ours) if ours == job => {}
        // Who ordered it died before it could say so.
        None if stored.attempt == *attempt => {
            let found = Conversion { job: Some(job.clone()), ..stored.clone() };
            if !videos.replace(id, video.conversion.as_ref(), &found, clock.now()).await? {
                return Err(PortError::new("conversion", "another was quicker"));
            }
        }
        // Ordered twice: one of them is enough.
        _ if is_running => return converter.cancel(job).await,
        // An earlier attempt's end, told again: who heard it first may have died before the next.
        None => return start(clock, videos, converter, events, &video).await,
        Some(_) => return Ok(()),
    }
    let now = Conversion { job: Some(job.clone()), ..stored };
    match state {
        JobState::Running(percent) => {
            let percent = (*percent).min(100);
            if percent > now.percent {
                // Where another was quicker it does not matter: more will come.
                let further = Conversion { percent, ..now.clone() };
                videos.replace(id, Some(&now), &further, clock.now()).await?;
            }
            Ok(())
        }
        JobState::Complete => take_over(clock, tasks, media, queue, &video, now.attempt).await,
        JobState::Canceled => {
            let failure = Failure::Refused("the conversion was canceled");
            fail(clock, videos, events, id, failure).await
        }
        JobState::Failed(code, message) => {
            tracing::warn!(video = id, attempt, job, code, message, "its job failed");
            if let Some(plan) = &video.plan {
                let left = conversion::folder(&plan.digest(), now.attempt);
                media.remove_folder(&format!("{}/{left}", media_folder(id))).await?;
            }
            if !is_worth_another_attempt(*code) || now.attempt >= MOST_ATTEMPTS {
                let reason =
                    format!("the film could not be converted (MediaConvert, error {code})");
                return fail(clock, videos, events, id, Failure::Refused(&reason)).await;
            }
            let next = now.next();
            if !videos.replace(id, Some(&now), &next, clock.now()).await? {
                return Ok(());
            }
            let video = Video { conversion: Some(next), ..video };
            start(clock, videos, converter, events, &video).await
        }
    }
}

/// Counts what a finished job made as the output of the video's tasks; publishing is as with those.
async fn take_over(
    clock: &impl Clock,
    tasks: &impl TaskStore,
    media: &impl MediaStore,
    queue: &impl Queue<PublishMessage>,
    video: &Video,
    attempt: u32,
) -> Result<(), PortError> {
    let Some(plan) = &video.plan else { return Ok(()) };
    let (folder, digest) = (media_folder(&video.id), plan.digest());
    let manifest =
        media.get(&format!("{folder}/{}", conversion::manifest(&digest, attempt))).await?;
    let manifest = manifest.ok_or_else(|| PortError::new("converter", "it wrote no manifest"))?;
    let listed = mpd::read(&manifest).map_err(|error| PortError::new("converter", error))?;
    let sizes = media.sizes(&format!("{folder}/{}", conversion::folder(&digest, attempt))).await?;
    let pieces = conversion::pieces(plan, attempt, &listed, &sizes)
        .map_err(|error| PortError::new("converter", error))?;
    let mut last = None;
    for (task, piece) in pieces {
        tasks.finish(&video.id, &task, &[piece], clock.now()).await?;
        last = Some(task);
    }
    let Some(task) = last else { return Ok(()) };
    // Also when all were finished before: who did it may have died before sending this.
    queue.send(&PublishMessage { video: video.id.clone(), task }).await
}
