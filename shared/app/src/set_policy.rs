//! `PUT /v1/videos/{id}/policy`: who may watch from now on.

use crate::ports::{Clock, Queue, VideoStore};
use crate::problem::{Error, Problem};
use crate::read_video::VideoView;
use crate::review_grants::ReviewMessage;
use domain::policy::{Known, Policy};
use domain::session::Session;
use domain::video::Stage;
use serde_json::Value;

/// The request's body; `null` leaves nobody but the owner.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPolicy {
    /// A policy, or null. It must be said, lest an empty body close a film.
    #[serde(deserialize_with = "serde::Deserialize::deserialize")]
    pub policy: Option<Value>,
}

/// Replaces a video's policy. A grant that is being made on the old one fails, and those that were
/// given are decided again.
///
/// # Errors
/// Not found for all but the owner, a policy that can't be, or a conflict with a change meanwhile.
pub async fn set_policy(
    clock: &impl Clock,
    videos: &impl VideoStore,
    reviews: &impl Queue<ReviewMessage>,
    known: &Known<'_>,
    caller: &Session,
    id: &str,
    new: NewPolicy,
) -> Result<VideoView, Error> {
    let video = crate::owned(videos, id, caller).await?;
    if video.stage == Stage::Deleting {
        return Err(Problem::NotFound.into());
    }
    let policy = match new.policy.filter(|policy| !policy.is_null()) {
        None => None,
        Some(policy) => Some(Policy::parse(&policy, known)?),
    };
    let set = videos.set_policy(id, video.policy_revision, policy.as_ref(), clock.now()).await?;
    if !set {
        return Err(Problem::Conflict("the policy changed meanwhile; read it again".into()).into());
    }
    reviews.send(&ReviewMessage::Video { video: id.to_owned() }).await?;
    Ok(VideoView::for_owner(&crate::owned(videos, id, caller).await?))
}
