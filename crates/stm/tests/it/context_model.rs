//! Random operations on a context beside a plain map: values, listings, history, snapshots, reopening.

use proptest::prelude::*;
use quintet_core::SystemClock;
use quintet_log::{LogConfig, MemDirectory};
use quintet_stm::{Context, ContextConfig, Isolation, Value};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Clone, Debug)]
enum Op {
    Set(usize, i64),
    Increment(usize, i64),
    Append(usize, i64),
    Delete(usize),
}

#[derive(Clone, Debug)]
enum Step {
    Transaction(Isolation, Vec<Op>),
    Reopen,
    Checkpoint,
    Look,
}

const PATHS: [&str; 6] = ["a", "b.c", "b.d", "e.f.g", "e.f.h", "zz"];

fn op() -> impl Strategy<Value = Op> {
    let path = 0..PATHS.len();
    prop_oneof![
        (path.clone(), any::<i8>()).prop_map(|(p, v)| Op::Set(p, v.into())),
        (path.clone(), any::<i8>()).prop_map(|(p, v)| Op::Increment(p, v.into())),
        (path.clone(), any::<i8>()).prop_map(|(p, v)| Op::Append(p, v.into())),
        path.prop_map(Op::Delete),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let level = prop_oneof![
        Just(Isolation::Safe),
        Just(Isolation::Hybrid),
        Just(Isolation::Raw)
    ];
    prop_oneof![
        8 => (level, prop::collection::vec(op(), 1..6)).prop_map(|(level, ops)| Step::Transaction(level, ops)),
        1 => Just(Step::Reopen),
        1 => Just(Step::Checkpoint),
        2 => Just(Step::Look),
    ]
}

type Model = BTreeMap<&'static str, Value>;

/// What the operation makes of the model, or that it is refused.
fn expect(model: &mut Model, op: &Op) -> bool {
    match op {
        Op::Set(path, value) => {
            model.insert(PATHS[*path], Value::Int(*value));
        }
        Op::Increment(path, delta) => match model.entry(PATHS[*path]).or_insert(Value::Int(0)) {
            Value::Int(value) => *value += delta,
            _ => return false,
        },
        Op::Append(path, item) => match model.entry(PATHS[*path]).or_insert(Value::List(Arc::default())) {
            Value::List(list) => Arc::make_mut(list).push(Value::Int(*item)),
            _ => return false,
        },
        Op::Delete(path) => {
            model.remove(PATHS[*path]);
        }
    }
    true
}

/// A buffered merge that a later write of the same path replaces is never computed. One that follows a write is computed at
/// once; the removal of what is not there is no write.
fn effective(model: &Model, ops: &[Op]) -> Vec<Op> {
    let writes = |op: &Op, path: usize| match op {
        Op::Set(at, _) | Op::Delete(at) => *at == path,
        Op::Increment(..) | Op::Append(..) => false,
    };
    let is_written = |before: &[Op], path: usize| {
        let mut is_there = model.contains_key(PATHS[path]);
        before.iter().any(|op| match op {
            Op::Set(at, _) => *at == path,
            Op::Delete(at) => *at == path && is_there,
            Op::Increment(at, _) | Op::Append(at, _) => {
                is_there |= *at == path;
                false
            }
        })
    };
    let kept = ops.iter().enumerate().filter(|(at, op)| match op {
        Op::Increment(path, _) | Op::Append(path, _) => {
            is_written(&ops[..*at], *path) || !ops[*at..].iter().any(|op| writes(op, *path))
        }
        Op::Set(..) | Op::Delete(_) => true,
    });
    kept.map(|(_, op)| op.clone()).collect()
}

#[test]
fn a_removal_of_nothing_computes_no_merge() {
    let ops = [
        Op::Delete(0),
        Op::Append(0, 1),
        Op::Increment(0, 1),
        Op::Delete(0),
    ];
    transact(&Context::new("model"), &mut Model::new(), Isolation::Safe, &ops);
    let (context, mut model) = (Context::new("model"), Model::new());
    transact(&context, &mut model, Isolation::Safe, &[Op::Set(0, 1)]);
    transact(&context, &mut model, Isolation::Safe, &ops);
}

fn transact(context: &Context, model: &mut Model, isolation: Isolation, all: &[Op]) {
    let ops = if isolation == Isolation::Raw {
        all.to_vec()
    } else {
        effective(model, all)
    };
    let mut after = model.clone();
    let mut accepted = 0;
    for op in &ops {
        let mut next = after.clone();
        if !expect(&mut next, op) {
            break;
        }
        after = next;
        accepted += 1;
    }
    let result = context.run(isolation, |tx| {
        for op in all {
            match op {
                Op::Set(path, value) => tx.set(PATHS[*path], *value)?,
                Op::Increment(path, delta) => tx.increment(PATHS[*path], *delta)?,
                Op::Append(path, item) => tx.append(PATHS[*path], *item)?,
                Op::Delete(path) => tx.delete(PATHS[*path])?,
            }
        }
        Ok(())
    });
    let is_whole = accepted == ops.len();
    assert_eq!(result.is_ok(), is_whole, "{isolation} {all:?}: {result:?}");
    if is_whole || isolation == Isolation::Raw {
        *model = after;
    }
}

fn open(directory: &Arc<MemDirectory>) -> Context {
    let log = LogConfig {
        segment_bytes: 1 << 16,
        max_record_bytes: 1 << 12,
        max_group_bytes: 1 << 13,
        ..LogConfig::default()
    };
    let config = ContextConfig {
        history: 8,
        ..ContextConfig::default()
    };
    Context::open("model", directory.clone(), config, log, Arc::new(SystemClock))
        .unwrap()
        .0
}

fn agrees(context: &Context, model: &Model) {
    let image = context.snapshot().unwrap().image();
    let found: Vec<_> = image
        .iter()
        .map(|(path, value)| (path.as_str(), value.clone()))
        .collect();
    let expected: Vec<_> = model.iter().map(|(path, value)| (*path, value.clone())).collect();
    assert_eq!(found, expected);
    assert_eq!(
        context.replay(context.version()).unwrap(),
        image,
        "replay equals the state"
    );
    for branch in ["", "b", "e.f", "e"] {
        let listed = context.run(Isolation::Safe, |tx| tx.keys(branch, 100)).unwrap();
        let below = |path: &&&str| branch.is_empty() || path.starts_with(&format!("{branch}."));
        let expected: Vec<_> = model.keys().filter(below).copied().collect();
        assert_eq!(
            listed.iter().map(|path| path.as_str()).collect::<Vec<_>>(),
            expected
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_context_is_a_map(steps in prop::collection::vec(step(), 1..40)) {
        let directory = Arc::new(MemDirectory::new());
        let mut context = open(&directory);
        let mut model = Model::new();
        let mut views = Vec::new();
        for step in steps {
            match step {
                Step::Transaction(isolation, ops) => transact(&context, &mut model, isolation, &ops),
                Step::Reopen => {
                    views.clear();
                    let version = context.version();
                    context.close().unwrap();
                    context = open(&directory);
                    prop_assert_eq!(context.version(), version);
                }
                Step::Checkpoint => context.checkpoint().unwrap(),
                Step::Look => views.push((context.snapshot().unwrap(), model.clone())),
            }
            agrees(&context, &model);
            for (view, model) in &views {
                let seen: Vec<_> = view.iter("").map(|(path, value)| (path.to_string(), value)).collect();
                let expected: Vec<_> = model.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect();
                prop_assert_eq!(seen, expected);
            }
        }
    }
}
