//! Is this build slower than another one? Both programs' subjects are measured in turns; an alarm needs the whole interval.
//!
//! Each pair is two fresh processes, one of each program, because where a process's memory lies alone makes a few percent.
//! A pair gives one ratio; the interval is that of the sign test over the pairs.

use super::{
    drive::Through,
    plan,
    process::{Host, Subject},
    statistics::Ratio,
    subject,
    workload::Workload,
};
use anyhow::Result;
use comfy_table::{Cell, CellAlignment, Color, Table, presets::UTF8_FULL_CONDENSED};
use indicatif::ProgressBar;

/// What is not worth an alarm.
pub(crate) const TOLERANCE: f64 = 0.05;
/// How often each program is measured in one pair.
const TURNS: usize = 2;

/// One subject on one shape.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) shape: String,
    pub(super) subject: &'static str,
    /// New over old, in operations a second.
    pub(super) ratio: Ratio,
}

impl Finding {
    pub(super) fn is_alarm(&self) -> bool {
        self.ratio.is_slower_by(TOLERANCE)
    }
}

/// How much is measured.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) pairs: usize,
    pub(super) window_ms: u64,
    /// Only these sections and subjects; all of ours without.
    pub(super) sections: Vec<String>,
    pub(super) subjects: Vec<String>,
}

/// Compares every one of our engines that is in scope, on every shape of the bare run.
///
/// # Errors
/// When a subject fails, or the programs do not speak the same language.
pub(super) fn compare(old: &Host, new: &Host, scope: &Scope, progress: &ProgressBar) -> Result<Vec<Finding>> {
    let mut cells = Vec::new();
    for shape in plan::headline() {
        let wanted = |list: &[String], name: &str| list.is_empty() || list.iter().any(|one| one == name);
        if !wanted(&scope.sections, &shape.id) {
            continue;
        }
        let workload = Workload {
            clients: 2,
            ..shape.workload.clone()
        };
        for entry in subject::all().filter(|entry| entry.ours && entry.levels.contains(&workload.level)) {
            if wanted(&scope.subjects, entry.name) {
                cells.push((shape.id.clone(), entry.name, workload.clone()));
            }
        }
    }
    progress.set_length((cells.len() * scope.pairs) as u64);
    let mut findings = Vec::new();
    for (shape, subject, workload) in cells {
        progress.set_message(format!("{shape}: {subject}"));
        let (mut before, mut now) = (Vec::new(), Vec::new());
        for pair in 0..scope.pairs {
            let (a, b) = measure(old, new, subject, &workload, scope.window_ms, pair)?;
            before.push(a);
            now.push(b);
            progress.inc(1);
        }
        if let Some(ratio) = Ratio::of(&now, &before) {
            findings.push(Finding {
                shape,
                subject,
                ratio,
            });
        }
    }
    Ok(findings)
}

/// Operations a second of the old program and of the new one.
fn measure(
    old: &Host,
    new: &Host,
    name: &'static str,
    workload: &Workload,
    window_ms: u64,
    pair: usize,
) -> Result<(f64, f64)> {
    let mut sides = [Subject::start(old, name)?, Subject::start(new, name)?];
    for side in &mut sides {
        side.load(workload)?;
    }
    let mut sums = [0.0; 2];
    for turn in 0..TURNS {
        // a b b a, and for every other pair b a a b.
        let first = (turn + pair) % 2;
        for index in [first, 1 - first] {
            let (figures, _) = sides[index].closed(workload, Through::Message, window_ms)?;
            sums[index] += figures.per_second;
        }
    }
    Ok((sums[0] / TURNS as f64, sums[1] / TURNS as f64))
}

/// What was found, for a terminal.
pub(super) fn table(findings: &[Finding]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(["section", "subject", "new / old", "interval", "verdict"]);
    for finding in findings {
        let ratio = finding.ratio;
        let (verdict, color) = match () {
            () if finding.is_alarm() => ("SLOWER by more than 5 %", Color::Red),
            () if ratio.low > 1.0 + TOLERANCE => ("faster by more than 5 %", Color::Green),
            () if ratio.low >= 1.0 - TOLERANCE && ratio.high <= 1.0 + TOLERANCE => {
                ("same within 5 %", Color::Grey)
            }
            () => ("no difference that is certain", Color::Grey),
        };
        table.add_row([
            Cell::new(&finding.shape),
            Cell::new(finding.subject),
            Cell::new(format!("{:.3}", ratio.median)),
            Cell::new(format!("{:.3} - {:.3}", ratio.low, ratio.high)),
            Cell::new(verdict).fg(color),
        ]);
    }
    for column in table.column_iter_mut().skip(2).take(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_slower_is_an_alarm() {
        let finding = |median, low, high| Finding {
            shape: "cache".into(),
            subject: "kv",
            ratio: Ratio { median, low, high },
        };
        let findings = [
            finding(0.77, 0.75, 0.80),
            finding(0.93, 0.85, 0.96),
            finding(1.0, 0.99, 1.01),
            finding(1.3, 1.2, 1.4),
        ];
        let alarms: Vec<bool> = findings.iter().map(Finding::is_alarm).collect();
        assert_eq!(alarms, [true, false, false, false]);
        let text = table(&findings);
        for part in [
            "SLOWER",
            "no difference that is certain",
            "same within 5 %",
            "faster by",
        ] {
            assert_eq!(text.matches(part).count(), 1, "{part} in\n{text}");
        }
    }
}
