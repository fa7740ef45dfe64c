//! A whole state in one file, replaced atomically: written under a temporary name, synced, renamed, directory synced.
//!
//! A snapshot is a sequence of items between a header with the log's watermark and a trailer with their count, so that a
//! file that was cut short is never taken for whole. Each item's checksum is seeded with its number. The old snapshot
//! stays until the new one is durable.

use crate::{Directory, File, LogError, OpenMode};
use crc32fast::Hasher;
use quintet_core::{Error, ErrorKind, Result, Seq};
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"QNTSNAP\n";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 32;
const ITEM_HEADER_BYTES: usize = 8;
/// In place of an item's length.
const TRAILER: u32 = u32::MAX;
const TRAILER_BYTES: usize = 24;
const TEMPORARY: &str = ".snapshot-new";
/// How much collects before it is written.
const BUFFER_BYTES: usize = 256 << 10;
/// The largest item: what a reader is asked to hold in memory.
const MAX_ITEM_BYTES: usize = 1 << 30;

/// Whether this is a snapshot that a crash left half written. [`Log::open`](crate::Log::open) removes these.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.ends_with(TEMPORARY)
}

fn checksum(index: u64, parts: [&[u8]; 2]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&index.to_le_bytes());
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// Takes a snapshot's items, in order. Buffers 256 KiB.
pub struct Sink {
    file: Arc<dyn File>,
    buffer: Vec<u8>,
    offset: u64,
    items: u64,
}

impl Sink {
    /// Adds an item. It may be empty.
    ///
    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge) above 1 GiB; what the file answers.
    pub fn put(&mut self, item: &[u8]) -> Result<()> {
        if item.len() > MAX_ITEM_BYTES {
            let (len_bytes, limit_bytes) = (item.len(), MAX_ITEM_BYTES);
            return Err(LogError::TooLarge {
                len_bytes,
                limit_bytes,
            }
            .into());
        }
        let len = (item.len() as u32).to_le_bytes();
        let crc = checksum(self.items, [&len, item]);
        self.items += 1;
        self.buffer.extend_from_slice(&len);
        self.buffer.extend_from_slice(&crc.to_le_bytes());
        self.buffer.extend_from_slice(item);
        if self.buffer.len() >= BUFFER_BYTES {
            self.drain()
        } else {
            Ok(())
        }
    }

    fn drain(&mut self) -> Result<()> {
        self.file.write_at(&self.buffer, self.offset)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(2 * BUFFER_BYTES);
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        let mut trailer = [0; TRAILER_BYTES];
        trailer[..4].copy_from_slice(&TRAILER.to_le_bytes());
        trailer[8..16].copy_from_slice(&self.items.to_le_bytes());
        let total = self.offset + (self.buffer.len() + TRAILER_BYTES) as u64;
        trailer[16..].copy_from_slice(&total.to_le_bytes());
        let crc = checksum(self.items, [&trailer[..4], &trailer[8..]]);
        trailer[4..8].copy_from_slice(&crc.to_le_bytes());
        self.buffer.extend_from_slice(&trailer);
        self.drain()?;
        self.file.sync_data()
    }
}

/// Writes a snapshot under `name`, replacing the one before. `watermark` is the last position of the log that it covers.
/// Durable when it returns; blocks.
///
/// ```
/// use quintet_core::Seq;
/// use quintet_log::{MemDirectory, snapshot};
///
/// let directory = MemDirectory::new();
/// snapshot::write(&directory, "state", Seq(7), |sink| sink.put(b"x = 1"))?;
/// let mut items = Vec::new();
/// let watermark = snapshot::read(&directory, "state", &mut |item| {
///     items.push(item.to_vec());
///     Ok(())
/// })?;
/// assert_eq!((watermark, items), (Some(Seq(7)), vec![b"x = 1".to_vec()]));
/// # Ok::<(), quintet_core::Error>(())
/// ```
///
/// # Errors
/// What `fill` or the directory answers. The snapshot before is then still there, unless only the last sync of the
/// directory failed: then it is either of the two.
pub fn write(
    directory: &dyn Directory,
    name: &str,
    watermark: Seq,
    fill: impl FnOnce(&mut Sink) -> Result<()>,
) -> Result<()> {
    let temporary = format!("{name}{TEMPORARY}");
    let file = directory.open(&temporary, OpenMode::Create)?;
    let write = || {
        file.set_len(0)?;
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[16..24].copy_from_slice(&watermark.0.to_le_bytes());
        let crc = crc32fast::hash(&header[..28]);
        header[28..].copy_from_slice(&crc.to_le_bytes());
        let mut sink = Sink {
            file: file.clone(),
            buffer: header.to_vec(),
            offset: 0,
            items: 0,
        };
        fill(&mut sink)?;
        sink.finish()
    };
    if let Err(error) = write() {
        // What is left of it is removed at the next open if not here.
        let _ = directory.remove(&temporary);
        return Err(error);
    }
    directory.rename(&temporary, name)?;
    directory.sync()
}

