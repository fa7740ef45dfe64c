//! How often content that is read is checked against its name.

use quintet_core::{Error, ErrorKind};
use std::{fmt, str::FromStr};

/// At [`Verify::Sample`] one read in so many is checked.
pub(crate) const SAMPLE: u64 = 64;

/// Whether what is read is hashed before it is handed out: some 0.7 ms per MiB. Whoever reads holds the name and can check
/// for himself; a [scrub](crate::BlockStore::scrub) checks what nobody reads.
///
/// ```
/// use quintet_blockstore::Verify;
/// assert_eq!("sample".parse::<Verify>().unwrap(), Verify::Sample);
/// assert_eq!(Verify::default().to_string(), "never");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Verify {
    /// Nothing is checked.
    #[default]
    Never,
    /// One read in 64 of each worker is checked, the first among them.
    Sample,
    /// Every read is checked, of a part too: then the whole block is read.
    Always,
}

impl Verify {
    /// Every policy, cheapest first.
    pub const ALL: [Self; 3] = [Self::Never, Self::Sample, Self::Always];

    /// The policy's name as it is written on a command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Sample => "sample",
            Self::Always => "always",
        }
    }

    /// Whether a worker's read number `nth` is checked, the first being 0.
    pub(crate) const fn applies(self, nth: u64) -> bool {
        match self {
            Self::Never => false,
            Self::Sample => nth.is_multiple_of(SAMPLE),
            Self::Always => true,
        }
    }
}

impl fmt::Display for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Verify {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidInput,
                    format!("`{text}` is not one of never, sample, always"),
                )
            })
    }
}
