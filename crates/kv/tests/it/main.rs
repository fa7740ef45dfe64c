//! The datastore's tests: what no interleaving, crash or clock may break.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

/// How often a crash test goes round: `cargo xtask crash` asks for more.
fn crash_rounds(by_default: usize) -> usize {
    std::env::var("CRASH_ROUNDS").map_or(by_default, |rounds| rounds.parse().unwrap())
}

mod account;
mod atomic;
mod backup;
mod behaviour;
mod codec;
mod conformance;
mod crash;
mod crash_interval;
mod crash_kill;
mod crowd;
mod differential;
mod directory;
mod expiry;
mod growth;
mod linear;
mod model;
mod port;
mod waits;
mod walk;
mod watch;
