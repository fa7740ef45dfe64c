//! One worker's loop: its thread, its waker and the handle that other threads steer it with.
//!
//! The sans-io half is the [`Driver`]; the half that talks to the kernel is `epoll`. Another backend takes its place
//! beside it and reuses everything else here.

mod control;
mod driver;
mod epoll;
mod waker;

pub use control::Control;
pub use driver::{Driver, Step};
pub use epoll::EventLoop;
pub use waker::LoopContext;

use crate::{Listener, LoopConfig, LoopStats, Protocol};
use quintet_core::{Clock, Error, ErrorKind, Result};
use std::{sync::Arc, thread};

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

impl<P: Protocol> EventLoop<P> {
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
