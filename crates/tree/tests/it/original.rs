//! What the system that this engine takes its design from gets wrong, one test each.

use crate::{Fresh, path};
use quintet_tree::{Config, NameRules, Path, Tree};
use serde_json::json;

#[test]
fn setting_an_object_replaces_and_never_merges() {
    let Fresh { tree, .. } = Fresh::new();
    tree.set(&path("u"), json!({"a": 1, "b": {"c": 2}})).unwrap();
    tree.set(&path("u"), json!({"b": {"d": 3}})).unwrap();
    assert_eq!(tree.get(&path("u")).unwrap(), json!({"b": {"d": 3}}));
}

#[test]
fn a_scalar_over_an_object_leaves_no_orphans() {
    let Fresh { tree, .. } = Fresh::new();
    tree.set(&path("u"), json!({"a": 1, "b": {"c": 2}})).unwrap();
    tree.set(&path("u"), json!(7)).unwrap();
    assert_eq!(tree.get(&path("u")).unwrap(), json!(7));
    assert_eq!(tree.get(&path("u/b/c")).unwrap(), json!(null));
    tree.delete(&path("u")).unwrap();
    assert_eq!(tree.get(&Path::root()).unwrap(), json!(null));
}

#[test]
fn an_object_over_a_scalar_is_not_hidden_by_it() {
    let Fresh { tree, .. } = Fresh::new();
    tree.set(&path("u"), json!("text")).unwrap();
    tree.set(&path("u/a/b"), json!(1)).unwrap();
    assert_eq!(tree.get(&path("u")).unwrap(), json!({"a": {"b": 1}}));
    tree.set(&path("u"), json!("text")).unwrap();
    tree.set(&path("u"), json!({"x": [true]})).unwrap();
    assert_eq!(tree.get(&path("u")).unwrap(), json!({"x": [true]}));
}

#[test]
fn empty_containers_and_null_remove_what_was_there() {
    let Fresh { tree, .. } = Fresh::new();
    for nothing in [json!({}), json!([]), json!(null), json!({"a": [null, {}]})] {
        tree.set(&path("p/u"), json!({"a": 1})).unwrap();
        tree.set(&path("p/u"), nothing).unwrap();
        assert_eq!(tree.get(&path("p")).unwrap(), json!(null));
        assert_eq!(tree.get(&Path::root()).unwrap(), json!(null));
    }
    tree.set(&path("list"), json!([1, 2, 3])).unwrap();
    tree.set(&path("list"), json!([1])).unwrap();
    assert_eq!(tree.get(&path("list")).unwrap(), json!([1]));
}

#[test]
fn reading_an_object_contains_its_nested_objects() {
    let Fresh { tree, .. } = Fresh::new();
    let document = json!({"a": 1, "b": {"c": {"d": [1, {"e": "x"}]}}});
    tree.set(&path("u/7"), document.clone()).unwrap();
    assert_eq!(tree.get(&path("u/7")).unwrap(), document);
    assert_eq!(tree.get(&Path::root()).unwrap(), json!({"u": {"7": document}}));
}

#[test]
fn arrays_hold_what_was_put_in() {
    let Fresh { tree, .. } = Fresh::new();
    let list = json!(["x", 5, true, null, [1, [2]], {"a": "b"}, 1.5]);
    tree.set(&path("list"), list.clone()).unwrap();
    assert_eq!(tree.get(&path("list")).unwrap(), list);
    assert_eq!(tree.get(&path("list/0")).unwrap(), json!("x"));
    assert_eq!(tree.get(&path("list/4/1/0")).unwrap(), json!(2));
}

#[test]
fn integers_beyond_doubles_are_exact() {
    let Fresh { tree, dir } = Fresh::new();
    let numbers = json!([
        9_007_199_254_740_993_i64,
        i64::MIN,
        i64::MAX,
        u64::MAX,
        0.1,
        1e300,
        -0.0
    ]);
    tree.set(&path("n"), numbers.clone()).unwrap();
    drop(tree);
    let tree = Tree::open(crate::config(&dir)).unwrap();
    assert_eq!(tree.get(&path("n")).unwrap().to_string(), numbers.to_string());
}

