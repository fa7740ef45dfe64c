//! Workflows that are refused before anything runs: where, why, and what may have been meant. That it takes
//! bounded time and memory is shown in `workflow_hostile`.

use quintet_stm::{
    Contract, Process, Processes, Recipes,
    workflow::{Plan, Problem, Problems},
};

fn processes() -> Processes {
    let mut processes = Processes::new();
    for name in ["Price", "Pay"] {
        let process = Process::new(name, Contract::new(), |_| Ok(()));
        processes.register(process.unwrap()).unwrap();
    }
    processes
}

fn refused(source: &str) -> Problems {
    match Plan::parse(source, &processes()) {
        Ok(plan) => panic!("accepted: {plan}"),
        Err(problems) => problems,
    }
}

fn first(source: &str) -> Problem {
    refused(source).iter().next().unwrap().clone()
}

/// File, line, column (0 = whichever), part of the message, part of the suggestion.
const MISTAKES: &[(&str, u32, u32, &str, &str)] = &[
    (
        "stpes: [Price]",
        1,
        1,
        "unknown key `stpes`",
        "did you mean `steps`?",
    ),
    (
        "steps:\n- Prise",
        2,
        3,
        "there is no process `Prise`",
        "did you mean `Price`?",
    ),
    (
        "steps:\n- Shipping",
        2,
        3,
        "there is no process `Shipping`",
        "known are Pay, Price",
    ),
    (
        "steps:\n- process: Price\n  isolaton: safe",
        3,
        3,
        "unknown key `isolaton`",
        "did you mean `isolation`?",
    ),
    (
        "isolation: hybird\nsteps: [Price]",
        1,
        12,
        "no isolation level",
        "did you mean `hybrid`?",
    ),
    (
        "isolation: [safe]\nsteps: [Price]",
        1,
        12,
        "isolation must be text, found a list",
        "",
    ),
    (
        "on_failure: stop\nsteps: [Price]",
        1,
        13,
        "no failure policy",
        "known are fail-fast, all",
    ),
    ("steps: Price", 1, 8, "steps must be a list, found text", ""),
    ("steps: []", 1, 8, "steps must not be empty", ""),
    ("name: x", 1, 1, "the key `steps` is missing", ""),
    (
        "steps:\n- 3",
        2,
        3,
        "a step must be a map, found a whole number",
        "",
    ),
    (
        "steps:\n- {id: a}",
        2,
        3,
        "the step says not what to do",
        "one of process, set",
    ),
    (
        "steps:\n- {set: {a: 1}, process: Pay}",
        2,
        17,
        "either `set` or `process`",
        "two steps",
    ),
    (
        "steps:\n- {set: {a: 1}, then: [Pay]}",
        2,
        17,
        "`then` does not go with `set`",
        "with it go id, needs",
    ),
    ("steps:\n- {if: true}", 2, 3, "`if` without `then`", ""),
    (
        "steps:\n- {while: true, do: [Pay], max_ops: 0}",
        2,
        37,
        "max_ops is 0, and must be 1",
        "",
    ),
    (
        "steps:\n- {process: Pay, retry: {attempts: 101}}",
        2,
        36,
        "attempts is 101, and must be 1 to 100",
        "",
    ),
    (
        "steps:\n- {process: Pay, retry: {backoff: 1s}}",
        2,
        25,
        "`retry` without `attempts`",
        "",
    ),
    (
        "steps:\n- {process: Pay, timeout: 5}",
        2,
        27,
        "timeout has no unit",
        "write `5ms` or `5s`",
    ),
    (
        "steps:\n- {process: Pay, timeout: 5 min}",
        2,
        27,
        "no duration",
        "`250ms`",
    ),
    (
        "steps:\n- {process: Pay, timeout: 25h}",
        2,
        27,
        "longer than a day",
        "",
    ),
    (
        "steps:\n- {process: Pay, needs: [pirce]}\n- {process: Price, id: price}",
        2,
        26,
        "no step of this list has the id `pirce`",
        "did you mean `price`?",
    ),
    (
        "steps:\n- {process: Pay, id: a}\n- {process: Price, id: a}",
        3,
        24,
        "two steps of this list have the id `a`",
        "",
    ),
    (
        "steps:\n- {process: Pay, id: a, needs: [b]}\n- {process: Price, id: b}",
        2,
        3,
        "steps wait for each other: `a` needs `b` needs `a`",
        "",
    ),
    (
        "steps:\n- {process: Pay, id: a, needs: [a]}",
        2,
        3,
        "steps wait for each other: `a` needs `a`",
        "",
    ),
    ("steps:\n- {flow: ship}", 2, 10, "there is no flow `ship`", ""),
    (
        "flows:\n  a: [{flow: b}]\n  b: [{if: true, then: [{flow: a}]}]\nsteps: [{flow: a}]",
        2,
        3,
        "a flow that runs itself",
        "use `while`",
    ),
    (
        "steps:\n- [Pay, [Price, Pay]]",
        2,
        9,
        "a list inside a parallel list",
        "`steps: [...]`",
    ),
    (
        "steps:\n- if: order.total > 3 and paid\n  then: [Pay]",
        2,
        23,
        "this is Python",
        "`a && b`",
    ),
    (
        "steps:\n- if: \"order.total > 3 and paid\"\n  then: [Pay]",
        2,
        24,
        "this is Python",
        "`a && b`",
    ),
    ("steps:\n- set: {a: b +}", 2, 14, "", ""),
    (
        "steps:\n- set: {a: lenn(b)}",
        2,
        12,
        "there is no function `lenn`",
        "did you mean `len`?",
    ),
    ("steps:\n- set: {a: [1]}", 2, 12, "found a list", "in quotes"),
    ("steps:\n- set: {a..b: 1}", 2, 9, "a segment is empty", ""),
    ("steps:\n- set: {}", 2, 8, "`set` must have 1 to 1000 paths", ""),
    (
        "steps:\n- set: {a: SIG_stop}",
        2,
        3,
        "declares the input `SIG_stop`",
        "conditions may read it",
    ),
    (
        "steps:\n- {flux: while, condition: \"x < 3\", do: [Pay]}",
        2,
        4,
        "`flux: while` with `condition:`",
        "is written `while: \"x < 3\"`",
    ),
    (
        "steps:\n- {flux: run, steps: [Pay]}",
        2,
        4,
        "`flux: run`",
        "`steps: [...]` alone",
    ),
    (
        "states:\n  S: {events: {}}",
        1,
        1,
        "left out on purpose",
        "`if` and `while`",
    ),
    (
        "processes:\n  Pay: {set: {a: 1}}\nsteps: [Pay]",
        2,
        3,
        "there is a process of this name",
        "",
    ),
    (
        "processes:\n  Own: {inputs: [CMD_x], set: {a: 1}}\nsteps: [Own]",
        2,
        3,
        "declares the input `CMD_x`",
        "",
    ),
    (
        "process_recipes:\n  Pay: {outputs: [{field: a, mim: 3, level: B}]}\nsteps: [Pay]",
        2,
        30,
        "unknown key `mim`",
        "did you mean `min`?",
    ),
    ("steps: [Pay", 1, 0, "", ""),
    ("steps: [Pay]\nsteps: [Price]", 2, 1, "", ""),
    ("steps: *nobody", 1, 8, "", ""),
];

