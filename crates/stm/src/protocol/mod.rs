//! The commit protocol: words, slots, the clock, read sets, and the commit itself. Knows no values and no names.
//!
//! Start at [`commit`], whose documentation is the protocol; loom explores it in the tests of this module.

pub(crate) mod commit;
pub(crate) mod domain;
#[cfg(all(test, quintet_loom))]
mod loom;
#[cfg(not(quintet_loom))]
pub(crate) mod pool;
pub(crate) mod read_set;
pub(crate) mod slot;
pub(crate) mod stamp;
pub(crate) mod ticket;
pub(crate) mod waiters;
