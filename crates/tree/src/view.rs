//! [`View`]: the tree at one moment, to read. Each read is one scan of the rows it answers, plus one for each piece of a
//! path too long for LMDB; nothing else is looked at.
//!
//! A view borrows a snapshot and lives within one call. Called by readers, by guards, and by the writer.

use crate::{
    Config, ETag, Path, TreeError,
    path::{Pieces, key},
    store::{
        LEAVES, Rows, SEQ_MARK,
        long::{self, Way},
        read_mark, stage,
    },
    value::{
        build::Builder,
        scalar,
        text::{Text, write_scalar},
    },
};
use quintet_core::Seq;
use serde_json::Value;
use std::{io, ops::ControlFlow};

/// The tree at one moment.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub(crate) rows: &'a dyn Rows,
    pub(crate) config: &'a Config,
}

/// Called with the names below a node, and the leaf's bytes.
type VisitShown<'v> = dyn FnMut(&[u8], Option<&[u8]>) -> Result<ControlFlow<()>, TreeError> + 'v;
/// Called with a child's name.
type VisitName<'v> = dyn FnMut(&[u8]) -> Result<ControlFlow<()>, TreeError> + 'v;

/// The key of a node's own leaf.
pub(crate) fn leaf_key(path: &Path) -> Vec<u8> {
    let mut key = Vec::with_capacity(path.bytes().len() + 2);
    key.push(LEAVES);
    key.extend_from_slice(path.bytes());
    key
}

/// Behind everything at and below a key.
pub(crate) fn end_of(node_key: &[u8]) -> Vec<u8> {
    [node_key, &[key::AFTER_NAMES]].concat()
}

impl<'a> View<'a> {
    pub(crate) fn new(rows: &'a dyn Rows, config: &'a Config) -> Self {
        Self { rows, config }
    }

    /// The document at `path`; null when there is nothing.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`] beyond `max_read_bytes`, `Corrupted`, what LMDB answers.
    pub fn get(&self, path: &Path) -> Result<Value, TreeError> {
        self.get_within(path, &mut Budget::new(self.config))
    }

    /// As [`get`](Self::get), out of a budget that several reads share.
    pub(crate) fn get_within(&self, path: &Path, budget: &mut Budget) -> Result<Value, TreeError> {
        let node = leaf_key(path);
        if let Some(bytes) = long::get(self.rows, &node)? {
            budget.spend(&node, &bytes)?;
            return scalar::decode(&bytes);
        }
        let mut builder = Builder::default();
        let _all = long::scan(self.rows, &node, &end_of(&node), Way::Up, &mut |key, value| {
            let rest = &key[node.len()..];
            budget.spend(rest, value)?;
            builder.add(rest, scalar::decode(value)?)?;
            Ok(ControlFlow::Continue(()))
        })?;
        builder.finish()
    }

