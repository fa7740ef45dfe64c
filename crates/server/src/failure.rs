//! Why a command ends without success: one sentence, what to do about it, and the exit code.

use std::{fmt, process::ExitCode};

/// An error on its way to the person at the terminal.
#[derive(Debug)]
pub struct Failure {
    message: String,
    hint: Option<String>,
    code: u8,
    in_use: bool,
}

impl Failure {
    /// The command could not do its work: exit code 1.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            code: 1,
            in_use: false,
        }
    }

    /// The command was called wrongly: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            code: 2,
            ..Self::new(message)
        }
    }

    /// The configuration file is wrong: exit code 78.
    pub fn config(message: impl Into<String>) -> Self {
        Self {
            code: 78,
            ..Self::new(message)
        }
    }

    /// The same failure, as one of a configuration file.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        self.message = format!("{file}: {}", self.message);
        self.code = 78;
        self
    }

    /// The same failure, as one of a directory that a server uses.
    #[must_use]
    pub fn in_use(mut self) -> Self {
        self.in_use = true;
        self
    }

    /// What went wrong, without what to do about it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether a server uses the directory.
    #[must_use]
    pub const fn is_in_use(&self) -> bool {
        self.in_use
    }

    /// Adds what the person can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// 1, 2 for wrong usage, 78 for a wrong configuration file.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  try: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
