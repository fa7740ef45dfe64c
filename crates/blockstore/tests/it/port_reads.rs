//! Reading over the port: parts, entity tags, what is sent while its block is deleted, readers that stall, counters.

use crate::client::{Client, Reply};
use crate::port_rig::{Rig, body, name, until};
use quintet_blockstore::{Config, Verify};
use std::fs::File;

fn get(rig: &Rig, path: &str, headers: &str) -> Reply {
    ask(rig, "GET", path, headers)
}

fn ask(rig: &Rig, method: &str, path: &str, headers: &str) -> Reply {
    let mut client = rig.client();
    client.request(method, path, headers, None).expect("sent");
    client.reply(method).expect("an answer")
}

fn every_kind_of_range(rig: &Rig) {
    for len in [1, 100, 4096, 4097, 70_000, 524_288] {
        let bytes = body(len, 3);
        assert_eq!(rig.call("PUT", "/block", Some(&bytes)).status, 200);
        let path = format!("/block/{}", name(&bytes));
        let middle = len / 2;
        for (range, part) in [
            ("bytes=0-0".to_owned(), 0..1),
            (format!("bytes={middle}-"), middle..len),
            (format!("bytes={middle}-{}", len + 9), middle..len),
            ("bytes=-1".to_owned(), len - 1..len),
            ("bytes=-9999999".to_owned(), 0..len),
        ] {
            let reply = get(rig, &path, &format!("Range: {range}\r\n"));
            assert_eq!(reply.status, 206, "{range} of {len}");
            let expected = format!("bytes {}-{}/{len}", part.start, part.end - 1);
            assert_eq!(reply.header("content-range"), Some(expected.as_str()));
            assert!(reply.body == bytes[part], "{range} of {len}");
        }
        for range in [format!("bytes={len}-"), "bytes=-0".to_owned()] {
            let reply = get(rig, &path, &format!("Range: {range}\r\n"));
            assert_eq!(reply.status, 416, "{range} of {len}");
            assert_eq!(
                reply.header("content-range"),
                Some(format!("bytes */{len}").as_str())
            );
            assert_eq!(reply.text().trim_end().lines().count(), 1);
        }
        for ignored in ["bytes=0-0,2-3", "lines=1-2", "bytes=3-1"] {
            let reply = get(rig, &path, &format!("Range: {ignored}\r\n"));
            assert!(reply.status == 200 && reply.body == bytes, "{ignored}");
        }
    }
}

fn parts_are_206_and_what_is_not_there_416() {
    let rig = Rig::start();
    every_kind_of_range(&rig);
    rig.stop();
}

fn a_store_that_is_not_mapped_answers_alike() {
    let rig = Rig::adjusted(|config: &mut Config| config.map_data = false);
    every_kind_of_range(&rig);
    rig.stop();
}

fn a_store_that_checks_every_read_answers_alike_and_sends_no_damage() {
    let rig = Rig::adjusted(|config: &mut Config| config.verify = Verify::Always);
    every_kind_of_range(&rig);
    let bytes = body(30_000, 5);
    assert_eq!(rig.call("PUT", "/block", Some(&bytes)).status, 200);
    let data = rig.data_file();
    let file = std::fs::read(&data).unwrap();
    let at = file
        .windows(bytes.len())
        .position(|window| window == bytes)
        .unwrap() as u64;
    let file = std::fs::File::options().write(true).open(&data).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[!bytes[29_999]], at + 29_999).unwrap();
    let path = format!("/block/{}", name(&bytes));
    for range in ["", "Range: bytes=0-9\r\n"] {
        let refused = get(&rig, &path, range);
        assert_eq!(refused.status, 500, "{range}");
        assert!(refused.text().contains("does not hash"), "{}", refused.text());
    }
    rig.stop();
}

