//! Change sets, diff, replay, schema, outbox and requests.

use quintet_stm::{
    Change, Context, ContextConfig, Field, Isolation, Kind, Operation, Request, Schema, Transaction, Value,
};
use std::collections::BTreeMap;

fn change(path: &str, old: Option<i64>, new: Option<i64>) -> Change {
    Change {
        path: path.parse().unwrap(),
        old: old.map(Value::Int),
        new: new.map(Value::Int),
    }
}

#[test]
fn a_change_set_says_what_who_and_when() {
    let context = Context::new("history");
    let how = Transaction::new(Isolation::Safe).label("clerk");
    let ((), first) = context
        .transact(&how, |tx| {
            tx.set("b", 1_i64)?;
            tx.set("a", 2_i64)
        })
        .unwrap();
    let ((), second) = context
        .transact(&how, |tx| {
            tx.increment("a", 5)?;
            tx.delete("b")
        })
        .unwrap();
    let ((), none) = context.transact(&how, |tx| tx.get("a").map(drop)).unwrap();
    assert_eq!(none, None, "a read makes no version");
    let history = context.history(10);
    assert_eq!(
        history.iter().map(|set| Some(set.version)).collect::<Vec<_>>(),
        [first, second]
    );
    assert_eq!(&*history[1].who, "clerk");
    assert_eq!(
        history[0].changes,
        [change("a", None, Some(2)), change("b", None, Some(1))]
    );
    assert_eq!(
        history[1].changes,
        [change("a", Some(2), Some(7)), change("b", Some(1), None)]
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(context.diff(first, second).unwrap(), history[1].changes);
    assert_eq!(context.diff(0, second).unwrap(), [change("a", None, Some(7))]);
    assert_eq!(context.diff(second, 0).unwrap(), [change("a", Some(7), None)]);
    assert_eq!(context.replay(first).unwrap().len(), 2);
    assert!(context.replay(0).unwrap().is_empty());
}

#[test]
fn what_is_not_kept_is_refused_with_the_range() {
    let config = ContextConfig {
        history: 3,
        ..ContextConfig::default()
    };
    let context = Context::with_config("short", config).unwrap();
    let mut states = Vec::new();
    for n in 0..10_i64 {
        context
            .run(Isolation::Hybrid, |tx| tx.set(&format!("k{}", n % 4), n))
            .unwrap();
        states.push((context.version(), context.snapshot().unwrap().image()));
    }
    let kept = context.history(100);
    assert_eq!(kept.len(), 3);
    for (version, image) in &states[6..] {
        assert_eq!(&context.replay(*version).unwrap(), image, "version {version}");
    }
    let error = context.replay(states[5].0).unwrap_err().to_string();
    assert!(
        error.contains(&format!("{}..={}", states[6].0, states[9].0)),
        "{error}"
    );
}

#[test]
fn raw_writes_enter_the_history_only_if_asked_to() {
    for record_raw in [false, true] {
        let config = ContextConfig {
            record_raw,
            ..ContextConfig::default()
        };
        let context = Context::with_config("raw", config).unwrap();
        context.run(Isolation::Safe, |tx| tx.set("a", 1_i64)).unwrap();
        context.set_raw("a", 2_i64).unwrap();
        assert_eq!(context.history(9).len(), 1 + usize::from(record_raw));
        assert_eq!(context.get("a").unwrap(), Some(Value::Int(2)));
    }
}

#[test]
fn a_schema_is_kept_at_commit_and_raw_has_no_veto() {
    let schema = Schema::new()
        .field(
            "age",
            Field::new(Kind::Int).range(0.0, 150.0).required().default(30_i64),
        )
        .unwrap()
        .field("name", Field::new(Kind::Str).range(1.0, 5.0))
        .unwrap();
    let context = Context::new("schema");
    context
        .run(Isolation::Safe, |tx| tx.set("name", "far too long"))
        .unwrap();
    let error = context.set_schema(schema.clone()).unwrap_err();
    assert_eq!(error.to_string(), "name: 12 is above 5");
    context.run(Isolation::Safe, |tx| tx.set("name", "Ada")).unwrap();
    context.set_schema(schema).unwrap();
    assert_eq!(context.get("age").unwrap(), Some(Value::Int(30)));
    for isolation in [Isolation::Safe, Isolation::Hybrid] {
        for (expected, result) in [
            (
                "age: 151 is above 150",
                context.run(isolation, |tx| {
                    tx.set("x", 1_i64)?;
                    tx.set("age", 151_i64)
                }),
            ),
            (
                "age: -70 is below 0",
                context.run(isolation, |tx| {
                    tx.set("x", 1_i64)?;
                    tx.increment("age", -100)
                }),
            ),
            (
                "age: expected int, found string",
                context.run(isolation, |tx| tx.set("age", "old")),
            ),
            (
                "age: required and missing",
                context.run(isolation, |tx| tx.delete("age")),
            ),
            (
                "name: 0 is below 1",
                context.run(isolation, |tx| tx.set("name", "")),
            ),
        ] {
            assert_eq!(result.unwrap_err().to_string(), expected);
        }
    }
    assert_eq!(
        (context.get("x").unwrap(), context.get("age").unwrap()),
        (None, Some(Value::Int(30)))
    );
    context.set_raw("age", 999_i64).unwrap();
}

#[test]
fn messages_leave_only_after_the_commit_and_stay_until_taken() {
    let context = Context::new("outbox");
    for topic in ["a", "b", "c"] {
        context
            .run(Isolation::Safe, |tx| {
                tx.send(topic, 1_i64)?;
                tx.increment("sent", 1)
            })
            .unwrap();
    }
    context
        .run(Isolation::Hybrid, |tx| tx.send("d", "alone"))
        .unwrap();
    let mut got = Vec::new();
    let taken = context.deliver(|message| {
        if &*message.topic == "c" && got.len() < 3 {
            got.push((message.id, "refused".to_owned()));
            return Err(());
        }
        got.push((message.id, message.topic.to_string()));
        Ok(())
    });
    assert_eq!((taken.unwrap(), context.undelivered()), (2, 2));
    assert_eq!(
        context
            .deliver(|message| {
                got.push((message.id, message.topic.to_string()));
                Ok(())
            })
            .unwrap(),
        2
    );
    let names: Vec<_> = got.iter().map(|(id, name)| (*id, name.as_str())).collect();
    assert_eq!(names, [(1, "a"), (2, "b"), (3, "refused"), (3, "c"), (4, "d")]);
}

fn map(entries: &[(&str, Value)]) -> Value {
    let entries: BTreeMap<_, _> = entries
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    Value::from(entries)
}

#[test]
fn a_request_does_what_it_says_or_names_what_changed() {
    let context = Context::new("request");
    context.run(Isolation::Safe, |tx| tx.set("stock", 5_i64)).unwrap();
    let stamp = |path| i64::try_from(context.get_stamped(path).unwrap().1.as_u64()).unwrap();
    let order = || {
        map(&[
            ("isolation", "safe".into()),
            ("who", "shop".into()),
            (
                "reads",
                map(&[("stock", stamp("stock").into()), ("order", Value::Null)]),
            ),
            (
                "ops",
                Value::from(vec![
                    map(&[("set", map(&[("order", map(&[("apples", 2_i64.into())]))]))]),
                    map(&[("increment", map(&[("stock", (-2_i64).into())]))]),
                    map(&[("append", map(&[("LOG_orders", 7_i64.into())]))]),
                    map(&[("delete", "cart".into())]),
                ]),
            ),
        ])
    };
    let value = order();
    let response = context.request(&Request::from_value(&value).unwrap()).unwrap();
    assert_eq!(response.changes.len(), 3);
    assert_eq!(response.version, context.version());
    assert_eq!(&*context.history(1)[0].who, "shop");
    let error = context
        .request(&Request::from_value(&value).unwrap())
        .unwrap_err();
    assert_eq!(error.kind(), quintet_core::ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        "order, stock changed by shop, after 1 attempts"
    );
    assert_eq!(context.get("stock").unwrap(), Some(Value::Int(3)));
}

#[test]
fn a_malformed_request_is_refused_with_the_place() {
    for (value, expected) in [
        (Value::Int(1), "request: expected a map, found int"),
        (
            map(&[("isolaton", "safe".into())]),
            "isolaton: unknown field; known are isolation, who, reads, ops",
        ),
        (
            map(&[("isolation", "strict".into())]),
            "isolation: `strict` is not one of safe, hybrid, raw",
        ),
        (
            map(&[("isolation", 1_i64.into())]),
            "isolation: not a valid isolation: int",
        ),
        (
            map(&[("ops", Value::from(vec![Value::Null]))]),
            "ops[0]: expected a map, found null",
        ),
        (
            map(&[("ops", Value::from(vec![map(&[])]))]),
            "ops[0]: expected one of set, increment, append, delete, found 0 fields",
        ),
        (
            map(&[("ops", Value::from(vec![map(&[("drop", Value::Null)])]))]),
            "ops[0].drop: expected one of set, increment, append, delete",
        ),
        (
            map(&[(
                "ops",
                Value::from(vec![map(&[("increment", map(&[("n", "1".into())]))])]),
            )]),
            "ops[0].increment.n: expected int, found string",
        ),
        (
            map(&[("ops", Value::from(vec![map(&[("delete", 1_i64.into())])]))]),
            "ops[0].delete: expected a path, found int",
        ),
        (
            map(&[(
                "ops",
                Value::from(vec![map(&[("set", map(&[("a..b", 1_i64.into())]))])]),
            )]),
            "path `a..b`: a segment is empty",
        ),
        (
            map(&[("reads", map(&[("a", (-1_i64).into())]))]),
            "reads.a: -1 is no stamp",
        ),
        (
            map(&[("reads", map(&[("a", "x".into())]))]),
            "reads.a: expected a stamp or null, found string",
        ),
    ] {
        assert_eq!(Request::from_value(&value).unwrap_err().to_string(), expected);
    }
}

fn increment(isolation: Isolation, ops: &[&str]) -> Request {
    Request {
        isolation,
        ops: ops
            .iter()
            .map(|path| Operation::Increment(path.parse().unwrap(), 1))
            .collect(),
        ..Request::default()
    }
}

#[test]
fn a_response_tells_its_own_changes_also_when_the_history_is_short() {
    let config = ContextConfig {
        history: 1,
        ..ContextConfig::default()
    };
    let context = Context::with_config("short", config).unwrap();
    std::thread::scope(|scope| {
        for path in ["a", "b", "c"] {
            let context = &context;
            scope.spawn(move || {
                for turn in 0..500 {
                    let response = context.request(&increment(Isolation::Safe, &[path])).unwrap();
                    let old = (turn > 0).then_some(turn);
                    assert_eq!(response.changes, [change(path, old, Some(turn + 1))]);
                }
            });
        }
    });
}

#[test]
fn a_response_to_a_raw_request_tells_every_change() {
    let context = Context::new("raw");
    for turn in 0..2 {
        let response = context.request(&increment(Isolation::Raw, &["b", "a"])).unwrap();
        let old = (turn > 0).then_some(turn);
        assert_eq!(
            response.changes,
            [change("a", old, Some(turn + 1)), change("b", old, Some(turn + 1))]
        );
    }
}
