//! One reader beside a writer with many puts in flight, on one open store.

use super::Effort;
use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use quintet_blockstore::{BlockStore, BlockWorker, Config, Digest, Done, Extent, Get, Lookup, Outcome};
use quintet_core::{AlignedBuffer, ErrorKind, Parker};
use std::{
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

const BLOCK_BYTES: usize = 4096;
const IN_FLIGHT: usize = 64;

/// A store with blocks to read. Each measurement opens it anew, for its own way of looking up.
pub(super) struct Bench {
    dir: tempfile::TempDir,
    digests: Vec<Digest>,
    window: Duration,
    next_body: AtomicU64,
}

impl Bench {
    pub(super) fn prepare(effort: &Effort, dir: &Path) -> anyhow::Result<Self> {
        let dir =
            tempfile::tempdir_in(dir).with_context(|| format!("a directory below {}", dir.display()))?;
        let store = BlockStore::open(config(dir.path(), Lookup::Index))?;
        let first = body(0);
        let digest = store.put(&first)?;
        ensure!(
            store.get(&digest)?.as_deref() == Some(&first[..]),
            "the store does not read back what was put"
        );
        ensure!(
            store.get(&Digest::of(b"never put"))?.is_none(),
            "the store finds what was never put"
        );
        let mut writer = Writer::new(&store)?;
        let mut next = 1;
        while writer.stored.len() < effort.preloaded {
            writer.turn(&mut || {
                next += 1;
                next
            })?;
        }
        let digests = std::mem::take(&mut writer.stored);
        drop(writer);
        store.close()?;
        Ok(Self {
            dir,
            digests,
            window: effort.window,
            next_body: AtomicU64::new(1 << 32),
        })
    }

    /// Median, p99 and p99.9 of a GET in µs, GETs a second, PUTs a second.
    pub(super) fn measure(&self, lookup: Lookup, loaded: bool) -> Vec<f64> {
        self.try_measure(lookup, loaded)
            .unwrap_or_else(|error| panic!("the store failed under the bench: {error:#}"))
    }

    fn try_measure(&self, lookup: Lookup, loaded: bool) -> anyhow::Result<Vec<f64>> {
        let store = BlockStore::open(config(self.dir.path(), lookup))?;
        let stop = AtomicBool::new(false);
        let (times, puts) = thread::scope(|scope| -> anyhow::Result<_> {
            let writer = loaded.then(|| {
                scope.spawn(|| -> anyhow::Result<usize> {
                    let mut writer = Writer::new(&store)?;
                    while !stop.load(Ordering::Relaxed) {
                        writer.turn(&mut || self.next_body.fetch_add(1, Ordering::Relaxed))?;
                    }
                    Ok(writer.stored.len())
                })
            });
            let times = self.read(&store);
            stop.store(true, Ordering::Relaxed);
            let puts = match writer {
                Some(writer) => writer
                    .join()
                    .map_err(|_| anyhow::anyhow!("the writer panicked"))??,
                None => 0,
            };
            Ok((times?, puts))
        })?;
        store.close()?;
        let us = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
        let seconds = self.window.as_secs_f64();
        Ok(vec![
            us(0.5),
            us(0.99),
            us(0.999),
            times.len() as f64 / seconds,
            puts as f64 / seconds,
        ])
    }

    fn read(&self, store: &BlockStore) -> anyhow::Result<Histogram<u64>> {
        let parker = Parker::new();
        let mut worker = store.connect(parker.doorbell())?;
        let mut buffer = AlignedBuffer::zeroed(BLOCK_BYTES);
        let mut times = Histogram::new(3)?;
        let mut done = Vec::new();
        let (start, mut pick) = (Instant::now(), 1_u64);
        while start.elapsed() < self.window {
            // Knuth's multiplicative generator: scattered, and the same for every row.
            pick = pick
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let digest = &self.digests[(pick >> 33) as usize % self.digests.len()];
            let asked = Instant::now();
            let extent = find(&mut worker, &parker, &mut done, digest)?;
            let len = extent.read_at(0, &mut buffer)?;
            times.record(asked.elapsed().as_nanos() as u64)?;
            ensure!(
                len == BLOCK_BYTES,
                "a block of {BLOCK_BYTES} bytes came back with {len}"
            );
        }
        Ok(times)
    }
}

fn find(
    worker: &mut BlockWorker,
    parker: &Parker,
    done: &mut Vec<Done>,
    digest: &Digest,
) -> anyhow::Result<Extent> {
    match worker.get(digest)? {
        Get::Found(extent) => return Ok(extent),
        Get::Missing => anyhow::bail!("a stored block is missing"),
        Get::Asked(_) => {}
    }
    loop {
        worker.poll(done)?;
        while let Some(Done { outcome, .. }) = done.pop() {
            if let Outcome::Found(extent) = outcome? {
                return Ok(extent);
            }
        }
        parker.wait(|| worker.poll(done).map_or(true, |polled| polled.done > 0), None);
    }
}

/// Keeps 64 puts in flight.
struct Writer {
    worker: BlockWorker,
    parker: Parker,
    done: Vec<Done>,
    pending: usize,
    stored: Vec<Digest>,
}

impl Writer {
    fn new(store: &BlockStore) -> anyhow::Result<Self> {
        let parker = Parker::new();
        let worker = store.connect(parker.doorbell())?;
        Ok(Self {
            worker,
            parker,
            done: Vec::new(),
            pending: 0,
            stored: Vec::new(),
        })
    }

    /// Fills up to 64 puts and waits for at least one to be durable.
    fn turn(&mut self, next: &mut dyn FnMut() -> u64) -> anyhow::Result<()> {
        while self.pending < IN_FLIGHT {
            let Some(mut put) = self.worker.begin_put(BLOCK_BYTES as u64)? else {
                break;
            };
            put.write(&body(next()))?;
            match self.worker.finish_put(put) {
                Ok(_) => self.pending += 1,
                Err(refused) if refused.error.kind() == ErrorKind::Unavailable => break,
                Err(refused) => return Err(refused.error.into()),
            }
        }
        let Self {
            worker, parker, done, ..
        } = self;
        let polled = worker.poll(done)?;
        // Blocks that came just now are not announced a second time.
        if done.is_empty() && !polled.retry_puts {
            parker.wait(
                || {
                    worker
                        .poll(done)
                        .map_or(true, |polled| polled.done > 0 || polled.retry_puts)
                },
                None,
            );
        }
        for Done { outcome, .. } in self.done.drain(..) {
            if let Outcome::Stored { digest, .. } = outcome? {
                self.pending -= 1;
                self.stored.push(digest);
            }
        }
        Ok(())
    }
}

fn config(dir: &Path, lookup: Lookup) -> Config {
    Config {
        lookup,
        ..Config::new(dir)
    }
}

/// A body that no other number has.
fn body(number: u64) -> Vec<u8> {
    let mut bytes = vec![0x5a; BLOCK_BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}
