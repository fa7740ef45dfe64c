//! One reader, one leaf at a time, at random: what a snapshot and a look-up cost.

use super::{Effort, Home, leaf};
use crate::measure::Subject;
use quintet_tree::{Path, RawKey, Value};
use redb::{Database, ReadableDatabase, TableDefinition};
use serde_json::json;
use std::{
    path,
    time::{Duration, Instant},
};

pub(super) const NAMES: [&str; 4] = [
    "LMDB alone, a transaction each",
    "tree",
    "tree, a document of 10 leaves",
    "redb, a transaction each",
];
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("leaves");

pub(super) struct Bench {
    home: Home,
    redb: Database,
    paths: Vec<Path>,
    keys: Vec<RawKey>,
    documents: Vec<Path>,
    window: Duration,
}

impl Bench {
    pub(super) fn prepare(effort: &Effort, dir: &path::Path) -> anyhow::Result<Self> {
        let home = Home::new(dir)?;
        let paths: Vec<Path> = (0..effort.leaves).map(leaf).collect::<Result<_, _>>()?;
        let redb = Database::create(home.dir.path().join("redb"))?;
        for chunk in paths.chunks(5000) {
            let changes = chunk
                .iter()
                .map(|path| (path.clone(), json!("Ada Lovelace")))
                .collect();
            home.tree.update(&Path::root(), changes)?;
            let txn = redb.begin_write()?;
            {
                let mut table = txn.open_table(TABLE)?;
                for path in chunk {
                    table.insert(path.to_string().as_bytes(), b"Ada Lovelace".as_slice())?;
                }
            }
            txn.commit()?;
        }
        let documents = (0..100)
            .map(|n| -> anyhow::Result<Path> {
                let path = Path::from_names(["documents", &format!("d{n}")])?;
                let fields: serde_json::Map<String, Value> =
                    (0..10).map(|n| (format!("f{n}"), json!(n))).collect();
                home.tree.set(&path, Value::Object(fields))?;
                Ok(path)
            })
            .collect::<Result<_, _>>()?;
        let keys = paths.iter().map(RawKey::of).collect();
        let bench = Self {
            home,
            redb,
            paths,
            keys,
            documents,
            window: effort.window,
        };
        let last = bench.paths.len() - 1;
        anyhow::ensure!(
            bench.tree(last) && bench.raw(last) && bench.redb(last)?,
            "a subject does not find a leaf"
        );
        anyhow::ensure!(bench.document(last), "the tree does not find a document");
        Ok(bench)
    }

    fn tree(&self, n: usize) -> bool {
        self.home
            .tree
            .reader()
            .get(&self.paths[n])
            .is_ok_and(|value| value.is_string())
    }

    fn document(&self, n: usize) -> bool {
        let path = &self.documents[n % self.documents.len()];
        self.home
            .tree
            .reader()
            .get(path)
            .is_ok_and(|value| value["f9"] == 9)
    }

    fn raw(&self, n: usize) -> bool {
        self.home
            .tree
            .reader()
            .raw_len(&self.keys[n])
            .is_ok_and(|len| len == Some(13))
    }

    fn redb(&self, n: usize) -> anyhow::Result<bool> {
        let txn = self.redb.begin_read()?;
        let table = txn.open_table(TABLE)?;
        Ok(table
            .get(self.paths[n].to_string().as_bytes())?
            .is_some_and(|value| value.value().len() == 12))
    }

    /// Nanoseconds of one call.
    fn time(&self, call: impl Fn(usize) -> bool) -> f64 {
        let (start, mut calls, mut at) = (Instant::now(), 0_u32, 1_usize);
        while start.elapsed() < self.window {
            for _ in 0..64 {
                at = at
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                assert!(call((at >> 33) % self.paths.len()), "a leaf is gone");
            }
            calls += 64;
        }
        start.elapsed().as_nanos() as f64 / f64::from(calls)
    }

    pub(super) fn subjects(&self) -> Vec<Subject<'_>> {
        vec![
            Subject::new(NAMES[0], || self.time(|n| self.raw(n))),
            Subject::new(NAMES[1], || self.time(|n| self.tree(n))),
            Subject::new(NAMES[2], || self.time(|n| self.document(n))),
            Subject::new(NAMES[3], || self.time(|n| self.redb(n).unwrap_or(false))),
        ]
    }
}
