//! The report as one HTML page: everything is in it, nothing is loaded, no script runs, light and dark.

use super::{
    chart::{self, Unit, escaped},
    digits, mebibytes,
    rows::{is_ours, kept_up, lines, percentile, ranked},
    short,
    style::{CHART, COLOURS, PAGE},
    time,
    verdict::verdict,
};
use crate::compare::{
    open_loop::PERCENTILES,
    record::{Axis, Machine, Record, Section},
    statistics::median,
    subject,
    workload::{bytes, count},
};
use std::fmt::Write as _;

/// The page of a run.
#[must_use]
pub(crate) fn page(record: &Record) -> String {
    let mut body = String::new();
    let _infallible = write!(
        body,
        "<h1>Which concurrency model for which workload?</h1>\
         <p class=\"soft\">Each subject answers the same messages through the same function, in a process of its own, after a \
         check that it does what is timed. Figures are medians of repetitions taken in turns; a difference inside the spread is \
         a tie (&#9733;). Quintet's engines are drawn through and coloured, rivals are dashed.</p>{}",
        machine(&record.machine, record.seed)
    );
    body.push_str("<nav><ul>");
    for section in &record.sections {
        let _infallible = write!(
            body,
            "<li><a href=\"#{}\">{}</a></li>",
            section.id,
            escaped(&section.title)
        );
    }
    body.push_str("</ul></nav>");
    for section in &record.sections {
        body.push_str(&of_section(section));
    }
    body.push_str(&who(record));
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>Quintet: which concurrency model?</title>\
         <style>{COLOURS}{PAGE}{CHART}</style></head><body><main>{body}</main></body></html>\n"
    )
}

fn machine(machine: &Machine, seed: u64) -> String {
    let features = if machine.features.is_empty() {
        "none".to_owned()
    } else {
        machine.features.join(", ")
    };
    format!(
        "<p class=\"small soft\">{}, {} cores, {} of memory, Linux {}, stores on {}; {}; commit {}; optional features: {features}; seed {seed}.</p>",
        escaped(&machine.processor),
        machine.cores,
        bytes(machine.memory_bytes >> 20 << 20),
        escaped(&machine.kernel),
        escaped(&machine.filesystem),
        escaped(&machine.rustc),
        escaped(&machine.commit),
    )
}

fn of_section(section: &Section) -> String {
    let mut html = format!(
        "<h2 id=\"{}\">{}</h2><p class=\"soft small\">{}</p><div class=\"verdict\">",
        section.id,
        escaped(&section.title),
        escaped(&section.workload.describe())
    );
    for sentence in verdict(section) {
        let _infallible = write!(html, "<p>{}</p>", escaped(&sentence));
    }
    html.push_str("</div><div class=\"charts\">");
    for (_, chart) in charts(section) {
        html.push_str(&chart);
    }
    html.push_str("</div>");
    html.push_str(&table(section));
    html
}

fn table(section: &Section) -> String {
    let at = section.main_point().map_or(0, |point| point.at);
    let mut html = format!(
        "<div class=\"scroll\"><table><tr><th>subject</th><th>per second, {} {}</th><th>lowest &ndash; highest</th><th>to the best</th>\
         <th>messages to its own calls</th><th>CPU s per million</th><th>peak memory</th><th>idle CPU</th>",
        place(section.axis, at),
        section.axis.title()
    );
    for paced in &section.latency {
        let rate = short(paced.per_second);
        let _infallible = write!(html, "<th>p50 at {rate}/s</th><th>p99 at {rate}/s</th>");
    }
    html.push_str("</tr>");
    for line in lines(section) {
        let name = line.name();
        let class = match (is_ours(name), line.leads()) {
            (true, true) => "ours leads",
            (true, false) => "ours",
            (false, true) => "leads",
            (false, false) => "",
        };
        let ratio = match line.ratio {
            Some(ratio) if ratio.is_tie() => "tie".into(),
            Some(ratio) => digits(ratio.median),
            None => "-".into(),
        };
        let _infallible = write!(
            html,
            "<tr class=\"{class}\"><td>{}</td><td>{}</td><td>{} &ndash; {}</td><td>{ratio}</td><td>{}</td><td>{}</td><td>{}</td><td>{} %</td>",
            escaped(name),
            short(line.median),
            short(line.low),
            short(line.high),
            line.to_native
                .map_or_else(|| "-".into(), |ratio| digits(ratio.median)),
            digits(line.cpu_seconds_per_million),
            mebibytes(line.peak_bytes),
            digits(line.idle_percent)
        );
        for paced in &section.latency {
            let at = |percent| percentile(paced, name, percent).map_or_else(|| "-".into(), time);
            let late = if kept_up(paced, name) { "" } else { " (behind)" };
            let _infallible = write!(html, "<td>{}</td><td>{}{late}</td>", at(50.0), at(99.0));
        }
        html.push_str("</tr>");
    }
    html + "</table></div>"
}

