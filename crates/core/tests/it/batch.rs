//! The batch controller, tick by tick: order, replies, commits, maintenance, the end.

use crate::subjects::{CREDITS, fake_controller, full};
use quintet_core::{
    BatchConfig, BatchController, Budget, Clock, Closed, Commit, Completion, Controller, Deadline, Doorbell,
    ErrorKind, Keyed, KeyedReply, Message, MessageHandler, Port, Queue, QueueWorker, Request, RequestId,
    Result, Tick, Worker,
    fake::{FakeHandler, FakeQueue, ManualClock},
    mock::{MockMessageHandler, over_fake},
};
use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::Duration,
};

pub(crate) const fn count(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

/// The block engine's messages, in name and rank.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    GetAddress,
    Release,
    Allocate,
    Occupy,
}

impl Message for Op {
    type Reply = Op;
    fn rank(&self) -> u8 {
        *self as u8
    }
    fn awaits_commit(&self) -> bool {
        *self == Self::Occupy
    }
}

type Log = Arc<Mutex<Vec<String>>>;

fn note(log: &Log, what: impl Into<String>) {
    log.lock().unwrap().push(what.into());
}

/// Writes down what it is asked.
struct Recorder {
    log: Log,
    clock: ManualClock,
    commit_takes: Duration,
    next_maintain: Option<Deadline>,
}

impl MessageHandler<Op> for Recorder {
    fn handle(&mut self, message: Op) -> Result<Op> {
        note(&self.log, format!("{message:?}"));
        Ok(message)
    }
    fn commit(&mut self) -> Result<Commit> {
        note(&self.log, "commit");
        self.clock.advance(self.commit_takes);
        Ok(Commit::Done)
    }
    fn maintain(&mut self, budget: Budget) -> Option<Deadline> {
        note(&self.log, format!("maintain {}", budget.items));
        self.next_maintain
    }
}

struct Bench {
    log: Log,
    clock: ManualClock,
    controller: BatchController<Op, Recorder>,
}

impl Bench {
    fn new(config: BatchConfig) -> Self {
        let (log, clock) = (Log::default(), ManualClock::new());
        let handler = Recorder {
            log: Arc::clone(&log),
            clock: clock.clone(),
            commit_takes: Duration::ZERO,
            next_maintain: None,
        };
        let controller = BatchController::new(handler, Arc::new(clock.clone()), Doorbell::silent(), config);
        Self {
            log,
            clock,
            controller,
        }
    }

    fn connect(&self) -> QueueWorker<Op> {
        let connector = self.controller.connector();
        connector
            .connect::<FakeQueue>(CREDITS, Doorbell::silent())
            .unwrap()
    }

    /// Whether there was something to do.
    fn tick(&mut self) -> bool {
        self.controller.tick(count(100)).unwrap() != Tick::Idle
    }

