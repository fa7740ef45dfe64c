//! The integration tests of `quintet-log`, one binary.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod basics;
mod claims;
mod copies;
mod damage;
mod failure;
mod gate;
mod model;
mod pipeline;
mod power;
mod seam;
mod snapshots;
mod stores;
mod support;
