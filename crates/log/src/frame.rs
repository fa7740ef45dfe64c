//! One frame: 16 bytes of header, the payload, zeros up to a multiple of 8.
//!
//! The checksum is seeded with a salt that no two openings of a log share, and covers length, sequence and padding. So a
//! frame is valid for one opening and one position only: bytes from an earlier use of the same storage never pass.
//! Pure functions; the writer encodes, the reader and the fuzzers decode.

use crc32fast::Hasher;

/// crc u32, length and kind u32, sequence u64.
pub(crate) const HEADER_BYTES: usize = 16;
/// A mark: header and the synced position.
pub(crate) const MARK_BYTES: usize = HEADER_BYTES + 8;
/// Set in the length of a mark.
const MARK_BIT: u32 = 1 << 31;

/// What a frame of a record of this length takes.
pub(crate) const fn record_bytes(len: usize) -> usize {
    HEADER_BYTES + len.next_multiple_of(8)
}

/// Seeds the checksums of one opening of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Salt(u32);

impl Salt {
    /// Two epochs of one log never share a salt (below 2^32 openings), since `^` with a constant is injective.
    pub(crate) const fn new(log_id: u64, epoch: u64) -> Self {
        Self((log_id ^ (log_id >> 32)) as u32 ^ epoch as u32)
    }

    /// The checksum of a frame without its first four bytes.
    fn checksum(self, bytes: &[u8]) -> u32 {
        let mut hasher = Hasher::new_with_initial(self.0);
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// A header as it lies in the file, not yet trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    crc: u32,
    pub(crate) seq: u64,
    /// Of the payload.
    pub(crate) len: usize,
    pub(crate) is_mark: bool,
}

impl Header {
    /// Reads the first 16 bytes; `None` when there are fewer, or when no writer could have written them.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (crc, rest) = bytes.split_first_chunk::<4>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (seq, _) = rest.split_first_chunk::<8>()?;
        let len = u32::from_le_bytes(*len);
        let header = Self {
            crc: u32::from_le_bytes(*crc),
            seq: u64::from_le_bytes(*seq),
            len: (len & !MARK_BIT) as usize,
            is_mark: len & MARK_BIT != 0,
        };
        let possible = header.seq > 0 && (!header.is_mark || header.len == 8);
        possible.then_some(header)
    }

    /// Header, payload and padding.
    pub(crate) const fn frame_bytes(&self) -> usize {
        record_bytes(self.len)
    }

    /// Whether `frame`, which must be exactly [`frame_bytes`](Self::frame_bytes) long, is what was written.
    pub(crate) fn verifies(&self, salt: Salt, frame: &[u8]) -> bool {
        frame.len() == self.frame_bytes() && salt.checksum(&frame[4..]) == self.crc
    }
}

/// Appends a record's frame. The length must be below 2^31, which the configuration ensures.
pub(crate) fn push_record(out: &mut Vec<u8>, salt: Salt, seq: u64, record: &[u8]) {
    let start = out.len();
    out.reserve(record_bytes(record.len()));
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(record.len() as u32).to_le_bytes());
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(record);
    out.resize(start + record_bytes(record.len()), 0);
    let crc = salt.checksum(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// A mark: `seq` comes next in the log, and everything up to `synced` was on stable storage when this was written.
pub(crate) fn mark(salt: Salt, seq: u64, synced: u64) -> [u8; MARK_BYTES] {
    let mut out = [0; MARK_BYTES];
    out[4..8].copy_from_slice(&(MARK_BIT | 8).to_le_bytes());
    out[8..16].copy_from_slice(&seq.to_le_bytes());
    out[16..].copy_from_slice(&synced.to_le_bytes());
    let crc = salt.checksum(&out[4..]);
    out[..4].copy_from_slice(&crc.to_le_bytes());
    out
}

/// The synced position in a verified mark's payload.
pub(crate) fn mark_synced(payload: &[u8]) -> u64 {
    payload
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
