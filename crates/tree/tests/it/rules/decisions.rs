//! Decisions over a table of whole documents: cascade, wildcards, validation, updates, and the holes of older engines.

use quintet_tree::rules::{Auth, JsonData, Request, Rules, parse_cases};
use serde_json::{Value as Json, json};
use std::time::UNIX_EPOCH;

#[test]
fn every_row_of_the_table_is_decided_as_documented() {
    let groups: Vec<Json> = serde_json::from_str(include_str!("decisions.json")).expect("the table is JSON");
    let mut wrong = Vec::new();
    for group in &groups {
        let about = group["about"]
            .as_str()
            .expect("every group says what it is about");
        let rules = Rules::parse(&json!({"rules": group["rules"]}).to_string())
            .unwrap_or_else(|error| panic!("{about}: {error}"));
        let table = json!({"data": group["data"], "cases": group["cases"]}).to_string();
        for case in parse_cases(&table).unwrap_or_else(|error| panic!("{about}: {error}")) {
            let result = case
                .run(&rules)
                .unwrap_or_else(|error| panic!("{about}: {error}"));
            if !result.passed {
                wrong.push(format!("{about}: {case:?}\n    {:?}", result.decision));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_decision_names_the_rule_that_made_it() {
    let rules = Rules::parse(
        r#"{"rules": {
            ".read": "auth.token.admin == true",
            "notes": {"$id": {
                ".read": "true",
                ".write": "auth != null",
                ".validate": "newData.child('text').isString()"
            }}
        }}"#,
    )
    .expect("valid");
    let empty = json!({});
    let old = JsonData(&empty);
    let auth = Auth::user("ada", json!({}));
    let request = |explain| Request {
        auth: &auth,
        now: UNIX_EPOCH,
        old: &old,
        explain,
    };
    let granted = rules.may_read(&request(true), &["notes", "1"]).expect("readable");
    assert!(granted.allowed);
    assert_eq!(granted.reason, "/notes/$id/.read (line 4) is true");
    let asked: Vec<_> = granted
        .trace
        .iter()
        .map(|trace| (&*trace.rule, trace.path.as_str(), trace.line))
        .collect();
    assert_eq!(asked, [("/.read", "/", 2), ("/notes/$id/.read", "/notes/1", 4)]);

    let new = json!({"notes": {"1": {"text": 5}}});
    let refused = rules
        .may_write(&request(false), &["notes", "1"], &JsonData(&new))
        .expect("readable");
    assert!(!refused.allowed);
    assert_eq!(refused.reason, "/notes/$id/.validate (line 6) is false");
    assert!(refused.trace.is_empty(), "nobody asked why");

    let nothing = rules
        .may_write(&request(false), &["other"], &JsonData(&json!({"other": 1})))
        .expect("readable");
    assert_eq!(nothing.reason, "no .write rule stands on the way to this path");
}

#[test]
fn a_decision_over_a_vast_value_ends_with_no_instead_of_never() {
    let rules = Rules::parse(
        r#"{"rules": {".write": true, "$a": {"$b": {".validate": "root.val() == root.val() && newData.parent().parent().val() != null"}}}}"#,
    )
    .expect("valid");
    let row: Json = (0..300)
        .map(|n| (n.to_string(), json!(n)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let tree: Json = (0..300)
        .map(|n| (n.to_string(), row.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let request = Request {
        auth: &Auth::none(),
        now: UNIX_EPOCH,
        old: &JsonData(&tree),
        explain: false,
    };
    let decision = rules
        .may_write(&request, &[], &JsonData(&tree))
        .expect("readable");
    assert!(!decision.allowed);
    assert!(decision.reason.contains("steps"), "{}", decision.reason);
}
