//! Keys as such: DEL, EXISTS, TYPE, RENAME, COPY, KEYS, SCAN and the like.

use super::{Call, Fail, NO_KEY, Outcome, SYNTAX, fail, is_string};
use crate::{
    effect::{Effect, Slot},
    port::{
        pattern,
        session::{DATABASES, key_in},
    },
    value::{Bytes, Value},
};

pub(super) fn del(call: &mut Call<'_, '_, '_>) -> Outcome {
    if call.len() > 2 {
        call.transaction.group();
    }
    let mut removed = 0;
    for at in 1..call.len() {
        let key = call.key(at);
        removed += usize::from(call.transaction.delete(&key)?.is_some());
    }
    call.reply.count(removed);
    Ok(())
}

pub(super) fn exists(call: &mut Call<'_, '_, '_>) -> Outcome {
    let mut found = 0;
    for at in 1..call.len() {
        let key = call.key(at);
        found += usize::from(call.transaction.slot(&key)?.is_some());
    }
    call.reply.count(found);
    Ok(())
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "list",
        Value::Object(_) => "object",
        Value::Hash(_) => "hash",
        Value::Set(_) => "set",
        Value::SortedSet(_) => "zset",
        _ => "string",
    }
}

pub(super) fn type_of(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let name = call
        .transaction
        .slot(&key)?
        .map_or("none", |slot| type_name(&slot.value));
    call.reply.simple(name);
    Ok(())
}

pub(super) fn rename(call: &mut Call<'_, '_, '_>) -> Outcome {
    let only_free = call.is(0, "RENAMENX");
    let (from, to) = (call.key(1), call.key(2));
    if call.transaction.slot(&from)?.is_none() {
        return Err(fail(NO_KEY));
    }
    let may = !only_free || call.transaction.slot(&to)?.is_none();
    if may {
        call.transaction.rename(&from, &to)?;
    }
    if only_free {
        call.reply.bool(may);
    } else {
        call.reply.ok();
    }
    Ok(())
}

/// The database that COPY's options name; `None` = they name none, or are wrong.
pub(crate) fn copy_database(arguments: &[Bytes]) -> Option<u8> {
    let at = arguments
        .iter()
        .skip(3)
        .position(|word| word.eq_ignore_ascii_case(b"DB"))?;
    let number = super::parse_int(arguments.get(at + 4)?)?;
    u8::try_from(number).ok().filter(|number| *number < DATABASES)
}

pub(super) fn copy(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (mut replace, mut database) = (false, call.session.database);
    let mut at = 3;
    while at < call.len() {
        if call.is(at, "REPLACE") {
            replace = true;
        } else if call.is(at, "DB") && at + 1 < call.len() {
            at += 1;
            call.int(at)?;
            database = copy_database(call.arguments).ok_or_else(|| fail("ERR DB index is out of range"))?;
        } else {
            return Err(fail(SYNTAX));
        }
        at += 1;
    }
    let (from, to) = (call.key(1), key_in(database, call.argument(2)));
    if from == to {
        return Err(fail("ERR source and destination objects are the same"));
    }
    let Some(slot) = call.transaction.slot(&from)?.cloned() else {
        call.reply.int(0);
        return Ok(());
    };
    let may = replace || call.transaction.slot(&to)?.is_none();
    if may {
        let (expires_ms, value) = (slot.expires_ms(), slot.value);
        call.transaction.apply(&to, Effect::Put { value, expires_ms })?;
    }
    call.reply.bool(may);
    Ok(())
}

/// How often RANDOMKEY picks before it walks.
const TRIES: usize = 128;

fn is_live(slot: &Slot, now_ms: u64) -> bool {
    slot.expires_ms() == 0 || slot.expires_ms() > now_ms
}

/// Live keys of the connection's database.
fn live(call: &mut Call<'_, '_, '_>) -> Vec<Vec<u8>> {
    let database = call.session.database;
    let now = call.transaction.now_ms();
    let mut keys = Vec::new();
    call.transaction.each(|key, slot| {
        if key.first() == Some(&database) && is_live(slot, now) {
            keys.push(key[1..].to_vec());
        }
    });
    keys
}

pub(super) fn keys(call: &mut Call<'_, '_, '_>) -> Outcome {
    let mut keys = live(call);
    keys.retain(|key| pattern::matches(call.argument(1), key));
    call.reply.array(keys.len());
    keys.iter().for_each(|key| call.reply.bulk(key));
    Ok(())
}

pub(super) fn dbsize(call: &mut Call<'_, '_, '_>) -> Outcome {
    let count = call.transaction.inner.table.keys_in(call.session.database);
    call.reply.int(i64::try_from(count).unwrap_or(i64::MAX));
    Ok(())
}

