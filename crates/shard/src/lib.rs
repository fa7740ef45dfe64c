//! Thread per shard: each shard of the data is owned by exactly one thread, and requests travel to it.
//!
//! | to do this | start at |
//! |---|---|
//! | run any [`MessageHandler`](quintet_core::MessageHandler) on a thread per shard | [`ShardEngine::open`] |
//! | ask it from a thread that may block | [`ShardEngine::caller`] |
//! | ask it from a loop, or from async code through [`Client`](quintet_core::Client) | [`ShardEngine::port`] |
//! | keep a map of bytes on it | [`MapHandler`] |
//! | keep vectors and search them | [`vector::VectorStore`] |
//!
//! A handler is built on the thread that will own it and never leaves it, so its state need not be `Send`: the compiler
//! keeps every other thread out. No request takes a lock; the one mutex of the crate is in `manifest.rs`.
//!
//! ```
//! use quintet_shard::{ByKey, EngineConfig, MapConfig, MapHandler, ShardEngine};
//! use quintet_shard::quintet_core::{Keyed, KeyedReply, SystemClock};
//! use std::{num::NonZeroUsize, sync::Arc};
//!
//! let config = EngineConfig { shards: NonZeroUsize::new(2).unwrap(), ..EngineConfig::default() };
//! let engine = ShardEngine::open(config, Arc::new(SystemClock), |_shard| Ok(MapHandler::new(MapConfig::default())))?;
//! let mut caller = engine.caller(NonZeroUsize::new(16).unwrap(), ByKey(Keyed::key))?;
//! let reply = caller.call(Keyed::Add { key: b"hits".to_vec(), delta: 2 })?;
//! assert_eq!(reply, KeyedReply::Sum(2));
//! engine.shutdown()?;
//! # Ok::<(), quintet_shard::quintet_core::Error>(())
//! ```
#![deny(unsafe_code)]

mod distance;
mod engine;
mod error;
mod manifest;
mod map;
pub mod vector;

/// The crates whose types are in this one's interface, so that who embeds it needs no other.
pub use {quintet_core, quintet_log};

pub use engine::{
    ByKey, Caller, ClientPort, EngineConfig, Own, Pinning, RoundRobin, Router, ShardEngine, ShardId,
    ShardState, ShardStats, shard_of,
};
pub use error::ShardError;
pub use map::{MapConfig, MapHandler};
