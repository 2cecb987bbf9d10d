//! CloudFront, seen from the inside: what the edge must know.

mod caches;
pub mod keys;
mod store;

pub use caches::Distribution;
pub use store::KeyValueStore;
