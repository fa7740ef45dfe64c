//! The stage `power`: cut the power on whole stores, LMDB included, at random moments.
//!
//! Builds the recorder with the C compiler, runs seeded loads under it, and checks images of each recording at every
//! durability. Then it proves that the check can fail: on a disk that ignores the syncs of one file, it must.

use super::recorder::{Bench, SUBJECTS, Subject};
use crate::steps::Steps;
use anyhow::{Context, Result, ensure};

/// Images per recording; there is one recording per durability and load.
pub(super) const IMAGES_PER_LOAD: u32 = 500;

/// Runs the stage until at least `images` images of each engine were checked.
pub(crate) fn run(steps: &mut Steps, images: u32) -> Result<()> {
    SUBJECTS
        .iter()
        .try_for_each(|subject| cut(steps, subject, images))
}

fn cut(steps: &mut Steps, subject: &Subject, images: u32) -> Result<()> {
    let bench = Bench::build(steps, subject)?;
    let loads = images.div_ceil(IMAGES_PER_LOAD * subject.durabilities.len() as u32);
    for seed in 1..=loads {
        for durability in subject.durabilities {
            let run = bench.record(steps, seed, durability)?;
            steps.run(
                &format!("{IMAGES_PER_LOAD} power cuts, {durability}, load {seed}"),
                &mut bench.check(&run, &[]),
            )?;
        }
    }
    let run = bench.record(steps, 1, "full")?;
    for liar in subject.liars {
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
