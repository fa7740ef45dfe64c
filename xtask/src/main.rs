//! The workspace's chores: `cargo xtask COMMAND`. This file only dispatches; each command is one file beside it.
//!
//! Exit status: 0 when everything passed, 1 when a step failed, 2 when the command was called wrongly or needs a tool
//! that is not installed.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool prints"
)]

mod bench;
mod ci;
mod clients;
mod command;
mod crash;
mod fuzz;
mod loom;
mod outside;
mod page;
mod sanitize;
mod soak;
mod steps;
mod test;
mod tidy;
mod workspace;

use command::{Command, exit_code, overview};
use std::process::ExitCode;

/// In the order in which `--help` lists them.
const COMMANDS: [Command; 12] = [
    test::COMMAND,
    ci::COMMAND,
    tidy::COMMAND,
    bench::COMMAND,
    loom::COMMAND,
    sanitize::COMMAND,
    crash::COMMAND,
    soak::COMMAND,
    clients::COMMAND,
    page::COMMAND,
    fuzz::COMMAND,
    outside::COMMAND,
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = args.split_first() else {
        eprint!("{}", overview(&COMMANDS));
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "--help" | "-h" | "help") {
        print!("{}", overview(&COMMANDS));
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprint!("xtask: there is no command `{name}`\n\n{}", overview(&COMMANDS));
        return ExitCode::from(2);
    };
    if rest.first().is_some_and(|arg| arg == "--help" || arg == "-h") && !command.forwards {
        print!("{}", command.help_page());
        return ExitCode::SUCCESS;
    }
    match (command.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask {name}: {error:#}");
            exit_code(&error)
        }
    }
}
