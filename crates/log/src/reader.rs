//! Reading segments: frames in sequence, the torn end told from damage, damage reported by file and offset.
//!
//! A frame that does not verify ends what can be read. If a later mark says that the missing record had been on stable
//! storage, or a later segment begins after it, that is damage; else it is the torn end of the last writes.
//! Used by [`read`] for everybody and by recovery at open. Writes nothing.

use crate::{
    Directory, File, LogError, OpenMode,
    frame::{self, Header},
    segment::{self, FIRST_FRAME, Identity},
};
use quintet_core::{Result, Seq};
use std::{ops::Range, sync::Arc};

/// What a stretch of a segment looks like that was never written; a multiple of a frame's alignment.
static ZEROS: [u8; 4096] = [0; 4096];
/// How much is read at a time.
const WINDOW_BYTES: usize = 1 << 20;

/// What was found in a log.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// How many records were handed out.
    pub records: u64,
    /// The first of them; 0 when there was none.
    pub first: Seq,
    /// The last position that was ever assigned, as far as the files tell: the log goes on after it.
    pub last: Seq,
    /// The bytes, other than zeros, after the last whole record: what was being written when the power went, and
    /// possibly bytes of an earlier use of the segment. 0 after a clean close.
    pub torn_tail_bytes: u64,
}

/// Reads every record after `after`, oldest first, without changing anything. The torn end of the last write is left out.
/// Reads segments whole, 1 MiB at a time, but for what was never written; blocks. A `replay` that answers [`LogError::BytesMissing`] ends the log before
/// that record, if the record is not known to have been durable.
///
/// ```
/// use quintet_core::{Seq, SystemClock};
/// use quintet_log::{Log, LogConfig, MemDirectory, read};
/// use std::sync::Arc;
///
/// let directory = Arc::new(MemDirectory::new());
/// let config = LogConfig { segment_bytes: 1 << 16, max_record_bytes: 1 << 10, max_group_bytes: 1 << 12, ..LogConfig::default() };
/// let (log, _) = Log::open(directory.clone(), config, Arc::new(SystemClock), Seq::ZERO, &mut |_, _| Ok(()))?;
/// log.append(b"one")?;
/// log.append(b"two")?;
/// log.close()?;
/// let mut found = Vec::new();
/// let contents = read(&*directory, Seq(1), &mut |_, record| {
///     found.push(record.to_vec());
///     Ok(())
/// })?;
/// assert_eq!((contents.first, contents.last, found), (Seq(2), Seq(2), vec![b"two".to_vec()]));
/// # Ok::<(), quintet_core::Error>(())
/// ```
///
/// # Errors
/// [`Corrupted`](quintet_core::ErrorKind::Corrupted) with file and offset for damage before the end, or when the log
/// begins after `after + 1`; `Unsupported` for a newer format; what the directory or `replay` answers.
pub fn read(
    directory: &dyn Directory,
    after: Seq,
    replay: &mut dyn FnMut(Seq, &[u8]) -> Result<()>,
) -> Result<Contents> {
    Ok(scan(directory, after, replay)?.contents)
}

/// A segment and what a scan learnt about it.
pub(crate) struct Scanned {
    pub(crate) identity: Identity,
    pub(crate) file: Arc<dyn File>,
    /// The sequence of its first frame, if that verifies.
    pub(crate) first: Option<u64>,
    /// Where its valid frames end. Only meaningful for segments that were read.
    pub(crate) end: u64,
    /// Where the last group begins that was written when all before it was on stable storage.
    pub(crate) doubtful_from: u64,
}

/// The outcome of reading all segments.
pub(crate) struct Scan {
    pub(crate) contents: Contents,
    /// In order of their numbers.
    pub(crate) segments: Vec<Scanned>,
    /// The first segment that is not wholly covered by the watermark.
    pub(crate) first_needed: usize,
    /// The segment in which the log ends: valid frames of later ones do not continue it.
    pub(crate) tail: usize,
}

