//! One task of a transcode: encode, store, count; whoever finishes last asks for publishing.

use crate::plan_transcode::{Failure, PublishMessage, SOURCE_LIFETIME, TaskMessage, fail};
use crate::ports::{
    Clock, Encoded, Events, MediaError, MediaStore, PortError, Queue, TaskStore, Transcoder,
    UploadStore, VideoStore,
};
use domain::presentation::Track;
use domain::video::{Video, media_folder, source_key};

/// How many segments are written side by side.
const PUTS_AT_ONCE: usize = 16;

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
    if !videos.get(id).await?.as_ref().is_some_and(Video::is_open) {
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
                return fail(clock, videos, events, id, Failure::Refused(&reason)).await;
            }
            Err(MediaError::Failed(cause)) => return Err(PortError::new("transcoder", cause)),
        };
        // Encoding takes minutes. What is stored after a delete would stay for ever.
        if !videos.get(id).await?.as_ref().is_some_and(Video::is_open) {
            return Ok(());
        }
        let track = store(media, id, name, encoded).await?;
        tasks.finish(id, name, &track, clock.now()).await?;
    }
    // Also when it was finished before: the one who did may have died before sending this.
    let last = |video: &Video| video.tasks_done >= video.tasks_total;
    let video = videos.get(id).await?.filter(Video::is_open);
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
    for files in encoded.files.chunks(PUTS_AT_ONCE) {
        let puts = files.iter().map(|(file, path)| {
            let key = format!("{}/{}/{file}", media_folder(id), track.folder);
            async move { media.put_file(&key, "video/mp4", path).await }
        });
        futures_util::future::try_join_all(puts).await?;
    }
    Ok(track)
}
