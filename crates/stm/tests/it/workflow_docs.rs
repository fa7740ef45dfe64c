//! The documentation of workflows: every example is run, and every example is valid under the published schema; what the
//! parser refuses for its shape, the schema refuses too.

use crate::workflow_run::{failures, run_on};
use quintet_stm::{Context, Processes, Value, workflow::Plan};
use serde_json::{Value as Json, json};

const GUIDE: &str = include_str!("../../../../docs/workflows.md");
const SCHEMA: &str = include_str!("../../../../docs/workflow.schema.json");

fn examples() -> Vec<&'static str> {
    GUIDE
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

fn lines<'a>(example: &'a str, prefix: &str) -> Vec<&'a str> {
    let found = example.lines().filter_map(|line| line.strip_prefix(prefix));
    found.map(str::trim).collect()
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::Bool(set) => json!(set),
        Value::Int(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Str(text) => json!(&**text),
        other => panic!("an example shows {other:?}"),
    }
}

#[test]
fn every_example_does_what_it_says() {
    let examples = examples();
    assert!(examples.len() >= 10);
    for example in examples {
        let (leaves, refused, fails) = (
            lines(example, "# =>"),
            lines(example, "# refused:"),
            lines(example, "# fails:"),
        );
        assert!(
            leaves.len() + refused.len() + fails.len() > 0,
            "it shows nothing:\n{example}"
        );
        if let [reason] = refused[..] {
            let problems = Plan::parse(example, &Processes::new()).unwrap_err().to_string();
            assert!(problems.contains(reason), "{problems}");
            continue;
        }
        let context = Context::new("guide");
        let report = run_on(&context, example, &Processes::new());
        assert_eq!(
            report.succeeded(),
            fails.is_empty(),
            "{example}\n{:?}",
            failures(&report)
        );
        for reason in fails {
            let told = failures(&report).join("\n");
            assert!(told.contains(reason), "{told}");
        }
        for line in leaves {
            let (path, wanted) = line.split_once(" = ").unwrap();
            let found = context.get(path).unwrap().map(|value| json_of(&value));
            assert_eq!(
                found,
                Some(serde_json::from_str(wanted).unwrap()),
                "{line}\n{example}"
            );
        }
    }
}

#[test]
fn every_example_is_valid_under_the_schema() {
    let schema: Json = serde_json::from_str(SCHEMA).unwrap();
    for example in examples() {
        let json: Json = serde_saphyr::from_str(example).unwrap();
        assert_eq!(check(&schema, &schema, &json), Ok(()), "{example}");
    }
}

#[test]
fn the_schema_and_the_parser_agree_on_shapes() {
    let schema: Json = serde_json::from_str(SCHEMA).unwrap();
    for (source, accepted) in [
        ("steps: [{set: {a: 1}}]", true),
        (
            "steps: [{set: {a: 1}, id: x, needs: [], isolation: raw, retry: {attempts: 2}, timeout: 1s}]",
            true,
        ),
        ("steps: [[{set: {a: 1}}, {steps: [{set: {b: null}}]}]]", true),
        (
            "flows: {f: {steps: [{set: {a: true}}]}, g: [{set: {a: 1.5}}]}\nsteps: [{flow: f}]",
            true,
        ),
        (
            "steps: [{while: false, do: [{set: {a: 1}}], max_ops: 5}]\nmax_ops: 9\ntimeout: 2m\non_failure: all",
            true,
        ),
        ("steps: []", false),
        ("steps: [[]]", false),
        ("steps: [{}]", false),
        ("steps: [{set: {}}]", false),
        ("steps: [{set: {a: [1]}}]", false),
        ("steps: [{set: {a: 1}, then: []}]", false),
        ("steps: [{set: {a: 1}, process: P}]", false),
        ("steps: [{if: true}]", false),
        ("steps: [{if: 3, then: [{set: {a: 1}}]}]", false),
        ("steps: [{while: true, do: [{set: {a: 1}}], max_ops: 0}]", false),
        ("steps: [{set: {a: 1}, retry: {}}]", false),
        ("steps: [{set: {a: 1}, retry: {attempts: 0}}]", false),
        ("steps: [{set: {a: 1}, timeout: 5}]", false),
        ("steps: [{set: {a: 1}, isolation: none}]", false),
        ("steps: [[[{set: {a: 1}}]]]", false),
        ("steps: [{set: {a: 1}}]\nspeed: 1", false),
        ("steps: [{set: {a: 1}}]\non_failure: 1", false),
        ("processes: {P: {}}\nsteps: [{set: {a: 1}}]", false),
        (
            "processes: {P: {set: {a: 1}}}\nprocess_recipes: {P: {outputs: [{field: a}]}}\nsteps: [P]",
            false,
        ),
        (
            "processes: {P: {set: {a: 1}}}\nprocess_recipes: {P: {outputs: [{field: a, level: D, min: 1}]}}\nsteps: [P]",
            false,
        ),
        ("name: x", false),
        ("3", false),
    ] {
        let json: Json = serde_saphyr::from_str(source).unwrap();
        let by_schema = check(&schema, &schema, &json);
        let by_parser = Plan::parse(source, &Processes::new());
        assert_eq!(by_schema.is_ok(), accepted, "{source}: {by_schema:?}");
        assert_eq!(by_parser.is_ok(), accepted, "{source}: {by_parser:?}");
    }
}

