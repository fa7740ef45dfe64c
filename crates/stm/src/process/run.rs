//! Running a [`Process`]: one transaction, with the audit inside it and panics caught around it.

use super::{Contract, Failure, Process, ProcessTx, Unwatched, Watch};
use crate::{
    Context, ContextTx, Error, Isolation, Result, Transaction,
    audit::{Held, Warning},
    transaction::{Abort, Cause, Step},
};
use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// How to run a process.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct How {
    /// The level. Default hybrid.
    pub isolation: Isolation,
    /// Gives up with [`Error::TimedOut`] when one sleep in [`retry`](crate::retry) takes longer.
    pub sleep_at_most: Option<Duration>,
}

impl From<Isolation> for How {
    fn from(isolation: Isolation) -> Self {
        Self {
            isolation,
            ..Self::default()
        }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The version of the context that it made: `None` if it changed nothing that is recorded.
    pub version: Option<u64>,
    /// What the audit had to say, and let pass.
    pub warnings: Vec<Warning>,
}

impl Process {
    /// Runs it once, on the calling thread.
    ///
    /// # Errors
    /// [`Error::Violation`], [`Error::ProcessFailed`], [`Error::Panicked`], [`Error::Audit`], and as
    /// [`Context::transact`]. Nothing has happened then, except that a raw run keeps what it wrote.
    pub fn run(&self, context: &Context, how: &How) -> Result<Outcome> {
        self.run_watched(context, how, &Unwatched)
    }

    /// The same under the eyes of one who may end it.
    pub(crate) fn run_watched(&self, context: &Context, how: &How, watch: &dyn Watch) -> Result<Outcome> {
        let mut transaction = Transaction::new(how.isolation).label(&self.name);
        if let Some(limit) = how.sleep_at_most {
            transaction = transaction.sleep_at_most(limit);
        }
        // What the audit of the last attempt holds until it is known whether that attempt committed.
        let held: RefCell<Option<Held<'_>>> = RefCell::new(None);
        let body = |tx: &mut ContextTx<'_>| {
            held.replace(None);
            watch.begin()?;
            self.attempt(tx, watch, &held)?;
            Ok(watch.claim()?)
        };
        let decided = |committed: bool| {
            if let Some(held) = held.borrow_mut().as_mut() {
                held.settle(committed);
            }
        };
        let run = || context.transact_then(&transaction, body, decided);
        let ended = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            Err(Error::Panicked {
                process: self.name.to_string(),
                message: message_of(&*panic),
            })
        });
        let warnings = held.take().map(Held::into_warnings).unwrap_or_default();
        let ((), version) = ended?;
        Ok(Outcome { version, warnings })
    }

    fn attempt<'a>(
        &'a self,
        tx: &mut ContextTx<'_>,
        watch: &dyn Watch,
        held: &RefCell<Option<Held<'a>>>,
    ) -> Step<()> {
        let audit = self.audit.as_deref();
        let inputs = match audit {
            Some(audit) => audit.judge_inputs(tx)?,
            None => Vec::new(),
        };
        if let Some(audit) = audit.filter(|audit| audit.would_act(&inputs)) {
            return audit.hold(&self.name, inputs, tx.isolation(), held);
        }
        let mut guarded = ProcessTx::new(tx, &self.name, &self.contract, watch);
        let result = (self.body)(&mut guarded);
        let violation = guarded.violation();
        let result = match (violation, result) {
            (Some(violation), _) => Err(violation.into()),
            (None, result) => result.map_err(|abort| name_failure(&self.name, &self.contract, abort)),
        };
        let Some(audit) = audit else { return result };
        match result {
            Ok(()) => {
                let mut judged = inputs;
                judged.extend(audit.judge_outputs(tx)?);
                audit.hold(&self.name, judged, tx.isolation(), held)
            }
            Err(Abort(Cause::Failed(error))) => {
                // The inputs were judged before the function ran, and count.
                audit.hold(&self.name, inputs, tx.isolation(), held)?;
                Err(Abort(Cause::Failed(error)))
            }
            Err(lost) => Err(lost),
        }
    }
}

/// An error that the contract names becomes that one; one of the function's own that it does not name is a violation;
/// the engine's own stay as they are.
fn name_failure(process: &str, contract: &Contract, abort: Abort) -> Abort {
    let Cause::Failed(error) = abort.0 else {
        return abort;
    };
    let Error::Body(own) = *error else {
        return Abort::failed(*error);
    };
    let failed = |name: &str, message: String| Error::ProcessFailed {
        process: process.to_owned(),
        name: name.to_owned(),
        message,
    };
    let undeclared = |name: String| Error::Violation {
        process: process.to_owned(),
        what: "ends with the error",
        path: name,
        advice: "which is not among its errors",
    };
    Abort::failed(match own.downcast_ref::<Failure>() {
        Some(failure) if contract.names_error(&failure.name) => {
            failed(&failure.name, failure.message.clone())
        }
        Some(failure) => undeclared(failure.to_string()),
        None => match contract.name_of(&*own) {
            Some(name) => failed(name, own.to_string()),
            None => undeclared(own.to_string()),
        },
    })
}

pub(crate) fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "a value that is no text".into());
    text.chars().take(400).collect()
}
