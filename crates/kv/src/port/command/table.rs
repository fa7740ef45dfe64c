//! The table of commands: the only place that says which there are.

use super::{
    Command, Keys, Run, blocking, connection, expiry, hashes, keys, lists, own, sets, sorted, strings,
};
use crate::port::reply::Reply;
use std::{collections::HashMap, fmt::Write as _, sync::OnceLock};

const fn data(
    name: &'static str,
    arity: i32,
    group: &'static str,
    keys: Keys,
    run: fn(&mut super::Call<'_, '_, '_>) -> super::Outcome,
    note: &'static str,
) -> Command {
    Command {
        name,
        arity,
        group,
        keys,
        run: Run::Data(run),
        note,
    }
}

const fn session(
    name: &'static str,
    arity: i32,
    group: &'static str,
    keys: Keys,
    note: &'static str,
) -> Command {
    Command {
        name,
        arity,
        group,
        keys,
        run: Run::Session,
        note,
    }
}

#[rustfmt::skip]
pub(super) static COMMANDS: &[Command] = &[
    data("PING", -1, "connection", Keys::None, connection::ping, ""),
    data("ECHO", 2, "connection", Keys::None, connection::echo, ""),
    session("HELLO", -1, "connection", Keys::None, "no password is set, so AUTH inside it is refused"),
    session("AUTH", -2, "connection", Keys::None, "no password can be set; answers as Redis without one"),
    session("SELECT", 2, "connection", Keys::None, "16 databases"),
    session("QUIT", -1, "connection", Keys::None, ""),
    session("RESET", 1, "connection", Keys::None, ""),
    session("CLIENT", -2, "connection", Keys::None, "ID, GETNAME, SETNAME, SETINFO, NO-EVICT, INFO"),
    data("COMMAND", -1, "server", Keys::None, connection::command, "COUNT, INFO, and DOCS, which is empty"),
    data("CONFIG", -2, "server", Keys::None, connection::config, "GET and RESETSTAT; nothing can be set"),
    data("INFO", -1, "server", Keys::Walk, connection::info, "sections cannot be chosen"),
    data("TIME", 1, "server", Keys::None, connection::time, ""),
    data("DBSIZE", 1, "server", Keys::Walk, keys::dbsize, "keys that expired in the last 10 ms may count"),
    data("FLUSHALL", -1, "server", Keys::All, keys::flush, "always synchronous"),
    data("FLUSHDB", -1, "server", Keys::All, keys::flush, "always synchronous"),
    data("SAVE", 1, "server", Keys::None, connection::save, "a snapshot in the background; the log keeps every change anyway"),
    data("BGSAVE", -1, "server", Keys::None, connection::save, ""),
    data("DEL", -2, "keys", Keys::At(1, -1, 1), keys::del, ""),
    data("UNLINK", -2, "keys", Keys::At(1, -1, 1), keys::del, ""),
    data("EXISTS", -2, "keys", Keys::At(1, -1, 1), keys::exists, ""),
    data("TOUCH", -2, "keys", Keys::At(1, -1, 1), keys::exists, ""),
    data("TYPE", 2, "keys", Keys::At(1, 1, 1), keys::type_of, ""),
    data("RENAME", 3, "keys", Keys::At(1, 2, 1), keys::rename, ""),
    data("RENAMENX", 3, "keys", Keys::At(1, 2, 1), keys::rename, ""),
    data("COPY", -3, "keys", Keys::Copy, keys::copy, ""),
    data("KEYS", 2, "keys", Keys::Walk, keys::keys, "not one moment: keys that come or go meanwhile may be missing; one moment inside MULTI"),
    data("SCAN", -2, "keys", Keys::Walk, keys::scan, ""),
    data("RANDOMKEY", 1, "keys", Keys::Walk, keys::random_key, ""),
    data("OBJECT", -3, "keys", Keys::At(2, 2, 1), keys::object, "ENCODING (the nearest word), REFCOUNT, IDLETIME"),
    data("EXPIRE", -3, "keys", Keys::At(1, 1, 1), expiry::expire, ""),
    data("PEXPIRE", -3, "keys", Keys::At(1, 1, 1), expiry::expire, ""),
    data("EXPIREAT", -3, "keys", Keys::At(1, 1, 1), expiry::expire, ""),
    data("PEXPIREAT", -3, "keys", Keys::At(1, 1, 1), expiry::expire, ""),
    data("TTL", 2, "keys", Keys::At(1, 1, 1), expiry::ttl, ""),
    data("PTTL", 2, "keys", Keys::At(1, 1, 1), expiry::ttl, ""),
    data("EXPIRETIME", 2, "keys", Keys::At(1, 1, 1), expiry::ttl, ""),
    data("PEXPIRETIME", 2, "keys", Keys::At(1, 1, 1), expiry::ttl, ""),
    data("PERSIST", 2, "keys", Keys::At(1, 1, 1), expiry::persist, ""),
    data("SET", -3, "strings", Keys::At(1, 1, 1), strings::set, ""),
    data("SETNX", 3, "strings", Keys::At(1, 1, 1), strings::setnx, ""),
    data("SETEX", 4, "strings", Keys::At(1, 1, 1), strings::setex, ""),
    data("PSETEX", 4, "strings", Keys::At(1, 1, 1), strings::setex, ""),
    data("GET", 2, "strings", Keys::At(1, 1, 1), strings::get, ""),
    data("GETSET", 3, "strings", Keys::At(1, 1, 1), strings::getset, ""),
    data("GETDEL", 2, "strings", Keys::At(1, 1, 1), strings::getdel, ""),
    data("GETEX", -2, "strings", Keys::At(1, 1, 1), strings::getex, ""),
    data("APPEND", 3, "strings", Keys::At(1, 1, 1), strings::append, "copies the string"),
    data("STRLEN", 2, "strings", Keys::At(1, 1, 1), strings::strlen, ""),
    data("GETRANGE", 4, "strings", Keys::At(1, 1, 1), strings::getrange, ""),
    data("SUBSTR", 4, "strings", Keys::At(1, 1, 1), strings::getrange, ""),
    data("SETRANGE", 4, "strings", Keys::At(1, 1, 1), strings::setrange, ""),
    data("INCR", 2, "strings", Keys::At(1, 1, 1), strings::incr, ""),
    data("DECR", 2, "strings", Keys::At(1, 1, 1), strings::incr, ""),
    data("INCRBY", 3, "strings", Keys::At(1, 1, 1), strings::incr, ""),
    data("DECRBY", 3, "strings", Keys::At(1, 1, 1), strings::incr, ""),
    data("INCRBYFLOAT", 3, "strings", Keys::At(1, 1, 1), strings::incrbyfloat, "64-bit precision"),
    data("MGET", -2, "strings", Keys::At(1, -1, 1), strings::mget, ""),
    data("MSET", -3, "strings", Keys::At(1, -1, 2), strings::mset, ""),
    data("MSETNX", -3, "strings", Keys::At(1, -1, 2), strings::mset, ""),
    data("LPUSH", -3, "lists", Keys::At(1, 1, 1), lists::push, ""),
    data("RPUSH", -3, "lists", Keys::At(1, 1, 1), lists::push, ""),
    data("LPUSHX", -3, "lists", Keys::At(1, 1, 1), lists::push, ""),
    data("RPUSHX", -3, "lists", Keys::At(1, 1, 1), lists::push, ""),
    data("LPOP", -2, "lists", Keys::At(1, 1, 1), lists::pop, ""),
    data("RPOP", -2, "lists", Keys::At(1, 1, 1), lists::pop, ""),
    data("LLEN", 2, "lists", Keys::At(1, 1, 1), lists::len, ""),
    data("LRANGE", 4, "lists", Keys::At(1, 1, 1), lists::lrange, ""),
    data("LINDEX", 3, "lists", Keys::At(1, 1, 1), lists::index, ""),
    data("LSET", 4, "lists", Keys::At(1, 1, 1), lists::set, ""),
    data("LINSERT", 5, "lists", Keys::At(1, 1, 1), lists::insert, ""),
    data("LREM", 4, "lists", Keys::At(1, 1, 1), lists::rem, ""),
    data("LTRIM", 4, "lists", Keys::At(1, 1, 1), lists::trim, ""),
    data("LPOS", -3, "lists", Keys::At(1, 1, 1), lists::pos, ""),
    data("RPOPLPUSH", 3, "lists", Keys::At(1, 2, 1), blocking::lmove, ""),
    data("LMOVE", 5, "lists", Keys::At(1, 2, 1), blocking::lmove, ""),
    data("LMPOP", -4, "lists", Keys::Counted(1), blocking::lmpop, ""),
    data("BLPOP", -3, "lists", Keys::At(1, -2, 1), blocking::bpop, ""),
    data("BRPOP", -3, "lists", Keys::At(1, -2, 1), blocking::bpop, ""),
    data("BRPOPLPUSH", 4, "lists", Keys::At(1, 2, 1), blocking::blmove, ""),
    data("BLMOVE", 6, "lists", Keys::At(1, 2, 1), blocking::blmove, ""),
    data("BLMPOP", -5, "lists", Keys::Counted(2), blocking::blmpop, ""),
    data("HSET", -4, "hashes", Keys::At(1, 1, 1), hashes::set, ""),
    data("HMSET", -4, "hashes", Keys::At(1, 1, 1), hashes::set, ""),
    data("HSETNX", 4, "hashes", Keys::At(1, 1, 1), hashes::setnx, ""),
    data("HGET", 3, "hashes", Keys::At(1, 1, 1), hashes::get, ""),
    data("HMGET", -3, "hashes", Keys::At(1, 1, 1), hashes::mget, ""),
    data("HGETALL", 2, "hashes", Keys::At(1, 1, 1), hashes::all, ""),
    data("HKEYS", 2, "hashes", Keys::At(1, 1, 1), hashes::all, ""),
    data("HVALS", 2, "hashes", Keys::At(1, 1, 1), hashes::all, ""),
    data("HDEL", -3, "hashes", Keys::At(1, 1, 1), hashes::del, ""),
    data("HLEN", 2, "hashes", Keys::At(1, 1, 1), hashes::len, ""),
    data("HEXISTS", 3, "hashes", Keys::At(1, 1, 1), hashes::exists, ""),
    data("HSTRLEN", 3, "hashes", Keys::At(1, 1, 1), hashes::strlen, ""),
    data("HINCRBY", 4, "hashes", Keys::At(1, 1, 1), hashes::incrby, ""),
    data("SADD", -3, "sets", Keys::At(1, 1, 1), sets::add, ""),
    data("SREM", -3, "sets", Keys::At(1, 1, 1), sets::rem, ""),
    data("SMEMBERS", 2, "sets", Keys::At(1, 1, 1), sets::members, ""),
    data("SISMEMBER", 3, "sets", Keys::At(1, 1, 1), sets::is_member, ""),
    data("SCARD", 2, "sets", Keys::At(1, 1, 1), sets::card, ""),
    data("SPOP", -2, "sets", Keys::At(1, 1, 1), sets::pop, ""),
    data("ZADD", -4, "sorted sets", Keys::At(1, 1, 1), sorted::add, ""),
    data("ZINCRBY", 4, "sorted sets", Keys::At(1, 1, 1), sorted::add, ""),
    data("ZREM", -3, "sorted sets", Keys::At(1, 1, 1), sorted::rem, ""),
    data("ZSCORE", 3, "sorted sets", Keys::At(1, 1, 1), sorted::score, ""),
    data("ZCARD", 2, "sorted sets", Keys::At(1, 1, 1), sorted::card, ""),
    data("ZRANK", 3, "sorted sets", Keys::At(1, 1, 1), sorted::rank, "walks over the set"),
    data("ZREVRANK", 3, "sorted sets", Keys::At(1, 1, 1), sorted::rank, "walks over the set"),
    data("ZRANGE", -4, "sorted sets", Keys::At(1, 1, 1), sorted::zrange, "by place only: no BYSCORE, BYLEX, LIMIT"),
    data("ZREVRANGE", -4, "sorted sets", Keys::At(1, 1, 1), sorted::zrange, ""),
    data("ZPOPMIN", -2, "sorted sets", Keys::At(1, 1, 1), sorted::pop, ""),
    data("ZPOPMAX", -2, "sorted sets", Keys::At(1, 1, 1), sorted::pop, ""),
    session("MULTI", 1, "transactions", Keys::None, ""),
    session("EXEC", 1, "transactions", Keys::None, "all or nothing in the log, too; runs under the locks of its keys"),
    session("DISCARD", 1, "transactions", Keys::None, ""),
    session("WATCH", -2, "transactions", Keys::At(1, -1, 1), ""),
    session("UNWATCH", 1, "transactions", Keys::None, ""),
    session("SUBSCRIBE", -2, "pub/sub", Keys::None, ""),
    session("UNSUBSCRIBE", -1, "pub/sub", Keys::None, ""),
    session("PSUBSCRIBE", -2, "pub/sub", Keys::None, ""),
    session("PUNSUBSCRIBE", -1, "pub/sub", Keys::None, ""),
    session("PUBLISH", 3, "pub/sub", Keys::None, ""),
    session("PUBSUB", -2, "pub/sub", Keys::None, "CHANNELS, NUMSUB, NUMPAT"),
    data("Q.CAS", -2, "own", Keys::At(1, 1, 1), own::cas, "`Q.CAS key version value`; `Q.CAS key` answers the version, 0 = is not there"),
    data("Q.UPDATE", 3, "own", Keys::At(1, 1, 1), own::update, "`Q.UPDATE key json`: deep merge, answers the object"),
    data("Q.WAIT", -3, "own", Keys::At(1, 1, 1), own::wait, "`Q.WAIT key [EQ value] timeout`: blocks until the value is this one, or another one"),
];

/// The command of this name, in whatever case.
pub(crate) fn find(name: &[u8]) -> Option<&'static Command> {
    static NAMES: OnceLock<HashMap<&[u8], &Command, foldhash::fast::RandomState>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        COMMANDS
            .iter()
            .map(|command| (command.name.as_bytes(), command))
            .collect()
    });
    let mut upper = [0; 16];
    let upper = upper.get_mut(..name.len())?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    names.get(&*upper).copied()
}

