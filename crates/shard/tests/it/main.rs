//! The crate's tests from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conformance;
mod engine;
mod recovery;
mod vectors;
