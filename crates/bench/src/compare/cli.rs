//! The comparison's commands, and what each prints and writes.

use super::{
    against::{self, Scope},
    plan::{self, Effort, Shape},
    process::{self, Host},
    record::{Record, Refusal},
    report::{html, markdown, table::table, verdict::verdict},
    run::{Runner, steps},
    subject,
    workload::{Choice, Level, Mix, Workload, number},
};
use crate::machine;
use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// What the comparison can be asked for.
#[derive(Subcommand)]
pub enum Command {
    /// Three shapes, eight subjects each, in about two minutes. What a bare `cargo xtask bench` runs.
    Quick(Common),
    /// Which engine for my workload?
    Mine(Mine),
    /// Every section with every subject, or only those that are named; --list names them.
    All {
        /// Sections to measure; all without.
        sections: Vec<String>,
        /// Names the sections and measures nothing.
        #[arg(long)]
        list: bool,
        /// How to measure.
        #[command(flatten)]
        common: Common,
    },
    /// Writes docs/benchmarks.md, its charts and the README's table from a saved run.
    Report {
        /// The saved run.
        #[arg(long, default_value = "docs/benchmarks/run.json")]
        from: PathBuf,
    },
    /// Compares this program with that of another commit; `cargo xtask bench --against REV` builds it.
    Against(Against),
    /// One subject's process, asked through its input.
    #[command(hide = true)]
    Subject {
        /// Its name.
        name: String,
        /// Where its stores go.
        #[arg(long)]
        dir: PathBuf,
        /// How much longer than it takes everything shall take.
        #[arg(long, default_value_t = 0)]
        slow_percent: u32,
    },
}

/// What every measuring command takes.
#[derive(Args, Clone)]
pub struct Common {
    /// Only these subjects, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// A directory on the disk to measure; temporary ones are made in it.
    #[arg(long, default_value = "target")]
    dir: PathBuf,
    /// Of every random draw.
    #[arg(long, default_value_t = plan::SEED)]
    seed: u64,
    /// Where the run is saved as JSON; what is there of the same build and machine is kept. A page goes beside it.
    #[arg(long, default_value = "target/bench/run.json")]
    save: PathBuf,
    /// How often each subject is measured at each point.
    #[arg(long)]
    repetitions: Option<usize>,
    /// How long each measurement takes, in milliseconds.
    #[arg(long)]
    window_ms: Option<u64>,
}

impl Common {
    /// Everybody, with stores below `dir`.
    pub(super) fn in_dir(dir: &Path) -> Self {
        Self {
            only: Vec::new(),
            dir: dir.to_owned(),
            seed: plan::SEED,
            save: dir.join("bench/smoke.json"),
            repetitions: None,
            window_ms: None,
        }
    }
}

/// The reader's own workload.
#[derive(Args)]
pub struct Mine {
    /// Percent of the operations that read; the others update.
    #[arg(long, default_value_t = 95, value_parser = clap::value_parser!(u32).range(0..=100))]
    reads: u32,
    /// How many keys, such as 100k or 1M.
    #[arg(long, default_value = "100k", value_parser = number)]
    keys: u64,
    /// The size of each value, such as 16B or 1KiB.
    #[arg(long, default_value = "1KiB", value_parser = number)]
    value: u64,
    /// How many threads ask at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    clients: u16,
    /// What a write survives: memory, relaxed, interval or full.
    #[arg(long, default_value = "memory", value_parser = |text: &str| text.parse::<Level>())]
    durability: Level,
    /// Every key as often as every other, instead of zipf.
    #[arg(long)]
    uniform: bool,
    /// How many operations each client keeps on the way.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=128))]
    depth: u16,
    #[command(flatten)]
    common: Common,
}

