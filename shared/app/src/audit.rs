//! What the gate decided, for ever: who, which video, by which policy, on what facts, and when.
//!
//! Written down is each decision that lets in, refuses or ends. One that lets a stream go on as it
//! does is not: that it goes on is what the grant's own record says.

use crate::ports::{PortError, Random};
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
    /// Of a decision that was made just now.
    pub fn new(random: &impl Random, receipt: Receipt) -> Self {
        Self { receipt, id: hex::encode(random.bytes::<8>()) }
    }

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

/// Where decisions are read.
#[expect(async_fn_in_trait, reason = "callers are generic over concrete adapters")]
pub trait AuditReader {
    /// A video's, newest first, at most so many, from before the moment `before` if one is named.
    async fn of_video(
        &self,
        video: &str,
        before: Option<&str>,
        most: usize,
    ) -> Result<Vec<AuditRecord>, PortError>;
}
