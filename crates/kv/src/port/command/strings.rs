//! Strings: SET in all its forms, ranges, counters.

use super::{Call, Fail, NOT_INTEGER, Outcome, SYNTAX, decimal, expiry, fail, parse_float, parse_int};
use crate::{
    effect::Effect,
    port::reply::scalar_bytes,
    value::{Bytes, Value},
};

/// The longest string that APPEND and SETRANGE make.
const MAX_STRING_BYTES: usize = 512 << 20;

fn value_of(call: &Call<'_, '_, '_>, at: usize) -> Value {
    Value::Bytes(
        call.arguments
            .get(at)
            .cloned()
            .unwrap_or_else(|| Bytes::from(&[][..])),
    )
}

fn put(call: &mut Call<'_, '_, '_>, key: &[u8], value: Value, expires_ms: u64) -> Result<(), Fail> {
    Ok(call.transaction.apply(key, Effect::Put { value, expires_ms })?)
}

/// Sets the value and keeps the time to live.
fn keep(call: &mut Call<'_, '_, '_>, key: &[u8], value: Value) -> Result<(), Fail> {
    call.transaction.set(key, value)?;
    Ok(())
}

#[derive(Default)]
struct SetOptions {
    if_missing: bool,
    if_there: bool,
    get: bool,
    keep: bool,
    expires_ms: Option<u64>,
}

fn set_options(call: &mut Call<'_, '_, '_>) -> Result<SetOptions, Fail> {
    let mut options = SetOptions::default();
    let mut at = 3;
    while at < call.len() {
        let word = call.argument(at).to_ascii_uppercase();
        let timed = options.expires_ms.is_some() || options.keep;
        match &word[..] {
            b"NX" if !options.if_there => options.if_missing = true,
            b"XX" if !options.if_missing => options.if_there = true,
            b"GET" => options.get = true,
            b"KEEPTTL" if !timed => options.keep = true,
            b"EX" | b"PX" | b"EXAT" | b"PXAT" if !timed && at + 1 < call.len() => {
                options.expires_ms = Some(expiry::moment(call, &word, at + 1, "set")?);
                at += 1;
            }
            _ => return Err(fail(SYNTAX)),
        }
        at += 1;
    }
    Ok(options)
}

pub(super) fn set(call: &mut Call<'_, '_, '_>) -> Outcome {
    let options = set_options(call)?;
    let key = call.key(1);
    let old = if options.get { call.scalar(&key)? } else { None };
    let there = call.transaction.slot(&key)?.map(|slot| slot.expires_ms());
    let may = !(options.if_missing && there.is_some() || options.if_there && there.is_none());
    if may {
        let kept = if options.keep { there.unwrap_or(0) } else { 0 };
        let value = value_of(call, 2);
        put(call, &key, value, options.expires_ms.unwrap_or(kept))?;
    }
    match (options.get, may) {
        (true, _) => call.reply.optional(old.as_ref()),
        (false, true) => call.reply.ok(),
        (false, false) => call.reply.null(),
    }
    Ok(())
}

pub(super) fn setnx(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let free = call.transaction.slot(&key)?.is_none();
    if free {
        let value = value_of(call, 2);
        put(call, &key, value, 0)?;
    }
    call.reply.bool(free);
    Ok(())
}

pub(super) fn setex(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (unit, name) = if call.is(0, "PSETEX") {
        (&b"PX"[..], "psetex")
    } else {
        (&b"EX"[..], "setex")
    };
    let expires_ms = expiry::moment(call, unit, 2, name)?;
    let (key, value) = (call.key(1), value_of(call, 3));
    put(call, &key, value, expires_ms)?;
    call.reply.ok();
    Ok(())
}

pub(super) fn get(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let value = call.scalar(&key)?;
    call.reply.optional(value.as_ref());
    Ok(())
}

pub(super) fn getset(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let old = call.scalar(&key)?;
    let value = value_of(call, 2);
    put(call, &key, value, 0)?;
    call.reply.optional(old.as_ref());
    Ok(())
}

pub(super) fn getdel(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let old = call.scalar(&key)?;
    if old.is_some() {
        call.transaction.apply(&key, Effect::Delete)?;
    }
    call.reply.optional(old.as_ref());
    Ok(())
}

pub(super) fn getex(call: &mut Call<'_, '_, '_>) -> Outcome {
    let unit = call.argument(2).to_ascii_uppercase();
    match (call.len(), unit.as_slice()) {
        (2, _) | (3, b"PERSIST") | (4, b"EX" | b"PX" | b"EXAT" | b"PXAT") => {}
        _ => return Err(fail(SYNTAX)),
    }
    let key = call.key(1);
    let Some(value) = call.scalar(&key)? else {
        call.reply.null();
        return Ok(());
    };
    let at_ms = match call.len() {
        2 => None,
        3 => Some(0),
        _ => Some(expiry::moment(call, &unit, 3, "getex")?),
    };
    if let Some(at_ms) = at_ms {
        call.transaction.apply(&key, Effect::Expire { at_ms })?;
    }
    call.reply.scalar(&value);
    Ok(())
}

