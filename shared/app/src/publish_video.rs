//! Every task is done: write the playlists and open the video.

use crate::ports::{Change, Clock, Event, Events, MediaStore, PortError, TaskStore, VideoStore};
use crate::sign_playlist::render;
use domain::presentation::{
    Links, MANIFEST_FILE, MULTIVARIANT_FILE, PRESENTATION_FILE, Presentation, Track,
};
use domain::video::{Stage, media_folder};

/// Publishes a video. Done twice it writes the same again; too early, it does nothing.
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
    let tasks = tasks.list(id).await?;
    let tracks: Vec<Track> = tasks.into_iter().filter_map(|task| task.output).collect();
    if tracks.is_empty() || tracks.len() != video.tasks_total as usize {
        return Ok(());
    }
    let presentation = Presentation::new(id, tracks);
    let folder = media_folder(id);
    let mut names = vec![MULTIVARIANT_FILE.to_owned(), MANIFEST_FILE.to_owned()];
    names.extend(presentation.tracks.iter().map(|track| format!("{}.m3u8", track.name)));
    for name in names {
        let playlist = render(&presentation, &name, &Links::relative())
            .map_err(|error| PortError::new("playlist", error))?;
        let body = playlist.text.into_bytes();
        media.put(&format!("{folder}/{name}"), playlist.content_type, body).await?;
    }
    let stored =
        serde_json::to_vec(&presentation).map_err(|error| PortError::new("presentation", error))?;
    media.put(&format!("{folder}/{PRESENTATION_FILE}"), "application/json", stored).await?;
    if videos.advance(id, &OPEN, &Change::Ready, clock.now()).await? {
        events.emit(&Event::VideoReady { video: id.to_owned() }).await?;
    }
    Ok(())
}
