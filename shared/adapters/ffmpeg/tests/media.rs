//! With the real tools, found in FFMPEG_DIRECTORY or on PATH; without them these tests fail.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod tools;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adapter_ffmpeg::{Ffmpeg, MediaError};
use app::ports::Transcoder;
use domain::ladder::{Ceilings, Extras, Limits, Probe, Ratio, TranscodePlan, Work, plan};
use domain::presentation::{EncodedTrack, TrackKind};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tools::{output, tools};

/// A chunk is one segment: films of nine seconds are put together from three of them.
const LIMITS: Limits = Limits {
    max_duration_seconds: 60,
    max_pixels: 36_000_000,
    chunk_seconds: 4,
    segment_seconds: 4,
    extras: Extras::NONE,
    ceilings: Ceilings::Fixed,
    key_seconds: 300,
};

fn local() -> Ffmpeg {
    Ffmpeg::for_local_files(tools())
}

/// Runs a tool that must succeed, and gives what it printed and complained about.
fn run(tool: &str, arguments: &[&str]) -> (String, String) {
    let output = output(tool, arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// A film with a moving picture and a tone.
fn film(directory: &Path, name: &str, size: &str, rate: &str, more: &[&str]) -> String {
    let path = directory.join(name).to_string_lossy().into_owned();
    let picture = format!("testsrc2=size={size}:rate={rate}:duration=9");
    let tone = "sine=frequency=440:sample_rate=44100:duration=9";
    let mut arguments = vec!["-v", "error", "-y", "-f", "lavfi", "-i", &picture];
    arguments.extend(["-f", "lavfi", "-i", tone, "-c:v", "libx264", "-preset", "ultrafast"]);
    arguments.extend(["-pix_fmt", "yuv420p", "-c:a", "aac"]);
    arguments.extend(more);
    arguments.push(&path);
    run("ffmpeg", &arguments);
    path
}

fn write(directory: &Path, name: &str, content: &[u8]) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_string_lossy().into_owned()
}

fn refused<T: std::fmt::Debug>(result: Result<T, MediaError>) -> String {
    match result {
        Err(MediaError::Refused(reason)) => {
            assert!(!reason.contains('/'), "{reason}");
            reason
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// A web server that knows ranges, in a task of its own; it notes every request. A limit makes it
/// hang up after so many bytes of a body, every time.
async fn serve(files: Vec<(&'static str, Vec<u8>)>, limit: Option<usize>) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests::default();
    let (files, notes) = (Arc::new(files), requests.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (files, notes) = (files.clone(), notes.clone());
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => request.push(byte),
                        Err(_) => return,
                    }
                }
                let request = String::from_utf8_lossy(&request).into_owned();
                notes.0.lock().unwrap().push(request.clone());
                let path = request.split(' ').nth(1).unwrap().split('?').next().unwrap();
                let Some((_, body)) = files.iter().find(|file| file.0 == path) else {
                    let _ = stream
                        .write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                        .await;
                    return;
                };
                let start: usize = request
                    .lines()
                    .find_map(|line| {
                        line.to_lowercase().strip_prefix("range: bytes=").map(String::from)
                    })
                    .and_then(|range| range.split('-').next().unwrap().parse().ok())
                    .unwrap_or(0);
                let total = body.len();
                if start >= total {
                    let _ = stream
                        .write_all(
                            b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n",
                        )
                        .await;
                    return;
                }
                let head = format!(
                    "HTTP/1.1 206 Partial Content\r\nAccept-Ranges: bytes\r\nConnection: close\r\n\
                     Content-Length: {}\r\nContent-Range: bytes {start}-{}/{total}\r\n\r\n",
                    total - start,
                    total - 1,
                );
                let end = limit.map_or(total, |limit| total.min(start + limit));
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&body[start..end]).await;
            });
        }
    });
    (address, requests)
}

#[derive(Clone, Default)]
struct Requests(Arc<Mutex<Vec<String>>>);

