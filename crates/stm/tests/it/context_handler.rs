//! A context as a message handler: the suites of `quintet-core`, at every level, in memory and on a log.

use quintet_core::{
    Inline, SystemClock,
    conformance::{KeyedProbe, Support, handler, keyed},
};
use quintet_log::{LogConfig, MemDirectory};
use quintet_stm::{Context, ContextConfig, ContextHandler, Isolation};
use std::{num::NonZeroUsize, sync::Arc};

fn small_log() -> LogConfig {
    LogConfig {
        durability: quintet_core::Durability::Interval,
        segment_bytes: 1 << 20,
        max_record_bytes: 1 << 17,
        max_group_bytes: 1 << 18,
        ..LogConfig::default()
    }
}

fn open(directory: &MemDirectory) -> Context {
    let directory = Arc::new(directory.clone());
    Context::open(
        "suite",
        directory,
        ContextConfig::default(),
        small_log(),
        Arc::new(SystemClock),
    )
    .unwrap()
    .0
}

struct InMemory(ContextHandler);

impl InMemory {
    fn new(isolation: Isolation) -> Self {
        Self(ContextHandler::new(&Context::new("suite"), isolation))
    }
}

const NO_FLUSHES: Support = Support::Missing("a commit is done when it returns: nothing is ever pending");

impl handler::Subject for InMemory {
    type Probe = KeyedProbe;
    type Handler = ContextHandler;

    fn capabilities(&self) -> handler::Capabilities {
        handler::Capabilities {
            fail_next_commit: Support::Provided,
            hold_flushes: NO_FLUSHES,
            reopen: Support::Missing("in memory"),
        }
    }

    fn handler(&mut self) -> &mut ContextHandler {
        &mut self.0
    }

    fn fail_next_commit(&mut self) {
        self.0.fail_next_commit();
    }
}

struct OnLog {
    directory: MemDirectory,
    handler: Option<ContextHandler>,
    isolation: Isolation,
}

impl OnLog {
    fn new(isolation: Isolation) -> Self {
        let directory = MemDirectory::new();
        let handler = Some(ContextHandler::new(&open(&directory), isolation));
        Self {
            directory,
            handler,
            isolation,
        }
    }
}

impl handler::Subject for OnLog {
    type Probe = KeyedProbe;
    type Handler = ContextHandler;

    fn capabilities(&self) -> handler::Capabilities {
        handler::Capabilities {
            fail_next_commit: Support::Provided,
            hold_flushes: NO_FLUSHES,
            reopen: Support::Provided,
        }
    }

    fn handler(&mut self) -> &mut ContextHandler {
        self.handler.as_mut().unwrap()
    }

    fn fail_next_commit(&mut self) {
        self.handler().fail_next_commit();
    }

    fn reopen(&mut self) {
        // As the files are now, without the writer's last flush.
        self.directory = self.directory.fork();
        self.handler = Some(ContextHandler::new(&open(&self.directory), self.isolation));
    }
}

struct Service(Context, Isolation);

impl keyed::Subject for Service {
    type Worker = Inline<quintet_core::Keyed, ContextHandler>;

    fn worker(&self) -> Self::Worker {
        Inline::new(
            ContextHandler::new(&self.0, self.1),
            NonZeroUsize::new(8).unwrap(),
        )
    }
}

macro_rules! suites {
    ($($level:ident $isolation:ident;)*) => {
        $(mod $level {
            use super::*;

            quintet_core::handler_suite!(in_memory, || InMemory::new(Isolation::$isolation));
            quintet_core::handler_suite!(on_log, || OnLog::new(Isolation::$isolation));
            quintet_core::durable_handler_suite!(durable, || OnLog::new(Isolation::$isolation));
            quintet_core::keyed_suite!(keyed_in_memory, || Service(Context::new("suite"), Isolation::$isolation));
            quintet_core::keyed_suite!(keyed_on_log, || Service(open(&MemDirectory::new()), Isolation::$isolation));
        })*
    };
}

suites! {
    safe Safe;
    hybrid Hybrid;
    raw Raw;
}

#[test]
fn a_second_handler_on_the_same_thread_does_not_wait_for_the_first() {
    use quintet_core::{ErrorKind, Keyed, MessageHandler};
    let context = Context::new("two");
    let (mut one, mut two) = (
        ContextHandler::new(&context, Isolation::Safe),
        ContextHandler::new(&context, Isolation::Safe),
    );
    let put = || Keyed::Put {
        key: b"k".to_vec(),
        value: b"v".to_vec(),
    };
    one.handle(put()).unwrap();
    assert_eq!(two.handle(put()).unwrap_err().kind(), ErrorKind::Unavailable);
    one.commit().unwrap();
    two.handle(put()).unwrap();
    drop(two);
    one.handle(put()).unwrap();
}
