//! A film that one job of another service converts (MediaConvert): where its files lie, what they are
//! called, and how they become the pieces that our own tasks make.

use crate::ladder::{Maker, TranscodePlan, Work};
use crate::mpd::Representation;
use crate::presentation::{Elsewhere, EncodedSegment, EncodedTrack, FileNames, Piece, TrackKind};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How often a film is given to a job before it fails.
pub const MOST_ATTEMPTS: u32 = 3;
/// What the names of all files begin with.
const BASE: &str = "film";
/// The digits of a segment's number.
const DIGITS: usize = 9;
/// Where a manifest says nothing else.
const USUAL_SAMPLE_RATE: u32 = 48_000;

/// The job that a video waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversion {
    /// From 1.
    pub attempt: u32,
    /// The service's name for it, once it has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// How far it is, from 0 to 100.
    #[serde(default)]
    pub percent: u8,
}

impl Default for Conversion {
    fn default() -> Self {
        Self { attempt: 1, job: None, percent: 0 }
    }
}

impl Conversion {
    /// The one after it, when it has failed.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { attempt: self.attempt + 1, ..Self::default() }
    }
}

/// How a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// It waits or runs, and this much of it is done, from 0 to 100.
    Running(u8),
    /// All is written.
    Complete,
    /// It failed, with the service's code and words; the words are for the log.
    Failed(i32, String),
    /// Somebody ended it.
    Canceled,
}

/// Whether another attempt may end otherwise, by MediaConvert's error code: not where it is the
/// input's fault or that of the settings
/// (docs.aws.amazon.com/mediaconvert/latest/ug/mediaconvert_error_codes.html).
pub fn is_worth_another_attempt(code: i32) -> bool {
    !matches!(code, 1010..=1042 | 1060..=1093)
}

/// What makes two orders of one attempt one job: 64 hex digits.
pub fn request_token(video: &str, plan: &str, attempt: u32) -> String {
    hex::encode(Sha256::digest(format!("{video}/{plan}/{attempt}")))
}

/// The folder of an attempt within a video's folder: those of different attempts never mix.
pub fn folder(plan: &str, attempt: u32) -> String {
    format!("job/{plan}/{attempt}")
}

/// What the names of all files of an attempt begin with, within a video's folder.
pub fn base(plan: &str, attempt: u32) -> String {
    format!("{}/{BASE}", folder(plan, attempt))
}

/// The DASH manifest of an attempt, within a video's folder.
pub fn manifest(plan: &str, attempt: u32) -> String {
    format!("{}.mpd", base(plan, attempt))
}

/// What is put behind that beginning for a track.
pub fn modifier(track: &str) -> String {
    format!("-{track}")
}

/// The names of a track's files, as MediaConvert makes them in a CMAF group of segmented files.
pub fn names(track: &str, is_video: bool) -> FileNames {
    let (stem, kind) =
        (format!("{BASE}{}", modifier(track)), if is_video { "cmfv" } else { "cmfa" });
    FileNames {
        init: format!("{stem}init.{kind}"),
        prefix: format!("{stem}_"),
        digits: DIGITS,
        suffix: format!(".{kind}"),
    }
}

/// Why what a job wrote is not what was ordered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("track {track} is not as ordered: {why}")]
pub struct Mismatch {
    track: String,
    why: String,
}

