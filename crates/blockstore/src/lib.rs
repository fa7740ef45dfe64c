//! Content-addressed blocks of 4 KiB to 512 KiB: one controller owns the metadata, N workers do the I/O.
//!
//! | to do this | start at |
//! |---|---|
//! | store blocks from a program | [`BlockStore`] |
//! | drive puts and gets from an event loop | [`BlockStore::connect`], [`BlockWorker`] |
//! | check a store that is not open | [`fsck()`] |
//! | keep small values durably, without blocks | [`meta::Table`] |
//!
//! # Where a put becomes durable
//! The worker writes the content into a block that it was granted ahead of need, and sends `Occupy`. The controller's
//! [`BlockHandler`] stages the record and commits the batch as one log record; the log's flusher syncs the data file and
//! the log; then the reply leaves. A checkpoint moves records into LMDB later.
#![deny(unsafe_code)]

mod backup;
pub mod buddy;
pub mod codec;
mod compact;
mod config;
mod depot;
mod digest;
mod engine;
pub mod epoch;
mod error;
mod extent;
mod fsck;
mod handler;
mod histogram;
mod home;
mod lock;
mod message;
pub mod meta;
mod meter;
mod outcome;
mod pool;
#[cfg(feature = "port")]
pub mod port;
mod put;
mod quarantine;
mod record;
mod recorder;
mod recovery;
mod refill;
mod scrub;
mod seat;
mod space;
mod stats;
mod store;
mod under_way;
mod verify;
#[cfg_attr(
    not(feature = "port"),
    expect(dead_code, reason = "the port alone sends from the map")
)]
mod view;
mod worker;

/// The crates whose types are in this one's interface, so that who embeds it needs no other.
pub use {quintet_core, quintet_log};

pub use compact::{CompactOptions, Compacted};
pub use config::Config;
pub use digest::Digest;
pub use engine::{Engine, Workers};
pub use error::BlockError;
pub use extent::Extent;
pub use fsck::{FsckOptions, Report, fsck, fsck_with};
pub use handler::BlockHandler;
pub use lock::{Lock, MAX_LOCK_BYTES, MAX_LOCKS, MAX_RESOURCE_BYTES};
pub use message::{BlockMessage, BlockReply};
pub use meter::ControllerStats;
pub use outcome::{Done, Get, Outcome, Polled, Refused, Ticket};
pub use pool::StackPool;
pub use put::Put;
pub use record::Record;
pub use recorder::Recorder;
pub use recovery::Opened;
pub use scrub::{Progress, ScrubOptions, Scrubbed};
pub use stats::Stats;
pub use store::BlockStore;
pub use verify::Verify;
pub use worker::{BlockWorker, Lookup};