/// As much of JSON Schema as the published one uses; what it does not know fails the test.
fn check(root: &Json, schema: &Json, value: &Json) -> Result<(), String> {
    for (keyword, rule) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "$schema" | "$id" | "title" | "description" | "$defs" | "additionalProperties" => true,
            "$ref" => {
                let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                check(root, &root["$defs"][name], value)?;
                true
            }
            "type" => match rule {
                Json::String(one) => is(value, one),
                many => many
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|one| is(value, one.as_str().unwrap())),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "anyOf" => rule
                .as_array()
                .unwrap()
                .iter()
                .any(|one| check(root, one, value).is_ok()),
            "required" => {
                let mut names = rule.as_array().unwrap().iter();
                names.all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "properties" => properties(root, schema, rule, value)?,
            "items" => value
                .as_array()
                .is_none_or(|items| items.iter().all(|item| check(root, rule, item).is_ok())),
            "minItems" => value
                .as_array()
                .is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
            "minProperties" => value
                .as_object()
                .is_none_or(|map| map.len() as u64 >= rule.as_u64().unwrap()),
            "maxProperties" => value
                .as_object()
                .is_none_or(|map| map.len() as u64 <= rule.as_u64().unwrap()),
            "minLength" => value
                .as_str()
                .is_none_or(|text| text.len() as u64 >= rule.as_u64().unwrap()),
            "maxLength" => value
                .as_str()
                .is_none_or(|text| text.len() as u64 <= rule.as_u64().unwrap()),
            "minimum" => value
                .as_f64()
                .is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maximum" => value
                .as_f64()
                .is_none_or(|number| number <= rule.as_f64().unwrap()),
            "pattern" => {
                assert_eq!(rule, "^[0-9.]+ *(ms|s|m|h)$");
                value.as_str().is_none_or(|text| {
                    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
                    unit.len() < text.len() && ["ms", "s", "m", "h"].contains(&unit.trim_start_matches(' '))
                })
            }
            other => panic!("the schema uses `{other}`"),
        };
        if !holds {
            return Err(format!("{keyword} {rule} does not hold of {value}"));
        }
    }
    // A map of any names has no `properties`.
    if schema.get("properties").is_none()
        && let (Some(rule), Some(map)) = (schema.get("additionalProperties"), value.as_object())
    {
        map.values().try_for_each(|item| check(root, rule, item))?;
    }
    Ok(())
}

fn properties(root: &Json, schema: &Json, rules: &Json, value: &Json) -> Result<bool, String> {
    assert_eq!(
        schema["additionalProperties"],
        json!(false),
        "unknown keys are to be refused"
    );
    for (name, item) in value.as_object().into_iter().flatten() {
        match rules.get(name) {
            Some(rule) => check(root, rule, item)?,
            None => return Err(format!("unknown key {name}")),
        }
    }
    Ok(true)
}

fn is(value: &Json, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the schema uses the type {other}"),
    }
}
