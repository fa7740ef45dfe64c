//! The crate's integration tests: what each level promises, shown; and what it admits, produced.

mod interleave;
mod invariants;
mod retry;
mod serializable;
mod starvation;
mod typed_anomalies;
mod typed_ops;