impl Requests {
    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

async fn planned(ffmpeg: &Ffmpeg, source: &str) -> (Probe, TranscodePlan) {
    let probe = ffmpeg.probe(source).await.unwrap();
    let plan = plan(&probe, &LIMITS).unwrap();
    (probe, plan)
}

/// The picture of a plan in its smallest rendition, in one piece.
fn whole(plan: &TranscodePlan) -> Work {
    let renditions = plan.renditions[..1].to_vec();
    let (grid, segments) = (plan.grid, 0..plan.grid.segments());
    Work::Video { renditions, grid, segments, picture: plan.picture, images: None }
}

/// All works of a plan; what they made of a track is put into one directory, as it lies in the
/// bucket.
async fn encode_all(
    ffmpeg: &Ffmpeg,
    source: &str,
    plan: &TranscodePlan,
    output: &TempDir,
) -> Vec<(String, PathBuf, EncodedTrack)> {
    let mut tracks: Vec<(String, PathBuf, EncodedTrack)> = Vec::new();
    for work in plan.works() {
        let directory = output.path().join("work");
        let pieces = ffmpeg
            .encode(source, &work, &directory)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", work.name()));
        assert_eq!(pieces.iter().map(|piece| &*piece.track).collect::<Vec<_>>(), work.tracks());
        for piece in pieces {
            let (from, to) = (directory.join(&piece.track), output.path().join(&piece.track));
            match tracks.iter_mut().find(|track| track.0 == piece.track) {
                Some((_, _, track)) => {
                    assert_eq!(piece.first_segment, track.segments.len() as u64);
                    assert_eq!(
                        std::fs::read(from.join("init.mp4")).unwrap(),
                        std::fs::read(to.join("init.mp4")).unwrap(),
                        "the init segments of two chunks differ",
                    );
                    track.segments.extend(piece.encoded.segments);
                }
                None => {
                    std::fs::create_dir(&to).unwrap();
                    tracks.push((piece.track, to.clone(), piece.encoded));
                }
            }
            for file in std::fs::read_dir(&from).unwrap() {
                let file = file.unwrap();
                std::fs::rename(file.path(), to.join(file.file_name())).unwrap();
            }
        }
    }
    tracks.sort_by_key(|track| plan.tracks().iter().position(|name| *name == track.0));
    tracks
}

/// Init segment and all segments as one file, as a player sees them.
fn joined(directory: &Path, track: &EncodedTrack) -> String {
    let mut bytes = std::fs::read(directory.join("init.mp4")).unwrap();
    for number in 1..=track.segments.len() {
        bytes.extend(std::fs::read(directory.join(format!("{number:05}.m4s"))).unwrap());
    }
    let path = directory.with_extension("joined.mp4");
    std::fs::write(&path, bytes).unwrap();
    path.to_string_lossy().into_owned()
}

/// When the first and after the last frame or sound is presented, as ffmpeg's own reader sees it.
fn presented(file: &str) -> (f64, f64) {
    let entries = "packet=pts_time,duration_time";
    let (text, _) =
        run("ffprobe", &["-v", "error", "-show_entries", entries, "-of", "csv=p=0", file]);
    let mut times: Vec<(f64, f64)> = Vec::new();
    for line in text.lines() {
        let mut fields = line.split(',').map(|field| field.parse::<f64>().unwrap());
        times.push((fields.next().unwrap(), fields.next().unwrap()));
    }
    let start = times.iter().map(|time| time.0).fold(f64::INFINITY, f64::min);
    let end = times.iter().map(|time| time.0 + time.1).fold(0.0, f64::max);
    (start, end)
}

#[tokio::test]
async fn a_film_is_described() {
    let directory = tempfile::tempdir().unwrap();
    let source = film(directory.path(), "film.mp4", "1280x720", "30000/1001", &[]);
    let probe = local().probe(&source).await.unwrap();
    assert!((probe.duration_seconds - 9.0).abs() < 0.1, "{probe:?}");
    let video = probe.video.unwrap();
    assert_eq!((video.width, video.height, video.codec.as_str()), (1280, 720, "h264"));
    assert_eq!(video.frame_rate, Ratio::new(30_000, 1001));
    assert_eq!(probe.audio[0].codec, "aac");

    // The name means nothing: the content does. And pixels that are not square, and language.
    let more = ["-vf", "setsar=4/3", "-metadata:s:a:0", "language=deu", "-f", "matroska"];
    let source = film(directory.path(), "film.txt", "320x240", "25", &more);
    let probe = local().probe(&source).await.unwrap();
    let video = probe.video.unwrap();
    assert_eq!((video.width, video.height), (427, 240));
    assert_eq!(probe.audio[0].label.language.as_deref(), Some("de"));
    assert!((probe.duration_seconds - 9.0).abs() < 0.1);

    // Turned, as telephones do.
    let turned = directory.path().join("turned.mp4").to_string_lossy().into_owned();
    let plain = film(directory.path(), "plain.mp4", "640x360", "25", &["-an"]);
    run("ffmpeg", &["-v", "error", "-display_rotation", "90", "-i", &plain, "-c", "copy", &turned]);
    let probe = local().probe(&turned).await.unwrap();
    let video = probe.video.unwrap();
    assert_eq!((video.width, video.height), (360, 640));
    assert!(probe.audio.is_empty());
}

#[tokio::test]
async fn what_is_no_film_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let source = film(path, "film.mp4", "320x240", "25", &[]);
    let whole = std::fs::read(&source).unwrap();
    for (name, content) in [
        ("text.txt", &b"This is not a film at all, but a text of a few words."[..]),
        ("text.mp4", b"This is not a film at all, but a text of a few words."),
        ("zero.mp4", b""),
        ("zero", b""),
        ("truncated.mp4", &whole[..whole.len() / 2]),
        ("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0\0\0\x01\0\x08\x02\0\0\0"),
    ] {
        let source = write(path, name, content);
        let reason = refused(local().probe(&source).await);
        assert!(reason.starts_with("The file is "), "{name}: {reason}");
    }
    // Sound with a cover is read, and has no picture.
    let sound = film(path, "sound.m4a", "320x240", "25", &["-vn"]);
    assert!(local().probe(&sound).await.unwrap().video.is_none());
    // A source that is not there may come: that is tried again.
    let missing = path.join("missing.mp4").to_string_lossy().into_owned();
    assert!(matches!(local().probe(&missing).await, Err(MediaError::Failed(_))));
}

