//! What was encoded, as the playlist writers need it, and how its addresses are made.

use serde::de::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use crate::Seconds;
use crate::encryption::Encryption;
use crate::label::{self, Label, Purpose};
use crate::ladder::{Maker, Ratio, TranscodePlan};
use crate::storyboard::Storyboard;

/// The file with codec settings that goes before the first segment.
pub const INIT_FILE: &str = "init.mp4";
/// The file that holds all of a text; its segments are cut out of it.
pub const TEXT_FILE: &str = "text.vtt";
/// The stored form of a `Presentation`.
pub const PRESENTATION_FILE: &str = "presentation.json";
/// The name of the HLS multivariant playlist.
pub const MULTIVARIANT_FILE: &str = "master.m3u8";
/// The name of the DASH manifest.
pub const MANIFEST_FILE: &str = "manifest.mpd";

/// Bounds of what is stored, far beyond what any plan makes: a damaged one is refused, and not
/// reckoned with.
const LONGEST_SECONDS: u64 = 360_000;
const LONGEST_NAME: usize = 128;
const MOST_TRACKS: usize = 256;
const MOST_SEGMENTS: usize = 100_000;
const MOST_BYTES: u64 = 1 << 40;
/// The most that DASH can say of a rate, in bits per second.
const MOST_BANDWIDTH: u64 = u32::MAX as u64;

/// Behind a track's name, the name of the playlist of its key frames.
pub const KEY_FRAMES_SUFFIX: &str = "-iframes";

/// The file of a segment of pictures or sound; the first is number 1: `00001.m4s`.
pub fn segment_file(number: u64) -> String {
    format!("{number:05}.m4s")
}

/// The file of a segment of a text: `00001.vtt`.
pub fn text_segment_file(number: u64) -> String {
    format!("{number:05}.vtt")
}

/// One segment as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedSegment {
    /// In the track's timescale.
    pub duration_ticks: u64,
    /// The size of the file.
    pub bytes: u64,
    /// Up to the end of its first sample, counted from the beginning of the file: of a picture,
    /// what it takes to show its key frame.
    #[serde(default)]
    pub key_bytes: u64,
}

/// What a track carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TrackKind {
    /// Moving pictures.
    Video {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// Constant.
        frame_rate: Ratio,
    },
    /// Sound.
    Audio {
        /// How many channels.
        channels: u32,
        /// In Hz.
        sample_rate: u32,
        /// Which of the source's sound streams it was made of, from 0: tracks of one stream are
        /// the same sound.
        #[serde(default)]
        stream: u32,
        /// What it is called.
        #[serde(default)]
        label: Label,
    },
    /// Subtitles: WebVTT.
    Text {
        /// What they are called.
        #[serde(default)]
        label: Label,
    },
}

impl TrackKind {
    /// The file that belongs to all segments: codec settings, or the whole of a text.
    pub fn whole_file(&self) -> &'static str {
        match self {
            Self::Video { .. } | Self::Audio { .. } => INIT_FILE,
            Self::Text { .. } => TEXT_FILE,
        }
    }

    /// The file of a segment; the first is number 1.
    pub fn segment_file(&self, number: u64) -> String {
        match self {
            Self::Video { .. } | Self::Audio { .. } => segment_file(number),
            Self::Text { .. } => text_segment_file(number),
        }
    }

    /// The media type of all its files.
    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Video { .. } => "video/mp4",
            Self::Audio { .. } => "audio/mp4",
            Self::Text { .. } => "text/vtt",
        }
    }

    /// What sound or a text is called; pictures are called nothing.
    pub fn label(&self) -> Option<&Label> {
        match self {
            Self::Video { .. } => None,
            Self::Audio { label, .. } | Self::Text { label } => Some(label),
        }
    }
}

/// What an encoder hands back: measured from its output, not from its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedTrack {
    /// RFC 6381, from the init segment: `avc1.64001f`. Empty of a text.
    pub codecs: String,
    /// Ticks in a second.
    pub timescale: u32,
    /// Picture, sound or text.
    pub kind: TrackKind,
    /// In order; the first starts at 0 and none leaves a gap.
    pub segments: Vec<EncodedSegment>,
}

impl EncodedTrack {
    /// The codec alone: `avc1`, `hvc1`, `av01`, `mp4a`, `opus`.
    pub fn codec(&self) -> &str {
        self.codecs.split('.').next().unwrap_or_default()
    }

    /// Whether its numbers are some that an encoder can have measured.
    fn is_sound(&self) -> bool {
        let longest = LONGEST_SECONDS * u64::from(self.timescale);
        let lasts = self.segments.iter().try_fold(0u64, |ticks, segment| {
            let ticks = ticks.checked_add(segment.duration_ticks)?;
            (segment.duration_ticks > 0 && ticks <= longest).then_some(ticks)
        });
        let bytes = |segment: &EncodedSegment| {
            segment.bytes <= MOST_BYTES && segment.key_bytes <= segment.bytes
        };
        let codec = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
        let known = match self.kind {
            TrackKind::Video { frame_rate, .. } => {
                frame_rate.numerator > 0 && frame_rate.denominator > 0 && !self.codecs.is_empty()
            }
            TrackKind::Audio { .. } => !self.codecs.is_empty(),
            _ => true,
        };
        (1..=MOST_SEGMENTS).contains(&self.segments.len())
            && lasts.is_some()
            && self.segments.iter().all(bytes)
            && self.codecs.chars().all(codec)
            && self.codecs.len() <= LONGEST_NAME
            && known
    }

