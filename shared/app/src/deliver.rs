//! How a grant reaches a player: by cookies, in the path, or in every address.

use crate::problem::{Error, Problem};
use crate::sign_playlist::Signer;
use domain::account::Account;
use domain::binding::{Binding, UserAgent};
use domain::edge_token::{self, Claims, EdgeKey};
use domain::grant::{Carrier, Grant, GrantId, GrantToken};
use domain::presentation::{MANIFEST_FILE, MULTIVARIANT_FILE};
use domain::storyboard::{POSTER_FILE, STORYBOARD_FILE};
use domain::video::Video;
use domain::{Seconds, cloudfront, rfc3339};
use p256::ecdsa::SigningKey;

/// The cookie that opens an encrypted film's keys: the grant's token.
pub const GRANT_COOKIE: &str = "streamgate-grant";
/// By how many seconds clocks may differ.
const CLOCK_SKEW: Seconds = 60;
/// For how long cookies open a film's folder at most: what is revoked ends with them.
pub const LONGEST_COOKIE: Seconds = 300;

/// The stack's settings for grants.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Where players come, and what signs for the edge.
    pub signer: Signer,
    /// What the path's tokens are made with.
    pub token_key: EdgeKey,
    /// What signs receipts, and its name.
    pub receipt_key: (String, SigningKey),
    /// How long a grant lasts at most.
    pub longest: Seconds,
    /// How much longer than the film it lasts, for who pauses.
    pub pause: Seconds,
    /// For how long cookies open, at most [`LONGEST_COOKIE`].
    pub cookie: Seconds,
    /// How long a place is kept without being renewed, where a policy limits streams.
    pub lease: Seconds,
}

/// The answer's body.
#[derive(Debug, serde::Serialize)]
pub struct Playback {
    /// What was granted.
    pub grant: GrantView,
    /// How the grant travels.
    pub carrier: Carrier,
    /// When the player has to renew it at the latest, in RFC 3339; absent where it need not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew_at: Option<String>,
    /// The HLS multivariant playlist.
    pub hls: String,
    /// The DASH manifest; an encrypted film has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dash: Option<String>,
    /// A picture that stands for the film.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poster: Option<String>,
    /// A WebVTT track of pictures to find a place by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storyboard: Option<String>,
    /// What was decided and on what facts, signed for the video's owner; see [`domain::receipt`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// What the browser is to keep.
    #[serde(skip)]
    pub cookies: Vec<Cookie>,
}

/// A grant as its holder sees it.
#[derive(Debug, serde::Serialize)]
pub struct GrantView {
    /// Its name.
    pub id: GrantId,
    /// What its holder shows to renew or end it. A secret.
    pub token: String,
    /// The video.
    pub video: String,
    /// The wallet that signed in first.
    pub account: Account,
    /// RFC 3339.
    pub expires_at: String,
    /// It rests on an older answer, because a chain can't be read now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub grace: bool,
}

/// A host-only cookie that neither scripts nor other sites' requests carry (RFC 6265).
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// A secret.
    pub value: String,
    /// Below which path it is sent.
    pub path: String,
    /// For how many seconds.
    pub max_age: Seconds,
}

impl Cookie {
    /// What makes a browser forget a grant's cookies, if it has some.
    pub fn forgotten(grant: &Grant) -> Vec<Self> {
        if grant.carrier != Carrier::Cookie {
            return Vec::new();
        }
        let path = cloudfront::video_path(&grant.video);
        let keys = keys_path(&grant.video);
        let each = cloudfront::PARAMETERS.map(|name| (format!("CloudFront-{name}"), &path));
        each.into_iter()
            .chain([(GRANT_COOKIE.to_owned(), &keys)])
            .map(|(name, path)| Self { name, value: String::new(), path: path.clone(), max_age: 0 })
            .collect()
    }

    /// As the value of a Set-Cookie header.
    pub fn header(&self) -> String {
        let Self { name, value, path, max_age } = self;
        format!("{name}={value}; Path={path}; Max-Age={max_age}; Secure; HttpOnly; SameSite=Strict")
    }
}

impl std::fmt::Debug for Cookie {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Cookie({}, {})", self.name, self.path)
    }
}

/// Where an encrypted film's keys are.
fn keys_path(video: &str) -> String {
    format!("/v1/videos/{video}/keys/")
}

