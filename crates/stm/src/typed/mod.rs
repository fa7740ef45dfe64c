//! The typed API: variables of any type, and the transactions over them.

mod bits;
mod counter;
mod run;
mod tvar;
mod tx;
mod write_set;

pub use counter::Counter;
pub use run::atomically;
pub use tvar::TVar;
pub use tx::{MAX_TOUCHED, Tx};
