//! The pool: priorities, bounds, deadlines, growth, draining.

use quintet_core::{Clock, Deadline, ErrorKind, SystemClock, fake::ManualClock};
use quintet_tree::{Pool, PoolConfig, Priority, Task};
use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

fn one_worker() -> PoolConfig {
    PoolConfig {
        min_workers: 1,
        max_workers: 1,
        queue_jobs: 64,
        ..PoolConfig::default()
    }
}

/// Keeps a worker busy until it is let go.
struct Held {
    go: mpsc::Sender<()>,
    task: Task<()>,
}

fn hold(pool: &Pool) -> Held {
    let (go, wait) = mpsc::channel::<()>();
    let (tell, begun) = mpsc::channel();
    let task = pool
        .run(Priority::Control, None, move || {
            tell.send(()).unwrap();
            // Let go of by a message or by dropping the sender.
            let _go = wait.recv();
        })
        .unwrap();
    begun.recv().unwrap();
    Held { go, task }
}

impl Held {
    fn let_go(self) {
        self.go.send(()).unwrap();
        self.task.wait().unwrap();
    }
}

#[test]
fn jobs_run_by_priority_and_in_order_and_none_starves() {
    let pool = Pool::start(one_worker(), Arc::new(SystemClock)).unwrap();
    let held = hold(&pool);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for n in 0..10 {
        for priority in [Priority::Bulk, Priority::Write, Priority::Read, Priority::Control] {
            let order = Arc::clone(&order);
            tasks.push(
                pool.run(priority, None, move || order.lock().unwrap().push((priority, n)))
                    .unwrap(),
            );
        }
    }
    held.let_go();
    tasks.into_iter().for_each(|task| task.wait().unwrap());
    let order = order.lock().unwrap().clone();
    let of = |wanted| {
        order
            .iter()
            .filter(|(priority, _)| *priority == wanted)
            .map(|(_, n)| *n)
            .collect::<Vec<_>>()
    };
    for priority in Priority::ALL {
        assert_eq!(
            of(priority),
            (0..10).collect::<Vec<_>>(),
            "{priority:?} in the order of asking"
        );
    }
    let first_bulk = order
        .iter()
        .position(|(priority, _)| *priority == Priority::Bulk)
        .unwrap();
    assert!(
        (10..20).contains(&first_bulk),
        "one in sixteen goes to the last: {first_bulk}"
    );
    let sorted = order
        .iter()
        .filter(|(priority, _)| *priority != Priority::Bulk)
        .map(|(priority, _)| *priority);
    assert!(sorted.is_sorted(), "the others go by priority: {order:?}");
}

#[test]
fn a_full_queue_refuses_and_says_so() {
    let config = PoolConfig {
        queue_jobs: 2,
        ..one_worker()
    };
    let pool = Pool::start(config, Arc::new(SystemClock)).unwrap();
    let held = hold(&pool);
    let waiting: Vec<_> = (0..2)
        .map(|n| pool.run(Priority::Read, None, move || n).unwrap())
        .collect();
    let refused = pool.run(Priority::Read, None, || 9).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let control = pool.run(Priority::Control, None, || 7).unwrap();
    held.let_go();
    assert_eq!(control.wait().unwrap(), 7);
    assert_eq!(
        waiting
            .into_iter()
            .map(|task| task.wait().unwrap())
            .collect::<Vec<_>>(),
        [0, 1]
    );
    assert_eq!(pool.stats().priorities[Priority::Read as usize].refused, 1);
}

