//! A look at LMDB's file before it is mapped: a page that is missing or malformed would end the process with a signal.
//!
//! Reads with `pread` what a transaction could reach from the newest meta page: every page lies inside the file, is of the
//! kind that its parent says, and its nodes lie inside it. The numbers and offsets are those of LMDB 0.9's data format,
//! version 1, as its own source lays them out. Memory: one page per level of a tree. Called before each opening.

use crate::BlockError;
use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

const MAGIC: u32 = 0xBEEF_C0DE;
const FORMAT: u32 = 1;
const PAGE_HEADER: usize = 16;
const NODE_HEADER: usize = 8;
const TREE_BYTES: usize = 48;
/// What a meta page holds, its page header included.
const META_BYTES: usize = PAGE_HEADER + 24 + 2 * TREE_BYTES + 16;
/// LMDB's cursors are no deeper.
const MAX_DEPTH: u16 = 32;
const NO_PAGE: u64 = u64::MAX;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
/// The flags of a page that is in memory only.
const TRANSIENT: u16 = 0xC010;

const BIG_DATA: u16 = 0x01;
const SUB_TREE: u16 = 0x02;

/// Checks the file; one without a fault can be mapped and walked.
///
/// # Errors
/// [`BlockError::Corrupted`] with the page and what is wrong with it; what the system answers.
pub(super) fn check(path: &Path) -> Result<(), BlockError> {
    if cfg!(target_endian = "big") {
        // LMDB writes in the byte order of the machine; this knows the one that all supported machines have.
        return Ok(());
    }
    let attempt = |what: &str| format!("{what} {}", path.display());
    let file = File::open(path).map_err(|error| BlockError::io(attempt("opening"), error))?;
    let file_bytes = file
        .metadata()
        .map_err(|error| BlockError::io(attempt("looking at"), error))?
        .len();
    let mut walk = Walk {
        path,
        file,
        file_bytes,
        page_bytes: 0,
        pages_left: 0,
    };
    let meta = walk.newest_meta()?;
    walk.pages_left = meta.last_page.saturating_add(1);
    meta.trees.iter().try_for_each(|tree| walk.tree(tree))
}

/// The part of a tree's description that leads to its pages.
#[derive(Clone, Copy)]
struct Tree {
    depth: u16,
    root: u64,
}

struct Meta {
    trees: [Tree; 2],
    last_page: u64,
    transaction: u64,
}

struct Walk<'a> {
    path: &'a Path,
    file: File,
    file_bytes: u64,
    page_bytes: usize,
    /// More than there are cannot be in the trees, unless one is in them twice.
    pages_left: u64,
}

