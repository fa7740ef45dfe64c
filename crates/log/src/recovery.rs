//! Opening a log: read what is there, make sure that it stays, and begin a new segment.
//!
//! Nothing is ever appended to a segment of an earlier opening, so a torn frame is never continued and what lay behind it
//! never becomes valid again. The last of what was read is written again and synced before the log goes on: after a mere
//! `kill` it may still be in the kernel only. The order of the steps is what makes a crash in the middle of them harmless.

use crate::{
    Directory, LogConfig, LogError, OpenMode, frame,
    reader::{self, Scan, Scanned},
    segment::{self, FIRST_FRAME, Identity, Obstacle, Preparation, Segment},
    snapshot,
};
use quintet_core::{Clock, Result, Seq};
use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Above every position, epoch and segment number that a log can reach.
const MAX_NUMBER: u64 = 1 << 62;

/// What opening a log found.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// How many records were replayed.
    pub records: u64,
    /// The first of them; 0 when there was none.
    pub first: Seq,
    /// The last position in use; the next record gets the one after it.
    pub last: Seq,
    /// See [`Contents::torn_tail_bytes`](crate::Contents::torn_tail_bytes).
    pub torn_tail_bytes: u64,
    /// How long it took, the replay included.
    pub duration: Duration,
}

/// A segment that is full or of an earlier opening, kept until it is truncated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed {
    pub(crate) number: u64,
    pub(crate) last: u64,
}

/// What the writer goes on from.
pub(crate) struct Opened {
    pub(crate) active: Segment,
    pub(crate) identity: Identity,
    /// The last position in use; durable.
    pub(crate) last: u64,
    pub(crate) sealed: Vec<Sealed>,
    pub(crate) recovery: Recovery,
}

pub(crate) fn recover(
    directory: &dyn Directory,
    config: &LogConfig,
    clock: &dyn Clock,
    after: Seq,
    replay: &mut dyn FnMut(Seq, &[u8]) -> Result<()>,
) -> Result<Opened> {
    let begun = clock.now();
    for name in directory.list()? {
        if segment::is_temporary(&name) || snapshot::is_temporary(&name) {
            directory.remove(&name)?;
        }
    }
    let scan = reader::scan(directory, after, replay)?;
    let last = scan.contents.last.0.max(after.0);
    let newest = scan.segments.last().map(|segment| segment.identity);
    let exhausted = newest.is_some_and(|identity| identity.epoch.max(identity.number) >= MAX_NUMBER);
    if last >= MAX_NUMBER || exhausted {
        // No log gets there by itself; refused here, nothing after this can overflow.
        let value = last.to_string();
        let bound = "positions, epochs and segment numbers end at 2^62".to_owned();
        let field = "after";
        return Err(LogError::Config { field, value, bound }.into());
    }
    if let Some(tail) = scan.segments.get(scan.tail) {
        for companion in &config.companions {
            companion.sync_data()?;
        }
        rewrite_tail(directory, tail)?;
    }
    let (active, identity) = begin_segment(directory, config, &scan, last)?;
    let sealed = tidy(directory, &scan, after)?;
    let recovery = Recovery {
        records: scan.contents.records,
        first: scan.contents.first,
        last: Seq(last),
        torn_tail_bytes: scan.contents.torn_tail_bytes,
        duration: clock.now().saturating_duration_since(begun),
    };
    Ok(Opened {
        active,
        identity,
        last,
        sealed,
        recovery,
    })
}

/// Makes sure that the last records that were read are on stable storage. They are written again, not merely synced: when
/// an earlier sync failed, the kernel may hold bytes that it takes for stored and that are not.
fn rewrite_tail(directory: &dyn Directory, tail: &Scanned) -> Result<()> {
    let file = directory.open(&segment::name(tail.identity.number), OpenMode::Write)?;
    let mut piece = vec![0; (tail.end - tail.doubtful_from).min(1 << 20) as usize];
    let mut offset = tail.doubtful_from;
    while offset < tail.end {
        let len = piece.len().min((tail.end - offset) as usize);
        file.read_exact_at(&mut piece[..len], offset)?;
        file.write_at(&piece[..len], offset)?;
        offset += len as u64;
    }
    file.sync_data()
}

/// Makes the segment that this opening writes to, with a first mark, all durable.
fn begin_segment(
    directory: &dyn Directory,
    config: &LogConfig,
    scan: &Scan,
    last: u64,
) -> Result<(Segment, Identity)> {
    let newest = scan.segments.last().map(|segment| segment.identity);
    let identity = Identity {
        log_id: newest.map_or_else(|| RandomState::new().hash_one("log"), |identity| identity.log_id),
        epoch: newest.map_or(1, |identity| identity.epoch + 1),
        number: newest.map_or(1, |identity| identity.number + 1),
        capacity_bytes: config.segment_bytes,
    };
    // Behind the tail nothing was ever begun, so that nothing is lost with the segment. The newest segment is not
    // taken: it is what makes the new number and epoch greater than all before.
    let unused = scan
        .segments
        .iter()
        .enumerate()
        .rev()
        .skip(1)
        .find(|(at, segment)| {
            (*at < scan.first_needed || *at > scan.tail)
                && segment.identity.capacity_bytes == config.segment_bytes
        });
    let recycled = unused.map(|(_, segment)| segment.identity.number);
    let mut preparation =
        Preparation::begin(directory, identity, recycled, config.zero_fill).map_err(Obstacle::into_error)?;
    while !preparation.step(1 << 20).map_err(Obstacle::into_error)? {}
    let active = preparation.finish(directory).map_err(Obstacle::into_error)?;
    let mark = frame::mark(identity.salt(), last + 1, last);
    active.file.write_at(&mark, FIRST_FRAME)?;
    active.file.sync_data()?;
    Ok((active, identity))
}

/// Removes what is not needed, cuts the tail where its records end, and lists what stays.
fn tidy(directory: &dyn Directory, scan: &Scan, after: Seq) -> Result<Vec<Sealed>> {
    let mut sealed = Vec::new();
    let last = scan.contents.last.0;
    for (at, segment) in scan.segments.iter().enumerate() {
        let number = segment.identity.number;
        let name = segment::name(number);
        let last_of_segment = scan.segments[at + 1..=scan.tail.max(at)]
            .iter()
            .find_map(|later| later.first)
            .map_or(last, |first| first - 1);
        let is_empty = segment.first.is_none_or(|first| first > last_of_segment);
        if at >= scan.first_needed && at <= scan.tail && !is_empty && last_of_segment > after.0 {
            if at == scan.tail && segment.file.len()? > segment.end {
                directory.open(&name, OpenMode::Write)?.set_len(segment.end)?;
            }
            sealed.push(Sealed {
                number,
                last: last_of_segment,
            });
        } else {
            match directory.remove(&name) {
                // Recycled a moment ago.
                Err(error) if error.kind() == quintet_core::ErrorKind::NotFound => {}
                outcome => outcome?,
            }
        }
    }
    Ok(sealed)
}
