//! `PUT` and `DELETE /v1/videos/{id}/subtitles/{name}`: subtitles beside the film.

use crate::owned;
use crate::plan_transcode::PublishMessage;
use crate::ports::{Clock, MediaStore, Queue, VideoStore};
use crate::problem::{Error, Problem};
use crate::publish_video::SEGMENT_MAX_AGE;
use crate::read_video::VideoView;
use domain::label::{Label, Purpose};
use domain::presentation::{TEXT_FILE, track_folder};
use domain::session::Session;
use domain::subtitle::{MOST_UPLOADED, Subtitles, Uploaded, is_name, uploaded_track};
use domain::video::media_folder;

/// The longest text, in bytes: ten films of talk.
pub const MAX_TEXT: usize = 2 << 20;

/// The request's body.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSubtitle {
    /// SubRip or WebVTT.
    text: String,
    /// RFC 5646; without it the name, where that is a language.
    language: Option<String>,
    /// What viewers choose it by; without it the language's name.
    title: Option<String>,
    /// For whom it is.
    #[serde(default)]
    purpose: Purpose,
}

/// Sets the subtitles of that name, at any time before or after the film is ready: they are shown with
/// what is published next of it.
///
/// # Errors
/// Not found for all but the owner; a body in which nobody says anything; too many; or a conflict with
/// a change meanwhile.
pub async fn set_subtitle(
    clock: &impl Clock,
    videos: &impl VideoStore,
    media: &impl MediaStore,
    queue: &impl Queue<PublishMessage>,
    caller: &Session,
    (id, name): (&str, &str),
    new: NewSubtitle,
) -> Result<VideoView, Error> {
    let refused = |field: &str, reason: &str| Problem::BodyInvalid {
        field: field.to_owned(),
        reason: reason.to_owned(),
    };
    let before = owned(videos, id, caller).await?.subtitles;
    if !is_name(name) {
        return Err(Problem::NotFound.into());
    }
    let language = new.language.as_deref().unwrap_or(name);
    let label = Label::new(Some(language), new.title.as_deref(), new.purpose);
    if new.language.is_some() && label.language.is_none() {
        return Err(refused("language", "not a language tag like en or pt-BR (RFC 5646)").into());
    }
    if new.text.len() > MAX_TEXT {
        return Err(Problem::BodyTooLarge(format!("at most {MAX_TEXT} bytes of text")).into());
    }
    let subtitles = Subtitles::read(new.text.as_bytes());
    if subtitles.is_empty() {
        return Err(refused("text", "no cue was found; it must be SubRip or WebVTT").into());
    }
    let whole = subtitles.whole();
    let uploaded = Uploaded::new(&whole, label);
    let mut after = before.clone();
    let folder = track_folder(&uploaded_track(name), &uploaded.digest);
    after.insert(name.to_owned(), uploaded);
    if after.len() > MOST_UPLOADED {
        let most = format!("a film has at most {MOST_UPLOADED} subtitles; delete one first");
        return Err(Problem::Conflict(most).into());
    }
    // Before anyone looks for it.
    let key = format!("{}/{folder}/{TEXT_FILE}", media_folder(id));
    media.put(&key, "text/vtt", SEGMENT_MAX_AGE, whole.into_bytes()).await?;
    change(clock, videos, queue, id, name, (&before, &after)).await?;
    Ok(VideoView::for_owner(&owned(videos, id, caller).await?))
}

/// Takes the subtitles of that name away; whoever has their address may still read them until the film
/// is deleted.
///
/// # Errors
/// Not found for all but the owner and where there are none; or a conflict with a change meanwhile.
pub async fn remove_subtitle(
    clock: &impl Clock,
    videos: &impl VideoStore,
    queue: &impl Queue<PublishMessage>,
    caller: &Session,
    (id, name): (&str, &str),
) -> Result<(), Error> {
    let before = owned(videos, id, caller).await?.subtitles;
    let mut after = before.clone();
    if after.remove(name).is_none() {
        return Err(Problem::NotFound.into());
    }
    change(clock, videos, queue, id, name, (&before, &after)).await
}

type All = std::collections::BTreeMap<String, Uploaded>;

async fn change(
    clock: &impl Clock,
    videos: &impl VideoStore,
    queue: &impl Queue<PublishMessage>,
    id: &str,
    name: &str,
    (before, after): (&All, &All),
) -> Result<(), Error> {
    if !videos.set_subtitles(id, before, after, clock.now()).await? {
        let moved = "the subtitles changed meanwhile; try again";
        return Err(Problem::Conflict(moved.into()).into());
    }
    let task = uploaded_track(name);
    Ok(queue.send(&PublishMessage { video: id.to_owned(), task }).await?)
}
