//! Which concurrency model for which workload: the subjects, the workloads and the report of `cargo xtask bench`.
//!
//! Every figure is taken beside its rival in the same run, in alternating order, and printed as a median with its spread.
//! A subject is checked to do what is being timed before any clock starts.
#![deny(unsafe_code)]

pub mod blocks;
pub mod compare;
pub mod count;
pub mod kv;
pub mod machine;
pub mod measure;
pub mod paths;
pub mod queue;
pub mod shard;
pub mod stm;
pub mod tree;
pub mod vectors;
