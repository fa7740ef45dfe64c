//! The cold tier: when a collection has more than its budget of memory, sealed blocks are written to files of the shard's
//! own directory and mapped from there.
//!
//! A block is written once, whole, under a number that is never used again, and synced; then its file takes the place of
//! its memory, so searches, exact ones and the graph's, go over both alike. What is deleted is a bit that is cleared in
//! memory, and what is replaced is a new point in an open block: the log has both. A snapshot names files instead of
//! holding their points. So a file is part of the state from the first durable snapshot that names it until the first one
//! that does not; before and after, the log or other blocks have its points, and whatever file is found is removed.

mod file;
mod reference;

pub(crate) use file::{Cold, check, read};
pub(crate) use reference::Reference;

use crate::vector::{VectorError, block::Block, entry::Collection, pages};
use quintet_core::Result;
use quintet_log::{Directory, OpenMode};
use std::{collections::HashSet, sync::Arc};

const SUFFIX: &str = ".cold";

pub(crate) fn name_of(number: u64) -> String {
    format!("points-{number:012}{SUFFIX}")
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix("points-")?.strip_suffix(SUFFIX)?.parse().ok()
}

/// Where one shard's cold blocks lie. Used by the shard's own thread.
pub(crate) struct Shelf {
    directory: Arc<dyn Directory>,
    shard: usize,
    /// The next file's number.
    next: u64,
    /// The files that the newest durable snapshot names.
    named: HashSet<u64>,
    is_on: bool,
}

impl Shelf {
    /// The shelf of a directory. `is_on`: whether blocks may be moved there; those that are there are used in any case.
    pub(crate) fn open(directory: Arc<dyn Directory>, shard: usize, is_on: bool) -> Result<Self> {
        let numbers = directory.list()?.into_iter().filter_map(|name| number_of(&name));
        Ok(Self {
            next: numbers.max().map_or(0, |number| number + 1),
            directory,
            shard,
            named: HashSet::new(),
            is_on: is_on && pages::can_overlay(),
        })
    }

    /// Whether blocks may be moved here.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Reads the block that a snapshot names.
    ///
    /// # Errors
    /// [`VectorError::ColdFile`] when it is not what was written.
    pub(crate) fn load(&mut self, collection: &Collection, reference: &Reference) -> Result<Block> {
        self.named.insert(reference.number);
        read(&*self.directory, collection, self.shard, reference)
    }

    /// Moves a sealed block to a file. Blocks for the disk. `is_kept`: it belongs to the shard's points; else somebody else
    /// still looks at it, and its file needs no name.
    ///
    /// # Errors
    /// What the disk answers; the block is then in memory as before.
    pub(crate) fn take(&mut self, collection: &Collection, block: &Block, is_kept: bool) -> Result<()> {
        let number = self.next;
        self.next += 1;
        let name = name_of(number);
        let moved = file::write(&*self.directory, collection, self.shard, block, number, is_kept);
        if moved.is_err() || !is_kept {
            // What is left of it is removed at the next opening if not here.
            let _removed = self.directory.remove(&name);
        }
        moved.map_err(|cause| VectorError::Cooling { file: name, cause }.into())
    }

    /// A snapshot that names these files is durable: other files that are not in use go.
    pub(crate) fn named(&mut self, files: HashSet<u64>, in_use: impl Iterator<Item = u64>) {
        self.named = files;
        self.sweep(in_use);
    }

    /// Removes every file that neither the snapshot names nor a block lies in.
    pub(crate) fn sweep(&self, in_use: impl Iterator<Item = u64>) {
        let in_use: HashSet<u64> = in_use.collect();
        let names = self.directory.list().unwrap_or_default();
        for name in names {
            let number = number_of(&name);
            if number.is_some_and(|number| !self.named.contains(&number) && !in_use.contains(&number)) {
                // It takes room until the next sweep, no more.
                let _removed = self.directory.remove(&name);
            }
        }
    }

    /// Removes files of a collection that was dropped.
    pub(crate) fn forget(&self, files: impl Iterator<Item = u64>) {
        for number in files {
            let _removed = self.directory.remove(&name_of(number));
        }
    }

    fn open_file(directory: &dyn Directory, number: u64) -> Result<Arc<dyn quintet_log::File>> {
        let name = name_of(number);
        directory
            .open(&name, OpenMode::Read)
            .map_err(|error| match error.kind() {
                quintet_core::ErrorKind::NotFound => VectorError::cold_file(&name, "it is not there"),
                _ => error,
            })
    }
}