    /// The document at `path` as compact JSON text, without a document in memory. Names come in the tree's order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_json(&self, path: &Path) -> Result<Vec<u8>, TreeError> {
        self.get_json_within(path, &mut Budget::new(self.config))
    }

    /// As [`get_json`](Self::get_json), out of a budget.
    pub(crate) fn get_json_within(&self, path: &Path, budget: &mut Budget) -> Result<Vec<u8>, TreeError> {
        let node = leaf_key(path);
        if let Some(bytes) = long::get(self.rows, &node)? {
            budget.spend(&node, &bytes)?;
            let mut text = Vec::with_capacity(bytes.len() + 16);
            write_scalar(&mut text, &bytes)?;
            return Ok(text);
        }
        let mut text = Text::default();
        let _all = long::scan(self.rows, &node, &end_of(&node), Way::Up, &mut |key, value| {
            let rest = &key[node.len()..];
            budget.spend(rest, value)?;
            text.add(rest, value)?;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(text.finish())
    }

    /// Writes the document at `path` as compact JSON text, however large it is. Memory: what the largest array takes.
    ///
    /// # Errors
    /// What LMDB and `out` answer.
    pub fn export(&self, path: &Path, out: &mut dyn io::Write) -> Result<u64, TreeError> {
        let failed = |error| TreeError::io("writing the export", error);
        let node = leaf_key(path);
        if long::get(self.rows, &node)?.is_some() {
            out.write_all(&self.get_json(path)?).map_err(failed)?;
            return Ok(1);
        }
        let (mut text, mut leaves) = (Text::default(), 0);
        let _all = long::scan(self.rows, &node, &end_of(&node), Way::Up, &mut |key, value| {
            text.add(&key[node.len()..], value)?;
            leaves += 1;
            if leaves % 256 == 0 {
                text.hand_on(out).map_err(failed)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        out.write_all(&text.finish()).map_err(failed)?;
        Ok(leaves)
    }

    /// The document at `path` with `depth` levels below it; deeper containers are `true`. Depth 1 is Firebase's *shallow*.
    /// Costs one look-up for each node answered, however much is below.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_shallow(&self, path: &Path, depth: usize) -> Result<Value, TreeError> {
        let node = leaf_key(path);
        if let Some(bytes) = long::get(self.rows, &node)? {
            return scalar::decode(&bytes);
        }
        if depth == 0 {
            return Ok(if self.exists(path)? {
                Value::Bool(true)
            } else {
                Value::Null
            });
        }
        let mut builder = Builder::default();
        let mut budget = Budget::new(self.config);
        self.skim(&node, depth, &mut |rest, value| {
            budget.spend(rest, value.unwrap_or_default())?;
            let value = value.map_or(Ok(Value::Bool(true)), scalar::decode)?;
            builder.add(rest, value)?;
            Ok(ControlFlow::Continue(()))
        })?;
        builder.finish()
    }

    /// Visits what is below a node, at most `depth` levels: each leaf with its bytes, each container at the last level
    /// with none. Skips what is below those.
    pub(crate) fn skim(
        &self,
        node: &[u8],
        depth: usize,
        visit: &mut VisitShown<'_>,
    ) -> Result<(), TreeError> {
        let end = end_of(node);
        let mut from = node.to_vec();
        loop {
            let mut resume = None;
            let _stopped = long::scan(self.rows, &from, &end, Way::Up, &mut |key, value| {
                let rest = &key[node.len()..];
                let shown = shown_len(rest, depth);
                if shown == rest.len() {
                    return visit(rest, Some(value));
                }
                if visit(&rest[..shown], None)?.is_continue() {
                    resume = Some(end_of(&key[..node.len() + shown]));
                }
                Ok(ControlFlow::Break(()))
            })?;
            match resume {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    /// Visits the names of a node's children, in order, as the bytes of a path. One look-up each.
    pub(crate) fn children(&self, node: &[u8], visit: &mut VisitName<'_>) -> Result<(), TreeError> {
        self.children_between(node, node, &end_of(node), Way::Up, visit)
    }

    /// Visits the names of the children whose keys are from `low` up to but not including `high`, either way.
    pub(crate) fn children_between(
        &self,
        node: &[u8],
        low: &[u8],
        high: &[u8],
        way: Way,
        visit: &mut VisitName<'_>,
    ) -> Result<(), TreeError> {
        let (mut low, mut high) = (low.to_vec(), high.to_vec());
        while low < high {
            let Some(key) = stage::first(self.rows, &low, &high, way)? else {
                return Ok(());
            };
            let Some(name) = Pieces(&key[node.len()..]).next() else {
                // The node itself is a leaf and has no children.
                return Ok(());
            };
            if visit(name)?.is_break() {
                return Ok(());
            }
            let child = &key[..node.len() + name.len()];
            match way {
                Way::Up => low = end_of(child),
                Way::Down => high = child.to_vec(),
            }
        }
        Ok(())
    }

    /// The leaf at `path`; `[]` for a container, whatever is in it; null for nothing.
    pub(crate) fn leaf_or_container(&self, path: &Path) -> Result<Value, TreeError> {
        match long::get(self.rows, &leaf_key(path))? {
            Some(bytes) => scalar::decode(&bytes),
            None if self.exists(path)? => Ok(Value::Array(Vec::new())),
            None => Ok(Value::Null),
        }
    }

    /// Whether there is anything at `path`. One look-up.
    ///
    /// # Errors
    /// What LMDB answers.
    pub fn exists(&self, path: &Path) -> Result<bool, TreeError> {
        let node = leaf_key(path);
        Ok(stage::first(self.rows, &node, &end_of(&node), Way::Up)?.is_some())
    }

    /// The names of the children of `path`, in order, at most `limit`.
    ///
    /// # Errors
    /// What LMDB answers.
    pub fn child_names(&self, path: &Path, limit: usize) -> Result<Vec<String>, TreeError> {
        let mut names = Vec::new();
        if limit == 0 {
            return Ok(names);
        }
        self.children(&leaf_key(path), &mut |name| {
            if let Some(name) = key::name(name) {
                names.push(name.into_owned());
            }
            Ok(if names.len() < limit {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            })
        })?;
        Ok(names)
    }

    /// The sequence of the last write that this view has.
    ///
    /// # Errors
    /// What LMDB answers.
    pub fn seq(&self) -> Result<Seq, TreeError> {
        read_mark(self.rows, SEQ_MARK).map(Seq)
    }

    /// What [`get`](Self::get) would answer, as a tag: the same tag means the same document. Reads the document.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn etag(&self, path: &Path) -> Result<ETag, TreeError> {
        let node = leaf_key(path);
        let mut hash = crate::etag::Hasher::default();
        // The writer does this too: nobody may make it read for long.
        let mut budget = Budget::new(self.config);
        let _all = long::scan(self.rows, &node, &end_of(&node), Way::Up, &mut |key, value| {
            let rest = &key[node.len()..];
            budget.spend(rest, value)?;
            hash.row(rest, value);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(hash.finish())
    }
}

/// The length of the first `depth` names.
fn shown_len(rest: &[u8], depth: usize) -> usize {
    let mut pieces = Pieces(rest);
    pieces.by_ref().take(depth).map(<[u8]>::len).sum()
}

/// What a read may still answer.
pub(crate) struct Budget {
    spent: u64,
    max: u64,
}

impl Budget {
    pub(crate) fn new(config: &Config) -> Self {
        Self::of(config.max_read_bytes)
    }

    pub(crate) fn of(max: u64) -> Self {
        Self { spent: 0, max }
    }

    pub(crate) fn spend(&mut self, key: &[u8], value: &[u8]) -> Result<(), TreeError> {
        self.spent += (key.len() + value.len()) as u64;
        if self.spent > self.max {
            return Err(TreeError::TooLarge {
                what: "the answer in bytes",
                len: self.spent,
                max: self.max,
            });
        }
        Ok(())
    }
}