    /// The exact length in ticks.
    pub fn duration_ticks(&self) -> u64 {
        self.segments.iter().map(|segment| segment.duration_ticks).sum()
    }

    /// The length in seconds.
    pub fn duration_seconds(&self) -> f64 {
        self.duration_ticks() as f64 / f64::from(self.timescale.max(1))
    }

    /// HLS target duration: no segment is longer once rounded to whole seconds.
    pub fn target_seconds(&self) -> u64 {
        let timescale = u64::from(self.timescale.max(1));
        let longest = self.segments.iter().map(|segment| segment.duration_ticks).max();
        ((longest.unwrap_or(0) + timescale / 2) / timescale).max(1)
    }

    /// Bits per second over the whole track.
    pub fn average_bandwidth(&self) -> u64 {
        let bytes = self.segments.iter().map(|segment| segment.bytes).sum();
        self.bits_per_second(bytes, self.duration_ticks())
    }

    /// The same track with nothing but its key frames, each shown as long as its segment.
    #[must_use]
    pub fn key_frames(&self) -> Self {
        let key =
            |segment: &EncodedSegment| EncodedSegment { bytes: segment.key_bytes, ..*segment };
        Self { segments: self.segments.iter().map(key).collect(), ..self.clone() }
    }

    /// RFC 8216 4.1: the largest rate of any run of segments that lasts 0.5 to 1.5 target durations.
    pub fn peak_bandwidth(&self) -> u64 {
        let target = self.target_seconds() * u64::from(self.timescale.max(1));
        let mut peak = self.average_bandwidth();
        for first in 0..self.segments.len() {
            let (mut ticks, mut bytes) = (0, 0);
            for segment in &self.segments[first..] {
                ticks += segment.duration_ticks;
                bytes += segment.bytes;
                if ticks * 2 > target * 3 {
                    break;
                }
                if ticks * 2 >= target {
                    peak = peak.max(self.bits_per_second(bytes, ticks));
                }
            }
        }
        peak
    }

    fn bits_per_second(&self, bytes: u64, ticks: u64) -> u64 {
        let bits = u128::from(bytes) * 8 * u128::from(self.timescale);
        let rate = bits.div_ceil(u128::from(ticks.max(1)));
        u64::try_from(rate).unwrap_or(MOST_BANDWIDTH).min(MOST_BANDWIDTH)
    }
}

/// What a track's files are called, where it was not we who named them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileNames {
    /// The file with codec settings.
    pub init: String,
    /// What a segment's name begins with.
    pub prefix: String,
    /// How many digits its number has; the first is number 1.
    pub digits: usize,
    /// And how it ends: `.cmfv`.
    pub suffix: String,
}

impl FileNames {
    /// The file of a segment.
    pub fn segment(&self, number: u64) -> String {
        format!("{}{number:0digits$}{}", self.prefix, self.suffix, digits = self.digits)
    }

    /// All of them, as DASH writes it (ISO/IEC 23009-1 5.3.9.4.4).
    pub fn template(&self) -> String {
        format!("{}$Number%0{}d${}", self.prefix, self.digits, self.suffix)
    }
}

/// Where the files of a track lie within a video's folder that another than our own workers wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// The folder.
    pub folder: String,
    /// The files.
    pub names: FileNames,
}

/// What a task made of one track: a run of its segments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The track's name.
    pub track: String,
    /// SHA-256 of the init segment in hex: pieces of one track share it, or do not fit together.
    /// Empty of a text.
    pub init: String,
    /// Which segment of the track is its first, counted from 0.
    pub first_segment: u64,
    /// What is in it.
    pub encoded: EncodedTrack,
    /// Where its files are, if not where our own workers put them. Then it is all of the track.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<Elsewhere>,
}

/// One track of a film and where its files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// `720p`, `audio`, `text-1`.
    pub name: String,
    /// `720p/3f9a0c11d2e4b567`.
    pub folder: String,
    /// What is in it.
    pub encoded: EncodedTrack,
    /// What its files are called, if not as ours are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<FileNames>,
}

/// Where the files of a track lie within a video's folder: by the digest of the plan that they are
/// made by, so that two plans never mix.
pub fn track_folder(track: &str, plan: &str) -> String {
    format!("{track}/{plan}")
}

impl Track {
    /// A track that is made by the plan of that digest.
    pub fn new(name: &str, plan: &str, encoded: EncodedTrack) -> Self {
        Self { name: name.into(), folder: track_folder(name, plan), encoded, names: None }
    }

    /// The file that belongs to all segments.
    pub fn whole_file(&self) -> &str {
        self.names.as_ref().map_or(self.encoded.kind.whole_file(), |names| &names.init)
    }

    /// The file of a segment; the first is number 1.
    pub fn segment_file(&self, number: u64) -> String {
        match &self.names {
            Some(names) => names.segment(number),
            None => self.encoded.kind.segment_file(number),
        }
    }

