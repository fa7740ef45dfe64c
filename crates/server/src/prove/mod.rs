//! `quintet prove`: loads one engine on the user's own disk, kills the server with SIGKILL again and again, and checks every
//! acknowledgement after each restart.
//!
//! The server is this program in a child process, reached through its ports like any client would. Each client writes
//! numbers 1, 2, 3 … of its own; after a kill all that were acknowledged must be there, and the one after them may be.
//! A kill keeps the kernel's cache, so nothing is proved about flushes: the text says so.

mod client;
mod load;
mod server;

use crate::{
    cli::{ProveArgs, Proven},
    console::say,
    failure::Failure,
};
use client::Connection;
use load::Load;
use quintet_core::{Clock, Deadline, SystemClock};
use server::Child;
use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, UNIX_EPOCH},
};

/// How long a round of load lasts before the kill: at least this, and up to as much more.
const ROUND_MS: u64 = 400;
const MORE_MS: u64 = 1600;

/// What the rounds have come to.
#[derive(Debug, Default)]
struct Account {
    rounds: u64,
    writes: u64,
    loaded: Duration,
    slowest_restart: Duration,
}

/// Proves an engine.
///
/// # Errors
/// Wrong usage; a server that does not start; an acknowledged write that is gone.
pub fn prove(args: &ProveArgs) -> Result<(), Failure> {
    let seconds = args.seconds;
    if !(2..=86_400).contains(&seconds) {
        return Err(Failure::usage(format!("--seconds {seconds}: must be 2 to 86400")));
    }
    if !(1..=64).contains(&args.clients) {
        return Err(Failure::usage(format!(
            "--clients {}: must be 1 to 64",
            args.clients
        )));
    }
    let dir = &args.data_dir;
    let is_empty = fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
    if !is_empty {
        let what = format!("{} is not empty, and what is in it could be lost", dir.display());
        return Err(Failure::new(what).hint("--data-dir with a missing or empty directory"));
    }
    let load = load::of(args.engine);
    let account = run(args, &*load)?;
    let removed = fs::remove_dir_all(dir);
    removed.map_err(|error| Failure::new(format!("cannot remove {}: {error}", dir.display())))?;
    report(args, &account);
    Ok(())
}

fn run(args: &ProveArgs, load: &dyn Load) -> Result<Account, Failure> {
    let until = Deadline::after(&SystemClock, Duration::from_secs(args.seconds));
    let counters: Vec<AtomicU64> = (0..args.clients).map(|_| AtomicU64::new(0)).collect();
    let mut account = Account::default();
    let since = SystemClock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut dice = since.as_micros() as u64;
    loop {
        let child = Child::start(args)?;
        account.slowest_restart = account.slowest_restart.max(child.took);
        check(load, &child, &counters, account.rounds == 0)?;
        if until.is_due(&SystemClock) {
            child.stop()?;
            return Ok(account);
        }
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let length = Duration::from_millis(ROUND_MS + (dice >> 33) % MORE_MS);
        let before: u64 = counters.iter().map(|counter| counter.load(Relaxed)).sum();
        let began = SystemClock.now();
        killed_under_load(load, child, &counters, length)?;
        account.loaded += SystemClock.now().saturating_duration_since(began);
        account.rounds += 1;
        account.writes += counters.iter().map(|counter| counter.load(Relaxed)).sum::<u64>() - before;
    }
}

/// Every client writes until its connection breaks, which the kill does.
fn killed_under_load(
    load: &dyn Load,
    child: Child,
    counters: &[AtomicU64],
    length: Duration,
) -> Result<(), Failure> {
    let addresses = child.addresses;
    thread::scope(|scope| {
        let clients: Vec<_> = counters
            .iter()
            .enumerate()
            .map(|(who, counter)| {
                scope.spawn(move || -> Result<(), Failure> {
                    let Ok(mut connection) = Connection::open(load.address(&addresses)) else {
                        return Ok(());
                    };
                    loop {
                        let number = counter.load(Relaxed) + 1;
                        match load.store(&mut connection, who, number) {
                            Ok(Ok(())) => counter.store(number, Relaxed),
                            Ok(Err(refused)) => return Err(Failure::new(refused)),
                            Err(_the_kill) => return Ok(()),
                        }
                    }
                })
            })
            .collect();
        let moment = Deadline::after(&SystemClock, length);
        while !moment.is_due(&SystemClock) {
            thread::park_timeout(moment.0.saturating_duration_since(SystemClock.now()));
        }
        let killed = child.kill();
        for client in clients {
            client
                .join()
                .unwrap_or_else(|_| Err(Failure::new("a client panicked")))?;
        }
        killed
    })
}

/// All that was acknowledged is there; at most the one write that was on its way is there besides.
fn check(load: &dyn Load, child: &Child, counters: &[AtomicU64], is_first: bool) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::new(format!("the server does not answer: {error}"));
    let mut connection = Connection::open(load.address(&child.addresses)).map_err(cannot)?;
    if is_first {
        load.prepare(&mut connection)
            .map_err(cannot)?
            .map_err(Failure::new)?;
        return Ok(());
    }
    for (who, counter) in counters.iter().enumerate() {
        let acknowledged = counter.load(Relaxed);
        let found = load.check(&mut connection, who, acknowledged).map_err(cannot)?;
        let more = found.map_err(|what| {
            Failure::new(format!(
                "LOST: client {who} was told that {acknowledged} writes are safe; {what}"
            ))
            .hint("keep the directory: it is the evidence")
        })?;
        counter.store(acknowledged + u64::from(more), Relaxed);
    }
    Ok(())
}

fn report(args: &ProveArgs, account: &Account) {
    let engine = match args.engine {
        Proven::Blocks => "blocks",
        Proven::Kv => "kv",
        Proven::Vectors => "vectors",
        Proven::Stm => "stm",
        Proven::Tree => "tree",
    };
    let rate = account.writes as f64 / account.loaded.as_secs_f64().max(0.001);
    say(format_args!(
        "{engine}: killed {} times under the load of {} clients; {} acknowledged writes, every one there after each restart",
        account.rounds, args.clients, account.writes
    ));
    say(format_args!(
        "        {rate:.0} acknowledged writes/s at durability {}; the slowest start took {} ms",
        args.durability,
        account.slowest_restart.as_millis()
    ));
    say("proved  on this disk and kernel, the death of the server loses nothing that it acknowledged");
    say("not     a power cut: a kill keeps what the kernel has in memory, so no flush was put to the proof;");
    say("        durability full is for that, as far as the disk tells the truth: see docs/durability.md");
}
