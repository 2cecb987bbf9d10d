//! `POST /v1/grants/{grant}/renew`: a player goes on, if the rule still says yes.

use crate::apply_revocations::RevokeMessage;
use crate::audit::{AuditLog, AuditRecord};
use crate::deliver::{Playback, Terms, deliver};
use crate::end_grant::end;
use crate::gate::Gate;
use crate::grant_playback::{decide, limits, refusal};
use crate::lease::hold;
use crate::open_grant::live_grant;
use crate::ports::{
    Clock, EvmChains, FactStore, GrantStore, Plugins, Queue, Random, SolanaChains, VideoStore,
};
use crate::problem::{Error, Problem};
use domain::decision::Verdict;
use domain::grant::EndReason;
use domain::receipt::Receipt;

/// Decides again, by the video's policy of now, and hands out what the player needs for its next
/// minutes. The token is all that is asked for: a film may be longer than a session.
///
/// # Errors
/// [`Problem::GrantInvalid`] for a token that is unknown or over; the policy's refusal, which is the
/// end of the grant; unavailable when the facts can't be learned.
#[expect(clippy::too_many_arguments, reason = "each is one port")]
pub async fn renew_grant<E: EvmChains, S: SolanaChains, P: Plugins, F: FactStore>(
    system: &(impl Clock + Random),
    videos: &impl VideoStore,
    grants: &impl GrantStore,
    revocations: &impl Queue<RevokeMessage>,
    audit: &impl AuditLog,
    gate: &Gate<'_, E, S, P, F>,
    terms: &Terms,
    token: &str,
) -> Result<Playback, Error> {
    let (grant, token) = live_grant(system, grants, token).await?;
    let video = match videos.get(&grant.video).await? {
        Some(video) if video.is_watchable() => video,
        _ => return Err(Problem::GrantInvalid.into()),
    };
    let decision = decide(system, gate, &video, &grant.wallets, &grant.assets).await;
    let origin = &terms.signer.origin;
    let receipt = Receipt::new(origin, &video, &grant.wallets, &decision, system.now());
    // What is not known ends nothing.
    if decision.verdict == Verdict::No {
        let (id, why) = (grant.grant.clone(), EndReason::Refused);
        if end(system, grants, revocations, vec![grant], why).await?.contains(&id) {
            audit.append(&AuditRecord::of_end(system, receipt, &id, why)).await?;
        }
        return Err(refusal(decision));
    }
    if decision.verdict == Verdict::Unknown {
        AuditRecord::tell(system, receipt, &grant.grant);
        return Err(refusal(decision));
    }
    let mut renewed = grant.decided(&decision, video.policy_revision);
    if let Some(streams) = limits(&video, &grant) {
        let places = (streams, &*decision.tokens, terms.lease);
        let held = hold(system, grants, revocations, places, &mut renewed).await;
        AuditRecord::append_full(system, audit, &held, &receipt).await?;
        held?;
    }
    // Most renewals change nothing that is written down: a read is all they cost.
    if renewed.differs(&grant) && !grants.renew(&renewed).await? {
        return Err(Problem::GrantInvalid.into());
    }
    AuditRecord::tell(system, receipt, &grant.grant);
    deliver(terms, &video, &renewed, &token, system.now())
}
