//! INFO: the sections that clients and monitors look at, all or those asked for.

use super::{Call, Outcome};
use std::{fmt::Write as _, sync::atomic::Ordering::Relaxed, time::UNIX_EPOCH};

/// In the order of Redis. Those behind `modules` come only when asked for, or with `all`.
const SECTIONS: [&str; 10] = [
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cpu",
    "modules",
    "cluster",
    "keyspace",
];

pub(super) fn info(call: &mut Call<'_, '_, '_>) -> Outcome {
    let asked: Vec<String> = call.arguments[1..]
        .iter()
        .map(|word| String::from_utf8_lossy(word).to_lowercase())
        .collect();
    let whole = |word: &String| matches!(&word[..], "all" | "everything" | "default");
    let wants = |section: &str| asked.is_empty() || asked.iter().any(|word| word == section || whole(word));
    let mut text = String::new();
    for section in SECTIONS.into_iter().filter(|section| wants(section)) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        let title = section[..1].to_uppercase() + &section[1..];
        let title = if section == "cpu" { "CPU" } else { &title };
        // Writing to a string cannot fail.
        let _ = write!(text, "# {title}\r\n");
        for (name, value) in lines(call, section) {
            let _ = write!(text, "{name}:{value}\r\n");
        }
    }
    call.reply.verbatim(text.as_bytes());
    Ok(())
}

fn lines(call: &Call<'_, '_, '_>, section: &str) -> Vec<(String, String)> {
    let store = call.store;
    let inner = &store.inner;
    let shared = &call.session.shared;
    let line = |name: &str, value: &dyn ToString| (name.to_owned(), value.to_string());
    match section {
        "server" => {
            let up = call
                .session
                .now()
                .saturating_duration_since(shared.began)
                .as_secs();
            vec![
                line("redis_version", &super::VERSION),
                line("redis_mode", &"standalone"),
                line("server_name", &"quintet"),
                line("quintet_version", &env!("CARGO_PKG_VERSION")),
                line("os", &std::env::consts::OS),
                line("arch_bits", &usize::BITS),
                line("process_id", &std::process::id()),
                line("uptime_in_seconds", &up),
                line("uptime_in_days", &(up / 86_400)),
            ]
        }
        "clients" => vec![
            line("connected_clients", &shared.clients().len()),
            line("blocked_clients", &store.waiting()),
        ],
        "memory" => vec![
            line("used_memory", &store.size_bytes()),
            line("used_memory_dataset", &store.size_bytes()),
            line("maxmemory", &inner.max_memory_bytes.load(Relaxed)),
            line("maxmemory_policy", &super::config::policy(inner)),
        ],
        "persistence" => vec![
            line("loading", &0),
            line("rdb_changes_since_last_save", &inner.logged_bytes.load(Relaxed)),
            line(
                "rdb_bgsave_in_progress",
                &u8::from(inner.snapshots.try_lock().is_err()),
            ),
            line("rdb_last_save_time", &super::connection::saved_s(inner)),
            line("rdb_last_bgsave_status", &"ok"),
            line("aof_enabled", &u8::from(inner.log.is_some())),
        ],
        "stats" => vec![
            line("total_connections_received", &shared.entered()),
            line("total_commands_processed", &shared.commands.load(Relaxed)),
            line("pubsub_channels", &shared.hub.channels(b"*").len()),
            line("pubsub_patterns", &shared.hub.patterns()),
        ],
        "replication" => vec![line("role", &"master"), line("connected_slaves", &0)],
        "cluster" => vec![line("cluster_enabled", &0)],
        "keyspace" => keyspace(call),
        _ => Vec::new(),
    }
}

/// Counts of keys are kept; of those that expire only a walk knows how many there are in each database.
fn keyspace(call: &Call<'_, '_, '_>) -> Vec<(String, String)> {
    let mut expires = [0_u64; 16];
    let mut left_ms = [0_u64; 16];
    let now = call
        .transaction
        .inner
        .clock
        .wall()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64);
    call.transaction.each(|key, slot| {
        if slot.expires_ms() > 0
            && let Some(database) = key.first().map(|first| usize::from(*first)).filter(|at| *at < 16)
        {
            expires[database] += 1;
            left_ms[database] += slot.expires_ms().saturating_sub(now);
        }
    });
    (0..16)
        .filter_map(|database| {
            let keys = call.transaction.inner.table.keys_in(database as u8);
            let (expires, left_ms) = (expires[database], left_ms[database]);
            let average = left_ms.checked_div(expires).unwrap_or(0);
            let facts = format!("keys={keys},expires={expires},avg_ttl={average}");
            (keys > 0).then(|| (format!("db{database}"), facts))
        })
        .collect()
}
