//! What a command is to the dispatcher, how its help reads, and how its failure becomes an exit status.
//!
//! Every command file exports one [`Command`] constant. The two error types here mark failures that are the caller's to
//! mend (exit status 2) and not the workspace's (exit status 1).

use anyhow::{Error, Result};
use std::{fmt, fmt::Write as _, process::ExitCode};

/// One chore.
pub(crate) struct Command {
    /// As it is written on the command line.
    pub(crate) name: &'static str,
    /// One line for the overview.
    pub(crate) summary: &'static str,
    /// The page of `cargo xtask NAME --help`, after the summary.
    pub(crate) help: &'static str,
    /// Whether `--help` too is handed on to the program behind the command.
    pub(crate) forwards: bool,
    /// Does it. The arguments are those after the name.
    pub(crate) run: fn(&[String]) -> Result<()>,
}

impl Command {
    /// What `cargo xtask NAME --help` prints.
    pub(crate) fn help_page(&self) -> String {
        format!(
            "cargo xtask {}: {}\n\n{}\n",
            self.name,
            self.summary,
            self.help.trim_end()
        )
    }
}

/// The page that lists every command.
pub(crate) fn overview(commands: &[Command]) -> String {
    let mut page = String::from("The workspace's chores.\n\nUsage: cargo xtask COMMAND [ARGUMENTS]\n\n");
    for command in commands {
        let _ = writeln!(page, "  {:<9} {}", command.name, command.summary);
    }
    page.push_str(
        "\nStart with `cargo xtask test`; run `cargo xtask ci` before you call anything done.\n\
         `cargo xtask COMMAND --help` says what a command needs and does.\n",
    );
    page
}

/// The command line makes no sense.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

/// A program that the command needs is not installed; the text says how to get it.
#[derive(Debug)]
pub(crate) struct MissingTool(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for MissingTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
impl std::error::Error for MissingTool {}

/// 2 for what the caller must mend, 1 for everything else.
pub(crate) fn exit_code(error: &Error) -> ExitCode {
    ExitCode::from(if error.is::<Usage>() || error.is::<MissingTool>() {
        2
    } else {
        1
    })
}

/// Refuses arguments in a command that takes none.
pub(crate) fn no_arguments(args: &[String]) -> Result<()> {
    match args.first() {
        None => Ok(()),
        Some(arg) => Err(Usage(format!("unexpected argument `{arg}`; this command takes none")).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_the_callers_to_mend_and_a_failure_is_not() {
        let missing = Error::new(MissingTool("no nightly".into()));
        assert_eq!(
            format!("{:?}", exit_code(&missing)),
            format!("{:?}", ExitCode::from(2))
        );
        let failed = anyhow::anyhow!("a step failed");
        assert_eq!(
            format!("{:?}", exit_code(&failed)),
            format!("{:?}", ExitCode::from(1))
        );
    }

    #[test]
    fn the_overview_names_every_command() {
        let page = overview(&crate::COMMANDS);
        for command in &crate::COMMANDS {
            assert!(page.contains(command.summary), "{} is not listed", command.name);
            assert!(!command.help.trim().is_empty(), "{} has no help", command.name);
        }
    }

    #[test]
    fn an_argument_that_would_be_ignored_is_refused() {
        assert!(no_arguments(&[]).is_ok());
        let error = no_arguments(&["--fast".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("--fast"), "{error}");
    }
}
