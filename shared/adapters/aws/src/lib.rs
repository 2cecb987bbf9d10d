//! What the AWS adapters share.

use app::ports::PortError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// An SDK error for the log: the service's code and message, or what kind of failure it was.
///
/// Never the response: the body of a failed call can hold a secret or what was signed.
pub fn failed<E: ProvideErrorMetadata, R>(
    system: &'static str,
    error: &SdkError<E, R>,
) -> PortError {
    let cause = match error {
        SdkError::ServiceError(error) => {
            let metadata = error.err().meta();
            let code = metadata.code().unwrap_or("an error without a code");
            format!("{code}: {}", metadata.message().unwrap_or_default())
        }
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "no answer in time".into(),
        SdkError::TimeoutError(_) => "no answer in time".into(),
        SdkError::DispatchFailure(_) => "it could not be reached".into(),
        SdkError::ResponseError(_) => "its answer makes no sense".into(),
        _ => "the request could not be made".into(),
    };
    PortError::new(system, cause)
}