impl Walk<'_> {
    fn refuse(&self, fault: impl Into<String>) -> BlockError {
        BlockError::corrupted(self.path.display().to_string(), fault)
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> Result<(), BlockError> {
        match self.file.read_exact_at(bytes, offset) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.refuse(format!(
                "it has {} bytes, {} are needed",
                self.file_bytes,
                offset.saturating_add(bytes.len() as u64)
            ))),
            Err(error) => Err(BlockError::io(
                format!("reading {} at byte {offset}", self.path.display()),
                error,
            )),
        }
    }

    /// The one of the two meta pages that LMDB takes.
    fn newest_meta(&mut self) -> Result<Meta, BlockError> {
        let mut first = [0; META_BYTES];
        self.read(&mut first, 0)?;
        let page_bytes = number::<4>(&first, PAGE_HEADER + 24) as usize;
        if !page_bytes.is_power_of_two() || !(256..=65_536).contains(&page_bytes) {
            return Err(self.refuse(format!("its pages have {page_bytes} bytes")));
        }
        self.page_bytes = page_bytes;
        let mut second = [0; META_BYTES];
        self.read(&mut second, page_bytes as u64)?;
        let (first, second) = (self.meta(&first, 0)?, self.meta(&second, 1)?);
        Ok(if first.transaction < second.transaction {
            second
        } else {
            first
        })
    }

    fn meta(&self, bytes: &[u8; META_BYTES], page: u64) -> Result<Meta, BlockError> {
        let (magic, format) = (
            number::<4>(bytes, PAGE_HEADER),
            number::<4>(bytes, PAGE_HEADER + 4),
        );
        if magic != u64::from(MAGIC) || format != u64::from(FORMAT) {
            return Err(self.refuse(format!("page {page} is no meta page of LMDB's format {FORMAT}")));
        }
        let trees = PAGE_HEADER + 24;
        Ok(Meta {
            trees: [tree_at(bytes, trees), tree_at(bytes, trees + TREE_BYTES)],
            last_page: number::<8>(bytes, trees + 2 * TREE_BYTES),
            transaction: number::<8>(bytes, trees + 2 * TREE_BYTES + 8),
        })
    }

    fn tree(&mut self, tree: &Tree) -> Result<(), BlockError> {
        if tree.root == NO_PAGE {
            return Ok(());
        }
        if tree.depth == 0 || tree.depth > MAX_DEPTH {
            return Err(self.refuse(format!("a tree of {} levels", tree.depth)));
        }
        self.page(tree.root, tree.depth)
    }

    /// Checks a page `levels` above the end of the leaves, and everything below it.
    fn page(&mut self, number: u64, levels: u16) -> Result<(), BlockError> {
        let page = self.load(number, 1)?;
        let kind = flags_of(&page);
        let wanted = if levels == 1 { LEAF } else { BRANCH };
        if kind != wanted {
            return Err(self.refuse(format!("page {number} is of kind {kind:#x}, not {wanted:#x}")));
        }
        for node in self.nodes(number, &page)? {
            let node = &page[node..];
            let (low, high) = (self::number::<2>(node, 0), self::number::<2>(node, 2));
            let flags = self::number::<2>(node, 4);
            if levels > 1 {
                self.page(low | high << 16 | flags << 32, levels - 1)?;
                continue;
            }
            self.leaf_node(number, node, low | high << 16, flags as u16)?;
        }
        Ok(())
    }

    fn leaf_node(&mut self, page: u64, node: &[u8], data_bytes: u64, flags: u16) -> Result<(), BlockError> {
        let data = NODE_HEADER + number::<2>(node, 6) as usize;
        let inline_bytes = match flags {
            BIG_DATA => 8,
            _ => data_bytes,
        };
        let inside = usize::try_from(inline_bytes).is_ok_and(|bytes| data + bytes <= node.len());
        if !inside {
            return Err(self.refuse(format!("a node of page {page} ends beyond the page")));
        }
        match flags {
            0 => Ok(()),
            BIG_DATA => self.overflow(number::<8>(node, data), data_bytes),
            SUB_TREE if data_bytes == TREE_BYTES as u64 => self.tree(&tree_at(node, data)),
            _ => Err(self.refuse(format!("a node of page {page} has the flags {flags:#x}"))),
        }
    }

    /// A value too long for a leaf has pages of its own, one after the other.
    fn overflow(&mut self, number: u64, data_bytes: u64) -> Result<(), BlockError> {
        let pages = (PAGE_HEADER as u64 + data_bytes).div_ceil(self.page_bytes as u64);
        let page = self.load(number, pages)?;
        if flags_of(&page) != OVERFLOW || self::number::<4>(&page, 12) < pages {
            return Err(self.refuse(format!("page {number} does not begin {pages} pages of one value")));
        }
        Ok(())
    }

    /// Reads the first of `count` pages, all of which must lie inside the file.
    fn load(&mut self, number: u64, count: u64) -> Result<Vec<u8>, BlockError> {
        let page_bytes = self.page_bytes as u64;
        let end = number
            .checked_add(count)
            .and_then(|end| end.checked_mul(page_bytes))
            .ok_or_else(|| self.refuse(format!("it refers to page {number}")))?;
        if number < 2 || end > self.file_bytes {
            return Err(self.refuse(format!(
                "it refers to page {number}, whose end is byte {end}, and has {} bytes",
                self.file_bytes
            )));
        }
        self.pages_left = self
            .pages_left
            .checked_sub(count)
            .ok_or_else(|| self.refuse("its trees have more pages than it says that it has"))?;
        let mut page = vec![0; self.page_bytes];
        self.read(&mut page, number * page_bytes)?;
        if self::number::<8>(&page, 0) != number {
            return Err(self.refuse(format!("page {number} holds another page or none")));
        }
        Ok(page)
    }

    /// Where the page's nodes begin; each has its header and key inside the page.
    fn nodes(&self, number: u64, page: &[u8]) -> Result<Vec<usize>, BlockError> {
        let (lower, upper) = (
            self::number::<2>(page, 12) as usize,
            self::number::<2>(page, 14) as usize,
        );
        if lower <= PAGE_HEADER || lower % 2 != 0 || lower > upper || upper > page.len() {
            return Err(self.refuse(format!(
                "page {number} has its nodes from {upper} and places up to {lower}"
            )));
        }
        let mut nodes = Vec::with_capacity((lower - PAGE_HEADER) / 2);
        for place in (PAGE_HEADER..lower).step_by(2) {
            let node = self::number::<2>(page, place) as usize;
            let fits = node >= upper
                && node + NODE_HEADER <= page.len()
                && node + NODE_HEADER + self::number::<2>(page, node + 6) as usize <= page.len();
            if !fits {
                return Err(self.refuse(format!("a node of page {number} ends beyond the page")));
            }
            nodes.push(node);
        }
        Ok(nodes)
    }
}

