//! The contracts of the traits as code: one public function per clause, one macro per trait that makes them tests.
//!
//! ```
//! use quintet_core::fake::{FakePool, FakeQueue};
//!
//! quintet_core::queue_suite!(fake_queue, FakeQueue);
//! quintet_core::pool_suite!(fake_pool, FakePool::new);
//! # fn main() {}
//! ```
//!
//! A clause panics with a message that names it and says what was seen. Clauses that pick their input at random are
//! seeded with constants and print the seed when they fail. A clause needs what its `Subject` can do; what a subject
//! says it [cannot](Support::Missing) is printed as skipped, with the reason. Nothing waits longer than a deadline.

mod claim;
pub mod controller;
pub mod handler;
pub mod keyed;
pub mod linear;
pub mod pool;
mod probe;
pub mod queue;
pub mod random;
pub mod worker;

pub use claim::{Clause, Support};
pub use probe::{KeyedProbe, Probe};
