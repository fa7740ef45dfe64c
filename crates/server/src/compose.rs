//! `quintet serve`: which parts are started, in which order, and how they are drained.
//!
//! Order: signals, ports probed, data directory, the API port (which says that it recovers), engines opened side by side
//! (which recovers them), their ports, start-up lines. At the end every port stops accepting and finishes what is in
//! flight, side by side; then the engines close, side by side; the directory's lock goes last.

mod engines;
mod patience;
mod sentinel;

use crate::{
    auth::Tokens,
    cli::ServeArgs,
    config::Config,
    console::say,
    engine::{Part, Roster},
    failure::Failure,
    features,
    journal::Journal,
    lock::DataDir,
    port::{
        admin,
        api::ApiPort,
        life::{Life, Stage},
    },
    settings::Again,
    shutdown::{Shutdown, Stop},
};
use engines::{Engines, Shared};
use patience::patiently;
use quintet_core::{Clock as _, Deadline, SystemClock};
use sentinel::Sentinel;
use std::{num::NonZeroUsize, sync::Arc, thread, time::Duration};
use tokio::runtime::Runtime;

/// How long requests in flight may take once the server was asked to stop. A connection that is still busy after this is
/// cut; what was acknowledged is safe either way.
const DRAIN: Duration = Duration::from_secs(20);
/// Threads of the runtime: they move bytes and run no engine.
const MOST_RUNTIME_THREADS: usize = 4;

/// Serves until a signal comes, then drains.
///
/// # Errors
/// When something cannot be opened, or a part fails while it runs or drains.
pub fn serve(args: &ServeArgs, again: &dyn Fn() -> Result<Again, Failure>) -> Result<(), Failure> {
    let config = Config::from_args(args)?;
    if !config.serves_anything() {
        return Err(
            Failure::usage("nothing to serve: every engine is off or not built in")
                .hint("--http-addr 127.0.0.1:8080, and see --without"),
        );
    }
    let journal = Journal::open(args.log.log_level, args.log.log_format)
        .map_err(|error| Failure::new(format!("cannot start the log: {error}")))?;
    let ended = run(&config, &journal, again);
    match &ended {
        Ok(()) => tracing::info!("stopped"),
        Err(failure) => tracing::error!(reason = failure.message(), "stopped"),
    }
    ended
}

fn run(
    config: &Config,
    journal: &Journal,
    again: &dyn Fn() -> Result<Again, Failure>,
) -> Result<(), Failure> {
    let shutdown = Shutdown::install()
        .map_err(|error| Failure::new(format!("cannot install the signal handlers: {error}")))?;
    let begun = SystemClock.now();
    raise_descriptor_limit();
    engines::probe(config)?;
    let dir = DataDir::create_or_open(&config.data_dir)?;
    let data = dir.path().display().to_string();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), data, "starting");
    let runtime = runtime()?;
    let life = Life::new();
    let tokens = Arc::new(Tokens::open(config.auth.clone(), Arc::new(SystemClock))?);
    let shared = Shared {
        runtime: runtime.handle(),
        tokens: &tokens,
        life: &life,
        reporter: &shutdown.reporter(),
    };
    let (parts, roster) = start(config, &dir, shared)?;
    life.enter(Stage::Serving);
    let sentinel = Sentinel::start(roster, life.clone())
        .map_err(|error| Failure::new(format!("cannot start a thread: {error}")))?;
    announce(config, &dir, &parts);
    let took_ms = SystemClock.now().saturating_duration_since(begun).as_millis();
    tracing::info!(took_ms, "ready");
    #[cfg(target_os = "linux")]
    crate::notify::tell(crate::notify::READY);

    let stop = loop {
        match shutdown.wait() {
            Stop::Reload => reload(&tokens, &parts, journal, again),
            stop => break stop,
        }
    };
    #[cfg(target_os = "linux")]
    crate::notify::tell(crate::notify::STOPPING);
    let failed = match stop {
        Stop::Signal(name) => {
            say(format_args!("{name}: draining, at most {} s", DRAIN.as_secs()));
            tracing::info!(signal = name, at_most_s = DRAIN.as_secs(), "draining");
            None
        }
        Stop::Failed(reason) => {
            tracing::error!(reason, "a part ended on its own: draining");
            Some(Failure::new(reason))
        }
        Stop::Reload => None,
    };
    drop(sentinel);
    let ended = end(parts, &life);
    // Calls that outlived the deadline would hold the process up.
    runtime.shutdown_background();
    drop(dir);
    if let Some(failure) = failed {
        return Err(failure);
    }
    ended?;
    say("stopped");
    Ok(())
}

