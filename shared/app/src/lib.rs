//! The kernel: StreamGate's use cases, one file per verb, and the ports they need.
//!
//! A function parses its trigger, calls one use case and maps the answer. Everything outside is
//! behind a trait of [`ports`]; which adapter stands behind it is the function's choice.

pub mod apply_revocations;
pub mod audit;
pub mod complete_upload;
pub mod convert_video;
pub mod create_video;
pub mod delete_video;
pub mod deliver;
pub mod end_grant;
pub mod end_session;
pub mod follow_job;
pub mod forget_video;
pub mod gate;
pub mod grant_playback;
mod lease;
pub mod open_grant;
pub mod open_key;
pub mod open_session;
pub mod plan_transcode;
pub mod plan_upload;
pub mod ports;
pub mod problem;
pub mod publish_video;
pub mod read_decisions;
pub mod read_video;
pub mod receive_webhook;
pub mod renew_grant;
pub mod request_nonce;
pub mod review_grants;
pub mod rotate_keys;
pub mod run_task;
pub mod set_policy;
pub mod set_subtitle;
pub mod sign_playlist;
pub mod touched;
pub mod verify_policy;
pub mod watch_chain;

use domain::session::Session;
use domain::video::Video;
use ports::VideoStore;
use problem::{Error, Problem};

/// The owner's video; to everybody else there is none.
async fn owned(videos: &impl VideoStore, id: &str, caller: &Session) -> Result<Video, Error> {
    match videos.get(id).await? {
        Some(video) if caller.owns(video.owner) => Ok(video),
        _ => Err(Problem::NotFound.into()),
    }
}
