//! The audit: conditions, thresholds, levels, and counting exactly once however often a body runs.

use quintet_stm::{
    Audit, Condition, Context, Contract, Error, How, Isolation, Level, Path, Process, Processes, Recipe,
    Recipes, Rule, Value,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU32, Ordering},
    },
};

fn rule(condition: Condition, level: Level) -> Rule {
    Rule::new(Path::new("out").unwrap(), condition, level)
}

/// Sets `out` to what `in` says.
fn copy(recipe: &Recipe) -> (Context, Process) {
    let contract = Contract::new().inputs(["in"]).outputs(["out"]);
    let process = Process::new("copy", contract, |tx| {
        let value = tx.get("in")?.unwrap_or_default();
        tx.set("out", value)
    });
    (
        Context::new("test"),
        process.unwrap().with_audit(Audit::new(recipe)),
    )
}

fn outputs(rules: impl IntoIterator<Item = Rule>) -> Recipe {
    Recipe {
        outputs: rules.into_iter().collect(),
        ..Recipe::default()
    }
}

fn run(context: &Context, process: &Process, value: impl Into<Value>) -> Result<Vec<u32>, Error> {
    context.set_raw("in", value)?;
    let outcome = process.run(context, &How::default())?;
    Ok(outcome.warnings.iter().map(|warning| warning.count).collect())
}

#[test]
fn each_condition_holds_or_blocks() {
    let list = |n: usize| Value::from(vec![Value::Null; n]);
    let map = Value::from(BTreeMap::from([("k".to_owned(), Value::Null)]));
    let cases: [(Condition, Value, bool); 20] = [
        (Condition::Min(2.0), Value::Int(2), true),
        (Condition::Min(2.0), Value::Float(1.9), false),
        (Condition::Min(2.0), Value::Float(f64::NAN), false),
        (Condition::Max(2.0), Value::Int(2), true),
        (Condition::Max(2.0), Value::Int(3), false),
        (Condition::Max(2.0), Value::Float(f64::NAN), false),
        (Condition::Eq(Value::Int(1)), Value::Float(1.0), true),
        (Condition::Eq("a".into()), "b".into(), false),
        (Condition::Eq(Value::Int(1)), "1".into(), false),
        (Condition::Neq(Value::Int(1)), Value::Int(2), true),
        (Condition::Neq(Value::Null), Value::Null, false),
        (Condition::MinLen(2), "\u{e4}\u{e4}".into(), true),
        (Condition::MinLen(3), "\u{e4}\u{e4}".into(), false),
        (Condition::MaxLen(2), "\u{e4}\u{e4}".into(), true),
        (Condition::MaxLen(2), list(3), false),
        (Condition::MinLen(1), list(1), true),
        (Condition::MaxLen(0), map.clone(), false),
        (Condition::MinLen(1), map, true),
        (Condition::MaxLen(1), vec![1_u8, 2].into(), false),
        (Condition::MaxLen(2), vec![1_u8, 2].into(), true),
    ];
    for (condition, value, holds) in cases {
        let (context, process) = copy(&outputs([rule(condition.clone(), Level::B)]));
        let result = run(&context, &process, value.clone());
        assert_eq!(result.is_ok(), holds, "{condition:?} {value:?} {result:?}");
        assert_eq!(
            context.get("out").unwrap().is_some(),
            holds,
            "{condition:?} {value:?}"
        );
    }
}

#[test]
fn what_is_missing_or_of_the_wrong_kind_is_an_error_at_every_level() {
    for level in Level::ALL {
        let mut missing = rule(Condition::Min(0.0), level);
        missing.field = Path::new("nowhere").unwrap();
        missing.max_threshold = 100;
        let (context, process) = copy(&outputs([missing]));
        let error = run(&context, &process, 1_i64).unwrap_err();
        assert_eq!(
            error.to_string(),
            "nowhere: missing, and the audit's rule `min` needs it"
        );
        let (context, process) = copy(&outputs([rule(Condition::MaxLen(3), level)]));
        assert!(matches!(
            run(&context, &process, 1_i64).unwrap_err(),
            Error::TypeClash { .. }
        ));
        assert_eq!(context.get("out").unwrap(), None);
    }
}

#[test]
fn the_level_acts_at_the_threshold_and_counting_begins_again() {
    for level in [Level::S, Level::A, Level::B] {
        let mut rule = rule(Condition::Max(10.0), level);
        (rule.max_threshold, rule.min_threshold) = (3, 2);
        rule.message = Some("too much".into());
        let (context, process) = copy(&outputs([rule]));
        for _round in 0..2 {
            assert_eq!(
                run(&context, &process, 11_i64).unwrap(),
                Vec::<u32>::new(),
                "the first passes in silence"
            );
            assert_eq!(run(&context, &process, 5_i64).unwrap(), Vec::<u32>::new());
            assert_eq!(run(&context, &process, 12_i64).unwrap(), [2], "the second warns");
            let error = run(&context, &process, 13_i64).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("process `copy`: audit level {level}: too much (out: 13 is above 10)")
            );
            assert_eq!(context.get("out").unwrap(), Some(Value::Int(12)), "undone");
        }
    }
}

#[test]
fn level_c_warns_and_commits() {
    let mut rule = rule(Condition::Max(10.0), Level::C);
    (rule.max_threshold, rule.min_threshold) = (2, 5);
    let (context, process) = copy(&outputs([rule]));
    assert_eq!(run(&context, &process, 11_i64).unwrap(), Vec::<u32>::new());
    assert_eq!(run(&context, &process, 12_i64).unwrap(), [2]);
    assert_eq!(context.get("out").unwrap(), Some(Value::Int(12)));
    assert_eq!(
        run(&context, &process, 12_i64).unwrap(),
        Vec::<u32>::new(),
        "counting began again"
    );
}

