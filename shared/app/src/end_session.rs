//! `DELETE /v1/auth/session`: signing out.

use crate::ports::{Clock, EndedSessions, PortError};
use domain::session::{LONGEST, Session};

/// Ends the session that is shown, and with it all that linking made of it. Other sessions of the
/// same wallets go on, and so do grants, which have ends of their own.
///
/// # Errors
/// When it can't be written down; then it goes on.
pub async fn end_session(
    clock: &impl Clock,
    sessions: &impl EndedSessions,
    caller: &Session,
) -> Result<(), PortError> {
    // Another token of it may last longer than the one that is shown.
    sessions.end(&caller.id, caller.expires_at.max(clock.now() + LONGEST)).await
}
