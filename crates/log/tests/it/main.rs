//! The integration tests of `quintet-log`, one binary.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod basics;
mod power;
mod seam;
mod stores;
mod support;
