//! A durable log: CRC-framed records, group commit over preallocated segments, snapshots, and a file seam that tests can
//! make fail. Written once; every engine that acknowledges a write acknowledges it through here.
//!
//! | to do this | start at |
//! |---|---|
//! | make records durable | [`Log::open`], [`Log::append`], [`Log::commit`], [`Log::durable`] |
//! | read a log without opening it for writing | [`read`] |
//! | keep a whole state beside the log | [`snapshot::write`], [`snapshot::read`], [`Log::truncate`] |
//! | copy a log that is in use | [`copy::Source`] |
//! | store other bytes in a way that tests can make fail | [`Directory`] and [`File`] |
//!
//! # Features
//! | feature | adds |
//! |---|---|
//! | `testing` | [`FaultDirectory`] (the Nth I/O fails) and [`CrashDirectory`] (what a power cut leaves) |
//! | `conformance` | the clauses that every directory, and everything durable, must keep |
//!
//! ```
//! use quintet_log::{Log, LogConfig, MemDirectory};
//! use quintet_log::quintet_core::{Commit, Seq, SystemClock};
//! use std::sync::Arc;
//!
//! let directory = Arc::new(MemDirectory::new());
//! let config = LogConfig { segment_bytes: 1 << 20, max_record_bytes: 1 << 16, max_group_bytes: 1 << 18, ..LogConfig::default() };
//! let (log, _) = Log::open(directory.clone(), config.clone(), Arc::new(SystemClock), Seq::ZERO, &mut |_, _| Ok(()))?;
//! let seq = log.append(b"set x = 1")?;
//! if let Commit::Pending(seq) = log.commit()? {
//!     log.wait_durable(seq, None)?;
//! }
//! assert_eq!(log.durable()?, seq);
//! log.close()?;
//!
//! let mut replayed = Vec::new();
//! Log::open(directory, config, Arc::new(SystemClock), Seq::ZERO, &mut |seq, record| {
//!     replayed.push((seq, record.to_vec()));
//!     Ok(())
//! })?;
//! assert_eq!(replayed, [(seq, b"set x = 1".to_vec())]);
//! # Ok::<(), quintet_log::quintet_core::Error>(())
//! ```
#![forbid(unsafe_code)]

mod alarm;
mod append;
mod companions;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod copy;
mod error;
mod file;
mod flusher;
mod frame;
mod log;
mod reader;
mod recovery;
mod segment;
pub mod snapshot;
mod stats;
mod writer;

/// The crate whose types are in this one's interface, so that who embeds it needs no other.
pub use quintet_core;

pub use alarm::Alarm;
pub use config::LogConfig;
pub use error::LogError;
pub use file::{Claim, ClaimGuard, Directory, File, MemDirectory, OpenMode, OsDirectory};
#[cfg(feature = "testing")]
pub use file::{CrashDirectory, Fault, FaultDirectory, recording};
pub use log::Log;
pub use reader::{Contents, read};
pub use recovery::Recovery;
pub use stats::LogStats;
