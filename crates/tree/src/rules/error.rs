//! What is wrong with a rules document, and where: a line and a column that an editor can jump to.
//!
//! Made by the document's reader and by the expression parser and checker; shown by `quintet rules check`, at start-up, and
//! to whoever puts a document. Nothing of a refused document takes effect.

use quintet_core::{Error, ErrorKind};
use std::fmt;

/// Why a rules document was refused. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// One sentence: what is wrong, and where it can be said, what to write instead.
    pub message: String,
}

impl RulesError {
    /// An error at the byte `offset` of `text`.
    pub(super) fn at(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        }
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for RulesError {}

impl From<RulesError> for Error {
    fn from(error: RulesError) -> Self {
        Self::new(ErrorKind::InvalidInput, error.to_string())
    }
}

/// What is wrong with one expression, at a byte offset of its own text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset,
            message: message.into(),
        }
    }
}