#[test]
fn a_job_whose_deadline_passed_or_whose_caller_left_is_not_begun() {
    let clock = Arc::new(ManualClock::new());
    let pool = Pool::start(one_worker(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let held = hold(&pool);
    let ran = Arc::new(Mutex::new(Vec::new()));
    let run = |name: &'static str, deadline| {
        let ran = Arc::clone(&ran);
        pool.run(Priority::Read, deadline, move || ran.lock().unwrap().push(name))
            .unwrap()
    };
    let due = |ms| Some(Deadline(clock.now() + Duration::from_millis(ms)));
    let late = run("late", due(10));
    let in_time = run("in time", due(30));
    drop(run("cancelled", None));
    clock.advance(Duration::from_millis(25));
    held.let_go();
    let said = late.wait().unwrap_err();
    assert_eq!(said.kind(), ErrorKind::TimedOut);
    assert_eq!(
        said.to_string(),
        "the deadline passed 15 ms before the request's turn came"
    );
    in_time.wait().unwrap();
    run("last", None).wait().unwrap();
    assert_eq!(*ran.lock().unwrap(), ["in time", "last"]);
    let counted = pool.stats().priorities[Priority::Read as usize];
    assert_eq!((counted.late, counted.cancelled), (1, 1));
    assert_eq!(counted.wait.max, Duration::from_millis(25));
}

#[test]
fn it_grows_while_jobs_wait_and_shrinks_when_workers_idle() {
    let config = PoolConfig {
        min_workers: 1,
        max_workers: 3,
        grow_after: Duration::ZERO,
        shrink_after: Duration::from_millis(1),
        ..PoolConfig::default()
    };
    let pool = Pool::start(config, Arc::new(SystemClock)).unwrap();
    // None of these can begin unless the one before has a worker of its own.
    let held = [hold(&pool), hold(&pool), hold(&pool)];
    let fourth = pool.run(Priority::Read, None, || ()).unwrap();
    assert_eq!(
        (pool.stats().workers, pool.stats().peak_workers),
        (3, 3),
        "no more than the most"
    );
    held.into_iter().for_each(Held::let_go);
    fourth.wait().unwrap();
    let deadline = Deadline::after(&SystemClock, Duration::from_secs(30));
    while pool.stats().workers > 1 {
        assert!(!deadline.is_due(&SystemClock), "idle workers did not end");
        std::thread::yield_now();
    }
    assert_eq!(pool.run(Priority::Read, None, || 5).unwrap().wait().unwrap(), 5);
}

#[test]
fn a_panic_is_the_jobs_own_trouble() {
    let pool = Pool::start(one_worker(), Arc::new(SystemClock)).unwrap();
    let task = pool
        .run(Priority::Read, None, || {
            assert!(std::env::args().count() > 1_000_000, "on purpose")
        })
        .unwrap();
    assert_eq!(task.wait().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(pool.run(Priority::Read, None, || 5).unwrap().wait().unwrap(), 5);
    let stats = pool.stats();
    assert_eq!(
        (stats.workers, stats.priorities[Priority::Read as usize].panicked),
        (1, 1)
    );
}

#[test]
fn a_drain_lets_queued_jobs_finish_or_says_that_they_did_not() {
    let pool = Pool::start(one_worker(), Arc::new(SystemClock)).unwrap();
    let tasks: Vec<_> = (0..20)
        .map(|n| pool.run(Priority::Bulk, None, move || n).unwrap())
        .collect();
    assert!(pool.drain(Duration::from_secs(30)));
    assert!(tasks.into_iter().map(|task| task.wait().unwrap()).eq(0..20));
    assert_eq!(
        pool.run(Priority::Read, None, || ()).err().unwrap().kind(),
        ErrorKind::Closed
    );
    let pool = Pool::start(one_worker(), Arc::new(SystemClock)).unwrap();
    let Held { go, task } = hold(&pool);
    let never = pool.run(Priority::Control, None, || ()).unwrap();
    let drained = std::thread::scope(|scope| {
        let draining = scope.spawn(|| pool.drain(Duration::ZERO));
        assert_eq!(never.wait().unwrap_err().kind(), ErrorKind::Closed);
        drop(go);
        draining.join().unwrap()
    });
    assert!(!drained);
    task.wait().unwrap();
}

#[test]
fn what_workers_did_is_counted() {
    let pool = Pool::start(one_worker(), Arc::new(SystemClock)).unwrap();
    for _ in 0..50 {
        pool.run(Priority::Write, None, || ()).unwrap().wait().unwrap();
    }
    let deadline = Deadline::after(&SystemClock, Duration::from_secs(30));
    // A task answers before its job is counted.
    while pool.stats().priorities[Priority::Write as usize].done < 50 {
        assert!(!deadline.is_due(&SystemClock), "not all were counted");
    }
    let stats = pool.stats();
    let counted = stats.priorities[Priority::Write as usize];
    assert_eq!(
        (counted.wait.count(), counted.run.count(), counted.waiting),
        (50, 50, 0)
    );
    assert!(counted.wait.quantile(0.5) <= counted.wait.max && counted.wait.total >= counted.wait.max);
    assert!(
        stats.utilisation > 0.0 && stats.utilisation <= 1.0,
        "{}",
        stats.utilisation
    );
}
