//! Measures sections: starts each subject's process, checks it, loads it, and asks them in turns.
//!
//! Every other repetition goes through the subjects backwards, so that nobody always follows the same one. A subject that
//! fails is left out of the section with the reason; the others go on.

use super::{
    drive::Through,
    plan::{Effort, Shape},
    process::{Host, Subject},
    record::{Axis, Cost, Paced, Point, Refusal, Row, Section},
    subject::{self, Entry},
    workload::{Level, Workload, bytes},
};
use anyhow::{Context as _, Result, ensure};
use indicatif::ProgressBar;
use std::{collections::HashMap, fs};

/// What several sections share.
pub(super) struct Runner<'a> {
    pub(super) host: &'a Host,
    pub(super) effort: Effort,
    pub(super) progress: ProgressBar,
    /// Only these subjects; all without.
    pub(super) only: Vec<String>,
    /// Who was examined at which level, and what was wrong.
    examined: HashMap<(&'static str, Level), Option<String>>,
    pub(super) refused: Vec<Refusal>,
}

/// How many steps of the progress bar a section takes.
pub(super) fn steps(shape: &Shape, effort: &Effort) -> u64 {
    let subjects = subjects(shape, &[]).len();
    let windows =
        (shape.points.len() + 1) * effort.repetitions + shape.rates.len() * effort.latency_repetitions;
    (subjects * (windows + 2)) as u64
}

fn subjects(shape: &Shape, only: &[String]) -> Vec<&'static Entry> {
    let level = shape.workload.level;
    subject::all()
        .filter(|entry| entry.levels.contains(&level))
        .filter(|entry| match only {
            [] => shape.everybody || entry.headline.contains(&level),
            only => only.iter().any(|name| name == entry.name),
        })
        .collect()
}

fn at_point(workload: &Workload, axis: Axis, at: u64) -> Workload {
    let mut workload = workload.clone();
    match axis {
        Axis::Clients => workload.clients = at as usize,
        Axis::Keys => workload.keys = at,
        Axis::ValueBytes => workload.value_bytes = at as usize,
    }
    workload
}

/// The numbers below `len`, backwards every other time.
fn turns(len: usize, repetition: usize) -> Vec<usize> {
    if repetition.is_multiple_of(2) {
        (0..len).collect()
    } else {
        (0..len).rev().collect()
    }
}

impl<'a> Runner<'a> {
    pub(super) fn new(host: &'a Host, effort: Effort, progress: ProgressBar, only: Vec<String>) -> Self {
        Self {
            host,
            effort,
            progress,
            only,
            examined: HashMap::new(),
            refused: Vec::new(),
        }
    }

    /// Measures one section.
    ///
    /// # Errors
    /// When no subject is left, or there is too little memory.
    pub(super) fn section(&mut self, shape: &Shape) -> Result<Section> {
        let largest = shape.points.last().copied().unwrap_or_default();
        let most = match shape.axis {
            Axis::Clients => shape.workload.clone(),
            axis => at_point(&shape.workload, axis, largest),
        };
        let entries = subjects(shape, &self.only);
        expect_memory(&most, entries.len())?;
        let mut running = Vec::new();
        for entry in entries {
            self.say(shape, entry.name, "is checked");
            match self.ready(entry, &most) {
                Ok(subject) => running.push(subject),
                Err(error) => self.refuse(entry.name, most.level, &format!("{error:#}")),
            }
            self.progress.inc(1);
        }
        let costs = self.idle(shape, &mut running);
        let mut section = Section {
            id: shape.id.clone(),
            title: shape.title.clone(),
            workload: shape.workload.clone(),
            axis: shape.axis,
            points: Vec::new(),
            latency: Vec::new(),
            costs,
        };
        for at in &shape.points {
            let point = self.point(shape, *at, &mut running, &mut section.costs)?;
            section.points.push(point);
        }
        for rate in &shape.rates {
            section.latency.push(self.paced(shape, *rate, &mut running));
        }
        ensure!(!running.is_empty(), "no subject is left in `{}`", shape.title);
        section
            .costs
            .retain(|cost| running.iter().any(|subject| subject.name == cost.subject));
        Ok(section)
    }

    fn say(&self, shape: &Shape, name: &str, what: &str) {
        self.progress.set_message(format!("{}: {name} {what}", shape.id));
    }

    fn refuse(&mut self, name: &str, level: Level, reason: &str) {
        let refusal = Refusal {
            subject: name.to_owned(),
            reason: format!("at level {level}: {reason}"),
        };
        if !self.refused.contains(&refusal) {
            self.refused.push(refusal);
        }
    }

    /// A subject that has passed the check and is loaded.
    fn ready(&mut self, entry: &'static Entry, workload: &Workload) -> Result<Subject> {
        let key = (entry.name, workload.level);
        if !self.examined.contains_key(&key) {
            // In a process of its own, which ends: what a check leaves behind is not measured.
            let outcome = Subject::start(self.host, entry.name)?.examine(workload.level);
            self.examined
                .insert(key, outcome.err().map(|error| format!("{error:#}")));
        }
        if let Some(Some(reason)) = self.examined.get(&key) {
            anyhow::bail!("refused by the check: {reason}");
        }
        let mut subject = Subject::start(self.host, entry.name)?;
        subject.load(workload).context("while it was loaded")?;
        Ok(subject)
    }

