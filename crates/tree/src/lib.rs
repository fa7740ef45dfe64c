//! A durable JSON tree with live streams: one writer beside many readers.
//!
//! Every node has a [`Path`]. Leaves are rows of LMDB whose keys sort as paths do, so a document is one range. Reads take a
//! snapshot each and wait for nobody. One writer gathers the writes that come meanwhile into one transaction and one flush,
//! and answers when they are on stable storage.
//!
//! | to do this | start at |
//! |---|---|
//! | embed a tree | [`Tree::open`] |
//! | read and write from async code | [`Tree::write`], [`Tree::read`] |
//! | follow what changes | [`Reader::watch`] |
//! | find children by value | [`Query`], [`Index`] |
//! | decide who may do what | [`Guard`] |
//!
//! # Features
//! | feature | adds |
//! |---|---|
//! | `rules` | security rules in Firebase's language (default) |
//! | `testing` | `Tree::fail_next_commit()`, and `Reader::raw_len()` for comparisons |
#![deny(unsafe_code)]

mod backup;
mod block_on;
mod config;
mod edit;
mod error;
mod etag;
mod fsck;
mod guard;
mod handler;
mod import;
mod index;
mod inner;
mod keyed;
mod listing;
mod message;
mod path;
mod pool;
mod prepare;
mod push_id;
mod query;
mod reader;
#[cfg(feature = "rules")]
pub mod rules;
mod stats;
mod store;
mod tree;
mod value;
mod view;
mod watch;

/// The crate whose types are in this one's interface, so that who embeds it needs no other.
pub use quintet_core;

pub use backup::backup;
pub use config::Config;
pub use error::TreeError;
pub use etag::ETag;
pub use fsck::{FsckReport, fsck};
pub use guard::{Guard, ReadAccess, WriteAccess};
pub use handler::TreeHandler;
pub use import::Imported;
pub use index::Index;
pub use keyed::{KeyedHandler, KeyedReader, PLACE as KEYED_PLACE};
pub use listing::{Child, Listing};
pub use message::{Action, TreeMessage, TreeReply, Waiting, Write, Written};
pub use path::{MAX_NAME_BYTES, MAX_PATH_DEPTH, NameRules, Path};
pub use pool::{Pool, PoolConfig, PoolStats, Priority, PriorityStats, Spread, Task};
pub use query::{Answer, Bound, Limit, OrderBy, Query};
#[cfg(feature = "testing")]
pub use reader::RawKey;
pub use reader::Reader;
/// JSON documents.
pub use serde_json::Value;
pub use stats::Stats;
pub use tree::{Outcome, Tree};
pub use value::parse_json;
pub use view::View;
pub use watch::{Event, EventKind, Initial, Next, Watch};
