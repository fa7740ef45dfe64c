//! How a log is set up. Every limit is here, with its unit, default and range; nothing is clamped silently.

use crate::{File, LogError, frame, segment};
use quintet_core::{Durability, Result};
use std::{fmt, sync::Arc, time::Duration};

/// The settings of a [`Log`](crate::Log). Checked by [`validate`](Self::validate) at open.
///
/// Memory: two group buffers of at most `max(max_group_bytes, max_record_bytes)` each, grown as needed, and 1 MiB while
/// recovering.
#[derive(Clone)]
pub struct LogConfig {
    /// What an acknowledged record survives. Default: [`Durability::Full`].
    pub durability: Durability,
    /// [`Durability::Interval`]: how long a record may stay in the kernel only. Default 100 ms; 1 ms to 1 minute.
    pub interval: Duration,
    /// The size of one segment file, preallocated. Default 64 MiB; 4 KiB to 4 GiB, a multiple of 512. Opening writes one
    /// segment, so it costs about this many bytes of disk bandwidth unless an old segment can be reused.
    pub segment_bytes: u64,
    /// The largest record that is accepted. Default 16 MiB; at most 1 GiB, and it must fit in a segment.
    pub max_record_bytes: usize,
    /// How many bytes of records may collect before `append` applies back-pressure. Default 4 MiB; 64 bytes to the
    /// room in one segment. A larger record still passes, alone.
    pub max_group_bytes: usize,
    /// Whether a new segment is filled with zeros, so that a flush writes data only. Default `true`. With `false` the
    /// blocks are only reserved; a new segment is ready sooner and every flush into fresh blocks is slower.
    pub zero_fill: bool,
    /// Files whose bytes the records name. Write to them before the record is appended. Default: none.
    ///
    /// At level full each is synced before a group is written, so that no record ever names bytes that are not durable,
    /// unless the replay is [`verified`](Self::verified). At the other levels each is synced before the log is: a power cut
    /// may leave records after [`synced`](crate::Log::synced) whose bytes are missing, so the replay has to look, and
    /// answers [`LogError::BytesMissing`] to end the log before such a record.
    pub companions: Vec<Arc<dyn File>>,
    /// Whether the replay looks at level full too. Then companions and log are synced at the same time, on two threads, and
    /// a commit waits for the slower instead of for both. Default `false`.
    pub verified: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            durability: Durability::Full,
            interval: Duration::from_millis(100),
            segment_bytes: 64 << 20,
            max_record_bytes: 16 << 20,
            max_group_bytes: 4 << 20,
            zero_fill: true,
            companions: Vec::new(),
            verified: false,
        }
    }
}

impl LogConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`InvalidInput`](quintet_core::ErrorKind::InvalidInput) that names the field, its value and the bound.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field: &'static str, value: String, bound: String| {
            Err(LogError::Config { field, value, bound }.into())
        };
        if self.segment_bytes < 4096
            || self.segment_bytes > 4 << 30
            || !self.segment_bytes.is_multiple_of(segment::SECTOR_BYTES)
        {
            let bound = "4096 to 4294967296, a multiple of 512".to_owned();
            return refuse("segment_bytes", self.segment_bytes.to_string(), bound);
        }
        let room = self.segment_bytes - segment::FIRST_FRAME;
        let largest =
            frame::MARK_BYTES as u64 + frame::record_bytes(self.max_record_bytes.min(1 << 30)) as u64;
        if self.max_record_bytes > 1 << 30 || largest > room {
            let bound = format!("at most 1 GiB, and a group of it must fit the segment's {room} bytes");
            return refuse("max_record_bytes", self.max_record_bytes.to_string(), bound);
        }
        if self.max_group_bytes < 64 || self.max_group_bytes as u64 > room {
            return refuse(
                "max_group_bytes",
                self.max_group_bytes.to_string(),
                format!("64 to {room}"),
            );
        }
        if self.interval < Duration::from_millis(1) || self.interval > Duration::from_secs(60) {
            return refuse(
                "interval",
                format!("{:?}", self.interval),
                "1 ms to 60 s".to_owned(),
            );
        }
        Ok(())
    }
}

impl fmt::Debug for LogConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let companions: Vec<&str> = self.companions.iter().map(|file| file.name()).collect();
        f.debug_struct("LogConfig")
            .field("durability", &self.durability)
            .field("interval", &self.interval)
            .field("segment_bytes", &self.segment_bytes)
            .field("max_record_bytes", &self.max_record_bytes)
            .field("max_group_bytes", &self.max_group_bytes)
            .field("zero_fill", &self.zero_fill)
            .field("companions", &companions)
            .field("verified", &self.verified)
            .finish()
    }
}
