//! WATCH: what counts as a change between WATCH and EXEC, and that nothing is left of a watch that has ended.

use crate::port::Rig;

#[track_caller]
fn watched(rig: &Rig, before: &str, meanwhile: &str, done: bool) {
    let (mut one, mut two) = (rig.client(), rig.client());
    two.ask("FLUSHALL", "+OK\r\n");
    if !before.is_empty() {
        two.send(before);
        two.skip(before.matches("\r\n").count() + 1);
    }
    one.ask("WATCH k j", "+OK\r\n");
    if !meanwhile.is_empty() {
        two.send(meanwhile);
        two.skip(meanwhile.matches("\r\n").count() + 1);
    }
    let answer = if done { "*1\r\n+PONG\r\n" } else { "*-1\r\n" };
    one.ask("MULTI\r\nPING\r\nEXEC", &format!("+OK\r\n+QUEUED\r\n{answer}"));
}

#[test]
fn every_change_between_watch_and_exec_counts() {
    let rig = Rig::start();
    for (before, meanwhile, done) in [
        ("", "", true),
        ("SET k 1", "GET k", true),
        ("SET k 1", "SET other 1", true),
        ("SET k 1", "SET k 1", false),
        ("", "SET j 1", false),
        // Created and removed again: as it was, and yet touched.
        ("", "SET k 1\r\nDEL k", false),
        ("", "LPUSH k 1\r\nLPOP k", false),
        ("SET k 1", "RENAME k x\r\nRENAME x k", false),
        ("SET k 1", "DEL k\r\nSET k 1", false),
        ("", "DEL k", true),
        ("", "FLUSHALL", true),
        ("SET k 1", "FLUSHALL", false),
        ("SET k 1", "MULTI\r\nSET k 2\r\nDISCARD", true),
        ("SET k 1", "MULTI\r\nSET k 2\r\nEXEC", false),
        ("SET k 1", "MULTI\r\nLPUSH k 2\r\nEXEC", true),
        ("SET k 1", "PEXPIRE k 1\r\nPING", false),
        ("SET k 1", "SELECT 1\r\nSET k 2\r\nSELECT 0", true),
    ] {
        watched(&rig, before, meanwhile, done);
    }
    rig.stop();
}

#[test]
fn a_watch_ends_with_exec_discard_unwatch_reset_and_its_connection() {
    let rig = Rig::start();
    let mut other = rig.client();
    for end in ["MULTI\r\nEXEC", "MULTI\r\nDISCARD", "UNWATCH", "RESET"] {
        let mut client = rig.client();
        client.ask("WATCH k", "+OK\r\n");
        client.send(end);
        client.skip(end.matches("\r\n").count() + 1);
        other.ask("SET k 1", "+OK\r\n");
        client.ask("MULTI\r\nPING\r\nEXEC", "+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n");
    }
    let mut client = rig.client();
    client.ask("WATCH k", "+OK\r\n");
    drop(client);
    other.ask("SET k 2", "+OK\r\n");
    rig.stop();
}

#[test]
fn select_and_scan_work_inside_a_transaction() {
    let rig = Rig::start();
    let mut client = rig.client();
    client.ask(
        "MULTI\r\nSET k 0\r\nSELECT 3\r\nSET k 3\r\nSCAN 0\r\nKEYS *\r\nDBSIZE\r\nEXEC",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n\
         *6\r\n+OK\r\n+OK\r\n+OK\r\n*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n*1\r\n$1\r\nk\r\n:1\r\n",
    );
    client.ask("GET k\r\nSELECT 0\r\nGET k", "$1\r\n3\r\n+OK\r\n$1\r\n0\r\n");
    client.ask(
        "COPY k c DB 5\r\nSELECT 5\r\nGET c\r\nDBSIZE",
        ":1\r\n+OK\r\n$1\r\n0\r\n:1\r\n",
    );
    rig.stop();
}
