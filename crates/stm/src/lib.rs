//! Software transactional memory with an isolation slider: whoever's commit validates may touch the data.
//!
//! | to do this | start at |
//! |---|---|
//! | share typed variables | [`TVar`], [`atomically`], [`retry`], [`check`], [`Tx::or_else`] |
//! | count from many threads | [`Counter`] |
//! | choose the level, a label, limits | [`Transaction`], [`Isolation`] |
//! | share a tree of named values with history, snapshots, schema, outbox and a log | [`Context`] |
//! | run a transaction that came as data | [`Context::request`] |
//! | give a function a contract, and audit what it commits | [`Process`], [`Contract`], [`Recipe`] |
//! | run many of them, in parallel, from a YAML file | `workflow`, behind the feature of that name |
//! | answer [`Keyed`](quintet_core::Keyed) messages | [`ContextHandler`] |
//!
//! Both APIs stand on one commit protocol, which is written down in `src/protocol/commit.rs`. What each level admits and
//! forbids, and the test that shows it, is in `docs/isolation.md`.
//!
//! ```
//! use quintet_stm::{Isolation, TVar, Transaction};
//!
//! let (from, to) = (TVar::new(100_i64), TVar::new(0_i64));
//! Transaction::new(Isolation::Safe).run(|tx| {
//!     let balance = tx.read(&from)?;
//!     tx.write(&from, balance - 30)?;
//!     tx.modify(&to, |balance| balance + 30)?;
//!     Ok(())
//! })?;
//! assert_eq!((from.get(), to.get()), (70, 30));
//! # Ok::<(), quintet_stm::Error>(())
//! ```
//!
//! # Features
//! | feature | adds |
//! |---|---|
//! | `testing` | `ContextHandler::fail_next_commit` |
//! | `workflow` | workflows and audit recipes in YAML: the module `workflow` |
#![forbid(unsafe_code)]

#[cfg(not(quintet_loom))]
mod audit;
#[cfg(not(quintet_loom))]
mod backoff;
#[cfg(not(quintet_loom))]
mod context;
mod error;
mod isolation;
#[cfg(not(quintet_loom))]
mod label;
mod level;
mod primitive;
#[cfg(not(quintet_loom))]
mod process;
mod protocol;
#[cfg(not(quintet_loom))]
mod transaction;
#[cfg(not(quintet_loom))]
mod typed;
#[cfg(all(feature = "workflow", not(quintet_loom)))]
pub mod workflow;
#[cfg(all(feature = "workflow", not(quintet_loom)))]
mod yaml;

/// The crates whose types are in this one's interface, so that who embeds it needs no other.
pub use {quintet_core, quintet_log};

#[cfg(not(quintet_loom))]
pub use audit::{Audit, Condition, Recipe, Recipes, Rule, Warning};
#[cfg(not(quintet_loom))]
pub use context::{
    Capability, Change, ChangeSet, Context, ContextConfig, ContextHandler, ContextTx, Field, Image, Kind,
    Message, Operation, Path, Request, Response, Schema, Snapshot, Value, Zone,
};
pub use error::{Error, Result};
pub use isolation::Isolation;
pub use level::Level;
#[cfg(not(quintet_loom))]
pub use process::{Body, Contract, Failure, How, Outcome, Process, ProcessTx, Processes};
pub use protocol::stamp::Stamp;
#[cfg(not(quintet_loom))]
pub use transaction::{Abort, Step, Transaction, check, retry};
#[cfg(not(quintet_loom))]
pub use typed::{Counter, MAX_TOUCHED, TVar, Tx, atomically};
