//! Authentication on every port: nobody without a token where one is required, and each role what it may do.

use crate::client::{Client, call};
use crate::process::Server;
use std::net::SocketAddr;

const ADMIN: &str = "the-admin-token-1";
const READER: &str = "the-readonly-token";

fn start(dir: &std::path::Path, mode: &str) -> Server {
    let tokens = [
        ("QUINTET_AUTH_ADMIN_TOKEN", ADMIN),
        ("QUINTET_AUTH_READONLY_TOKEN", READER),
    ];
    Server::start_with(dir, &["--auth", mode], &tokens)
}

fn status(address: SocketAddr, method: &str, path: &str, token: Option<&str>, body: Option<&[u8]>) -> u16 {
    let header = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let mut client = Client::connect(address).expect("connected");
    client.request(method, path, &header, body).expect("sent");
    let reply = client.reply(method).expect("an answer");
    if reply.status == 401 {
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{reply:?}");
    }
    reply.status
}

#[test]
fn a_required_token_is_required_on_the_http_ports() {
    for mode in ["require", "optional"] {
        let dir = tempfile::tempdir().expect("a directory");
        let server = start(dir.path(), mode);
        for (address, path) in [(server.blocks(), "/block"), (server.api(), "/v1/kv/0/greeting")] {
            let put = |token| status(address, "PUT", path, token, Some(b"\"hello\""));
            assert_eq!(put(None), 401, "{mode} {path}");
            assert_eq!(put(Some("rubbish")), 401, "{mode} {path}");
            assert_eq!(put(Some(READER)), 403, "{mode} {path}");
            let stored = put(Some(ADMIN));
            assert!((200..300).contains(&stored), "{mode} {path}: {stored}");
            let get = |token| status(address, "GET", "/stats", token, None);
            assert_eq!(
                (get(None), get(Some("x")), get(Some(READER))),
                (401, 401, 200),
                "{mode} {path}"
            );
        }
        assert_eq!(status(server.api(), "GET", "/livez", None, None), 200);
        assert_eq!(
            status(server.api(), "GET", "/v1/kv/0/greeting", Some(READER), None),
            200
        );
        server.stop();
    }
}

#[test]
fn redis_clients_say_auth() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = start(dir.path(), "require");
    let mut resp = Client::connect(server.resp()).expect("connected");
    let mut say = |command: &str| {
        resp.send(format!("{command}\r\n").as_bytes()).expect("sent");
        resp.line().expect("an answer")
    };
    assert!(say("SET a 1").starts_with("-NOAUTH"));
    assert!(say("AUTH rubbish").starts_with("-WRONGPASS"));
    assert!(say("SET a 1").starts_with("-NOAUTH"));
    assert_eq!(say(&format!("AUTH {READER}")), "+OK");
    assert!(say("SET a 1").starts_with("-NOPERM"));
    assert_eq!(say(&format!("AUTH {ADMIN}")), "+OK");
    assert_eq!(say("SET a 1"), "+OK");
    server.stop();
}

#[test]
fn with_authentication_off_no_header_is_looked_at() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    for address in [server.blocks(), server.api(), server.tree()] {
        let path = if address == server.tree() {
            "/.json"
        } else {
            "/stats"
        };
        for header in ["Bearer owner", "Basic x", "rubbish"] {
            let mut client = Client::connect(address).expect("connected");
            client
                .request("GET", path, &format!("Authorization: {header}\r\n"), None)
                .expect("sent");
            assert_eq!(client.reply("GET").expect("an answer").status, 200, "{header}");
        }
    }
    assert_eq!(call(server.blocks(), "GET", "/", None).status, 200);
    server.stop();
}

#[test]
fn strangers_may_be_served_where_every_port_asks() {
    let dir = tempfile::tempdir().expect("a directory");
    let tokens = [("QUINTET_AUTH_ADMIN_TOKEN", ADMIN)];
    let flags = ["--auth", "require", "--http-addr", "0.0.0.0:0"];
    Server::start_with(dir.path(), &flags, &tokens).stop();
}
