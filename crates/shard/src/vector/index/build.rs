//! Adding points to a graph that nobody else sees yet.

use super::{
    graph::{Entry, Graph, Links, NONE},
    walk::{Found, Walk},
};
use crate::vector::block::Block;
use std::sync::Arc;

/// Nodes are numbered with 32 bits, and the last number means none.
const MAX_ROWS: usize = u32::MAX as usize - 1;

impl Graph {
    /// Whether there is room for one more block.
    pub(crate) fn has_room(&self) -> bool {
        self.rows() + self.shape.rows() <= MAX_ROWS
    }

    /// Adds a block's points; those that are dead by now are left out. Answers `false`, with some of them linked already,
    /// when `stop` says so in between: the graph is then good for nothing but being dropped.
    pub(crate) fn add(
        &mut self,
        block: &Arc<Block>,
        ef: usize,
        walk: &mut Walk,
        stop: &dyn Fn() -> bool,
    ) -> bool {
        let first = self.rows();
        self.blocks.push(Arc::clone(block));
        self.links.push(Arc::new(Links {
            ground: vec![NONE; self.shape.rows() * 2 * self.degree],
            upper: Default::default(),
        }));
        for row in 0..block.used_rows() {
            if stop() {
                return false;
            }
            if block.is_live(row) {
                self.insert(block, row, (first + row) as u32, ef, walk);
            }
        }
        true
    }

    fn insert(&mut self, block: &Block, row: usize, node: u32, ef: usize, walk: &mut Walk) {
        let level = self.level_of(node);
        let (vector, scale) = (block.vector(row), block.scales()[row]);
        let Some(entry) = self.entry else {
            self.entry = Some(Entry { node, level });
            return;
        };
        let mut entries = self.descend((vector, scale), entry, level + 1, walk);
        for level in (0..=level.min(entry.level)).rev() {
            if level == 0 {
                entries.extend(self.landings((vector, scale)));
            }
            self.explore((vector, scale), &entries, ef, level, walk, |_| true);
            entries = std::mem::take(&mut walk.best).into_sorted_vec();
            let chosen = self.choose(&entries, self.degree, level);
            let nodes: Vec<u32> = chosen.iter().map(|found| found.node).collect();
            self.set_links(node, level, &nodes);
            for found in chosen {
                self.link_back(found, node, level);
            }
        }
        if level > entry.level {
            self.entry = Some(Entry { node, level });
        }
    }

    /// How high a node reaches: each level has a `degree`th of the nodes below, at random by the node's number.
    fn level_of(&self, node: u32) -> usize {
        let mut hash = u64::from(node).wrapping_add(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^= hash >> 31;
        let uniform = ((hash >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        (-uniform.ln() / (self.degree as f64).ln()) as usize
    }

    /// At most `most` of the candidates, nearest first, none of which is nearer to another chosen one than to the point
    /// itself: so links lead in all directions and not only into the nearest cluster. Above the ground, where clusters have
    /// few nodes each and must not lose each other, the room that is left goes to the nearest of the others.
    fn choose(&self, candidates: &[Found], most: usize, level: usize) -> Vec<Found> {
        let (mut chosen, mut others): (Vec<Found>, Vec<Found>) = (Vec::with_capacity(most), Vec::new());
        for candidate in candidates {
            if chosen.len() == most {
                break;
            }
            let (block, row) = self.place(candidate.node);
            let (vector, scale) = (block.vector(row), block.scales()[row]);
            let is_apart = |other: &Found| self.key(vector, scale, other.node) >= candidate.key;
            if chosen.iter().all(is_apart) {
                chosen.push(*candidate);
            } else if level > 0 {
                others.push(*candidate);
            }
        }
        let room = most - chosen.len();
        chosen.extend(others.into_iter().take(room));
        chosen
    }

    /// Links a neighbour back to a new node; when it has no room left, it chooses again.
    fn link_back(&mut self, neighbour: Found, node: u32, level: usize) {
        let room = if level == 0 { 2 * self.degree } else { self.degree };
        let old = self.neighbours(neighbour.node, level);
        let mut nodes = old.to_vec();
        if old.len() < room {
            nodes.push(node);
        } else {
            let (block, row) = self.place(neighbour.node);
            let (vector, scale) = (block.vector(row), block.scales()[row]);
            let mut candidates: Vec<Found> = old.iter().map(|old| self.found(vector, scale, *old)).collect();
            let key = neighbour.key;
            candidates.push(Found { key, node });
            candidates.sort_unstable();
            nodes = self
                .choose(&candidates, room, level)
                .iter()
                .map(|found| found.node)
                .collect();
        }
        self.set_links(neighbour.node, level, &nodes);
    }

    pub(super) fn set_links(&mut self, node: u32, level: usize, nodes: &[u32]) {
        let (block, row) = self.shape.place(node as usize);
        let links = Arc::make_mut(&mut self.links[block]);
        if level > 0 {
            let lists = links.upper.entry(row as u32).or_default();
            if lists.len() < level {
                lists.resize(level, Vec::new());
            }
            lists[level - 1] = nodes.to_vec();
            return;
        }
        let room = 2 * self.degree;
        let list = &mut links.ground[row * room..(row + 1) * room];
        list[..nodes.len()].copy_from_slice(nodes);
        list[nodes.len()..].fill(NONE);
    }
}
