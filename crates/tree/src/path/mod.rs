//! [`Path`]: where a node is. It is kept as the bytes that its rows are found under, so that using it costs nothing.
//!
//! Invariant: `bytes` is a sequence of whole names as [`key`] writes them; the root has none.

pub(crate) mod key;

use crate::TreeError;
use std::{borrow::Cow, fmt, str::FromStr};

/// The longest name, in bytes of UTF-8: Firebase's limit.
pub const MAX_NAME_BYTES: usize = 768;
/// The most names in a path, whatever the configuration says.
pub const MAX_PATH_DEPTH: usize = 120;

/// Which names a tree takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameRules {
    /// Firebase's: no control characters and none of `. $ # [ ] /`.
    #[default]
    Firebase,
    /// Any text but the empty one.
    Any,
}

impl NameRules {
    /// Checks one name.
    ///
    /// # Errors
    /// [`TreeError::Name`] that says what is wrong with it.
    pub fn check(self, name: &str) -> Result<(), TreeError> {
        let refuse = |fault: String| {
            Err(TreeError::Name {
                name: name.chars().take(80).collect(),
                fault,
            })
        };
        if name.is_empty() {
            return refuse("is empty".into());
        }
        if name.len() > MAX_NAME_BYTES {
            return refuse(format!(
                "is {} bytes long, the limit is {MAX_NAME_BYTES}",
                name.len()
            ));
        }
        if self == Self::Any {
            return Ok(());
        }
        let illegal = |c: &char| matches!(c, '.' | '$' | '#' | '[' | ']' | '/' | '\0'..='\x1f' | '\x7f');
        match name.chars().find(illegal) {
            Some(c) => refuse(format!(
                "contains {c:?}; names have no control characters and none of . $ # [ ] /"
            )),
            None => Ok(()),
        }
    }
}

/// The place of a node: the names on the way from the root to it.
///
/// Paths are ordered as queries order: integers by number, then texts by code point; a node before what is below it.
///
/// ```
/// use quintet_tree::Path;
/// let path: Path = "/users/ada/".parse()?;
/// assert_eq!(path, Path::root().child("users")?.child("ada")?);
/// assert_eq!(path.to_string(), "/users/ada");
/// assert_eq!(path.name().as_deref(), Some("ada"));
/// assert!(path.is_within(&"/users".parse()?));
/// # Ok::<(), quintet_tree::TreeError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    bytes: Vec<u8>,
}

impl Path {
    /// The root.
    #[must_use]
    pub const fn root() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Reads names separated by `/`; empty ones are left out, so `/a//b/` is `a/b`. Nothing is unescaped. Names follow
    /// [`NameRules::Firebase`].
    ///
    /// # Errors
    /// [`TreeError::Name`], or [`TreeError::TooDeep`] beyond [`MAX_PATH_DEPTH`] names.
    pub fn parse(text: &str) -> Result<Self, TreeError> {
        let mut path = Self::root();
        for name in text.split('/').filter(|name| !name.is_empty()) {
            NameRules::Firebase.check(name)?;
            path.push(name)?;
        }
        path.check_depth()?;
        Ok(path)
    }

    /// A path of any names, `/` included.
    ///
    /// # Errors
    /// [`TreeError::Name`] for an empty or too long one, or [`TreeError::TooDeep`].
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, TreeError> {
        let mut path = Self::root();
        for name in names {
            path.push(name)?;
        }
        path.check_depth()?;
        Ok(path)
    }

    fn check_depth(&self) -> Result<(), TreeError> {
        let depth = self.depth();
        if depth > MAX_PATH_DEPTH {
            return Err(TreeError::TooDeep {
                depth,
                max: MAX_PATH_DEPTH,
            });
        }
        Ok(())
    }

    fn push(&mut self, name: &str) -> Result<(), TreeError> {
        NameRules::Any.check(name)?;
        key::push(&mut self.bytes, name);
        Ok(())
    }

    /// The path of a child.
    ///
    /// # Errors
    /// As [`from_names`](Self::from_names).
    pub fn child(&self, name: &str) -> Result<Self, TreeError> {
        let mut path = self.clone();
        path.push(name)?;
        path.check_depth()?;
        Ok(path)
    }

    /// `other`, counted from here.
    ///
    /// # Errors
    /// [`TreeError::TooDeep`].
    pub fn join(&self, other: &Self) -> Result<Self, TreeError> {
        let path = Self::from_bytes([self.bytes(), other.bytes()].concat());
        path.check_depth()?;
        Ok(path)
    }

    /// The path above; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let last = self.pieces().last()?.len();
        Some(Self::from_bytes(self.bytes[..self.bytes.len() - last].to_vec()))
    }

    /// The last name; `None` for the root.
    #[must_use]
    pub fn name(&self) -> Option<Cow<'_, str>> {
        self.names().last()
    }

    /// The names, from the root on.
    pub fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.pieces().map(|piece| key::name(piece).unwrap_or_default())
    }

    /// How many names there are.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.pieces().count()
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether this is `other` or below it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        key::is_within(&self.bytes, &other.bytes)
    }

    /// This path counted from `above`; `None` when it is not within it.
    #[must_use]
    pub fn relative_to(&self, above: &Self) -> Option<Self> {
        self.is_within(above)
            .then(|| Self::from_bytes(self.bytes[above.bytes.len()..].to_vec()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// From bytes that are whole names.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// The bytes of each name.
    pub(crate) fn pieces(&self) -> Pieces<'_> {
        Pieces(&self.bytes)
    }
}

/// The bytes of one name after another.
#[derive(Clone)]
pub(crate) struct Pieces<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let len = key::first_len(self.0)?;
        let (first, rest) = self.0.split_at(len);
        self.0 = rest;
        Some(first)
    }
}

impl FromStr for Path {
    type Err = TreeError;

    fn from_str(text: &str) -> Result<Self, TreeError> {
        Self::parse(text)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str("/");
        }
        self.names().try_for_each(|name| write!(f, "/{name}"))
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({self})")
    }
}
