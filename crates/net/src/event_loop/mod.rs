//! One worker's loop: its thread, its waker and the handle that other threads steer it with.
//!
//! The sans-io half is the [`Driver`]; `worker` adds what both backends share; the half that talks to the kernel is
//! `epoll` or `uring`. Which of them runs is chosen once, when the loop is made.

mod control;
mod driver;
mod epoll;
#[cfg(all(feature = "uring", target_os = "linux"))]
mod uring;
mod waker;
mod worker;

pub use control::Control;
pub use driver::{Driver, Step};
#[cfg(all(feature = "uring", target_os = "linux"))]
pub(crate) use uring::available as uring_available;
pub use waker::LoopContext;

use crate::{Backend, Listener, LoopConfig, LoopStats, Protocol};
use epoll::EpollLoop;
use quintet_core::{Clock, Error, ErrorKind, Result};
use std::{fmt, sync::Arc, thread};
#[cfg(all(feature = "uring", target_os = "linux"))]
use uring::UringLoop;
use worker::Worker;

/// A loop on a thread of its own.
#[derive(Debug)]
pub struct WorkerThread {
    control: Control,
    stats: Arc<LoopStats>,
    thread: thread::JoinHandle<Result<()>>,
}

impl WorkerThread {
    /// Steers the loop; may be cloned and sent to other threads.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The loop's counters.
    #[must_use]
    pub fn stats(&self) -> &Arc<LoopStats> {
        &self.stats
    }

    /// Whether the thread has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Blocks until the loop has ended, which it does after [`Control::drain`].
    ///
    /// # Errors
    /// What ended the loop early: the system's poll failed, or the protocol panicked.
    pub fn join(self) -> Result<()> {
        let ended = self.thread.join();
        ended.unwrap_or_else(|_| Err(Error::new(ErrorKind::Closed, "the worker's thread panicked")))
    }
}

/// One worker's loop. Make it with [`new`](Self::new) on the thread that runs it, or use [`spawn`](Self::spawn).
pub struct EventLoop<P: Protocol> {
    backend: Running<P>,
}

enum Running<P: Protocol> {
    Epoll(Box<EpollLoop<P>>),
    #[cfg(all(feature = "uring", target_os = "linux"))]
    Uring(Box<UringLoop<P>>),
}

impl<P: Protocol> fmt::Debug for EventLoop<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("backend", &self.worker().config.backend)
            .field("driver", &self.worker().driver)
            .finish_non_exhaustive()
    }
}

impl<P: Protocol> EventLoop<P> {
    /// A loop that accepts from `listener`; `protocol` makes the service from the loop's waker.
    ///
    /// # Errors
    /// As [`LoopConfig::validate`] and [`Backend::available`], what `protocol` returns, or what the system refused.
    pub fn new(
        listener: Listener,
        config: LoopConfig,
        clock: Arc<dyn Clock>,
        protocol: impl FnOnce(&LoopContext) -> Result<P>,
    ) -> Result<Self> {
        config.validate()?;
        let backend = match config.backend {
            Backend::Epoll => Running::Epoll(Box::new(EpollLoop::new(listener, config, clock, protocol)?)),
            #[cfg(all(feature = "uring", target_os = "linux"))]
            Backend::Uring => Running::Uring(Box::new(UringLoop::new(listener, config, clock, protocol)?)),
            #[cfg(not(all(feature = "uring", target_os = "linux")))]
            Backend::Uring => return Err(crate::backend::not_built_in()),
        };
        Ok(Self { backend })
    }

    fn worker(&self) -> &Worker<P> {
        match &self.backend {
            Running::Epoll(epoll) => &epoll.worker,
            #[cfg(all(feature = "uring", target_os = "linux"))]
            Running::Uring(uring) => &uring.worker,
        }
    }

    /// Steers this loop from another thread.
    #[must_use]
    pub fn control(&self) -> Control {
        self.worker().control()
    }

    /// The loop's counters.
    #[must_use]
    pub fn stats(&self) -> Arc<LoopStats> {
        Arc::clone(&self.worker().stats)
    }

    /// Runs until it is drained. Every connection is closed to the protocol before this returns.
    ///
    /// # Errors
    /// When the system's poll itself fails; connections are closed all the same.
    pub fn run(&mut self) -> Result<()> {
        match &mut self.backend {
            Running::Epoll(epoll) => epoll.run(),
            #[cfg(all(feature = "uring", target_os = "linux"))]
            Running::Uring(uring) => uring.run(),
        }
    }

    /// Starts a thread called `name` that runs a loop. `protocol` is called on that thread, so what it makes need not be
    /// `Send`; it is given the loop's waker and doorbell, to hand to the threads that will answer it. Returns once it
    /// has been called.
    ///
    /// # Errors
    /// What `protocol` or the system refused; no thread is left behind then.
    pub fn spawn<F>(
        name: &str,
        listener: Listener,
        config: LoopConfig,
        clock: Arc<dyn Clock>,
        protocol: F,
    ) -> Result<WorkerThread>
    where
        F: FnOnce(&LoopContext) -> Result<P> + Send + 'static,
        P: 'static,
    {
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            match Self::new(listener, config, clock, protocol) {
                Ok(mut event_loop) => {
                    // The receiver waits for exactly this; it cannot be gone.
                    let _ = ready.send(Ok((event_loop.control(), event_loop.stats())));
                    drop(ready);
                    event_loop.run()
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                    Ok(())
                }
            }
        })?;
        match started.recv() {
            Ok(Ok((control, stats))) => Ok(WorkerThread {
                control,
                stats,
                thread,
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::new(
                ErrorKind::Closed,
                "the worker's thread panicked while it started",
            )),
        }
    }
}
