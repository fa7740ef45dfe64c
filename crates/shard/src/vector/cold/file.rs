//! A cold block's file, byte by byte: docs/disk-format.md says the same in tables.
//!
//! A head of one page, the vectors as they lie in memory, and the texts: where each row's begins, then the rows' ids and
//! payloads as a record has them. Little-endian. The head has a checksum of itself, and one of all that follows; both are
//! looked at when the file is opened, through reads, before anything is mapped.

use super::{Reference, Shelf, name_of};
use crate::vector::{
    VectorError,
    block::{Block, Row, Shape},
    collection::scale_of,
    entry::Collection,
    meter::Charge,
    pages::{PAGE_BYTES, Pages},
    record,
};
use crc32fast::Hasher;
use quintet_core::{Error, Result};
use quintet_log::{Directory, File, OpenMode};

const MAGIC: [u8; 8] = *b"QNTCOLD\n";
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 64;
/// How much is read at a time.
const PIECE_BYTES: usize = 1 << 20;

/// What is kept of a block's points, in its file.
#[derive(Debug)]
pub(crate) struct Cold {
    pub(crate) number: u64,
    pub(crate) checksum: u32,
    texts: Texts,
    rows: usize,
    /// The file's length, as part of what the collection takes of the disk.
    _disk: Charge,
}

#[derive(Debug)]
enum Texts {
    Mapped(Pages),
    /// The directory has no files that can be mapped.
    Read(Box<[u8]>),
}

impl Cold {
    /// What is kept of the point that is or was in a row; `None` for what was dead when the file was written.
    pub(crate) fn row(&self, row: usize) -> Option<Row> {
        // Each text was decoded once when the file was opened, or was just encoded.
        self.text(row).ok().flatten()
    }

    fn text(&self, row: usize) -> Result<Option<Row>, &'static str> {
        let texts = match &self.texts {
            Texts::Mapped(pages) => pages.bytes(),
            Texts::Read(bytes) => bytes,
        };
        text_of(texts, self.rows, row)
    }
}

/// The text of a row: where it begins and the next one does, as 8 bytes each, is at the beginning of all texts.
fn text_of(texts: &[u8], rows: usize, row: usize) -> Result<Option<Row>, &'static str> {
    let (begins, _) = texts.as_chunks::<8>();
    let begins = begins.get(..=rows).ok_or("the texts are too short")?;
    let place = |at: usize| usize::try_from(u64::from_le_bytes(begins[at]));
    let (Ok(from), Ok(to)) = (place(row), place(row + 1)) else {
        return Err("a text lies beyond all memory");
    };
    let text = texts.get(from..to).ok_or("a text lies outside")?;
    if text.is_empty() {
        return Ok(None);
    }
    let (point, payload_bytes) = record::decode_text(text).map_err(|_| "a text does not decode")?;
    Ok(Some(Row {
        id: point.id,
        payload: point.payload,
        payload_bytes,
    }))
}

/// The texts of a block's points.
fn texts_of(block: &Block) -> Result<Vec<u8>> {
    let rows = block.used_rows();
    let mut texts = vec![0; 8 * (rows + 1)];
    for row in 0..=rows {
        let begin = (texts.len() as u64).to_le_bytes();
        texts[8 * row..8 * (row + 1)].copy_from_slice(&begin);
        if row < rows
            && let Some(data) = block.row(row)
        {
            record::encode_text(&mut texts, &data.id, data.payload.as_deref())?;
        }
    }
    Ok(texts)
}

struct Head {
    collection: u64,
    number: u64,
    dimension: u32,
    shape: Shape,
    text_bytes: u64,
    checksum: u32,
}

