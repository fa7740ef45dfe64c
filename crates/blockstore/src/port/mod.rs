//! The block store's HTTP port: N workers share one address, each a `quintet-net` loop that owns a
//! [`BlockWorker`](crate::BlockWorker).
//!
//! `PUT /block` answers the 64 hexadecimal digits of the body's SHA-256. `GET`, `HEAD` and `DELETE` on `/block/{name}` or
//! `/{name}`; `GET /stats` and `GET /` for people. Every refusal is one line of text that says why.
//!
//! | file | the part of a request's way |
//! |---|---|
//! | `service`, `route`, `exchange` | in: heads, bodies and ends |
//! | `turn`, `answer` | out: outcomes, blocks and credits that came free |
//! | `order` | what pipelined requests may not overtake |
//! | `buffers` | bounded memory for answers and chunked bodies |
//! | `gauges`, `report` | what `/stats` shows |

mod answer;
mod buffers;
mod exchange;
mod gauges;
mod order;
mod report;
mod route;
mod service;
mod turn;

use self::{
    buffers::Buffers,
    report::Report,
    service::{BlockService, WakeOnDrop},
};
use crate::{BlockStore, meta};
use quintet_core::{Clock, Deadline, Doorbell, Result, SizeClass, SystemClock};
use quintet_net::{
    EventLoop, Listener, LoopConfig, WorkerThread,
    http1::{Http, HttpConfig},
};
use std::{net::SocketAddr, num::NonZeroUsize, sync::Arc, task::Waker};

/// The settings of a port. Made with [`Default`], then changed field by field.
#[derive(Clone, Debug)]
pub struct PortConfig {
    /// The loop's limits. Defaults as in [`LoopConfig`].
    pub event_loop: LoopConfig,
    /// HTTP's limits. Defaults as in [`HttpConfig`].
    pub http: HttpConfig,
    /// Bytes that one worker may have in answers that wait for their readers and in chunked bodies; beyond it 503.
    /// Default 128 MiB; at least 512 KiB.
    pub buffer_bytes: u64,
    /// Unused buffers kept for reuse, in bytes per worker. Default 8 MiB.
    pub kept_buffer_bytes: u64,
    /// Requests of one worker that may wait for blocks or credits; beyond it 503. Default 4096; at least 1.
    pub waiting: usize,
    /// Woken when a worker can do nothing more: its loop ended, asked to or not, or the store was closed under it.
    /// Default none.
    pub on_end: Option<Waker>,
    /// Why [`event_loop.backend`](LoopConfig::backend) was chosen, for `/stats`. Default: that it is the default.
    pub backend_reason: String,
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            event_loop: LoopConfig::default(),
            http: HttpConfig::default(),
            buffer_bytes: 128 << 20,
            kept_buffer_bytes: 8 << 20,
            waiting: 4096,
            on_end: None,
            backend_reason: "the default".into(),
        }
    }
}

impl PortConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`BlockError::Config`](crate::BlockError::Config) that names the field and its bound, or the like from the loop and from HTTP.
    pub fn validate(&self) -> Result<()> {
        self.event_loop.validate()?;
        self.http.validate()?;
        meta::within(
            "buffer_bytes",
            self.buffer_bytes,
            SizeClass::LARGEST.size_bytes(),
            1 << 46,
        )?;
        meta::within("waiting", self.waiting as u64, 1, 1 << 24)?;
        Ok(())
    }
}

/// A running port. Dropping it without [`drain`](Self::drain) leaves its threads serving.
#[must_use = "drain it to end it"]
#[derive(Debug)]
pub struct BlockPort {
    address: SocketAddr,
    workers: Vec<WorkerThread>,
}

impl BlockPort {
    /// Listens on `address` (port 0 picks a free one) and serves the store on `workers` threads.
    ///
    /// # Errors
    /// When somebody listens there, the configuration is out of range, or the store has no room for so many workers.
    pub fn serve(
        store: &Arc<BlockStore>,
        address: SocketAddr,
        workers: NonZeroUsize,
        config: &PortConfig,
    ) -> Result<Self> {
        config.validate()?;
        let listeners = quintet_net::bind(address, workers)?;
        let address = listeners[0].address();
        let backend = (config.event_loop.backend.name(), config.backend_reason.clone());
        let report = Arc::new(Report::new(Arc::clone(store), backend, workers.get()));
        let mut port = Self {
            address,
            workers: Vec::with_capacity(workers.get()),
        };
        for (at, listener) in listeners.into_iter().enumerate() {
            match spawn(at, listener, store, config, &report) {
                Ok(worker) => port.workers.push(worker),
                Err(error) => {
                    let _first_error_counts = port.drain(Deadline(SystemClock.now()));
                    return Err(error);
                }
            }
        }
        report.set_loops(
            port.workers
                .iter()
                .map(|worker| Arc::clone(worker.stats()))
                .collect(),
        );
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

    /// Stops accepting, finishes the requests in flight, at most until `deadline`, closes the connections and ends the
    /// threads. Blocks that no request names go back to the store, which is to be closed after this.
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

fn spawn(
    at: usize,
    listener: Listener,
    store: &Arc<BlockStore>,
    config: &PortConfig,
    report: &Arc<Report>,
) -> Result<WorkerThread> {
    let (store, report) = (Arc::clone(store), Arc::clone(report));
    let (http, waiting) = (config.http, config.waiting);
    let end = WakeOnDrop(config.on_end.clone());
    let (most_bytes, keep_bytes) = (config.buffer_bytes, config.kept_buffer_bytes);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let name = format!("blocks-{at}");
    EventLoop::spawn(
        &name,
        listener,
        config.event_loop,
        Arc::clone(&clock),
        move |context| {
            let doorbell = Doorbell::new(context.waker());
            let worker = store.connect(doorbell.clone())?;
            let gauges = report.gauges(at);
            let buffers = Buffers::new(most_bytes, keep_bytes);
            let service = BlockService::new(worker, doorbell, buffers, waiting, gauges, report, end);
            Http::new(service, http, clock)
        },
    )
}
