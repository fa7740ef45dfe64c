//! Correct, deterministic, in-memory doubles with knobs. They pass the same conformance suites as the real ones.

mod clock;
mod handler;
mod queue;

pub use clock::ManualClock;
pub use handler::FakeHandler;
pub use queue::{FakeConsumer, FakeProducer, FakeQueue};
