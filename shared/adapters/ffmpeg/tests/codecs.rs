//! What comes out besides H.264 and AAC: other codecs by wish, the storyboard and the poster; and what
//! samples say of a film. With the real tools, found in FFMPEG_DIRECTORY or on PATH.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod tools;

use std::collections::BTreeMap;
use std::path::Path;

use adapter_ffmpeg::Ffmpeg;
use domain::ladder::{Ceilings, Extras, Limits, Picture, TranscodePlan, Transfer, Work, plan};
use domain::presentation::{EncodedTrack, Piece};
use tempfile::TempDir;
use tools::{output, tools};

/// A chunk is one segment, as long as they are by default.
const LIMITS: Limits = Limits {
    max_duration_seconds: 120,
    max_pixels: 36_000_000,
    chunk_seconds: 6,
    segment_seconds: 6,
    extras: Extras { hevc: true, av1: true, opus: true },
    ceilings: Ceilings::PerTitle,
    key_seconds: 300,
};
/// The film's first beep.
const BEEP: f64 = 5.0;

fn run(tool: &str, arguments: &[&str]) -> (Vec<u8>, String) {
    let output = output(tool, arguments);
    (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Nine seconds that get brighter from frame to frame, with a beep.
fn film(directory: &TempDir) -> String {
    film_of(directory, "16+N")
}

/// Nine seconds of that luma.
fn film_of(directory: &TempDir, luma: &str) -> String {
    let path = directory.path().join("film.mp4").to_string_lossy().into_owned();
    let picture = format!(
        "color=gray:size=320x180:rate=25:duration=9,format=yuv420p,geq=lum='{luma}':cb=128:cr=128"
    );
    let beep = format!("aevalsrc=sin(2*PI*880*t)*gte(t\\,{BEEP}):s=48000:d=9");
    let inputs = ["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &beep];
    let codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "10", "-c:a", "pcm_s16le"];
    run("ffmpeg", &[&["-v", "error", "-y"], &inputs[..], &codecs, &["-f", "mov", &path]].concat());
    path
}

async fn planned(source: &str) -> TranscodePlan {
    let probe = Ffmpeg::for_local_files(tools()).probe(source).await.unwrap();
    plan(&probe, &LIMITS).unwrap()
}

/// All pieces of each track, in order; every task has a directory of its own in `output`.
async fn encoded(
    source: &str,
    plan: &TranscodePlan,
    output: &Path,
) -> BTreeMap<String, Vec<(String, Piece)>> {
    let ffmpeg = Ffmpeg::for_local_files(tools());
    let mut tracks: BTreeMap<String, Vec<(String, Piece)>> = BTreeMap::new();
    for work in plan.works() {
        let directory = output.join(work.name());
        for piece in ffmpeg.encode(source, &work, &directory).await.unwrap() {
            tracks.entry(piece.track.clone()).or_default().push((work.name(), piece));
        }
    }
    tracks
}

/// Init segment and all segments as one file, as a player sees them.
fn joined(output: &Path, track: &str, pieces: &[(String, Piece)]) -> String {
    let read =
        |task: &str, file: &str| std::fs::read(output.join(task).join(track).join(file)).unwrap();
    let mut bytes = read(&pieces[0].0, "init.mp4");
    for (task, piece) in pieces {
        assert_eq!(piece.init, pieces[0].1.init, "{task}: another init segment");
        for (number, _) in (piece.first_segment + 1..).zip(&piece.encoded.segments) {
            bytes.extend(read(task, &format!("{number:05}.m4s")));
        }
    }
    let path = output.join(format!("{track}.mp4"));
    std::fs::write(&path, bytes).unwrap();
    path.to_string_lossy().into_owned()
}

/// The luma in the middle of every picture of a file, at its own size.
fn lumas(file: &str) -> Vec<u8> {
    let one = "crop=32:32:(iw-32)/2:(ih-32)/2,format=gray";
    let raw = ["-fps_mode", "passthrough", "-vf", one, "-f", "rawvideo", "-"];
    let (bytes, complaints) = run("ffmpeg", &[&["-v", "warning", "-i", file], &raw[..]].concat());
    assert_eq!(complaints, "", "{file}");
    bytes.chunks(32 * 32).map(|picture| picture[0]).collect()
}

fn close(one: u8, other: u8) -> bool {
    one.abs_diff(other) <= 4
}

#[tokio::test]
async fn every_codec_has_every_frame_and_key_frames_at_the_same_places() {
    let directory = tempfile::tempdir().unwrap();
    let source = film(&directory);
    let plan = planned(&source).await;
    let tracks = encoded(&source, &plan, directory.path()).await;
    assert_eq!(tracks.len(), plan.tracks().len());
    let codecs = [("180p", "avc1.64"), ("180p-hevc", "hvc1.1.6.L"), ("180p-av1", "av01.0.0")];
    for (track, codec) in codecs {
        let pieces = &tracks[track];
        assert_eq!(pieces.len(), 2, "{track}");
        assert!(pieces[0].1.encoded.codecs.starts_with(codec), "{:?}", pieces[0].1.encoded);
        let file = joined(directory.path(), track, pieces);
        let shown = lumas(&file);
        assert_eq!(shown.len(), 225, "{track}");
        for (frame, luma) in shown.iter().enumerate() {
            // From limited range to full.
            let expected = (frame as f64 * 255.0 / 219.0).min(255.0).round() as u8;
            assert!(close(*luma, expected), "{track}, frame {frame}: {luma}, not {expected}");
        }
        let wanted = ["-v", "error", "-select_streams", "v", "-show_entries", "packet=pts,flags"];
        let (packets, _) = run("ffprobe", &[&wanted[..], &["-of", "csv=p=0", &file]].concat());
        let packets = String::from_utf8(packets).unwrap();
        let keys: Vec<_> = (0..)
            .zip(packets.lines())
            .filter_map(|(index, line)| line.contains('K').then_some(index))
            .collect();
        assert_eq!(keys, [0, 150], "{track}");
    }
}

/// Where the beep begins, in seconds, and how long all of the sound is.
fn heard(file: &str) -> (f64, f64) {
    let raw = ["-f", "f32le", "-ac", "1", "-ar", "48000", "-"];
    let (bytes, complaints) = run("ffmpeg", &[&["-v", "warning", "-i", file], &raw[..]].concat());
    assert_eq!(complaints, "", "{file}");
    let samples: Vec<f32> =
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let first = samples.iter().position(|sample| sample.abs() > 0.1).unwrap();
    (first as f64 / 48_000.0, samples.len() as f64 / 48_000.0)
}

#[tokio::test]
async fn opus_is_on_time() {
    let directory = tempfile::tempdir().unwrap();
    let source = film(&directory);
    let tracks = encoded(&source, &planned(&source).await, directory.path()).await;
    let of = |track: &str| -> &EncodedTrack { &tracks[track][0].1.encoded };
    assert_eq!((&*of("audio").codecs, &*of("audio-opus").codecs), ("mp4a.40.2", "opus"));
    for track in ["audio", "audio-opus"] {
        let (start, length) = heard(&joined(directory.path(), track, &tracks[track]));
        assert!((start - BEEP).abs() < 0.005, "{track}: {start}");
        assert!((length - 9.0).abs() < 0.022, "{track}: {length}");
    }
}

/// Of a sheet's first tile, which is so large.
fn lumas_of_tile(directory: &TempDir, sheet: &Path, size: &str) -> u8 {
    let cut = directory.path().join("tile.png").to_string_lossy().into_owned();
    let (sheet, crop) = (sheet.to_string_lossy(), format!("crop={size}:0:0"));
    run("ffmpeg", &["-v", "error", "-y", "-i", &sheet, "-vf", &crop, &cut]);
    lumas(&cut)[0]
}

#[tokio::test]
async fn every_segment_has_a_tile_and_the_film_a_poster() {
    let directory = tempfile::tempdir().unwrap();
    let source = film(&directory);
    let plan = planned(&source).await;
    encoded(&source, &plan, directory.path()).await;
    let makers: Vec<String> = plan
        .works()
        .iter()
        .filter(|work| matches!(work, Work::Video { images: Some(_), .. }))
        .map(Work::name)
        .collect();
    assert_eq!(makers, ["180p-00001", "180p-00002"]);
    let tile = |task: &str, sheet: &str| {
        let file = directory.path().join(task).join("storyboard").join(sheet);
        lumas_of_tile(&directory, &file, "160:90")
    };
    for (task, sheet, frame) in
        [("180p-00001", "00001.jpg", 0.0), ("180p-00002", "00002.jpg", 150.0)]
    {
        let expected = (frame * 255.0 / 219.0f64).min(255.0).round() as u8;
        let found = tile(task, sheet);
        assert!(close(found, expected), "{sheet}: {found}, not {expected}");
    }
}

#[tokio::test]
async fn the_poster_is_not_the_darkness_before_the_film() {
    let directory = tempfile::tempdir().unwrap();
    let source = film_of(&directory, "if(lt(N,20),16,150)");
    let plan = planned(&source).await;
    encoded(&source, &plan, directory.path()).await;
    let poster = directory.path().join("180p-00001/poster.jpg");
    let wanted = ["-v", "error", "-show_entries", "stream=codec_name,width,height,color_range"];
    let path = poster.to_string_lossy();
    let (said, _) = run("ffprobe", &[&wanted[..], &["-of", "csv=p=0", &path]].concat());
    assert_eq!(String::from_utf8(said).unwrap().trim(), "mjpeg,320,180,pc");
    let plain = directory.path().join("poster.png").to_string_lossy().into_owned();
    run("ffmpeg", &["-v", "error", "-y", "-i", &path, &plain]);
    assert!(close(lumas(&plain)[0], 156), "{:?}", lumas(&plain));
}

/// In ordinary brightness and in high, which is brought down before.
#[tokio::test]
async fn beside_a_job_the_same_images_are_made_alone() {
    let directory = tempfile::tempdir().unwrap();
    let source = film(&directory);
    for transfer in [Transfer::Sdr, Transfer::Pq] {
        let mut plan = planned(&source).await;
        plan.picture = Picture { transfer, ..plan.picture };
        plan.renditions.truncate(1);
        plan.sounds.clear();
        let output = directory.path().join(format!("{transfer:?}"));
        encoded(&source, &plan, &output).await;
        let mut beside = plan.clone().for_job(&LIMITS);
        beside.renditions.clear();
        assert!(encoded(&source, &beside, &output).await.is_empty());
        let read = |task: &str, file: &str| std::fs::read(output.join(task).join(file)).unwrap();
        for file in ["poster.jpg", "storyboard/00001.jpg"] {
            let same = read("images-00001", file) == read("180p-00001", file);
            assert!(same, "{file}, {transfer:?}");
        }
        // High brightness is brought down at the size of the largest picture, here a tile: near enough.
        let sheet = read("images-00002", "storyboard/00002.jpg");
        assert!(sheet == read("180p-00002", "storyboard/00002.jpg") || transfer == Transfer::Pq);
    }
}

/// A key frame each 40 s, in a container that finds none: what a chunk begins with is looked for again.
#[tokio::test]
async fn images_alone_have_the_frames_of_their_chunk() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("film.ts").to_string_lossy().into_owned();
    let picture = "color=gray:size=64x36:rate=25:duration=48,format=yuv420p,\
                   geq=lum='16+mod(N,200)':cb=128:cr=128";
    let codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "10", "-g", "1000"];
    let input = ["-v", "error", "-y", "-f", "lavfi", "-i", picture];
    run("ffmpeg", &[&input[..], &codecs, &["-sc_threshold", "0", &source]].concat());
    let mut plan = planned(&source).await.for_job(&LIMITS);
    plan.renditions.clear();
    encoded(&source, &plan, directory.path()).await;
    for (chunk, first) in [("00001", 0.0), ("00004", 450.0), ("00007", 900.0), ("00008", 1050.0)] {
        let sheet = directory.path().join(format!("images-{chunk}/storyboard/{chunk}.jpg"));
        let shown = lumas_of_tile(&directory, &sheet, "64:36");
        let expected = ((first % 200.0) * 255.0 / 219.0f64).min(255.0).round() as u8;
        assert!(close(shown, expected), "{chunk}: {shown}, not {expected}");
    }
}

