//! The audit: rules on what a process finds and on what it is about to commit.
//!
//! Each rule counts its violations. From `min_threshold` on each one warns; at `max_threshold` the level acts and the
//! count begins again. Rules are judged once for each run that is decided: an attempt that lost a conflict counts nothing.
//!
//! Judging happens on the buffered change, inside the transaction; counts are locked from then until the commit is
//! decided, so that two runs at once cannot both pass as the violation before the threshold.

mod recipe;
mod rule;
#[cfg(feature = "workflow")]
mod yaml;

pub use recipe::{Recipe, Recipes};
pub use rule::{Condition, Rule};
#[cfg(feature = "workflow")]
pub(crate) use yaml::read_recipes;

use crate::{ContextTx, Error, Isolation, Level, primitive::lock, transaction::Step};
use std::{
    cell::RefCell,
    sync::{Mutex, MutexGuard},
};

/// Something that the audit saw and let pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    /// Which process.
    pub process: String,
    /// Which path.
    pub field: String,
    /// The rule's level.
    pub level: Level,
    /// Which violation in a row of counting this is.
    pub count: u32,
    /// Which rule, and how it is broken.
    pub message: String,
}

/// The rules of one process, with their counts.
#[derive(Debug)]
pub struct Audit {
    inputs: Vec<Rule>,
    outputs: Vec<Rule>,
    /// How often each rule was broken: inputs first.
    counts: Mutex<Vec<u32>>,
}

/// One rule, judged.
#[derive(Debug)]
pub(crate) struct Judged {
    /// Which rule: its place in the counts.
    at: usize,
    /// How it is broken.
    objection: Option<String>,
}

/// Counts as they will be, and the lock that keeps others from counting until it is decided.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    guard: Option<MutexGuard<'a, Vec<u32>>>,
    counts: Vec<u32>,
    warnings: Vec<Warning>,
    /// The rule acts whatever becomes of the transaction, which it ends.
    acted: bool,
}

impl Held<'_> {
    /// Takes the counts over and lets others count.
    pub(crate) fn settle(&mut self, committed: bool) {
        if let Some(mut counts) = self.guard.take()
            && (committed || self.acted)
        {
            counts.clone_from(&self.counts);
        }
    }

    pub(crate) fn into_warnings(self) -> Vec<Warning> {
        self.warnings
    }
}

impl Audit {
    /// The rules of a recipe, with nothing counted.
    #[must_use]
    pub fn new(recipe: &Recipe) -> Self {
        Self {
            inputs: recipe.inputs.clone(),
            outputs: recipe.outputs.clone(),
            counts: Mutex::new(vec![0; recipe.inputs.len() + recipe.outputs.len()]),
        }
    }

    /// How often each rule was broken since its count began: rules on inputs first, in the recipe's order.
    #[must_use]
    pub fn counts(&self) -> Vec<u32> {
        lock(&self.counts).clone()
    }

    fn rule(&self, at: usize) -> &Rule {
        match self.inputs.get(at) {
            Some(rule) => rule,
            None => &self.outputs[at - self.inputs.len()],
        }
    }

    fn judge(rules: &[Rule], first: usize, tx: &mut ContextTx<'_>) -> Step<Vec<Judged>> {
        let judge = |(at, rule): (usize, &Rule)| {
            let value = tx.get(rule.field.as_str())?;
            Ok(Judged {
                at: first + at,
                objection: rule.judge(value.as_ref())?,
            })
        };
        rules.iter().enumerate().map(judge).collect()
    }

    pub(crate) fn judge_inputs(&self, tx: &mut ContextTx<'_>) -> Step<Vec<Judged>> {
        Self::judge(&self.inputs, 0, tx)
    }

    pub(crate) fn judge_outputs(&self, tx: &mut ContextTx<'_>) -> Step<Vec<Judged>> {
        Self::judge(&self.outputs, self.inputs.len(), tx)
    }

    /// Whether a level would act now.
    pub(crate) fn would_act(&self, judged: &[Judged]) -> bool {
        if judged.iter().all(|one| one.objection.is_none()) {
            return false;
        }
        let counts = lock(&self.counts);
        judged.iter().any(|one| {
            let rule = self.rule(one.at);
            one.objection.is_some()
                && rule.level != Level::C
                && counts[one.at].saturating_add(1) >= rule.max_threshold
        })
    }

    /// Counts what was judged, in order, and acts. The counts are held in `held` until the transaction is decided.
    ///
    /// # Errors
    /// [`Error::Audit`] of the first rule that acts; later ones are not counted.
    pub(crate) fn hold<'a>(
        &'a self,
        process: &str,
        judged: Vec<Judged>,
        isolation: Isolation,
        held: &RefCell<Option<Held<'a>>>,
    ) -> Step<()> {
        let guard = lock(&self.counts);
        let mut counts = guard.clone();
        let mut warnings = Vec::new();
        let mut acts = None;
        for Judged { at, objection } in judged {
            let rule = self.rule(at);
            let Some(message) = objection else {
                if rule.reset_on_success {
                    counts[at] = 0;
                }
                continue;
            };
            counts[at] = counts[at].saturating_add(1);
            let count = counts[at];
            let reached = count >= rule.max_threshold;
            if reached {
                counts[at] = 0;
            }
            // What a raw process wrote is written: undoing it is not to be had.
            let is_veto = rule.level == Level::B && isolation == Isolation::Raw && at >= self.inputs.len();
            if reached && rule.level != Level::C && !is_veto {
                acts = Some(Error::Audit {
                    process: process.to_owned(),
                    field: rule.field.to_string(),
                    level: rule.level,
                    message,
                });
                break;
            }
            if reached || count >= rule.min_threshold {
                warnings.push(Warning {
                    process: process.to_owned(),
                    field: rule.field.to_string(),
                    level: rule.level,
                    count,
                    message,
                });
            }
        }
        held.replace(Some(Held {
            guard: Some(guard),
            counts,
            warnings,
            acted: acts.is_some(),
        }));
        acts.map_or(Ok(()), |error| Err(error.into()))
    }
}
