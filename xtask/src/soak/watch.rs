//! Memory and descriptors of the server in a long life: what `/proc` says, a few times a second.
//!
//! Flat means: after the first minute (or a third of a life shorter than three), the mean of the last third is at most 5 %
//! above the mean of the first. Means, because logs fill and are cut, and checkpoints come and go. What counts is anonymous
//! memory; pages of files are the kernel's to drop, and are shown beside it. The server runs with its defaults.

use anyhow::{Context as _, Result, ensure};
use std::{fmt, fs, time::Duration, time::Instant};

const MOST_GROWTH: f64 = 1.05;

pub(super) struct Watch {
    begun: Instant,
    settled: Duration,
    /// All of them, the first minute's too.
    all: Vec<Sample>,
    /// How many of them are from the first minute.
    early: usize,
}

#[derive(Clone, Copy)]
struct Sample {
    anonymous_kib: f64,
    resident_kib: f64,
    descriptors: f64,
}

impl Watch {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            begun: Instant::now(),
            settled: Duration::from_secs(60).min(length / 3),
            all: Vec::new(),
            early: 0,
        }
    }

    /// The life's first minute begins now.
    pub(super) fn begin(&mut self) {
        self.begun = Instant::now();
    }

    /// Takes a sample.
    pub(super) fn look(&mut self, pid: u32) -> Result<()> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        self.all.push(Sample {
            anonymous_kib: field("RssAnon:").context("no RssAnon in /proc")?,
            resident_kib: field("VmRSS:").context("no VmRSS in /proc")?,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count() as f64,
        });
        if self.begun.elapsed() < self.settled {
            self.early = self.all.len();
        }
        Ok(())
    }

    /// Those after the first minute.
    fn samples(&self) -> &[Sample] {
        &self.all[self.early..]
    }

    /// The means of the first and the last third after the first minute.
    fn ends(&self, of: impl Fn(&Sample) -> f64) -> (f64, f64) {
        let samples = self.samples();
        let third = (samples.len() / 3).max(1).min(samples.len());
        (
            mean(&samples[..third], &of),
            mean(&samples[samples.len() - third..], &of),
        )
    }

    /// Anonymous memory from the beginning on, in MiB: what tells a leak from a warm-up.
    pub(super) fn course(&self) -> String {
        let tenth = self.all.len().div_ceil(10).max(1);
        let tenths = self.all.chunks(tenth);
        let means = tenths.map(|samples| mean(samples, |sample| sample.anonymous_kib) / 1024.0);
        means.map(|mib| format!("{mib:.1}")).collect::<Vec<_>>().join(" ")
    }

    /// # Errors
    /// What has grown.
    pub(super) fn check(&self, name: &str) -> Result<()> {
        ensure!(
            !self.samples().is_empty(),
            "the {name} life was too short to be watched"
        );
        for (what, (first, last)) in [
            ("anonymous memory", self.ends(|sample| sample.anonymous_kib)),
            ("descriptors", self.ends(|sample| sample.descriptors)),
        ] {
            ensure!(
                last <= first * MOST_GROWTH,
                "{what} grew in the {name} life from {first:.0} to {last:.0}"
            );
        }
        Ok(())
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |(first, last): (f64, f64)| (first / 1024.0, last / 1024.0);
        let (first, last) = mib(self.ends(|sample| sample.anonymous_kib));
        write!(
            f,
            "anonymous memory {first:.1} -> {last:.1} MiB ({:+.1} %)",
            (last / first - 1.0) * 100.0
        )?;
        let (first, last) = mib(self.ends(|sample| sample.resident_kib));
        write!(f, ", resident {first:.1} -> {last:.1} MiB")?;
        let (first, last) = self.ends(|sample| sample.descriptors);
        write!(
            f,
            ", descriptors {first:.1} -> {last:.1}; {} samples",
            self.samples().len()
        )
    }
}

fn mean(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    samples.iter().map(of).sum::<f64>() / samples.len().max(1) as f64
}
