//! A concurrent datastore: whoever locks the entry may touch it. Values, counters, lists with blocking takers, times to
//! live, versions; durable if it is given a directory.
//!
//! | to do this | start at |
//! |---|---|
//! | keep values in memory | [`Store::in_memory`] |
//! | keep them through crashes | [`Store::open`] |
//! | share stores by name | [`Namespaces`] |
//! | wait for work | [`Store::shift_wait`], [`Store::wait`], [`Wait`] |
//! | serve Redis clients | feature `port`: `port::serve` |
//! | answer [`quintet_core::Keyed`] | [`KvHandler`] |
//!
//! ```
//! use quintet_kv::{Store, Value, Wait};
//!
//! let store = Store::in_memory();
//! store.increment("hits", 2)?;
//! assert_eq!(store.get("hits")?, Some(Value::Int(2)));
//!
//! let worker = { let store = store.clone(); std::thread::spawn(move || store.shift_wait("jobs", Wait::forever())) };
//! store.push("jobs", "job 1")?;
//! assert_eq!(worker.join().unwrap()?, Some("job 1".into()));
//! # Ok::<(), quintet_kv::quintet_core::Error>(())
//! ```
#![forbid(unsafe_code)]

mod background;
mod config;
mod effect;
mod error;
mod expiry;
mod handler;
mod inner;
mod namespaces;
mod ops;
mod persist;
#[cfg(feature = "port")]
pub mod port;
mod store;
mod table;
mod transaction;
mod turns;
mod value;
mod wait;

pub use config::{Config, WhenFull};
pub use effect::End;
pub use error::KvError;
pub use handler::KvHandler;
pub use namespaces::Namespaces;
pub use ops::{Ttl, Wait};
pub use store::Store;
pub use value::{Bytes, Hash, List, Object, Set, SortedSet, Value, from_json, to_json};
pub use wait::{CancelGuard, CancelToken, Taking, cancellation};
/// The crates whose types are in this one's interface, so that who embeds it needs no other.
pub use {quintet_core, quintet_log};
