//! From the files of a finished encode to what the playlists need, with everything checked that a
//! player relies on.

use std::io::ErrorKind;
use std::path::Path;

use domain::ladder::{Grid, Text, Work};
use domain::presentation::{
    EncodedSegment, EncodedTrack, INIT_FILE, Piece, TEXT_FILE, TrackKind, segment_file,
    text_segment_file,
};
use domain::storyboard::{STORYBOARD, image_files};
use domain::subtitle::Subtitles;
use sha2::{Digest, Sha256};

use crate::MediaError;
use crate::arguments::{LAST_FRAME, MUXER_PLAYLIST, RAW_TEXT, audio_samples};
use crate::fragment::{self, Content, Init, Times};
use crate::process::{network_failed, refused};

/// The longest frame, of AAC: sound ends within one of where it should.
const AUDIO_FRAME: u64 = 1024;

/// Makes a directory for each track, and takes away what an earlier try left in it.
pub(crate) async fn prepare(directory: &Path, work: &Work) -> Result<(), MediaError> {
    let failed = |error| MediaError::Failed(format!("the output directory: {error}"));
    let sheets = (!image_files(work).is_empty()).then_some(STORYBOARD);
    for track in work.tracks().into_iter().chain(sheets) {
        let directory = directory.join(track);
        tokio::fs::create_dir_all(&directory).await.map_err(failed)?;
        let mut entries = tokio::fs::read_dir(&directory).await.map_err(failed)?;
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = name == INIT_FILE
                || name.starts_with(MUXER_PLAYLIST)
                || name.ends_with(".m4s")
                || name.ends_with(".jpg")
                || name.ends_with(".vtt");
            if !ours {
                return Err(MediaError::Failed(format!("{name} is in the output directory")));
            }
            tokio::fs::remove_file(entry.path()).await.map_err(failed)?;
        }
    }
    Ok(())
}

/// How many frames a picture was encoded to; of sound there is nothing to count.
pub(crate) enum Length {
    Whole,
    /// Some are missing at one of the ends.
    Short,
}

/// Puts what was made of each track where it belongs in the film, and measures it. Reads one
/// segment at a time: memory does not grow with the film.
pub(crate) async fn read(
    directory: &Path,
    work: &Work,
) -> Result<(Vec<Piece>, Length), MediaError> {
    let broken = |error: String| MediaError::Failed(format!("the output: {error}"));
    if let Work::Text { text, grid } = work {
        return Ok((vec![cut(&directory.join(&text.name), text, grid).await?], Length::Whole));
    }
    let mut pieces = Vec::new();
    let mut length = Length::Whole;
    if work.tracks().is_empty() && !is_there(&directory.join(LAST_FRAME)).await? {
        length = Length::Short;
    }
    for track in work.tracks() {
        if nothing_was_made(&directory.join(track), work).await? {
            length = Length::Short;
            continue;
        }
        let (piece, all) = piece(&directory.join(track), track, work).await?;
        if let Work::Video { grid, segments, .. } = work {
            let frames = grid.frames_of(segments);
            let found: u64 = all.iter().map(|times| times.samples).sum();
            if found < frames.end - frames.start {
                length = Length::Short;
                continue;
            }
        }
        check(work, piece.encoded.timescale, &all).map_err(broken)?;
        pieces.push(piece);
    }
    Ok((pieces, length))
}

/// Makes a text fit and cuts it at the borders of the pictures.
async fn cut(directory: &Path, text: &Text, grid: &Grid) -> Result<Piece, MediaError> {
    let failed = |error: std::io::Error| MediaError::Failed(format!("the output: {error}"));
    let raw = directory.join(RAW_TEXT);
    let file = tokio::fs::read(&raw).await.map_err(failed)?;
    tokio::fs::remove_file(&raw).await.map_err(failed)?;
    let subtitles = Subtitles::read(&file);
    tokio::fs::write(directory.join(TEXT_FILE), subtitles.whole()).await.map_err(failed)?;
    let (files, encoded) = subtitles.cut(grid, &text.label);
    for (number, file) in (1..).zip(files) {
        tokio::fs::write(directory.join(text_segment_file(number)), file).await.map_err(failed)?;
    }
    let track = text.name.clone();
    Ok(Piece { track, init: String::new(), first_segment: 0, encoded, elsewhere: None })
}

/// Where no frame was found: none may be missing of the film, if its reading began too late.
async fn nothing_was_made(directory: &Path, work: &Work) -> Result<bool, MediaError> {
    let made = is_there(&directory.join(INIT_FILE)).await?;
    Ok(!made && matches!(work, Work::Video { .. }))
}

async fn is_there(path: &Path) -> Result<bool, MediaError> {
    let failed = |error| MediaError::Failed(format!("the output: {error}"));
    tokio::fs::try_exists(path).await.map_err(failed)
}

