//! The crate's integration tests: what each level promises, shown; and what it admits, produced.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

/// How often a crash test goes round: `cargo xtask crash` asks for more.
fn crash_rounds(by_default: usize) -> usize {
    std::env::var("CRASH_ROUNDS").map_or(by_default, |rounds| rounds.parse().unwrap())
}

mod audit;
mod backup;
mod context_anomalies;
mod context_handler;
mod context_history;
mod context_invariants;
mod context_lanes;
mod context_model;
mod context_order;
mod context_refusals;
mod context_retry;
mod crash_context;
mod crash_kill;
mod crash_replies;
mod crash_workflow;
mod interleave;
mod invariants;
mod process;
mod retry;
mod serializable;
mod starvation;
mod typed_anomalies;
mod typed_ops;
mod workflow_docs;
mod workflow_ends;
mod workflow_hostile;
mod workflow_levels;
mod workflow_refusals;
mod workflow_run;
