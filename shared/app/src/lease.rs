//! Places for streams, where a policy limits them.

use crate::apply_revocations::RevokeMessage;
use crate::end_grant::end;
use crate::ports::{Clock, GrantStore, PortError, Queue};
use crate::problem::{Error, Problem};
use domain::Seconds;
use domain::grant::{EndReason, Grant};
use domain::leaf::Asset;
use domain::lease::{Taken, subjects, take};
use domain::policy::Streams;
use std::collections::BTreeSet;

/// How often a place is looked for anew because another was quicker.
const ATTEMPTS: usize = 8;

/// Takes a place for a grant, or keeps the one that it has, for `lifetime` from now on. Whose lease
/// has lapsed meanwhile, or is taken over, is ended.
///
/// # Errors
/// [`Problem::StreamsFull`] with who holds the places.
pub(crate) async fn hold(
    clock: &impl Clock,
    grants: &impl GrantStore,
    revocations: &impl Queue<RevokeMessage>,
    (streams, tokens, lifetime): (&Streams, &[Asset], Seconds),
    grant: &mut Grant,
) -> Result<(), Error> {
    let wanted = subjects(streams, grant.account, tokens);
    let mut all: BTreeSet<_> = wanted.iter().flat_map(|wanted| wanted.subjects.clone()).collect();
    all.extend(grant.leases.iter().cloned());
    let all: Vec<_> = all.into_iter().collect();
    for _ in 0..ATTEMPTS {
        let now = clock.now();
        let until = (now + lifetime).min(grant.expires_at);
        let sheets = grants.sheets(&all).await?;
        let (taken, over) = match take(&wanted, &sheets, streams.take_over, grant, (now, until)) {
            Taken::Yes { sheets, over } => (sheets, over),
            Taken::Full(holders) => return Err(Problem::StreamsFull(holders).into()),
        };
        let leases: Vec<_> = taken.iter().map(|sheet| sheet.subject.clone()).collect();
        // A place that it leaves, as on a token that was sold, is given up in the same write: whoever
        // came upon it later would end this stream for it.
        let left = sheets.into_iter().filter(|sheet| !leases.contains(&sheet.subject));
        let left = left.filter_map(|mut sheet| sheet.leave(&grant.grant).then_some(sheet));
        if !grants.write_sheets(&taken.into_iter().chain(left).collect::<Vec<_>>()).await? {
            continue;
        }
        for seat in over {
            let why = if seat.until > now { EndReason::TakenOver } else { EndReason::Lapsed };
            if let Some(other) =
                grants.get(&seat.grant).await?.filter(|grant| grant.ended.is_none())
            {
                end(clock, grants, revocations, vec![Grant { leases: Vec::new(), ..other }], why)
                    .await?;
            }
        }
        grant.leases = leases;
        grant.lease_until = Some(until);
        return Ok(());
    }
    Err(Problem::Conflict("too many ask for the same place; try again".into()).into())
}

/// Gives a grant's places back, for the next one to take. If that fails they lapse by themselves.
pub(crate) async fn release(grants: &impl GrantStore, grant: &Grant) -> Result<(), PortError> {
    if grant.leases.is_empty() {
        return Ok(());
    }
    for _ in 0..ATTEMPTS {
        let mut sheets = grants.sheets(&grant.leases).await?;
        sheets.retain_mut(|sheet| sheet.leave(&grant.grant));
        if sheets.is_empty() || grants.write_sheets(&sheets).await? {
            return Ok(());
        }
    }
    tracing::warn!(grant = %grant.grant, "its places stay taken until they lapse");
    Ok(())
}