    fn idle(&mut self, shape: &Shape, running: &mut [Subject]) -> Vec<Cost> {
        let mut costs = Vec::new();
        for subject in running {
            self.say(shape, subject.name, "is idle");
            costs.push(Cost {
                subject: subject.name.to_owned(),
                peak_bytes: 0,
                idle_percent: subject.idle(self.effort.idle_ms).unwrap_or(f64::NAN),
            });
            self.progress.inc(1);
        }
        costs
    }

    /// Takes a subject that failed out of the section.
    fn drop_failed(&mut self, running: &mut Vec<Subject>, level: Level, failed: Vec<(usize, String)>) {
        for (index, reason) in failed.into_iter().rev() {
            let subject = running.remove(index);
            self.refuse(subject.name, level, &reason);
        }
    }

    fn point(
        &mut self,
        shape: &Shape,
        at: u64,
        running: &mut Vec<Subject>,
        costs: &mut [Cost],
    ) -> Result<Point> {
        let workload = at_point(&shape.workload, shape.axis, at);
        if shape.axis == Axis::ValueBytes {
            let mut failed = Vec::new();
            for (index, subject) in running.iter_mut().enumerate() {
                self.say(shape, subject.name, "is loaded");
                if let Err(error) = subject.load(&workload) {
                    failed.push((index, format!("{error:#}")));
                }
            }
            self.drop_failed(running, workload.level, failed);
        }
        let mut rows: Vec<Row> = running.iter().map(|subject| Row::new(subject.name)).collect();
        let mut failed: Vec<(usize, String)> = Vec::new();
        for repetition in 0..self.effort.repetitions {
            for index in turns(running.len(), repetition) {
                if failed.iter().any(|(lost, _)| *lost == index) {
                    continue;
                }
                let subject = &mut running[index];
                self.say(shape, subject.name, &format!("with {at} {}", shape.axis.title()));
                match self.once(subject, &workload, workload == shape.workload, &mut rows[index]) {
                    Ok(peak_bytes) => {
                        if let Some(cost) = costs.iter_mut().find(|cost| cost.subject == subject.name) {
                            cost.peak_bytes = peak_bytes;
                        }
                    }
                    Err(error) => failed.push((index, format!("{error:#}"))),
                }
            }
        }
        failed.sort_unstable();
        let lost = |name: &str| failed.iter().any(|(index, _)| running[*index].name == name);
        rows.retain(|row| !lost(&row.subject));
        self.drop_failed(running, workload.level, failed);
        Ok(Point { at, rows })
    }

    /// One repetition of one subject; by its own calls too at the point that the verdict is about.
    fn once(&self, subject: &mut Subject, workload: &Workload, natively: bool, row: &mut Row) -> Result<u64> {
        let window_ms = self.effort.window_ms;
        let (figures, peak_bytes) = subject.closed(workload, Through::Message, window_ms)?;
        row.per_second.push(figures.per_second);
        row.cpu_seconds_per_million.push(figures.cpu_seconds_per_million);
        self.progress.inc(1);
        if natively {
            let (figures, _) = subject.closed(workload, Through::Native, window_ms)?;
            row.native_per_second.push(figures.per_second);
            self.progress.inc(1);
        }
        Ok(peak_bytes)
    }

    fn paced(&mut self, shape: &Shape, per_second: f64, running: &mut Vec<Subject>) -> Paced {
        let workload = &shape.workload;
        let mut rows: Vec<(String, Vec<_>)> = running
            .iter()
            .map(|subject| (subject.name.to_owned(), Vec::new()))
            .collect();
        let mut failed: Vec<(usize, String)> = Vec::new();
        for repetition in 0..self.effort.latency_repetitions {
            for index in turns(running.len(), repetition) {
                if failed.iter().any(|(lost, _)| *lost == index) {
                    continue;
                }
                self.say(shape, running[index].name, &format!("at {per_second} a second"));
                match running[index].open_loop(workload, per_second, self.effort.latency_ms) {
                    Ok(latency) => rows[index].1.push(latency),
                    Err(error) => failed.push((index, format!("{error:#}"))),
                }
                self.progress.inc(1);
            }
        }
        failed.sort_unstable();
        rows.retain(|(_, taken)| !taken.is_empty());
        self.drop_failed(running, workload.level, failed);
        Paced {
            per_second,
            clients: workload.clients,
            rows,
        }
    }
}

/// Refuses a workload that would make the machine swap: every subject holds all of it at the same time.
fn expect_memory(workload: &Workload, subjects: usize) -> Result<()> {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available_kib: Option<u64> = text.lines().find_map(|line| {
        line.strip_prefix("MemAvailable:")?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    });
    let Some(available) = available_kib.map(|kib| kib * 1024) else {
        return Ok(());
    };
    let needed = workload.about_bytes() * subjects as u64;
    ensure!(
        needed <= available / 10 * 9,
        "{subjects} subjects with this workload need about {}, {} are free: use fewer keys, smaller values, or --only",
        bytes(needed >> 20 << 20),
        bytes(available >> 20 << 20)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_repetition_goes_backwards() {
        assert_eq!(turns(3, 0), [0, 1, 2]);
        assert_eq!(turns(3, 1), [2, 1, 0]);
    }

    #[test]
    fn a_workload_that_does_not_fit_is_refused_with_both_numbers() {
        let shape = &super::super::plan::headline()[0];
        let huge = Workload {
            keys: 1 << 40,
            ..shape.workload.clone()
        };
        let refused = format!("{:#}", expect_memory(&huge, 8).unwrap_err());
        assert!(refused.contains("are free"), "{refused}");
        expect_memory(&shape.workload, 1).unwrap();
    }
}