    /// The files of all segments of pictures or sound, as DASH writes it.
    pub fn segment_template(&self) -> String {
        self.names.as_ref().map_or("$Number%05d$.m4s".into(), FileNames::template)
    }

    /// Whether it carries pictures.
    pub fn is_video(&self) -> bool {
        matches!(self.encoded.kind, TrackKind::Video { .. })
    }

    /// Whether it is sound in Opus.
    pub fn is_opus(&self) -> bool {
        self.encoded.codec() == "opus"
    }

    /// The language of sound or a text, when it is one that playlists may hold.
    pub fn language(&self) -> Option<&str> {
        let language = self.encoded.kind.label()?.language.as_deref()?;
        label::is_tag(language).then_some(language)
    }

    /// For whom it is.
    pub fn purpose(&self) -> Purpose {
        self.encoded.kind.label().map_or(Purpose::Plain, |label| label.purpose)
    }
}

/// Why finished pieces do not make a film.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pieces of track {track} do not fit together at segment {segment}")]
pub struct Misfit {
    /// Which track.
    pub track: String,
    /// The first segment of the piece that does not fit, counted from 0.
    pub segment: u64,
}

/// Of a film that is still being transcoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growing {
    /// When its beginning became available, as players reckon; the same as long as it grows.
    pub since: Seconds,
    /// When this much of it was published.
    pub published_at: Seconds,
}

/// Everything the playlist writers know about a published film, or its beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Presentation {
    /// The id.
    pub video: String,
    /// How long the picture lasts.
    pub duration_seconds: f64,
    /// Pictures from small to large, then sound, then texts.
    pub tracks: Vec<Track>,
    /// Absent when it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growing: Option<Growing>,
    /// The longest segment of the whole film in seconds, rounded: it may not change while it grows.
    #[serde(default)]
    pub target_seconds: u64,
    /// Pictures to find a place by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storyboard: Option<Storyboard>,
    /// How the segments of pictures and sound are encrypted, if they are. Then there is HLS alone,
    /// and no playlist of key frames: those lie within encrypted files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
}

impl Presentation {
    /// A whole film: puts tracks, which end in any order, into the order of the playlists.
    pub fn new(video: &str, mut tracks: Vec<Track>) -> Self {
        tracks.sort_by_key(|track| {
            // What everybody can play comes first.
            let codec = match track.encoded.codec() {
                "hvc1" => 1,
                "av01" => 2,
                _ => 0,
            };
            let (class, pixels) = match track.encoded.kind {
                TrackKind::Video { width, height, .. } => {
                    (codec, u64::from(width) * u64::from(height))
                }
                TrackKind::Audio { .. } => (3, 0),
                TrackKind::Text { .. } => (4, 0),
            };
            // Shorter names first: `text-2` stands before `text-10`.
            (class, pixels, track.name.len(), track.name.clone())
        });
        let duration_seconds = duration_seconds(&tracks);
        let target_seconds = target_seconds(&tracks);
        Self {
            video: video.into(),
            duration_seconds,
            tracks,
            growing: None,
            target_seconds,
            storyboard: None,
            encryption: None,
        }
    }

    /// What can be shown of a film whose finished tasks made these pieces, in any order: every
    /// track from its beginning to the same segment. None while there is no beginning.
    ///
    /// # Errors
    /// When pieces of a track do not fit together.
    pub fn assemble(
        video: &str,
        plan: &TranscodePlan,
        mut pieces: Vec<Piece>,
        growing: Growing,
    ) -> Result<Option<Self>, Misfit> {
        pieces.sort_by_key(|piece| piece.first_segment);
        let digest = plan.digest();
        let mut tracks = Vec::new();
        for name in plan.tracks() {
            let track = pieces.iter().filter(|piece| piece.track == name);
            let elsewhere = track.clone().find_map(|piece| piece.elsewhere.clone());
            let Some(encoded) = joined(track)? else { return Ok(None) };
            let mut track = Track::new(name, &digest, encoded);
            if let Some(Elsewhere { folder, names }) = elsewhere {
                (track.folder, track.names) = (folder, Some(names));
            }
            tracks.push(track);
        }
        let pictures = tracks.iter().filter(|track| track.is_video());
        let shown = pictures.map(|track| track.encoded.segments.len() as u64).min().unwrap_or(0);
        let all = match plan.maker {
            Maker::Tasks => plan.grid.segments(),
            // A job makes all or nothing, and counts frames in its own way.
            Maker::Job => shown,
        };
        if shown < all {
            for track in &mut tracks {
                track.encoded.segments.truncate(usize::try_from(shown).unwrap_or(usize::MAX));
            }
        }
        let mut film = Self::new(video, tracks);
        film.growing = (shown < all).then_some(growing);
        film.target_seconds = (plan.grid.segment_seconds().round() as u64).max(film.target_seconds);
        film.encryption.clone_from(&plan.encryption);
        film.storyboard = plan.images.map(|images| Storyboard::new(&digest, plan, images.tile));
        Ok(Some(film))
    }

