//! The page in a real browser: it shows what is there, follows what changes, is usable by keyboard, and no section makes the
//! browser complain. Run by `cargo xtask page`, which finds a Chromium; each test then has a server and a browser of its own.

use super::chromium::Chromium;
use crate::api::api;
use crate::client::call;
use crate::process::Server;
use serde_json::{Value, json};

fn url(server: &Server, hash: &str) -> String {
    format!("http://{}/{hash}", server.api())
}

/// Some of everything.
fn fill(server: &Server) {
    let at = server.api();
    for number in 0..40 {
        assert_eq!(
            api(at, "PUT", &format!("/v1/kv/0/key{number}"), json!(number)).0,
            200
        );
        let body = format!("block {number}");
        assert_eq!(
            call(server.blocks(), "PUT", "/block", Some(body.as_bytes())).status / 100,
            2
        );
    }
    let ops = json!({ "ops": [{ "set": { "stock.apples": 7, "stock.plums": 1 } }] });
    assert_eq!(api(at, "POST", "/v1/stm/shop/transact", ops).0, 200);
    let tree = json!({
        "rooms": {
            "tea": { "topic": "tea", "open": true, "guests": { "ada": { "since": 1815 }, "bob": { "since": 1990 } } },
            "coffee": { "topic": "coffee", "open": false },
        },
        "readings": { "1": 20.5, "2": 21.25, "10": 19 },
        "motto": "one writer beside many readers",
        "huge": 9_007_199_254_740_993_u64,
    });
    let put = call(server.tree(), "PUT", "/.json", Some(tree.to_string().as_bytes()));
    assert_eq!(put.status, 200);
    for (name, metric, dimension) in [("places", "cosine", 4), ("colours", "l2", 3)] {
        let spec = json!({ "dimension": dimension, "metric": metric });
        assert_eq!(api(at, "PUT", &format!("/v1/vectors/{name}"), spec).0, 201);
        let points: Vec<Value> = (0..60).map(|id| point(id, dimension)).collect();
        let stored = api(
            at,
            "PUT",
            &format!("/v1/vectors/{name}/points"),
            json!({ "points": points }),
        );
        assert_eq!(stored, (200, json!({ "stored": 60 })));
    }
}

fn point(id: u64, dimension: u64) -> Value {
    let vector: Vec<f64> = (0..dimension)
        .map(|at| ((id * (at + 3)) % 17) as f64 + 1.0)
        .collect();
    let kind = ["inn", "park", "museum"][id as usize % 3];
    json!({ "id": id, "vector": vector, "payload": { "kind": kind, "stars": id % 5, "name": format!("Place {id}") } })
}

/// A picture in each theme, wide and narrow.
fn pictures(browser: &mut Chromium, name: &str) {
    for theme in ["light", "dark"] {
        browser.prefers(theme);
        for (shape, width, height) in [("wide", 1280, 860), ("narrow", 400, 860)] {
            browser.size(width, height);
            let overflow = browser.eval("document.documentElement.scrollWidth - innerWidth");
            assert!(
                overflow.as_i64().is_some_and(|pixels| pixels <= 0),
                "{name} {shape} is too wide by {overflow}"
            );
            browser.picture(&format!("{name}-{theme}-{shape}"));
        }
    }
    browser.prefers("light");
    browser.size(1280, 860);
}

const NONE: [String; 0] = [];

