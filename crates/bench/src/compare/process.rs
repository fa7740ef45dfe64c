//! The two ends of a subject's process: what it does when it is told to, and how the comparison starts and asks it.
//!
//! A process of its own gives each subject its own heap, its own peak of memory and its own processor time; and one
//! that crashes takes nothing else with it.

use super::{
    drive::{Closed, Driver, Through, cpu_time},
    examine::{examine, named},
    open_loop::Latency,
    subject::{Engine, Entry, Home},
    wire::{Answer, Order, VERSION, receive, send},
    workload::{Level, Workload},
};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fs,
    io::{self, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, atomic::AtomicU64},
    thread,
    time::{Duration, Instant},
};

/// Serves orders from standard input until it ends.
///
/// # Errors
/// When the subject is unknown or the comparison is gone.
pub(crate) fn serve(name: &str, dir: &Path, slow_percent: u32) -> Result<()> {
    let entry = named(name)?;
    let (mut input, mut output) = (BufReader::new(io::stdin().lock()), io::stdout().lock());
    send(&mut output, &Answer::Hello { version: VERSION })?;
    let mut running = Running {
        entry,
        dir,
        slow_percent,
        loaded: None,
    };
    while let Some(order) = receive(&mut input)? {
        let answer = running.obey(order).unwrap_or_else(|error| Answer::Refused {
            reason: format!("{error:#}"),
        });
        send(&mut output, &answer)?;
    }
    Ok(())
}

struct Running<'a> {
    entry: &'static Entry,
    dir: &'a Path,
    slow_percent: u32,
    loaded: Option<Loaded>,
}

struct Loaded {
    engine: Box<dyn Engine>,
    inserted: Arc<AtomicU64>,
    _dir: tempfile::TempDir,
}

impl Running<'_> {
    fn obey(&mut self, order: Order) -> Result<Answer> {
        Ok(match order {
            Order::Examine(level) => Answer::Examined {
                clauses: examine(self.entry, level, self.dir)?,
            },
            Order::Load(workload) => {
                self.load(&workload)?;
                Answer::Loaded
            }
            Order::Closed {
                workload,
                through,
                warm_up_ms,
                window_ms,
            } => {
                let (warm_up, window) = (
                    Duration::from_millis(warm_up_ms),
                    Duration::from_millis(window_ms),
                );
                Answer::Closed {
                    figures: self.driver()?.closed(&workload, through, warm_up, window)?,
                    peak_bytes: peak_bytes(),
                }
            }
            Order::Open {
                workload,
                per_second,
                window_ms,
            } => Answer::Open(self.driver()?.open_loop(
                &workload,
                per_second,
                Duration::from_millis(window_ms),
            )?),
            Order::Idle { window_ms } => {
                let (from, before) = (Instant::now(), cpu_time());
                thread::sleep(Duration::from_millis(window_ms));
                let used = cpu_time() - before;
                Answer::Idle {
                    percent: 100.0 * used.as_secs_f64() / from.elapsed().as_secs_f64(),
                }
            }
        })
    }

    fn load(&mut self, workload: &Workload) -> Result<()> {
        self.loaded = None;
        let dir = tempfile::tempdir_in(self.dir)?;
        let engine = (self.entry.open)(&Home {
            dir: dir.path().to_owned(),
            level: workload.level,
            max_value_bytes: workload.value_bytes.max(1024),
            segment_bytes: 64 << 20,
        })?;
        let loaded = self.loaded.insert(Loaded {
            engine,
            inserted: Arc::default(),
            _dir: dir,
        });
        loaded.driver(0).load(workload)
    }

    fn driver(&self) -> Result<Driver<'_>> {
        let loaded = self.loaded.as_ref().context("nothing was loaded")?;
        Ok(loaded.driver(self.slow_percent))
    }
}

impl Loaded {
    fn driver(&self, slow_percent: u32) -> Driver<'_> {
        Driver {
            engine: &*self.engine,
            inserted: Arc::clone(&self.inserted),
            slow_percent,
        }
    }
}

/// The most memory that this process ever had in use, its maps of files included.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib: u64 = status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or_default();
    kib * 1024
}

