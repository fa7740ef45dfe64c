//! Serves a store to Redis clients: `cargo run --release -p quintet-kv --features port --example resp_server -- 127.0.0.1:6380
//! [workers] [directory level]`; ends on end of input (Ctrl-D). Without a directory it is in memory.
#![expect(clippy::print_stdout, reason = "it is a program")]

use quintet_core::{Deadline, SystemClock};
use quintet_kv::{
    Config, Store,
    port::{self, PortConfig},
};
use quintet_log::OsDirectory;
use std::{error::Error, io::Read, num::NonZeroUsize, sync::Arc, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let address = arguments
        .first()
        .map_or("127.0.0.1:6380", String::as_str)
        .parse()?;
    let workers: NonZeroUsize = arguments.get(1).map_or("1", String::as_str).parse()?;
    let clock = Arc::new(SystemClock);
    let store = match arguments.get(2) {
        None => Store::in_memory_with(
            Config {
                drop_empty: true,
                ..Config::memory()
            },
            clock,
        )?,
        Some(directory) => {
            std::fs::create_dir_all(directory)?;
            let level = arguments.get(3).map_or("interval", String::as_str).parse()?;
            let config = Config {
                drop_empty: true,
                durability: Some(level),
                ..Config::default()
            };
            Store::open(config, Arc::new(OsDirectory::open(directory)?), clock)?
        }
    };
    let port = port::serve(&store, address, workers, &PortConfig::default())?;
    println!("{}", port.address());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    port.drain(Deadline::after(&SystemClock, Duration::from_secs(5)))?;
    store.close()?;
    Ok(())
}
