//! From what the probe saw to the renditions and the units of work.

use crate::encryption::Encryption;
use crate::label::Label;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::str::FromStr;

/// An 8K picture; more is a bomb.
pub const MAX_PIXELS: u64 = 8192 * 4320;
/// What one task encodes at most, in millions of pixels over all of its frames and renditions: near
/// two minutes for the two processors of a worker, which do some 20 of them a second each.
const TASK_MEGAPIXELS: f64 = 4_000.0;
/// A chunk decodes a little of what lies before it, and an encoder looks ahead: where tasks would
/// get shorter than this many seconds, each rendition gets tasks of its own instead.
const SHORTEST_CHUNK_SECONDS: f64 = 16.0;
/// The rungs, by the short side of the picture.
const RUNGS: [u32; 3] = [360, 720, 1080];
/// Below this side an encoder has nothing to work with; it is no film.
const SMALLEST_SIDE: u32 = 16;
/// H.264 decoders in players stop near this length of a side.
const LONGEST_SIDE: u32 = 4096;
/// The first sound track.
const AUDIO: &str = "audio";
/// The channels of 5.1.
const SURROUND: u32 = 6;
/// Sound streams beyond are left out.
const MOST_SOUNDS: usize = 8;
/// Subtitle streams beyond are left out.
const MOST_TEXTS: usize = 16;
/// The longer side of a tile of the storyboard.
const TILE_SIDE: u32 = 160;
/// The longer side of the poster.
const POSTER_SIDE: u32 = 1280;
/// Not later than this is the poster taken: it is to be there soon.
const POSTER_SECONDS: f64 = 300.0;
/// The rates players expect. A source at any other rate is brought to the nearest one.
const STANDARD_RATES: [Ratio; 14] = [
    Ratio::new(10, 1),
    Ratio::new(12, 1),
    Ratio::new(25, 2),
    Ratio::new(15, 1),
    Ratio::new(20, 1),
    Ratio::new(24_000, 1001),
    Ratio::new(24, 1),
    Ratio::new(25, 1),
    Ratio::new(30_000, 1001),
    Ratio::new(30, 1),
    Ratio::new(48, 1),
    Ratio::new(50, 1),
    Ratio::new(60_000, 1001),
    Ratio::new(60, 1),
];
/// How far a film's own ceilings lie from those that are reckoned with, at most.
const LEAST_SPENT: f64 = 0.4;
const MOST_SPENT: f64 = 1.5;
/// Taken when the source does not tell its rate.
const USUAL_RATE: Ratio = Ratio::new(30, 1);

/// An exact fraction: 30000/1001 has no finite decimal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratio {
    /// The upper number.
    pub numerator: u32,
    /// The lower number; zero means "not known".
    pub denominator: u32,
}

impl Ratio {
    /// A ratio as written, not reduced.
    pub const fn new(numerator: u32, denominator: u32) -> Self {
        Self { numerator, denominator }
    }

    /// The value, zero when it is not known.
    pub fn value(self) -> f64 {
        if self.denominator == 0 {
            return 0.0;
        }
        f64::from(self.numerator) / f64::from(self.denominator)
    }
}

/// What the probe saw in the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// How long the picture lasts; zero when the file does not say.
    pub duration_seconds: f64,
    /// Where the source's own times begin, in microseconds: a broadcast's are not at zero.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start_micros: i64,
    /// The first stream with moving pictures; a cover image is not one.
    pub video: Option<VideoStream>,
    /// All sound streams that can be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audio: Vec<AudioStream>,
    /// All subtitle streams that are text; pictures of letters are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<TextStream>,
}

/// The picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoStream {
    /// As shown: after rotation and with square pixels.
    pub width: u32,
    /// As shown: after rotation and with square pixels.
    pub height: u32,
    /// The rate at which it moves; 0/0 when the file does not tell.
    pub frame_rate: Ratio,
    /// The name the probe gives the codec.
    pub codec: String,
    /// How its samples become what is seen.
    #[serde(default, skip_serializing_if = "Picture::is_plain")]
    pub picture: Picture,
}

/// What the samples of a source mean. All renditions are progressive, BT.709, of limited range and
/// eight bits: this is what must be undone to get there. The default is a source that is so already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Picture {
    /// Each frame is woven of two fields, which were taken one after the other.
    #[serde(skip_serializing_if = "is_default")]
    pub interlaced: bool,
    /// Luma is 0 to 255 and not 16 to 235.
    #[serde(skip_serializing_if = "is_default")]
    pub full_range: bool,
    /// How colour is split into luma and chroma.
    #[serde(skip_serializing_if = "is_default")]
    pub matrix: Matrix,
    /// Which colours the three components are.
    #[serde(skip_serializing_if = "is_default")]
    pub gamut: Gamut,
    /// How light becomes a number.
    #[serde(skip_serializing_if = "is_default")]
    pub transfer: Transfer,
}

impl Picture {
    fn is_plain(&self) -> bool {
        is_default(self)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The coefficients of luma (H.273, table 4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matrix {
    /// High definition.
    #[default]
    Bt709,
    /// Standard definition, and JPEG.
    Bt601,
    /// Ultra high definition.
    Bt2020,
}

/// The primaries (H.273, table 2). Those of standard definition count as BT.709: the difference
/// can't be seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gamut {
    /// Of nearly every screen.
    #[default]
    Bt709,
    /// Of ultra high definition.
    Bt2020,
    /// Of telephones and cinemas.
    P3,
}

/// The transfer characteristics (H.273, table 3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transfer {
    /// Ordinary: white is as bright as the screen.
    #[default]
    Sdr,
    /// Perceptual quantiser, SMPTE ST 2084: a number is so many candela per square metre.
    Pq,
    /// Hybrid log-gamma, ARIB STD-B67.
    Hlg,
}

/// The sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioStream {
    /// Which of the source's sound streams, from 0.
    pub stream: u32,
    /// The name the probe gives the codec.
    pub codec: String,
    /// How many channels the source has.
    pub channels: u32,
    /// Whether the source wants it played when nobody chooses.
    #[serde(default)]
    pub default: bool,
    /// What it says of itself.
    #[serde(default)]
    pub label: Label,
}

