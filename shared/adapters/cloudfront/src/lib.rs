//! CloudFront, seen from the inside: what the edge must know.

pub mod keys;
mod store;

pub use store::KeyValueStore;