#[tokio::test]
async fn scripts_that_open_other_files_open_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let source = film(path, "film.mp4", "320x240", "25", &["-f", "mpegts"]);
    let film = std::fs::read(&source).unwrap();
    let (inner, asked) = serve(vec![("/secret.ts", film)], None).await;

    let mut scripts: Vec<(&'static str, String)> = Vec::new();
    for target in [source.clone(), format!("{inner}/secret.ts")] {
        let playlist =
            format!("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n");
        scripts.push(("/playlist.m3u8", playlist.clone()));
        scripts.push(("/playlist.mp4", playlist));
        scripts.push(("/concat.txt", format!("ffconcat version 1.0\nfile '{target}'\n")));
        scripts.push((
            "/manifest.mpd",
            format!(
                "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\">\
                 <Period><AdaptationSet><Representation id=\"a\"><BaseURL>{target}</BaseURL>\
                 </Representation></AdaptationSet></Period></MPD>"
            ),
        ));
        scripts.push(("/sdp.sdp", format!("v=0\no=- 0 0 IN IP4 127.0.0.1\ns={target}\nt=0 0\n")));
    }
    let work = whole(&planned(&local(), &source).await.1);
    for (name, script) in scripts {
        // As a file, and from a server as a presigned source would be.
        let file = write(path, &name[1..], script.as_bytes());
        refused(local().probe(&file).await);
        let (outer, _) = serve(vec![(name, script.into_bytes())], None).await;
        let source = format!("{outer}{name}?X-Amz-Signature=5ec2e7");
        refused(Ffmpeg::new(tools()).probe(&source).await);
        refused(Ffmpeg::new(tools()).encode(&source, &work, &path.join("out")).await);
    }
    assert_eq!(asked.count(), 0, "the address in a script was asked for");
    // And the listener would have been heard: the same address as a source is asked for.
    Ffmpeg::new(tools()).probe(&format!("{inner}/secret.ts")).await.unwrap();
    assert!(asked.count() > 0);
}

#[tokio::test]
async fn local_files_are_no_sources() {
    let directory = tempfile::tempdir().unwrap();
    let source = film(directory.path(), "film.mp4", "320x240", "25", &[]);
    for address in [source.clone(), format!("file:{source}"), format!("concat:{source}")] {
        let result = Ffmpeg::new(tools()).probe(&address).await;
        assert!(matches!(result, Err(MediaError::Failed(_))), "{address}");
    }
}

