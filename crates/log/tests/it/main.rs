//! The integration tests of `quintet-log`, one binary.

mod basics;
mod support;
