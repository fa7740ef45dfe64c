//! Walks over all keys stop nobody: they go on while a shard is locked, as far as that one.

use crate::port::Rig;
use quintet_kv::Value;
use std::sync::mpsc;

/// `select` runs its closure without locks, and so can stand still in the middle of a walk while others write.
#[test]
fn a_walk_in_the_middle_lets_everybody_write() {
    let rig = Rig::start();
    for n in 0..2_000 {
        rig.store.set(format!("\0k{n}"), n).unwrap();
    }
    let (reached, at) = mpsc::channel();
    let (go, goes) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let store = &rig.store;
        scope.spawn(move || {
            let mut first = true;
            let seen = store.count(|_, _| {
                if std::mem::take(&mut first) {
                    reached.send(()).unwrap();
                    goes.recv().unwrap();
                }
                true
            });
            assert_eq!(seen.unwrap(), 2_000);
        });
        at.recv().unwrap();
        for n in 0..2_000 {
            rig.store.set(format!("\0k{n}"), -n).unwrap();
        }
        go.send(()).unwrap();
    });
    assert_eq!(rig.store.get("\0k7").unwrap(), Some(Value::Int(-7)));
    rig.stop();
}

/// DBSIZE is a sum of counters: exact through inserts, removals, overwrites and other databases.
#[test]
fn dbsize_counts_each_database() {
    let rig = Rig::start();
    let mut client = rig.client();
    for n in 0..300 {
        client.ask(&format!("SET k{n} v"), "+OK\r\n");
        client.ask(&format!("SET k{n} w"), "+OK\r\n");
    }
    client.ask("DBSIZE", ":300\r\n");
    client.ask("DEL k1 k2 nope", ":2\r\n");
    client.ask("SELECT 15\r\nSET a 1\r\nDBSIZE", "+OK\r\n+OK\r\n:1\r\n");
    client.ask("SELECT 0\r\nDBSIZE", "+OK\r\n:298\r\n");
    client.ask(
        "MULTI\r\nSET k1 v\r\nLPUSH k1 v\r\nDEL k3\r\nEXEC\r\nDBSIZE",
        &format!(
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n-WRONGTYPE {}\r\n:1\r\n:298\r\n",
            "Operation against a key holding the wrong kind of value"
        ),
    );
    client.ask("RANDOMKEY", "$");
    client.skip(2);
    client.ask("SELECT 15\r\nRANDOMKEY", "+OK\r\n$1\r\na\r\n");
    client.ask("SELECT 14\r\nRANDOMKEY\r\nDBSIZE", "+OK\r\n$-1\r\n:0\r\n");
    client.ask("FLUSHALL\r\nSELECT 0\r\nDBSIZE", "+OK\r\n+OK\r\n:0\r\n");
    rig.stop();
}
