//! A directory whose Nth I/O fails. A test runs one scripted workload with N = 0, 1, 2 ... until no fault fires any more,
//! and so has seen every I/O of the workload fail once.

use super::{Claim, ClaimGuard, Directory, File, OpenMode};
use quintet_core::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How the chosen I/O fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// EIO; nothing is done.
    Io,
    /// ENOSPC; nothing is done.
    NoSpace,
    /// The first half of a write is done, then EIO. Other operations fail as with [`Fault::Io`].
    ShortWrite,
    /// The operation is done, then EIO: the failure that hides a success.
    AfterEffect,
}

impl Fault {
    /// Every kind, for tests that loop.
    pub const ALL: [Self; 4] = [Self::Io, Self::NoSpace, Self::ShortWrite, Self::AfterEffect];
}

#[derive(Debug, Default)]
struct Plan {
    /// Operations seen so far.
    count: u64,
    /// Which operation fails, and how.
    armed: Option<(u64, Fault)>,
    /// Whether every later operation fails too.
    sticky: bool,
    fired: u64,
}

/// Wraps any directory; every operation on it and on its files is one I/O. Clones share the plan.
#[derive(Clone)]
pub struct FaultDirectory {
    inner: Arc<dyn Directory>,
    plan: Arc<Mutex<Plan>>,
}

impl FaultDirectory {
    /// Passes everything through until a fault is armed.
    #[must_use]
    pub fn new(inner: Arc<dyn Directory>) -> Self {
        Self {
            inner,
            plan: Arc::default(),
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the `nth` I/O from now fail, once. 0 = the next one.
    pub fn fail_nth(&self, nth: u64, fault: Fault) {
        let mut plan = self.plan();
        plan.armed = Some((plan.count + nth, fault));
        plan.sticky = false;
    }

    /// Makes the `nth` I/O from now fail and every one after it.
    pub fn fail_from(&self, nth: u64, fault: Fault) {
        self.fail_nth(nth, fault);
        self.plan().sticky = true;
    }

    /// Lets everything pass again.
    pub fn heal(&self) {
        self.plan().armed = None;
    }

    /// How many I/Os there were.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.plan().count
    }

    /// How many of them were made to fail.
    #[must_use]
    pub fn fired(&self) -> u64 {
        self.plan().fired
    }
}

/// Counts one I/O and says whether it fails.
fn next(plan: &Mutex<Plan>) -> Option<Fault> {
    let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
    let number = plan.count;
    plan.count += 1;
    let (at, fault) = plan.armed?;
    let fails = number == at || plan.sticky && number > at;
    if fails {
        plan.fired += 1;
    }
    fails.then_some(fault)
}

/// The error of a fault, as the system would word it.
fn failure(fault: Fault, what: &str, name: &str, offset: u64) -> Error {
    let (kind, text) = match fault {
        Fault::NoSpace => (ErrorKind::Full, "no space left (injected)"),
        Fault::Io | Fault::ShortWrite | Fault::AfterEffect => {
            (ErrorKind::Io, "input/output error (injected)")
        }
    };
    Error::new(kind, format!("{what} {name} at byte {offset}: {text}"))
}

/// Runs one I/O under the plan.
fn run<T>(
    plan: &Mutex<Plan>,
    what: &str,
    name: &str,
    offset: u64,
    operation: impl FnOnce() -> Result<T>,
) -> Result<T> {
    match next(plan) {
        None => operation(),
        Some(fault) => {
            if fault == Fault::AfterEffect {
                operation()?;
            }
            Err(failure(fault, what, name, offset))
        }
    }
}

impl Directory for FaultDirectory {
    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn File>> {
        run(&self.plan, "open", name, 0, || {
            let inner = self.inner.open(name, mode)?;
            let plan = self.plan.clone();
            Ok(Arc::new(FaultFile { inner, plan }) as Arc<dyn File>)
        })
    }

    fn remove(&self, name: &str) -> Result<()> {
        run(&self.plan, "remove", name, 0, || self.inner.remove(name))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        run(&self.plan, "rename", from, 0, || self.inner.rename(from, to))
    }

    fn list(&self) -> Result<Vec<String>> {
        run(&self.plan, "list", "directory", 0, || self.inner.list())
    }

    fn sync(&self) -> Result<()> {
        run(&self.plan, "sync", "directory", 0, || self.inner.sync())
    }

    fn claim(&self, claim: Claim) -> Result<ClaimGuard> {
        run(&self.plan, "claim", "directory", 0, || self.inner.claim(claim))
    }
}

struct FaultFile {
    inner: Arc<dyn File>,
    plan: Arc<Mutex<Plan>>,
}

impl FaultFile {
    fn run<T>(&self, what: &str, offset: u64, operation: impl FnOnce() -> Result<T>) -> Result<T> {
        run(&self.plan, what, self.inner.name(), offset, operation)
    }
}

impl File for FaultFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.run("read", offset, || self.inner.read_at(buf, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        match next(&self.plan) {
            None => self.inner.write_at(bytes, offset),
            Some(fault) => {
                let done = match fault {
                    Fault::Io | Fault::NoSpace => 0,
                    Fault::ShortWrite => bytes.len() / 2,
                    Fault::AfterEffect => bytes.len(),
                };
                if done > 0 {
                    self.inner.write_at(&bytes[..done], offset)?;
                }
                Err(failure(fault, "write", self.inner.name(), offset))
            }
        }
    }

    fn sync_data(&self) -> Result<()> {
        self.run("sync", 0, || self.inner.sync_data())
    }

    fn len(&self) -> Result<u64> {
        self.run("stat", 0, || self.inner.len())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.run("set length of", len, || self.inner.set_len(len))
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.run("allocate", offset, || self.inner.allocate(offset, len))
    }

    fn punch_hole(&self, offset: u64, len: u64) -> Result<()> {
        self.run("punch hole in", offset, || self.inner.punch_hole(offset, len))
    }

    fn next_data(&self, offset: u64) -> Result<Option<u64>> {
        self.run("look for data in", offset, || self.inner.next_data(offset))
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}
