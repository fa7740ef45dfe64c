//! A section as a coloured table for the terminal.

use super::{
    digits, mebibytes,
    rows::{is_ours, kept_up, lines, percentile},
    short, time,
};
use crate::compare::record::{Point, Section};
use comfy_table::{Attribute, Cell, CellAlignment, Color, Table, presets::UTF8_FULL_CONDENSED};

/// What each subject did at the main point, best first; and at the other points of the axis.
#[must_use]
pub(crate) fn table(section: &Section) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    let others = others(section);
    table.set_header(head(section, &others));
    for line in lines(section) {
        let name = line.name();
        let color = match (line.leads(), is_ours(name)) {
            (true, _) => Some(Color::Green),
            (false, true) => Some(Color::Cyan),
            (false, false) => None,
        };
        let plain = |text: String| match color {
            Some(color) => Cell::new(text).fg(color),
            None => Cell::new(text),
        };
        let mut cells = vec![
            if line.leads() {
                plain(name.to_owned()).add_attribute(Attribute::Bold)
            } else {
                plain(name.to_owned())
            },
            plain(short(line.median)),
            plain(format!("{} - {}", short(line.low), short(line.high))),
            plain(match line.ratio {
                Some(ratio) if ratio.is_tie() => "tie".into(),
                Some(ratio) => digits(ratio.median),
                None => "-".into(),
            }),
            plain(
                line.to_native
                    .map_or_else(|| "-".into(), |ratio| digits(ratio.median)),
            ),
            plain(digits(line.cpu_seconds_per_million)),
            plain(mebibytes(line.peak_bytes)),
            plain(format!("{} %", digits(line.idle_percent))),
        ];
        for paced in &section.latency {
            let at = |percent| percentile(paced, name, percent).map_or_else(|| "-".into(), time);
            let late = if kept_up(paced, name) { "" } else { " (behind)" };
            cells.push(plain(format!("{} / {}{late}", at(50.0), at(99.0))));
        }
        for point in &others {
            let row = point.rows.iter().find(|row| row.subject == name);
            let median = row.map(|row| crate::compare::statistics::median(&row.per_second));
            cells.push(plain(median.map_or_else(|| "-".into(), short)));
        }
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// The points that the verdict is not about.
fn others(section: &Section) -> Vec<&Point> {
    let main = section.main_point();
    section
        .points
        .iter()
        .filter(|point| main.is_none_or(|main| main.at != point.at))
        .collect()
}

fn head(section: &Section, others: &[&Point]) -> Vec<String> {
    let at = section.main_point().map_or(0, |point| point.at);
    let mut head = vec![
        "subject".to_owned(),
        format!("per second, {}", section.axis.place(at)),
        "lowest - highest".into(),
        "to the best".into(),
        "to its own calls".into(),
        "CPU s/M".into(),
        "peak".into(),
        "idle CPU".into(),
    ];
    let paced = section.latency.iter();
    head.extend(paced.map(|paced| format!("p50 / p99 at {}/s", short(paced.per_second))));
    head.extend(others.iter().map(|point| section.axis.place(point.at)));
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::record::tests::section;

    #[test]
    fn every_subject_has_a_row_and_a_tie_is_called_one() {
        let text = table(&section("x"));
        for cell in ["│ a ", "│ b ", "│ c ", "tie", "0.91", "1 client ", "p50 / p99"] {
            assert!(text.contains(cell), "no `{cell}` in\n{text}");
        }
    }
}
