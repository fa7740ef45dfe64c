//! Hashes.

use super::{
    Call, Fail, Outcome, WRONG_TYPE,
    cursor::{self, Cursor},
    decimal, fail, parse_float, parse_int,
    random::{self, Wanted},
};
use crate::{
    effect::Effect,
    value::{Bytes, Hash, Value},
};
use std::sync::Arc;

fn hash(call: &mut Call<'_, '_, '_>, key: &[u8]) -> Result<Option<Arc<Hash>>, Fail> {
    match call.transaction.value(key)? {
        None => Ok(None),
        Some(Value::Hash(hash)) => Ok(Some(hash)),
        Some(_) => Err(fail(WRONG_TYPE)),
    }
}

pub(super) fn set(call: &mut Call<'_, '_, '_>) -> Outcome {
    if !call.len().is_multiple_of(2) {
        return Err(super::super::session::wrong_arity(call.argument(0)));
    }
    let key = call.key(1);
    let old = hash(call, &key)?.unwrap_or_default();
    let fields: Vec<(Bytes, Bytes)> = call.arguments[2..]
        .chunks(2)
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect();
    let mut added = std::collections::HashSet::new();
    for (name, _) in &fields {
        if old.get(name).is_none() {
            added.insert(name.clone());
        }
    }
    drop(old);
    call.transaction.apply(&key, Effect::HashPut { fields })?;
    if call.is(0, "HMSET") {
        call.reply.ok();
    } else {
        call.reply.count(added.len());
    }
    Ok(())
}

pub(super) fn setnx(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let free = hash(call, &key)?.is_none_or(|hash| hash.get(call.argument(2)).is_none());
    if free {
        let fields = vec![(call.argument(2).into(), call.argument(3).into())];
        call.transaction.apply(&key, Effect::HashPut { fields })?;
    }
    call.reply.bool(free);
    Ok(())
}

pub(super) fn get(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let hash = hash(call, &key)?.unwrap_or_default();
    match hash.get(call.argument(2)) {
        Some(value) => call.reply.bulk(value),
        None => call.reply.null(),
    }
    Ok(())
}

pub(super) fn mget(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let hash = hash(call, &key)?.unwrap_or_default();
    call.reply.array(call.len() - 2);
    for name in &call.arguments[2..] {
        match hash.get(name) {
            Some(value) => call.reply.bulk(value),
            None => call.reply.null(),
        }
    }
    Ok(())
}

pub(super) fn all(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let hash = hash(call, &key)?.unwrap_or_default();
    let (names, values) = (!call.is(0, "HVALS"), !call.is(0, "HKEYS"));
    match (names, values) {
        (true, true) => call.reply.map(hash.fields.len()),
        _ => call.reply.array(hash.fields.len()),
    }
    for (name, value) in hash.iter() {
        if names {
            call.reply.bulk(name);
        }
        if values {
            call.reply.bulk(value);
        }
    }
    Ok(())
}

pub(super) fn del(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let old = hash(call, &key)?.unwrap_or_default();
    let mut fields: Vec<Bytes> = call.arguments[2..]
        .iter()
        .filter(|name| old.get(name).is_some())
        .cloned()
        .collect();
    drop(old);
    fields.sort();
    fields.dedup();
    call.reply.count(fields.len());
    if !fields.is_empty() {
        call.transaction.apply(&key, Effect::HashRemove { fields })?;
    }
    Ok(())
}

pub(super) fn len(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let len = hash(call, &key)?.map_or(0, |hash| hash.fields.len());
    call.reply.count(len);
    Ok(())
}

pub(super) fn exists(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let there = hash(call, &key)?.is_some_and(|hash| hash.get(call.argument(2)).is_some());
    call.reply.bool(there);
    Ok(())
}

pub(super) fn strlen(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let hash = hash(call, &key)?.unwrap_or_default();
    call.reply
        .count(hash.get(call.argument(2)).map_or(0, |value| value.len()));
    Ok(())
}

pub(super) fn incrby(call: &mut Call<'_, '_, '_>) -> Outcome {
    let delta = call.int(3)?;
    let key = call.key(1);
    let hash = hash(call, &key)?.unwrap_or_default();
    let old = match hash.get(call.argument(2)) {
        None => 0,
        Some(text) => parse_int(text).ok_or_else(|| fail("ERR hash value is not an integer"))?,
    };
    drop(hash);
    let overflow = || fail("ERR increment or decrement would overflow");
    let sum = old.checked_add(delta).ok_or_else(overflow)?;
    let fields = vec![(call.argument(2).into(), sum.to_string().as_bytes().into())];
    call.transaction.apply(&key, Effect::HashPut { fields })?;
    call.reply.int(sum);
    Ok(())
}

pub(super) fn incrbyfloat(call: &mut Call<'_, '_, '_>) -> Outcome {
    if !call.float(3)?.is_finite() {
        return Err(fail("ERR value is NaN or Infinity"));
    }
    let key = call.key(1);
    let hash = hash(call, &key)?.unwrap_or_default();
    let old = hash.get(call.argument(2)).cloned().unwrap_or_else(|| "0".into());
    drop(hash);
    parse_float(&old).ok_or_else(|| fail("ERR hash value is not a float"))?;
    let text = decimal::sum(&old, call.argument(3))
        .ok_or_else(|| fail("ERR increment would produce NaN or Infinity"))?;
    let fields = vec![(call.argument(2).into(), text.as_str().into())];
    call.transaction.apply(&key, Effect::HashPut { fields })?;
    call.reply.bulk(text.as_bytes());
    Ok(())
}

pub(super) fn random_field(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (wanted, with_values) = random::wanted(call, "WITHVALUES")?;
    let key = call.key(1);
    let hash = hash(call, &key)?.unwrap_or_default();
    let one = Wanted {
        count: 1,
        repeats: false,
    };
    let places = random::places(hash.fields.len(), wanted.unwrap_or(one), || {
        call.transaction.inner.random()
    });
    let fields = random::pick(hash.iter(), &places);
    match (wanted, fields.first()) {
        (None, Some((name, _))) => call.reply.bulk(name),
        (None, None) => call.reply.null(),
        (Some(_), _) => {
            let pairs = with_values && call.reply.resp3;
            call.reply
                .array(fields.len() << usize::from(with_values && !pairs));
            for (name, value) in fields {
                if pairs {
                    call.reply.array(2);
                }
                call.reply.bulk(name);
                if with_values {
                    call.reply.bulk(value);
                }
            }
        }
    }
    Ok(())
}

pub(super) fn scan(call: &mut Call<'_, '_, '_>) -> Outcome {
    let from = cursor::cursor(call.argument(2))?;
    let key = call.key(1);
    let Some(hash) = hash(call, &key)? else {
        cursor::nothing(call);
        return Ok(());
    };
    let cursor = Cursor::read(call, from)?;
    let (next, picks) = cursor.stretch(hash.fields.len());
    let picked: Vec<_> = hash.iter().filter(|(name, _)| picks(name)).collect();
    cursor::answer(call, next, 2 * picked.len());
    for (name, value) in picked {
        call.reply.bulk(name);
        call.reply.bulk(value);
    }
    Ok(())
}
