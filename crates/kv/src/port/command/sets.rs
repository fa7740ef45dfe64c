//! Sets.

use super::{
    Call, Fail, Outcome, WRONG_TYPE,
    cursor::{self, Cursor},
    fail,
    keys::natural,
    random::{self, Wanted},
};
use crate::{
    effect::Effect,
    value::{Bytes, Set, Value},
};
use std::sync::Arc;

pub(super) fn set(call: &mut Call<'_, '_, '_>, key: &[u8]) -> Result<Option<Arc<Set>>, Fail> {
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

pub(super) fn are_members(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let set = set(call, &key)?.unwrap_or_default();
    call.reply.array(call.len() - 2);
    for member in &call.arguments[2..] {
        call.reply.bool(set.contains(member));
    }
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
    let wanted = Wanted {
        count: count.unwrap_or(1),
        repeats: false,
    };
    let places = random::places(old.members.len(), wanted, || call.transaction.inner.random());
    let members: Vec<Bytes> = random::pick(old.iter(), &places).into_iter().cloned().collect();
    drop(old);
    if !members.is_empty() {
        let members = members.clone();
        call.transaction.apply(&key, Effect::SetRemove { members })?;
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

pub(super) fn random_member(call: &mut Call<'_, '_, '_>) -> Outcome {
    if call.len() > 3 {
        return Err(fail(super::SYNTAX));
    }
    let (wanted, _) = random::wanted(call, "")?;
    let key = call.key(1);
    let set = set(call, &key)?.unwrap_or_default();
    let one = Wanted {
        count: 1,
        repeats: false,
    };
    let places = random::places(set.members.len(), wanted.unwrap_or(one), || {
        call.transaction.inner.random()
    });
    let members = random::pick(set.iter(), &places);
    if wanted.is_some() {
        call.reply.array(members.len());
        members.iter().for_each(|member| call.reply.bulk(member));
    } else {
        match members.first() {
            Some(member) => call.reply.bulk(member),
            None => call.reply.null(),
        }
    }
    Ok(())
}

pub(super) fn scan(call: &mut Call<'_, '_, '_>) -> Outcome {
    let from = cursor::cursor(call.argument(2))?;
    let key = call.key(1);
    let Some(set) = set(call, &key)? else {
        cursor::nothing(call);
        return Ok(());
    };
    let cursor = Cursor::read(call, from)?;
    let (next, picks) = cursor.stretch(set.members.len());
    let picked: Vec<&Bytes> = set.iter().filter(|member| picks(member)).collect();
    cursor::answer(call, next, picked.len());
    picked.iter().for_each(|member| call.reply.bulk(member));
    Ok(())
}
