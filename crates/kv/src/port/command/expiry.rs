//! Times to live: EXPIRE in all its forms, TTL and its kin.

use super::{Call, Fail, Outcome, fail};
use crate::effect::{Effect, LATEST_MS};

/// The moment that an argument means, in milliseconds since 1970, for the unit EX, PX, EXAT or PXAT. It must be positive.
pub(super) fn moment(call: &mut Call<'_, '_, '_>, unit: &[u8], at: usize, name: &str) -> Result<u64, Fail> {
    let invalid = || Fail::Line(format!("ERR invalid expire time in '{name}' command").into());
    let number = call.int(at)?;
    if number <= 0 {
        return Err(invalid());
    }
    let ms = absolute(call, unit, number).ok_or_else(invalid)?;
    u64::try_from(ms).map_err(|_| invalid())
}

/// `None` beyond what a key can remember; a negative moment is over.
fn absolute(call: &mut Call<'_, '_, '_>, unit: &[u8], number: i64) -> Option<i64> {
    let ms = if unit.starts_with(b"EX") {
        number.checked_mul(1000)?
    } else {
        number
    };
    let begin = if unit.ends_with(b"AT") {
        0
    } else {
        i64::try_from(call.transaction.now_ms()).ok()?
    };
    ms.checked_add(begin)
        .filter(|ms| u64::try_from(*ms).is_ok_and(|ms| ms <= LATEST_MS) || *ms < 0)
}

pub(super) fn expire(call: &mut Call<'_, '_, '_>) -> Outcome {
    let name = String::from_utf8_lossy(call.argument(0)).to_lowercase();
    let unit = match name.as_str() {
        "expire" => &b"EX"[..],
        "pexpire" => b"PX",
        "expireat" => b"EXAT",
        _ => b"PXAT",
    };
    let (mut nx, mut xx, mut gt, mut lt) = (false, false, false, false);
    for at in 3..call.len() {
        let flag = [("NX", &mut nx), ("XX", &mut xx), ("GT", &mut gt), ("LT", &mut lt)];
        match flag.into_iter().find(|(word, _)| call.is(at, word)) {
            Some((_, flag)) => *flag = true,
            None => {
                let option = call.argument(at).escape_ascii();
                return Err(Fail::Line(format!("ERR Unsupported option {option}").into()));
            }
        }
    }
    if nx && (xx || gt || lt) {
        return Err(fail(
            "ERR NX and XX, GT or LT options at the same time are not compatible",
        ));
    }
    if gt && lt {
        return Err(fail("ERR GT and LT options at the same time are not compatible"));
    }
    let number = call.int(2)?;
    let invalid = || Fail::Line(format!("ERR invalid expire time in '{name}' command").into());
    let at_ms = absolute(call, unit, number).ok_or_else(invalid)?;
    let key = call.key(1);
    let now = call.transaction.now_ms();
    let Some(old_ms) = call.transaction.slot(&key)?.map(|slot| slot.expires_ms()) else {
        call.reply.int(0);
        return Ok(());
    };
    // A key that never expires counts as expiring after everything.
    let old = if old_ms == 0 {
        i64::MAX
    } else {
        i64::try_from(old_ms).unwrap_or(i64::MAX)
    };
    let refused = nx && old_ms > 0 || xx && old_ms == 0 || gt && at_ms <= old || lt && at_ms >= old;
    if !refused {
        let due = u64::try_from(at_ms).ok().filter(|at_ms| *at_ms > now);
        call.transaction
            .apply(&key, due.map_or(Effect::Delete, |at_ms| Effect::Expire { at_ms }))?;
    }
    call.reply.bool(!refused);
    Ok(())
}

pub(super) fn ttl(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let now = call.transaction.now_ms();
    let name = call.argument(0).to_ascii_uppercase();
    let answer = match call.transaction.slot(&key)?.map(|slot| slot.expires_ms()) {
        None => -2,
        Some(0) => -1,
        Some(at_ms) => {
            let left = at_ms.saturating_sub(now);
            let number = match &name[..] {
                b"TTL" => (left + 500) / 1000,
                b"PTTL" => left,
                b"EXPIRETIME" => (at_ms + 500) / 1000,
                _ => at_ms,
            };
            i64::try_from(number).unwrap_or(i64::MAX)
        }
    };
    call.reply.int(answer);
    Ok(())
}

pub(super) fn persist(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let expires = call
        .transaction
        .slot(&key)?
        .is_some_and(|slot| slot.expires_ms() > 0);
    if expires {
        call.transaction.apply(&key, Effect::Expire { at_ms: 0 })?;
    }
    call.reply.bool(expires);
    Ok(())
}
