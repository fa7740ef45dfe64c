//! Waiting: who waits for a key, in which order, and how they are told.
//!
//! A waiter is registered under its keys' locks and woken after they are released. Items are handed over by whoever
//! brings them, under the lock, to the first in line: one wake an item, first come first served, nobody in between.

mod cancel;
mod line;
#[cfg(all(test, quintet_loom))]
mod loom;
mod mailbox;
mod pending;
mod primitive;
mod registry;
mod taking;

pub use cancel::{CancelGuard, CancelToken, cancellation};
pub(crate) use line::{Line, Served};
pub(crate) use mailbox::{Delivery, Mailbox};
pub(crate) use pending::Pending;
pub(crate) use primitive::Arc as Shared;
pub(crate) use registry::{Registry, Waiter, Wish};
pub use taking::Taking;
