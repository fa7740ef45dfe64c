//! [`ProcessTx`]: a context's transaction as a process sees it: every call is held against the contract.
//!
//! A call that the contract does not name changes nothing, and ends the process, whatever the process does with the
//! error it got.

use super::{Contract, Failure};
use crate::{ContextTx, Error, Isolation, Path, Result, Value, transaction::Step};

/// What ends a process from outside.
pub(crate) trait Watch {
    /// An attempt begins.
    fn begin(&self) -> Result<()> {
        self.check()
    }

    /// Asked at every call: whether to go on.
    fn check(&self) -> Result<()>;

    /// Asked last, before the commit: from here on nothing ends it.
    fn claim(&self) -> Result<()> {
        self.check()
    }
}

/// Nothing ends it.
pub(crate) struct Unwatched;

impl Watch for Unwatched {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// The transaction of a process. As [`ContextTx`], within a [`Contract`].
pub struct ProcessTx<'a, 'b> {
    tx: &'a mut ContextTx<'b>,
    process: &'a str,
    contract: &'a Contract,
    watch: &'a dyn Watch,
    violation: Option<Error>,
}

impl<'a, 'b> ProcessTx<'a, 'b> {
    pub(crate) fn new(
        tx: &'a mut ContextTx<'b>,
        process: &'a str,
        contract: &'a Contract,
        watch: &'a dyn Watch,
    ) -> Self {
        Self {
            tx,
            process,
            contract,
            watch,
            violation: None,
        }
    }

    /// The first violation, which a body cannot make good.
    pub(crate) fn violation(self) -> Option<Error> {
        self.violation
    }

    fn permit(&mut self, what: &'static str, path: &str, objection: Option<&'static str>) -> Step<()> {
        self.watch.check()?;
        let Some(advice) = objection else { return Ok(()) };
        let violation = Error::Violation {
            process: self.process.to_owned(),
            what,
            path: path.chars().take(120).collect(),
            advice,
        };
        self.violation.get_or_insert_with(|| violation.clone());
        Err(violation.into())
    }

    fn reads(&mut self, path: &str) -> Step<()> {
        self.permit("reads", path, self.contract.objection_to_reading(path))
    }

    fn writes(&mut self, path: &str) -> Step<()> {
        self.permit("writes", path, self.contract.objection_to_writing(path))
    }

    /// Whether the contract lets it read a path.
    #[must_use]
    pub fn may_read(&self, path: &str) -> bool {
        self.contract.objection_to_reading(path).is_none()
    }

    /// As [`ContextTx::get`].
    ///
    /// # Errors
    /// As there; a path that is no input.
    pub fn get(&mut self, path: &str) -> Step<Option<Value>> {
        self.reads(path)?;
        self.tx.get(path)
    }

    /// As [`ContextTx::get_int`].
    ///
    /// # Errors
    /// As there; a path that is no input.
    pub fn get_int(&mut self, path: &str) -> Step<i64> {
        self.reads(path)?;
        self.tx.get_int(path)
    }

    /// As [`ContextTx::keys`]; the branch must lie within an input.
    ///
    /// # Errors
    /// As there; a branch that is no input.
    pub fn keys(&mut self, branch: &str, limit: usize) -> Step<Vec<Path>> {
        self.permit("lists", branch, self.contract.objection_to_listing(branch))?;
        self.tx.keys(branch, limit)
    }

    /// As [`ContextTx::set`].
    ///
    /// # Errors
    /// As there; a path that is no output.
    pub fn set(&mut self, path: &str, value: impl Into<Value>) -> Step<()> {
        self.writes(path)?;
        self.tx.set(path, value)
    }

    /// As [`ContextTx::delete`].
    ///
    /// # Errors
    /// As there; a path that is no output.
    pub fn delete(&mut self, path: &str) -> Step<()> {
        self.writes(path)?;
        self.tx.delete(path)
    }

    /// As [`ContextTx::increment`].
    ///
    /// # Errors
    /// As there; a path that is no output.
    pub fn increment(&mut self, path: &str, delta: i64) -> Step<()> {
        self.writes(path)?;
        self.tx.increment(path, delta)
    }

    /// As [`ContextTx::append`].
    ///
    /// # Errors
    /// As there; a path that is no output.
    pub fn append(&mut self, path: &str, item: impl Into<Value>) -> Step<()> {
        self.writes(path)?;
        self.tx.append(path, item)
    }

    /// As [`ContextTx::merge`].
    ///
    /// # Errors
    /// As there; a path that is no output.
    pub fn merge(
        &mut self,
        path: &str,
        merge: impl Fn(Option<Value>) -> Result<Value> + Send + Sync + 'static,
    ) -> Step<()> {
        self.writes(path)?;
        self.tx.merge(path, merge)
    }

    /// As [`ContextTx::send`].
    ///
    /// # Errors
    /// As there; a topic that is no side effect.
    pub fn send(&mut self, topic: &str, payload: impl Into<Value>) -> Step<()> {
        let objection = (!self.contract.names_topic(topic)).then_some("which is not among its side effects");
        self.permit("sends to", topic, objection)?;
        self.tx.send(topic, payload)
    }

    /// Ends the process with an error of its contract; nothing it wrote is kept, except by a raw one.
    ///
    /// # Errors
    /// Always: return it.
    pub fn fail<T>(&self, name: &str, message: impl Into<String>) -> Step<T> {
        Err(Failure {
            name: name.to_owned(),
            message: message.into(),
        }
        .into())
    }

    /// Whether to go on. Every other call asks too; ask in a long calculation that makes none.
    ///
    /// # Errors
    /// When it was cancelled or its time is up: return it.
    pub fn go_on(&self) -> Step<()> {
        Ok(self.watch.check()?)
    }

    /// The level of this transaction.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.tx.isolation()
    }
}
