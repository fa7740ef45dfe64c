//! Pages of other sites, which a browser on this machine would carry requests for, and names that somebody else's DNS has
//! lead here: nothing of theirs is done on a server that asks nobody for a token.

use crate::client::Client;
use crate::process::Server;
use std::net::SocketAddr;

const EVIL: &str = "https://evil.example";

/// The status of one request with these values of `Host` and `Origin`.
fn status(at: SocketAddr, method: &str, path: &str, host: &str, origin: Option<&str>, token: bool) -> u16 {
    let mut client = Client::connect(at).expect("connected");
    let body = if method == "GET" { "" } else { "\"hello\"" };
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n",
        body.len()
    );
    if let Some(origin) = origin {
        head.push_str(&format!("Origin: {origin}\r\n"));
    }
    if token {
        head.push_str("Authorization: Bearer the-admin-token-1\r\n");
    }
    client.send(format!("{head}\r\n{body}").as_bytes()).expect("sent");
    client.reply(method).expect("an answer").status
}

/// Ports over HTTP, each with a path to write to and one to read.
fn ports(server: &Server) -> [(SocketAddr, &'static str, &'static str, &'static str); 3] {
    [
        (server.api(), "PUT", "/v1/kv/0/a", "/v1/kv/0/a"),
        (server.tree(), "PUT", "/a.json", "/a.json"),
        (server.blocks(), "PUT", "/block", "/stats"),
    ]
}

#[test]
fn pages_of_other_sites_are_refused_on_every_port() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    for (at, method, path, read) in ports(&server) {
        let own = at.to_string();
        let write = |host: &str, origin| status(at, method, path, host, origin, false);
        for refused in [
            (own.as_str(), Some(EVIL)),
            (&own, Some("null")),
            ("evil.example", None),
            ("evil.example", Some("http://evil.example")),
        ] {
            assert_eq!(write(refused.0, refused.1), 403, "{path} {refused:?}");
            assert_eq!(
                status(at, "GET", read, refused.0, refused.1, false),
                403,
                "{read} {refused:?}"
            );
        }
        // Nothing was stored: the first write is the first.
        if path != "/block" {
            let found = crate::client::call(at, "GET", read, None);
            assert!(
                found.status == 404 || found.text() == "null",
                "{path}: {}",
                found.text()
            );
        }
        let page = format!("http://{own}");
        for served in [
            (own.as_str(), None),
            (&own, Some(page.as_str())),
            ("localhost", Some("http://localhost:3000")),
        ] {
            assert!(write(served.0, served.1) < 300, "{path} {served:?}");
        }
    }
    // What says that the server lives is said to everybody; the page's way to the tree is not open to others.
    assert_eq!(
        status(server.api(), "GET", "/livez", "evil.example", Some(EVIL), false),
        200
    );
    assert_eq!(
        status(
            server.api(),
            "GET",
            "/ui/tree?path=/",
            "evil.example",
            None,
            false
        ),
        403
    );
    server.stop();
}

#[test]
fn names_that_are_listed_are_served_and_with_tokens_all_are() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--allow-host", "db.example,evil.example"], &[]);
    for (at, method, path, _) in ports(&server) {
        assert!(
            status(at, method, path, "db.example", Some(EVIL), false) < 300,
            "{path}"
        );
        assert_eq!(
            status(
                at,
                method,
                path,
                "db.example",
                Some("http://other.example"),
                false
            ),
            403,
            "{path}"
        );
    }
    server.stop();

    let tokens = [("QUINTET_AUTH_ADMIN_TOKEN", "the-admin-token-1")];
    let server = Server::start_with(dir.path(), &["--auth", "require"], &tokens);
    for (at, method, path, _) in ports(&server) {
        assert!(
            status(at, method, path, "db.example", Some(EVIL), true) < 300,
            "{path}"
        );
        assert_eq!(
            status(at, method, path, "db.example", Some(EVIL), false),
            401,
            "{path}"
        );
    }
    server.stop();
}

#[test]
fn a_page_cannot_speak_redis() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks"], &[]);
    let mut browser = Client::connect(server.resp()).expect("connected");
    let post = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\n\r\nSET stolen 1\r\n",
        server.resp()
    );
    browser.send(post.as_bytes()).expect("sent");
    assert!(
        browser
            .line()
            .expect("an answer")
            .starts_with("-ERR Protocol error")
    );
    assert!(browser.line().is_err(), "the connection stays open");
    let mut client = Client::connect(server.resp()).expect("connected");
    client.send(b"GET stolen\r\n").expect("sent");
    assert_eq!(client.line().expect("an answer"), "$-1");
    server.stop();
}
