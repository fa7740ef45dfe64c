//! [`Port`]: the loops that share one address, and how to steer and end them together.
//!
//! Every engine with a byte-speed port calls [`Port::serve`] with its own protocol; whoever composes engines holds the port
//! and drains it. Each loop has a thread and a listening socket of its own.

use crate::{EventLoop, LoopConfig, LoopContext, LoopStats, Protocol, WorkerThread, bind};
use quintet_core::{Clock, Deadline, Result};
use std::{net::SocketAddr, num::NonZeroUsize, sync::Arc};

/// A running port. Dropping it without [`drain`](Self::drain) leaves its threads serving.
#[must_use = "drain it to end it"]
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    workers: Vec<WorkerThread>,
}

impl Port {
    /// Listens on `address` (port 0 picks a free one) and serves it on `workers` threads, called `name-0`, `name-1` and so
    /// on. `protocol` is called once on each of them, with its number.
    ///
    /// # Errors
    /// When somebody listens there, the configuration is out of range, or `protocol` fails; no thread is left behind then.
    pub fn serve<P, F>(
        name: &str,
        address: SocketAddr,
        workers: NonZeroUsize,
        config: LoopConfig,
        clock: &Arc<dyn Clock>,
        protocol: F,
    ) -> Result<Self>
    where
        F: Fn(usize, &LoopContext) -> Result<P> + Send + Sync + 'static,
        P: Protocol + 'static,
    {
        config.validate()?;
        let listeners = bind(address, workers)?;
        let mut port = Self {
            address: listeners[0].address(),
            workers: Vec::with_capacity(workers.get()),
        };
        let protocol = Arc::new(protocol);
        for (at, listener) in listeners.into_iter().enumerate() {
            let protocol = Arc::clone(&protocol);
            let name = format!("{name}-{at}");
            let spawned = EventLoop::spawn(&name, listener, config, Arc::clone(clock), move |context| {
                protocol(at, context)
            });
            match spawned {
                Ok(worker) => port.workers.push(worker),
                Err(error) => {
                    let _first_error_counts = port.drain(Deadline(clock.now()));
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

    /// The counters of every loop, in the order of their numbers.
    #[must_use]
    pub fn stats(&self) -> Vec<Arc<LoopStats>> {
        self.workers
            .iter()
            .map(|worker| Arc::clone(worker.stats()))
            .collect()
    }

    /// Whether a loop has ended without being asked to. The others still serve.
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

    /// Stops accepting, finishes the requests in flight, at most until `deadline`, closes the connections and ends the
    /// threads. Blocks until they have ended. What the protocols serve is to be closed after this.
    ///
    /// # Errors
    /// What ended a loop early; the first of several.
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
