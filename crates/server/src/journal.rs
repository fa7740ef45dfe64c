//! The operator's log: structured lines on standard error, as text or as JSON, from a level on that SIGHUP can change.
//!
//! | level | what |
//! |---|---|
//! | `error` | an engine is poisoned, a part ended on its own |
//! | `warn` | an engine is full or failing, a request was answered 5xx, a reload was refused, a start takes long |
//! | `info` | the server's life: started, ready, reloaded, draining, stopped; an engine is well again |
//! | `debug` | every request of the ports on axum, with its time |
//!
//! No header, no query and no body is ever logged, so no token can be. A thread of its own writes: a reader of standard
//! error that is stuck holds up nobody. Lines beyond [`QUEUED`] and failed requests beyond [`FAILURES`] a second are counted.

use crate::cli::{LogFormat, LogLevel};
use axum::http::Method;
use quintet_core::{Clock, SystemClock};
use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    reload,
    util::SubscriberInitExt as _,
};

/// Lines that wait for the reader of standard error.
const QUEUED: usize = 1024;
/// Failed requests that are told in a second.
const FAILURES: u32 = 50;
const SECOND: Duration = Duration::from_secs(1);
/// How long the end waits for the last lines to be read.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much of a path is told, in characters.
const PATH: usize = 256;

/// The log of this process, from [`open`](Self::open) until it is dropped, which waits for the last line.
pub(crate) struct Journal {
    level: reload::Handle<LevelFilter, Registry>,
    lines: SyncSender<Line>,
}

enum Line {
    Bytes(Vec<u8>),
    /// Answered when everything before is written.
    End(SyncSender<()>),
}

impl Journal {
    /// Begins to log. Once in a process: later ones change nothing.
    pub(crate) fn open(level: LogLevel, format: LogFormat) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(QUEUED);
        let left_out = Arc::new(AtomicU64::new(0));
        let queue = Queue {
            lines: lines.clone(),
            left_out: Arc::clone(&left_out),
        };
        thread::Builder::new()
            .name("journal".into())
            .spawn(move || write(&waiting, &left_out))?;
        let (filter, level) = reload::Layer::new(filter(level));
        let lines_of = fmt::layer()
            .with_target(false)
            .with_ansi(false)
            .with_writer(queue);
        let registry = tracing_subscriber::registry().with(filter);
        let _once = match format {
            LogFormat::Text => registry.with(lines_of).try_init(),
            LogFormat::Json => registry.with(lines_of.json().flatten_event(true)).try_init(),
        };
        Ok(Self { level, lines })
    }

    /// Logs from another level on.
    pub(crate) fn set_level(&self, level: LogLevel) {
        // It fails when another log was begun before, which then is the one that logs.
        let _other = self.level.reload(filter(level));
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let (done, is_done) = sync_channel(1);
        if self.lines.try_send(Line::End(done)).is_ok() {
            let _stuck = is_done.recv_timeout(PATIENCE);
        }
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    }
}

/// The writing thread.
fn write(waiting: &Receiver<Line>, left_out: &AtomicU64) {
    for line in waiting {
        match line {
            Line::Bytes(bytes) => {
                let _reader_gone = io::stderr().lock().write_all(&bytes);
            }
            Line::End(done) => {
                let _gave_up = done.send(());
            }
        }
        let lines = left_out.swap(0, Relaxed);
        if lines > 0 {
            tracing::warn!(lines, "lines were left out: standard error is read too slowly");
        }
    }
}

/// Where lines wait to be written.
struct Queue {
    lines: SyncSender<Line>,
    left_out: Arc<AtomicU64>,
}

/// One line, which enters the queue when it is dropped.
struct Entering<'a> {
    queue: &'a Queue,
    bytes: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Entering<'a>;

    fn make_writer(&'a self) -> Entering<'a> {
        Entering {
            queue: self,
            bytes: Vec::new(),
        }
    }
}

impl Write for Entering<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Entering<'_> {
    fn drop(&mut self) {
        let line = Line::Bytes(std::mem::take(&mut self.bytes));
        if let Err(TrySendError::Full(_)) = self.queue.lines.try_send(line) {
            self.queue.left_out.fetch_add(1, Relaxed);
        }
    }
}

/// One request, as it is told about.
pub(crate) struct Answered<'a> {
    /// Which port.
    pub(crate) port: &'static str,
    pub(crate) method: &'a Method,
    /// Without the query, which may hold a token.
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    /// Why it failed, if it did and that is known.
    pub(crate) reason: Option<&'a str>,
    /// The request's id, where the port has them.
    pub(crate) id: Option<&'a str>,
    pub(crate) took: Duration,
}

/// Tells about a request: a failure of the server's at `warn`, so many a second; any other at `debug`.
pub(crate) fn answered(request: &Answered<'_>) {
    static FAILED: Throttle = Throttle::new();
    let failed = request.status >= 500;
    if !failed && !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let path: String = request.path.chars().take(PATH).collect();
    let Answered {
        port,
        status,
        reason,
        id,
        ..
    } = *request;
    let (method, path) = (request.method.as_str(), path.as_str());
    let took_us = u64::try_from(request.took.as_micros()).unwrap_or(u64::MAX);
    if !failed {
        tracing::debug!(port, method, path, status, took_us, id, reason, "answered");
    } else if let Some(left_out) = FAILED.pass(SystemClock.now()) {
        tracing::warn!(
            port,
            method,
            path,
            status,
            took_us,
            id,
            reason,
            left_out,
            "a request failed"
        );
    }
}

/// Lets [`FAILURES`] pass in a second.
struct Throttle(Mutex<Option<(Instant, u32, u64)>>);

impl Throttle {
    const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// How many did not pass since the last that did; `None` = this one does not either.
    fn pass(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, passed, left_out) = state.get_or_insert((now, 0, 0));
        if now.saturating_duration_since(*began) >= SECOND {
            (*began, *passed) = (now, 0);
        }
        if *passed == FAILURES {
            *left_out += 1;
            return None;
        }
        *passed += 1;
        Some(std::mem::take(left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_pass_in_a_second_and_the_rest_is_counted() {
        let (throttle, now) = (Throttle::new(), SystemClock.now());
        for _ in 0..FAILURES {
            assert_eq!(throttle.pass(now), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(throttle.pass(now + SECOND / 2), None);
        }
        assert_eq!(throttle.pass(now + SECOND), Some(7));
        assert_eq!(throttle.pass(now + SECOND), Some(0));
    }

    #[test]
    fn a_reader_that_is_stuck_costs_lines_and_no_time() {
        let (lines, waiting) = sync_channel(2);
        let queue = Queue {
            lines,
            left_out: Arc::default(),
        };
        for number in 0..5 {
            writeln!(queue.make_writer(), "line {number}").expect("taken");
        }
        assert_eq!(queue.left_out.load(Relaxed), 3);
        let first = waiting.recv().expect("a line");
        assert!(matches!(first, Line::Bytes(bytes) if bytes == b"line 0\n"));
    }
}
