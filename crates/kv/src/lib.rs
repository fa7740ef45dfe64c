//! A concurrent key-value datastore: whoever locks the entry may touch it.
//!
//! This crate will hold the datastore with blocking pops, waits, expiry, its durable log and its RESP port. It is empty
//! until that stands.
#![forbid(unsafe_code)]
