//! A copy of a tree, whether it serves or not: another tree, of one commit, without the pages that are free.

use crate::{
    Config, Tree, TreeError,
    store::{home::Home, lmdb::Lmdb},
};
use std::{io, path};

impl Tree {
    /// Copies the tree into the directory `to`, which is made if need be and must hold no tree; the copy opens like the
    /// original. It is the tree at one commit: every write that was answered before the call is in it. Answers the bytes
    /// of the copy. Blocks until the copy is on stable storage; nobody waits for it, but space that is freed meanwhile is
    /// reused only afterwards.
    ///
    /// # Errors
    /// [`TreeError::Io`] when `to` holds a tree or cannot be written; what LMDB answers: the copy is of no use then.
    pub fn backup(&self, to: &path::Path) -> Result<u64, TreeError> {
        copy(&self.inner.lmdb, to)
    }
}

/// Copies the tree in `dir`, which nobody may have open, as [`Tree::backup`] does; `dir` is not changed, whatever indexes it
/// was last opened with.
///
/// # Errors
/// [`TreeError::Locked`] when it is open, [`TreeError::Version`], and as [`Tree::backup`].
pub fn backup(dir: &path::Path, to: &path::Path) -> Result<u64, TreeError> {
    let _home = Home::take_existing(dir, false)?;
    copy(&Lmdb::open_read_only(dir, Config::new(dir).map_bytes)?, to)
}

fn copy(from: &Lmdb, to: &path::Path) -> Result<u64, TreeError> {
    let _home = Home::take(to)?;
    let path = to.join("data.mdb");
    if path.exists() {
        let there = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(TreeError::io(format!("copying to {}", path.display()), there));
    }
    from.copy(to)
}
