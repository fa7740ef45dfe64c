//! What the load notes in the recording, and the bodies it stores: both are functions of small numbers.

use quintet_blockstore::Digest;
use quintet_core::{ErrorKind, Result};
use std::{
    thread,
    time::{Duration, Instant},
};

/// A step in the life of one block. Only one thread ever works on a given block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    PutBegun = 1,
    PutAcknowledged = 2,
    DeleteBegun = 3,
    DeleteAcknowledged = 4,
    LockBegun = 5,
    LockAcknowledged = 6,
    UnlockBegun = 7,
    UnlockAcknowledged = 8,
}

/// Who locks in the load.
pub(crate) const HOLDER: &[u8] = b"the load";

/// What a lock on this block keeps: 32 bytes to as many as a lock may.
pub(crate) fn lock_body(digest: &Digest) -> Vec<u8> {
    digest.0.repeat(1 + usize::from(digest.0[0]) / 2)
}

/// A step and the block it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) step: Step,
    pub(crate) digest: Digest,
}

impl Operation {
    pub(crate) fn encode(self) -> [u8; 33] {
        let mut note = [0; 33];
        note[0] = self.step as u8;
        note[1..].copy_from_slice(&self.digest.0);
        note
    }

    pub(crate) fn decode(note: &[u8]) -> Option<Self> {
        let (step, digest) = note.split_first()?;
        let step = [
            Step::PutBegun,
            Step::PutAcknowledged,
            Step::DeleteBegun,
            Step::DeleteAcknowledged,
            Step::LockBegun,
            Step::LockAcknowledged,
            Step::UnlockBegun,
            Step::UnlockAcknowledged,
        ]
        .into_iter()
        .find(|known| *known as u8 == *step)?;
        Some(Self {
            step,
            digest: Digest(digest.try_into().ok()?),
        })
    }
}

/// A small generator (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A body that no other call gives: most are small, some take the larger classes.
    pub(crate) fn body(&mut self) -> Vec<u8> {
        let most = match self.below(20) {
            0 => 96 << 10,
            1..4 => 20 << 10,
            _ => 5000,
        };
        let len = 16 + self.below(most) as usize;
        let mut body = Vec::with_capacity(len + 8);
        while body.len() < len {
            body.extend_from_slice(&self.next().to_le_bytes());
        }
        body.truncate(len);
        body
    }
}

/// Tries again while the store asks for patience, for at most ten seconds.
pub(crate) fn patiently<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        match call() {
            Err(error)
                if error.kind() == ErrorKind::Unavailable && start.elapsed() < Duration::from_secs(10) =>
            {
                thread::yield_now();
            }
            other => return other,
        }
    }
}
