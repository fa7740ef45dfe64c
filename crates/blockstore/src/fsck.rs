//! [`fsck`]: a cross-check of a store that is not open. It changes nothing.
//!
//! Records decode under their names; no two of them overlap; every block lies inside the data file; on demand, every
//! content hashes to its name; the log is readable up to its end, which a crash may have torn; LMDB opens.

use crate::{
    BlockError, Digest, Progress, Record,
    buddy::{Buddy, UNIT_BYTES},
    engine::DATA_FILE,
    home::Home,
    lock,
    meta::{Examiner, inspect},
    recovery,
};
use quintet_core::{AlignedBuffer, SizeClass};
use quintet_log::{Directory, File, OpenMode, OsDirectory};
use std::{collections::HashMap, fmt, path::Path, sync::Arc};

/// How many faults a report lists; further ones are counted only.
const MAX_FAULTS: usize = 1000;

/// What to check.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default)]
pub struct FsckOptions {
    /// Read every block and hash it. Costs the disk's bandwidth, or some 1.5 GB/s of one core.
    pub contents: bool,
    /// The address space to map, at least the size of `meta/data.mdb`; 0 = 64 GiB.
    pub map_bytes: usize,
}

/// What a check found.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Records that decode.
    pub blocks: u64,
    /// The content that they name, in bytes.
    pub content_bytes: u64,
    /// Locks that decode.
    pub locks: u64,
    /// The data file's length.
    pub file_bytes: u64,
    /// Log records beyond the checkpoint; 0 after a clean close.
    pub replayed_records: u64,
    /// Bytes of the log's torn end, which the next open leaves out: no fault.
    pub torn_tail_bytes: u64,
    /// Records that a crash left without their content. None was acknowledged as durable, and the next open drops them: no
    /// fault, and not among the blocks.
    pub cut_off_blocks: u64,
    /// Blocks whose content was read and hashed.
    pub checked_contents: u64,
    /// The first thousand faults, one line each.
    pub faults: Vec<String>,
    /// All faults.
    pub fault_count: u64,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.fault_count == 0
    }

    fn fault(&mut self, fault: impl fmt::Display) {
        self.fault_count += 1;
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault.to_string());
        }
    }
}

impl fmt::Display for Report {
    /// A summary in one line, then one line per fault.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            blocks,
            content_bytes,
            file_bytes,
            locks,
            replayed_records,
            checked_contents,
            fault_count,
            ..
        } = self;
        write!(
            f,
            "{blocks} blocks, {content_bytes} bytes of content in a file of {file_bytes}, {locks} locks, "
        )?;
        write!(
            f,
            "{replayed_records} log records to replay, {checked_contents} contents checked, {fault_count} faults"
        )?;
        if self.cut_off_blocks > 0 {
            write!(f, ", {} blocks cut off by a crash", self.cut_off_blocks)?;
        }
        self.faults.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

/// Checks the store in `dir`.
///
/// # Errors
/// Only when the directory cannot be looked at: it is no store, another version's, or open elsewhere. What is wrong
/// inside is in the report.
///
/// ```
/// use quintet_blockstore::{BlockStore, Config, FsckOptions, fsck};
///
/// let dir = tempfile::tempdir()?;
/// BlockStore::open(Config::new(dir.path()))?.put(b"hello")?;
/// let report = fsck(dir.path(), FsckOptions::default())?;
/// assert!(report.is_clean(), "{report}");
/// assert_eq!(report.blocks, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fsck(dir: &Path, options: FsckOptions) -> Result<Report, BlockError> {
    fsck_with(dir, options, &mut |_| ())
}

/// The same, and `each` is told after every record how far it is.
///
/// # Errors
/// As [`fsck`].
pub fn fsck_with(
    dir: &Path,
    options: FsckOptions,
    each: &mut dyn FnMut(Progress),
) -> Result<Report, BlockError> {
    let home = Home::take_existing(dir)?;
    let directory = OsDirectory::open(dir)?;
    let mut report = Report::default();
    let file = match directory.open(DATA_FILE, OpenMode::Read) {
        Ok(file) => file,
        Err(error) => {
            report.fault(error);
            return Ok(report);
        }
    };
    report.file_bytes = file.len()?;
    let mut checker = Checker::new(file, report, options.contents, each);
    let map_bytes = if options.map_bytes == 0 {
        64 << 30
    } else {
        options.map_bytes
    };
    let read = inspect(&home.meta_dir(), &directory, map_bytes, &mut checker);
    let mut report = checker.finish();
    match read {
        Ok(contents) => {
            report.replayed_records = contents.records;
            report.torn_tail_bytes = contents.torn_tail_bytes;
        }
        Err(error) => report.fault(error),
    }
    Ok(report)
}

