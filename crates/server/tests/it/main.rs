//! The real binary, from the outside.

mod cli;
mod process;
