//! A copy of a shard's files while the shard goes on: its snapshot, the cold blocks that the snapshot names, its log.
//!
//! The log is held first, so that it continues whichever snapshot is copied. Cold blocks are never changed, but one goes
//! when a newer snapshot no longer names it, or with its collection. So they are all opened before any is copied: what is
//! open stays. If one is gone already, the snapshot is read again; if that names the same ones still, the block's
//! collection was dropped, and a copied manifest does not know it either.

use crate::vector::{
    cold::{Reference, name_of},
    recovery::FILE,
};
use quintet_core::{ErrorKind, Result};
use quintet_log::{
    Directory, File, OpenMode,
    copy::{EachPiece, Source, copy_file, copy_open},
    snapshot,
};
use std::sync::Arc;

/// A shard as something to copy.
#[derive(Clone)]
pub(super) struct ShardSource {
    pub(super) log: Source,
    pub(super) directory: Arc<dyn Directory>,
}

type Opened = Vec<(String, Arc<dyn File>)>;

impl ShardSource {
    /// Copies the shard into an empty directory. On stable storage when it returns.
    pub(super) fn copy(&self, to: &dyn Directory, each: EachPiece<'_>) -> Result<()> {
        let hold = self.log.hold();
        let mut before = None;
        let cold = loop {
            copy_file(&*self.directory, FILE, to, each)?;
            let names = named(to)?;
            match self.open_all(&names, before.as_ref() == Some(&names))? {
                Some(opened) => break opened,
                None => before = Some(names),
            }
            to.remove(FILE)?;
        };
        for (name, file) in cold {
            copy_open(&*file, file.len()?, to, &name, each)?;
        }
        hold.copy_log(to, each)?;
        to.sync()
    }

    /// Opens the files; `None` when one is gone, unless that may be.
    fn open_all(&self, names: &[String], may_be_gone: bool) -> Result<Option<Opened>> {
        let mut opened = Vec::new();
        for name in names {
            match self.directory.open(name, OpenMode::Read) {
                Ok(file) => opened.push((name.clone(), file)),
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Err(_gone) if may_be_gone => {}
                Err(_gone) => return Ok(None),
            }
        }
        Ok(Some(opened))
    }
}

/// The files of cold blocks that a copied snapshot names, sorted.
fn named(copy: &dyn Directory) -> Result<Vec<String>> {
    let mut names = Vec::new();
    snapshot::read(copy, FILE, &mut |item| {
        names.extend(Reference::decode(item)?.map(|reference| name_of(reference.number)));
        Ok(())
    })?;
    names.sort_unstable();
    names.dedup();
    Ok(names)
}
