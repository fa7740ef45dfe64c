//! The operations: each is planned against the values under its locks, and done by effects. The methods of
//! [`Store`](crate::Store) wrap those of [`Transaction`](crate::transaction::Transaction), which the port uses directly.

mod keys;
mod lists;
mod scalars;
mod scan;
mod waits;

pub use keys::Ttl;
#[cfg(feature = "port")]
pub(crate) use scan::Scan;
pub use waits::Wait;
