//! The cold tier from outside: a collection with little memory answers what one with plenty does, bit for bit, whatever
//! happened before; its memory is what its budget says; a file that is not what was written is told at the opening.

use super::{
    config,
    crash::cases,
    index::{Numbers, check_hits, clustered, fill, recall, wait_for_index, with_index},
    open, spec,
};
use crate::engine::count;
use proptest::prelude::*;
use quintet_core::{Durability, ErrorKind};
use quintet_log::CrashDirectory;
use quintet_shard::{
    ShardId,
    vector::{
        Directories, Filter, Metric, Point, PointId, Search, Spec, VectorClient, VectorError, VectorStore,
        With, check_cold_files,
    },
};
use std::{
    env, fs,
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

const IDS: u64 = 800;
/// Less than half of what all ids take in memory.
const LITTLE: u64 = 120 << 10;
const PLENTY: u64 = 1 << 30;

fn id(n: u64) -> PointId {
    if n.is_multiple_of(3) {
        PointId::from(&*format!("name-{n:03}"))
    } else {
        n.into()
    }
}

fn point(n: u64, seed: u64) -> Point {
    let mut numbers = Numbers(seed ^ n);
    // Few values, so that ties are common.
    let vector = (0..3).map(|_| (numbers.next() * 4.0).round()).collect();
    let payload = serde_json::json!({"color": (seed ^ n) % 4, "text": "x".repeat((n % 7) as usize)});
    Point::new(id(n), vector).with_payload(payload.as_object().unwrap().clone())
}

#[derive(Clone, Debug)]
enum Step {
    Upsert(u64, u64, u64),
    Delete(u64, u64),
    Search(u64, usize, Option<u64>),
    Restart(usize),
    Reopen,
    PowerCut(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..IDS, 20..120_u64, any::<u64>()).prop_map(|(from, count, seed)| Step::Upsert(from, count, seed)),
        2 => (0..IDS, 1..200_u64).prop_map(|(from, count)| Step::Delete(from, count)),
        3 => (any::<u64>(), 1..40_usize, prop::option::of(0..4_u64)).prop_map(|(q, k, c)| Step::Search(q, k, c)),
        1 => (0..8_usize).prop_map(Step::Restart),
        1 => Just(Step::Reopen),
        1 => any::<u64>().prop_map(Step::PowerCut),
    ];
    prop::collection::vec(step, 5..30)
}

/// Where a world's files are: a simulated disk, whose files cannot be mapped, or a real one.
enum Disk {
    Simulated(Vec<CrashDirectory>),
    Real(tempfile::TempDir),
}

struct World {
    shards: usize,
    disk: Disk,
    store: VectorStore,
    client: VectorClient,
}

impl World {
    fn over(shards: usize, disk: Disk) -> Self {
        let directories = match &disk {
            Disk::Simulated(all) => {
                let shared = |directory: &CrashDirectory| Arc::new(directory.clone()) as _;
                Directories::over(shared(&all[shards]), all[..shards].iter().map(shared).collect())
            }
            Disk::Real(dir) => Directories::on_disk(dir.path(), count(shards)).unwrap(),
        };
        let store = open(config(shards, Durability::Full), directories);
        let client = store.client(count(4)).unwrap();
        Self {
            shards,
            disk,
            store,
            client,
        }
    }

    fn new(shards: usize, disk: Disk, budget_bytes: u64) -> Self {
        let mut world = Self::over(shards, disk);
        let spec = Spec {
            budget_bytes,
            ..spec(3, Metric::L2)
        };
        world.client.create("c", spec).unwrap();
        world
    }

    fn simulated(shards: usize, budget_bytes: u64) -> Self {
        let all = (0..=shards).map(|_| CrashDirectory::new()).collect();
        Self::new(shards, Disk::Simulated(all), budget_bytes)
    }

    fn again(self, power_cut: Option<u64>) -> Self {
        if power_cut.is_none() {
            self.store.close().unwrap();
        }
        let disk = match (self.disk, power_cut) {
            (Disk::Simulated(all), Some(seed)) => {
                let left = all.iter().map(|disk| disk.image(disk.moments(), seed));
                Disk::Simulated(left.map(CrashDirectory::over).collect())
            }
            (disk, _) => {
                // What is dropped without being closed is like killed: the kernel has all that was acknowledged.
                drop((self.client, self.store));
                disk
            }
        };
        Self::over(self.shards, disk)
    }
}

/// Everything that a world knows of a query.
type Answer = Vec<(PointId, u32, Option<Vec<f32>>, String)>;

