//! [`Inner`]: one store's table, log, clock and limits; what all its handles share.

use crate::{
    Config, KvError, WhenFull,
    effect::Effect,
    expiry::Wheel,
    persist::Opened,
    table::{Table, entry_at, find_mut},
    transaction::{Outcome, Transaction},
    value::{Bytes, Value},
};
use quintet_core::{Clock, Commit, ErrorKind, Result, Seq};
use quintet_log::{ClaimGuard, Directory, Log, Recovery};
use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How many keys an eviction looks at, and how often it tries before the change is refused.
const EVICTION_SAMPLE: usize = 16;
const EVICTION_TRIES: usize = 64;

/// How far the coarse time stays behind at most, with much to spare.
const NEAR_MS: u64 = 1_000;

/// The wheel and who waits for it.
#[derive(Debug)]
pub(crate) struct Alarm {
    pub(crate) wheel: Mutex<Wheel>,
    pub(crate) changed: Condvar,
    pub(crate) stop: AtomicBool,
}

impl Alarm {
    pub(crate) fn wheel(&self) -> MutexGuard<'_, Wheel> {
        self.wheel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) table: Table,
    pub(crate) log: Option<Log>,
    /// What opening the log found.
    pub(crate) recovery: Recovery,
    pub(crate) directory: Option<Arc<dyn Directory>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alarm: Arc<Alarm>,
    pub(crate) tickets: AtomicU64,
    /// Waits that have begun, which are limited, and those that have their places in line.
    pub(crate) waiters: AtomicUsize,
    pub(crate) in_line: AtomicUsize,
    /// Whether keys must remember when they were used.
    pub(crate) evicts: bool,
    opened: Instant,
    dice: AtomicU64,
    /// One snapshot at a time.
    pub(crate) snapshots: Mutex<()>,
    /// The log's records since the last snapshot.
    pub(crate) logged_bytes: AtomicU64,
    /// What keys and values may take; 0 = no limit. Begins as configured.
    pub(crate) max_memory_bytes: AtomicU64,
    /// When the last snapshot was made, or the store opened.
    pub(crate) saved_ms: AtomicU64,
    /// Which keys are in the batches of [`Keyed`](quintet_core::Keyed) handlers.
    pub(crate) turns: crate::turns::Turns,
    /// Makes the next commit of a handler fail.
    #[cfg(feature = "testing")]
    pub(crate) fail_next: AtomicBool,
    /// Goes last: until the log has ended, the directory is this store's.
    _claim: Option<ClaimGuard>,
}

