//! Content-addressed blocks of 4 KiB to 512 KiB: one controller owns the metadata, N workers do the I/O.
#![deny(unsafe_code)]

pub mod buddy;
mod digest;
pub mod epoch;
mod error;
mod message;
pub mod meta;
mod pool;
mod record;

pub use digest::Digest;
pub use error::BlockError;
pub use message::{BlockMessage, BlockReply};
pub use pool::StackPool;
pub use record::Record;