/// Subtitles as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextStream {
    /// Which of the source's subtitle streams, from 0; those of pictures count.
    pub stream: u32,
    /// The name the probe gives the codec.
    pub codec: String,
    /// Whether the source wants it shown when nobody chooses.
    #[serde(default)]
    pub default: bool,
    /// What it says of itself.
    #[serde(default)]
    pub label: Label,
}

/// What a stack accepts, and what it makes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The longest film.
    pub max_duration_seconds: u64,
    /// The largest picture, width times height.
    pub max_pixels: u64,
    /// The longest stretch of film that one task encodes; at least a segment is.
    pub chunk_seconds: u64,
    /// The length every segment is kept close to.
    pub segment_seconds: u64,
    /// What is made besides.
    pub extras: Extras,
    /// Where the ceilings of its renditions come from.
    pub ceilings: Ceilings,
    /// How long a stretch of an encrypted film has one content key.
    pub key_seconds: u64,
}

/// Where the ceilings of a film's renditions come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceilings {
    /// Samples of the film.
    PerTitle,
    /// Its size and rate alone.
    Fixed,
}

impl FromStr for Ceilings {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "per-title" => Ok(Self::PerTitle),
            "fixed" => Ok(Self::Fixed),
            _ => Err("neither per-title nor fixed"),
        }
    }
}

/// What is made of every film beside H.264 and AAC, which everybody can play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extras {
    /// Pictures in HEVC too.
    pub hevc: bool,
    /// Pictures in AV1 too.
    pub av1: bool,
    /// Sound in Opus too.
    pub opus: bool,
}

impl Extras {
    /// Nothing besides.
    pub const NONE: Self = Self { hevc: false, av1: false, opus: false };
}

impl FromStr for Extras {
    type Err = UnknownCodec;

    /// `hevc,opus`; empty for none.
    fn from_str(text: &str) -> Result<Self, UnknownCodec> {
        let mut extras = Self::NONE;
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "hevc" => extras.hevc = true,
                "av1" => extras.av1 = true,
                "opus" => extras.opus = true,
                other => return Err(UnknownCodec(other.to_owned())),
            }
        }
        Ok(extras)
    }
}

/// A codec that is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of hevc, av1 and opus")]
pub struct UnknownCodec(String);

/// How pictures are coded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoCodec {
    /// AVC, ITU-T H.264.
    #[default]
    H264,
    /// ITU-T H.265.
    Hevc,
    /// AOMedia Video 1.
    Av1,
}

impl VideoCodec {
    /// What comes behind a rendition's name.
    fn suffix(self) -> &'static str {
        match self {
            Self::H264 => "",
            Self::Hevc => "-hevc",
            Self::Av1 => "-av1",
        }
    }

    /// How many of the bits of H.264 give the same picture.
    fn thrift(self) -> f64 {
        match self {
            Self::H264 => 1.0,
            Self::Hevc => 0.7,
            Self::Av1 => 0.6,
        }
    }

    /// What encoding a picture costs beside H.264, as measured with the settings that are used.
    fn effort(self) -> f64 {
        match self {
            Self::H264 => 1.0,
            Self::Hevc => 1.5,
            Self::Av1 => 1.2,
        }
    }
}

/// How sound is coded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioCodec {
    /// AAC-LC, ISO/IEC 14496-3.
    #[default]
    Aac,
    /// RFC 6716.
    Opus,
}

/// One size of the film.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendition {
    /// `720p`: the short side, so that a portrait film gets the names people expect; `720p-hevc`.
    pub name: String,
    /// Even.
    pub width: u32,
    /// Even.
    pub height: u32,
    /// The ceiling of the encoder; quiet pictures use less.
    pub max_kbps: u32,
    /// How.
    #[serde(default, skip_serializing_if = "is_default")]
    pub codec: VideoCodec,
}

/// In pixels, both even.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

/// The pictures of a film to look at rather than to play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Images {
    /// How large the poster is.
    pub poster: Size,
    /// The segment that the poster is taken from, counted from 0.
    pub poster_segment: u64,
    /// How large one picture of the storyboard is; each segment has one.
    pub tile: Size,
}

/// One sound track to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sound {
    /// `audio`, `audio-2`; `audio-2-surround` with six channels, `audio-2-opus` in Opus.
    pub name: String,
    /// Which of the source's sound streams, from 0.
    pub stream: u32,
    /// Two, or six for 5.1.
    pub channels: u32,
    /// How.
    #[serde(default, skip_serializing_if = "is_default")]
    pub codec: AudioCodec,
    /// Passed on to the playlists.
    #[serde(default)]
    pub label: Label,
}

/// One subtitle track to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// `text-1`.
    pub name: String,
    /// Which of the source's subtitle streams, from 0.
    pub stream: u32,
    /// The name the probe gives the codec.
    pub codec: String,
    /// Passed on to the playlists.
    #[serde(default)]
    pub label: Label,
}

/// The cut that all tracks of a film share: whole frames, so that boundaries agree to the tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// The constant output rate.
    pub frame_rate: Ratio,
    /// Frames in every segment but the last.
    pub segment_frames: u32,
    /// Frames in the whole film.
    pub frames: u64,
    /// Which of the source's own times is the film's zero, in microseconds. Were it left to each
    /// task, those of the picture and those of the sound would begin with their own stream.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start_micros: i64,
}

impl Grid {
    /// The exact length of a full segment.
    pub fn segment_seconds(&self) -> f64 {
        f64::from(self.segment_frames) / self.frame_rate.value()
    }

