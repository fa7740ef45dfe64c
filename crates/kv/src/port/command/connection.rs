//! Questions about the server that need no connection state: PING, ECHO, TIME, INFO, CONFIG, COMMAND.

use super::{Call, Fail, Outcome, table};
use crate::port::pattern;
use quintet_core::Error;

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

pub(super) fn info(call: &mut Call<'_, '_, '_>) -> Outcome {
    let store = call.store;
    let mut keys = [(0, 0); 16];
    call.transaction.each(|key, slot| {
        if let Some((count, expires)) = key
            .first()
            .and_then(|database| keys.get_mut(usize::from(*database)))
        {
            *count += 1;
            *expires += usize::from(slot.expires_ms > 0);
        }
    });
    let mut text = format!(
        "# Server\r\nredis_version:7.0.0\r\nserver_name:quintet\r\nquintet_version:{}\r\nredis_mode:standalone\r\n\r\n\
         # Clients\r\nblocked_clients:{}\r\n\r\n# Memory\r\nused_memory:{}\r\nmaxmemory:{}\r\n\r\n\
         # Persistence\r\nloading:0\r\naof_enabled:{}\r\n\r\n# Replication\r\nrole:master\r\nconnected_slaves:0\r\n\r\n\
         # Keyspace\r\n",
        env!("CARGO_PKG_VERSION"),
        store.waiting(),
        store.size_bytes(),
        store.inner.config.max_memory_bytes,
        u8::from(store.inner.log.is_some()),
    );
    for (database, (keys, expires)) in keys.iter().enumerate().filter(|(_, (keys, _))| *keys > 0) {
        text.push_str(&format!(
            "db{database}:keys={keys},expires={expires},avg_ttl=0\r\n"
        ));
    }
    call.reply.bulk(text.as_bytes());
    Ok(())
}

/// What clients ask for when they connect; nothing can be set at run time.
pub(super) fn config(call: &mut Call<'_, '_, '_>) -> Outcome {
    if call.is(1, "RESETSTAT") && call.len() == 2 {
        call.reply.ok();
        return Ok(());
    }
    if !call.is(1, "GET") || call.len() < 3 {
        let word = call.argument(1).escape_ascii();
        return Err(Fail::Line(
            format!("ERR CONFIG {word} is not supported; use the server's flags").into(),
        ));
    }
    let config = &call.store.inner.config;
    let settings = [
        (
            "appendonly",
            if call.store.inner.log.is_some() {
                "yes"
            } else {
                "no"
            }
            .to_owned(),
        ),
        ("databases", "16".to_owned()),
        ("maxmemory", config.max_memory_bytes.to_string()),
        (
            "maxmemory-policy",
            if call.store.inner.evicts {
                "allkeys-lru"
            } else {
                "noeviction"
            }
            .to_owned(),
        ),
        ("proto-max-bulk-len", config.max_value_bytes.to_string()),
        ("save", String::new()),
        ("timeout", "0".to_owned()),
    ];
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

pub(super) fn command(call: &mut Call<'_, '_, '_>) -> Outcome {
    if call.is(1, "COUNT") {
        call.reply.count(table::COMMANDS.len());
    } else if call.is(1, "DOCS") {
        call.reply.map(0);
    } else if call.len() == 1 || call.is(1, "INFO") {
        let named = call.arguments.get(2..).unwrap_or(&[]);
        let all: Vec<_> = if named.is_empty() {
            table::COMMANDS.iter().map(Some).collect()
        } else {
            named.iter().map(|name| table::find(name)).collect()
        };
        call.reply.array(all.len());
        for command in all {
            match command {
                Some(command) => table::describe(command, call.reply),
                None => call.reply.null_array(),
            }
        }
    } else {
        let word = call.argument(1).escape_ascii();
        return Err(Fail::Line(
            format!("ERR unknown subcommand '{word}'. Try COMMAND HELP.").into(),
        ));
    }
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
