//! Durable writes: clients that each wait for their reply before the next write, so that nothing but grouping helps.

use super::{Effort, Home};
use crate::measure::Subject;
use quintet_tree::{Path, Tree};
use redb::{Database, TableDefinition};
use serde_json::json;
use std::{
    path,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

pub(super) const NAMES: [&str; 4] = [
    "tree, 1 client: a commit each",
    "tree, 16 clients",
    "tree, 64 clients",
    "redb, 64 clients: a commit each",
];
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("leaves");

pub(super) struct Bench {
    home: Home,
    redb: Database,
    window: Duration,
}

impl Bench {
    pub(super) fn prepare(effort: &Effort, dir: &path::Path) -> anyhow::Result<Self> {
        let home = Home::new(dir)?;
        let redb = Database::create(home.dir.path().join("redb"))?;
        let bench = Self {
            home,
            redb,
            window: effort.window,
        };
        write(&bench.home.tree, 0, 0)?;
        anyhow::ensure!(
            bench.home.tree.get(&place(0, 0)?)?.is_object(),
            "the tree lost a write"
        );
        bench.put(0, 0)?;
        Ok(bench)
    }

    fn put(&self, client: usize, n: usize) -> anyhow::Result<()> {
        let txn = self.redb.begin_write()?;
        txn.open_table(TABLE)?
            .insert(place(client, n)?.to_string().as_bytes(), [7_u8; 60].as_slice())?;
        Ok(txn.commit()?)
    }

    pub(super) fn subjects(&self) -> Vec<Subject<'_>> {
        let tree = &self.home.tree;
        let of_tree =
            move |clients| clients_of(clients, self.window, &|client, n| write(tree, client, n).is_ok());
        vec![
            Subject::several(NAMES[0], move || of_tree(1)),
            Subject::several(NAMES[1], move || of_tree(16)),
            Subject::several(NAMES[2], move || of_tree(64)),
            Subject::several(NAMES[3], move || {
                clients_of(64, self.window, &|client, n| self.put(client, n).is_ok())
            }),
        ]
    }
}

fn place(client: usize, n: usize) -> anyhow::Result<Path> {
    // Each client writes all over a part of its own.
    let n = n.wrapping_mul(7919) % 5000;
    Ok(Path::from_names([
        "clients",
        &format!("c{client:02}"),
        &format!("k{n}"),
    ])?)
}

pub(super) fn write(tree: &Tree, client: usize, n: usize) -> anyhow::Result<()> {
    tree.set(
        &place(client, n)?,
        json!({"n": n, "text": format!("a text of about forty characters, {n:07}")}),
    )?;
    Ok(())
}

/// Writes a second, and the 99th percentile of their times in ms.
pub(super) fn clients_of(
    clients: usize,
    window: Duration,
    write: &(dyn Fn(usize, usize) -> bool + Sync),
) -> Vec<f64> {
    let times = Mutex::new(Vec::new());
    let start = Instant::now();
    thread::scope(|scope| {
        for client in 0..clients {
            let times = &times;
            scope.spawn(move || {
                let mut own = Vec::new();
                // One at least, however short the window is.
                while own.is_empty() || start.elapsed() < window {
                    let before = Instant::now();
                    assert!(write(client, own.len()), "a write failed");
                    own.push(before.elapsed());
                }
                times
                    .lock()
                    .expect("no client panics with the lock")
                    .append(&mut own);
            });
        }
    });
    let elapsed = start.elapsed().as_secs_f64();
    let mut times = times.into_inner().expect("no client panicked");
    times.sort_unstable();
    let p99 = times[(times.len() - 1) * 99 / 100];
    vec![times.len() as f64 / elapsed, p99.as_secs_f64() * 1000.0]
}
