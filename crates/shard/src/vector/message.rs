//! What a client asks a shard, and what it answers. Batches were validated by the client; a shard trusts their shape.

use crate::vector::{Filter, Payload, Point, PointId, entry::Collection, index::Graph};
use quintet_core::Message;
use std::sync::Arc;

/// What an answer shall contain beside ids and scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct With {
    /// Payloads.
    pub payload: bool,
    /// Vectors, as they were given.
    pub vector: bool,
}

/// A question for the nearest points.
#[derive(Clone, Debug)]
pub struct Search {
    /// One or several vectors; all share the rest.
    pub queries: Vec<Vec<f32>>,
    /// How many hits each query gets; all there are when there are fewer.
    pub k: usize,
    /// Only points for which this holds.
    pub filter: Option<Filter>,
    /// What a hit contains.
    pub with: With,
    /// Whether every point that passes the filter is compared. Otherwise the collection's graph is followed, if it has
    /// one: much faster, and some of the nearest may be missed. With a filter, or below the configured size of a
    /// collection, every search is exact. Default `false`.
    pub exact: bool,
    /// How many candidates a search that follows the graph keeps, at least `k`: more finds more. `None` = as configured.
    pub ef: Option<usize>,
}

impl Search {
    /// One query.
    #[must_use]
    pub fn new(query: Vec<f32>, k: usize) -> Self {
        Self::many(vec![query], k)
    }

    /// Several queries, which share each pass over memory.
    #[must_use]
    pub fn many(queries: Vec<Vec<f32>>, k: usize) -> Self {
        Self {
            queries,
            k,
            filter: None,
            with: With::default(),
            exact: false,
            ef: None,
        }
    }

    /// Every point is compared.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    /// How many candidates are kept on the way through the graph.
    #[must_use]
    pub fn ef(mut self, ef: usize) -> Self {
        self.ef = Some(ef);
        self
    }

    /// Only points for which this holds.
    #[must_use]
    pub fn filtered(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// What a hit contains.
    #[must_use]
    pub fn with(mut self, with: With) -> Self {
        self.with = with;
        self
    }
}

/// A point that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Its id.
    pub id: PointId,
    /// How near it is, in the collection's [`Metric`](crate::vector::Metric).
    pub score: f32,
    /// Its payload, if asked for and there is one.
    pub payload: Option<Arc<Payload>>,
    /// Its vector, if asked for.
    pub vector: Option<Vec<f32>>,
    /// By which it was ranked: smaller is nearer.
    pub(crate) key: f32,
    /// Found in the index, which anybody may search, and not by the point's own shard.
    pub(crate) is_from_index: bool,
}

/// A query ready for the kernels.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) padded: Vec<f32>,
    /// 1 over its length for the cosine, else 1.
    pub(crate) scale: f32,
}

/// A search as it travels to every shard.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) queries: Vec<Query>,
    pub(crate) k: usize,
    pub(crate) filter: Option<Filter>,
    pub(crate) with: With,
    /// The graph to follow, with how many candidates. Which shard does so for the first query; the next one does for the
    /// second.
    pub(crate) graph: Option<(Arc<Graph>, usize)>,
    pub(crate) first: usize,
}

impl Prepared {
    /// Nothing, for every query.
    pub(crate) fn no_hits(&self) -> Vec<Vec<Hit>> {
        self.queries.iter().map(|_| Vec::new()).collect()
    }

    /// The same, of every point.
    pub(crate) fn without_graph(&self) -> Self {
        Self {
            queries: self.queries.clone(),
            k: self.k,
            filter: self.filter.clone(),
            with: self.with,
            graph: None,
            first: 0,
        }
    }
}

/// What one shard is asked. Made by [`VectorClient`](crate::vector::VectorClient) only.
#[derive(Debug)]
pub struct VectorMessage {
    pub(crate) collection: Arc<Collection>,
    pub(crate) ask: Ask,
}

#[derive(Debug)]
pub(crate) enum Ask {
    Upsert(Vec<Point>),
    Delete(Vec<PointId>),
    /// The collection was dropped: its memory may go.
    Forget,
    /// Make room for so many bytes of the collection.
    Cool(u64),
    Get {
        ids: Vec<PointId>,
        with: With,
    },
    Search(Arc<Prepared>),
    Count(Option<Arc<Filter>>),
    Scroll {
        after: Option<PointId>,
        limit: usize,
        with: With,
    },
}

/// What a shard answers.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum VectorReply {
    /// A write is done: how many points it stored or removed.
    Done(usize),
    /// How many points there are.
    Count(u64),
    /// Points, in the order of the ids that were asked for, or of ids for a scroll.
    Points(Vec<Option<Point>>),
    /// The shard's nearest for each query.
    Hits(Vec<Vec<Hit>>),
}

impl Message for VectorMessage {
    type Reply = VectorReply;

    fn rank(&self) -> u8 {
        match self.ask {
            Ask::Get { .. } | Ask::Search(_) | Ask::Count(_) | Ask::Scroll { .. } => 0,
            Ask::Upsert(_) | Ask::Delete(_) | Ask::Forget | Ask::Cool(_) => 1,
        }
    }

    fn awaits_commit(&self) -> bool {
        matches!(self.ask, Ask::Upsert(_) | Ask::Delete(_))
    }
}
