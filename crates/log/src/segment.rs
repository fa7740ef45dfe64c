//! Segment files: their names, the identity in their first sector, and how a new one is made ready.
//!
//! A segment is made under a temporary name and renamed when its identity and its space are on stable storage, and no
//! record goes into it before the rename is too. So under its final name a segment always has a whole identity, and an
//! identity that does not verify is damage, never a crash. Segment numbers and epochs only grow.

use crate::{Directory, File, LogError, OpenMode, file::write_zeros, frame::Salt};
use quintet_core::{Error, ErrorKind, Result};
use std::sync::Arc;

/// What media are assumed to write whole.
pub(crate) const SECTOR_BYTES: u64 = 512;
/// Where frames begin: the identity's sector is never written again.
pub(crate) const FIRST_FRAME: u64 = SECTOR_BYTES;
/// The newest format that this build reads and the one it writes.
pub(crate) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"QNTLOG\r\n";
const IDENTITY_BYTES: usize = 64;
const PREFIX: &str = "segment-";
const SUFFIX: &str = ".log";
const TEMPORARY: &str = ".new";

/// The name of a segment in use.
pub(crate) fn name(number: u64) -> String {
    format!("{PREFIX}{number:016x}{SUFFIX}")
}

fn temporary_name(number: u64) -> String {
    format!("{PREFIX}{number:016x}{TEMPORARY}")
}

fn parse(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(suffix)?;
    let is_ours = digits.len() == 16
        && digits
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    is_ours.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// The number in a segment's name, `None` for any other file.
pub(crate) fn parse_name(name: &str) -> Option<u64> {
    parse(name, SUFFIX)
}

/// Whether this is a segment that a crash left half made.
pub(crate) fn is_temporary(name: &str) -> bool {
    parse(name, TEMPORARY).is_some()
}

/// Which log, which opening of it, and which segment a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Chosen at random when the log is created.
    pub(crate) log_id: u64,
    /// Counts the openings of the log.
    pub(crate) epoch: u64,
    pub(crate) number: u64,
    pub(crate) capacity_bytes: u64,
}

impl Identity {
    pub(crate) const fn salt(&self) -> Salt {
        Salt::new(self.log_id, self.epoch)
    }

    pub(crate) fn encode(&self) -> [u8; IDENTITY_BYTES] {
        let mut out = [0; IDENTITY_BYTES];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[16..24].copy_from_slice(&self.log_id.to_le_bytes());
        out[24..32].copy_from_slice(&self.epoch.to_le_bytes());
        out[32..40].copy_from_slice(&self.number.to_le_bytes());
        out[40..48].copy_from_slice(&self.capacity_bytes.to_le_bytes());
        let crc = crc32fast::hash(&out[..60]);
        out[60..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the identity of the segment with this number.
    pub(crate) fn read(file: &dyn File, number: u64) -> Result<Self> {
        let mut bytes = [0; IDENTITY_BYTES];
        let got = file.read_at(&mut bytes, 0)?;
        let damaged = |reason: &str| Err(LogError::damaged(file.name(), 0, reason));
        if got < IDENTITY_BYTES || bytes[..8] != MAGIC {
            return damaged("this is not a log segment");
        }
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if u32_at(60) != crc32fast::hash(&bytes[..60]) {
            return damaged("the checksum of the segment's identity does not match");
        }
        if u32_at(8) != VERSION {
            return Err(LogError::Version {
                file: file.name().to_owned(),
                version: u32_at(8),
                supported: VERSION,
            }
            .into());
        }
        if u64_at(32) != number {
            return damaged("the segment's number is not the one in its name");
        }
        Ok(Self {
            log_id: u64_at(16),
            epoch: u64_at(24),
            number,
            capacity_bytes: u64_at(40),
        })
    }
}

/// A segment that can be written to.
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn File>,
}

/// A segment in the making, so that the flusher can do it in pieces between two flushes.
pub(crate) struct Preparation {
    identity: Identity,
    file: Arc<dyn File>,
    filled: u64,
}

/// Why a preparation stopped.
pub(crate) enum Obstacle {
    /// No space; nothing was synced, so it can be tried again.
    Full(Error),
    /// Anything else: what is durable in the directory is unknown.
    Fatal(Error),
}

impl Obstacle {
    /// For the steps before any sync.
    fn before_sync(error: Error) -> Self {
        if error.kind() == ErrorKind::Full {
            Self::Full(error)
        } else {
            Self::Fatal(error)
        }
    }

    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Full(error) | Self::Fatal(error) => error,
        }
    }
}

impl Preparation {
    /// Makes the file and reserves its space. `recycled` is an old segment whose space is taken over.
    pub(crate) fn begin(
        directory: &dyn Directory,
        identity: Identity,
        recycled: Option<u64>,
        zero_fill: bool,
    ) -> Result<Self, Obstacle> {
        let temporary = temporary_name(identity.number);
        if let Some(old) = recycled {
            // Durable before its bytes change: an old name must never lead to a new identity.
            directory
                .rename(&name(old), &temporary)
                .map_err(Obstacle::Fatal)?;
            directory.sync().map_err(Obstacle::Fatal)?;
        }
        let file = directory
            .open(&temporary, OpenMode::Create)
            .map_err(Obstacle::before_sync)?;
        let len = file.len().map_err(Obstacle::Fatal)?;
        let capacity = identity.capacity_bytes;
        if len > capacity {
            file.set_len(capacity).map_err(Obstacle::Fatal)?;
        } else if len < capacity {
            file.allocate(len, capacity - len).map_err(|error| {
                // Gives back what was reserved; if even that fails, the next open does it.
                let _ = directory.remove(&temporary);
                Obstacle::before_sync(error)
            })?;
        }
        let filled = if zero_fill { len.min(capacity) } else { capacity };
        Ok(Self {
            identity,
            file,
            filled,
        })
    }

    /// Writes and syncs at most `budget_bytes` of zeros; `true` when none are left to write.
    pub(crate) fn step(&mut self, budget_bytes: u64) -> Result<bool, Obstacle> {
        let piece = budget_bytes.min(self.identity.capacity_bytes - self.filled);
        if piece > 0 {
            // The space is reserved, so that even a full disk here is a failure of the disk.
            write_zeros(&*self.file, self.filled, piece).map_err(Obstacle::Fatal)?;
            self.file.sync_data().map_err(Obstacle::Fatal)?;
            self.filled += piece;
        }
        Ok(self.filled == self.identity.capacity_bytes)
    }

    /// Gives the segment its identity and its name, both durable. Call after `step` answered `true`.
    pub(crate) fn finish(self, directory: &dyn Directory) -> Result<Segment, Obstacle> {
        let number = self.identity.number;
        let done = || {
            // The second sector too: a recycled segment must not seem to begin with a frame of its earlier use.
            let mut head = [0; 2 * SECTOR_BYTES as usize];
            head[..IDENTITY_BYTES].copy_from_slice(&self.identity.encode());
            self.file.write_at(&head, 0)?;
            self.file.sync_data()?;
            directory.rename(&temporary_name(number), &name(number))?;
            directory.sync()?;
            // Reopened so that errors carry the final name.
            directory.open(&name(number), OpenMode::Write)
        };
        let file = done().map_err(Obstacle::Fatal)?;
        Ok(Segment { number, file })
    }
}
