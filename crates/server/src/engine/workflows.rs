//! The workflows that run on the contexts: started by the API port, told step by step, ended with the server.
//!
//! Bounded: so many run at once, so many that have ended are remembered, and of each so many events; who reads slower
//! than that is told how many it missed. A run is a thread of its own with a pool for its steps, so that no run waits
//! for the steps of another.

use crate::port::stm::change;
use quintet_core::{Clock, Deadline, Error, ErrorKind, SystemClock};
use quintet_stm::{
    Context, Warning,
    workflow::{CancelToken, Event, Plan, Pool, Report, RunOptions},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::UNIX_EPOCH,
};
use tokio::sync::watch;

/// Runs at once.
const MOST_RUNNING: usize = 8;
/// Runs that are remembered after their end.
const REMEMBERED: usize = 256;
/// Events of one run.
const MOST_EVENTS: usize = 1024;
/// Changes that the answer shows.
const MOST_CHANGES: usize = 1000;
const MOST_THREADS: usize = 8;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every run that is remembered.
#[derive(Default)]
pub(crate) struct Workflows {
    runs: Mutex<Runs>,
}

#[derive(Default)]
struct Runs {
    last: u64,
    known: BTreeMap<u64, Arc<Run>>,
    closed: bool,
}

/// One run.
pub(crate) struct Run {
    id: u64,
    context: String,
    name: Option<String>,
    steps: usize,
    started_ms: u64,
    cancel: CancelToken,
    story: Mutex<Story>,
    /// The number of the last event, for those who wait for the next.
    latest: watch::Sender<u64>,
}

#[derive(Default)]
struct Story {
    /// Number, name and body of each event that is kept.
    events: VecDeque<(u64, &'static str, Arc<str>)>,
    last: u64,
    /// The end, once it has come.
    report: Option<Value>,
}

/// What a reader of events has not seen.
pub(crate) struct News {
    /// Number, name, body.
    pub(crate) events: Vec<(u64, &'static str, Arc<str>)>,
    /// How many came in between and are no longer kept.
    pub(crate) missed: u64,
    /// Whether these are the last.
    pub(crate) ended: bool,
}

impl Workflows {
    /// Starts a run.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when too many run, [`ErrorKind::Closed`] when the server ends.
    pub(crate) fn start(&self, name: &str, context: Context, plan: Plan) -> Result<Arc<Run>, Error> {
        let mut runs = locked(&self.runs);
        if runs.closed {
            return Err(Error::new(ErrorKind::Closed, "the server is stopping"));
        }
        if runs.known.values().filter(|run| !run.has_ended()).count() >= MOST_RUNNING {
            let why = format!("{MOST_RUNNING} workflows are running, the most there may be; try again");
            return Err(Error::new(ErrorKind::Unavailable, why));
        }
        runs.last += 1;
        let since = SystemClock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        let run = Arc::new(Run {
            id: runs.last,
            context: name.to_owned(),
            name: plan.name().map(ToOwned::to_owned),
            steps: plan.steps(),
            started_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            cancel: CancelToken::new(),
            story: Mutex::default(),
            latest: watch::Sender::new(0),
        });
        let running = Arc::clone(&run);
        let drive = move || running.drive(&context, &plan);
        thread::Builder::new()
            .name(format!("workflow {}", run.id))
            .spawn(drive)
            .map_err(|error| Error::new(ErrorKind::Unavailable, format!("no thread for the run: {error}")))?;
        runs.known.insert(run.id, Arc::clone(&run));
        runs.forget();
        Ok(run)
    }

    /// A run that is remembered.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub(crate) fn get(&self, id: u64) -> Result<Arc<Run>, Error> {
        let found = locked(&self.runs).known.get(&id).cloned();
        found.ok_or_else(|| {
            let why =
                format!("there is no workflow {id}; the last {REMEMBERED} that have ended are remembered");
            Error::new(ErrorKind::NotFound, why)
        })
    }

    /// All of them, the newest first.
    pub(crate) fn list(&self) -> Vec<Value> {
        let runs: Vec<_> = locked(&self.runs).known.values().rev().cloned().collect();
        runs.iter().map(|run| run.summary()).collect()
    }

    /// Cancels what runs, starts nothing more, and waits for the ends until the deadline. Blocks.
    pub(crate) fn end(&self, deadline: Deadline) {
        let runs: Vec<_> = {
            let mut runs = locked(&self.runs);
            runs.closed = true;
            runs.known.values().cloned().collect()
        };
        runs.iter().for_each(|run| run.cancel());
        for run in runs {
            while !run.has_ended() && !deadline.is_due(&SystemClock) {
                thread::park_timeout(std::time::Duration::from_millis(2));
            }
        }
    }
}

impl Runs {
    /// Forgets the oldest that have ended.
    fn forget(&mut self) {
        let ended: Vec<u64> = self
            .known
            .values()
            .filter(|run| run.has_ended())
            .map(|run| run.id)
            .collect();
        for id in ended.iter().take(ended.len().saturating_sub(REMEMBERED)) {
            self.known.remove(id);
        }
    }
}

impl Run {
    /// Its number.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Ends it: what runs is undone, nothing more starts.
    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }

