//! `docs/benchmarks.md`, its charts, and the table of the README: all from one saved run.
//!
//! What a program cannot know, why a subject loses, is written by hand in `notes.md` beside the saved run: a heading with
//! the section's name, and the paragraph that goes under its verdict.

use super::{
    chart, digits, html, mebibytes,
    rows::{is_ours, kept_up, lines, percentile},
    short, time,
    verdict::verdict,
};
use crate::compare::{
    record::{Record, Section},
    workload::bytes,
};
use anyhow::{Context as _, Result, ensure};
use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

/// Where the generated part of the README is.
const BEGIN: &str = "<!-- made by `cargo xtask bench report`: begin -->";
const END: &str = "<!-- made by `cargo xtask bench report`: end -->";
/// The sections that the README shows.
const IN_README: [&str; 3] = ["cache", "counters", "durable"];

/// The files that a saved run becomes, below the workspace's root.
///
/// # Errors
/// When the README has no place for its table, or a file cannot be read.
pub(crate) fn files(record: &Record, root: &Path) -> Result<BTreeMap<String, String>> {
    let notes = fs::read_to_string(root.join("docs/benchmarks/notes.md")).unwrap_or_default();
    let notes = read_notes(&notes);
    let mut files = BTreeMap::new();
    for section in &record.sections {
        for (name, svg) in html::charts(section) {
            let path = format!("docs/benchmarks/{}-{name}.svg", section.id);
            files.insert(path, chart::as_file(&svg) + "\n");
        }
    }
    files.insert("docs/benchmarks.md".into(), document(record, &notes));
    files.insert("docs/benchmarks/report.html".into(), html::page(record));
    let readme = fs::read_to_string(root.join("README.md")).context("reading README.md")?;
    files.insert("README.md".into(), with_table(&readme, record)?);
    Ok(files)
}

fn read_notes(text: &str) -> BTreeMap<String, String> {
    let mut notes = BTreeMap::new();
    for part in text.split("\n## ").skip(1) {
        if let Some((id, body)) = part.split_once('\n') {
            notes.insert(id.trim().to_owned(), body.trim().to_owned());
        }
    }
    notes
}

fn machine(record: &Record) -> String {
    let machine = &record.machine;
    let features = if machine.features.is_empty() {
        "no optional features".to_owned()
    } else {
        format!("features {}", machine.features.join(", "))
    };
    format!(
        "{}, {} cores, {} of memory, Linux {}, stores on {}; {}; commit {}; {features}; seed {}",
        machine.processor,
        machine.cores,
        bytes(machine.memory_bytes >> 20 << 20),
        machine.kernel,
        machine.filesystem,
        machine.rustc,
        machine.commit,
        record.seed
    )
}

fn document(record: &Record, notes: &BTreeMap<String, String>) -> String {
    let mut text = format!(
        "# Which concurrency model for which workload?\n\n\
         Made by `cargo xtask bench report` from [a saved run](benchmarks/run.json); the same as [one page](benchmarks/report.html).\n\
         Do not edit: measure again, or change [the notes](benchmarks/notes.md).\n\n\
         Measured on: {}.\n\n\
         How to read it: every subject answers the same `Keyed` messages through the same function, in a process of its own, after\n\
         core's conformance suite has shown that it does what is timed. Figures are medians of repetitions taken in turns, with the\n\
         lowest and the highest. *To the best* is a ratio taken repetition by repetition; where its interval contains 1 it says tie.\n\
         *To its own calls* compares the messages with the calls that a user would write. Latency counts from the moment an operation\n\
         was due. Figures of different tables must not be compared when their durability differs.\n",
        machine(record)
    );
    text.push_str("\n| section | workload |\n|---|---|\n");
    for section in &record.sections {
        let _infallible = writeln!(
            text,
            "| [{}](#{}) | {} |",
            section.title,
            section.id,
            section.workload.describe()
        );
    }
    for section in &record.sections {
        text.push_str(&of_section(section, notes.get(&section.id)));
    }
    if let Some(end) = notes.get("what these figures do not say") {
        let _infallible = write!(text, "\n## What these figures do not say\n\n{end}\n");
    }
    if !(record.refused.is_empty() && record.not_compared.is_empty()) {
        text.push_str("\n## Who is not in the tables\n\n");
        for refusal in &record.refused {
            let _infallible = writeln!(text, "- {}: refused, {}", refusal.subject, refusal.reason);
        }
        for left_out in &record.not_compared {
            let _infallible = writeln!(
                text,
                "- not compared: {}, which {}",
                left_out.subject, left_out.reason
            );
        }
    }
    text
}

