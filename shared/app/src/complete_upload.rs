//! `POST /v1/videos/{id}/upload/complete`: all parts are there; join them.

use crate::ports::{Change, Clock, UploadStore, VideoStore};
use crate::problem::{Error, Problem};
use crate::read_video::VideoView;
use domain::session::Session;
use domain::upload::{self, Part};
use domain::video::{Stage, source_key};

/// Joins the parts if they are the whole file. Doing it twice changes nothing.
///
/// # Errors
/// Not found for all but the owner; [`Problem::UploadIncomplete`] with the missing part numbers.
pub async fn complete_upload(
    clock: &impl Clock,
    videos: &impl VideoStore,
    uploads: &impl UploadStore,
    caller: &Session,
    id: &str,
) -> Result<VideoView, Error> {
    let video = crate::owned(videos, id, caller).await?;
    if video.stage != Stage::Uploading {
        return Ok(VideoView::for_owner(&video));
    }
    let key = source_key(id);
    match uploads.received(&key, &video.upload_id).await? {
        Some(received) => {
            let arrived: Vec<Part> = received.iter().map(|received| received.part).collect();
            if !upload::complete(video.size, &arrived) {
                let missing = upload::parts(video.size)
                    .into_iter()
                    .filter(|part| !arrived.contains(part))
                    .map(|part| part.number)
                    .collect();
                return Err(Problem::UploadIncomplete(missing).into());
            }
            uploads.complete(&key, &video.upload_id, &received).await?;
        }
        // Joined by an earlier call that died before it could say so, or gone.
        None if uploads.size(&key).await? == Some(video.size) => {}
        None => {
            return Err(
                Problem::Conflict("the upload has lapsed; create the video anew".into()).into()
            );
        }
    }
    // The planner may have been quicker: its stage stays.
    videos.advance(id, &[Stage::Uploading], &Change::Uploaded, clock.now()).await?;
    Ok(VideoView::for_owner(&crate::owned(videos, id, caller).await?))
}