impl Inner {
    pub(crate) fn new(
        config: Config,
        table: Table,
        Opened {
            log,
            recovery,
            replayed_bytes,
        }: Opened,
        home: Option<(Arc<dyn Directory>, ClaimGuard)>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (directory, claim) = home.unzip();
        let alarm = Arc::new(Alarm {
            wheel: Mutex::new(Wheel::new(since_1970(clock.wall()))),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let (max_memory_bytes, saved_ms) = (config.max_memory_bytes, since_1970(clock.wall()));
        Self {
            evicts: config.when_full == WhenFull::EvictOldest,
            config,
            table,
            log,
            recovery,
            directory,
            opened: clock.now(),
            clock,
            alarm,
            tickets: AtomicU64::new(0),
            waiters: AtomicUsize::new(0),
            in_line: AtomicUsize::new(0),
            dice: AtomicU64::new(0x9e37_79b9_7f4a_7c15),
            snapshots: Mutex::new(()),
            logged_bytes: AtomicU64::new(replayed_bytes),
            max_memory_bytes: AtomicU64::new(max_memory_bytes),
            saved_ms: AtomicU64::new(saved_ms),
            turns: crate::turns::Turns::default(),
            #[cfg(feature = "testing")]
            fail_next: AtomicBool::new(false),
            _claim: claim,
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn injected_failure(&self) -> Result<()> {
        if self.fail_next.swap(false, Relaxed) {
            return Err(quintet_core::Error::new(
                ErrorKind::Unavailable,
                "an injected failure",
            ));
        }
        Ok(())
    }

    pub(crate) fn wall_ms(&self) -> u64 {
        since_1970(self.clock.wall())
    }

    /// The time that reads go by: some milliseconds behind, and cheap. All that only look go by the same one, so that what
    /// is gone for one of them is gone for the next; who changes a key takes out what has expired by the exact time.
    #[inline]
    pub(crate) fn coarse_ms(&self) -> u64 {
        since_1970(self.clock.wall_coarse())
    }

    /// Whether a moment is so far ahead that the coarse time is enough to say so.
    #[inline]
    pub(crate) fn is_ahead(&self, at_ms: u64) -> bool {
        at_ms > self.coarse_ms().saturating_add(NEAR_MS)
    }

    /// Tenths of a second since the store was opened.
    pub(crate) fn stamp(&self) -> u32 {
        let since = self.clock.now().saturating_duration_since(self.opened);
        u32::try_from(since.as_millis() / 100).unwrap_or(u32::MAX)
    }

    /// A number that is good enough to pick a key by.
    pub(crate) fn random(&self) -> u64 {
        let mut state = self.dice.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    }

    /// Whether a change is within the limits.
    pub(crate) fn admit(&self, effect: &Effect) -> Result<(), KvError> {
        if self.config.read_only {
            return Err(KvError::ReadOnly { operation: "change" });
        }
        let wanted_bytes = effect.added_bytes();
        if wanted_bytes > self.config.max_value_bytes {
            return Err(KvError::TooLarge {
                len_bytes: wanted_bytes,
                limit_bytes: self.config.max_value_bytes,
            });
        }
        let limit_bytes = self.max_memory_bytes.load(Relaxed);
        if limit_bytes > 0 && wanted_bytes > 0 {
            let used_bytes = self.table.bytes();
            if used_bytes + wanted_bytes > limit_bytes {
                return Err(KvError::OutOfMemory {
                    used_bytes,
                    wanted_bytes,
                    limit_bytes,
                });
            }
        }
        Ok(())
    }

    /// Puts a record into the log and answers its position: the version of what it changes.
    pub(crate) fn append(&self, record: &[u8]) -> Result<u64> {
        let Some(log) = &self.log else { return Ok(0) };
        self.logged_bytes.fetch_add(record.len() as u64, Relaxed);
        log.append(record).map(|seq| seq.0)
    }

    /// Returns when what has this version is as durable as configured: an answer that shows it may leave then.
    #[inline]
    pub(crate) fn settle(&self, seen: u64) -> Result<()> {
        match &self.log {
            None => Ok(()),
            Some(log) => Self::settle_in(log, seen),
        }
    }

    fn settle_in(log: &Log, seen: u64) -> Result<()> {
        // What is safe may be told even when the log takes no more.
        if seen == 0 || log.acknowledged().0 >= seen {
            return Ok(());
        }
        match log.commit()? {
            Commit::Done => Ok(()),
            Commit::Pending(_) => log.wait_durable(Seq(seen), None),
        }
    }

    pub(crate) fn arm(&self, key: &[u8], at_ms: u64) {
        if self.alarm.wheel().arm(&Bytes::from(key), at_ms) {
            self.alarm.changed.notify_one();
        }
    }

    /// Arms every key that expires, after a recovery.
    pub(crate) fn arm_all(&self) {
        for shard in 0..self.table.shards() {
            let raw = self.table.read(shard);
            self.table.walk(&raw, shard, &mut |key, slot| {
                if slot.expires_ms() > 0 {
                    self.arm(key, slot.expires_ms());
                }
            });
        }
    }

    /// Replaces the value of a key that is there, in one look at the table, where nothing else needs doing: no log, no
    /// limit, nobody who waits. Hands the value back where it is not so simple; [`write`](Self::write) does everything.
    pub(crate) fn overwrite(&self, key: &[u8], value: Value, keeps_ttl: bool) -> Result<(), Value> {
        let is_simple = self.log.is_none() && !self.config.read_only && !self.evicts;
        let bytes = value.size_bytes();
        if !is_simple || self.max_memory_bytes.load(Relaxed) > 0 || bytes as u64 > self.config.max_value_bytes
        {
            return Err(value);
        }
        let hash = self.table.hash(key);
        let shard = self.table.shard_of(hash);
        let mut raw = self.table.write(shard);
        let side = self.table.side(shard);
        if !side.line.is_empty() {
            return Err(value);
        }
        let Some(slot) = find_mut(&mut raw, hash, key) else {
            return Err(value);
        };
        if slot.expires_ms() > 0 {
            if keeps_ttl && !self.is_ahead(slot.expires_ms()) && slot.expires_ms() <= self.wall_ms() {
                return Err(value);
            }
            if !keeps_ttl {
                slot.set_expires_ms(0);
            }
        }
        slot.set_version(side.next_version());
        let old = std::mem::replace(&mut slot.value, value);
        side.resize(old.size_bytes(), bytes);
        drop(raw);
        // A large value is freed when nobody waits for the shard.
        drop(old);
        Ok(())
    }

    /// Runs a change under the locks of its keys. Nothing of it stays if it fails. Does not wait for the log.
    pub(crate) fn write<R>(
        &self,
        keys: &[&[u8]],
        grouped: bool,
        mut change: impl FnMut(&mut Transaction<'_>) -> Result<R>,
    ) -> Result<(R, u64)> {
        self.run(|| Transaction::begin(self, keys, grouped), &mut change)
    }

    /// The same under all locks.
    pub(crate) fn write_all<R>(
        &self,
        mut change: impl FnMut(&mut Transaction<'_>) -> Result<R>,
    ) -> Result<(R, u64)> {
        self.run(|| Transaction::begin_all(self), &mut change)
    }

    fn run<'a, R>(
        &'a self,
        begin: impl Fn() -> Transaction<'a>,
        change: &mut dyn FnMut(&mut Transaction<'_>) -> Result<R>,
    ) -> Result<(R, u64)> {
        let mut tries = 0;
        loop {
            let mut transaction = begin();
            match change(&mut transaction) {
                Ok(result) => {
                    let Outcome { woken, seen } = transaction.finish()?;
                    woken.iter().for_each(|mailbox| mailbox.wake());
                    return Ok((result, seen));
                }
                Err(error) => {
                    transaction.abort()?;
                    let may_evict = self.evicts && error.kind() == ErrorKind::Full && tries < EVICTION_TRIES;
                    if !may_evict || !self.evict()? {
                        return Err(error);
                    }
                    tries += 1;
                }
            }
        }
    }

    /// Removes the key that was not used for the longest time among a few. `false` = there was none.
    fn evict(&self) -> Result<bool> {
        let mut oldest: Option<(u32, Bytes)> = None;
        let shards = self.table.shards();
        let start = self.random() as usize;
        let mut looked_at = 0;
        for step in 0..shards {
            let shard = start.wrapping_add(step) % shards;
            let raw = self.table.read(shard);
            let index = self.table.side(shard).index();
            for _ in 0..index.len().min(4) {
                let at = self.random() as usize % index.len();
                let Some((key, slot)) = entry_at(&raw, index[at], at) else {
                    continue;
                };
                let used = self.table.side(shard).used(slot.at);
                if oldest.as_ref().is_none_or(|(other, _)| used < *other) {
                    oldest = Some((used, key.clone()));
                }
                looked_at += 1;
            }
            if looked_at >= EVICTION_SAMPLE {
                break;
            }
        }
        let Some((_, key)) = oldest else { return Ok(false) };
        let mut transaction = Transaction::begin(self, &[&key], false);
        transaction.apply(&key, Effect::Delete)?;
        let Outcome { woken, .. } = transaction.finish()?;
        woken.iter().for_each(|mailbox| mailbox.wake());
        Ok(true)
    }

    /// Removes keys that are due, at most `limit`; answers when to look next.
    pub(crate) fn expire(&self, limit: usize) -> Result<Option<u64>> {
        let now = self.wall_ms();
        let due = self.alarm.wheel().advance(now, limit);
        for key in due {
            let ((), _) = self.write(&[&key], false, |transaction| {
                if let Some(slot) = transaction.slot(&key)?
                    && slot.expires_ms() > 0
                {
                    let at_ms = slot.expires_ms();
                    self.arm(&key, at_ms);
                }
                Ok(())
            })?;
        }
        Ok(self.alarm.wheel().next_ms())
    }

    /// How long until a moment, seen from now.
    pub(crate) fn until(&self, at_ms: u64) -> Duration {
        Duration::from_millis(at_ms.saturating_sub(self.wall_ms()))
    }
}

fn since_1970(wall: SystemTime) -> u64 {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
