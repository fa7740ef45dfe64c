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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    const SALT: Salt = Salt::new(0x1234_5678_9abc_def0, 3);

    /// The payload of a buffer's first frame, if it verifies.
    fn decode(salt: Salt, bytes: &[u8]) -> Option<(u64, bool, &[u8])> {
        let header = Header::parse(bytes)?;
        let frame = bytes.get(..header.frame_bytes())?;
        let payload = &frame[HEADER_BYTES..HEADER_BYTES + header.len];
        header
            .verifies(salt, frame)
            .then_some((header.seq, header.is_mark, payload))
    }

    proptest! {
        #[test]
        fn any_record_comes_back(record in vec(any::<u8>(), 0..300), seq in 1..u64::MAX, before in vec(any::<u8>(), 0..40)) {
            let mut out = before.clone();
            push_record(&mut out, SALT, seq, &record);
            prop_assert_eq!(out.len(), before.len() + record_bytes(record.len()));
            prop_assert_eq!(decode(SALT, &out[before.len()..]), Some((seq, false, &record[..])));
        }

        #[test]
        fn any_flipped_bit_and_any_cut_is_noticed(record in vec(any::<u8>(), 0..100), seq in 1..u64::MAX, bit in any::<usize>(), tail in vec(any::<u8>(), 0..64)) {
            let mut out = Vec::new();
            push_record(&mut out, SALT, seq, &record);
            let whole = out.clone();
            for len in 0..whole.len() {
                prop_assert_eq!(decode(SALT, &whole[..len]), None, "cut at {}", len);
            }
            let bit = bit % (8 * out.len());
            out[bit / 8] ^= 1 << (bit % 8);
            out.extend(&tail); // A longer length must not find what it needs.
            prop_assert_eq!(decode(SALT, &out), None, "bit {}", bit);
        }

        #[test]
        fn a_frame_of_another_opening_or_log_never_passes(record in vec(any::<u8>(), 0..100), seq in 1..u64::MAX, epoch in 0..1000_u64) {
            let mut out = Vec::new();
            push_record(&mut out, SALT, seq, &record);
            let other = Salt::new(0x1234_5678_9abc_def0, epoch);
            prop_assert_eq!(decode(other, &out).is_some(), epoch == 3);
        }

        #[test]
        fn marks_come_back_and_are_no_records(seq in 1..u64::MAX, synced in any::<u64>()) {
            let bytes = mark(SALT, seq, synced);
            let (found, is_mark, payload) = decode(SALT, &bytes).unwrap();
            prop_assert_eq!((found, is_mark, mark_synced(payload)), (seq, true, synced));
        }
    }

    #[test]
    fn zeros_are_never_a_frame() {
        assert_eq!(Header::parse(&[0; 64]), None);
    }
}