#[tokio::test]
async fn all_renditions_share_the_grid() {
    for (rate, frame_rate, frames, in_segment) in
        [("25", Ratio::new(25, 1), 225, 100), ("30000/1001", Ratio::new(30_000, 1001), 270, 120)]
    {
        let directory = tempfile::tempdir().unwrap();
        let source = film(directory.path(), "film.mp4", "1280x720", rate, &[]);
        let ffmpeg = local();
        let (_, plan) = planned(&ffmpeg, &source).await;
        let tracks = encode_all(&ffmpeg, &source, &plan, &directory).await;
        let names: Vec<&str> = tracks.iter().map(|track| track.0.as_str()).collect();
        assert_eq!(names, ["360p", "720p", "audio"]);

        let lengths = |track: &EncodedTrack| -> Vec<u64> {
            track.segments.iter().map(|segment| segment.duration_ticks).collect()
        };
        let (low, high) = (&tracks[0].2, &tracks[1].2);
        assert_eq!((low.timescale, lengths(low)), (high.timescale, lengths(high)));
        let frame = u64::from(low.timescale) * u64::from(frame_rate.denominator)
            / u64::from(frame_rate.numerator);
        assert_eq!(lengths(low)[..2], [in_segment * frame, in_segment * frame]);
        assert_eq!(low.duration_ticks(), frames * frame);

        let mut ends = Vec::new();
        for (name, path, track) in &tracks {
            let file = joined(path, track);
            // ffmpeg decodes it without a word.
            let (_, complaints) = run("ffmpeg", &["-v", "warning", "-i", &file, "-f", "null", "-"]);
            assert_eq!(complaints, "", "{name} at {rate}");
            let (start, end) = presented(&file);
            assert!(start.abs() < 0.0005, "{name} at {rate} starts at {start}");
            ends.push(end);
            assert_sizes(path, track);
            match &track.kind {
                TrackKind::Video { width, height, frame_rate: written } => {
                    assert_eq!(
                        (*width, *height),
                        if name == "360p" { (640, 360) } else { (1280, 720) }
                    );
                    assert_eq!(*written, frame_rate);
                    assert!(track.codecs.starts_with("avc1.6400"), "{}", track.codecs);
                    assert_pictures(&file, frames, in_segment);
                    assert_every_segment_decodes_alone(path, track, frames, in_segment);
                }
                TrackKind::Audio { channels, sample_rate, .. } => {
                    assert_eq!((*channels, *sample_rate), (2, 48_000));
                    assert_eq!(track.codecs, "mp4a.40.2");
                    // Near the same borders as the pictures.
                    let seconds = track.segments[0].duration_ticks as f64 / 48_000.0;
                    assert!((seconds - plan.grid.segment_seconds()).abs() < 0.03, "{seconds}");
                }
                TrackKind::Text { .. } => panic!("nobody wrote a text"),
            }
        }
        let (picture, sound) = (ends[0], ends[2]);
        assert!((picture - sound).abs() <= 0.020, "{picture} {sound}");
        assert!((picture - plan.grid.duration_seconds()).abs() < 0.001);
    }
}

fn assert_sizes(directory: &Path, track: &EncodedTrack) {
    for (number, segment) in (1..).zip(&track.segments) {
        let file = directory.join(format!("{number:05}.m4s"));
        assert_eq!(std::fs::metadata(file).unwrap().len(), segment.bytes);
    }
    // Nothing else is there to be uploaded.
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), track.segments.len() + 1);
}

/// As many frames as planned, a key frame at every border and nowhere else.
fn assert_pictures(file: &str, frames: u64, in_segment: u64) {
    let entries = "frame=key_frame,pict_type";
    let (text, _) =
        run("ffprobe", &["-v", "error", "-show_entries", entries, "-of", "csv=p=0", file]);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len() as u64, frames);
    for (index, line) in (0..).zip(lines) {
        assert_eq!(line.starts_with('1'), index % in_segment == 0, "frame {index}: {line}");
    }
}

