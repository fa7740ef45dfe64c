//! [`Process`]: a function with a [`Contract`], run as one transaction; and [`Processes`], those known by name.
//!
//! One run: input rules of the audit, the function, output rules on the buffered change, commit. Whatever goes wrong in
//! between, a panic included, undoes all of it, except what a raw run has written.

mod contract;
mod run;
mod tx;

pub use contract::Contract;
#[cfg(feature = "workflow")]
pub(crate) use run::message_of;
pub use run::{How, Outcome};
pub use tx::ProcessTx;
use tx::Unwatched;
pub(crate) use tx::Watch;

use crate::{Error, Result, audit::Audit, transaction::Step};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The function of a process. It may run more than once and must do nothing but through its transaction.
pub type Body = dyn Fn(&mut ProcessTx<'_, '_>) -> Step<()> + Send + Sync;

/// An error that a process names itself, by [`ProcessTx::fail`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("{name}: {message}")]
pub struct Failure {
    /// Its name in the contract.
    pub name: String,
    /// What went wrong.
    pub message: String,
}

/// A named function with a contract. Clones share it.
///
/// ```
/// use quintet_stm::{Context, Contract, How, Process};
///
/// let pay = Process::new("pay", Contract::new().inputs(["order.total"]).outputs(["paid"]), |tx| {
///     let total = tx.get_int("order.total")?;
///     tx.set("paid", total)
/// }).unwrap();
/// let context = Context::new("shop");
/// context.set_raw("order.total", 40_i64).unwrap();
/// pay.run(&context, &How::default()).unwrap();
/// assert_eq!(context.get("paid").unwrap().unwrap().as_int(), Some(40));
///
/// let sneak = Process::new("sneak", Contract::new().outputs(["paid"]), |tx| {
///     let _ignored = tx.get("order.total");
///     tx.set("paid", 0_i64)
/// }).unwrap();
/// let error = sneak.run(&context, &How::default()).unwrap_err();
/// assert_eq!(error.to_string(), "process `sneak`: reads `order.total`, which is not among its inputs");
/// assert_eq!(context.get("paid").unwrap().unwrap().as_int(), Some(40));
/// ```
#[derive(Clone)]
pub struct Process {
    name: Arc<str>,
    contract: Arc<Contract>,
    body: Arc<Body>,
    audit: Option<Arc<Audit>>,
}

impl Process {
    /// The longest name, in bytes.
    pub const MAX_NAME_BYTES: usize = 128;

    /// A process.
    ///
    /// # Errors
    /// A name that is empty, too long or has control characters; as [`Contract::check`].
    pub fn new(
        name: &str,
        contract: Contract,
        body: impl Fn(&mut ProcessTx<'_, '_>) -> Step<()> + Send + Sync + 'static,
    ) -> Result<Self> {
        let name_is_fine = !name.trim().is_empty()
            && name.len() <= Self::MAX_NAME_BYTES
            && !name.chars().any(char::is_control);
        if !name_is_fine {
            return Err(Error::InvalidOperation {
                at: "process".into(),
                reason: format!(
                    "a name has 1 to {} bytes and no control characters",
                    Self::MAX_NAME_BYTES
                ),
            });
        }
        contract.check(name)?;
        Ok(Self {
            name: Arc::from(name),
            contract: Arc::new(contract),
            body: Arc::new(body),
            audit: None,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its contract.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// The same process under the rules of an audit.
    #[must_use]
    pub fn with_audit(mut self, audit: Audit) -> Self {
        self.audit = Some(Arc::new(audit));
        self
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("name", &self.name)
            .field("contract", &self.contract)
            .finish_non_exhaustive()
    }
}

/// Processes by name.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    known: BTreeMap<Arc<str>, Process>,
}

impl Processes {
    /// How many there may be.
    pub const MAX: usize = 65_536;

    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    ///
    /// # Errors
    /// When the name is taken, or there are too many.
    pub fn register(&mut self, process: Process) -> Result<()> {
        let refuse = |reason: String| {
            Err(Error::InvalidOperation {
                at: process.name.to_string(),
                reason,
            })
        };
        if self.known.contains_key(&process.name) {
            return refuse("there is a process of this name".into());
        }
        if self.known.len() >= Self::MAX {
            return refuse(format!("more than {} processes", Self::MAX));
        }
        self.known.insert(Arc::clone(&process.name), process);
        Ok(())
    }

    /// The one of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Process> {
        self.known.get(name)
    }

    /// Every name, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(|name| &**name)
    }

    /// Puts processes under the rules of their recipes. The counters of each begin at zero.
    ///
    /// # Errors
    /// A recipe for a process that is not known; one whose process declares an error or a side effect that the recipe
    /// does not list.
    pub fn audit(&mut self, recipes: &crate::audit::Recipes) -> Result<()> {
        let mut audited = Vec::new();
        for (name, recipe) in recipes.iter() {
            let Some(process) = self.known.get(name) else {
                return Err(Error::InvalidOperation {
                    at: name.to_owned(),
                    reason: "a recipe for a process that is not known".into(),
                });
            };
            recipe.check(process)?;
            audited.push(process.clone().with_audit(Audit::new(recipe)));
        }
        for process in audited {
            self.known.insert(Arc::clone(&process.name), process);
        }
        Ok(())
    }
}
