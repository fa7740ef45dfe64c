//! Copies of a tree that serves: they open, and they are the tree at one commit.

use crate::{config, path};
use quintet_tree::{Tree, TreeError, backup, fsck};
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[test]
fn a_copy_made_under_load_is_the_tree_at_one_commit() {
    let dir = tempfile::tempdir().unwrap();
    let tree = Tree::open(config(&dir)).unwrap();
    let (acknowledged, over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1_u64.. {
                tree.set(&path("pair"), json!({ "left": n, "right": n })).unwrap();
                tree.set(&path(&format!("all/n{n}")), json!("x".repeat(500)))
                    .unwrap();
                acknowledged.store(n, Ordering::Release);
                if over.load(Ordering::Acquire) {
                    break;
                }
            }
        });
        for round in 0..4 {
            while acknowledged.load(Ordering::Acquire) < 5 * (round + 1) {
                std::thread::yield_now();
            }
            let before = acknowledged.load(Ordering::Acquire);
            let to = tempfile::tempdir().unwrap();
            let bytes = tree.backup(to.path()).unwrap();
            assert!(bytes > 0);
            let report = fsck(to.path(), &[]).unwrap();
            assert!(report.faults.is_empty(), "{:?}", report.faults);
            let copy = Tree::open(config(&to)).unwrap();
            let pair = copy.get(&path("pair")).unwrap();
            assert!(pair["left"].as_u64().unwrap() >= before, "{pair} of {before}");
            assert_eq!(pair["left"], pair["right"]);
            assert!(copy.get(&path(&format!("all/n{before}"))).unwrap().is_string());
            copy.set(&path("more"), json!(1)).unwrap();
            copy.close().unwrap();
            assert!(tree.backup(to.path()).is_err(), "it holds a tree");
        }
        over.store(true, Ordering::Release);
    });
    let to = tempfile::tempdir().unwrap();
    assert!(matches!(
        backup(dir.path(), to.path()),
        Err(TreeError::Locked { .. })
    ));
    let pair = tree.get(&path("pair")).unwrap();
    drop(tree);
    backup(dir.path(), to.path()).unwrap();
    let copy = Tree::open(config(&to)).unwrap();
    assert_eq!(copy.get(&path("pair")).unwrap(), pair);
}
