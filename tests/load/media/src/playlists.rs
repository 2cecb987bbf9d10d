//! Writing all playlists of a film of 2 hours in five renditions, into memory.

use std::hint::black_box;
use std::time::Instant;

use domain::dash;
use domain::hls;
use domain::label::Label;
use domain::ladder::Ratio;
use domain::presentation::{
    EncodedSegment, EncodedTrack, INIT_FILE, KEY_FRAMES_SUFFIX, Links, Presentation, Track,
    TrackKind, segment_file,
};
use m3u8_rs::{Map, MediaPlaylist, MediaPlaylistType, MediaSegment};
use serde_json::{Value, json};

const TURNS: usize = 300;
const HOURS: u64 = 2;
const SEGMENT_SECONDS: u64 = 4;
/// Ticks of the picture in a second, and of a frame of it.
const TIMESCALE: u32 = 30_000;
const FRAME: u64 = 1001;
const LADDER: [(u32, u32); 5] = [(640, 360), (854, 480), (1280, 720), (1920, 1080), (2560, 1440)];

/// Sizes that differ from segment to segment, and are the same in every run.
fn spread(number: u64, below: u64) -> u64 {
    number * 7919 % below
}

fn film() -> Presentation {
    let segments = HOURS * 3600 / SEGMENT_SECONDS;
    let mut tracks = Vec::new();
    for (width, height) in LADDER {
        let mean = u64::from(width) * u64::from(height) / 2;
        let table = (0..segments).map(|number| {
            let bytes = mean + spread(number, mean);
            EncodedSegment {
                // 29.97 frames a second: 120 of them, 4.004 s.
                duration_ticks: FRAME * 120,
                bytes,
                key_bytes: bytes / 5,
            }
        });
        let encoded = EncodedTrack {
            codecs: "avc1.64001f".into(),
            timescale: TIMESCALE,
            kind: TrackKind::Video { width, height, frame_rate: Ratio::new(30_000, 1001) },
            segments: table.collect(),
        };
        tracks.push(Track::new(&format!("{height}p"), "0123456789abcdef", encoded));
    }
    // Sound is cut at whole frames of 1024 samples, so its segments differ.
    let table = (0..segments).map(|number| EncodedSegment {
        duration_ticks: 1024 * (187 + u64::from(number % 3 != 0)),
        bytes: 64_000 + spread(number, 500),
        key_bytes: 600,
    });
    let encoded = EncodedTrack {
        codecs: "mp4a.40.2".into(),
        timescale: 48_000,
        kind: TrackKind::Audio {
            channels: 2,
            sample_rate: 48_000,
            stream: 0,
            label: Label::default(),
        },
        segments: table.collect(),
    };
    tracks.push(Track::new("audio", "0123456789abcdef", encoded));
    Presentation::new("bench", tracks)
}

/// The media playlists of the tracks.
fn media(film: &Presentation, links: &Links) -> usize {
    film.tracks
        .iter()
        .filter_map(|track| hls::media(film, &track.name, links))
        .map(black_box)
        .count()
}

fn all(film: &Presentation, links: &Links) -> usize {
    let key_frames = film.videos().map(|track| format!("{}{KEY_FRAMES_SUFFIX}", track.name));
    black_box(hls::multivariant(film, links));
    black_box(dash::manifest(film, links));
    2 + media(film, links)
        + key_frames.filter_map(|name| hls::media(film, &name, links)).map(black_box).count()
}

/// The same as m3u8-rs holds it: made once, only the writing is timed.
fn as_structs(film: &Presentation, links: &Links) -> Vec<MediaPlaylist> {
    let playlist = |track: &Track| {
        let encoded = &track.encoded;
        let map = Map { uri: links.media(track, INIT_FILE), ..Map::default() };
        let segment = |(number, segment): (u64, &EncodedSegment)| MediaSegment {
            uri: links.media(track, &segment_file(number)),
            duration: (segment.duration_ticks as f64 / f64::from(encoded.timescale)) as f32,
            map: (number == 1).then(|| map.clone()),
            ..MediaSegment::empty()
        };
        MediaPlaylist {
            version: Some(7),
            target_duration: film.target_seconds,
            media_sequence: 1,
            segments: (1..).zip(&encoded.segments).map(segment).collect(),
            end_list: true,
            playlist_type: Some(MediaPlaylistType::Vod),
            independent_segments: true,
            ..MediaPlaylist::default()
        }
    };
    film.tracks.iter().map(playlist).collect()
}