/// A command as COMMAND INFO answers it.
pub(super) fn describe(command: &Command, reply: &mut Reply) {
    let (first, last, step) = match command.keys {
        Keys::At(first, last, step) => (first as i64, last as i64, step as i64),
        Keys::Copy => (1, 2, 1),
        Keys::None | Keys::Counted(_) | Keys::All | Keys::Walk => (0, 0, 0),
    };
    reply.array(6);
    reply.bulk(command.name.to_ascii_lowercase().as_bytes());
    reply.int(i64::from(command.arity));
    reply.array(0);
    reply.int(first);
    reply.int(last);
    reply.int(step);
}

/// docs/resp.md.
pub(crate) fn table_text() -> String {
    let mut text = String::from(
        "# The RESP port\n\n\
         Made from the table of commands by `cargo run -p quintet-kv --features port --example resp_table`; a test compares.\n\n\
         RESP2 and RESP3 (`HELLO 3`), pipelined, and inline commands. Semantics, replies and error texts are those of Redis 7.0.\n\
         What is not in the table is answered `ERR unknown command`. A command without a remark has no known difference.\n",
    );
    let mut group = "";
    for command in COMMANDS {
        if command.group != group {
            group = command.group;
            let mut title = group.to_owned();
            title[..1].make_ascii_uppercase();
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "\n## {title}\n\n| command | arity | remark |\n|---|---|---|\n"
            );
        }
        let note = command.note.replace('|', "\\|");
        let _ = writeln!(text, "| {} | {} | {note} |", command.name, command.arity);
    }
    text
}
