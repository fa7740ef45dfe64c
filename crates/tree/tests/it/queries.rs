//! Queries against an oracle that sorts everything, with and without an index.

use crate::{Fresh, config, path};
use proptest::prelude::*;
use quintet_core::ErrorKind;
use quintet_tree::{Bound, Index, Limit, OrderBy, Query, Tree};
use serde_json::{Map, Value, json};
use std::cmp::Ordering;

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(false) => 1,
        Value::Bool(true) => 2,
        Value::Number(_) => 3,
        Value::String(_) => 4,
        Value::Array(_) | Value::Object(_) => 5,
    }
}

fn by_value(a: &Value, b: &Value) -> Ordering {
    rank(a).cmp(&rank(b)).then_with(|| match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i128(), b.as_i128()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_f64().unwrap().partial_cmp(&b.as_f64().unwrap()).unwrap(),
        },
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ => Ordering::Equal,
    })
}

fn by_name(a: &str, b: &str) -> Ordering {
    match (a.parse::<i32>(), b.parse::<i32>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

fn oracle(children: &Map<String, Value>, query: &Query) -> Vec<(String, Value)> {
    let sort = |name: &str, child: &Value| match &query.order_by {
        OrderBy::Key => json!(name),
        OrderBy::Value => child.clone(),
        OrderBy::Child(_) => child.get("s").cloned().unwrap_or_default(),
    };
    let against = |name: &str, child: &Value, bound: &Bound| {
        if query.order_by == OrderBy::Key {
            return by_name(name, bound.value.as_str().unwrap());
        }
        by_value(&sort(name, child), &bound.value).then_with(|| {
            bound
                .name
                .as_ref()
                .map_or(Ordering::Equal, |other| by_name(name, other))
        })
    };
    let mut rows: Vec<(String, Value)> = children
        .iter()
        .filter(|(name, child)| {
            let after = query.start.as_ref().is_none_or(|bound| {
                let order = against(name, child, bound);
                order.is_gt() || (order.is_eq() && bound.inclusive)
            });
            let before = query.end.as_ref().is_none_or(|bound| {
                let order = against(name, child, bound);
                order.is_lt() || (order.is_eq() && bound.inclusive)
            });
            after && before
        })
        .map(|(name, child)| (name.clone(), child.clone()))
        .collect();
    rows.sort_by(|(a, x), (b, y)| {
        let first = if query.order_by == OrderBy::Key {
            Ordering::Equal
        } else {
            by_value(&sort(a, x), &sort(b, y))
        };
        first.then_with(|| by_name(a, b))
    });
    match query.limit {
        None => rows,
        Some(Limit::First(limit)) => rows.into_iter().take(limit).collect(),
        Some(Limit::Last(limit)) => rows.split_off(rows.len().saturating_sub(limit)),
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    let long = "x".repeat(255);
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        prop::sample::select(vec![0.5, -0.0, 2.0]).prop_map(Value::from),
        (0_i64..4).prop_map(|n| Value::from(9_007_199_254_740_991 + n)),
        "[ab]{0,2}".prop_map(Value::from),
        "[ab]{0,4}".prop_map(move |end| Value::from(format!("{long}{end}"))),
    ]
}

fn child() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => scalar(),
        3 => scalar().prop_map(|sort| json!({"s": sort, "other": 1})),
        1 => Just(json!({"other": 2})),
        1 => Just(json!({"s": {"deeper": 1}})),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-d]{1,2}", (-20_i32..20).prop_map(|n| n.to_string())]
}

fn bound() -> impl Strategy<Value = Option<(Value, Option<String>, bool)>> {
    let value = prop_oneof![1 => Just(Value::Null), 6 => scalar()];
    prop::option::of((value, prop::option::of(name()), any::<bool>()))
}

