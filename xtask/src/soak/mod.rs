//! `cargo xtask soak`: the whole server under mixed load on all its ports for minutes, killed with -9 and asked to stop in
//! between.
//!
//! Three stretches: a long life, many short ones that end with SIGKILL or SIGTERM in turn, a long life. Before each life
//! every client compares all it owns with what it was told. During a long life memory and descriptors are watched: the
//! clients rewrite the same places, so that neither has a reason to grow.

mod client;
mod load;
mod server;
mod watch;

use crate::{
    command::{Command, Usage},
    steps::Steps,
    workspace::{cargo, root},
};
use anyhow::{Result, bail, ensure};
use load::{ENGINES, Engine, Seat};
use server::{End, Server};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};
use watch::Watch;

pub(crate) const COMMAND: Command = Command {
    name: "soak",
    summary: "minutes of load on every port, with kills and restarts in between",
    help: "\
Usage: cargo xtask soak [--minutes N] [--only ENGINE,...] [--program PATH]

Builds the server for release (or takes the one given) and runs it with every engine for N minutes, 10 unless
given, 1 to 1440, under the load of two clients for each engine, or for those named alone (blocks, kv, vectors,
stm, tree):
  40 %  one life, in which memory and descriptors are watched
  30 %  lives of one to six seconds, ended by SIGKILL and by SIGTERM in turn
  30 %  one life again, on data that has a history
Fails when an acknowledged write is gone or half there, an operation is refused, a SIGTERM does not end the server with
status 0, memory or descriptors grow after a long life's first minute by more than 5 %, or `quintet fsck` finds a fault.",
    forwards: false,
    run,
};

/// Clients for each engine.
const CLIENTS: usize = 2;

fn run(args: &[String]) -> Result<()> {
    let Wish {
        minutes,
        engines,
        program: given,
    } = parse(args)?;
    let mut steps = Steps::new("soak");
    if given.is_none() {
        let mut build = cargo();
        build.args(["build", "--release", "--package", "quintet-server"]);
        steps.run("build", &mut build)?;
    }
    let program = given.unwrap_or_else(|| root().join("target/release/quintet"));
    let names: Vec<&str> = engines.iter().map(|engine| engine.name()).collect();
    let folder = root().join("target/soak").join(names.join("-"));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let repeat = format!("cargo xtask soak --minutes {minutes} --only {}", names.join(","));
    steps.call("soak", &repeat, || {
        let account = soak(&program, &folder, minutes, &engines)?;
        account.print();
        account.check()
    })?;
    let mut fsck = std::process::Command::new(&program);
    fsck.args(["fsck", "--data-dir"]).arg(&folder);
    steps.run("fsck", &mut fsck)?;
    fs::remove_dir_all(&folder)?;
    steps.finish();
    Ok(())
}

/// What was asked for.
struct Wish {
    minutes: u64,
    engines: Vec<Engine>,
    program: Option<PathBuf>,
}

fn parse(args: &[String]) -> Result<Wish> {
    let mut wish = Wish {
        minutes: 10,
        engines: ENGINES.to_vec(),
        program: None,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next()) {
            ("--program", Some(path)) => wish.program = Some(path.into()),
            ("--minutes", Some(given)) => {
                wish.minutes = given
                    .parse()
                    .ok()
                    .filter(|minutes| (1..=1440).contains(minutes))
                    .ok_or_else(|| Usage("--minutes: a number from 1 to 1440".into()))?;
            }
            ("--only", Some(names)) => {
                let engine = |name: &str| {
                    let found = ENGINES.into_iter().find(|engine| engine.name() == name);
                    found.ok_or_else(|| Usage(format!("--only: there is no engine `{name}`")))
                };
                wish.engines = names.split(',').map(engine).collect::<Result<_, _>>()?;
            }
            _ => return Err(Usage(format!("unexpected argument `{arg}`")).into()),
        }
    }
    Ok(wish)
}

