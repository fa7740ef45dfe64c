//! Repetition and summary: alternating order, medians, spreads, and ratios taken pair by pair.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

/// The figures of one subject: one row per repetition, in the order they were taken.
#[derive(Clone, Debug)]
pub struct Samples {
    /// As it stands in the table.
    pub name: &'static str,
    runs: Vec<Vec<f64>>,
}

impl Samples {
    /// Only one of several figures that each run took.
    ///
    /// # Panics
    /// When a run took fewer.
    #[must_use]
    pub fn figure(&self, which: usize) -> Self {
        Self {
            name: self.name,
            runs: self.runs.iter().map(|run| vec![run[which]]).collect(),
        }
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.runs.iter().map(|run| run[0])
    }

    /// The middle value.
    ///
    /// # Panics
    /// When nothing was measured.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(self.values().collect())
    }

    /// The smallest and the largest value.
    #[must_use]
    pub fn spread(&self) -> (f64, f64) {
        self.values()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                (low.min(v), high.max(v))
            })
    }

    /// The median of the ratios to `other`, each taken within one repetition, so that slow drifts of the machine cancel.
    ///
    /// # Panics
    /// When nothing was measured.
    #[must_use]
    pub fn ratio_to(&self, other: &Self) -> f64 {
        median(self.values().zip(other.values()).map(|(a, b)| a / b).collect())
    }
}

/// One thing to measure: its name and what takes its figures.
pub struct Subject<'a> {
    name: &'static str,
    run: Box<dyn FnMut() -> Vec<f64> + 'a>,
}

impl<'a> Subject<'a> {
    /// A subject of which each run takes one figure.
    pub fn new(name: &'static str, mut run: impl FnMut() -> f64 + 'a) -> Self {
        Self::several(name, move || vec![run()])
    }

    /// A subject of which each run takes several figures.
    pub fn several(name: &'static str, run: impl FnMut() -> Vec<f64> + 'a) -> Self {
        Self {
            name,
            run: Box::new(run),
        }
    }
}

/// Measures every subject `repetitions` times after one warm-up round. Every other round runs in reverse order, so that
/// no subject always follows the same one.
#[must_use]
pub fn alternate(mut subjects: Vec<Subject<'_>>, repetitions: usize) -> Vec<Samples> {
    let mut samples: Vec<_> = subjects
        .iter()
        .map(|subject| Samples {
            name: subject.name,
            runs: Vec::new(),
        })
        .collect();
    for subject in &mut subjects {
        (subject.run)();
    }
    for repetition in 0..repetitions.max(1) {
        let forward = 0..subjects.len();
        let order: Vec<_> = if repetition % 2 == 0 {
            forward.collect()
        } else {
            forward.rev().collect()
        };
        for index in order {
            samples[index].runs.push((subjects[index].run)());
        }
    }
    samples
}

/// Renders one table; the first subject is the one that the others are compared with.
///
/// # Panics
/// When nothing was measured.
#[must_use]
pub fn table(title: &str, unit: &str, samples: &[Samples]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header([
        title,
        unit,
        "lowest",
        "highest",
        &format!("against {}", samples[0].name),
    ]);
    for subject in samples {
        let (low, high) = subject.spread();
        let ratio = subject.ratio_to(&samples[0]);
        table.add_row([
            subject.name.to_owned(),
            shown(subject.median()),
            shown(low),
            shown(high),
            if ratio.is_finite() {
                format!("{ratio:.3}")
            } else {
                "-".to_owned()
            },
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// Renders figures that were taken once.
#[must_use]
pub fn figures(title: &str, figures: &[(&str, f64)]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header([title, ""]);
    for (name, value) in figures {
        table.add_row([(*name).to_owned(), shown(*value)]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

fn shown(value: f64) -> String {
    match value {
        v if v < 10.0 => format!("{v:.2}"),
        v if v < 1000.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty(), "a median of nothing");
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let runs = |values: [f64; 3]| values.map(|value| vec![value]).to_vec();
        let a = Samples {
            name: "a",
            runs: runs([2.0, 20.0, 200.0]),
        };
        let b = Samples {
            name: "b",
            runs: runs([1.0, 10.0, 100.0]),
        };
        assert_eq!(a.ratio_to(&b), 2.0);
        assert_eq!(a.median(), 20.0);
        assert_eq!(a.spread(), (2.0, 200.0));
    }

    #[test]
    fn every_other_round_runs_backwards() {
        let order = std::cell::RefCell::new(Vec::new());
        let subject = |name: &'static str| {
            let order = &order;
            Subject::new(name, move || {
                order.borrow_mut().push(name);
                1.0
            })
        };
        let samples = alternate(vec![subject("a"), subject("b")], 2);
        assert_eq!(samples.len(), 2);
        assert_eq!(*order.borrow(), ["a", "b", "a", "b", "b", "a"]);
    }
}
