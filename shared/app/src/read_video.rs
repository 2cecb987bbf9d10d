//! `GET /v1/videos`, `GET /v1/videos/{id}`: what a creator sees, and what a viewer may.

use crate::ports::VideoStore;
use crate::problem::{Error, Problem};
use domain::account::Wallet;
use domain::rfc3339;
use domain::session::Session;
use domain::video::{Stage, Video};
use serde::Serialize;
use serde_json::Value;

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
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    own: Option<OwnView>,
}

/// What only the owner sees.
#[derive(Debug, Serialize)]
struct OwnView {
    owner: Wallet,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    size: u64,
    content_type: String,
    tasks_done: u32,
    tasks_total: u32,
    created_at: String,
    updated_at: String,
}

impl VideoView {
    /// As its owner sees it.
    pub fn for_owner(video: &Video) -> Self {
        let own = OwnView {
            owner: video.owner,
            reason: video.reason.clone(),
            size: video.size,
            content_type: video.content_type.clone(),
            tasks_done: video.tasks_done,
            tasks_total: video.tasks_total,
            created_at: rfc3339(video.created_at),
            updated_at: rfc3339(video.updated_at),
        };
        let policy = video.policy.as_ref().map(domain::policy::Policy::to_json);
        Self { own: Some(own), policy, ..Self::for_viewer(video) }
    }

    /// As anybody sees a ready video.
    fn for_viewer(video: &Video) -> Self {
        Self {
            id: video.id.clone(),
            title: video.title.clone(),
            stage: video.stage,
            duration_seconds: video.duration_seconds,
            policy: video.policy.as_ref().map(domain::policy::Policy::to_public_json),
            own: None,
        }
    }
}

/// One video: all of it for its owner, the poster's text of a ready one for everybody else.
///
/// # Errors
/// Not found.
pub async fn read_video(
    videos: &impl VideoStore,
    caller: Option<&Session>,
    id: &str,
) -> Result<VideoView, Error> {
    match videos.get(id).await? {
        Some(video) if caller.is_some_and(|caller| caller.owns(video.owner)) => {
            Ok(VideoView::for_owner(&video))
        }
        Some(video) if video.stage == Stage::Ready => Ok(VideoView::for_viewer(&video)),
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
