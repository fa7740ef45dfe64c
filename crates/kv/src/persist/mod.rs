//! What survives: a log of effects, a snapshot beside it, and JSON for people.
//!
//! A log record is a byte of version and the effects of one transaction; its position is the version of every key that it
//! changes. So a snapshot may be taken while everybody goes on writing: each key in it says up to which record it is, and
//! the replay leaves that key alone until then. See docs/disk-format.md.

mod codec;
mod json;
mod snapshot;

pub(crate) use codec::put_effect;

use crate::{
    Config, KvError,
    effect::Slot,
    table::{Raw, Table, find},
    transaction::play,
    value::Bytes,
};
use codec::{Reader, damaged};
use quintet_core::{Clock, Durability, Result, Seq};
use quintet_log::{Directory, Log, LogConfig, Recovery};
use std::sync::Arc;

/// The first byte of every record and of every entry of a snapshot.
pub(crate) const RECORD_VERSION: u8 = 1;

/// What there is of a store beside its table.
#[derive(Default)]
pub(crate) struct Opened {
    /// `None` in memory, and in a read-only store.
    pub(crate) log: Option<Log>,
    pub(crate) recovery: Recovery,
    /// The records that came after the snapshot.
    pub(crate) replayed_bytes: u64,
}

/// Reads snapshot and log into the table, and opens the log for what comes next; a read-only store opens none, and its
/// recovery is all zeros.
///
/// # Errors
/// Damage, or what the directory answers.
pub(crate) fn open(
    config: &Config,
    durability: Durability,
    table: &Table,
    directory: &Arc<dyn Directory>,
    clock: &Arc<dyn Clock>,
) -> Result<Opened> {
    let after = snapshot::read(&**directory, table)?;
    let mut replayed_bytes = 0;
    let mut replay = |seq: Seq, record: &[u8]| {
        replayed_bytes += record.len() as u64;
        replay(table, config.drop_empty, seq, record)
    };
    if config.read_only {
        quintet_log::read(&**directory, after, &mut replay)?;
        return Ok(Opened::default());
    }
    // Less the segment's header and a group's mark.
    let room = config.segment_bytes.min(1 << 30) - 8192;
    let log_config = LogConfig {
        durability,
        interval: config.interval,
        segment_bytes: config.segment_bytes,
        max_record_bytes: room as usize,
        max_group_bytes: room.min(4 << 20) as usize,
        zero_fill: durability == Durability::Full,
        ..LogConfig::default()
    };
    let (log, recovery) = Log::open(directory.clone(), log_config, clock.clone(), after, &mut replay)?;
    Ok(Opened {
        log: Some(log),
        recovery,
        replayed_bytes,
    })
}

/// Does a record again, for the keys that are not beyond it already.
fn replay(table: &Table, drops_empty: bool, seq: Seq, record: &[u8]) -> Result<()> {
    let unreadable = |error: KvError| KvError::Damaged {
        what: format!("log record {seq}"),
        reason: error.to_string(),
    };
    let (version, rest) = record
        .split_first()
        .ok_or_else(|| unreadable(damaged("it is empty")))?;
    if *version != RECORD_VERSION {
        return Err(unreadable(damaged(&format!("version {version} is unknown"))).into());
    }
    let mut reader = Reader { rest };
    // A record may change a key more than once: what counts is how far the key was before the record.
    let mut verdicts: Vec<(Bytes, bool)> = Vec::new();
    while !reader.rest.is_empty() {
        let tag = reader.byte().map_err(unreadable)?;
        let (key, effect) = reader.effect(tag).map_err(unreadable)?;
        let hash = table.hash(&key);
        let shard = table.shard_of(hash);
        let mut raw = table.write(shard);
        let applies = match verdicts.iter().find(|(known, _)| *known == key) {
            Some((_, applies)) => *applies,
            None => {
                let applies = find(&raw, hash, &key).is_none_or(|slot| slot.version() < seq.0);
                verdicts.push((key.clone(), applies));
                applies
            }
        };
        if applies {
            play(table, &mut raw, (shard, hash, &key), effect, seq.0, drops_empty);
        }
    }
    Ok(())
}

/// Puts an entry of a snapshot into the table.
fn restore(table: &Table, key: &Bytes, slot: Slot) {
    let hash = table.hash(key);
    let shard = table.shard_of(hash);
    let raw: &mut Raw = &mut table.write(shard);
    table.insert(raw, shard, hash, key, slot);
}
