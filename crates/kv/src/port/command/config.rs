//! CONFIG: what clients ask for when they connect. The memory limit can be set; everything else is the server's flags, so
//! that only what is so already is accepted.

use super::{Call, Fail, Outcome, fail};
use crate::{inner::Inner, port::pattern};
use std::sync::atomic::Ordering::Relaxed;

pub(super) fn policy(inner: &Inner) -> &'static str {
    if inner.evicts { "allkeys-lru" } else { "noeviction" }
}

fn settings(inner: &Inner) -> Vec<(&'static str, String)> {
    let yes = |on: bool| if on { "yes" } else { "no" }.to_owned();
    let fsync = match inner.config.durability {
        Some(quintet_core::Durability::Full) => "always",
        Some(quintet_core::Durability::Relaxed) => "no",
        _ => "everysec",
    };
    vec![
        ("appendfsync", fsync.to_owned()),
        ("appendonly", yes(inner.log.is_some())),
        ("databases", "16".to_owned()),
        ("maxmemory", inner.max_memory_bytes.load(Relaxed).to_string()),
        ("maxmemory-policy", policy(inner).to_owned()),
        ("notify-keyspace-events", String::new()),
        ("proto-max-bulk-len", inner.config.max_value_bytes.to_string()),
        ("replica-read-only", yes(inner.config.read_only)),
        ("save", String::new()),
        ("timeout", "0".to_owned()),
    ]
}

pub(super) fn config(call: &mut Call<'_, '_, '_>) -> Outcome {
    if call.is(1, "RESETSTAT") && call.len() == 2 {
        call.session.shared.commands.store(0, Relaxed);
        call.reply.ok();
        return Ok(());
    }
    if call.is(1, "SET") && call.len() >= 4 && call.len().is_multiple_of(2) {
        return set(call);
    }
    if !call.is(1, "GET") || call.len() < 3 {
        let word = call.argument(1).escape_ascii();
        return Err(Fail::Line(
            format!("ERR unknown subcommand or wrong number of arguments for '{word}'. Try CONFIG HELP.")
                .into(),
        ));
    }
    let settings = settings(call.transaction.inner);
    let is_asked = |name: &str| {
        call.arguments[2..]
            .iter()
            .any(|glob| pattern::matches(&glob.to_ascii_lowercase(), name.as_bytes()))
    };
    let asked: Vec<_> = settings.iter().filter(|(name, _)| is_asked(name)).collect();
    call.reply.map(asked.len());
    for (name, value) in asked {
        call.reply.bulk(name.as_bytes());
        call.reply.bulk(value.as_bytes());
    }
    Ok(())
}

/// A number of bytes, with the units of Redis: `1k` is 1000, `1kb` is 1024.
fn memory(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// All or none.
fn set(call: &mut Call<'_, '_, '_>) -> Outcome {
    let inner = call.transaction.inner;
    let settings = settings(inner);
    let mut limit = None;
    for pair in call.arguments[2..].chunks(2) {
        let (name, value) = (pair[0].to_ascii_lowercase(), &pair[1]);
        let Some((known, now)) = settings.iter().find(|(known, _)| known.as_bytes() == name) else {
            let name = pair[0].escape_ascii();
            return Err(Fail::Line(
                format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'").into(),
            ));
        };
        if *known == "maxmemory" {
            let bytes = memory(value).ok_or_else(|| {
                fail("ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value")
            })?;
            limit = Some(bytes);
        } else if now.as_bytes() != &**value {
            let text = format!(
                "ERR CONFIG SET failed (possibly related to argument '{known}') - can't set immutable config"
            );
            return Err(Fail::Line(text.into()));
        }
    }
    if let Some(bytes) = limit {
        inner.max_memory_bytes.store(bytes, Relaxed);
    }
    call.reply.ok();
    Ok(())
}