#[test]
fn a_slash_in_a_name_is_no_separator() {
    let Fresh { tree, .. } = Fresh::new();
    assert!(
        tree.set(&path("u"), json!({"a/b": 1})).is_err(),
        "Firebase's rules refuse it"
    );
    let Fresh { tree, .. } = Fresh::with(|config| config.names = NameRules::Any);
    let document =
        json!({"a/b": 1, "a": {"b": 2}, "a\u{0}": 3, "a\u{0}\u{ff}": {"b": 4}, "a\u{1}": 5, ".": 6});
    tree.set(&path("u"), document.clone()).unwrap();
    assert_eq!(tree.get(&path("u")).unwrap(), document);
    assert_eq!(tree.get(&path("u/a/b")).unwrap(), json!(2));
    assert_eq!(
        tree.get(&Path::from_names(["u", "a/b"]).unwrap()).unwrap(),
        json!(1)
    );
    tree.delete(&path("u/a")).unwrap();
    let left = json!({"a/b": 1, "a\u{0}": 3, "a\u{0}\u{ff}": {"b": 4}, "a\u{1}": 5, ".": 6});
    assert_eq!(tree.get(&path("u")).unwrap(), left);
}

#[test]
fn a_path_that_is_a_prefix_as_text_is_another_place() {
    let Fresh { tree, .. } = Fresh::new();
    tree.set(&path("user"), json!({"x": 1})).unwrap();
    tree.set(&path("users"), json!({"y": 2})).unwrap();
    tree.delete(&path("user")).unwrap();
    assert_eq!(tree.get(&Path::root()).unwrap(), json!({"users": {"y": 2}}));
}

#[test]
fn slashes_at_the_ends_and_doubled_ones_mean_nothing() {
    assert_eq!(path("/a/b/"), path("a/b"));
    assert_eq!(path("//a///b"), path("a/b"));
    assert_eq!(path("/"), Path::root());
}

#[test]
fn paths_longer_than_a_row_key_work() {
    let Fresh { tree, .. } = Fresh::new();
    for len in [100, 498, 499, 500, 501, 700, 768] {
        let name = "n".repeat(len);
        let deep = Path::from_names([name.as_str(); 10]).unwrap();
        tree.set(&deep, json!({"leaf": len})).unwrap();
        assert_eq!(tree.get(&deep.child("leaf").unwrap()).unwrap(), json!(len));
        tree.delete(&deep).unwrap();
        assert_eq!(tree.get(&Path::root()).unwrap(), json!(null), "{len}");
    }
}

#[test]
fn documents_beyond_every_buffer_of_the_original_come_back() {
    let Fresh { tree, .. } = Fresh::new();
    let wide: serde_json::Map<_, _> = (0..20_000).map(|n| (format!("k{n}"), json!({"n": n}))).collect();
    let document = json!({"wide": wide, "text": "ü".repeat(4 << 20)});
    tree.set(&path("big"), document.clone()).unwrap();
    assert!(tree.get(&path("big")).unwrap() == document);
    let deep = (0..110).fold(json!(1), |below, n| json!({ format!("d{n}"): below }));
    tree.set(&path("deep"), deep.clone()).unwrap();
    assert_eq!(tree.get(&path("deep")).unwrap(), deep);
}

#[test]
fn a_second_tree_in_the_same_directory_is_refused() {
    let Fresh { tree, dir } = Fresh::new();
    let refused = Tree::open(Config::new(dir.path())).err().unwrap();
    assert_eq!(refused.kind(), quintet_core::ErrorKind::Unavailable);
    drop(tree);
    Tree::open(Config::new(dir.path())).unwrap();
}