fn flags_of(page: &[u8]) -> u16 {
    number::<2>(page, 10) as u16 & !TRANSIENT
}

fn tree_at(bytes: &[u8], at: usize) -> Tree {
    Tree {
        depth: number::<2>(bytes, at + 6) as u16,
        root: number::<8>(bytes, at + 40),
    }
}

/// A little-endian number of `N` bytes; 0 beyond the end.
fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut wide = [0; 8];
    if let Some(found) = bytes.get(at..at + N) {
        wide[..N].copy_from_slice(found);
    }
    u64::from_le_bytes(wide)
}

#[cfg(test)]
mod tests {
    use super::{super::lmdb::Lmdb, *};
    use proptest::prelude::*;
    use quintet_core::{ErrorKind, Seq};
    use std::fs;

    /// A store of some hundred pages, with values that need pages of their own and a list of free pages.
    fn environment() -> (tempfile::TempDir, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let lmdb = Lmdb::open(dir.path(), 64 << 20, 64 << 20, 16).unwrap();
        for round in 0..3_u8 {
            let keys: Vec<[u8; 4]> = (0..600_u32)
                .map(|n| (n * 7 + u32::from(round)).to_be_bytes())
                .collect();
            let (short, long) = (vec![round; 40], vec![round; 5000]);
            let entries: Vec<(&[u8], Option<&[u8]>)> = keys
                .iter()
                .enumerate()
                .map(|(at, key)| (&key[..], Some(if at % 50 == 0 { &long[..] } else { &short[..] })))
                .collect();
            lmdb.write(&entries, Seq(u64::from(round))).unwrap();
        }
        drop(lmdb);
        let bytes = fs::read(dir.path().join("data.mdb")).unwrap();
        (dir, bytes)
    }

    #[test]
    fn a_sound_file_passes_and_every_shorter_one_is_refused_or_complete() {
        let (dir, bytes) = environment();
        let path = dir.path().join("data.mdb");
        check(&path).unwrap();
        let mut refused = 0;
        for pages in 0..bytes.len() / 4096 {
            fs::write(&path, &bytes[..pages * 4096 + 100 * (pages % 2)]).unwrap();
            match check(&path) {
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
                    refused += 1;
                    let opened = Lmdb::open(dir.path(), 64 << 20, 64 << 20, 16).map(|_| ());
                    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Corrupted);
                }
                // Only free pages are missing: everything can still be read.
                Ok(()) => {
                    let lmdb = Lmdb::open_read_only(dir.path(), 64 << 20).unwrap();
                    let mut entries = 0;
                    lmdb.scan(&[], &mut |_, _| {
                        entries += 1;
                        Ok(())
                    })
                    .unwrap();
                    assert_eq!(entries, 1800);
                }
            }
        }
        assert!(refused > 20, "{refused}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_passes_after_a_change_can_be_walked(page in 0_usize..120, at in 0_usize..64, value in any::<u8>(), zero in any::<bool>()) {
            let (dir, mut bytes) = environment();
            let begin = (page * 4096) % bytes.len();
            if zero {
                bytes[begin..begin + 4096].fill(0);
            } else {
                bytes[begin + at] = value;
            }
            let path = dir.path().join("data.mdb");
            fs::write(&path, &bytes).unwrap();
            // A signal, if this is wrong, ends the test.
            match check(&path) {
                Ok(()) => {
                    if let Ok(lmdb) = Lmdb::open_read_only(dir.path(), 64 << 20) {
                        let _whatever_it_says = lmdb.scan(&[], &mut |_, _| Ok(()));
                    }
                }
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupted),
            }
        }
    }
}
