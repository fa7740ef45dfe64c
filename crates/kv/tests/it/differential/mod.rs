//! Random command sequences, sent to the port and to a real redis-server: the replies and error texts must be the same.
//!
//! Skipped, in so many words, where there is no `redis-server` on the PATH. `KV_DIFFERENTIAL_SEEDS=1000` tries more, and
//! `KV_DIFFERENTIAL_SEED=n` repeats one. A difference prints the seed and every command that came before it.

mod client;
mod commands;

use crate::port::Rig;
use client::{Client, Reply};
use commands::{Order, Random};
use std::{
    env,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const LONG: Duration = Duration::from_secs(20);
const COMMANDS: usize = 120;
const SEEDS: u64 = 15;

/// A redis-server on a socket of its own.
struct Redis {
    child: Child,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Redis {
    /// `None` = there is none on this machine.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("redis.sock");
        let started = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn();
        let child = started.ok()?;
        let redis = Self {
            child,
            socket,
            _folder: folder,
        };
        let deadline = Instant::now() + LONG;
        while UnixStream::connect(&redis.socket).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not listen");
            std::thread::yield_now();
        }
        Some(redis)
    }

    fn client(&self) -> Client<UnixStream> {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Client::new(stream)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Whether two replies to a command are the same as far as Redis promises.
fn agree(order: Order, ours: &Reply, theirs: &Reply) -> bool {
    match order {
        Order::Fixed => ours == theirs,
        Order::Any => ours.sorted() == theirs.sorted(),
        Order::Pairs => ours.sorted_pairs() == theirs.sorted_pairs(),
        Order::Near => match (ours, theirs) {
            (Reply::Int(ours), Reply::Int(theirs)) => (ours - theirs).abs() <= 2_000,
            _ => ours == theirs,
        },
    }
}

fn shown(command: &[Vec<u8>]) -> String {
    let words = command.iter().map(|word| format!("\"{}\"", word.escape_ascii()));
    words.collect::<Vec<_>>().join(" ")
}

fn compare(rig: &Rig, redis: &Redis, seed: u64, resp3: bool) -> Result<(), String> {
    let (mut ours, mut theirs) = (Client::new(rig.client().0), redis.client());
    let mut random = Random(seed);
    let mut history = Vec::new();
    let words = |text: &str| {
        text.split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect::<Vec<_>>()
    };
    for setup in ["FLUSHALL", if resp3 { "HELLO 3" } else { "PING" }] {
        let setup = words(setup);
        ours.ask(&setup).unwrap();
        theirs.ask(&setup).unwrap();
    }
    let mut in_multi = false;
    for _ in 0..COMMANDS {
        let (command, mut order) = commands::next(&mut random);
        history.push(shown(&command));
        let answer = |who: &str, reply: std::io::Result<Reply>| {
            reply.map_err(|error| {
                format!(
                    "seed {seed}, RESP3 {resp3}: {who}: {error}\n{}",
                    history.join("\n")
                )
            })
        };
        let our = answer("we do not answer", ours.ask(&command))?;
        let their = answer("redis-server does not answer", theirs.ask(&command))?;
        let name = command[0].to_ascii_uppercase();
        if in_multi && name == b"EXEC" {
            order = Order::Any;
        }
        in_multi = matches!(&name[..], b"MULTI") || in_multi && !matches!(&name[..], b"EXEC" | b"DISCARD");
        if !agree(order, &our, &their) {
            let protocol = if resp3 { 3 } else { 2 };
            return Err(format!(
                "seed {seed}, RESP{protocol}\n{}\n  ours:   {our:?}\n  theirs: {their:?}",
                history.join("\n")
            ));
        }
    }
    Ok(())
}

#[test]
fn random_commands_are_answered_as_redis_answers_them() {
    let Some(redis) = Redis::start() else {
        eprintln!("skipped: there is no redis-server on the PATH, nothing was compared");
        return;
    };
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("KV_DIFFERENTIAL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..1 + number("KV_DIFFERENTIAL_SEEDS").unwrap_or(SEEDS),
    };
    let rig = Rig::start();
    let mut differences = Vec::new();
    for seed in seeds.clone() {
        for resp3 in [false, true] {
            differences.extend(compare(&rig, &redis, seed, resp3).err());
        }
    }
    if env::var_os("KV_DIFFERENTIAL_LIST").is_some() {
        for difference in &differences {
            let lines: Vec<_> = difference.lines().collect();
            eprintln!("{}", lines[lines.len().saturating_sub(3)..].join("\n"));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} sequences differ; the first:\n{}",
        differences.len(),
        2 * seeds.count(),
        differences[0]
    );
    rig.stop();
}