#[test]
fn a_success_resets_if_asked_to() {
    for (reset, blocked) in [(true, false), (false, true)] {
        let mut rule = rule(Condition::Max(10.0), Level::B);
        (rule.max_threshold, rule.reset_on_success) = (2, reset);
        let (context, process) = copy(&outputs([rule]));
        run(&context, &process, 11_i64).unwrap();
        run(&context, &process, 1_i64).unwrap();
        assert_eq!(run(&context, &process, 11_i64).is_err(), blocked);
    }
}

#[test]
fn rules_on_inputs_come_before_the_function() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let contract = Contract::new().inputs(["in"]).outputs(["out"]);
    let process = Process::new("p", contract, move |tx| {
        counted.fetch_add(1, Ordering::Relaxed);
        tx.set("out", 1_i64)
    });
    let recipe = Recipe {
        inputs: vec![Rule::new(Path::new("in").unwrap(), Condition::Min(0.0), Level::B)],
        ..Recipe::default()
    };
    let process = process.unwrap().with_audit(Audit::new(&recipe));
    let context = Context::new("test");
    assert!(run(&context, &process, -1_i64).is_err());
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    assert!(run(&context, &process, 1_i64).is_ok());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn an_attempt_that_lost_counts_nothing() {
    let mut limit = rule(Condition::Max(10.0), Level::B);
    limit.max_threshold = 2;
    let context = Context::new("test");
    context.set_raw("out", 20_i64).unwrap();
    let (rival, attempts) = (context.clone(), AtomicU32::new(0));
    let contract = Contract::new().outputs(["out"]);
    let process = Process::new("p", contract, move |tx| {
        let out = tx.get_int("out")?;
        if attempts.fetch_add(1, Ordering::Relaxed) < 3 {
            let rival = rival.clone();
            std::thread::spawn(move || rival.increment_raw("out", 1).unwrap())
                .join()
                .unwrap();
        }
        tx.set("out", out + 1)
    });
    let process = process.unwrap().with_audit(Audit::new(&outputs([limit])));
    let outcome = process.run(&context, &How::default()).unwrap();
    assert_eq!(outcome.warnings.len(), 1);
    assert_eq!(outcome.warnings[0].count, 1, "four attempts, one violation");
    assert!(process.run(&context, &How::default()).is_err());
}

#[test]
fn of_many_runs_at_once_every_third_is_blocked() {
    const THREADS: u32 = 3;
    const RUNS: u32 = 50;
    let mut rule = rule(Condition::Max(0.0), Level::B);
    rule.max_threshold = 3;
    let context = Context::new("test");
    let process = Process::new("p", Contract::new().outputs(["out"]), |tx| tx.increment("out", 1));
    let process = process.unwrap().with_audit(Audit::new(&outputs([rule])));
    let (barrier, blocked) = (Barrier::new(THREADS as usize), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..RUNS {
                    if process.run(&context, &How::default()).is_err() {
                        blocked.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(blocked.load(Ordering::Relaxed), THREADS * RUNS / 3);
    let out = context.get("out").unwrap().unwrap().as_int().unwrap();
    assert_eq!(out, i64::from(THREADS * RUNS * 2 / 3));
}

#[test]
fn a_raw_process_is_not_undone_and_level_b_only_warns() {
    let (context, process) = copy(&outputs([rule(Condition::Max(10.0), Level::B)]));
    context.set_raw("in", 11_i64).unwrap();
    let outcome = process.run(&context, &How::from(Isolation::Raw)).unwrap();
    assert_eq!(outcome.warnings.len(), 1);
    assert_eq!(context.get("out").unwrap(), Some(Value::Int(11)));
}

#[test]
fn inheriting_merges_rule_by_rule() {
    let base = Recipe {
        outputs: vec![
            rule(Condition::Min(0.0), Level::A),
            rule(Condition::Max(100.0), Level::B),
        ],
        errors: Some(vec!["Declined".into()]),
        ..Recipe::default()
    };
    let own = Recipe {
        outputs: vec![
            rule(Condition::Max(10.0), Level::C),
            rule(Condition::Neq(Value::Int(5)), Level::B),
        ],
        errors: Some(vec!["Empty".into()]),
        ..Recipe::default()
    };
    let merged = own.inheriting(&base);
    assert_eq!(
        merged.outputs,
        [
            rule(Condition::Min(0.0), Level::A),
            rule(Condition::Max(10.0), Level::C),
            rule(Condition::Neq(Value::Int(5)), Level::B)
        ]
    );
    assert_eq!(merged.errors.unwrap(), ["Empty", "Declined"]);
}

#[test]
fn a_recipe_knows_its_process() {
    let mut processes = Processes::new();
    let contract = Contract::new().errors(["Declined"]).side_effects(["mail"]);
    processes
        .register(Process::new("p", contract, |_| Ok(())).unwrap())
        .unwrap();
    let mut recipes = Recipes::new();
    recipes.insert("q", Recipe::default());
    assert_eq!(
        processes.audit(&recipes).unwrap_err().to_string(),
        "q: a recipe for a process that is not known"
    );
    for (errors, effects, reason) in [
        (vec![], vec!["mail".to_owned()], "the error `Declined`"),
        (vec!["Declined".to_owned()], vec![], "the side effect `mail`"),
    ] {
        let mut recipes = Recipes::new();
        let recipe = Recipe {
            errors: Some(errors),
            side_effects: Some(effects),
            ..Recipe::default()
        };
        recipes.insert("p", recipe);
        let error = processes.audit(&recipes).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
