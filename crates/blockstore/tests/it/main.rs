//! The block store's integration tests: one binary, one module per part.

mod buddy;
mod store;
mod table;
