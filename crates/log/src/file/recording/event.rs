//! One event of a recording, read and written. `shim/record.c` writes the same layout.

use quintet_core::{Error, ErrorKind, Result};
use std::{fs, io::Write};

pub(super) const MAGIC: u32 = 0x6365_7251;
pub(super) const HEADER_BYTES: usize = 40;
pub(super) const NOTE: u32 = 64;

#[derive(Debug)]
pub(super) struct Event<'a> {
    pub(super) kind: u32,
    pub(super) inode: u64,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) path: &'a [u8],
    pub(super) payload: &'a [u8],
}

/// Appends a note to a recording that was opened for appending: one write, so that notes of several threads stay whole.
///
/// # Errors
/// What the system answers.
pub fn note(mut recording: &fs::File, payload: &[u8]) -> std::io::Result<()> {
    let mut event = Vec::with_capacity(HEADER_BYTES + payload.len());
    event.extend_from_slice(&MAGIC.to_le_bytes());
    event.extend_from_slice(&NOTE.to_le_bytes());
    event.extend_from_slice(&[0; 28]);
    event.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    event.extend_from_slice(payload);
    recording.write_all(&event)
}

/// The event that begins at byte `at`, and where the next one begins.
pub(super) fn decode(recording: &[u8], at: usize) -> Result<(Event<'_>, usize)> {
    let damaged = || {
        Error::new(
            ErrorKind::Corrupted,
            format!("the recording is damaged at byte {at}"),
        )
    };
    let header = recording.get(at..at + HEADER_BYTES).ok_or_else(damaged)?;
    let number = |from: usize, len: usize| {
        header[from..from + len]
            .iter()
            .rev()
            .fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
    };
    if number(0, 4) != u64::from(MAGIC) {
        return Err(damaged());
    }
    let path_from = at + HEADER_BYTES;
    let payload_from = path_from + number(32, 4) as usize;
    let end = payload_from + number(36, 4) as usize;
    let event = Event {
        kind: number(4, 4) as u32,
        inode: number(8, 8),
        offset: number(16, 8),
        length: number(24, 8),
        path: recording.get(path_from..payload_from).ok_or_else(damaged)?,
        payload: recording.get(payload_from..end).ok_or_else(damaged)?,
    };
    Ok((event, end))
}
