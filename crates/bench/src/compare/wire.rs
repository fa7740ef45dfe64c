//! What the comparison and a subject's process say to each other: bincode, each message behind its length.
//!
//! Both ends are usually the same program. With `--against` the subject's end is an older one, so the first message
//! carries a version, and a subject of another version is refused.

use super::{
    drive::{Closed, Through},
    open_loop::Latency,
    workload::{Level, Workload},
};
use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{Read, Write};

/// Of the messages below. Raise it when one of them changes.
pub(super) const VERSION: u32 = 1;

const MAX_BYTES: usize = 1 << 20;

/// To the subject's process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Hold the subject to core's suite.
    Examine(Level),
    /// Start the subject afresh and put the workload's keys there.
    Load(Workload),
    /// Measure throughput, each window in milliseconds.
    Closed {
        workload: Workload,
        through: Through,
        warm_up_ms: u64,
        window_ms: u64,
    },
    /// Measure latency at a rate.
    Open {
        workload: Workload,
        per_second: f64,
        window_ms: u64,
    },
    /// Do nothing for so long, and say what that cost.
    Idle { window_ms: u64 },
}

/// From the subject's process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The first message.
    Hello { version: u32 },
    /// It keeps so many clauses.
    Examined { clauses: usize },
    /// The keys are there.
    Loaded,
    /// Throughput, and the most memory that the process ever had.
    Closed { figures: Closed, peak_bytes: u64 },
    /// Latency.
    Open(Latency),
    /// Percent of one core.
    Idle { percent: f64 },
    /// It could not be done.
    Refused { reason: String },
}

/// Sends one message.
///
/// # Errors
/// When the other side is gone.
pub(super) fn send(out: &mut impl Write, message: &impl Serialize) -> Result<()> {
    let body = bincode::serde::encode_to_vec(message, bincode::config::standard())?;
    ensure!(body.len() <= MAX_BYTES, "a message of {} bytes", body.len());
    out.write_all(&(body.len() as u32).to_le_bytes())?;
    out.write_all(&body)?;
    out.flush()?;
    Ok(())
}

/// Receives one message; `None` at the end.
///
/// # Errors
/// When it is cut off or none of ours.
pub(super) fn receive<T: DeserializeOwned>(input: &mut impl Read) -> Result<Option<T>> {
    let mut len = [0; 4];
    match input.read_exact(&mut len) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let len = u32::from_le_bytes(len) as usize;
    ensure!(len <= MAX_BYTES, "a message that says it has {len} bytes");
    let mut body = vec![0; len];
    input
        .read_exact(&mut body)
        .context("a message that was cut off")?;
    let config = bincode::config::standard().with_limit::<MAX_BYTES>();
    let (message, used) = bincode::serde::decode_from_slice(&body, config)?;
    ensure!(used == len, "{} bytes behind a message", len - used);
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_and_damage_is_an_error() {
        let mut pipe = Vec::new();
        send(&mut pipe, &Order::Idle { window_ms: 5 }).unwrap();
        send(&mut pipe, &Order::Examine(Level::Full)).unwrap();
        let mut input = pipe.as_slice();
        assert!(matches!(
            receive(&mut input).unwrap(),
            Some(Order::Idle { window_ms: 5 })
        ));
        assert!(matches!(
            receive(&mut input).unwrap(),
            Some(Order::Examine(Level::Full))
        ));
        assert!(receive::<Order>(&mut input).unwrap().is_none());
        let cut = &pipe[..5];
        assert!(receive::<Order>(&mut &*cut).is_err());
        let long = [255, 255, 255, 255, 0];
        assert!(receive::<Order>(&mut long.as_slice()).is_err());
    }
}
