//! Wrong documents: each is refused whole, with the line and column and a sentence that helps.

use quintet_tree::rules::{DOCUMENT_BYTES_MAX, Rules};

fn refusal(text: &str) -> String {
    Rules::parse(text).map(|_| ()).expect_err(text).to_string()
}

/// The refusal of one expression, without its place.
fn expression(text: &str) -> String {
    let document = serde_json::json!({"rules": {"a": {"$b": {".write": text}}}}).to_string();
    refusal(&document)
}

/// A document and the whole of its refusal.
const WRONG_DOCUMENTS: &[(&str, &str)] = &[
    (
        "",
        "line 1, column 1: the document is empty; write {\"rules\": {}}",
    ),
    (
        "[]",
        "line 1, column 1: a rules document is an object: {\"rules\": {…}}",
    ),
    ("{}", "line 1, column 1: there is no `rules` in the document"),
    (
        "{\"rule\": {}}",
        "line 1, column 2: `rule` is not known here; the only key is `rules`",
    ),
    (
        "{\"rules\": true}",
        "line 1, column 11: `rules` is an object of paths",
    ),
    (
        "{\"rules\": {\n  \".reed\": true}}",
        "line 2, column 3: `.reed` is not known; there are .read .write .validate .indexOn",
    ),
    (
        "{\"rules\": {\"a\": true}}",
        "line 1, column 17: `a` is a path, so an object follows; rules begin with a dot: .read .write .validate",
    ),
    (
        "{\"rules\": {\".read\": 1}}",
        "line 1, column 21: .read is an expression in quotes, or true or false",
    ),
    (
        "{\"rules\": {\".read\": null}}",
        "line 1, column 21: .read is an expression in quotes, or true or false",
    ),
    (
        "{\"rules\": {\"a/b\": {}}}",
        "line 1, column 12: `a/b` cannot be a key: keys are not empty and have none of . # $ [ ] /",
    ),
    (
        "{\"rules\": {\"$\": {}}}",
        "line 1, column 12: `$`: a $name has letters, digits and _ after the $",
    ),
    (
        "{\"rules\": {\"$a\": {}, \"$b\": {}}}",
        "line 1, column 22: `$b` and `$a` stand beside each other; a level has one $name",
    ),
    (
        "{\"rules\": {\"a\": {}, \"a\": {}}}",
        "line 1, column 21: `a` stands here for the second time",
    ),
    (
        "{\"rules\": {\".indexOn\": 5}}",
        "line 1, column 24: .indexOn is the name of a child or a list of such: [\"score\", \".value\"]",
    ),
    (
        "{\"rules\": {\".read\": true,}}",
        "line 1, column 25: trailing commas are not allowed",
    ),
    (
        "{\"rules\": {\".read\": tru}}",
        "line 1, column 21: unexpected token",
    ),
    (
        "{\"rules\": {\n\n    \".read\": \"auth.uid = 5\"}}",
        "line 3, column 24: `=` assigns nothing here; compare with `==`",
    ),
    (
        "{\"rules\": {\".read\": \"newData.exists()\"}}",
        "line 1, column 22: `newData` means something only in .write and .validate",
    ),
    (
        "{\"rules\": {\".read\": \"$x == 'a'\"}}",
        "line 1, column 22: `$x` is not in this rule's path",
    ),
];

#[test]
fn a_wrong_document_is_told_where_and_why() {
    for (text, expected) in WRONG_DOCUMENTS {
        assert_eq!(refusal(text), *expected, "{text}");
    }
}

#[test]
fn comments_are_allowed() {
    Rules::parse("// who may read\n{\"rules\": { /* everybody */ \".read\": true }}")
        .expect("comments are part of the notation");
}

#[test]
fn an_error_inside_a_string_with_escapes_points_into_it() {
    assert_eq!(
        refusal("{\"rules\": {\".read\": \"'\\u00e9\\\"\\n' == 'x' & true\"}}"),
        "line 1, column 42: `&` is not an operator; write `&&`"
    );
}

