//! Thread per shard: each shard of the data is owned by exactly one thread, and requests travel to it.
//!
//! This crate will hold the generic engine and, on it, a durable vector store. It is empty until that stands.
#![forbid(unsafe_code)]
