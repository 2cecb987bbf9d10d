//! What the gate decided, for ever: who, which video, by which policy, on what facts, and when.

use crate::ports::PortError;
use domain::receipt::Receipt;
use serde::{Deserialize, Serialize};

/// A decision as it is kept. It is written once, and never again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// What was decided, as in the receipt.
    #[serde(flatten)]
    pub receipt: Receipt,
    /// Tells apart what was decided in one second: random, 16 hex digits.
    pub id: String,
}

impl AuditRecord {
    /// Its place among the records of its video: by time, then by `id`.
    pub fn moment(&self) -> String {
        format!("{}#{}", domain::rfc3339(self.receipt.iat), self.id)
    }
}

/// Where decisions are kept. There is no way to change one.
#[expect(async_fn_in_trait, reason = "callers are generic over concrete adapters")]
pub trait AuditLog {
    /// Writes one; one that is there stays as it is.
    async fn append(&self, record: &AuditRecord) -> Result<(), PortError>;
}
