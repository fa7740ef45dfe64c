//! [`Hash`]: the state of one SHA-256, its rest that fills no group, and what of it lies staged in a batch.

use super::{Group, wide::States};
use crate::Digest;
use sha2::block_api::compress256;
use std::ops::Range;

const GROUP_BYTES: usize = size_of::<Group>();

/// The first 32 bits of the fractional parts of the square roots of the first eight primes (FIPS 180-4, section 5.3.3).
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// One body's digest in the making.
pub(crate) struct Hash {
    state: [u32; 8],
    len_bytes: u64,
    /// Begins with the last bytes that fill no group.
    rest: Group,
    /// Groups of the batch, in order, of which the first ones may be done.
    staged: Vec<Range<usize>>,
    done: usize,
    /// The round of the batch in which it last brought bytes.
    pub(super) round: u64,
    is_finished: bool,
}

impl Hash {
    pub(crate) const fn new() -> Self {
        Self {
            state: START,
            len_bytes: 0,
            rest: [0; GROUP_BYTES],
            staged: Vec::new(),
            done: 0,
            round: 0,
            is_finished: false,
        }
    }

    /// That of a whole body.
    pub(crate) fn of(body: &[u8]) -> Self {
        let mut hash = Self::new();
        hash.give(body);
        let (end, len) = hash.end();
        hash.give(&end[..len]);
        hash
    }

    /// The digest, once the body is finished and nothing of it is staged.
    pub(crate) fn digest(&self) -> Option<Digest> {
        if !self.is_finished || self.is_staged() {
            return None;
        }
        let mut digest = [0; Digest::LEN_BYTES];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        Some(Digest(digest))
    }

    fn rest_bytes(&self) -> usize {
        (self.len_bytes % GROUP_BYTES as u64) as usize
    }

    /// Compresses what fills a group. Nothing may be staged.
    pub(super) fn give(&mut self, mut bytes: &[u8]) {
        let kept = self.rest_bytes();
        self.len_bytes += bytes.len() as u64;
        if kept > 0 {
            let (first, later) = bytes.split_at(bytes.len().min(GROUP_BYTES - kept));
            self.rest[kept..kept + first.len()].copy_from_slice(first);
            if kept + first.len() < GROUP_BYTES {
                return;
            }
            compress256(&mut self.state, std::slice::from_ref(&self.rest));
            bytes = later;
        }
        let (groups, rest) = bytes.as_chunks();
        compress256(&mut self.state, groups);
        self.rest[..rest.len()].copy_from_slice(rest);
    }

    /// Appends what fills a group to `arena`, which holds whole groups.
    pub(super) fn stage(&mut self, arena: &mut Vec<u8>, bytes: &[u8]) {
        let (kept, start) = (self.rest_bytes(), arena.len() / GROUP_BYTES);
        self.len_bytes += bytes.len() as u64;
        let count = (kept + bytes.len()) / GROUP_BYTES;
        if count == 0 {
            self.rest[kept..kept + bytes.len()].copy_from_slice(bytes);
            return;
        }
        let (whole, rest) = bytes.split_at(count * GROUP_BYTES - kept);
        arena.extend_from_slice(&self.rest[..kept]);
        arena.extend_from_slice(whole);
        self.rest[..rest.len()].copy_from_slice(rest);
        match self.staged.last_mut() {
            Some(last) if last.end == start => last.end += count,
            _ => self.staged.push(start..start + count),
        }
    }

    /// The bytes that end the message: a one bit, zeros up to the last eight bytes of a group, its length in bits. Given
    /// last.
    pub(super) fn end(&mut self) -> ([u8; 2 * GROUP_BYTES], usize) {
        let mut bytes = [0; 2 * GROUP_BYTES];
        bytes[0] = 0x80;
        let kept = self.rest_bytes();
        let len = if kept + 9 <= GROUP_BYTES {
            GROUP_BYTES
        } else {
            2 * GROUP_BYTES
        } - kept;
        bytes[len - 8..len].copy_from_slice(&(8 * self.len_bytes).to_be_bytes());
        self.is_finished = true;
        (bytes, len)
    }

    pub(super) fn is_staged(&self) -> bool {
        self.done < self.staged.len()
    }

    /// The staged groups that come next.
    pub(super) fn next(&self) -> Option<Range<usize>> {
        self.staged.get(self.done).cloned()
    }

    /// Compresses everything that is staged, alone.
    pub(super) fn compress(&mut self, arena: &[Group]) {
        for range in self.staged.drain(self.done..) {
            compress256(&mut self.state, &arena[range]);
        }
        self.forget_done();
    }

    /// Puts the state into a lane.
    pub(super) fn enter(&self, states: &mut States, lane: usize) {
        for (words, word) in states.iter_mut().zip(self.state) {
            words[lane] = word;
        }
    }

    /// Takes it out again after so many of the next groups were compressed there.
    pub(super) fn leave(&mut self, states: &States, lane: usize, groups: usize) {
        for (word, words) in self.state.iter_mut().zip(states) {
            *word = words[lane];
        }
        if let Some(next) = self.staged.get_mut(self.done) {
            next.start += groups;
            self.done += usize::from(next.start == next.end);
        }
        if !self.is_staged() {
            self.forget_done();
        }
    }

    fn forget_done(&mut self) {
        self.staged.clear();
        self.done = 0;
    }
}