pub(super) fn mget(call: &mut Call<'_, '_, '_>) -> Outcome {
    call.reply.array(call.len() - 1);
    for at in 1..call.len() {
        let key = call.key(at);
        let value = call.transaction.value(&key)?.filter(super::is_string);
        call.reply.optional(value.as_ref());
    }
    Ok(())
}

pub(super) fn mset(call: &mut Call<'_, '_, '_>) -> Outcome {
    let only_new = call.is(0, "MSETNX");
    if call.len().is_multiple_of(2) {
        let name = if only_new { "msetnx" } else { "mset" };
        return Err(Fail::Line(
            format!("ERR wrong number of arguments for '{name}' command").into(),
        ));
    }
    call.transaction.group();
    if only_new {
        for at in (1..call.len()).step_by(2) {
            let key = call.key(at);
            if call.transaction.slot(&key)?.is_some() {
                call.reply.int(0);
                return Ok(());
            }
        }
    }
    for at in (1..call.len()).step_by(2) {
        let (key, value) = (call.key(at), value_of(call, at + 1));
        put(call, &key, value, 0)?;
    }
    if only_new {
        call.reply.int(1);
    } else {
        call.reply.ok();
    }
    Ok(())
}

pub(super) fn append(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let mut bytes = call
        .scalar(&key)?
        .map_or_else(Vec::new, |value| scalar_bytes(&value));
    if bytes.len() + call.argument(2).len() > MAX_STRING_BYTES {
        return Err(fail(
            "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
        ));
    }
    bytes.extend_from_slice(call.argument(2));
    call.reply.count(bytes.len());
    keep(call, &key, Value::Bytes(bytes.into()))
}

pub(super) fn strlen(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let len = call.scalar(&key)?.map_or(0, |value| match &value {
        Value::Bytes(bytes) => bytes.len(),
        other => scalar_bytes(other).len(),
    });
    call.reply.count(len);
    Ok(())
}

pub(super) fn getrange(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (start, stop) = (call.int(2)?, call.int(3)?);
    let key = call.key(1);
    let bytes = call
        .scalar(&key)?
        .map_or_else(Vec::new, |value| scalar_bytes(&value));
    // Unlike a list's, a string's end before its beginning is its first byte.
    let len = bytes.len() as i64;
    let stop = if stop < 0 {
        stop.saturating_add(len).max(0)
    } else {
        stop
    };
    let before = start < 0 && call.int(3)? < 0 && start > call.int(3)?;
    let range = if before {
        0..0
    } else {
        super::lists::range(start, stop, bytes.len())
    };
    call.reply.bulk(&bytes[range]);
    Ok(())
}

pub(super) fn setrange(call: &mut Call<'_, '_, '_>) -> Outcome {
    let offset = usize::try_from(call.int(2)?).map_err(|_| fail("ERR offset is out of range"))?;
    let key = call.key(1);
    let mut bytes = call
        .scalar(&key)?
        .map_or_else(Vec::new, |value| scalar_bytes(&value));
    let piece = call.argument(3).to_vec();
    if !piece.is_empty() {
        let end = offset.saturating_add(piece.len());
        if end > MAX_STRING_BYTES {
            return Err(fail(
                "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            ));
        }
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset..end].copy_from_slice(&piece);
        call.reply.count(bytes.len());
        return keep(call, &key, Value::Bytes(bytes.into()));
    }
    call.reply.count(bytes.len());
    Ok(())
}

pub(super) fn incr(call: &mut Call<'_, '_, '_>) -> Outcome {
    let name = call.argument(0).to_ascii_uppercase();
    let delta = match &name[..] {
        b"INCR" => 1,
        b"DECR" => -1,
        b"INCRBY" => call.int(2)?,
        _ => call
            .int(2)?
            .checked_neg()
            .ok_or_else(|| fail("ERR decrement would overflow"))?,
    };
    let key = call.key(1);
    let old = match call.scalar(&key)? {
        None => 0,
        Some(Value::Int(old)) => old,
        Some(other) => parse_int(&scalar_bytes(&other)).ok_or_else(|| fail(NOT_INTEGER))?,
    };
    let overflow = || fail("ERR increment or decrement would overflow");
    let sum = old.checked_add(delta).ok_or_else(overflow)?;
    keep(call, &key, Value::Int(sum))?;
    call.reply.int(sum);
    Ok(())
}

pub(super) fn incrbyfloat(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let old = call
        .scalar(&key)?
        .map_or_else(|| b"0".to_vec(), |old| scalar_bytes(&old));
    parse_float(&old).ok_or_else(|| fail(super::NOT_FLOAT))?;
    call.float(2)?;
    let text = decimal::sum(&old, call.argument(2))
        .ok_or_else(|| fail("ERR increment would produce NaN or Infinity"))?;
    // Clients see the text; stored as text, it is the same after a restart.
    call.reply.bulk(text.as_bytes());
    keep(call, &key, Value::Bytes(text.as_str().into()))
}
