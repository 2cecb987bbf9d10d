//! Why the edge refused a request. Viewers see CloudFront's few wordings; tests and the log see the exact reason.

use std::fmt;

/// One reason for not serving a request. The names are stable: `tests/edge/cases.json` asserts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// URL over 8,192 bytes, or headers over the request limit.
    RequestTooLong,
    /// The path has more than one reading (dot segments, `//`, encoded slashes, encoded plain characters).
    AmbiguousPath,
    /// The Host header is missing, malformed, or none of the names the edge answers for.
    UnknownHost,
    /// A method CloudFront does not know.
    MethodUnknown,
    /// A method the matching behaviour does not allow.
    MethodNotAllowed,
    /// A GET or HEAD with a body.
    BodyNotAllowed,
    /// A body over the HTTP API's limit.
    BodyTooLarge,
    /// Neither the URL nor a cookie names a key.
    MissingKey,
    /// The key is not in a key group the behaviour trusts.
    UnknownKey,
    /// No signature beside the key.
    MissingSignature,
    /// Neither a policy nor an expiry time beside the signature.
    MissingPolicy,
    /// The same signing parameter twice, or both a policy and an expiry time.
    AmbiguousParameters,
    /// A hash algorithm other than SHA1 and SHA256.
    UnknownHashAlgorithm,
    /// A signing value longer than any that CloudFront could carry.
    Oversized,
    /// Not base64 in CloudFront's alphabet.
    MalformedBase64,
    /// `Expires` is not a plain number of seconds.
    MalformedExpires,
    /// The signature does not fit the policy and the key.
    BadSignature,
    /// A correctly signed policy that is not a policy.
    MalformedPolicy,
    /// A policy with none or several statements.
    StatementCount,
    /// The signed resource does not cover this URL.
    ResourceMismatch,
    /// `DateLessThan` has passed.
    Expired,
    /// `DateGreaterThan` is still to come.
    NotYetValid,
    /// The viewer's address is outside the policy's range.
    AddressMismatch,
    /// The viewer's country is kept out by the distribution.
    CountryRestricted,
    /// The function at the edge failed.
    FunctionFailed,
    /// No usable configuration has been read yet.
    NoConfiguration,
    /// The origin could not be reached.
    OriginUnreachable,
    /// The origin did not answer in time.
    OriginTimeout,
}

impl Refusal {
    /// The HTTP status CloudFront answers with.
    pub fn status(self) -> u16 {
        match self {
            Self::RequestTooLong | Self::BodyTooLarge => 413,
            Self::AmbiguousPath => 400,
            Self::MethodUnknown => 405,
            Self::OriginUnreachable => 502,
            Self::NoConfiguration | Self::FunctionFailed => 503,
            Self::OriginTimeout => 504,
            _ => 403,
        }
    }

    /// Code and message of CloudFront's XML body, for the refusals it answers in XML.
    pub fn wording(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::MissingKey => {
                Some(("MissingKey", "Missing Key-Pair-Id query parameter or cookie value"))
            }
            Self::UnknownKey => Some(("InvalidKey", "Unknown Key")),
            Self::MalformedPolicy | Self::StatementCount => {
                Some(("MalformedPolicy", "Malformed Policy"))
            }
            Self::MissingSignature
            | Self::MissingPolicy
            | Self::AmbiguousParameters
            | Self::UnknownHashAlgorithm
            | Self::Oversized
            | Self::MalformedBase64
            | Self::MalformedExpires
            | Self::BadSignature
            | Self::ResourceMismatch
            | Self::Expired
            | Self::NotYetValid
            | Self::AddressMismatch => Some(("AccessDenied", "Access denied")),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}
