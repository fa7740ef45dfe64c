//! The limits of the HTTP machine, per connection.

use crate::limits::{at_least, positive};
use quintet_core::{Error, ErrorKind, Result};
use std::time::Duration;

/// Limits of HTTP connections. Made with [`Default`], then changed field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// The longest head, request line included, in bytes; beyond it 431. Default 16 KiB, 256 bytes to 64 KiB.
    pub head_bytes: usize,
    /// The longest request line, in bytes; beyond it 414. Default 8 KiB, at least 64 and at most `head_bytes`.
    pub line_bytes: usize,
    /// Header fields of one request; beyond it 431. Default 100, 1 to 100.
    pub headers: usize,
    /// Requests of one connection that may be unanswered at once; more are left unread until one is answered. Default
    /// 32, at least 1.
    pub pipelined: usize,
    /// How much of a refused body is read and thrown away to keep the connection; a longer one ends it. Default 1 MiB.
    pub drain_bytes: u64,
    /// How long a head may take from its first byte, or from the connection's start for the first. Default 10 s.
    pub head_timeout: Duration,
    /// How long a client may take to send [`body_progress_bytes`](Self::body_progress_bytes) of a body; then 408.
    /// Time in which the service has paused the body does not count. Default 30 s, above 0.
    pub body_progress: Duration,
    /// See [`body_progress`](Self::body_progress). Default 1 KiB, at least 1.
    pub body_progress_bytes: u64,
    /// How long a client may take over one body, however steadily it comes; then 408. Time in which the service has paused
    /// the body does not count. Default 5 minutes, above 0.
    pub body_timeout: Duration,
    /// How long a connection may stay open between requests. Default 60 s, above 0.
    pub idle_timeout: Duration,
    /// Whether answers carry `Date`. Default true.
    pub date: bool,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            head_bytes: 16 * 1024,
            line_bytes: 8 * 1024,
            headers: 100,
            pipelined: 32,
            drain_bytes: 1024 * 1024,
            head_timeout: Duration::from_secs(10),
            body_progress: Duration::from_secs(30),
            body_progress_bytes: 1024,
            body_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(60),
            date: true,
        }
    }
}

impl HttpConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] that names the first field out of range and its bound.
    pub fn validate(&self) -> Result<()> {
        at_least("head_bytes", self.head_bytes as u64, 256)?;
        at_most("head_bytes", self.head_bytes, 64 * 1024)?;
        at_least("line_bytes", self.line_bytes as u64, 64)?;
        at_most("line_bytes", self.line_bytes, self.head_bytes)?;
        at_least("headers", self.headers as u64, 1)?;
        at_most("headers", self.headers, super::parse::MAX_HEADERS)?;
        at_least("pipelined", self.pipelined as u64, 1)?;
        at_least("body_progress_bytes", self.body_progress_bytes, 1)?;
        positive("head_timeout", self.head_timeout)?;
        positive("body_progress", self.body_progress)?;
        positive("body_timeout", self.body_timeout)?;
        positive("idle_timeout", self.idle_timeout)
    }
}

fn at_most(field: &str, value: usize, most: usize) -> Result<()> {
    if value <= most {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!("{field} is {value}, it must be at most {most}"),
    ))
}
