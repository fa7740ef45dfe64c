//! SIGTERM and SIGINT: the first asks for a drain, the second ends the process at once with exit code 1. SIGHUP asks for the
//! files of rules, tokens and settings to be read again. SIGXFSZ is caught and ignored.
//!
//! The main thread waits here for signals, or for an engine that says it cannot go on.

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
    flag,
    iterator::Signals,
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

/// Room for a reload, a signal and a failure: none of them pushes another out.
const REASONS: usize = 3;

/// Why the main thread is woken: to stop, but for a reload.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGHUP: what was read from files at the start is to be read again.
    Reload,
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
    /// Whether a reload is in the queue already: more than one at a time says nothing more.
    reloading: Arc<AtomicBool>,
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
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let (sender, stops) = sync_channel(REASONS);
        let reporter = Reporter(sender);
        let first = reporter.clone();
        let reloading = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&reloading);
        thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                let stop = match signal {
                    SIGHUP if asked.swap(true, Ordering::AcqRel) => continue,
                    SIGHUP => Stop::Reload,
                    SIGTERM => Stop::Signal("SIGTERM"),
                    _ => Stop::Signal("SIGINT"),
                };
                let _already_stopping = first.0.try_send(stop);
            }
        })?;
        Ok(Self {
            stops,
            reporter,
            reloading,
        })
    }

    /// A handle for the server's parts.
    #[must_use]
    pub fn reporter(&self) -> Reporter {
        self.reporter.clone()
    }

    /// Blocks until there is a reason to stop, or to reload.
    #[must_use]
    pub fn wait(&self) -> Stop {
        let stop = self.stops.recv();
        if stop == Ok(Stop::Reload) {
            self.reloading.store(false, Ordering::Release);
        }
        stop.unwrap_or_else(|_| Stop::Failed("the signal thread ended".into()))
    }
}
