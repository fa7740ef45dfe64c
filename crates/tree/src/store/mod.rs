//! Where rows are kept: one ordered map of bytes on the disk (`lmdb`), what a batch changes on top of it (`overlay`), and
//! keys of any length over both (`long`). [`home`] takes the directory.
//!
//! The first byte of a key is its space; the bytes of each are in `docs/disk-format.md`.

pub(crate) mod home;
pub(crate) mod lmdb;
pub(crate) mod long;
pub(crate) mod overlay;
mod rows;
pub(crate) mod stage;

pub(crate) use rows::{Rows, Visit};
pub(crate) use stage::Stage;

/// Marks: the store's own few rows.
pub(crate) const MARKS: u8 = 0;
/// The leaves of the tree.
pub(crate) const LEAVES: u8 = 1;
/// The entries of declared indexes.
pub(crate) const ENTRIES: u8 = 2;
/// Pieces: what is left of keys too long for LMDB.
pub(crate) const PIECES: u8 = 3;

/// The mark that holds the sequence of the last write.
pub(crate) const SEQ_MARK: &[u8] = &[MARKS, b's'];
/// The mark that holds the number of the next piece.
pub(crate) const NEXT_PIECE_MARK: &[u8] = &[MARKS, b'p'];
/// The mark that holds which indexes the entries are of.
pub(crate) const INDEXES_MARK: &[u8] = &[MARKS, b'i'];

/// The number in a mark; 0 when it is not there.
pub(crate) fn read_mark(rows: &dyn Rows, mark: &[u8]) -> Result<u64, crate::TreeError> {
    let Some(bytes) = rows.get(mark)? else {
        return Ok(0);
    };
    let bytes = (&*bytes)
        .try_into()
        .map_err(|_| crate::TreeError::corrupted("LMDB", "a mark is not 8 bytes long"))?;
    Ok(u64::from_be_bytes(bytes))
}
