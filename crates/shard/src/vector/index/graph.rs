//! A hierarchical navigable small world: who is linked with whom, and how to find the nearest by following links.
//!
//! After Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
//! World graphs" (2016). A node is a row of a block; its number is the block's place in the graph and the row. Once shown,
//! a graph never changes; a clone shares all links until it changes them. Points that have died since stay as way-marks and
//! are never answered.

use super::walk::{Found, Walk};
use crate::{
    distance::{Kernel, Measure},
    vector::{
        Hit, VectorError,
        block::{Block, Shape},
        entry::Collection,
        message::{Prepared, Query},
        room::Room,
        scan::{hit, key_of},
        topk::Candidate,
    },
};
use std::{cmp::Reverse, collections::HashMap, sync::Arc};

/// In place of a neighbour.
pub(super) const NONE: u32 = u32::MAX;

/// How many candidates are kept above the ground.
const DESCENT_EF: usize = 12;

/// The links of one block's rows.
#[derive(Clone, Debug)]
pub(super) struct Links {
    /// On the ground: the same room for each row, filled from the front.
    pub(super) ground: Vec<u32>,
    /// Above it, for the few rows that are there: a list for each level from 1.
    pub(super) upper: HashMap<u32, Vec<Vec<u32>>, foldhash::fast::RandomState>,
}

/// Where every walk begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) node: u32,
    pub(super) level: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Graph {
    /// Which of the collection's graphs this is.
    pub(crate) generation: u64,
    pub(super) shape: Shape,
    pub(super) measure: Measure,
    pub(super) kernel: Kernel,
    /// How many links a node has above the ground.
    pub(super) degree: usize,
    pub(super) blocks: Vec<Arc<Block>>,
    pub(super) links: Vec<Arc<Links>>,
    pub(super) entry: Option<Entry>,
    /// A node of each large island, see `islands.rs`.
    pub(super) entries: Vec<u32>,
}

impl Graph {
    pub(crate) fn new(shape: Shape, measure: Measure, degree: usize) -> Self {
        Self {
            generation: 0,
            shape,
            measure,
            kernel: Kernel::detect(),
            degree,
            blocks: Vec::new(),
            links: Vec::new(),
            entry: None,
            entries: Vec::new(),
        }
    }

    pub(crate) fn blocks(&self) -> &[Arc<Block>] {
        &self.blocks
    }

    /// How many points were put in, those that died since included.
    pub(crate) fn points(&self) -> usize {
        self.blocks.iter().map(|block| block.used_rows()).sum()
    }

    /// Rows there is room for; every node's number is below.
    pub(crate) fn rows(&self) -> usize {
        self.blocks.len() << self.shape.bits
    }

    /// The bytes of its links; the vectors are the blocks'.
    pub(crate) fn link_bytes(&self) -> usize {
        let lists = |lists: &Vec<Vec<u32>>| {
            let room = lists.iter().map(|list| 24 + 4 * list.capacity());
            32 + room.sum::<usize>()
        };
        let bytes =
            |links: &Arc<Links>| 4 * links.ground.capacity() + links.upper.values().map(lists).sum::<usize>();
        self.links.iter().map(bytes).sum()
    }

    pub(super) fn place(&self, node: u32) -> (&Arc<Block>, usize) {
        let (block, row) = self.shape.place(node as usize);
        (&self.blocks[block], row)
    }

    pub(super) fn key(&self, query: &[f32], scale: f32, node: u32) -> f32 {
        let (block, row) = self.place(node);
        let mut found = [[0.0]];
        let (vector, stride) = (block.vector(row), self.shape.stride);
        self.kernel
            .rows(self.measure, vector, stride, [query], &mut found);
        key_of(self.measure, found[0][0], block.scales()[row] * scale)
    }

    /// Who a node is linked with on a level.
    pub(super) fn neighbours(&self, node: u32, level: usize) -> &[u32] {
        let (block, row) = self.shape.place(node as usize);
        let links = &self.links[block];
        if level > 0 {
            let lists = links.upper.get(&(row as u32));
            return lists
                .and_then(|lists| lists.get(level - 1))
                .map_or(&[], Vec::as_slice);
        }
        let room = 2 * self.degree;
        let list = &links.ground[row * room..(row + 1) * room];
        let used = list.iter().position(|node| *node == NONE).unwrap_or(room);
        &list[..used]
    }

