//! SIGTERM and SIGINT: the first asks for a drain, the second ends the process at once with exit code 1. SIGXFSZ and SIGHUP
//! are caught and ignored.
//!
//! The main thread waits here for the first signal, or for an engine that says it cannot go on.

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
    flag,
    iterator::Signals,
};
use std::{
    io,
    sync::{
        Arc,
        atomic::AtomicBool,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

/// Why the server stops.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// The named signal came.
    Signal(&'static str),
    /// A part of the server ended on its own, for the reason given.
    Failed(String),
}

/// Waits for the reason to stop. There is one per process.
#[derive(Debug)]
pub struct Shutdown {
    stops: Receiver<Stop>,
    reporter: Reporter,
}

/// Tells the main thread that a part of the server cannot go on.
#[derive(Clone, Debug)]
pub struct Reporter(SyncSender<Stop>);

impl Reporter {
    /// Only the first report counts, so this never blocks.
    pub fn failed(&self, reason: impl Into<String>) {
        match self.0.try_send(Stop::Failed(reason.into())) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

impl Shutdown {
    /// Takes over the signals. Install it before anything is opened, so that an early Ctrl-C is not lost.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn install() -> io::Result<Self> {
        let armed = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal arms, and the second finds it armed and exits from the handler itself,
            // which works however stuck the rest of the process is.
            flag::register_conditional_shutdown(signal, 1, Arc::clone(&armed))?;
            flag::register(signal, Arc::clone(&armed))?;
        }
        // Its default ends the process at the first write beyond the limit on file size. Caught, that write fails like
        // one to a full disk.
        flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
        // A terminal that closes, or a manager that asks for a reload, must not end a server. There is nothing to read again:
        // every setting is one of the start.
        flag::register(SIGHUP, Arc::new(AtomicBool::new(false)))?;
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let (sender, stops) = sync_channel(1);
        let reporter = Reporter(sender);
        let first = reporter.clone();
        thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                let name = if signal == SIGTERM { "SIGTERM" } else { "SIGINT" };
                let _already_stopping = first.0.try_send(Stop::Signal(name));
            }
        })?;
        Ok(Self { stops, reporter })
    }

    /// A handle for the server's parts.
    #[must_use]
    pub fn reporter(&self) -> Reporter {
        self.reporter.clone()
    }

    /// Blocks until there is a reason to stop.
    #[must_use]
    pub fn wait(&self) -> Stop {
        self.stops
            .recv()
            .unwrap_or_else(|_| Stop::Failed("the signal thread ended".into()))
    }
}