/// A closed group of pictures: what follows a border needs nothing from before it. And the first
/// picture is an IDR (NAL unit type 5), not just any intra picture.
fn assert_every_segment_decodes_alone(
    directory: &Path,
    track: &EncodedTrack,
    frames: u64,
    in_segment: u64,
) {
    let init = std::fs::read(directory.join("init.mp4")).unwrap();
    let mut left = frames;
    for number in 1..=track.segments.len() {
        let segment = std::fs::read(directory.join(format!("{number:05}.m4s"))).unwrap();
        let mdat = segment.windows(4).position(|window| window == b"mdat").unwrap() + 4;
        let mut unit = mdat;
        let first_picture = loop {
            let length = u32::from_be_bytes(segment[unit..unit + 4].try_into().unwrap()) as usize;
            let kind = segment[unit + 4] & 0x1f;
            if (1..=5).contains(&kind) {
                break kind;
            }
            unit += 4 + length;
        };
        assert_eq!(first_picture, 5, "segment {number}");
        let path = directory.with_extension("alone.mp4");
        std::fs::write(&path, [init.as_slice(), &segment].concat()).unwrap();
        let path = path.to_string_lossy().into_owned();
        let (_, complaints) = run("ffmpeg", &["-v", "warning", "-i", &path, "-f", "null", "-"]);
        assert_eq!(complaints, "", "segment {number}");
        let count = ["-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames"];
        let (text, _) = run("ffprobe", &[&count[..], &["-of", "csv=p=0", &path]].concat());
        // Up to where its first picture ends, as another reader sees it.
        let place = ["-v", "error", "-read_intervals", "%+#1", "-show_entries", "packet=pos,size"];
        let (place, _) = run("ffprobe", &[&place[..], &["-of", "csv=p=0", &path]].concat());
        let numbers = place.trim().split(',').map(|number| number.parse::<u64>().unwrap());
        let key_bytes = track.segments[number - 1].key_bytes;
        assert_eq!(numbers.sum::<u64>() - init.len() as u64, key_bytes, "segment {number}");
        let expected = left.min(in_segment);
        assert_eq!(text.trim().trim_end_matches(',').parse::<u64>().unwrap(), expected);
        left -= expected;
    }
}

/// A flash and a beep at the same moment stay at the same moment.
#[tokio::test]
async fn sound_stays_with_the_picture() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("flash.mp4").to_string_lossy().into_owned();
    // White from 6.0 s on, and a tone from 6.0 s on; the audio starts 300 ms late in the file.
    let picture = "color=black:size=640x360:rate=25:duration=9,\
                   drawbox=color=white:thickness=fill:enable='gte(t,6)'";
    let tone = "aevalsrc=exprs='gte(t,5.7)*sin(2*PI*440*t)':sample_rate=44100:duration=8.7";
    let codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"];
    let inputs = ["-v", "error", "-f", "lavfi", "-i", picture, "-itsoffset", "0.3"];
    let rest = ["-f", "lavfi", "-i", tone];
    run("ffmpeg", &[&inputs[..], &rest, &codecs, &[&source]].concat());
    let ffmpeg = local();
    let (_, plan) = planned(&ffmpeg, &source).await;
    let tracks = encode_all(&ffmpeg, &source, &plan, &directory).await;
    let (video, audio) = (joined(&tracks[0].1, &tracks[0].2), joined(&tracks[1].1, &tracks[1].2));
    let (_, dark) =
        run("ffmpeg", &["-v", "info", "-i", &video, "-vf", "blackdetect=d=1", "-f", "null", "-"]);
    let (_, silent) = run(
        "ffmpeg",
        &["-v", "info", "-i", &audio, "-af", "silencedetect=n=-20dB:d=1", "-f", "null", "-"],
    );
    let after = |text: &str, key: &str| -> f64 {
        let rest = text.split(key).nth(1).unwrap_or_else(|| panic!("{key} is not in {text}"));
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    let flash = after(&dark, "black_end:");
    let beep = after(&silent, "silence_end: ");
    assert!((flash - 6.0).abs() < 0.001, "{flash}");
    assert!((beep - flash).abs() <= 0.020, "the beep is at {beep}, the flash at {flash}");
}