/// Milliseconds of each: the least of many turns, in which one comes after the other. What disturbs the
/// machine disturbs some turns, and lasts longer than one.
fn milliseconds<const COUNT: usize>(mut subjects: [&mut dyn FnMut(); COUNT]) -> [f64; COUNT] {
    let mut best = [f64::INFINITY; COUNT];
    for _ in 0..TURNS {
        for (subject, best) in subjects.iter_mut().zip(&mut best) {
            let since = Instant::now();
            subject();
            *best = best.min(since.elapsed().as_secs_f64() * 1e3);
        }
    }
    best
}

/// The milliseconds of one media playlist for one grant: as `playlist-sign` writes it, from what is
/// stored of the film, and as m3u8-rs reads, changes and writes the stored playlist again.
fn signed(film: &Presentation) -> Result<[f64; 2], Box<dyn std::error::Error>> {
    let folder = format!("/q/{}/v/{}/", "a".repeat(40), film.video);
    let query = format!("Policy={}&Signature={}&Key-Pair-Id=K", "p".repeat(260), "s".repeat(96));
    let links = Links::signed(&folder, &"b".repeat(104), &query);
    let track = &film.tracks[0];
    let stored = serde_json::to_vec(film)?;
    let plain = hls::media(film, &track.name, &Links::relative()).ok_or("no such playlist")?;
    let rewrite = || {
        let mut playlist = m3u8_rs::parse_media_playlist_res(plain.as_bytes()).ok()?;
        for segment in &mut playlist.segments {
            segment.uri = format!("{folder}{}?{query}", segment.uri);
            if let Some(map) = &mut segment.map {
                map.uri = format!("{folder}{}?{query}", map.uri);
            }
        }
        let mut text = Vec::new();
        playlist.write_to(&mut text).ok()?;
        Some(text)
    };
    let ours = || {
        let film = Presentation::read(black_box(&stored)).ok()?;
        hls::media(&film, &track.name, &links)
    };
    let (one, other) = (ours().ok_or("ours")?, rewrite().ok_or("theirs")?);
    assert_eq!(one.lines().count(), String::from_utf8(other)?.lines().count());
    Ok(milliseconds([&mut || drop(black_box(ours())), &mut || drop(black_box(rewrite()))]))
}

pub fn run() -> Result<Value, Box<dyn std::error::Error>> {
    let film = film();
    let links = Links::relative();
    let structs = as_structs(&film, &links);
    let mut theirs = Vec::new();
    for playlist in &structs {
        playlist.write_to(&mut theirs)?;
    }
    let ours: String =
        film.tracks.iter().filter_map(|track| hls::media(&film, &track.name, &links)).collect();
    // The same lines, but for how many digits a duration has.
    assert_eq!(ours.lines().count(), String::from_utf8(theirs.clone())?.lines().count());
    let [all, media, baseline] = milliseconds([
        &mut || {
            black_box(all(black_box(&film), &links));
        },
        &mut || {
            black_box(media(black_box(&film), &links));
        },
        &mut || {
            let mut written = Vec::new();
            for playlist in black_box(&structs) {
                let mut text = Vec::new();
                let _ = playlist.write_to(&mut text);
                written.push(text);
            }
            black_box(written);
        },
    ]);
    let [signed, rewritten] = signed(&film)?;
    Ok(json!({
        "signed_ms": signed,
        "rewritten_ms": rewritten,
        "all_ms": all,
        "media_ms": media,
        "baseline_ms": baseline,
        "bytes": ours.len(),
        "baseline_bytes": theirs.len(),
        "segments": film.tracks.iter().map(|track| track.encoded.segments.len()).sum::<usize>(),
    }))
}
