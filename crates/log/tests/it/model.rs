//! The log against a vector: appends, commits, syncs, clean reopens, kills, power cuts and truncations in any order.

use crate::support::{open, small};
use proptest::{collection::vec, prelude::*};
use quintet_core::{Durability, Seq};
use quintet_log::{CrashDirectory, Log};

#[derive(Clone, Debug)]
enum Op {
    Append(Vec<u8>),
    Commit,
    Sync,
    Truncate(u8),
    Reopen,
    /// The process dies, the kernel lives.
    Kill,
    /// The power fails; the seed chooses what stays.
    PowerCut(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => vec(any::<u8>(), 0..400).prop_map(Op::Append),
        6 => Just(Op::Commit),
        2 => Just(Op::Sync),
        1 => any::<u8>().prop_map(Op::Truncate),
        1 => Just(Op::Reopen),
        1 => Just(Op::Kill),
        2 => any::<u64>().prop_map(Op::PowerCut),
    ]
}

struct Model {
    directory: CrashDirectory,
    durability: Durability,
    log: Option<Log>,
    /// All records, by position from 1 on.
    given: Vec<Vec<u8>>,
    watermark: u64,
}

impl Model {
    /// Opens and compares: at least `floor` records are back, in order, and the oracle forgets the others.
    fn open(&mut self, floor: u64) {
        self.log = None;
        let after = Seq(self.watermark);
        let (log, recovery, records) = open(&self.directory, small(self.durability), after).unwrap();
        for (index, (seq, bytes)) in records.iter().enumerate() {
            assert_eq!(seq.0, self.watermark + 1 + index as u64);
            assert_eq!(bytes, &self.given[seq.0 as usize - 1]);
        }
        let last = recovery.last.0;
        assert_eq!(last, self.watermark + records.len() as u64);
        assert!(last >= floor, "{last} came back, {floor} were promised");
        assert!(last <= self.given.len() as u64);
        self.given.truncate(last as usize);
        self.log = Some(log);
    }

    fn apply(&mut self, op: Op) {
        let log = self.log.clone().unwrap();
        match op {
            Op::Append(bytes) => {
                let seq = log.append(&bytes).unwrap();
                self.given.push(bytes);
                assert_eq!(seq.0, self.given.len() as u64);
            }
            Op::Commit => {
                log.commit().unwrap();
                log.wait_durable(log.last(), None).unwrap();
                assert_eq!(log.durable().unwrap(), log.last());
            }
            Op::Sync => assert_eq!(log.sync().unwrap(), log.last()),
            Op::Truncate(part) => {
                // As a caller does: the snapshot with this watermark is durable.
                let durable = log.synced().0;
                self.watermark = self.watermark.max(durable * u64::from(part) / 255);
                log.truncate(Seq(self.watermark)).unwrap();
            }
            Op::Reopen => {
                log.close().unwrap();
                drop(log);
                self.open(self.given.len() as u64);
            }
            Op::Kill => {
                let floor = log.durable().unwrap().0;
                self.directory = CrashDirectory::over(self.directory.now());
                drop(log);
                self.open(floor);
            }
            Op::PowerCut(seed) => {
                let floor = log.synced().0;
                self.directory = CrashDirectory::over(self.directory.image(self.directory.moments(), seed));
                drop(log);
                self.open(floor);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn the_log_is_a_vector_that_survives(
        durability in prop_oneof![Just(Durability::Full), Just(Durability::Interval), Just(Durability::Relaxed)],
        ops in vec(op(), 1..120),
    ) {
        let directory = CrashDirectory::new();
        let mut model = Model { directory, durability, log: None, given: Vec::new(), watermark: 0 };
        model.open(0);
        for op in ops {
            model.apply(op);
        }
        let len = model.given.len() as u64;
        model.apply(Op::Reopen);
        prop_assert_eq!(model.given.len() as u64, len);
    }
}
