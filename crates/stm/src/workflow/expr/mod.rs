//! Expressions: what conditions and the right-hand sides of `set:` are written in.
//!
//! A small language over the values of a context: paths, numbers, text, lists, arithmetic, comparisons, `if`, and eleven
//! functions. [`scan`] admits exactly that and turns paths into variables; rhai evaluates what is left, with a limit on
//! operations, depth and sizes. Nothing in it loops, assigns or calls out, so an expression ends.

mod convert;
mod engine;
mod scan;
mod words;

use crate::{Error, Value, transaction::Step, yaml::Place};
use scan::Scanned;
use std::sync::Arc;

pub(crate) use engine::FUNCTIONS;

/// The longest expression, in bytes.
pub(crate) const MAX_BYTES: usize = 4096;
/// The most bytes of one value that an expression reads.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// What is wrong with an expression, and where in its text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The character at which it begins.
    pub(crate) at: usize,
    /// How many characters it takes.
    pub(crate) width: usize,
    pub(crate) message: String,
    pub(crate) suggestion: Option<String>,
}

/// A path that an expression reads.
#[derive(Debug)]
struct Variable {
    /// What it is called in the text that rhai sees.
    name: String,
    /// Which of the expression's paths it is.
    path: usize,
    /// It may be missing: it stands in `has` or `get`.
    optional: bool,
}

/// A path and those above it, which may hold a map that it leads into; longest first.
#[derive(Debug)]
struct Source {
    path: String,
    above: Vec<String>,
}

/// What an expression asks for the values of paths.
pub(crate) type Read<'a> = dyn FnMut(&str, bool) -> Step<Option<Value>> + 'a;

/// A checked expression. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Expression(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    text: String,
    ast: rhai::AST,
    sources: Vec<Source>,
    variables: Vec<Variable>,
    scanned: Scanned,
}

impl Expression {
    /// Checks an expression.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > MAX_BYTES {
            return Err(Refusal {
                at: 0,
                width: 1,
                message: format!(
                    "the expression has {} bytes, the limit is {MAX_BYTES}",
                    text.len()
                ),
                suggestion: None,
            });
        }
        let (scanned, found) = scan::scan(text)?;
        let ast = engine::compile(&scanned)?;
        let mut sources: Vec<Source> = Vec::new();
        let mut variables = Vec::new();
        for (at, (path, optional)) in found.into_iter().enumerate() {
            let known = sources.iter().position(|source| source.path == path);
            let known = known.unwrap_or_else(|| {
                let dots = path.rmatch_indices('.');
                let above = dots.map(|(dot, _)| path[..dot].to_owned()).collect();
                sources.push(Source { path, above });
                sources.len() - 1
            });
            variables.push(Variable {
                name: scan::variable(at),
                path: known,
                optional,
            });
        }
        Ok(Self(Arc::new(Inner {
            text: text.to_owned(),
            ast,
            sources,
            variables,
            scanned,
        })))
    }

    /// The text as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.0.text
    }

    /// Every path that it may read: those it names, and those above that may hold a map.
    pub(crate) fn reads(&self) -> impl Iterator<Item = &str> {
        self.0
            .sources
            .iter()
            .flat_map(|source| std::iter::once(&source.path).chain(&source.above))
            .map(String::as_str)
    }

    /// Evaluates it. `read` answers what a path holds, or an error; it is asked once for each path that is named, and,
    /// with `true`, for those above one that holds nothing.
    pub(crate) fn evaluate(&self, read: &mut Read<'_>) -> Step<Value> {
        let inner = &*self.0;
        let mut scope = rhai::Scope::new();
        let mut values = Vec::with_capacity(inner.sources.len());
        for source in &inner.sources {
            values.push(self.fetch(source, read)?);
        }
        for variable in &inner.variables {
            match &values[variable.path] {
                Some(value) => scope.push_dynamic(variable.name.as_str(), value.clone()),
                None if variable.optional => {
                    scope.push_dynamic(variable.name.as_str(), rhai::Dynamic::from(engine::Missing))
                }
                // Only an error if the expression comes to need it.
                None => continue,
            };
        }
        match engine::evaluate(&inner.ast, &mut scope) {
            Ok(value) => convert::to_value(&value).map_err(|reason| self.failed(&reason, None)),
            Err(error) => {
                let (message, at) = engine::explain(&error, &inner.scanned, |name| {
                    let variable = inner.variables.iter().find(|variable| variable.name == name)?;
                    Some(inner.sources[variable.path].path.as_str())
                });
                Err(self.failed(&message, at))
            }
        }
    }

    /// The value of a path, or the part of a map further up that it leads to.
    fn fetch(&self, source: &Source, read: &mut Read<'_>) -> Step<Option<rhai::Dynamic>> {
        let convert = |value: &Value| match convert::to_dynamic(value, MAX_VALUE_BYTES) {
            Ok(value) => Ok(Some(value)),
            Err(reason) => Err(self.failed(&format!("`{}`: {reason}", source.path), None)),
        };
        if let Some(value) = read(&source.path, false)? {
            return convert(&value);
        }
        for above in &source.above {
            let Some(Value::Map(map)) = read(above, true)? else {
                continue;
            };
            let mut names = source.path[above.len() + 1..].split('.');
            let first = names.next().and_then(|name| map.get(name));
            let found = names.try_fold(first, |value, name| match value? {
                Value::Map(map) => Some(map.get(name)),
                _ => None,
            });
            return found.flatten().map_or(Ok(None), convert);
        }
        Ok(None)
    }

    fn failed(&self, message: &str, at: Option<usize>) -> crate::Abort {
        let place = at
            .map(|at| format!(" at character {}", at + 1))
            .unwrap_or_default();
        Error::InvalidOperation {
            at: format!("expression `{}`{place}", self.text()),
            reason: message.to_owned(),
        }
        .into()
    }
}

impl Refusal {
    /// Where in a file it is, if the expression's text begins at a place. `quote` = the characters before its text.
    pub(crate) fn place(&self, text: &str, start: Place, quote: u32) -> Place {
        if text.contains('\n') {
            return start;
        }
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        start.moved(quote + narrow(self.at), narrow(self.width))
    }
}

#[cfg(test)]
mod tests;
