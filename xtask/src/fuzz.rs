//! `cargo xtask fuzz`: runs the targets of the `fuzz/` package, one for each decoder and parser.
//!
//! The package is outside the workspace, because its targets only link with the instrumentation of cargo-fuzz.

use crate::{
    command::{Command, MissingTool, Usage},
    steps::{Steps, output_of, works},
    workspace::{cargo, root},
};
use anyhow::{Context as _, Result};
use std::process;

pub(crate) const COMMAND: Command = Command {
    name: "fuzz",
    summary: "feed the decoders and parsers with mutated bytes",
    help: "\
Usage: cargo xtask fuzz --list
       cargo xtask fuzz [TARGET] [--seconds N]

Runs TARGET, or all of them in turn, for N seconds each (default 60). What a target finds is kept in
fuzz/artifacts, what it learns in fuzz/corpus. Needs a nightly toolchain and cargo-fuzz:
    rustup toolchain install nightly --profile minimal
    cargo install cargo-fuzz --locked --root target/tools
(anywhere on the PATH will do as well.)",
    forwards: false,
    run,
};

const SECONDS: u32 = 60;

#[derive(Debug, PartialEq, Eq)]
enum Action<'a> {
    List,
    Run { target: Option<&'a str>, seconds: u32 },
}

fn run(args: &[String]) -> Result<()> {
    let action = parse(args)?;
    let targets = targets()?;
    let (target, seconds) = match action {
        Action::List => {
            for target in targets {
                println!("{target}");
            }
            return Ok(());
        }
        Action::Run { target, seconds } => (target, seconds),
    };
    if let Some(unknown) = target.filter(|name| !targets.iter().any(|target| target == name)) {
        return Err(Usage(format!(
            "there is no target `{unknown}`; see cargo xtask fuzz --list"
        ))
        .into());
    }
    if !works(cargo().args(["+nightly", "--version"])) || !works(cargo_fuzz().arg("--version")) {
        let message = "fuzzing needs nightly and cargo-fuzz:\n    \
            rustup toolchain install nightly --profile minimal\n    \
            cargo install cargo-fuzz --locked --root target/tools";
        return Err(MissingTool(message.into()).into());
    }
    let mut steps = Steps::new("fuzz");
    for name in targets
        .iter()
        .filter(|name| target.is_none_or(|target| target == *name))
    {
        let mut fuzz = cargo_fuzz();
        fuzz.args(["run", name, "--"]).args([
            format!("-max_total_time={seconds}"),
            "-print_final_stats=1".to_owned(),
        ]);
        steps.run(&format!("{name} for {seconds} s"), &mut fuzz)?;
    }
    steps.finish();
    Ok(())
}

/// cargo-fuzz, our own copy if there is one, with nightly behind it.
fn cargo_fuzz() -> process::Command {
    let own = root().join("target/tools/bin/cargo-fuzz");
    let mut fuzz = process::Command::new(if own.is_file() {
        own.as_os_str()
    } else {
        "cargo-fuzz".as_ref()
    });
    fuzz.current_dir(root()).env("RUSTUP_TOOLCHAIN", "nightly");
    fuzz
}

/// The programs of the fuzz package.
fn targets() -> Result<Vec<String>> {
    let manifest = root().join("fuzz/Cargo.toml");
    let mut metadata = cargo();
    metadata.args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--manifest-path",
    ]);
    let json = output_of(metadata.arg(manifest))?;
    let value: serde_json::Value = serde_json::from_str(&json)?;
    let targets = value["packages"][0]["targets"].as_array();
    let names = targets.context("the fuzz package has no targets")?.iter();
    Ok(names
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect())
}

fn parse(args: &[String]) -> Result<Action<'_>> {
    let (mut target, mut seconds) = (None, SECONDS);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--list" => return Ok(Action::List),
            "--seconds" => {
                let value = rest.next().map(String::as_str).unwrap_or_default();
                seconds = value
                    .parse()
                    .map_err(|_| Usage(format!("--seconds takes a number, not `{value}`")))?;
            }
            name if !name.starts_with('-') && target.is_none() => target = Some(name),
            other => return Err(Usage(format!("unexpected argument `{other}`")).into()),
        }
    }
    Ok(Action::Run { target, seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_and_its_time_are_read() {
        let args = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(parse(&args(&["--list"])).unwrap(), Action::List);
        let all = Action::Run {
            target: None,
            seconds: SECONDS,
        };
        assert_eq!(parse(&args(&[])).unwrap(), all);
        let one = Action::Run {
            target: Some("http1"),
            seconds: 5,
        };
        assert_eq!(parse(&args(&["http1", "--seconds", "5"])).unwrap(), one);
        for bad in [
            &["a", "b"][..],
            &["--seconds"],
            &["--seconds", "soon"],
            &["--fast"],
        ] {
            assert!(parse(&args(bad)).is_err(), "{bad:?}");
        }
    }
}
