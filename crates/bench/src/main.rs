//! The command line of the benches: `cargo xtask bench …` ends here.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

use clap::{Parser, Subcommand};
use quintet_bench::{machine, queue};

/// Compare Quintet's parts with their rivals on this machine.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Queues between two threads: throughput, round trip, hand-off to a sleeping thread.
    Queue {
        /// How often each subject is measured; the table shows medians.
        #[arg(long, default_value_t = 7)]
        repetitions: usize,
    },
    /// Every bench at its smallest: do all subjects work, does every row appear? Times mean nothing here.
    Smoke,
}

fn main() -> anyhow::Result<()> {
    let report = match Arguments::parse().bench {
        Bench::Queue { repetitions } => queue::run(&queue::Effort::full(repetitions))?,
        Bench::Smoke => {
            let report = queue::run(&queue::Effort::smoke())?;
            queue::expect_every_row(&report)?;
            report
        }
    };
    println!("{}\n\n{report}", machine::describe());
    Ok(())
}
