//! `quintet fsck`: checks every engine's data in a directory that no server uses.
//!
//! Exit 0 and a summary when clean, 1 with a line per fault. A torn tail of a log is clean: it is what a crash leaves, and
//! nothing in it was acknowledged.

use crate::{cli::FsckArgs, console::say, failure::Failure, lock::DataDir};

/// What the check of one engine found.
pub(crate) struct Findings {
    /// What was checked, in numbers.
    pub(crate) summary: String,
    /// All faults.
    pub(crate) fault_count: u64,
    /// The first of them, one line each, naming the place.
    pub(crate) faults: Vec<String>,
}

impl Findings {
    /// Nothing is wrong.
    pub(crate) fn clean(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            fault_count: 0,
            faults: Vec::new(),
        }
    }

    /// One thing is wrong, and nothing behind it could be looked at.
    pub(crate) fn fault(summary: impl Into<String>, fault: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            fault_count: 1,
            faults: vec![fault.into()],
        }
    }
}

/// Checks a data directory and prints what it found.
///
/// # Errors
/// When the directory is in use or not Quintet's, cannot be read, or has faults.
pub fn fsck(args: &FsckArgs) -> Result<(), Failure> {
    let dir = DataDir::open(&args.data_dir)?;
    let faults = report(&dir)?;
    if faults == 0 {
        say("clean");
        return Ok(());
    }
    Err(Failure::new(format!(
        "{faults} fault(s) in {}",
        dir.path().display()
    )))
}

/// Checks every engine that has a folder, prints what was found, and answers how many faults there are.
pub(crate) fn report(dir: &DataDir) -> Result<u64, Failure> {
    let mut faults = 0;
    for (engine, findings) in check(dir)? {
        for fault in &findings.faults {
            say(format_args!("{engine}: {fault}"));
        }
        faults += findings.fault_count;
        say(format_args!("{engine}: {}", findings.summary));
    }
    Ok(faults)
}

/// The engines that are built in and have a folder here.
fn check(dir: &DataDir) -> Result<Vec<(&'static str, Findings)>, Failure> {
    let mut all = Vec::new();
    #[cfg(feature = "blockstore")]
    if let Some(findings) = crate::engine::blocks::fsck(dir.path())? {
        all.push(("blocks", findings));
    }
    #[cfg(feature = "kv")]
    if let Some(findings) = crate::engine::kv::fsck(dir.path())? {
        all.push(("kv", findings));
    }
    #[cfg(feature = "shard")]
    if let Some(findings) = crate::engine::vectors::fsck(dir.path())? {
        all.push(("vectors", findings));
    }
    #[cfg(feature = "stm")]
    if let Some(findings) = crate::engine::stm::fsck(dir.path())? {
        all.push(("stm", findings));
    }
    #[cfg(feature = "tree")]
    if let Some(findings) = crate::engine::tree::fsck(dir.path())? {
        all.push(("tree", findings));
    }
    #[cfg(not(any(
        feature = "blockstore",
        feature = "kv",
        feature = "shard",
        feature = "stm",
        feature = "tree"
    )))]
    let _nothing_to_check = (&mut all, dir);
    Ok(all)
}
