//! Some task is done: show what there is of the film from its beginning on, and open the video when
//! that is all of it.

use crate::ports::{Change, Clock, Event, Events, MediaStore, PortError, TaskStore, VideoStore};
use crate::sign_playlist::render;
use domain::Seconds;
use domain::ladder::{Grid, Maker, TranscodePlan};
use domain::presentation::{
    EncodedTrack, Growing, KEY_FRAMES_SUFFIX, Links, MANIFEST_FILE, MULTIVARIANT_FILE,
    PRESENTATION_FILE, Piece, Presentation, TEXT_FILE, Track, TrackKind, text_segment_file,
    track_folder,
};
use domain::storyboard::STORYBOARD_FILE;
use domain::subtitle::{Subtitles, Uploaded, is_uploaded_track, uploaded_track};
use domain::video::{Stage, Video, media_folder};
use futures_util::future::try_join_all;

/// How many segments are written side by side.
const PUTS_AT_ONCE: usize = 16;
/// Beside the segments of uploaded subtitles, what playlists say of them.
const TRACK_FILE: &str = "track.json";
/// What lies in a folder that is named by its content never changes: a year, in seconds.
pub const SEGMENT_MAX_AGE: Seconds = 31_536_000;
/// How long caches keep the playlists of a whole film, in seconds.
const WHOLE_MAX_AGE: Seconds = 300;

/// Publishes a video as far as it is there. Done twice it writes the same again; too early, it does
/// nothing. Two of these for one video must not run side by side: the slower one would take back
/// what the other has shown.
///
/// # Errors
/// What is worth another try.
pub async fn publish_video(
    clock: &impl Clock,
    videos: &impl VideoStore,
    tasks: &impl TaskStore,
    media: &impl MediaStore,
    events: &impl Events,
    id: &str,
) -> Result<(), PortError> {
    const OPEN: [Stage; 2] = [Stage::Transcoding, Stage::Failed];
    let Some(video) = videos.get(id).await? else { return Ok(()) };
    let Some(plan) = &video.plan else { return Ok(()) };
    if video.stage == Stage::Ready {
        return add_later(media, &video, plan).await;
    }
    if !video.is_open() {
        return Ok(());
    }
    let tasks = tasks.list(id).await?;
    // All at once, as its job makes it: the images that our workers make are waited for.
    if plan.maker == Maker::Job && tasks.iter().any(|task| task.output.is_none()) {
        return Ok(());
    }
    let pieces: Vec<Piece> = tasks.into_iter().filter_map(|task| task.output).flatten().collect();
    // As if the whole film had been there when it was planned: then no part of it lies in what
    // players take for the future.
    let length = plan.grid.duration_seconds().ceil() as Seconds;
    let planned = video.planned_at.unwrap_or(video.created_at);
    let growing = Growing { since: planned.saturating_sub(length), published_at: clock.now() };
    let film = Presentation::assemble(id, plan, pieces, growing)
        .map_err(|misfit| PortError::new("presentation", misfit))?;
    let Some(mut film) = film else { return Ok(()) };
    let grown = film.growing.is_some();
    if grown && (video.stage == Stage::Failed || film.segments() <= video.segments_shown) {
        return Ok(());
    }
    add_subtitles(media, &video, plan, &mut film).await?;
    write(media, &film).await?;
    if grown {
        let change = Change::Growing { segments: film.segments() };
        videos.advance(id, &[Stage::Transcoding], &change, clock.now()).await?;
    } else if videos.advance(id, &OPEN, &Change::Ready, clock.now()).await? {
        events.emit(&Event::VideoReady { video: id.to_owned() }).await?;
    }
    Ok(())
}

/// Of a film that is whole only the uploaded subtitles may still change.
async fn add_later(
    media: &impl MediaStore,
    video: &Video,
    plan: &TranscodePlan,
) -> Result<(), PortError> {
    let key = format!("{}/{PRESENTATION_FILE}", media_folder(&video.id));
    let Some(stored) = media.get(&key).await? else { return Ok(()) };
    let before =
        Presentation::read(&stored).map_err(|error| PortError::new("presentation", error))?;
    let mut film = before.clone();
    add_subtitles(media, video, plan, &mut film).await?;
    if film == before { Ok(()) } else { write(media, &film).await }
}

