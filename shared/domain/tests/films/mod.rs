//! Films as the pipeline makes them: what a probe may see, the ladder's own plan for it, and tracks
//! that are cut as the encoder cuts them, with sizes at random.

use domain::label::{Label, Purpose};
use domain::ladder::{
    AudioCodec, AudioStream, Ceilings, Extras, Grid, Limits, Picture, Probe, Ratio, TextStream,
    TranscodePlan, VideoCodec, VideoStream, Work, plan,
};
use domain::presentation::{
    EncodedSegment, EncodedTrack, Growing, Links, Piece, Presentation, TrackKind,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Samples of sound in a second, and in a frame of AAC.
pub const SAMPLE_RATE: u64 = 48_000;
pub const AUDIO_FRAME: u64 = 1024;

/// A film, and what of it could be watched while it was transcoded.
#[derive(Debug, Clone)]
pub struct Film {
    pub grid: Grid,
    pub whole: Presentation,
    pub beginning: Option<Presentation>,
}

pub fn any_film() -> impl Strategy<Value = Film> {
    let extras = (any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(hevc, av1, opus)| Extras { hevc, av1, opus });
    let film = (any_probe(), extras, vec(0.05f64..1.0, 1..40), 0.0f64..1.0, 2_u64..=10);
    film.prop_map(|(probe, extras, sizes, done, segment_seconds)| {
        let limits = Limits {
            max_duration_seconds: 1200,
            max_pixels: 1 << 26,
            chunk_seconds: 8,
            segment_seconds,
            extras,
            ceilings: Ceilings::Fixed,
            key_seconds: 300,
        };
        let plan = plan(&probe, &limits).unwrap();
        let off = plan.grid.segment_seconds() - segment_seconds as f64;
        assert!(off.abs() <= 0.5, "{off} s off what the stack says");
        made(&plan, &sizes, done)
    })
}

/// Relative ones, and signed ones as they are served, with what a template could misread.
pub fn any_links() -> impl Strategy<Value = Links> {
    let query = r"Policy=[A-Za-z0-9$~_-]{1,60}&Signature=[A-Za-z0-9$~_-]{1,60}";
    prop_oneof![
        Just(Links::relative()),
        ("[0-9a-f]{32}", "[0-9a-f]{64}", query).prop_map(|(video, grant, query)| Links::signed(
            &format!("/v/{video}/"),
            &grant,
            &query
        )),
        (any::<String>(), any::<String>(), any::<String>()).prop_map(|(video, grant, query)| {
            Links::signed(&format!("/v/{video}/"), &grant, &query)
        }),
    ]
}

fn any_label() -> impl Strategy<Value = Label> {
    use proptest::option::of;
    let purpose = select(vec![
        Purpose::Plain,
        Purpose::Plain,
        Purpose::Commentary,
        Purpose::Forced,
        Purpose::HearingImpaired,
        Purpose::Described,
    ]);
    let language = prop_oneof![
        4 => select(vec!["eng", "ger", "por-BR", "zh_Hant_TW", "tlh", "und", "q", "x-home"]).prop_map(String::from),
        1 => any::<String>(),
    ];
    let title = prop_oneof![Just("Director's \"cut\" <&>".to_owned()), any::<String>()];
    (of(language), of(title), purpose).prop_map(|(language, title, purpose)| {
        Label::new(language.as_deref(), title.as_deref(), purpose)
    })
}

fn any_probe() -> impl Strategy<Value = Probe> {
    let duration = prop_oneof![0.02f64..9.0, 4.0f64..90.0, 90.0f64..1200.0];
    let rate = prop_oneof![
        select(vec![(24_000, 1001), (25, 1), (30_000, 1001), (60, 1), (10, 1), (120, 1), (0, 0)]),
        (1u32..200_000, 1u32..2000),
    ];
    let video = (16u32..5000, 16u32..5000, rate).prop_map(|(width, height, rate)| VideoStream {
        width,
        height,
        frame_rate: Ratio::new(rate.0, rate.1),
        codec: "h264".into(),
        picture: Picture::default(),
    });
    let audio = vec((1u32..9, any::<bool>(), any_label()), 0..5).prop_map(|streams| {
        (0..)
            .zip(streams)
            .map(|(stream, (channels, default, label))| AudioStream {
                stream,
                codec: "aac".into(),
                channels,
                default,
                label,
            })
            .collect()
    });
    let texts = vec((any::<bool>(), any_label()), 0..5).prop_map(|streams| {
        (0..)
            .zip(streams)
            .map(|(stream, (default, label))| TextStream {
                stream,
                codec: "subrip".into(),
                default,
                label,
            })
            .collect()
    });
    (duration, video, audio, texts).prop_map(|(duration_seconds, video, audio, texts)| Probe {
        duration_seconds,
        start_micros: 0,
        video: Some(video),
        audio,
        texts,
    })
}

/// `done` is how much of the picture was ready when the beginning was published.
fn made(plan: &TranscodePlan, sizes: &[f64], done: f64) -> Film {
    let works = plan.works();
    let pictures = works.iter().filter(|work| matches!(work, Work::Video { .. })).count();
    let ready = (pictures as f64 * done) as usize + works.len() - pictures;
    let pieces: Vec<Vec<Piece>> = works.iter().map(|work| pieces(work, sizes)).collect();
    let growing = Growing { since: 1_700_000_000, published_at: 1_700_000_060 };
    let assemble = |pieces: &[Vec<Piece>]| {
        Presentation::assemble("00112233445566778899aabbccddeeff", plan, pieces.concat(), growing)
            .unwrap()
    };
    let beginning = assemble(&pieces[..ready]).filter(|film| film.growing.is_some());
    Film { grid: plan.grid, whole: assemble(&pieces).unwrap(), beginning }
}

fn pieces(work: &Work, sizes: &[f64]) -> Vec<Piece> {
    let grid = work.grid();
    // How many bytes a segment has, by its number in the film and by what one could have.
    let segment = |number: u64, duration_ticks: u64, most: f64| {
        let bytes = (most * sizes[number as usize % sizes.len()]) as u64 + 600;
        EncodedSegment { duration_ticks, bytes, key_bytes: bytes.div_ceil(5) }
    };
    let piece = |track: &str, first_segment, encoded| Piece {
        track: track.into(),
        init: "cafe".into(),
        first_segment,
        encoded,
        elsewhere: None,
    };
    let Ratio { numerator, denominator } = grid.frame_rate;
    let frames = |segment: u64| {
        let frames = grid.frames_of(&(segment..segment + 1));
        frames.end - frames.start
    };
    match work {
        Work::Video { renditions, segments, .. } => renditions
            .iter()
            .map(|rendition| {
                let many = if numerator < 1000 { 1000 } else { 1 };
                let ticks = |number| frames(number) * u64::from(denominator) * many;
                let most = f64::from(rendition.max_kbps) * 125.0 * grid.segment_seconds();
                let encoded = EncodedTrack {
                    codecs: match rendition.codec {
                        VideoCodec::H264 => "avc1.64001f".into(),
                        VideoCodec::Hevc => "hvc1.1.6.L93.90".into(),
                        VideoCodec::Av1 => "av01.0.05M.08".into(),
                    },
                    timescale: numerator * many as u32,
                    kind: TrackKind::Video {
                        width: rendition.width,
                        height: rendition.height,
                        frame_rate: grid.frame_rate,
                    },
                    segments: segments
                        .clone()
                        .map(|number| segment(number, ticks(number), most))
                        .collect(),
                };
                piece(&rendition.name, segments.start, encoded)
            })
            .collect(),
        Work::Audio { sound, .. } => {
            let encoded = EncodedTrack {
                codecs: match sound.codec {
                    AudioCodec::Aac => "mp4a.40.2".into(),
                    AudioCodec::Opus => "opus".into(),
                },
                timescale: SAMPLE_RATE as u32,
                kind: TrackKind::Audio {
                    channels: sound.channels,
                    sample_rate: SAMPLE_RATE as u32,
                    stream: sound.stream,
                    label: sound.label.clone(),
                },
                segments: (0..)
                    .zip(sound_lengths(grid))
                    .map(|(number, ticks)| segment(number, ticks, 80_000.0))
                    .collect(),
            };
            vec![piece(&sound.name, 0, encoded)]
        }
        Work::Text { text, .. } => {
            let encoded = EncodedTrack {
                codecs: String::new(),
                timescale: numerator,
                kind: TrackKind::Text { label: text.label.clone() },
                segments: (0..grid.segments())
                    .map(|number| segment(number, frames(number) * u64::from(denominator), 2_000.0))
                    .collect(),
            };
            vec![Piece { init: String::new(), ..piece(&text.name, 0, encoded) }]
        }
    }
}

/// Whole frames of sound, each border at the first one that is not before the picture's.
fn sound_lengths(grid: &Grid) -> Vec<u64> {
    let border = |seconds: f64| (seconds * SAMPLE_RATE as f64).round() as u64;
    let borders = (1..grid.segments()).map(|number| border(number as f64 * grid.segment_seconds()));
    let mut lengths = Vec::new();
    let mut start = 0;
    for end in borders.chain([border(grid.duration_seconds())]) {
        let end = end.div_ceil(AUDIO_FRAME).max(1) * AUDIO_FRAME;
        // A last picture may be shorter than a frame of sound.
        if end > start {
            lengths.push(end - start);
        }
        start = end;
    }
    lengths
}
