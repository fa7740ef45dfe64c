//! `cargo xtask sanitize`: the test suites under ThreadSanitizer and AddressSanitizer.
//!
//! Needs a nightly compiler. Giving `--target` keeps build scripts and procedural macros uninstrumented. A standard
//! library that is not rebuilt is only accepted with `-Cunsafe-allow-abi-mismatch=sanitizer`, and what it does inside is
//! invisible to ThreadSanitizer: a contended `Mutex` and every `Condvar` then look like races. So packages that
//! synchronise through these run under it only when the library can be rebuilt, that is with the component `rust-src`.

use crate::{
    command::{Command, MissingTool, Usage},
    steps::{Steps, output_of, works},
    workspace::{Workspace, cargo, root},
};
use anyhow::{Context as _, Result};
use std::{fs, path::Path, process};

pub(crate) const COMMAND: Command = Command {
    name: "sanitize",
    summary: "run the test suites under ThreadSanitizer and AddressSanitizer",
    help: "\
Usage: cargo xtask sanitize [thread|address] [PACKAGE]

Without arguments both sanitizers run over every package in the table in xtask/src/sanitize.rs. Needs a
nightly toolchain: rustup toolchain install nightly --profile minimal

Under ThreadSanitizer, packages that synchronise through std's Mutex and Condvar need an instrumented
standard library: rustup component add rust-src --toolchain nightly. Without it they are skipped, and the
summary says so.",
    forwards: false,
    run,
};

/// Packages with threads, hand-written synchronisation, unsafe code or C beneath them.
const PACKAGES: [&str; 5] = [
    "quintet-core",
    "quintet-log",
    "quintet-net",
    "quintet-blockstore",
    "quintet-shard",
];

/// Tests that measure what a sanitizer changes: package, test, reason.
const NOT_UNDER_SANITIZERS: [(&str, &str, &str); 1] = [(
    "quintet-shard",
    "vectors::cold::anonymous_memory_stays_within_the_budget",
    "a sanitizer's shadow of mapped files is anonymous memory too",
)];

/// Those that synchronise by atomics of their own, which are instrumented whatever the standard library is.
const BY_ATOMICS: [&str; 1] = ["quintet-core"];

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Name on the command line, and where it builds.
type Sanitizer = (&'static str, &'static str);

const SANITIZERS: [Sanitizer; 2] = [("thread", "target/tsan"), ("address", "target/asan")];

fn run(args: &[String]) -> Result<()> {
    let (sanitizers, packages) = chosen(args)?;
    if !works(cargo().args(["+nightly", "--version"])) {
        let message =
            "sanitizers need a nightly compiler: rustup toolchain install nightly --profile minimal";
        return Err(MissingTool(message.into()).into());
    }
    let workspace = Workspace::read()?;
    let rebuild = has_library_source();
    let mut steps = Steps::new("sanitize");
    for (sanitizer, target_dir) in sanitizers {
        for package in &packages {
            workspace
                .package(package)
                .with_context(|| format!("there is no package {package}"))?;
            let thread = sanitizer == "thread";
            if thread && !rebuild && !BY_ATOMICS.contains(&package.as_str()) {
                steps.note(format!(
                    "{package} was NOT run under thread: that needs rust-src (see --help)"
                ));
                continue;
            }
            let mut suite = cargo();
            suite
                .args([
                    "+nightly",
                    "test",
                    "--package",
                    package,
                    "--all-features",
                    "--lib",
                    "--tests",
                ])
                .args(["--target", TARGET, "--target-dir", target_dir])
                .env("RUSTFLAGS", flags(sanitizer));
            if thread && rebuild {
                suite.arg("-Zbuild-std");
            }
            if thread {
                suite.env("TSAN_OPTIONS", not_races(target_dir)?);
            }
            suite.arg("--");
            for (_, test, reason) in NOT_UNDER_SANITIZERS.iter().filter(|(of, ..)| of == package) {
                suite.args(["--skip", test]);
                steps.note(format!("{test} was NOT run under {sanitizer}: {reason}"));
            }
            steps.run(&format!("{package} under {sanitizer}"), &mut suite)?;
        }
    }
    steps.finish();
    Ok(())
}

/// The sanitizers watch libc's calls. By itself rustix makes system calls of its own, and memory that is mapped where other
/// memory was then looks as if two owners had shared it.
fn flags(sanitizer: &str) -> String {
    format!("-Zsanitizer={sanitizer} -Cunsafe-allow-abi-mismatch=sanitizer --cfg rustix_use_libc")
}

/// What ThreadSanitizer takes for a race and is none: a file that takes the place of the same bytes in memory while others
/// read them.
const NOT_RACES: &str = "race:quintet_shard::vector::pages::Pages>::overlay\n";

/// Tells ThreadSanitizer so, which reads it from a file.
fn not_races(target_dir: &str) -> Result<String> {
    let dir = root().join(target_dir);
    fs::create_dir_all(&dir)?;
    let file = dir.join("not-races");
    fs::write(&file, NOT_RACES).with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(format!("suppressions={}", file.display()))
}

/// Whether nightly's standard library can be built from source.
fn has_library_source() -> bool {
    let mut sysroot = process::Command::new("rustc");
    sysroot.args(["+nightly", "--print", "sysroot"]);
    output_of(&mut sysroot).is_ok_and(|path| {
        Path::new(path.trim())
            .join("lib/rustlib/src/rust/library")
            .is_dir()
    })
}

/// What the arguments select: sanitizers with their folders, and packages.
fn chosen(args: &[String]) -> Result<(Vec<Sanitizer>, Vec<String>)> {
    let mut sanitizers = SANITIZERS.to_vec();
    let mut packages: Vec<String> = PACKAGES.iter().map(ToString::to_string).collect();
    for arg in args {
        if let Some(one) = SANITIZERS.iter().find(|(name, _)| name == arg) {
            sanitizers = vec![*one];
        } else if arg.starts_with('-') {
            return Err(Usage(format!("there is no option `{arg}`")).into());
        } else {
            packages = vec![arg.clone()];
        }
    }
    Ok((sanitizers, packages))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(args: &[&str]) -> (usize, Vec<String>) {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let (sanitizers, packages) = chosen(&args).unwrap();
        (sanitizers.len(), packages)
    }

    #[test]
    fn arguments_narrow_what_runs() {
        assert_eq!(names(&[]), (2, PACKAGES.map(str::to_owned).to_vec()));
        assert_eq!(
            names(&["thread", "quintet-log"]),
            (1, vec!["quintet-log".to_owned()])
        );
        assert!(chosen(&["--fast".to_owned()]).is_err());
    }
}
