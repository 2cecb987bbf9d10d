//! `DELETE /v1/videos/{id}`: a video and all that was made of it.

use crate::ports::{Change, Clock, MediaStore, TaskStore, UploadStore, VideoStore};
use crate::problem::{Error, Problem};
use domain::session::Session;
use domain::video::{Stage, media_folder, source_key};

/// Deletes a video. Asked again after a fault, it goes on where it stopped.
///
/// # Errors
/// Not found for all but the owner.
pub async fn delete_video(
    clock: &impl Clock,
    videos: &impl VideoStore,
    tasks: &impl TaskStore,
    uploads: &impl UploadStore,
    media: &impl MediaStore,
    caller: &Session,
    id: &str,
) -> Result<(), Error> {
    const ALIVE: [Stage; 6] = [
        Stage::Uploading,
        Stage::Uploaded,
        Stage::Transcoding,
        Stage::Ready,
        Stage::Failed,
        Stage::Deleting,
    ];
    let video = crate::owned(videos, id, caller).await?;
    // First the stage: from here on no worker finishes a task and no grant is given.
    if !videos.advance(id, &ALIVE, &Change::Deleting, clock.now()).await? {
        return Err(Problem::NotFound.into());
    }
    uploads.remove(&source_key(id), &video.upload_id).await?;
    media.remove_folder(&media_folder(id)).await?;
    tasks.remove(id).await?;
    videos.remove(id).await?;
    Ok(())
}
