//! What each expression of the language means: one row, one fact.

use quintet_tree::rules::{Auth, JsonData, Outcome, Request, Rules};
use serde_json::{Value as Json, json};
use std::time::{Duration, UNIX_EPOCH};

/// True, false, or fails on the data (which counts as false).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    True,
    False,
    Fails,
}
use Is::{Fails, False, True};

/// What `expression` comes to as the `.read` of `/things/$thing` for `/things/lamp`.
fn ask(expression: &str, auth: &Json) -> Is {
    let document = json!({"rules": {"things": {"$thing": {".read": expression}}}}).to_string();
    let rules = Rules::parse(&document).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let tree = json!({
        "things": {"lamp": {
            "name": "Desk lamp", "watts": 40, "on": true, "owner": "ada", "tags": {"a": 1, "b": 2}, "copy": {"a": 1, "b": 2},
            "list": ["x", "y"], "empty": "", "zero": 0, "price": 9.5
        }},
        "admins": {"ada": true},
        "limits": {"watts": 60},
        "null": "a key that looks like a value"
    });
    let auth = match auth {
        Json::Null => Auth::none(),
        claims => Auth::user(claims["sub"].as_str().unwrap_or("ada"), claims.clone()),
    };
    let request = Request {
        auth: &auth,
        now: UNIX_EPOCH + Duration::from_millis(1_700_000_000_000),
        old: &JsonData(&tree),
        explain: true,
    };
    let decision = rules
        .may_read(&request, &["things", "lamp"])
        .expect("JSON can be read");
    let outcome = decision.trace.last().map(|trace| trace.outcome.clone());
    assert_eq!(decision.allowed, outcome == Some(Outcome::True), "{expression}");
    match outcome.expect("the rule was asked") {
        Outcome::True => True,
        Outcome::False => False,
        Outcome::Failed(_) => Fails,
    }
}

fn check(rows: &[(&str, Is)]) {
    for (expression, expected) in rows {
        assert_eq!(ask(expression, &Json::Null), *expected, "{expression}");
    }
}

fn check_as(auth: &Json, rows: &[(&str, Is)]) {
    for (expression, expected) in rows {
        assert_eq!(ask(expression, auth), *expected, "{expression} as {auth}");
    }
}

#[test]
fn operators_bind_as_in_javascript() {
    check(&[
        ("true || false && false", True),
        ("(true || false) && false", False),
        ("false && false || true", True),
        ("false && (false || true)", False),
        ("!false && true", True),
        ("!(false && true)", True),
        ("!true || true", True),
        ("'a' === 'b' || 'c' === 'c'", True),
        ("'a' == 'a' && 'c' == 'd'", False),
        ("1 + 2 * 3 == 7", True),
        ("(1 + 2) * 3 == 9", True),
        ("10 - 2 - 3 == 5", True),
        ("100 / 10 / 5 == 2", True),
        ("7 % 4 + 1 == 4", True),
        ("-2 + 3 == 1", True),
        ("- -2 == 2", True),
        ("1 < 2 == true", True),
        ("1 + 1 < 3 && 2 > 1", True),
        ("true ? false : true", False),
        ("false ? false : true", True),
        ("false ? true : false ? false : true", True),
        ("true ? true : false ? false : false", True),
        ("1 == 1 ? 2 == 2 : 3 == 4", True),
        ("!!true", True),
    ]);
}

#[test]
fn equality_never_converts() {
    check(&[
        ("data.child('watts').val() == 40", True),
        ("data.child('watts').val() === 40", True),
        ("data.child('watts').val() == '40'", False),
        ("data.child('watts').val() != '40'", True),
        ("data.child('on').val() == true", True),
        ("data.child('on').val() == 'true'", False),
        ("data.child('zero').val() == false", False),
        ("data.child('zero').val() == null", False),
        ("data.child('empty').val() == null", False),
        ("data.child('empty').val() == ''", True),
        ("data.child('nothing').val() == null", True),
        ("data.child('nothing').val() !== null", False),
        ("data.child('nothing').val() == 'null'", False),
        ("null == null", True),
        ("data.child('name').val() == 'desk lamp'", False),
        ("data.child('price').val() == 9.5", True),
        ("1e3 == 1000", True),
        ("0.1 + 0.2 == 0.3", False),
        ("data.child('tags').val() != null", True),
        ("data.child('tags').val() == data.child('copy').val()", True),
        ("data.child('tags').val() == data.child('list').val()", False),
        ("data.child('tags').val() == 'a'", False),
    ]);
}

