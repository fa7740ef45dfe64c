//! Indexes that are declared anew while the tree serves: right answers before, during and after, whatever fails.

use crate::{Fresh, config, path};
use quintet_core::ErrorKind;
use quintet_tree::{Index, OrderBy, Query, Tree, Write, fsck};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

fn on(child: &str) -> Index {
    Index {
        at: "rooms/*".to_owned(),
        on: OrderBy::Child(path(child)),
    }
}

fn by(child: &str) -> Query {
    Query {
        order_by: OrderBy::Child(path(child)),
        ..Query::default()
    }
}

/// The names in the order of `child`, and whether an index gave it.
fn asked(tree: &Tree, child: &str) -> (Vec<String>, bool) {
    let answer = tree.query(&path("rooms/r"), &by(child)).unwrap();
    let names = answer.rows.into_iter().map(|(name, _)| name).collect();
    (names, answer.unindexed_rows.is_none())
}

fn names(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn what_is_declared_serves_at_once_and_what_is_not_goes() {
    let Fresh { tree, dir } = Fresh::with(|config| config.indexes = vec![on("s")]);
    for (name, s, t) in [("a", 3, 1), ("b", 2, 2), ("c", 1, 3)] {
        tree.set(&path(&format!("rooms/r/{name}")), json!({"s": s, "t": t}))
            .unwrap();
    }
    assert_eq!(asked(&tree, "s"), (names("c b a"), true));
    assert_eq!(asked(&tree, "t"), (names("a b c"), false));

    tree.reindex(&[on("t"), on("s")]).unwrap();
    assert_eq!(asked(&tree, "t"), (names("a b c"), true));
    assert_eq!(asked(&tree, "s"), (names("c b a"), true));
    tree.reindex(&[on("t")]).unwrap();
    assert_eq!(asked(&tree, "s"), (names("c b a"), false));

    // Kept up from then on, and what is gone is not.
    tree.set(&path("rooms/r/d"), json!({"s": 0, "t": 0})).unwrap();
    tree.delete(&path("rooms/r/b")).unwrap();
    assert_eq!(asked(&tree, "t"), (names("d a c"), true));
    assert_eq!(asked(&tree, "s"), (names("d c a"), false));

    tree.reindex(&[on("s")]).unwrap();
    assert_eq!(asked(&tree, "s"), (names("d c a"), true));
    tree.close().unwrap();
    drop(tree);
    let report = fsck(dir.path(), &[on("s")]).unwrap();
    assert_eq!((report.faults, report.entries), (Vec::new(), 3));
    let tree = Tree::open(quintet_tree::Config {
        indexes: vec![on("s")],
        ..config(&dir)
    })
    .unwrap();
    assert_eq!(asked(&tree, "s"), (names("d c a"), true));
}

#[test]
fn a_wrong_declaration_changes_nothing() {
    let Fresh { tree, .. } = Fresh::with(|config| config.indexes = vec![on("s")]);
    tree.set(&path("rooms/r/a"), json!({"s": 1})).unwrap();
    let many: Vec<Index> = (0..1001).map(|n| on(&format!("c{n}"))).collect();
    let by_key = Index {
        at: "rooms".to_owned(),
        on: OrderBy::Key,
    };
    for (wrong, why) in [
        (many, "1001"),
        (vec![on("t"), on("t")], "twice"),
        (vec![by_key], "needs no index"),
    ] {
        let error = tree.reindex(&wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(asked(&tree, "s"), (names("a"), true));
}

#[test]
fn a_failed_commit_before_it_leaves_the_indexes_as_they_are() {
    let Fresh { tree, .. } = Fresh::with(|config| config.indexes = vec![on("s")]);
    tree.set(&path("rooms/r/a"), json!({"s": 1, "t": 1})).unwrap();
    tree.fail_next_commit(ErrorKind::Full);
    let refused = tree
        .write_blocking(Write::set(path("rooms/r/b"), json!({"s": 0})))
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    assert_eq!(asked(&tree, "s"), (names("a"), true));
    tree.reindex(&[on("t")]).unwrap();
    assert_eq!(asked(&tree, "t"), (names("a"), true));

    tree.fail_next_commit(ErrorKind::Io);
    let refused = tree
        .write_blocking(Write::set(path("rooms/r/b"), json!({"s": 0})))
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Io);
    assert_eq!(tree.reindex(&[on("s")]).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(asked(&tree, "t"), (names("a"), true));
}

#[test]
fn an_index_that_does_not_fit_is_left_out_and_the_others_stay_right() {
    let Fresh { tree, dir } = Fresh::with(|config| {
        config.map_bytes = 8 << 20;
        config.indexes = vec![on("s")];
    });
    // Many small items whose entries have long places: they take more than is left.
    let place = "p".repeat(300);
    let many: Map<String, Value> = (0..8000).map(|n| (format!("i{n}"), json!(n))).collect();
    tree.set(&path(&format!("wide/{place}")), Value::Object(many))
        .unwrap();
    tree.set(&path("rooms/r/a"), json!({"s": 1, "t": 1})).unwrap();
    let wide = Index {
        at: "wide/*".to_owned(),
        on: OrderBy::Value,
    };
    let error = tree.reindex(&[on("s"), on("t"), wide.clone()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    tree.set(&path("rooms/r/b"), json!({"s": 0, "t": 0})).unwrap();
    assert_eq!(asked(&tree, "s"), (names("b a"), true));
    assert_eq!(asked(&tree, "t").0, names("b a"));
    let query = Query {
        order_by: OrderBy::Value,
        limit: Some(quintet_tree::Limit::First(2)),
        ..Query::default()
    };
    let answer = tree.query(&path(&format!("wide/{place}")), &query).unwrap();
    assert_eq!(
        answer.rows,
        [("i0".to_owned(), json!(0)), ("i1".to_owned(), json!(1))]
    );
    assert_eq!(answer.unindexed_rows, Some(8000));
    drop(tree);
    assert_eq!(
        fsck(dir.path(), &[on("s"), on("t"), wide]).unwrap().faults,
        [""; 0]
    );
    let tree = Tree::open(config(&dir)).unwrap();
    tree.reindex(&[on("t")]).unwrap();
    assert_eq!(asked(&tree, "t"), (names("b a"), true));
    drop(tree);
    let report = fsck(dir.path(), &[on("t")]).unwrap();
    assert_eq!((report.faults, report.entries), (Vec::new(), 2));
}

/// Readers ask and a writer writes while indexes come and go: each answer is one that the tree had.
#[test]
fn answers_stay_right_while_indexes_change() {
    let Fresh { tree, dir } = Fresh::new();
    let ended = AtomicBool::new(false);
    // Each write moves an item and keeps the sum of all: an index of another moment than the rows would break it.
    let (a, b) = (path("rooms/r/a/s"), path("rooms/r/b/s"));
    tree.update(&path("/"), vec![(a.clone(), json!(500)), (b.clone(), json!(500))])
        .unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let answer = tree.query(&path("rooms/r"), &by("s")).unwrap();
                    let all: BTreeMap<_, _> = answer
                        .rows
                        .iter()
                        .map(|(name, item)| (name.as_str(), item["s"].as_i64().unwrap()))
                        .collect();
                    assert_eq!(all.values().sum::<i64>(), 1000, "{:?}", answer.rows);
                    let order: Vec<i64> = answer
                        .rows
                        .iter()
                        .map(|(_, item)| item["s"].as_i64().unwrap())
                        .collect();
                    assert!(order.is_sorted(), "{order:?}");
                }
            });
        }
        scope.spawn(|| {
            for n in 0..300 {
                let changes = vec![(a.clone(), json!(n)), (b.clone(), json!(1000 - n))];
                tree.update(&path("/"), changes).unwrap();
            }
            ended.store(true, Ordering::Relaxed);
        });
        let mut turn = 0;
        while !ended.load(Ordering::Relaxed) {
            turn += 1;
            let declared: &[Index] = if turn % 2 == 0 { &[] } else { &[on("s")] };
            tree.reindex(declared).unwrap();
        }
    });
    tree.reindex(&[on("s")]).unwrap();
    drop(tree);
    let report = fsck(dir.path(), &[on("s")]).unwrap();
    assert_eq!((report.faults, report.entries), (Vec::new(), 2));
}
