//! Strings as rows of bits: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP.

use super::{Call, Fail, NOT_INTEGER, Outcome, SYNTAX, algebra::put, fail, lists::range};
use crate::{port::reply::scalar_bytes, value::Value};

/// Bits of the longest string.
const MOST_BITS: u64 = 512 << 23;

fn string(call: &mut Call<'_, '_, '_>, key: &[u8]) -> Result<Option<Vec<u8>>, Fail> {
    Ok(call.scalar(key)?.map(|value| scalar_bytes(&value)))
}

fn offset(call: &Call<'_, '_, '_>) -> Result<u64, Fail> {
    let offset = call.int(2).ok().and_then(|offset| u64::try_from(offset).ok());
    offset
        .filter(|offset| *offset < MOST_BITS)
        .ok_or_else(|| fail("ERR bit offset is not an integer or out of range"))
}

pub(super) fn set(call: &mut Call<'_, '_, '_>) -> Outcome {
    let offset = offset(call)?;
    let on = match call.int(3) {
        Ok(0) => false,
        Ok(1) => true,
        _ => return Err(fail("ERR bit is not an integer or out of range")),
    };
    let key = call.key(1);
    let mut bytes = string(call, &key)?.unwrap_or_default();
    let (at, mask) = ((offset / 8) as usize, 0x80 >> (offset % 8));
    if bytes.len() <= at {
        bytes.resize(at + 1, 0);
    }
    let old = bytes[at] & mask != 0;
    if on {
        bytes[at] |= mask;
    } else {
        bytes[at] &= !mask;
    }
    call.transaction.set(&key, Value::Bytes(bytes.into()))?;
    call.reply.bool(old);
    Ok(())
}

pub(super) fn get(call: &mut Call<'_, '_, '_>) -> Outcome {
    let offset = offset(call)?;
    let key = call.key(1);
    let bytes = string(call, &key)?.unwrap_or_default();
    let byte = bytes.get((offset / 8) as usize);
    call.reply
        .bool(byte.is_some_and(|byte| byte & (0x80 >> (offset % 8)) != 0));
    Ok(())
}

/// Bits from the first to behind the last one.
struct Stretch {
    first: u64,
    end: u64,
}

/// Reads `start end [BYTE | BIT]` from `at` on, against a string of this length.
fn stretch(call: &Call<'_, '_, '_>, at: usize, len_bytes: usize) -> Result<Stretch, Fail> {
    let by_bit = match call.len() - at {
        0..=2 => false,
        3 if call.is(at + 2, "BIT") => true,
        3 if call.is(at + 2, "BYTE") => false,
        _ => return Err(fail(SYNTAX)),
    };
    let unit = if by_bit { 1 } else { 8 };
    let len = len_bytes * 8 / unit;
    let start = if call.len() > at { call.int(at)? } else { 0 };
    let stop = if call.len() > at + 1 {
        call.int(at + 1)?
    } else {
        -1
    };
    let is_count = call.argument(0).len() == "BITCOUNT".len();
    let range = if is_count && start < 0 && stop < 0 && start > stop {
        0..0
    } else {
        range(start, stop.max(-(len as i64)), len)
    };
    Ok(Stretch {
        first: (range.start * unit) as u64,
        end: (range.end * unit) as u64,
    })
}

fn bit(bytes: &[u8], at: u64) -> bool {
    bytes[(at / 8) as usize] & (0x80 >> (at % 8)) != 0
}

pub(super) fn count(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let Some(bytes) = string(call, &key)? else {
        call.reply.int(0);
        return Ok(());
    };
    if call.len() == 3 || call.len() > 5 {
        return Err(fail(SYNTAX));
    }
    let stretch = stretch(call, 2, bytes.len())?;
    let (from, to) = (stretch.first.div_ceil(8), stretch.end / 8);
    let count = if from < to {
        let whole = &bytes[from as usize..to as usize];
        let edges = (stretch.first..from * 8).chain(to * 8..stretch.end);
        let whole: u64 = whole.iter().map(|byte| u64::from(byte.count_ones())).sum();
        whole + edges.filter(|at| bit(&bytes, *at)).count() as u64
    } else {
        (stretch.first..stretch.end).filter(|at| bit(&bytes, *at)).count() as u64
    };
    call.reply.int(i64::try_from(count).unwrap_or(i64::MAX));
    Ok(())
}

pub(super) fn position(call: &mut Call<'_, '_, '_>) -> Outcome {
    let wanted = match call.int(2) {
        Ok(0) => false,
        Ok(1) => true,
        Ok(_) => return Err(fail("ERR The bit argument must be 1 or 0.")),
        Err(_) => return Err(fail(NOT_INTEGER)),
    };
    let key = call.key(1);
    let Some(bytes) = string(call, &key)? else {
        call.reply.int(if wanted { -1 } else { 0 });
        return Ok(());
    };
    if call.len() > 6 {
        return Err(fail(SYNTAX));
    }
    let stretch = stretch(call, 3, bytes.len())?;
    let dull = if wanted { 0x00 } else { 0xff };
    let mut at = stretch.first;
    while at < stretch.end {
        if at % 8 == 0 && at + 8 <= stretch.end && bytes[(at / 8) as usize] == dull {
            at += 8;
        } else if bit(&bytes, at) == wanted {
            break;
        } else {
            at += 1;
        }
    }
    let answer = if at < stretch.end {
        i64::try_from(at).unwrap_or(i64::MAX)
    } else if !wanted && call.len() < 5 && stretch.first < stretch.end {
        // Without an end, the string goes on with zeros.
        (bytes.len() * 8) as i64
    } else {
        -1
    };
    call.reply.int(answer);
    Ok(())
}

pub(super) fn operate(call: &mut Call<'_, '_, '_>) -> Outcome {
    let word = call.argument(1).to_ascii_uppercase();
    let operate: fn(u8, u8) -> u8 = match &word[..] {
        b"AND" => |a, b| a & b,
        b"OR" => |a, b| a | b,
        b"XOR" => |a, b| a ^ b,
        b"NOT" if call.len() != 4 => {
            return Err(fail("ERR BITOP NOT must be called with a single source key."));
        }
        b"NOT" => |a, _| !a,
        _ => return Err(fail(SYNTAX)),
    };
    let mut sources = Vec::new();
    for at in 3..call.len() {
        let key = call.key(at);
        sources.push(string(call, &key)?.unwrap_or_default());
    }
    let len = sources.iter().map(Vec::len).max().unwrap_or(0);
    let byte = |source: &Vec<u8>, at: usize| source.get(at).copied().unwrap_or(0);
    let result: Vec<u8> = (0..len)
        .map(|at| {
            let mut each = sources.iter().map(|source| byte(source, at));
            let first = each.next().unwrap_or(0);
            if word == b"NOT" {
                operate(first, first)
            } else {
                each.fold(first, operate)
            }
        })
        .collect();
    let value = (len > 0).then(|| Value::Bytes(result.into()));
    put(call, 2, value)?;
    call.reply.count(len);
    Ok(())
}