#[test]
fn each_mistake_has_its_place_and_a_way_out() {
    let mut wrong = Vec::new();
    for &(source, line, column, message, suggestion) in MISTAKES {
        let problem = first(source);
        let told = problem.suggestion.clone().unwrap_or_default();
        let fits = problem.message.contains(message)
            && problem.line == line
            && (column == 0 || problem.column == column)
            && told.contains(suggestion)
            && (message.is_empty() || suggestion.is_empty() == told.is_empty());
        if !fits {
            wrong.push(format!("{source}\n{problem}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_problem_shows_its_line_with_a_caret() {
    let problems = refused("isolation: hybird\nsteps:\n- process: Price\n  isolaton: safe\n");
    assert_eq!(
        problems.to_string(),
        "line 1, column 12: `hybird` is no isolation level\n  |\n1 | isolation: hybird\n  |            ^^^^^^ did you mean `hybrid`?\n\
         line 4, column 3: unknown key `isolaton` in a step\n  |\n4 |   isolaton: safe\n  |   ^^^^^^^^ did you mean `isolation`?"
    );
}

const WRONG_RECIPES: &[(&str, u32, &str, &str)] = &[
    (
        "process_recipes:\n  a: {inherits: b}",
        2,
        "there is no recipe `b`",
        "",
    ),
    (
        "process_recipes:\n  abc: {inherits: abd}\n  abe: {inherits: abc}",
        2,
        "no recipe `abd`",
        "did you mean",
    ),
    (
        "process_recipes:\n  a: {inherits: b}\n  b: {inherits: a}",
        3,
        "inherits from itself",
        "",
    ),
    (
        "process_recipes:\n  a: {outputs: [{field: x, min: 1}]}",
        2,
        "the rule has no `level`",
        "",
    ),
    (
        "process_recipes:\n  a: {outputs: [{min: 1, level: B}]}",
        2,
        "the rule has no `field`",
        "",
    ),
    (
        "process_recipes:\n  a: {outputs: [{field: x, level: B}]}",
        2,
        "the rule has no condition",
        "",
    ),
    (
        "process_recipes:\n  a: {outputs: [{field: x, level: D, min: 1}]}",
        2,
        "`D` is not one of S, A, B, C",
        "",
    ),
    (
        "process_recipes:\n  a: {outputs: [{field: x, level: B, min: a}]}",
        2,
        "min must be a number",
        "",
    ),
    (
        "process_recipes:\n  a: {outputs: [{field: x, level: B, max_len: -1}]}",
        2,
        "max_len is -1",
        "",
    ),
    (
        "process_recipes:\n  a: {outputs: [{field: x, level: B, min: 1, threshold: 0}]}",
        2,
        "max_threshold is 0",
        "",
    ),
    (
        "process_recipes:\n  a: {outputs: [{field: x, level: B, regex: a}]}",
        2,
        "unknown key `regex`",
        "known are",
    ),
    ("recipes: {}", 1, "unknown key `recipes`", ""),
];

#[test]
fn recipes_are_refused_with_their_place() {
    for &(source, line, message, suggestion) in WRONG_RECIPES {
        let problems = Recipes::parse(source).unwrap_err();
        let found = problems.iter().find(|problem| problem.message.contains(message));
        let problem = found.unwrap_or_else(|| panic!("{problems}"));
        assert_eq!(problem.line, line, "{problem}");
        assert!(
            problem
                .suggestion
                .clone()
                .unwrap_or_default()
                .contains(suggestion),
            "{problem}"
        );
    }
}

#[test]
fn recipes_inherit_through_several_levels() {
    let recipes = Recipes::parse(
        "
process_recipes:
  _a: {outputs: [{field: x, min: 1, max: 9, level: A}], errors: [E]}
  _b: {inherits: _a, outputs: [{field: x, max: 5, level: B}]}
  pay: {inherits: [_b], inputs: [{field: y, min_len: 2, eq: ab, level: S, threshold: 3, min_threshold: 2, reset_on_success: true, message: hm}]}
",
    )
    .unwrap();
    assert_eq!(recipes.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["pay"]);
    let pay = recipes.get("pay").unwrap();
    let shown: Vec<_> = pay
        .outputs
        .iter()
        .map(|rule| (rule.condition.as_str(), rule.level.as_str()))
        .collect();
    assert_eq!(shown, [("min", "A"), ("max", "B")]);
    assert_eq!(pay.inputs.len(), 2, "two conditions of one rule count apart");
    let rule = &pay.inputs[1];
    assert_eq!(
        (rule.max_threshold, rule.min_threshold, rule.reset_on_success),
        (3, 2, true)
    );
    assert_eq!(rule.message.as_deref(), Some("hm"));
    assert_eq!(pay.errors.as_deref(), Some(&["E".to_owned()][..]));
}

#[test]
fn very_many_problems_are_told_briefly() {
    let problems = refused(&format!("steps: [{}]", "Nobody, ".repeat(5_000)));
    assert_eq!(problems.iter().count(), 20);
    assert!(problems.to_string().ends_with("and 4980 more"));
    let problem = first(&format!("steps: [{}]", "Pay, ".repeat(20_001)));
    assert!(problem.message.contains("more than 20000 steps"), "{problem}");
}

/// Edges, not time: time is the bench's. A parallel list after another one would have a million edges without a join.
#[test]
fn large_graphs_are_planned_with_few_edges() {
    for steps in [1_000, 10_000] {
        let line = "Pay, ".repeat(steps);
        let wide = "Pay, ".repeat(steps / 4);
        let chain: String = (0..steps)
            .map(|n| {
                format!(
                    "{{process: Pay, id: s{n}, needs: [{}]}}, ",
                    if n == 0 {
                        String::new()
                    } else {
                        format!("s{}", n - 1)
                    }
                )
            })
            .collect();
        let wide = format!("[{wide}], ").repeat(4);
        for (list, edges) in [(line, steps - 1), (wide, 3 * (steps / 2)), (chain, steps - 1)] {
            let plan = Plan::parse(&format!("steps: [{list}]"), &processes()).unwrap();
            assert_eq!(plan.steps(), steps);
            assert_eq!(plan.edges(), edges);
        }
    }
}
