//! One film by chunks, and in one go.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use adapter_ffmpeg::Ffmpeg;
use domain::hls;
use domain::ladder::{self, Ceilings, Extras, Limits, MAX_PIXELS, Probe, TranscodePlan, Work};
use domain::presentation::{
    Growing, INIT_FILE, KEY_FRAMES_SUFFIX, Links, MANIFEST_FILE, MULTIVARIANT_FILE, Piece,
    Presentation, segment_file,
};
use domain::storyboard::STORYBOARD;
use domain::{Seconds, dash};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cost::{Cost, Stopwatch};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Nothing is too long or too large here.
const LIMITS: Limits = Limits {
    max_duration_seconds: 43_200,
    max_pixels: MAX_PIXELS,
    chunk_seconds: 60,
    segment_seconds: 4,
    extras: Extras::NONE,
    ceilings: Ceilings::PerTitle,
    key_seconds: 300,
};

/// A task as it was measured.
#[derive(Serialize)]
struct Task {
    name: String,
    /// `video` or `audio`.
    kind: &'static str,
    /// How much film it encoded.
    film_seconds: f64,
    /// What it would store.
    files: usize,
    bytes: u64,
    #[serde(flatten)]
    cost: Cost,
}

/// Does what the functions do, one task after the other. Files lie as in the bucket but for the
/// plan's digest.
pub fn by_chunks(source: &str, chunk_seconds: u64, directory: &Path) -> Outcome<Value> {
    let bench = Bench::new()?;
    let limits = Limits { chunk_seconds, ..LIMITS };
    let whole = Stopwatch::start()?;
    let (probe, plan, probed) = bench.plan(source, &limits)?;
    let mut tasks = Vec::new();
    let mut pieces = Vec::new();
    for work in plan.works() {
        let stopwatch = Stopwatch::start()?;
        let folder = directory.join("tasks").join(work.name());
        let encoded = bench.tokio.block_on(bench.ffmpeg.encode(source, &work, &folder))?;
        tasks.push(task(&work, &encoded, stopwatch.stop()?));
        pieces.extend(encoded);
    }
    let stopwatch = Stopwatch::start()?;
    let film = publish(&plan, &pieces, directory)?;
    let published = stopwatch.stop()?;
    let total = whole.stop()?;
    // Only for who looks at the result: in the bucket the segments lie where they are.
    for piece in &pieces {
        let name = plan.works().into_iter().find(|work| holds(work, piece)).map(|work| work.name());
        let from = directory.join("tasks").join(name.unwrap_or_default()).join(&piece.track);
        let to = directory.join(format!("{}.mp4", piece.track));
        let numbers = (piece.first_segment + 1..).take(piece.encoded.segments.len());
        append(&from, &to, numbers)?;
    }
    Ok(json!({
        "source": about(source, &probe)?,
        "renditions": plan.renditions,
        "segments": plan.grid.segments(),
        "chunk_seconds": plan.grid.segment_seconds() * plan.chunk_segments as f64,
        "split": plan.split,
        "probe": probed,
        "tasks": tasks,
        "publish": published,
        "playlists": film,
        "total": total,
    }))
}

/// The yardstick: everything that the tasks make, by a single ffmpeg that is told the same of every
/// rendition and of the sound, and reads and decodes the film once. Nobody probes it, looks at what came
/// out or writes our playlists.
pub fn in_one_go(source: &str, directory: &Path) -> Outcome<Value> {
    let bench = Bench::new()?;
    let (_, mut plan, _) = bench.plan(source, &LIMITS)?;
    plan.chunk_segments = plan.grid.segments();
    plan.split = false;
    let mut arguments: Vec<String> = Vec::new();
    // Pictures first: what stands before the source differs, and theirs is the stricter one.
    let mut works = plan.works();
    works.reverse();
    fs::create_dir_all(directory.join(STORYBOARD))?;
    for work in &works {
        for track in work.tracks() {
            fs::create_dir_all(directory.join(track))?;
        }
        let own = bench.ffmpeg.command_line(source, work, directory)?;
        let input = own.iter().position(|word| word == source).ok_or("no source is named")?;
        let from = if arguments.is_empty() { 0 } else { input + 1 };
        arguments.extend_from_slice(&own[from..]);
    }
    let stopwatch = Stopwatch::start()?;
    let status = Command::new(bench.directory.join("ffmpeg")).args(&arguments).status()?;
    let total = stopwatch.stop()?;
    if !status.success() {
        return Err(format!("ffmpeg ended with {status}").into());
    }
    for track in plan.tracks() {
        let from = directory.join(track);
        let files = fs::read_dir(&from)?.filter_map(Result::ok);
        let named = files.filter(|file| file.path().extension().is_some_and(|end| end == "m4s"));
        append(&from, &directory.join(format!("{track}.mp4")), 1..=named.count() as u64)?;
    }
    Ok(json!({ "total": total }))
}

