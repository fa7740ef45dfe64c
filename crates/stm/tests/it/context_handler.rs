//! A context as a message handler: the suites of `quintet-core`, at every level, in memory and on a log.

use quintet_core::{
    ErrorKind, Inline, Keyed, KeyedReply, MessageHandler, SystemClock,
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
    let context = Context::new("two");
    let (mut one, mut two) = (
        ContextHandler::new(&context, Isolation::Safe),
        ContextHandler::new(&context, Isolation::Safe),
    );
    let put = || Keyed::Put {
        key: b"k".to_vec(),
        value: 7_i64.to_le_bytes().to_vec(),
    };
    let add = || Keyed::Add {
        key: b"k".to_vec(),
        delta: 1,
    };
    one.handle(add()).unwrap();
    assert_eq!(two.handle(add()).unwrap_err().kind(), ErrorKind::Unavailable);
    // A put alone needs no ticket until it is to be committed, and then cannot have the key.
    two.handle(put()).unwrap();
    assert!(two.commit().is_err());
    one.commit().unwrap();
    two.handle(put()).unwrap();
    two.commit().unwrap();
    two.handle(add()).unwrap();
    drop(two);
    assert_eq!(one.handle(add()).unwrap(), KeyedReply::Sum(8));
}

/// A put that is refused only when a second message makes its batch a larger one: nothing of the batch may seem stored.
#[test]
fn a_put_that_turns_out_impossible_takes_its_batch_with_it() {
    let context = Context::new("shape");
    // A value below the path of the key "a".
    context
        .run(Isolation::Hybrid, |tx| tx.set("keyed.k61.below", 1_i64))
        .unwrap();
    let put = |key: &[u8]| Keyed::Put {
        key: key.to_vec(),
        value: b"v".to_vec(),
    };
    for isolation in Isolation::ALL {
        let mut handler = ContextHandler::new(&context, isolation);
        assert_eq!(handler.handle(put(b"a")).unwrap(), KeyedReply::Stored);
        assert!(handler.commit().is_err(), "{isolation}: alone");
        assert_eq!(handler.handle(put(b"a")).unwrap(), KeyedReply::Stored);
        assert!(handler.handle(put(b"b")).is_err());
        let _whatever = handler.handle(put(b"c"));
        assert!(handler.commit().is_err(), "{isolation}: with others");
        for key in [b"a", b"b", b"c"] {
            let get = Keyed::Get { key: key.to_vec() };
            assert_eq!(
                handler.handle(get).unwrap(),
                KeyedReply::Value(None),
                "{isolation}"
            );
        }
        assert_eq!(handler.handle(put(b"b")).unwrap(), KeyedReply::Stored);
        assert!(
            handler.commit().is_ok(),
            "{isolation}: the next batch is a new one"
        );
        let delete = Keyed::Delete { key: b"b".to_vec() };
        assert_eq!(handler.handle(delete).unwrap(), KeyedReply::Deleted(true));
        assert!(handler.commit().is_ok());
    }
}
