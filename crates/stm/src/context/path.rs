//! [`Path`]: the name of a value in a context: segments joined by dots, like `domain.order.total`.
//!
//! Checked once, where it comes in; everything inside the crate holds a `Path` and need not look again.

use crate::Error;
use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

/// A checked name. Cloning shares it.
///
/// ```
/// use quintet_stm::Path;
/// let path: Path = "domain.order.total".parse().unwrap();
/// assert_eq!(path.leaf(), "total");
/// assert!("domain..total".parse::<Path>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Arc<str>);

impl Path {
    /// The longest path, in bytes.
    pub const MAX_BYTES: usize = 4096;
    /// The most segments.
    pub const MAX_SEGMENTS: usize = 32;
    /// Segments that begin with this are kept for the engine.
    pub const RESERVED: char = '$';

    /// Checks a name.
    ///
    /// # Errors
    /// [`Error::InvalidPath`] that says what is wrong.
    pub fn new(path: &str) -> Result<Self, Error> {
        match objection(path) {
            None => Ok(Self(Arc::from(path))),
            Some(reason) => Err(Error::InvalidPath {
                path: path.chars().take(80).collect(),
                reason,
            }),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment, whose prefix decides the zone.
    #[must_use]
    pub fn leaf(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or(&self.0)
    }

    /// The paths above, longest first: `a.b`, `a` for `a.b.c`.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.0.rmatch_indices('.').map(|(at, _)| &self.0[..at])
    }

    /// Whether the path lies below `branch`; everything lies below the empty one.
    pub(crate) fn is_below(&self, branch: &str) -> bool {
        branch.is_empty()
            || self
                .0
                .strip_prefix(branch)
                .is_some_and(|rest| rest.starts_with('.'))
    }
}

fn objection(path: &str) -> Option<String> {
    if path.len() > Path::MAX_BYTES {
        return Some(format!("{} bytes, the limit is {}", path.len(), Path::MAX_BYTES));
    }
    let mut segments = 0;
    for segment in path.split('.') {
        segments += 1;
        if segment.is_empty() {
            return Some("a segment is empty".into());
        }
        if segment.starts_with(Path::RESERVED) {
            return Some(format!("segment `{segment}` is reserved"));
        }
        if let Some(control) = segment.chars().find(|c| c.is_control()) {
            return Some(format!("the control character {control:?} is not allowed"));
        }
    }
    (segments > Path::MAX_SEGMENTS)
        .then(|| format!("{segments} segments, the limit is {}", Path::MAX_SEGMENTS))
}

impl FromStr for Path {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self, Error> {
        Self::new(path)
    }
}

impl Borrow<str> for Path {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_names_are_refused_with_the_reason() {
        for (path, part) in [
            ("", "empty"),
            (".a", "empty"),
            ("a..b", "empty"),
            ("a.", "empty"),
            ("a.$b", "reserved"),
            ("a\n", "control"),
            (&"a.".repeat(40), "empty"),
            (&format!("{}z", "a.".repeat(32)), "33 segments"),
            (&"x".repeat(5000), "5000 bytes"),
        ] {
            let reason = Path::new(path).unwrap_err().to_string();
            assert!(reason.contains(part), "{path:.20}: {reason}");
        }
    }

    #[test]
    fn a_path_knows_what_is_above_and_below() {
        let path = Path::new("a.b.c").unwrap();
        assert_eq!(path.ancestors().collect::<Vec<_>>(), ["a.b", "a"]);
        assert!(path.is_below("a") && path.is_below("a.b") && path.is_below(""));
        assert!(!path.is_below("a.b.c") && !path.is_below("a.bb") && !Path::new("ab").unwrap().is_below("a"));
    }
}