struct Bench {
    tokio: tokio::runtime::Runtime,
    directory: PathBuf,
    ffmpeg: Ffmpeg,
}

impl Bench {
    fn new() -> Outcome<Self> {
        let directory =
            std::env::var("FFMPEG_DIRECTORY").map_err(|_| "FFMPEG_DIRECTORY is not set")?;
        Ok(Self {
            tokio: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            ffmpeg: Ffmpeg::for_local_files(directory.clone().into()),
            directory: directory.into(),
        })
    }

    fn plan(&self, source: &str, limits: &Limits) -> Outcome<(Probe, TranscodePlan, Cost)> {
        let stopwatch = Stopwatch::start()?;
        let probe = self.tokio.block_on(self.ffmpeg.probe(source))?;
        let mut plan = ladder::plan(&probe, limits)?;
        plan.spend(self.tokio.block_on(self.ffmpeg.measure(source, &plan))?);
        Ok((probe, plan, stopwatch.stop()?))
    }
}

fn about(source: &str, probe: &Probe) -> Outcome<Value> {
    let bytes = fs::metadata(source)?.len();
    let name = Path::new(source).file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(json!({ "name": name, "bytes": bytes, "probe": probe }))
}

fn task(work: &Work, pieces: &[Piece], cost: Cost) -> Task {
    let grid = work.grid();
    let (kind, film_seconds) = match work {
        Work::Video { segments, .. } => {
            let frames = grid.frames_of(segments);
            ("video", (frames.end - frames.start) as f64 / grid.frame_rate.value())
        }
        Work::Audio { .. } => ("audio", grid.duration_seconds()),
        Work::Text { .. } => ("text", grid.duration_seconds()),
    };
    let segments = || pieces.iter().flat_map(|piece| &piece.encoded.segments);
    Task {
        name: work.name(),
        kind,
        film_seconds,
        files: segments().count() + pieces.len(),
        bytes: segments().map(|segment| segment.bytes).sum(),
        cost,
    }
}

fn holds(work: &Work, piece: &Piece) -> bool {
    let first = match work {
        Work::Video { segments, .. } => segments.start,
        Work::Audio { .. } | Work::Text { .. } => 0,
    };
    first == piece.first_segment && work.tracks().contains(&&*piece.track)
}

/// What the publisher does once, for the whole film; the number of files.
fn publish(plan: &TranscodePlan, pieces: &[Piece], directory: &Path) -> Outcome<usize> {
    let growing = Growing { since: Seconds::default(), published_at: Seconds::default() };
    let film = Presentation::assemble("bench", plan, pieces.to_vec(), growing)?;
    let film = film.ok_or("tasks are missing")?;
    if film.growing.is_some() {
        return Err("segments are missing".into());
    }
    let links = Links::relative();
    let mut files = vec![
        (MULTIVARIANT_FILE.to_owned(), hls::multivariant(&film, &links)),
        (MANIFEST_FILE.to_owned(), dash::manifest(&film, &links)),
    ];
    for track in &film.tracks {
        for name in [track.name.clone(), format!("{}{KEY_FRAMES_SUFFIX}", track.name)] {
            files.extend(
                hls::media(&film, &name, &links).map(|text| (format!("{name}.m3u8"), text)),
            );
        }
    }
    for (name, text) in &files {
        fs::write(directory.join(name), text)?;
    }
    Ok(files.len())
}

/// The init segment goes before a track's first piece.
fn append(from: &Path, to: &Path, numbers: impl Iterator<Item = u64>) -> Outcome<()> {
    let first = !to.exists();
    let mut file = File::options().create(true).append(true).open(to)?;
    let init = first.then(|| INIT_FILE.to_owned());
    for name in init.into_iter().chain(numbers.map(segment_file)) {
        io::copy(&mut File::open(from.join(name))?, &mut file)?;
    }
    Ok(())
}