    /// The exact length of the film.
    pub fn duration_seconds(&self) -> f64 {
        self.frames as f64 / self.frame_rate.value()
    }

    /// How many segments a video track has.
    pub fn segments(&self) -> u64 {
        self.frames.div_ceil(u64::from(self.segment_frames.max(1)))
    }

    /// How many segments come nearest to so many seconds; at least one.
    fn segments_in(&self, seconds: f64) -> u64 {
        ((seconds / self.segment_seconds()).round() as u64).max(1)
    }

    /// The frames of a run of segments.
    pub fn frames_of(&self, segments: &Range<u64>) -> Range<u64> {
        let border =
            |segment: u64| segment.saturating_mul(self.segment_frames.into()).min(self.frames);
        border(segments.start)..border(segments.end)
    }
}

/// The description of one task, as it is stored and sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Encode a chunk of the picture: a run of segments, decoded once for some renditions.
    Video {
        /// What to make; none where a job makes them, and images are all there is to do.
        renditions: Vec<Rendition>,
        /// Where to cut.
        grid: Grid,
        /// Which segments, counted from 0.
        segments: Range<u64>,
        /// What the source's samples mean.
        #[serde(default, skip_serializing_if = "Picture::is_plain")]
        picture: Picture,
        /// What to make besides.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        images: Option<Images>,
    },
    /// Encode a sound track, whole.
    Audio {
        /// What to make.
        sound: Sound,
        /// Where to cut; the sound is cut or filled with silence to the length of the picture.
        grid: Grid,
    },
    /// Write a subtitle track, whole.
    Text {
        /// What to make.
        text: Text,
        /// Where to cut.
        grid: Grid,
    },
}

impl Work {
    /// Its name, unique in a plan: `360p+720p-00001` by the first segment, `images-00001`, `audio`,
    /// `text-1`.
    pub fn name(&self) -> String {
        match self {
            Self::Video { renditions, segments, .. } => {
                let made = match renditions.is_empty() {
                    true => String::from("images"),
                    false => self.tracks().join("+"),
                };
                format!("{made}-{:05}", segments.start + 1)
            }
            Self::Audio { .. } | Self::Text { .. } => self.tracks().concat(),
        }
    }

    /// The names of the tracks that it makes a part of, or the whole.
    pub fn tracks(&self) -> Vec<&str> {
        match self {
            Self::Video { renditions, .. } => {
                renditions.iter().map(|rendition| &*rendition.name).collect()
            }
            Self::Audio { sound, .. } => vec![&sound.name],
            Self::Text { text, .. } => vec![&text.name],
        }
    }

    /// The shared cut.
    pub fn grid(&self) -> &Grid {
        match self {
            Self::Video { grid, .. } | Self::Audio { grid, .. } | Self::Text { grid, .. } => grid,
        }
    }
}

/// Who makes pictures and sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maker {
    /// Our own workers, task by task.
    #[default]
    Tasks,
    /// One job of another service, for the whole film; see [`crate::conversion`].
    Job,
}

/// What is to be done for a film. Small however long the film is: the works follow from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscodePlan {
    /// Where all tracks are cut.
    pub grid: Grid,
    /// From the smallest to the largest, codec by codec.
    pub renditions: Vec<Rendition>,
    /// How many segments a task of the picture has.
    pub chunk_segments: u64,
    /// Whether each rendition has tasks of its own; else all of a codec share theirs.
    pub split: bool,
    /// What the source's samples mean.
    #[serde(default, skip_serializing_if = "Picture::is_plain")]
    pub picture: Picture,
    /// Poster and storyboard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Images>,
    /// The sound; the first is what plays when nobody chooses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sounds: Vec<Sound>,
    /// The subtitles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<Text>,
    /// Who makes pictures and sound; texts and images are always our own workers'.
    #[serde(default, skip_serializing_if = "is_default")]
    pub maker: Maker,
    /// How its segments are encrypted, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
}

impl TranscodePlan {
    /// The same for one job, which makes every track in one go: so each track is one work. It makes
    /// no Opus, which MediaConvert does not write in CMAF
    /// (docs.aws.amazon.com/mediaconvert/latest/ug/reference-codecs-containers.html). Images are our
    /// own workers', in chunks of the usual length however much there would be to encode.
    #[must_use]
    pub fn for_job(mut self, limits: &Limits) -> Self {
        self.sounds.retain(|sound| sound.codec == AudioCodec::Aac);
        let chunk_segments = self.grid.segments_in(limits.chunk_seconds as f64);
        Self { maker: Maker::Job, split: true, chunk_segments, ..self }
    }

    /// Whether our own workers do it.
    pub fn is_ours(&self, work: &Work) -> bool {
        let is_apart = match work {
            Work::Video { renditions, .. } => renditions.is_empty(),
            Work::Audio { .. } => false,
            Work::Text { .. } => true,
        };
        self.maker == Maker::Tasks || is_apart
    }

    /// One per task, in the order in which viewers need them: sound and subtitles, and then the
    /// film from its beginning on.
    pub fn works(&self) -> Vec<Work> {
        let grid = self.grid;
        let mut works = Vec::new();
        works.extend(self.sounds.iter().cloned().map(|sound| Work::Audio { sound, grid }));
        works.extend(self.texts.iter().cloned().map(|text| Work::Text { text, grid }));
        let groups: Vec<_> = match self.split {
            true => self.renditions.chunks(1).collect(),
            false => by_codec(&self.renditions).collect(),
        };
        let video = |segments: &Range<u64>, renditions: &[Rendition], images| Work::Video {
            renditions: renditions.to_vec(),
            grid,
            segments: segments.clone(),
            picture: self.picture,
            images,
        };
        let all = grid.segments();
        if self.maker == Maker::Job {
            works.extend(groups.iter().map(|group| video(&(0..all), group, None)));
        }
        for segments in runs(all, self.chunk_segments) {
            match self.maker {
                Maker::Tasks => works.extend((0..).zip(&groups).map(|(index, group)| {
                    video(&segments, group, self.images.filter(|_| index == 0))
                })),
                Maker::Job => works.extend(self.images.map(|i| video(&segments, &[], Some(i)))),
            }
        }
        works
    }