fn place(axis: Axis, at: u64) -> String {
    match axis {
        Axis::Clients | Axis::Keys => count(at),
        Axis::ValueBytes => bytes(at),
    }
}

/// The charts of a section, each with a short name.
#[must_use]
pub(super) fn charts(section: &Section) -> Vec<(String, String)> {
    let mut charts = vec![("throughput".to_owned(), throughput(section))];
    for (number, paced) in section.latency.iter().enumerate() {
        let names: Vec<&str> = paced.rows.iter().map(|(name, _)| name.as_str()).collect();
        let shown: Vec<f64> = PERCENTILES
            .iter()
            .copied()
            .filter(|p| (25.0..100.0).contains(p))
            .collect();
        let chart = chart::lines(&chart::Lines {
            title: "Latency, from when an operation was due",
            subtitle: format!(
                "{} operations a second from {} clients; lower is better",
                short(paced.per_second),
                paced.clients
            ),
            axis: "percent of the operations are answered within",
            places: shown.iter().map(|p| format!("{p}")).collect(),
            unit: Unit::Microseconds,
            lines: names
                .iter()
                .map(|name| chart::Line {
                    name,
                    values: shown.iter().map(|p| percentile(paced, name, *p)).collect(),
                })
                .collect(),
        });
        let suffix = if number == 0 {
            String::new()
        } else {
            format!("-{}", number + 1)
        };
        charts.push((format!("latency{suffix}"), chart));
    }
    charts.push(("cost".to_owned(), cost(section)));
    charts.push(("memory".to_owned(), memory(section)));
    charts
}

fn throughput(section: &Section) -> String {
    let names: Vec<&str> = section
        .main_point()
        .map(ranked)
        .unwrap_or_default()
        .iter()
        .map(|row| row.subject.as_str())
        .collect();
    let title = match section.axis {
        Axis::Clients => "Throughput by clients",
        Axis::Keys => "Throughput by contention",
        Axis::ValueBytes => "Throughput by size of value",
    };
    chart::lines(&chart::Lines {
        title,
        subtitle: "operations a second of all clients together; higher is better".into(),
        axis: section.axis.title(),
        places: section
            .points
            .iter()
            .map(|point| place(section.axis, point.at))
            .collect(),
        unit: Unit::PerSecond,
        lines: names
            .into_iter()
            .map(|name| chart::Line {
                name,
                values: section
                    .points
                    .iter()
                    .map(|point| {
                        let row = point.rows.iter().find(|row| row.subject == name)?;
                        Some(median(&row.per_second))
                    })
                    .collect(),
            })
            .collect(),
    })
}

fn cost(section: &Section) -> String {
    let lines = lines(section);
    let rows: Vec<(&str, f64)> = lines
        .iter()
        .map(|line| (line.name(), line.cpu_seconds_per_million))
        .collect();
    chart::bars(
        "Cost: CPU seconds per million operations",
        "clients and subject together; lower is better; fastest subject first",
        Unit::Plain,
        &rows,
    )
}

fn memory(section: &Section) -> String {
    let lines = lines(section);
    let rows: Vec<(&str, f64)> = lines
        .iter()
        .map(|line| (line.name(), line.peak_bytes as f64 / f64::from(1 << 20)))
        .collect();
    chart::bars(
        "Cost: peak memory in MiB",
        "of the whole process, mapped files included; lower is better; fastest subject first",
        Unit::Plain,
        &rows,
    )
}

fn who(record: &Record) -> String {
    let mut html = String::from("<h2 id=\"subjects\">Who is compared</h2><dl>");
    for entry in subject::all() {
        let levels: Vec<_> = entry.levels.iter().map(|level| level.as_str()).collect();
        let _infallible = write!(
            html,
            "<dt>{}</dt><dd>{} <span class=\"soft\">({})</span></dd>",
            escaped(entry.name),
            escaped(entry.model),
            levels.join(", ")
        );
    }
    html.push_str("</dl>");
    for refusal in &record.refused {
        let _infallible = write!(
            html,
            "<p>Refused: {}: {}</p>",
            escaped(&refusal.subject),
            escaped(&refusal.reason)
        );
    }
    for left_out in &record.not_compared {
        let _infallible = write!(
            html,
            "<p>Not compared: {} ({})</p>",
            escaped(&left_out.subject),
            escaped(&left_out.reason)
        );
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::record::tests::{machine, section};

    #[test]
    fn the_page_stands_alone() {
        let mut record = Record::new(machine(), 42);
        record.sections.push(section("x"));
        let html = page(&record);
        for part in [
            "A tie with 4 clients",
            "Throughput by clients",
            "Latency, from when",
            "CPU seconds per million",
            "commit abc",
            "prefers-color-scheme",
        ] {
            assert!(html.contains(part), "no `{part}`");
        }
        for outside in ["<script", "src=", "url(", "@import", "NaN"] {
            assert!(!html.contains(outside), "`{outside}` is in the page");
        }
        // Every subject is in the table, whatever it is called.
        assert_eq!(html.matches("<td>a</td>").count(), 1);
    }
}