    /// How often a player looks whether a growing film has grown, in seconds: its playlists are not
    /// kept for longer than half a segment.
    pub fn refresh_seconds(&self) -> u64 {
        (self.target_seconds / 2).max(1)
    }

    /// How many segments of the picture are there.
    pub fn segments(&self) -> u64 {
        self.videos().map(|track| track.encoded.segments.len() as u64).min().unwrap_or(0)
    }

    /// From its stored form. Films of before key frames were noted still play: their whole segments
    /// stand for them.
    ///
    /// # Errors
    /// When it is none, or none that playlists can be written of: no number is out of bounds, and
    /// none of them gets so long that a sum overflows.
    pub fn read(stored: &[u8]) -> Result<Self, serde_json::Error> {
        let mut film: Self = serde_json::from_slice(stored)?;
        film.check().map_err(serde_json::Error::custom)?;
        // Out of its decimal form it may come back another in its last bit.
        film.duration_seconds = duration_seconds(&film.tracks);
        if film.target_seconds == 0 {
            film.target_seconds = target_seconds(&film.tracks);
        }
        for track in &mut film.tracks {
            for segment in &mut track.encoded.segments {
                if segment.key_bytes == 0 {
                    segment.key_bytes = segment.bytes;
                }
            }
        }
        Ok(film)
    }

    /// What the playlist writers count on.
    fn check(&self) -> Result<(), &'static str> {
        let mut names = BTreeSet::new();
        if !self.tracks.iter().all(|track| names.insert(&track.name)) {
            return Err("two tracks have one name");
        }
        let short = |text: &str| text.len() <= LONGEST_NAME;
        let named = |track: &Track| short(&track.name) && short(&track.folder);
        if self.tracks.len() > MOST_TRACKS || !short(&self.video) || !self.tracks.iter().all(named)
        {
            return Err("too many tracks, or too long a name");
        }
        if self.target_seconds > LONGEST_SECONDS {
            return Err("no film is that long");
        }
        if self.videos().chain(self.audios()).next().is_none() {
            return Err("there is nothing to play");
        }
        match self.tracks.iter().all(|track| track.encoded.is_sound()) {
            true => Ok(()),
            false => Err("no track is like that"),
        }
    }

    /// The track of that name.
    pub fn track(&self, name: &str) -> Option<&Track> {
        self.tracks.iter().find(|track| track.name == name)
    }

    /// The tracks with pictures.
    pub fn videos(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(|track| track.is_video())
    }

    /// The tracks with sound.
    pub fn audios(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(|track| matches!(track.encoded.kind, TrackKind::Audio { .. }))
    }

    /// The tracks with subtitles.
    pub fn texts(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(|track| matches!(track.encoded.kind, TrackKind::Text { .. }))
    }

    /// Every sound of the source once, in stereo, and once more in as many channels as there are
    /// where one has more, and in Opus: for players to choose between, as RFC 8216 4.3.4.1.1 has it.
    pub fn sound_groups(&self) -> Vec<(&'static str, Vec<&Track>)> {
        let of = |track: &Track| match track.encoded.kind {
            TrackKind::Audio { channels, stream, .. } => (stream, channels),
            _ => (0, 0),
        };
        // Of each stream the track with most channels, or with fewest.
        let group = |opus: bool, most: bool| {
            let mut chosen: Vec<&Track> = Vec::new();
            for track in self.audios().filter(|track| track.is_opus() == opus) {
                let (stream, channels) = of(track);
                match chosen.iter_mut().find(|other| of(other).0 == stream) {
                    Some(other) if most && channels > of(other).1 => *other = track,
                    Some(other) if !most && channels < of(other).1 => *other = track,
                    Some(_) => {}
                    None => chosen.push(track),
                }
            }
            chosen
        };
        let stereo = group(false, false);
        let mut groups = vec![("surround", group(false, true)), ("opus", group(true, false))];
        groups.retain(|(_, tracks)| !tracks.is_empty() && *tracks != stereo);
        if !stereo.is_empty() {
            groups.insert(0, ("audio", stereo));
        }
        groups
    }

    /// The pictures by codec: between those of one a player switches while it plays.
    pub fn pictures(&self) -> Vec<Vec<&Track>> {
        let mut sets: Vec<Vec<&Track>> = Vec::new();
        for track in self.videos() {
            let same = |set: &&mut Vec<&Track>| {
                set.first().is_some_and(|first| first.encoded.codec() == track.encoded.codec())
            };
            match sets.iter_mut().find(same) {
                Some(set) => set.push(track),
                None => sets.push(vec![track]),
            }
        }
        sets
    }
}

/// In whole microseconds. Whole seconds apart, so that no film is too long for 64 bits.
pub(crate) fn segment_time(ticks: u64, timescale: u32) -> u64 {
    let timescale = u64::from(timescale.max(1));
    ticks / timescale * 1_000_000 + ticks % timescale * 1_000_000 / timescale
}

/// The longest picture, or the longest sound where there is none.
fn duration_seconds(tracks: &[Track]) -> f64 {
    let longest = |only_video: bool| {
        tracks
            .iter()
            .filter(|track| track.is_video() || !only_video)
            .map(|track| track.encoded.duration_seconds())
            .fold(0.0, f64::max)
    };
    let picture = longest(true);
    if picture > 0.0 { picture } else { longest(false) }
}

