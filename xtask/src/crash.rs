//! `cargo xtask crash`: the long loops that prove recovery. Each stage is one line of [`STAGES`].
//!
//! A stage is a set of tests of one package, selected by a word in their names, built for release and given more cases
//! than an ordinary test run. A stage that selects no test fails: otherwise a renamed test would go unnoticed.

use crate::{
    command::{Command, Usage},
    steps::{Steps, command_line, output_of},
    workspace::cargo,
};
use anyhow::{Result, ensure};
use std::process;

pub(crate) const COMMAND: Command = Command {
    name: "crash",
    summary: "long crash and fault loops: torn, lost and reordered writes",
    help: "\
Usage: cargo xtask crash [STAGE] [--cases N]

Runs every stage, or the one named. N is the number of random cases of each property (default 2048).
Stages are listed in xtask/src/crash.rs. A failure prints its seed; repeat it with PROPTEST_RNG_SEED or
from the saved regression file.",
    forwards: false,
    run,
};

/// A set of tests, and what they prove.
struct Stage {
    name: &'static str,
    package: &'static str,
    /// Tests whose path contains this word.
    filter: &'static str,
}

const STAGES: [Stage; 1] = [Stage {
    name: "log",
    package: "quintet-log",
    filter: "crash",
}];

const CASES: u32 = 2048;

fn run(args: &[String]) -> Result<()> {
    let (stage, cases) = chosen(args)?;
    let mut steps = Steps::new("crash");
    for stage in STAGES.iter().filter(|s| stage.is_none_or(|name| s.name == name)) {
        let mut list = tests(stage);
        list.arg("--list");
        let selected = output_of(&mut list)?
            .lines()
            .filter(|line| line.ends_with(": test"))
            .count();
        ensure!(
            selected > 0,
            "stage {} selects no test: {}",
            stage.name,
            command_line(&list)
        );
        let title = format!("{}, {selected} tests, {cases} cases", stage.name);
        steps.run(&title, tests(stage).env("PROPTEST_CASES", cases.to_string()))?;
    }
    steps.finish();
    Ok(())
}

fn tests(stage: &Stage) -> process::Command {
    let mut tests = cargo();
    tests.args([
        "test",
        "--release",
        "--package",
        stage.package,
        "--all-features",
        "--lib",
        "--tests",
    ]);
    tests.args(["--", stage.filter]);
    tests
}

fn chosen(args: &[String]) -> Result<(Option<&str>, u32)> {
    let (mut stage, mut cases) = (None, CASES);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "--cases" {
            let value = rest.next().map(String::as_str).unwrap_or_default();
            cases = value
                .parse()
                .map_err(|_| Usage(format!("--cases takes a number, not `{value}`")))?;
        } else if STAGES.iter().any(|stage| stage.name == arg) {
            stage = Some(arg.as_str());
        } else {
            let names: Vec<_> = STAGES.iter().map(|stage| stage.name).collect();
            return Err(Usage(format!(
                "there is no stage `{arg}`; there is {}",
                names.join(", ")
            ))
            .into());
        }
    }
    Ok((stage, cases))
}

#[cfg(test)]
mod tests_of_arguments {
    use super::*;

    fn parse(args: &[&str]) -> Result<(Option<String>, u32)> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        chosen(&args).map(|(stage, cases)| (stage.map(str::to_owned), cases))
    }

    #[test]
    fn a_stage_and_a_number_of_cases_are_read() {
        assert_eq!(parse(&[]).unwrap(), (None, CASES));
        assert_eq!(
            parse(&["log", "--cases", "9"]).unwrap(),
            (Some("log".to_owned()), 9)
        );
        for bad in [&["ship"][..], &["--cases"], &["--cases", "many"]] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
