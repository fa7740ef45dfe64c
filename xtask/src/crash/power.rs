//! The stage `power`: cut the power on the whole block store – data file, log and LMDB – at random moments.
//!
//! Builds the recorder with the C compiler, runs seeded loads under it, and checks images of each recording at every
//! durability. Then it proves that the check can fail: on a disk that ignores the syncs of one file, it must.

use crate::{
    steps::Steps,
    workspace::{cargo, root},
};
use anyhow::{Context, Result, ensure};
use std::{fs, path::PathBuf, process::Command};

const DURABILITIES: [&str; 3] = ["full", "interval", "relaxed"];
/// Images per recording; there is one recording per durability and load.
const IMAGES_PER_LOAD: u32 = 500;
/// Files whose syncs the disk pretends to do, one at a time.
const LIARS: [&str; 2] = ["blocks.data", "segment-0000000000000001.new"];

/// Runs the stage until at least `images` images were checked.
pub(crate) fn run(steps: &mut Steps, images: u32) -> Result<()> {
    let bench = Bench::build(steps)?;
    let loads = images.div_ceil(IMAGES_PER_LOAD * DURABILITIES.len() as u32);
    for seed in 1..=loads {
        for durability in DURABILITIES {
            let run = bench.record(steps, seed, durability)?;
            steps.run(
                &format!("{IMAGES_PER_LOAD} power cuts, {durability}, load {seed}"),
                &mut bench.check(&run, &[]),
            )?;
        }
    }
    let run = bench.record(steps, 1, "full")?;
    for liar in LIARS {
        let mut check = bench.check(&run, &[liar]);
        let repeat = format!("{check:?}");
        steps.call(
            &format!("a disk that ignores the syncs of {liar} is found out"),
            &repeat,
            || {
                let output = check.output().context("running the check")?;
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                ensure!(
                    !output.status.success(),
                    "the check found nothing wrong, so it checks nothing"
                );
                ensure!(
                    said.contains("cut after event"),
                    "it failed for another reason: {said}"
                );
                Ok(())
            },
        )?;
    }
    Ok(())
}

/// The recorder, the program under it, and where recordings go.
struct Bench {
    recorder: PathBuf,
    program: PathBuf,
    dir: PathBuf,
}

/// One recording.
struct Recorded {
    store: PathBuf,
    recording: PathBuf,
    seed: String,
    durability: &'static str,
}

impl Bench {
    fn build(steps: &mut Steps) -> Result<Self> {
        let target = root().join("target/power");
        let recorder = target.join("record.so");
        fs::create_dir_all(&target).with_context(|| format!("creating {}", target.display()))?;
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]);
        cc.arg(&recorder)
            .arg(root().join("crates/log/shim/record.c"))
            .arg("-lpthread");
        steps.run("build the recorder", &mut cc)?;
        let mut build = cargo();
        build.args([
            "build",
            "--release",
            "--package",
            "quintet-blockstore",
            "--example",
            "power_loss",
            "--target-dir",
        ]);
        build.arg(&target);
        // System calls that rustix makes itself would pass the recorder by.
        build.env("RUSTFLAGS", "--cfg rustix_use_libc");
        steps.run("build the load", &mut build)?;
        let program = target.join("release/examples/power_loss");
        Ok(Self {
            recorder,
            program,
            dir: target.join("runs"),
        })
    }

    fn record(&self, steps: &mut Steps, seed: u32, durability: &'static str) -> Result<Recorded> {
        let dir = self.dir.join(format!("{durability}-{seed}"));
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
        }
        let run = Recorded {
            store: dir.join("store"),
            recording: dir.join("recording"),
            seed: seed.to_string(),
            durability,
        };
        fs::create_dir_all(&run.store).with_context(|| format!("creating {}", run.store.display()))?;
        fs::write(&run.recording, "").with_context(|| format!("creating {}", run.recording.display()))?;
        let mut load = self.command("load", &run);
        load.env("LD_PRELOAD", &self.recorder);
        load.env("QUINTET_RECORD_DIR", &run.store)
            .env("QUINTET_RECORD_FILE", &run.recording);
        steps.run(&format!("record load {seed}, {durability}"), &mut load)?;
        Ok(run)
    }

    fn check(&self, run: &Recorded, more: &[&str]) -> Command {
        let mut check = self.command("check", run);
        check.arg(IMAGES_PER_LOAD.to_string()).args(more);
        check
    }

    fn command(&self, mode: &str, run: &Recorded) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(mode)
            .arg(&run.store)
            .arg(&run.recording)
            .arg(&run.seed)
            .arg(run.durability);
        command
    }
}
