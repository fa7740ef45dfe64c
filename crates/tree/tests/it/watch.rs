//! Watching: every change exactly once, in commit order, across overflows, resumes and reopenings.

use crate::{Fresh, config, path};
use quintet_core::{ErrorKind, Seq};
use quintet_tree::{Event, EventKind, Initial, Next, Path, Reader, Tree, Watch};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

fn begin(tree: &Tree, at: &str) -> (Initial, Watch) {
    let (initial, watch) = tree.reader().watch(&path(at), None).unwrap();
    (initial.unwrap(), watch)
}

fn event(watch: &mut Watch) -> Arc<Event> {
    match watch.next_blocking() {
        Some(Next::Event(event)) => event,
        other => panic!("no event but {other:?}"),
    }
}

fn nothing_waits(watch: &mut Watch) -> bool {
    watch
        .poll_next(&mut Context::from_waker(Waker::noop()))
        .is_pending()
}

#[test]
fn a_watch_begins_with_what_is_there_and_goes_on_with_every_change() {
    let Fresh { tree, .. } = Fresh::new();
    tree.set(&path("a/b"), json!({"c": 1})).unwrap();
    let (initial, mut watch) = begin(&tree, "a/b");
    assert_eq!(
        initial,
        Initial {
            value: json!({"c": 1}),
            seq: Seq(1)
        }
    );
    let mut expect = |kind, at: &str, data: Value| {
        let event = event(&mut watch);
        assert_eq!(
            (event.kind(), event.path(), event.data().into_owned()),
            (kind, &path(at), data)
        );
        event.seq()
    };
    tree.set(&path("a/b/c"), json!(2)).unwrap();
    assert_eq!(expect(EventKind::Put, "c", json!(2)), Seq(2));
    tree.set(&path("elsewhere"), json!(1)).unwrap();
    tree.set(&path("a"), json!({"b": [10, {"x": 1}], "other": 1}))
        .unwrap();
    assert_eq!(expect(EventKind::Put, "", json!([10, {"x": 1}])), Seq(4));
    tree.delete(&path("a/b/1/x")).unwrap();
    expect(EventKind::Put, "1/x", json!(null));
    tree.delete(&Path::root()).unwrap();
    expect(EventKind::Put, "", json!(null));
    let update = |at: &str, changes: &[(&str, Value)]| {
        let changes = changes
            .iter()
            .map(|(at, value)| (path(at), value.clone()))
            .collect();
        tree.update(&path(at), changes).unwrap();
    };
    update("a/b", &[("x", json!(1)), ("y/z", json!(2))]);
    expect(EventKind::Patch, "", json!({"x": 1, "y/z": 2}));
    update("a/b/y", &[("p", json!(1)), ("q", json!(null))]);
    expect(EventKind::Patch, "y", json!({"p": 1, "q": null}));
    update("", &[("a/b/x", json!(3)), ("a/b/y", json!(4)), ("a/c", json!(5))]);
    expect(EventKind::Patch, "", json!({"x": 3, "y": 4}));
    update("", &[("a", json!({"b": {"n": 1}})), ("c", json!(5))]);
    expect(EventKind::Put, "", json!({"n": 1}));
    update("", &[("a/bb", json!(1)), ("c", json!(5))]);
    assert!(nothing_waits(&mut watch));
}

