//! One task of a transcode: encode, store, count; whoever finishes last asks for publishing.

use crate::plan_transcode::{PublishMessage, SOURCE_LIFETIME, TaskMessage, fail};
use crate::ports::{
    Clock, Encoded, Events, MediaError, MediaStore, PortError, Queue, TaskStore, Transcoder,
    UploadStore, VideoStore,
};
use domain::presentation::Track;
use domain::video::{Stage, media_folder, source_key};

/// Runs a task. Done twice, late or beside itself it changes nothing: output is named by its
/// content and recorded once.
///
/// # Errors
/// What is worth another try.
#[expect(clippy::too_many_arguments, reason = "each is one port")]
pub async fn run_task(
    clock: &impl Clock,
    videos: &impl VideoStore,
    tasks: &impl TaskStore,
    uploads: &impl UploadStore,
    media: &impl MediaStore,
    transcoder: &impl Transcoder,
    queue: &impl Queue<PublishMessage>,
    events: &impl Events,
    message: &TaskMessage,
) -> Result<(), PortError> {
    let TaskMessage { video: id, task: name } = message;
    let transcoding = |video: &domain::video::Video| video.stage == Stage::Transcoding;
    if !videos.get(id).await?.as_ref().is_some_and(transcoding) {
        return Ok(());
    }
    let Some(task) = tasks.get(id, name).await? else {
        tracing::warn!(video = id, task = name, "a message of no task arrived");
        return Ok(());
    };
    if task.output.is_none() {
        let source = uploads.source_url(&source_key(id), SOURCE_LIFETIME).await?;
        let encoded = match transcoder.encode(&source, &task.work).await {
            Ok(encoded) => encoded,
            Err(MediaError::Refused(reason)) => {
                return fail(clock, videos, events, id, &reason).await;
            }
            Err(MediaError::Failed(cause)) => return Err(PortError::new("transcoder", cause)),
        };
        // Encoding takes minutes. What is stored after a delete would stay for ever.
        if !videos.get(id).await?.as_ref().is_some_and(transcoding) {
            return Ok(());
        }
        let track = store(media, id, name, encoded).await?;
        tasks.finish(id, name, &track, clock.now()).await?;
    }
    // Also when it was finished before: the one who did may have died before sending this.
    let last = |video: &domain::video::Video| video.tasks_done >= video.tasks_total;
    let video = videos.get(id).await?.filter(transcoding);
    if video.as_ref().is_some_and(last) {
        queue.send(&PublishMessage { video: id.clone() }).await?;
    }
    Ok(())
}

async fn store(
    media: &impl MediaStore,
    id: &str,
    name: &str,
    encoded: Encoded,
) -> Result<Track, PortError> {
    let track = Track::new(name, &encoded.digest, encoded.track);
    for (file, path) in &encoded.files {
        let key = format!("{}/{}/{file}", media_folder(id), track.folder);
        media.put_file(&key, "video/mp4", path).await?;
    }
    Ok(track)
}