#[test]
fn the_overview_draws_every_engine() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    browser.open(&url(&server, ""));
    browser.sees("#link", "Live");
    for engine in ["kv", "blocks", "vectors", "stm", "tree"] {
        browser.sees(&format!("[data-engine={engine}] .badge"), "ready");
    }
    browser.sees("[data-engine=tree] .note", "in the page cache");
    pictures(&mut browser, "overview-empty");
    fill(&server);
    browser.until("Number(document.querySelector('[data-engine=kv] .note').textContent.match(/max ([\\d.,]+)/)?.[1].replace(',', '')) > 0");
    browser.sees("[data-engine=kv] .value", "≤");
    browser.sees("[data-engine=vectors] dd", "120");
    browser.until("document.querySelector('[data-engine=kv] .line').getAttribute('d').split('L').length > 5");
    pictures(&mut browser, "overview");
    // The cursor by keyboard: a time is shown, and said.
    browser.eval("document.querySelector('[data-engine=kv] .charts').focus()");
    browser.press("ArrowLeft");
    browser.press("ArrowLeft");
    browser.sees(".time", "at ");
    browser.until("document.getElementById('announcer').textContent.startsWith('Keys, ')");
    browser.press("Escape");
    browser.until("document.querySelector('.time').textContent === ''");
    assert_eq!(browser.errors(&[]), NONE);
    server.stop();
}

#[test]
fn engines_that_are_off_are_shown_as_off() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,vectors,tree"], &[]);
    browser.open(&url(&server, ""));
    for engine in ["blocks", "vectors", "tree"] {
        browser.sees(&format!("[data-engine={engine}] .badge"), "off");
        browser.sees(&format!("[data-engine={engine}] .reason"), "--without");
    }
    browser.sees("[data-engine=kv] .badge", "ready");
    browser.picture("overview-off");
    assert_eq!(browser.errors(&[]), NONE);
    browser.open(&url(&server, "#/vectors"));
    browser.sees(".empty", "Vectors are not here");
    assert_eq!(browser.errors(&[]), NONE);
    browser.eval("location.hash = '#/tree'");
    browser.sees(".empty", "The tree is not here");
    browser.picture("tree-off");
    assert_eq!(browser.errors(&["404 (Not Found)"]), NONE);
    server.stop();
}

#[test]
fn a_value_that_is_written_elsewhere_appears_by_itself() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,stm"], &[]);
    let put = |path, body: &str| {
        assert_eq!(
            call(server.tree(), "PUT", path, Some(body.as_bytes())).status,
            200,
            "{path}"
        )
    };
    browser.open(&url(&server, "#/tree"));
    browser.sees(".bar .link", "Following");
    browser.sees(".empty", "The tree is empty");
    pictures(&mut browser, "tree-empty");
    put("/rooms/tea/topic.json", "\"tea\"");
    browser.sees(".row .name", "rooms");
    browser.until("document.querySelector('.row.changed')");
    browser.picture("tree-changed");
    // By the address, to a place deeper down.
    browser.eval("location.hash = '#/tree/rooms/tea/topic'");
    browser.sees(".row[aria-selected=true] .shown", "\"tea\"");
    browser.until("document.querySelector('.panel textarea').value === '\"tea\"'");
    put("/rooms/tea/topic.json", "\"green tea\"");
    browser.sees(".row[aria-selected=true] .shown", "\"green tea\"");
    browser.until("document.querySelector('.panel textarea').value === '\"green tea\"'");
    put("/rooms/tea/open.json", "true");
    browser.sees(".row .name", "open");
    put("/rooms/coffee.json", "{\"topic\": \"coffee\"}");
    browser.sees(".row .name", "coffee");
    put("/rooms/tea.json", "null");
    browser.until("![...document.querySelectorAll('.row .name')].some((name) => name.textContent === 'tea')");
    browser.sees(".notice", "deleted");
    put("/.json", "null");
    browser.sees(".empty", "The tree is empty");
    assert_eq!(browser.errors(&[]), NONE);
    server.stop();
}

