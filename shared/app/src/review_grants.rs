//! Deciding live grants again.

use domain::account::{ChainId, Wallet};
use serde::{Deserialize, Serialize};

/// Which live grants to decide again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "review", rename_all = "lowercase", deny_unknown_fields)]
pub enum ReviewMessage {
    /// A wallet's: what it holds on a chain has changed.
    Wallet {
        /// Whose.
        wallet: Wallet,
        /// Where.
        chain: ChainId,
        /// In which block or slot; a decision by an older one counts for nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<u64>,
    },
    /// A video's: its policy changed, or what holds for all of its viewers.
    Video {
        /// Its id.
        video: String,
    },
    /// These.
    Grants {
        /// Their ids.
        ids: Vec<String>,
    },
    /// All that rest on a chain, which lags, or of which not everything is known.
    Chain {
        /// Which.
        chain: ChainId,
    },
}
