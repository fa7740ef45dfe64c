//! Reads, writes and their limits.

use crate::{Fresh, path};
use quintet_core::{ErrorKind, Seq};
use quintet_tree::{ETag, Next, Outcome, Path, Tree};
use serde_json::{Value, json};

#[test]
fn an_update_changes_all_its_places_or_none() {
    let Fresh { tree, .. } = Fresh::new();
    tree.set(&path("a"), json!({"x": 1, "y": {"z": 2}, "w": 3}))
        .unwrap();
    let changes = vec![
        (path("x"), json!(10)),
        (path("y/z"), json!(null)),
        (path("n/e/w"), json!([1])),
    ];
    let written = tree.update(&path("a"), changes).unwrap();
    assert_eq!(written.changes.len(), 3);
    let after = json!({"x": 10, "w": 3, "n": {"e": {"w": [1]}}});
    assert_eq!(tree.get(&path("a")).unwrap(), after);
    let bad = vec![(path("x"), json!(11)), (path("w"), json!({"": 1}))];
    assert_eq!(
        tree.update(&path("a"), bad).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    let overlapping = vec![
        (path("x"), json!(1)),
        (path("w"), json!(2)),
        (path("w/x"), json!(3)),
    ];
    let said = tree.update(&path("a"), overlapping).unwrap_err().to_string();
    assert!(said.contains("/a/w/x"), "{said}");
    assert_eq!(tree.get(&path("a")).unwrap(), after);
}

#[test]
fn server_values_are_resolved_by_the_writer() {
    let Fresh { tree, .. } = Fresh::new();
    let written = tree
        .set(
            &path("a"),
            json!({"t": {".sv": "timestamp"}, "n": {".sv": {"increment": 5}}}),
        )
        .unwrap();
    assert!(written.value()["t"].as_u64().unwrap() > 1_600_000_000_000);
    tree.update(&path("a"), vec![(path("n"), json!({".sv": {"increment": -2}}))])
        .unwrap();
    assert_eq!(tree.get(&path("a/n")).unwrap(), json!(3));
    tree.set(&path("a/n"), json!("text")).unwrap();
    tree.set(&path("a/n"), json!({".sv": {"increment": 1}})).unwrap();
    assert_eq!(tree.get(&path("a/n")).unwrap(), json!(1));
}

#[test]
fn a_set_with_a_tag_takes_place_only_if_nothing_changed() {
    let Fresh { tree, .. } = Fresh::new();
    let at = path("a/b");
    let (value, tag) = tree.get_with_etag(&at).unwrap();
    assert_eq!((value, tag.clone()), (json!(null), ETag::null()));
    assert!(matches!(
        tree.set_if(&at, json!({"n": 1}), tag.clone()).unwrap(),
        Outcome::Written(_)
    ));
    let (value, now) = tree.get_with_etag(&at).unwrap();
    assert_eq!(
        tree.set_if(&at, json!(2), tag).unwrap(),
        Outcome::Mismatch {
            etag: now.clone(),
            value
        }
    );
    // Only the document counts, not how it came about.
    tree.set(&at, json!(5)).unwrap();
    tree.set(&at, json!({"n": 1})).unwrap();
    assert_eq!(tree.get_with_etag(&at).unwrap().1, now);
    assert!(matches!(
        tree.set_if(&at, json!(null), now).unwrap(),
        Outcome::Written(_)
    ));
}

#[test]
fn a_hundred_increments_in_parallel_add_a_hundred() {
    let Fresh { tree, .. } = Fresh::new();
    let (by_value, by_tag) = (path("by/value"), path("by/tag"));
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                for _ in 0..10 {
                    tree.set(&by_value, json!({".sv": {"increment": 1}})).unwrap();
                    loop {
                        let (value, tag) = tree.get_with_etag(&by_tag).unwrap();
                        let next = json!(value.as_u64().unwrap_or(0) + 1);
                        if let Outcome::Written(_) = tree.set_if(&by_tag, next, tag).unwrap() {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(tree.get(&path("by")).unwrap(), json!({"value": 100, "tag": 100}));
    let stats = tree.stats();
    assert!(
        stats.commits < stats.writes,
        "no two writes shared a commit: {stats:?}"
    );
}

#[test]
fn pushes_come_in_order() {
    let Fresh { tree, .. } = Fresh::new();
    let names: Vec<String> = (0..50)
        .map(|n| tree.push(&path("log"), json!(n)).unwrap())
        .collect();
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
    let Value::Object(stored) = tree.get(&path("log")).unwrap() else {
        panic!("no object")
    };
    assert_eq!(
        stored.keys().collect::<Vec<_>>(),
        names.iter().collect::<Vec<_>>()
    );
    assert!(
        stored
            .values()
            .eq((0..50).map(Value::from).collect::<Vec<_>>().iter())
    );
}

#[test]
fn a_shallow_read_shows_containers_as_true() {
    let Fresh { tree, .. } = Fresh::new();
    tree.set(
        &Path::root(),
        json!({"a": {"b": {"c": 1}, "d": 2}, "e": 3, "f": [1, {"g": 4}]}),
    )
    .unwrap();
    let shown = |at: &str, depth| tree.reader().get_shallow(&path(at), depth).unwrap();
    assert_eq!(shown("", 1), json!({"a": true, "e": 3, "f": true}));
    assert_eq!(
        shown("", 2),
        json!({"a": {"b": true, "d": 2}, "e": 3, "f": [1, true]})
    );
    assert_eq!(shown("", 9), tree.get(&Path::root()).unwrap());
    assert_eq!(shown("a", 0), json!(true));
    assert_eq!(shown("e", 1), json!(3));
    assert_eq!(shown("nothing", 1), json!(null));
    let names = tree
        .reader()
        .view(|view| view.child_names(&path("a"), 10))
        .unwrap();
    assert_eq!(names, ["b", "d"]);
}

#[test]
fn sequence_numbers_go_on_after_a_reopen() {
    let Fresh { tree, dir } = Fresh::new();
    assert_eq!(tree.set(&path("a"), json!(1)).unwrap().seq, Seq(1));
    assert_eq!(tree.set(&path("a"), json!(2)).unwrap().seq, Seq(2));
    drop(tree);
    let tree = Tree::open(crate::config(&dir)).unwrap();
    assert_eq!(tree.set(&path("a"), json!(3)).unwrap().seq, Seq(3));
}

#[test]
fn limits_refuse_with_the_number_and_store_nothing() {
    let Fresh { tree, .. } = Fresh::with(|config| {
        config.max_write_bytes = 2048;
        config.max_read_bytes = 3000;
        config.max_text_bytes = 1500;
        config.max_depth = 4;
        config.max_update_paths = 2;
    });
    let kind = |value: Value| tree.set(&path("a"), value).unwrap_err().kind();
    assert_eq!(kind(json!("x".repeat(1501))), ErrorKind::TooLarge);
    assert_eq!(
        kind(json!(["x".repeat(1100), "x".repeat(1100)])),
        ErrorKind::TooLarge
    );
    assert_eq!(
        kind(json!({"b": {"c": {"d": {"e": 1}}}})),
        ErrorKind::InvalidInput
    );
    let three = ["x", "y", "z"].map(|name| (path(name), json!(1))).to_vec();
    assert_eq!(
        tree.update(&path("a"), three).unwrap_err().kind(),
        ErrorKind::TooLarge
    );
    assert_eq!(tree.get(&Path::root()).unwrap(), json!(null));
    for name in ["a", "b", "c"] {
        tree.set(&path(name), json!("x".repeat(1400))).unwrap();
    }
    assert_eq!(tree.get(&Path::root()).unwrap_err().kind(), ErrorKind::TooLarge);
    let whole = tree
        .set_if(&Path::root(), json!(null), ETag::from("any"))
        .unwrap_err();
    assert_eq!(
        whole.kind(),
        ErrorKind::TooLarge,
        "the writer reads no more than a reader"
    );
    assert_eq!(tree.get(&path("a")).unwrap(), json!("x".repeat(1400)));
}

#[test]
fn a_full_map_refuses_and_the_tree_lives() {
    let Fresh { tree, .. } = Fresh::with(|config| config.map_bytes = 1 << 20);
    let block = json!("x".repeat(64 << 10));
    let mut stored = 0;
    let refused = loop {
        match tree.set(&path(&format!("b/{stored}")), block.clone()) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Full);
    assert!(stored > 3, "{stored}");
    assert_eq!(
        tree.reader()
            .view(|view| view.child_names(&path("b"), 100))
            .unwrap()
            .len(),
        stored
    );
    assert_eq!(
        tree.set(&path("c"), block.clone()).unwrap_err().kind(),
        ErrorKind::Full
    );
    tree.delete(&path("b/0")).unwrap();
    tree.delete(&path("b")).unwrap();
    tree.set(&path("b"), block.clone()).unwrap();
    assert_eq!(tree.get(&path("b")).unwrap(), block);
}

#[test]
fn a_closed_tree_refuses_writes_and_still_reads() {
    let Fresh { tree, .. } = Fresh::new();
    tree.set(&path("a"), json!(1)).unwrap();
    tree.close().unwrap();
    tree.close().unwrap();
    assert_eq!(
        tree.set(&path("a"), json!(2)).unwrap_err().kind(),
        ErrorKind::Closed
    );
    assert_eq!(tree.get(&path("a")).unwrap(), json!(1));
}

#[test]
fn whoever_embeds_a_tree_can_make_it_fail() {
    let Fresh { tree, .. } = Fresh::new();
    let (_, mut watch) = tree.reader().watch(&path("a"), None).unwrap();
    tree.fail_next_commit(ErrorKind::Full);
    assert_eq!(
        tree.set(&path("a"), json!(1)).unwrap_err().kind(),
        ErrorKind::Full
    );
    assert_eq!(
        tree.set(&path("a"), json!(2)).unwrap().seq,
        Seq(1),
        "nobody saw the first one's number"
    );
    let Some(Next::Event(event)) = watch.next_blocking() else {
        panic!("no event")
    };
    assert_eq!(*event.data(), json!(2), "nothing is told of what failed");
    tree.fail_next_commit(ErrorKind::Io);
    assert_eq!(tree.set(&path("a"), json!(3)).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(
        tree.set(&path("a"), json!(4)).unwrap_err().kind(),
        ErrorKind::Poisoned
    );
    assert_eq!(tree.get(&path("a")).unwrap(), json!(2));
}

#[test]
fn a_listing_shows_one_level_page_by_page_in_the_trees_order() {
    let Fresh { tree, .. } = Fresh::new();
    let listing = |at: &str, after, limit| tree.reader().listing(&path(at), after, limit).unwrap();
    let names = |listing: &quintet_tree::Listing| {
        let names = listing.children.iter().map(|child| child.name.clone());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(listing("", None, 10).children, []);
    tree.set(
        &path("a"),
        json!({"z": {"deep": {"er": 1}}, "10": 1, "9": true, "b": "text", "true": {"x": 1}}),
    )
    .unwrap();
    let all = listing("a", None, 10);
    assert_eq!(names(&all), "9 10 b true z");
    let leaves: Vec<_> = all.children.iter().map(|child| child.leaf.clone()).collect();
    assert_eq!(
        leaves,
        [Some(json!(true)), Some(json!(1)), Some(json!("text")), None, None]
    );
    assert_eq!((all.has_more, all.leaf, all.seq), (false, None, Seq(1)));
    let first = listing("a", None, 2);
    assert_eq!((names(&first), first.has_more), ("9 10".to_owned(), true));
    let next = listing("a", Some("10"), 3);
    assert_eq!((names(&next), next.has_more), ("b true z".to_owned(), false));
    // A name that is gone is still a place to go on from.
    assert_eq!(names(&listing("a", Some("c"), 3)), "true z");
    assert_eq!(listing("a/b", None, 3).leaf, Some(json!("text")));
    assert_eq!(names(&listing("a/b", None, 3)), "");
    // Names of several pieces of a row's key are listed like short ones.
    let long = "n".repeat(700);
    tree.set(&path(&format!("a/z/{long}/{long}")), json!(5)).unwrap();
    assert_eq!(names(&listing("a/z", None, 9)), format!("deep {long}"));
    let below = listing(&format!("a/z/{long}"), None, 9);
    assert_eq!(below.children[0].leaf, Some(json!(5)));
}

#[test]
fn one_document_in_the_place_of_another_leaves_exactly_its_own_rows() {
    let Fresh { tree, dir } = Fresh::new();
    let long = "n".repeat(700);
    let of = |names: std::ops::Range<usize>, value: usize| {
        let mut map: serde_json::Map<String, Value> = names
            .map(|n| (format!("k{n}"), json!({"v": value, "same": n})))
            .collect();
        map.insert(long.clone(), json!({"v": value, &*long: "deep"}));
        Value::Object(map)
    };
    // A neighbour on each side whose name begins alike.
    for beside in ["c", "d0", "da"] {
        tree.set(&path(beside), json!({"x": 1})).unwrap();
    }
    let mut leaves = 0;
    let documents = [
        of(0..10, 1),
        of(5..15, 2),
        of(5..15, 2),
        of(0..600, 3),
        of(300..900, 4),
        of(899..900, 5),
        json!(7),
        of(0..300, 6),
        json!([1, null, {"a": [true]}]),
        json!(null),
        of(0..2, 7),
    ];
    for document in documents {
        let written = tree.set(&path("d"), document.clone()).unwrap();
        assert_eq!(written.value(), &document);
        assert_eq!(tree.get(&path("d")).unwrap(), document);
        leaves = count(&document);
    }
    tree.set(&path("d/k0/v/below"), json!(1)).unwrap();
    tree.set(&path("d/k1"), json!("leaf")).unwrap();
    let below = json!({"k0": {"v": {"below": 1}, "same": 0}, "k1": "leaf"});
    for name in ["k0", "k1"] {
        assert_eq!(tree.get(&path(&format!("d/{name}"))).unwrap(), below[name]);
    }
    tree.close().unwrap();
    drop(tree);
    let report = quintet_tree::fsck(dir.path(), &[]).unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
    assert_eq!(report.leaves, leaves as u64 - 1 + 3, "no row is left over");
}

/// The leaves of a document.
fn count(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 1,
    }
}
