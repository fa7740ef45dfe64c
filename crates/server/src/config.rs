//! What the flags mean together: defaults filled in, ranges checked, the effective values in one place.
//!
//! Nothing is clamped silently: a value out of range is a usage error that names the flag and the bound.

#[cfg(feature = "blockstore")]
use crate::io_backend::Chosen;
use crate::{cli::ServeArgs, failure::Failure, listen::Listen, size::ByteSize};
use quintet_core::Durability;
use std::{
    io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

/// The most workers a port may have: each has its own pools, rings and event loop.
const MOST_WORKERS: usize = 64;
/// The most workers that are started unasked.
const MOST_DEFAULT_WORKERS: usize = 16;
/// Below this the file cannot hold a block of the largest class for each of a few workers.
const LEAST_CAPACITY: u64 = 16 << 20;

/// Everything `serve` needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The root of all data.
    pub data_dir: PathBuf,
    /// How sockets are served, and why so.
    #[cfg(feature = "blockstore")]
    pub backend: Chosen,
    /// The block store.
    pub blocks: BlocksConfig,
}

/// The block store's share.
#[derive(Clone, Debug)]
pub struct BlocksConfig {
    /// Where its HTTP port listens.
    pub listen: Listen,
    /// I/O threads, 1 to 64.
    pub workers: NonZeroUsize,
    /// The most bytes of the block file; `None` = 80 % of what is free when the engine opens.
    pub capacity: Option<ByteSize>,
    /// What an acknowledged PUT or DELETE survives.
    pub durability: Durability,
}

impl Config {
    /// Whether some engine is built in and has a port.
    #[must_use]
    pub fn serves_anything(&self) -> bool {
        cfg!(feature = "blockstore") && self.blocks.listen != Listen::Off
    }

    /// The effective configuration.
    ///
    /// # Errors
    /// A usage error that names the flag and the bound.
    pub fn from_args(args: &ServeArgs) -> Result<Self, Failure> {
        Ok(Self {
            data_dir: args.data_dir.clone(),
            #[cfg(feature = "blockstore")]
            backend: Chosen::from_flag(args.io_backend)?,
            blocks: BlocksConfig::from_args(args)?,
        })
    }
}

impl BlocksConfig {
    fn from_args(args: &ServeArgs) -> Result<Self, Failure> {
        let workers = args.blocks_workers.unwrap_or_else(default_workers);
        let workers = NonZeroUsize::new(workers)
            .filter(|workers| workers.get() <= MOST_WORKERS)
            .ok_or_else(|| {
                Failure::usage(format!("--blocks-workers {workers}: must be 1 to {MOST_WORKERS}"))
            })?;
        if let Some(capacity) = args.blocks_capacity
            && capacity.0 < LEAST_CAPACITY
        {
            return Err(Failure::usage(format!(
                "--blocks-capacity {capacity}: must be at least {}",
                ByteSize(LEAST_CAPACITY)
            ))
            .hint("--blocks-capacity 64MiB, or leave it out for 80 % of the free disk space"));
        }
        Ok(Self {
            listen: args.blocks_addr,
            workers,
            capacity: args.blocks_capacity,
            durability: args
                .blocks_durability
                .or(args.durability)
                .unwrap_or(Durability::Full),
        })
    }
}

fn default_workers() -> usize {
    std::thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(MOST_DEFAULT_WORKERS)
}

/// 80 % of the bytes that an unprivileged user may still write to the file system of `dir`.
///
/// # Errors
/// When the file system cannot be asked.
pub fn default_capacity(dir: &Path) -> io::Result<ByteSize> {
    let disk = rustix::fs::statvfs(dir)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    Ok(ByteSize(free / 5 * 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn config(flags: &[&str]) -> Result<Config, String> {
        let cli = Cli::try_parse_from([&["quintet"], flags].concat()).map_err(|error| error.to_string())?;
        Config::from_args(&cli.serve).map_err(|failure| failure.to_string())
    }

    #[test]
    fn the_engines_own_durability_wins() {
        for (flags, level) in [
            (&[][..], Durability::Full),
            (&["--durability", "relaxed"], Durability::Relaxed),
            (&["--blocks-durability", "interval"], Durability::Interval),
            (
                &["--blocks-durability", "full", "--durability", "relaxed"],
                Durability::Full,
            ),
        ] {
            assert_eq!(
                config(flags).expect("valid").blocks.durability,
                level,
                "{flags:?}"
            );
        }
    }

    #[test]
    fn what_is_out_of_range_is_named_with_its_bound() {
        for (flags, flag, bound) in [
            (["--blocks-workers", "0"], "--blocks-workers", "1 to 64"),
            (["--blocks-workers", "65"], "--blocks-workers", "1 to 64"),
            (["--blocks-capacity", "1MiB"], "--blocks-capacity", "16 MiB"),
            (["--data-dir", ""], "--data-dir", "value"),
            (["--blocks-addr", "here"], "--blocks-addr", "127.0.0.1:10001"),
            (
                ["--durability", "some"],
                "--durability",
                "full, interval, relaxed",
            ),
        ] {
            let error = config(&flags).expect_err("out of range");
            assert!(
                error.contains(flag) && error.contains(bound),
                "{flags:?}: {error}"
            );
        }
    }
}
