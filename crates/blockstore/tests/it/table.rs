//! The table against a list of maps, one per commit: after any mixture of commits, checkpoints, kills and power cuts it
//! holds one of them, and none older than the last that was acknowledged.

use crate::recall::until;
use proptest::prelude::*;
use quintet_blockstore::meta::{Table, TableConfig, TableReader};
use quintet_core::{Clock as _, Commit, Deadline, Durability, ErrorKind, Seq, fake::ManualClock};
use quintet_log::{CrashDirectory, Fault, FaultDirectory, LogConfig, MemDirectory};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tempfile::TempDir;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A configuration whose limits a small test reaches.
pub(crate) fn small(durability: Durability) -> TableConfig {
    TableConfig {
        log: LogConfig {
            durability,
            segment_bytes: 64 << 10,
            max_record_bytes: 16 << 10,
            max_group_bytes: 32 << 10,
            zero_fill: false,
            ..LogConfig::default()
        },
        max_value_bytes: 1 << 10,
        max_batch_bytes: 8 << 10,
        map_bytes: 1 << 30,
        max_readers: 16,
        ..TableConfig::default()
    }
}

fn contents(reader: &TableReader) -> Map {
    let mut map = Map::new();
    reader
        .scan(&mut |key, value| {
            assert_eq!(map.insert(key.to_vec(), value.to_vec()), None, "a key twice");
            Ok(())
        })
        .unwrap();
    for (key, value) in &map {
        assert_eq!(
            reader.get(key).unwrap().as_deref(),
            Some(value.as_slice()),
            "scan and get disagree"
        );
    }
    map
}

#[derive(Clone, Debug)]
enum Operation {
    Put(u8, u8),
    Delete(u8),
    Rollback,
    Commit,
    Sync,
    Checkpoint,
    Close,
    Kill,
    PowerCut(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        12 => (0_u8..12, any::<u8>()).prop_map(|(key, value)| Operation::Put(key, value)),
        5 => (0_u8..12).prop_map(Operation::Delete),
        1 => Just(Operation::Rollback),
        8 => Just(Operation::Commit),
        2 => Just(Operation::Sync),
        1 => Just(Operation::Checkpoint),
        1 => Just(Operation::Close),
        1 => Just(Operation::Kill),
        1 => any::<u64>().prop_map(Operation::PowerCut),
    ]
}

struct Model {
    lmdb: TempDir,
    disk: CrashDirectory,
    table: Option<Table>,
    config: TableConfig,
    /// What the table held after each record of the log; the first is the empty table.
    states: Vec<Map>,
    staged: Map,
}

impl Model {
    fn new(durability: Durability) -> Self {
        let lmdb = tempfile::tempdir().unwrap();
        let config = TableConfig {
            checkpoint_entries: 6,
            ..small(durability)
        };
        let mut model = Self {
            lmdb,
            disk: CrashDirectory::new(),
            table: None,
            config,
            states: vec![Map::new()],
            staged: Map::new(),
        };
        model.open();
        model
    }

    fn open(&mut self) {
        let clock = Arc::new(ManualClock::new());
        let (table, _) = Table::open(
            self.lmdb.path(),
            Arc::new(self.disk.clone()),
            self.config.clone(),
            clock,
        )
        .unwrap();
        self.table = Some(table);
    }

    fn table(&mut self) -> &mut Table {
        self.table.as_mut().unwrap()
    }

    fn last(&self) -> &Map {
        self.states.last().unwrap()
    }

