//! A durable table from byte keys to byte values: the log acknowledges, LMDB is the checkpoint.
//!
//! A write is staged, then committed as one log record, then durable, then checkpointed. At each step it lives in one
//! more shared place: the writer's overlay, the memtable that readers share, LMDB. The writer alone changes the table
//! ([`Table`]); any number of threads read its durable state ([`TableReader`]).

mod batch;
mod checkpoint;
mod config;
mod copy;
mod inspect;
mod keyed;
mod lmdb;
mod memtable;
mod overlay;
mod pages;
mod reader;
mod replay;
mod table;

pub use config::TableConfig;
pub(crate) use config::within;
pub use keyed::KeyedHandler;
pub use reader::{TableReader, Visit};
pub use replay::Recovered;
pub use table::Table;

pub(crate) use copy::Checkpoint;
pub(crate) use inspect::{Examiner, inspect};
