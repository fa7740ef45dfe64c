//! Moving between lists, taking from the first of several, and the forms of both that block.

use super::{
    Call, Fail, Outcome, SYNTAX, fail,
    lists::{left, list, take},
};
use crate::{effect::End, value::Bytes, wait::Wish};
use std::{ops::Range, time::Duration};

/// What a blocking command waits for when it found nothing.
pub(crate) struct Block {
    pub(crate) keys: Vec<Bytes>,
    pub(crate) wish: Wish,
    /// `None` = forever.
    pub(crate) timeout: Option<Duration>,
    /// What is answered when the time is up.
    pub(crate) null_array: bool,
}

fn end_of(word: &[u8]) -> Result<End, Fail> {
    match word.to_ascii_uppercase().as_slice() {
        b"LEFT" => Ok(End::Front),
        b"RIGHT" => Ok(End::Back),
        _ => Err(fail(SYNTAX)),
    }
}

/// Moves an item; answers whether there was one.
fn transfer(call: &mut Call<'_, '_, '_>, from: End, to: End) -> Result<bool, Fail> {
    let (source, target) = (call.key(1), call.key(2));
    let is_empty = list(call, &source)?.is_none_or(|list| list.items.is_empty());
    if is_empty {
        return Ok(false);
    }
    let item = call
        .transaction
        .transfer((&source, from), (&target, to), "move")?;
    call.reply.optional(item.as_ref());
    Ok(item.is_some())
}

fn move_ends(call: &Call<'_, '_, '_>) -> Result<(End, End), Fail> {
    if call.argument(0).to_ascii_uppercase().ends_with(b"RPOPLPUSH") {
        return Ok((End::Back, End::Front));
    }
    Ok((end_of(call.argument(3))?, end_of(call.argument(4))?))
}

pub(super) fn lmove(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (from, to) = move_ends(call)?;
    if !transfer(call, from, to)? {
        call.reply.null();
    }
    Ok(())
}

/// The last argument of a blocking command, or another one: seconds, 0 = forever.
pub(super) fn timeout(call: &Call<'_, '_, '_>, at: usize) -> Result<Option<Duration>, Fail> {
    let seconds = super::parse_float(call.argument(at));
    let seconds = seconds.ok_or_else(|| fail("ERR timeout is not a float or out of range"))?;
    if seconds < 0.0 {
        return Err(fail("ERR timeout is negative"));
    }
    if seconds == 0.0 {
        return Ok(None);
    }
    if seconds * 1000.0 >= i64::MAX as f64 {
        // Redis 7.0 counts milliseconds in 64 bits, and says this when they do not suffice.
        return Err(fail("ERR timeout is negative"));
    }
    Duration::try_from_secs_f64(seconds)
        .map(Some)
        .map_err(|_| fail("ERR timeout is out of range"))
}

pub(super) fn blmove(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (from, to) = move_ends(call)?;
    let timeout = timeout(call, call.len() - 1)?;
    if !transfer(call, from, to)? {
        let keys = vec![call.key(1)];
        *call.block = Some(Block {
            keys,
            wish: Wish::Retry,
            timeout,
            null_array: true,
        });
    }
    Ok(())
}

pub(super) fn bpop(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (end, last) = (left(call), call.len() - 1);
    let timeout = timeout(call, last)?;
    for at in 1..last {
        let key = call.key(at);
        if let Some(item) = take(call, &key, end, 1)?.first() {
            call.reply.array(2);
            call.reply.bulk(call.arguments.get(at).map_or(&[], |key| key));
            call.reply.scalar(item);
            return Ok(());
        }
    }
    let keys = (1..last).map(|at| call.key(at)).collect();
    *call.block = Some(Block {
        keys,
        wish: Wish::Item(end),
        timeout,
        null_array: true,
    });
    Ok(())
}

/// Arguments of the form `numkeys key.. word [COUNT n]`: where the keys and the word stand, and the count, which is looked
/// at after the word.
#[expect(clippy::type_complexity, reason = "three answers of one reading")]
pub(super) fn numbered_keys(
    call: &Call<'_, '_, '_>,
    first: usize,
) -> Result<(Range<usize>, usize, Result<usize, Fail>), Fail> {
    let positive = |at: usize| {
        let number = call.int(at).ok().and_then(|number| usize::try_from(number).ok());
        number.filter(|number| *number > 0)
    };
    let number = positive(first).ok_or_else(|| fail("ERR numkeys should be greater than 0"))?;
    let after = first.saturating_add(number).saturating_add(1);
    if after >= call.len() {
        return Err(fail(SYNTAX));
    }
    let count = match call.len() - after {
        1 => Ok(1),
        3 if call.is(after + 1, "COUNT") => {
            positive(after + 2).ok_or_else(|| fail("ERR count should be greater than 0"))
        }
        _ => Err(fail(SYNTAX)),
    };
    Ok((first + 1..after, after, count))
}

/// LMPOP and BLMPOP: `first` is where the number of keys stands. Answers the keys when there was nothing.
fn mpop(call: &mut Call<'_, '_, '_>, first: usize) -> Result<Option<Vec<Bytes>>, Fail> {
    let (keys, after, count) = numbered_keys(call, first)?;
    let end = end_of(call.argument(after))?;
    let count = count?;
    for at in keys.clone() {
        let key = call.key(at);
        let taken = take(call, &key, end, count)?;
        if !taken.is_empty() {
            call.reply.array(2);
            call.reply.bulk(call.arguments.get(at).map_or(&[], |key| key));
            call.reply.array(taken.len());
            taken.iter().for_each(|item| call.reply.scalar(item));
            return Ok(None);
        }
    }
    Ok(Some(keys.map(|at| call.key(at)).collect()))
}

pub(super) fn lmpop(call: &mut Call<'_, '_, '_>) -> Outcome {
    if mpop(call, 1)?.is_some() {
        call.reply.null_array();
    }
    Ok(())
}

pub(super) fn blmpop(call: &mut Call<'_, '_, '_>) -> Outcome {
    let timeout = timeout(call, 1)?;
    if let Some(keys) = mpop(call, 2)? {
        *call.block = Some(Block {
            keys,
            wish: Wish::Retry,
            timeout,
            null_array: true,
        });
    }
    Ok(())
}
