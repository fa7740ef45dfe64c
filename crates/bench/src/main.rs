//! The command line of the benches: `cargo xtask bench …` ends here.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

use clap::{Parser, Subcommand};
use quintet_bench::{blocks, compare, count, kv, machine, queue, shard, stm, tree, vectors};
use std::path::{Path, PathBuf};

/// Compare Quintet's parts with their rivals on this machine.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    /// Without one: three shapes of workload, eight subjects each, in about two minutes.
    #[command(subcommand)]
    bench: Option<Bench>,
    #[command(flatten)]
    common: compare::Common,
}

#[derive(Subcommand)]
enum Bench {
    #[command(flatten)]
    Compare(compare::Command),
    /// Queues between two threads: throughput, round trip, hand-off to a sleeping thread.
    Queue {
        /// How often each subject is measured; the table shows medians.
        #[arg(long, default_value_t = 7)]
        repetitions: usize,
    },
    /// The block store: PUT and GET over HTTP beside nginx, lighttpd and plain files; reads beside durable writes.
    Blocks {
        /// How often each row is measured; the table shows medians.
        #[arg(long, default_value_t = 3)]
        repetitions: usize,
        /// Every number of connections, size and durability: takes an hour.
        #[arg(long)]
        full: bool,
        /// Only the tables whose title contains this, such as `GET 64 KiB` or `In process`.
        #[arg(long, default_value = "")]
        only: String,
        /// A directory on the disk to measure; a temporary one is made in it.
        #[arg(long, default_value = "target")]
        dir: PathBuf,
    },
    /// Transactions at three levels beside other STMs, locks and maps.
    Stm {
        /// How often each subject is measured; the table shows medians.
        #[arg(long, default_value_t = 5)]
        repetitions: usize,
        /// Only the tables whose titles contain this, such as `workflow` or `10 000 keys`.
        #[arg(long)]
        only: Option<String>,
    },
    /// The shard engine: messages a second and round trips, 1 to 64 clients.
    Shard {
        /// How often each subject is measured; the table shows medians.
        #[arg(long, default_value_t = 5)]
        repetitions: usize,
    },
    /// The tree: reads beside LMDB and redb, grouped durable writes, watchers, rules; and its port.
    Tree {
        /// How often each subject is measured; the table shows medians.
        #[arg(long, default_value_t = 5)]
        repetitions: usize,
        /// A directory on the disk to measure; temporary ones are made in it.
        #[arg(long, default_value = "target")]
        dir: PathBuf,
        /// One section: reads, writes, watchers, rules, documents, ruled or streams; the last three need the server, built
        /// beside this program. All without it.
        #[arg(long)]
        only: Option<String>,
    },
    /// Vector search beside a plain loop and the memory bandwidth; inserts, recall, latency.
    Vectors {
        /// How often each subject is measured; the table shows medians.
        #[arg(long, default_value_t = 5)]
        repetitions: usize,
        /// A directory with base.npy, queries.npy and neighbors.npy; synthetic vectors without it.
        #[arg(long)]
        data: Option<PathBuf>,
        /// How many synthetic vectors.
        #[arg(long, default_value_t = 100_000)]
        points: usize,
        /// Their dimension.
        #[arg(long, default_value_t = 128)]
        dimension: usize,
        /// A directory on the disk to measure; a temporary one is made in it.
        #[arg(long, default_value = "target")]
        dir: PathBuf,
    },
    /// The server that `blocks` starts for itself: prints its address, ends with its input.
    #[command(hide = true)]
    ServeBlocks {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        backend: String,
        #[arg(long)]
        durability: String,
    },
    /// The datastore beside concurrent maps, and its port beside redis-server.
    Kv {
        /// How often each subject is measured; the table shows medians.
        #[arg(long, default_value_t = 5)]
        repetitions: usize,
        /// `embedded` or `resp`; both without it.
        #[arg(long)]
        only: Option<String>,
    },
    /// The datastore's port as a process of its own, for `kv`.
    #[command(hide = true)]
    KvServer {
        /// Where its log is; in memory without.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Instructions of the hottest paths against their budgets; needs valgrind.
    Count {
        /// The budgets.
        #[arg(long, default_value = "crates/bench/budgets.json")]
        budgets: PathBuf,
        /// Makes what is counted the budget of this CPU class.
        #[arg(long)]
        accept: bool,
    },
    /// One path so many times, for `count`.
    #[command(hide = true)]
    Path { name: String, times: u64 },
    /// Every bench at its smallest: do all subjects work, does every row appear? Times mean nothing here.
    Smoke,
}

fn main() -> anyhow::Result<()> {
    let Arguments { bench, common } = Arguments::parse();
    let report = match bench.unwrap_or(Bench::Compare(compare::Command::Quick(common))) {
        Bench::Compare(command) => {
            let is_subject = matches!(command, compare::Command::Subject { .. });
            let report = compare::run(command)?;
            // A subject's output belongs to whoever asks it.
            if is_subject {
                return Ok(());
            }
            report
        }
        Bench::Queue { repetitions } => queue::run(&queue::Effort::full(repetitions))?,
        Bench::Blocks {
            repetitions,
            full,
            only,
            dir,
        } => blocks::run(&blocks::Effort::full(repetitions, full), &only, &dir)?,
        Bench::ServeBlocks {
            dir,
            backend,
            durability,
        } => return blocks::serve(&dir, &backend, &durability),
        Bench::Stm { repetitions, only } => stm::run(&stm::Effort::full(repetitions), only.as_deref())?,
        Bench::Shard { repetitions } => shard::run(&shard::Effort::full(repetitions))?,
        Bench::Tree {
            repetitions,
            dir,
            only,
        } => tree::run(&tree::Effort::full(repetitions), &dir, only.as_deref())?,
        Bench::Vectors {
            repetitions,
            data,
            points,
            dimension,
            dir,
        } => vectors::run(&vectors::Effort::full(repetitions, points, dimension, data), &dir)?,
        Bench::Kv { repetitions, only } => {
            let part = match only.as_deref() {
                None => kv::Part::All,
                Some("embedded") => kv::Part::Embedded,
                Some("resp") => kv::Part::Resp,
                Some(other) => anyhow::bail!("--only takes `embedded` or `resp`, not `{other}`"),
            };
            kv::run(&kv::Effort::full(repetitions), part)?
        }
        Bench::KvServer { dir } => return kv::serve(dir.as_deref()),
        Bench::Count { budgets, accept } => count::run(&budgets, accept)?,
        Bench::Path { name, times } => return count::run_path(&name, times),
        Bench::Smoke => smoke()?,
    };
    println!("{}\n\n{report}", machine::describe());
    Ok(())
}

/// Every bench at its smallest, and that each of its rows is there.
fn smoke() -> anyhow::Result<String> {
    let queues = queue::run(&queue::Effort::smoke())?;
    queue::expect_every_row(&queues)?;
    let stores = blocks::run(&blocks::Effort::smoke(), "", Path::new("target"))?;
    blocks::expect_every_row(&stores)?;
    let transactions = stm::run(&stm::Effort::smoke(), None)?;
    stm::expect_every_row(&transactions)?;
    let searches = vectors::run(&vectors::Effort::smoke(), Path::new("target"))?;
    vectors::expect_every_row(&searches)?;
    let shards = shard::run(&shard::Effort::smoke())?;
    shard::expect_every_row(&shards)?;
    let trees = tree::run(&tree::Effort::smoke(), Path::new("target"), None)?;
    tree::expect_every_row(&trees)?;
    let stored = kv::run(&kv::Effort::smoke(), kv::Part::All)?;
    kv::expect_every_row(&stored)?;
    let compared = compare::smoke(Path::new("target"))?;
    Ok(format!(
        "{compared}\n\n{queues}\n\n{stores}\n\n{transactions}\n\n{shards}\n\n{trees}\n\n{searches}\n\n{stored}"
    ))
}
