//! One event loop per worker thread, driving sans-io protocol machines. Written once; the byte-speed ports run on it.
//!
//! Three layers, each usable without the one below:
//!
//! | layer | what it is | start at |
//! |---|---|---|
//! | HTTP/1.1 | a machine that turns bytes into requests and answers into bytes | [`http1::HttpService`], run by [`http1::Http`] |
//! | protocol | what any machine must offer: bytes in, bytes out, one turn per loop | [`Protocol`], [`Link`] |
//! | loop | sockets, readiness, timers, limits, drain | [`Port::serve`]; one loop alone: [`EventLoop`] |
//!
//! Between protocol and loop stands the [`Driver`]: all of the loop that needs no socket (the table of connections, unread
//! input, back-pressure, deadlines). Tests and fuzz targets drive a protocol through it from plain bytes; a backend only
//! moves bytes between it and the kernel. There are two: epoll, and io_uring with the feature `uring` on Linux
//! ([`LoopConfig::backend`]).
//!
//! Everything is bounded: connections, kept input, pipelined requests, output backlog, refused bodies, time to make
//! progress. The limits are in [`LoopConfig`] and [`http1::HttpConfig`].
#![deny(unsafe_code)]

mod backend;
mod buffer;
mod connection;
mod event_loop;
pub mod http1;
mod limits;
mod listener;
mod outbox;
mod port;
mod protocol;
mod stats;
mod timer;

/// The crate whose types are in this one's interface, so that who embeds it needs no other.
pub use quintet_core;

pub use backend::Backend;
pub use connection::{ConnectionId, Link, Links};
pub use event_loop::{Control, Driver, EventLoop, LoopContext, Step, WorkerThread};
pub use limits::LoopConfig;
pub use listener::{Listener, bind, probe};
pub use outbox::{BodySource, Payload};
pub use port::Port;
pub use protocol::Protocol;
pub use stats::{LoopStats, LoopStatsSnapshot};
