//! The hand-written protocols under loom: every interleaving within a stated budget of preemptions.
//!
//! `RUSTFLAGS="--cfg quintet_loom" cargo test -p quintet-core --release --features fake --test loom --target-dir target/loom`
#![cfg(quintet_loom)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connection;
mod doorbell;

/// Explores `model` with at most `preemptions` switches away from a thread that could go on. A model that can deadlock,
/// for example by a lost wake-up, panics.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}
