//! The `quintet` binary's parts: command line, configuration, data directory, signals, and the composition of the engines.
//!
//! `main` calls [`run`] and nothing else. The engines are crates of their own; what is here opens them, gives them ports,
//! and drains them in order.
#![forbid(unsafe_code)]
// What only some engines need is dead in a build without them; the full build finds what is dead in earnest.
#![cfg_attr(
    not(all(
        feature = "blockstore",
        feature = "kv",
        feature = "shard",
        feature = "stm",
        feature = "tree"
    )),
    allow(dead_code, unused_mut, clippy::allow_attributes)
)]

pub mod backup;
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
#[cfg(target_os = "linux")]
mod notify;
pub mod prove;
#[cfg(feature = "tree")]
pub mod rules;
pub mod settings;
pub mod shutdown;
pub mod size;
#[cfg(feature = "blockstore")]
pub mod upkeep;
#[cfg(feature = "stm")]
pub mod workflow;

mod auth;
mod bar;
mod engine;
mod journal;
mod port;
#[cfg(feature = "ui")]
mod ui;

use clap::CommandFactory;
use settings::{Refused, Settings};
use std::{ffi::OsString, process::ExitCode};

/// Does what the command line says and returns the process's exit code: 0 success, 1 failure, 2 wrong usage, 78 wrong
/// configuration file.
///
/// Blocks until the command is done; for `serve` that is until a signal comes.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let settings = match Settings::read(args) {
        Ok(settings) => settings,
        Err(Refused::Usage(error)) => {
            // Help and version are "errors" of code 0 that clap prints to standard output.
            let _reader_gone = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
        Err(Refused::File(failure)) => {
            console::complain(&failure);
            return failure.exit_code();
        }
    };
    match done(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            console::complain(&failure);
            failure.exit_code()
        }
    }
}

fn done(settings: &Settings) -> Result<(), failure::Failure> {
    match &settings.cli.command {
        None => served(settings, &settings.cli.serve),
        Some(cli::Command::Serve(args)) => served(settings, args),
        Some(cli::Command::Fsck(args)) => fsck::fsck(args),
        Some(cli::Command::Backup(args)) => backup::backup(args),
        Some(cli::Command::Restore(args)) => backup::restore(args),
        #[cfg(feature = "blockstore")]
        Some(cli::Command::Scrub(args)) => upkeep::scrub(args),
        #[cfg(feature = "blockstore")]
        Some(cli::Command::Compact(args)) => upkeep::compact(args),
        #[cfg(not(feature = "blockstore"))]
        Some(cli::Command::Scrub(_) | cli::Command::Compact(_)) => Err(failure::Failure::new(
            "there are no blocks to look after: built without blockstore",
        )),
        #[cfg(feature = "tree")]
        Some(cli::Command::Rules(args)) => rules::rules(args),
        #[cfg(feature = "stm")]
        Some(cli::Command::Workflow(args)) => workflow::workflow(args),
        Some(cli::Command::Prove(args)) => prove::prove(args),
        Some(cli::Command::Config(args)) => match &args.action {
            cli::ConfigAction::Show { origin, .. } => {
                settings.show(*origin);
                Ok(())
            }
            cli::ConfigAction::Check { serve } => {
                config::Config::from_args(serve)?;
                console::say("valid");
                Ok(())
            }
        },
        Some(cli::Command::Completions(args)) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut cli::Cli::command(), "quintet", &mut script);
            console::say(String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
    }
}

fn served(settings: &Settings, args: &cli::ServeArgs) -> Result<(), failure::Failure> {
    settings::warn_of_strangers();
    compose::serve(args, &|| settings.again())
}