struct Checker<'a> {
    each: &'a mut dyn FnMut(Progress),
    progress: Progress,
    file: Arc<dyn File>,
    taken: Buddy,
    report: Report,
    buffer: AlignedBuffer,
    contents: bool,
    /// Of blocks that have some, or say so.
    locks: HashMap<Digest, Locks, foldhash::fast::RandomState>,
}

/// How many locks a block has, by its record and in truth.
#[derive(Default)]
struct Locks {
    counted: u32,
    found: u32,
    cut_off: bool,
}

impl<'a> Checker<'a> {
    /// What can be said only at the end.
    fn finish(mut self) -> Report {
        for (digest, locks) in self.locks {
            let Locks {
                counted,
                found,
                cut_off,
            } = locks;
            if cut_off {
                self.report.locks -= u64::from(found);
            } else if counted != found {
                let fault = format!("the record of {digest} counts {counted} locks, there are {found}");
                self.report.fault(fault);
            }
        }
        self.report
    }

    fn new(file: Arc<dyn File>, report: Report, contents: bool, each: &'a mut dyn FnMut(Progress)) -> Self {
        let mut taken = Buddy::default();
        taken.grow(
            report
                .file_bytes
                .next_multiple_of(SizeClass::LARGEST.size_bytes())
                / UNIT_BYTES,
        );
        Self {
            each,
            progress: Progress::default(),
            file,
            taken,
            report,
            buffer: AlignedBuffer::zeroed(SizeClass::LARGEST.size_bytes() as usize),
            contents,
            locks: HashMap::default(),
        }
    }

    fn lock(&mut self, key: &[u8], value: &[u8]) {
        match lock::decode(key, value) {
            Ok((digest, _)) => {
                self.report.locks += 1;
                self.locks.entry(digest).or_default().found += 1;
            }
            Err(fault) => self.report.fault(fault),
        }
    }

    fn record(&mut self, digest: &Digest, record: &Record, proven: bool) {
        let look = self.contents || !proven;
        let holds = look.then(|| recovery::holds(&*self.file, digest, record, &mut self.buffer));
        if !proven && matches!(holds, Some(Ok(false))) {
            self.report.cut_off_blocks += 1;
            if record.locks > 0 {
                // They are dropped with it.
                self.locks.entry(*digest).or_default().cut_off = true;
            }
            return;
        }
        if record.locks > 0 {
            self.locks.entry(*digest).or_default().counted = record.locks;
        }
        self.report.blocks += 1;
        self.report.content_bytes += u64::from(record.len_bytes);
        if let Err(fault) = recovery::check_inside(digest, record, self.report.file_bytes) {
            self.report.fault(fault);
            return;
        }
        if let Err(fault) = self.taken.occupy(record.address) {
            self.report.fault(format!("the record of {digest}: {fault}"));
            return;
        }
        let Some(holds) = holds else {
            return;
        };
        self.report.checked_contents += 1;
        self.progress.done_bytes += u64::from(record.len_bytes);
        match holds {
            Ok(true) => {}
            Ok(false) => self.report.fault(format!(
                "{digest} ({}): its content does not hash to its name",
                record.address
            )),
            Err(error) => self
                .report
                .fault(format!("{digest} ({}): {error}", record.address)),
        }
    }
}

impl Examiner for Checker<'_> {
    fn expect(&mut self, entries: u64) {
        self.progress.total_blocks = entries;
    }

    fn entry(&mut self, key: &[u8], value: &[u8], proven: bool) {
        if lock::is_lock(key) {
            self.lock(key, value);
        } else {
            match recovery::read(key, value) {
                Ok((digest, record)) => self.record(&digest, &record, proven),
                Err(fault) => self.report.fault(fault),
            }
        }
        self.progress.done_blocks += 1;
        (self.each)(self.progress);
    }
}
