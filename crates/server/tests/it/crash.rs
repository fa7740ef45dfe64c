//! SIGKILL at a random moment under load, over and over: what was acknowledged is there, what was deleted stays away.
//!
//! A killed process leaves the kernel's page cache, so this proves recovery and bookkeeping, not flushing; lost and torn
//! writes are the business of the log's and the engine's crash images. Three rounds by default; `CRASH_ROUNDS` asks for
//! more, `CRASH_SEED` repeats a run's choices.

use crate::client::Client;
use crate::process::{Server, output, quintet, stdout};
use quintet_blockstore::Digest;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

const CLIENTS: u64 = 4;

/// What is known about one body. Only the client that owns the body changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// The last PUT was acknowledged.
    Stored,
    /// The last DELETE was acknowledged.
    Deleted,
    /// A request was on its way when the server died: either is right.
    Unknown,
}

type Ledger = Mutex<BTreeMap<u64, Known>>;

/// splitmix64: small, seedable, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// The body with this number: its length and bytes follow from it. A few classes, mostly small.
fn body(number: u64) -> Vec<u8> {
    let mut dice = Dice(number);
    let most = [4_096, 4_096, 16_384, 16_384, 65_536, 300_000][dice.roll(6) as usize];
    let length = 1 + dice.roll(most);
    (0..length.div_ceil(8))
        .flat_map(|_| dice.roll(u64::MAX).to_le_bytes())
        .take(length as usize)
        .collect()
}

fn path(number: u64) -> String {
    format!("/block/{}", Digest::of(&body(number)))
}

fn expect(error: &std::io::Error) {
    use std::io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof,
    };
    assert!(
        [
            BrokenPipe,
            ConnectionAborted,
            ConnectionRefused,
            ConnectionReset,
            UnexpectedEof
        ]
        .contains(&error.kind()),
        "not what a dead server looks like: {error}"
    );
}

/// PUTs and DELETEs bodies of its own until the server is gone.
fn load(address: SocketAddr, client_number: u64, ledger: &Ledger, mut dice: Dice) {
    let mut client = match Client::connect(address) {
        Ok(client) => client,
        Err(error) => return expect(&error),
    };
    loop {
        // Few enough that a body is met again: deleted, stored anew, stored twice.
        let number = dice.roll(200) * CLIENTS + client_number;
        let delete = dice.roll(3) == 0;
        let before = ledger.lock().expect("no panic").insert(number, Known::Unknown);
        let answer = if delete {
            client.call("DELETE", &path(number), None)
        } else {
            client.call("PUT", "/block", Some(&body(number)))
        };
        let known = match answer {
            Err(error) => return expect(&error),
            Ok(reply) if delete && reply.status == 200 => {
                assert_ne!(before, Some(Known::Deleted), "{number} was deleted twice");
                Known::Deleted
            }
            Ok(reply) if delete && reply.status == 404 => {
                assert_ne!(before, Some(Known::Stored), "{number} was stored and is gone");
                Known::Deleted
            }
            Ok(reply) if !delete && reply.status == 200 => Known::Stored,
            Ok(reply) => panic!("{number}: {reply:?}"),
        };
        ledger.lock().expect("no panic").insert(number, known);
    }
}

/// Compares the store with the ledger and resolves what was unknown.
fn check(address: SocketAddr, ledger: &Ledger) {
    let mut client = Client::connect(address).expect("connected");
    for (number, known) in ledger.lock().expect("no panic").iter_mut() {
        let get = client.call("GET", &path(*number), None).expect("an answer");
        match (get.status, *known) {
            (200, Known::Stored | Known::Unknown) => {
                assert!(get.body == body(*number), "{number} came back changed");
                *known = Known::Stored;
            }
            (404, Known::Deleted | Known::Unknown) => *known = Known::Deleted,
            (status, known) => panic!("body {number} is {known:?}, and GET answers {status}"),
        }
    }
}

fn fsck(data: &Path) {
    let mut command = quintet(&["fsck", "--data-dir"]);
    let run = output(command.arg(data));
    assert_eq!(
        run.status.code(),
        Some(0),
        "fsck after the kill:\n{}",
        stdout(&run)
    );
}

fn rounds(count: u64, seed: u64, durability: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let flags = [
        "--blocks-workers",
        "2",
        "--blocks-capacity",
        "512MiB",
        "--blocks-durability",
        durability,
        "--without",
        "kv,vectors,stm",
    ];
    let ledger = Ledger::default();
    let mut dice = Dice(seed);
    for round in 0..count {
        let server = Server::start_with(dir.path(), &flags, &[]);
        let address = server.blocks();
        check(address, &ledger);
        thread::scope(|scope| {
            for number in 0..CLIENTS {
                let (ledger, dice) = (&ledger, Dice(seed ^ (round << 8 | number)));
                scope.spawn(move || load(address, number, ledger, dice));
            }
            // The random moment is the point; nothing is waited for.
            let moment = Instant::now() + Duration::from_millis(100 + dice.roll(400));
            while let Some(left) = moment.checked_duration_since(Instant::now()) {
                thread::park_timeout(left);
            }
            server.kill();
        });
        fsck(dir.path());
    }
    let server = Server::start_with(dir.path(), &flags, &[]);
    check(server.blocks(), &ledger);
    let known = ledger.lock().expect("no panic");
    let stored = known.values().filter(|known| **known == Known::Stored).count();
    assert!(
        stored > 0 && stored < known.len(),
        "{stored} of {} stored: no load",
        known.len()
    );
    server.stop();
    fsck(dir.path());
}

/// How many rounds, and with which seed: another one for each test, unless it is given.
fn plan(test: u64) -> (u64, u64) {
    let seed = u64::from(std::process::id()) << 8 | test;
    (
        from_environment("CRASH_ROUNDS", 3),
        from_environment("CRASH_SEED", seed),
    )
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
}

#[test]
fn crash_sigkill_loses_nothing_acknowledged_at_full_durability() {
    let (count, seed) = plan(0);
    // Shown when the test fails.
    println!("CRASH_ROUNDS={count} CRASH_SEED={seed}");
    rounds(count, seed, "full");
}

#[test]
fn crash_sigkill_loses_nothing_acknowledged_at_relaxed_durability() {
    let (count, seed) = plan(1);
    println!("CRASH_ROUNDS={count} CRASH_SEED={seed}");
    rounds(count, seed, "relaxed");
}