/// Reads everything. See the module for the rules.
pub(crate) fn scan(
    directory: &dyn Directory,
    after: Seq,
    replay: &mut dyn FnMut(Seq, &[u8]) -> Result<()>,
) -> Result<Scan> {
    let segments = open_segments(directory)?;
    // A segment is not needed if a later one begins at or before the first record that is.
    let first_needed = segments
        .iter()
        .rposition(|segment| {
            segment
                .first
                .is_some_and(|first| first <= after.0.saturating_add(1))
        })
        .unwrap_or(0);
    let mut scan = Scan {
        contents: Contents::default(),
        segments,
        first_needed,
        tail: first_needed,
    };
    let mut next = None;
    for at in first_needed..scan.segments.len() {
        let Some(first) = scan.segments[at].first else {
            continue;
        };
        match next {
            None if first > after.0.saturating_add(1) => {
                let wanted = after.0.saturating_add(1);
                if let Some(before) = scan.segments[..at].last() {
                    let reason = format!(
                        "no frame begins here, record {wanted} is missing, the next segment begins at {first}"
                    );
                    return Err(LogError::damaged(before.file.name(), FIRST_FRAME, reason));
                }
                return Err(LogError::Missing { wanted, first }.into());
            }
            Some(next) if next != first => {
                let torn = &scan.segments[scan.tail];
                let reason = format!("record {next} is missing, the next segment begins at {first}");
                return Err(LogError::damaged(torn.file.name(), torn.end, reason));
            }
            _ => {}
        }
        // What a later opening began at an earlier position overrides what this one has from there on.
        let limit = scan.segments[at + 1..].iter().find_map(|later| later.first);
        let segment = &mut scan.segments[at];
        let range = after.0..limit.unwrap_or(u64::MAX);
        next = Some(read_segment(segment, range, &mut scan.contents, replay)?);
        scan.tail = at;
    }
    let next = next.unwrap_or(1);
    scan.contents.last = Seq(next - 1);
    scan.contents.torn_tail_bytes = judge_tail(&scan, next)?;
    Ok(scan)
}

/// Opens every segment, reads its identity and looks at its first frame.
fn open_segments(directory: &dyn Directory) -> Result<Vec<Scanned>> {
    let mut segments: Vec<Scanned> = Vec::new();
    for name in directory.list()? {
        let Some(number) = segment::parse_name(&name) else {
            continue;
        };
        let file = directory.open(&name, OpenMode::Read)?;
        let identity = Identity::read(&*file, number)?;
        if let Some(before) = segments.last()
            && (before.identity.log_id != identity.log_id || before.identity.epoch > identity.epoch)
        {
            let reason = "the segment does not belong to this log, or not in this place";
            return Err(LogError::damaged(file.name(), 0, reason));
        }
        let mut frames = Frames::new(&*file, &identity)?;
        let first = frames.next(None)?.map(|frame| frame.seq);
        segments.push(Scanned {
            identity,
            file,
            first,
            end: FIRST_FRAME,
            doubtful_from: FIRST_FRAME,
        });
    }
    Ok(segments)
}

/// Hands out one segment's records that are after the range's start and before its end; answers the sequence that comes
/// after the last one read.
fn read_segment(
    segment: &mut Scanned,
    range: Range<u64>,
    contents: &mut Contents,
    replay: &mut dyn FnMut(Seq, &[u8]) -> Result<()>,
) -> Result<u64> {
    let mut frames = Frames::new(&*segment.file, &segment.identity)?;
    let mut next = segment.first;
    loop {
        segment.end = frames.offset;
        let Some(frame) = frames.next(next)? else { break };
        if frame.is_mark {
            next = Some(frame.seq);
            if frame::mark_synced(frame.payload) == frame.seq - 1 {
                segment.doubtful_from = segment.end;
            }
            continue;
        }
        if frame.seq >= range.end {
            break;
        }
        if frame.seq > range.start {
            match replay(Seq(frame.seq), frame.payload) {
                // It names bytes that are missing: the log ends here, unless it is known to have been durable.
                Err(error) if LogError::is_bytes_missing(&error) => break,
                outcome => outcome?,
            }
            if contents.records == 0 {
                contents.first = Seq(frame.seq);
            }
            contents.records += 1;
        }
        next = Some(frame.seq.saturating_add(1));
    }
    Ok(next.unwrap_or(1))
}

