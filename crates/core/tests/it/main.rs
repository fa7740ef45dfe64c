//! The integration tests of `quintet-core`: one binary, one module per subject.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod batch;
mod broken;
mod client;
mod conformance;
mod doorbell;
mod errors;
mod object_safety;
mod ports;
mod sim;
mod subjects;
