//! `cargo xtask crash`: the long loops that prove recovery. Each stage is one line of [`STAGES`].
//!
//! Most stages are sets of tests of one package, selected by a word in their names, built for release and given more cases
//! than an ordinary test run. A stage that selects no test fails: otherwise a renamed test would go unnoticed.

mod disk;
mod power;
mod recorder;

use crate::{
    command::{Command, Usage},
    steps::{Steps, command_line, output_of},
    workspace::cargo,
};
use anyhow::{Result, ensure};
use std::process;

pub(crate) const COMMAND: Command = Command {
    name: "crash",
    summary: "long crash and fault loops: kill -9, power cuts, failing disks",
    help: "\
Usage: cargo xtask crash [STAGE] [--cases N]

Runs every stage, or the one named:
  log     the log on a simulated disk: power cuts, failing I/O       (N random cases of each property)
  blocks  the block store on a simulated disk: the same              (N random cases of each property)
  vectors the vector store: power cuts and failing I/O on a simulated disk, kill -9 on a
          real directory, random histories                           (N images and cases, N / 20 rounds)
  million a million points are inserted, counted, found, there after opening again
  kv      the key-value store: power cuts and failing I/O on a simulated disk, at most an
          interval lost, kill -9 on a real directory                 (N / 20 rounds)
  stm     contexts: the same, kill -9, readers beside writers        (N / 20 rounds of each)
  tree    the tree, killed with -9 under load and opened again       (N / 20 rounds)
  kill    the server, killed with -9 under load and started again    (N / 20 rounds at each durability)
  power   the real system calls of blocks and tree, LMDB's too, cut  (5 N power cuts each)
          off at random moments; needs a C compiler as `cc`
  disk    the same system calls failing, the Nth and all later ones  (every N)
N is 2048 unless given. A failure prints its seed.",
    forwards: false,
    run,
};

/// What a stage does.
#[derive(Clone, Copy)]
enum Work {
    /// The tests of a package whose path contains a word.
    Tests {
        package: &'static str,
        filter: &'static str,
    },
    Power,
    Disk,
}

struct Stage {
    name: &'static str,
    work: Work,
}

const STAGES: [Stage; 10] = [
    Stage {
        name: "log",
        work: Work::Tests {
            package: "quintet-log",
            filter: "power",
        },
    },
    Stage {
        name: "blocks",
        work: Work::Tests {
            package: "quintet-blockstore",
            filter: "crash",
        },
    },
    Stage {
        name: "vectors",
        work: Work::Tests {
            package: "quintet-shard",
            filter: "crash",
        },
    },
    Stage {
        name: "million",
        work: Work::Tests {
            package: "quintet-shard",
            filter: "inserts_are_as_many_points",
        },
    },
    Stage {
        name: "kv",
        work: Work::Tests {
            package: "quintet-kv",
            filter: "crash",
        },
    },
    Stage {
        name: "stm",
        work: Work::Tests {
            package: "quintet-stm",
            filter: "crash",
        },
    },
    Stage {
        name: "tree",
        work: Work::Tests {
            package: "quintet-tree",
            filter: "crash",
        },
    },
    Stage {
        name: "kill",
        work: Work::Tests {
            package: "quintet-server",
            filter: "crash",
        },
    },
    Stage {
        name: "power",
        work: Work::Power,
    },
    Stage {
        name: "disk",
        work: Work::Disk,
    },
];

const CASES: u32 = 2048;

fn run(args: &[String]) -> Result<()> {
    let (stage, cases) = chosen(args)?;
    let mut steps = Steps::new("crash");
    for stage in STAGES.iter().filter(|s| stage.is_none_or(|name| s.name == name)) {
        match stage.work {
            Work::Tests { package, filter } => run_tests(&mut steps, stage.name, package, filter, cases)?,
            Work::Disk => disk::run(&mut steps)?,
            Work::Power => power::run(&mut steps, cases.saturating_mul(5))?,
        }
    }
    steps.finish();
    Ok(())
}

fn run_tests(steps: &mut Steps, stage: &str, package: &str, filter: &str, cases: u32) -> Result<()> {
    let mut list = tests(package, filter);
    list.arg("--list");
    let selected = output_of(&mut list)?
        .lines()
        .filter(|line| line.ends_with(": test"))
        .count();
    ensure!(
        selected > 0,
        "stage {stage} selects no test: {}",
        command_line(&list)
    );
    let mut tests = tests(package, filter);
    tests.arg("--nocapture");
    tests
        .env("PROPTEST_CASES", cases.to_string())
        .env("CRASH_ROUNDS", cases.div_ceil(20).to_string())
        .env("CRASH_POINTS", "1000000");
    steps.run(&format!("{stage}, {selected} tests, {cases} cases"), &mut tests)
}

fn tests(package: &str, filter: &str) -> process::Command {
    let mut tests = cargo();
    tests.args([
        "test",
        "--release",
        "--package",
        package,
        "--all-features",
        "--tests",
    ]);
    tests.args(["--", filter]);
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