/// Looks behind the last valid frame: a mark that knows a record at or after `next` to be durable proves damage. It looks to
/// the end, and does not stop at zeros: below level full many groups are written between two syncs, a power cut may keep any
/// of them, and the one that proves that an acknowledged record is gone may lie behind all that were lost.
fn judge_tail(scan: &Scan, next: u64) -> Result<u64> {
    let mut torn_bytes = 0;
    for (at, segment) in scan.segments.iter().enumerate().skip(scan.tail) {
        let salt = segment.identity.salt();
        let mut last_used = segment.end;
        let mut frames = Frames::new(&*segment.file, &segment.identity)?;
        let mut offset = segment.end;
        let mut looked_until = offset;
        loop {
            if offset >= looked_until {
                // What was reserved and never written need not be read: the file system knows it.
                let Some(data) = segment.file.next_data(offset)? else {
                    break;
                };
                offset = offset.max(data & !7);
                looked_until = offset + WINDOW_BYTES as u64;
            }
            let Some(bytes) = frames.window_at(offset, frame::MARK_BYTES)? else {
                break;
            };
            // What was filled with zeros it does not know: no header begins with them.
            if bytes.len() >= ZEROS.len() && bytes[..ZEROS.len()] == ZEROS {
                offset += ZEROS.len() as u64;
                continue;
            }
            if bytes[..8] != [0; 8] {
                last_used = offset + 8;
            }
            if let Some(header) = Header::parse(bytes)
                && header.is_mark
                && header.seq >= next
                && header.verifies(salt, &bytes[..frame::MARK_BYTES])
                && frame::mark_synced(&bytes[frame::HEADER_BYTES..]) >= next
            {
                let torn = &scan.segments[scan.tail];
                let known = frame::mark_synced(&bytes[frame::HEADER_BYTES..]);
                let reason = format!(
                    "record {next} does not verify, but {} at byte {offset} knows records up to {known} to be durable",
                    segment.file.name()
                );
                return Err(LogError::damaged(torn.file.name(), torn.end, reason));
            }
            offset += 8;
        }
        if at == scan.tail {
            torn_bytes += last_used - segment.end;
        }
    }
    Ok(torn_bytes)
}

/// A frame that verified.
struct Frame<'a> {
    seq: u64,
    is_mark: bool,
    payload: &'a [u8],
}

/// Walks over the frames of one segment.
struct Frames<'a> {
    file: &'a dyn File,
    identity: Identity,
    /// Of the next frame.
    offset: u64,
    len: u64,
    window: Vec<u8>,
    window_offset: u64,
}

impl<'a> Frames<'a> {
    fn new(file: &'a dyn File, identity: &Identity) -> Result<Self> {
        Ok(Self {
            file,
            identity: *identity,
            offset: FIRST_FRAME,
            len: file.len()?.min(identity.capacity_bytes),
            window: Vec::new(),
            window_offset: 0,
        })
    }

    /// The next frame if it verifies and, when given, has this sequence.
    fn next(&mut self, expected: Option<u64>) -> Result<Option<Frame<'_>>> {
        let offset = self.offset;
        let Some(bytes) = self.window_at(offset, frame::HEADER_BYTES)? else {
            return Ok(None);
        };
        let Some(header) = Header::parse(bytes) else {
            return Ok(None);
        };
        // Before its payload is read: what is not our turn is not read at all.
        if expected.is_some_and(|expected| expected != header.seq) {
            return Ok(None);
        }
        let salt = self.identity.salt();
        let Some(bytes) = self.window_at(offset, header.frame_bytes())? else {
            return Ok(None);
        };
        let frame = &bytes[..header.frame_bytes()];
        if !header.verifies(salt, frame) {
            return Ok(None);
        }
        let end = offset + header.frame_bytes() as u64;
        let from = (offset - self.window_offset) as usize + frame::HEADER_BYTES;
        self.offset = end;
        Ok(Some(Frame {
            seq: header.seq,
            is_mark: header.is_mark,
            payload: &self.window[from..from + header.len],
        }))
    }

    /// At least `want` bytes from `offset`, or `None` when the segment ends before. Never holds more than one window,
    /// or one frame if that is larger.
    fn window_at(&mut self, offset: u64, want: usize) -> Result<Option<&[u8]>> {
        if offset.saturating_add(want as u64) > self.len {
            return Ok(None);
        }
        let end = self.window_offset + self.window.len() as u64;
        if offset < self.window_offset || offset + want as u64 > end {
            let len = want.max(WINDOW_BYTES).min((self.len - offset) as usize);
            self.window.resize(len, 0);
            self.window_offset = offset;
            self.file.read_exact_at(&mut self.window, offset)?;
        }
        Ok(Some(&self.window[(offset - self.window_offset) as usize..]))
    }
}
