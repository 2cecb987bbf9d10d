//! `GET /v1/videos/{id}/keys/{period}`: the content key of a stretch of film, for who may watch it
//! now.

use crate::open_grant::live_grant;
use crate::ports::{Clock, ContentKeys, GrantStore, VideoStore};
use crate::problem::{Error, Problem};
use domain::encryption::content_key;

/// What a player asks for.
#[derive(Clone, Copy)]
pub struct WantedKey<'a> {
    /// The video's id.
    pub video: &'a str,
    /// Which stretch of it, counted from 0, as it stands in the address.
    pub period: &'a str,
    /// The grant's token.
    pub token: &'a str,
}

impl std::fmt::Debug for WantedKey<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "WantedKey({}, {})", self.video, self.period)
    }
}

/// The 16 bytes of the key.
///
/// # Errors
/// [`Problem::GrantInvalid`] for a token that is unknown, over or another video's, or was given by
/// an earlier policy; not found for a film that is not encrypted, or a period beyond its end.
pub async fn open_key(
    clock: &impl Clock,
    videos: &impl VideoStore,
    grants: &impl GrantStore,
    content: &impl ContentKeys,
    wanted: &WantedKey<'_>,
) -> Result<[u8; 16], Error> {
    let WantedKey { video: id, period, token } = *wanted;
    let (grant, _) = live_grant(clock, grants, token).await?;
    if grant.video != id {
        return Err(Problem::GrantInvalid.into());
    }
    let video = match videos.get(id).await? {
        Some(video) if grant.stands(&video) => video,
        _ => return Err(Problem::GrantInvalid.into()),
    };
    let plan = video.plan.as_ref().ok_or(Problem::NotFound)?;
    let encryption = plan.encryption.as_ref().ok_or(Problem::NotFound)?;
    let period = number(period).ok_or(Problem::NotFound)?;
    if period >= encryption.periods(plan.grid.segments()) {
        return Err(Problem::NotFound.into());
    }
    Ok(content_key(&content.key(&encryption.key).await?, id, period))
}

/// A number in its one spelling.
fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