#[test]
fn events_are_text_as_streams_carry_them() {
    let Fresh { tree, .. } = Fresh::new();
    let (_, mut watch) = begin(&tree, "a");
    tree.set(&path("a/b"), json!("ü")).unwrap();
    assert_eq!(event(&mut watch).json(), r#"{"data":"ü","path":"/b"}"#);
    tree.update(&path("a"), vec![(path("b/c"), json!(1))]).unwrap();
    assert_eq!(event(&mut watch).json(), r#"{"data":{"b/c":1},"path":"/"}"#);
}

/// What a watcher knows, changed by what it is told.
struct Copy {
    at: Path,
    known: Value,
    last: Seq,
    events: usize,
    rereads: usize,
}

fn put(node: &mut Value, at: &[String], value: &Value) {
    let Some((first, rest)) = at.split_first() else {
        *node = value.clone();
        return;
    };
    if let Value::Array(items) = node {
        let map: Map<String, Value> = items
            .iter()
            .enumerate()
            .map(|(n, item)| (n.to_string(), item.clone()))
            .collect();
        *node = Value::Object(map);
    }
    if !node.is_object() {
        *node = json!({});
    }
    if let Value::Object(map) = node {
        put(map.entry(first.clone()).or_insert(Value::Null), rest, value);
    }
}

impl Copy {
    fn follow(reader: &Reader, at: &Path, until: Seq) -> Self {
        let (initial, mut watch) = reader.watch(at, None).unwrap();
        let Initial { value, seq } = initial.unwrap();
        let mut copy = Self {
            at: at.clone(),
            known: value,
            last: seq,
            events: 0,
            rereads: 0,
        };
        while copy.last < until {
            match watch.next_blocking() {
                Some(Next::Event(event)) => copy.apply(&event),
                Some(Next::Overflow) => {
                    copy.rereads += 1;
                    let Initial { value, seq } = watch.reread().unwrap();
                    assert!(seq >= copy.last, "read back in time");
                    (copy.known, copy.last) = (value, seq);
                }
                None => break,
            }
        }
        copy
    }

    fn apply(&mut self, event: &Event) {
        assert!(
            event.seq() > self.last,
            "{} came after {}",
            event.seq(),
            self.last
        );
        self.last = event.seq();
        self.events += 1;
        for (at, value) in event.changes() {
            let names: Vec<String> = at.names().map(|name| name.into_owned()).collect();
            put(&mut self.known, &names, value);
        }
    }
}

fn bare(value: &Value) -> Value {
    let pairs: Vec<(String, Value)> = match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(n, item)| (n.to_string(), bare(item)))
            .collect(),
        Value::Object(map) => map
            .iter()
            .map(|(name, item)| (name.clone(), bare(item)))
            .collect(),
        leaf => return leaf.clone(),
    };
    let kept: Map<String, Value> = pairs.into_iter().filter(|(_, item)| !item.is_null()).collect();
    if kept.is_empty() {
        Value::Null
    } else {
        Value::Object(kept)
    }
}

fn write(tree: &Tree, writer: usize, n: usize) {
    let at = format!("room/{}", (writer * 7 + n * 3) % 5);
    match n % 4 {
        0 => tree
            .set(&path(&at), json!({"w": writer, "n": n, "list": [n, [n]]}))
            .map(drop)
            .unwrap(),
        1 => tree
            .set(&path(&format!("{at}/list/1")), json!(n))
            .map(drop)
            .unwrap(),
        2 => {
            let changes = vec![
                (path(&format!("{at}/n")), json!(null)),
                (path(&format!("room/{}/x", n % 5)), json!(n)),
            ];
            // The two may be the same place or within each other.
            let _overlap = tree.update(&Path::root(), changes);
        }
        _ => tree.delete(&path(&format!("{at}/w"))).map(drop).unwrap(),
    }
}

/// Watchers that begin at any moment and a small queue: whoever applies what it is told knows what is there.
fn copies_equal(queue: usize) -> usize {
    let Fresh { tree, .. } = Fresh::with(|config| config.watch_queue_events = queue);
    let places = ["", "room", "room/1", "room/3/list", "room/2/n"].map(path);
    let end = Seq(u64::MAX);
    let copies: Vec<Copy> = std::thread::scope(|scope| {
        let mut watchers = Vec::new();
        for round in 0..3 {
            for at in &places {
                let reader = tree.reader();
                watchers.push(scope.spawn(move || Copy::follow(reader, at, end)));
            }
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let tree = &tree;
                    scope.spawn(move || (0..40).for_each(|n| write(tree, writer, round * 40 + n)))
                })
                .collect();
            writers.into_iter().for_each(|writer| writer.join().unwrap());
        }
        tree.close().unwrap();
        watchers
            .into_iter()
            .map(|watcher| watcher.join().unwrap())
            .collect()
    });
    for copy in &copies {
        assert_eq!(
            bare(&copy.known),
            bare(&tree.get(&copy.at).unwrap()),
            "{}",
            copy.at
        );
    }
    copies.iter().map(|copy| copy.rereads).sum()
}

#[test]
fn whoever_applies_the_events_knows_what_is_there() {
    assert_eq!(copies_equal(65_536), 0);
}

#[test]
fn a_slow_watcher_is_told_to_read_again_and_misses_nothing() {
    copies_equal(1);
}

#[test]
fn a_full_queue_says_overflow_until_it_is_read_again() {
    let Fresh { tree, .. } = Fresh::with(|config| config.watch_queue_events = 2);
    let (_, mut watch) = begin(&tree, "a");
    let (_, mut other) = begin(&tree, "");
    for n in 0..3 {
        tree.set(&path("a"), json!(n)).unwrap();
        event(&mut other);
    }
    for _ in 0..2 {
        assert!(
            matches!(watch.next_blocking(), Some(Next::Overflow)),
            "a full queue is no event"
        );
    }
    assert_eq!(
        watch.reread().unwrap(),
        Initial {
            value: json!(2),
            seq: Seq(3)
        }
    );
    assert!(nothing_waits(&mut watch));
    tree.set(&path("a"), json!(3)).unwrap();
    assert_eq!(event(&mut watch).seq(), Seq(4));
}

