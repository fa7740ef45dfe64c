//! The evaluator: whatever expression compiles ends with yes or no on any data, and a denial always says why.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quintet_tree::rules::{Auth, JsonData, Request, Rules};
use serde_json::{Value, json};
use std::time::UNIX_EPOCH;

fuzz_target!(|input: (&str, &str)| {
    let (expression, data) = input;
    let document = json!({"rules": {"$a": {".write": expression, ".validate": expression}}}).to_string();
    let Ok(rules) = Rules::parse(&document) else {
        return;
    };
    let data: Value =
        serde_json::from_str(data).unwrap_or_else(|_| json!({"lamp": {"name": data, "on": true}}));
    let auth = Auth::user("ada", json!({"email": data.to_string()}));
    let request = Request {
        auth: &auth,
        now: UNIX_EPOCH,
        old: &JsonData(&Value::Null),
        explain: true,
    };
    let decision = rules
        .may_write(&request, &["lamp"], &JsonData(&data))
        .expect("JSON can be read");
    assert!(!decision.reason.is_empty());
    assert!(!decision.trace.is_empty());
});
