//! Start-up, its lines, ports, environment, and the two ways to stop.

use crate::process::{Server, output, quintet, stderr};
#[cfg(feature = "blockstore")]
use quintet_net::Backend;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
};

fn status_of_get(address: SocketAddr, path: &str) -> String {
    let text = text_of_get(address, path);
    text.lines().next().unwrap_or_default().to_string()
}

fn text_of_get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the port is open");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn startup_names_the_free_port_and_what_was_chosen() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(
        dir.path(),
        &["--blocks-workers", "2", "--blocks-capacity", "64MiB"],
        &[],
    );
    let text = &server.startup;
    let address = server.blocks();
    assert_ne!(address.port(), 0);
    assert!(
        text.starts_with(concat!("quintet ", env!("CARGO_PKG_VERSION"), "\n")),
        "{text}"
    );
    for needed in [
        &format!("try: echo hello | curl -T - http://{address}/block"),
        "i/o     ",
        "(auto: ",
        "durability full",
        "2 workers",
        "64 MiB",
        "recovered 0 operations in",
    ] {
        assert!(text.contains(needed), "no {needed:?} in:\n{text}");
    }
    assert_eq!(status_of_get(address, "/"), "HTTP/1.1 200 OK");
    server.stop();
}

#[test]
fn flags_win_over_the_environment_and_that_over_defaults() {
    let dir = tempfile::tempdir().expect("a directory");
    let env = [
        ("QUINTET_BLOCKS_ADDR", "127.0.0.1:0"),
        ("QUINTET_DURABILITY", "relaxed"),
        ("QUINTET_BLOCKS_WORKERS", "3"),
    ];
    let server = Server::start_with(dir.path(), &[], &env);
    assert!(
        server.startup.contains("durability relaxed"),
        "{}",
        server.startup
    );
    assert!(server.startup.contains("3 workers"), "{}", server.startup);
    server.stop();

    let server = Server::start_with(
        dir.path(),
        &["--blocks-durability", "interval", "--blocks-workers", "1"],
        &env,
    );
    assert!(
        server.startup.contains("durability interval"),
        "{}",
        server.startup
    );
    assert!(server.startup.contains("1 worker,"), "{}", server.startup);
    server.stop();
}

#[test]
fn a_bare_quintet_serves_from_its_environment() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = quintet(&[]);
    command
        .env("QUINTET_DATA_DIR", dir.path())
        .env("QUINTET_BLOCKS_ADDR", "127.0.0.1:0");
    let server = Server::spawn(&mut command);
    assert_eq!(status_of_get(server.blocks(), "/stats"), "HTTP/1.1 200 OK");
    server.stop();

    let mut command = quintet(&["--blocks-addr", "127.0.0.1:0"]);
    let server = Server::spawn(command.current_dir(dir.path()).env("QUINTET_DATA_DIR", "./data"));
    assert!(dir.path().join("data/VERSION").exists());
    server.stop();
}

#[test]
fn a_port_in_use_ends_startup_and_names_the_flag() {
    let dir = tempfile::tempdir().expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let mut command = quintet(&["serve", "--blocks-addr", &address, "--data-dir"]);
    let run = output(command.arg(dir.path()));
    let text = stderr(&run);
    assert_eq!(run.status.code(), Some(1), "{text}");
    assert!(
        text.contains("--blocks-addr") && text.contains(&address),
        "{text}"
    );
}

#[test]
fn two_servers_cannot_share_a_port_by_accident() {
    let (one, two) = (
        tempfile::tempdir().expect("one"),
        tempfile::tempdir().expect("two"),
    );
    let server = Server::start(one.path());
    let address = server.blocks().to_string();
    let mut command = quintet(&["serve", "--blocks-addr", &address, "--data-dir"]);
    let run = output(command.arg(two.path()));
    assert_eq!(run.status.code(), Some(1));
    assert!(stderr(&run).contains("--blocks-addr"), "{}", stderr(&run));
    server.stop();
}

#[test]
fn with_every_port_off_there_is_nothing_to_serve() {
    let dir = tempfile::tempdir().expect("a directory");
    let off = [
        "serve",
        "--blocks-addr",
        "off",
        "--http-addr",
        "off",
        "--resp-addr",
        "off",
        "--tree-addr",
        "off",
    ];
    let mut command = quintet(&[&off[..], &["--data-dir"]].concat());
    let run = output(command.arg(dir.path()));
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("nothing to serve"), "{}", stderr(&run));
    assert!(
        !dir.path().join("blocks").exists(),
        "the engine was opened although it is off"
    );
}

#[test]
fn sigint_drains_like_sigterm() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path());
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_second_signal_stops_at_once_with_failure() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path());
    // A body that never comes keeps the drain waiting, so the second signal finds a live process.
    let mut stuck = TcpStream::connect(server.blocks()).expect("the port is open");
    let head = "PUT /block HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n";
    stuck.write_all(head.as_bytes()).expect("sent");
    let mut go_on = [0; 12];
    stuck.read_exact(&mut go_on).expect("100 Continue");
    assert_eq!(&go_on, b"HTTP/1.1 100");
    server.signal("TERM");
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(1));
}

#[test]
fn a_limit_on_file_size_is_a_full_disk_and_not_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    // In units of 512 bytes: 48 MiB, enough for the log, and less than the block file's 64 MiB.
    let script = r#"ulimit -f 98304; exec "$0" "$@""#;
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_quintet"), "serve"]);
    command.args(["--blocks-addr", "127.0.0.1:0", "--blocks-capacity", "64MiB"]);
    command.args(["--http-addr", "off", "--resp-addr", "off", "--tree-addr", "off"]);
    command.arg("--data-dir").arg(dir.path());
    let server = Server::spawn(&mut command);
    let mut client = crate::client::Client::connect(server.blocks()).expect("connected");
    // More than the file may hold.
    let refused = (0..128u8).find_map(|fill| {
        let body = vec![fill; 512 << 10];
        let reply = client.call("PUT", "/block", Some(&body)).expect("an answer");
        (reply.status != 200).then_some(reply)
    });
    let refused = refused.expect("the file has an end");
    assert_eq!(refused.status, 507, "{}", refused.text());
    assert_eq!(status_of_get(server.blocks(), "/stats"), "HTTP/1.1 200 OK");
    server.stop();
}

#[cfg(feature = "blockstore")]
#[test]
fn the_backend_that_is_asked_for_serves_and_says_so() {
    for backend in [Backend::Epoll, Backend::Uring] {
        let (dir, name) = (tempfile::tempdir().expect("a directory"), backend.name());
        if let Err(error) = backend.available() {
            let mut refused = quintet(&["serve", "--io-backend", name, "--data-dir"]);
            let run = output(refused.arg(dir.path()));
            let text = String::from_utf8_lossy(&run.stderr).into_owned();
            assert_eq!(run.status.code(), Some(2), "{text}");
            assert!(text.contains(error.context()), "{text}");
            continue;
        }
        let server = Server::start_with(
            dir.path(),
            &["--io-backend", name, "--blocks-capacity", "64MiB"],
            &[],
        );
        let line = format!("i/o     {name} (asked for)");
        assert!(server.startup.contains(&line), "{}", server.startup);
        let stats = text_of_get(server.blocks(), "/stats");
        let json = format!("\"io_backend\":{{\"name\":\"{name}\",\"why\":\"asked for\"}}");
        assert!(stats.contains(&json), "{stats}");
        server.stop();
    }
}
