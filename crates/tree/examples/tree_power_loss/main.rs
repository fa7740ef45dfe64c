//! Power cuts for the tree, from a recording of LMDB's real system calls.
//!
//! `tree_power_loss load` runs a seeded load on a fresh tree while the preloaded recorder (`crates/log/shim/record.c`) writes
//! down every file operation and the load notes what it was told. `tree_power_loss check` cuts the power at random moments of
//! the recording, opens each image, and compares it with what had been acknowledged. `tree_power_loss verify` does that with the
//! tree as the load left it, for a disk that failed. `cargo xtask crash power` and `cargo xtask crash disk` run them.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program for people")]

mod check;
mod load;
mod script;

use quintet_core::Durability;
use std::{error::Error, path::PathBuf};

const USAGE: &str = "usage: tree_power_loss load DIR RECORDING SEED DURABILITY
       tree_power_loss verify DIR RECORDING SEED DURABILITY
       tree_power_loss check DIR RECORDING SEED DURABILITY IMAGES [LIAR]
LIAR is the name of a file whose syncs the disk ignores: the check must then fail.";

/// What every mode is told.
struct Task {
    /// The tree's directory while the load ran.
    dir: PathBuf,
    recording: PathBuf,
    seed: u64,
    durability: Durability,
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [mode, dir, recording, seed, durability, rest @ ..] = words.as_slice() else {
        return Err(USAGE.into());
    };
    let task = Task {
        dir: dir.into(),
        recording: recording.into(),
        seed: seed.parse()?,
        durability: durability.parse()?,
    };
    match (mode.as_str(), rest) {
        ("load", []) => load::run(&task),
        ("verify", []) => check::tree_as_it_is(&task),
        ("check", [images, liar @ ..]) => {
            let summary = check::run(&task, images.parse()?, liar.first().map(String::as_str))?;
            println!("{summary}");
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}