impl Head {
    fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(8, &VERSION.to_le_bytes());
        put(12, &self.dimension.to_le_bytes());
        put(16, &(self.shape.stride as u32).to_le_bytes());
        put(20, &self.shape.bits.to_le_bytes());
        put(24, &self.collection.to_le_bytes());
        put(32, &self.number.to_le_bytes());
        put(40, &self.text_bytes.to_le_bytes());
        put(48, &self.checksum.to_le_bytes());
        let checksum = crc32fast::hash(&head[..HEAD_BYTES - 4]);
        head[HEAD_BYTES - 4..].copy_from_slice(&checksum.to_le_bytes());
        head
    }

    fn decode(head: &[u8; HEAD_BYTES]) -> Result<Self, String> {
        let (words, _) = head.as_chunks::<4>();
        let word = |at: usize| u32::from_le_bytes(words[at / 4]);
        let wide = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if head[..8] != MAGIC {
            return Err("it is no block of points".to_owned());
        }
        if crc32fast::hash(&head[..HEAD_BYTES - 4]) != word(HEAD_BYTES - 4) {
            return Err("the checksum of its head does not match".to_owned());
        }
        if word(8) != VERSION {
            return Err(format!("it has version {}, this build reads {VERSION}", word(8)));
        }
        Ok(Self {
            dimension: word(12),
            shape: Shape {
                stride: word(16) as usize,
                bits: word(20),
            },
            collection: wide(24),
            number: wide(32),
            text_bytes: wide(40),
            checksum: word(48),
        })
    }

    fn vector_bytes(&self) -> usize {
        self.shape.block_bytes().next_multiple_of(PAGE_BYTES)
    }

    fn file_bytes(&self) -> u64 {
        (PAGE_BYTES + self.vector_bytes()) as u64 + self.text_bytes
    }
}

/// Writes a block's file, syncs it, and lets the block lie there. Blocks.
pub(super) fn write(
    directory: &dyn Directory,
    collection: &Collection,
    shard: usize,
    block: &Block,
    number: u64,
    is_kept: bool,
) -> Result<()> {
    let texts = texts_of(block)?;
    let vectors = block.vectors().bytes();
    let mut hasher = Hasher::new();
    hasher.update(vectors);
    hasher.update(&texts);
    let head = Head {
        collection: collection.id,
        number,
        dimension: collection.spec.dimension as u32,
        shape: block.shape,
        text_bytes: texts.len() as u64,
        checksum: hasher.finalize(),
    };
    let file = directory.open(&name_of(number), OpenMode::CreateNew)?;
    file.write_at(&head.encode(), 0)?;
    file.write_at(vectors, PAGE_BYTES as u64)?;
    let texts_at = (PAGE_BYTES + vectors.len()) as u64;
    file.write_at(&texts, texts_at)?;
    if is_kept {
        // Memory is given up for it: it must not turn out later that the disk never took it.
        file.sync_data()?;
    }
    let texts = match Pages::of_file(&*file, texts_at, texts.len()) {
        Some(pages) => Texts::Mapped(pages),
        None if file.handle().is_none() => Texts::Read(texts.into()),
        None => return Err(refused(&*file)),
    };
    let cold = Cold {
        number,
        checksum: head.checksum,
        texts,
        rows: block.used_rows(),
        _disk: collection.disk(shard).charge(head.file_bytes()),
    };
    let place = file.handle().map(|handle| (handle, PAGE_BYTES as u64));
    block.cool(place, cold).map_err(Error::from)
}

fn refused(file: &dyn File) -> Error {
    let message = format!("the system maps no more files, {} would be one", file.name());
    Error::new(quintet_core::ErrorKind::Io, message)
}

