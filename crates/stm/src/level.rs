//! [`Level`]: how much a broken rule of the audit matters.

use crate::Error;
use std::{fmt, str::FromStr};

/// How much a broken rule matters, once it was broken as often as its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Stops the workflow, at once and whatever its failure policy: for safety.
    S,
    /// Ends the workflow: its logic is wrong.
    A,
    /// Undoes this process; the workflow goes on as its policy says.
    B,
    /// Only warns.
    C,
}

impl Level {
    /// Every level, gravest first.
    pub const ALL: [Self; 4] = [Self::S, Self::A, Self::B, Self::C];

    /// Whether it ends the whole workflow.
    #[must_use]
    pub const fn ends_workflow(self) -> bool {
        matches!(self, Self::S | Self::A)
    }

    /// Its letter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| Error::InvalidOperation {
                at: "level".into(),
                reason: format!("`{text}` is not one of S, A, B, C"),
            })
    }
}
