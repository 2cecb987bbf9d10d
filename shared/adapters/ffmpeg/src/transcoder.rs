//! The port behind which ffmpeg stands.

use crate::{Ffmpeg, MediaError};
use app::ports::{self, Encoded, Folder, Transcoder};
use domain::ladder::{Probe, TranscodePlan, Work};

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

    async fn measure(
        &self,
        source_url: &str,
        plan: &TranscodePlan,
    ) -> Result<f64, ports::MediaError> {
        Ok(Self::measure(self, source_url, plan).await?)
    }

    async fn encode(&self, source_url: &str, work: &Work) -> Result<Encoded, ports::MediaError> {
        let folder = tempfile::tempdir()
            .map_err(|error| ports::MediaError::Failed(format!("no folder to work in: {error}")))?;
        let directory = folder.path();
        let pieces = Self::encode(self, source_url, work, directory).await?;
        let directory = directory.to_owned();
        Ok(Encoded { pieces, directory, folder: Folder(Box::new(folder)) })
    }
}