/// Reads a block's file and checks every byte of it. Blocks.
pub(crate) fn read(
    directory: &dyn Directory,
    collection: &Collection,
    shard: usize,
    reference: &Reference,
) -> Result<Block> {
    let name = name_of(reference.number);
    let damaged = |reason: &str| VectorError::cold_file(&name, reason);
    let file = Shelf::open_file(directory, reference.number)?;
    let head = checked(&*file, reference)?;
    let dimension = collection.spec.dimension;
    let stride = head.shape.stride;
    if head.dimension as usize != dimension || stride < dimension {
        return Err(damaged(
            "its vectors have another dimension than the collection's",
        ));
    }
    let (vectors_at, vector_bytes) = (PAGE_BYTES as u64, head.vector_bytes());
    let texts_at = vectors_at + vector_bytes as u64;
    let vectors = match Pages::of_file(&*file, vectors_at, vector_bytes) {
        Some(pages) => pages,
        None => copied(&*file, vectors_at, vector_bytes)?,
    };
    let text_bytes = usize::try_from(head.text_bytes).unwrap_or(usize::MAX);
    let texts = match Pages::of_file(&*file, texts_at, text_bytes) {
        Some(pages) => Texts::Mapped(pages),
        None => {
            let mut bytes = vec![0; text_bytes];
            file.read_exact_at(&mut bytes, texts_at)?;
            Texts::Read(bytes.into())
        }
    };
    let rows = head.shape.rows();
    let row = |n: usize| &vectors.floats()[n * stride..][..dimension];
    let scales = (0..rows)
        .map(|n| scale_of(collection.spec.metric, row(n)))
        .collect();
    let cold = Cold {
        number: head.number,
        checksum: head.checksum,
        texts,
        rows,
        _disk: collection.disk(shard).charge(head.file_bytes()),
    };
    for row in 0..rows {
        let is_live = reference
            .live
            .get(row / 64)
            .is_some_and(|bits| bits >> (row % 64) & 1 == 1);
        if is_live && cold.text(row).map_err(damaged)?.is_none() {
            return Err(damaged("a point that the snapshot names is not in it"));
        }
    }
    let words = rows.div_ceil(64);
    let live = (0..words).map(|word| reference.live.get(word).copied().unwrap_or(0));
    let place = (head.shape, shard, collection.run_of(shard));
    Ok(Block::cold(place, vectors, scales, cold, live))
}

fn copied(file: &dyn File, offset: u64, len: usize) -> Result<Pages> {
    let mut pages = Pages::new(len);
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, offset)?;
    let (numbers, _) = bytes.as_chunks::<4>();
    for (to, from) in pages.floats_mut().iter_mut().zip(numbers) {
        *to = f32::from_le_bytes(*from);
    }
    Ok(pages)
}

/// Looks at every byte of the file that a snapshot names.
///
/// # Errors
/// [`VectorError::ColdFile`] that names it.
pub(crate) fn check(directory: &dyn Directory, reference: &Reference) -> Result<()> {
    checked(&*Shelf::open_file(directory, reference.number)?, reference).map(|_| ())
}

fn checked(file: &dyn File, reference: &Reference) -> Result<Head> {
    let name = name_of(reference.number);
    let damaged = |reason: &str| VectorError::cold_file(&name, reason);
    let len = file.len()?;
    let mut head = [0; HEAD_BYTES];
    if len < (2 * PAGE_BYTES) as u64 {
        return Err(damaged(&format!("it has {len} bytes, less than any")));
    }
    file.read_exact_at(&mut head, 0)?;
    let head = Head::decode(&head).map_err(|reason| damaged(&reason))?;
    let is_sane = (1..=4096).contains(&head.dimension)
        && (1..=4096).contains(&head.shape.stride)
        && head.shape.bits <= 16
        && head.text_bytes <= len;
    if !is_sane || head.file_bytes() != len {
        return Err(damaged(&format!(
            "it has {len} bytes, not as many as its head says"
        )));
    }
    let names = (head.collection, head.number, head.checksum);
    if names != (reference.collection, reference.number, reference.checksum) {
        return Err(damaged("it is not the one that the snapshot names"));
    }
    let (mut hasher, mut offset) = (Hasher::new(), PAGE_BYTES as u64);
    let mut piece = vec![0; PIECE_BYTES];
    while offset < len {
        let part = PIECE_BYTES.min((len - offset) as usize);
        file.read_exact_at(&mut piece[..part], offset)?;
        hasher.update(&piece[..part]);
        offset += part as u64;
    }
    if hasher.finalize() != head.checksum {
        return Err(damaged("its checksum does not match"));
    }
    Ok(head)
}
