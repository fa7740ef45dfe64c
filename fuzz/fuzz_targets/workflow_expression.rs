//! Expressions: whatever is accepted ends with a value or an error on any data, and what is refused says where.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quintet_stm::{
    Context, Processes, Value,
    workflow::{Plan, Pool, RunOptions},
};
use std::{num::NonZeroUsize, sync::LazyLock};

static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::new(NonZeroUsize::MIN));

fuzz_target!(|input: (&str, &str, i64)| {
    let (expression, text, number) = input;
    // JSON's text is YAML's.
    let quoted = serde_json::to_string(expression).expect("text");
    let source = format!("steps: [{{set: {{answer: {quoted}}}}}, {{needs: [], if: {quoted}, then: [{{set: {{b: 1}}}}]}}]");
    let plan = match Plan::parse(&source, &Processes::new()) {
        Ok(plan) => plan,
        Err(problems) => {
            assert!(problems.iter().all(|problem| !problem.message.is_empty()));
            return;
        }
    };
    let context = Context::new("fuzz");
    let list: Value = vec![number.into(), text.into(), Value::from(Vec::<Value>::new())].into();
    for (path, value) in [("n", number.into()), ("x", 1.5.into()), ("text", text.into()), ("list", list)] {
        context.set_raw(path, value).expect("a value");
    }
    let report = plan.run(&context, &POOL, RunOptions::default());
    assert!(report.done + report.failed + report.skipped <= 3);
    assert!(report.failures.iter().all(|failure| !failure.to_string().is_empty()));
});
