//! What the edges have cached.

use app::ports::{Invalidations, PortError};
use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};

/// One distribution's caches.
#[derive(Debug, Clone)]
pub struct Distribution {
    client: aws_sdk_cloudfront::Client,
    id: String,
}

impl Distribution {
    /// The distribution with this id.
    pub fn new(config: &aws_config::SdkConfig, id: impl Into<String>) -> Self {
        Self { client: aws_sdk_cloudfront::Client::new(config), id: id.into() }
    }
}

impl Invalidations for Distribution {
    async fn invalidate(&self, paths: &[String]) -> Result<(), PortError> {
        let incomplete = |error| PortError::new("cloudfront", error);
        let paths = Paths::builder()
            .quantity(i32::try_from(paths.len()).unwrap_or(i32::MAX))
            .set_items(Some(paths.to_vec()))
            .build()
            .map_err(incomplete)?;
        // Never the same: an invalidation that was asked for once more is one more.
        let reference = format!("{:032x}", rand::random::<u128>());
        let batch = InvalidationBatch::builder().paths(paths).caller_reference(reference);
        self.client
            .create_invalidation()
            .distribution_id(&self.id)
            .invalidation_batch(batch.build().map_err(incomplete)?)
            .send()
            .await
            .map(drop)
            .map_err(|error| adapter_aws::failed("cloudfront", &error))
    }
}
