//! `kill -9` under load, again and again: what was acknowledged is there, an update is there whole, and watchers go on.
//!
//! The test starts itself as the process that is killed. Power cuts are in `cargo xtask crash power`: a killed process keeps
//! the page cache.

use crate::path;
use quintet_core::Seq;
use quintet_tree::{Config, Path, Tree, fsck};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write as _},
    process::{Child, Command, Stdio},
};

const DIR: &str = "QUINTET_TREE_CRASH_DIR";
const CLIENTS: u64 = 4;

fn config(dir: impl Into<std::path::PathBuf>) -> Config {
    Config {
        map_bytes: 1 << 30,
        ..Config::new(dir)
    }
}

/// Writes until it is killed. Each write changes two places at once, and is told of after it was acknowledged.
fn write_for_ever(dir: &str) {
    let tree = Tree::open(config(dir)).unwrap();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let tree = &tree;
            scope.spawn(move || {
                let here = path(&format!("here/{client}"));
                let mut n = tree.get(&here).unwrap()["n"].as_u64().unwrap_or(0);
                loop {
                    n += 1;
                    let document = json!({"n": n, "text": "x".repeat((n % 50) as usize * 100)});
                    let changes = vec![
                        (here.clone(), document.clone()),
                        (path(&format!("there/{client}")), document),
                        (
                            path(&format!("gone/{client}/{}", n % 7)),
                            if n.is_multiple_of(2) {
                                json!(null)
                            } else {
                                json!(n)
                            },
                        ),
                    ];
                    let written = tree.update(&Path::root(), changes).unwrap();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "ack {client} {n} {}", written.seq).unwrap();
                    out.flush().unwrap();
                }
            });
        }
    });
}

struct Victim(Child);

impl Victim {
    fn start(dir: &std::path::Path) -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "crash::what_was_acknowledged_survives_kill_minus_nine",
                "--nocapture",
            ])
            .env(DIR, dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Kills it after so many acknowledged writes; the last number of each client, and of all.
    fn kill_after(mut self, acknowledged: usize) -> (BTreeMap<u64, u64>, u64) {
        let out = BufReader::new(self.0.stdout.take().unwrap());
        let (mut last, mut seq, mut count) = (BTreeMap::new(), 0, 0);
        for line in out.lines() {
            let line = line.unwrap();
            // The harness has lines of its own, and may begin ours with one.
            let Some((_, numbers)) = line.split_once("ack ") else {
                continue;
            };
            let numbers: Vec<u64> = numbers.split(' ').filter_map(|word| word.parse().ok()).collect();
            let [client, n, at] = numbers[..] else {
                continue; // Cut off by the kill.
            };
            last.insert(client, n);
            seq = seq.max(at);
            count += 1;
            if count == acknowledged {
                self.0.kill().unwrap();
            }
        }
        self.0.wait().unwrap();
        assert!(count >= acknowledged, "it ended by itself after {count} writes");
        (last, seq)
    }
}

#[test]
fn what_was_acknowledged_survives_kill_minus_nine() {
    if let Ok(dir) = env::var(DIR) {
        return write_for_ever(&dir);
    }
    let rounds: usize = env::var("CRASH_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(3);
    let dir = tempfile::tempdir().unwrap();
    let mut before: BTreeMap<u64, u64> = BTreeMap::new();
    for round in 0..rounds {
        let (last, seq) = Victim::start(dir.path()).kill_after(40 + round * 37 % 400);
        before.extend(last);
        let tree = Tree::open(config(dir.path())).unwrap();
        assert!(tree.stats().last_seq >= seq, "round {round}");
        for (client, n) in &mut before {
            let here = tree.get(&path(&format!("here/{client}"))).unwrap();
            let there = tree.get(&path(&format!("there/{client}"))).unwrap();
            assert_eq!(here, there, "half an update, round {round}");
            let found = here["n"].as_u64().unwrap();
            assert!(
                (*n..=*n + 1).contains(&found),
                "client {client}: {n} was acknowledged, {found} is there"
            );
            assert_eq!(
                here["text"].as_str().map(str::len),
                Some((found % 50) as usize * 100)
            );
            let gone = tree.get(&path(&format!("gone/{client}/{}", found % 7))).unwrap();
            let expected = if found.is_multiple_of(2) {
                Value::Null
            } else {
                json!(found)
            };
            assert_eq!(gone, expected, "a part of an update, round {round}");
            *n = found;
        }
        let now = Seq(tree.stats().last_seq);
        let (initial, mut watch) = tree.reader().watch(&Path::root(), Some(now)).unwrap();
        assert_eq!(initial, None, "a watcher that saw everything goes on");
        let next = tree.set(&path("round"), json!(round)).unwrap().seq;
        assert_eq!(next, Seq(now.0 + 1));
        assert!(watch.next_blocking().is_some());
        drop((watch, tree));
        let faults = fsck(dir.path(), &[]).unwrap().faults;
        assert!(faults.is_empty(), "{faults:?}");
    }
}
