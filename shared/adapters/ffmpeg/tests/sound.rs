//! Sound and subtitles with the real tools, found in FFMPEG_DIRECTORY or on PATH; without them
//! these tests fail.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod tools;

use std::path::Path;

use adapter_ffmpeg::Ffmpeg;
use domain::label::Purpose;
use domain::ladder::{Ceilings, Extras, Limits, Probe, TranscodePlan, Work, plan};
use domain::presentation::{EncodedTrack, TrackKind};
use tools::{output, tools};

/// What most films here last, in seconds: a segment and a half.
const SECONDS: &str = "6";
const LIMITS: Limits = Limits {
    max_duration_seconds: 60,
    max_pixels: 36_000_000,
    chunk_seconds: 60,
    segment_seconds: 4,
    extras: Extras::NONE,
    ceilings: Ceilings::Fixed,
    key_seconds: 300,
};

/// Runs a tool that must succeed, and gives what it printed and complained about.
fn run(tool: &str, arguments: &[&str]) -> (String, String) {
    let output = output(tool, arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// A small picture with further inputs; `more` maps and names them.
fn film(directory: &Path, name: &str, inputs: &[&str], more: &[&str]) -> String {
    let path = directory.join(name).to_string_lossy().into_owned();
    let picture = format!("testsrc2=size=320x180:rate=25:duration={SECONDS}");
    let codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"];
    let head = ["-v", "error", "-y", "-f", "lavfi", "-i", &picture];
    run("ffmpeg", &[&head[..], inputs, &["-map", "0"], &codecs, more, &[&path]].concat());
    path
}

fn write(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_string_lossy().into_owned()
}

async fn planned(source: &str) -> (Probe, TranscodePlan) {
    let probe = Ffmpeg::for_local_files(tools()).probe(source).await.unwrap();
    let plan = plan(&probe, &LIMITS).unwrap();
    (probe, plan)
}

/// Everything but the picture, by name; its files are in a directory of that name.
async fn encode(source: &str, plan: &TranscodePlan, output: &Path) -> Vec<(String, EncodedTrack)> {
    let ffmpeg = Ffmpeg::for_local_files(tools());
    let mut tracks = Vec::new();
    for work in plan.works() {
        if !matches!(work, Work::Video { .. }) {
            let pieces = ffmpeg.encode(source, &work, output).await.unwrap();
            tracks.extend(pieces.into_iter().map(|piece| (piece.track, piece.encoded)));
        }
    }
    tracks
}

/// Init segment and all segments as one file, as a player sees them. ffmpeg decodes it without a
/// word.
fn joined(output: &Path, name: &str, track: &EncodedTrack) -> String {
    let directory = output.join(name);
    let mut bytes = std::fs::read(directory.join("init.mp4")).unwrap();
    for number in 1..=track.segments.len() {
        bytes.extend(std::fs::read(directory.join(format!("{number:05}.m4s"))).unwrap());
    }
    let path = output.join(format!("{name}.mp4"));
    std::fs::write(&path, bytes).unwrap();
    let path = path.to_string_lossy().into_owned();
    let (_, complaints) = run("ffmpeg", &["-v", "warning", "-i", &path, "-f", "null", "-"]);
    assert_eq!(complaints, "", "{name}");
    path
}

/// The stretches of silence, each from and to when, as ffmpeg hears them.
fn silences(file: &str, channel: u32) -> Vec<(f64, f64)> {
    let filter = format!("pan=mono|c0=c{channel},silencedetect=n=-30dB:d=0.2");
    let (_, text) = run("ffmpeg", &["-v", "info", "-i", file, "-af", &filter, "-f", "null", "-"]);
    let after = |key: &str| -> Vec<f64> {
        let values = text.split(key).skip(1).filter_map(|rest| rest.split_whitespace().next());
        values.map(|value| value.parse().unwrap()).collect()
    };
    after("silence_start: ").into_iter().zip(after("silence_end: ")).collect()
}

#[tokio::test]
async fn two_languages_and_surround() {
    let directory = tempfile::tempdir().unwrap();
    // In 5.1 every channel beeps for itself, half a second after the last one.
    let beep = |channel: u32| format!("sin(2*PI*880*t)*between(t,{channel}*0.5,{channel}*0.5+0.5)");
    let beeps: Vec<String> = (0..6).map(beep).collect();
    let surround = format!("aevalsrc=exprs='{}':c=5.1:s=48000:d={SECONDS}", beeps.join("|"));
    let tone = format!("sine=frequency=440:sample_rate=44100:duration={SECONDS}");
    let inputs = ["-f", "lavfi", "-i", &surround, "-f", "lavfi", "-i", &tone];
    let more = ["-map", "1", "-map", "2", "-c:a", "aac", "-metadata:s:a:0", "language=ger"];
    let named = ["-metadata:s:a:1", "language=eng", "-disposition:a:0", "default"];
    let source = film(
        directory.path(),
        "film.mkv",
        &inputs,
        &[&more[..], &named, &["-disposition:a:1", "comment"]].concat(),
    );
    let (probe, plan) = planned(&source).await;
    let seen: Vec<_> = probe.audio.iter().map(|s| (s.channels, s.label.words("Sound"))).collect();
    assert_eq!(seen, [(6, "German".into()), (1, "English (commentary)".into())]);
    assert_eq!(plan.tracks(), ["180p", "audio", "audio-2", "audio-surround"]);

    let tracks = encode(&source, &plan, directory.path()).await;
    for ((name, track), expected) in tracks.iter().zip([2, 2, 6]) {
        let TrackKind::Audio { channels, sample_rate, stream, label } = &track.kind else {
            panic!("{track:?}")
        };
        assert_eq!((*channels, *sample_rate), (expected, 48_000), "{name}");
        assert_eq!(track.codecs, "mp4a.40.2");
        let language = ["de", "en"][*stream as usize];
        assert_eq!(label.language.as_deref(), Some(language), "{name}");
        let file = joined(directory.path(), name, track);
        let entries = ["-v", "error", "-show_entries", "stream=channels,channel_layout"];
        let (text, _) = run("ffprobe", &[&entries[..], &["-of", "csv=p=0", &file]].concat());
        let layout = if expected == 6 { "6,5.1" } else { "2,stereo" };
        assert_eq!(text.trim(), layout, "{name}");
        // Nothing but the first channel sounds in the first half second, and so on: none is
        // exchanged. The fourth is for the deep tones only, and is not made to sound higher.
        for channel in (0..6).filter(|channel| expected == 6 && *channel != 3) {
            let start = f64::from(channel) * 0.5;
            let quiet = silences(&file, channel);
            let heard = |at: f64| !quiet.iter().any(|(from, to)| (*from..=*to).contains(&at));
            assert!(heard(start + 0.25), "channel {channel} at {start}: {quiet:?}");
            assert!(!heard(start + 0.75), "channel {channel} after {start}: {quiet:?}");
        }
        let seconds = track.duration_seconds();
        assert!((seconds - plan.grid.duration_seconds()).abs() <= 0.020, "{name}: {seconds}");
    }
}

/// Guard: `aresample` fills a late start, `apad` and `atrim` make the end the picture's.
#[tokio::test]
async fn a_second_sound_may_begin_late_and_end_early_or_late() {
    for name in ["film.mkv", "film.mp4"] {
        let directory = tempfile::tempdir().unwrap();
        let tone = format!("sine=frequency=440:sample_rate=44100:duration={SECONDS}");
        let short = "sine=frequency=880:sample_rate=48000:duration=2";
        let long = "sine=frequency=660:sample_rate=22050:duration=9";
        let inputs = ["-f", "lavfi", "-i", &tone, "-itsoffset", "1.5", "-f", "lavfi", "-i", short];
        let longer = ["-f", "lavfi", "-i", long];
        let more = ["-map", "1", "-map", "2", "-map", "3", "-c:a", "aac"];
        let source = film(directory.path(), name, &[&inputs[..], &longer].concat(), &more);
        let (_, plan) = planned(&source).await;
        let tracks = encode(&source, &plan, directory.path()).await;
        assert_eq!(tracks.len(), 3);
        let end = plan.grid.duration_seconds();
        for (track, encoded) in &tracks {
            let seconds = encoded.duration_seconds();
            assert!((seconds - end).abs() <= 0.020, "{track} of {name}: {seconds} for {end}");
        }
        let file = joined(directory.path(), "audio-2", &tracks[1].1);
        let quiet = silences(&file, 0);
        assert_eq!(quiet.len(), 2, "{name}: {quiet:?}");
        assert!((quiet[0].1 - 1.5).abs() <= 0.020, "{name}: {quiet:?}");
        assert!((quiet[1].0 - 3.5).abs() <= 0.040, "{name}: {quiet:?}");
    }
}

#[tokio::test]
async fn a_film_without_sound_has_none() {
    let directory = tempfile::tempdir().unwrap();
    let source = film(directory.path(), "film.mp4", &[], &[]);
    let (probe, plan) = planned(&source).await;
    assert!(probe.audio.is_empty() && probe.texts.is_empty());
    assert_eq!(plan.tracks(), ["180p"]);
    assert!(plan.works().iter().all(|work| matches!(work, Work::Video { .. })));
}

const SUBRIP: &str = "\
1
00:00:00,500 --> 00:00:02,000
<i>Hello</i> & <b>you</b>

2
00:00:03,500 --> 00:00:05,000
{\\an8}A --> B
<script>alert(1)</script>

3
00:00:05,000 --> 00:00:05,900
<font color=\"red\">Löwe</font> 3 < 4
";

#[tokio::test]
async fn subtitles_become_segments() {
    let expected = "WEBVTT\n\n\
        00:00:00.500 --> 00:00:02.000\n<i>Hello</i> &amp; <b>you</b>\n\n\
        00:00:03.500 --> 00:00:05.000\nA --&gt; B\nalert(1)\n\n\
        00:00:05.000 --> 00:00:05.900\nLöwe 3 &lt; 4\n\n";
    let webm = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:s", "webvtt"];
    for (name, codecs, purpose) in [
        ("film.mkv", &["-c:s", "srt"][..], Purpose::HearingImpaired),
        ("film.mp4", &["-c:s", "mov_text"], Purpose::Forced),
        ("ass.mkv", &["-c:s", "ass"], Purpose::Plain),
        ("film.webm", &webm, Purpose::Forced),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let subtitles = write(path, "film.srt", SUBRIP);
        let disposition = match purpose {
            Purpose::HearingImpaired => "hearing_impaired",
            Purpose::Forced => "forced",
            _ => "default",
        };
        let more =
            ["-map", "1", "-metadata:s:s:0", "language=eng", "-disposition:s:0", disposition];
        let source = film(path, name, &["-i", &subtitles], &[&more[..], codecs].concat());
        let (probe, plan) = planned(&source).await;
        assert_eq!(probe.texts.len(), 1, "{name}");
        let label = &probe.texts[0].label;
        assert_eq!((label.language.as_deref(), label.purpose), (Some("en"), purpose), "{name}");
        assert_eq!(plan.tracks(), ["180p", "text-1"], "{name}");

        let output = path.join("out");
        let tracks = encode(&source, &plan, &output).await;
        let (_, track) = &tracks[0];
        assert_eq!(track.kind, TrackKind::Text { label: label.clone() }, "{name}");
        let text = |file: &str| std::fs::read_to_string(output.join("text-1").join(file)).unwrap();
        assert_eq!(text("text.vtt"), expected, "{name}");
        assert_eq!(track.duration_ticks(), 6 * u64::from(track.timescale), "{name}");
        for (number, segment) in (1..).zip(&track.segments) {
            assert_eq!(text(&format!("{number:05}.vtt")).len() as u64, segment.bytes, "{name}");
        }
        let (first, second) = (text("00001.vtt"), text("00002.vtt"));
        assert!(first.starts_with("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n"));
        let shown = ["Hello", "A --&gt;", "Löwe"];
        assert_eq!(shown.map(|word| first.contains(word)), [true, true, false], "{name}: {first}");
        assert_eq!(shown.map(|word| second.contains(word)), [false, true, true], "{name}");
        // Nothing else is there to be uploaded.
        assert_eq!(std::fs::read_dir(output.join("text-1")).unwrap().count(), 3, "{name}");
        for file in ["text.vtt", "00001.vtt", "00002.vtt"] {
            let path = output.join("text-1").join(file).to_string_lossy().into_owned();
            let (_, complaints) = run("ffmpeg", &["-v", "warning", "-i", &path, "-f", "srt", "-"]);
            assert_eq!(complaints, "", "{name}: {file}");
        }
    }
}

/// A file may begin at any time: text is counted from the beginning, as the picture is.
#[tokio::test]
async fn subtitles_are_counted_from_the_beginning_of_the_film() {
    let directory = tempfile::tempdir().unwrap();
    let subtitles = write(directory.path(), "film.srt", SUBRIP);
    let more = ["-map", "1", "-c:s", "srt", "-output_ts_offset", "10"];
    let source = film(directory.path(), "film.mkv", &["-i", &subtitles], &more);
    let (_, plan) = planned(&source).await;
    let output = directory.path().join("out");
    encode(&source, &plan, &output).await;
    let text = std::fs::read_to_string(output.join("text-1/text.vtt")).unwrap();
    assert!(text.contains("\n00:00:00.500 --> 00:00:02.000\n"), "{text}");
}
