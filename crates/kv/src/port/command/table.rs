//! The table of commands: the only place that says which there are.

use super::{
    Access, Command, Keys, Run, algebra, bits, blocking, config, connection, describe, expiry, hashes, info,
    keys, lists, own, sets,
    sorted::{self, combine, pop, range},
    strings,
};
use std::{collections::HashMap, fmt::Write as _, sync::OnceLock};

type Body = fn(&mut super::Call<'_, '_, '_>) -> super::Outcome;

const fn data(
    access: Access,
    (name, arity): (&'static str, i32),
    group: &'static str,
    keys: Keys,
    run: Body,
    note: &'static str,
) -> Command {
    let run = Run::Data(run);
    Command {
        name,
        arity,
        group,
        access,
        keys,
        run,
        note,
    }
}

const fn reads(
    name: &'static str,
    arity: i32,
    group: &'static str,
    keys: Keys,
    run: Body,
    note: &'static str,
) -> Command {
    data(Access::Read, (name, arity), group, keys, run, note)
}

const fn writes(
    name: &'static str,
    arity: i32,
    group: &'static str,
    keys: Keys,
    run: Body,
    note: &'static str,
) -> Command {
    data(Access::Write, (name, arity), group, keys, run, note)
}

const fn session(
    access: Access,
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
        access,
        keys,
        run: Run::Session,
        note,
    }
}

#[rustfmt::skip]
pub(super) static COMMANDS: &[Command] = &[
    reads("PING", -1, "connection", Keys::None, connection::ping, ""),
    reads("ECHO", 2, "connection", Keys::None, connection::echo, ""),
    session(Access::Open, "HELLO", -1, "connection", Keys::None, ""),
    session(Access::Open, "AUTH", -2, "connection", Keys::None, "the password, or token, is judged by the authenticator that the port is given; the user is `default` or the token's; when a token expires or is taken back, a command that blocks is answered `NOAUTH`, and a subscription so and its connection ended"),
    session(Access::Read, "SELECT", 2, "connection", Keys::None, "16 databases"),
    session(Access::Open, "QUIT", -1, "connection", Keys::None, ""),
    session(Access::Open, "RESET", 1, "connection", Keys::None, ""),
    session(Access::Read, "CLIENT", -2, "connection", Keys::None, "ID, GETNAME, SETNAME, SETINFO, NO-EVICT, INFO, LIST, KILL ID"),
    reads("COMMAND", -1, "server", Keys::None, describe::command, "COUNT, INFO, LIST, GETKEYS, DOCS; without tips, key specifications and summaries"),
    data(Access::Administer, ("CONFIG", -2), "server", Keys::None, config::config, "GET, RESETSTAT; SET of maxmemory, and of what is so already"),
    reads("INFO", -1, "server", Keys::Walk, info::info, ""),
    reads("TIME", 1, "server", Keys::None, connection::time, ""),
    reads("DBSIZE", 1, "server", Keys::Walk, keys::dbsize, "keys that expired in the last 10 ms may count"),
    data(Access::Administer, ("FLUSHALL", -1), "server", Keys::All, keys::flush, "always synchronous"),
    data(Access::Administer, ("FLUSHDB", -1), "server", Keys::All, keys::flush, "always synchronous"),
    data(Access::Administer, ("SAVE", 1), "server", Keys::None, connection::save, "a snapshot in the background; the log keeps every change anyway"),
    data(Access::Administer, ("BGSAVE", -1), "server", Keys::None, connection::save, ""),
    reads("LASTSAVE", 1, "server", Keys::None, connection::last_save, "the last snapshot; without one, when the store was opened"),
    session(Access::Administer, "SHUTDOWN", -1, "server", Keys::None, "NOSAVE and SAVE; refused where the port's owner cannot be stopped by clients"),
    writes("DEL", -2, "keys", Keys::At(1, -1, 1), keys::del, ""),
    writes("UNLINK", -2, "keys", Keys::At(1, -1, 1), keys::del, ""),
    reads("EXISTS", -2, "keys", Keys::At(1, -1, 1), keys::exists, ""),
    reads("TOUCH", -2, "keys", Keys::At(1, -1, 1), keys::exists, ""),
    reads("TYPE", 2, "keys", Keys::At(1, 1, 1), keys::type_of, ""),
    writes("RENAME", 3, "keys", Keys::At(1, 2, 1), keys::rename, ""),
    writes("RENAMENX", 3, "keys", Keys::At(1, 2, 1), keys::rename, ""),
    writes("COPY", -3, "keys", Keys::Copy, keys::copy, ""),
    reads("KEYS", 2, "keys", Keys::Walk, keys::keys, "not one moment: keys that come or go meanwhile may be missing; one moment inside MULTI"),
    reads("SCAN", -2, "keys", Keys::Walk, keys::scan, ""),
    reads("RANDOMKEY", 1, "keys", Keys::Walk, keys::random_key, ""),
    reads("OBJECT", -2, "keys", Keys::At(2, 2, 1), keys::object, "ENCODING as Redis would have stored it afresh; FREQ is refused, as without an LFU policy"),
    writes(
        "EXPIRE",
        -3,
        "keys",
        Keys::At(1, 1, 1),
        expiry::expire,
        "until the year 10889, as every time to live",
    ),
    writes("PEXPIRE", -3, "keys", Keys::At(1, 1, 1), expiry::expire, ""),
    writes("EXPIREAT", -3, "keys", Keys::At(1, 1, 1), expiry::expire, ""),
    writes("PEXPIREAT", -3, "keys", Keys::At(1, 1, 1), expiry::expire, ""),
    reads("TTL", 2, "keys", Keys::At(1, 1, 1), expiry::ttl, ""),
    reads("PTTL", 2, "keys", Keys::At(1, 1, 1), expiry::ttl, ""),
    reads("EXPIRETIME", 2, "keys", Keys::At(1, 1, 1), expiry::ttl, ""),
    reads("PEXPIRETIME", 2, "keys", Keys::At(1, 1, 1), expiry::ttl, ""),
    writes("PERSIST", 2, "keys", Keys::At(1, 1, 1), expiry::persist, ""),
    writes("SET", -3, "strings", Keys::At(1, 1, 1), strings::set, ""),
    writes("SETNX", 3, "strings", Keys::At(1, 1, 1), strings::setnx, ""),
    writes("SETEX", 4, "strings", Keys::At(1, 1, 1), strings::setex, ""),
    writes("PSETEX", 4, "strings", Keys::At(1, 1, 1), strings::setex, ""),
    reads("GET", 2, "strings", Keys::At(1, 1, 1), strings::get, ""),
    writes("GETSET", 3, "strings", Keys::At(1, 1, 1), strings::getset, ""),
    writes("GETDEL", 2, "strings", Keys::At(1, 1, 1), strings::getdel, ""),
    writes("GETEX", -2, "strings", Keys::At(1, 1, 1), strings::getex, ""),
    writes("APPEND", 3, "strings", Keys::At(1, 1, 1), strings::append, "copies the string"),
    reads("STRLEN", 2, "strings", Keys::At(1, 1, 1), strings::strlen, ""),
    reads("GETRANGE", 4, "strings", Keys::At(1, 1, 1), strings::getrange, ""),
    reads("SUBSTR", 4, "strings", Keys::At(1, 1, 1), strings::getrange, ""),
    writes("SETRANGE", 4, "strings", Keys::At(1, 1, 1), strings::setrange, ""),
    writes("INCR", 2, "strings", Keys::At(1, 1, 1), strings::incr, ""),
    writes("DECR", 2, "strings", Keys::At(1, 1, 1), strings::incr, ""),
    writes("INCRBY", 3, "strings", Keys::At(1, 1, 1), strings::incr, ""),
    writes("DECRBY", 3, "strings", Keys::At(1, 1, 1), strings::incr, ""),
    writes("INCRBYFLOAT", 3, "strings", Keys::At(1, 1, 1), strings::incrbyfloat, "exact to 17 places; 64-bit precision beyond"),
    reads("MGET", -2, "strings", Keys::At(1, -1, 1), strings::mget, ""),
    writes("MSET", -3, "strings", Keys::At(1, -1, 2), strings::mset, ""),
    writes("MSETNX", -3, "strings", Keys::At(1, -1, 2), strings::mset, ""),
    writes("SETBIT", 4, "bits", Keys::At(1, 1, 1), bits::set, "copies the string"),
    reads("GETBIT", 3, "bits", Keys::At(1, 1, 1), bits::get, ""),
    reads("BITCOUNT", -2, "bits", Keys::At(1, 1, 1), bits::count, ""),
    reads("BITPOS", -3, "bits", Keys::At(1, 1, 1), bits::position, ""),
    writes("BITOP", -4, "bits", Keys::At(2, -1, 1), bits::operate, ""),
    writes("LPUSH", -3, "lists", Keys::At(1, 1, 1), lists::push, ""),
    writes("RPUSH", -3, "lists", Keys::At(1, 1, 1), lists::push, ""),
    writes("LPUSHX", -3, "lists", Keys::At(1, 1, 1), lists::push, ""),
    writes("RPUSHX", -3, "lists", Keys::At(1, 1, 1), lists::push, ""),
    writes("LPOP", -2, "lists", Keys::At(1, 1, 1), lists::pop, ""),
    writes("RPOP", -2, "lists", Keys::At(1, 1, 1), lists::pop, ""),
    reads("LLEN", 2, "lists", Keys::At(1, 1, 1), lists::len, ""),
    reads("LRANGE", 4, "lists", Keys::At(1, 1, 1), lists::lrange, ""),
    reads("LINDEX", 3, "lists", Keys::At(1, 1, 1), lists::index, ""),
    writes("LSET", 4, "lists", Keys::At(1, 1, 1), lists::set, ""),
    writes("LINSERT", 5, "lists", Keys::At(1, 1, 1), lists::insert, ""),
    writes("LREM", 4, "lists", Keys::At(1, 1, 1), lists::rem, ""),
    writes("LTRIM", 4, "lists", Keys::At(1, 1, 1), lists::trim, ""),
    reads("LPOS", -3, "lists", Keys::At(1, 1, 1), lists::pos, ""),
    writes("RPOPLPUSH", 3, "lists", Keys::At(1, 2, 1), blocking::lmove, ""),
    writes("LMOVE", 5, "lists", Keys::At(1, 2, 1), blocking::lmove, ""),
    writes("LMPOP", -4, "lists", Keys::Counted(1), blocking::lmpop, ""),
    writes("BLPOP", -3, "lists", Keys::At(1, -2, 1), blocking::bpop, ""),
    writes("BRPOP", -3, "lists", Keys::At(1, -2, 1), blocking::bpop, ""),
    writes("BRPOPLPUSH", 4, "lists", Keys::At(1, 2, 1), blocking::blmove, ""),
    writes("BLMOVE", 6, "lists", Keys::At(1, 2, 1), blocking::blmove, ""),
    writes("BLMPOP", -5, "lists", Keys::Counted(2), blocking::blmpop, ""),
    writes("HSET", -4, "hashes", Keys::At(1, 1, 1), hashes::set, ""),
    writes("HMSET", -4, "hashes", Keys::At(1, 1, 1), hashes::set, ""),
    writes("HSETNX", 4, "hashes", Keys::At(1, 1, 1), hashes::setnx, ""),
    reads("HGET", 3, "hashes", Keys::At(1, 1, 1), hashes::get, ""),
    reads("HMGET", -3, "hashes", Keys::At(1, 1, 1), hashes::mget, ""),
    reads("HGETALL", 2, "hashes", Keys::At(1, 1, 1), hashes::all, ""),
    reads("HKEYS", 2, "hashes", Keys::At(1, 1, 1), hashes::all, ""),
    reads("HVALS", 2, "hashes", Keys::At(1, 1, 1), hashes::all, ""),
    writes("HDEL", -3, "hashes", Keys::At(1, 1, 1), hashes::del, ""),
    reads("HLEN", 2, "hashes", Keys::At(1, 1, 1), hashes::len, ""),
    reads("HEXISTS", 3, "hashes", Keys::At(1, 1, 1), hashes::exists, ""),
    reads("HSTRLEN", 3, "hashes", Keys::At(1, 1, 1), hashes::strlen, ""),
    writes("HINCRBY", 4, "hashes", Keys::At(1, 1, 1), hashes::incrby, ""),
    writes("HINCRBYFLOAT", 4, "hashes", Keys::At(1, 1, 1), hashes::incrbyfloat, "exact to 17 places; 64-bit precision beyond"),
    reads("HRANDFIELD", -2, "hashes", Keys::At(1, 1, 1), hashes::random_field, ""),
    reads("HSCAN", -3, "hashes", Keys::At(1, 1, 1), hashes::scan, "up to 512 fields at once"),
    writes("SADD", -3, "sets", Keys::At(1, 1, 1), sets::add, ""),
    writes("SREM", -3, "sets", Keys::At(1, 1, 1), sets::rem, ""),
    reads("SMEMBERS", 2, "sets", Keys::At(1, 1, 1), sets::members, ""),
    reads("SISMEMBER", 3, "sets", Keys::At(1, 1, 1), sets::is_member, ""),
    reads("SCARD", 2, "sets", Keys::At(1, 1, 1), sets::card, ""),
    writes("SPOP", -2, "sets", Keys::At(1, 1, 1), sets::pop, ""),
    reads("SRANDMEMBER", -2, "sets", Keys::At(1, 1, 1), sets::random_member, ""),
    reads("SMISMEMBER", -3, "sets", Keys::At(1, 1, 1), sets::are_members, ""),
    reads("SSCAN", -3, "sets", Keys::At(1, 1, 1), sets::scan, "up to 512 members at once"),
    writes("SMOVE", 4, "sets", Keys::At(1, 2, 1), algebra::smove, ""),
    reads("SINTER", -2, "sets", Keys::At(1, -1, 1), algebra::combine, ""),
    reads("SUNION", -2, "sets", Keys::At(1, -1, 1), algebra::combine, ""),
    reads("SDIFF", -2, "sets", Keys::At(1, -1, 1), algebra::combine, ""),
    reads("SINTERCARD", -3, "sets", Keys::Counted(1), algebra::card, ""),
    writes("SINTERSTORE", -3, "sets", Keys::At(1, -1, 1), algebra::store, ""),
    writes("SUNIONSTORE", -3, "sets", Keys::At(1, -1, 1), algebra::store, ""),
    writes("SDIFFSTORE", -3, "sets", Keys::At(1, -1, 1), algebra::store, ""),
    writes("ZADD", -4, "sorted sets", Keys::At(1, 1, 1), sorted::add, ""),
    writes("ZINCRBY", 4, "sorted sets", Keys::At(1, 1, 1), sorted::add, ""),
    writes("ZREM", -3, "sorted sets", Keys::At(1, 1, 1), sorted::rem, ""),
    reads("ZSCORE", 3, "sorted sets", Keys::At(1, 1, 1), sorted::score, ""),
    reads("ZCARD", 2, "sorted sets", Keys::At(1, 1, 1), sorted::card, ""),
    reads("ZRANK", 3, "sorted sets", Keys::At(1, 1, 1), sorted::rank, "walks over the set"),
    reads("ZREVRANK", 3, "sorted sets", Keys::At(1, 1, 1), sorted::rank, "walks over the set"),
    reads("ZMSCORE", -3, "sorted sets", Keys::At(1, 1, 1), sorted::scores, ""),
    reads("ZRANDMEMBER", -2, "sorted sets", Keys::At(1, 1, 1), sorted::random_member, ""),
    reads("ZSCAN", -3, "sorted sets", Keys::At(1, 1, 1), sorted::scan, "up to 512 members at once"),
    reads("ZRANGE", -4, "sorted sets", Keys::At(1, 1, 1), range::zrange, "walks to its first place"),
    reads("ZREVRANGE", -4, "sorted sets", Keys::At(1, 1, 1), range::zrange, "walks to its first place"),
    reads("ZRANGEBYSCORE", -4, "sorted sets", Keys::At(1, 1, 1), range::zrange, ""),
    reads("ZREVRANGEBYSCORE", -4, "sorted sets", Keys::At(1, 1, 1), range::zrange, ""),
    reads("ZRANGEBYLEX", -4, "sorted sets", Keys::At(1, 1, 1), range::zrange, ""),
    reads("ZREVRANGEBYLEX", -4, "sorted sets", Keys::At(1, 1, 1), range::zrange, ""),
    writes("ZRANGESTORE", -5, "sorted sets", Keys::At(1, 2, 1), range::store, ""),
    reads("ZCOUNT", 4, "sorted sets", Keys::At(1, 1, 1), range::count, "walks over the range"),
    reads("ZLEXCOUNT", 4, "sorted sets", Keys::At(1, 1, 1), range::count, "walks over the range"),
    writes("ZREMRANGEBYRANK", 4, "sorted sets", Keys::At(1, 1, 1), range::remove, ""),
    writes("ZREMRANGEBYSCORE", 4, "sorted sets", Keys::At(1, 1, 1), range::remove, ""),
    writes("ZREMRANGEBYLEX", 4, "sorted sets", Keys::At(1, 1, 1), range::remove, ""),
    writes("ZPOPMIN", -2, "sorted sets", Keys::At(1, 1, 1), pop::pop, ""),
    writes("ZPOPMAX", -2, "sorted sets", Keys::At(1, 1, 1), pop::pop, ""),
    writes("ZMPOP", -4, "sorted sets", Keys::Counted(1), pop::zmpop, ""),
    writes("BZPOPMIN", -3, "sorted sets", Keys::At(1, -2, 1), pop::blocking_pop, ""),
    writes("BZPOPMAX", -3, "sorted sets", Keys::At(1, -2, 1), pop::blocking_pop, ""),
    writes("BZMPOP", -5, "sorted sets", Keys::Counted(2), pop::bzmpop, ""),
    reads("ZUNION", -3, "sorted sets", Keys::Counted(1), combine::combine, ""),
    reads("ZINTER", -3, "sorted sets", Keys::Counted(1), combine::combine, ""),
    reads("ZDIFF", -3, "sorted sets", Keys::Counted(1), combine::combine, ""),
    reads("ZINTERCARD", -3, "sorted sets", Keys::Counted(1), combine::card, ""),
    writes("ZUNIONSTORE", -4, "sorted sets", Keys::CountedInto(2), combine::store, ""),
    writes("ZINTERSTORE", -4, "sorted sets", Keys::CountedInto(2), combine::store, ""),
    writes("ZDIFFSTORE", -4, "sorted sets", Keys::CountedInto(2), combine::store, ""),
    session(Access::Read, "MULTI", 1, "transactions", Keys::None, ""),
    session(Access::Read, "EXEC", 1, "transactions", Keys::None, "all or nothing in the log, too; runs under the locks of its keys"),
    session(Access::Read, "DISCARD", 1, "transactions", Keys::None, ""),
    session(Access::Read, "WATCH", -2, "transactions", Keys::At(1, -1, 1), ""),
    session(Access::Read, "UNWATCH", 1, "transactions", Keys::None, ""),
    session(Access::Read, "SUBSCRIBE", -2, "pub/sub", Keys::None, ""),
    session(Access::Read, "UNSUBSCRIBE", -1, "pub/sub", Keys::None, ""),
    session(Access::Read, "PSUBSCRIBE", -2, "pub/sub", Keys::None, ""),
    session(Access::Read, "PUNSUBSCRIBE", -1, "pub/sub", Keys::None, ""),
    session(Access::Write, "PUBLISH", 3, "pub/sub", Keys::None, ""),
    session(Access::Read, "PUBSUB", -2, "pub/sub", Keys::None, "CHANNELS, NUMSUB, NUMPAT"),
    writes("Q.CAS", -2, "own", Keys::At(1, 1, 1), own::cas, "`Q.CAS key version value`; `Q.CAS key` answers the version, 0 = is not there"),
    writes("Q.UPDATE", 3, "own", Keys::At(1, 1, 1), own::update, "`Q.UPDATE key json`: deep merge, answers the object"),
    reads("Q.WAIT", -3, "own", Keys::At(1, 1, 1), own::wait, "`Q.WAIT key [EQ value] timeout`: blocks until the value is this one, or another one"),
];

/// How many arguments a command of two words takes, as [`Command::arity`] counts.
const SUB_ARITIES: [(&str, &str, i64); 12] = [
    ("CLIENT", "GETNAME", 2),
    ("CLIENT", "ID", 2),
    ("CLIENT", "INFO", 2),
    ("CLIENT", "NO-EVICT", 3),
    ("CLIENT", "SETNAME", 3),
    ("CONFIG", "GET", -3),
    ("CONFIG", "RESETSTAT", 2),
    ("CONFIG", "SET", -4),
    ("OBJECT", "ENCODING", 3),
    ("OBJECT", "FREQ", 3),
    ("OBJECT", "IDLETIME", 3),
    ("OBJECT", "REFCOUNT", 3),
];

pub(crate) fn sub_arity(name: &str, word: &[u8]) -> Option<i64> {
    let is_it = |(first, second, _): &&(&str, &str, i64)| {
        *first == name && second.as_bytes().eq_ignore_ascii_case(word)
    };
    SUB_ARITIES.iter().find(is_it).map(|(.., arity)| *arity)
}

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
