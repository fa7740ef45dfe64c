//! Every way to wait at once: no pooled blocks, few credits, look-ups through the controller, pipelines of dependent
//! requests. And a store that goes away under its port.

use crate::port_rig::{Rig, body, name, until};
use quintet_blockstore::{Config, Lookup};
use std::thread;

/// One pipelined burst of requests on the same names, each resting on those before it, and the statuses they must get.
fn burst(seed: u64) -> (Vec<u8>, Vec<(&'static str, u16)>) {
    let (a, b) = (body(3_000, seed), body(20_000, seed + 1));
    let (a_path, b_path) = (format!("/{}", name(&a)), format!("/{}", name(&b)));
    let mut wire = Vec::new();
    let mut expected = Vec::new();
    let mut add = |method: &'static str, path: &str, body: Option<&[u8]>, status: u16| {
        let length = body.map_or_else(String::new, |body| format!("Content-Length: {}\r\n", body.len()));
        wire.extend_from_slice(format!("{method} {path} HTTP/1.1\r\nHost: t\r\n{length}\r\n").as_bytes());
        wire.extend_from_slice(body.unwrap_or_default());
        expected.push((method, status));
    };
    add("GET", &a_path, None, 404);
    add("PUT", "/block", Some(&a), 200);
    add("PUT", "/block", Some(&b), 200);
    add("GET", &a_path, None, 200);
    add("DELETE", &a_path, None, 200);
    add("PUT", "/block", Some(&a), 200);
    add("HEAD", &a_path, None, 200);
    add("DELETE", &a_path, None, 200);
    add("DELETE", &a_path, None, 404);
    add("GET", &a_path, None, 404);
    add("GET", &b_path, None, 200);
    add("DELETE", &b_path, None, 200);
    add("HEAD", &b_path, None, 404);
    (wire, expected)
}

fn bursts_of_many_clients(rig: &Rig) {
    thread::scope(|scope| {
        for client_number in 0..10u64 {
            scope.spawn(move || {
                let mut client = rig.client();
                for round in 0..8u64 {
                    let (wire, expected) = burst(client_number << 32 | round << 8);
                    client.send(&wire).expect("sent");
                    for (at, (method, status)) in expected.into_iter().enumerate() {
                        let reply = client.reply(method).expect("an answer");
                        assert_eq!(reply.status, status, "request {at}, {method}, {}", reply.text());
                    }
                }
            });
        }
    });
    rig.settled();
    assert_eq!(rig.named_bytes(), 0, "all was deleted");
}

fn dependent_pipelines_are_right_without_pools_and_with_few_credits() {
    let rig = Rig::adjusted(|config: &mut Config| {
        config.pool_targets = [0; 8];
        config.credits = 16;
    });
    bursts_of_many_clients(&rig);
    rig.stop();
}

fn dependent_pipelines_are_right_when_the_controller_is_asked_for_every_block() {
    let rig = Rig::adjusted(|config: &mut Config| {
        config.lookup = Lookup::Controller;
        config.credits = 16;
    });
    bursts_of_many_clients(&rig);
    rig.stop();
}

/// All chunked bodies are whole before they ask for a block, so here many wait for one at once.
fn chunked_bodies_wait_for_blocks_in_order_too() {
    let rig = Rig::adjusted(|config: &mut Config| config.pool_targets = [0; 8]);
    let mut client = rig.client();
    let mut wire = Vec::new();
    let bodies: Vec<_> = (0..10).map(|seed| body(7_000, seed)).collect();
    for bytes in &bodies {
        let path = format!("/{}", name(bytes));
        wire.extend_from_slice(b"PUT /block HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
        wire.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        wire.extend_from_slice(bytes);
        wire.extend_from_slice(b"\r\n0\r\n\r\n");
        wire.extend_from_slice(format!("HEAD {path} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes());
    }
    client.send(&wire).expect("sent");
    for bytes in &bodies {
        let put = client.reply("PUT").expect("an answer");
        assert_eq!((put.status, put.text()), (200, name(bytes).as_str()));
        assert_eq!(client.reply("HEAD").expect("an answer").status, 200);
    }
    rig.settled();
    rig.stop();
}

fn a_store_that_closes_under_its_port_is_503_and_the_port_still_drains() {
    let rig = Rig::start();
    let bytes = body(5_000, 1);
    assert_eq!(rig.call("PUT", "/block", Some(&bytes)).status, 200);
    rig.store().close().expect("the store closes");
    until("both workers to have seen it", || {
        let replies: Vec<_> = (0..8).map(|_| rig.call("PUT", "/block", Some(&bytes))).collect();
        replies.iter().all(|reply| {
            assert!([200, 503].contains(&reply.status), "{reply:?}");
            reply.status == 503 && reply.text().trim_end().lines().count() == 1
        })
    });
    rig.stop();
}

crate::port_rig::on_both_backends! {
    dependent_pipelines_are_right_without_pools_and_with_few_credits,
    dependent_pipelines_are_right_when_the_controller_is_asked_for_every_block,
    chunked_bodies_wait_for_blocks_in_order_too,
    a_store_that_closes_under_its_port_is_503_and_the_port_still_drains,
}
