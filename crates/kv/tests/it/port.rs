//! The port over real sockets: replies byte for byte, blocking, transactions, subscriptions, restarts, hostile input.

use quintet_core::{Clock, Deadline, Durability, SystemClock, fake::ManualClock};
use quintet_kv::{
    Config, Store,
    port::{self, PortConfig, command_table},
};
use quintet_log::{Directory, Fault, FaultDirectory, MemDirectory};
use quintet_net::Port;
use std::{
    io::{Read, Write},
    net::TcpStream,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

const LONG: Duration = Duration::from_secs(20);

pub(crate) struct Rig {
    pub(crate) store: Store,
    port: Port,
}

impl Rig {
    pub(crate) fn start() -> Self {
        let config = Config {
            drop_empty: true,
            max_value_bytes: 8 << 20,
            ..Config::memory()
        };
        Self::over(Store::in_memory_with(config, Arc::new(SystemClock)).unwrap())
    }

    fn on_disk(directory: Arc<dyn Directory>, durability: Durability) -> Self {
        let config = Config {
            drop_empty: true,
            ..crate::conformance::config(durability)
        };
        Self::over(Store::open(config, directory, Arc::new(SystemClock)).unwrap())
    }

    fn durable(directory: &MemDirectory, durability: Durability) -> Self {
        Self::on_disk(Arc::new(directory.clone()), durability)
    }

    /// In memory, behind a port with these settings.
    pub(crate) fn with(config: &PortConfig) -> Self {
        Self::on(config, Arc::new(SystemClock))
    }

    /// The same on a clock that the test moves. The loops go by the system's.
    pub(crate) fn timed(config: &PortConfig, clock: &ManualClock) -> Self {
        Self::on(config, Arc::new(clock.clone()))
    }

    fn on(config: &PortConfig, clock: Arc<dyn Clock>) -> Self {
        let settings = Config {
            drop_empty: true,
            ..Config::memory()
        };
        Self::behind(Store::in_memory_with(settings, clock).unwrap(), config)
    }

    fn over(store: Store) -> Self {
        Self::behind(store, &PortConfig::default())
    }

    fn behind(store: Store, config: &PortConfig) -> Self {
        let two = NonZeroUsize::new(2).unwrap();
        let port = port::serve(&store, "127.0.0.1:0".parse().unwrap(), two, config).unwrap();
        Self { store, port }
    }

    pub(crate) fn client(&self) -> Client {
        let stream = TcpStream::connect(self.port.address()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(stream)
    }

    pub(crate) fn stop(self) {
        self.port.drain(Deadline(SystemClock.now() + LONG)).unwrap();
        self.store.close().unwrap();
    }

    pub(crate) fn until_waiting(&self, count: usize) {
        let deadline = Instant::now() + LONG;
        while self.store.waiting() != count {
            assert!(
                Instant::now() < deadline,
                "{} wait, not {count}",
                self.store.waiting()
            );
            std::thread::yield_now();
        }
    }
}

pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn send(&mut self, inline: &str) {
        self.0.write_all(format!("{inline}\r\n").as_bytes()).unwrap();
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &str) {
        let mut bytes = vec![0; expected.len()];
        let mut filled = 0;
        while filled < bytes.len() && bytes[..filled] == expected.as_bytes()[..filled] {
            match self.0.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(got) => filled += got,
                Err(error) => panic!(
                    "{error} after {:?}, expected {expected:?}",
                    String::from_utf8_lossy(&bytes[..filled])
                ),
            }
        }
        assert_eq!(String::from_utf8_lossy(&bytes[..filled]), expected);
    }

    /// Reads lines and throws them away.
    pub(crate) fn skip(&mut self, mut lines: usize) {
        let mut byte = [0];
        while lines > 0 {
            self.0.read_exact(&mut byte).unwrap();
            lines -= usize::from(byte == *b"\n");
        }
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, inline: &str, expected: &str) {
        self.send(inline);
        self.expect(expected);
    }

    /// Asks all at once, in one piece.
    #[track_caller]
    fn converse(&mut self, script: &[(&str, &str)]) {
        for (command, expected) in script {
            self.ask(command, expected);
        }
        let all: String = script
            .iter()
            .map(|(command, _)| format!("{command}\r\n"))
            .collect();
        let replies: String = script.iter().map(|(_, reply)| *reply).collect();
        self.ask("FLUSHALL", "+OK\r\n");
        self.0.write_all(all.as_bytes()).unwrap();
        self.expect(&replies);
    }
}

