//! What the gate decided: who, which video, by which policy, on what facts, and when.
//!
//! Each decision of the gate that lets in, refuses or ends is kept in a table, for ever. One that
//! leaves a stream as it is, is told to the log, for as long as that is kept: half an hour by cookies
//! has six of them, and they would be more writes than all others.

use crate::ports::{PortError, Random};
use crate::problem::{Error, Problem};
use domain::Seconds;
use domain::grant::{EndReason, GrantId};
use domain::receipt::Receipt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A decision as it is kept. It is written once, and never again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// What was decided, as in the receipt.
    #[serde(flatten)]
    pub receipt: Receipt,
    /// Tells apart what was decided at one time: 16 hex digits.
    pub id: String,
    /// Why the grant is over, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<EndReason>,
}

/// Who asks again and again and is not let in leaves one record in so many seconds.
const REFUSALS: Seconds = 60;

impl AuditRecord {
    /// Of a decision that was made just now.
    pub fn new(random: &impl Random, receipt: Receipt) -> Self {
        let id = match receipt.grant {
            Some(_) => random.bytes::<8>(),
            None => same(&receipt),
        };
        Self { receipt, id: hex::encode(id), ended: None }
    }

    /// Of a decision that has ended a grant.
    pub fn of_end(random: &impl Random, receipt: Receipt, grant: &GrantId, why: EndReason) -> Self {
        let receipt = Receipt { grant: Some(grant.to_string()), until: None, ..receipt };
        Self { ended: Some(why), ..Self::new(random, receipt) }
    }

    /// Writes down that no place was free for whom the policy lets in.
    ///
    /// # Errors
    /// When the log can't be written.
    pub(crate) async fn append_full(
        random: &impl Random,
        audit: &impl AuditLog,
        held: &Result<(), Error>,
        receipt: &Receipt,
    ) -> Result<(), PortError> {
        match held {
            Err(Error::Problem(Problem::StreamsFull(_))) => {
                audit.append(&Self::new(random, receipt.clone())).await
            }
            _ => Ok(()),
        }
    }

    /// Tells the log of a decision that leaves a grant as it is. There are no functions that could
    /// read, change or remove what stands there.
    pub fn tell(random: &impl Random, receipt: Receipt, grant: &GrantId) {
        let receipt = Receipt { grant: Some(grant.to_string()), ..receipt };
        let record = serde_json::to_string(&Self::new(random, receipt)).unwrap_or_default();
        tracing::info!(record, "decision");
    }

    /// Its place among the records of its video: by time, then by `id`.
    pub fn moment(&self) -> String {
        let at = self.receipt.iat;
        let at = if self.receipt.grant.is_some() { at } else { at - at % REFUSALS };
        format!("{}#{}", domain::rfc3339(at), self.id)
    }
}

/// The same for the same answer to the same wallets.
fn same(receipt: &Receipt) -> [u8; 8] {
    let mut hash = Sha256::new();
    for account in &receipt.accounts {
        hash.update(format!("{account}\n"));
    }
    hash.update(format!("{}\n{:?}", receipt.policy_revision, receipt.verdict));
    let mut id = [0; 8];
    id.copy_from_slice(&hash.finalize()[..8]);
    id
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
