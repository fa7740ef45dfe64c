//! [`Recipe`]: the rules for one process, and [`Recipes`], those for several, by name.

use super::Rule;
use crate::{Error, Process, Result};
use std::collections::BTreeMap;

/// The rules for one process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipe {
    /// Rules on what is there before the process runs.
    pub inputs: Vec<Rule>,
    /// Rules on what it is about to leave.
    pub outputs: Vec<Rule>,
    /// If set, the only errors that the process may declare.
    pub errors: Option<Vec<String>>,
    /// If set, the only side effects that the process may declare.
    pub side_effects: Option<Vec<String>>,
}

impl Recipe {
    /// Takes over what `base` has and this one does not: a rule on the same path with the same condition stays as it is
    /// here, lists of names are joined.
    #[must_use]
    pub fn inheriting(mut self, base: &Self) -> Self {
        merge_rules(&mut self.inputs, &base.inputs);
        merge_rules(&mut self.outputs, &base.outputs);
        merge_names(&mut self.errors, base.errors.as_ref());
        merge_names(&mut self.side_effects, base.side_effects.as_ref());
        self
    }

    /// Whether a process declares no more than the recipe lists.
    pub(crate) fn check(&self, process: &Process) -> Result<()> {
        let contract = process.contract();
        let unlisted = |listed: &Option<Vec<String>>, mut declared: Box<dyn Iterator<Item = &str> + '_>| {
            let listed = listed.as_ref()?;
            declared
                .find(|name| !listed.iter().any(|known| known == name))
                .map(ToOwned::to_owned)
        };
        let error = unlisted(&self.errors, Box::new(contract.declared_errors()));
        let effect = unlisted(&self.side_effects, Box::new(contract.declared_side_effects()));
        for (what, found) in [("error", error), ("side effect", effect)] {
            if let Some(name) = found {
                return Err(Error::InvalidOperation {
                    at: process.name().to_owned(),
                    reason: format!("it declares the {what} `{name}`, which its audit recipe does not list"),
                });
            }
        }
        Ok(())
    }
}

/// Inherited rules come first: they are the more general ones.
fn merge_rules(own: &mut Vec<Rule>, base: &[Rule]) {
    let same = |a: &Rule, b: &Rule| {
        a.field == b.field && std::mem::discriminant(&a.condition) == std::mem::discriminant(&b.condition)
    };
    let mut merged: Vec<Rule> = base
        .iter()
        .filter(|rule| !own.iter().any(|mine| same(mine, rule)))
        .cloned()
        .collect();
    merged.append(own);
    *own = merged;
}

fn merge_names(own: &mut Option<Vec<String>>, base: Option<&Vec<String>>) {
    for name in base.into_iter().flatten() {
        let names = own.get_or_insert_with(Vec::new);
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
}

/// Recipes by the name of their process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipes {
    pub(super) known: BTreeMap<String, Recipe>,
}

impl Recipes {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the recipe for a process.
    pub fn insert(&mut self, process: &str, recipe: Recipe) {
        self.known.insert(process.to_owned(), recipe);
    }

    /// The recipe for a process.
    #[must_use]
    pub fn get(&self, process: &str) -> Option<&Recipe> {
        self.known.get(process)
    }

    /// Every process's name and recipe, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Recipe)> {
        self.known.iter().map(|(name, recipe)| (name.as_str(), recipe))
    }
}
