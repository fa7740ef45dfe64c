//! Blocks from a program: put from several threads, get, delete, reopen.
//!
//! `cargo run -p quintet-blockstore --example embedded`

use quintet_blockstore::{BlockStore, Config, FsckOptions, fsck};
use quintet_core::{Durability, ErrorKind};
use std::{error::Error, thread};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let config = Config {
        durability: Durability::Interval,
        ..Config::new(dir.path())
    };
    let store = BlockStore::open(config.clone())?;

    // Threads share the store; what they commit at about the same time shares one flush.
    let names = thread::scope(|scope| {
        let put = |n: u32| store.put(format!("block {n}").repeat(1000).as_bytes());
        let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || put(n))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect::<Result<Vec<_>, _>>()
    })?;

    // The same content has the same name and is stored once.
    assert_eq!(store.put("block 2".repeat(1000).as_bytes())?, names[2]);
    assert_eq!(store.stats().blocks, 4);

    store.delete(&names[0])?;
    assert_eq!(
        store.delete(&names[0]).map_err(|error| error.kind()),
        Err(ErrorKind::NotFound)
    );
    store.close()?;
    drop(store);

    let store = BlockStore::open(config)?;
    assert_eq!(store.get(&names[1])?, Some("block 1".repeat(1000).into_bytes()));
    assert_eq!(store.get(&names[0])?, None);
    drop(store);

    assert!(fsck(dir.path(), FsckOptions::default())?.is_clean());
    Ok(())
}