/// What to compare with.
#[derive(Args)]
pub struct Against {
    /// The other program.
    #[arg(long)]
    old: PathBuf,
    /// Only these sections of the bare run.
    #[arg(long, value_delimiter = ',')]
    sections: Vec<String>,
    /// Only these subjects, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How many pairs of processes for each.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(6..=1000))]
    pairs: u16,
    /// How long each measurement takes, in milliseconds.
    #[arg(long, default_value_t = 100)]
    window_ms: u64,
    /// A directory on the disk to measure; temporary ones are made in it.
    #[arg(long, default_value = "target")]
    dir: PathBuf,
    /// Slows one of this program's subjects down, to see whether it is found: NAME:PERCENT.
    #[arg(long, hide = true)]
    slow: Option<String>,
}

/// Runs a command and answers what is to be printed.
///
/// # Errors
/// What the command refuses; an alarm of `against`.
pub fn run(command: Command) -> Result<String> {
    match command {
        Command::Quick(common) => measure(plan::headline(), Effort::QUICK, &common),
        Command::Mine(mine) => run_mine(&mine),
        Command::All { list: true, .. } => {
            let mut text = String::new();
            for shape in plan::everything() {
                let _infallible = writeln!(text, "{:<18} {}", shape.id, shape.workload.describe());
            }
            Ok(text)
        }
        Command::All { sections, common, .. } => {
            let mut shapes = plan::everything();
            for wanted in &sections {
                ensure!(
                    shapes.iter().any(|shape| shape.id == *wanted),
                    "there is no section `{wanted}`; --list names them"
                );
            }
            shapes.retain(|shape| sections.is_empty() || sections.contains(&shape.id));
            measure(shapes, Effort::FULL, &common)
        }
        Command::Report { from } => report(&from),
        Command::Against(against) => run_against(&against),
        Command::Subject {
            name,
            dir,
            slow_percent,
        } => process::serve(&name, &dir, slow_percent).map(|()| String::new()),
    }
}

fn run_mine(mine: &Mine) -> Result<String> {
    ensure!((1..=100_000_000).contains(&mine.keys), "--keys must be 1 to 100M");
    ensure!(
        (1..=16 << 20).contains(&mine.value),
        "--value must be 1 B to 16 MiB"
    );
    let workload = Workload {
        mix: Mix::reads(mine.reads),
        choice: if mine.uniform {
            Choice::Uniform
        } else {
            Choice::Zipf
        },
        keys: mine.keys,
        value_bytes: mine.value as usize,
        clients: usize::from(mine.clients),
        depth: usize::from(mine.depth),
        level: mine.durability,
        seed: mine.common.seed,
    };
    measure(vec![plan::mine(workload)], Effort::QUICK, &mine.common)
}

fn bar(length: u64) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template(
        "{bar:32.cyan/blue} {percent:>3} % {elapsed} of about {duration}  {msg}",
    )?;
    Ok(ProgressBar::new(length).with_style(style))
}

fn host(dir: &Path, slow: Option<(String, u32)>) -> Result<Host> {
    fs::create_dir_all(dir)?;
    Ok(Host {
        program: env::current_exe()?,
        dir: dir.canonicalize()?,
        slow,
    })
}

