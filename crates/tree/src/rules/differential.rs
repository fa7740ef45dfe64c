//! The compiled form against the naive one, over generated expressions and data: they agree on true, false and failure.
//!
//! The generator makes expressions that mostly pass the type check; those that do not are refused by the compiler and prove
//! nothing, so the test also counts that enough of them were compared.

use super::{
    compile::{Scope, compile},
    data::JsonData,
    eval::{Context, Stop, run},
    naive,
    parse::parse,
    value::Value,
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::{
    borrow::Cow,
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering},
};

fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("$id".to_owned()),
        Just("auth.uid".to_owned()),
        Just("auth.token.email".to_owned()),
        Just("data.child('name').val()".to_owned()),
        Just("''".to_owned()),
        Just("'ada'".to_owned()),
        Just("'a/b'".to_owned()),
        Just("'lamp'".to_owned()),
        Just("$id.toUpperCase()".to_owned()),
        Just("$id.replace('a', 'bb')".to_owned()),
        Just("('n' + now)".to_owned()),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("now".to_owned()),
        (-3i32..5).prop_map(|n| n.to_string()),
        Just("0.5".to_owned()),
        Just("newData.child('count').val()".to_owned()),
        Just("data.child('count').val()".to_owned()),
        Just("$id.length".to_owned()),
        Just("auth.token.level".to_owned()),
    ]
}

fn place() -> impl Strategy<Value = String> {
    let first = prop_oneof![Just("data"), Just("newData"), Just("root")];
    let step = prop_oneof![
        Just(".parent()"),
        Just(".child('count')"),
        Just(".child('name')"),
        Just(".child('things/lamp')"),
        Just(".child($id)"),
        Just(".child(auth.uid)"),
        Just(".child('nothing')"),
    ];
    (first, prop::collection::vec(step, 0..4)).prop_map(|(first, steps)| format!("{first}{}", steps.concat()))
}

fn condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("auth.token.admin".to_owned()),
        (
            place(),
            prop_oneof![
                Just(".exists()"),
                Just(".isString()"),
                Just(".isNumber()"),
                Just(".isBoolean()"),
                Just(".hasChildren()"),
                Just(".hasChildren(['name', 'count'])"),
                Just(".hasChild('name')"),
                Just(".val() != null"),
                Just(".val()"),
            ]
        )
            .prop_map(|(place, method)| format!("{place}{method}")),
        (place(), place()).prop_map(|(a, b)| format!("{a}.val() == {b}.val()")),
        (
            string(),
            string(),
            prop_oneof![Just("=="), Just("!="), Just("<"), Just(">=")]
        )
            .prop_map(|(a, b, operator)| format!("{a} {operator} {b}")),
        (
            number(),
            number(),
            prop_oneof![Just("==="), Just("!=="), Just("<="), Just(">")],
            prop_oneof![Just("+"), Just("-"), Just("*"), Just("/"), Just("%")],
            number()
        )
            .prop_map(|(a, b, operator, sum, c)| format!("{a} {sum} {c} {operator} {b}")),
        (
            string(),
            prop_oneof![
                Just(".contains('a')"),
                Just(".beginsWith($id)"),
                Just(".endsWith('p')"),
                Just(".matches(/^a.*$/i)"),
                Just(".length > 3"),
            ]
        )
            .prop_map(|(text, method)| format!("{text}{method}")),
    ];
    leaf.prop_recursive(5, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} && {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} || {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b}) == ({b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

fn tree() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-2i32..4).prop_map(Json::from),
        prop_oneof![Just("ada"), Just("lamp"), Just(""), Just("a/b")].prop_map(Json::from),
    ];
    (leaf.clone(), leaf.clone(), leaf).prop_map(|(name, count, extra)| {
        json!({"things": {"lamp": {"name": name, "count": count, "ada": extra}}, "ada": {"name": count}, "name": extra})
    })
}

static COMPARED: AtomicUsize = AtomicUsize::new(0);

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    fn compiled_and_naive_agree(text in condition(), old in tree(), new in tree(), user in 0..3) {
        let captures = ["$id".to_owned()];
        let Ok(program) = compile(&text, Scope { captures: &captures, writes: true }) else {
            return Ok(());
        };
        let syntax = parse(&text).expect("what compiles parses");
        let auth = match user {
            0 => Json::Null,
            1 => json!({"uid": "ada", "token": {"email": "ada@example.org", "admin": true, "level": 2}}),
            _ => json!({"uid": "lamp", "token": {"email": 5, "admin": "yes"}}),
        };
        let steps = Cell::new(u32::MAX);
        let path = [Cow::Borrowed("things"), Cow::Borrowed("lamp")];
        let (old, new) = (JsonData(&old), JsonData(&new));
        let context = Context {
            auth: &auth,
            now_ms: 3.0,
            captures: &["lamp"],
            path: &path,
            old: &old,
            new: Some(&new),
            steps: &steps,
        };
        let compiled = match run(&program, context) {
            Ok(value) => Some(value),
            Err(Stop::Fails(_)) => None,
            Err(stop) => panic!("{text}: {stop:?}"),
        };
        let naive = match naive::evaluate(&syntax, &context, &captures) {
            Ok(Value::Bool(value)) => Some(value),
            Ok(_) | Err(Stop::Fails(_)) => None,
            Err(stop) => panic!("{text}: {stop:?}"),
        };
        prop_assert_eq!(compiled, naive, "{}", text);
        COMPARED.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_compiled_form_agrees_with_the_naive_one() {
    compiled_and_naive_agree();
    let compared = COMPARED.load(Ordering::Relaxed);
    assert!(
        compared >= 500,
        "only {compared} expressions passed the type check"
    );
}
