//! The block store's integration tests: one binary, one module per part.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod buddy;
mod conformance;
mod crash;
mod fsck;
mod gate;
mod handler;
mod store;
mod table;
mod trace;
mod worker;