/// Looks at a few keys picked at random, and walks over all only if none of them is of this database.
pub(super) fn random_key(call: &mut Call<'_, '_, '_>) -> Outcome {
    let database = call.session.database;
    if call.transaction.inner.table.keys_in(database) == 0 {
        call.reply.null();
        return Ok(());
    }
    for _ in 0..TRIES {
        let picked = call.transaction.any_key();
        if let Some(key) = picked.filter(|key| key.first() == Some(&database)) {
            call.reply.bulk(&key[1..]);
            return Ok(());
        }
    }
    let keys = live(call);
    match keys.len() {
        0 => call.reply.null(),
        len => call
            .reply
            .bulk(&keys[call.transaction.inner.random() as usize % len]),
    }
    Ok(())
}

pub(super) fn flush(call: &mut Call<'_, '_, '_>) -> Outcome {
    if call.len() > 2 || call.len() == 2 && !call.is(1, "SYNC") && !call.is(1, "ASYNC") {
        return Err(fail(SYNTAX));
    }
    let database = call.session.database;
    let all = call.is(0, "FLUSHALL");
    call.transaction
        .clear(|key| all || key.first() == Some(&database))?;
    call.reply.ok();
    Ok(())
}

pub(super) fn scan(call: &mut Call<'_, '_, '_>) -> Outcome {
    let cursor = super::cursor::cursor(call.argument(1))?;
    let (mut count, mut wanted, mut kind) = (10, None, None);
    let mut at = 2;
    while at < call.len() {
        if at + 1 == call.len() {
            return Err(fail(SYNTAX));
        }
        if call.is(at, "COUNT") {
            count = usize::try_from(call.int(at + 1)?).map_err(|_| fail(SYNTAX))?;
            if count == 0 {
                return Err(fail(SYNTAX));
            }
        } else if call.is(at, "MATCH") {
            wanted = Some(call.argument(at + 1).to_vec());
        } else if call.is(at, "TYPE") {
            kind = Some(String::from_utf8_lossy(call.argument(at + 1)).to_lowercase());
        } else {
            return Err(fail(SYNTAX));
        }
        at += 2;
    }
    let (database, now) = (call.session.database, call.transaction.now_ms());
    let mut keys: Vec<Bytes> = Vec::new();
    let next = call.transaction.scan(cursor, count, |key, slot| {
        let fits = key.first() == Some(&database)
            && is_live(slot, now)
            && wanted
                .as_ref()
                .is_none_or(|wanted| pattern::matches(wanted, &key[1..]))
            && kind.as_ref().is_none_or(|kind| type_name(&slot.value) == kind);
        if fits {
            keys.push(key.clone());
        }
    });
    call.reply.array(2);
    call.reply.bulk(next.to_string().as_bytes());
    call.reply.array(keys.len());
    keys.iter().for_each(|key| call.reply.bulk(&key[1..]));
    Ok(())
}

pub(super) fn object(call: &mut Call<'_, '_, '_>) -> Outcome {
    let known = ["ENCODING", "REFCOUNT", "IDLETIME", "FREQ"];
    if call.len() < 3 || !known.iter().any(|word| call.is(1, word)) {
        let word = call.argument(1).escape_ascii();
        return Err(Fail::Line(
            format!("ERR unknown subcommand '{word}'. Try OBJECT HELP.").into(),
        ));
    }
    let key = call.key(2);
    let idle_of = |used: u32, now: u32| i64::from(now.saturating_sub(used) / 10);
    let now = call.transaction.inner.stamp();
    let Some(slot) = call.transaction.slot(&key)? else {
        call.reply.null();
        return Ok(());
    };
    let (value, at) = (slot.value.clone(), slot.at);
    let used = call.transaction.used(&key, at);
    if call.is(1, "ENCODING") {
        let encoding = match &value {
            Value::Int(_) => "int",
            Value::Bytes(bytes) if super::parse_int(bytes).is_some() => "int",
            Value::Bytes(bytes) if bytes.len() > 44 => "raw",
            Value::List(_) => "quicklist",
            Value::SortedSet(_) => "skiplist",
            other if is_string(other) => "embstr",
            _ => "hashtable",
        };
        call.reply.bulk(encoding.as_bytes());
    } else if call.is(1, "REFCOUNT") {
        call.reply.int(1);
    } else if call.is(1, "IDLETIME") {
        call.reply.int(idle_of(used, now));
    } else {
        return Err(fail(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
             switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    Ok(())
}

/// A count that may not be negative.
pub(super) fn natural(call: &Call<'_, '_, '_>, at: usize) -> Result<usize, Fail> {
    let number = call.int(at).ok().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| fail("ERR value is out of range, must be positive"))
}
