//! `POST /v1/videos/{id}/playback`: the gate.

use crate::gate::Gate;
use crate::ports::{
    Clock, EvmChains, FactStore, GrantStore, Plugins, Random, SolanaChains, VideoStore,
};
use crate::problem::{Error, Problem};
use crate::verify_policy::check_assets;
use domain::account::Account;
use domain::decision::{Decision, Verdict};
use domain::grant::{self, Grant};
use domain::leaf::Asset;
use domain::presentation::{MANIFEST_FILE, MULTIVARIANT_FILE};
use domain::session::Session;
use domain::storyboard::{POSTER_FILE, STORYBOARD_FILE};
use domain::video::Video;
use domain::{Seconds, rfc3339};

/// How often a decision is made anew because the policy changed under it.
const ATTEMPTS: usize = 3;

/// The request's body; it may be left out.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Tokens the viewer says to hold (CAIP-19): where to look, and no proof of anything.
    #[serde(default)]
    pub assets: Vec<Asset>,
}

/// Who wants to watch what.
#[derive(Debug, Clone, Copy)]
pub struct Viewing<'a> {
    /// Who.
    pub caller: &'a Session,
    /// The video's id.
    pub video: &'a str,
    /// What else they say.
    pub wish: &'a Wish,
}

/// The stack's settings for grants.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Where players come, as in `https://d1.cloudfront.net`.
    pub origin: &'a str,
    /// How long a grant lasts, if nothing that it rests on ends before.
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
    /// A picture that stands for the film.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poster: Option<String>,
    /// A WebVTT track of pictures to find a place by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storyboard: Option<String>,
}

/// A grant as its holder sees it.
#[derive(Debug, serde::Serialize)]
pub struct GrantView {
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

/// Decides by the stored policy, and by nothing else, whether the caller may watch.
///
/// # Errors
/// Not found for a video that is not ready (its owner learns the stage); the policy's refusal with
/// each condition's outcome; unavailable, and never a grant, when the facts can't be learned.
pub async fn grant_playback<E: EvmChains, S: SolanaChains, P: Plugins, F: FactStore>(
    system: &(impl Clock + Random),
    videos: &impl VideoStore,
    grants: &impl GrantStore,
    gate: &Gate<'_, E, S, P, F>,
    terms: &Terms<'_>,
    viewing: &Viewing<'_>,
) -> Result<Playback, Error> {
    let Viewing { caller, video: id, wish } = *viewing;
    check_assets(&wish.assets)?;
    for _ in 0..ATTEMPTS {
        let video = match videos.get(id).await? {
            Some(video) if video.is_watchable() => video,
            Some(video) if caller.owns(video.owner) => {
                return Err(Problem::VideoNotReady(video.stage.as_str()).into());
            }
            _ => return Err(Problem::NotFound.into()),
        };
        let decision = decide(system, gate, &video, caller, wish).await?;
        let now = system.now();
        let token = hex::encode(system.bytes::<32>());
        let key = grant::key(&token).ok_or(Problem::Internal)?;
        let has_images = video.plan.as_ref().is_some_and(|plan| plan.images.is_some());
        let grant = Grant {
            grant: key,
            video: video.id,
            account: caller.account(),
            wallets: caller.wallets.clone(),
            policy_revision: video.policy_revision,
            created_at: now,
            expires_at: decision.until.unwrap_or(Seconds::MAX).min(now + terms.lifetime),
            grace: decision.grace,
        };
        // The store refuses when the policy or the stage moved since it was read.
        if grants.create(&grant).await? {
            let playlists = format!("{}/v1/videos/{id}/playlists", terms.origin);
            let address = |file: &str| format!("{playlists}/{file}?grant={token}");
            let image = |file| has_images.then(|| address(file));
            return Ok(Playback {
                carrier: "query",
                hls: address(MULTIVARIANT_FILE),
                dash: address(MANIFEST_FILE),
                poster: image(POSTER_FILE),
                storyboard: image(STORYBOARD_FILE),
                grant: GrantView {
                    video: grant.video,
                    account: grant.account,
                    expires_at: rfc3339(grant.expires_at),
                    grace: grant.grace,
                },
            });
        }
    }
    Err(Problem::Conflict("the policy keeps changing; try again".into()).into())
}

async fn decide<E: EvmChains, S: SolanaChains, P: Plugins, F: FactStore>(
    clock: &impl Clock,
    gate: &Gate<'_, E, S, P, F>,
    video: &Video,
    caller: &Session,
    wish: &Wish,
) -> Result<Decision, Error> {
    if caller.owns(video.owner) {
        return Ok(Decision {
            verdict: Verdict::Yes,
            conditions: Vec::new(),
            until: None,
            grace: false,
        });
    }
    let Some(policy) = &video.policy else {
        return Err(Problem::PolicyRefused(Vec::new()).into());
    };
    let (decision, cost) = gate.decide(clock, policy, &caller.wallets, &wish.assets).await;
    cost.count();
    match decision.verdict {
        Verdict::Yes => Ok(decision),
        Verdict::No => Err(Problem::PolicyRefused(decision.conditions).into()),
        Verdict::Unknown => {
            let reasons: Vec<_> = decision
                .conditions
                .iter()
                .filter(|outcome| outcome.outcome == Verdict::Unknown)
                .map(|outcome| {
                    let reason = outcome.reason.as_deref().unwrap_or("not known");
                    format!("{} ({}): {reason}", outcome.path, outcome.kind)
                })
                .collect();
            Err(Problem::Unavailable(format!("could not be learned: {}", reasons.join("; ")))
                .into())
        }
    }
}
