//! The stage `disk`: the Nth write, sync, truncation or allocation of a real process fails, and every later one too, for
//! every N: LMDB's own, which no seam reaches, and for good measure those of the log and the data file.
//!
//! After each run the store is opened on a healthy disk: nothing that was acknowledged may be lost. The load itself checks
//! that reads go on.

use super::recorder::{Bench, SUBJECTS};
use crate::steps::Steps;
use anyhow::{Context, Result, bail, ensure};

/// No space left, input/output error: Linux's numbers.
const ERRORS: [(&str, &str); 2] = [("28", "a full disk"), ("5", "an I/O error")];

/// Runs the stage.
pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    for subject in &SUBJECTS {
        let bench = Bench::build(steps, subject)?;
        for (file, most) in subject.failing {
            for (errno, error) in ERRORS {
                let title = format!("{error} at every operation on {file} of {}", subject.package);
                steps.call(&title, "cargo xtask crash disk", || {
                    every_operation(&bench, file, errno, *most)
                })?;
            }
        }
    }
    Ok(())
}

fn every_operation(bench: &Bench, file: &str, errno: &str, most: u32) -> Result<()> {
    for nth in 1..=most {
        let run = bench.fresh(1, "full")?;
        let mut load = bench.load(&run);
        load.env("QUINTET_FAIL_NTH", nth.to_string());
        load.env("QUINTET_FAIL_PATH", file)
            .env("QUINTET_FAIL_ERRNO", errno);
        let output = load.output().context("running the load")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.success(),
            "operation {nth} on {file} failing: {said}"
        );
        let verified = bench
            .command("verify", &run)
            .output()
            .context("running the check")?;
        if !verified.status.success() {
            bail!(
                "operation {nth} on {file} failing: {}",
                String::from_utf8_lossy(&verified.stderr)
            );
        }
        if !String::from_utf8_lossy(&output.stdout).contains("fault met") {
            ensure!(nth > 1, "no operation on {file} failed");
            return Ok(());
        }
    }
    Ok(())
}
