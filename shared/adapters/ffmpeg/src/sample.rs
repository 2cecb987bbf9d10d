//! What a film takes, by samples of it.

use std::time::{Duration, Instant};

use domain::ladder::{TranscodePlan, VideoCodec};

use crate::{Ffmpeg, MediaError, arguments, process};

const SAMPLES: f64 = 4.0;
const SAMPLE_SECONDS: f64 = 2.0;
/// A film has one for so many seconds, up to all of them.
const SECONDS_PER_SAMPLE: f64 = 30.0;
/// A larger picture tells no more, and takes longer.
const LARGEST_SIDE: u32 = 720;
/// The samples may have missed the hardest part.
const HEADROOM: f64 = 1.3;
/// For all of them.
const LIMIT: Duration = Duration::from_secs(60);

impl Ffmpeg {
    /// How many bits the film takes, beside those that the plan reckons with: 1 is as many. Samples are
    /// encoded without a ceiling, and the one that takes most counts.
    ///
    /// # Errors
    /// When it can't be read; films of a few seconds are not worth it, and take what is reckoned with.
    pub async fn measure(&self, source_url: &str, plan: &TranscodePlan) -> Result<f64, MediaError> {
        let source = arguments::source(source_url, self.local_files)?;
        let (grid, until) = (&plan.grid, Instant::now() + LIMIT);
        let plain = plan.renditions.iter().filter(|rendition| rendition.codec == VideoCodec::H264);
        let fits = plain.filter(|rendition| rendition.width.min(rendition.height) <= LARGEST_SIDE);
        let largest =
            fits.max_by_key(|rendition| u64::from(rendition.width) * u64::from(rendition.height));
        let duration = grid.duration_seconds();
        let (Some(rendition), true) = (largest, duration >= 2.0 * SAMPLE_SECONDS) else {
            return Ok(1.0);
        };
        let folder = tempfile::tempdir()
            .map_err(|error| MediaError::Failed(format!("no folder to work in: {error}")))?;
        let path = folder.path().join("sample.h264");
        let frames = (SAMPLE_SECONDS * grid.frame_rate.value()).round() as u64;
        let samples = (duration / SECONDS_PER_SAMPLE).ceil().clamp(1.0, SAMPLES);
        let mut most = 0;
        for sample in 0..samples as u32 {
            let middle = duration * (f64::from(sample) + 0.5) / samples;
            let start = middle - SAMPLE_SECONDS / 2.0;
            let mut command = process::command(&self.directory.join("ffmpeg"));
            command.args(arguments::sample(
                &source, source_url, plan, rendition, start, frames, &path,
            ));
            let left = until.saturating_duration_since(Instant::now());
            process::run(command, left, source_url).await?;
            let size = tokio::fs::metadata(&path).await.map(|file| file.len()).unwrap_or(0);
            most = most.max(size);
        }
        let kbps = most as f64 * 8.0 / 1000.0 / SAMPLE_SECONDS;
        Ok(kbps * HEADROOM / f64::from(rendition.max_kbps))
    }
}
