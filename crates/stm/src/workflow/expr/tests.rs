//! Expressions: what they answer, what is refused and how it is to be written, and that all of it is bounded.

use super::*;
use std::collections::BTreeMap;

fn read(path: &str, _probes: bool) -> Step<Option<Value>> {
    let map = |pairs: &[(&str, Value)]| {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        Value::from(pairs.collect::<BTreeMap<_, _>>())
    };
    Ok(Some(match path {
        "n" => Value::Int(3),
        "x" => Value::Float(1.5),
        "order.total" => Value::Int(250),
        "name" => "Ann".into(),
        "yes" => Value::Bool(true),
        "nothing" => Value::Null,
        "list" => vec![Value::Int(1), Value::Int(2), Value::Int(4)].into(),
        "customer" => map(&[
            ("age", Value::Int(40)),
            ("address", map(&[("city", "Hue".into())])),
            (
                "tags",
                vec![Value::from("a"), map(&[("b", Value::Int(9))])].into(),
            ),
        ]),
        "big" => Value::from("x".repeat(900_000).as_str()),
        "huge" => Value::from("x".repeat(2_000_000).as_str()),
        _ => return Ok(None),
    }))
}

fn value(text: &str) -> Value {
    let expression = Expression::parse(text).unwrap_or_else(|refusal| panic!("{text}: {refusal:?}"));
    expression
        .evaluate(&mut read)
        .unwrap_or_else(|abort| panic!("{text}: {abort:?}"))
}

