//! Documents as text, out and in again.

use crate::{Fresh, path};
use quintet_core::ErrorKind;
use quintet_tree::{Path, Tree, Value, parse_json};
use serde_json::{Map, json};

fn text(tree: &Tree, at: &str) -> String {
    String::from_utf8(tree.reader().get_json(&path(at)).unwrap()).unwrap()
}

#[test]
fn text_is_what_the_document_would_print() {
    let Fresh { tree, .. } = Fresh::new();
    let document = json!({
        "list": [1, null, [true, {"x": [0.5, "ü\"\n"]}], {"3": 1}],
        "map": {"0": "a", "2": "c", "b": 1},
        "sparse": {"9": [1]},
        "n": [i64::MIN, u64::MAX, -0.0, 1e300],
    });
    tree.set(&path("d"), document).unwrap();
    for at in [
        "",
        "d",
        "d/list",
        "d/list/2",
        "d/list/2/1/x/1",
        "d/map",
        "d/sparse",
        "d/n",
        "nothing",
    ] {
        let stored = tree.get(&path(at)).unwrap();
        assert_eq!(parse_json(text(&tree, at).as_bytes()).unwrap(), stored, "{at}");
        let mut out = Vec::new();
        tree.reader().export(&path(at), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), text(&tree, at), "{at}");
        let small = tree.reader().get_small_json(&path(at), 1 << 20).unwrap();
        assert_eq!(small, Some(text(&tree, at).into_bytes()), "{at}");
    }
    let small = |at: &str, max_bytes| tree.reader().get_small_json(&path(at), max_bytes).unwrap();
    assert_eq!(small("d", 100), None, "more than was asked for");
    assert_eq!(small("d/list/0", 1), None);
    assert_eq!(small("nothing", 0), Some(b"null".to_vec()));
    assert_eq!(
        text(&tree, "d/list"),
        r#"[1,null,[true,{"x":[0.5,"ü\"\n"]}],{"3":1}]"#
    );
    assert_eq!(text(&tree, "d/map"), r#"{"0":"a","2":"c","b":1}"#);
    assert_eq!(
        text(&tree, "d/n"),
        "[-9223372036854775808,18446744073709551615,-0.0,1e+300]"
    );
    assert_eq!(text(&tree, "nothing"), "null");
}

#[test]
fn what_was_exported_is_imported_whole_in_one_write_or_several() {
    let from = Fresh::new();
    let children: Map<String, Value> = (0..3000)
        .map(|n| {
            (
                format!("c{n}"),
                json!({"n": n, "list": [n, {"x": "y".repeat(n % 100)}]}),
            )
        })
        .collect();
    from.tree
        .set(
            &path("a"),
            json!({"wide": children, "list": (0..500).collect::<Vec<_>>()}),
        )
        .unwrap();
    let mut out = Vec::new();
    let leaves = from.tree.reader().export(&path("a"), &mut out).unwrap();
    assert_eq!(leaves, 3000 * 3 + 500);
    for max_write_bytes in [64 << 20, 300 << 10] {
        let to = Fresh::with(|config| config.max_write_bytes = max_write_bytes);
        to.tree.set(&path("b/old"), json!(1)).unwrap();
        let imported = to.tree.import(&path("b"), &out).unwrap();
        assert_eq!(imported.writes > 1, max_write_bytes < 1 << 20);
        assert!(to.tree.get(&path("b")).unwrap() == from.tree.get(&path("a")).unwrap());
        let refused = to.tree.import(&path("b"), b"{\"a\": 1,\n}").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert!(refused.to_string().contains("line 2 column 1"), "{refused}");
        assert!(to.tree.get(&Path::root()).unwrap()["b"]["wide"].is_object());
    }
}
