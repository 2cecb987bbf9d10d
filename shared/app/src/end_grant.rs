//! Ending grants: by whoever holds one, and by the video's owner.

use crate::apply_revocations::RevokeMessage;
use crate::deliver::Cookie;
use crate::lease::release;
use crate::open_grant::live_grant;
use crate::ports::{Clock, GrantStore, PortError, Queue, VideoStore};
use crate::problem::Error;
use domain::Seconds;
use domain::account::Account;
use domain::grant::{Carrier, EndReason, Ended, Grant, GrantId};
use domain::revocation::Revocation;
use domain::session::Session;
use std::collections::{BTreeMap, BTreeSet};

/// From how many grants of one account on the account is told to the edge, not each grant.
const TOGETHER: usize = 4;
/// How old a grant is, in seconds, when it is surely found among its wallet's: DynamoDB's indexes follow.
const FOUND_AFTER: Seconds = 10;
/// How many orders one message holds, far below SQS's limit of its size.
const ORDERS: usize = 200;

/// `DELETE /v1/grants/{grant}`: ends the grant of the token that is shown. Answers with the cookies
/// that the browser is to forget.
///
/// # Errors
/// [`Problem::GrantInvalid`] for a token that is unknown or over.
pub async fn end_grant(
    clock: &impl Clock,
    grants: &impl GrantStore,
    revocations: &impl Queue<RevokeMessage>,
    token: &str,
) -> Result<Vec<Cookie>, Error> {
    let (grant, _) = live_grant(clock, grants, token).await?;
    let forgotten = Cookie::forgotten(&grant);
    end(clock, grants, revocations, vec![grant], EndReason::Left).await?;
    Ok(forgotten)
}

/// The body of `POST /v1/videos/{id}/revocations`: whose streams end.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Whom {
    /// Everybody's.
    Everyone(True),
    /// An account's (CAIP-10).
    Account(Account),
}

/// Said so that nobody ends everyone's streams by an empty body.
#[derive(Debug, serde::Deserialize)]
#[serde(try_from = "bool")]
pub struct True;

impl TryFrom<bool> for True {
    type Error = &'static str;
    fn try_from(said: bool) -> Result<Self, Self::Error> {
        said.then_some(Self).ok_or("can only be true")
    }
}

/// How many grants were ended.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Revoked {
    /// So many.
    pub ended: usize,
}

/// Ends the live grants of a wallet, or of everyone, for the owner of a video. Whom the policy still
/// lets in may ask for a new one: to keep a wallet out the policy has to say so.
///
/// # Errors
/// Not found for all but the owner.
pub async fn revoke_grants(
    clock: &impl Clock,
    videos: &impl VideoStore,
    grants: &impl GrantStore,
    revocations: &impl Queue<RevokeMessage>,
    caller: &Session,
    id: &str,
    whom: &Whom,
) -> Result<Revoked, Error> {
    let video = crate::owned(videos, id, caller).await?;
    let now = clock.now();
    let ending = match whom {
        Whom::Everyone(_) => grants.of_video(&video.id, now).await?,
        Whom::Account(account) => {
            let mut found = grants.of_wallet(account.wallet, now).await?;
            found.retain(|grant| grant.video == video.id);
            found
        }
    };
    let ended = ending.len();
    end(clock, grants, revocations, ending, EndReason::Revoked).await?;
    Ok(Revoked { ended })
}

/// Ends grants, at the edge and in the table. Done again after a fault, it tells both again. Answers
/// with those that nobody had ended before.
///
/// # Errors
/// When one of the two can't be told.
pub(crate) async fn end(
    clock: &impl Clock,
    grants: &impl GrantStore,
    revocations: &impl Queue<RevokeMessage>,
    ending: Vec<Grant>,
    why: EndReason,
) -> Result<BTreeSet<GrantId>, PortError> {
    // The edge first: a grant that is over is not found by the next try.
    for orders in orders(grants, &ending, clock.now()).await?.chunks(ORDERS) {
        revocations.send(&RevokeMessage::revoke(orders)).await?;
    }
    let ended = Ended { at: clock.now(), why };
    let mut ours = BTreeSet::new();
    for grant in &ending {
        if grants.end(&grant.grant, &ended).await? {
            ours.insert(grant.grant.clone());
        }
        release(grants, grant).await?;
        tracing::info!(grant = %grant.grant, video = grant.video, ?why, "a grant ended");
    }
    Ok(ours)
}

/// What the edge must be told. Cookies end by themselves.
async fn orders(
    grants: &impl GrantStore,
    ending: &[Grant],
    now: Seconds,
) -> Result<Vec<Revocation>, PortError> {
    let mut accounts: BTreeMap<&str, Vec<&Grant>> = BTreeMap::new();
    for grant in ending.iter().filter(|grant| grant.carrier != Carrier::Cookie) {
        accounts.entry(grant.grant.handle()).or_default().push(grant);
    }
    let mut orders = Vec::new();
    for mut theirs in accounts.into_values() {
        if theirs.len() >= TOGETHER {
            // Up to the first that stays: an account is told with all that it was given before.
            let wallet = theirs[0].account.wallet;
            let stays = grants.of_wallet(wallet, now).await?.into_iter().filter(|other| {
                other.carrier != Carrier::Cookie
                    && other.grant.handle() == theirs[0].grant.handle()
                    && theirs.iter().all(|grant| grant.grant != other.grant)
            });
            let stays = stays.map(|other| other.grant.issued_at()).min().unwrap_or(Seconds::MAX);
            let before = stays.min(now.saturating_sub(FOUND_AFTER));
            let (older, rest): (Vec<&Grant>, Vec<_>) =
                theirs.iter().partition(|grant| grant.grant.issued_at() < before);
            let newest = older.iter().max_by_key(|grant| grant.grant.issued_at());
            if let Some(newest) = newest.filter(|_| older.len() >= TOGETHER) {
                let until = older.iter().map(|grant| grant.expires_at).max().unwrap_or_default();
                orders.push(Revocation::Wallet { newest: newest.grant.clone(), until });
                theirs = rest;
            }
        }
        orders.extend(theirs.into_iter().map(|grant| Revocation::Grant {
            grant: grant.grant.clone(),
            until: grant.expires_at,
        }));
    }
    Ok(orders)
}
