//! [`Isolation`]: the slider, chosen per transaction.

use crate::error::Error;
use std::{fmt, str::FromStr};

/// How far a transaction is kept apart from others. What each level admits and forbids is in `docs/isolation.md`.
///
/// | level | reads | writes | at commit | lost update | write skew | read skew |
/// |---|---|---|---|---|---|---|
/// | `Safe` | one consistent moment | buffered | everything read is unchanged | never | never | never |
/// | `Hybrid` | latest committed | buffered | everything read *and* written is unchanged | never | possible | possible |
/// | `Raw` | latest | at once, each atomic | nothing | possible | possible | possible |
///
/// ```
/// use quintet_stm::Isolation;
/// assert_eq!(Isolation::default(), Isolation::Hybrid);
/// assert_eq!("safe".parse::<Isolation>().unwrap(), Isolation::Safe);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Serializable and opaque: no transaction, not even one that will fail, sees an inconsistent state.
    Safe,
    /// No dirty data and no lost update, and reads that are never validated unless also written.
    #[default]
    Hybrid,
    /// Straight through: atomic per variable, visible at once, never undone.
    Raw,
}

impl Isolation {
    /// Every level, strictest first.
    pub const ALL: [Self; 3] = [Self::Safe, Self::Hybrid, Self::Raw];

    /// The level's name as it is written in a request or a configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Hybrid => "hybrid",
            Self::Raw => "raw",
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Isolation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| Error::InvalidOperation {
                at: "isolation".into(),
                reason: format!("`{text}` is not one of safe, hybrid, raw"),
            })
    }
}