fn fails(text: &str) -> String {
    let expression = Expression::parse(text).unwrap_or_else(|refusal| panic!("{text}: {refusal:?}"));
    match expression.evaluate(&mut read).unwrap_err().0 {
        crate::transaction::Cause::Failed(error) => error.to_string(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn expressions_answer() {
    for (text, expected) in [
        ("1 + 2 * 3", Value::Int(7)),
        ("n + 1", Value::Int(4)),
        ("n * x", Value::Float(4.5)),
        ("order.total / 100", Value::Int(2)),
        ("2 ** 10", Value::Int(1024)),
        ("7 % n", Value::Int(1)),
        ("-n", Value::Int(-3)),
        ("'it''s'", Value::Null),
        ("'it\\'s \"' + \"x\"", "it's \"x".into()),
        ("name + '!'", "Ann!".into()),
        ("n > 2 && x < 2", Value::Bool(true)),
        ("!(n == 3) || false", Value::Bool(false)),
        ("n == 3.0", Value::Bool(true)),
        ("name < 'Bob'", Value::Bool(true)),
        ("if n > 2 { 'many' } else { 'few' }", "many".into()),
        ("null", Value::Null),
        ("nothing == null", Value::Bool(true)),
        (
            "[n, 'a', [true]]",
            vec![Value::Int(3), "a".into(), vec![Value::Bool(true)].into()].into(),
        ),
        ("list[1]", Value::Int(2)),
        (
            "list + [n]",
            vec![Value::Int(1), Value::Int(2), Value::Int(4), Value::Int(3)].into(),
        ),
        ("list == [1, 2, 4.0] && list != [1, 2]", Value::Bool(true)),
        (
            "customer.address == customer.address && name != n",
            Value::Bool(true),
        ),
        ("2 in list", Value::Bool(true)),
        ("!(5 in list)", Value::Bool(true)),
        ("'nn' in name", Value::Bool(true)),
        ("customer.age + 1", Value::Int(41)),
        ("customer.address.city", "Hue".into()),
        ("customer.tags[1].b", Value::Int(9)),
        ("len(name) + len(list)", Value::Int(6)),
        ("int('12') + int(x) + int(true)", Value::Int(14)),
        ("float(n) / 2", Value::Float(1.5)),
        ("str(n) + str(true)", "3true".into()),
        ("bool(n) && !bool('')", Value::Bool(true)),
        ("abs(-n) + abs(n)", Value::Int(6)),
        ("min(n, 2) + max(n, 5)", Value::Int(7)),
        ("min(list) + max(list) + sum(list)", Value::Int(12)),
        ("sum([1, 0.5])", Value::Float(1.5)),
        (
            "has(n) && !has(nowhere) && has(customer.age) && !has(customer.name)",
            Value::Bool(true),
        ),
        ("get(nowhere.at_all, 5) + get(n, 0)", Value::Int(8)),
        ("has(nowhere) && nowhere > 3", Value::Bool(false)),
    ] {
        if expected != Value::Null || text.starts_with('n') {
            assert_eq!(value(text), expected, "{text}");
        }
    }
}

#[test]
fn what_is_missing_or_does_not_fit_is_an_error() {
    for (text, part) in [
        (
            "nowhere + 1",
            "nothing is at `nowhere`; if that is fine, write `get(nowhere, default)`",
        ),
        ("nowhere == 1", "nothing is at `nowhere`"),
        ("customer.name", "nothing is at `customer.name`"),
        ("name > 3", "cannot compare text with a whole number"),
        ("yes < 3", "cannot compare true or false with"),
        ("name - 1", "there is no `- (text, whole number)`"),
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "overflow"),
        ("list[7]", "index 7"),
        ("len(n)", "`len` of a whole number"),
        ("int('x')", "`int` of the text \"x\""),
        ("int(1e300)", "beyond a whole number"),
        ("min([])", "`min` of an empty list"),
        ("sum([1, 'a'])", "`sum` of text"),
        ("big + big", "too large"),
        ("huge", "an expression reads at most"),
        ("customer.tags[1].c", "c"),
    ] {
        let message = fails(text);
        assert!(message.contains(part), "{text}: {message}");
    }
    assert!(fails("1 + nowhere").starts_with("expression `1 + nowhere` at character 5: "));
}

#[test]
fn what_is_not_the_language_is_refused_with_the_rewrite() {
    for (text, at, part) in [
        ("n > 1 and yes", 6, "`a && b`"),
        ("n or yes", 2, "`a || b`"),
        ("not yes", 0, "`!a`"),
        ("n not in list", 2, "`!(a in b)`"),
        ("n is None", 2, "`a == b`"),
        ("yes == True", 7, "`true`"),
        ("n == None", 5, "`null`"),
        ("7 // 2", 2, "`a / b`"),
        (
            "'a' if n > 1 else 'b'",
            4,
            "write `if n > 1 { 'a' } else { 'b' }`",
        ),
        ("domain['x'] + 1", 0, "`domain.x`"),
        ("f'{n}'", 0, "str(a)"),
        ("domain.get('x', 0)", 0, "`get(domain.name, default)`"),
        ("list.len()", 0, "`len(list)`"),
        ("list.append(1)", 0, "`list + [item]`"),
        ("lenn(list)", 0, "did you mean `len`?"),
        ("open('x')", 0, "known are len"),
        ("1 < n < 5", 6, "`a < b && b < c`"),
        ("n = 5", 2, "`==`"),
        ("n ? 1 : 2", 2, "if c { a } else { b }"),
        ("n & 1", 2, "`&&`"),
        ("'abc", 0, "end it with"),
    ] {
        let refusal = Expression::parse(text).unwrap_err();
        let suggestion = refusal.suggestion.clone().unwrap_or_default();
        assert!(suggestion.contains(part), "{text}: {refusal:?}");
        assert_eq!(refusal.at, at, "{text}: {refusal:?}");
    }
    for text in [
        "",
        "  ",
        "(",
        "n +",
        ")",
        "n n",
        "let x",
        "loop {}",
        "while true {}",
        "{ 1 }; 2",
        "eval(n)",
        "print(1)",
        "n; n",
        "x => 1",
        "#{a: 1}",
        "`a`",
        "a..b",
        "$x",
        "@",
        "if n {",
        "[1",
        "n.",
        ".n",
        "1.n",
        "fn f() {}",
        "|x| x",
        "import 'x'",
        "this",
        "switch n { 1 => 2 }",
        "\u{0}",
    ] {
        assert!(Expression::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_refusal_points_at_its_own_character() {
    for (text, at) in [
        ("order.total * ) 2", 14),
        ("customer.age + lenn(1)", 15),
        ("'\u{e4}' + or", 6),
    ] {
        assert_eq!(Expression::parse(text).unwrap_err().at, at, "{text}");
    }
}

#[test]
fn hostile_expressions_are_refused_soon() {
    for text in [
        "(".repeat(2000),
        format!("{}1{}", "(".repeat(1000), ")".repeat(1000)),
        "!".repeat(4000),
        "-".repeat(4000) + "1",
        "1+".repeat(2000) + "1",
        ["[".repeat(2000), "]".repeat(2000)].concat(),
        ["len(".repeat(500), ")".repeat(500)].concat(),
        "if true { ".repeat(300),
        "a.".repeat(2000) + "a",
        "x".repeat(MAX_BYTES + 1),
        (0..100).map(|n| format!("p{n} + ")).collect::<String>() + "1",
    ] {
        assert!(Expression::parse(&text).is_err(), "{text:.40}");
    }
    // Doubling stops at the limit of sizes, whatever the depth.
    assert!(fails("(big + big) + (big + big)").contains("too large"));
}