    fn logged(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

pub(crate) fn send<M: Message>(worker: &mut QueueWorker<M>, message: M) -> RequestId {
    let id = worker.submit(message).unwrap();
    worker.flush().unwrap();
    id
}

pub(crate) fn reap<M: Message>(worker: &mut QueueWorker<M>) -> Vec<Completion<M>> {
    let mut done = Vec::new();
    worker.reap(&mut done, 100).unwrap();
    done
}

pub(crate) fn put(key: &str) -> Keyed {
    Keyed::Put {
        key: key.into(),
        value: b"v".to_vec(),
    }
}

#[test]
fn a_batch_is_served_in_the_order_of_ranks_and_replies_leave_as_soon_as_they_are_true() {
    let mut bench = Bench::new(BatchConfig::default());
    let (mut requests, requests_out) = <FakeQueue as Queue<Request<Op>>>::bounded(CREDITS);
    let (replies, _replies_out) = <FakeQueue as Queue<Completion<Op>>>::bounded(CREDITS);
    let log = Arc::clone(&bench.log);
    let replies = over_fake::producer(over_fake::shared(replies), |mock| {
        mock.expect_push_batch().returning(move |items| {
            for done in items.drain(..) {
                note(&log, format!("reply {:?}", done.result.unwrap()));
            }
            Ok(1)
        });
    });
    let port = Port::new(Box::new(requests_out), Box::new(replies), Doorbell::silent());
    bench.controller.connector().attach(port).unwrap();
    bench.tick();
    bench.logged();

    for (id, message) in [
        Op::Occupy,
        Op::Allocate,
        Op::Release,
        Op::GetAddress,
        Op::Allocate,
    ]
    .into_iter()
    .enumerate()
    {
        let id = RequestId(id as u64);
        quintet_core::Producer::push(&mut requests, Request { id, message }).unwrap();
    }
    assert!(bench.tick());
    let expected = "GetAddress, reply GetAddress, Release, Allocate, Allocate, Occupy, reply Release, \
                    reply Allocate, reply Allocate, commit, reply Occupy";
    assert_eq!(bench.logged().join(", "), expected);
}

#[test]
fn an_idle_tick_neither_handles_nor_commits() {
    let mut handler = MockMessageHandler::<Keyed>::new();
    handler.expect_handle().never();
    handler.expect_commit().never();
    let clock = Arc::new(ManualClock::new());
    let mut controller = BatchController::new(handler, clock, Doorbell::silent(), BatchConfig::default());
    let _worker = controller
        .connector()
        .connect::<FakeQueue>(CREDITS, Doorbell::silent())
        .unwrap();
    for _ in 0..10 {
        assert_eq!(controller.tick(CREDITS).unwrap(), Tick::Idle);
        assert!(!controller.has_work());
    }
}

#[test]
fn a_batch_of_reads_is_not_committed() {
    let mut bench = Bench::new(BatchConfig::default());
    let mut worker = bench.connect();
    bench.tick();
    bench.logged();
    send(&mut worker, Op::GetAddress);
    bench.tick();
    assert_eq!(bench.logged(), ["GetAddress"]);
}

#[test]
fn commits_keep_their_spacing_and_share_what_came_meanwhile() {
    let spacing = Duration::from_millis(5);
    let mut bench = Bench::new(BatchConfig {
        commit_spacing: spacing,
        ..BatchConfig::default()
    });
    let mut worker = bench.connect();
    bench.tick();
    bench.logged();
    send(&mut worker, Op::Occupy);
    bench.tick();
    assert_eq!(
        bench.logged(),
        ["Occupy", "commit"],
        "the first commit need not wait"
    );
    assert_eq!(reap(&mut worker).len(), 1);
    for _ in 0..2 {
        send(&mut worker, Op::Occupy);
        bench.tick();
        assert_eq!(bench.logged(), ["Occupy"]);
        assert!(reap(&mut worker).is_empty());
    }
    let due = bench.controller.next_deadline().unwrap();
    assert_eq!(due, Deadline::after(&bench.clock, spacing));
    bench.clock.advance(spacing - Duration::from_nanos(1));
    bench.tick();
    assert!(
        !bench.logged().contains(&"commit".to_owned()),
        "a commit came early"
    );
    bench.clock.advance(Duration::from_nanos(1));
    assert!(bench.tick());
    assert!(bench.logged().contains(&"commit".to_owned()));
    assert_eq!(reap(&mut worker).len(), 2);
}

#[test]
fn a_commit_waits_a_part_of_the_last_one_for_those_whom_that_answered() {
    let mut bench = Bench::new(BatchConfig {
        gather_divisor: 8,
        ..BatchConfig::default()
    });
    bench.controller.handler_mut().commit_takes = Duration::from_millis(8);
    let (mut one, mut other) = (bench.connect(), bench.connect());
    bench.tick();
    bench.logged();
    send(&mut one, Op::Occupy);
    send(&mut other, Op::Occupy);
    bench.tick();
    assert_eq!(
        bench.logged(),
        ["Occupy", "Occupy", "commit"],
        "the first need not wait"
    );
    send(&mut one, Op::Occupy);
    bench.tick();
    assert_eq!(bench.logged(), ["Occupy"], "the other may come too");
    let until = Deadline::after(&bench.clock, Duration::from_millis(1));
    assert_eq!(bench.controller.next_deadline(), Some(until));
    send(&mut other, Op::Occupy);
    bench.tick();
    assert_eq!(bench.logged(), ["Occupy", "commit"], "both are there");

    send(&mut one, Op::Occupy);
    bench.tick();
    bench.clock.advance(Duration::from_nanos(999_999));
    bench.tick();
    let committed = "commit".to_owned();
    assert!(!bench.logged().contains(&committed), "the other may still come");
    bench.clock.advance(Duration::from_nanos(1));
    bench.tick();
    assert!(bench.logged().contains(&committed), "the other does not come");
    send(&mut one, Op::Occupy);
    bench.tick();
    assert_eq!(bench.logged(), ["Occupy", "commit"], "who is alone does not wait");
}

#[test]
fn maintenance_runs_when_due_and_after_messages_and_as_a_share_of_busy_ticks() {
    let mut bench = Bench::new(BatchConfig {
        maintain_items: count(9),
        ticks_per_maintain: count(3),
        ..BatchConfig::default()
    });
    let mut worker = bench.connect();
    bench.tick();
    assert_eq!(
        bench.logged(),
        ["maintain 9"],
        "the first idle tick asks the handler what it needs"
    );
    bench.tick();
    assert!(
        bench.logged().is_empty(),
        "`None` is not asked again while nothing comes"
    );

    send(&mut worker, Op::Release);
    bench.tick();
    bench.logged();
    bench.controller.handler_mut().next_maintain =
        Some(Deadline::after(&bench.clock, Duration::from_secs(1)));
    bench.tick();
    assert_eq!(bench.logged(), ["maintain 9"], "a message may have made it due");
    assert_eq!(
        bench.controller.next_deadline(),
        Some(Deadline::after(&bench.clock, Duration::from_secs(1)))
    );
    bench.tick();
    assert!(bench.logged().is_empty());
    bench.clock.advance(Duration::from_secs(1));
    bench.tick();
    assert_eq!(bench.logged(), ["maintain 9"]);

    let mut maintained = 0;
    for _ in 0..9 {
        send(&mut worker, Op::GetAddress);
        bench.tick();
        reap(&mut worker);
        maintained += bench
            .logged()
            .iter()
            .filter(|line| line.starts_with("maintain"))
            .count();
    }
    assert_eq!(maintained, 3);
}

#[test]
fn a_failed_flush_fails_what_is_pending_and_poisons() {
    let mut controller = fake_controller();
    let mut worker = controller
        .connector()
        .connect::<FakeQueue>(CREDITS, Doorbell::silent())
        .unwrap();
    controller.handler_mut().delay_commits(true);
    for key in ["a", "b"] {
        send(&mut worker, put(key));
        let _tick = controller.tick(CREDITS).unwrap();
    }
    controller.handler_mut().fail_flush();
    assert!(controller.has_work(), "a failed flush must wake the controller");
    let _tick = controller.tick(CREDITS).unwrap();
    let kinds: Vec<_> = reap(&mut worker)
        .into_iter()
        .map(|done| done.result.unwrap_err().kind())
        .collect();
    assert_eq!(kinds, [ErrorKind::Poisoned; 2]);
    send(&mut worker, put("c"));
    send(&mut worker, Keyed::Get { key: b"a".to_vec() });
    let _tick = controller.tick(CREDITS).unwrap();
    let mut done = reap(&mut worker);
    done.sort_by_key(|done| done.id);
    assert_eq!(done[0].result.as_ref().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(
        done[1].result.as_ref().unwrap(),
        &KeyedReply::Value(None),
        "reads go on"
    );
}

#[test]
fn a_commit_that_poisons_is_final() {
    let mut handler = FakeHandler::new();
    handler.fail_next_commit(ErrorKind::Poisoned.into());
    handler.handle(put("k")).unwrap();
    assert_eq!(handler.commit().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(handler.handle(put("k")).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(handler.commit().unwrap_err().kind(), ErrorKind::Poisoned);
}

#[test]
fn shutdown_waits_for_the_last_flush_and_reports_a_failed_commit() {
    let mut controller = fake_controller();
    let mut worker = controller
        .connector()
        .connect::<FakeQueue>(CREDITS, Doorbell::silent())
        .unwrap();
    controller.handler_mut().flush_after(3);
    send(&mut worker, put("k"));
    controller.shutdown().unwrap();
    assert_eq!(
        reap(&mut worker).pop().unwrap().result.unwrap(),
        KeyedReply::Stored
    );

    let mut controller = fake_controller();
    let mut worker = controller
        .connector()
        .connect::<FakeQueue>(CREDITS, Doorbell::silent())
        .unwrap();
    controller.handler_mut().fail_next_commit(full());
    send(&mut worker, put("k"));
    assert_eq!(controller.shutdown().unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(
        reap(&mut worker).pop().unwrap().result.unwrap_err().kind(),
        ErrorKind::Full
    );
    controller.shutdown().unwrap();
    assert_eq!(worker.reap(&mut Vec::new(), 1), Err(Closed));
}

#[test]
fn the_clock_is_the_one_that_was_given() {
    let clock = ManualClock::new();
    let before = clock.now();
    clock.advance(Duration::from_secs(3));
    assert_eq!(clock.now() - before, Duration::from_secs(3));
    assert!(Deadline(before).is_due(&clock));
    assert!(!Deadline::after(&clock, Duration::from_nanos(1)).is_due(&clock));
}