/// Puts the uploaded subtitles into a film, as far as the film goes, in place of those it had.
///
/// # Errors
/// When they can't be read or written.
pub async fn add_subtitles(
    media: &impl MediaStore,
    video: &Video,
    plan: &TranscodePlan,
    film: &mut Presentation,
) -> Result<(), PortError> {
    film.tracks.retain(|track| !is_uploaded_track(&track.name));
    let shown = usize::try_from(film.segments()).unwrap_or(usize::MAX);
    for (name, uploaded) in &video.subtitles {
        let name = uploaded_track(name);
        let mut encoded = cut(media, &video.id, &name, uploaded, &plan.grid).await?;
        encoded.segments.truncate(shown);
        film.tracks.push(Track::new(&name, &uploaded.digest, encoded));
    }
    Ok(())
}

/// Cuts uploaded subtitles into segments, once: what says how is written last.
async fn cut(
    media: &impl MediaStore,
    id: &str,
    track: &str,
    uploaded: &Uploaded,
    grid: &Grid,
) -> Result<EncodedTrack, PortError> {
    let folder = format!("{}/{}", media_folder(id), track_folder(track, &uploaded.digest));
    let broken = |error: serde_json::Error| PortError::new("subtitles", error);
    let done = format!("{folder}/{TRACK_FILE}");
    if let Some(stored) = media.get(&done).await? {
        let mut encoded: EncodedTrack = serde_json::from_slice(&stored).map_err(broken)?;
        // The same text may be called something else by now.
        encoded.kind = TrackKind::Text { label: uploaded.label.clone() };
        return Ok(encoded);
    }
    let whole = media.get(&format!("{folder}/{TEXT_FILE}")).await?;
    let whole =
        whole.ok_or_else(|| PortError::new("subtitles", "an uploaded text is not there"))?;
    let (files, encoded) = Subtitles::read(&whole).cut(grid, &uploaded.label);
    let mut number = 0;
    for files in files.chunks(PUTS_AT_ONCE) {
        let puts = files.iter().map(|file| {
            number += 1;
            let key = format!("{folder}/{}", text_segment_file(number));
            async move { media.put(&key, "text/vtt", SEGMENT_MAX_AGE, file.clone().into()).await }
        });
        try_join_all(puts).await?;
    }
    let stored = serde_json::to_vec(&encoded).map_err(broken)?;
    media.put(&done, "application/json", SEGMENT_MAX_AGE, stored).await?;
    Ok(encoded)
}

/// Media playlists first: what a multivariant playlist names is there.
async fn write(media: &impl MediaStore, film: &Presentation) -> Result<(), PortError> {
    let folder = media_folder(&film.video);
    let max_age = match film.growing {
        Some(_) => film.refresh_seconds(),
        None => WHOLE_MAX_AGE,
    };
    let mut names = Vec::new();
    for track in &film.tracks {
        names.push(format!("{}.m3u8", track.name));
        if track.is_video() && film.encryption.is_none() {
            names.push(format!("{}{KEY_FRAMES_SUFFIX}.m3u8", track.name));
        }
    }
    if film.storyboard.is_some() {
        names.push(STORYBOARD_FILE.to_owned());
    }
    names.push(MULTIVARIANT_FILE.to_owned());
    if film.encryption.is_none() {
        names.push(MANIFEST_FILE.to_owned());
    }
    for name in names {
        let playlist = render(film, &name, &Links::relative())
            .map_err(|error| PortError::new("playlist", error))?;
        let body = playlist.text.into_bytes();
        media.put(&format!("{folder}/{name}"), playlist.content_type, max_age, body).await?;
    }
    let stored = serde_json::to_vec(film).map_err(|error| PortError::new("presentation", error))?;
    let key = format!("{folder}/{PRESENTATION_FILE}");
    media.put(&key, "application/json", max_age, stored).await
}
