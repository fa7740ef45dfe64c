//! The `quintet` binary.
#![forbid(unsafe_code)]

fn main() {}
