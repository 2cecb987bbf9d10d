//! `POST /v1/videos/{id}/playback`: the gate.

use crate::ports::{Chains, Clock, GrantStore, Random, VideoStore};
use crate::problem::{Error, Problem};
use domain::account::Account;
use domain::decision::Verdict;
use domain::grant::{self, Grant};
use domain::video::{Stage, Video};
use domain::{Seconds, rfc3339};

/// How often a decision is made anew because the policy changed under it.
const ATTEMPTS: usize = 3;

/// The stack's settings for grants.
#[derive(Debug, Clone, Copy)]
pub struct Gate<'a> {
    /// Where players come, as in `https://d1.cloudfront.net`.
    pub origin: &'a str,
    /// How long a grant lasts.
    pub lifetime: Seconds,
}

/// The answer's body.
#[derive(Debug, serde::Serialize)]
pub struct Playback {
    /// What was granted.
    pub grant: GrantView,
    /// How the grant travels: `query`, in the playlists' addresses.
    pub carrier: &'static str,
    /// The HLS multivariant playlist.
    pub hls: String,
    /// The DASH manifest.
    pub dash: String,
}

/// A grant as its holder sees it.
#[derive(Debug, serde::Serialize)]
pub struct GrantView {
    /// The video.
    pub video: String,
    /// The wallet.
    pub account: Account,
    /// RFC 3339.
    pub expires_at: String,
}

/// Decides by the stored policy, and by nothing else, whether `account` may watch.
///
/// # Errors
/// Not found for a video that is not ready (its owner learns the stage); the policy's refusal with
/// each condition's outcome; unavailable, and never a grant, when the facts can't be learned.
pub async fn grant_playback(
    system: &(impl Clock + Random),
    videos: &impl VideoStore,
    grants: &impl GrantStore,
    chains: &impl Chains,
    gate: &Gate<'_>,
    account: Account,
    id: &str,
) -> Result<Playback, Error> {
    for _ in 0..ATTEMPTS {
        let video = match videos.get(id).await? {
            Some(video) if video.stage == Stage::Ready => video,
            Some(video) if video.owner == account.address => {
                return Err(Problem::VideoNotReady(video.stage.as_str()).into());
            }
            _ => return Err(Problem::NotFound.into()),
        };
        decide(chains, &video, account).await?;
        let now = system.now();
        let token = hex::encode(system.bytes::<32>());
        let key = grant::key(&token).ok_or(Problem::Internal)?;
        let grant = Grant {
            grant: key,
            video: video.id,
            account,
            policy_revision: video.policy_revision,
            created_at: now,
            expires_at: now + gate.lifetime,
        };
        // The store refuses when the policy or the stage moved since it was read.
        if grants.create(&grant).await? {
            let playlists = format!("{}/v1/videos/{id}/playlists", gate.origin);
            return Ok(Playback {
                carrier: "query",
                hls: format!("{playlists}/master.m3u8?grant={token}"),
                dash: format!("{playlists}/manifest.mpd?grant={token}"),
                grant: GrantView {
                    video: grant.video,
                    account,
                    expires_at: rfc3339(grant.expires_at),
                },
            });
        }
    }
    Err(Problem::Conflict("the policy keeps changing; try again".into()).into())
}

async fn decide(chains: &impl Chains, video: &Video, account: Account) -> Result<(), Error> {
    if video.owner == account.address {
        return Ok(());
    }
    let Some(policy) = &video.policy else {
        return Err(Problem::PolicyRefused(Vec::new()).into());
    };
    let decision = crate::verify_policy::ask(chains, policy, account.address).await;
    match decision.verdict {
        Verdict::Yes => Ok(()),
        Verdict::No => Err(Problem::PolicyRefused(decision.conditions).into()),
        Verdict::Unknown => {
            let reasons: Vec<_> = decision
                .conditions
                .iter()
                .filter(|outcome| outcome.outcome == Verdict::Unknown)
                .map(|outcome| format!("{} ({})", outcome.path, outcome.chain))
                .collect();
            let detail = format!("the chain could not be read for {}", reasons.join(", "));
            Err(Problem::Unavailable(detail).into())
        }
    }
}
