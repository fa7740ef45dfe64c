//! SHA-256 of many bodies that come in at the same time.
//!
//! [`Hash`] is one body's digest in the making. [`Batch`] stages the pieces of many and compresses them side by side where
//! the processor can (`wide`); a few bodies, or another processor's, go through the `sha2` crate as they come.
//!
//! Invariant: what was staged of a hash is compressed in the order in which it was given, before anything that came later.

mod batch;
mod hash;
#[cfg(target_arch = "x86_64")]
mod wide;
#[cfg(not(target_arch = "x86_64"))]
#[path = "narrow.rs"]
mod wide;

pub(crate) use batch::Batch;
pub(crate) use hash::Hash;

/// The bytes that are compressed at a time.
type Group = [u8; 64];
