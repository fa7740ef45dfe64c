//! The clauses that every directory, and everything that stores through one, must keep. Feature `conformance`.
//!
//! [`directory`] has one function per clause of the file seam and a macro that makes each a test. [`durable`] takes
//! anything that remembers values through a [`Directory`](crate::Directory), fails each of its I/Os and cuts its power
//! thousands of times, and compares what it remembers with an oracle.

pub mod directory;
pub mod durable;
