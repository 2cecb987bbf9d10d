//! `GET /v1/videos/{id}/upload`: where the parts that are still missing go.

use crate::ports::{Clock, ReceivedPart, UploadStore, VideoStore};
use crate::problem::{Error, Problem};
use domain::session::Session;
use domain::upload::{self, Part};
use domain::video::{Stage, Video, source_key};
use domain::{Seconds, rfc3339};

/// How long part addresses work; an upload that takes longer asks for new ones.
pub const URL_LIFETIME: Seconds = 3600;

/// Where to PUT what.
#[derive(Debug, serde::Serialize)]
pub struct Upload {
    /// The size of every part but the last.
    pub part_size: u64,
    /// When the addresses stop working, RFC 3339.
    pub expires_at: String,
    /// The parts that are missing.
    pub parts: Vec<PartUrl>,
    /// The numbers of those that have arrived.
    pub received: Vec<u32>,
}

/// Where to PUT a part, with exactly its size as Content-Length.
#[derive(Debug, serde::Serialize)]
pub struct PartUrl {
    /// Its number and size.
    #[serde(flatten)]
    pub part: Part,
    /// Presigned.
    pub url: String,
}

/// Plans what is left of an upload.
///
/// # Errors
/// Not found for all but the owner; a conflict once the file is whole.
pub async fn plan_upload(
    clock: &impl Clock,
    videos: &impl VideoStore,
    uploads: &impl UploadStore,
    caller: &Session,
    id: &str,
) -> Result<Upload, Error> {
    let video = crate::owned(videos, id, caller).await?;
    let received = match video.stage {
        Stage::Uploading => uploads.received(&source_key(id), &video.upload_id).await?,
        _ => None,
    };
    match received {
        Some(received) => remaining(clock, uploads, &video, &received).await,
        None if video.stage == Stage::Uploading => {
            Err(Problem::Conflict("the upload has lapsed; create the video anew".into()).into())
        }
        None => Err(Problem::Conflict("the upload is complete".into()).into()),
    }
}

/// The plan for a video of which `received` has arrived.
pub(crate) async fn remaining(
    clock: &impl Clock,
    uploads: &impl UploadStore,
    video: &Video,
    received: &[ReceivedPart],
) -> Result<Upload, Error> {
    let key = source_key(&video.id);
    let mut plan = Upload {
        part_size: upload::part_size(video.size),
        expires_at: rfc3339(clock.now() + URL_LIFETIME),
        parts: Vec::new(),
        received: Vec::new(),
    };
    for part in upload::parts(video.size) {
        if received.iter().any(|received| received.part == part) {
            plan.received.push(part.number);
        } else {
            let url = uploads.part_url(&key, &video.upload_id, part, URL_LIFETIME).await?;
            plan.parts.push(PartUrl { part, url });
        }
    }
    Ok(plan)
}
