//! How connections end: a body that is refused, by its length or because it is too much, and a server that stops meanwhile.

use super::{PATIENCE, call, good};
use crate::client::Client;
use crate::process::Server;
use serde_json::json;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
};

/// A connection that announces a body which is larger than any may be.
fn announced(tree: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(tree).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
    let head = format!(
        "PUT /large.json HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n",
        64 << 20
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream
}

#[test]
fn a_refused_body_is_told_and_its_connection_ends_though_the_client_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    for sent_bytes in [0, 1 << 20] {
        let mut stream = announced(server.tree());
        let _taken = stream.write_all(&vec![b' '; sent_bytes]);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the server ends it");
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.starts_with("HTTP/1.1 413 "),
            "{sent_bytes} bytes: {answer}"
        );
    }
    assert_eq!(good(server.tree(), "GET", "/large.json", None), json!(null));
    server.stop();
}

#[test]
fn who_goes_on_sending_a_refused_body_still_reads_why() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let stream = announced(server.tree());
    let mut sending = stream.try_clone().expect("a second handle");
    let sender = thread::spawn(move || {
        let part = vec![b' '; 64 << 10];
        // More than the buffers of both ends hold; the server may close before the end.
        for _ in 0..256 {
            if sending.write_all(&part).is_err() {
                return;
            }
        }
    });
    sender.join().expect("it sends");
    let mut line = [0; 12];
    (&stream).read_exact(&mut line).expect("the answer is not lost");
    assert_eq!(&line, b"HTTP/1.1 413");
    server.stop();
}

#[test]
fn a_server_that_stops_does_not_wait_for_a_body_that_it_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    let mut client = Client::connect(tree).expect("connected");
    client.request("PUT", "/kept.json", "", Some(b"1")).expect("sent");
    assert_eq!(client.reply("PUT").expect("an answer").status, 200);
    let refused: Vec<TcpStream> = (0..4).map(|_| announced(tree)).collect();
    for mut stream in &refused {
        let mut line = [0; 12];
        stream.read_exact(&mut line).expect("an answer");
        assert_eq!(&line, b"HTTP/1.1 413");
    }
    let begun = std::time::Instant::now();
    server.stop();
    assert!(
        begun.elapsed() < PATIENCE / 2,
        "it waited {:?} for clients that were answered",
        begun.elapsed()
    );
    drop(refused);
    let server = Server::start(dir.path());
    assert_eq!(call(server.tree(), "GET", "/kept.json", "", None).text(), "1");
    server.stop();
}
