use crate::Grants;
use app::ports::{LiveGrants, PortError, Resting};
use domain::Seconds;
use domain::account::Genesis;

/// Grants do not yet keep what they rest on, nor when to decide them again: there are none to tell.
impl LiveGrants for Grants {
    async fn resting_on(&self, _: Genesis) -> Result<Vec<Resting>, PortError> {
        Ok(Vec::new())
    }

    async fn due(&self, _: Seconds) -> Result<Vec<String>, PortError> {
        Ok(Vec::new())
    }
}