fn the_entity_tag_is_the_quoted_name_and_spares_the_body() {
    let rig = Rig::start();
    let bytes = body(9_000, 1);
    assert_eq!(rig.call("PUT", "/block", Some(&bytes)).status, 200);
    let path = format!("/{}", name(&bytes));
    let tag = format!("\"{}\"", name(&bytes));
    for method in ["GET", "HEAD"] {
        let plain = ask(&rig, method, &path, "");
        assert_eq!(plain.status, 200);
        assert_eq!(plain.header("etag"), Some(tag.as_str()));
        assert_eq!(plain.header("accept-ranges"), Some("bytes"));
        assert_eq!(plain.header("content-length"), Some("9000"), "{method}");
        for list in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let reply = ask(&rig, method, &path, &format!("If-None-Match: {list}\r\n"));
            assert_eq!((reply.status, reply.body.len()), (304, 0), "{method} {list}");
            assert_eq!(reply.header("etag"), Some(tag.as_str()));
        }
        let other = ask(&rig, method, &path, "If-None-Match: \"x\"\r\n");
        assert_eq!(other.status, 200);
    }
    let head = ask(&rig, "HEAD", &path, "Range: bytes=1-2\r\n");
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("9000")),
        "parts are for GET"
    );
    let same = get(&rig, &path, &format!("Range: bytes=1-2\r\nIf-Range: {tag}\r\n"));
    assert!(same.status == 206 && same.body == bytes[1..3]);
    let other = get(&rig, &path, "Range: bytes=1-2\r\nIf-Range: \"other\"\r\n");
    assert!(other.status == 200 && other.body == bytes);
    let gone = format!("/{}", "0".repeat(64));
    assert_eq!(get(&rig, &gone, "If-None-Match: *\r\n").status, 404);
    rig.stop();
}

/// How many answers of half a megabyte no pair of socket buffers holds.
const BEYOND_BUFFERS: usize = 64;

/// A client that asked for the block again and again and has read nothing.
fn unread(rig: &Rig, path: &str) -> Client {
    let mut client = rig.client();
    let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n");
    client
        .send(request.repeat(BEYOND_BUFFERS).as_bytes())
        .expect("sent");
    until("the block to be on its way", || client.has_input());
    client
}

fn quarantined(rig: &Rig) -> u64 {
    rig.stats()["space"]["quarantined_blocks"]
        .as_u64()
        .expect("a number")
}

fn a_block_that_is_deleted_while_it_is_sent_arrives_whole() {
    let rig = Rig::with_capacity(32 << 20);
    let bytes = body(524_288, 1);
    assert_eq!(rig.call("PUT", "/block", Some(&bytes)).status, 200);
    let path = format!("/{}", name(&bytes));
    let mut reader = unread(&rig, &path);
    assert_eq!(rig.call("DELETE", &path, None).status, 200);
    // Everything else of the file is written, until there is no more room.
    let mut writer = rig.client();
    let filled = (2..100).find(|seed| {
        let other = body(524_288, *seed);
        writer
            .call("PUT", "/block", Some(&other))
            .expect("an answer")
            .status
            == 507
    });
    assert!(filled.is_some(), "the store holds at most 64 such blocks");
    let mut whole = 0;
    for _ in 0..BEYOND_BUFFERS {
        let reply = reader.reply("GET").expect("an answer");
        if reply.status == 404 {
            break;
        }
        assert!(reply.status == 200 && reply.body == bytes, "{whole} were right");
        whole += 1;
    }
    assert!(whole > 0);
    drop(reader);
    rig.settled();
    rig.stop();
}

fn a_reader_that_stalls_is_cut_and_gives_its_block_back() {
    let rig = Rig::impatient();
    let bytes = body(524_288, 1);
    assert_eq!(rig.call("PUT", "/block", Some(&bytes)).status, 200);
    let path = format!("/{}", name(&bytes));
    let reader = unread(&rig, &path);
    assert_eq!(rig.call("DELETE", &path, None).status, 200);
    until("the reader to be cut", || {
        let stats = rig.stats();
        let workers = stats["workers"].as_array().expect("an array").clone();
        workers.iter().any(|worker| worker["timeouts"] == 1)
    });
    // A later deletion's commit looks through the quarantine.
    until("the block to be free", || {
        let other = body(10, 7);
        assert_eq!(rig.call("PUT", "/block", Some(&other)).status, 200);
        assert_eq!(
            rig.call("DELETE", &format!("/{}", name(&other)), None).status,
            200
        );
        quarantined(&rig) <= 1
    });
    drop(reader);
    rig.stop();
}

