//! The datastore's tests: what no interleaving, crash or clock may break.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod account;
mod atomic;
mod backup;
mod behaviour;
mod codec;
mod conformance;
mod crash;
mod crowd;
mod differential;
mod directory;
mod expiry;
mod growth;
mod interval;
mod linear;
mod model;
mod port;
mod waits;
mod walk;
mod watch;
