//! A load on an engine under the preloaded recorder: building both, and running them.

use crate::{
    steps::Steps,
    workspace::{cargo, root},
};
use anyhow::{Context, Result};
use std::{fs, path::PathBuf, process::Command};

/// An engine that has an example which is a load and its check.
pub(super) struct Subject {
    /// Its package.
    pub(super) package: &'static str,
    /// The example. No two packages have one of the same name.
    pub(super) example: &'static str,
    /// The durabilities that differ.
    pub(super) durabilities: &'static [&'static str],
    /// Files whose syncs the disk pretends to do, one at a time.
    pub(super) liars: &'static [&'static str],
    /// Which files fail, and at most so many runs: what the seam reaches is gone through to the end in the tests.
    pub(super) failing: &'static [(&'static str, u32)],
}

/// Every engine that writes by LMDB.
pub(super) const SUBJECTS: [Subject; 2] = [
    Subject {
        package: "quintet-blockstore",
        example: "power_loss",
        durabilities: &["full", "interval", "relaxed"],
        liars: &["blocks.data", "segment-0000000000000001.new"],
        failing: &[("data.mdb", u32::MAX), ("blocks.data", 60), ("segment", 60)],
    },
    Subject {
        package: "quintet-tree",
        example: "tree_power_loss",
        durabilities: &["full"],
        // Under this name it is made.
        liars: &["data.mdb.new"],
        failing: &[("data.mdb", 400)],
    },
];

/// The recorder, the program under it, and where recordings go.
pub(super) struct Bench {
    recorder: PathBuf,
    program: PathBuf,
    dir: PathBuf,
}

/// One recording.
pub(super) struct Recorded {
    store: PathBuf,
    recording: PathBuf,
    seed: String,
    durability: &'static str,
}

impl Bench {
    /// Compiles the recorder with the C compiler, and the load.
    pub(super) fn build(steps: &mut Steps, subject: &Subject) -> Result<Self> {
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
            subject.package,
            "--example",
            subject.example,
            "--target-dir",
        ]);
        build.arg(&target);
        // System calls that rustix makes itself would pass the recorder by.
        build.env("RUSTFLAGS", "--cfg rustix_use_libc");
        steps.run(&format!("build the load of {}", subject.package), &mut build)?;
        Ok(Self {
            recorder,
            program: target.join("release/examples").join(subject.example),
            dir: target.join("runs").join(subject.package),
        })
    }

    /// A load on a fresh store, recorded.
    pub(super) fn record(&self, steps: &mut Steps, seed: u32, durability: &'static str) -> Result<Recorded> {
        let run = self.fresh(seed, durability)?;
        steps.run(&format!("record load {seed}, {durability}"), &mut self.load(&run))?;
        Ok(run)
    }

    /// An empty place for a store and its recording.
    pub(super) fn fresh(&self, seed: u32, durability: &'static str) -> Result<Recorded> {
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
        Ok(run)
    }

    /// The load under the recorder.
    pub(super) fn load(&self, run: &Recorded) -> Command {
        let mut load = self.command("load", run);
        load.env("LD_PRELOAD", &self.recorder);
        load.env("QUINTET_RECORD_DIR", &run.store)
            .env("QUINTET_RECORD_FILE", &run.recording);
        load
    }

    /// The check of images of a recording.
    pub(super) fn check(&self, run: &Recorded, more: &[&str]) -> Command {
        let mut check = self.command("check", run);
        check.arg(super::power::IMAGES_PER_LOAD.to_string()).args(more);
        check
    }

    /// The program in one of its modes.
    pub(super) fn command(&self, mode: &str, run: &Recorded) -> Command {
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
