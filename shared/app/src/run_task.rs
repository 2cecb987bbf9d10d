//! One task of a transcode: encode, store, count, and ask for what is there to be published.

use crate::plan_transcode::{Failure, PublishMessage, SOURCE_LIFETIME, TaskMessage, fail};
use crate::ports::{
    Clock, ContentKeys, Encoded, Events, MediaError, MediaStore, PortError, Queue, TaskStore,
    Transcoder, UploadStore, VideoStore,
};
use domain::encryption::{Encryption, sealed_len};
use domain::ladder::Work;
use domain::presentation::{Piece, TrackKind, track_folder};
use domain::storyboard::{image_files, image_key};
use domain::video::{Video, media_folder, source_key};
use futures_util::future::try_join_all;

/// How many segments are written side by side.
const PUTS_AT_ONCE: usize = 16;

/// Runs a task. Done twice, late or beside itself it changes nothing: an object that is there stays,
/// and the output is recorded once.
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
    content: &impl ContentKeys,
    transcoder: &impl Transcoder,
    queue: &impl Queue<PublishMessage>,
    events: &impl Events,
    message: &TaskMessage,
) -> Result<(), PortError> {
    let TaskMessage { video: id, task: name } = message;
    let plan = match videos.get(id).await? {
        Some(video) if video.is_open() => video.plan,
        _ => return Ok(()),
    };
    let (Some(plan), Some(task)) = (plan, tasks.get(id, name).await?) else {
        tracing::warn!(video = id, task = name, "a message of no task arrived");
        return Ok(());
    };
    if task.output.is_none() {
        let source = uploads.source_url(&source_key(id), SOURCE_LIFETIME).await?;
        let encoded = match transcoder.encode(&source, &task.work).await {
            Ok(encoded) => Some(encoded),
            Err(MediaError::Refused(reason)) if is_extra(&task.work) => {
                tracing::error!(video = id, task = name, reason, "images are left out");
                None
            }
            Err(MediaError::Refused(reason)) => {
                return fail(clock, videos, events, id, Failure::Refused(&reason)).await;
            }
            Err(MediaError::Failed(cause)) => return Err(PortError::new("transcoder", cause)),
        };
        // Encoding takes minutes. What is stored after a delete would stay for ever.
        if !videos.get(id).await?.as_ref().is_some_and(Video::is_open) {
            return Ok(());
        }
        let sealing = match &plan.encryption {
            Some(encryption) => {
                Some(Sealing { encryption, master: content.key(&encryption.key).await? })
            }
            None => None,
        };
        let pieces = match encoded {
            Some(encoded) => {
                store(media, id, &plan.digest(), &task.work, sealing.as_ref(), encoded).await?
            }
            None => Vec::new(),
        };
        tasks.finish(id, name, &pieces, clock.now()).await?;
    }
    // Also when it was finished before: the one who did may have died before sending this.
    queue.send(&PublishMessage { video: id.clone(), task: name.clone() }).await
}

/// After the last attempt at a task: its film fails, and a redrive may still finish it.
///
/// # Errors
/// `cause`, unless the film goes on; and when the store, the queue or the bus can't be written.
pub async fn give_up(
    clock: &impl Clock,
    videos: &impl VideoStore,
    tasks: &impl TaskStore,
    queue: &impl Queue<PublishMessage>,
    events: &impl Events,
    message: &TaskMessage,
    cause: PortError,
) -> Result<(), PortError> {
    let TaskMessage { video: id, task: name } = message;
    if tasks.get(id, name).await?.is_some_and(|task| is_extra(&task.work)) {
        tracing::error!(video = id, task = name, %cause, "images are left out");
        tasks.finish(id, name, &[], clock.now()).await?;
        return queue.send(&PublishMessage { video: id.clone(), task: name.clone() }).await;
    }
    let reason = format!("the part {name} could not be encoded");
    fail(clock, videos, events, id, Failure::GaveUp(&reason)).await?;
    Err(cause)
}

/// Whether a film is one without it: images that are made beside a job.
fn is_extra(work: &Work) -> bool {
    work.tracks().is_empty()
}

/// How the segments of pictures and sound are encrypted.
struct Sealing<'a> {
    encryption: &'a Encryption,
    master: [u8; 32],
}

async fn store(
    media: &impl MediaStore,
    id: &str,
    plan: &str,
    work: &Work,
    sealing: Option<&Sealing<'_>>,
    encoded: Encoded,
) -> Result<Vec<Piece>, PortError> {
    let Encoded { mut pieces, directory, folder } = encoded;
    for file in image_files(work) {
        let key = format!("{}/{}", media_folder(id), image_key(&file, plan));
        media.keep_file(&key, "image/jpeg", &directory.join(&file), None).await?;
    }
    for piece in &mut pieces {
        let from = directory.join(&piece.track);
        let track = track_folder(&piece.track, plan);
        let to = format!("{}/{track}", media_folder(id));
        let (from, to, kind) = (&from, &to, &piece.encoded.kind);
        let (whole, content_type) = (kind.whole_file(), kind.content_type());
        media.keep_file(&format!("{to}/{whole}"), content_type, &from.join(whole), None).await?;
        let sealing = sealing.filter(|_| !matches!(kind, TrackKind::Text { .. }));
        let mut number = piece.first_segment;
        for segments in piece.encoded.segments.chunks_mut(PUTS_AT_ONCE) {
            let puts = segments.iter_mut().map(|segment| {
                number += 1;
                let file = kind.segment_file(number);
                let seal = sealing.map(|Sealing { encryption, master }| {
                    // No key frame can be read out of an encrypted file.
                    segment.bytes = sealed_len(segment.bytes);
                    segment.key_bytes = segment.bytes;
                    encryption.seal(master, id, &track, number)
                });
                async move {
                    let (key, path) = (format!("{to}/{file}"), from.join(file));
                    let kept = media.keep_file(&key, content_type, &path, seal.as_ref()).await?;
                    if kept != segment.bytes {
                        // A worker that died had stored its own, which is as good: only where its
                        // first picture ends is not known.
                        segment.bytes = kept;
                        segment.key_bytes = kept;
                    }
                    Ok::<_, PortError>(())
                }
            });
            try_join_all(puts).await?;
        }
    }
    drop(folder);
    Ok(pieces)
}
