//! Vectors on shards: durable collections, searched exactly by every shard at once, or by a graph over all shards' points.
//!
//! A point lives at the shard that its id hashes to, and only that shard's thread touches it. A write is validated whole
//! before any of it is sent, is logged by its shards, and becomes visible when it is as durable as configured. A search
//! goes to all shards and their nearest are merged; ties break by id, so results do not depend on the number of shards.
//!
//! A search without a filter in a collection of many points follows a graph, unless `exact` is asked for: it may then miss
//! some of the nearest, and what it does answer is there, with exactly its score.
//!
//! A collection keeps to its budget of memory: what came first moves to files, which are mapped and searched alike.
//!
//! ```
//! use quintet_core::SystemClock;
//! use quintet_shard::vector::{Directories, Metric, Point, Search, Spec, VectorConfig, VectorStore};
//! use std::{num::NonZeroUsize, sync::Arc};
//!
//! let config = VectorConfig::default();
//! # let config = config.with_segment_bytes(1 << 20);
//! let directories = Directories::in_memory(config.shards());
//! let store = VectorStore::open(config, directories, Arc::new(SystemClock))?;
//! let mut client = store.client(NonZeroUsize::new(16).unwrap())?;
//! client.create("places", Spec { dimension: 2, metric: Metric::L2, budget_bytes: 1 << 20 })?;
//! client.upsert("places", vec![Point::new(7, vec![0.0, 1.0]), Point::new("home", vec![3.0, 4.0])])?;
//! let hits = client.search("places", Search::new(vec![0.0, 0.0], 1))?;
//! assert_eq!((&hits[0].id, hits[0].score), (&7.into(), 1.0));
//! store.close()?;
//! # Ok::<(), quintet_core::Error>(())
//! ```

mod arena;
mod backup;
mod block;
mod catalogue;
mod client;
mod cold;
mod collection;
mod config;
mod directories;
mod entry;
mod error;
mod filter;
mod handler;
#[cfg(all(test, not(quintet_loom)))]
mod handler_tests;
mod index;
mod message;
mod meter;
mod pages;
mod point;
mod record;
mod recovery;
mod room;
mod scan;
mod snapshot;
mod store;
mod topk;
mod validate;

pub use catalogue::{Info, Metric, Spec};
pub use client::VectorClient;
pub use config::VectorConfig;
pub use directories::Directories;
pub use error::VectorError;
pub use filter::{Bounds, Filter};
pub use handler::VectorHandler;
pub use index::IndexConfig;
pub use message::{Hit, Search, VectorMessage, VectorReply, With};
pub use point::{Payload, Point, PointId};
pub use recovery::check_cold_files;
pub use store::VectorStore;
