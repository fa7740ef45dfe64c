//! What PUT stores is what GET answers, at every size, in every framing, from many clients at once.

use crate::client::Client;
use crate::port_rig::{Rig, body, name};
use std::thread;

/// Every class boundary and its neighbours, and both ends.
fn boundary_sizes() -> Vec<usize> {
    let mut sizes = vec![1, 2, 100];
    for class in 0..8 {
        let size = 4096 << class;
        sizes.extend([size - 1, size, size + 1]);
    }
    sizes.pop(); // 524 289 is too large
    // Beside the pieces in which a body arrives.
    sizes.extend([3 * 65_536 - 1, 3 * 65_536, 3 * 65_536 + 1]);
    sizes
}

fn every_size_comes_back_under_its_sha256() {
    let rig = Rig::start();
    let mut client = rig.client();
    for size in boundary_sizes() {
        let bytes = body(size, size as u64);
        let put = client
            .call("PUT", "/block", Some(&bytes))
            .unwrap_or_else(|error| panic!("PUT of {size} bytes: {error}"));
        assert_eq!(
            (put.status, put.text()),
            (200, name(&bytes).as_str()),
            "{size} bytes"
        );

        let path = format!("/block/{}", name(&bytes));
        let get = client
            .call("GET", &path, None)
            .unwrap_or_else(|error| panic!("GET of {size} bytes: {error}"));
        assert_eq!(get.status, 200, "{size} bytes");
        assert_eq!(get.header("content-type"), Some("application/octet-stream"));
        assert!(get.body == bytes, "{size} bytes came back changed");

        let head = client.call("HEAD", &path, None).expect("an answer");
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-length"), Some(size.to_string().as_str()));
    }
    rig.stop();
}

fn a_body_in_small_pieces_is_the_same_body() {
    let rig = Rig::start();
    let bytes = body(150_000, 1);
    let mut client = rig.client();
    let head = format!(
        "PUT /block HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    );
    client.send(head.as_bytes()).expect("sent");
    for piece in bytes.chunks(1_777) {
        client.send(piece).expect("sent");
    }
    let put = client.reply("PUT").expect("an answer");
    assert_eq!((put.status, put.text()), (200, name(&bytes).as_str()));
    rig.stop();
}

fn a_crowd_in_pieces_gets_every_body_its_own_name() {
    let rig = Rig::start();
    let bodies: Vec<_> = (0..48).map(|seed| body(1 + seed * 3_001, seed as u64)).collect();
    let mut clients: Vec<_> = bodies.iter().map(|_| Some(rig.client())).collect();
    for (client, bytes) in clients.iter_mut().flatten().zip(&bodies) {
        let length = format!("Content-Length: {}\r\n", bytes.len());
        client.request("PUT", "/block", &length, None).expect("sent");
    }
    for at in (0..48 * 3_001).step_by(20_000) {
        for (seed, (client, bytes)) in clients.iter_mut().zip(&bodies).enumerate() {
            let rest = &bytes[at.min(bytes.len())..];
            if seed % 7 == 6 && (1..=20_000).contains(&rest.len()) {
                // It goes without its last piece.
                client.take().into_iter().for_each(Client::abort);
            }
            if let Some(client) = client {
                client.send(&rest[..rest.len().min(20_000)]).expect("sent");
            }
        }
    }
    for (seed, (client, bytes)) in clients.iter_mut().zip(&bodies).enumerate() {
        let Some(client) = client else { continue };
        let second = body(500, 1000 + seed as u64);
        client.request("PUT", "/block", "", Some(&second)).expect("sent");
        for bytes in [bytes, &second] {
            let put = client.reply("PUT").expect("an answer");
            assert_eq!((put.status, put.text()), (200, name(bytes).as_str()), "{seed}");
        }
        let get = client.call("GET", &format!("/block/{}", name(bytes)), None);
        assert!(get.expect("an answer").body == *bytes, "{seed}");
    }
    rig.stop();
}

fn chunked_bodies_of_every_class() {
    let rig = Rig::start();
    let mut client = rig.client();
    for size in [1, 4096, 4097, 70_000, 262_145, 524_288] {
        let bytes = body(size, 7);
        client
            .request("PUT", "/block", "Transfer-Encoding: chunked\r\n", None)
            .expect("sent");
        for piece in bytes.chunks(10_000) {
            client
                .send(format!("{:x}\r\n", piece.len()).as_bytes())
                .expect("sent");
            client.send(piece).expect("sent");
            client.send(b"\r\n").expect("sent");
        }
        client.send(b"0\r\n\r\n").expect("sent");
        let put = client.reply("PUT").expect("an answer");
        assert_eq!(
            (put.status, put.text()),
            (200, name(&bytes).as_str()),
            "{size} bytes"
        );
        let get = rig.call("GET", &format!("/{}", name(&bytes)), None);
        assert!(get.body == bytes, "{size} bytes came back changed");
    }
    rig.stop();
}

fn pipelined_requests_are_answered_in_order() {
    let rig = Rig::start();
    let bodies: Vec<_> = (0..40)
        .map(|seed| body(3_000 + 500 * seed as usize, seed))
        .collect();
    let mut client = rig.client();
    let mut wire = Vec::new();
    for bytes in &bodies {
        wire.extend_from_slice(
            format!(
                "PUT /block HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n",
                bytes.len()
            )
            .as_bytes(),
        );
        wire.extend_from_slice(bytes);
        // Not stored, and answered faster than a commit: it must wait its turn all the same.
        wire.extend_from_slice(format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "0".repeat(64)).as_bytes());
    }
    client.send(&wire).expect("sent");
    for bytes in &bodies {
        let put = client.reply("PUT").expect("an answer");
        assert_eq!((put.status, put.text()), (200, name(bytes).as_str()));
        assert_eq!(client.reply("GET").expect("an answer").status, 404);
    }
    for bytes in &bodies {
        client
            .request("GET", &format!("/{}", name(bytes)), "", None)
            .expect("sent");
    }
    for bytes in &bodies {
        assert!(client.reply("GET").expect("an answer").body == *bytes);
    }
    rig.stop();
}

