//! What a walk through a graph keeps: which nodes it has met, and what was near. One for each thread that walks.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

/// A node and how near it is; ordered by that, then by number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    /// Smaller is nearer.
    pub(crate) key: f32,
    pub(crate) node: u32,
}

impl Eq for Found {}

impl Ord for Found {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.total_cmp(&other.key).then(self.node.cmp(&other.node))
    }
}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The memory of one walk, used again by the next. One bit a node.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    met: Vec<u64>,
    /// What to forget before the next walk.
    nodes: Vec<u32>,
    /// Whose links are still to be followed, the nearest first.
    pub(super) ahead: BinaryHeap<Reverse<Found>>,
    /// The best so far, the farthest first.
    pub(super) best: BinaryHeap<Found>,
    /// Neighbours that are about to be compared.
    pub(super) fresh: Vec<u32>,
}

impl Walk {
    /// Forgets the walk before.
    pub(super) fn begin(&mut self, nodes: usize) {
        for node in self.nodes.drain(..) {
            self.met[node as usize / 64] = 0;
        }
        if self.met.len() < nodes.div_ceil(64) {
            self.met.resize(nodes.div_ceil(64), 0);
        }
        self.ahead.clear();
        self.best.clear();
    }

    /// Whether the node is met for the first time.
    pub(super) fn meet(&mut self, node: u32) -> bool {
        let (word, bit) = (&mut self.met[node as usize / 64], 1 << (node % 64));
        let is_new = *word & bit == 0;
        if is_new {
            *word |= bit;
            self.nodes.push(node);
        }
        is_new
    }

    /// Keeps a node if it is among the `most` nearest.
    pub(super) fn keep(&mut self, found: Found, most: usize) {
        if self.best.len() < most {
            self.best.push(found);
        } else if let Some(mut farthest) = self.best.peek_mut()
            && found < *farthest
        {
            *farthest = found;
        }
    }

    /// Whether a node this near is worth following when `most` are kept.
    pub(super) fn is_near_enough(&self, key: f32, most: usize) -> bool {
        self.best.len() < most || self.best.peek().is_none_or(|farthest| key < farthest.key)
    }
}
