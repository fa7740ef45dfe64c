//! A secret in memory: never printed, compared in constant time, and read again from where it came.

use crate::failure::Failure;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// The shortest secret that signs tokens, in bytes: as long as the hash that it keys.
pub(crate) const SIGNING_BYTES_MIN: usize = 32;
/// The shortest static token.
pub(crate) const TOKEN_BYTES_MIN: usize = 16;
/// The longest secret of any kind.
const SECRET_BYTES_MAX: usize = 4096;

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file; a line break at its end does not count.
    File(PathBuf),
    /// An environment variable that is read once, at start.
    Environment {
        /// Its name, for messages.
        name: &'static str,
        /// What it held.
        value: Secret,
    },
}

/// Bytes that nobody may see.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    pub(crate) fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Source {
    /// Reads the secret, which must have at least `least_bytes`. `flag` is named in the failure.
    pub(crate) fn read(&self, flag: &str, least_bytes: usize) -> Result<Secret, Failure> {
        let (place, secret) = match self {
            Self::File(path) => (path.display().to_string(), from_file(flag, path)?),
            Self::Environment { name, value } => ((*name).to_owned(), value.clone()),
        };
        let length = secret.bytes().len();
        if length < least_bytes || length > SECRET_BYTES_MAX {
            return Err(Failure::usage(format!(
                "{flag}: the secret in {place} has {length} bytes; it must have {least_bytes} to {SECRET_BYTES_MAX}"
            ))
            .hint(format!("head -c 32 /dev/urandom | base64 > {place}")));
        }
        if !secret.bytes().iter().all(u8::is_ascii_graphic) && least_bytes == TOKEN_BYTES_MIN {
            return Err(Failure::usage(format!(
                "{flag}: the token in {place} has a byte that a header cannot carry; use letters, digits and signs"
            )));
        }
        Ok(secret)
    }
}

fn from_file(flag: &str, path: &Path) -> Result<Secret, Failure> {
    let mut bytes = fs::read(path).map_err(|error| {
        Failure::usage(format!(
            "{flag}: cannot read the secret in {}: {error}",
            path.display()
        ))
    })?;
    while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        bytes.pop();
    }
    Ok(Secret(bytes))
}