fn parallel_clients_get_their_own_names() {
    let rig = Rig::start();
    thread::scope(|scope| {
        for thread in 0..8u64 {
            let rig = &rig;
            scope.spawn(move || {
                let mut client = rig.client();
                for round in 0..30u64 {
                    let bytes = body(
                        1 + (thread * 7_919 + round * 13_001) as usize % 100_000,
                        thread << 32 | round,
                    );
                    let put = client.call("PUT", "/block", Some(&bytes)).expect("an answer");
                    assert_eq!((put.status, put.text()), (200, name(&bytes).as_str()));
                    let get = client
                        .call("GET", &format!("/{}", name(&bytes)), None)
                        .expect("an answer");
                    assert!(get.body == bytes, "another client's bytes");
                }
            });
        }
    });
    rig.stop();
}

fn the_same_bytes_twice_take_one_block() {
    let rig = Rig::start();
    let bytes = body(5_000, 3);
    let first = rig.call("PUT", "/block", Some(&bytes));
    let used = rig.named_bytes();
    let second = rig.call("PUT", "/elsewhere", Some(&bytes));
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(first.body, second.body);
    assert_eq!(rig.named_bytes(), used);
    rig.settled();
    rig.stop();
}

/// Stored records are keyed by digest; one that begins with what looks like another kind of key is still a digest.
fn a_name_that_begins_with_t_underscore_survives_a_restart() {
    let rig = Rig::start();
    let bytes = (0u64..)
        .map(|counter| counter.to_le_bytes().to_vec())
        .find(|bytes| name(bytes).starts_with("745f"))
        .expect("one in 65 536");
    assert_eq!(rig.call("PUT", "/block", Some(&bytes)).text(), name(&bytes));
    let rig = rig.restart();
    let get = rig.call("GET", &format!("/block/{}", name(&bytes)), None);
    assert_eq!((get.status, get.body), (200, bytes));
    rig.stop();
}

fn a_kept_connection_serves_many_requests_and_http_1_0_closes() {
    let rig = Rig::start();
    let mut client = rig.client();
    for seed in 0..20 {
        let bytes = body(10, seed);
        assert_eq!(
            client
                .call("PUT", "/block", Some(&bytes))
                .expect("an answer")
                .status,
            200
        );
    }
    let mut old = Client::connect(rig.address()).expect("connected");
    old.send(b"GET / HTTP/1.0\r\n\r\n").expect("sent");
    assert_eq!(old.reply("GET").expect("an answer").status, 200);
    assert!(old.is_closed());
    rig.stop();
}

crate::port_rig::on_both_backends! {
    every_size_comes_back_under_its_sha256,
    a_body_in_small_pieces_is_the_same_body,
    a_crowd_in_pieces_gets_every_body_its_own_name,
    chunked_bodies_of_every_class,
    pipelined_requests_are_answered_in_order,
    parallel_clients_get_their_own_names,
    the_same_bytes_twice_take_one_block,
    a_name_that_begins_with_t_underscore_survives_a_restart,
    a_kept_connection_serves_many_requests_and_http_1_0_closes,
}
