//! What bounds a loop, whatever protocol it runs. HTTP's own bounds are in [`crate::http1::HttpConfig`].

use crate::Backend;
use quintet_core::{Error, ErrorKind, Result};
use std::time::Duration;

/// The limits of one worker's loop. Made with [`Default`], then changed field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopConfig {
    /// How the loop talks to the kernel. Default [`Backend::Epoll`]; io_uring must be [available](Backend::available).
    pub backend: Backend,
    /// Connections open at once; one more is answered with [`Protocol::refusal`](crate::Protocol::refusal) and closed.
    /// Default 10 000, at least 1. An idle connection costs 1 to 10 KiB.
    pub max_connections: usize,
    /// Output a connection may owe before it is no longer read from, in bytes. Default 256 KiB, at least 1.
    pub backlog_bytes: u64,
    /// Input kept for a protocol that cannot use it yet, in bytes; reading stops there. Must hold the longest message
    /// that the protocol wants whole. Default 128 KiB, at least 64 KiB.
    pub carry_bytes: usize,
    /// How long a peer may take to accept [`write_progress_bytes`](Self::write_progress_bytes) of pending output before
    /// it is cut off. Default 30 s, above 0.
    pub write_progress: Duration,
    /// See [`write_progress`](Self::write_progress). Default 4 KiB, at least 1; less output than this must leave whole.
    pub write_progress_bytes: u64,
    /// How long input is still discarded after a last answer, so that a peer which still sends can read it. Default 2 s.
    pub linger: Duration,
    /// How much input is discarded then, in bytes. Default 1 MiB.
    pub linger_bytes: u64,
    /// How often a loop without work polls again before it sleeps: waking an idle core can cost 40 us. Default 0.
    pub spin_polls: u32,
    /// New connections taken per turn. Default 64, at least 1.
    pub accepts_per_turn: usize,
    /// How long accepting pauses when the process is out of file descriptors or memory. Default 100 ms, above 0.
    pub accept_pause: Duration,
    /// Unused 64 KiB buffers kept for streamed answers. Default 16.
    pub stream_buffers_kept: usize,
    /// Buffers of 16 KiB that io_uring receives into, shared by all connections of the loop; when all are full, receiving
    /// waits for the next turn. Default 256, at least 2, at most 32768, a power of two. Epoll has no use for them.
    pub receive_buffers: u16,
}

impl Default for LoopConfig {
    fn default() -> Self {
        Self {
            backend: Backend::Epoll,
            max_connections: 10_000,
            backlog_bytes: 256 * 1024,
            carry_bytes: 128 * 1024,
            write_progress: Duration::from_secs(30),
            write_progress_bytes: 4096,
            linger: Duration::from_secs(2),
            linger_bytes: 1024 * 1024,
            spin_polls: 0,
            accepts_per_turn: 64,
            accept_pause: Duration::from_millis(100),
            stream_buffers_kept: 16,
            receive_buffers: 256,
        }
    }
}

impl LoopConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] that names the first field out of range and its bound.
    pub fn validate(&self) -> Result<()> {
        at_least("max_connections", self.max_connections as u64, 1)?;
        if self.max_connections > 1 << 24 {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "max_connections must be at most 16777216",
            ));
        }
        at_least("backlog_bytes", self.backlog_bytes, 1)?;
        at_least("carry_bytes", self.carry_bytes as u64, 64 * 1024)?;
        at_least("write_progress_bytes", self.write_progress_bytes, 1)?;
        at_least("accepts_per_turn", self.accepts_per_turn as u64, 1)?;
        if self.receive_buffers < 2 || !self.receive_buffers.is_power_of_two() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "receive_buffers is {}, it must be a power of two, 2 to 32768",
                    self.receive_buffers
                ),
            ));
        }
        positive("write_progress", self.write_progress)?;
        positive("accept_pause", self.accept_pause)
    }
}

/// Refuses `value` below `least`, naming the field.
pub(crate) fn at_least(field: &str, value: u64, least: u64) -> Result<()> {
    if value >= least {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!("{field} is {value}, it must be at least {least}"),
    ))
}

/// Refuses a zero duration, naming the field.
pub(crate) fn positive(field: &str, value: Duration) -> Result<()> {
    if value > Duration::ZERO {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!("{field} must be above 0"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_range_and_the_field_out_of_range_is_named() {
        LoopConfig::default().validate().unwrap();
        let error = LoopConfig {
            carry_bytes: 10,
            ..Default::default()
        }
        .validate()
        .unwrap_err();
        assert!(error.context().contains("carry_bytes is 10"), "{error}");
        let error = LoopConfig {
            write_progress: Duration::ZERO,
            ..Default::default()
        }
        .validate()
        .unwrap_err();
        assert!(error.context().contains("write_progress"), "{error}");
    }
}
