//! Lists. What moves and blocks is in `blocking`.

use super::{Call, Fail, NO_KEY, Outcome, SYNTAX, fail, keys::natural};
use crate::{
    effect::{Effect, End},
    port::reply::scalar_bytes,
    value::{List, Value},
};
use std::{ops::Range, sync::Arc};

/// Redis's places, negative from the end, both ends included, as a range.
pub(super) fn range(start: i64, stop: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let place = |at: i64| {
        if at < 0 {
            (len.saturating_add(at)).max(0)
        } else {
            at
        }
    };
    let (start, stop) = (
        place(start),
        if stop < 0 && stop.saturating_add(len) < 0 {
            -1
        } else {
            place(stop)
        },
    );
    let stop = stop.min(len - 1);
    if start > stop {
        0..0
    } else {
        start as usize..stop as usize + 1
    }
}

fn items(call: &Call<'_, '_, '_>, from: usize) -> Vec<Value> {
    call.arguments[from..]
        .iter()
        .map(|item| Value::Bytes(item.clone()))
        .collect()
}

pub(super) fn list(call: &mut Call<'_, '_, '_>, key: &[u8]) -> Result<Option<Arc<List>>, Fail> {
    Ok(call.transaction.list(key, "list")?)
}

/// Whether a list has this name: L... or R...
pub(super) fn left(call: &Call<'_, '_, '_>) -> End {
    let name = call.argument(0);
    let first = name
        .strip_prefix(b"B")
        .or(name.strip_prefix(b"b"))
        .unwrap_or(name)
        .first();
    if first.is_some_and(|first| first.eq_ignore_ascii_case(&b'L')) {
        End::Front
    } else {
        End::Back
    }
}

pub(super) fn push(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (end, key) = (left(call), call.key(1));
    let only_there = call
        .argument(0)
        .last()
        .is_some_and(|last| last.eq_ignore_ascii_case(&b'X'));
    if only_there && list(call, &key)?.is_none() {
        call.reply.int(0);
        return Ok(());
    }
    let items = items(call, 2);
    let len = call.transaction.push(&key, end, items, "push")?;
    call.reply.count(len);
    Ok(())
}

/// Takes up to `count` items off one end.
pub(super) fn take(
    call: &mut Call<'_, '_, '_>,
    key: &[u8],
    end: End,
    count: usize,
) -> Result<Vec<Value>, Fail> {
    let Some(list) = list(call, key)? else {
        return Ok(Vec::new());
    };
    let taken: Vec<Value> = match end {
        End::Front => list.iter().take(count).cloned().collect(),
        End::Back => list.iter().rev().take(count).cloned().collect(),
    };
    drop(list);
    if !taken.is_empty() {
        let count = taken.len() as u64;
        call.transaction.apply(key, Effect::Pop { end, count })?;
    }
    Ok(taken)
}

pub(super) fn pop(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (end, key) = (left(call), call.key(1));
    let count = match call.len() {
        2 => None,
        3 => Some(natural(call, 2)?),
        _ => return Err(super::super::session::wrong_arity(call.argument(0))),
    };
    let there = list(call, &key)?.is_some();
    let taken = take(call, &key, end, count.unwrap_or(1))?;
    match (count, there) {
        (None, _) => call.reply.optional(taken.first()),
        (Some(_), false) => call.reply.null_array(),
        (Some(_), true) => {
            call.reply.array(taken.len());
            taken.iter().for_each(|item| call.reply.scalar(item));
        }
    }
    Ok(())
}

pub(super) fn len(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let len = list(call, &key)?.map_or(0, |list| list.items.len());
    call.reply.count(len);
    Ok(())
}

pub(super) fn lrange(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (start, stop) = (call.int(2)?, call.int(3)?);
    let key = call.key(1);
    let list = list(call, &key)?.unwrap_or_default();
    let range = range(start, stop, list.items.len());
    call.reply.array(range.len());
    for item in list.iter().skip(range.start).take(range.len()) {
        call.reply.scalar(item);
    }
    Ok(())
}

fn place(at: i64, len: usize) -> Option<usize> {
    let at = if at < 0 { at.checked_add(len as i64)? } else { at };
    usize::try_from(at).ok().filter(|at| *at < len)
}

pub(super) fn index(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let Some(list) = list(call, &key)? else {
        call.reply.null();
        return Ok(());
    };
    let at = call.int(2)?;
    let item = place(at, list.items.len()).and_then(|at| list.get(at));
    call.reply.optional(item);
    Ok(())
}

fn splice(
    call: &mut Call<'_, '_, '_>,
    key: &[u8],
    at: usize,
    removed: usize,
    items: Vec<Value>,
) -> Result<(), Fail> {
    let (at, removed) = (at as u64, removed as u64);
    Ok(call
        .transaction
        .apply(key, Effect::Splice { at, removed, items })?)
}

