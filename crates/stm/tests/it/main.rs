//! The crate's integration tests: what each level promises, shown; and what it admits, produced.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod context_anomalies;
mod context_durable;
mod context_handler;
mod context_history;
mod context_invariants;
mod context_kill;
mod context_model;
mod context_refusals;
mod interleave;
mod invariants;
mod retry;
mod serializable;
mod starvation;
mod typed_anomalies;
mod typed_ops;