    /// Moves all ceilings by what samples of this film took, beside what is reckoned with: quiet films
    /// need less, and restless ones more.
    pub fn spend(&mut self, factor: f64) {
        let factor = if factor.is_finite() { factor.clamp(LEAST_SPENT, MOST_SPENT) } else { 1.0 };
        for rendition in &mut self.renditions {
            rendition.max_kbps = tens(f64::from(rendition.max_kbps) * factor);
        }
    }

    /// The names of all tracks.
    pub fn tracks(&self) -> Vec<&str> {
        let pictures = self.renditions.iter().map(|rendition| &*rendition.name);
        let sounds = self.sounds.iter().map(|sound| &*sound.name);
        pictures.chain(sounds).chain(self.texts.iter().map(|text| &*text.name)).collect()
    }

    /// 16 hex digits of SHA-256: what is made by different plans never mixes.
    pub fn digest(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        hex::encode(&Sha256::digest(text)[..8])
    }
}

/// Why a source is not transcoded, in words for the creator.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// A sound file, or a picture with sound.
    #[error("The file has no video in it.")]
    NoVideo,
    /// Zero, or not said.
    #[error("The file does not say how long the film is. Export it again and upload that.")]
    UnknownDuration,
    /// Longer than configured.
    #[error("The film lasts {seconds} seconds; at most {limit} are accepted.")]
    TooLong {
        /// What it has.
        seconds: u64,
        /// What is accepted.
        limit: u64,
    },
    /// A picture that would exhaust the memory of the encoder.
    #[error("The picture is {width} by {height}; at most {limit} pixels are accepted.")]
    TooManyPixels {
        /// As shown.
        width: u32,
        /// As shown.
        height: u32,
        /// What is accepted.
        limit: u64,
    },
    /// No film.
    #[error("The picture is {width} by {height}; each side must have at least 16 pixels.")]
    TooSmall {
        /// As shown.
        width: u32,
        /// As shown.
        height: u32,
    },
}

/// Decides what to make of a source.
pub fn plan(probe: &Probe, limits: &Limits) -> Result<TranscodePlan, Refusal> {
    let video = probe.video.as_ref().ok_or(Refusal::NoVideo)?;
    let duration = probe.duration_seconds;
    if !duration.is_finite() || duration <= 0.0 {
        return Err(Refusal::UnknownDuration);
    }
    if duration > limits.max_duration_seconds as f64 {
        // Rounded up, so that the sentence never says "60 seconds; at most 60".
        let seconds = duration.ceil() as u64;
        return Err(Refusal::TooLong { seconds, limit: limits.max_duration_seconds });
    }
    let (width, height) = (video.width, video.height);
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(Refusal::TooManyPixels { width, height, limit: limits.max_pixels });
    }
    if width.min(height) < SMALLEST_SIDE {
        return Err(Refusal::TooSmall { width, height });
    }

    let frame_rate = output_rate(video.frame_rate);
    let grid = Grid {
        frame_rate,
        segment_frames: (limits.segment_seconds as f64 * frame_rate.value()).round() as u32,
        frames: ((duration * frame_rate.value()).round() as u64).max(1),
        start_micros: probe.start_micros,
    };
    let mut renditions = renditions(width, height, frame_rate);
    let plain = renditions.clone();
    let more = [(limits.extras.hevc, VideoCodec::Hevc), (limits.extras.av1, VideoCodec::Av1)];
    for (_, codec) in more.into_iter().filter(|(wanted, _)| *wanted) {
        renditions.extend(plain.iter().map(|rendition| Rendition {
            name: format!("{}{}", rendition.name, codec.suffix()),
            max_kbps: tens(f64::from(rendition.max_kbps) * codec.thrift()),
            codec,
            ..rendition.clone()
        }));
    }
    let picture = video.picture;
    let (chunk_segments, split) = chunks(&grid, &renditions, picture, limits.chunk_seconds as f64);
    let images = Some(images(width, height, &grid));
    let (sounds, texts) = (sounds(&probe.audio, limits.extras), texts(&probe.texts));
    Ok(TranscodePlan {
        grid,
        renditions,
        chunk_segments,
        split,
        picture,
        images,
        sounds,
        texts,
        maker: Maker::default(),
        encryption: None,
    })
}

/// The poster from a tenth into the film: what comes before is titles, or dark.
fn images(width: u32, height: u32, grid: &Grid) -> Images {
    let within = |side: u32| {
        let scale = (f64::from(side) / f64::from(width.max(height))).min(1.0);
        let scaled = |length: u32| even(f64::from(length) * scale, length);
        Size { width: scaled(width), height: scaled(height) }
    };
    let tenth = (grid.duration_seconds() / 10.0).min(POSTER_SECONDS);
    Images {
        poster: within(POSTER_SIDE),
        poster_segment: (tenth / grid.segment_seconds()) as u64,
        tile: within(TILE_SIDE),
    }
}

/// Runs of so many segments; the last may be shorter.
fn runs(all: u64, length: u64) -> impl Iterator<Item = Range<u64>> {
    let length = length.max(1);
    (0..all.div_ceil(length)).map(move |run| run * length..all.min((run + 1) * length))
}

/// Runs of renditions of one codec.
fn by_codec(renditions: &[Rendition]) -> impl Iterator<Item = &[Rendition]> {
    renditions.chunk_by(|one, next| one.codec == next.codec)
}

