//! Flags that contradict each other or are out of range, and what they come to when they do not.

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
            config(flags).expect("valid").blocks.expect("on").durability,
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
        (
            ["--blocks-checkpoint", "63"],
            "--blocks-checkpoint",
            "64 to 1048576",
        ),
        (["--kv-workers", "65"], "--kv-workers", "1 to 64"),
        (["--vectors-shards", "0"], "--vectors-shards", "1 to 1024"),
        (["--http-connections", "0"], "--http-connections", "1 to 65536"),
        (["--http-body-memory", "1MiB"], "--http-body-memory", "32 MiB"),
        (["--http-addr", "0.0.0.0:80"], "--http-addr", "--insecure"),
        (["--resp-addr", "[::]:80"], "--resp-addr", "127.0.0.1:80"),
        (["--kv-durability", "some"], "--kv-durability", "off, full"),
        (["--without", "tables"], "--without", "blocks, kv"),
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
