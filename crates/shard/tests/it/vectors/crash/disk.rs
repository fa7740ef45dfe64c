//! Power cuts at every moment and a failure of every I/O: what was acknowledged is there, and nothing else.

use super::{cases, config, in_one, open, spec};
use crate::engine::count;
use quintet_core::{Durability, Error, ErrorKind, Result, SystemClock};
use quintet_log::{
    CrashDirectory, Directory, Fault, FaultDirectory, MemDirectory,
    conformance::durable::{Durable, Workload, survives_every_fault, survives_power_cuts},
};
use quintet_shard::vector::{
    Directories, Metric, Point, PointId, Search, Spec, VectorClient, VectorStore, With,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The store as a list of values: value n is the point with number n, and a second one that is replaced each time.
struct Values {
    store: VectorStore,
    client: VectorClient,
    count: u64,
    durability: Durability,
}

/// Exact in single precision: four pieces of sixteen bits.
fn pieces(value: u64) -> Vec<f32> {
    (0..4)
        .map(|piece| (value >> (16 * piece) & 0xffff) as f32)
        .collect()
}

fn joined(vector: &[f32]) -> u64 {
    vector
        .iter()
        .enumerate()
        .map(|(piece, part)| (*part as u64) << (16 * piece))
        .sum()
}

const PLENTY: u64 = 1 << 30;
/// Of 120 values most lie in files then: each takes 224 bytes, 64 of them wherever it lies.
const LITTLE: u64 = 14 << 10;

fn open_values(directory: Arc<dyn Directory>) -> Result<Box<dyn Durable>> {
    open_at(directory, Durability::Full, PLENTY)
}

fn open_cold_values(directory: Arc<dyn Directory>) -> Result<Box<dyn Durable>> {
    open_at(directory, Durability::Full, LITTLE)
}

fn open_at(
    directory: Arc<dyn Directory>,
    durability: Durability,
    budget_bytes: u64,
) -> Result<Box<dyn Durable>> {
    let config = config(1, durability);
    let store = VectorStore::open(config, in_one(directory), Arc::new(SystemClock))?;
    let mut client = store.client(count(4))?;
    if client.list().is_empty() {
        let spec = Spec {
            budget_bytes,
            ..spec(4, Metric::L2)
        };
        client.create("values", spec)?;
    }
    let mut values = Values {
        store,
        client,
        count: 0,
        durability,
    };
    values.count = values.values()?.len() as u64;
    Ok(Box::new(values))
}

impl Durable for Values {
    fn push(&mut self, value: u64) -> Result<()> {
        let point = Point::new(self.count, pieces(value));
        let marker = Point::new("last", pieces(self.count));
        self.client.upsert("values", vec![point, marker])?;
        self.count += 1;
        Ok(())
    }

    fn commit(&mut self) -> Result<u64> {
        // The other levels promise nothing about a power cut but a whole store with a prefix of what was written.
        let promised = self.durability == Durability::Full;
        Ok(if promised { self.count } else { 0 })
    }

    fn values(&mut self) -> Result<Vec<u64>> {
        let with = With {
            payload: false,
            vector: true,
        };
        let points = self.client.scroll("values", None, 10_000, with)?;
        let broken = |text: String| Error::new(ErrorKind::Corrupted, text);
        let mut values = Vec::new();
        for point in points {
            let number = values.len() as u64;
            match point.id {
                PointId::Number(found) if found == number => values.push(joined(&point.vector)),
                PointId::Name(_) if joined(&point.vector) + 1 == number => {}
                id => return Err(broken(format!("{id} with {:?} in place {number}", point.vector))),
            }
        }
        // The index must agree with the list.
        if let Some(value) = values.last() {
            let hits = self.client.search("values", Search::new(pieces(*value), 1))?;
            if hits[0].score != 0.0 {
                return Err(broken(format!("{value:#x} is not found")));
            }
        }
        Ok(values)
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        let _untold = self.store.close();
    }
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_acknowledged() {
    let each = u64::from(cases(200)).div_ceil(2);
    for seed in [1, 2] {
        let workload = Workload {
            values: 120,
            batch: 10,
        };
        let images =
            survives_power_cuts(&open_values, workload, each, seed).unwrap_or_else(|v| panic!("{v}"));
        assert_eq!(images, 2 * each);
    }
}

#[test]
fn a_power_cut_at_the_lower_levels_leaves_a_prefix_and_a_whole_store() {
    for durability in [Durability::Interval, Durability::Relaxed] {
        let workload = Workload {
            values: 120,
            batch: 10,
        };
        let open = move |directory: Arc<dyn Directory>| open_at(directory, durability, PLENTY);
        survives_power_cuts(&open, workload, cases(160).div_ceil(2).into(), 3)
            .unwrap_or_else(|v| panic!("{durability}: {v}"));
    }
}

#[test]
fn a_failure_of_any_io_loses_nothing_acknowledged() {
    let once = Fault::ALL.map(|fault| (fault, false));
    for (fault, sticky) in once.into_iter().chain([(Fault::NoSpace, true)]) {
        let workload = Workload { values: 16, batch: 4 };
        let faults =
            survives_every_fault(&open_values, workload, fault, sticky).unwrap_or_else(|v| panic!("{v}"));
        assert!(faults > 50, "only {faults} I/Os were made to fail");
    }
}

#[test]
fn a_power_cut_while_points_move_to_files_loses_nothing_acknowledged() {
    let each = u64::from(cases(120)).div_ceil(2);
    for (durability, seed) in [(Durability::Full, 4), (Durability::Relaxed, 5)] {
        let workload = Workload {
            values: 120,
            batch: 10,
        };
        let open = move |directory: Arc<dyn Directory>| open_at(directory, durability, LITTLE);
        let images = survives_power_cuts(&open, workload, each, seed).unwrap_or_else(|v| panic!("{v}"));
        assert_eq!(images, 2 * each);
    }
}

#[test]
fn a_failure_of_any_io_while_points_move_to_files_loses_nothing_acknowledged() {
    for (fault, sticky) in Fault::ALL
        .map(|fault| (fault, false))
        .into_iter()
        .chain([(Fault::NoSpace, true)])
    {
        let workload = Workload {
            values: 40,
            batch: 20,
        };
        let open = |directory| open_at(directory, Durability::Full, LITTLE / 2);
        let faults = survives_every_fault(&open, workload, fault, sticky).unwrap_or_else(|v| panic!("{v}"));
        assert!(faults > 50, "only {faults} I/Os were made to fail");
    }
}

#[test]
fn snapshots_name_the_files_that_points_lie_in_and_others_go() {
    let disk = Arc::new(MemDirectory::new());
    let mut values = open_cold_values(disk.clone()).unwrap();
    (0..120).for_each(|n| values.push(n).unwrap());
    let cold = || -> Vec<String> {
        let names = disk.list().unwrap().into_iter();
        names.filter(|name| name.ends_with(".cold")).collect()
    };
    // Replaced over and over: what is dead half and half is moved, and its files go once no snapshot names them.
    drop(values);
    let store = open(config(1, Durability::Full), in_one(disk.clone()));
    let mut client = store.client(count(4)).unwrap();
    let give_up = Instant::now() + Duration::from_secs(60);
    let first = cold();
    assert!(first.len() > 3, "{first:?}");
    while cold().iter().any(|name| first.contains(name)) {
        assert!(Instant::now() < give_up, "{first:?}, {:?}", cold());
        let points = (0..100).map(|n| Point::new(n, pieces(n)));
        for batch in points.collect::<Vec<_>>().chunks(10) {
            client.upsert("values", batch.to_vec()).unwrap();
        }
    }
    assert!(cold().len() < 100, "{:?}", cold());
    store.close().unwrap();
}

#[test]
fn snapshots_keep_the_log_short_and_hold_everything() {
    let disk = Arc::new(MemDirectory::new());
    let store = open(config(1, Durability::Relaxed), in_one(disk.clone()));
    let mut client = store.client(count(4)).unwrap();
    client.create("c", spec(64, Metric::L2)).unwrap();
    for round in 0..200_u32 {
        let points = (0..20_u64).map(|n| Point::new(n, vec![round as f32; 64]));
        client.upsert("c", points.collect()).unwrap();
    }
    client.delete("c", vec![3.into()]).unwrap();
    // A million bytes were logged, in segments of 64 KiB; a thread of its own writes the snapshots.
    let give_up = Instant::now() + Duration::from_secs(60);
    while disk.list().unwrap().len() >= 8 {
        assert!(Instant::now() < give_up, "{:?}", disk.list().unwrap());
        client.upsert("c", vec![Point::new(0, vec![199.0; 64])]).unwrap();
    }
    store.close().unwrap();
    let names = disk.list().unwrap();
    assert!(names.iter().any(|name| name == "points.snapshot"), "{names:?}");
    let store = open(config(1, Durability::Relaxed), in_one(disk));
    let mut client = store.client(count(4)).unwrap();
    let with = With {
        payload: false,
        vector: true,
    };
    let points = client.scroll("c", None, 100, with).unwrap();
    assert_eq!(points.len(), 19);
    assert!(
        points
            .iter()
            .all(|point| point.vector == [199.0; 64] && point.id != PointId::from(3))
    );
}

#[test]
fn a_failed_flush_poisons_its_shard_and_a_restart_recovers_it() {
    let disk = Arc::new(MemDirectory::new());
    let faulty = FaultDirectory::new(disk);
    let directories = Directories::over(
        Arc::new(MemDirectory::new()),
        vec![Arc::new(faulty.clone()), Arc::new(MemDirectory::new())],
    );
    let store = open(config(2, Durability::Full), directories);
    let mut client = store.client(count(4)).unwrap();
    client.create("c", spec(2, Metric::L2)).unwrap();
    let batch = |from: u64| {
        (from..from + 32)
            .map(|n| Point::new(n, vec![n as f32, 0.0]))
            .collect::<Vec<_>>()
    };
    assert_eq!(client.upsert("c", batch(0)).unwrap(), 32);
    faulty.fail_from(0, Fault::Io);
    let failed = client.upsert("c", batch(32)).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Poisoned, "{failed}");
    assert!(failed.to_string().contains("of 32 points were done"), "{failed}");
    // Reads go on, from what is known to be durable.
    let found = client
        .get("c", (0..32).map(PointId::from).collect(), With::default())
        .unwrap();
    assert!(found.iter().all(Option::is_some));
    faulty.heal();
    assert!(
        client.upsert("c", batch(64)).is_err(),
        "poisoned until it is restarted"
    );
    store.restart(quintet_shard::ShardId(0)).unwrap();
    assert_eq!(client.upsert("c", batch(64)).unwrap(), 32);
    let found = client
        .get(
            "c",
            (0..32).chain(64..96).map(PointId::from).collect(),
            With::default(),
        )
        .unwrap();
    assert!(found.iter().all(Option::is_some));
}

#[test]
fn killed_at_any_level_nothing_acknowledged_is_lost() {
    for durability in Durability::ALL {
        let disk = CrashDirectory::new();
        let store = open(config(1, durability), in_one(Arc::new(disk.clone())));
        let mut client = store.client(count(4)).unwrap();
        client.create("c", spec(2, Metric::L2)).unwrap();
        for n in 0..50_u64 {
            client
                .upsert("c", vec![Point::new(n, vec![n as f32, 1.0])])
                .unwrap();
            client.delete("c", vec![(n / 2).into()]).unwrap();
        }
        // What another process would find if this one were killed now.
        let store = open(config(1, durability), in_one(Arc::new(disk.now())));
        let mut client = store.client(count(4)).unwrap();
        let points = client.scroll("c", None, 100, With::default()).unwrap();
        let ids: Vec<PointId> = points.into_iter().map(|point| point.id).collect();
        assert_eq!(
            ids,
            (25..50).map(PointId::from).collect::<Vec<_>>(),
            "{durability}"
        );
    }
}

#[test]
fn a_dropped_collection_never_comes_back_whenever_the_power_fails() {
    let crash = CrashDirectory::new();
    let store = open(config(1, Durability::Full), in_one(Arc::new(crash.clone())));
    let mut client = store.client(count(4)).unwrap();
    client.create("c", spec(2, Metric::L2)).unwrap();
    client.upsert("c", vec![Point::new(1, vec![1.0, 1.0])]).unwrap();
    crash.note(1);
    client.drop_collection("c").unwrap();
    crash.note(2);
    client.create("c", spec(2, Metric::Cosine)).unwrap();
    crash.note(3);
    drop((client, store));
    for moment in 0..=crash.moments() {
        for seed in 0..4 {
            let store = open(
                config(1, Durability::Full),
                in_one(Arc::new(crash.image(moment, seed))),
            );
            let mut client = store.client(count(4)).unwrap();
            let there = client.list();
            let info = client.info("c");
            match crash.noted(moment) {
                Some(1) if !there.is_empty() && info.as_ref().unwrap().spec.metric == Metric::L2 => {
                    assert_eq!(info.unwrap().count, 1, "moment {moment}, seed {seed}");
                }
                // Removed, or made anew: then it is empty.
                Some(_) if !there.is_empty() => {
                    assert_eq!(info.unwrap().count, 0, "moment {moment}, seed {seed}")
                }
                noted => assert!(
                    noted != Some(3) || !there.is_empty(),
                    "moment {moment}, seed {seed}"
                ),
            }
        }
    }
}
