//! Charts as SVG that needs no script: lines over the points of an axis, and bars.
//!
//! Each line is named at its end, so no legend has to be looked up. Ours are drawn through, rivals dashed.

use super::{
    digits,
    rows::is_ours,
    short,
    style::{CHART, COLOURS},
    time,
};
use crate::compare::subject;
use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 176.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 50.0;
/// The least distance of two names.
const LINE_HEIGHT: f64 = 15.0;

/// How a value is written on the axis.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    PerSecond,
    Microseconds,
    Plain,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond => short(value),
            Self::Microseconds => time(value),
            Self::Plain => digits(value),
        }
    }
}

/// One line: a value at each place of the axis, or none.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) values: Vec<Option<f64>>,
}

/// What a chart of lines shows.
pub(super) struct Lines<'a> {
    pub(super) title: &'a str,
    pub(super) subtitle: String,
    pub(super) axis: &'a str,
    pub(super) places: Vec<String>,
    pub(super) unit: Unit,
    pub(super) lines: Vec<Line<'a>>,
}

/// Text for an element or an attribute.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The colour of a subject, the same in every chart.
fn colour(name: &str) -> String {
    let (mut ours, mut rivals) = (0, 0);
    for entry in subject::all() {
        let number = if entry.ours { &mut ours } else { &mut rivals };
        if entry.name == name {
            let (kind, count) = if entry.ours { ('c', 7) } else { ('r', 9) };
            return format!("var(--{kind}{})", *number % count);
        }
        *number += 1;
    }
    "var(--soft)".to_owned()
}

/// A chart that stands alone, as a file.
pub(super) fn as_file(chart: &str) -> String {
    chart
        .replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1)
        .replacen(
            "<!--style-->",
            &format!(
                "<style>{COLOURS}{CHART}</style><rect width=\"100%\" height=\"100%\" fill=\"var(--paper)\"/>"
            ),
            1,
        )
}

fn head(title: &str, subtitle: &str, height: f64) -> String {
    let (title, subtitle) = (escaped(title), escaped(subtitle));
    format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-label=\"{title}: {subtitle}\"><!--style--><text class=\"head\" x=\"14\" y=\"24\">{title}</text>\
         <text class=\"soft\" x=\"14\" y=\"43\">{subtitle}</text>"
    )
}

/// The ticks of a logarithmic axis that shows from `low` to `high`.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let steps: &[f64] = match (high / low).log10() {
        decades if decades > 3.5 => &[1.0],
        decades if decades > 1.6 => &[1.0, 3.0],
        _ => &[1.0, 2.0, 5.0],
    };
    let first = low.log10().floor() as i32;
    let last = high.log10().ceil() as i32;
    (first..=last)
        .flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)))
        .filter(|tick| (low * 0.999..=high * 1.001).contains(tick))
        .collect()
}

/// Lines over an axis, both ends named; the values on a logarithmic scale.
pub(super) fn lines(chart: &Lines<'_>) -> String {
    let all: Vec<f64> = chart
        .lines
        .iter()
        .flat_map(|line| line.values.iter().flatten().copied())
        .filter(|v| *v > 0.0)
        .collect();
    let low = all.iter().copied().fold(f64::INFINITY, f64::min) / 1.25;
    let high = all.iter().copied().fold(0.0, f64::max) * 1.25;
    let mut svg = head(chart.title, &chart.subtitle, HEIGHT);
    if all.is_empty() {
        return svg + "</svg>";
    }
    let y = |value: f64| {
        let share = (value / low).ln() / (high / low).ln();
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    };
    let steps = (chart.places.len().max(2) - 1) as f64;
    let x = |index: usize| LEFT + 16.0 + index as f64 / steps * (WIDTH - LEFT - RIGHT - 32.0);
    for tick in ticks(low, high) {
        let (at, label) = (y(tick), chart.unit.show(tick));
        let _infallible = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"soft\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0
        );
    }
    for (index, place) in chart.places.iter().enumerate() {
        let _infallible = write!(
            svg,
            "<text class=\"soft\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x(index),
            HEIGHT - BOTTOM + 18.0,
            escaped(place)
        );
    }
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    let _infallible = write!(
        svg,
        "<text class=\"soft\" text-anchor=\"middle\" x=\"{middle:.1}\" y=\"{:.1}\">{}</text>",
        HEIGHT - 12.0,
        escaped(chart.axis)
    );
    let mut names = Vec::new();
    for line in &chart.lines {
        names.extend(draw(&mut svg, line, &x, &y));
    }
    name_ends(&mut svg, names);
    svg + "</svg>"
}