/// Stereo of each stream, and 5.1 besides where the source has as many channels. Which one a film
/// begins with is the source's own choice.
fn sounds(streams: &[AudioStream], extras: Extras) -> Vec<Sound> {
    let mut streams: Vec<_> = streams.iter().collect();
    streams.sort_by_key(|stream| !stream.default);
    let mut sounds = Vec::new();
    for (number, source) in (1..).zip(streams.into_iter().take(MOST_SOUNDS)) {
        let name = if number == 1 { AUDIO.to_owned() } else { format!("{AUDIO}-{number}") };
        let (stream, label, codec) = (source.stream, source.label.clone(), AudioCodec::Aac);
        let stereo = Sound { name, stream, channels: 2, codec, label };
        if source.channels >= SURROUND {
            let name = format!("{}-surround", stereo.name);
            sounds.push(Sound { name, channels: SURROUND, ..stereo.clone() });
        }
        if extras.opus {
            let name = format!("{}-opus", stereo.name);
            sounds.push(Sound { name, codec: AudioCodec::Opus, ..stereo.clone() });
        }
        sounds.push(stereo);
    }
    // Everybody can play AAC in stereo: it is made first.
    sounds.sort_by_key(|sound| (sound.codec != AudioCodec::Aac, sound.channels));
    sounds
}

fn texts(streams: &[TextStream]) -> Vec<Text> {
    let mut streams: Vec<_> = streams.iter().collect();
    streams.sort_by_key(|stream| !stream.default);
    (1..)
        .zip(streams.into_iter().take(MOST_TEXTS))
        .map(|(number, TextStream { stream, codec, label, .. })| Text {
            name: format!("text-{number}"),
            stream: *stream,
            codec: codec.clone(),
            label: label.clone(),
        })
        .collect()
}

/// How many segments a task encodes, and whether one rendition of them or all of a codec.
fn chunks(grid: &Grid, renditions: &[Rendition], picture: Picture, longest: f64) -> (u64, bool) {
    let megapixels = |rendition: &Rendition| {
        f64::from(rendition.width) * f64::from(rendition.height) / 1e6 * grid.frame_rate.value()
    };
    let cost = |rendition: &Rendition| megapixels(rendition) * rendition.codec.effort();
    let group = |group: &[Rendition]| group.iter().map(cost).sum();
    let greatest = |costs: &mut dyn Iterator<Item = f64>| costs.fold(0.0, f64::max);
    // Taking back the brightness costs as much as encoding does, and is done once, at the largest size.
    let toned = match picture.transfer {
        Transfer::Sdr => 0.0,
        Transfer::Pq | Transfer::Hlg => greatest(&mut renditions.iter().map(megapixels)),
    };
    let together = greatest(&mut by_codec(renditions).map(group)) + toned;
    let alone = greatest(&mut renditions.iter().map(cost)) + toned;
    let split = together > alone && TASK_MEGAPIXELS / together < SHORTEST_CHUNK_SECONDS;
    let seconds = (TASK_MEGAPIXELS / if split { alone } else { together }).min(longest);
    (grid.segments_in(seconds), split)
}

/// The nearest standard rate. Above 60 it is halved first: 120 becomes 60 and 100 becomes 50, by
/// leaving out every second frame evenly.
fn output_rate(source: Ratio) -> Ratio {
    let mut rate = source.value();
    if !rate.is_finite() || rate <= 0.0 {
        return USUAL_RATE;
    }
    while rate > 60.5 {
        rate /= 2.0;
    }
    let mut nearest = USUAL_RATE;
    for standard in STANDARD_RATES {
        if (standard.value() - rate).abs() < (nearest.value() - rate).abs() {
            nearest = standard;
        }
    }
    nearest
}

/// All rungs the source reaches, and its own size where that is a quarter above the last of them
/// (540p, 900p) or below the first.
fn renditions(width: u32, height: u32, frame_rate: Ratio) -> Vec<Rendition> {
    let short = width.min(height);
    let mut sides: Vec<u32> = RUNGS.into_iter().filter(|rung| *rung <= short).collect();
    let own_size_pays = match sides.last() {
        None => true,
        Some(last) => short < RUNGS[RUNGS.len() - 1] && short * 4 >= last * 5,
    };
    if own_size_pays {
        sides.push(short);
    }
    sides.into_iter().map(|side| rendition(width, height, side, frame_rate)).collect()
}

fn rendition(width: u32, height: u32, side: u32, frame_rate: Ratio) -> Rendition {
    let (short, long) = (f64::from(width.min(height)), f64::from(width.max(height)));
    let scale = (f64::from(side) / short).min(f64::from(LONGEST_SIDE) / long).min(1.0);
    let (width, height) =
        (even(f64::from(width) * scale, width), even(f64::from(height) * scale, height));
    Rendition {
        name: format!("{}p", side - side % 2),
        width,
        height,
        max_kbps: ceiling_kbps(width, height, frame_rate),
        codec: VideoCodec::H264,
    }
}

/// To the nearest even number that is not above the source: 4:2:0 has half as many colour samples.
fn even(length: f64, source: u32) -> u32 {
    let nearest = (length / 2.0).round() as u32 * 2;
    nearest.min(source - source % 2).max(2)
}

/// 900 kbit/s for 640x360 at up to 30 frames. Bits grow slower than pixels do (power 0.75), and
/// twice the frames need less than half as much again.
fn ceiling_kbps(width: u32, height: u32, frame_rate: Ratio) -> u32 {
    let pixels = f64::from(width) * f64::from(height) / (640.0 * 360.0);
    let fast = if frame_rate.value() > 30.5 { 1.4 } else { 1.0 };
    tens(900.0 * pixels.powf(0.75) * fast)
}

