//! [`Contract`]: what a process may read, write, send and fail with. Checked when a process is made, enforced at each
//! call of its [`ProcessTx`](super::ProcessTx).

use crate::{Error, Path, Result, Zone};
use std::{any::type_name, error::Error as StdError, fmt, sync::Arc};

/// What a process declares.
///
/// An input names a path and everything below it. An output names one path, or with `.*` at its end everything below a
/// branch. Outputs may be read too, except signals, commands and notes (`SIG_`, `CMD_`, `META_`): those direct a process
/// and are none of its material.
///
/// ```
/// use quintet_stm::Contract;
/// let contract = Contract::new().inputs(["cart"]).outputs(["order.total", "order.lines.*"]).errors(["EmptyCart"]);
/// assert!(contract.check("bill").is_ok());
/// let error = Contract::new().inputs(["shop.CMD_close"]).check("bill").unwrap_err();
/// assert_eq!(error.to_string(), "process `bill`: declares the input `shop.CMD_close`, which directs processes and is \
///     no material of theirs");
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Contract {
    inputs: Vec<String>,
    outputs: Vec<Output>,
    errors: Vec<String>,
    raises: Vec<(String, Matches)>,
    side_effects: Vec<String>,
}

type Matches = Arc<dyn Fn(&(dyn StdError + Send + Sync + 'static)) -> bool + Send + Sync>;

#[derive(Clone, Debug)]
struct Output {
    path: String,
    /// Everything below instead of the path itself.
    below: bool,
}

impl Output {
    fn covers(&self, path: &str) -> bool {
        if self.below {
            is_below(path, &self.path)
        } else {
            path == self.path
        }
    }
}

fn is_below(path: &str, branch: &str) -> bool {
    path.strip_prefix(branch)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// Whether any part of a path names a signal, a command or a note.
fn directs(path: &str) -> bool {
    path.split('.').any(|segment| {
        Path::new(segment).is_ok_and(|segment| matches!(Zone::of(&segment), Zone::Signal | Zone::Meta))
    })
}

fn texts<T: Into<String>>(list: impl IntoIterator<Item = T>) -> impl Iterator<Item = String> {
    list.into_iter().map(Into::into)
}

impl Contract {
    /// Nothing is allowed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Paths that may be read, with everything below them.
    pub fn inputs<T: Into<String>>(mut self, paths: impl IntoIterator<Item = T>) -> Self {
        self.inputs.extend(texts(paths));
        self
    }

    /// Paths that may be written; `branch.*` = everything below the branch.
    pub fn outputs<T: Into<String>>(mut self, paths: impl IntoIterator<Item = T>) -> Self {
        self.outputs.extend(texts(paths).map(|path| {
            let branch = path.strip_suffix(".*").map(ToOwned::to_owned);
            Output {
                below: branch.is_some(),
                path: branch.unwrap_or(path),
            }
        }));
        self
    }

    /// Names of errors that it may [fail](super::ProcessTx::fail) with.
    pub fn errors<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.errors.extend(texts(names));
        self
    }

    /// A Rust error that it may return. Its name is that of the type.
    pub fn raises<E: StdError + Send + Sync + 'static>(mut self) -> Self {
        let name = type_name::<E>().rsplit("::").next().unwrap_or_default();
        self.raises
            .push((name.to_owned(), Arc::new(|error| error.is::<E>())));
        self
    }

    /// Topics that it may send to.
    pub fn side_effects<T: Into<String>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        self.side_effects.extend(texts(topics));
        self
    }

    /// Every path it names as an input.
    pub fn declared_inputs(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(String::as_str)
    }

    /// Every path or branch it names as an output.
    pub fn declared_outputs(&self) -> impl Iterator<Item = String> + '_ {
        let star = |below: bool| if below { ".*" } else { "" };
        self.outputs
            .iter()
            .map(move |output| format!("{}{}", output.path, star(output.below)))
    }

    /// Every error it names.
    pub fn declared_errors(&self) -> impl Iterator<Item = &str> {
        let raised = self.raises.iter().map(|(name, _)| name.as_str());
        self.errors.iter().map(String::as_str).chain(raised)
    }

    /// Every topic it names.
    pub fn declared_side_effects(&self) -> impl Iterator<Item = &str> {
        self.side_effects.iter().map(String::as_str)
    }

    /// Checks the contract itself.
    ///
    /// # Errors
    /// [`Error::InvalidPath`]; [`Error::Violation`] for an input that directs processes.
    pub fn check(&self, process: &str) -> Result<()> {
        let outputs = self.outputs.iter().map(|output| &output.path);
        for path in self.inputs.iter().chain(outputs).chain(&self.side_effects) {
            Path::new(path)?;
        }
        match self.inputs.iter().find(|path| directs(path)) {
            None => Ok(()),
            Some(path) => Err(Error::Violation {
                process: process.to_owned(),
                what: "declares the input",
                path: path.clone(),
                advice: "which directs processes and is no material of theirs",
            }),
        }
    }

    /// Why a path may not be read, or `None`.
    pub(crate) fn objection_to_reading(&self, path: &str) -> Option<&'static str> {
        if directs(path) {
            return Some("which directs processes and is no material of theirs");
        }
        let known = self
            .inputs
            .iter()
            .any(|input| path == input || is_below(path, input))
            || self.outputs.iter().any(|output| output.covers(path));
        (!known).then_some("which is not among its inputs")
    }

    /// Why a branch may not be listed, or `None`.
    pub(crate) fn objection_to_listing(&self, branch: &str) -> Option<&'static str> {
        let of_inputs = self
            .inputs
            .iter()
            .any(|input| branch == input || is_below(branch, input));
        let of_outputs = self
            .outputs
            .iter()
            .any(|output| output.below && (branch == output.path || is_below(branch, &output.path)));
        (!of_inputs && !of_outputs).then_some("which is not among its inputs")
    }

    /// Why a path may not be written, or `None`.
    pub(crate) fn objection_to_writing(&self, path: &str) -> Option<&'static str> {
        let known = self.outputs.iter().any(|output| output.covers(path));
        (!known).then_some("which is not among its outputs")
    }

    pub(crate) fn names_error(&self, name: &str) -> bool {
        self.errors.iter().any(|known| known == name)
    }

    /// The name under which the contract knows a Rust error.
    pub(crate) fn name_of(&self, error: &(dyn StdError + Send + Sync + 'static)) -> Option<&str> {
        self.raises
            .iter()
            .find(|(_, matches)| matches(error))
            .map(|(name, _)| name.as_str())
    }

    pub(crate) fn names_topic(&self, topic: &str) -> bool {
        self.side_effects.iter().any(|known| known == topic)
    }
}

impl fmt::Debug for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contract")
            .field("inputs", &self.inputs)
            .field("outputs", &self.declared_outputs().collect::<Vec<_>>())
            .field("errors", &self.declared_errors().collect::<Vec<_>>())
            .field("side_effects", &self.side_effects)
            .finish()
    }
}
