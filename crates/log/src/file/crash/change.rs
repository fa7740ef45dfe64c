//! One change of a file, and what a power cut leaves of it.
//!
//! Synced or written through, it is there whole; else the dice say whether it is kept, lost or torn at sectors. Recorded by
//! the crash directory, which applies changes in their order to build an image.

use super::dice::{Dice, Outcome};
use std::sync::Arc;

/// What media write whole.
const SECTOR_BYTES: u64 = 512;

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: u64, bytes: Arc<[u8]> },
    SetLen { len: u64 },
    Extend { end: u64 },
    Punch { offset: u64, len: u64 },
}

impl Change {
    /// Applies one change whole, or as the dice have it.
    pub(super) fn apply(&self, file: &mut Vec<u8>, dice: Option<&mut Dice>) {
        let mut torn = None;
        if let Some(dice) = dice {
            match dice.outcome() {
                Outcome::Kept => {}
                Outcome::Lost => return,
                Outcome::Torn => torn = Some(dice),
            }
        }
        match (self, torn) {
            (Self::Write { offset, bytes }, None) => put(file, *offset, bytes),
            (Self::Write { offset, bytes }, Some(dice)) => {
                let mut at = 0;
                while at < bytes.len() {
                    let position = offset + at as u64;
                    let to_boundary = (SECTOR_BYTES - position % SECTOR_BYTES) as usize;
                    let end = bytes.len().min(at + to_boundary);
                    if dice.flip() {
                        put(file, position, &bytes[at..end]);
                    }
                    at = end;
                }
            }
            // There is no half of these.
            (_, Some(_)) => {}
            (Self::SetLen { len }, None) => file.resize(*len as usize, 0),
            (Self::Extend { end }, None) => {
                let len = file.len().max(*end as usize);
                file.resize(len, 0);
            }
            (Self::Punch { offset, len }, None) => {
                let from = file.len().min(*offset as usize);
                let to = file.len().min((*offset + *len) as usize);
                file[from..to].fill(0);
            }
        }
    }
}

fn put(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let from = offset as usize;
    if file.len() < from + bytes.len() {
        file.resize(from + bytes.len(), 0);
    }
    file[from..from + bytes.len()].copy_from_slice(bytes);
}
