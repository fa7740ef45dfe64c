//! Questions about the server that need no connection state: PING, ECHO, TIME, SAVE, LASTSAVE.

use super::{Call, Fail, Outcome};
use crate::inner::Inner;
use quintet_core::Error;
use std::sync::atomic::Ordering::Relaxed;

pub(super) fn echo(call: &mut Call<'_, '_, '_>) -> Outcome {
    call.reply.bulk(call.arguments.get(1).map_or(&[], |text| text));
    Ok(())
}

pub(super) fn ping(call: &mut Call<'_, '_, '_>) -> Outcome {
    match call.len() {
        1 => call.reply.simple("PONG"),
        2 => return echo(call),
        _ => return Err(super::super::session::wrong_arity(b"ping")),
    }
    Ok(())
}

pub(super) fn time(call: &mut Call<'_, '_, '_>) -> Outcome {
    let wall = call.transaction.inner.clock.wall();
    let since = wall.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    call.reply.array(2);
    call.reply.bulk(since.as_secs().to_string().as_bytes());
    call.reply.bulk(since.subsec_micros().to_string().as_bytes());
    Ok(())
}

/// When the last snapshot was made, or the store opened, in seconds since 1970.
pub(super) fn saved_s(inner: &Inner) -> u64 {
    inner.saved_ms.load(Relaxed) / 1000
}

pub(super) fn last_save(call: &mut Call<'_, '_, '_>) -> Outcome {
    let at_s = saved_s(call.transaction.inner);
    call.reply.int(i64::try_from(at_s).unwrap_or(i64::MAX));
    Ok(())
}

/// The log is the truth already; a snapshot makes the next start quicker.
pub(super) fn save(call: &mut Call<'_, '_, '_>) -> Outcome {
    if call.store.inner.log.is_none() {
        return Err(Fail::Store(Error::new(
            quintet_core::ErrorKind::Unsupported,
            "the store is in memory only",
        )));
    }
    call.session.wants_snapshot = true;
    if call.is(0, "BGSAVE") {
        call.reply.simple("Background saving started");
    } else {
        call.reply.ok();
    }
    Ok(())
}
