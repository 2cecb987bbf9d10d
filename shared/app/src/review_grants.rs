//! SQS: something that live grants rest on has changed. They are decided again; what fails ends.

use crate::apply_revocations::RevokeMessage;
use crate::audit::{AuditLog, AuditRecord};
use crate::end_grant::end;
use crate::gate::Gate;
use crate::grant_playback::decide;
use crate::ports::{
    Clock, EvmChains, FactStore, GrantStore, Pace, Plugins, Policies, PortError, Queue, Random,
    SolanaChains, VideoStore,
};
use domain::Seconds;
use domain::account::{ChainId, Wallet};
use domain::condition::Condition;
use domain::decision::{Decision, Verdict};
use domain::grant::{EndReason, Grant, GrantId};
use domain::receipt::Receipt;
use domain::video::Video;
use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many decisions are made side by side.
const AT_ONCE: usize = 16;
/// How many seconds a decision is waited for that knows of the message's block: heads are shared for
/// one, and a provider may be some behind. The queue's next try would come much later.
const PATIENCE: usize = 8;
/// A grant younger than this may have been given at a newer block than is seen here: a no is looked
/// at twice.
const YOUNG: Seconds = 5;
/// How many grants are decided by one message, where it might be about many.
const TOGETHER: usize = 50;

/// Which grants to decide again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "review", rename_all = "lowercase", deny_unknown_fields)]
pub enum ReviewMessage {
    /// A wallet's: what it holds has changed.
    Wallet {
        /// Whose.
        wallet: Wallet,
        /// On which chain.
        chain: ChainId,
        /// In which block or slot: a decision must know of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<u64>,
    },
    /// A video's: its policy has changed, or it is gone.
    Video {
        /// Which.
        video: String,
    },
    /// These.
    Grants {
        /// Which.
        ids: Vec<GrantId>,
        /// A chain that can't be read for too long: those end that need it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost: Option<ChainId>,
    },
    /// All that rest on a chain, of which anything may have changed.
    Chain {
        /// Which.
        chain: ChainId,
        /// Whether it can't be read for too long: then those end that need it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lost: bool,
    },
}

