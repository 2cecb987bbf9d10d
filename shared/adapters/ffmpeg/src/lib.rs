//! Looks into films and encodes them, by ffmpeg and ffprobe in processes of their own.
//!
//! A source is hostile until shown otherwise: what ffmpeg may open is a closed list of protocols
//! and containers, its environment is empty (a broken decoder finds no credentials), and time,
//! picture size, single allocations and what is read from it are limited.

mod arguments;
mod fragment;
mod probe;
mod process;
mod track;
mod transcoder;

use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::ladder::{Probe, Work};
use domain::presentation::EncodedTrack;
use sha2::{Digest, Sha256};

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
        let output = process::capture(command, PROBE_LIMIT, source_url).await?;
        probe::parse(&output)
    }

    /// Does one piece of work: writes `init.mp4` and the segments into the directory, which is made
    /// if needed, and measures them. Dropping the future ends the process.
    ///
    /// `progress` is told the finished part, from 0 to 1.
    pub async fn encode(
        &self,
        source_url: &str,
        work: &Work,
        directory: &Path,
        mut progress: impl FnMut(f64) + Send,
    ) -> Result<EncodedTrack, MediaError> {
        let source = arguments::source(source_url, self.local_files)?;
        track::prepare(directory).await?;
        let mut command = process::command(&self.directory.join("ffmpeg"));
        command.args(arguments::encode(&source, source_url, work, directory));
        let length = work.grid().duration_seconds();
        let complaints = process::follow(command, self.encode_limit, source_url, |seconds| {
            progress((seconds / length).clamp(0.0, 1.0));
        })
        .await?;
        let track = track::read(directory, work, &complaints).await?;
        progress(1.0);
        Ok(track)
    }
}

/// The name of what a directory holds: the first 16 hex digits of SHA-256 over names and contents
/// of its files, in order of their names. Two runs that differ in a single byte differ here.
pub async fn digest(directory: &Path) -> Result<String, MediaError> {
    let directory = directory.to_path_buf();
    let hashed = tokio::task::spawn_blocking(move || digest_of_files(&directory));
    match hashed.await {
        Ok(Ok(digest)) => Ok(digest),
        Ok(Err(error)) => Err(MediaError::Failed(format!("the output cannot be read: {error}"))),
        Err(error) => Err(MediaError::Failed(format!("the output was not hashed: {error}"))),
    }
}

fn digest_of_files(directory: &Path) -> std::io::Result<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        names.push(entry?.file_name());
    }
    names.sort();
    let mut hash = Sha256::new();
    for name in names {
        let mut file = std::fs::File::open(directory.join(&name))?;
        let name = name.to_string_lossy();
        // Lengths first: no two lists of files may give the same stream of bytes.
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name.as_bytes());
        hash.update(file.metadata()?.len().to_be_bytes());
        std::io::copy(&mut file, &mut hash)?;
    }
    Ok(hex::encode(&hash.finalize()[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_digest_tells_names_and_contents_apart() {
        let mut seen = std::collections::BTreeSet::new();
        for files in
            [vec![("a", "bc")], vec![("ab", "c")], vec![("a", "bd")], vec![], vec![("a", "")]]
        {
            let directory = tempfile::tempdir().unwrap();
            for (name, content) in files {
                std::fs::write(directory.path().join(name), content).unwrap();
            }
            let first = digest(directory.path()).await.unwrap();
            assert_eq!(first.len(), 16);
            assert_eq!(first, digest(directory.path()).await.unwrap());
            assert!(seen.insert(first));
        }
        assert!(matches!(digest(Path::new("/nowhere")).await, Err(MediaError::Failed(_))));
    }
}
