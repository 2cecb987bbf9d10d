//! `GET /v1/videos/{id}/playlists/{name}?grant=..`: a playlist whose every address opens.

use crate::open_grant::live_grant;
use crate::ports::{Clock, GrantStore, MediaStore, PortError, VideoStore};
use crate::problem::{Error, Problem};
use domain::grant::Carrier;
use domain::presentation::{
    Links, MANIFEST_FILE, MULTIVARIANT_FILE, PRESENTATION_FILE, Presentation,
};
use domain::storyboard::{POSTER_FILE, STORYBOARD_FILE};
use domain::video::media_folder;
use domain::{cloudfront, dash, hls, storyboard};
use p256::ecdsa::SigningKey;

/// HLS, RFC 8216.
pub const HLS_TYPE: &str = "application/vnd.apple.mpegurl";
/// DASH, ISO/IEC 23009-1.
pub const DASH_TYPE: &str = "application/dash+xml";
/// WebVTT.
pub const TEXT_TYPE: &str = "text/vtt";

/// Signs for the edge.
#[derive(Clone)]
pub struct Signer {
    /// As in `https://d1.cloudfront.net`.
    pub origin: String,
    /// P-256.
    pub key: SigningKey,
    /// CloudFront's id of its public half.
    pub key_pair_id: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Signer({}, {})", self.origin, self.key_pair_id)
    }
}

/// What a player asks for.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The video's id.
    pub video: &'a str,
    /// The playlist's name.
    pub name: &'a str,
    /// The grant's token.
    pub token: &'a str,
}

impl std::fmt::Debug for Wanted<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Wanted({}, {})", self.video, self.name)
    }
}

/// A playlist.
#[derive(Debug)]
pub struct Playlist {
    /// Its media type.
    pub content_type: &'static str,
    /// Its text.
    pub text: String,
}

/// What a grant opens.
#[derive(Debug)]
pub enum Opened {
    /// A playlist.
    Playlist(Playlist),
    /// What is no text, at this signed address. A secret: not for logs.
    At(String),
}

/// Renders a playlist for a live grant, with one signature for the whole video in every address.
///
/// # Errors
/// [`Problem::GrantInvalid`] for a token that is unknown, over or another video's, or was given by
/// an earlier policy; not found for a name that the video does not have.
pub async fn sign_playlist(
    clock: &impl Clock,
    videos: &impl VideoStore,
    grants: &impl GrantStore,
    media: &impl MediaStore,
    signer: &Signer,
    wanted: &Wanted<'_>,
) -> Result<Opened, Error> {
    let Wanted { video: id, name, token } = *wanted;
    let (grant, token) = live_grant(clock, grants, token).await?;
    // Another carrier's grant is told to the edge in another way.
    if grant.video != id || grant.carrier != Carrier::Query {
        return Err(Problem::GrantInvalid.into());
    }
    // Decided on a policy that is no longer the video's, or the video is going: ask again.
    match videos.get(id).await? {
        Some(video) if grant.stands(&video) => {}
        _ => return Err(Problem::GrantInvalid.into()),
    }
    let stored = media.get(&format!("{}/{PRESENTATION_FILE}", media_folder(id))).await?;
    let presentation = Presentation::read(&stored.ok_or(Problem::NotFound)?)
        .map_err(|error| PortError::new("presentation", error))?;
    let Signer { origin, key, key_pair_id } = signer;
    let folder = cloudfront::grant_path(&grant.grant, id);
    let signed = cloudfront::sign(key, key_pair_id, origin, &folder, grant.expires_at);
    let links = Links::signed(&folder, &token.text(), &signed.query());
    if name == POSTER_FILE && presentation.storyboard.is_some() {
        return Ok(Opened::At(links.top(POSTER_FILE)));
    }
    render(&presentation, name, &links).map(Opened::Playlist)
}

/// The playlist `name` of a presentation.
pub(crate) fn render(
    presentation: &Presentation,
    name: &str,
    links: &Links,
) -> Result<Playlist, Error> {
    let hls = |text| Playlist { content_type: HLS_TYPE, text };
    let playlist = match name {
        MULTIVARIANT_FILE => Some(hls(hls::multivariant(presentation, links))),
        // DASH knows no whole encrypted segments.
        MANIFEST_FILE if presentation.encryption.is_some() => None,
        MANIFEST_FILE => {
            Some(Playlist { content_type: DASH_TYPE, text: dash::manifest(presentation, links) })
        }
        STORYBOARD_FILE => storyboard::track(presentation, links)
            .map(|text| Playlist { content_type: TEXT_TYPE, text }),
        _ => name
            .strip_suffix(".m3u8")
            .and_then(|track| hls::media(presentation, track, links))
            .map(hls),
    };
    playlist.ok_or_else(|| Problem::NotFound.into())
}
