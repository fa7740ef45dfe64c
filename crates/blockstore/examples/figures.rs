//! A few figures of the embedded store on this machine: puts, gets, and reopening with many records.
//!
//! `cargo run --release -p quintet-blockstore --example figures [directory] [records]`

#![expect(clippy::print_stdout, reason = "it prints a report")]

use quintet_blockstore::Record;
use quintet_blockstore::meta::{Table, TableConfig};
use quintet_blockstore::{BlockStore, Config, Digest};
use quintet_core::{Durability, SystemClock};
use std::{error::Error, path::PathBuf, sync::Arc, thread, time::Instant};

fn body(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0x5A; len];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let root = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let records: u64 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    for durability in Durability::ALL {
        for (len, count, threads) in [
            (4096, 4000_u64, 1_u64),
            (4096, 16_000, 16),
            (65_536, 4000, 16),
            (524_288, 800, 16),
        ] {
            let dir = tempfile::tempdir_in(&root)?;
            let config = Config {
                durability,
                workers: 16,
                pool_targets: [64, 32, 32, 32, 32, 8, 8, 8],
                ..Config::new(dir.path())
            };
            traffic(&BlockStore::open(config)?, durability, len, count, threads)?;
        }
    }
    reopen(&tempfile::tempdir_in(&root)?.keep(), records)
}

fn traffic(
    store: &BlockStore,
    durability: Durability,
    len: usize,
    count: u64,
    threads: u64,
) -> Result<(), Box<dyn Error>> {
    let rate = |what: &str, begun: Instant| {
        let seconds = begun.elapsed().as_secs_f64();
        let (per_second, mb) = (count as f64 / seconds, count as f64 * len as f64 / seconds / 1e6);
        println!(
            "{durability:8} {what} {len:>7} bytes, {threads:>2} threads: {per_second:>9.0}/s {mb:>7.0} MB/s"
        );
    };
    let each = |call: &(dyn Fn(u64) + Sync)| {
        thread::scope(|scope| {
            for thread in 0..threads {
                scope.spawn(move || (thread..count).step_by(threads as usize).for_each(call));
            }
        });
    };
    let begun = Instant::now();
    each(&|seed| {
        store.put(&body(seed, len)).expect("a put");
    });
    rate("put", begun);
    let names: Vec<_> = (0..count).map(|seed| Digest::of(&body(seed, len))).collect();
    let begun = Instant::now();
    each(&|seed| assert!(store.get(&names[seed as usize]).expect("a get").is_some()));
    rate("get", begun);
    Ok(())
}

/// Fills the record table without content, which opening does not look at below the checkpoint.
fn reopen(dir: &std::path::Path, records: u64) -> Result<(), Box<dyn Error>> {
    let config = Config {
        capacity_bytes: 64 << 30,
        growth_step_bytes: 64 << 20,
        ..Config::new(dir)
    };
    BlockStore::open(config.clone())?.close()?;
    std::fs::File::options()
        .write(true)
        .open(dir.join("blocks.data"))?
        .set_len(records.next_multiple_of(128) * 4096)?;
    let directory = Arc::new(quintet_log::OsDirectory::open(dir)?);
    let (mut table, _) = Table::open(
        &dir.join("meta"),
        directory,
        TableConfig::default(),
        Arc::new(SystemClock),
    )?;
    for number in 0..records {
        let digest = Digest::of(&number.to_le_bytes());
        let class = quintet_core::SizeClass::SMALLEST;
        let record = Record {
            address: quintet_core::BlockAddress { class, number },
            len_bytes: 4096,
            locks: 0,
        };
        table.put(&digest.0, &record.encode(&digest))?;
        if number % 10_000 == 9999 {
            table.commit()?;
            table.checkpoint()?;
        }
    }
    table.commit()?;
    table.close()?;
    drop(table);
    let begun = Instant::now();
    let store = BlockStore::open(config)?;
    println!(
        "reopening with {} records: {:.2} s",
        store.opened().blocks,
        begun.elapsed().as_secs_f64()
    );
    drop(store);
    Ok(std::fs::remove_dir_all(dir)?)
}
