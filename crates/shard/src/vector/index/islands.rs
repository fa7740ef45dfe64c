//! Keeping every point within reach. Links are chosen among the nearest, so points in tight clusters that lie far apart end
//! up linked with their own cluster only: islands, which a walk from elsewhere does not find its way into.
//!
//! So walks are tried: one to each new point and to each that is above the ground, again and again as the graph grows. A
//! point that is not found gets a link from the nearest that was; if that does not help, it becomes an entry, and every
//! walk begins at the nearest entries too. One entry makes the rest of its island found.

use super::{
    graph::Graph,
    walk::{Found, Walk},
};
use std::{ops::Range, sync::Arc};

/// So many entries are compared with every query.
const MOST_ENTRIES: usize = 512;
/// And so many of them are begun at.
const BEGIN_AT: usize = 3;
/// How many candidates a walk keeps that is only tried.
const TRIAL_EF: usize = 24;

impl Graph {
    /// The entries nearest to a query, beside the top one.
    pub(super) fn landings(&self, query: (&[f32], f32)) -> Vec<Found> {
        let entries = self.entries.iter();
        let mut found: Vec<Found> = entries.map(|node| self.found(query.0, query.1, *node)).collect();
        found.sort_unstable();
        found.truncate(BEGIN_AT);
        found
    }

    /// Sees to it that points which are above the ground in some blocks are found.
    pub(crate) fn reach_upper(&mut self, blocks: Range<usize>, walk: &mut Walk) {
        for block in blocks {
            let mut rows: Vec<u32> = self.links[block].upper.keys().copied().collect();
            rows.sort_unstable();
            for row in rows {
                self.reach(self.shape.slot(block, row as usize) as u32, walk);
            }
        }
    }

    /// Sees to it that all points of some blocks are found.
    pub(crate) fn reach_all(&mut self, blocks: Range<usize>, walk: &mut Walk) {
        for block in blocks {
            for row in 0..self.blocks[block].used_rows() {
                let node = self.shape.slot(block, row) as u32;
                if !self.neighbours(node, 0).is_empty() {
                    self.reach(node, walk);
                }
            }
        }
    }

    fn reach(&mut self, node: u32, walk: &mut Walk) {
        let (block, row) = self.place(node);
        let block = Arc::clone(block);
        let query = (block.vector(row), block.scales()[row]);
        let Err(nearest) = self.find(node, query, walk) else {
            return;
        };
        if let Some(from) = nearest {
            let mut links = self.neighbours(from, 0).to_vec();
            links.truncate(2 * self.degree - 1);
            links.push(node);
            self.set_links(from, 0, &links);
        }
        if self.find(node, query, walk).is_err() && self.entries.len() < MOST_ENTRIES {
            self.entries.push(node);
        }
    }

    /// Walks to a node; if it is not found, answers the nearest that was.
    fn find(&self, node: u32, query: (&[f32], f32), walk: &mut Walk) -> Result<(), Option<u32>> {
        let Some(entry) = self.entry.filter(|entry| entry.node != node) else {
            return Ok(());
        };
        let mut entries = self.descend(query, entry, 1, walk);
        // Where it is above the ground it is met on the way down; that is to be no help.
        entries.retain(|found| found.node != node);
        entries.extend(self.landings(query));
        self.explore(query, &entries, TRIAL_EF, 0, walk, |_| true);
        let best = std::mem::take(&mut walk.best).into_sorted_vec();
        if best.iter().any(|found| found.node == node) {
            return Ok(());
        }
        Err(best.first().map(|found| found.node))
    }
}
