//! The index: one graph a collection over the sealed blocks of all shards, built beside them and never changed once it
//! is shown.
//!
//! Why one graph and not one a shard: S graphs would each be walked for every query. Since sealed blocks may be read by
//! any thread, one graph over all of them can be walked by any one shard, and no work is done twice. New blocks are added
//! to a copy that shares what does not change; the copy is shown under the next generation. A block remembers the first
//! generation that has it, and a search carries the graph it uses, so each point is looked for exactly once: in the graph
//! if that has it, else by its shard.

mod build;
mod graph;
#[cfg(test)]
mod graph_tests;
mod indexer;
mod islands;
mod walk;

pub(crate) use graph::Graph;
pub(crate) use indexer::{Indexer, Offer, Port, Refused, Watch};
pub(crate) use walk::Walk;

use crate::vector::VectorError;

/// How a collection's graph is built and walked.
#[derive(Clone, Debug)]
pub struct IndexConfig {
    /// Collections with fewer points in sealed blocks have no graph and are scanned. Default 10 000; at least 1.
    pub min_points: usize,
    /// How many links a point has on the upper levels; twice as many on the ground. Default 16; 4 to 64. Memory: 8 bytes a
    /// point for each.
    pub links: usize,
    /// How many candidates are kept while links are chosen. Default 128; `links` to 2000. More makes better graphs, slower.
    pub build_ef: usize,
    /// How many candidates a search keeps unless it says otherwise. Default 96; 1 to 10 000. More finds more, slower.
    pub search_ef: usize,
    /// How many points of one collection may wait for the graph; above that, writes to it are refused until it has caught
    /// up, because what waits is scanned by every search. Default 200 000; at least twice `min_points`. What was there
    /// when the store was opened does not count.
    pub max_waiting_points: usize,
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self {
            min_points: 10_000,
            links: 16,
            build_ef: 128,
            search_ef: 96,
            max_waiting_points: 200_000,
        }
    }
}

impl IndexConfig {
    pub(super) fn validate(&self) -> Result<(), VectorError> {
        let ranges = [
            ("index.min_points", self.min_points, 1, usize::MAX / 4),
            ("index.links", self.links, 4, 64),
            ("index.build_ef", self.build_ef, self.links, 2000),
            ("index.search_ef", self.search_ef, 1, 10_000),
            (
                "index.max_waiting_points",
                self.max_waiting_points,
                2 * self.min_points.min(usize::MAX / 4),
                usize::MAX,
            ),
        ];
        for (field, value, least, most) in ranges {
            if value < least || value > most {
                return Err(VectorError::field(field, format!("{value}; {least} to {most}")));
            }
        }
        Ok(())
    }
}
