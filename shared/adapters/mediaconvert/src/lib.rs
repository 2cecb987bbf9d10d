//! Films converted by AWS Elemental MediaConvert: one job for all renditions.

mod settings;

use app::ports::{Converter, JobOrder, MediaError, PortError};
use aws_sdk_mediaconvert::Client;
use aws_sdk_mediaconvert::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_mediaconvert::types::{JobStatus, StatusUpdateInterval};
use domain::conversion::{JobState, request_token};

pub use settings::{Buckets, Speke};

/// The service, with the queue that jobs wait in and the role that they are done as.
#[derive(Debug, Clone)]
pub struct MediaConvert {
    client: Client,
    queue: String,
    role: String,
    buckets: Buckets,
}

impl MediaConvert {
    /// With the ARNs of queue and role.
    pub fn new(
        config: &aws_config::SdkConfig,
        queue: impl Into<String>,
        role: impl Into<String>,
        buckets: Buckets,
    ) -> Self {
        Self { client: Client::new(config), queue: queue.into(), role: role.into(), buckets }
    }
}

fn failed<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> PortError {
    adapter_aws::failed("mediaconvert", error)
}

fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

impl Converter for MediaConvert {
    async fn submit(&self, order: &JobOrder<'_>) -> Result<String, MediaError> {
        let settings = settings::of(order, &self.buckets);
        let JobOrder { video, plan, attempt } = order;
        let answer = self
            .client
            .create_job()
            .client_request_token(request_token(video, &plan.digest(), *attempt))
            .queue(&self.queue)
            .role(&self.role)
            // The quickest there is: progress is shown to who waits.
            .status_update_interval(StatusUpdateInterval::Seconds10)
            .user_metadata("video", *video)
            .user_metadata("attempt", attempt.to_string())
            .settings(settings)
            .send()
            .await;
        match answer {
            Ok(answer) => answer
                .job
                .and_then(|job| job.id)
                .ok_or_else(|| MediaError::Failed("a job without an id".into())),
            Err(error) if code(&error) == Some("BadRequestException") => {
                // The words may name buckets: they are for the log.
                tracing::warn!(error = %failed(&error), video, "the order is refused");
                let reason = "the film can't be converted: MediaConvert does not take it";
                Err(MediaError::Refused(reason.into()))
            }
            Err(error) => Err(MediaError::Failed(failed(&error).to_string())),
        }
    }

    async fn cancel(&self, job: &str) -> Result<(), PortError> {
        match self.client.cancel_job().id(job).send().await {
            Ok(_) => Ok(()),
            // It is over already, or forgotten.
            Err(error)
                if matches!(
                    code(&error),
                    Some("BadRequestException" | "ConflictException" | "NotFoundException")
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(failed(&error)),
        }
    }

    async fn state(&self, job: &str) -> Result<JobState, PortError> {
        let answer = self.client.get_job().id(job).send().await.map_err(|error| failed(&error))?;
        let job = answer.job.ok_or_else(|| PortError::new("mediaconvert", "no job"))?;
        Ok(match job.status() {
            Some(JobStatus::Complete) => JobState::Complete,
            Some(JobStatus::Canceled) => JobState::Canceled,
            Some(JobStatus::Error) => JobState::Failed(
                job.error_code().unwrap_or_default(),
                job.error_message().unwrap_or_default().to_owned(),
            ),
            _ => {
                let percent = job.job_percent_complete().unwrap_or_default().clamp(0, 100);
                JobState::Running(u8::try_from(percent).unwrap_or_default())
            }
        })
    }
}
