//! Rules and tokens through the tree's port: who is let in, what is decided, and how both change while it serves.

use super::{PATIENCE, Stream, call, good, json_of, put, refused};
use crate::process::{Server, output, quintet, stderr};
use serde_json::{Value, json};
use std::{net::SocketAddr, path::Path, time::Instant};

fn rules(dir: &Path, text: &str) -> String {
    let file = dir.join("rules.json");
    std::fs::write(&file, text).expect("written");
    file.display().to_string()
}

const OWN: &str = r#"{"rules": {
  "users": {"$uid": {".read": "auth.uid == $uid", ".write": "auth.uid == $uid",
                     "age": {".validate": "newData.isNumber()"}}},
  "public": {".read": true}
}}"#;

fn with_tokens(dir: &Path, rules: &str, mode: &str) -> Server {
    let flags = [
        "--tree-rules",
        rules,
        "--auth",
        mode,
        "--auth-allow-token-creation",
    ];
    Server::start_with(
        dir,
        &flags,
        &[
            ("QUINTET_AUTH_SECRET", "a secret of at least thirty-two bytes"),
            ("QUINTET_AUTH_ADMIN_TOKEN", "the-admin-token-1"),
            ("QUINTET_AUTH_READONLY_TOKEN", "the-readonly-token"),
        ],
    )
}

fn token_of(tree: SocketAddr, uid: &str) -> String {
    let made = good(
        tree,
        "POST",
        "/auth/token",
        Some(&json!({ "uid": uid }).to_string()),
    );
    format!(
        "Authorization: Bearer {}\r\n",
        made["token"].as_str().expect("a token")
    )
}

