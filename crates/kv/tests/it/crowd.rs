//! Ten thousand idle connections and readers that do not read: what they cost in memory is bounded, and others are served.
//!
//! Memory is that of a process, so each measurement runs in one of its own: this binary again, with a test of its own name.

use crate::port::Rig;
use std::{
    env, fs,
    io::{Read, Write},
    process::Command,
};

const CHILD: &str = "QUINTET_KV_TEST_CROWD";
const CONNECTIONS: usize = 10_000;

fn resident_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// How many files this process may have open.
fn most_files() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    line.split_whitespace()
        .nth(3)
        .unwrap()
        .parse()
        .unwrap_or(usize::MAX)
}

/// Runs a test of this binary in a process of its own.
fn alone(test: &str) {
    let status = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test}: {status}");
}

#[test]
fn ten_thousand_idle_connections_are_kept_and_cost_little() {
    alone("crowd::child_with_idle_connections");
}

#[test]
fn readers_that_do_not_read_are_owed_little() {
    alone("crowd::child_with_slow_readers");
}

/// Does nothing in an ordinary run.
#[test]
fn child_with_idle_connections() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    // Both ends are in this process.
    let count = CONNECTIONS.min(most_files() / 2 - 64);
    if count < CONNECTIONS {
        eprintln!(
            "only {count} connections: the limit on open files is {}",
            most_files()
        );
    }
    let rig = Rig::start();
    let before = resident_kib();
    let mut clients: Vec<_> = (0..count).map(|_| rig.client()).collect();
    for client in &mut clients {
        client.ask("PING", "+PONG\r\n");
    }
    let each_kib = (resident_kib() - before) as f64 / count as f64;
    assert!(each_kib < 8.0, "an idle connection costs {each_kib:.1} KiB");
    // Everybody is still served, the first and the last alike.
    for at in [0, count / 2, count - 1] {
        clients[at].ask(
            "INCR n",
            &format!(
                ":{}\r\n",
                1 + [0, count / 2, count - 1].iter().position(|x| *x == at).unwrap()
            ),
        );
    }
    drop(clients);
    rig.stop();
}

/// Does nothing in an ordinary run.
#[test]
fn child_with_slow_readers() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    const MIB: usize = 1 << 20;
    let rig = Rig::start();
    let mut good = rig.client();
    let set = format!(
        "*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${MIB}\r\n{}\r\n",
        "x".repeat(MIB)
    );
    good.0.write_all(set.as_bytes()).unwrap();
    good.expect("+OK\r\n");
    let before = resident_kib();
    // Each asks for 300 MiB and reads nothing.
    let mut slow: Vec<_> = (0..20).map(|_| rig.client()).collect();
    for client in &mut slow {
        client.0.write_all("GET big\r\n".repeat(300).as_bytes()).unwrap();
    }
    for _ in 0..200 {
        good.ask("PING", "+PONG\r\n");
    }
    let owed_kib = resident_kib().saturating_sub(before);
    assert!(
        owed_kib < 20 * 4 * 1024,
        "20 readers that do not read cost {owed_kib} KiB"
    );
    // And what they asked for comes, when they read.
    let mut head = vec![0; 10 + MIB];
    slow[7].0.read_exact(&mut head).unwrap();
    assert!(head.starts_with(b"$1048576\r\nxxx"));
    drop(slow);
    rig.stop();
}