#[test]
fn order_is_between_numbers_or_between_strings() {
    check(&[
        ("data.child('watts').val() < 41", True),
        ("data.child('watts').val() <= 40", True),
        ("data.child('watts').val() > 40", False),
        ("data.child('watts').val() >= 40", True),
        ("'abc' < 'abd'", True),
        ("'B' < 'a'", True),
        ("data.child('name').val() > 'Chair'", True),
        ("data.child('name').val() > 5", Fails),
        ("data.child('nothing').val() < 5", Fails),
        ("data.child('on').val() < 5", Fails),
        ("data.child('tags').val() < 5", Fails),
        ("!(data.child('nothing').val() < 5)", Fails),
        ("1 / 0 > 5", True),
        ("0 / 0 < 5", False),
        ("0 / 0 >= 5", False),
    ]);
}

#[test]
fn arithmetic_takes_numbers_and_plus_joins_text() {
    check(&[
        ("data.child('watts').val() + 2 == 42", True),
        ("data.child('watts').val() * 2 == 80", True),
        ("data.child('watts').val() % 7 == 5", True),
        ("-data.child('watts').val() == -40", True),
        ("-7 % 3 == -1", True),
        ("'a' + 'b' == 'ab'", True),
        ("'w' + data.child('watts').val() == 'w40'", True),
        ("data.child('watts').val() + 'w' == '40w'", True),
        ("'p' + 9.5 == 'p9.5'", True),
        ("data.child('name').val() - 1 == 0", Fails),
        ("data.child('on').val() + 1 == 2", Fails),
        ("data.child('nothing').val() + 1 == 1", Fails),
        ("data.child('name').val() * 2 == 0", Fails),
    ]);
}

#[test]
fn a_rule_that_fails_is_false_and_short_circuits_first() {
    check(&[
        ("true || data.child('nothing').val() < 5", True),
        ("false && data.child('nothing').val() < 5", False),
        ("data.child('nothing').val() < 5 || true", Fails),
        ("data.child('nothing').val()", Fails),
        ("data.child('watts').val()", Fails),
        ("data.child('on').val()", True),
        ("!data.child('on').val()", False),
        ("!data.child('watts').val()", Fails),
        ("data.child('watts').val() && true", Fails),
        ("true && data.child('watts').val()", Fails),
        ("true && data.child('on').val()", True),
        ("data.child('watts').val() ? true : true", Fails),
        ("data.parent().parent().parent().exists()", Fails),
        ("data.child('nothing').val().contains('x')", Fails),
        ("root.child(data.child('watts').val()).exists()", Fails),
    ]);
}

#[test]
fn snapshots_know_their_place() {
    check(&[
        ("data.exists()", True),
        ("data.child('nothing').exists()", False),
        ("data.child('name').isString()", True),
        ("data.child('name').isNumber()", False),
        ("data.child('watts').isNumber()", True),
        ("data.child('on').isBoolean()", True),
        (
            "data.child('tags').isString() || data.child('tags').isNumber() || data.child('tags').isBoolean()",
            False,
        ),
        ("data.child('tags/a').val() == 1", True),
        ("data.child('/tags//a/').val() == 1", True),
        (
            "data.child('tags').child('a').parent().parent().child('watts').val() == 40",
            True,
        ),
        ("data.child('list/0').val() == 'x'", True),
        ("data.child('list').hasChild('1')", True),
        ("data.child('list').hasChild('2')", False),
        ("data.hasChild('tags/b')", True),
        ("data.hasChildren()", True),
        ("data.child('name').hasChildren()", False),
        ("data.hasChildren(['name', 'watts'])", True),
        ("data.hasChildren(['name', 'volts'])", False),
        ("data.hasChildren(['tags/a'])", True),
        ("data.child('nothing').hasChildren(['a'])", False),
        (
            "root.child('limits/watts').val() >= data.child('watts').val()",
            True,
        ),
        (
            "root.child('admins').child(data.child('owner').val()).val() == true",
            True,
        ),
        (
            "root.child('things').child($thing).child('owner').val() == 'ada'",
            True,
        ),
        ("$thing == 'lamp'", True),
        ("$thing.length == 4", True),
        ("data.getPriority() == null", True),
        ("data.parent().hasChild($thing)", True),
        ("root.hasChild('null')", True),
    ]);
}