#[tokio::test]
async fn a_source_is_read_over_http() {
    let directory = tempfile::tempdir().unwrap();
    // The index is at the end: without ranges this could not be read in one go.
    let film = std::fs::read(film(directory.path(), "film.mp4", "640x360", "25", &[])).unwrap();
    let half = film.len() / 2;
    let (server, asked) = serve(vec![("/film", film.clone()), ("/empty", vec![])], None).await;
    let ffmpeg = Ffmpeg::new(tools());
    let source = format!("{server}/film?X-Amz-Signature=5ec2e7");
    let (_, plan) = planned(&ffmpeg, &source).await;
    let tracks = encode_all(&ffmpeg, &source, &plan, &directory).await;
    assert!((tracks[0].2.duration_seconds() - 9.0).abs() < 1e-9);
    assert!(asked.count() > 2);
    // Through the port: the files are there, and gone with the answer.
    let chunk = &plan.works()[2];
    let encoded = Transcoder::encode(&ffmpeg, &source, chunk).await.unwrap();
    let place = encoded.directory.join("360p/00002.m4s");
    // The same work gives the same bytes.
    assert_eq!(
        std::fs::read(&place).unwrap(),
        std::fs::read(tracks[0].1.join("00002.m4s")).unwrap()
    );
    drop(encoded);
    assert!(!place.exists());
    let (again, work) = (directory.path().join("again"), whole(&plan));

    assert_eq!(refused(ffmpeg.probe(&format!("{server}/empty")).await), "The file is empty.");
    // A connection that breaks is taken up again where it ended.
    let (breaking, asked) = serve(vec![("/film", film)], Some(half)).await;
    ffmpeg.encode(&format!("{breaking}/film"), &work, &again).await.unwrap();
    assert!(asked.count() > 2);
    // No right to read: tried again, and the signature is not told.
    let denied = format!("{server}/other?X-Amz-Signature=5ec2e7");
    for result in [
        ffmpeg.probe(&denied).await.map(|_| ()),
        ffmpeg.encode(&denied, &work, &again).await.map(|_| ()),
    ] {
        let Err(MediaError::Failed(text)) = result else { panic!("{result:?}") };
        assert!(text.contains("403"), "{text}");
        assert!(!text.contains("5ec2e7") && !text.contains("127.0.0.1"), "{text}");
    }
}

/// The index says nine seconds and half of the pictures are there: ffmpeg itself is content.
#[tokio::test]
async fn a_film_that_is_cut_off_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for (name, more) in
        [("film.mp4", &["-movflags", "+faststart"][..]), ("film.mkv", &["-f", "matroska"])]
    {
        let complete = film(directory.path(), name, "640x360", "25", more);
        let bytes = std::fs::read(&complete).unwrap();
        let source =
            write(directory.path(), &format!("cut-{name}"), &bytes[..bytes.len() * 6 / 10]);
        let (_, plan) = planned(&local(), &complete).await;
        let output = directory.path().join("out");
        let reason = refused(local().encode(&source, &whole(&plan), &output).await);
        assert!(reason.contains("ends before"), "{reason}");
    }
}

#[tokio::test]
async fn a_long_encode_is_ended_and_a_dropped_one_too() {
    let directory = tempfile::tempdir().unwrap();
    let source = film(directory.path(), "film.mp4", "1280x720", "25", &[]);
    let (_, plan) = planned(&local(), &source).await;
    let output = directory.path().join("out");
    let hurried = local().with_encode_limit(Duration::from_millis(50));
    let result = hurried.encode(&source, &whole(&plan), &output).await;
    assert!(matches!(result, Err(MediaError::Failed(_))), "{result:?}");

    let (ffmpeg, work) = (local(), whole(&plan));
    let encode = ffmpeg.encode(&source, &work, &output);
    assert!(tokio::time::timeout(Duration::from_millis(300), encode).await.is_err());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let output = output.to_string_lossy().into_owned();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&line).contains(&output), "ffmpeg still runs");
    }
}

#[tokio::test]
async fn what_an_earlier_try_left_is_taken_away() {
    let directory = tempfile::tempdir().unwrap();
    let source = film(directory.path(), "film.mp4", "320x240", "25", &[]);
    let (_, plan) = planned(&local(), &source).await;
    let output = directory.path().join("out");
    let name = &plan.renditions[0].name;
    let tracks = output.join(name);
    std::fs::create_dir_all(&tracks).unwrap();
    write(&tracks, "00009.m4s", b"stale");
    let pieces = local().encode(&source, &whole(&plan), &output).await.unwrap();
    assert_sizes(&tracks, &pieces[0].encoded);
    // Files that are not ours are not touched.
    write(&tracks, "letter.txt", b"mine");
    let result = local().encode(&source, &whole(&plan), &output).await;
    assert!(matches!(result, Err(MediaError::Failed(_))));
    assert!(tracks.join("letter.txt").exists());
}
