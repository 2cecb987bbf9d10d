//! What can go wrong, by the names that callers see (RFC 9457).

use crate::ports::PortError;
use domain::decision::Outcome;
use domain::lease::Seat;
use domain::rfc3339;
use domain::session::SessionError;
use serde_json::{Map, Value, json};

/// The stem of every problem's `type`; the rest is [`Problem::slug`].
pub const TYPE_STEM: &str = "https://streamgate.dev/problems/";
/// After how many seconds a caller may try again what was unavailable.
pub const RETRY_AFTER: u64 = 5;

/// Why a use case has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's doing, or the rule's.
    #[error("{}", .0.slug())]
    Problem(Problem),
    /// Something outside could not be read or written; nothing was granted.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<SessionError> for Error {
    fn from(error: SessionError) -> Self {
        Problem::SessionInvalid(error.to_string()).into()
    }
}

/// A refusal that a caller can act on.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    /// No session was shown.
    SessionRequired,
    /// The session is not valid, or over.
    SessionInvalid(String),
    /// The nonce was not issued here for this account, or has expired.
    NonceInvalid(String),
    /// The nonce was used before.
    NonceUsed,
    /// The sign-in message is not EIP-4361.
    MessageMalformed(String),
    /// The sign-in message was made for another site.
    DomainMismatch(String),
    /// The sign-in message is too old.
    MessageExpired(String),
    /// The sign-in message lies ahead.
    MessageNotYetValid(String),
    /// The signature is not the wallet's.
    SignatureInvalid(String),
    /// Only listed creators may upload.
    NotACreator,
    /// The policy says no.
    PolicyRefused(Vec<Outcome>),
    /// As many watch as the policy allows: who, and until when.
    StreamsFull(Vec<Seat>),
    /// There is none, or none for this caller.
    NotFound,
    /// The state moved.
    Conflict(String),
    /// A body that can't be; the field is named.
    BodyInvalid {
        /// The field, or `body`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A body or file over the limit.
    BodyTooLarge(String),
    /// A policy that can't be.
    PolicyInvalid {
        /// The place in the policy.
        path: String,
        /// What is wrong there.
        reason: String,
    },
    /// Parts are missing or of the wrong size.
    UploadIncomplete(Vec<u32>),
    /// The video can't be watched yet.
    VideoNotReady(&'static str),
    /// No grant's token was shown.
    GrantTokenRequired,
    /// No such grant, or it is over, or for another video.
    GrantInvalid,
    /// The facts needed for an answer could not be learned.
    Unavailable(String),
    /// A fault of ours.
    Internal,
}

impl Problem {
    /// The last part of its `type`.
    pub fn slug(&self) -> &'static str {
        self.parts().0
    }

    /// Its HTTP status.
    pub fn status(&self) -> u16 {
        self.parts().1
    }

    fn parts(&self) -> (&'static str, u16, &'static str) {
        match self {
            Self::SessionRequired => ("session-required", 401, "Sign in first"),
            Self::SessionInvalid(_) => ("session-invalid", 401, "The session is not valid"),
            Self::NonceInvalid(_) => ("nonce-invalid", 401, "The nonce is not valid"),
            Self::NonceUsed => ("nonce-used", 401, "The nonce was used before"),
            Self::MessageMalformed(_) => ("message-malformed", 422, "Not a sign-in message"),
            Self::DomainMismatch(_) => ("domain-mismatch", 401, "Made for another site"),
            Self::MessageExpired(_) => ("message-expired", 401, "The message has expired"),
            Self::MessageNotYetValid(_) => {
                ("message-not-yet-valid", 401, "The message is not valid yet")
            }
            Self::SignatureInvalid(_) => ("signature-invalid", 401, "The signature is not valid"),
            Self::NotACreator => ("not-a-creator", 403, "Only listed creators may upload"),
            Self::PolicyRefused(_) => ("policy-refused", 403, "The policy says no"),
            Self::StreamsFull(_) => ("streams-full", 403, "As many watch as the policy allows"),
            Self::NotFound => ("not-found", 404, "There is no such thing here"),
            Self::Conflict(_) => ("conflict", 409, "The state has moved"),
            Self::BodyInvalid { .. } => ("body-invalid", 422, "The request can't be"),
            Self::BodyTooLarge(_) => ("body-too-large", 413, "Too large"),
            Self::PolicyInvalid { .. } => ("policy-invalid", 422, "The policy can't be"),
            Self::UploadIncomplete(_) => ("upload-incomplete", 409, "Parts are missing"),
            Self::VideoNotReady(_) => ("video-not-ready", 409, "The video is not ready"),
            Self::GrantTokenRequired => ("grant-token-required", 401, "Show the grant's token"),
            Self::GrantInvalid => ("grant-invalid", 403, "The grant is not valid"),
            Self::Unavailable(_) => ("unavailable", 503, "Try again shortly"),
            Self::Internal => ("internal", 500, "A fault of ours"),
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::SessionRequired => {
                "send Authorization: Bearer with a token from POST /v1/auth/session".into()
            }
            Self::NonceUsed => "ask for a new one with POST /v1/auth/nonce".into(),
            Self::NotACreator => {
                "this wallet is not on the stack's list (template parameter Creators)".into()
            }
            Self::PolicyRefused(_) => "this wallet does not meet the video's policy".into(),
            Self::StreamsFull(holders) if holders.is_empty() => {
                "the policy counts streams by token, and none was found: name yours in assets"
                    .into()
            }
            Self::StreamsFull(_) => {
                "end a stream, or wait until one of these leases is over".into()
            }
            Self::NotFound => "it does not exist, or is not yours to see".into(),
            Self::UploadIncomplete(_) => {
                "upload the missing parts again; GET the upload for their addresses".into()
            }
            Self::VideoNotReady(stage) => format!("its stage is {stage}"),
            Self::GrantTokenRequired => {
                "send Authorization: Bearer with the grant's token from its playback".into()
            }
            Self::GrantInvalid => "ask for a new one with POST /v1/videos/{id}/playback".into(),
            Self::Internal => "it was logged under this request's id".into(),
            Self::BodyInvalid { field, reason } => format!("{field}: {reason}"),
            Self::PolicyInvalid { path, reason } => format!("{path}: {reason}"),
            Self::SessionInvalid(detail)
            | Self::NonceInvalid(detail)
            | Self::MessageMalformed(detail)
            | Self::DomainMismatch(detail)
            | Self::MessageExpired(detail)
            | Self::MessageNotYetValid(detail)
            | Self::SignatureInvalid(detail)
            | Self::Conflict(detail)
            | Self::BodyTooLarge(detail)
            | Self::Unavailable(detail) => detail.clone(),
        }
    }

    /// The problem document.
    pub fn to_json(&self) -> Value {
        let (slug, status, title) = self.parts();
        let mut document = Map::new();
        document.insert("type".into(), format!("{TYPE_STEM}{slug}").into());
        document.insert("title".into(), title.into());
        document.insert("status".into(), status.into());
        document.insert("detail".into(), self.detail().into());
        match self {
            Self::PolicyRefused(conditions) => {
                document.insert("conditions".into(), json!(conditions));
            }
            Self::StreamsFull(holders) => {
                let holder =
                    |seat: &Seat| json!({"account": seat.account, "until": rfc3339(seat.until)});
                document.insert("holders".into(), holders.iter().map(holder).collect());
            }
            Self::BodyInvalid { field, .. } => {
                document.insert("field".into(), json!(field));
            }
            Self::PolicyInvalid { path, .. } => {
                document.insert("path".into(), json!(path));
            }
            Self::UploadIncomplete(missing) => {
                document.insert("missing".into(), json!(missing));
            }
            _ => {}
        }
        Value::Object(document)
    }
}

impl From<domain::policy::PolicyError> for Error {
    fn from(error: domain::policy::PolicyError) -> Self {
        Problem::PolicyInvalid { path: error.path, reason: error.reason }.into()
    }
}
