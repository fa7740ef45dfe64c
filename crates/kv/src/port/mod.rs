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
use quintet_core::{Clock, Deadline, Result, SystemClock};
use quintet_net::{EventLoop, LoopConfig, WorkerThread};
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

/// A running port. Dropping it without [`drain`](Self::drain) leaves its threads serving.
#[must_use = "drain it to end it"]
#[derive(Debug)]
pub struct KvPort {
    address: SocketAddr,
    workers: Vec<WorkerThread>,
}

impl KvPort {
    /// Listens on `address` (port 0 picks a free one) and serves the store on `workers` threads. The store must drop
    /// containers when they are empty: [`Config::drop_empty`](crate::Config::drop_empty). The first byte of its keys is the
    /// number of the database that SELECT chooses.
    ///
    /// # Errors
    /// When somebody listens there or a setting is out of range.
    pub fn serve(
        store: &Store,
        address: SocketAddr,
        workers: NonZeroUsize,
        config: &PortConfig,
    ) -> Result<Self> {
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
        let listeners = quintet_net::bind(address, workers)?;
        let mut port = Self {
            address: listeners[0].address(),
            workers: Vec::with_capacity(workers.get()),
        };
        let hub = Arc::new(Hub::new(workers.get()));
        let numbers = Arc::new(AtomicU64::new(1));
        for (at, listener) in listeners.into_iter().enumerate() {
            let (store, config, hub, numbers) = (store.clone(), config.clone(), hub.clone(), numbers.clone());
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let spawned = EventLoop::spawn(
                &format!("resp-{at}"),
                listener,
                config.event_loop,
                clock,
                move |context| RespService::new(store, &config, hub, at, numbers, context),
            );
            match spawned {
                Ok(worker) => port.workers.push(worker),
                Err(error) => {
                    let _first_error_counts = port.drain(Deadline(SystemClock.now()));
                    return Err(error);
                }
            }
        }
        Ok(port)
    }

    /// Where it listens, with the port that was picked if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether a worker has ended without being asked to. The others still serve.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.workers.iter().any(WorkerThread::is_finished)
    }

    /// Closes the listening sockets. Open connections go on.
    pub fn stop_accepting(&self) {
        for worker in &self.workers {
            worker.control().stop_accepting();
        }
    }

    /// Stops accepting, sends what is owed, at most until `deadline`, closes the connections and ends the threads. Close
    /// the store after this.
    ///
    /// # Errors
    /// What ended a worker early.
    pub fn drain(self, deadline: Deadline) -> Result<()> {
        for worker in &self.workers {
            worker.control().drain(deadline);
        }
        let mut ended = Ok(());
        for worker in self.workers {
            ended = ended.and(worker.join());
        }
        ended
    }
}

/// The table of commands as Markdown: docs/resp.md.
#[must_use]
pub fn command_table() -> String {
    command::table_text()
}
