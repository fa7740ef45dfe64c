//! HTTP/1.1 as a sans-io machine: [`Http`] is a [`Protocol`](crate::Protocol) that runs an [`HttpService`].
//!
//! | file | holds |
//! |---|---|
//! | `service` | what a service implements and how it answers: [`HttpService`], [`Admit`], [`Replies`] |
//! | `parse` | finding and checking a request's head; strict, because leniency is how requests are smuggled |
//! | `body` | the framing of request bodies: counted and chunked |
//! | `machine`, `lifecycle`, `exchange`, `state` | the order of things: pipelining, `100 Continue`, refusals, timeouts, endings |
//! | `reply` | [`Response`] and its bytes |
//! | `range`, `date` | `Range` and `If-None-Match` for services, `Date` for answers |
//!
//! A protocol error is answered with a status and one line that names what was wrong, and ends the connection:
//! 400 (malformed), 408 (too slow), 413, 414, 417, 431 (too large), 501 (unknown transfer coding), 505 (not HTTP/1).

mod body;
mod config;
mod date;
mod exchange;
mod lifecycle;
mod machine;
mod parse;
mod range;
mod refusal;
mod reply;
mod service;
mod state;

pub use config::HttpConfig;
pub use machine::Http;
pub use parse::{BodyLength, RequestHead};
pub use range::{RangeRequest, RangeSpec, content_range, none_match, requested_range, unsatisfied_range};
pub use reply::Response;
pub use service::{Admit, BodyStep, ExchangeId, HttpService, Replies};
pub use state::HttpConnection;
