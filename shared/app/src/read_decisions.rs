//! `GET /v1/videos/{id}/decisions`: who was let in and who was not, for the video's owner.

use crate::audit::{AuditReader, AuditRecord};
use crate::ports::VideoStore;
use crate::problem::{Error, Problem};
use domain::session::Session;

/// How many are answered at once.
pub const PAGE: usize = 100;
/// A moment is 20 characters of time, `#`, and 16 hex digits.
const LONGEST_MOMENT: usize = 37;

/// Some of a video's decisions, newest first.
#[derive(Debug, serde::Serialize)]
pub struct Decisions {
    /// As in receipts.
    pub decisions: Vec<AuditRecord>,
    /// What to ask for as `before` to read on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The newest decisions, or those from before the moment that an earlier answer named.
///
/// # Errors
/// Not found for all but the owner.
pub async fn read_decisions(
    videos: &impl VideoStore,
    audit: &impl AuditReader,
    caller: &Session,
    id: &str,
    before: Option<&str>,
) -> Result<Decisions, Error> {
    let video = crate::owned(videos, id, caller).await?;
    if before.is_some_and(|before| before.is_empty() || before.len() > LONGEST_MOMENT) {
        let reason = "is what an earlier answer named as next".to_owned();
        return Err(Problem::BodyInvalid { field: "before".into(), reason }.into());
    }
    let decisions = audit.of_video(&video.id, before, PAGE).await?;
    let last = decisions.last().filter(|_| decisions.len() == PAGE);
    Ok(Decisions { next: last.map(AuditRecord::moment), decisions })
}
