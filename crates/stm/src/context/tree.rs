//! Keys that appear, disappear and are listed: the part of [`State`] that keeps the tree a tree.
//!
//! A path that is made writes the gaps of itself and of every branch above, having seen each: so two transactions that
//! make one path, or a value and a branch at one place, conflict at every level that buffers.

use super::{
    Shared,
    cell::Cell,
    path::Path,
    state::{Found, State},
    write::{Op, Write},
    zone::{Capability, Zone},
};
use crate::{
    Error,
    primitive::lock,
    transaction::{Abort, Step},
};
use std::sync::Arc;

impl State {
    /// A path that is not there: its cell, and the gaps that say so.
    pub(super) fn create(&mut self, shared: &Shared, path: &Path, op: Op) -> Step<()> {
        Zone::refuse_unknown(path).map_err(Abort::failed)?;
        self.permit(path, Zone::of(path), &[Capability::Append, Capability::Update])?;
        if let Found::Here(..) = self.look(shared, path)? {
            // Made by another one in between: from the start.
            return Err(Abort::CONFLICT);
        }
        for branch in path.ancestors() {
            self.refuse_leaf(shared, path, branch)?;
        }
        self.refuse_branch(shared, path)?;
        self.touch_gaps(shared, path);
        for name in path.ancestors().chain([path.as_str()]) {
            let gap = shared.index.gap(name);
            let seen = self.reads.seen(gap);
            if let Some(at) = self.position(gap) {
                self.writes[at].seen = self.writes[at].seen.or(seen);
            }
        }
        self.push(Write::cell(Arc::new(Cell::new(path.clone())), None, op, true));
        Ok(())
    }

    /// What is above a value cannot be a value.
    fn refuse_leaf(&mut self, shared: &Shared, path: &Path, branch: &str) -> Step<()> {
        let gap = shared.index.gap(branch);
        let read = self
            .reads
            .read(&shared.domain, self.isolation, gap, || shared.index.get(branch));
        let (cell, _) = read.map_err(|_| Abort::CONFLICT)?;
        let is_leaf = match self.own(branch, shared) {
            Some(at) => !matches!(self.writes[at].op, Op::Set(None)),
            None => cell.is_some(),
        };
        if is_leaf {
            Err(Abort::failed(clash(
                path,
                "a branch",
                format!("a value at {branch}"),
            )))
        } else {
            Ok(())
        }
    }

    /// What has values below it cannot be a value.
    fn refuse_branch(&mut self, shared: &Shared, path: &Path) -> Step<()> {
        if let Some(below) = self.keys(shared, path.as_str(), 1)?.first() {
            return Err(Abort::failed(clash(
                path,
                "a value",
                format!("a branch with {below}"),
            )));
        }
        Ok(())
    }

    pub(super) fn touch_gaps(&mut self, shared: &Shared, path: &Path) {
        for name in path.ancestors().chain([path.as_str(), ""]) {
            let gap = shared.index.gap(name);
            if self.position(gap).is_none() {
                self.push(Write::gap(gap, None));
            }
        }
    }

    /// The first paths below a branch, in order, as this transaction sees them.
    pub(crate) fn keys(&mut self, shared: &Shared, branch: &str, limit: usize) -> Step<Vec<Path>> {
        self.unfold();
        let gap = shared.index.gap(branch);
        let read = self.reads.read(&shared.domain, self.isolation, gap, || {
            lock(&shared.journal).structure.clone()
        });
        let (structure, _) = read.map_err(|_| Abort::CONFLICT)?;
        let mut paths: Vec<Path> = super::below(&structure, branch)
            .filter(|cell| match self.position(cell.slot) {
                Some(at) => !matches!(self.writes[at].op, Op::Set(None)),
                None => true,
            })
            .map(|cell| cell.path.clone())
            .take(limit)
            .collect();
        paths.extend(self.made_below(branch).take(limit).cloned());
        paths.sort_unstable();
        paths.dedup();
        paths.truncate(limit);
        Ok(paths)
    }
}

fn clash(path: &Path, expected: &str, found: String) -> Error {
    Error::TypeClash {
        path: path.to_string(),
        expected: expected.into(),
        found,
    }
}