/// Measures the shapes, saves the run, and renders what a person reads.
fn measure(mut shapes: Vec<Shape>, mut effort: Effort, common: &Common) -> Result<String> {
    for name in &common.only {
        super::examine::named(name)?;
    }
    effort.repetitions = common.repetitions.unwrap_or(effort.repetitions);
    effort.window_ms = common.window_ms.unwrap_or(effort.window_ms);
    ensure!(
        (1..=1000).contains(&effort.repetitions),
        "--repetitions must be 1 to 1000"
    );
    ensure!(
        (1..=60_000).contains(&effort.window_ms),
        "--window-ms must be 1 to 60000"
    );
    for shape in &mut shapes {
        shape.workload.seed = common.seed;
    }
    let record = record(&shapes, effort, common)?;
    let mut text = String::new();
    for section in &record.sections {
        let _infallible = writeln!(
            text,
            "\n{}\n{}\n{}\n{}",
            section.title,
            section.workload.describe(),
            table(section),
            verdict(section)
                .iter()
                .map(|said| format!("  {said}"))
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
    for refusal in &record.refused {
        let _infallible = writeln!(text, "refused: {}, {}", refusal.subject, refusal.reason);
    }
    for left_out in &record.not_compared {
        let _infallible = writeln!(
            text,
            "not compared: {}, which {}",
            left_out.subject, left_out.reason
        );
    }
    let page = save(record, &common.save)?;
    let _infallible = writeln!(
        text,
        "saved: {} and {} (open it in a browser)",
        common.save.display(),
        page.display()
    );
    Ok(text)
}

pub(super) fn record(shapes: &[Shape], effort: Effort, common: &Common) -> Result<Record> {
    let host = host(&common.dir, None)?;
    let progress = bar(shapes.iter().map(|shape| steps(shape, &effort)).sum())?;
    let mut record = Record::new(machine::inspect(&host.dir), common.seed);
    let mut runner = Runner::new(&host, effort, progress, common.only.clone());
    for shape in shapes {
        record.sections.push(runner.section(shape)?);
    }
    record.refused = std::mem::take(&mut runner.refused);
    record.not_compared = subject::NOT_COMPARED
        .map(|(subject, reason)| Refusal {
            subject: subject.into(),
            reason: reason.into(),
        })
        .into();
    runner.progress.finish_and_clear();
    Ok(record)
}

/// Adds the run to what is saved there, if that is of the same build and machine; answers where the page is.
fn save(record: Record, path: &Path) -> Result<PathBuf> {
    let merged = Record::load(path).and_then(|mut old| {
        old.take(record.clone())?;
        Ok(old)
    });
    let kept = merged.unwrap_or(record);
    kept.save(path)?;
    let page = path.with_extension("html");
    fs::write(&page, html::page(&kept)).with_context(|| format!("writing {}", page.display()))?;
    Ok(page)
}

fn report(from: &Path) -> Result<String> {
    let root = Path::new(".");
    ensure!(root.join("docs").is_dir(), "run this in the workspace's root");
    let record = Record::load(from)?;
    let files = markdown::files(&record, root)?;
    for (path, text) in &files {
        let path = root.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(format!("{} files written from {}", files.len(), from.display()))
}

fn run_against(command: &Against) -> Result<String> {
    let slow = match command.slow.as_deref().map(|slow| slow.rsplit_once(':')) {
        None => None,
        Some(Some((name, percent))) => Some((name.to_owned(), percent.parse().context("NAME:PERCENT")?)),
        Some(None) => bail!("--slow takes NAME:PERCENT"),
    };
    let new = host(&command.dir, slow)?;
    let old = Host {
        program: command
            .old
            .canonicalize()
            .with_context(|| format!("no program at {}", command.old.display()))?,
        slow: None,
        ..new.clone()
    };
    let scope = Scope {
        pairs: usize::from(command.pairs),
        window_ms: command.window_ms,
        sections: command.sections.clone(),
        subjects: command.only.clone(),
    };
    let progress = bar(0)?;
    let findings = against::compare(&old, &new, &scope, &progress)?;
    progress.finish_and_clear();
    ensure!(
        !findings.is_empty(),
        "nothing is in the scope of --sections and --only"
    );
    let text = against::table(&findings);
    let alarms: Vec<String> = findings
        .iter()
        .filter(|finding| finding.is_alarm())
        .map(|finding| format!("{} on {}", finding.subject, finding.shape))
        .collect();
    ensure!(
        alarms.is_empty(),
        "{text}\nslower by more than 5 %, with the whole interval: {}",
        alarms.join(", ")
    );
    Ok(format!(
        "{text}\nnothing is slower by more than 5 % with its whole interval"
    ))
}
