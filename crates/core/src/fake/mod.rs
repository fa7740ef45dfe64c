//! Correct, deterministic, in-memory doubles with knobs. They pass the same conformance suites as the real ones.

mod clock;
mod handler;
mod pool;
mod queue;
mod sim;

pub use clock::ManualClock;
pub use handler::FakeHandler;
pub use pool::FakePool;
pub use queue::{FakeConsumer, FakeProducer, FakeQueue};
pub use sim::{Outcome, Sim, Troubles};