/// A ceiling in round numbers.
fn tens(kbps: f64) -> u32 {
    ((kbps / 10.0).round() as u32 * 10).max(100)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        max_duration_seconds: 7200,
        max_pixels: MAX_PIXELS,
        chunk_seconds: 60,
        segment_seconds: 4,
        extras: Extras::NONE,
        ceilings: Ceilings::Fixed,
        key_seconds: 300,
    };

    /// Nine seconds of 720p with sound.
    pub(crate) fn plan_of_job() -> TranscodePlan {
        plan(&probe(1280, 720), &LIMITS).unwrap().for_job(&LIMITS)
    }

    #[test]
    fn a_job_has_one_work_to_a_track_and_texts_and_images_stay_ours() {
        let ours = plan(&Probe { texts: vec![text(0)], ..probe(1280, 720) }, &LIMITS).unwrap();
        let plan = ours.clone().for_job(&LIMITS);
        let works = plan.works();
        let names: Vec<_> = works.iter().map(Work::name).collect();
        assert_eq!(names, ["audio", "text-1", "360p-00001", "720p-00001", "images-00001"]);
        let mine: Vec<_> = works.iter().filter(|work| plan.is_ours(work)).map(Work::name).collect();
        assert_eq!(mine, ["text-1", "images-00001"]);
        assert!(works.iter().all(|work| ours.is_ours(work)));
        // Neither plan's segments are the other's.
        assert_ne!(plan.digest(), ours.digest());
        let long = super::plan(&Probe { duration_seconds: 130.0, ..probe(1280, 720) }, &LIMITS);
        let names: Vec<_> = long.unwrap().for_job(&LIMITS).works().iter().map(Work::name).collect();
        let images = ["images-00001", "images-00016", "images-00031"];
        assert_eq!(names, ["audio", "360p-00001", "720p-00001", images[0], images[1], images[2]]);
    }

    fn probe(width: u32, height: u32) -> Probe {
        Probe {
            duration_seconds: 9.0,
            start_micros: 0,
            video: Some(VideoStream {
                width,
                height,
                frame_rate: Ratio::new(25, 1),
                codec: "h264".into(),
                picture: Picture::default(),
            }),
            audio: vec![sound(0, 2)],
            texts: vec![],
        }
    }

    fn sound(stream: u32, channels: u32) -> AudioStream {
        let (codec, label) = ("aac".into(), Label::default());
        AudioStream { stream, codec, channels, default: false, label }
    }

    fn text(stream: u32) -> TextStream {
        TextStream { stream, codec: "subrip".into(), default: false, label: Label::default() }
    }

    fn sizes(width: u32, height: u32) -> Vec<(String, u32, u32)> {
        let plan = plan(&probe(width, height), &LIMITS).unwrap();
        plan.renditions.into_iter().map(|r| (r.name, r.width, r.height)).collect()
    }

    fn size(name: &str, width: u32, height: u32) -> (String, u32, u32) {
        (name.into(), width, height)
    }

    #[test]
    fn a_film_gets_the_rungs_it_reaches() {
        let (low, middle) = (size("360p", 640, 360), size("720p", 1280, 720));
        assert_eq!(sizes(1280, 720), [low.clone(), middle.clone()]);
        let full = [low.clone(), middle, size("1080p", 1920, 1080)];
        assert_eq!(sizes(1920, 1080), full);
        assert_eq!(sizes(3840, 2160), full);
        assert_eq!(sizes(640, 360), [low]);
    }

    #[test]
    fn own_size_is_kept_where_it_pays() {
        assert_eq!(sizes(960, 540), [size("360p", 640, 360), size("540p", 960, 540)]);
        assert_eq!(sizes(652, 368), [size("360p", 638, 360)]);
        assert_eq!(sizes(320, 240), [size("240p", 320, 240)]);
    }

    #[test]
    fn portrait_and_odd_sizes_are_handled() {
        assert_eq!(sizes(720, 1280), [size("360p", 360, 640), size("720p", 720, 1280)]);
        assert_eq!(sizes(321, 241), [size("240p", 320, 240)]);
        assert_eq!(sizes(1279, 719), [size("360p", 640, 360), size("718p", 1278, 718)]);
        assert_eq!(sizes(20_000, 400), [size("360p", 4096, 82)]);
    }

    #[test]
    fn rates_become_standard() {
        for (source, expected) in [
            (Ratio::new(24_000, 1001), Ratio::new(24_000, 1001)),
            (Ratio::new(24, 1), Ratio::new(24, 1)),
            (Ratio::new(30_000, 1001), Ratio::new(30_000, 1001)),
            (Ratio::new(2987, 100), Ratio::new(30_000, 1001)),
            (Ratio::new(60_000, 1001), Ratio::new(60_000, 1001)),
            (Ratio::new(120, 1), Ratio::new(60, 1)),
            (Ratio::new(100, 1), Ratio::new(50, 1)),
            (Ratio::new(90_000, 1), Ratio::new(48, 1)),
            (Ratio::new(1, 1), Ratio::new(10, 1)),
            (Ratio::new(0, 0), USUAL_RATE),
        ] {
            assert_eq!(output_rate(source), expected, "{source:?}");
        }
    }

    #[test]
    fn segments_hold_whole_frames() {
        let mut source = probe(640, 360);
        source.video.as_mut().unwrap().frame_rate = Ratio::new(30_000, 1001);
        let grid = plan(&source, &LIMITS).unwrap().grid;
        assert_eq!((grid.segment_frames, grid.frames, grid.segments()), (120, 270, 3));
        assert!((grid.segment_seconds() - 4.004).abs() < 1e-9);
        assert!((grid.duration_seconds() - 9.009).abs() < 1e-9);
        assert_eq!(grid.frames_of(&(1..3)), 120..270);
        assert_eq!(grid.frames_of(&(0..1)), 0..120);
        let long = plan(&source, &Limits { segment_seconds: 6, ..LIMITS }).unwrap().grid;
        assert_eq!((long.segment_frames, long.frames, long.segments()), (180, 270, 2));
    }

    fn names(probe: &Probe, limits: &Limits) -> Vec<String> {
        plan(probe, limits).unwrap().works().iter().map(Work::name).collect()
    }

    #[test]
    fn a_task_per_chunk_and_one_for_the_sound() {
        let mut source = probe(1280, 720);
        assert_eq!(names(&source, &LIMITS), ["audio", "360p+720p-00001"]);
        source.audio = vec![];
        let short = Limits { chunk_seconds: 4, ..LIMITS };
        let expected = ["360p+720p-00001", "360p+720p-00002", "360p+720p-00003"];
        assert_eq!(names(&source, &short), expected);
    }

    #[test]
    fn every_sound_gets_stereo_and_every_text_a_track() {
        let mut source = probe(640, 360);
        source.audio = vec![sound(0, 1), AudioStream { default: true, ..sound(1, 8) }, sound(2, 6)];
        source.texts = vec![text(0), TextStream { default: true, ..text(3) }];
        let plan = plan(&source, &LIMITS).unwrap();
        let sounds: Vec<_> = plan.sounds.iter().map(|s| (&*s.name, s.stream, s.channels)).collect();
        let expected = [
            ("audio", 1, 2),
            ("audio-2", 0, 2),
            ("audio-3", 2, 2),
            ("audio-surround", 1, 6),
            ("audio-3-surround", 2, 6),
        ];
        assert_eq!(sounds, expected);
        let texts: Vec<_> = plan.texts.iter().map(|text| (&*text.name, text.stream)).collect();
        assert_eq!(texts, [("text-1", 3), ("text-2", 0)]);
        let tracks = plan.tracks();
        assert_eq!(tracks.len(), 8);
        let works = plan.works();
        let made: Vec<&str> = works.iter().flat_map(Work::tracks).collect();
        assert_eq!(made[..7], tracks[1..], "before the picture");
        let stored = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<TranscodePlan>(&stored).unwrap(), plan);
    }

    #[test]
    fn what_everybody_can_play_is_always_made_and_more_by_wish() {
        let mut source = probe(1280, 720);
        source.audio.push(sound(1, 6));
        let limits = Limits { extras: "hevc, av1,opus".parse().unwrap(), ..LIMITS };
        let plan = plan(&source, &limits).unwrap();
        let expected = [
            ("360p", VideoCodec::H264, 900),
            ("720p", VideoCodec::H264, 2550),
            ("360p-hevc", VideoCodec::Hevc, 630),
            ("720p-hevc", VideoCodec::Hevc, 1790),
            ("360p-av1", VideoCodec::Av1, 540),
            ("720p-av1", VideoCodec::Av1, 1530),
        ];
        let made: Vec<_> =
            plan.renditions.iter().map(|r| (&*r.name, r.codec, r.max_kbps)).collect();
        assert_eq!(made, expected);
        let sounds: Vec<_> = plan.sounds.iter().map(|s| (&*s.name, s.codec, s.channels)).collect();
        let (aac, opus) = (AudioCodec::Aac, AudioCodec::Opus);
        let expected = [
            ("audio", aac, 2),
            ("audio-2", aac, 2),
            ("audio-2-surround", aac, 6),
            ("audio-opus", opus, 2),
            ("audio-2-opus", opus, 2),
        ];
        assert_eq!(sounds, expected);
        let tasks: Vec<_> = plan.works().iter().map(Work::name).collect();
        let chunk = ["360p+720p-00001", "360p-hevc+720p-hevc-00001", "360p-av1+720p-av1-00001"];
        assert_eq!(tasks[5..], chunk);
        assert!("h264".parse::<Extras>().is_err());
        assert_eq!("".parse(), Ok(Extras::NONE));
    }

    #[test]
    fn one_task_of_each_chunk_makes_its_images() {
        let mut source = probe(3840, 2160);
        source.duration_seconds = 7200.0;
        let limits = Limits { extras: "av1".parse().unwrap(), ..LIMITS };
        let mut plan = plan(&source, &limits).unwrap();
        for split in [false, true] {
            plan.split = split;
            let works = plan.works();
            let makers = works.iter().filter(|w| matches!(w, Work::Video { images: Some(_), .. }));
            assert_eq!(makers.count() as u64, plan.grid.segments().div_ceil(plan.chunk_segments));
        }
        let Images { poster, poster_segment, tile } = plan.images.unwrap();
        assert_eq!((poster.width, poster.height), (1280, 720));
        assert_eq!((tile.width, tile.height), (160, 90));
        assert_eq!(poster_segment, 75, "not a tenth of two hours, but five minutes");
        let short = super::plan(&probe(90, 160), &LIMITS).unwrap().images.unwrap();
        assert_eq!(short.poster_segment, 0);
        assert_eq!(short.tile, Size { width: 90, height: 160 });
    }

    #[test]
    fn ceilings_follow_the_film_within_reason() {
        let spent = |factor: f64| {
            let mut plan = plan(&probe(1280, 720), &LIMITS).unwrap();
            plan.spend(factor);
            plan.renditions.iter().map(|r| r.max_kbps).collect::<Vec<_>>()
        };
        assert_eq!(spent(1.0), [900, 2550]);
        assert_eq!(spent(0.6), [540, 1530]);
        assert_eq!(spent(0.0), [360, 1020]);
        assert_eq!(spent(9.0), [1350, 3830]);
        assert_eq!(spent(f64::NAN), [900, 2550]);
    }

    #[test]
    fn more_streams_than_anyone_chooses_from_are_left_out() {
        let mut source = probe(640, 360);
        source.audio = (0..30).map(|stream| sound(stream, 2)).collect();
        source.audio[29].default = true;
        source.texts = (0..30).map(text).collect();
        let plan = plan(&source, &LIMITS).unwrap();
        assert_eq!((plan.sounds.len(), plan.texts.len()), (MOST_SOUNDS, MOST_TEXTS));
        assert_eq!(plan.sounds[0].stream, 29);
    }

    #[test]
    fn ten_minutes_are_ten_chunks_at_least() {
        for (width, height) in [(640, 360), (1280, 720), (1920, 1080)] {
            let mut source = probe(width, height);
            source.duration_seconds = 600.0;
            assert!(names(&source, &LIMITS).len() > 10);
        }
    }

    #[test]
    fn what_is_costly_is_cut_shorter_and_then_by_rendition() {
        let at = |rate: u32, width: u32, height: u32| {
            let mut source = probe(width, height);
            source.duration_seconds = 600.0;
            source.video.as_mut().unwrap().frame_rate = Ratio::new(rate, 1);
            let plan = plan(&source, &LIMITS).unwrap();
            (plan.chunk_segments, plan.split)
        };
        assert_eq!(at(25, 640, 360), (15, false));
        assert_eq!(at(50, 1920, 1080), (6, false));
        // 16:9 in the other direction: three rungs of the same cost.
        assert_eq!(at(60, 3840, 2160), (5, false));
        assert_eq!(at(60, 4096, 1080), (4, true));
    }

    #[test]
    fn a_plain_picture_is_not_written_and_another_travels_with_every_task() {
        let plain = plan(&probe(640, 360), &LIMITS).unwrap();
        assert!(!serde_json::to_string(&(&plain, plain.works())).unwrap().contains("picture"));
        let mut source = probe(640, 360);
        let picture = Picture { interlaced: true, transfer: Transfer::Hlg, ..Picture::default() };
        source.video.as_mut().unwrap().picture = picture;
        let plan = plan(&source, &LIMITS).unwrap();
        let text = serde_json::to_string(&plan.works()[1]).unwrap();
        assert!(text.contains(r#","picture":{"interlaced":true,"transfer":"hlg"},"#), "{text}");
        let read: Work = serde_json::from_str(&text).unwrap();
        assert_eq!(read, plan.works()[1]);
        assert_ne!(plan.digest(), plain.digest());
        assert!(plan.chunk_segments <= plain.chunk_segments);
    }

    #[test]
    fn refusals_say_why() {
        let mut silent = probe(640, 360);
        silent.video = None;
        assert_eq!(plan(&silent, &LIMITS), Err(Refusal::NoVideo));
        for duration in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let mut source = probe(640, 360);
            source.duration_seconds = duration;
            assert_eq!(plan(&source, &LIMITS), Err(Refusal::UnknownDuration));
        }
        let mut long = probe(640, 360);
        long.duration_seconds = 7200.2;
        let refusal = plan(&long, &LIMITS).unwrap_err();
        assert_eq!(refusal.to_string(), "The film lasts 7201 seconds; at most 7200 are accepted.");
        assert!(matches!(
            plan(&probe(u32::MAX, u32::MAX), &LIMITS),
            Err(Refusal::TooManyPixels { .. })
        ));
        assert!(matches!(plan(&probe(640, 15), &LIMITS), Err(Refusal::TooSmall { .. })));
        assert!(matches!(plan(&probe(0, 0), &LIMITS), Err(Refusal::TooSmall { .. })));
    }

    #[test]
    fn work_is_stored_as_written() {
        let plan = plan(&probe(640, 360), &LIMITS).unwrap();
        let text = serde_json::to_string(&plan.works()[1..]).unwrap();
        assert!(text.starts_with(r#"[{"kind":"video","renditions":[{"name":"360p""#), "{text}");
        assert_eq!(serde_json::from_str::<Vec<Work>>(&text).unwrap(), plan.works()[1..]);
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<TranscodePlan>(&text).unwrap(), plan);
        assert_eq!(plan.digest().len(), 16);
        let other = TranscodePlan { chunk_segments: 1, ..plan.clone() };
        assert_ne!(plan.digest(), other.digest());
    }

    proptest! {
        #[test]
        fn no_rendition_is_upscaled_or_odd(
            width in 16u32..9000, height in 16u32..4000,
            numerator in 1u32..200_000, denominator in 1u32..2000, duration in 0.01f64..7200.0,
        ) {
            // What is larger is refused, which another test shows.
            prop_assume!(u64::from(width) * u64::from(height) <= LIMITS.max_pixels);
            let mut source = probe(width, height);
            source.duration_seconds = duration;
            source.video.as_mut().unwrap().frame_rate = Ratio::new(numerator, denominator);
            let plan = plan(&source, &LIMITS).unwrap();
            prop_assert!(!plan.renditions.is_empty());
            let mut names = std::collections::BTreeSet::new();
            for rendition in &plan.renditions {
                prop_assert!(rendition.width <= width && rendition.height <= height);
                prop_assert!(rendition.width % 2 == 0 && rendition.height % 2 == 0);
                prop_assert!(rendition.width >= 2 && rendition.height >= 2);
                prop_assert!(names.insert(rendition.name.clone()), "a name twice");
            }
            let grid = &plan.grid;
            prop_assert!((3.9..=4.1).contains(&grid.segment_seconds()));
            let works = plan.works();
            prop_assert!(works.iter().all(|work| work.grid() == grid));
            let tasks: std::collections::BTreeSet<_> = works.iter().map(Work::name).collect();
            prop_assert_eq!(tasks.len(), works.len());
            // Every frame of every rendition once.
            for rendition in &plan.renditions {
                let mut end = 0;
                for work in &works {
                    let Work::Video { renditions, segments, .. } = work else { continue };
                    if renditions.contains(rendition) {
                        let frames = grid.frames_of(segments);
                        prop_assert_eq!(frames.start, end);
                        end = frames.end;
                    }
                }
                prop_assert_eq!(end, grid.frames);
            }
        }
    }
}