/// Hands out a snapshot's items in order and answers its watermark; `None` when there is no such snapshot.
///
/// # Errors
/// [`Corrupted`](ErrorKind::Corrupted) with the offset when a byte is not what was written or the file was cut short:
/// items handed out before were whole, the state is not. `Unsupported` for a newer format. What the directory or `take`
/// answers.
pub fn read(
    directory: &dyn Directory,
    name: &str,
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Option<Seq>> {
    let file = match directory.open(name, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut source = Source {
        len: file.len()?,
        file: &*file,
        offset: 0,
    };
    let watermark = source.header()?;
    let mut item = Vec::new();
    let mut index = 0;
    while source.item(index, &mut item)? {
        take(&item)?;
        index += 1;
    }
    Ok(Some(watermark))
}

struct Source<'a> {
    file: &'a dyn File,
    len: u64,
    offset: u64,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

impl Source<'_> {
    fn damaged(&self, reason: &str) -> Error {
        LogError::damaged(self.file.name(), self.offset, reason)
    }

    fn header(&mut self) -> Result<Seq> {
        let mut header = [0; HEADER_BYTES];
        self.file.read_exact_at(&mut header, 0)?;
        if header[..8] != MAGIC {
            return Err(self.damaged("this is not a snapshot"));
        }
        if u32_at(&header, 28) != crc32fast::hash(&header[..28]) {
            return Err(self.damaged("the checksum of the header does not match"));
        }
        if u32_at(&header, 8) != VERSION {
            return Err(LogError::Version {
                file: self.file.name().to_owned(),
                version: u32_at(&header, 8),
                supported: VERSION,
            }
            .into());
        }
        self.offset = HEADER_BYTES as u64;
        Ok(Seq(u64_at(&header, 16)))
    }

    /// Reads the next item; `false` at a whole trailer.
    fn item(&mut self, index: u64, item: &mut Vec<u8>) -> Result<bool> {
        let mut header = [0; ITEM_HEADER_BYTES];
        self.file.read_exact_at(&mut header, self.offset)?;
        let len = u32_at(&header, 0);
        if len == TRAILER {
            return self.trailer(index).map(|()| false);
        }
        let end = self.offset + ITEM_HEADER_BYTES as u64 + u64::from(len);
        // Checked before the memory is taken.
        if len as usize > MAX_ITEM_BYTES || end > self.len {
            return Err(self.damaged("an item reaches beyond the end of the file"));
        }
        item.resize(len as usize, 0);
        self.file
            .read_exact_at(item, self.offset + ITEM_HEADER_BYTES as u64)?;
        if checksum(index, [&header[..4], item]) != u32_at(&header, 4) {
            return Err(self.damaged("the checksum of an item does not match"));
        }
        self.offset = end;
        Ok(true)
    }

    fn trailer(&self, items: u64) -> Result<()> {
        let mut trailer = [0; TRAILER_BYTES];
        self.file.read_exact_at(&mut trailer, self.offset)?;
        let end = self.offset + TRAILER_BYTES as u64;
        let is_whole = checksum(items, [&trailer[..4], &trailer[8..]]) == u32_at(&trailer, 4)
            && u64_at(&trailer, 8) == items
            && u64_at(&trailer, 16) == end
            && self.len == end;
        if is_whole {
            Ok(())
        } else {
            Err(self.damaged("the trailer does not match the items"))
        }
    }
}
