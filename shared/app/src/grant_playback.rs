//! `POST /v1/videos/{id}/playback`: the gate.

use crate::apply_revocations::RevokeMessage;
use crate::audit::{AuditLog, AuditRecord};
use crate::deliver::{Playback, Terms, carries, deliver, lifetime};
use crate::gate::{Gate, Sharing};
use crate::lease::{hold, release};
use crate::ports::{
    Clock, EvmChains, FactStore, GrantStore, Plugins, PortError, Queue, Random, SolanaChains,
    VideoStore,
};
use crate::problem::{Error, Problem};
use crate::verify_policy::check_assets;
use domain::binding::Binding;
use domain::decision::{Decision, Verdict};
use domain::grant::{Carrier, EndReason, Ended, Grant, GrantId, GrantToken};
use domain::leaf::Asset;
use domain::policy::Streams;
use domain::receipt::{self, Receipt};
use domain::session::{Holder, Session, owns};
use domain::video::Video;
use std::collections::BTreeMap;

/// How often a decision is made anew because the policy changed under it.
const ATTEMPTS: usize = 3;

/// The request's body; it may be left out.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Tokens the viewer says to hold (CAIP-19): where to look, and no proof of anything.
    #[serde(default)]
    pub assets: Vec<Asset>,
    /// How the grant is to travel. Who may watch does not depend on it.
    #[serde(default)]
    pub carrier: Carrier,
    /// What a path is to be bound to.
    #[serde(default)]
    pub bind: Binding,
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

/// Decides by the stored policy, and by nothing else, whether the caller may watch.
///
/// # Errors
/// Not found for a video that is not ready (its owner learns the stage); a carrier that the video
/// can't have; the policy's refusal with each condition's outcome; as many watch as the policy
/// allows; unavailable, and never a grant, when the facts can't be learned.
#[expect(clippy::too_many_arguments, reason = "each is one port")]
pub async fn grant_playback<E: EvmChains, S: SolanaChains, P: Plugins, F: FactStore>(
    system: &(impl Clock + Random),
    videos: &impl VideoStore,
    grants: &impl GrantStore,
    revocations: &impl Queue<RevokeMessage>,
    audit: &impl AuditLog,
    gate: &Gate<'_, E, S, P, F>,
    terms: &Terms,
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
        carries(&video, wish.carrier, &wish.bind)?;
        let decision = decide(system, gate, &video, &caller.wallets, &wish.assets).await;
        let now = system.now();
        let origin = &terms.signer.origin;
        let mut receipt = Receipt::new(origin, &video, &caller.wallets, &decision, now);
        if decision.verdict != Verdict::Yes {
            audit.append(&AuditRecord::new(system, receipt)).await?;
            return Err(refusal(decision));
        }
        let id = GrantId::new(caller.account(), now, system.bytes());
        let token = GrantToken::new(id, system.bytes());
        let life = (now, now + lifetime(&video, terms));
        let grant = Grant {
            assets: wish.assets.clone(),
            bind: wish.bind.clone(),
            ..Grant::new(&token, &*video.id, caller, wish.carrier, life)
        };
        let mut grant = grant.decided(&decision, video.policy_revision);
        if let Some(streams) = limits(&video, &grant) {
            let places = (streams, &*decision.tokens, terms.lease);
            let held = hold(system, grants, revocations, places, &mut grant).await;
            AuditRecord::append_full(system, audit, &held, &receipt).await?;
            held?;
        }
        if let Err(error) = grants.create(&grant).await {
            // Or its own place would be taken from the next try.
            release(grants, &grant).await?;
            return Err(error.into());
        }
        // Looked at once more after it is written: a policy or a stage that moved before this is seen
        // here, and whoever moves it later finds the grant, and has it decided again.
        if !videos.get(&grant.video).await?.is_some_and(|video| grant.stands(&video)) {
            withdraw(system, grants, &grant).await?;
            continue;
        }
        receipt.grant = Some(grant.grant.to_string());
        receipt.until = Some(grant.expires_at);
        // Nobody is let in of whom nothing is written down.
        if let Err(error) = audit.append(&AuditRecord::new(system, receipt.clone())).await {
            withdraw(system, grants, &grant).await?;
            return Err(error.into());
        }
        let (name, key) = &terms.receipt_key;
        let receipt = Some(receipt::mint(name, key, &receipt).map_err(|_| Problem::Internal)?);
        return Ok(Playback { receipt, ..deliver(terms, &video, &grant, &token, now)? });
    }
    Err(Problem::Conflict("the policy keeps changing; try again".into()).into())
}

/// Takes back a grant whose token nobody was given: the edge need not know.
async fn withdraw(
    clock: &impl Clock,
    grants: &impl GrantStore,
    grant: &Grant,
) -> Result<(), PortError> {
    grants.end(&grant.grant, &Ended { at: clock.now(), why: EndReason::Refused }).await?;
    release(grants, grant).await
}

/// How many streams the policy allows. The owner may have as many as they like.
pub(crate) fn limits<'a>(video: &'a Video, grant: &Grant) -> Option<&'a Streams> {
    let streams = video.policy.as_ref()?.streams.as_ref()?;
    (!owns(&grant.wallets, video.owner)).then_some(streams)
}

/// What is answered when the policy does not say yes: its no with each condition's outcome, or
/// unavailable where that can't be learned.
pub(crate) fn refusal(decision: Decision) -> Error {
    match decision.verdict {
        Verdict::Yes | Verdict::No => Problem::PolicyRefused(decision.conditions).into(),
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
            Problem::Unavailable(format!("could not be learned: {}", reasons.join("; "))).into()
        }
    }
}

/// What the video's policy says. The owner may always watch; without a policy nobody else may.
pub(crate) async fn decide<E: EvmChains, S: SolanaChains, P: Plugins, F: FactStore>(
    clock: &impl Clock,
    gate: &Gate<'_, E, S, P, F>,
    video: &Video,
    wallets: &[Holder],
    assets: &[Asset],
) -> Decision {
    let settled = |verdict| Decision {
        verdict,
        conditions: Vec::new(),
        until: None,
        review_at: None,
        tokens: Vec::new(),
        accounts: BTreeMap::new(),
        grace: false,
    };
    if owns(wallets, video.owner) {
        return settled(Verdict::Yes);
    }
    let Some(policy) = &video.policy else { return settled(Verdict::No) };
    let (decision, cost) = gate.decide(clock, policy, wallets, assets).await;
    // A rate of what is found where nothing is looked for says nothing.
    if gate.sharing != Sharing::Nothing {
        cost.count();
    }
    decision
}
