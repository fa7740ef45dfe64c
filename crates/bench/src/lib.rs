//! Which concurrency model for which workload: the subjects, the workloads and the report of `cargo xtask bench`.
#![forbid(unsafe_code)]