/// The longest of all tracks.
fn target_seconds(tracks: &[Track]) -> u64 {
    tracks.iter().map(|track| track.encoded.target_seconds()).max().unwrap_or(1)
}

/// What viewers choose tracks of one kind by: no name is there twice.
pub fn names(tracks: &[&Track]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let words = |track: &Track| match &track.encoded.kind {
        TrackKind::Video { .. } => track.name.clone(),
        TrackKind::Audio { label, .. } => label.words("Sound"),
        TrackKind::Text { label } => label.words("Subtitles"),
    };
    tracks
        .iter()
        .map(|track| {
            let words = words(track);
            let mut name = words.clone();
            for number in 2.. {
                if taken.insert(name.clone()) {
                    break;
                }
                name = format!("{words} {number}");
            }
            name
        })
        .collect()
}

/// Pieces in their order, up to the first that is still missing.
fn joined<'a>(pieces: impl Iterator<Item = &'a Piece>) -> Result<Option<EncodedTrack>, Misfit> {
    let mut track: Option<(EncodedTrack, &str)> = None;
    for piece in pieces {
        let end = track.as_ref().map_or(0, |(track, _)| track.segments.len() as u64);
        if piece.first_segment > end {
            break;
        }
        let Some((track, init)) = &mut track else {
            track = Some((piece.encoded.clone(), &piece.init));
            continue;
        };
        let EncodedTrack { codecs, timescale, kind, segments } = &piece.encoded;
        let fits = piece.init == *init
            && piece.first_segment == end
            && (codecs, timescale, kind) == (&track.codecs, &track.timescale, &track.kind);
        if !fits {
            return Err(Misfit { track: piece.track.clone(), segment: piece.first_segment });
        }
        track.segments.extend(segments);
    }
    Ok(track.map(|(track, _)| track))
}

/// How addresses are written into playlists. What is given is made safe for a URI: a carrier that
/// hands over a quote or a line break cannot end the attribute or the line it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    playlist_suffix: String,
    media_root: String,
    media_suffix: String,
}

impl Links {
    /// All addresses relative, for playlists that are stored beside the media.
    pub fn relative() -> Self {
        Self {
            playlist_suffix: String::new(),
            media_root: String::new(),
            media_suffix: String::new(),
        }
    }

    /// Playlists carry the grant's token, media lies in `folder` (from the root, with slashes around)
    /// and carries the signed query (as CloudFront wants it, without `?`).
    pub fn signed(folder: &str, grant: &str, media_query: &str) -> Self {
        Self {
            playlist_suffix: format!("?grant={}", percent_encode(grant, "")),
            media_root: percent_encode(folder, "/"),
            media_suffix: format!("?{}", percent_encode(media_query, QUERY)),
        }
    }

    /// The content key of a film's period, from the key function: with the grant where playlists
    /// have one, else by the grant's cookie.
    pub fn key(&self, video: &str, period: u64) -> String {
        format!("/v1/videos/{}/keys/{period}{}", percent_encode(video, ""), self.playlist_suffix)
    }

    /// The media playlist of a track, seen from the multivariant playlist.
    pub fn playlist(&self, track: &Track) -> String {
        format!("{}.m3u8{}", percent_encode(&track.name, ""), self.playlist_suffix)
    }

    /// The playlist of a track's key frames.
    pub fn key_frames(&self, track: &Track) -> String {
        let name = percent_encode(&track.name, "");
        format!("{name}{KEY_FRAMES_SUFFIX}.m3u8{}", self.playlist_suffix)
    }

    /// A file of a track.
    pub fn media(&self, track: &Track, file: &str) -> String {
        self.file(&track.folder, file)
    }

    /// A file beside the playlists that are stored.
    pub fn top(&self, file: &str) -> String {
        format!("{}{file}{}", self.media_root, self.media_suffix)
    }

    /// A file in a folder of the film.
    pub fn file(&self, folder: &str, file: &str) -> String {
        let (before, after) = self.within(folder);
        format!("{before}{file}{after}")
    }

    /// What stands before and after the file name of every file of a track.
    pub fn around(&self, track: &Track) -> (String, &str) {
        self.within(&track.folder)
    }

    fn within(&self, folder: &str) -> (String, &str) {
        let folder = percent_encode(folder, "/");
        (format!("{}{folder}/", self.media_root), &self.media_suffix)
    }
}

/// What may stand in a query as it is (RFC 3986), and `%`, for what is encoded already.
const QUERY: &str = "!$&'()*+,;=:@/?%";