fn answer(client: &mut VectorClient, seed: u64, k: usize, color: Option<u64>) -> Vec<Answer> {
    let with = With {
        payload: true,
        vector: true,
    };
    let queries = (0..5).map(|n| point(n, seed).vector).collect();
    let mut search = Search::many(queries, k).with(with).exact();
    if let Some(color) = color {
        search = search.filtered(Filter::Equal("color".into(), color.into()));
    }
    let found = client.search_many("c", search).unwrap();
    let shown = |hits: Vec<quintet_shard::vector::Hit>| -> Answer {
        hits.into_iter()
            .map(|hit| {
                (
                    hit.id,
                    hit.score.to_bits(),
                    hit.vector,
                    format!("{:?}", hit.payload),
                )
            })
            .collect()
    };
    found.into_iter().map(shown).collect()
}

fn compare(worlds: &mut [World], seed: u64, k: usize, color: Option<u64>) {
    let wanted = answer(&mut worlds[0].client, seed, k, color);
    let count = worlds[0].client.count("c", None).unwrap();
    let with = With {
        payload: true,
        vector: true,
    };
    let all = worlds[0].client.scroll("c", None, 1000, with).unwrap();
    for world in &mut worlds[1..] {
        let shards = world.shards;
        assert_eq!(
            answer(&mut world.client, seed, k, color),
            wanted,
            "{shards} shards"
        );
        assert_eq!(world.client.count("c", None).unwrap(), count);
        assert_eq!(
            world.client.scroll("c", None, 1000, with).unwrap(),
            all,
            "{shards} shards"
        );
    }
}

fn history(steps: &[Step]) {
    let real = Disk::Real(tempfile::tempdir().unwrap());
    let mut worlds = vec![
        World::simulated(1, PLENTY),
        World::simulated(1, LITTLE),
        World::simulated(2, LITTLE),
        World::simulated(8, LITTLE),
        World::new(2, real, LITTLE),
    ];
    // What no history forgets: all ids at once, and everything again from the files.
    let last = [
        Step::Upsert(0, IDS / 2, 1),
        Step::Upsert(IDS / 2, IDS / 2, 1),
        Step::Search(1, 30, None),
        Step::Reopen,
        Step::Search(2, 30, Some(1)),
    ];
    for step in steps.iter().chain(&last) {
        match step {
            Step::Upsert(from, count, seed) => {
                for world in &mut worlds {
                    let points: Vec<Point> = (*from..(from + count).min(IDS))
                        .map(|n| point(n, *seed))
                        .collect();
                    for batch in points.chunks(100) {
                        world.client.upsert("c", batch.to_vec()).unwrap();
                    }
                }
            }
            Step::Delete(from, count) => {
                let ids: Vec<PointId> = (*from..from + count).map(id).collect();
                let deleted = worlds
                    .iter_mut()
                    .map(|world| world.client.delete("c", ids.clone()).unwrap());
                let deleted: Vec<usize> = deleted.collect();
                assert!(deleted.windows(2).all(|two| two[0] == two[1]), "{deleted:?}");
            }
            Step::Search(seed, k, color) => compare(&mut worlds, *seed, *k, *color),
            Step::Restart(shard) => {
                for world in &worlds {
                    world.store.restart(ShardId(shard % world.shards)).unwrap();
                }
            }
            Step::Reopen => worlds = worlds.into_iter().map(|world| world.again(None)).collect(),
            Step::PowerCut(seed) => {
                worlds = worlds.into_iter().map(|world| world.again(Some(*seed))).collect();
            }
        }
    }
    for (world, is_little) in worlds.iter_mut().zip([false, true, true, true, true]) {
        let info = world.client.info("c").unwrap();
        assert_eq!(
            info.cold_bytes > 0,
            is_little,
            "{} shards: {info:?}",
            world.shards
        );
        assert!(info.bytes <= info.spec.budget_bytes, "{info:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(24).div_ceil(4), ..ProptestConfig::default() })]

    #[test]
    fn crash_and_all_little_memory_answers_what_plenty_does(steps in steps()) {
        history(&steps);
    }
}

/// A store on disk most of whose points lie in files, and what it answers.
fn mostly_cold() -> (tempfile::TempDir, Vec<Answer>) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(
        config(1, Durability::Full),
        Directories::on_disk(dir.path(), count(1)).unwrap(),
    );
    let mut client = store.client(count(4)).unwrap();
    let spec = Spec {
        budget_bytes: LITTLE,
        ..spec(3, Metric::L2)
    };
    client.create("c", spec).unwrap();
    for first in (0..IDS).step_by(50) {
        let points = (first..first + 50).map(|n| point(n, 5));
        client.upsert("c", points.collect()).unwrap();
    }
    let wanted = answer(&mut client, 3, 20, None);
    // Until a snapshot names them; one that is being replaced this moment counts for nothing.
    let shard = quintet_log::OsDirectory::open(dir.path().join("shard-0000")).unwrap();
    let give_up = Instant::now() + Duration::from_secs(60);
    while check_cold_files(&shard).unwrap_or(0) <= 5 {
        assert!(Instant::now() < give_up, "no snapshot names files");
        client.upsert("c", vec![point(0, 5)]).unwrap();
    }
    store.close().unwrap();
    (dir, wanted)
}

fn cold_files(dir: &std::path::Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("shard-0000")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "cold"));
    paths.sort();
    paths
}

