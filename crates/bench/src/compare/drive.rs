//! Drives one subject with one workload and takes the figures: closed loop for throughput, open loop for latency.
//!
//! Runs in the subject's own process. Each answer is looked at: a missing or wrong value ends the measurement with the
//! reason. A refusal as `Unavailable` is back-pressure: the operation is asked again, and the wait counts.

use super::{
    draw::{Operation, Source, Stream, is_value_of, key_bytes, value_bytes},
    session::{CREDITS, Session},
    subject::{Engine, Native},
    workload::Workload,
};
use anyhow::{Context as _, Result, bail, ensure};
use quintet_core::{ErrorKind, Keyed, KeyedReply};
use std::{
    sync::{
        Arc, Barrier, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// How long an operation may be refused as `Unavailable` before the measurement fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which way the operations go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Through {
    /// As `Keyed` messages.
    Message,
    /// By the subject's own calls.
    Native,
}

/// What the process that drives a subject shares between measurements.
pub(super) struct Driver<'a> {
    pub(super) engine: &'a dyn Engine,
    /// How many keys there are by now.
    pub(super) inserted: Arc<AtomicU64>,
    pub(super) slow_percent: u32,
}

/// One client: does operations one after another and looks at the answers.
pub(super) struct Client<'a> {
    workload: Workload,
    way: Way<'a>,
}

enum Way<'a> {
    Message(Box<Session>),
    Native(Box<dyn Native + 'a>),
}

impl Driver<'_> {
    pub(super) fn client(&self, workload: &Workload, through: Through) -> Result<Client<'_>> {
        let way = match through {
            Through::Message => Way::Message(Box::new(self.engine.connect()?.slowed(self.slow_percent))),
            Through::Native => Way::Native(self.engine.native()?),
        };
        Ok(Client {
            workload: workload.clone(),
            way,
        })
    }

    /// Puts every key there, many at once, and reads the last one back.
    pub(super) fn load(&self, workload: &Workload) -> Result<()> {
        let mut session = self.engine.connect()?;
        let is_counter = workload.mix.add > 0;
        let value = |number| match is_counter {
            true => vec![0; 8],
            false => value_bytes(number, workload.value_bytes),
        };
        // A batch stays below what an engine takes at once.
        let batch = (8 << 20) / (workload.value_bytes as u64 + 64);
        let batch = batch.clamp(1, CREDITS.get() as u64);
        let mut first = 0;
        while first < workload.keys {
            let last = (first + batch).min(workload.keys);
            retried(|| {
                let messages = (first..last).map(|number| Keyed::Put {
                    key: key_bytes(number),
                    value: value(number),
                });
                session.ask(messages, |_, _| {})
            })?;
            first = last;
        }
        self.inserted.store(workload.keys, Relaxed);
        let number = workload.keys - 1;
        let found = session.call(Keyed::Get {
            key: key_bytes(number),
        })?;
        ensure!(
            found == KeyedReply::Value(Some(value(number))),
            "the last key that was loaded is not there"
        );
        Ok(())
    }

    /// Operations a second of all clients together, each asking again as soon as it was answered.
    pub(super) fn closed(
        &self,
        workload: &Workload,
        through: Through,
        warm_up: Duration,
        window: Duration,
    ) -> Result<Closed> {
        let source = Source::new(workload, Arc::clone(&self.inserted));
        let counts: Vec<Count> = (0..workload.clients).map(|_| Count::default()).collect();
        let (stop, start) = (AtomicBool::new(false), Barrier::new(workload.clients + 1));
        let failed = Mutex::new(None);
        let sum = || counts.iter().map(|count| count.0.load(Relaxed)).sum::<u64>();
        let (mut operations, mut seconds, mut cpu) = (0, 0.0, Duration::ZERO);
        let mut clients = Vec::new();
        for _ in 0..workload.clients {
            clients.push(self.client(workload, through)?);
        }
        thread::scope(|scope| {
            for ((number, count), mut client) in counts.iter().enumerate().zip(clients) {
                let mut stream = source.stream(number);
                let (stop, start, failed) = (&stop, &start, &failed);
                scope.spawn(move || {
                    start.wait();
                    let mut done = 0;
                    while !stop.load(Relaxed) {
                        match client.step(&mut stream) {
                            Ok(more) => done += more,
                            Err(error) => {
                                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                                stop.store(true, Relaxed);
                                return;
                            }
                        }
                        count.0.store(done, Relaxed);
                    }
                });
            }
            start.wait();
            thread::sleep(warm_up);
            let (from, before, cpu_before) = (Instant::now(), sum(), cpu_time());
            thread::sleep(window);
            (operations, seconds) = (sum() - before, from.elapsed().as_secs_f64());
            cpu = cpu_time() - cpu_before;
            stop.store(true, Relaxed);
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        Ok(Closed {
            per_second: operations as f64 / seconds,
            cpu_seconds_per_million: cpu.as_secs_f64() * 1e6 / (operations.max(1)) as f64,
        })
    }
}

/// What a closed loop takes.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Closed {
    /// Operations of all clients in a second.
    pub per_second: f64,
    /// Seconds on a core, of clients and subject together, for a million operations.
    pub cpu_seconds_per_million: f64,
}

/// On a cache line of its own.
#[repr(align(128))]
#[derive(Default)]
struct Count(AtomicU64);