#[tokio::test]
async fn samples_tell_a_quiet_film_from_a_restless_one() {
    let directory = tempfile::tempdir().unwrap();
    let measured = async |name: &str, picture: &str| {
        let path = directory.path().join(name).to_string_lossy().into_owned();
        let codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"];
        let input = ["-v", "error", "-y", "-f", "lavfi", "-i", picture];
        run("ffmpeg", &[&input[..], &codecs, &[&path]].concat());
        Ffmpeg::for_local_files(tools()).measure(&path, &planned(&path).await).await.unwrap()
    };
    let quiet = measured("quiet.mp4", "color=gray:size=640x360:rate=25:duration=9").await;
    assert!(quiet < 0.2, "{quiet}");
    let noise = "nullsrc=size=640x360:rate=25:duration=9,geq=lum=random(1)*255:cb=128:cr=128";
    let restless = measured("restless.mp4", noise).await;
    assert!(restless > 2.0, "{restless}");
    // Only one sample of three has something in it: that one counts.
    let half = "nullsrc=size=640x360:rate=25:duration=70,\
                geq=lum='if(gt(T,47),random(1)*255,128)':cb=128:cr=128";
    let half = measured("half.mp4", half).await;
    assert!(half > 2.0, "{half}");
    let short = measured("short.mp4", "color=gray:size=640x360:rate=25:duration=2").await;
    assert!((short - 1.0).abs() < 1e-9, "{short}");
}
