//! Sorted sets of sorted sets, and of sets: ZUNION, ZINTER, ZDIFF, their storing forms, ZINTERCARD.

use super::scored;
use crate::{
    port::command::{
        Call, Fail, Outcome, SYNTAX, WRONG_TYPE,
        algebra::{Operation, limit, operation, put},
        fail, parse_float,
    },
    value::{Bytes, SortedSet, Value},
};
use std::sync::Arc;

/// One of the sets that are put together.
enum Source {
    Missing,
    Scored(Arc<SortedSet>),
    Plain(Arc<crate::Set>),
}

impl Source {
    fn at(call: &mut Call<'_, '_, '_>, at: usize) -> Result<Self, Fail> {
        let key = call.key(at);
        match call.transaction.value(&key)? {
            None => Ok(Self::Missing),
            Some(Value::SortedSet(set)) => Ok(Self::Scored(set)),
            Some(Value::Set(set)) => Ok(Self::Plain(set)),
            Some(_) => Err(fail(WRONG_TYPE)),
        }
    }

    /// A plain set's members all have the score 1.
    fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Missing => None,
            Self::Scored(set) => set.score(member),
            Self::Plain(set) => set.contains(member).then_some(1.0),
        }
    }

    fn members(&self) -> Box<dyn Iterator<Item = (f64, &Bytes)> + '_> {
        match self {
            Self::Missing => Box::new(std::iter::empty()),
            Self::Scored(set) => Box::new(set.iter()),
            Self::Plain(set) => Box::new(set.iter().map(|member| (1.0, member))),
        }
    }
}

#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Least,
    Most,
}

impl Aggregate {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            // Infinities of both signs cancel.
            Self::Sum if (a + b).is_nan() => 0.0,
            Self::Sum => a + b,
            Self::Least => a.min(b),
            Self::Most => a.max(b),
        }
    }
}

struct Plan {
    operation: Operation,
    sources: Vec<Source>,
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
}

/// Reads the number of keys and the sets under them.
fn sources(call: &mut Call<'_, '_, '_>, first: usize) -> Result<Vec<Source>, Fail> {
    let number = call.int(first)?;
    if number < 1 {
        let name = call.argument(0).to_ascii_lowercase();
        let name = name.escape_ascii();
        return Err(Fail::Line(
            format!("ERR at least 1 input key is needed for '{name}' command").into(),
        ));
    }
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    if number > call.len() - first - 1 {
        return Err(fail(SYNTAX));
    }
    (first + 1..=first + number)
        .map(|at| Source::at(call, at))
        .collect()
}

/// Reads the arguments from the number of keys on.
fn plan(call: &mut Call<'_, '_, '_>, first: usize, stores: bool) -> Result<Plan, Fail> {
    let operation = operation(call);
    let sources = sources(call, first)?;
    let number = sources.len();
    let mut plan = Plan {
        operation,
        sources,
        weights: vec![1.0; number],
        aggregate: Aggregate::Sum,
        with_scores: false,
    };
    let mut at = first + number + 1;
    while at < call.len() {
        let left = call.len() - at - 1;
        if operation != Operation::Difference && call.is(at, "WEIGHTS") && left >= number {
            for weight in &mut plan.weights {
                at += 1;
                *weight =
                    parse_float(call.argument(at)).ok_or_else(|| fail("ERR weight value is not a float"))?;
            }
        } else if operation != Operation::Difference && call.is(at, "AGGREGATE") && left >= 1 {
            at += 1;
            plan.aggregate = match call.argument(at).to_ascii_uppercase().as_slice() {
                b"SUM" => Aggregate::Sum,
                b"MIN" => Aggregate::Least,
                b"MAX" => Aggregate::Most,
                _ => return Err(fail(SYNTAX)),
            };
        } else if !stores && call.is(at, "WITHSCORES") {
            plan.with_scores = true;
        } else {
            return Err(fail(SYNTAX));
        }
        at += 1;
    }
    Ok(plan)
}

fn weighted(weight: f64, score: f64) -> f64 {
    let score = weight * score;
    if score.is_nan() { 0.0 } else { score }
}

impl Plan {
    fn result(&self) -> SortedSet {
        let mut result = SortedSet::default();
        let Some((first, others)) = self.sources.split_first() else {
            return result;
        };
        match self.operation {
            Operation::Union => {
                for (source, weight) in self.sources.iter().zip(&self.weights) {
                    for (score, member) in source.members() {
                        let score = weighted(*weight, score);
                        let old = result.score(member);
                        let score = old.map_or(score, |old| self.aggregate.of(old, score));
                        result.put(score, member.clone());
                    }
                }
            }
            Operation::Intersection => {
                for (score, member) in first.members() {
                    let begin = weighted(self.weights[0], score);
                    let others = others.iter().zip(&self.weights[1..]);
                    let score = others.map(|(other, weight)| Some(weighted(*weight, other.score(member)?)));
                    let mut score = score;
                    let sum = score.try_fold(begin, |sum, score| Some(self.aggregate.of(sum, score?)));
                    if let Some(sum) = sum {
                        result.put(sum, member.clone());
                    }
                }
            }
            Operation::Difference => {
                for (score, member) in first.members() {
                    if others.iter().all(|other| other.score(member).is_none()) {
                        result.put(score, member.clone());
                    }
                }
            }
        }
        result
    }
}

pub(in super::super) fn combine(call: &mut Call<'_, '_, '_>) -> Outcome {
    let plan = plan(call, 1, false)?;
    let result = plan.result();
    let members: Vec<(f64, &Bytes)> = result.iter().collect();
    scored(call, &members, plan.with_scores);
    Ok(())
}

pub(in super::super) fn store(call: &mut Call<'_, '_, '_>) -> Outcome {
    let result = plan(call, 2, true)?.result();
    let count = result.scores.len();
    put(call, 1, (count > 0).then(|| Value::SortedSet(Arc::new(result))))?;
    call.reply.count(count);
    Ok(())
}

pub(in super::super) fn card(call: &mut Call<'_, '_, '_>) -> Outcome {
    let sources = sources(call, 1)?;
    let limit = limit(call, sources.len() + 2)?;
    let (first, others) = (&sources[0], &sources[1..]);
    let in_all = |(_, member): &(f64, &Bytes)| others.iter().all(|other| other.score(member).is_some());
    call.reply
        .count(first.members().filter(in_all).take(limit).count());
    Ok(())
}
