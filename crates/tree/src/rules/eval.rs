//! What a program runs against: the user, the time, the two states of the tree, and a budget of steps shared by the whole
//! decision.
//!
//! A value of the wrong type stops the run with a reason; the rule then counts as false. Only a store that cannot be read
//! makes the decision itself fail. The operations are in [`machine`](super::machine).

use super::{
    data::{Data, Found},
    machine::Machine,
    program::Program,
    value::{Snapshot, State, Value, segments},
};
use quintet_core::{Error, ErrorKind};
use serde_json::Value as Json;
use std::{borrow::Cow, cell::Cell};

/// The deepest path that a rule may make.
const SNAPSHOT_DEPTH_MAX: usize = 128;
/// Text costs a step for every so many bytes that are looked through.
const BYTES_PER_STEP: usize = 64;
/// A look-up in the tree costs so many steps.
const LOOK_STEPS: u32 = 20;

/// What a program is run against.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// An object, or null.
    pub(super) auth: &'a Json,
    pub(super) now_ms: f64,
    /// What the path has for each `$name`, outermost first.
    pub(super) captures: &'a [&'a str],
    /// The place of the rule.
    pub(super) path: &'a [Cow<'a, str>],
    pub(super) old: &'a dyn Data,
    /// The state as it would be; only for writes.
    pub(super) new: Option<&'a dyn Data>,
    /// Steps left.
    pub(super) steps: &'a Cell<u32>,
}

/// Why a run did not end with a boolean.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    /// The rule cannot be evaluated on this data: it counts as false.
    Fails(String),
    /// The budget is used up: the decision is no.
    Steps,
    /// The store cannot be read.
    Store(Error),
}

/// Whether the rule is true.
pub(super) fn run(program: &Program, context: Context<'_>) -> Result<bool, Stop> {
    let mut machine = Machine::new(context);
    let mut at = 0;
    while let Some(op) = program.ops.get(at) {
        context.spend(1)?;
        at = machine.step(op)?.unwrap_or(at + 1);
    }
    machine.pop_bool("a rule")
}

impl<'a> Context<'a> {
    pub(super) fn spend(&self, steps: u32) -> Result<(), Stop> {
        let left = self.steps.get().checked_sub(steps).ok_or(Stop::Steps)?;
        self.steps.set(left);
        Ok(())
    }

    pub(super) fn spend_text(&self, bytes: usize) -> Result<(), Stop> {
        self.spend(u32::try_from(bytes / BYTES_PER_STEP).unwrap_or(u32::MAX))
    }

    fn data(&self, state: State) -> Result<&'a dyn Data, Stop> {
        match state {
            State::Old => Ok(self.old),
            State::New => self.new.ok_or_else(|| {
                Stop::Store(Error::new(
                    ErrorKind::InvalidInput,
                    "a rule about a write was asked without the state after it",
                ))
            }),
        }
    }

    pub(super) fn look(&self, place: &Snapshot<'_>) -> Result<Found, Stop> {
        self.spend(LOOK_STEPS)?;
        let found = self.data(place.state)?.look(&place.path).map_err(Stop::Store)?;
        if let Found::String(text) = &found {
            self.spend_text(text.len())?;
        }
        Ok(found)
    }

    fn children(&self, place: &Snapshot<'_>) -> Result<Vec<String>, Stop> {
        let names = self
            .data(place.state)?
            .children(&place.path)
            .map_err(Stop::Store)?;
        self.spend(LOOK_STEPS.saturating_add(u32::try_from(names.len()).unwrap_or(u32::MAX)))?;
        Ok(names)
    }

    /// `val()`: a scalar, null, or the place itself where there are children.
    pub(super) fn val(&self, place: Snapshot<'a>) -> Result<Value<'a>, Stop> {
        Ok(match self.look(&place)? {
            Found::Nothing => Value::Null,
            Found::Inner => Value::Inner(place),
            Found::Bool(value) => Value::Bool(value),
            Found::Number(value) => Value::Number(value),
            Found::String(value) => Value::String(Cow::Owned(value)),
        })
    }

    pub(super) fn equal(&self, a: &Value<'_>, b: &Value<'_>) -> Result<bool, Stop> {
        Ok(match (a, b) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            #[expect(clippy::float_cmp, reason = "the language compares numbers exactly")]
            (Value::Number(a), Value::Number(b)) => a == b,
            (Value::String(a), Value::String(b)) => {
                self.spend_text(a.len())?;
                a == b
            }
            (Value::Inner(a), Value::Inner(b)) => self.same_below(a, b)?,
            (Value::Json(_), Value::Json(_)) => {
                return Err(Stop::Fails("claims with parts cannot be compared".to_owned()));
            }
            _ => false,
        })
    }

    /// Whether two places hold the same, level by level without recursion.
    fn same_below(&self, a: &Snapshot<'_>, b: &Snapshot<'_>) -> Result<bool, Stop> {
        let mut open = vec![(a.clone(), b.clone())];
        while let Some((a, b)) = open.pop() {
            let (left, right) = (self.look(&a)?, self.look(&b)?);
            if left != right {
                return Ok(false);
            }
            if left == Found::Inner {
                let (mut left, mut right) = (self.children(&a)?, self.children(&b)?);
                left.sort_unstable();
                right.sort_unstable();
                if left != right {
                    return Ok(false);
                }
                for name in left {
                    let below = |place: &Snapshot<'_>| {
                        let mut path: Vec<_> = place
                            .path
                            .iter()
                            .map(|s| Cow::Owned(s.clone().into_owned()))
                            .collect();
                        path.push(Cow::Owned(name.clone()));
                        Snapshot {
                            state: place.state,
                            path,
                        }
                    };
                    open.push((below(&a), below(&b)));
                }
            }
        }
        Ok(true)
    }

    /// A place below another. Cheap: nothing is looked up.
    pub(super) fn child(&self, mut place: Snapshot<'a>, path: &str) -> Result<Snapshot<'a>, Stop> {
        self.spend_text(path.len())?;
        for segment in segments(path) {
            if place.path.len() == SNAPSHOT_DEPTH_MAX {
                return Err(Stop::Fails(format!(
                    "a path deeper than {SNAPSHOT_DEPTH_MAX} levels"
                )));
            }
            place.path.push(Cow::Owned(segment.to_owned()));
        }
        Ok(place)
    }
}
