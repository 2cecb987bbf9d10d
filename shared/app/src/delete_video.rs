//! `DELETE /v1/videos/{id}`: a video and all that was made of it.

use crate::forget_video::ForgetMessage;
use crate::plan_transcode::ConvertMessage;
use crate::ports::{Change, Clock, MediaStore, Queue, TaskStore, UploadStore, VideoStore};
use crate::problem::{Error, Problem};
use crate::review_grants::ReviewMessage;
use domain::session::Session;
use domain::video::{Stage, Video, media_folder, source_key};

/// Deletes a video, and ends its grants. Asked again after a fault, it goes on where it stopped. A
/// job that converts it is ended, and what it still writes goes when it says that it is over.
///
/// # Errors
/// Not found for all but the owner.
#[expect(clippy::too_many_arguments, reason = "each is one port")]
pub async fn delete_video(
    clock: &impl Clock,
    videos: &impl VideoStore,
    tasks: &impl TaskStore,
    uploads: &impl UploadStore,
    media: &impl MediaStore,
    conversions: Option<&impl Queue<ConvertMessage>>,
    reviews: &impl Queue<ReviewMessage>,
    caches: &impl Queue<ForgetMessage>,
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
    // Whoever reviews its grants ends them all.
    reviews.send(&ReviewMessage::Video { video: id.to_owned() }).await?;
    // Read again: a job may have got its id just before.
    let job = videos.get(id).await?.and_then(job_of);
    if let Some(job) = job {
        match conversions {
            Some(queue) => queue.send(&ConvertMessage::Cancel(job)).await?,
            None => tracing::warn!(video = id, job, "nobody is left to end its job"),
        }
    }
    uploads.remove(&source_key(id), &video.upload_id).await?;
    media.remove_folder(&media_folder(id)).await?;
    tasks.remove(id).await?;
    // Once nothing is left that a cache could fetch again.
    caches.send(&ForgetMessage { video: id.to_owned() }).await?;
    videos.remove(id).await?;
    Ok(())
}

fn job_of(video: Video) -> Option<String> {
    video.conversion?.job
}
