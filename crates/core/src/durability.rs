//! What "acknowledged" means, under one name in every engine.

use crate::{Error, ErrorKind};
use std::{fmt, str::FromStr};

/// What is true of a write when its reply leaves.
///
/// | level | before the reply | survives `kill -9` | survives a power cut |
/// |---|---|---|---|
/// | `Full` | on stable storage | yes | yes |
/// | `Interval` | in the kernel; on stable storage within the interval (100 ms unless configured) | yes | all but at most the last interval |
/// | `Relaxed` | in the kernel; on stable storage at the next checkpoint | yes | the store, but not the last moments |
///
/// No level ever trades the store itself: after any crash it opens, and no record names bytes that are missing.
///
/// ```
/// use quintet_core::Durability;
/// assert_eq!("interval".parse::<Durability>().unwrap(), Durability::Interval);
/// assert_eq!(Durability::Full.to_string(), "full");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// On stable storage before the reply.
    Full,
    /// In the kernel before the reply, on stable storage within a configured interval.
    Interval,
    /// In the kernel before the reply, on stable storage at the next checkpoint.
    Relaxed,
}

impl Durability {
    /// Every level, strictest first.
    pub const ALL: [Self; 3] = [Self::Full, Self::Interval, Self::Relaxed];

    /// The level's name as it is written on a command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Interval => "interval",
            Self::Relaxed => "relaxed",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Durability {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidInput,
                    format!("durability `{text}` is not one of full, interval, relaxed"),
                )
            })
    }
}
