//! Software transactional memory with an isolation slider: whoever's commit validates may touch the data.
#![forbid(unsafe_code)]

#[cfg(not(quintet_loom))]
mod backoff;
#[cfg(not(quintet_loom))]
mod context;
mod error;
mod isolation;
#[cfg(not(quintet_loom))]
mod label;
mod primitive;
mod protocol;
#[cfg(not(quintet_loom))]
mod transaction;
#[cfg(not(quintet_loom))]
mod typed;

#[cfg(not(quintet_loom))]
pub use context::{
    Capability, Change, ChangeSet, Context, ContextConfig, ContextHandler, ContextTx, Field, Image, Kind, Message,
    Operation, Path, Request, Response, Schema, Snapshot, Value, Zone,
};
pub use error::{Error, Result};
pub use isolation::Isolation;
pub use protocol::stamp::Stamp;
#[cfg(not(quintet_loom))]
pub use transaction::{Abort, Step, Transaction, check, retry};
#[cfg(not(quintet_loom))]
pub use typed::{Counter, MAX_TOUCHED, TVar, Tx, atomically};