/// What this process has used of the cores since it began.
pub(super) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn is_unavailable(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<quintet_core::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::Unavailable)
}

/// Asks again while the subject says that it cannot just now.
fn retried<T>(mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    let mut since = None;
    loop {
        match ask() {
            Err(error) if is_unavailable(&error) => {
                let since = *since.get_or_insert_with(Instant::now);
                ensure!(since.elapsed() < PATIENCE, "refused for {PATIENCE:?}: {error:#}");
                thread::yield_now();
            }
            other => return other,
        }
    }
}

impl Client<'_> {
    /// Does as many operations as the workload keeps on the way at once; answers how many.
    pub(super) fn step(&mut self, stream: &mut Stream) -> Result<u64> {
        let depth = self.workload.depth;
        match (&mut self.way, depth) {
            (Way::Message(session), 2..) => {
                let operations: Vec<_> = (0..depth).map(|_| stream.next()).collect();
                retried(|| batch(&self.workload, session, &operations))?;
                Ok(depth as u64)
            }
            _ => {
                let operation = stream.next();
                retried(|| self.one(operation))?;
                Ok(1)
            }
        }
    }

    fn one(&mut self, operation: Operation) -> Result<()> {
        match &mut self.way {
            Way::Message(session) => by_message(&self.workload, session, operation),
            Way::Native(native) => natively(&self.workload, &mut **native, operation),
        }
    }
}

fn message(workload: &Workload, operation: Operation) -> Result<(u64, Keyed)> {
    let put = |number| Keyed::Put {
        key: key_bytes(number),
        value: value_bytes(number, workload.value_bytes),
    };
    Ok(match operation {
        Operation::Read(number) => (
            number,
            Keyed::Get {
                key: key_bytes(number),
            },
        ),
        Operation::Update(number) | Operation::Insert(number) => (number, put(number)),
        Operation::Add(number) => (
            number,
            Keyed::Add {
                key: key_bytes(number),
                delta: 1,
            },
        ),
        Operation::Scan(..) | Operation::ReadModifyWrite(_) => {
            bail!("a run of keys or a read-modify-write is not one message")
        }
    })
}

/// Whether that is an answer to an operation on that key.
fn check(workload: &Workload, number: u64, reply: &KeyedReply) -> Result<()> {
    match reply {
        KeyedReply::Value(Some(value)) if is_value_of(number, workload.value_bytes, value) => Ok(()),
        KeyedReply::Value(Some(value)) => {
            bail!(
                "key {number} has a value of {} bytes that nobody put there",
                value.len()
            )
        }
        // A key that is just being inserted may not be there yet.
        KeyedReply::Value(None) if number >= workload.keys => Ok(()),
        KeyedReply::Value(None) => bail!("key {number} is gone"),
        KeyedReply::Stored | KeyedReply::Sum(1..) => Ok(()),
        other => bail!("an operation on key {number} was answered by {other:?}"),
    }
}

fn by_message(workload: &Workload, session: &mut Session, operation: Operation) -> Result<()> {
    match operation {
        Operation::Scan(first, len) => {
            let mut wrong = Ok(());
            let gets = (first..first + len).map(|number| Keyed::Get {
                key: key_bytes(number),
            });
            session.ask(gets, |place, reply| {
                let checked = check(workload, first + place as u64, &reply);
                if wrong.is_ok() {
                    wrong = checked;
                }
            })?;
            wrong
        }
        Operation::ReadModifyWrite(number) => {
            by_message(workload, session, Operation::Read(number))?;
            by_message(workload, session, Operation::Update(number))
        }
        operation => {
            let (number, message) = message(workload, operation)?;
            check(workload, number, &session.call(message)?)
        }
    }
}

fn batch(workload: &Workload, session: &mut Session, operations: &[Operation]) -> Result<()> {
    let messages: Vec<_> = operations
        .iter()
        .map(|operation| message(workload, *operation))
        .collect::<Result<_>>()
        .context("this mix cannot be asked many at once")?;
    let numbers: Vec<u64> = messages.iter().map(|(number, _)| *number).collect();
    let mut wrong = Ok(());
    session.ask(
        messages.into_iter().map(|(_, message)| message),
        |place, reply| {
            let checked = check(workload, numbers[place], &reply);
            if wrong.is_ok() {
                wrong = checked;
            }
        },
    )?;
    wrong
}

fn natively(workload: &Workload, native: &mut dyn Native, operation: Operation) -> Result<()> {
    let read = |native: &mut dyn Native, number: u64| match native.get(&key_bytes(number), number)? {
        Some((len, true)) if len == workload.value_bytes => Ok(()),
        None if number >= workload.keys => Ok(()),
        seen => bail!("a native read of key {number} saw {seen:?}"),
    };
    match operation {
        Operation::Read(number) => read(native, number),
        Operation::Update(number) | Operation::Insert(number) => {
            native.put(&key_bytes(number), &value_bytes(number, workload.value_bytes))
        }
        Operation::Add(number) => native.add(&key_bytes(number), 1),
        Operation::ReadModifyWrite(number) => {
            read(native, number)?;
            native.put(&key_bytes(number), &value_bytes(number, workload.value_bytes))
        }
        Operation::Scan(first, len) => (first..first + len).try_for_each(|number| read(native, number)),
    }
}
