//! The real binary as a child process.

use std::process::{Command, Output, Stdio};

/// A command of the binary under test, with no `QUINTET_…` of the caller's environment.
pub(crate) fn quintet(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quintet"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("QUINTET_") {
            command.env_remove(name);
        }
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs to the end and captures the output.
pub(crate) fn output(command: &mut Command) -> Output {
    command.output().expect("the binary runs")
}

/// Standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Standard output as text.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
