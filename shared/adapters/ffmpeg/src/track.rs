//! From the files of a finished encode to what the playlists need, with everything checked that a
//! player relies on.

use std::path::Path;

use domain::ladder::Work;
use domain::presentation::{EncodedSegment, EncodedTrack, INIT_FILE, TrackKind, segment_file};

use crate::MediaError;
use crate::arguments::{MUXER_PLAYLIST, audio_samples};
use crate::fragment::{self, Content, Init, Times};
use crate::process::{ends_early, network_failed, refused};

/// A frame of AAC: sound ends within one of where it should.
const AUDIO_FRAME: u64 = 1024;

/// Makes the directory, and takes away what an earlier try left in it.
pub(crate) async fn prepare(directory: &Path) -> Result<(), MediaError> {
    let failed = |error| MediaError::Failed(format!("the output directory: {error}"));
    tokio::fs::create_dir_all(directory).await.map_err(failed)?;
    let mut entries = tokio::fs::read_dir(directory).await.map_err(failed)?;
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = name == INIT_FILE || name.starts_with(MUXER_PLAYLIST) || name.ends_with(".m4s");
        if !ours {
            return Err(MediaError::Failed(format!("{name} is in the output directory")));
        }
        tokio::fs::remove_file(entry.path()).await.map_err(failed)?;
    }
    Ok(())
}

/// Reads one segment at a time: memory does not grow with the film.
pub(crate) async fn read(
    directory: &Path,
    work: &Work,
    complaints: &str,
) -> Result<EncodedTrack, MediaError> {
    let failed = |error: std::io::Error| MediaError::Failed(format!("the output: {error}"));
    let broken = |error: String| MediaError::Failed(format!("the output: {error}"));
    tokio::fs::remove_file(directory.join(MUXER_PLAYLIST)).await.map_err(failed)?;
    let file = tokio::fs::read(directory.join(INIT_FILE)).await.map_err(failed)?;
    let init = fragment::init(&file).map_err(broken)?;
    let mut all = Vec::new();
    let mut segments = Vec::new();
    for number in 1.. {
        let path = directory.join(segment_file(number));
        let file = match tokio::fs::read(path).await {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
            Err(error) => return Err(failed(error)),
        };
        let times = fragment::times(&init, &file).map_err(broken)?;
        all.push(times);
        segments.push(EncodedSegment {
            duration_ticks: times.duration,
            bytes: u64::try_from(file.len()).unwrap_or(u64::MAX),
        });
    }
    complete(work, &all, complaints)?;
    check(work, &init, &all).map_err(broken)?;
    let kind = kind(work, &init).map_err(broken)?;
    Ok(EncodedTrack { codecs: init.codecs, timescale: init.timescale, kind, segments })
}

/// ffmpeg ends well when a source ends early: that is found out here.
fn complete(work: &Work, all: &[Times], complaints: &str) -> Result<(), MediaError> {
    let Work::Video { grid, .. } = work else { return Ok(()) };
    let frames: u64 = all.iter().map(|times| times.samples).sum();
    if frames >= grid.frames && !ends_early(complaints) {
        return Ok(());
    }
    if network_failed(complaints) {
        return Err(MediaError::Failed("the source could not be read to its end".into()));
    }
    Err(refused("The film ends before the file says it should. The file is incomplete or damaged."))
}

/// Times without a gap from 0 on, and for pictures the planned borders with a key frame at each.
fn check(work: &Work, init: &Init, all: &[Times]) -> Result<(), String> {
    let mut end = 0;
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
        Work::Video { grid, .. } => {
            let scale = u64::from(init.timescale) * u64::from(grid.frame_rate.denominator);
            let frame = scale / u64::from(grid.frame_rate.numerator.max(1));
            let mut left = grid.frames;
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
    }
}

fn kind(work: &Work, init: &Init) -> Result<TrackKind, String> {
    match (work, init.content) {
        (Work::Video { grid, .. }, Content::Video { width, height }) => {
            Ok(TrackKind::Video { width, height, frame_rate: grid.frame_rate })
        }
        (Work::Audio { language, .. }, Content::Audio { channels, sample_rate }) => {
            Ok(TrackKind::Audio { channels, sample_rate, language: language.clone() })
        }
        _ => Err("picture and sound are mixed up".into()),
    }
}
