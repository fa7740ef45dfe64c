//! Commands that Redis does not have: compare-and-swap by version, deep merge, waiting for a value.

use super::{Block, Call, Outcome, blocking::timeout, fail};
use crate::{from_json, to_json, value::Value, wait::Wish};

/// `Q.CAS key version value` sets the value if the key has this version; answers 1, or 0. `Q.CAS key` answers the version.
pub(super) fn cas(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    match call.len() {
        2 => {
            let version = call.transaction.slot(&key)?.map_or(0, |slot| slot.version());
            call.reply.int(i64::try_from(version).unwrap_or(i64::MAX));
        }
        4 => {
            let version = u64::try_from(call.int(2)?).map_err(|_| fail(super::NOT_INTEGER))?;
            let value = Value::from(call.argument(3));
            let swapped = call.transaction.compare_and_swap(&key, version, value)?;
            call.reply.bool(swapped.is_ok());
        }
        _ => return Err(fail(super::SYNTAX)),
    }
    Ok(())
}

/// `Q.UPDATE key json` merges an object into the one under the key, and answers the merged one as JSON.
pub(super) fn update(call: &mut Call<'_, '_, '_>) -> Outcome {
    let parsed = serde_json::from_slice(call.argument(2))
        .ok()
        .and_then(|json| from_json(&json).ok());
    let Some(Value::Object(patch)) = parsed else {
        return Err(fail("ERR the update is not a JSON object"));
    };
    let key = call.key(1);
    let merged = call.transaction.update(&key, &patch)?;
    call.reply.bulk(to_json(&merged).to_string().as_bytes());
    Ok(())
}

/// `Q.WAIT key [EQ value] timeout` answers the key's value when it is this one, or another one than now.
pub(super) fn wait(call: &mut Call<'_, '_, '_>) -> Outcome {
    let timeout = timeout(call, call.len() - 1)?;
    let key = call.key(1);
    let current = call.transaction.value(&key)?;
    let wish = match call.len() {
        3 => Wish::Differs(current),
        5 if call.is(2, "EQ") => {
            let wanted = Value::from(call.argument(3));
            if current.as_ref() == Some(&wanted) {
                call.reply.optional(current.as_ref());
                return Ok(());
            }
            Wish::Equals(wanted)
        }
        _ => return Err(fail(super::SYNTAX)),
    };
    *call.block = Some(Block {
        keys: vec![key],
        wish,
        timeout,
        null_array: false,
    });
    Ok(())
}