async fn piece(
    directory: &Path,
    track: &str,
    work: &Work,
) -> Result<(Piece, Vec<Times>), MediaError> {
    let failed = |error: std::io::Error| MediaError::Failed(format!("the output: {error}"));
    let broken = |error: String| MediaError::Failed(format!("the output: {error}"));
    match tokio::fs::remove_file(directory.join(MUXER_PLAYLIST)).await {
        // Where nothing was encoded there is none.
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = tokio::fs::read(directory.join(INIT_FILE)).await.map_err(failed)?;
    let init = fragment::init(&file).map_err(broken)?;
    if fragment::keep_all(&mut file) {
        tokio::fs::write(directory.join(INIT_FILE), &file).await.map_err(failed)?;
    }
    let (first_segment, shift) = match work {
        Work::Video { grid, segments, .. } => {
            let ticks = grid.frames_of(segments).start * frame_ticks(grid, init.timescale);
            (segments.start, Some(ticks))
        }
        Work::Audio { .. } | Work::Text { .. } => (0, None),
    };
    let mut all = Vec::new();
    let mut segments = Vec::new();
    for number in first_segment + 1.. {
        let path = directory.join(segment_file(number));
        let mut file = match tokio::fs::read(&path).await {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return Err(failed(error)),
        };
        if let Some(ticks) = shift {
            if !fragment::has_media(&file).map_err(broken)? {
                break;
            }
            fragment::shift(&init, &mut file, ticks, number).map_err(broken)?;
            tokio::fs::write(&path, &file).await.map_err(failed)?;
        }
        let times = fragment::times(&init, &file).map_err(broken)?;
        all.push(times);
        segments.push(EncodedSegment {
            duration_ticks: times.duration,
            bytes: u64::try_from(file.len()).unwrap_or(u64::MAX),
            key_bytes: times.key_bytes,
        });
    }
    let kind = kind(work, &init).map_err(broken)?;
    let encoded = EncodedTrack { codecs: init.codecs, timescale: init.timescale, kind, segments };
    let init = hex::encode(Sha256::digest(&file));
    let track = track.to_owned();
    Ok((Piece { track, init, first_segment, encoded, elsewhere: None }, all))
}

/// ffmpeg ends well when a source ends early: that is found out here.
pub(crate) fn ended_early(complaints: &str) -> MediaError {
    if network_failed(complaints) {
        return MediaError::Failed("the source could not be read to its end".into());
    }
    refused("The film ends before the file says it should. The file is incomplete or damaged.")
}

fn frame_ticks(grid: &Grid, timescale: u32) -> u64 {
    let scale = u64::from(timescale) * u64::from(grid.frame_rate.denominator);
    scale / u64::from(grid.frame_rate.numerator.max(1))
}

/// Times without a gap from the chunk's beginning on, and for pictures the planned borders with a
/// key frame at each.
fn check(work: &Work, timescale: u32, all: &[Times]) -> Result<(), String> {
    let mut end = match work {
        Work::Video { grid, segments, .. } => {
            grid.frames_of(segments).start * frame_ticks(grid, timescale)
        }
        Work::Audio { .. } | Work::Text { .. } => 0,
    };
    for (index, times) in all.iter().enumerate() {
        if times.start != end {
            return Err(format!("segment {} begins at {}, not {end}", index + 1, times.start));
        }
        if !times.starts_with_sync {
            return Err(format!("segment {} does not begin with a key frame", index + 1));
        }
        end += times.duration;
    }
    match work {
        Work::Video { grid, segments, .. } => {
            let frame = frame_ticks(grid, timescale);
            let frames = grid.frames_of(segments);
            let mut left = frames.end - frames.start;
            for (index, times) in all.iter().enumerate() {
                let expected = left.min(u64::from(grid.segment_frames));
                if times.samples != expected || times.duration != expected * frame {
                    return Err(format!("segment {} is off the grid: {times:?}", index + 1));
                }
                left -= expected;
            }
            if left > 0 { Err(format!("{left} frames are missing")) } else { Ok(()) }
        }
        Work::Audio { grid, .. } => {
            let expected = audio_samples(grid);
            if end.abs_diff(expected) > AUDIO_FRAME {
                return Err(format!("{end} samples of sound instead of {expected}"));
            }
            Ok(())
        }
        Work::Text { .. } => Ok(()),
    }
}

fn kind(work: &Work, init: &Init) -> Result<TrackKind, String> {
    match (work, init.content) {
        (Work::Video { grid, .. }, Content::Video { width, height }) => {
            Ok(TrackKind::Video { width, height, frame_rate: grid.frame_rate })
        }
        (Work::Audio { sound, .. }, Content::Audio { channels, sample_rate })
            if channels == sound.channels =>
        {
            let (stream, label) = (sound.stream, sound.label.clone());
            Ok(TrackKind::Audio { channels, sample_rate, stream, label })
        }
        (Work::Audio { .. }, Content::Audio { channels, .. }) => {
            Err(format!("{channels} channels of sound"))
        }
        _ => Err("picture and sound are mixed up".into()),
    }
}