#[test]
fn strings_have_their_methods() {
    check(&[
        ("data.child('name').val().length == 9", True),
        ("'héllo'.length == 5", True),
        ("'😀'.length == 2", True),
        ("''.length == 0", True),
        ("data.child('name').val().contains('lamp')", True),
        ("data.child('name').val().contains('Lamp')", False),
        ("data.child('name').val().contains('')", True),
        ("data.child('name').val().beginsWith('Desk')", True),
        ("data.child('name').val().beginsWith('lamp')", False),
        ("data.child('name').val().endsWith('lamp')", True),
        ("data.child('name').val().endsWith('Desk')", False),
        ("data.child('name').val().toLowerCase() == 'desk lamp'", True),
        ("data.child('name').val().toUpperCase() == 'DESK LAMP'", True),
        ("'a.b.c'.replace('.', '-') == 'a-b-c'", True),
        ("'abc'.replace('', '-') == 'abc'", True),
        ("'abc'.replace('b', '').length == 2", True),
        ("data.child('name').val().matches(/^Desk/)", True),
        ("data.child('name').val().matches(/^desk/)", False),
        ("data.child('name').val().matches(/^desk/i)", True),
        ("data.child('name').val().matches(/lamp$/)", True),
        (
            "'2026-11-21'.matches(/^(19|20)[0-9][0-9][-\\/. ](0[1-9]|1[012])[-\\/. ](0[1-9]|[12][0-9]|3[01])$/)",
            True,
        ),
        (
            "'2026-13-21'.matches(/^(19|20)[0-9][0-9][-\\/. ](0[1-9]|1[012])[-\\/. ](0[1-9]|[12][0-9]|3[01])$/)",
            False,
        ),
        ("'a\\'b'.length == 3", True),
        ("\"double\" == 'double'", True),
        ("'\\u0041' == 'A'", True),
        ("data.child('watts').val().length == 2", Fails),
    ]);
}

#[test]
fn now_is_the_time_of_the_request() {
    check(&[
        ("now == 1700000000000", True),
        ("now < 1700000000001", True),
        ("now - 1000 * 60 < now", True),
    ]);
}

#[test]
fn nobody_is_null_all_the_way_down() {
    check(&[
        ("auth == null", True),
        ("auth != null", False),
        ("auth !== null", False),
        ("auth.uid == null", True),
        ("auth.uid == 'null'", False),
        ("auth.token.admin == true", False),
        ("auth.token.a.b.c == null", True),
        ("auth != null && auth.uid == 'ada'", False),
        ("auth.uid == data.child('nothing').val()", True),
    ]);
}

#[test]
fn a_users_claims_are_under_token() {
    let ada = json!({"sub": "ada", "email": "ada@example.org", "admin": true, "level": 3, "roles": ["editor"],
        "nested": {"team": "blue", "length": 4}, "firebase": {"sign_in_provider": "password"}, "a-b": "dashed"});
    check_as(
        &ada,
        &[
            ("auth != null", True),
            ("auth.uid == 'ada'", True),
            ("auth.uid == data.child('owner').val()", True),
            ("auth.token.email == 'ada@example.org'", True),
            ("auth.token.email.endsWith('@example.org')", True),
            ("auth.token.admin", True),
            ("auth.token.admin == true", True),
            ("auth.token.level >= 3", True),
            ("auth.token.level == '3'", False),
            ("auth.token.nested.team == 'blue'", True),
            ("auth.token.nested.length == 4", True),
            ("auth.token['a-b'] == 'dashed'", True),
            ("auth['uid'] == 'ada'", True),
            ("auth.token[$thing] == null", True),
            ("auth.token.nothing == null", True),
            ("auth.token.roles != null", True),
            ("auth.token.roles == auth.token.roles", Fails),
            ("auth.token.email.team == null", Fails),
            ("auth.provider == 'password'", True),
            ("auth.email == null", True),
            ("root.child('admins').child(auth.uid).exists()", True),
            ("root.child('admins').hasChild(auth.uid)", True),
        ],
    );
}

#[test]
fn there_are_well_over_150_facts() {
    // The rows of this file and of the decisions beside it; a table that shrinks is noticed.
    let rows = include_str!("expressions.rs").matches("\", True)").count()
        + include_str!("expressions.rs").matches("\", False)").count()
        + include_str!("expressions.rs").matches("\", Fails)").count();
    let decisions = include_str!("decisions.json").matches("\"allowed\"").count();
    assert!(rows >= 150 && rows + decisions >= 230, "{rows} + {decisions}");
}
