//! `DELETE /v1/auth/session`: signing out.

use crate::ports::{EndedSessions, PortError};
use domain::session::Session;

/// Ends the session that is shown, and with it all that linking made of it. Other sessions of the
/// same wallets go on, and so do grants, which have ends of their own.
///
/// # Errors
/// When it can't be written down; then it goes on.
pub async fn end_session(sessions: &impl EndedSessions, caller: &Session) -> Result<(), PortError> {
    sessions.end(&caller.id, caller.expires_at).await
}