    /// Reopens on what is left and checks that it is a state not older than `floor`.
    fn recover(&mut self, left: MemDirectory, floor: Seq) -> Result<(), TestCaseError> {
        drop(self.table.take());
        self.disk = CrashDirectory::over(left);
        self.open();
        let found = contents(&self.table().reader());
        let at = (floor.0 as usize..self.states.len())
            .rev()
            .find(|at| self.states[*at] == found);
        prop_assert!(
            at.is_some(),
            "{:?} is none of {:?} after {}",
            found,
            self.states,
            floor
        );
        self.states.truncate(at.unwrap() + 1);
        self.staged = self.last().clone();
        // Positions go on where the log is; keep them and the states in step.
        let next = self.table().last_commit().0 as usize + 1;
        while self.states.len() < next {
            self.states.push(self.last().clone());
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), TestCaseError> {
        let before = self.table().last_commit();
        let commit = self.table().commit().unwrap();
        if self.table().last_commit() > before {
            self.states.push(self.staged.clone());
        }
        if commit == Commit::Done {
            prop_assert_eq!(&contents(&self.table().reader()), self.last(), "done is visible");
        }
        Ok(())
    }

    fn step(&mut self, operation: Operation) -> Result<(), TestCaseError> {
        match operation {
            Operation::Put(key, value) => match self.table().put(&[key], &[value; 20]) {
                Ok(()) => drop(self.staged.insert(vec![key], vec![value; 20])),
                Err(busy) => prop_assert_eq!(busy.kind(), ErrorKind::Unavailable),
            },
            Operation::Delete(key) => match self.table().delete(&[key]) {
                Ok(()) => drop(self.staged.remove(&vec![key])),
                Err(busy) => prop_assert_eq!(busy.kind(), ErrorKind::Unavailable),
            },
            Operation::Rollback => {
                self.table().rollback();
                self.staged = self.last().clone();
            }
            Operation::Commit => self.commit()?,
            Operation::Sync => {
                let synced = self.table().sync().unwrap();
                prop_assert_eq!(synced, self.table().last_commit());
                prop_assert_eq!(&contents(&self.table().reader()), self.last());
            }
            Operation::Checkpoint => self.table().checkpoint().unwrap(),
            Operation::Close => {
                self.table.take().unwrap().close().unwrap();
                let left = self.disk.now();
                self.recover(left, Seq(self.states.len() as u64 - 1))?;
            }
            Operation::Kill => {
                let floor = self.table().durable().unwrap();
                let left = self.disk.now();
                self.recover(left, floor)?;
            }
            Operation::PowerCut(seed) => {
                let floor = self.table().synced();
                let left = self.disk.image(self.disk.moments(), seed);
                self.recover(left, floor)?;
            }
        }
        for key in 0..12 {
            let expected = self.staged.get(&vec![key]).cloned();
            prop_assert_eq!(
                self.table().get(&[key]).unwrap().map(|value| value.to_vec()),
                expected
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn holds_a_state_not_older_than_the_last_acknowledged(
        level in 0_usize..3, operations in prop::collection::vec(operation(), 1..80)
    ) {
        let mut model = Model::new(Durability::ALL[level]);
        for operation in operations {
            model.step(operation)?;
        }
    }
}

#[test]
fn readers_see_durable_entries_only_and_through_every_move() {
    let lmdb = tempfile::tempdir().unwrap();
    let disk = Arc::new(MemDirectory::new());
    let (mut table, _) = Table::open(
        lmdb.path(),
        disk,
        small(Durability::Full),
        Arc::new(ManualClock::new()),
    )
    .unwrap();
    let reader = table.reader();
    table.put(b"k", b"1").unwrap();
    assert_eq!(table.get(b"k").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(reader.get(b"k").unwrap(), None, "staged");
    table.commit().unwrap();
    table.sync().unwrap();
    assert_eq!(
        reader.get(b"k").unwrap().as_deref(),
        Some(&b"1"[..]),
        "in the memtable"
    );
    table.checkpoint().unwrap();
    assert_eq!(reader.get(b"k").unwrap().as_deref(), Some(&b"1"[..]), "in LMDB");
    table.delete(b"k").unwrap();
    table.commit().unwrap();
    table.sync().unwrap();
    assert_eq!(reader.get(b"k").unwrap(), None, "a deletion hides what LMDB has");
    table.close().unwrap();
}

#[test]
fn a_failed_flush_poisons_writes_and_leaves_reads() {
    let lmdb = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultDirectory::new(Arc::new(MemDirectory::new())));
    let (mut table, _) = Table::open(
        lmdb.path(),
        disk.clone(),
        small(Durability::Full),
        Arc::new(ManualClock::new()),
    )
    .unwrap();
    table.put(b"kept", b"1").unwrap();
    table.commit().unwrap();
    table.sync().unwrap();
    disk.fail_from(0, Fault::Io);
    table.put(b"lost", b"2").unwrap();
    table.commit().unwrap();
    assert_eq!(table.sync().unwrap_err().kind(), ErrorKind::Poisoned);
    assert!(table.is_poisoned());
    assert_eq!(table.put(b"k", b"v").unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(table.commit().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(table.reader().get(b"kept").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(table.reader().get(b"lost").unwrap(), None);
}

#[test]
fn bad_keys_and_values_are_refused_with_the_limit() {
    let lmdb = tempfile::tempdir().unwrap();
    let (mut table, _) = Table::open(
        lmdb.path(),
        Arc::new(MemDirectory::new()),
        small(Durability::Relaxed),
        Arc::new(ManualClock::new()),
    )
    .unwrap();
    assert_eq!(table.put(b"", b"v").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(
        table.put(&[0; 512], b"v").unwrap_err().to_string(),
        "a key of 512 bytes is larger than the limit of 511 bytes"
    );
    assert_eq!(
        table.put(b"k", &[0; 1025]).unwrap_err().kind(),
        ErrorKind::TooLarge
    );
    assert_eq!(table.reader().get(b"").unwrap(), None);
    assert_eq!(table.reader().get(&[0; 600]).unwrap(), None);
    let refused = (0_u32..)
        .find_map(|n| table.put(&n.to_le_bytes(), &[0; 1000]).err())
        .unwrap();
    assert_eq!(refused.to_string(), "the batch is full, try again");
}

#[test]
fn changes_are_checkpointed_when_the_oldest_is_as_old_as_the_interval() {
    let (lmdb, disk, clock) = (
        tempfile::tempdir().unwrap(),
        Arc::new(MemDirectory::new()),
        Arc::new(ManualClock::new()),
    );
    let config = TableConfig {
        checkpoint_interval: Duration::from_secs(10),
        ..small(Durability::Relaxed)
    };
    let open = || Table::open(lmdb.path(), disk.clone(), config.clone(), clock.clone()).unwrap();
    let (mut table, _) = open();
    assert_eq!(table.maintain(), None, "nothing changed");
    table.put(b"k", b"1").unwrap();
    table.commit().unwrap();
    let due = clock.now() + Duration::from_secs(10);
    assert_eq!(table.maintain(), Some(Deadline(due)));
    clock.advance(Duration::from_millis(9_999));
    table.put(b"k", b"2").unwrap();
    table.commit().unwrap();
    assert_eq!(table.maintain(), Some(Deadline(due)), "the oldest counts");
    drop(table);
    // What is replayed is as young as the opening.
    let (mut table, recovered) = open();
    assert_eq!(recovered.replayed_records, 2);
    assert_eq!(
        table.maintain(),
        Some(Deadline(clock.now() + Duration::from_secs(10)))
    );
    clock.advance(Duration::from_secs(10));
    assert_eq!(table.maintain(), None, "all of it is being written");
    table.put(b"k", b"3").unwrap();
    table.commit().unwrap();
    clock.advance(Duration::from_secs(10));
    // One at a time: when the next begins, the first is done.
    until("the first checkpoint", || table.maintain().is_none());
    drop(table);
    let (table, recovered) = open();
    assert!(recovered.replayed_records < 2, "{recovered:?}");
    assert_eq!(table.reader().get(b"k").unwrap().as_deref(), Some(&b"3"[..]));
}

#[test]
fn a_change_that_is_not_durable_when_a_checkpoint_is_due_is_tried_again() {
    let (lmdb, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new()));
    let disk = Arc::new(FaultDirectory::new(Arc::new(MemDirectory::new())));
    let config = TableConfig {
        checkpoint_interval: Duration::from_secs(10),
        ..small(Durability::Full)
    };
    let (mut table, _) = Table::open(lmdb.path(), disk.clone(), config, clock.clone()).unwrap();
    disk.fail_from(0, Fault::Io);
    table.put(b"k", b"1").unwrap();
    table.commit().unwrap();
    clock.advance(Duration::from_secs(10));
    let again = Deadline(clock.now() + Duration::from_secs(1));
    assert_eq!(table.maintain(), Some(again), "no entry is durable");
    assert_eq!(table.sync().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(table.maintain(), None, "nothing can be written any more");
}
