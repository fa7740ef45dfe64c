//! Queues between two threads: what the trait adapter costs over raw rtrb, and what each queue reaches.
//!
//! Three tables: throughput of 64-byte messages one by one and in chunks of 64, the round trip of one message between two
//! busy threads, and the hand-off to a thread that sleeps.

mod hand_off;
mod round_trip;
mod throughput;

use crate::measure::table;
use quintet_core::{Consumer, PopError, Producer, PushError, Queue};
use std::num::NonZeroUsize;

/// A message as wide as a cache line.
pub type Message = [u64; 8];

/// How long to measure.
pub struct Effort {
    repetitions: usize,
    messages: u64,
    round_trips: u64,
    hand_offs: u32,
}

impl Effort {
    /// For figures: some seconds per table.
    #[must_use]
    pub fn full(repetitions: usize) -> Self {
        Self {
            repetitions,
            messages: 6_400_000,
            round_trips: 500_000,
            hand_offs: 500,
        }
    }

    /// For the gate: a moment.
    #[must_use]
    pub fn smoke() -> Self {
        Self {
            repetitions: 1,
            messages: 6_400,
            round_trips: 500,
            hand_offs: 5,
        }
    }
}

/// Checks every queue, measures, and renders the tables.
///
/// # Errors
/// When a queue does not do what is being timed.
pub fn run(effort: &Effort) -> anyhow::Result<String> {
    check::<quintet_core::rtrb_queue::RtrbQueue>("rtrb")?;
    check::<quintet_core::crossbeam_queue::CrossbeamQueue>("crossbeam")?;
    check::<quintet_core::fake::FakeQueue>("fake")?;
    let single = throughput::measure(effort, 1);
    let chunked = throughput::measure(effort, 64);
    let round = round_trip::measure(effort);
    let hand = hand_off::measure(effort);
    Ok([
        table("throughput, 64-byte messages one by one", "M messages/s", &single),
        table(
            "throughput, 64-byte messages in chunks of 64",
            "M messages/s",
            &chunked,
        ),
        table("round trip between two busy threads", "ns", &round),
        table("hand-off to a sleeping thread", "µs", &hand),
    ]
    .join("\n\n"))
}

/// That the report names every subject of every table.
///
/// # Errors
/// Names the row that is missing.
pub fn expect_every_row(report: &str) -> anyhow::Result<()> {
    let rows = throughput::NAMES
        .iter()
        .chain(&round_trip::NAMES)
        .chain(&hand_off::NAMES);
    for name in rows {
        anyhow::ensure!(report.contains(name), "the queue report has no row `{name}`");
    }
    Ok(())
}

/// Capacity 2: two pushes, the third refused with its item, first in first out, then empty.
fn check<Q: Queue<u32>>(name: &str) -> anyhow::Result<()> {
    let two = NonZeroUsize::MIN.saturating_add(1);
    let (mut tx, mut rx) = Q::bounded(two);
    let accepted = tx.push(1).is_ok() && tx.push(2).is_ok();
    let refused = matches!(tx.push(3), Err(PushError::Full(3)));
    let ordered = rx.pop() == Ok(1) && rx.pop() == Ok(2) && rx.pop() == Err(PopError::Empty);
    anyhow::ensure!(
        accepted && refused && ordered,
        "{name} is not a bounded queue; nothing was timed"
    );
    Ok(())
}
