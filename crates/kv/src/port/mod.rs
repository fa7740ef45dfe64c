//! The RESP port: N workers share one address, each a `quintet-net` loop. Every worker runs commands on the shared store
//! itself; nothing crosses between threads but wake-ups and published messages.
//!
//! | file | the part of a command's way |
//! |---|---|
//! | `codec` | bytes to commands |
//! | `service` | connections: order, back-pressure, blocking, replies that wait for the log |
//! | `execute`, `command` | look-up, locks, and what each command does |
//! | `session` | what a connection has said: database, transaction, subscriptions |
//! | `hub` | published messages |
//! | `reply` | answers to bytes |

mod codec;
mod command;
mod execute;
mod hub;
mod pattern;
mod reply;
mod service;
mod session;

pub use codec::{Decoder, DecoderLimits, ProtocolError};

use crate::{KvError, Store};
use hub::Hub;
use quintet_core::{Clock, Result, SystemClock};
use quintet_net::{LoopConfig, Port};
use service::RespService;
use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{Arc, atomic::AtomicU64},
};

/// The settings of a port. Made with [`Default`], then changed field by field.
#[derive(Clone, Debug)]
pub struct PortConfig {
    /// The loop's limits. Defaults as in [`LoopConfig`].
    pub event_loop: LoopConfig,
    /// The longest command, in bytes, each argument counting 64 more. Default 256 MiB; at least 64 KiB.
    pub max_command_bytes: usize,
    /// Output that a subscriber may leave unread before it is cut off. Default 32 MiB.
    pub subscriber_backlog_bytes: u64,
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            event_loop: LoopConfig::default(),
            max_command_bytes: 256 << 20,
            subscriber_backlog_bytes: 32 << 20,
        }
    }
}

/// Listens on `address` (port 0 picks a free one) and serves the store on `workers` threads until the port is drained; close
/// the store after that. The store must drop containers when they are empty:
/// [`Config::drop_empty`](crate::Config::drop_empty). The first byte of its keys is the number of the database that SELECT
/// chooses.
///
/// # Errors
/// When somebody listens there or a setting is out of range.
pub fn serve(store: &Store, address: SocketAddr, workers: NonZeroUsize, config: &PortConfig) -> Result<Port> {
    config.event_loop.validate()?;
    if config.max_command_bytes < 64 << 10 {
        let (field, value) = ("max_command_bytes", config.max_command_bytes.to_string());
        return Err(KvError::Config {
            field,
            value,
            bound: "at least 65536",
        }
        .into());
    }
    if !store.inner.config.drop_empty {
        let (field, value) = ("drop_empty", "false".to_owned());
        return Err(KvError::Config {
            field,
            value,
            bound: "true for a store behind a port",
        }
        .into());
    }
    let hub = Arc::new(Hub::new(workers.get()));
    let numbers = Arc::new(AtomicU64::new(1));
    let (store, config) = (store.clone(), config.clone());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Port::serve(
        "resp",
        address,
        workers,
        config.event_loop,
        &clock,
        move |at, context| {
            RespService::new(store.clone(), &config, hub.clone(), at, numbers.clone(), context)
        },
    )
}

/// The table of commands as Markdown: docs/resp.md.
#[must_use]
pub fn command_table() -> String {
    command::table_text()
}
