//! What asking untrusted RPC providers takes, whatever the chain: a breaker for each, retries,
//! hedging, agreement, and bodies that are read no further than they may be long.
//!
//! No SDK of any chain in here, and no address of a provider in any text: those may hold keys.

mod breaker;
mod endpoint;
mod fresh;
mod outcome;
mod panel;
mod retry;

pub use breaker::{Breaker, Latencies, State};
pub use endpoint::{Endpoint, MAX_BODY};
pub use fresh::Fresh;
pub use outcome::{Outcome, Reply, Standing};
pub use panel::{Ask, Counts, Panel};
pub use retry::{attempts, pause};

use std::time::Duration;

/// How long things may take, and how often they may fail.
#[derive(Debug, Clone)]
pub struct Timing {
    /// One request to one provider.
    pub request: Duration,
    /// All of one decision's reads of a chain.
    pub overall: Duration,
    /// How often a request that failed on its way is made again.
    pub retries: u32,
    /// The longest wait before the first retry; it doubles with each.
    pub pause: Duration,
    /// The longest wait before any retry.
    pub longest_pause: Duration,
    /// So many failures in a row open a breaker.
    pub failures: u32,
    /// How long a breaker stays open before one request is let through to try.
    pub open: Duration,
    /// The least time after which a provider is late, and the next is asked as well.
    pub late: Duration,
    /// How long a head is good for.
    pub head: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(3),
            overall: Duration::from_secs(5),
            retries: 2,
            pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(1),
            failures: 5,
            open: Duration::from_secs(30),
            late: Duration::from_millis(150),
            head: Duration::from_secs(5),
        }
    }
}

/// Why a provider gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Not within [`Timing::request`].
    #[error("it did not answer in time")]
    Late,
    /// No connection, or one that broke.
    #[error("it could not be reached")]
    Unreachable,
    /// HTTP 429 or 5xx.
    #[error("it is overloaded or out of order")]
    Busy,
    /// Another HTTP status than 200, as of a wrong key.
    #[error("it refused the request with HTTP status {0}")]
    Status(u16),
    /// Over [`MAX_BODY`].
    #[error("its answer is too long")]
    TooLong,
    /// Not what was asked for, or no JSON-RPC at all.
    #[error("its answer makes no sense")]
    Garbage,
    /// A JSON-RPC error that is no word of the chain's.
    #[error("it answered with error {0}")]
    Error(i64),
    /// It lags behind the others.
    #[error("it lags behind")]
    Behind,
    /// Another chain than it is configured for.
    #[error("it serves another chain")]
    WrongChain,
    /// It is found to lie, or to be of no use, in the words given.
    #[error("{0}")]
    Unfit(&'static str),
}

impl Failure {
    /// Whether the same request may well succeed a moment later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Busy)
    }

    /// Whether it is held against the provider. How much there is to answer is in the hands of
    /// whoever fills an account, who must not be able to shut providers out.
    pub fn is_its_fault(&self) -> bool {
        *self != Self::TooLong
    }
}