fn a_block_that_the_disk_has_lost_is_a_typed_error_and_the_others_are_there() {
    let rig = Rig::start();
    let (first, last) = (body(5_000, 1), body(300_000, 2));
    for bytes in [&first, &last] {
        assert_eq!(rig.call("PUT", "/block", Some(bytes)).status, 200);
    }
    // Cut behind the smaller one, which is at the front of the file's first pool.
    let file = File::options()
        .write(true)
        .open(rig.data_file())
        .expect("the data file");
    let whole = file.metadata().expect("its length").len();
    file.set_len(8_192).expect("cut");
    let lost = rig.call("GET", &format!("/{}", name(&last)), None);
    assert_eq!(lost.status, 500, "{lost:?}");
    assert!(lost.text().contains("blocks.data"), "{}", lost.text());
    let kept = rig.call("GET", &format!("/{}", name(&first)), None);
    assert!(kept.status == 200 && kept.body == first);
    file.set_len(whole).expect("as long as before");
    rig.stop();
}

fn metrics_are_openmetrics_and_agree_with_stats() {
    let rig = Rig::start();
    let bytes = body(6_000, 1);
    for _ in 0..3 {
        assert_eq!(rig.call("PUT", "/block", Some(&bytes)).status, 200);
    }
    assert_eq!(
        rig.call("GET", &format!("/{}", name(&bytes)), None).body.len(),
        6_000
    );
    let reply = rig.call("GET", "/metrics", None);
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let text = reply.text();
    assert!(text.ends_with("# EOF\n"));
    let mut typed = std::collections::HashSet::new();
    for line in text.lines().filter(|line| !line.starts_with("# HELP")) {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let name = family.split(' ').next().expect("a name");
            assert!(typed.insert(name.to_owned()), "{name} is declared twice");
            continue;
        }
        if line == "# EOF" {
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').expect("a sample and its value");
        value.parse::<f64>().expect(line);
        let name = sample.split('{').next().expect("a name");
        let of = |suffix: &str| typed.contains(name.strip_suffix(suffix).unwrap_or(name));
        assert!(
            ["_total", "_bucket", "_sum", "_count"]
                .iter()
                .any(|suffix| of(suffix)),
            "{line} has no type"
        );
    }
    let sum = |name: &str| -> f64 {
        text.lines()
            .filter(|line| line.starts_with(&format!("quintet_blocks_{name}")))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    };
    assert_eq!(sum("puts_total"), 3.0);
    assert_eq!(sum("gets_total"), 1.0);
    assert_eq!(sum("named_blocks"), 1.0);
    assert!(sum("batch_messages_count") >= 1.0);
    assert_eq!(
        sum("batch_messages_bucket{le=\"+Inf\"}"),
        sum("batch_messages_count")
    );
    let depth = sum("ring_depth");
    let uring = crate::port_rig::backend() == quintet_net::Backend::Uring;
    assert_eq!(depth > 0.0, uring, "{depth} on {:?}", crate::port_rig::backend());
    rig.stop();
}

crate::port_rig::on_both_backends! {
    parts_are_206_and_what_is_not_there_416,
    a_store_that_is_not_mapped_answers_alike,
    a_store_that_checks_every_read_answers_alike_and_sends_no_damage,
    the_entity_tag_is_the_quoted_name_and_spares_the_body,
    a_block_that_is_deleted_while_it_is_sent_arrives_whole,
    a_reader_that_stalls_is_cut_and_gives_its_block_back,
    a_block_that_the_disk_has_lost_is_a_typed_error_and_the_others_are_there,
    metrics_are_openmetrics_and_agree_with_stats,
}