/// Reads the files of tokens and rules again, and the level of the log. What is wrong is told, and what was in force stays.
fn reload(
    tokens: &Tokens,
    parts: &[Box<dyn Part>],
    journal: &Journal,
    again: &dyn Fn() -> Result<Again, Failure>,
) {
    let level = again().map(|again| {
        journal.set_level(again.log_level);
        if !again.later.is_empty() {
            let settings = again.later.join(", ");
            tracing::warn!(settings, "changed in the file: these need a restart");
        }
    });
    let failures: Vec<Failure> = [level, tokens.reload()]
        .into_iter()
        .chain(parts.iter().map(|part| part.reload()))
        .filter_map(Result::err)
        .collect();
    if failures.is_empty() {
        say("SIGHUP: tokens, rules and the log's level were read again");
        tracing::info!("reloaded");
    }
    for failure in failures {
        tracing::warn!(reason = failure.message(), "SIGHUP: what was in force stays");
    }
}

fn runtime() -> Result<Runtime, Failure> {
    let cpus = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cpus.min(MOST_RUNTIME_THREADS))
        .max_blocking_threads(crate::port::BLOCKING_THREADS)
        .thread_name("api")
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start the API port's threads: {error}")))
}

/// Every connection is a descriptor; the system's default of 1024 is for interactive programs. What is refused stays.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _as_it_was = setrlimit(Resource::Nofile, limit);
}

/// What was started, in the order of the start.
type Parts = Vec<Box<dyn Part>>;

/// Starts every part that is built in and not left out; if one fails, those that were started are ended.
fn start(config: &Config, dir: &DataDir, shared: Shared<'_>) -> Result<(Parts, Arc<Roster>), Failure> {
    let engines = Engines::of(config);
    let mut parts = Parts::new();
    let (roster, mut routes) = engines.routes(config, dir.path());
    let roster = Arc::new(roster);
    if let Some(address) = config.http.address {
        routes.push(admin::routes(dir.path(), address.ip().is_loopback()));
        let port = ApiPort::open(
            shared.runtime,
            &config.http,
            address,
            (Arc::clone(&roster), routes),
            shared.tokens,
            shared.life.clone(),
        )?;
        parts.push(Box::new(port));
    }
    let mut failed = None;
    let start = || engines.start(config, dir.path(), shared);
    for started in patiently(dir.path(), || engines.recovering(), start) {
        match started {
            Ok(part) => parts.push(part),
            Err(failure) if failed.is_none() => failed = Some(failure),
            Err(failure) => tracing::error!(reason = failure.message(), "could not be started"),
        }
    }
    match failed {
        None => Ok((parts, roster)),
        Some(failure) => {
            let _first_failure_counts = end(parts, shared.life);
            Err(failure)
        }
    }
}

fn announce(config: &Config, dir: &DataDir, parts: &[Box<dyn Part>]) {
    say(format_args!("quintet {}", env!("CARGO_PKG_VERSION")));
    say(format_args!("built   {}", features::engines().join(", ")));
    say(format_args!("data    {}", dir.path().display()));
    #[cfg(any(feature = "blockstore", feature = "kv"))]
    say(format_args!("i/o     {}", config.backend));
    #[cfg(not(any(feature = "blockstore", feature = "kv")))]
    let _no_backend = config;
    for line in parts.iter().flat_map(|part| part.lines()) {
        say(line);
    }
    say("ready   stop with Ctrl-C or SIGTERM; a second one stops at once");
}

/// Drains every port, then closes every engine, each step side by side, even if one fails; the first failure is returned,
/// the others are printed.
fn end(mut parts: Parts, life: &Life) -> Result<(), Failure> {
    life.enter(Stage::Draining);
    let deadline = Deadline::after(&SystemClock, DRAIN);
    let drained = side_by_side(parts.iter_mut().map(|part| move || part.drain(deadline)));
    let closed = side_by_side(parts.into_iter().map(|part| move || part.close()));
    let mut first = Ok(());
    for failure in drained.into_iter().chain(closed).filter_map(Result::err) {
        if first.is_ok() {
            first = Err(failure);
        } else {
            tracing::error!(reason = failure.message(), "did not end cleanly");
        }
    }
    first
}

/// Runs all of them at once and waits for all.
fn side_by_side<R: Send>(
    work: impl Iterator<Item = impl FnOnce() -> Result<R, Failure> + Send>,
) -> Vec<Result<R, Failure>> {
    let panicked = || Failure::new("a thread of the server panicked; see above");
    thread::scope(|scope| {
        let threads: Vec<_> = work.map(|work| scope.spawn(work)).collect();
        let results = threads.into_iter().map(|thread| thread.join());
        results
            .map(|result| result.unwrap_or_else(|_| Err(panicked())))
            .collect()
    })
}
