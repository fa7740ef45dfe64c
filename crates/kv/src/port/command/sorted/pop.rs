//! Taking the lowest or highest members: ZPOPMIN, ZPOPMAX, ZMPOP, and the forms that block.

use super::{Wish, scored, sorted};
use crate::{
    effect::Effect,
    port::command::{
        Block, Call, Fail, Outcome, SYNTAX,
        blocking::{numbered_keys, timeout},
        fail,
        keys::natural,
    },
    value::Bytes,
};

/// Takes up to `count` members off one end.
fn take(
    call: &mut Call<'_, '_, '_>,
    key: &[u8],
    highest: bool,
    count: usize,
) -> Result<Vec<(f64, Bytes)>, Fail> {
    let set = sorted(call, key)?.unwrap_or_default();
    let own = |(score, member): (f64, &Bytes)| (score, member.clone());
    let taken: Vec<(f64, Bytes)> = if highest {
        set.iter().rev().take(count).map(own).collect()
    } else {
        set.iter().take(count).map(own).collect()
    };
    drop(set);
    if !taken.is_empty() {
        let members = taken.iter().map(|(_, member)| member.clone()).collect();
        call.transaction.apply(key, Effect::Unscore { members })?;
    }
    Ok(taken)
}

fn highest(call: &Call<'_, '_, '_>) -> bool {
    call.argument(0).to_ascii_uppercase().ends_with(b"MAX")
}

pub(in super::super) fn pop(call: &mut Call<'_, '_, '_>) -> Outcome {
    let count = match call.len() {
        2 => 1,
        3 => natural(call, 2)?,
        _ => return Err(fail(SYNTAX)),
    };
    let key = call.key(1);
    let taken = take(call, &key, highest(call), count)?;
    let shown: Vec<(f64, &Bytes)> = taken.iter().map(|(score, member)| (*score, member)).collect();
    if call.len() == 2 && call.reply.resp3 {
        call.reply.array(2 * shown.len());
        for (score, member) in shown {
            call.reply.bulk(member);
            call.reply.double(score);
        }
    } else {
        scored(call, &shown, true);
    }
    Ok(())
}

pub(in super::super) fn blocking_pop(call: &mut Call<'_, '_, '_>) -> Outcome {
    let last = call.len() - 1;
    let timeout = timeout(call, last)?;
    for at in 1..last {
        let key = call.key(at);
        if let Some((score, member)) = take(call, &key, highest(call), 1)?.first() {
            call.reply.array(3);
            call.reply.bulk(call.arguments.get(at).map_or(&[], |key| key));
            call.reply.bulk(member);
            call.reply.double(*score);
            return Ok(());
        }
    }
    let keys = (1..last).map(|at| call.key(at)).collect();
    *call.block = Some(Block {
        keys,
        wish: Wish::RetryScored,
        timeout,
        null_array: true,
    });
    Ok(())
}

/// ZMPOP and BZMPOP: `first` is where the number of keys stands. Answers the keys when there was nothing.
fn mpop(call: &mut Call<'_, '_, '_>, first: usize) -> Result<Option<Vec<Bytes>>, Fail> {
    let (keys, after, count) = numbered_keys(call, first)?;
    let highest = match call.argument(after).to_ascii_uppercase().as_slice() {
        b"MIN" => false,
        b"MAX" => true,
        _ => return Err(fail(SYNTAX)),
    };
    let count = count?;
    for at in keys.clone() {
        let key = call.key(at);
        let taken = take(call, &key, highest, count)?;
        if !taken.is_empty() {
            call.reply.array(2);
            call.reply.bulk(call.arguments.get(at).map_or(&[], |key| key));
            call.reply.array(taken.len());
            for (score, member) in &taken {
                call.reply.array(2);
                call.reply.bulk(member);
                call.reply.double(*score);
            }
            return Ok(None);
        }
    }
    Ok(Some(keys.map(|at| call.key(at)).collect()))
}

pub(in super::super) fn zmpop(call: &mut Call<'_, '_, '_>) -> Outcome {
    if mpop(call, 1)?.is_some() {
        call.reply.null_array();
    }
    Ok(())
}

pub(in super::super) fn bzmpop(call: &mut Call<'_, '_, '_>) -> Outcome {
    let timeout = timeout(call, 1)?;
    if let Some(keys) = mpop(call, 2)? {
        *call.block = Some(Block {
            keys,
            wish: Wish::RetryScored,
            timeout,
            null_array: true,
        });
    }
    Ok(())
}
