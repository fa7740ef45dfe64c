//! Repetition and summary: alternating order, medians, spreads, and ratios taken pair by pair.

/// The figures of one subject, one per repetition, in the order they were taken.
#[derive(Clone, Debug)]
pub struct Samples {
    /// As it stands in the table.
    pub name: &'static str,
    values: Vec<f64>,
}

impl Samples {
    /// The middle value.
    ///
    /// # Panics
    /// When nothing was measured.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(self.values.clone())
    }

    /// The smallest and the largest value.
    #[must_use]
    pub fn spread(&self) -> (f64, f64) {
        self.values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                (low.min(*v), high.max(*v))
            })
    }

    /// The median of the ratios to `other`, each taken within one repetition, so that slow drifts of the machine cancel.
    #[must_use]
    pub fn ratio_to(&self, other: &Self) -> f64 {
        median(
            self.values
                .iter()
                .zip(&other.values)
                .map(|(a, b)| a / b)
                .collect(),
        )
    }
}

/// One thing to measure: its name and what takes one figure.
pub struct Subject<'a> {
    /// As it stands in the table.
    pub name: &'static str,
    /// Takes one figure.
    pub run: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Subject<'a> {
    /// A subject from its parts.
    pub fn new(name: &'static str, run: impl FnMut() -> f64 + 'a) -> Self {
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
            values: Vec::new(),
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
            samples[index].values.push((subjects[index].run)());
        }
    }
    samples
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
        let a = Samples {
            name: "a",
            values: vec![2.0, 20.0, 200.0],
        };
        let b = Samples {
            name: "b",
            values: vec![1.0, 10.0, 100.0],
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