fn percent_encode(text: &str, kept: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let character = char::from(byte);
        let plain = character.is_ascii_alphanumeric() || "-._~".contains(character);
        if plain || (character.is_ascii() && kept.contains(character)) {
            encoded.push(character);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn video_track(name: &str, segments: &[(u64, u64)]) -> Track {
        let kind =
            TrackKind::Video { width: 1280, height: 720, frame_rate: Ratio::new(30_000, 1001) };
        track(name, "avc1.64001f", 30_000, kind, segments)
    }

    pub(crate) fn audio_track(name: &str, segments: &[(u64, u64)]) -> Track {
        sound_track(name, segments, 0, 2, &Label::new(Some("eng"), None, Purpose::Plain))
    }

    pub(crate) fn sound_track(
        name: &str,
        segments: &[(u64, u64)],
        stream: u32,
        channels: u32,
        label: &Label,
    ) -> Track {
        let kind = TrackKind::Audio { channels, sample_rate: 48_000, stream, label: label.clone() };
        track(name, "mp4a.40.2", 48_000, kind, segments)
    }

    pub(crate) fn text_track(name: &str, segments: &[(u64, u64)], label: &Label) -> Track {
        track(name, "", 30_000, TrackKind::Text { label: label.clone() }, segments)
    }

    /// In two languages, the first in 5.1 too and with a commentary, and three texts.
    pub(crate) fn rich_film() -> Presentation {
        let label = |language, purpose| Label::new(Some(language), None, purpose);
        let sound = |name: &str, stream, channels: u32, label: &Label| {
            let bytes = 32_000 * u64::from(channels);
            sound_track(name, &[(192_512, bytes), (239_920, bytes)], stream, channels, label)
        };
        let text = |name: &str, label: &Label| {
            text_track(name, &[(120_120, 200), (120_120, 100), (30_030, 60)], label)
        };
        let english = label("eng", Purpose::Plain);
        let mut tracks = film().tracks;
        tracks.truncate(1);
        tracks.extend([
            sound("audio", 1, 2, &english),
            sound("audio-2", 0, 2, &label("ger", Purpose::Plain)),
            sound("audio-3", 2, 2, &label("eng", Purpose::Commentary)),
            sound("audio-surround", 1, 6, &english),
            text("text-1", &english),
            text("text-2", &label("eng", Purpose::HearingImpaired)),
            text("text-3", &label("ger", Purpose::Forced)),
        ]);
        Presentation::new(&film().video, tracks)
    }

    fn track(
        name: &str,
        codecs: &str,
        timescale: u32,
        kind: TrackKind,
        segments: &[(u64, u64)],
    ) -> Track {
        let segments = segments
            .iter()
            .map(|(duration_ticks, bytes)| EncodedSegment {
                duration_ticks: *duration_ticks,
                bytes: *bytes,
                key_bytes: bytes / 2,
            })
            .collect();
        let encoded = EncodedTrack { codecs: codecs.into(), timescale, kind, segments };
        Track::new(name, "3f9a0c11d2e4b567", encoded)
    }

    /// A film as the encoder makes it.
    pub(crate) fn film() -> Presentation {
        Presentation::new(
            "00112233445566778899aabbccddeeff",
            vec![
                audio_track("audio", &[(192_512, 64_000), (191_488, 64_000), (48_432, 16_000)]),
                video_track("720p", &[(120_120, 1_000_000), (120_120, 900_000), (30_030, 300_000)]),
            ],
        )
    }

    /// As it might be stored, with nothing made fit.
    fn any_label() -> impl Strategy<Value = Label> {
        use proptest::option::of;
        let purpose = proptest::sample::select(vec![
            Purpose::Plain,
            Purpose::Commentary,
            Purpose::Forced,
            Purpose::HearingImpaired,
            Purpose::Described,
        ]);
        let language = prop_oneof![any::<String>(), Just("en".to_owned())];
        let title = prop_oneof![any::<String>(), Just("a\"\n".to_owned())];
        (of(language), of(title), purpose).prop_map(|(language, title, purpose)| Label {
            language,
            title,
            purpose,
        })
    }

    /// Any presentation at all, with names and texts as hostile as can be.
    pub(crate) fn any_presentation() -> impl Strategy<Value = Presentation> {
        let segments = proptest::collection::vec((1u64..400_000, 1u64..5_000_000), 1..40);
        let kind = prop_oneof![
            (2u32..5000, 2u32..5000, 1u32..70_000, 1u32..1100).prop_map(
                |(width, height, numerator, denominator)| TrackKind::Video {
                    width,
                    height,
                    frame_rate: Ratio::new(numerator, denominator)
                }
            ),
            (1u32..9, 8000u32..96_000, 0u32..3, any_label()).prop_map(
                |(channels, sample_rate, stream, label)| TrackKind::Audio {
                    channels,
                    sample_rate,
                    stream,
                    label
                }
            ),
            any_label().prop_map(|label| TrackKind::Text { label }),
        ];
        let real = ["avc1.64001f", "hvc1.1.6.L93.90", "av01.0.05M.08", "mp4a.40.2", "opus"];
        let codecs = prop_oneof![
            any::<String>().prop_map(|codecs| format!("c{codecs}")),
            proptest::sample::select(real.to_vec()).prop_map(String::from),
        ];
        let track = (any::<String>(), codecs, 1u32..100_000, kind, segments).prop_map(
            |(name, codecs, timescale, kind, segments)| {
                track(&format!("t{name}"), &codecs, timescale, kind, &segments)
            },
        );
        (any::<String>(), proptest::collection::vec(track, 1..8))
            .prop_map(|(video, tracks)| Presentation::new(&video, tracks))
    }

    /// Relative ones, and signed ones made from hostile texts.
    pub(crate) fn any_links() -> impl Strategy<Value = Links> {
        prop_oneof![
            Just(Links::relative()),
            (any::<String>(), any::<String>(), any::<String>()).prop_map(
                |(video, grant, query)| Links::signed(&format!("/v/{video}/"), &grant, &query)
            ),
        ]
    }

    const GROWING: Growing = Growing { since: 100, published_at: 200 };

    fn chunked_plan() -> TranscodePlan {
        use crate::ladder::{AudioStream, Limits, Picture, Probe, TextStream, VideoStream, plan};
        let frame_rate = Ratio::new(25, 1);
        let video = VideoStream {
            width: 1280,
            height: 720,
            frame_rate,
            codec: "h264".into(),
            picture: Picture::default(),
        };
        let (codec, label) = ("aac".to_owned(), Label::default());
        let audio = vec![AudioStream {
            stream: 0,
            codec,
            channels: 2,
            default: true,
            label: label.clone(),
        }];
        let texts = vec![TextStream { stream: 0, codec: "subrip".into(), default: true, label }];
        let probe =
            Probe { duration_seconds: 18.0, start_micros: 0, video: Some(video), audio, texts };
        let limits = Limits {
            max_duration_seconds: 60,
            max_pixels: 1 << 30,
            chunk_seconds: 8,
            segment_seconds: 4,
            extras: crate::ladder::Extras::NONE,
            ceilings: crate::ladder::Ceilings::Fixed,
            key_seconds: 300,
        };
        plan(&probe, &limits).unwrap()
    }

    fn piece(track: &Track, first_segment: u64) -> Piece {
        let (track, encoded) = (track.name.clone(), track.encoded.clone());
        Piece { track, init: "cafe".into(), first_segment, encoded, elsewhere: None }
    }

    /// 18 s are segments of 4 s and one of 2 s: chunks of two, two and one.
    fn chunk(track: &str, number: u64) -> Piece {
        let full = (100_000, 50);
        let segments: &[_] = if number == 2 { &[(50_000, 20)] } else { &[full, full] };
        piece(&video_track(track, segments), number * 2)
    }

    fn sound() -> Piece {
        let segments: Vec<_> = [192_000; 4].into_iter().chain([96_000]).map(|d| (d, 7)).collect();
        piece(&audio_track("audio", &segments), 0)
    }

    /// Whole from the beginning: it takes no time.
    fn words() -> Piece {
        let segments: Vec<_> = [120_000; 4].into_iter().chain([60_000]).map(|d| (d, 7)).collect();
        piece(&text_track("text-1", &segments, &Label::default()), 0)
    }

    fn assembled(pieces: Vec<Piece>) -> Option<(Vec<usize>, bool)> {
        let film = Presentation::assemble("v", &chunked_plan(), pieces, GROWING).unwrap()?;
        let counts = film.tracks.iter().map(|track| track.encoded.segments.len()).collect();
        assert_eq!(film.target_seconds, 4);
        Some((counts, film.growing.is_some()))
    }

    #[test]
    fn a_film_is_shown_from_its_beginning_to_the_first_gap() {
        let (low, high) = (|number| chunk("360p", number), |number| chunk("720p", number));
        assert_eq!(assembled(vec![]), None);
        assert_eq!(assembled(vec![low(0), high(0), words()]), None, "without its sound");
        assert_eq!(assembled(vec![low(0), high(0), sound()]), None, "without its words");
        assert_eq!(assembled(vec![sound(), words(), low(1), high(1), high(0)]), None, "no 360p");
        let beginning = vec![low(0), high(0), words(), sound()];
        assert_eq!(assembled(beginning), Some((vec![2, 2, 2, 2], true)));
        let gap = vec![high(2), low(2), low(0), low(1), high(0), sound(), words()];
        assert_eq!(assembled(gap), Some((vec![2, 2, 2, 2], true)));
        let whole = vec![high(2), words(), low(2), low(0), low(1), high(0), high(1), sound()];
        assert_eq!(assembled(whole), Some((vec![5, 5, 5, 5], false)));
    }

    /// Guard: `joined` compares. Pieces of another plan or encoder would play as rubbish.
    #[test]
    fn pieces_that_do_not_fit_are_no_film() {
        let assemble = |wrong: Piece| {
            let pieces = vec![chunk("360p", 0), wrong, chunk("720p", 0), sound(), words()];
            Presentation::assemble("v", &chunked_plan(), pieces, GROWING)
        };
        assert!(assemble(chunk("360p", 1)).is_ok());
        let misfit = Misfit { track: "360p".into(), segment: 2 };
        let good = chunk("360p", 1);
        for wrong in [
            Piece { init: "beef".into(), ..good.clone() },
            Piece {
                encoded: EncodedTrack { timescale: 1, ..good.encoded.clone() },
                ..good.clone()
            },
            Piece { encoded: EncodedTrack { codecs: "x".into(), ..good.encoded }, ..good },
        ] {
            assert_eq!(assemble(wrong), Err(misfit.clone()));
        }
        let overlap = Piece { first_segment: 1, ..chunk("360p", 1) };
        assert_eq!(assemble(overlap), Err(Misfit { segment: 1, ..misfit }));
    }

    #[test]
    fn a_name_is_there_once() {
        let label = Label { title: Some("a".into()), ..Label::default() };
        let other = Label { title: Some("a 2".into()), ..Label::default() };
        let tracks = [&label, &label, &other, &label].map(|label| text_track("t", &[], label));
        let tracks: Vec<&Track> = tracks.iter().collect();
        assert_eq!(names(&tracks), ["a", "a 2", "a 2 2", "a 3"]);
    }

    #[test]
    fn every_sound_is_in_every_group() {
        let film = rich_film();
        let groups = film.sound_groups().into_iter().map(|(group, tracks)| {
            (group, tracks.into_iter().map(|track| &*track.name).collect::<Vec<_>>())
        });
        let expected = [
            ("audio", vec!["audio", "audio-2", "audio-3"]),
            ("surround", vec!["audio-surround", "audio-2", "audio-3"]),
        ];
        assert_eq!(groups.collect::<Vec<_>>(), expected);
        assert_eq!(film_without_sound().sound_groups(), []);
    }

    fn film_without_sound() -> Presentation {
        let mut film = film();
        film.tracks.retain(Track::is_video);
        film
    }

    #[test]
    fn films_of_before_still_play() {
        let before = r#"{"video":"v","duration_seconds":8.0,"tracks":[
            {"name":"360p","folder":"360p/cafe","encoded":{"codecs":"avc1.64001e","timescale":25,
             "kind":{"type":"video","width":640,"height":360,
                     "frame_rate":{"numerator":25,"denominator":1}},
             "segments":[{"duration_ticks":100,"bytes":70},{"duration_ticks":100,"bytes":50}]}},
            {"name":"audio","folder":"audio/cafe","encoded":{"codecs":"mp4a.40.2","timescale":48000,
             "kind":{"type":"audio","channels":2,"sample_rate":48000,"language":"eng"},
             "segments":[{"duration_ticks":192000,"bytes":9},{"duration_ticks":192000,"bytes":9}]}}
            ]}"#;
        let film = Presentation::read(before.as_bytes()).unwrap();
        assert_eq!((film.target_seconds, film.growing), (4, None));
        assert_eq!(film.tracks[0].encoded.segments[1].key_bytes, 50);
        let now = serde_json::to_vec(&film).unwrap();
        assert_eq!(Presentation::read(&now).unwrap(), film);
    }

    #[test]
    fn tracks_are_put_in_order() {
        let film = film();
        let names: Vec<&str> = film.tracks.iter().map(|track| track.name.as_str()).collect();
        assert_eq!(names, ["720p", "audio"]);
        assert!((film.duration_seconds - 9.009).abs() < 1e-9);
        assert_eq!(film.track("720p").unwrap().folder, "720p/3f9a0c11d2e4b567");
        assert!(film.track("1080p").is_none());
    }

    #[test]
    fn bandwidth_is_measured() {
        let film = film();
        let video = &film.tracks[0].encoded;
        assert_eq!(video.target_seconds(), 4);
        // 2.2 MB in 9.009 s.
        assert_eq!(video.average_bandwidth(), 1_953_602);
        // The first segment: 1 MB in 4.004 s. The short last one alone (2.4 Mbit/s) is no run.
        assert_eq!(video.peak_bandwidth(), 1_998_002);
        let single = video_track("x", &[(3003, 1000)]).encoded;
        assert_eq!(single.peak_bandwidth(), single.average_bandwidth());
    }

    #[test]
    fn a_run_over_a_segment_border_can_be_the_peak() {
        let track = video_track("x", &[(60_000, 10), (30_000, 900), (30_000, 900), (60_000, 10)]);
        assert_eq!(track.encoded.target_seconds(), 2);
        assert_eq!(track.encoded.peak_bandwidth(), 1800 * 8 / 2);
    }

    #[test]
    fn links_are_made_safe() {
        let film = film();
        let signed = Links::signed(
            &format!("/v/{}/", film.video),
            "ab\"\n#",
            "Policy=a_b~&Signature=c-d%3D\"\n<#>",
        );
        assert_eq!(signed.playlist(&film.tracks[0]), "720p.m3u8?grant=ab%22%0A%23");
        assert_eq!(
            signed.media(&film.tracks[0], INIT_FILE),
            "/v/00112233445566778899aabbccddeeff/720p/3f9a0c11d2e4b567/init.mp4\
             ?Policy=a_b~&Signature=c-d%3D%22%0A%3C%23%3E"
        );
        assert_eq!(
            Links::relative().media(&film.tracks[0], &segment_file(1)),
            "720p/3f9a0c11d2e4b567/00001.m4s"
        );
    }

    #[test]
    fn it_is_stored_as_json() {
        let film = film();
        let text = serde_json::to_string(&film).unwrap();
        assert_eq!(serde_json::from_str::<Presentation>(&text).unwrap(), film);
    }

    proptest! {
        #[test]
        fn the_peak_is_never_below_the_average(film in any_presentation()) {
            for track in &film.tracks {
                prop_assert!(track.encoded.peak_bandwidth() >= track.encoded.average_bandwidth());
            }
        }
    }
}
