//! [`ETag`]: a document's fingerprint, for compare-and-set. SHA-256 over its rows, cut to 20 bytes.
//!
//! Two documents have the same rows exactly when they are equal, so the same tag means the same document. Called by views.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use std::fmt;

/// The fingerprint of a document. Its text is 28 characters of base64, or `null_etag` where there is nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag(String);

impl ETag {
    /// The tag of nothing.
    #[must_use]
    pub fn null() -> Self {
        Self("null_etag".into())
    }

    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ETag {
    /// Any text; one that is no tag matches no document.
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Takes rows in the order of their keys.
#[derive(Default)]
pub(crate) struct Hasher {
    hash: Sha256,
    rows: u64,
}

impl Hasher {
    pub(crate) fn row(&mut self, key: &[u8], value: &[u8]) {
        self.rows += 1;
        for part in [key, value] {
            self.hash.update((part.len() as u64).to_le_bytes());
            self.hash.update(part);
        }
    }

    pub(crate) fn finish(self) -> ETag {
        if self.rows == 0 {
            return ETag::null();
        }
        ETag(STANDARD.encode(&self.hash.finalize()[..20]))
    }
}
