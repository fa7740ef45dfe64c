//! The tree against a plain JSON value: random operations, reads of every kind, reopening, crashes, commits that fail.
//!
//! A crash is what `kill -9` leaves: the files as the system has them at that moment, without a word from the tree. They
//! are copied, and the copy is opened.

use crate::{Fresh, config, path};
use proptest::prelude::*;
use quintet_core::ErrorKind;
use quintet_tree::{Index, NameRules, OrderBy, Path, Tree};
use serde_json::{Map, Value, json};
use std::fs;
use tempfile::TempDir;

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<String>, Value),
    Update(Vec<String>, Vec<(Vec<String>, Value)>),
    Refused(Vec<String>),
    /// The disk fails under a commit: it is full, or broken, after which the tree takes no writes.
    Failed(Vec<String>, Value, ErrorKind),
    Reopen,
    Crash,
}

/// Few names, so that places meet; among them long ones, which are cut, and ones that could be taken for separators.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "0", "1", "2", "01", "-1"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["a/b", "a\u{0}", "\u{0}", "\u{e9}"]).prop_map(str::to_owned),
        1 => (490_usize..520).prop_map(|len| "x".repeat(len)),
    ]
}

fn place() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(name(), 0..5)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no others", |number| number.is_finite())
            .prop_map(Value::from),
        "[a-c\u{e9}]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (place(), value()).prop_map(|(at, value)| Step::Set(at, value)),
        4 => (place(), prop::collection::vec((prop::collection::vec(name(), 1..3), value()), 1..4))
            .prop_map(|(at, changes)| Step::Update(at, changes)),
        1 => place().prop_map(Step::Refused),
        1 => (place(), value(), prop::sample::select(vec![ErrorKind::Full, ErrorKind::Io]))
            .prop_map(|(at, value, kind)| Step::Failed(at, value, kind)),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

/// The oracle: objects only, nothing empty, nothing null.
#[derive(Clone, Default)]
struct Oracle(Value);

fn objects(value: &Value) -> Value {
    let map: Map<String, Value> = match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(n, item)| (n.to_string(), objects(item)))
            .collect(),
        Value::Object(map) => map
            .iter()
            .map(|(name, item)| (name.clone(), objects(item)))
            .collect(),
        leaf => return leaf.clone(),
    };
    let map: Map<String, Value> = map.into_iter().filter(|(_, item)| !item.is_null()).collect();
    if map.is_empty() {
        Value::Null
    } else {
        Value::Object(map)
    }
}

impl Oracle {
    fn set(&mut self, at: &[String], value: &Value) {
        fn put(node: &mut Value, at: &[String], value: Value) {
            let Some((first, rest)) = at.split_first() else {
                *node = value;
                return;
            };
            if !node.is_object() {
                if value.is_null() {
                    return;
                }
                *node = json!({});
            }
            let map = node.as_object_mut().unwrap();
            put(map.entry(first.clone()).or_insert(Value::Null), rest, value);
            map.retain(|_, item| !item.is_null());
            if map.is_empty() {
                *node = Value::Null;
            }
        }
        put(&mut self.0, at, objects(value));
    }

    fn get(&self, at: &[String]) -> Value {
        at.iter()
            .try_fold(&self.0, |node, name| node.get(name))
            .cloned()
            .unwrap_or_default()
    }
}

fn as_path(at: &[String]) -> Path {
    Path::from_names(at.iter().map(String::as_str)).unwrap()
}

fn overlaps(changes: &[(Vec<String>, Value)]) -> bool {
    changes.iter().enumerate().any(|(n, (a, _))| {
        changes
            .iter()
            .enumerate()
            .any(|(m, (b, _))| n != m && b.starts_with(a))
    })
}

fn indexes() -> Vec<Index> {
    let on = |at: &str, on| Index { at: at.into(), on };
    vec![
        on("a", OrderBy::Value),
        on("*", OrderBy::Child(path("b"))),
        on("/", OrderBy::Child(path("0/1"))),
    ]
}

fn check(tree: &Tree, oracle: &Oracle, at: &[String]) {
    let stored = tree.get(&as_path(at)).unwrap();
    assert_eq!(objects(&stored), oracle.get(at), "{at:?}");
    let shallow = tree.reader().get_shallow(&as_path(at), 1).unwrap();
    let expected = match oracle.get(at) {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(name, item)| (name, if item.is_object() { json!(true) } else { item }))
                .collect(),
        ),
        leaf => leaf,
    };
    assert_eq!(objects(&shallow), expected, "shallow {at:?}");
}

/// The same tree again, from the files as they are, or as a crash leaves them.
fn opened_again(tree: Tree, dir: TempDir, crash: bool) -> (Tree, TempDir) {
    let open = |dir: &TempDir| {
        let mut config = config(dir);
        config.names = NameRules::Any;
        config.indexes = indexes();
        Tree::open(config).unwrap()
    };
    if !crash {
        drop(tree);
        return (open(&dir), dir);
    }
    let left = tempfile::tempdir().unwrap();
    for file in fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), left.path().join(file.file_name())).unwrap();
    }
    drop(tree);
    (open(&left), left)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn the_tree_is_what_a_plain_value_would_be(steps in prop::collection::vec(step(), 1..40)) {
        let Fresh { mut tree, mut dir } = Fresh::with(|config| {
            config.names = NameRules::Any;
            config.indexes = indexes();
        });
        let mut oracle = Oracle::default();
        for step in steps {
            match step {
                Step::Set(at, value) => {
                    let written = tree.set(&as_path(&at), value.clone()).unwrap();
                    oracle.set(&at, &value);
                    prop_assert_eq!(written.value(), &tree.get(&as_path(&at)).unwrap());
                    check(&tree, &oracle, &at);
                }
                Step::Update(at, changes) => {
                    let asked = changes.iter().map(|(below, value)| (as_path(below), value.clone())).collect();
                    let written = tree.update(&as_path(&at), asked);
                    prop_assert_eq!(written.is_err(), overlaps(&changes));
                    if written.is_ok() {
                        for (below, value) in &changes {
                            oracle.set(&[at.as_slice(), below].concat(), value);
                        }
                    }
                    check(&tree, &oracle, &at);
                }
                Step::Refused(at) => {
                    let bad = json!({"a": 1, "b": {"": 2}});
                    prop_assert!(tree.set(&as_path(&at), bad).is_err());
                }
                Step::Failed(at, value, kind) => {
                    tree.fail_next_commit(kind);
                    let failed = tree.set(&as_path(&at), value).unwrap_err();
                    prop_assert_eq!(failed.kind(), kind);
                    check(&tree, &oracle, &at);
                    if kind == ErrorKind::Io {
                        let refused = tree.set(&Path::root(), json!(1)).unwrap_err();
                        prop_assert_eq!(refused.kind(), ErrorKind::Poisoned);
                        (tree, dir) = opened_again(tree, dir, true);
                    }
                    check(&tree, &oracle, &at);
                }
                Step::Reopen => (tree, dir) = opened_again(tree, dir, false),
                Step::Crash => {
                    (tree, dir) = opened_again(tree, dir, true);
                    check(&tree, &oracle, &[]);
                }
            }
        }
        check(&tree, &oracle, &[]);
        drop(tree);
        let report = quintet_tree::fsck(dir.path(), &indexes()).unwrap();
        prop_assert!(report.faults.is_empty(), "{:?}", report.faults);
    }
}

/// Few in an ordinary run; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(24)
}
