//! A local stand-in for the CloudFront edge: it reads the deployed distribution from the engine and does with each
//! request what CloudFront does with it. Limits are listed in the modules; `tests/edge/cases.json` is the table of what
//! it answers.

pub mod cache;
pub mod config;
pub mod distribution;
pub mod engine;
pub mod function;
pub mod gate;
pub mod hits;
pub mod origin;
pub mod path;
pub mod pattern;
pub mod policy;
pub mod range;
pub mod refusal;
pub mod response;
pub mod server;
pub mod signature;
pub mod store;
pub mod viewer;
pub mod xml;