pub(super) fn set(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let Some(len) = list(call, &key)?.map(|list| list.items.len()) else {
        return Err(fail(NO_KEY));
    };
    let at = place(call.int(2)?, len).ok_or_else(|| fail("ERR index out of range"))?;
    let items = items(call, 3);
    splice(call, &key, at, 1, items)?;
    call.reply.ok();
    Ok(())
}

pub(super) fn insert(call: &mut Call<'_, '_, '_>) -> Outcome {
    let after = match (call.is(2, "BEFORE"), call.is(2, "AFTER")) {
        (true, _) => 0,
        (_, true) => 1,
        _ => return Err(fail(SYNTAX)),
    };
    let key = call.key(1);
    let Some(list) = list(call, &key)? else {
        call.reply.int(0);
        return Ok(());
    };
    let Some(at) = list
        .iter()
        .position(|item| scalar_bytes(item) == call.argument(3))
    else {
        call.reply.int(-1);
        return Ok(());
    };
    let len = list.items.len();
    drop(list);
    let items = items(call, 4);
    splice(call, &key, at + after, 0, items)?;
    call.reply.count(len + 1);
    Ok(())
}

pub(super) fn rem(call: &mut Call<'_, '_, '_>) -> Outcome {
    let count = call.int(2)?;
    let key = call.key(1);
    let list = list(call, &key)?.unwrap_or_default();
    let wanted = call.argument(3);
    let places = list
        .iter()
        .enumerate()
        .filter(|(_, item)| scalar_bytes(item) == wanted)
        .map(|(at, _)| at);
    let mut places: Vec<usize> = places.collect();
    drop(list);
    let most = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    match count {
        0 => {}
        1.. => places.truncate(most),
        _ => drop(places.drain(..places.len().saturating_sub(most))),
    }
    call.transaction.group();
    for at in places.iter().rev() {
        splice(call, &key, *at, 1, Vec::new())?;
    }
    call.reply.count(places.len());
    Ok(())
}

pub(super) fn trim(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (start, stop) = (call.int(2)?, call.int(3)?);
    let key = call.key(1);
    if let Some(len) = list(call, &key)?.map(|list| list.items.len()) {
        let kept = range(start, stop, len);
        call.transaction.group();
        if kept.is_empty() {
            call.transaction.apply(&key, Effect::Delete)?;
        } else {
            let end = Effect::Pop {
                end: End::Back,
                count: (len - kept.end) as u64,
            };
            call.transaction.apply(&key, end)?;
            let front = Effect::Pop {
                end: End::Front,
                count: kept.start as u64,
            };
            call.transaction.apply(&key, front)?;
        }
    }
    call.reply.ok();
    Ok(())
}

/// A number that may not be negative, or these words.
fn number(call: &Call<'_, '_, '_>, at: usize, words: &'static str) -> Result<usize, Fail> {
    let number = call.int(at).ok().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| fail(words))
}

pub(super) fn pos(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (mut rank, mut count, mut most) = (1, None, usize::MAX);
    let mut at = 3;
    while at < call.len() {
        if at + 1 == call.len() {
            return Err(fail(SYNTAX));
        }
        if call.is(at, "RANK") {
            rank = call.int(at + 1)?;
            if rank == 0 {
                return Err(fail(
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                     negative to start from the end of the list",
                ));
            }
        } else if call.is(at, "COUNT") {
            let number = number(call, at + 1, "ERR COUNT can't be negative")?;
            count = Some(if number == 0 { usize::MAX } else { number });
        } else if call.is(at, "MAXLEN") {
            let number = number(call, at + 1, "ERR MAXLEN can't be negative")?;
            most = if number == 0 { usize::MAX } else { number };
        } else {
            return Err(fail(SYNTAX));
        }
        at += 2;
    }
    let key = call.key(1);
    let list = list(call, &key)?.unwrap_or_default();
    let wanted = call.argument(2);
    let hit = |(_, item): &(usize, &Value)| scalar_bytes(item) == wanted;
    let skip = usize::try_from(rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
    let take = count.unwrap_or(1);
    let found: Vec<usize> = if rank > 0 {
        list.iter()
            .enumerate()
            .take(most)
            .filter(hit)
            .skip(skip)
            .take(take)
            .map(|(at, _)| at)
            .collect()
    } else {
        list.iter()
            .enumerate()
            .rev()
            .take(most)
            .filter(hit)
            .skip(skip)
            .take(take)
            .map(|(at, _)| at)
            .collect()
    };
    match (count, found.first()) {
        (Some(_), _) => {
            call.reply.array(found.len());
            found.iter().for_each(|at| call.reply.count(*at));
        }
        (None, Some(at)) => call.reply.count(*at),
        (None, None) => call.reply.null(),
    }
    Ok(())
}
