//! Some task is done: show what there is of the film from its beginning on, and open the video when
//! that is all of it.

use crate::ports::{Change, Clock, Event, Events, MediaStore, PortError, TaskStore, VideoStore};
use crate::sign_playlist::render;
use domain::Seconds;
use domain::presentation::{
    Growing, KEY_FRAMES_SUFFIX, Links, MANIFEST_FILE, MULTIVARIANT_FILE, PRESENTATION_FILE, Piece,
    Presentation,
};
use domain::storyboard::STORYBOARD_FILE;
use domain::video::{Stage, media_folder};

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
    let video = match videos.get(id).await? {
        Some(video) if video.is_open() => video,
        _ => return Ok(()),
    };
    let Some(plan) = &video.plan else { return Ok(()) };
    let pieces: Vec<Piece> =
        tasks.list(id).await?.into_iter().filter_map(|task| task.output).flatten().collect();
    // As if the whole film had been there when it was planned: then no part of it lies in what
    // players take for the future.
    let length = plan.grid.duration_seconds().ceil() as Seconds;
    let planned = video.planned_at.unwrap_or(video.created_at);
    let growing = Growing { since: planned.saturating_sub(length), published_at: clock.now() };
    let film = Presentation::assemble(id, plan, pieces, growing)
        .map_err(|misfit| PortError::new("presentation", misfit))?;
    let Some(film) = film else { return Ok(()) };
    let grown = film.growing.is_some();
    if grown && (video.stage == Stage::Failed || film.segments() <= video.segments_shown) {
        return Ok(());
    }
    write(media, &film).await?;
    if grown {
        let change = Change::Growing { segments: film.segments() };
        videos.advance(id, &[Stage::Transcoding], &change, clock.now()).await?;
    } else if videos.advance(id, &OPEN, &Change::Ready, clock.now()).await? {
        events.emit(&Event::VideoReady { video: id.to_owned() }).await?;
    }
    Ok(())
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
        if track.is_video() {
            names.push(format!("{}{KEY_FRAMES_SUFFIX}.m3u8", track.name));
        }
    }
    if film.storyboard.is_some() {
        names.push(STORYBOARD_FILE.to_owned());
    }
    names.extend([MULTIVARIANT_FILE.to_owned(), MANIFEST_FILE.to_owned()]);
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