/// Decides the grants of a message again; of many it makes many messages.
///
/// # Errors
/// When something can't be read or told, or a decision doesn't know yet of the block that the
/// message is about: what is left is to be done again.
#[expect(clippy::too_many_arguments, reason = "each is one port")]
pub async fn review_grants<E: EvmChains, S: SolanaChains, P: Plugins, F: FactStore>(
    system: &(impl Clock + Random),
    videos: &impl VideoStore,
    policies: &impl Policies,
    grants: &impl GrantStore,
    pace: &impl Pace,
    (audit, origin): (&impl AuditLog, &str),
    gate: &Gate<'_, E, S, P, F>,
    revocations: &impl Queue<RevokeMessage>,
    reviews: &impl Queue<ReviewMessage>,
    message: &ReviewMessage,
) -> Result<(), PortError> {
    let now = system.now();
    let found = match message {
        ReviewMessage::Wallet { wallet, .. } => grants.of_wallet(*wallet, now).await?,
        ReviewMessage::Video { video } => grants.of_video(video, now).await?,
        ReviewMessage::Grants { ids, .. } => {
            let mut found = Vec::new();
            for id in ids {
                found.extend(grants.get(id).await?.filter(|grant| grant.is_open(now)));
            }
            found
        }
        ReviewMessage::Chain { chain, .. } => {
            let mut found = Vec::new();
            for (video, policy) in policies.all().await? {
                let rests = |(_, condition): (_, &Condition)| condition.chain() == Some(*chain);
                if policy.conditions().into_iter().any(rests) {
                    found.extend(grants.of_video(&video, now).await?);
                }
            }
            found
        }
    };
    let lost = match message {
        ReviewMessage::Grants { lost, .. } => *lost,
        ReviewMessage::Chain { chain, lost: true } => Some(*chain),
        _ => None,
    };
    let many = matches!(message, ReviewMessage::Video { .. } | ReviewMessage::Chain { .. });
    if many && found.len() > TOGETHER {
        for some in found.chunks(TOGETHER) {
            let ids = some.iter().map(|grant| grant.grant.clone()).collect();
            reviews.send(&ReviewMessage::Grants { ids, lost }).await?;
        }
        return Ok(());
    }
    let mut films: BTreeMap<&str, Option<Video>> = BTreeMap::new();
    for grant in &found {
        if !films.contains_key(&*grant.video) {
            let video = videos.get(&grant.video).await?.filter(Video::is_watchable);
            films.insert(&grant.video, video);
        }
    }
    let films = &films;
    let reviewed: Vec<_> = stream::iter(&found)
        .map(|grant| async move {
            if !grant.is_live(now) {
                return (grant, None, Review::End(EndReason::Lapsed));
            }
            let Some(video) = films.get(&*grant.video).and_then(Option::as_ref) else {
                return (grant, None, Review::End(EndReason::Deleted));
            };
            let mut decision = decide(system, gate, video, &grant.wallets, &grant.assets).await;
            for look in 0..PATIENCE {
                let newer = look == 0 && now.saturating_sub(grant.created_at) < YOUNG;
                let unsure = newer && decision.verdict == Verdict::No;
                if !unsure && !is_behind(message, &decision) {
                    break;
                }
                pace.wait(1).await;
                decision = decide(system, gate, video, &grant.wallets, &grant.assets).await;
            }
            let review = review(message, lost, grant, video, &decision);
            let receipt = Receipt::new(origin, video, &grant.wallets, &decision, system.now());
            (grant, Some(receipt), review)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;

    let mut ending: BTreeMap<u8, (EndReason, Vec<Grant>)> = BTreeMap::new();
    let mut receipts = BTreeMap::new();
    let mut unknown = 0;
    for (grant, mut receipt, review) in reviewed {
        match review {
            Review::End(why) => {
                receipts.extend(receipt.map(|receipt| (&grant.grant, receipt)));
                ending.entry(why as u8).or_insert((why, Vec::new())).1.push(grant.clone());
                continue;
            }
            Review::Keep(after) if after.differs(grant) => {
                // Whoever ended it meanwhile is right.
                grants.renew(&after).await?;
            }
            Review::Keep(_) => {}
            Review::Unknown => {
                unknown += 1;
                // Or it would say what a decision says that is too old.
                if let Some(receipt) = &mut receipt {
                    receipt.verdict = Verdict::Unknown;
                }
            }
        }
        if let Some(receipt) = receipt {
            AuditRecord::tell(system, receipt, &grant.grant);
        }
    }
    let ended: usize = ending.values().map(|(_, grants)| grants.len()).sum();
    for (why, grants_of_it) in ending.into_values() {
        for id in end(system, grants, revocations, grants_of_it, why).await? {
            let Some(receipt) = receipts.remove(&id) else { continue };
            let record = AuditRecord::of_end(system, receipt, &id, why);
            if let Err(error) = audit.append(&record).await {
                // Others are yet to be ended, and this one will not be found again.
                tracing::error!(%error, grant = %id, "an end is not written down");
            }
        }
    }
    tracing::info!(reviewed = found.len(), ended, unknown, "grants were reviewed");
    if unknown > 0 {
        return Err(PortError::new("review", format!("{unknown} grants can't be decided now")));
    }
    Ok(())
}

/// What becomes of a grant.
enum Review {
    Keep(Box<Grant>),
    End(EndReason),
    Unknown,
}

/// Whether a decision doesn't know yet of the block that the message is about.
fn is_behind(message: &ReviewMessage, decision: &Decision) -> bool {
    let ReviewMessage::Wallet { chain, at: Some(at), .. } = message else { return false };
    decision.conditions.iter().any(|outcome| {
        let place = outcome.block.as_ref().map(|block| block.number).or(outcome.slot);
        outcome.chain == Some(*chain) && place.is_some_and(|place| place < *at)
    })
}

fn review(
    message: &ReviewMessage,
    lost: Option<ChainId>,
    grant: &Grant,
    video: &Video,
    decision: &Decision,
) -> Review {
    if is_behind(message, decision) {
        return Review::Unknown;
    }
    // A chain that stands still goes on answering: what it says is too old to let anybody in.
    let rests = |chain| {
        let outcomes = decision.conditions.iter();
        outcomes
            .filter(|outcome| outcome.chain == Some(chain))
            .any(|outcome| matches!(outcome.outcome, Verdict::Yes | Verdict::Unknown))
    };
    if lost.is_some_and(rests) {
        return Review::End(EndReason::ChainLost);
    }
    match decision.verdict {
        Verdict::Yes => Review::Keep(Box::new(grant.decided(decision, video.policy_revision))),
        Verdict::No => Review::End(EndReason::Refused),
        Verdict::Unknown => Review::Unknown,
    }
}