/// How long a grant of a film lasts when nothing ends it: the film and a pause, within the stack's
/// limit. A player reads the playlist of a whole film once (RFC 8216 6.2.1), so what it carries must
/// outlive the film.
pub fn lifetime(video: &Video, terms: &Terms) -> Seconds {
    let film = video.duration_seconds.filter(|_| video.plan.is_some());
    film.map_or(terms.longest, |film| (film.ceil() as Seconds + terms.pause).min(terms.longest))
}

/// Whether a video can travel so.
///
/// # Errors
/// What the caller is to ask for instead.
pub(crate) fn carries(video: &Video, carrier: Carrier, bind: &Binding) -> Result<(), Problem> {
    if !bind.is_empty() && carrier != Carrier::Path {
        let reason = "only the carrier path can be bound to its viewer".to_owned();
        return Err(Problem::BodyInvalid { field: "bind".into(), reason });
    }
    if video.encryption.is_some() && carrier == Carrier::Path {
        // Its playlists name the addresses of keys, and those are outside the token's folder.
        let reason = "an encrypted film travels by cookie or query".to_owned();
        return Err(Problem::BodyInvalid { field: "carrier".into(), reason });
    }
    Ok(())
}

/// Everything that a player needs to show the video by this grant.
///
/// # Errors
/// When a token can't be made, which is a fault of ours.
pub fn deliver(
    terms: &Terms,
    video: &Video,
    grant: &Grant,
    token: &GrantToken,
    now: Seconds,
) -> Result<Playback, Error> {
    carries(video, grant.carrier, &grant.bind)?;
    let Signer { origin, key, key_pair_id } = &terms.signer;
    let id = &grant.video;
    let text = token.text();
    let is_encrypted = video.encryption.is_some();
    let mut cookies = Vec::new();
    let mut renew_by = grant.lease_until;
    let (stem, suffix) = match grant.carrier {
        Carrier::Cookie => {
            let until = grant.expires_at.min(now + terms.cookie.min(LONGEST_COOKIE));
            let path = cloudfront::video_path(id);
            let signed = cloudfront::sign(key, key_pair_id, origin, &path, until);
            let max_age = until.saturating_sub(now);
            cookies.extend(signed.cookies().map(|(name, value)| Cookie {
                name,
                value: value.to_owned(),
                path: path.clone(),
                max_age,
            }));
            if is_encrypted {
                cookies.push(Cookie {
                    name: GRANT_COOKIE.into(),
                    value: text.clone(),
                    path: keys_path(id),
                    max_age,
                });
            }
            if until < grant.expires_at {
                renew_by = Some(renew_by.map_or(until, |lease| lease.min(until)));
            }
            (format!("{origin}{}", path.trim_end_matches('/')), String::new())
        }
        Carrier::Path => {
            let claims = Claims {
                grant: grant.grant.to_string(),
                video: id.clone(),
                // The edge's clock may be a little behind.
                not_before: grant.created_at.saturating_sub(CLOCK_SKEW),
                expires_at: grant.expires_at,
                address: grant.bind.address,
                country: grant.bind.country.as_ref().map(|country| country.as_str().to_owned()),
                user_agent: grant.bind.user_agent.as_ref().map(UserAgent::digest),
            };
            let token =
                edge_token::mint(&terms.token_key, &claims).map_err(|_| Problem::Internal)?;
            (format!("{origin}/~{token}/v/{id}"), String::new())
        }
        Carrier::Query => (format!("{origin}/v1/videos/{id}/playlists"), format!("?grant={text}")),
    };
    let address = |file: &str| format!("{stem}/{file}{suffix}");
    let has_images = video.plan.as_ref().is_some_and(|plan| plan.images.is_some());
    let image = |file| has_images.then(|| address(file));
    Ok(Playback {
        carrier: grant.carrier,
        // A fifteenth before the end: time for a few tries.
        renew_at: renew_by.map(|by| rfc3339(by - by.saturating_sub(now) / 15)),
        hls: address(MULTIVARIANT_FILE),
        dash: (!is_encrypted).then(|| address(MANIFEST_FILE)),
        poster: image(POSTER_FILE),
        storyboard: image(STORYBOARD_FILE),
        receipt: None,
        cookies,
        grant: GrantView {
            id: grant.grant.clone(),
            token: text,
            video: grant.video.clone(),
            account: grant.account,
            expires_at: rfc3339(grant.expires_at),
            grace: grant.grace,
        },
    })
}