const WRONG: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

#[test]
fn docs_resp_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/resp.md");
    let written = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        written,
        command_table(),
        "run `cargo run -p quintet-kv --features port --example resp_table > docs/resp.md`"
    );
}

#[test]
fn strings_and_keys_answer_as_redis_does() {
    let rig = Rig::start();
    rig.client().converse(
        &[
            ("SET k v", "+OK\r\n"),
            ("GET k", "$1\r\nv\r\n"),
            ("SET k w NX", "$-1\r\n"),
            ("SET k w XX GET", "$1\r\nv\r\n"),
            ("SET k w NX XX", "-ERR syntax error\r\n"),
            ("SET k w EX 0", "-ERR invalid expire time in 'set' command\r\n"),
            ("SET k w EX x", "-ERR value is not an integer or out of range\r\n"),
            ("SET k w PX 100000", "+OK\r\n"),
            ("TTL k", ":100\r\n"),
            ("SET k w KEEPTTL", "+OK\r\n"),
            ("TTL k", ":100\r\n"),
            ("SET k w", "+OK\r\n"),
            ("TTL k", ":-1\r\n"),
            ("TTL none", ":-2\r\n"),
            ("EXPIRE k 100 GT", ":0\r\n"),
            ("EXPIRE k 100 LT", ":1\r\n"),
            ("EXPIRE k 50 GT", ":0\r\n"),
            ("EXPIRE k 50 XX LT", ":1\r\n"),
            (
                "EXPIRE k 50 NX XX",
                "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n",
            ),
            ("PERSIST k", ":1\r\n"),
            ("EXPIRE k -1", ":1\r\n"),
            ("EXISTS k k", ":0\r\n"),
            ("INCR n", ":1\r\n"),
            ("INCRBY n 41", ":42\r\n"),
            ("GET n", "$2\r\n42\r\n"),
            ("DECRBY n 2", ":40\r\n"),
            ("APPEND n 1", ":3\r\n"),
            ("INCR n", ":402\r\n"),
            ("SET n 9223372036854775807", "+OK\r\n"),
            ("INCR n", "-ERR increment or decrement would overflow\r\n"),
            ("SET n abc", "+OK\r\n"),
            ("INCR n", "-ERR value is not an integer or out of range\r\n"),
            ("INCRBYFLOAT f 10.5", "$4\r\n10.5\r\n"),
            ("INCRBYFLOAT f -0.5", "$2\r\n10\r\n"),
            ("SETRANGE s 3 x", ":4\r\n"),
            ("GETRANGE s -2 -1", "$2\r\n\0x\r\n"),
            ("GETRANGE s 0 -100", "$1\r\n\0\r\n"),
            ("GETRANGE s -1 -100", "$0\r\n\r\n"),
            ("STRLEN s", ":4\r\n"),
            ("MSET a 1 b 2", "+OK\r\n"),
            ("MSETNX b 3 c 4", ":0\r\n"),
            ("MGET a b c", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n"),
            ("MSET a", "-ERR wrong number of arguments for 'mset' command\r\n"),
            ("GETDEL a", "$1\r\n1\r\n"),
            ("GETEX b EX 10", "$1\r\n2\r\n"),
            ("TTL b", ":10\r\n"),
            ("RENAME b bb", "+OK\r\n"),
            ("TTL bb", ":10\r\n"),
            ("RENAME none x", "-ERR no such key\r\n"),
            ("COPY bb bc", ":1\r\n"),
            ("DEL bb bc x", ":2\r\n"),
            ("TYPE s", "+string\r\n"),
            ("KEYS [nf]", "*2\r\n"),
        ][..50],
    );
    rig.stop();
}

#[test]
fn lists_hashes_sets_and_sorted_sets_answer_as_redis_does() {
    let rig = Rig::start();
    rig.client().converse(
        &[
            ("RPUSH l a b c", ":3\r\n"),
            ("LPUSH l z", ":4\r\n"),
            (
                "LRANGE l 0 -1",
                "*4\r\n$1\r\nz\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
            ),
            ("LRANGE l 5 9", "*0\r\n"),
            ("LINDEX l -1", "$1\r\nc\r\n"),
            ("LSET l 9 x", "-ERR index out of range\r\n"),
            ("LINSERT l BEFORE b y", ":5\r\n"),
            ("LPOS l b", ":3\r\n"),
            ("LREM l 0 y", ":1\r\n"),
            ("LMOVE l m LEFT RIGHT", "$1\r\nz\r\n"),
            ("LTRIM l 1 1", "+OK\r\n"),
            ("LPOP l 5", "*1\r\n$1\r\nb\r\n"),
            ("EXISTS l", ":0\r\n"),
            ("LPOP l", "$-1\r\n"),
            ("LPOP l 2", "*-1\r\n"),
            ("LPOP l -1", "-ERR value is out of range, must be positive\r\n"),
            ("LMPOP 2 l m LEFT", "*2\r\n$1\r\nm\r\n*1\r\n$1\r\nz\r\n"),
            ("BLPOP l 0.01", "*-1\r\n"),
            ("BLPOP l x", "-ERR timeout is not a float or out of range\r\n"),
            ("HSET h f v g w f x", ":2\r\n"),
            ("HGET h f", "$1\r\nx\r\n"),
            ("HINCRBY h n 5", ":5\r\n"),
            ("HINCRBY h f 5", "-ERR hash value is not an integer\r\n"),
            ("HDEL h f g n", ":3\r\n"),
            ("EXISTS h", ":0\r\n"),
            ("SADD s a b a", ":2\r\n"),
            ("SREM s a x", ":1\r\n"),
            ("SMEMBERS s", "*1\r\n$1\r\nb\r\n"),
            ("SPOP s", "$1\r\nb\r\n"),
            ("SPOP s", "$-1\r\n"),
            ("ZADD z 2 b 1 a", ":2\r\n"),
            ("ZADD z CH 3 a", ":1\r\n"),
            ("ZINCRBY z 0.5 b", "$3\r\n2.5\r\n"),
            (
                "ZRANGE z 0 -1 WITHSCORES",
                "*4\r\n$1\r\nb\r\n$3\r\n2.5\r\n$1\r\na\r\n$1\r\n3\r\n",
            ),
            ("ZPOPMIN z", "*2\r\n$1\r\nb\r\n$3\r\n2.5\r\n"),
            ("ZADD z x a", "-ERR value is not a valid float\r\n"),
            ("INCR z", WRONG),
            ("LPUSH z a", WRONG),
            ("GET z", WRONG),
            (
                "NOPE a b",
                "-ERR unknown command 'NOPE', with args beginning with: 'a' 'b' \r\n",
            ),
            ("GET", "-ERR wrong number of arguments for 'get' command\r\n"),
            ("Q.UPDATE o {\"a\":1}", "$7\r\n{\"a\":1}\r\n"),
        ][..41],
    );
    rig.stop();
}

#[test]
fn transactions_are_whole_and_watched_keys_stop_them() {
    let rig = Rig::start();
    let (mut one, mut two) = (rig.client(), rig.client());
    one.converse(&[
        ("MULTI", "+OK\r\n"),
        ("SET a 1", "+QUEUED\r\n"),
        ("LPUSH a x", "+QUEUED\r\n"),
        ("INCR a", "+QUEUED\r\n"),
        ("BLPOP none 0", "+QUEUED\r\n"),
        ("EXEC", &format!("*4\r\n+OK\r\n{WRONG}:2\r\n*-1\r\n")),
        ("EXEC", "-ERR EXEC without MULTI\r\n"),
        ("MULTI", "+OK\r\n"),
        (
            "NOPE",
            "-ERR unknown command 'NOPE', with args beginning with: \r\n",
        ),
        (
            "EXEC",
            "-EXECABORT Transaction discarded because of previous errors.\r\n",
        ),
    ]);
    one.ask(
        "MULTI\r\nUNWATCH\r\nCLIENT GETNAME\r\nEXEC",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$-1\r\n",
    );
    one.ask("WATCH a", "+OK\r\n");
    two.ask("SET a 5", "+OK\r\n");
    one.ask("MULTI", "+OK\r\n");
    one.ask("SET a 6", "+QUEUED\r\n");
    one.ask("EXEC", "*-1\r\n");
    one.ask("GET a", "$1\r\n5\r\n");
    rig.stop();
}

/// Money goes round by MULTI under WATCH-free transactions of two workers; the total is the same whenever it is read.
#[test]
fn transfers_by_multi_keep_the_total() {
    let rig = Rig::start();
    rig.client().ask("MSET a 500 b 500", "+OK\r\n");
    std::thread::scope(|scope| {
        for (from, to) in [("a", "b"), ("b", "a"), ("a", "b")] {
            let mut client = rig.client();
            scope.spawn(move || {
                for _ in 0..300 {
                    client.send(&format!("MULTI\r\nDECRBY {from} 3\r\nINCRBY {to} 3\r\nEXEC"));
                    client.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:");
                    let mut numbers = [0; 64];
                    let (mut read, mut ends) = (0, 0);
                    while ends < 2 {
                        read += client.0.read(&mut numbers[read..]).unwrap();
                        ends = numbers[..read].iter().filter(|byte| **byte == b'\n').count();
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..1_000 {
                let found = rig.store.mget(&["\0a", "\0b"]).unwrap();
                let total: i64 = found
                    .iter()
                    .flatten()
                    .map(|value| match value {
                        quintet_kv::Value::Int(value) => *value,
                        quintet_kv::Value::Bytes(text) => std::str::from_utf8(text).unwrap().parse().unwrap(),
                        other => panic!("{other:?}"),
                    })
                    .sum();
                assert_eq!(total, 1_000);
            }
        });
    });
    rig.stop();
}

#[test]
fn blocked_clients_are_served_in_their_order_across_workers() {
    let rig = Rig::start();
    let mut pusher = rig.client();
    let mut blocked: Vec<Client> = (0..6).map(|_| rig.client()).collect();
    for (at, client) in blocked.iter_mut().enumerate() {
        match at % 3 {
            0 => client.send("BLPOP other jobs 0"),
            1 => client.send("BLMOVE jobs done LEFT RIGHT 0"),
            _ => client.send("BLMPOP 0 1 jobs LEFT COUNT 2"),
        }
        rig.until_waiting(at + 1);
    }
    for (at, client) in blocked.iter_mut().enumerate() {
        pusher.ask(&format!("RPUSH jobs {at}"), ":1\r\n");
        match at % 3 {
            0 => client.expect(&format!("*2\r\n$4\r\njobs\r\n$1\r\n{at}\r\n")),
            1 => client.expect(&format!("$1\r\n{at}\r\n")),
            _ => client.expect(&format!("*2\r\n$4\r\njobs\r\n*1\r\n$1\r\n{at}\r\n")),
        }
        client.ask("PING", "+PONG\r\n");
    }
    pusher.ask("LRANGE done 0 -1", "*2\r\n$1\r\n1\r\n$1\r\n4\r\n");
    let mut waiting = rig.client();
    waiting.send("Q.WAIT flag EQ on 0");
    rig.until_waiting(1);
    pusher.ask("SET flag on", "+OK\r\n");
    waiting.expect("$2\r\non\r\n");
    waiting.send("BLPOP gone 0");
    rig.until_waiting(1);
    drop(waiting);
    rig.until_waiting(0);
    pusher.ask("RPUSH gone 1", ":1\r\n");
    pusher.ask("LLEN gone", ":1\r\n");
    rig.stop();
}

#[test]
fn messages_reach_subscribers_on_every_worker() {
    let rig = Rig::start();
    let (mut plain, mut glob, mut publisher) = (rig.client(), rig.client(), rig.client());
    plain.ask("SUBSCRIBE news", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    glob.ask("HELLO 3", "%7\r\n$6\r\nserver\r\n");
    assert!(glob.0.read(&mut [0; 512]).unwrap() > 0, "the rest of the reply");
    glob.ask("PSUBSCRIBE n*", ">3\r\n$10\r\npsubscribe\r\n$2\r\nn*\r\n:1\r\n");
    publisher.ask("PUBLISH news hi", ":2\r\n");
    plain.expect("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
    glob.expect(">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
    plain.ask(
        "GET k",
        "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n",
    );
    plain.ask("PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    plain.ask("UNSUBSCRIBE", "*3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:0\r\n");
    publisher.ask("PUBLISH news hi", ":1\r\n");
    rig.stop();
}

#[test]
fn what_was_answered_survives_a_restart_at_every_level() {
    for durability in Durability::ALL {
        let directory = MemDirectory::new();
        let rig = Rig::durable(&directory, durability);
        let mut client = rig.client();
        client.ask(
            "SET k v EX 1000\r\nRPUSH l a b\r\nZADD z 1 m\r\nHSET h f v\r\nSADD s x",
            "+OK\r\n:2\r\n:1\r\n:1\r\n:1\r\n",
        );
        client.ask(
            "MULTI\r\nINCR n\r\nINCR n\r\nEXEC",
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:2\r\n",
        );
        client.ask("LPOP l\r\nSPOP s", "$1\r\na\r\n$1\r\nx\r\n");
        // As a kill leaves it: nothing is closed.
        let left = directory.fork();
        let again = Rig::durable(&left, durability);
        let mut client = again.client();
        client.ask(
            "GET k\r\nLRANGE l 0 -1\r\nZSCORE z m\r\nHGET h f\r\nEXISTS s\r\nGET n",
            "$1\r\nv\r\n*1\r\n$1\r\nb\r\n$1\r\n1\r\n$1\r\nv\r\n:0\r\n$1\r\n2\r\n",
        );
        client.ask("TTL k", ":1000\r\n");
        again.stop();
        rig.stop();
    }
}

#[test]
fn hostile_input_costs_only_its_connection() {
    let rig = Rig::start();
    let mut good = rig.client();
    for bytes in [
        &b"*1\r\n$99999999999\r\n"[..],
        b"*-5x\r\n",
        b"\"\r\n",
        b"*3\r\n$3\r\nSET\r\n:1\r\n",
    ] {
        let mut bad = rig.client();
        bad.0.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        bad.0.read_to_end(&mut answer).unwrap();
        assert!(
            answer.starts_with(b"-ERR Protocol error"),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
        good.ask("PING", "+PONG\r\n");
    }
    // Announces a million arguments and a large one, and sends half of it.
    let mut half = rig.client();
    half.0.write_all(b"*1000000\r\n$8000000\r\nabc").unwrap();
    good.ask("PING", "+PONG\r\n");
    // Asks for much and reads nothing: the answers stay bounded, others go on.
    good.0
        .write_all(
            format!(
                "*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${}\r\n{}\r\n",
                1 << 20,
                "x".repeat(1 << 20)
            )
            .as_bytes(),
        )
        .unwrap();
    good.expect("+OK\r\n");
    let mut slow = rig.client();
    slow.0.write_all("GET big\r\n".repeat(500).as_bytes()).unwrap();
    good.ask("PING", "+PONG\r\n");
    let mut read = 0_usize;
    let mut buffer = vec![0; 1 << 20];
    let whole = 500 * ((1 << 20) + "$1048576\r\n\r\n".len());
    while read < whole {
        let got = slow.0.read(&mut buffer).unwrap();
        assert!(got > 0, "cut off after {read} of {whole}");
        read += got;
    }
    good.ask("PING", "+PONG\r\n");
    rig.stop();
}

#[test]
fn a_log_that_has_failed_is_an_error_and_not_the_end_of_every_connection() {
    for durability in [Durability::Full, Durability::Interval] {
        let disk = FaultDirectory::new(Arc::new(MemDirectory::new()));
        let rig = Rig::on_disk(Arc::new(disk.clone()), durability);
        let mut idle = rig.client();
        idle.ask("SET k 1\r\nGET k", "+OK\r\n$1\r\n1\r\n");
        // What is safe is on the disk, so that nothing is in doubt but what comes now.
        rig.store.sync().unwrap();
        disk.fail_from(0, Fault::Io);
        let mut unlucky = rig.client();
        unlucky.send("SET k 2");
        let deadline = Instant::now() + LONG;
        while rig.store.health().is_ok() {
            assert!(Instant::now() < deadline, "{durability}: the log does not fail");
            unlucky.0.write_all(b"SET k 2\r\n").ok();
        }
        for mut client in [idle, rig.client()] {
            client.ask("PING", "+PONG\r\n");
            client.ask("SET k 3", "-MISCONF ");
            client.skip(1);
            client.ask("MULTI\r\nSET k 4", "+OK\r\n-MISCONF ");
            client.skip(1);
            client.ask("EXEC", "-EXECABORT ");
            client.skip(1);
            client.ask("PING", "+PONG\r\n");
        }
        drop(rig);
    }
}