#[test]
fn the_tree_is_read_and_changed_by_keyboard_alone() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    fill(&server);
    let value = |path: &str| String::from_utf8(call(server.tree(), "GET", path, None).body).expect("text");
    browser.open(&url(&server, "#/tree"));
    browser.sees(".row .name", "rooms");
    // From the address bar on: the skip link, the sections, the tools, the path, the filter, the tree.
    for _ in 0..20 {
        browser.press("Tab");
        if browser.eval("document.activeElement.matches('.row')") == json!(true) {
            break;
        }
    }
    browser.until("document.activeElement.matches('.row')");
    browser.press("Home");
    for (key, name) in [
        ("ArrowDown", "motto"),
        ("ArrowDown", "readings"),
        ("ArrowDown", "rooms"),
    ] {
        browser.press(key);
        browser.until(&format!(
            "document.activeElement.querySelector('.name').textContent === {name:?}"
        ));
    }
    browser.press("ArrowRight");
    browser.sees(".row .name", "tea");
    for _ in 0..2 {
        browser.press("ArrowRight");
    }
    browser.sees(".row .name", "open");
    browser.until("document.activeElement.querySelector('.name').textContent === 'coffee' && document.activeElement.getAttribute('aria-expanded') === 'true'");
    browser.press("ArrowDown");
    browser.until("document.activeElement.querySelector('.name').textContent === 'open'");
    browser.press("Enter");
    browser.until("document.activeElement.matches('.panel textarea')");
    browser.until("document.activeElement.value === 'false'");
    browser.press("Ctrl+a");
    browser.write("tru");
    browser.sees(".fault", "Not JSON");
    assert_eq!(
        browser.eval("document.querySelector('.panel .primary').disabled"),
        json!(true)
    );
    browser.write("e");
    browser.press("Ctrl+Enter");
    browser.sees(".row[aria-selected=true] .shown", "true");
    browser.until("document.getElementById('announcer').textContent === 'Saved'");
    assert_eq!(value("/rooms/coffee/open.json"), "true");
    browser.eval("location.hash = '#/tree/rooms/tea'");
    browser.sees(".row[aria-selected=true] .name", "tea");
    pictures(&mut browser, "tree");
    assert_eq!(browser.errors(&[]), NONE);
    server.stop();
}

#[test]
fn children_are_added_deleted_and_filtered_by_keyboard() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    fill(&server);
    let value = |path: &str| String::from_utf8(call(server.tree(), "GET", path, None).body).expect("text");
    browser.open(&url(&server, "#/tree/rooms/tea"));
    browser.sees(".row[aria-selected=true] .name", "tea");
    // A child by hand, with a name that is refused first.
    browser.eval("document.querySelector('.row[aria-selected=true]').focus()");
    browser.press("+");
    browser.until("document.activeElement.matches('.panel input')");
    browser.write("a.b");
    browser.sees(".fault", "A name has no \".\"");
    browser.press("Ctrl+a");
    browser.write("colour");
    browser.press("Tab");
    browser.write("\"green\"");
    browser.press("Ctrl+Enter");
    browser.sees(".row .name", "colour");
    assert_eq!(value("/rooms/tea/colour.json"), "\"green\"");
    // And away with it again.
    browser.eval("location.hash = '#/tree/rooms/tea/colour'");
    browser.sees(".row[aria-selected=true] .name", "colour");
    browser.eval("document.querySelector('.row[aria-selected=true]').focus()");
    browser.press("Delete");
    browser.sees("dialog", "Delete /rooms/tea/colour?");
    browser.press("Tab");
    browser.press("Enter");
    browser
        .until("![...document.querySelectorAll('.row .name')].some((name) => name.textContent === 'colour')");
    assert_eq!(value("/rooms/tea/colour.json"), "null");
    // What a double cannot hold is shown, and kept, as it is.
    browser.eval("location.hash = '#/tree/huge'");
    browser.sees(".row[aria-selected=true] .shown", "9007199254740993");
    browser.eval("document.querySelector('input[type=search]').focus()");
    browser.write("ada");
    browser.until(
        "[...document.querySelectorAll('.row .name')].every((name) => name.textContent !== 'readings')",
    );
    browser.press("Escape");
    browser.sees(".row .name", "readings");
    assert_eq!(browser.errors(&[]), NONE);
    server.stop();
}

