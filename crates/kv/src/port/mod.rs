//! The RESP port: N workers share one address, each a `quintet-net` loop. Every worker runs commands on the shared store
//! itself; nothing crosses between threads but wake-ups and published messages.
//!
//! | file | the part of a command's way |
//! |---|---|
//! | `codec` | bytes to commands |
//! | `service` | connections: order, back-pressure, blocking, replies that wait for the log |
//! | `execute`, `command` | look-up, locks, and what each command does |
//! | `session` | what a connection has said: database, transaction, subscriptions |
//! | `lobby`, `hub` | what workers have in common: who is connected, published messages |
//! | `reply` | answers to bytes |

mod codec;
mod command;
mod execute;
mod hub;
mod lobby;
mod pattern;
mod reply;
mod service;
mod session;

pub use codec::{Decoder, DecoderLimits, ProtocolError};

use crate::{KvError, Store};
use lobby::Lobby;
use quintet_core::{
    Clock, Result, SystemClock,
    auth::{Authenticator, Open},
};
use quintet_net::{LoopConfig, Port};
use service::RespService;
use std::{fmt, net::SocketAddr, num::NonZeroUsize, sync::Arc};

/// What SHUTDOWN calls, with whether a snapshot was asked for. It must not block: it asks the port's owner to drain it.
pub type Stop = Arc<dyn Fn(bool) + Send + Sync>;

/// The settings of a port. Made with [`Default`], then changed field by field.
#[derive(Clone)]
pub struct PortConfig {
    /// The loop's limits. Defaults as in [`LoopConfig`].
    pub event_loop: LoopConfig,
    /// The longest command, in bytes, each argument counting 64 more. Default 256 MiB; at least 64 KiB.
    pub max_command_bytes: usize,
    /// Output that a subscriber may leave unread before it is cut off. Default 32 MiB.
    pub subscriber_backlog_bytes: u64,
    /// Who judges AUTH, and what who does not say it may do. Default [`Open`]: everybody may do everything.
    pub authenticator: Arc<dyn Authenticator>,
    /// What SHUTDOWN calls. Default `None`: it is refused.
    pub on_shutdown: Option<Stop>,
}

impl fmt::Debug for PortConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortConfig")
            .field("event_loop", &self.event_loop)
            .field("max_command_bytes", &self.max_command_bytes)
            .field("subscriber_backlog_bytes", &self.subscriber_backlog_bytes)
            .field("can_shut_down", &self.on_shutdown.is_some())
            .finish_non_exhaustive()
    }
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            event_loop: LoopConfig::default(),
            max_command_bytes: 256 << 20,
            subscriber_backlog_bytes: 32 << 20,
            authenticator: Arc::new(Open),
            on_shutdown: None,
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
    let shared = Arc::new(Lobby::new(config, workers.get(), SystemClock.now()));
    let (store, config) = (store.clone(), config.clone());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Port::serve(
        "resp",
        address,
        workers,
        config.event_loop,
        &clock,
        move |at, context| RespService::new(store.clone(), &config, shared.clone(), at, context),
    )
}

/// The table of commands as Markdown: docs/resp.md.
#[must_use]
pub fn command_table() -> String {
    command::table_text()
}
