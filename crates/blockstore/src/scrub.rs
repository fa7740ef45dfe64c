//! Scrubbing: every stored block is read and hashed, while the store goes on serving.
//!
//! Names are collected a 256th at a time, so that no snapshot of the records is held for long; each block is read under a pin
//! of its own. A block that is deleted meanwhile is passed over. The pace is kept by waiting between blocks.

use crate::{BlockError, BlockStore, Digest, lock, recovery, seat::Seat};
use quintet_core::Result;
use std::{
    fmt,
    ops::ControlFlow,
    time::{Duration, Instant},
};

/// How many faults are listed; further ones are counted only.
const MAX_FAULTS: usize = 1000;

/// How to scrub.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default)]
pub struct ScrubOptions {
    /// Read at most so many bytes a second; 0 = as fast as the disk and one core allow. Default 0.
    pub bytes_per_s: u64,
}

/// How far a long operation is.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Blocks looked at.
    pub done_blocks: u64,
    /// Blocks there were at the start: an estimate, because the store goes on.
    pub total_blocks: u64,
    /// Content read, in bytes.
    pub done_bytes: u64,
}

/// What a scrub found.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Blocks whose content was read and hashed.
    pub blocks: u64,
    /// Their content, in bytes.
    pub bytes: u64,
    /// The first thousand faults, one line each.
    pub faults: Vec<String>,
    /// All faults.
    pub fault_count: u64,
    /// It was stopped before the end.
    pub stopped: bool,
}

impl Scrubbed {
    fn fault(&mut self, fault: impl fmt::Display) {
        self.fault_count += 1;
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault.to_string());
        }
    }
}

impl fmt::Display for Scrubbed {
    /// A summary in one line, then one line per fault.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            blocks,
            bytes,
            fault_count,
            stopped,
            ..
        } = self;
        let end = if *stopped { ", stopped before the end" } else { "" };
        write!(
            f,
            "{blocks} blocks with {bytes} bytes read, {fault_count} faults{end}"
        )?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

impl BlockStore {
    /// Reads every block and checks that its content hashes to its name. The store serves on; one call at a time is enough.
    /// `each` is told the progress after every block, and may end the scrub. Blocks for as long as it takes.
    ///
    /// # Errors
    /// `Closed`; what the record table answers. What is wrong with blocks is in the result.
    ///
    /// ```
    /// use quintet_blockstore::{BlockStore, Config, ScrubOptions};
    /// use std::ops::ControlFlow;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let store = BlockStore::open(Config::new(dir.path()))?;
    /// store.put(b"hello")?;
    /// let found = store.scrub(ScrubOptions::default(), &mut |_| ControlFlow::Continue(()))?;
    /// assert_eq!((found.blocks, found.fault_count), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scrub(
        &self,
        options: ScrubOptions,
        each: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Scrubbed> {
        let mut progress = Progress {
            total_blocks: self.stats().blocks,
            ..Progress::default()
        };
        let mut found = Scrubbed::default();
        let pace = Pace {
            begun: self.clock.now(),
            bytes_per_s: options.bytes_per_s,
        };
        for beginning in 0..=u8::MAX {
            for digest in self.names(beginning, &mut found)? {
                // A seat for one block at a time: other readers need them too.
                let bytes = self.with_seat(2 * self.config().workers, |seat| {
                    let bytes = check(seat, &digest, &mut found);
                    seat.rest(pace.wait(progress.done_bytes + bytes, self.clock.now()));
                    Ok(bytes)
                })?;
                progress.done_blocks += 1;
                progress.done_bytes += bytes;
                if each(progress).is_break() {
                    found.stopped = true;
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// The names that begin with this byte; records that do not decode are faults.
    fn names(&self, beginning: u8, found: &mut Scrubbed) -> Result<Vec<Digest>, BlockError> {
        let mut names = Vec::new();
        self.workers
            .records()
            .scan_prefix(&[beginning], &mut |key, value| {
                if !lock::is_lock(key) {
                    match recovery::read(key, value) {
                        Ok((digest, _)) => names.push(digest),
                        Err(fault) => found.fault(fault),
                    }
                }
                Ok(())
            })?;
        Ok(names)
    }
}

/// Reads and hashes one block; answers how many bytes were read.
fn check(seat: &mut Seat, digest: &Digest, found: &mut Scrubbed) -> u64 {
    let extent = match seat.find(digest) {
        Ok(Some(extent)) => extent,
        // Deleted meanwhile.
        Ok(None) => return 0,
        Err(error) => {
            found.fault(error);
            return 0;
        }
    };
    let read = extent
        .read_at(0, &mut seat.buffer)
        .and_then(|len| extent.verify(&seat.buffer[..len]).map(|()| len));
    found.blocks += 1;
    found.bytes += extent.len_bytes();
    if let Err(error) = read {
        found.fault(format!("{digest}: {error}"));
    }
    extent.len_bytes()
}

/// Keeps the reading at a rate.
struct Pace {
    begun: Instant,
    bytes_per_s: u64,
}

impl Pace {
    /// How long to wait when so many bytes were read since the beginning.
    fn wait(&self, bytes: u64, now: Instant) -> Duration {
        if self.bytes_per_s == 0 {
            return Duration::ZERO;
        }
        let due = Duration::from_secs_f64(bytes as f64 / self.bytes_per_s as f64);
        due.saturating_sub(now.saturating_duration_since(self.begun))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quintet_core::{Clock, SystemClock};

    #[test]
    fn the_pace_is_kept_over_the_whole_and_no_time_is_lost() {
        let begun = SystemClock.now();
        let pace = Pace {
            begun,
            bytes_per_s: 1000,
        };
        let at = |ms| begun + Duration::from_millis(ms);
        assert_eq!(pace.wait(500, at(0)), Duration::from_millis(500));
        assert_eq!(pace.wait(500, at(400)), Duration::from_millis(100));
        assert_eq!(pace.wait(500, at(900)), Duration::ZERO, "the disk was slower");
        assert_eq!(pace.wait(1000, at(900)), Duration::from_millis(100));
        let free = Pace {
            begun,
            bytes_per_s: 0,
        };
        assert_eq!(free.wait(u64::MAX, at(0)), Duration::ZERO);
    }
}
