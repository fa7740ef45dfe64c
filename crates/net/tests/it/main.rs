//! Integration tests: the HTTP machine driven from bytes, and whole loops over loopback sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backends;
mod body;
mod endings;
mod pipeline;
mod port;
mod recorder;
mod smuggling;
mod sockets;
mod split;
mod timeouts;
#[cfg(target_os = "linux")]
mod uring;
