//! [`Transaction`]: how to run a body: level, label, how often, how long to sleep; and the loop that both APIs run in.
//!
//! The loop: run the body; on a conflict wait and run it again; after some losses take a ticket and run it with
//! reservations, which cannot lose; on `retry` sleep until something read has changed.

use crate::{
    Error, Isolation, Result,
    backoff::Backoff,
    label::Label,
    protocol::{domain::Domain, read_set::ReadSet, slot::Slot, ticket::Ticket},
};
use std::{cell::Cell, error::Error as StdError, num::NonZeroU32, sync::Arc, time::Duration};

/// How to run a transaction. The default is hybrid, as often as it takes.
///
/// ```
/// use quintet_stm::{Isolation, TVar, Transaction};
///
/// let balance = TVar::new(100_i64);
/// let left = Transaction::new(Isolation::Safe).run(|tx| {
///     let now = tx.read(&balance)?;
///     tx.write(&balance, now - 30)?;
///     Ok(now - 30)
/// }).unwrap();
/// assert_eq!((left, balance.get()), (70, 70));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a transaction does nothing until it is run"]
pub struct Transaction {
    pub(crate) isolation: Isolation,
    label: Option<Label>,
    attempts: Option<NonZeroU32>,
    sleep_at_most: Option<Duration>,
    admin: bool,
}

impl Default for Transaction {
    fn default() -> Self {
        Self::new(Isolation::default())
    }
}

impl Transaction {
    /// A transaction at a level.
    pub const fn new(isolation: Isolation) -> Self {
        Self {
            isolation,
            label: None,
            attempts: None,
            sleep_at_most: None,
            admin: false,
        }
    }

    /// Who runs it: named as rival in the conflicts of others and as author in change sets. Without a label it is the
    /// thread's number. At most 4096 different labels are told apart.
    pub fn label(mut self, name: &str) -> Self {
        self.label = Some(Label::of(name));
        self
    }

    /// As [`label`](Self::label), of a name that has one already.
    pub(crate) const fn by(mut self, label: Label) -> Self {
        self.label = Some(label);
        self
    }

    /// Gives up with [`Error::Conflict`] after this many attempts. Without it a transaction that keeps losing takes a
    /// ticket after 8 and then succeeds.
    pub const fn attempts(mut self, attempts: NonZeroU32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Gives up with [`Error::TimedOut`] when one sleep in `retry` takes longer.
    pub const fn sleep_at_most(mut self, limit: Duration) -> Self {
        self.sleep_at_most = Some(limit);
        self
    }

    /// Lifts the limits that zones set in a context: constants may be set, internals read, logs cut.
    pub const fn admin(mut self) -> Self {
        self.admin = true;
        self
    }

    pub(crate) const fn is_admin(&self) -> bool {
        self.admin
    }

    /// The level.
    #[must_use]
    pub const fn isolation(&self) -> Isolation {
        self.isolation
    }

    pub(crate) fn author(&self) -> Label {
        self.label.unwrap_or_else(Label::of_thread)
    }
}

/// Why a body cannot go on. Return it: `?` does.
///
/// Any error of the body's own converts into it and undoes the transaction.
#[derive(Debug)]
pub struct Abort(pub(crate) Cause);

#[derive(Debug)]
pub(crate) enum Cause {
    Conflict,
    Retry,
    Failed(Box<Error>),
}

/// What a step of a transaction's body answers.
pub type Step<T> = std::result::Result<T, Abort>;

impl Abort {
    pub(crate) const CONFLICT: Self = Self(Cause::Conflict);

