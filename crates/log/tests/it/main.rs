//! The integration tests of `quintet-log`, one binary.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod basics;
mod damage;
mod model;
mod snapshots;
mod failure;
mod gate;
mod pipeline;
mod power;
mod seam;
mod stores;
mod support;