#[test]
fn who_is_overtaken_sees_both_values() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,stm"], &[]);
    let put = |body: &str| {
        assert_eq!(
            call(server.tree(), "PUT", "/a.json", Some(body.as_bytes())).status,
            200
        )
    };
    put("1");
    browser.open(&url(&server, "#/tree/a"));
    browser.until("document.querySelector('.panel textarea').value === '1'");
    browser.eval("document.querySelector('.panel textarea').focus()");
    browser.press("Ctrl+a");
    browser.write("[2, 3]");
    put("5");
    browser.sees(".notice", "It changed on the server: 5");
    browser.press("Ctrl+Enter");
    browser.sees(".notice", "Not saved: meanwhile it became 5");
    browser.picture("tree-overtaken");
    browser.eval("[...document.querySelectorAll('.notice button')].find((one) => one.textContent === 'Overwrite it').click()");
    browser.until("document.getElementById('announcer').textContent === 'Saved'");
    assert_eq!(call(server.tree(), "GET", "/a.json", None).body, b"[2,3]");
    assert_eq!(browser.errors(&["412 (Precondition Failed)"]), NONE);
    server.stop();
}

#[test]
fn vectors_are_searched() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &[], &[]);
    browser.open(&url(&server, "#/vectors"));
    browser.sees(".empty", "There are no collections");
    pictures(&mut browser, "vectors-empty");
    fill(&server);
    browser.sees(".collections a", "places");
    browser.eval("location.hash = '#/vectors/places'");
    browser.sees(".about dd", "cosine");
    browser.sees(".caption", "The first 20 points");
    browser.eval("document.querySelector('.query input[autocomplete]').focus()");
    browser.write("7");
    browser.press("Enter");
    browser.sees(".caption", "10 hits");
    browser.sees("tbody tr:first-child th", "7");
    browser.sees("tbody tr:first-child .score", "1.0000");
    assert_eq!(
        browser.eval("document.querySelectorAll('.fill').length"),
        json!(10)
    );
    pictures(&mut browser, "vectors");
    // By a vector, exactly, among inns.
    browser.eval("document.querySelector('input[name=mode][value=vector]').click()");
    browser.eval("document.querySelector('.query textarea').focus()");
    browser.write("1, 2, x");
    browser.sees(".hint", "“x” is not a number");
    browser.press("Ctrl+a");
    browser.write("[1, 2, 3]");
    browser.sees(".hint", "3 of 4 numbers");
    browser.press("Ctrl+a");
    browser.write("1 2 3 4");
    browser.eval("document.querySelector('.check input').click()");
    browser.eval("document.querySelectorAll('.query textarea')[1].focus()");
    browser.write("{\"field\": \"kind\", \"equal\": \"inn\"");
    browser.sees(".fault", "The filter is not JSON");
    browser.write("}");
    browser.press("Ctrl+Enter");
    browser.sees(".caption", "10 hits, exact");
    assert_eq!(
        browser.eval(
            "[...document.querySelectorAll('td.payload')].every((cell) => cell.textContent.includes('inn'))"
        ),
        json!(true)
    );
    // A point that is not there; and from hit to hit.
    browser.eval("document.querySelector('tbody tr:nth-child(2) button').click()");
    browser.until("document.querySelector('input[name=mode][value=like]').checked");
    browser.sees(".caption", "10 hits, exact");
    browser.eval("location.hash = '#/vectors/colours'");
    browser.sees(".about dd", "Euclidean distance");
    browser.picture("vectors-first-points");
    browser.eval("document.querySelector('.query input[autocomplete]').focus()");
    browser.press("Ctrl+a");
    browser.write("none");
    browser.press("Enter");
    browser.sees(".caption.fault", "There is no point \"none\" in colours");
    assert_eq!(browser.errors(&[]), NONE);
    server.stop();
}