    #[cold]
    pub(crate) fn failed(error: Error) -> Self {
        Self(Cause::Failed(Box::new(error)))
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Abort {
    fn from(error: E) -> Self {
        let error: Box<dyn StdError + Send + Sync> = Box::new(error);
        Self::failed(match error.downcast::<Error>() {
            Ok(own) => *own,
            Err(foreign) => Error::Body(Arc::from(foreign)),
        })
    }
}

/// Undoes the transaction and sleeps until a variable it has read changes; then the body runs again.
///
/// # Errors
/// Always: return it.
pub fn retry<T>() -> Step<T> {
    Err(Abort(Cause::Retry))
}

/// Goes on if the condition holds, else [`retry`].
///
/// # Errors
/// When the condition does not hold.
pub fn check(condition: bool) -> Step<()> {
    if condition { Ok(()) } else { retry() }
}

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as inside a transaction.
pub(crate) struct Running(());

impl Running {
    #[inline]
    pub(crate) fn enter() -> Result<Self> {
        RUNNING.with(|running| {
            if running.replace(true) {
                Err(Error::Nested)
            } else {
                Ok(Self(()))
            }
        })
    }
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        RUNNING.with(|running| running.set(false));
    }
}

/// One attempt after another at a body, as both APIs make them.
pub(crate) trait Attempts {
    /// What a committed attempt answers.
    type Output;

    /// Starts afresh, runs the body once and commits. Leaves no reservation behind.
    fn attempt(&mut self, aged: bool) -> Step<Self::Output>;

    /// What the last attempt saw.
    fn reads(&self) -> &ReadSet;

    /// Whether the last attempt has already changed something (raw).
    fn has_written(&self) -> bool;

    /// The name of a variable the last attempt saw.
    fn name_of(&self, slot: &'static Slot) -> String;
}

/// Runs attempts until one commits or may not go on.
#[inline]
pub(crate) fn run<A: Attempts>(domain: &Domain, how: &Transaction, attempts: &mut A) -> Result<A::Output> {
    let _running = Running::enter()?;
    match attempts.attempt(false) {
        Ok(output) => Ok(output),
        Err(abort) => run_again(domain, how, attempts, abort),
    }
}

#[cold]
fn run_again<A: Attempts>(
    domain: &Domain,
    how: &Transaction,
    attempts: &mut A,
    mut abort: Abort,
) -> Result<A::Output> {
    let mut backoff = Backoff::default();
    let mut ticket: Option<Ticket<'_>> = None;
    let mut count = 1_u32;
    loop {
        match abort.0 {
            Cause::Failed(error) => return Err(*error),
            Cause::Retry => {
                // Nobody may have to wait for one who sleeps.
                ticket = None;
                backoff = Backoff::default();
                sleep(domain, how, attempts)?;
            }
            Cause::Conflict if how.attempts.is_some_and(|most| count >= most.get()) => {
                return Err(conflict(attempts, count));
            }
            Cause::Conflict => {
                if ticket.is_none() && backoff.lost() {
                    ticket = Some(domain.tickets.take().ok_or(Error::Nested)?);
                }
                count = count.saturating_add(1);
            }
        }
        match attempts.attempt(ticket.is_some()) {
            Ok(output) => return Ok(output),
            Err(next) => abort = next,
        }
    }
}

fn sleep<A: Attempts>(domain: &Domain, how: &Transaction, attempts: &A) -> Result<()> {
    if attempts.has_written() {
        return Err(Error::RawRetry);
    }
    let reads = attempts.reads().reads();
    if reads.is_empty() {
        return Err(Error::NothingToWaitFor);
    }
    let seen = reads.iter().map(|read| (read.slot, read.stamp));
    if domain.waiters.wait(seen, how.sleep_at_most) {
        Ok(())
    } else {
        let waited_ms = how.sleep_at_most.unwrap_or_default().as_millis();
        Err(Error::TimedOut {
            waited_ms: u64::try_from(waited_ms).unwrap_or(u64::MAX),
        })
    }
}

fn conflict<A: Attempts>(attempts: &A, count: u32) -> Error {
    let rivals = attempts.reads().rivals();
    Error::Conflict {
        keys: rivals.iter().map(|slot| attempts.name_of(slot)).collect(),
        rival: rivals.first().map_or_else(
            || "nobody".into(),
            |slot| Label::from_u32(slot.writer()).name().to_string(),
        ),
        attempts: count,
    }
}