/// What a finished job made of the plan's works: for each the task's name and its piece. `listed` is
/// its manifest, `sizes` all files of the attempt's folder with their sizes in bytes.
///
/// # Errors
/// When a file or a track is missing, or a track does not begin where the film does.
pub fn pieces(
    plan: &TranscodePlan,
    attempt: u32,
    listed: &[Representation],
    sizes: &BTreeMap<String, u64>,
) -> Result<Vec<(String, Piece)>, Mismatch> {
    let folder = folder(&plan.digest(), attempt);
    let works = plan.works();
    let made = works.iter().filter(|work| !plan.is_ours(work) && plan.maker == Maker::Job);
    made.map(|work| {
        let (track, mut kind) = wanted(work);
        let names = names(track, matches!(kind, TrackKind::Video { .. }));
        let fault = |why: String| Mismatch { track: track.to_owned(), why };
        let size = |file: &str| match sizes.get(file) {
            Some(bytes) if *bytes > 0 => Ok(*bytes),
            _ => Err(fault(format!("there is no {file}"))),
        };
        let found = listed.iter().find(|found| found.init == names.init);
        let found = found.ok_or_else(|| fault("the manifest has no such track".into()))?;
        if found.media != names.template() || found.first_number != 1 {
            return Err(fault(format!("its segments are called {}", found.media)));
        }
        if found.start != 0 || found.timescale == 0 || found.lengths.is_empty() {
            return Err(fault(format!("it begins at {} of {}", found.start, found.timescale)));
        }
        if found.codecs.is_empty() {
            return Err(fault("its codec is not said".into()));
        }
        size(&names.init)?;
        if let TrackKind::Audio { sample_rate, .. } = &mut kind {
            *sample_rate = found.sample_rate.unwrap_or(USUAL_SAMPLE_RATE);
        }
        let segments = (1..)
            .zip(&found.lengths)
            .map(|(number, length)| {
                let bytes = size(&names.segment(number))?;
                // Where its first picture ends is not known: all of it stands for that.
                Ok(EncodedSegment { duration_ticks: *length, bytes, key_bytes: bytes })
            })
            .collect::<Result<_, _>>()?;
        let (codecs, timescale) = (found.codecs.clone(), found.timescale);
        let piece = Piece {
            track: track.to_owned(),
            init: names.init.clone(),
            first_segment: 0,
            encoded: EncodedTrack { codecs, timescale, kind, segments },
            elsewhere: Some(Elsewhere { folder: folder.clone(), names }),
        };
        Ok((work.name(), piece))
    })
    .collect()
}