#[test]
fn a_server_that_goes_and_comes_back_is_noticed() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,stm,vectors"], &[]);
    let address = server.api().to_string();
    browser.open(&url(&server, "#/tree"));
    browser.sees(".bar .link", "Following");
    server.kill();
    browser.sees("#link", "Server gone");
    browser.sees(".bar .link", "trying again");
    browser.picture("tree-gone");
    let flags = ["--without", "blocks,stm,vectors", "--http-addr", &address];
    let server = Server::start_with(dir.path(), &flags, &[]);
    assert_eq!(
        call(server.tree(), "PUT", "/back.json", Some(b"true")).status,
        200
    );
    browser.sees("#link", "Live");
    browser.sees(".row .name", "back");
    browser.sees(".bar .link", "Following");
    assert_eq!(browser.errors(&["Failed to load resource", "ERR_"]), NONE);
    server.stop();
}

#[test]
fn a_token_is_asked_for_where_one_is_needed() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let token = "the-admin-token-1";
    let flags = ["--auth", "require", "--without", "blocks,stm"];
    let server = Server::start_with(dir.path(), &flags, &[("QUINTET_AUTH_ADMIN_TOKEN", token)]);
    browser.open(&url(&server, "#/tree"));
    browser.sees("dialog", "asks for a token");
    browser.picture("token");
    browser.until("document.activeElement.type === 'password'");
    browser.write(token);
    browser.press("Enter");
    browser.sees("#link", "Live");
    browser.sees(".bar .link", "Following");
    browser.sees(".empty", "The tree is empty");
    // Kept for this tab, in nothing that outlives it, and in no address.
    assert_eq!(browser.eval("sessionStorage.getItem('token')"), json!(token));
    assert_eq!(
        browser.eval("localStorage.length + document.cookie.length"),
        json!(0)
    );
    let leaks = browser.eval(
        "performance.getEntriesByType('resource').filter((one) => one.name.includes('token-1')).length",
    );
    assert_eq!(leaks, json!(0));
    assert_eq!(browser.errors(&["401 (Unauthorized)"]), NONE);
    server.stop();
}

#[test]
fn the_theme_is_the_systems_until_one_is_chosen() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,stm,vectors"], &[]);
    browser.open(&url(&server, ""));
    let ground = |browser: &mut Chromium| browser.eval("getComputedStyle(document.body).backgroundColor");
    browser.prefers("light");
    let light = ground(&mut browser);
    browser.prefers("dark");
    let dark = ground(&mut browser);
    assert_ne!(light, dark);
    for (text, wanted) in [
        ("Light", &light),
        ("Dark", &dark),
        ("Auto", &dark),
        ("Light", &light),
    ] {
        browser.eval("document.getElementById('theme').click()");
        browser.sees("#theme", text);
        assert_eq!(&ground(&mut browser), wanted, "{text}");
    }
    browser.open(&url(&server, "?again"));
    assert_eq!(ground(&mut browser), light, "the choice is kept");
    assert_eq!(browser.errors(&[]), NONE);
    server.stop();
}

#[test]
fn what_the_policy_forbids_is_an_error_here() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,stm,vectors"], &[]);
    browser.open(&url(&server, ""));
    browser.sees("#link", "Live");
    assert_eq!(browser.errors(&[]), NONE);
    // The check would otherwise pass whatever the page did.
    browser.eval("document.body.setAttribute('style', 'color: red')");
    browser.eval("try { document.body.innerHTML = '<p>markup</p>'; } catch { window.refused = true; }");
    browser.eval("fetch('http://127.0.0.1:9/').catch(() => 0)");
    let errors = browser.errors(&[]);
    for violated in ["style-src", "connect-src", "TrustedHTML"] {
        assert!(
            errors.iter().any(|error| error.contains(violated)),
            "{violated}: {errors:?}"
        );
    }
    assert_eq!(browser.eval("window.refused"), json!(true));
    server.stop();
}