fn of_section(section: &Section, note: Option<&String>) -> String {
    let mut text = format!(
        "\n<a id=\"{}\"></a>\n\n## {}\n\n{}.\n\n",
        section.id,
        section.title,
        section.workload.describe()
    );
    let _infallible = writeln!(text, "{}", verdict(section).join(" "));
    if let Some(note) = note {
        let _infallible = writeln!(text, "\n{note}");
    }
    text.push('\n');
    for (name, _) in html::charts(section) {
        let _infallible = writeln!(
            text,
            "![{}: {name}](benchmarks/{}-{name}.svg)",
            section.title, section.id
        );
    }
    text.push('\n');
    text.push_str(&table(section));
    text
}

fn table(section: &Section) -> String {
    let at = section.main_point().map_or(0, |point| point.at);
    let mut head = format!(
        "| subject | per second, {at} {} | lowest - highest | to the best | to its own calls | CPU s/M | peak memory | idle CPU |",
        section.axis.title()
    );
    let mut rule = String::from("|---|---:|---:|---:|---:|---:|---:|---:|");
    for paced in &section.latency {
        let _infallible = write!(head, " p50 / p99 at {}/s |", short(paced.per_second));
        rule.push_str("---:|");
    }
    let mut text = format!("{head}\n{rule}\n");
    for line in lines(section) {
        let name = if is_ours(line.name()) {
            format!("**{}**", line.name())
        } else {
            line.name().to_owned()
        };
        let ratio = match line.ratio {
            Some(ratio) if ratio.is_tie() => "tie".into(),
            Some(ratio) => digits(ratio.median),
            None => "-".into(),
        };
        let _infallible = write!(
            text,
            "| {} | {} | {} - {} | {ratio} | {} | {} | {} | {} % |",
            name.replace('<', "\\<"),
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
            let at = |percent| percentile(paced, line.name(), percent).map_or_else(|| "-".into(), time);
            let late = if kept_up(paced, line.name()) {
                ""
            } else {
                " (behind)"
            };
            let _infallible = write!(text, " {} / {}{late} |", at(50.0), at(99.0));
        }
        text.push('\n');
    }
    text
}

/// The README with its table made new.
fn with_table(readme: &str, record: &Record) -> Result<String> {
    let parts = readme
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.with_context(|| format!("README.md has no lines `{BEGIN}` and `{END}`"))?;
    let mut text = String::from("| workload | verdict |\n|---|---|\n");
    for id in IN_README {
        let section = record.sections.iter().find(|section| section.id == id);
        let section = section.with_context(|| format!("the saved run has no section `{id}`"))?;
        let said = verdict(section);
        ensure!(!said.is_empty(), "no verdict on `{id}`");
        let kept: Vec<&str> = said.iter().map(String::as_str).take(4).collect();
        let _infallible = writeln!(
            text,
            "| [{}](docs/benchmarks.md#{id}) ({}) | {} |",
            section.title,
            section.workload.level,
            kept.join(" ").replace('<', "\\<")
        );
    }
    Ok(format!(
        "{before}{BEGIN}\n{text}\n{}.\n{END}{after}",
        machine(record)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::record::tests::{machine, section};

    fn record() -> Record {
        let mut record = Record::new(machine(), 42);
        record.sections.extend(IN_README.map(section));
        record
    }

    #[test]
    fn the_document_has_verdict_note_charts_and_every_row() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("docs/benchmarks")).unwrap();
        fs::write(
            root.path().join("docs/benchmarks/notes.md"),
            "# Notes\n\n## cache\n\nBecause.\n\n## other\n\nx\n",
        )
        .unwrap();
        fs::write(
            root.path().join("README.md"),
            format!("top\n{BEGIN}\nold\n{END}\nbottom\n"),
        )
        .unwrap();
        let files = files(&record(), root.path()).unwrap();
        let document = &files["docs/benchmarks.md"];
        for part in [
            "A tie with 4 clients",
            "\nBecause.\n",
            "](benchmarks/cache-throughput.svg)",
            "| a | 1.00 k |",
        ] {
            assert!(document.contains(part), "no `{part}` in\n{document}");
        }
        assert!(files["docs/benchmarks/cache-cost.svg"].starts_with("<svg xmlns"));
        let readme = &files["README.md"];
        assert!(readme.starts_with("top\n") && readme.ends_with("\nbottom\n") && !readme.contains("\nold\n"));
        assert_eq!(readme.matches("docs/benchmarks.md#").count(), 3);
    }

    #[test]
    fn a_readme_without_a_place_is_an_error() {
        assert!(with_table("nothing here", &record()).is_err());
        let mut record = record();
        record.sections.clear();
        assert!(with_table(&format!("{BEGIN}\n{END}"), &record).is_err());
    }
}
