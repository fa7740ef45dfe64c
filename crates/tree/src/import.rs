//! A document of any size, written in pieces that the writer takes. Called by [`Tree::import`](crate::Tree::import).

use crate::{Path, Tree, message::value_bytes};
use quintet_core::Result;
use serde_json::Value;

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many writes it took: with one, it was atomic.
    pub writes: u64,
}

/// Writes `value` to `path`.
pub(crate) fn import(tree: &Tree, path: &Path, value: Value) -> Result<Imported> {
    let config = tree.config();
    // Rows repeat the paths that a document has once.
    let piece_bytes = config.max_write_bytes / 8;
    if value_bytes(&value) <= piece_bytes {
        tree.set(path, value)?;
        return Ok(Imported { writes: 1 });
    }
    tree.delete(path)?;
    let mut pieces = Pieces {
        tree,
        path,
        max_bytes: piece_bytes,
        max_paths: config.max_update_paths,
        bytes: 0,
        waiting: Vec::new(),
        writes: 1,
    };
    pieces.add(Path::root(), value)?;
    pieces.write()?;
    Ok(Imported {
        writes: pieces.writes,
    })
}

/// Gathers parts of the document into updates.
struct Pieces<'a> {
    tree: &'a Tree,
    path: &'a Path,
    max_bytes: u64,
    max_paths: usize,
    bytes: u64,
    waiting: Vec<(Path, Value)>,
    writes: u64,
}

impl Pieces<'_> {
    fn add(&mut self, at: Path, value: Value) -> Result<()> {
        let bytes = value_bytes(&value) + at.bytes().len() as u64;
        match value {
            Value::Object(map) if bytes > self.max_bytes => map
                .into_iter()
                .try_for_each(|(name, value)| self.add(at.child(&name)?, value)),
            Value::Array(items) if bytes > self.max_bytes => items
                .into_iter()
                .enumerate()
                .try_for_each(|(place, value)| self.add(at.child(&place.to_string())?, value)),
            value => {
                if self.bytes + bytes > self.max_bytes || self.waiting.len() >= self.max_paths {
                    self.write()?;
                }
                self.bytes += bytes;
                self.waiting.push((at, value));
                Ok(())
            }
        }
    }

    fn write(&mut self) -> Result<()> {
        if !self.waiting.is_empty() {
            self.tree.update(self.path, std::mem::take(&mut self.waiting))?;
            self.writes += 1;
            self.bytes = 0;
        }
        Ok(())
    }
}