/// Draws one line; answers where it ends, with its name.
fn draw<'a>(
    svg: &mut String,
    line: &Line<'a>,
    x: &impl Fn(usize) -> f64,
    y: &impl Fn(f64) -> f64,
) -> Option<(f64, f64, &'a str)> {
    let points: Vec<(f64, f64)> = line
        .values
        .iter()
        .enumerate()
        .filter_map(|(index, value)| value.filter(|v| *v > 0.0).map(|value| (x(index), y(value))))
        .collect();
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let rival = if is_ours(line.name) { "" } else { " rival" };
    let colour = colour(line.name);
    let _infallible = write!(
        svg,
        "<polyline class=\"line{rival}\" stroke=\"{colour}\" points=\"{}\"><title>{}</title></polyline>",
        path.join(" "),
        escaped(line.name)
    );
    for (x, y) in &points {
        let _infallible = write!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\" fill=\"{colour}\"/>"
        );
    }
    points.last().map(|(x, y)| (*x, *y, line.name))
}

/// Writes the names at the lines' ends, moved apart where they would overlap.
fn name_ends(svg: &mut String, mut names: Vec<(f64, f64, &str)>) {
    names.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut places: Vec<f64> = names.iter().map(|name| name.1).collect();
    for index in 1..places.len() {
        places[index] = places[index].max(places[index - 1] + LINE_HEIGHT);
    }
    let lowest = HEIGHT - BOTTOM + 10.0;
    let mut limit = lowest;
    for place in places.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - LINE_HEIGHT;
    }
    for ((x, y, name), place) in names.into_iter().zip(places) {
        let label = WIDTH - RIGHT + 18.0;
        let _infallible = write!(
            svg,
            "<line class=\"lead\" x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{place:.1}\"/>\
             <text style=\"fill:{}\" x=\"{label:.1}\" y=\"{:.1}\">{}</text>",
            x + 5.0,
            label - 4.0,
            colour(name),
            place + 4.5,
            escaped(name)
        );
    }
}

/// Bars side by side, each with its value at the end. `rows` are (name, value).
pub(super) fn bars(title: &str, subtitle: &str, unit: Unit, rows: &[(&str, f64)]) -> String {
    const ROW: f64 = 24.0;
    let height = TOP + 14.0 + ROW * rows.len() as f64;
    let mut svg = head(title, subtitle, height);
    let most = rows
        .iter()
        .map(|row| row.1)
        .filter(|value| value.is_finite())
        .fold(0.0, f64::max);
    let (left, width) = (170.0, WIDTH - 170.0 - 84.0);
    for (index, (name, value)) in rows.iter().enumerate() {
        let top = TOP + ROW * index as f64;
        let share = if most > 0.0 && value.is_finite() {
            value / most
        } else {
            0.0
        };
        let faint = if is_ours(name) { 1.0 } else { 0.55 };
        let colour = colour(name);
        let _infallible = write!(
            svg,
            "<text text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
             <rect x=\"{left}\" y=\"{:.1}\" width=\"{:.1}\" height=\"15\" rx=\"2\" fill=\"{colour}\" opacity=\"{faint}\"/>\
             <text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            left - 8.0,
            top + 12.0,
            escaped(name),
            top,
            (share * width).max(1.0),
            left + share * width + 7.0,
            top + 12.0,
            unit.show(*value)
        );
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_names_every_line_and_escapes_what_it_is_given() {
        let chart = Lines {
            title: "a < b",
            subtitle: String::new(),
            axis: "clients",
            places: vec!["1".into(), "64".into()],
            unit: Unit::PerSecond,
            lines: vec![
                Line {
                    name: "Mutex<HashMap>",
                    values: vec![Some(1000.0), Some(10.0)],
                },
                Line {
                    name: "kv",
                    values: vec![Some(1000.0), None],
                },
            ],
        };
        let svg = lines(&chart);
        for part in [
            "a &lt; b",
            "Mutex&lt;HashMap&gt;</text>",
            ">kv</text>",
            ">1.00 k</text>",
            "line rival",
        ] {
            assert!(svg.contains(part), "no `{part}` in {svg}");
        }
        assert!(!svg.contains("NaN"));
        assert!(as_file(&svg).contains("prefers-color-scheme:dark"));
        let nothing = lines(&Lines {
            lines: Vec::new(),
            ..chart
        });
        assert!(nothing.ends_with("</svg>") && !nothing.contains("NaN"));
    }

    #[test]
    fn ticks_cover_the_scale() {
        assert_eq!(ticks(1.0, 9.0), [1.0, 2.0, 5.0]);
        assert_eq!(ticks(90.0, 110_000.0).first(), Some(&100.0));
        assert!(ticks(1.0, 1e9).len() <= 10);
    }
}