#[test]
fn a_watcher_resumes_after_the_last_write_it_saw() {
    let Fresh { tree, dir } = Fresh::with(|config| config.retained_writes = 4);
    let (_, mut follower) = begin(&tree, "");
    for n in 1..=6 {
        tree.set(&path(if n % 2 == 0 { "a" } else { "b" }), json!(n))
            .unwrap();
        event(&mut follower);
    }
    let resume = |tree: &Tree, after: u64| tree.reader().watch(&path("a"), Some(Seq(after))).unwrap();
    let (initial, mut watch) = resume(&tree, 3);
    assert_eq!(initial, None);
    assert_eq!(
        (event(&mut watch).seq(), event(&mut watch).seq()),
        (Seq(4), Seq(6))
    );
    assert!(nothing_waits(&mut watch));
    // Too long ago, and never.
    for after in [1, 7, u64::MAX] {
        let (initial, mut watch) = resume(&tree, after);
        assert_eq!(
            initial,
            Some(Initial {
                value: json!(6),
                seq: Seq(6)
            })
        );
        assert!(nothing_waits(&mut watch));
    }
    drop((follower, watch));
    drop(tree);
    let tree = Tree::open(config(&dir)).unwrap();
    let (initial, mut watch) = resume(&tree, 6);
    assert_eq!(initial, None, "nothing came after it");
    tree.set(&path("a"), json!(7)).unwrap();
    assert_eq!(event(&mut watch).seq(), Seq(7));
    assert!(resume(&tree, 5).0.is_some());
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_thousand_watchers_are_woken_without_a_thread_each() {
    let Fresh { tree, .. } = Fresh::new();
    let wakes = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&wakes));
    let mut watches: Vec<Watch> = (0..1000)
        .map(|n| begin(&tree, &format!("a/{}", n % 10)).1)
        .collect();
    assert_eq!(tree.stats().watches, 1000);
    for watch in &mut watches {
        assert!(watch.poll_next(&mut Context::from_waker(&waker)).is_pending());
    }
    tree.set(&path("a/3/x"), json!(1)).unwrap();
    let (_, mut barrier) = begin(&tree, "b");
    tree.set(&path("b"), json!(1)).unwrap();
    event(&mut barrier);
    assert_eq!(wakes.0.load(Ordering::SeqCst), 100);
    let told = watches
        .iter_mut()
        .filter_map(
            |watch| match watch.poll_next(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Some(Next::Event(event))) => Some(event.json().as_ptr()),
                _ => None,
            },
        )
        .fold(BTreeMap::new(), |mut texts, text| {
            *texts.entry(text).or_insert(0) += 1;
            texts
        });
    assert_eq!(
        told.into_values().collect::<Vec<_>>(),
        [100],
        "all of a place share one text"
    );
    drop(watches);
    assert_eq!(tree.stats().watches, 1);
}

#[test]
fn watches_are_bounded_and_end_with_the_tree() {
    let Fresh { tree, .. } = Fresh::with(|config| config.max_watches = 1);
    let (_, mut watch) = begin(&tree, "a");
    let refused = tree.reader().watch(&path("a"), None).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    tree.set(&path("a"), json!(1)).unwrap();
    tree.close().unwrap();
    assert_eq!(event(&mut watch).seq(), Seq(1));
    assert!(watch.next_blocking().is_none());
    assert_eq!(
        tree.reader().watch(&path("a"), None).err().unwrap().kind(),
        ErrorKind::Closed
    );
}

#[test]
fn a_watch_of_changes_alone_says_nothing_of_what_is_there() {
    let Fresh { tree, .. } = Fresh::with(|config| config.watch_queue_events = 2);
    tree.set(&path("a"), json!({"b": 1, "c": 2})).unwrap();
    let mut watch = tree.reader().changes(&path("a")).unwrap();
    assert!(nothing_waits(&mut watch));
    tree.set(&path("a/b"), json!(2)).unwrap();
    let first = event(&mut watch);
    assert_eq!((first.path(), first.seq()), (&path("b"), Seq(2)));
    for number in 3..8 {
        tree.set(&path("a/b"), json!(number)).unwrap();
    }
    let overflowed = std::iter::from_fn(|| watch.next_blocking()).any(|next| matches!(next, Next::Overflow));
    assert!(overflowed);
    assert_eq!(watch.skip().unwrap(), Seq(7));
    assert!(nothing_waits(&mut watch));
    tree.set(&path("a/c"), json!(null)).unwrap();
    assert_eq!(event(&mut watch).seq(), Seq(8));
}
