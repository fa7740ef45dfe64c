//! Everything that is shown of the tree from outside, one module a subject.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod backup;
mod crash;
mod export;
mod model;
mod original;
mod pool;
mod queries;
mod reindex;
mod rules;
mod store;
mod watch;
mod writer;

use quintet_tree::{Config, Path, Tree};
use tempfile::TempDir;

/// A tree in a directory of its own.
pub(crate) struct Fresh {
    pub(crate) tree: Tree,
    pub(crate) dir: TempDir,
}

impl Fresh {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(&dir);
        change(&mut config);
        Self {
            tree: Tree::open(config).unwrap(),
            dir,
        }
    }
}

/// Small, so that many trees can be open at once.
pub(crate) fn config(dir: &TempDir) -> Config {
    Config {
        map_bytes: 1 << 30,
        ..Config::new(dir.path())
    }
}

pub(crate) fn path(text: &str) -> Path {
    text.parse().unwrap()
}
