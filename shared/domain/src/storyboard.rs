//! Pictures to find a place in a film by: sheets of tiles, one tile for each segment, and a WebVTT
//! track that says which tile is shown when. Players take its addresses as media fragments
//! (`00001.jpg#xywh=160,0,160,90`, W3C Media Fragments URI 4.2.2).

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::ladder::{Size, TranscodePlan, Work};
use crate::presentation::{Links, Presentation, segment_time, track_folder};
use crate::subtitle::clock;

/// The name of the track.
pub const STORYBOARD_FILE: &str = "storyboard.vtt";
/// The folder of the sheets.
pub const STORYBOARD: &str = "storyboard";
/// The file with the picture that stands for the film.
pub const POSTER_FILE: &str = "poster.jpg";
/// Tiles that stand side by side.
pub const COLUMNS: u64 = 5;

/// The images that come with a piece of work, as it names them: `storyboard/00001.jpg`, and of the
/// one that the poster lies in `poster.jpg`.
pub fn image_files(work: &Work) -> Vec<String> {
    let Work::Video { images: Some(images), segments, .. } = work else { return Vec::new() };
    let mut files = vec![format!("{STORYBOARD}/{}", sheet_file(segments.start))];
    if segments.contains(&images.poster_segment) {
        files.push(POSTER_FILE.to_owned());
    }
    files
}

/// Where an image that a task made lies within a video's folder: sheets by the digest of the plan, as
/// segments do, and the poster where anybody finds it.
pub fn image_key(file: &str, plan: &str) -> String {
    match file.strip_prefix(STORYBOARD).and_then(|rest| rest.strip_prefix('/')) {
        Some(sheet) => format!("{}/{sheet}", track_folder(STORYBOARD, plan)),
        None => file.to_owned(),
    }
}

/// The sheet that a chunk's tiles are on, by the chunk's first segment, counted from 0.
pub fn sheet_file(first_segment: u64) -> String {
    format!("{:05}.jpg", first_segment + 1)
}

/// How many rows a sheet of so many tiles has.
pub fn rows(tiles: u64) -> u64 {
    tiles.div_ceil(COLUMNS).max(1)
}

/// Where the tiles of a film are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storyboard {
    /// Within the video's folder.
    pub folder: String,
    /// How large one is.
    pub tile: Size,
    /// How many are on a sheet.
    pub sheet_tiles: u64,
    /// How many there are; 0 in films of before this was noted. A job may cut one segment more.
    #[serde(default)]
    pub tiles: u64,
}

impl Storyboard {
    pub(crate) fn new(digest: &str, plan: &TranscodePlan, tile: Size) -> Self {
        let folder = track_folder(STORYBOARD, digest);
        let (sheet_tiles, tiles) = (plan.chunk_segments.max(1), plan.grid.segments());
        Self { folder, tile, sheet_tiles, tiles }
    }
}

/// The track; none of a film without tiles.
pub fn track(film: &Presentation, links: &Links) -> Option<String> {
    let Storyboard { folder, tile: Size { width, height }, sheet_tiles, tiles } =
        film.storyboard.as_ref()?;
    let last = tiles.checked_sub(1).unwrap_or(u64::MAX);
    let (width, height) = (u64::from(*width), u64::from(*height));
    let encoded = &film.videos().next()?.encoded;
    let mut text = String::from("WEBVTT\n");
    let (mut ticks, mut start) = (0, 0);
    for (number, segment) in (0u64..).zip(&encoded.segments) {
        ticks += segment.duration_ticks;
        let end = segment_time(ticks, encoded.timescale) / 1000;
        let number = number.min(last);
        let tile = number % (*sheet_tiles).max(1);
        let sheet = links.file(folder, &sheet_file(number - tile));
        let (x, y) = (tile % COLUMNS * width, tile / COLUMNS * height);
        // Writing into a String cannot fail.
        let _ = write!(
            text,
            "\n{} --> {}\n{sheet}#xywh={x},{y},{width},{height}\n",
            clock(start),
            clock(end),
        );
        start = end;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presentation::tests::film;

    #[test]
    fn every_segment_has_a_tile_on_its_chunks_sheet() {
        let mut film = film();
        assert_eq!(track(&film, &Links::relative()), None);
        let tile = Size { width: 160, height: 90 };
        let folder = "storyboard/ab".to_owned();
        film.storyboard = Some(Storyboard { folder, tile, sheet_tiles: 2, tiles: 3 });
        let expected = "\
WEBVTT

00:00:00.000 --> 00:00:04.004
storyboard/ab/00001.jpg#xywh=0,0,160,90

00:00:04.004 --> 00:00:08.008
storyboard/ab/00001.jpg#xywh=160,0,160,90

00:00:08.008 --> 00:00:09.009
storyboard/ab/00003.jpg#xywh=0,0,160,90
";
        assert_eq!(track(&film, &Links::relative()).unwrap(), expected);
        let signed =
            track(&film, &Links::signed(&format!("/v/{}/", film.video), "", "Policy=x")).unwrap();
        let address = format!("/v/{}/storyboard/ab/00003.jpg?Policy=x#xywh=0,0", film.video);
        assert!(signed.contains(&address), "{signed}");
    }

    #[test]
    fn tiles_go_on_in_the_next_row() {
        let mut film = film();
        let tile = Size { width: 160, height: 90 };
        let segment = film.tracks[0].encoded.segments[0];
        film.tracks[0].encoded.segments = vec![segment; 7];
        let board = Storyboard { folder: "s".into(), tile, sheet_tiles: 60, tiles: 0 };
        film.storyboard = Some(board.clone());
        let text = track(&film, &Links::relative()).unwrap();
        assert!(text.ends_with("00001.jpg#xywh=160,90,160,90\n"), "{text}");
        // One segment more than tiles, at a sheet's end: the last picture stands for it.
        film.storyboard = Some(Storyboard { sheet_tiles: 6, tiles: 6, ..board });
        let text = track(&film, &Links::relative()).unwrap();
        assert_eq!(text.matches("00001.jpg#xywh=0,90,160,90\n").count(), 2, "{text}");
        assert!(!text.contains("00007.jpg"), "{text}");
        assert_eq!((rows(0), rows(5), rows(6), rows(15)), (1, 1, 2, 3));
    }
}
