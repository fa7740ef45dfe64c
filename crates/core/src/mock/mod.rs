//! Mockall's doubles of the traits, for a unit test that wants to see, forbid or falsify one call of a neighbour.
//!
//! A mock knows nothing by itself: each call needs an expectation. For neighbours that should simply work, take a fake
//! from [`crate::fake`], or a mock [`over_fake`], which works and can be told to misbehave once.

mod handler;
pub mod over_fake;

pub use crate::{
    controller::MockController,
    pool::MockBlockPool,
    queue::{MockConsumer, MockProducer},
    worker::MockWorker,
};
pub use handler::MockMessageHandler;
