//! Content-addressed blocks of 4 KiB to 512 KiB: one controller owns the metadata, N workers do the I/O.
#![deny(unsafe_code)]

pub mod buddy;
