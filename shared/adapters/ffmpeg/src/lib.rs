//! Looks into films and encodes them, by ffmpeg and ffprobe in processes of their own.
//!
//! A source is hostile until shown otherwise: what ffmpeg may open is a closed list of protocols,
//! containers and decoders, its environment is empty (a broken decoder finds no credentials), and time,
//! picture size, single allocations and what is read from it are limited.

mod arguments;
mod codecs;
mod fragment;
mod probe;
mod process;
mod sample;
mod track;
mod transcoder;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::ladder::{Probe, Work};
use domain::presentation::Piece;
use domain::storyboard::image_files;
use track::Length;

/// A probe reads a few megabytes; more time than this means that something is wrong.
const PROBE_LIMIT: Duration = Duration::from_secs(60);
/// Under the 15 minutes that a function may run, with time left to hand in the result.
const ENCODE_LIMIT: Duration = Duration::from_secs(840);

/// What went wrong, and whether to try again.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The source's fault: it will never work. The sentence is for the creator.
    #[error("{0}")]
    Refused(String),
    /// The network's or the machine's fault: try again. The text is for the log and holds no
    /// address, since addresses of sources are signed and thereby secret.
    #[error("{0}")]
    Failed(String),
}

/// The tools and what they may open.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    directory: PathBuf,
    local_files: bool,
    encode_limit: Duration,
}

impl Ffmpeg {
    /// With `ffmpeg` and `ffprobe` in that directory; sources are http or https addresses.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, local_files: false, encode_limit: ENCODE_LIMIT }
    }

    /// Sources may also be paths of files. For tests: a source must never choose a local file.
    pub fn for_local_files(directory: PathBuf) -> Self {
        Self { local_files: true, ..Self::new(directory) }
    }

    /// Ends an encode that takes longer.
    #[must_use]
    pub fn with_encode_limit(self, encode_limit: Duration) -> Self {
        Self { encode_limit, ..self }
    }

    /// Says what a source is.
    pub async fn probe(&self, source_url: &str) -> Result<Probe, MediaError> {
        let source = arguments::source(source_url, self.local_files)?;
        let mut command = process::command(&self.directory.join("ffprobe"));
        command.args(arguments::probe(&source, source_url));
        let (output, _) = process::run(command, PROBE_LIMIT, source_url).await?;
        probe::parse(&output)
    }

    /// What ffmpeg is told for a piece of work at the first try: for who measures it beside others.
    pub fn command_line(
        &self,
        source_url: &str,
        work: &Work,
        directory: &Path,
    ) -> Result<Vec<String>, MediaError> {
        let source = arguments::source(source_url, self.local_files)?;
        Ok(arguments::encode(&source, source_url, work, arguments::MARGINS[0], directory))
    }

    /// Does one piece of work: writes `init.mp4` (of a text `text.vtt`) and the segments of each track
    /// into a directory of its name in `directory`, and measures them. Dropping the future ends the process.
    pub async fn encode(
        &self,
        source_url: &str,
        work: &Work,
        directory: &Path,
    ) -> Result<Vec<Piece>, MediaError> {
        let source = arguments::source(source_url, self.local_files)?;
        let until = Instant::now() + self.encode_limit;
        let mut complaints = String::new();
        for margin in arguments::MARGINS {
            track::prepare(directory, work).await?;
            let mut command = process::command(&self.directory.join("ffmpeg"));
            command.args(arguments::encode(&source, source_url, work, margin, directory));
            let left = until.saturating_duration_since(Instant::now());
            (_, complaints) = process::run(command, left, source_url).await?;
            let (pieces, length) = track::read(directory, work).await?;
            let whole = matches!(length, Length::Whole) && !process::ends_early(&complaints);
            if whole {
                images(directory, work).await?;
                return Ok(pieces);
            }
            if process::network_failed(&complaints) || starts_the_film(work) {
                break;
            }
        }
        Err(track::ended_early(&complaints))
    }
}

/// All of them are there.
async fn images(directory: &Path, work: &Work) -> Result<(), MediaError> {
    for file in image_files(work) {
        if !tokio::fs::try_exists(directory.join(&file)).await.unwrap_or(false) {
            return Err(MediaError::Failed(format!("the output: {file} is missing")));
        }
    }
    Ok(())
}

/// What is read from the beginning can't have missed it.
fn starts_the_film(work: &Work) -> bool {
    match work {
        Work::Video { segments, .. } => segments.start == 0,
        Work::Audio { .. } | Work::Text { .. } => true,
    }
}
