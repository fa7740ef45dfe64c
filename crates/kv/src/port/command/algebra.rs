//! Sets of sets: SINTER, SUNION, SDIFF, their storing forms, SINTERCARD, SMOVE.

use super::{Call, Fail, Outcome, SYNTAX, fail, sets::set};
use crate::{
    effect::Effect,
    value::{Bytes, Set, Value},
};
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Intersection,
    Union,
    Difference,
}

/// What the command's name says: SINTERSTORE, ZUNION, and so on.
pub(super) fn operation(call: &Call<'_, '_, '_>) -> Operation {
    match call.argument(0).get(1).map(u8::to_ascii_uppercase) {
        Some(b'I') => Operation::Intersection,
        Some(b'U') => Operation::Union,
        _ => Operation::Difference,
    }
}

/// The members; `most` bounds how many of an intersection are looked for.
fn combined(operation: Operation, mut sets: Vec<Option<Arc<Set>>>, most: usize) -> Vec<Bytes> {
    match operation {
        Operation::Intersection => {
            let Some(mut sets) = sets.into_iter().collect::<Option<Vec<_>>>() else {
                return Vec::new();
            };
            sets.sort_by_key(|set| set.members.len());
            let Some((smallest, others)) = sets.split_first() else {
                return Vec::new();
            };
            let in_all = |member: &&Bytes| others.iter().all(|other| other.contains(member));
            smallest.iter().filter(in_all).take(most).cloned().collect()
        }
        Operation::Union => {
            let mut union = Set::default();
            for set in sets.iter().flatten() {
                for member in set.iter() {
                    union.add(member.clone());
                }
            }
            union.iter().cloned().collect()
        }
        Operation::Difference => {
            let others = sets.split_off(1.min(sets.len()));
            let in_none = |member: &&Bytes| !others.iter().flatten().any(|other| other.contains(member));
            let first = sets.into_iter().flatten().next();
            first.map_or_else(Vec::new, |set| set.iter().filter(in_none).cloned().collect())
        }
    }
}

fn sets_at(
    call: &mut Call<'_, '_, '_>,
    places: std::ops::Range<usize>,
) -> Result<Vec<Option<Arc<Set>>>, Fail> {
    places
        .map(|at| {
            let key = call.key(at);
            set(call, &key)
        })
        .collect()
}

pub(super) fn combine(call: &mut Call<'_, '_, '_>) -> Outcome {
    let sets = sets_at(call, 1..call.len())?;
    let members = combined(operation(call), sets, usize::MAX);
    call.reply.set(members.len());
    members.iter().for_each(|member| call.reply.bulk(member));
    Ok(())
}

pub(super) fn store(call: &mut Call<'_, '_, '_>) -> Outcome {
    let sets = sets_at(call, 2..call.len())?;
    let members = combined(operation(call), sets, usize::MAX);
    let mut result = Set::default();
    for member in members {
        result.add(member);
    }
    let count = result.members.len();
    put(call, 1, (count > 0).then(|| Value::Set(Arc::new(result))))?;
    call.reply.count(count);
    Ok(())
}

/// Puts a result under the key at a place; `None` = it is empty, and the key goes.
pub(super) fn put(call: &mut Call<'_, '_, '_>, at: usize, value: Option<Value>) -> Result<(), Fail> {
    let key = call.key(at);
    match value {
        Some(value) => call
            .transaction
            .apply(&key, Effect::Put { value, expires_ms: 0 })?,
        None => drop(call.transaction.delete(&key)?),
    }
    Ok(())
}

/// SINTERCARD's arguments: how many keys, and the limit.
fn card_arguments(call: &Call<'_, '_, '_>) -> Result<(usize, usize), Fail> {
    let number = call.int(1).ok().and_then(|number| usize::try_from(number).ok());
    let number = number
        .filter(|number| *number > 0)
        .ok_or_else(|| fail("ERR numkeys should be greater than 0"))?;
    if number > call.len() - 2 {
        return Err(fail("ERR Number of keys can't be greater than number of args"));
    }
    Ok((number, limit(call, number + 2)?))
}

/// `[LIMIT n]`, from this place on; 0 = none.
pub(super) fn limit(call: &Call<'_, '_, '_>, mut at: usize) -> Result<usize, Fail> {
    let mut limit = usize::MAX;
    while at < call.len() {
        if !call.is(at, "LIMIT") || at + 1 == call.len() {
            return Err(fail(SYNTAX));
        }
        let given = call
            .int(at + 1)
            .ok()
            .and_then(|limit| usize::try_from(limit).ok());
        limit = given.ok_or_else(|| fail("ERR LIMIT can't be negative"))?;
        at += 2;
    }
    Ok(if limit == 0 { usize::MAX } else { limit })
}

pub(super) fn card(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (number, limit) = card_arguments(call)?;
    let sets = sets_at(call, 2..number + 2)?;
    call.reply
        .count(combined(Operation::Intersection, sets, limit).len());
    Ok(())
}

pub(super) fn smove(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (from, to) = (call.key(1), call.key(2));
    let member = Bytes::from(call.argument(3));
    let Some(source) = set(call, &from)? else {
        call.reply.int(0);
        return Ok(());
    };
    set(call, &to)?;
    let is_there = source.contains(&member);
    drop(source);
    if is_there && from != to {
        call.transaction.group();
        let members = vec![member];
        let gone = Effect::SetRemove {
            members: members.clone(),
        };
        call.transaction.apply(&from, gone)?;
        call.transaction.apply(&to, Effect::SetAdd { members })?;
    }
    call.reply.bool(is_there);
    Ok(())
}