#[test]
fn a_file_that_is_not_what_was_written_is_told_by_its_name() {
    let (dir, wanted) = mostly_cold();
    let shard = quintet_log::OsDirectory::open(dir.path().join("shard-0000")).unwrap();
    let named = check_cold_files(&shard).unwrap();
    let files = cold_files(dir.path());
    assert!(
        named > 5 && files.len() as u64 >= named,
        "{named} of {}",
        files.len()
    );
    let path = files.iter().find(|path| {
        let whole = fs::read(path).unwrap();
        fs::write(path, &whole[..whole.len() - 1]).unwrap();
        let is_named = check_cold_files(&shard).is_err();
        fs::write(path, whole).unwrap();
        is_named
    });
    let path = path.expect("a file that the snapshot names");
    let whole = fs::read(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let mut damaged: Vec<Option<Vec<u8>>> = vec![None, Some([&*whole, &[0]].concat())];
    damaged.extend([0, 1, 63, 4096, 8191, 8192, whole.len() - 1].map(|len| Some(whole[..len].to_vec())));
    // Magic, version, stride, number, checksums; a vector, where a text begins, a text.
    for at in [0, 8, 16, 32, 48, 62, 4096, 5000, 8195, whole.len() - 2] {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        damaged.push(Some(changed));
    }
    for bytes in damaged {
        match &bytes {
            Some(bytes) => fs::write(path, bytes).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        let what = bytes.as_ref().map(Vec::len);
        let checked = check_cold_files(&shard).unwrap_err();
        let directories = Directories::on_disk(dir.path(), count(1)).unwrap();
        let opened = VectorStore::open(
            config(1, Durability::Full),
            directories,
            Arc::new(quintet_core::SystemClock),
        );
        for error in [checked, opened.err().expect("it is damaged")] {
            assert_eq!(error.kind(), ErrorKind::Corrupted, "{what:?}: {error}");
            assert!(error.to_string().contains(name), "{what:?}: {error}");
        }
    }
    fs::write(path, whole).unwrap();
    let store = open(
        config(1, Durability::Full),
        Directories::on_disk(dir.path(), count(1)).unwrap(),
    );
    let mut client = store.client(count(4)).unwrap();
    assert_eq!(answer(&mut client, 3, 20, None), wanted);
}

#[test]
fn another_size_of_blocks_reads_the_files_and_a_dropped_collection_leaves_none() {
    let (dir, wanted) = mostly_cold();
    let mut config = config(1, Durability::Full);
    config.block_bytes = 4096;
    let store = open(config, Directories::on_disk(dir.path(), count(1)).unwrap());
    let mut client = store.client(count(4)).unwrap();
    assert_eq!(answer(&mut client, 3, 20, None), wanted);
    assert!(client.info("c").unwrap().bytes <= LITTLE);
    client.drop_collection("c").unwrap();
    client.create("c", spec(3, Metric::L2)).unwrap();
    store.close().unwrap();
    drop((client, store));
    let store = open(
        super::config(1, Durability::Full),
        Directories::on_disk(dir.path(), count(1)).unwrap(),
    );
    let mut client = store.client(count(4)).unwrap();
    assert_eq!(client.count("c", None).unwrap(), 0);
    assert_eq!(cold_files(dir.path()), Vec::<PathBuf>::new());
    assert_eq!(client.info("c").unwrap().cold_bytes, 0);
}

#[test]
fn a_graph_over_hot_and_cold_blocks_finds_what_one_in_memory_does() {
    const POINTS: usize = 1500;
    let mut vectors = clustered(POINTS + 30, 16, 20);
    let queries = vectors.split_off(POINTS);
    let dir = tempfile::tempdir().unwrap();
    let store = open(
        with_index(2, 200),
        Directories::on_disk(dir.path(), count(2)).unwrap(),
    );
    let mut client = store.client(count(4)).unwrap();
    // Links of 128 bytes and 64 more for each point stay in memory, of 352 in all.
    let spec = Spec {
        budget_bytes: 420 << 10,
        ..spec(16, Metric::L2)
    };
    client.create("c", spec).unwrap();
    for (first, half) in (0..).step_by(POINTS / 2).zip(vectors.chunks(POINTS / 2)) {
        let points = (first..)
            .zip(half)
            .map(|(n, vector): (u64, _)| Point::new(n, vector.clone()));
        let points: Vec<Point> = points.collect();
        for batch in points.chunks(100) {
            client.upsert("c", batch.to_vec()).unwrap();
        }
        // So that blocks which the graph has already are moved.
        wait_for_index(&mut client, first + POINTS as u64 / 2 - 64);
    }
    let info = client.info("c").unwrap();
    assert!(info.cold_bytes > 100 << 10, "{info:?}");
    let search = Search::many(queries.clone(), 10);
    let wanted = client.search_many("c", search.clone().exact()).unwrap();
    let found = client.search_many("c", search).unwrap();
    assert!(recall(&found, &wanted) >= 0.95);
    check_hits(&mut client, &queries, &found);
    let (plain, mut other) = super::with_collection(1, 16, Metric::L2);
    fill(&mut other, &vectors);
    let exact = other.search_many("c", Search::many(queries, 10).exact()).unwrap();
    assert_eq!(exact, wanted);
    drop(plain);
}

#[test]
fn without_a_cold_tier_a_full_budget_refuses_and_with_it_what_cannot_move_does() {
    for cold_tier in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(1, Durability::Relaxed);
        config.cold_tier = cold_tier;
        let store = open(config, Directories::on_disk(dir.path(), count(1)).unwrap());
        let mut client = store.client(count(4)).unwrap();
        let spec = Spec {
            budget_bytes: 16 << 10,
            ..spec(3, Metric::L2)
        };
        client.create("c", spec).unwrap();
        let mut stored = 0;
        let error = loop {
            match client.upsert("c", vec![point(stored, 1)]) {
                Ok(_) => stored += 1,
                Err(error) => break error,
            }
        };
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
        assert!(
            matches!(source, Some(VectorError::OverBudget { .. })),
            "{error:?}"
        );
        assert_eq!(error.kind(), ErrorKind::Full);
        assert_eq!(client.count("c", None).unwrap(), stored);
        assert!(client.info("c").unwrap().bytes <= 16 << 10);
        // 64 bytes and a name against 200 and more.
        assert_eq!(stored > 150, cold_tier, "{stored} with a cold tier: {cold_tier}");
    }
}

const TOLD: &str = "QUINTET_COLD_BUDGET";

/// Fills a store of this budget in a process of its own; answers by how many bytes its anonymous memory grew.
#[expect(clippy::print_stdout, reason = "the process tells its parent what it took")]
fn anonymous_bytes(budget_bytes: u64) -> u64 {
    const TEST: &str = "vectors::cold::anonymous_memory_stays_within_the_budget";
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture", "--test-threads=1"])
        .env(TOLD, budget_bytes.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8(child.stdout).unwrap();
    println!("{text}{}", String::from_utf8_lossy(&child.stderr));
    let told = text.lines().find_map(|line| line.strip_prefix("grew by "));
    told.expect("the figure").parse().unwrap()
}

fn anonymous() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() << 10
}

#[expect(clippy::print_stdout, reason = "the parent reads what it took")]
fn take_memory(budget_bytes: u64) {
    const DIMENSION: usize = 512;
    const POINTS: u64 = 24_000;
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(2, Durability::Relaxed).with_segment_bytes(4 << 20);
    config.log.zero_fill = false;
    config.block_bytes = 256 << 10;
    config.index = None;
    config.snapshot_log_bytes = 8 << 20;
    let store = open(config, Directories::on_disk(dir.path(), count(2)).unwrap());
    let mut client = store.client(count(4)).unwrap();
    let spec = Spec {
        budget_bytes,
        ..spec(DIMENSION, Metric::L2)
    };
    client.create("c", spec).unwrap();
    let batch = |client: &mut VectorClient, first: u64| {
        let points = (first..first + 100).map(|n| Point::new(n, vec![n as f32; DIMENSION]));
        client.upsert("c", points.collect()).unwrap();
    };
    batch(&mut client, 0);
    let before = anonymous();
    (100..POINTS)
        .step_by(100)
        .for_each(|first| batch(&mut client, first));
    // A search looks at all of it, wherever it lies.
    let hits = client
        .search("c", Search::new(vec![7.0; DIMENSION], 1).exact())
        .unwrap();
    assert_eq!((&hits[0].id, hits[0].score), (&7.into(), 0.0));
    let info = client.info("c").unwrap();
    assert!(info.count == POINTS && info.bytes <= budget_bytes, "{info:?}");
    println!("\ngrew by {}", anonymous().saturating_sub(before));
}

#[test]
fn anonymous_memory_stays_within_the_budget() {
    if let Ok(told) = env::var(TOLD) {
        return take_memory(told.parse().unwrap());
    }
    // 49 MB of vectors. What the log, the requests and the allocator take beside comes on top.
    let (plenty, little) = (anonymous_bytes(PLENTY), anonymous_bytes(10 << 20));
    assert!(plenty > 49_000_000, "{plenty} bytes show what this cannot tell");
    assert!(little < 26 << 20, "{little} bytes with a budget of 10 MiB");
}
