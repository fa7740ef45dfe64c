//! `quintet serve`: which parts are started, in which order, and how they are drained.
//!
//! Order: signals, ports probed, data directory, the API port (which says that it recovers), engines opened side by side
//! (which recovers them), their ports, start-up lines. At the end every port stops accepting and finishes what is in
//! flight, side by side; then the engines close, side by side; the directory's lock goes last.

mod engines;
mod patience;

use crate::{
    auth::Tokens,
    cli::ServeArgs,
    config::Config,
    console::{complain, say},
    engine::Part,
    failure::Failure,
    features,
    lock::DataDir,
    port::{
        admin,
        api::ApiPort,
        life::{Life, Stage},
    },
    shutdown::{Shutdown, Stop},
};
use engines::{Engines, Shared};
use patience::patiently;
use quintet_core::{Deadline, SystemClock};
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
pub fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let config = Config::from_args(args)?;
    if !config.serves_anything() {
        return Err(
            Failure::usage("nothing to serve: every engine is off or not built in")
                .hint("--http-addr 127.0.0.1:8080, and see --without"),
        );
    }
    let shutdown = Shutdown::install()
        .map_err(|error| Failure::new(format!("cannot install the signal handlers: {error}")))?;
    raise_descriptor_limit();
    engines::probe(&config)?;
    let dir = DataDir::create_or_open(&config.data_dir)?;
    let runtime = runtime()?;
    let life = Life::new();
    let tokens = Arc::new(Tokens::open(config.auth.clone(), Arc::new(SystemClock))?);
    let shared = Shared {
        runtime: runtime.handle(),
        tokens: &tokens,
        life: &life,
        reporter: &shutdown.reporter(),
    };
    let parts = start(&config, &dir, shared)?;
    life.enter(Stage::Serving);
    announce(&config, &dir, &parts);
    #[cfg(target_os = "linux")]
    crate::notify::tell(crate::notify::READY);

    let stop = loop {
        match shutdown.wait() {
            Stop::Reload => reload(&tokens, &parts),
            stop => break stop,
        }
    };
    #[cfg(target_os = "linux")]
    crate::notify::tell(crate::notify::STOPPING);
    let failed = match stop {
        Stop::Signal(name) => {
            say(format_args!("{name}: draining, at most {} s", DRAIN.as_secs()));
            None
        }
        Stop::Failed(reason) => Some(Failure::new(reason)),
        Stop::Reload => None,
    };
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

/// Reads the files of tokens and rules again. What is wrong is told, and what was in force stays.
fn reload(tokens: &Tokens, parts: &[Box<dyn Part>]) {
    let failures: Vec<Failure> = std::iter::once(tokens.reload())
        .chain(parts.iter().map(|part| part.reload()))
        .filter_map(Result::err)
        .collect();
    if failures.is_empty() {
        say("SIGHUP: tokens and rules were read again");
    }
    for failure in failures {
        complain(failure);
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

/// Starts every part that is built in and not left out; if one fails, those that were started are ended.
fn start(config: &Config, dir: &DataDir, shared: Shared<'_>) -> Result<Vec<Box<dyn Part>>, Failure> {
    let engines = Engines::of(config);
    let mut parts: Vec<Box<dyn Part>> = Vec::new();
    if let Some(address) = config.http.address {
        let (roster, mut routes) = engines.routes(config, dir.path());
        routes.push(admin::routes(dir.path(), address.ip().is_loopback()));
        let port = ApiPort::open(
            shared.runtime,
            &config.http,
            address,
            (roster, routes),
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
            Err(failure) => complain(failure),
        }
    }
    match failed {
        None => Ok(parts),
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
fn end(mut parts: Vec<Box<dyn Part>>, life: &Life) -> Result<(), Failure> {
    life.enter(Stage::Draining);
    let deadline = Deadline::after(&SystemClock, DRAIN);
    let drained = side_by_side(parts.iter_mut().map(|part| move || part.drain(deadline)));
    let closed = side_by_side(parts.into_iter().map(|part| move || part.close()));
    let mut first = Ok(());
    for failure in drained.into_iter().chain(closed).filter_map(Result::err) {
        if first.is_ok() {
            first = Err(failure);
        } else {
            complain(failure);
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