/// What it came to.
#[derive(Default)]
struct Account {
    /// Acknowledged writes and checked values of each engine.
    engines: Vec<(&'static str, u64, u64)>,
    loaded: Duration,
    lives: u64,
    kills: u64,
    stops: u64,
    slowest_start: Duration,
    watches: Vec<(&'static str, Watch)>,
}

fn soak(program: &Path, folder: &Path, minutes: u64, engines: &[Engine]) -> Result<Account> {
    let total = Duration::from_secs(60 * minutes);
    let mut account = Account::default();
    let mut seats: Vec<Seat> = (0..CLIENTS)
        .flat_map(|who| engines.iter().map(move |engine| Seat::new(*engine, who)))
        .collect();
    let mut live = |account: &mut Account, length: Duration, name: Option<&'static str>, end: End| {
        let server = Server::start(program, folder)?;
        account.lives += 1;
        account.slowest_start = account.slowest_start.max(server.took);
        one_life(&mut seats, account, server, length, name, end)
    };
    live(&mut account, total * 4 / 10, Some("first"), End::Kill)?;
    let (begun, mut dice) = (Instant::now(), 0x9e37_79b9_7f4a_7c15_u64);
    while begun.elapsed() < total * 3 / 10 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let end = if account.lives % 2 == 0 {
            End::Kill
        } else {
            End::Stop
        };
        let length = Duration::from_millis(1000 + (dice >> 33) % 5000);
        live(&mut account, length, None, end)?;
    }
    live(&mut account, total * 3 / 10, Some("last"), End::Stop)?;
    // Once more, so that the last end is checked too.
    live(&mut account, Duration::ZERO, None, End::Stop)?;
    for &engine in engines {
        let of = seats.iter().filter(|seat| seat.engine == engine);
        let (writes, checks) = of.fold((0, 0), |sum, seat| {
            (sum.0 + seat.acknowledged, sum.1 + seat.checked)
        });
        account.engines.push((engine.name(), writes, checks));
    }
    Ok(account)
}

/// Checks, loads, and ends the server.
fn one_life(
    seats: &mut [Seat],
    account: &mut Account,
    mut server: Server,
    length: Duration,
    name: Option<&'static str>,
    end: End,
) -> Result<()> {
    let addresses = server.addresses;
    let (is_over, checked) = (AtomicBool::new(length.is_zero()), AtomicUsize::new(0));
    let mut watch = Watch::new(length);
    let loaded = thread::scope(|scope| -> Result<Duration> {
        let expected = seats.len();
        let clients: Vec<_> = seats
            .iter_mut()
            .map(|seat| scope.spawn(|| seat.live(&addresses, &is_over, &checked)))
            .collect();
        let is_alone = || clients.iter().any(thread::ScopedJoinHandle::is_finished);
        // In a life without length a client ends when it has checked.
        let is_refused = || is_alone() && !length.is_zero();
        while checked.load(Ordering::Acquire) < expected && !is_refused() {
            if clients.iter().all(thread::ScopedJoinHandle::is_finished) {
                break;
            }
            thread::park_timeout(Duration::from_millis(5));
        }
        let begun = Instant::now();
        watch.begin();
        while begun.elapsed() < length && !is_alone() {
            thread::park_timeout(Duration::from_millis(250));
            if name.is_some() {
                watch.look(server.pid())?;
            }
        }
        // A client that has ended before its time has found something.
        let early = is_alone() && !length.is_zero();
        let loaded = begun.elapsed();
        let ended = if early { Ok(()) } else { server.end(end) };
        is_over.store(true, Ordering::Release);
        for client in clients {
            joined(client)?;
        }
        ensure!(!early, "a client ended before its time and said nothing");
        ended.map(|()| loaded)
    })?;
    account.loaded += loaded;
    match end {
        End::Kill => account.kills += 1,
        End::Stop => account.stops += 1,
    }
    if let Some(name) = name {
        account.watches.push((name, watch));
    }
    Ok(())
}

fn joined(client: thread::ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    match client.join() {
        Ok(outcome) => outcome,
        Err(_) => bail!("a client panicked"),
    }
}

impl Account {
    fn print(&self) {
        println!("\n    engine    acknowledged   per second   values checked   lost");
        for (name, writes, checks) in &self.engines {
            let rate = *writes as f64 / self.loaded.as_secs_f64().max(0.001);
            println!("    {name:<9} {writes:>12} {rate:>12.0} {checks:>16}      0");
        }
        println!(
            "    {} lives: {} ended by SIGKILL, {} by SIGTERM with status 0; the slowest start took {} ms",
            self.lives,
            self.kills,
            self.stops,
            self.slowest_start.as_millis()
        );
        for (name, watch) in &self.watches {
            println!("    {name} life: {watch}");
            println!(
                "    its anonymous memory, a value for each tenth: {} MiB",
                watch.course()
            );
        }
    }

    fn check(&self) -> Result<()> {
        for (name, watch) in &self.watches {
            watch.check(name)?;
        }
        for (name, writes, _) in &self.engines {
            ensure!(*writes > 0, "{name} took no write");
        }
        Ok(())
    }
}