fn query() -> impl Strategy<Value = Query> {
    let limit = prop::option::of((1_usize..5, any::<bool>()).prop_map(|(limit, first)| {
        if first {
            Limit::First(limit)
        } else {
            Limit::Last(limit)
        }
    }));
    (0..3, bound(), bound(), name(), name(), limit).prop_map(|(by, start, end, low, high, limit)| {
        let order_by = match by {
            0 => OrderBy::Key,
            1 => OrderBy::Value,
            _ => OrderBy::Child(path("s")),
        };
        let by_key = order_by == OrderBy::Key;
        let bound = |bound: Option<(Value, Option<String>, bool)>, key: String| {
            bound.map(|(value, name, inclusive)| {
                if by_key {
                    Bound {
                        value: json!(key),
                        name: None,
                        inclusive,
                    }
                } else {
                    Bound {
                        value,
                        name,
                        inclusive,
                    }
                }
            })
        };
        Query {
            order_by,
            start: bound(start, low),
            end: bound(end, high),
            limit,
        }
    })
}

fn indexes() -> Vec<Index> {
    let at = || "rooms/*".to_owned();
    vec![
        Index {
            at: at(),
            on: OrderBy::Value,
        },
        Index {
            at: at(),
            on: OrderBy::Child(path("s")),
        },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn an_index_changes_the_cost_and_never_the_answer(
        sets in prop::collection::vec((name(), prop::option::weighted(0.8, child())), 1..30),
        queries in prop::collection::vec(query(), 20),
    ) {
        let plain = Fresh::new();
        let indexed = Fresh::with(|config| config.indexes = indexes());
        let mut children = Map::new();
        for (name, value) in sets {
            let at = path(&format!("rooms/r/{name}"));
            let value = value.unwrap_or_default();
            plain.tree.set(&at, value.clone()).unwrap();
            indexed.tree.set(&at, value.clone()).unwrap();
            children.insert(name, value);
        }
        children.retain(|_, child| !child.is_null());
        // The same index, built over what is there.
        drop(plain.tree);
        let mut late = config(&plain.dir);
        let bare = Tree::open(late.clone()).unwrap();
        let answers = |tree: &Tree, with_index: bool| {
            for query in &queries {
                let answer = tree.query(&path("rooms/r"), query).unwrap();
                assert_eq!(answer.rows, oracle(&children, query), "{query:?}");
                assert_eq!(answer.unindexed_rows.is_some(), !with_index && query.order_by != OrderBy::Key);
            }
        };
        answers(&bare, false);
        drop(bare);
        answers(&indexed.tree, true);
        late.indexes = indexes();
        answers(&Tree::open(late).unwrap(), true);
    }
}

#[test]
fn an_unindexed_query_is_bounded() {
    let Fresh { tree, .. } = Fresh::with(|config| config.max_unindexed_rows = 10);
    let children: Map<String, Value> = (0..11).map(|n| (format!("c{n}"), json!(n))).collect();
    tree.set(&path("l"), Value::Object(children)).unwrap();
    let query = Query {
        order_by: OrderBy::Value,
        ..Query::default()
    };
    let refused = tree.query(&path("l"), &query).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("$value"), "{refused}");
    tree.delete(&path("l/c3")).unwrap();
    assert_eq!(tree.query(&path("l"), &query).unwrap().unindexed_rows, Some(10));
    assert_eq!(tree.stats().unindexed_queries, 1);
}

#[test]
fn an_index_that_is_no_longer_declared_goes_and_comes_back_whole() {
    let Fresh { tree, dir } = Fresh::with(|config| config.indexes = indexes());
    tree.set(&path("rooms/r/a"), json!({"s": 1})).unwrap();
    drop(tree);
    let tree = Tree::open(config(&dir)).unwrap();
    tree.set(&path("rooms/r/b"), json!({"s": 0})).unwrap();
    tree.delete(&path("rooms/r/a")).unwrap();
    drop(tree);
    let mut again = config(&dir);
    again.indexes = indexes();
    let tree = Tree::open(again).unwrap();
    let query = Query {
        order_by: OrderBy::Child(path("s")),
        ..Query::default()
    };
    let answer = tree.query(&path("rooms/r"), &query).unwrap();
    assert_eq!(answer.rows, [("b".to_owned(), json!({"s": 0}))]);
    assert_eq!(answer.unindexed_rows, None);
}