/// An expression and what its refusal says; with a `|`, either of two.
const NEVER_RIGHT: &[(&str, &str)] = &[
    ("", "the expression is empty"),
    ("1", "a rule must be true or false, this is a number"),
    ("'true'", "a rule must be true or false, this is a string"),
    (
        "data",
        "a rule must be true or false, this is a snapshot (call .val() on it)",
    ),
    ("null", "a rule must be true or false, this is null"),
    ("data == newData", "cannot compare a snapshot"),
    ("$b == 5", "cannot compare a string"),
    ("'a' < 5", "cannot compare a string"),
    ("now == 'x'", "cannot compare a number"),
    ("!now", "`!` needs a boolean, this is a number"),
    ("-$b == 1", "`-` needs a number, this is a string"),
    ("true && 1", "`&&` needs a boolean"),
    ("'a' || true", "`||` needs a boolean"),
    ("true + 1 == 2", "`+` needs numbers or strings, this is a boolean"),
    ("'a' * 2 == 2", "`*` needs a number"),
    (
        "data.val",
        "a snapshot (call .val() on it) has no `val`|`val` is a method",
    ),
    (
        "data.child('x').isString",
        "`isString` is a method: write .isString(…)",
    ),
    ("data.length == 5", "has no `length`"),
    ("data.children('x')", ".children() is not known; there are child"),
    ("data.val().startsWith('x')", "write .beginsWith()"),
    ("data.val().length() == 1", "write .length without ()"),
    ("data.child()", ".child() takes 1 argument(s), 0 given"),
    (
        "data.child(5).exists()",
        ".child() needs a string, this is a number",
    ),
    ("data.exists('x')", ".exists() takes 0 argument(s), 1 given"),
    (
        "data.contains('x')",
        ".contains() needs a string, this is a snapshot",
    ),
    ("$b.exists()", ".exists() needs a snapshot"),
    ("$b.matches('x')", ".matches() takes one pattern"),
    ("$b.matches(/x/g)", "the flag `g`"),
    ("$b.matches(/(/)", "the pattern /(/ is refused"),
    ("$b.matches(/(?=x)/)", "look-around"),
    ("$b.matches(/x)", "no closing /"),
    ("/x/", "a pattern stands only inside .matches"),
    ("['a']", "a list stands only inside .hasChildren"),
    (
        "data.hasChildren('a')",
        ".hasChildren() takes nothing or one list",
    ),
    ("data.hasChildren([])", ".hasChildren() takes nothing or one list"),
    ("data.hasChildren([1])", ".hasChildren() needs a string"),
    ("user != null", "`user` is not known; there are auth, now"),
    ("uid == 'a'", "`uid` is not known"),
    ("$a == 'x'", "`$a` is not in this rule's path"),
    ("auth.uid == 'a", "this string has no closing '"),
    ("auth.uid == 'a\\q'", "is not an escape"),
    ("(true", "expected `)`, found the end"),
    ("true)", "expected an operator or the end, found `)`"),
    ("true true", "expected an operator or the end, found `true`"),
    ("true ? false", "expected `:`, found the end"),
    ("auth.", "expected a name after `.`"),
    ("1x == 1", "a number runs into a word"),
    ("auth | true", "write `||`"),
    ("auth & true", "write `&&`"),
    ("a ~ b", "`a` is not known|means nothing"),
    ("true ? data : null", "one side of `:` is a snapshot"),
    ("data['x'] == 1", "[…] takes a claim of `auth`"),
];

#[test]
fn what_can_never_be_right_is_refused_before_it_is_used() {
    for (text, expected) in NEVER_RIGHT {
        let found = expression(text);
        assert!(
            expected
                .split('|')
                .filter(|part| !part.is_empty())
                .any(|part| found.contains(part))
                || found.contains(expected),
            "{text}: {found}"
        );
    }
}

