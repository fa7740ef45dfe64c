//! COMMAND: the table of commands as clients read it.

use super::{Access, Call, Command, Fail, Keys, Outcome, fail, table};
use crate::port::{execute::keys_of, pattern, reply::Reply};

pub(super) fn command(call: &mut Call<'_, '_, '_>) -> Outcome {
    let word = call.argument(1).to_ascii_uppercase();
    match (&word[..], call.arguments.get(2..).unwrap_or(&[])) {
        (b"COUNT", []) => call.reply.count(table::COMMANDS.len()),
        (b"DOCS", named) => {
            let named: Vec<_> = if named.is_empty() {
                table::COMMANDS.iter().collect()
            } else {
                named.iter().filter_map(|name| table::find(name)).collect()
            };
            call.reply.map(named.len());
            for command in named {
                call.reply.bulk(command.name.to_ascii_lowercase().as_bytes());
                call.reply.map(1);
                call.reply.bulk(b"group");
                call.reply.bulk(group(command).as_bytes());
            }
        }
        (b"LIST", []) => list(call.reply, |_| true),
        (b"LIST", [filter, by, glob])
            if filter.eq_ignore_ascii_case(b"FILTERBY") && by.eq_ignore_ascii_case(b"PATTERN") =>
        {
            list(call.reply, |name| pattern::matches(glob, name.as_bytes()));
        }
        (b"GETKEYS", [_, ..]) => return keys(call),
        (b"" | b"INFO", []) => {
            call.reply.array(table::COMMANDS.len());
            for command in table::COMMANDS {
                describe(command, call.reply);
            }
        }
        (b"INFO", named) => {
            call.reply.array(named.len());
            for name in named {
                match table::find(name) {
                    Some(command) => describe(command, call.reply),
                    None => call.reply.null_array(),
                }
            }
        }
        _ => {
            let word = call.argument(1).escape_ascii();
            return Err(Fail::Line(
                format!(
                    "ERR unknown subcommand or wrong number of arguments for '{word}'. Try COMMAND HELP."
                )
                .into(),
            ));
        }
    }
    Ok(())
}

fn list(reply: &mut Reply, wanted: impl Fn(&str) -> bool) {
    let names = table::COMMANDS
        .iter()
        .map(|command| command.name.to_ascii_lowercase());
    let names: Vec<String> = names.filter(|name| wanted(name)).collect();
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name.as_bytes()));
}

fn keys(call: &mut Call<'_, '_, '_>) -> Outcome {
    let given = &call.arguments[2..];
    let command = table::find(&given[0]).ok_or_else(|| fail("ERR Invalid command specified"))?;
    let (count, arity) = (given.len() as i64, i64::from(command.arity));
    if arity > 0 && count != arity || count < -arity {
        return Err(fail("ERR Invalid number of arguments specified for command"));
    }
    let keys = keys_of(command, given, 0);
    if keys.is_empty() {
        return Err(fail("ERR The command has no key arguments"));
    }
    call.reply.array(keys.len());
    keys.iter().for_each(|key| call.reply.bulk(&key[1..]));
    Ok(())
}

/// The word of Redis for a group of commands.
fn group(command: &Command) -> &'static str {
    match command.group {
        "keys" => "generic",
        "strings" => "string",
        "bits" => "bitmap",
        "lists" => "list",
        "hashes" => "hash",
        "sets" => "set",
        "sorted sets" => "sorted-set",
        "pub/sub" => "pubsub",
        other => other,
    }
}

fn describe(command: &Command, reply: &mut Reply) {
    let (first, last, step) = match command.keys {
        Keys::At(first, last, step) => (first as i64, last as i64, step as i64),
        Keys::Copy => (1, 2, 1),
        Keys::CountedInto(_) => (1, 1, 1),
        Keys::None | Keys::Counted(_) | Keys::All | Keys::Walk => (0, 0, 0),
    };
    let mut flags = Vec::new();
    flags.extend(match command.access {
        Access::Open => None,
        Access::Read if command.keys == Keys::None => None,
        Access::Read => Some("readonly"),
        Access::Write if command.group == "pub/sub" => Some("pubsub"),
        Access::Write => Some("write"),
        Access::Administer => Some("admin"),
    });
    if matches!(command.keys, Keys::Counted(_) | Keys::CountedInto(_)) {
        flags.push("movablekeys");
    }
    reply.array(10);
    reply.bulk(command.name.to_ascii_lowercase().as_bytes());
    reply.int(i64::from(command.arity));
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
    reply.int(first);
    reply.int(last);
    reply.int(step);
    // Categories, tips, key specifications, subcommands.
    reply.set(0);
    (0..3).for_each(|_| reply.array(0));
}
