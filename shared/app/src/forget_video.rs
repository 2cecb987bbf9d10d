//! SQS: a video is gone, and CloudFront's caches forget it.

use crate::ports::{Invalidations, PortError};
use domain::cloudfront;
use serde::{Deserialize, Serialize};

/// A message of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgetMessage {
    /// Which.
    pub video: String,
}

/// Invalidates all of its folder, however it was asked for: tokens and grants in paths are taken away
/// before a cache is looked into.
///
/// # Errors
/// When CloudFront can't be asked, or has too many invalidations at work (15 with a wildcard).
pub async fn forget_video(
    caches: &impl Invalidations,
    message: &ForgetMessage,
) -> Result<(), PortError> {
    caches.invalidate(&[format!("{}*", cloudfront::video_path(&message.video))]).await
}
