//! What was measured, as it is saved: versioned JSON that a report can be made from again.
//!
//! Every repetition is kept, in the order it was taken, so that ratios can be taken repetition by repetition.

use super::{
    open_loop::Latency,
    workload::{Workload, bytes, count},
};
use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// Of the file. Raise it when a field changes its meaning.
pub(crate) const VERSION: u32 = 1;
const FORMAT: &str = "quintet-bench comparison";

/// A run, or several runs of one program on one machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Always `quintet-bench comparison`.
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// What it ran on.
    pub machine: Machine,
    /// Of every random draw.
    pub seed: u64,
    /// In the order they were measured.
    pub sections: Vec<Section>,
    /// Who failed the check before the clock, and why.
    pub refused: Vec<Refusal>,
    /// Who was left out, and why.
    pub not_compared: Vec<Refusal>,
}

/// What a figure depends on beside the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many cores this process may use.
    pub cores: usize,
    /// Of the machine.
    pub memory_bytes: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// Of the directory with the stores.
    pub filesystem: String,
    /// The compiler.
    pub rustc: String,
    /// Of the sources, with `+` when they were changed since.
    pub commit: String,
    /// The bench's optional features.
    pub features: Vec<String>,
}

/// A subject that is not in the tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// Its name.
    pub subject: String,
    /// In one line.
    pub reason: String,
}

/// What grows from one point to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Axis {
    /// Clients.
    Clients,
    /// Keys that are asked for.
    Keys,
    /// Bytes of a value.
    ValueBytes,
}

impl Axis {
    /// As a chart's axis says it.
    #[must_use]
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Keys => "keys",
            Self::ValueBytes => "bytes of a value",
        }
    }

    /// A point of it, in words.
    pub(crate) fn place(self, at: u64) -> String {
        match self {
            Self::Clients if at == 1 => "1 client".to_owned(),
            Self::Clients => format!("{at} clients"),
            Self::Keys if at == 1 => "1 key".to_owned(),
            Self::Keys => format!("{} keys", count(at)),
            Self::ValueBytes => format!("values of {}", bytes(at)),
        }
    }
}

/// One shape of workload: all its subjects, at several points of one axis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Section {
    /// A short name without blanks.
    pub id: String,
    /// For a heading.
    pub title: String,
    /// At the point that the verdict is about.
    pub workload: Workload,
    /// What the points differ in.
    pub axis: Axis,
    /// From the smallest on.
    pub points: Vec<Point>,
    /// Latency at fixed rates, from the lowest on.
    pub latency: Vec<Paced>,
    /// What each subject took beside time.
    pub costs: Vec<Cost>,
}

/// Every subject at one point of the axis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Point {
    /// Where on the axis.
    pub at: u64,
    /// In the order of the subjects.
    pub rows: Vec<Row>,
}

/// The throughput of one subject at one point: a value for each repetition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Its name.
    pub subject: String,
    /// Operations a second, asked as messages.
    pub per_second: Vec<f64>,
    /// Operations a second by its own calls; empty where they were not measured.
    pub native_per_second: Vec<f64>,
    /// Seconds on a core for a million operations.
    pub cpu_seconds_per_million: Vec<f64>,
}

/// Latency at one rate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Paced {
    /// Operations a second that were due.
    pub per_second: f64,
    /// From how many clients.
    pub clients: usize,
    /// In the order of the subjects: one measurement for each repetition.
    pub rows: Vec<(String, Vec<Latency>)>,
}

/// What a subject takes beside time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Its name.
    pub subject: String,
    /// The most memory its process had, in bytes, clients included.
    pub peak_bytes: u64,
    /// Percent of a core when nobody asks.
    pub idle_percent: f64,
}

impl Row {
    /// Of a subject that was not measured yet.
    pub(crate) fn new(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            per_second: Vec::new(),
            native_per_second: Vec::new(),
            cpu_seconds_per_million: Vec::new(),
        }
    }
}

impl Section {
    /// The point that the verdict is about.
    #[must_use]
    pub(crate) fn main_point(&self) -> Option<&Point> {
        let at = match self.axis {
            Axis::Clients => self.workload.clients as u64,
            Axis::Keys => self.workload.keys,
            Axis::ValueBytes => self.workload.value_bytes as u64,
        };
        self.points
            .iter()
            .find(|point| point.at == at)
            .or_else(|| self.points.last())
    }

    /// The costs of that subject.
    #[must_use]
    pub(crate) fn cost_of(&self, subject: &str) -> Option<&Cost> {
        self.costs.iter().find(|cost| cost.subject == subject)
    }
}

