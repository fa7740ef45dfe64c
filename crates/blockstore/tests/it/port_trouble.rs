//! Clients that vanish or dawdle, a store that is full, and a server that is asked to stop.

use crate::client::Client;
use crate::port_rig::{Rig, body, name, until};
use std::time::{Duration, Instant};

fn clients_that_vanish_mid_body_leak_no_block() {
    let rig = Rig::start();
    for round in 0..60usize {
        let mut client = rig.client();
        let length = 4096 << (round % 8);
        let head = format!("PUT /block HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n");
        client.send(head.as_bytes()).expect("sent");
        client.send(&vec![1; length / 2]).expect("sent");
        client.abort();
    }
    let mut chunked = rig.client();
    chunked
        .request("PUT", "/block", "Transfer-Encoding: chunked\r\n", None)
        .expect("sent");
    chunked.send(b"5\r\nhel").expect("sent");
    chunked.abort();
    rig.settled();
    assert_eq!(rig.named_bytes(), 0);
    assert_eq!(rig.call("PUT", "/block", Some(b"alive")).status, 200);
    rig.stop();
}

fn a_client_that_leaves_before_its_answer_has_still_stored_its_block() {
    let rig = Rig::start();
    let bytes = body(10_000, 1);
    let mut client = rig.client();
    client.request("PUT", "/block", "", Some(&bytes)).expect("sent");
    drop(client);
    let path = format!("/{}", name(&bytes));
    until("the block to be there", || {
        rig.call("HEAD", &path, None).status == 200
    });
    rig.settled();
    rig.stop();
}

fn a_full_store_answers_507_and_goes_on_after_a_delete() {
    let rig = Rig::with_capacity(16 << 20);
    let mut client = rig.client();
    let mut stored = Vec::new();
    let refusal = loop {
        let bytes = body(524_288, stored.len() as u64);
        let put = client.call("PUT", "/block", Some(&bytes)).expect("an answer");
        if put.status != 200 {
            break put;
        }
        stored.push(bytes);
        assert!(stored.len() <= 32, "16 MiB hold at most 32 blocks of 512 KiB");
    };
    assert_eq!(refusal.status, 507, "{refusal:?}");
    assert_eq!(refusal.text().trim_end().lines().count(), 1, "{refusal:?}");
    assert!(stored.len() >= 16, "only {} blocks fitted", stored.len());
    for bytes in &stored {
        let get = client
            .call("GET", &format!("/{}", name(bytes)), None)
            .expect("an answer");
        assert!(get.body == *bytes);
    }
    let gone = stored.pop().expect("some were stored");
    assert_eq!(rig.call("DELETE", &format!("/{}", name(&gone)), None).status, 200);
    // The space is free again once the commit that forgot the name is durable.
    until("space for one block", || {
        client
            .call("PUT", "/block", Some(&gone))
            .expect("an answer")
            .status
            == 200
    });
    rig.settled();
    rig.stop();
}

fn a_slow_head_and_a_slow_body_are_given_up() {
    let rig = Rig::impatient();
    let started = Instant::now();
    let mut head = rig.client();
    head.send(b"PUT /block HTTP/1.1\r\nHo").expect("sent");
    let mut body = rig.client();
    body.send(b"PUT /block HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\nabc")
        .expect("sent");
    for mut client in [head, body] {
        assert_eq!(client.reply("PUT").expect("an answer").status, 408);
        assert!(client.is_closed());
    }
    assert!(started.elapsed() < Duration::from_secs(15));
    rig.settled();
    rig.stop();
}

fn uploads_that_never_end_hold_a_bounded_number_of_blocks_for_a_bounded_time() {
    let rig = Rig::with_port(|port| {
        port.uploads = 3;
        port.http.body_timeout = Duration::from_secs(3);
    });
    let head = b"PUT /block HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\nabc";
    let mut open: Vec<Client> = (0..12).map(|_| rig.client()).collect();
    for client in &mut open {
        client.send(head).expect("sent");
    }
    // Two workers with three each, wherever the connections went.
    let mut refused = 0;
    for mut client in open {
        let status = client.reply("PUT").expect("an answer").status;
        assert!([408, 503].contains(&status), "{status}");
        refused += usize::from(status == 503);
    }
    assert!(refused >= 6, "{refused}");
    rig.settled();
    assert_eq!(rig.call("PUT", "/block", Some(b"room again")).status, 200);
    rig.stop();
}

fn a_drain_finishes_what_was_begun_and_takes_nothing_new() {
    let rig = Rig::start();
    let address = rig.address();
    let bytes = body(100_000, 1);
    let mut begun = rig.client();
    let head = format!(
        "PUT /block HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    );
    begun.send(head.as_bytes()).expect("sent");
    assert_eq!(begun.reply("PUT").expect("go on").status, 100);
    let mut idle = rig.client();
    assert_eq!(idle.call("GET", "/", None).expect("an answer").status, 200);

    let stopping = rig.stop_in_background();
    assert!(idle.is_closed(), "an idle connection outlived the drain");
    until("the port to be closed", || Client::connect(address).is_err());
    begun.send(&bytes).expect("sent");
    let put = begun.reply("PUT").expect("an answer in spite of the drain");
    assert_eq!((put.status, put.text()), (200, name(&bytes).as_str()));
    assert!(begun.is_closed());

    let rig = stopping.join().expect("the drain ends").reopen();
    let get = rig.call("GET", &format!("/{}", name(&bytes)), None);
    assert!(get.status == 200 && get.body == bytes);
    rig.stop();
}

crate::port_rig::on_both_backends! {
    clients_that_vanish_mid_body_leak_no_block,
    a_client_that_leaves_before_its_answer_has_still_stored_its_block,
    a_full_store_answers_507_and_goes_on_after_a_delete,
    a_slow_head_and_a_slow_body_are_given_up,
    uploads_that_never_end_hold_a_bounded_number_of_blocks_for_a_bounded_time,
    a_drain_finishes_what_was_begun_and_takes_nothing_new,
}
