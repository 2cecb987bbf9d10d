//! `GET /v1/videos`, `GET /v1/videos/{id}`: what a creator sees, and what a viewer may.

use crate::ports::{Clock, TaskStore, VideoStore};
use crate::problem::{Error, Problem};
use domain::account::Wallet;
use domain::encryption::Method;
use domain::label::Label;
use domain::ladder::Maker;
use domain::session::Session;
use domain::video::{Stage, Task, Video};
use domain::{Seconds, rfc3339};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A video as the API shows it; what is absent is not for this caller.
#[derive(Debug, Serialize)]
pub struct VideoView {
    id: String,
    title: String,
    stage: Stage,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<Value>,
    /// How its segments are encrypted; then it can be played by HLS alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<Method>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    own: Option<OwnView>,
}

/// What only the owner sees.
#[derive(Debug, Serialize)]
struct OwnView {
    owner: Wallet,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Of a failed film: whether a redrive may still finish it.
    #[serde(skip_serializing_if = "Option::is_none")]
    redrivable: Option<bool>,
    size: u64,
    content_type: String,
    tasks_done: u32,
    tasks_total: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    subtitles: BTreeMap<String, Label>,
    created_at: String,
    updated_at: String,
}

/// How far a transcode is.
#[derive(Debug, Serialize)]
struct Progress {
    tracks: Vec<TrackProgress>,
    /// How much of the film can be watched already.
    watchable_seconds: f64,
    /// How long it will take by what it took so far; not known before a task is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<Seconds>,
}

#[derive(Debug, Serialize)]
struct TrackProgress {
    name: String,
    /// From 0 to 1.
    done: f64,
}

impl Progress {
    /// None before there is a plan.
    fn of(video: &Video, tasks: &[Task], now: Seconds) -> Option<Self> {
        let plan = video.plan.as_ref().filter(|_| video.stage == Stage::Transcoding)?;
        let all = plan.grid.segments();
        let percent = f64::from(video.conversion.as_ref().map_or(0, |job| job.percent.min(100)));
        let ours = |name: &str| {
            plan.maker == Maker::Tasks || plan.texts.iter().any(|text| text.name == name)
        };
        let pieces = || tasks.iter().filter_map(|task| task.output.as_ref()).flatten();
        let track = |name: &str| {
            let segments: usize = pieces()
                .filter(|piece| piece.track == name)
                .map(|piece| piece.encoded.segments.len())
                .sum();
            // Of what a job makes nothing is finished before all is; it says how far it is.
            let begun = if ours(name) { 0.0 } else { percent / 100.0 };
            let done = (segments as f64 / all.max(1) as f64).clamp(begun, 1.0);
            TrackProgress { name: name.to_owned(), done }
        };
        let shown = plan.grid.frames_of(&(0..video.segments_shown)).end;
        let (done, total) = match plan.maker {
            Maker::Tasks => (u64::from(video.tasks_done), u64::from(video.tasks_total)),
            Maker::Job => (percent as u64, 100),
        };
        let taken = now.saturating_sub(video.planned_at.unwrap_or(now));
        Some(Self {
            tracks: plan.tracks().into_iter().map(track).collect(),
            watchable_seconds: shown as f64 / plan.grid.frame_rate.value(),
            // What is left when a job is done, it does not know.
            seconds_left: (taken * total.saturating_sub(done))
                .checked_div(done)
                .filter(|_| done < total),
        })
    }
}

impl VideoView {
    /// As its owner sees it.
    pub fn for_owner(video: &Video) -> Self {
        let own = OwnView {
            owner: video.owner,
            reason: video.reason.clone(),
            redrivable: (video.stage == Stage::Failed).then_some(video.redrivable),
            size: video.size,
            content_type: video.content_type.clone(),
            tasks_done: video.tasks_done,
            tasks_total: video.tasks_total,
            progress: None,
            subtitles: video
                .subtitles
                .iter()
                .map(|(name, uploaded)| (name.clone(), uploaded.label.clone()))
                .collect(),
            created_at: rfc3339(video.created_at),
            updated_at: rfc3339(video.updated_at),
        };
        let policy = video.policy.as_ref().map(domain::policy::Policy::to_json);
        Self { own: Some(own), policy, ..Self::for_viewer(video) }
    }

    /// As anybody sees a video that can be watched.
    fn for_viewer(video: &Video) -> Self {
        Self {
            id: video.id.clone(),
            title: video.title.clone(),
            stage: video.stage,
            duration_seconds: video.duration_seconds,
            policy: video.policy.as_ref().map(domain::policy::Policy::to_public_json),
            encryption: video.encryption,
            own: None,
        }
    }
}

/// One video: all of it for its owner, the poster's text of one that can be watched for everybody
/// else.
///
/// # Errors
/// Not found.
pub async fn read_video(
    clock: &impl Clock,
    videos: &impl VideoStore,
    tasks: &impl TaskStore,
    caller: Option<&Session>,
    id: &str,
) -> Result<VideoView, Error> {
    match videos.get(id).await? {
        Some(video) if caller.is_some_and(|caller| caller.owns(video.owner)) => {
            let mut view = VideoView::for_owner(&video);
            if video.stage == Stage::Transcoding
                && let Some(own) = &mut view.own
            {
                own.progress = Progress::of(&video, &tasks.list(id).await?, clock.now());
            }
            Ok(view)
        }
        Some(video) if video.is_watchable() => Ok(VideoView::for_viewer(&video)),
        _ => Err(Problem::NotFound.into()),
    }
}

/// The caller's own videos, newest first, at most 100.
///
/// # Errors
/// When the store can't be read.
pub async fn list_videos(
    videos: &impl VideoStore,
    caller: &Session,
) -> Result<Vec<VideoView>, Error> {
    let mut own = Vec::new();
    for holder in caller.wallets.iter().filter(|holder| !holder.contract) {
        own.extend(videos.list(holder.account.wallet).await?);
    }
    own.sort_by_key(|video| std::cmp::Reverse(video.created_at));
    own.truncate(100);
    Ok(own.iter().map(VideoView::for_owner).collect())
}
