//! The server that the bench measures, in a process of its own: this program started again.

use anyhow::Context;
use quintet_blockstore::{BlockStore, Config, port, port::PortConfig};
use quintet_core::{Clock, Deadline, Durability, SystemClock};
use quintet_net::Backend;
use std::{
    io::{Read, Write},
    num::NonZeroUsize,
    path::Path,
    sync::Arc,
    time::Duration,
};

/// Serves an empty store in `dir` with one worker, prints its address, and ends when its input does.
///
/// # Errors
/// What the store or the port answers.
pub fn serve(dir: &Path, backend: &str, durability: &str) -> anyhow::Result<()> {
    let durability: Durability = durability.parse()?;
    let config = Config {
        durability,
        capacity_bytes: 16 << 30,
        ..Config::new(dir)
    };
    let store = Arc::new(BlockStore::open(config)?);
    let mut settings = PortConfig::default();
    settings.event_loop.backend = match backend {
        "uring" => Backend::Uring,
        _ => Backend::Epoll,
    };
    let any = "127.0.0.1:0".parse().context("an address")?;
    let port = port::serve(&store, any, NonZeroUsize::MIN, &settings)?;
    let mut output = std::io::stdout();
    writeln!(output, "{}", port.address())?;
    output.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    port.drain(Deadline(SystemClock.now() + Duration::from_secs(5)))?;
    store.close()?;
    Ok(())
}
