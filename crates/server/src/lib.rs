//! The `quintet` binary's parts: command line, configuration, data directory, signals, and the composition of the engines.
//!
//! `main` calls [`run`] and nothing else. The engines are crates of their own; what is here opens them, gives them ports,
//! and drains them in order.
#![forbid(unsafe_code)]
// What only some engines need is dead in a build without them; the full build finds what is dead in earnest.
#![cfg_attr(
    not(all(feature = "blockstore", feature = "kv", feature = "shard", feature = "stm")),
    allow(dead_code, unused_mut, clippy::allow_attributes)
)]

pub mod cli;
pub mod compose;
pub mod config;
pub mod console;
pub mod failure;
pub mod features;
pub mod fsck;
#[cfg(any(feature = "blockstore", feature = "kv"))]
pub mod io_backend;
pub mod listen;
pub mod lock;
pub mod shutdown;
pub mod size;

mod engine;
mod port;

use clap::Parser;
use std::{ffi::OsString, process::ExitCode};

/// Does what the command line says and returns the process's exit code: 0 success, 1 failure, 2 wrong usage.
///
/// Blocks until the command is done; for `serve` that is until a signal comes.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match cli::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are "errors" of code 0 that clap prints to standard output.
            let _reader_gone = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = match &cli.command {
        None => compose::serve(&cli.serve),
        Some(cli::Command::Serve(args)) => compose::serve(args),
        Some(cli::Command::Fsck(args)) => fsck::fsck(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            console::complain(&failure);
            failure.exit_code()
        }
    }
}
