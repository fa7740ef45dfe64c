//! Tables of medians, and for each aim what was reached.

use super::{
    Figures,
    plan::{Aim, Cell, Table},
    subject::Kind,
};
use comfy_table::{CellAlignment, Table as Grid, presets::UTF8_FULL_CONDENSED};

const COLUMNS: [&str; 9] = [
    "per s",
    "MB/s",
    "p50 µs",
    "p99 µs",
    "p99.9 µs",
    "CPU µs each",
    "memory MiB",
    "flushes/s",
    "PUTs each",
];

/// Everything as text. `measured` is by table, row and repetition.
pub(super) fn render(tables: &[Table], measured: &[Vec<Vec<Figures>>], absent: &[String]) -> String {
    let mut parts = Vec::new();
    let mut verdicts = Vec::new();
    for (table, runs) in tables.iter().zip(measured) {
        let medians: Vec<Figures> = runs.iter().map(|runs| median(runs)).collect();
        parts.push(grid(table, &medians));
        verdicts.extend(verdict(table, &medians));
    }
    verdicts.extend(absent.iter().cloned());
    parts.push(verdicts.join("\n"));
    parts.join("\n\n")
}

fn fields(figures: &Figures) -> [f64; 9] {
    [
        figures.per_second,
        figures.mb_per_second,
        figures.p50_us,
        figures.p99_us,
        figures.p999_us,
        figures.cpu_us,
        figures.anonymous_mib,
        figures.flushes_per_second,
        figures.per_flush,
    ]
}

/// The median of each figure by itself.
fn median(runs: &[Figures]) -> Figures {
    let of = |field: usize| {
        let mut values: Vec<f64> = runs.iter().map(|run| fields(run)[field]).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => 0.0,
            count if count % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
            _ => values[middle],
        }
    };
    Figures {
        per_second: of(0),
        mb_per_second: of(1),
        p50_us: of(2),
        p99_us: of(3),
        p999_us: of(4),
        cpu_us: of(5),
        anonymous_mib: of(6),
        flushes_per_second: of(7),
        per_flush: of(8),
    }
}

fn grid(table: &Table, medians: &[Figures]) -> String {
    let mut grid = Grid::new();
    grid.load_preset(UTF8_FULL_CONDENSED);
    grid.set_header([table.title.as_str()].into_iter().chain(COLUMNS));
    for (row, figures) in table.rows.iter().zip(medians) {
        let cells = fields(figures).map(|value| match value {
            0.0 => "-".to_owned(),
            v if v < 10.0 => format!("{v:.2}"),
            v if v < 1000.0 => format!("{v:.1}"),
            v => format!("{v:.0}"),
        });
        grid.add_row([row.name.clone()].into_iter().chain(cells));
    }
    for column in grid.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    grid.to_string()
}

/// The best of the rows that `which` picks.
fn best(table: &Table, medians: &[Figures], which: impl Fn(Kind) -> bool) -> Option<f64> {
    let rows = table.rows.iter().zip(medians);
    rows.filter(|(row, _)| matches!(&row.cell, Cell::Server { kind, .. } if which(*kind)))
        .map(|(_, figures)| figures.per_second)
        .max_by(f64::total_cmp)
}

fn verdict(table: &Table, medians: &[Figures]) -> Option<String> {
    let title = &table.title;
    let ours = best(table, medians, Kind::is_ours)?;
    Some(match table.aim? {
        Aim::TimesRivals(aim) | Aim::TimesDav(aim) => {
            let rivals = best(table, medians, |kind| !kind.is_ours())?;
            format!(
                "{title}: {:.2} times the better rival, aim {aim}{}",
                ours / rivals,
                missed(ours / rivals >= aim)
            )
        }
        Aim::PerSecond(aim) => {
            let full = medians.iter().take(2).max_by(|a, b| {
                let (a, b) = (a.per_second, b.per_second);
                a.total_cmp(&b)
            })?;
            format!(
                "{title}: {:.0} a second at full durability, aim {aim}{}; {:.0} flushes a second, {:.0} PUTs each",
                full.per_second,
                missed(full.per_second >= aim),
                full.flushes_per_second,
                full.per_flush
            )
        }
        Aim::TailWithin(aim) => {
            let (alone, beside) = (medians.first()?.p99_us, medians.get(1)?.p99_us);
            format!(
                "{title}: p99 {:.2} times as long, aim {aim}{}",
                beside / alone,
                missed(beside <= aim * alone)
            )
        }
    })
}

fn missed(reached: bool) -> &'static str {
    if reached { "" } else { " (missed)" }
}
