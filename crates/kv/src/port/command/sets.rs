//! Sets.

use super::{Call, Fail, Outcome, WRONG_TYPE, fail, keys::natural};
use crate::{
    effect::Effect,
    value::{Bytes, Set, Value},
};
use std::sync::Arc;

fn set(call: &mut Call<'_, '_, '_>, key: &[u8]) -> Result<Option<Arc<Set>>, Fail> {
    match call.transaction.value(key)? {
        None => Ok(None),
        Some(Value::Set(set)) => Ok(Some(set)),
        Some(_) => Err(fail(WRONG_TYPE)),
    }
}

/// The arguments from the second on, each once, of which `keep` is true.
fn distinct(call: &Call<'_, '_, '_>, keep: impl Fn(&Bytes) -> bool) -> Vec<Bytes> {
    let mut members: Vec<Bytes> = call.arguments[2..]
        .iter()
        .filter(|member| keep(member))
        .cloned()
        .collect();
    members.sort();
    members.dedup();
    members
}

pub(super) fn add(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let old = set(call, &key)?.unwrap_or_default();
    let members = distinct(call, |member| !old.contains(member));
    drop(old);
    call.reply.count(members.len());
    if !members.is_empty() {
        call.transaction.apply(&key, Effect::SetAdd { members })?;
    }
    Ok(())
}

pub(super) fn rem(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let old = set(call, &key)?.unwrap_or_default();
    let members = distinct(call, |member| old.contains(member));
    drop(old);
    call.reply.count(members.len());
    if !members.is_empty() {
        call.transaction.apply(&key, Effect::SetRemove { members })?;
    }
    Ok(())
}

pub(super) fn members(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let set = set(call, &key)?.unwrap_or_default();
    call.reply.set(set.members.len());
    set.iter().for_each(|member| call.reply.bulk(member));
    Ok(())
}

pub(super) fn is_member(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let there = set(call, &key)?.is_some_and(|set| set.contains(call.argument(2)));
    call.reply.bool(there);
    Ok(())
}

pub(super) fn card(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let len = set(call, &key)?.map_or(0, |set| set.members.len());
    call.reply.count(len);
    Ok(())
}

/// Removes members picked at random: one by itself, or a count of them.
pub(super) fn pop(call: &mut Call<'_, '_, '_>) -> Outcome {
    let count = match call.len() {
        2 => None,
        3 => Some(natural(call, 2)?),
        _ => return Err(fail(super::SYNTAX)),
    };
    let key = call.key(1);
    let old = set(call, &key)?.unwrap_or_default();
    let len = old.members.len();
    let wanted = count.unwrap_or(1).min(len);
    // A walk from a random place: the order of a hash set is random enough to begin with.
    let start = if len == 0 {
        0
    } else {
        call.transaction.inner.random() as usize % len
    };
    let members: Vec<Bytes> = old
        .iter()
        .chain(old.iter())
        .skip(start)
        .take(wanted)
        .cloned()
        .collect();
    drop(old);
    if !members.is_empty() {
        call.transaction.apply(
            &key,
            Effect::SetRemove {
                members: members.clone(),
            },
        )?;
    }
    match (count, members.first()) {
        (Some(_), _) => {
            call.reply.set(members.len());
            members.iter().for_each(|member| call.reply.bulk(member));
        }
        (None, Some(member)) => call.reply.bulk(member),
        (None, None) => call.reply.null(),
    }
    Ok(())
}
