//! A durable JSON tree with live streams: one writer beside many readers.
//!
//! This crate will hold the tree, its worker pool and its security rules. It is empty until that stands.
#![forbid(unsafe_code)]

#[cfg(feature = "rules")]
pub mod rules;
