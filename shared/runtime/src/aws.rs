//! The AWS SDK's configuration, shared by all adapters of a function.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// Region and credentials from the environment, one HTTP client on rustls with ring. Nothing is
/// connected before the first call.
pub async fn config() -> SdkConfig {
    let client = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    aws_config::defaults(BehaviorVersion::latest()).http_client(client).load().await
}