/// A work's track and what it should carry. A job's work has one track.
fn wanted(work: &Work) -> (&str, TrackKind) {
    let track = work.tracks().first().copied().unwrap_or_default();
    let kind = match work {
        Work::Video { renditions, grid, .. } => {
            let (width, height) =
                renditions.first().map_or((0, 0), |rendition| (rendition.width, rendition.height));
            TrackKind::Video { width, height, frame_rate: grid.frame_rate }
        }
        Work::Audio { sound, .. } => TrackKind::Audio {
            channels: sound.channels,
            sample_rate: USUAL_SAMPLE_RATE,
            stream: sound.stream,
            label: sound.label.clone(),
        },
        Work::Text { text, .. } => TrackKind::Text { label: text.label.clone() },
    };
    (track, kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::tests::plan_of_job;
    use crate::presentation::{Growing, Links, Presentation};
    use crate::{dash, hls};

    const VIDEO: &str = "00112233445566778899aabbccddeeff";

    fn listed() -> Vec<Representation> {
        let track = |name: &str, is_video: bool, lengths: &[u64]| {
            let names = names(name, is_video);
            Representation {
                media: names.template(),
                init: names.init,
                first_number: 1,
                codecs: if is_video { "avc1.64001f" } else { "mp4a.40.2" }.into(),
                sample_rate: (!is_video).then_some(44_100),
                timescale: 90_000,
                start: 0,
                lengths: lengths.to_vec(),
            }
        };
        vec![
            track("360p", true, &[360_000, 360_000, 90_000]),
            track("720p", true, &[360_000, 360_000, 90_000]),
            track("audio", false, &[360_960, 359_040, 90_000]),
        ]
    }

    fn sizes() -> BTreeMap<String, u64> {
        let mut sizes = BTreeMap::new();
        for (name, is_video) in [("360p", true), ("720p", true), ("audio", false)] {
            let names = names(name, is_video);
            sizes.extend((1..=3).map(|number| (names.segment(number), 1000 * number)));
            sizes.insert(names.init, 700);
        }
        sizes
    }

    #[test]
    fn a_finished_job_becomes_a_film_with_the_services_own_files() {
        let plan = plan_of_job();
        let made = pieces(&plan, 2, &listed(), &sizes()).unwrap();
        let works: Vec<_> = made.iter().map(|(work, _)| work.as_str()).collect();
        assert_eq!(works, ["audio", "360p-00001", "720p-00001"]);
        let pieces = made.into_iter().map(|(_, piece)| piece).collect();
        let growing = Growing { since: 1, published_at: 2 };
        let film = Presentation::assemble(VIDEO, &plan, pieces, growing).unwrap().unwrap();
        // A job counts frames in its own way: what it made is all there is.
        assert_eq!((film.growing, film.segments()), (None, 3));
        let links = Links::signed(&format!("/v/{VIDEO}/"), "g", "Signature=x");
        let digest = plan.digest();
        let playlist = hls::media(&film, "720p", &links).unwrap();
        let address = |file: &str| format!("/v/{VIDEO}/job/{digest}/2/{file}?Signature=x");
        assert!(playlist.contains(&format!(
            "#EXT-X-MAP:URI=\"{}\"\n#EXTINF:4.000000,\n{}\n",
            address("film-720pinit.cmfv"),
            address("film-720p_000000001.cmfv"),
        )));
        let frames = hls::media(&film, "360p-iframes", &links).unwrap();
        assert!(frames.contains("#EXT-X-BYTERANGE:3000@0\n"), "{frames}");
        let manifest = dash::manifest(&film, &links);
        let named = format!(
            "timescale=\"90000\" startNumber=\"1\" initialization=\"{}\" media=\"{}\"",
            address("film-audioinit.cmfa"),
            address("film-audio_$Number%09d$.cmfa"),
        );
        assert!(manifest.contains(&named), "{manifest}");
        assert!(manifest.contains("audioSamplingRate=\"44100\""), "{manifest}");
        // And as it is stored.
        let again = Presentation::read(&serde_json::to_vec(&film).unwrap()).unwrap();
        assert_eq!(again, film);
    }

    #[test]
    fn what_is_not_as_ordered_is_no_film() {
        let plan = plan_of_job();
        let spoilt = |spoil: fn(&mut Vec<Representation>, &mut BTreeMap<String, u64>)| {
            let (mut listed, mut sizes) = (listed(), sizes());
            spoil(&mut listed, &mut sizes);
            pieces(&plan, 1, &listed, &sizes).map(drop).unwrap_err().track
        };
        assert_eq!(spoilt(|listed, _| drop(listed.remove(1))), "720p");
        assert_eq!(spoilt(|listed, _| listed[0].media = "../x".into()), "360p");
        assert_eq!(spoilt(|listed, _| listed[0].first_number = 0), "360p");
        assert_eq!(spoilt(|listed, _| listed[2].start = -1), "audio");
        assert_eq!(spoilt(|listed, _| listed[2].timescale = 0), "audio");
        assert_eq!(spoilt(|listed, _| listed[2].lengths.push(1)), "audio");
        assert_eq!(spoilt(|listed, _| listed[2].lengths.clear()), "audio");
        assert_eq!(spoilt(|listed, _| listed[2].codecs.clear()), "audio");
        assert_eq!(
            spoilt(|_, sizes| sizes.retain(|file, _| !file.ends_with("p_000000002.cmfv"))),
            "360p"
        );
        assert_eq!(spoilt(|_, sizes| *sizes.get_mut("film-720pinit.cmfv").unwrap() = 0), "720p");
    }

    #[test]
    fn a_token_is_of_one_attempt() {
        let token = request_token(VIDEO, "cafe", 1);
        assert_eq!((token.len(), &token), (64, &request_token(VIDEO, "cafe", 1)));
        assert_ne!(token, request_token(VIDEO, "cafe", 2));
        assert_ne!(token, request_token(VIDEO, "beef", 1));
    }

    #[test]
    fn what_the_input_is_to_blame_for_is_not_tried_again() {
        for code in [1010, 1020, 1030, 1040, 1075] {
            assert!(!is_worth_another_attempt(code), "{code}");
        }
        for code in [1050, 1056, 1401, 1404, 1432, 1999, 0] {
            assert!(is_worth_another_attempt(code), "{code}");
        }
    }
}