    /// The `ef` nearest nodes that are accepted, as far as the walk finds them; nearest first.
    pub(crate) fn nearest(
        &self,
        query: &Query,
        ef: usize,
        walk: &mut Walk,
        accept: impl Fn(&Block, usize) -> bool,
    ) -> Vec<(f32, &Block, usize)> {
        let Some(entry) = self.entry else {
            return Vec::new();
        };
        let (vector, scale) = (&*query.padded, query.scale);
        let mut entries = self.descend((vector, scale), entry, 1, walk);
        entries.extend(self.landings((vector, scale)));
        let accept = |node| {
            let (block, row) = self.place(node);
            accept(block, row)
        };
        self.explore((vector, scale), &entries, ef, 0, walk, accept);
        let best = std::mem::take(&mut walk.best).into_sorted_vec();
        best.into_iter()
            .map(|found| {
                let (block, row) = self.place(found.node);
                (found.key, &**block, row)
            })
            .collect()
    }

    /// The hits for a query: points that are there now, with exactly their scores.
    pub(crate) fn hits(
        &self,
        collection: &Collection,
        query: &Query,
        ef: usize,
        search: &Prepared,
        walk: &mut Walk,
        room: &mut Room,
    ) -> Result<Vec<Hit>, VectorError> {
        let is_there =
            |block: &Block, row: usize| block.is_live(row) && block.run == collection.run_of(block.shard);
        let nearest = self.nearest(query, ef, walk, is_there).into_iter();
        let mut candidates: Vec<_> = nearest
            .filter_map(|(key, block, row)| {
                let (id, rest) = (block.row_of_any(row)?.id, (block, row));
                Some(Candidate { key, id, rest })
            })
            .collect();
        candidates.sort_unstable();
        candidates.truncate(search.k);
        let dimension = collection.spec.dimension;
        let hits = candidates
            .into_iter()
            .filter_map(|found| hit(found, self.measure, dimension, search.with, room).transpose());
        hits.map(|hit| {
            Ok(Hit {
                is_from_index: true,
                ..hit?
            })
        })
        .collect()
    }

    pub(super) fn found(&self, query: &[f32], scale: f32, node: u32) -> Found {
        let key = self.key(query, scale, node);
        Found { key, node }
    }

    /// Goes down to a level, through those above it, from the top; answers the nearest nodes of the last one.
    ///
    /// Several are kept on the way, not one: between clusters that lie far apart the nearest node so far may have no link
    /// that leads on.
    pub(super) fn descend(
        &self,
        query: (&[f32], f32),
        entry: Entry,
        level: usize,
        walk: &mut Walk,
    ) -> Vec<Found> {
        let mut entries = vec![self.found(query.0, query.1, entry.node)];
        for level in (level..=entry.level).rev() {
            self.explore(query, &entries, DESCENT_EF, level, walk, |_| true);
            entries = std::mem::take(&mut walk.best).into_sorted_vec();
        }
        entries
    }

    /// Follows links from the nearest node that is left until `ef` are known and no nearer one is ahead. What was found
    /// and accepted is then in `walk.best`.
    pub(super) fn explore(
        &self,
        (query, scale): (&[f32], f32),
        entries: &[Found],
        ef: usize,
        level: usize,
        walk: &mut Walk,
        accept: impl Fn(u32) -> bool,
    ) {
        walk.begin(self.rows());
        for entry in entries {
            if !walk.meet(entry.node) {
                continue;
            }
            walk.ahead.push(Reverse(*entry));
            if accept(entry.node) {
                walk.keep(*entry, ef);
            }
        }
        while let Some(Reverse(next)) = walk.ahead.pop() {
            if !walk.is_near_enough(next.key, ef) {
                break;
            }
            let mut fresh = std::mem::take(&mut walk.fresh);
            fresh.clear();
            fresh.extend(
                self.neighbours(next.node, level)
                    .iter()
                    .filter(|node| walk.meet(**node)),
            );
            for (n, node) in fresh.iter().enumerate() {
                // The next one's vector is fetched while this one's is compared.
                if let Some(after) = fresh.get(n + 1) {
                    let (block, row) = self.place(*after);
                    self.kernel.fetch(block.vector(row));
                }
                let found = self.found(query, scale, *node);
                if walk.is_near_enough(found.key, ef) {
                    walk.ahead.push(Reverse(found));
                    if accept(*node) {
                        walk.keep(found, ef);
                    }
                }
            }
            walk.fresh = fresh;
        }
    }
}