#[test]
fn bombs_are_refused_within_bounds() {
    let deep = "(".repeat(4000) + "true" + &")".repeat(4000);
    assert!(
        expression(&deep).contains("deeper than the 64 levels"),
        "parentheses"
    );
    assert!(
        expression(&("!".repeat(4000) + "true")).contains("deeper"),
        "negations"
    );
    assert!(
        expression(&("true ? ".repeat(500) + "true" + &" : true".repeat(500))).contains("deeper"),
        "branches"
    );
    assert!(
        expression(&format!("auth{} == 1", ".a".repeat(200))).contains("deeper"),
        "members"
    );
    assert!(
        expression(&"x".repeat(9000)).contains("longer than the 8192 allowed"),
        "text"
    );
    let paths = "{\"a\":".repeat(100) + "{}" + &"}".repeat(100);
    assert!(
        refusal(&format!("{{\"rules\": {paths}}}")).contains("deeper than the 64 levels"),
        "paths"
    );
    let braces = format!("{{\"rules\": {}", "{\"a\":".repeat(100_000));
    assert!(refusal(&braces).contains("depth"), "{}", refusal(&braces));
    let long = format!("{{\"rules\": {{}}}}{}", " ".repeat(DOCUMENT_BYTES_MAX));
    assert!(refusal(&long).contains("longer than the 1048576 allowed"));
    // What is long and flat is fine.
    let chain = vec!["auth.uid == 'a'"; 400].join(" || ");
    Rules::parse(&serde_json::json!({"rules": {".read": chain}}).to_string())
        .expect("a long chain is not deep");
}

#[test]
fn declared_indexes_are_found_by_path() {
    let rules = Rules::parse(
        r#"{"rules": {"scores": {".indexOn": ".value"}, "users": {"$uid": {"posts": {".indexOn": ["date", "author/name"]}}}}}"#,
    )
    .expect("valid");
    assert_eq!(rules.index_on(&["scores"]), [".value"]);
    assert_eq!(
        rules.index_on(&["users", "ada", "posts"]),
        ["date", "author/name"]
    );
    assert!(rules.index_on(&["users", "ada"]).is_empty());
    assert!(rules.index_on(&["elsewhere"]).is_empty());
    let all: Vec<_> = rules
        .indexes()
        .into_iter()
        .map(|index| (index.at, index.on.to_string()))
        .collect();
    let all: Vec<_> = all.iter().map(|(at, on)| (at.as_str(), on.as_str())).collect();
    assert_eq!(
        all,
        [
            ("/scores", "$value"),
            ("/users/*/posts", "author/name"),
            ("/users/*/posts", "date")
        ]
    );
}

/// Rules in force must never keep a tree from opening: what it would refuse is refused in the document.
#[test]
fn what_an_index_on_declares_can_be_opened_with() {
    let twice = r#"{"rules": {"*": {".indexOn": ["a", "a", "/a"]}, "$any": {".indexOn": "a"}}}"#;
    let rules = Rules::parse(twice).expect("valid");
    assert_eq!(rules.indexes().len(), 1);
    let dir = tempfile::tempdir().expect("a directory");
    let config = quintet_tree::Config {
        indexes: rules.indexes(),
        ..crate::config(&dir)
    };
    quintet_tree::Tree::open(config).expect("it opens");

    let long = "n".repeat(800);
    let refused = refusal(&format!("{{\"rules\": {{\"{long}\": {{\".indexOn\": \"a\"}}}}}}"));
    assert!(refused.contains("768"), "{refused}");
    let many: Vec<String> = (0..1001).map(|n| format!("c{n}")).collect();
    let refused = refusal(&serde_json::json!({"rules": {".indexOn": many}}).to_string());
    assert!(refused.contains("more than the 1000 indexes"), "{refused}");
    for key in [".key", "$key", "$value", "a.b", ""] {
        let refused = refusal(&serde_json::json!({"rules": {".indexOn": key}}).to_string());
        assert!(refused.starts_with("line 1, column 22: "), "{key}: {refused}");
    }
}
