//! The traits that Quintet's five engines share: five answers to one question – which thread may touch the data?
//!
//! The model is an io_uring between threads. A [`Worker`] submits and reaps. Requests cross a bounded [`Queue`]. A
//! [`Controller`] ticks: it collects a batch, gives it to a [`MessageHandler`], commits once, and replies. A
//! [`BlockPool`] is a worker's cache of resources granted ahead of need.
//!
//! | to do this | start at |
//! |---|---|
//! | own some state on one thread | [`MessageHandler`], run by a [`BatchController`] |
//! | talk to it from another thread | [`Connector::connect`], which gives a [`QueueWorker`] |
//! | talk to it from async code | [`Client`] |
//! | know who is asking | [`auth::Authenticator`], which gives an [`auth::Principal`] |
//! | run it on the caller's thread | [`Inline`] |
//! | test your own component | features `fake`, `mock` and `conformance` |
//!
//! # Features
//! | feature | adds |
//! |---|---|
//! | `rtrb` | [`RtrbQueue`](rtrb_queue::RtrbQueue), a wait-free ring: the fastest between two threads |
//! | `crossbeam` | [`CrossbeamQueue`](crossbeam_queue::CrossbeamQueue), an array queue |
//! | `fake` | correct in-memory doubles with knobs, and a single-stepping simulator |
//! | `mock` | mockall's doubles of every trait, also over a fake |
//! | `conformance` | the clauses of each trait as functions, and one macro per trait that makes them tests |
//!
//! Without features the crate has no dependency; it has no `unsafe` at all.
#![forbid(unsafe_code)]

pub mod auth;
mod batch;
mod block;
mod buffer;
mod client;
mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod controller;
mod courtesy;
mod durability;
mod error;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod gathering;
mod handler;
mod id;
mod inline;
mod keyed;
mod message;
#[cfg(any(test, feature = "mock"))]
pub mod mock;
mod pipeline;
mod pool;
mod port;
mod primitive;
mod queue;
mod queue_worker;
mod switchboard;
mod wait;
mod worker;

#[cfg(feature = "crossbeam")]
pub mod crossbeam_queue;
#[cfg(feature = "rtrb")]
pub mod rtrb_queue;

pub use batch::{BatchConfig, BatchController};
pub use block::{Block, BlockAddress, SizeClass};
pub use buffer::AlignedBuffer;
pub use client::{Call, Client};
pub use clock::{Clock, Deadline, SystemClock};
pub use controller::{Controller, Tick};
pub use durability::Durability;
pub use error::{Error, ErrorKind, Result};
pub use handler::{Budget, Commit, MessageHandler};
pub use id::{RequestId, Seq};
pub use inline::Inline;
pub use keyed::{Keyed, KeyedReply};
pub use message::{Completion, Message, Request};
pub use pool::BlockPool;
pub use port::{Connector, Port};
pub use queue::{Closed, Consumer, PopError, Producer, PushError, Queue};
pub use queue_worker::QueueWorker;
pub use wait::{Doorbell, Parker};
pub use worker::Worker;
