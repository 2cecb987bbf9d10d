//! Who shows a grant's token opens the grant.

use crate::ports::{Clock, GrantStore};
use crate::problem::{Error, Problem};
use domain::grant::{Grant, GrantToken};

/// The live grant that a token is of.
///
/// # Errors
/// [`Problem::GrantInvalid`] for a token that is unknown, or of a grant that is over.
pub async fn live_grant(
    clock: &impl Clock,
    grants: &impl GrantStore,
    token: &str,
) -> Result<(Grant, GrantToken), Error> {
    let token = GrantToken::read(token).ok_or(Problem::GrantInvalid)?;
    match grants.get(&token.id).await? {
        Some(grant) if grant.is_opened_by(&token) && grant.is_live(clock.now()) => {
            Ok((grant, token))
        }
        _ => Err(Problem::GrantInvalid.into()),
    }
}