    fn has_ended(&self) -> bool {
        locked(&self.story).report.is_some()
    }

    fn drive(&self, context: &Context, plan: &Plan) {
        let cpus = thread::available_parallelism().map_or(2, NonZeroUsize::get);
        let threads = NonZeroUsize::new(cpus.clamp(2, MOST_THREADS)).unwrap_or(NonZeroUsize::MIN);
        let options = RunOptions {
            cancel: self.cancel.clone(),
            observe: Box::new(|event| self.tell(&event)),
            ..RunOptions::default()
        };
        let report = plan.run(context, &Pool::new(threads), options);
        let last = {
            let mut story = locked(&self.story);
            let end = ended(&report);
            story.push("ended", &end);
            story.report = Some(end);
            story.last
        };
        self.latest.send_replace(last);
    }

    fn tell(&self, event: &Event) {
        let Some((name, body)) = told(event) else { return };
        let last = {
            let mut story = locked(&self.story);
            story.push(name, &body);
            story.last
        };
        self.latest.send_replace(last);
    }

    /// Its state in a line.
    pub(crate) fn summary(&self) -> Value {
        let story = locked(&self.story);
        let status = match &story.report {
            Some(report) => report["status"].clone(),
            None if self.cancel.is_cancelled() => json!("cancelling"),
            None => json!("running"),
        };
        json!({
            "id": self.id,
            "name": self.name,
            "context": self.context,
            "steps": self.steps,
            "started_ms": self.started_ms,
            "status": status,
        })
    }

    /// Its state with all that is known.
    pub(crate) fn whole(&self) -> Value {
        let mut whole = self.summary();
        let story = locked(&self.story);
        whole["events"] = json!(story.last);
        if let Some(report) = &story.report {
            whole["report"] = report.clone();
        }
        whole
    }

    /// The events after a number.
    pub(crate) fn news(&self, after: u64) -> News {
        let story = locked(&self.story);
        let first = story
            .events
            .front()
            .map_or(story.last + 1, |(number, _, _)| *number);
        News {
            events: story
                .events
                .iter()
                .filter(|(number, _, _)| *number > after)
                .cloned()
                .collect(),
            missed: first.saturating_sub(after.saturating_add(1)),
            ended: story.report.is_some(),
        }
    }

    /// Is told the number of each new event.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }
}

impl Story {
    fn push(&mut self, name: &'static str, body: &Value) {
        if self.events.len() >= MOST_EVENTS {
            self.events.pop_front();
        }
        self.last += 1;
        self.events
            .push_back((self.last, name, Arc::from(body.to_string())));
    }
}

fn told(event: &Event) -> Option<(&'static str, Value)> {
    Some(match event {
        Event::Started { steps } => ("started", json!({ "steps": steps })),
        Event::StepStarted { step, attempt } => (
            "step_started",
            json!({ "step": &*step.label, "line": step.line, "attempt": attempt }),
        ),
        Event::StepDone {
            step,
            version,
            changes,
            elapsed,
        } => (
            "step_done",
            json!({ "step": &*step.label, "line": step.line, "version": version, "changes": changes,
                "elapsed_us": u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX) }),
        ),
        Event::Warned { step, warning } => {
            let mut body = warned(warning);
            body["step"] = json!(&*step.label);
            body["line"] = json!(step.line);
            ("warned", body)
        }
        Event::StepFailed {
            step,
            error,
            retry_in,
        } => (
            "step_failed",
            json!({ "step": &*step.label, "line": step.line, "error": error.to_string(),
                "retry_in_ms": retry_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)) }),
        ),
        Event::StepSkipped { step } => ("step_skipped", json!({ "step": &*step.label, "line": step.line })),
        // The end is told with the report.
        _ => return None,
    })
}

fn warned(warning: &Warning) -> Value {
    json!({
        "process": warning.process,
        "field": warning.field,
        "level": warning.level.as_str(),
        "count": warning.count,
        "message": warning.message,
    })
}

fn ended(report: &Report) -> Value {
    let failures = report.failures.iter().map(|failure| {
        json!({
            "step": failure.step.as_ref().map(|step| step.label.to_string()),
            "line": failure.step.as_ref().map(|step| step.line),
            "error": failure.error.to_string(),
        })
    });
    let changes = report.changes.iter().take(MOST_CHANGES).map(change);
    json!({
        "status": report.status.as_str(),
        "done": report.done,
        "failed": report.failed,
        "skipped": report.skipped,
        "elapsed_us": u64::try_from(report.elapsed.as_micros()).unwrap_or(u64::MAX),
        "failures": failures.collect::<Vec<_>>(),
        "warnings": report.warnings.iter().map(warned).collect::<Vec<_>>(),
        "changes": changes.collect::<Vec<_>>(),
        "is_complete": report.is_complete && report.changes.len() <= MOST_CHANGES,
    })
}
