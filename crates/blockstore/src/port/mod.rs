//! The block store's HTTP port: N workers share one address, each a `quintet-net` loop that owns a
//! [`BlockWorker`](crate::BlockWorker).
//!
//! `PUT /block` answers the 64 hexadecimal digits of the body's SHA-256. `GET`, `HEAD` and `DELETE` on `/block/{name}` or
//! `/{name}`, with ranges and `If-None-Match`; `PATCH`, `GET` and `DELETE` below `/lock/`; `GET /stats`, `GET /metrics` and
//! `GET /` for people. Every refusal is one line of text that says why.
//!
//! | file | the part of a request's way |
//! |---|---|
//! | `service`, `route`, `exchange` | in: heads, bodies and ends |
//! | `upload`, `sha256` | bodies on their way into their blocks, and their names |
//! | `turn`, `content`, `answer` | out: outcomes, blocks and credits that came free |
//! | `locks` | both ways, for locks |
//! | `order` | what pipelined requests may not overtake |
//! | `buffers` | bounded memory for answers and chunked bodies |
//! | `gauges`, `report`, `metrics`, `json` | what `/stats` and `/metrics` show |

mod admit;
mod answer;
mod buffers;
mod content;
mod exchange;
mod gauges;
mod json;
mod locks;
mod metrics;
mod order;
mod report;
mod route;
mod service;
mod sha256;
mod turn;
mod upload;

use self::{
    buffers::Buffers,
    report::Report,
    service::{BlockService, Limits, WakeOnDrop},
};
use crate::{BlockStore, meta};
use quintet_core::{
    Clock, Doorbell, Result, SizeClass, SystemClock,
    auth::{Authenticator, Open},
};
use quintet_net::{
    LoopConfig, Port,
    http1::{Http, HttpConfig},
};
use std::{fmt, net::SocketAddr, num::NonZeroUsize, sync::Arc, task::Waker};

/// The settings of a port. Made with [`Default`], then changed field by field.
#[derive(Clone)]
pub struct PortConfig {
    /// The loop's limits. Defaults as in [`LoopConfig`], but a reader must take 64 KiB in
    /// [`write_progress`](LoopConfig::write_progress).
    pub event_loop: LoopConfig,
    /// HTTP's limits. Defaults as in [`HttpConfig`].
    pub http: HttpConfig,
    /// Bytes that one worker may have in chunked bodies and, where the data file cannot be mapped, in answers that wait for
    /// their readers; beyond it 503. Default 32 MiB; at least 512 KiB.
    pub buffer_bytes: u64,
    /// Unused buffers kept for reuse, in bytes per worker. Default 8 MiB.
    pub kept_buffer_bytes: u64,
    /// Requests of one worker that may wait for blocks or credits; beyond it 503. Default 4096; at least 1.
    pub waiting: usize,
    /// Uploads of known length that one worker receives at a time, each with a block of its own; beyond it 503. Default
    /// 1024; at least 1.
    pub uploads: usize,
    /// Woken when a worker can do nothing more: its loop ended, asked to or not, or the store was closed under it.
    /// Default none.
    pub on_end: Option<Waker>,
    /// Who is asking, by the header `Authorization: Bearer …`. Default [`Open`]: everybody may do everything.
    pub authenticator: Arc<dyn Authenticator>,
    /// Why [`event_loop.backend`](LoopConfig::backend) was chosen, for `/stats`. Default: that it is the default.
    pub backend_reason: String,
}

impl fmt::Debug for PortConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortConfig")
            .field("event_loop", &self.event_loop)
            .field("http", &self.http)
            .field("buffer_bytes", &self.buffer_bytes)
            .field("kept_buffer_bytes", &self.kept_buffer_bytes)
            .field("waiting", &self.waiting)
            .field("backend_reason", &self.backend_reason)
            .finish_non_exhaustive()
    }
}

impl Default for PortConfig {
    fn default() -> Self {
        let event_loop = LoopConfig {
            // A reader pins its block: at this pace it lets go of the largest within four minutes.
            write_progress_bytes: 64 << 10,
            ..LoopConfig::default()
        };
        Self {
            event_loop,
            http: HttpConfig::default(),
            buffer_bytes: 32 << 20,
            kept_buffer_bytes: 8 << 20,
            waiting: 4096,
            uploads: 1024,
            on_end: None,
            authenticator: Arc::new(Open),
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
        meta::within("uploads", self.uploads as u64, 1, 1 << 24)?;
        Ok(())
    }
}

/// Listens on `address` (port 0 picks a free one) and serves the store on `workers` threads until the port is drained.
/// Blocks that no request names go back to the store then; close it after that.
///
/// # Errors
/// When somebody listens there, the configuration is out of range, or the store has no room for so many workers.
pub fn serve(
    store: &Arc<BlockStore>,
    address: SocketAddr,
    workers: NonZeroUsize,
    config: &PortConfig,
) -> Result<Port> {
    config.validate()?;
    let backend = (config.event_loop.backend.name(), config.backend_reason.clone());
    let report = Arc::new(Report::new(Arc::clone(store), backend, workers.get()));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let port = {
        let (store, report) = (Arc::clone(store), Arc::clone(&report));
        let (config, clock) = (config.clone(), Arc::clone(&clock));
        Port::serve(
            "blocks",
            address,
            workers,
            config.event_loop,
            &Arc::clone(&clock),
            move |at, context| {
                let doorbell = Doorbell::new(context.waker());
                let limits = Limits {
                    waiting: config.waiting,
                    uploads: config.uploads,
                };
                let worker = store.connect(doorbell.clone())?;
                let buffers = Buffers::new(config.buffer_bytes, config.kept_buffer_bytes);
                let end = WakeOnDrop(config.on_end.clone());
                let (gauges, report) = (report.gauges(at), Arc::clone(&report));
                let service = BlockService::new(worker, doorbell, buffers, limits, gauges, report, end)
                    .asking(Arc::clone(&config.authenticator));
                Http::new(service, config.http, Arc::clone(&clock))
            },
        )?
    };
    report.set_loops(port.stats());
    Ok(port)
}
