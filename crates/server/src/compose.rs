//! `quintet serve`: which parts are started, in which order, and how they are drained.
//!
//! Order: signals, data directory, ports probed, engines opened (which recovers them), ports opened, start-up lines. At the
//! end each part stops accepting, finishes what is in flight, and flushes; the directory's lock goes last.

use crate::{
    cli::ServeArgs,
    config::Config,
    console::{complain, say},
    failure::Failure,
    lock::DataDir,
    shutdown::{Reporter, Shutdown, Stop},
};
use quintet_core::{Deadline, SystemClock};
use std::time::Duration;

/// How long requests in flight may take once the server was asked to stop. A connection that is still busy after this is
/// cut; what was acknowledged is safe either way.
const DRAIN: Duration = Duration::from_secs(10);

/// An engine with its port.
pub(crate) trait Part {
    /// What the start-up text says about it: the line with its address first.
    fn lines(&self) -> Vec<String>;

    /// Stops accepting, finishes what is in flight, flushes, and closes. Blocks, for the connections until `deadline`.
    fn drain(self: Box<Self>, deadline: Deadline) -> Result<(), Failure>;
}

/// Serves until a signal comes, then drains.
///
/// # Errors
/// When something cannot be opened, or a part fails while it runs or drains.
pub fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let config = Config::from_args(args)?;
    if !config.serves_anything() {
        return Err(
            Failure::usage("nothing to serve: every engine is off or not built in")
                .hint("--blocks-addr 127.0.0.1:10001"),
        );
    }
    let shutdown = Shutdown::install()
        .map_err(|error| Failure::new(format!("cannot install the signal handlers: {error}")))?;
    #[cfg(feature = "blockstore")]
    crate::blocks::probe(&config.blocks)?;
    let dir = DataDir::create_or_open(&config.data_dir)?;
    let parts = start(&config, &dir, &shutdown.reporter())?;

    say(format_args!("quintet {}", env!("CARGO_PKG_VERSION")));
    say(format_args!("data    {}", dir.path().display()));
    #[cfg(feature = "blockstore")]
    say(format_args!("i/o     {}", config.backend));
    for line in parts.iter().flat_map(|part| part.lines()) {
        say(line);
    }
    say("ready   stop with Ctrl-C or SIGTERM; a second one stops at once");

    let stop = shutdown.wait();
    let failed = match stop {
        Stop::Signal(name) => {
            say(format_args!("{name}: draining, at most {} s", DRAIN.as_secs()));
            None
        }
        Stop::Failed(reason) => Some(Failure::new(reason)),
    };
    let drained = drain(parts);
    drop(dir);
    if let Some(failure) = failed {
        return Err(failure);
    }
    drained?;
    say("stopped");
    Ok(())
}

/// Starts every part that is built in and not `off`.
fn start(config: &Config, dir: &DataDir, reporter: &Reporter) -> Result<Vec<Box<dyn Part>>, Failure> {
    let mut parts: Vec<Box<dyn Part>> = Vec::new();
    #[cfg(feature = "blockstore")]
    if let Some(blocks) = crate::blocks::start(&config.blocks, dir.path(), &config.backend, reporter)? {
        parts.push(Box::new(blocks));
    }
    #[cfg(not(feature = "blockstore"))]
    let _unused = (&mut parts, config, dir, reporter);
    Ok(parts)
}

/// Drains every part even if one fails; the first failure is returned, the others are printed.
fn drain(parts: Vec<Box<dyn Part>>) -> Result<(), Failure> {
    let deadline = Deadline::after(&SystemClock, DRAIN);
    let mut first = Ok(());
    for part in parts {
        if let Err(failure) = part.drain(deadline) {
            if first.is_ok() {
                first = Err(failure);
            } else {
                complain(failure);
            }
        }
    }
    first
}
