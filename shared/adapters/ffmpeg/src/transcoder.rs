//! The port behind which ffmpeg stands.

use crate::{Ffmpeg, MediaError, digest};
use app::ports::{self, Encoded, Folder, Transcoder};
use domain::ladder::{Probe, Work};
use domain::presentation::{INIT_FILE, segment_file};

impl From<MediaError> for ports::MediaError {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::Refused(reason) => Self::Refused(reason),
            MediaError::Failed(cause) => Self::Failed(cause),
        }
    }
}

impl Transcoder for Ffmpeg {
    async fn probe(&self, source_url: &str) -> Result<Probe, ports::MediaError> {
        Ok(Self::probe(self, source_url).await?)
    }

    async fn encode(&self, source_url: &str, work: &Work) -> Result<Encoded, ports::MediaError> {
        let folder = tempfile::tempdir()
            .map_err(|error| ports::MediaError::Failed(format!("no folder to work in: {error}")))?;
        let directory = folder.path();
        let track = Self::encode(self, source_url, work, directory, |_| {}).await?;
        let digest = digest(directory).await?;
        let segments = (1..=track.segments.len() as u64).map(segment_file);
        let files = std::iter::once(INIT_FILE.to_owned())
            .chain(segments)
            .map(|name| {
                let path = directory.join(&name);
                (name, path)
            })
            .collect();
        Ok(Encoded { track, digest, files, folder: Folder(Box::new(folder)) })
    }
}