impl Record {
    /// Nothing measured yet.
    #[must_use]
    pub(crate) fn new(machine: Machine, seed: u64) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            machine,
            seed,
            sections: Vec::new(),
            refused: Vec::new(),
            not_compared: Vec::new(),
        }
    }

    /// Adds what another run measured; a section that is there is replaced.
    ///
    /// # Errors
    /// When it ran on another machine or build: figures of different runs do not belong in one report.
    pub(crate) fn take(&mut self, other: Self) -> Result<()> {
        ensure!(
            self.machine == other.machine && self.seed == other.seed,
            "the saved run is of another machine, build or seed: {:?}, and this one of {:?}",
            self.machine,
            other.machine
        );
        for section in other.sections {
            match self.sections.iter_mut().find(|old| old.id == section.id) {
                Some(old) => *old = section,
                None => self.sections.push(section),
            }
        }
        for refusal in other.refused {
            if !self.refused.contains(&refusal) {
                self.refused.push(refusal);
            }
        }
        self.not_compared = other.not_compared;
        Ok(())
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// What the system answers.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut text = serde_json::to_string(self)?;
        // One section a line: a diff shows what was measured again.
        text = text
            .replace("{\"id\":", "\n{\"id\":")
            .replace("],\"refused\":", "],\n\"refused\":");
        text.push('\n');
        fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// When it cannot be read, is none of ours, or of another version.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let head: serde_json::Value = serde_json::from_str(&text)?;
        ensure!(
            head["format"] == FORMAT && head["version"] == VERSION,
            "{} is of format {} version {}, this program reads {FORMAT:?} version {VERSION}",
            path.display(),
            head["format"],
            head["version"]
        );
        Ok(serde_json::from_value(head)?)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::compare::workload::{Choice, Level, Mix};

    pub(crate) fn machine() -> Machine {
        Machine {
            processor: "a processor".into(),
            cores: 2,
            memory_bytes: 1 << 34,
            kernel: "6.0".into(),
            filesystem: "ext4".into(),
            rustc: "rustc 1.95".into(),
            commit: "abc".into(),
            features: Vec::new(),
        }
    }

    /// Two points; `a` wins at 1 client and loses at 4, `b` and `c` are a tie there.
    pub(crate) fn section(id: &str) -> Section {
        let row = |subject: &str, values: [f64; 3]| Row {
            subject: subject.into(),
            per_second: values.to_vec(),
            native_per_second: values.iter().map(|value| value * 1.1).collect(),
            cpu_seconds_per_million: vec![1.5, 1.6, 1.7],
        };
        let latency = |us: f64| Latency {
            achieved_per_second: 1000.0,
            percentiles_us: (1..=12).map(|n| us * f64::from(n)).collect(),
        };
        Section {
            id: id.into(),
            title: "A title".into(),
            workload: Workload {
                mix: Mix::reads(95),
                choice: Choice::Zipf,
                keys: 1000,
                value_bytes: 128,
                clients: 4,
                depth: 1,
                level: Level::Memory,
                seed: 42,
            },
            axis: Axis::Clients,
            points: vec![
                Point {
                    at: 1,
                    rows: vec![
                        row("a", [3000.0, 3100.0, 3200.0]),
                        row("b", [1000.0, 1100.0, 1200.0]),
                        row("c", [1000.0, 1000.0, 1000.0]),
                    ],
                },
                Point {
                    at: 4,
                    rows: vec![
                        row("a", [1000.0, 1000.0, 1000.0]),
                        row("b", [2000.0, 2100.0, 2200.0]),
                        row("c", [2100.0, 2000.0, 2150.0]),
                    ],
                },
            ],
            latency: vec![Paced {
                per_second: 1000.0,
                clients: 4,
                rows: vec![
                    ("a".into(), vec![latency(2.0)]),
                    ("b".into(), vec![latency(1.0)]),
                    ("c".into(), vec![latency(3.0)]),
                ],
            }],
            costs: ["a", "b", "c"]
                .into_iter()
                .map(|subject| Cost {
                    subject: subject.into(),
                    peak_bytes: 10 << 20,
                    idle_percent: 0.1,
                })
                .collect(),
        }
    }

    #[test]
    fn a_saved_run_is_read_back_and_another_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/run.json");
        let mut record = Record::new(machine(), 7);
        record.sections.push(section("x"));
        record.save(&path).unwrap();
        let read = Record::load(&path).unwrap();
        assert_eq!(
            serde_json::to_value(&read).unwrap(),
            serde_json::to_value(&record).unwrap()
        );
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"version\":1", "\"version\":9")).unwrap();
        let refused = format!("{:#}", Record::load(&path).unwrap_err());
        assert!(refused.contains("version 9"), "{refused}");
    }

    #[test]
    fn runs_of_different_machines_do_not_mix_and_a_section_is_replaced() {
        let mut record = Record::new(machine(), 7);
        record.sections.push(section("x"));
        let mut again = record.clone();
        again.sections[0].title = "measured again".into();
        again.sections.push(section("y"));
        record.take(again).unwrap();
        assert_eq!(record.sections.len(), 2);
        assert_eq!(record.sections[0].title, "measured again");
        let other = Machine {
            cores: 64,
            ..machine()
        };
        assert!(record.take(Record::new(other, 7)).is_err());
    }
}