#[test]
fn rules_decide_about_reads_writes_queries_and_streams() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = rules(dir.path(), OWN);
    let server = with_tokens(&dir.path().join("data"), &file, "optional");
    let tree = server.tree();
    let ada = token_of(tree, "ada");
    let denied = (401, "Permission denied".to_owned());
    let own = call(tree, "PUT", "/users/ada.json", &ada, Some(r#"{"age":36}"#));
    assert_eq!(own.status, 200, "{}", own.text());
    assert_eq!(
        refused(tree, "PUT", "/users/ada.json", &ada, Some(r#"{"age":"old"}"#)),
        denied
    );
    assert_eq!(refused(tree, "PUT", "/users/bob.json", &ada, Some("1")), denied);
    assert_eq!(
        refused(
            tree,
            "PATCH",
            "/users.json",
            &ada,
            Some(r#"{"ada/x":1,"bob/x":1}"#)
        ),
        denied
    );
    assert_eq!(refused(tree, "GET", "/users.json", &ada, None), denied);
    assert_eq!(refused(tree, "GET", "/users/ada.json", "", None), denied);
    assert_eq!(refused(tree, "GET", "/users/null.json", "", None), denied);
    assert_eq!(
        refused(tree, "GET", "/users.json?orderBy=%22$key%22", &ada, None),
        denied
    );
    let accept = format!("{ada}Accept: text/event-stream\r\n");
    assert_eq!(refused(tree, "GET", "/users/bob.json", &accept, None), denied);
    assert_eq!(refused(tree, "GET", "/users/bob/.watch", &ada, None), denied);
    assert_eq!(call(tree, "GET", "/public.json", "", None).status, 200);
    let (status, why) = refused(
        tree,
        "GET",
        "/public.json",
        "Authorization: Bearer rubbish\r\n",
        None,
    );
    assert_eq!(status, 401, "a bad token is never nobody: {why}");
    // Administrators pass, and may ask why.
    let admin = "Authorization: Bearer the-admin-token-1\r\n";
    assert_eq!(
        json_of(&call(tree, "GET", "/users.json", admin, None)),
        json!({"ada": {"age": 36}})
    );
    let asked = "/users/bob.json?explain=1&as=%7B%22uid%22%3A%22ada%22%7D";
    let why = json_of(&call(tree, "PUT", asked, admin, Some("1")));
    assert_eq!(why["allowed"], json!(false));
    assert_eq!(
        why["decisions"][0]["trace"][0]["rule"],
        json!("/users/$uid/.write")
    );
    assert_eq!(refused(tree, "PUT", asked, &ada, Some("1")), denied);
    assert_eq!(
        json_of(&call(tree, "GET", "/users/bob.json", admin, None)),
        Value::Null
    );
    let reader = "Authorization: Bearer the-readonly-token\r\n";
    assert_eq!(call(tree, "GET", "/users.json", reader, None).status, 200);
    assert_eq!(refused(tree, "PUT", "/users.json", reader, Some("1")), denied);
    server.stop();
}

#[test]
fn new_rules_take_effect_at_once_and_cut_streams() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = rules(dir.path(), OWN);
    let server = with_tokens(&dir.path().join("data"), &file, "optional");
    let tree = server.tree();
    let ada = token_of(tree, "ada");
    let mut stream = Stream::open(
        tree,
        "/users/ada.json",
        &format!("{ada}Accept: text/event-stream\r\n"),
    );
    let mut public = Stream::firebase(tree, "/public.json");
    assert_eq!(stream.event(), put("/", Value::Null));
    assert_eq!(public.event(), put("/", Value::Null));
    // Wrong rules change nothing.
    rules(dir.path(), r#"{"rules": {".read": "tru"}}"#);
    server.signal("HUP");
    let admin = "Authorization: Bearer the-admin-token-1\r\n";
    rules(
        dir.path(),
        r#"{"rules": {"public": {".read": true, ".write": true}}}"#,
    );
    server.signal("HUP");
    assert_eq!(stream.event(), ("cancel".to_owned(), Value::Null));
    assert!(stream.next().is_none(), "a cancelled stream ends");
    call(tree, "PUT", "/public.json", admin, Some("7"));
    assert_eq!(
        public.event(),
        put("/", json!(7)),
        "what is still allowed goes on"
    );
    let (status, why) = refused(
        tree,
        "PUT",
        "/.settings/rules.json",
        admin,
        Some("{\"rules\": {}}"),
    );
    assert!(status == 409 && why.contains("SIGHUP"), "{status}: {why}");
    server.stop();
}

#[test]
fn rules_that_are_put_stay_in_force_after_a_kill() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    let (status, why) = refused(
        tree,
        "PUT",
        "/.settings/rules.json",
        "",
        Some("{\"rules\": {\".read\": \"x\"}}"),
    );
    assert!(
        status == 400 && why.contains("line 1, column 22"),
        "{status}: {why}"
    );
    good(
        tree,
        "PUT",
        "/.settings/rules.json",
        Some(r#"{"rules": {"open": {".write": true}}}"#),
    );
    assert_eq!(refused(tree, "PUT", "/shut.json", "", Some("1")).0, 401);
    server.kill();
    let server = Server::start(dir.path());
    let tree = server.tree();
    assert_eq!(refused(tree, "PUT", "/shut.json", "", Some("1")).0, 401);
    assert_eq!(good(tree, "PUT", "/open.json", Some("1")), json!(1));
    server.stop();
}

#[test]
fn an_index_serves_without_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    good(
        tree,
        "PUT",
        "/scores.json",
        Some(r#"{"ada": {"n": 2}, "bob": {"n": 1}}"#),
    );
    let warned = || {
        let query = "/scores.json?orderBy=%22n%22&limitToFirst=1";
        let answer = call(tree, "GET", query, "", None);
        assert_eq!(json_of(&answer), json!({"bob": {"n": 1}}));
        answer.header("x-quintet-warning").is_some()
    };
    assert!(warned());
    let open = r#"".read": true, ".write": true"#;
    let rules = format!(r#"{{"rules": {{{open}, "scores": {{".indexOn": "n"}}}}}}"#);
    good(tree, "PUT", "/.settings/rules.json", Some(&rules));
    assert!(!warned(), "the index is there as soon as the rules are");
    good(
        tree,
        "PUT",
        "/.settings/rules.json",
        Some(&format!(r#"{{"rules": {{{open}}}}}"#)),
    );
    assert!(warned(), "and gone with them");
    server.stop();

    // From a file, by SIGHUP: the same.
    let file = rules_with(dir.path(), open, "");
    let server = Server::start_with(&dir.path().join("other"), &["--tree-rules", &file], &[]);
    let tree = server.tree();
    good(
        tree,
        "PUT",
        "/scores.json",
        Some(r#"{"ada": {"n": 2}, "bob": {"n": 1}}"#),
    );
    rules_with(dir.path(), open, r#", "scores": {".indexOn": "n"}"#);
    server.signal("HUP");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = call(tree, "GET", "/scores.json?orderBy=%22n%22", "", None);
        if answer.header("x-quintet-warning").is_none() {
            break;
        }
        assert!(Instant::now() < deadline, "the index was never built");
    }
    server.stop();
}

fn rules_with(dir: &Path, open: &str, more: &str) -> String {
    rules(dir, &format!(r#"{{"rules": {{{open}{more}}}}}"#))
}

#[test]
fn an_update_of_nothing_needs_the_right_to_write() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = rules(
        dir.path(),
        r#"{"rules": {"open": {".write": true}, "shut": {".read": true}}}"#,
    );
    let server = with_tokens(&dir.path().join("data"), &file, "optional");
    let tree = server.tree();
    assert_eq!(call(tree, "PATCH", "/open.json", "", Some("{}")).status, 200);
    assert_eq!(refused(tree, "PATCH", "/shut.json", "", Some("{}")).0, 401);
    server.stop();
}

#[test]
fn a_condition_shows_nothing_that_may_not_be_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = rules(
        dir.path(),
        r#"{"rules": {"box": {".write": true}, "open": {".read": true, ".write": true}}}"#,
    );
    let server = with_tokens(&dir.path().join("data"), &file, "optional");
    let tree = server.tree();
    let admin = "Authorization: Bearer the-admin-token-1\r\n";
    let all = r#"{"box": "a secret", "shut": "a secret", "open": 1}"#;
    assert_eq!(call(tree, "PUT", "/.json", admin, Some(all)).status, 200);
    let asking = format!("{admin}X-Firebase-ETag: true\r\n");
    let known = call(tree, "GET", "/box.json", &asking, None);
    let right = format!("if-match: {}\r\n", known.header("etag").expect("a tag"));
    for path in ["/box.json", "/shut.json"] {
        for tag in ["if-match: x\r\n", &right] {
            for method in ["PUT", "DELETE"] {
                let body = (method == "PUT").then_some("2");
                let answer = call(tree, method, path, tag, body);
                assert_eq!(answer.status, 401, "{method} {path} {tag}: {}", answer.text());
                assert!(!answer.text().contains("secret") && answer.header("etag").is_none());
            }
        }
    }
    let shown = call(tree, "PUT", "/open.json", "if-match: x\r\n", Some("2"));
    assert_eq!((shown.status, shown.text()), (412, "1"));
    server.stop();
}

#[test]
fn a_stream_ends_when_the_data_that_its_rule_looks_at_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = rules(
        dir.path(),
        r#"{"rules": {"room": {".read": "root.child('members').hasChild(auth.uid)"}}}"#,
    );
    let server = with_tokens(&dir.path().join("data"), &file, "optional");
    let tree = server.tree();
    let admin = "Authorization: Bearer the-admin-token-1\r\n";
    let write = |path: &str, body: &str| {
        assert_eq!(call(tree, "PUT", path, admin, Some(body)).status, 200);
    };
    write("/members/ada.json", "true");
    let ada = token_of(tree, "ada");
    let mut stream = Stream::open(tree, "/room.json", &format!("{ada}Accept: text/event-stream\r\n"));
    let mut plain = Stream::open(tree, "/room/.watch", &ada);
    assert_eq!(stream.event(), put("/", Value::Null));
    assert_eq!(plain.event(), put("/", Value::Null));
    write("/room/a.json", "1");
    assert_eq!(stream.event(), put("/a", json!(1)));
    assert_eq!(plain.event(), put("/a", json!(1)));
    write("/members/ada.json", "null");
    write("/room/b.json", "2");
    for stream in [&mut stream, &mut plain] {
        assert_eq!(stream.event(), ("cancel".to_owned(), Value::Null));
        assert!(stream.next().is_none(), "a cancelled stream ends");
    }
    server.stop();
}

#[test]
fn a_stream_ends_when_its_token_is_taken_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let (admin, reader) = (dir.path().join("admin"), dir.path().join("reader"));
    std::fs::write(&admin, "the-admin-token-1").expect("written");
    std::fs::write(&reader, "the-readonly-token").expect("written");
    let flags = [
        "--auth",
        "require",
        "--auth-admin-token-file",
        admin.to_str().expect("a path"),
        "--auth-readonly-token-file",
        reader.to_str().expect("a path"),
    ];
    let server = Server::start_with(&dir.path().join("data"), &flags, &[]);
    let tree = server.tree();
    let open = |token: &str| {
        let headers = format!("Authorization: Bearer {token}\r\nAccept: text/event-stream\r\n");
        let mut stream = Stream::open(tree, "/a.json", &headers);
        assert_eq!(stream.event(), put("/", Value::Null));
        stream
    };
    let (mut taken, mut kept) = (open("the-admin-token-1"), open("the-readonly-token"));
    std::fs::write(&admin, "the-admin-token-2").expect("written");
    server.signal("HUP");
    assert_eq!(taken.event().0, "auth_revoked");
    assert!(taken.next().is_none());
    let admin = "Authorization: Bearer the-admin-token-2\r\n";
    assert_eq!(call(tree, "PUT", "/a.json", admin, Some("1")).status, 200);
    assert_eq!(kept.event(), put("/", json!(1)));
    server.stop();
}

#[test]
fn a_stream_ends_when_its_token_expires() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = rules(dir.path(), r#"{"rules": {".read": "auth != null"}}"#);
    let server = with_tokens(&dir.path().join("data"), &file, "require");
    let tree = server.tree();
    assert_eq!(refused(tree, "GET", "/.json", "", None).0, 401);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let token = signed(&json!({"uid": "ada", "exp": now.as_secs() + 2}));
    let headers = format!("Authorization: Bearer {token}\r\nAccept: text/event-stream\r\n");
    let mut stream = Stream::open(tree, "/.json", &headers);
    assert_eq!(stream.event().0, "put");
    let began = Instant::now();
    assert_eq!(stream.event().0, "auth_revoked");
    assert!(stream.next().is_none() && began.elapsed() < PATIENCE);
    let (status, why) = refused(
        tree,
        "GET",
        "/.json",
        &headers.replace("Accept: text/event-stream\r\n", ""),
        None,
    );
    assert!(status == 401 && why.contains("expired"), "{status}: {why}");
    assert_eq!(
        call(
            tree,
            "GET",
            &format!(
                "/.json?auth={}",
                signed(&json!({"uid": "a", "exp": now.as_secs() + 900}))
            ),
            "",
            None
        )
        .status,
        200
    );
    server.stop();
}

/// A token as another server would sign it.
fn signed(claims: &Value) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let head = BASE64.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let message = format!("{head}.{}", BASE64.encode(claims.to_string()));
    let mut mac =
        Hmac::<sha2::Sha256>::new_from_slice(b"a secret of at least thirty-two bytes").expect("a key");
    mac.update(message.as_bytes());
    format!("{message}.{}", BASE64.encode(mac.finalize().into_bytes()))
}

#[test]
fn no_secret_is_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = rules(dir.path(), OWN);
    let server = with_tokens(&dir.path().join("data"), &file, "optional");
    assert!(!server.startup.contains("the-admin-token-1") && !server.startup.contains("thirty-two"));
    let argv = std::fs::read(format!("/proc/{}/cmdline", server.pid())).expect("a process of ours");
    assert!(!String::from_utf8_lossy(&argv).contains("thirty-two"));
    server.stop();
    let mut wrong = quintet(&["serve", "--auth", "require", "--data-dir"]);
    let run = output(wrong.arg(dir.path().join("other")));
    assert_eq!(run.status.code(), Some(2), "{}", stderr(&run));
    assert!(stderr(&run).contains("--auth-secret-file"), "{}", stderr(&run));
}