/// Which program runs the subjects, and where their stores are.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) program: PathBuf,
    pub(super) dir: PathBuf,
    /// A subject that is made slower on purpose, and by how many percent.
    pub(super) slow: Option<(String, u32)>,
}

/// A subject's process, seen from the comparison. Dropping it ends the process.
pub(super) struct Subject {
    pub(super) name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Subject {
    /// Starts the process and waits for its first message.
    ///
    /// # Errors
    /// When it cannot be started, or is of another version.
    pub(super) fn start(host: &Host, name: &'static str) -> Result<Self> {
        let slow = host
            .slow
            .as_ref()
            .filter(|(slow, _)| slow == name)
            .map_or(0, |(_, percent)| *percent);
        let mut child = Command::new(&host.program)
            .args(["subject", name, "--dir"])
            .arg(&host.dir)
            .args(["--slow-percent", &slow.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", host.program.display()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the process of {name} has no pipes");
        };
        let mut subject = Self {
            name,
            child,
            input: Some(input),
            output: BufReader::new(output),
        };
        let hello = receive(&mut subject.output)?;
        let Some(Answer::Hello { version }) = hello else {
            bail!("{} has no subject `{name}`", host.program.display());
        };
        ensure!(
            version == VERSION,
            "{} speaks version {version}, this program {VERSION}: they cannot be compared",
            host.program.display()
        );
        Ok(subject)
    }

    fn ask(&mut self, order: &Order) -> Result<Answer> {
        let input = self.input.as_mut().context("the process was ended")?;
        send(input, order)?;
        match receive(&mut self.output)? {
            Some(Answer::Refused { reason }) => bail!("{reason}"),
            Some(answer) => Ok(answer),
            None => bail!("the process of {} ended ({})", self.name, self.child.wait()?),
        }
    }

    /// Holds it to core's suite; answers how many clauses it keeps.
    ///
    /// # Errors
    /// The clause that it breaks.
    pub(super) fn examine(&mut self, level: Level) -> Result<usize> {
        match self.ask(&Order::Examine(level))? {
            Answer::Examined { clauses } => Ok(clauses),
            other => bail!("unexpected: {other:?}"),
        }
    }

    /// Starts it afresh with the workload's keys.
    ///
    /// # Errors
    /// What the subject answers.
    pub(super) fn load(&mut self, workload: &Workload) -> Result<()> {
        match self.ask(&Order::Load(workload.clone()))? {
            Answer::Loaded => Ok(()),
            other => bail!("unexpected: {other:?}"),
        }
    }

    /// Throughput, and the peak of memory.
    ///
    /// # Errors
    /// What the subject answers.
    pub(super) fn closed(
        &mut self,
        workload: &Workload,
        through: Through,
        window_ms: u64,
    ) -> Result<(Closed, u64)> {
        let order = Order::Closed {
            workload: workload.clone(),
            through,
            warm_up_ms: window_ms / 4,
            window_ms,
        };
        match self.ask(&order)? {
            Answer::Closed { figures, peak_bytes } => Ok((figures, peak_bytes)),
            other => bail!("unexpected: {other:?}"),
        }
    }

    /// Latency at a rate.
    ///
    /// # Errors
    /// What the subject answers.
    pub(super) fn open_loop(
        &mut self,
        workload: &Workload,
        per_second: f64,
        window_ms: u64,
    ) -> Result<Latency> {
        let order = Order::Open {
            workload: workload.clone(),
            per_second,
            window_ms,
        };
        match self.ask(&order)? {
            Answer::Open(latency) => Ok(latency),
            other => bail!("unexpected: {other:?}"),
        }
    }

    /// What it costs when nobody asks, in percent of a core.
    ///
    /// # Errors
    /// When the process is gone.
    pub(super) fn idle(&mut self, window_ms: u64) -> Result<f64> {
        match self.ask(&Order::Idle { window_ms })? {
            Answer::Idle { percent } => Ok(percent),
            other => bail!("unexpected: {other:?}"),
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // The end of its input is the end of its work.
        drop(self.input.take());
        let _ended = self.child.wait();
    }
}
