//! What the sequences are made of: templates of every family, filled at random, and now and then spoiled.

/// A generator that a seed repeats.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 33) as usize % bound
    }

    fn of(&mut self, words: &[&str]) -> Vec<u8> {
        words[self.below(words.len())].as_bytes().to_vec()
    }
}

/// What Redis promises about a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Fixed,
    /// The order of items is not promised.
    Any,
    /// The order of pairs is not promised.
    Pairs,
    /// A number that depends on when the command ran.
    Near,
}

/// `K` key, `V` value, `I` integer, `N` small integer, `F` float, `M` member, `S` score edge, `L` string edge, `B` bit,
/// `E` end of a list; `X+` = one or more of X, `?` before a word = perhaps.
const TEMPLATES: [&[&str]; 8] = [
    &[
        "SET K V",
        "SET K V",
        "SET K I",
        "SET K V NX",
        "SET K V XX GET",
        "SET K V EX 100",
        "SET K V KEEPTTL",
        "SET K V GET",
        "SETNX K V",
        "SETEX K 100 V",
        "PSETEX K 100000 V",
        "GET K",
        "GETSET K V",
        "GETDEL K",
        "GETEX K",
        "GETEX K PERSIST",
        "GETEX K EX 100",
        "APPEND K V",
        "STRLEN K",
        "GETRANGE K N N",
        "SUBSTR K N N",
        "SETRANGE K 3 V",
        "SETRANGE K N V",
        "INCR K",
        "DECR K",
        "INCRBY K I",
        "DECRBY K I",
        "INCRBYFLOAT float F",
        "MGET K+",
        "MSET K V K V",
        "MSETNX K V K I",
        "MSET K V K",
    ],
    &[
        "DEL K+",
        "UNLINK K",
        "EXISTS K+",
        "TOUCH K+",
        "TYPE K",
        "RENAME K K",
        "RENAMENX K K",
        "COPY K K",
        "COPY K K REPLACE",
        "COPY K K DB 1 ?REPLACE",
        "EXPIRE K 100",
        "EXPIRE K 100 NX",
        "EXPIRE K 200 GT",
        "EXPIRE K 50 LT",
        "EXPIRE K 100 XX",
        "EXPIRE K -1",
        "PEXPIRE K 100000",
        "EXPIREAT K 33177117420",
        "PEXPIREAT K 33177117420000",
        "TTL K",
        "PTTL K",
        "EXPIRETIME K",
        "PEXPIRETIME K",
        "PERSIST K",
        "KEYS *",
        "KEYS [ab]",
        "DBSIZE",
        "SCAN 0 COUNT 1000",
        "SCAN 0 COUNT 1000 TYPE list",
        "SCAN 0 MATCH a* COUNT 1000",
        "SELECT 1",
        "SELECT 0",
        "SELECT 0",
        "SELECT 0",
        "SELECT N",
        "FLUSHDB",
        "OBJECT REFCOUNT none",
        "ECHO V",
        "PING",
        "PING V",
        "TIME x",
        "LASTSAVE x",
        "EXPIRE K I N",
    ],
    &[
        "LPUSH K M+",
        "RPUSH K M+",
        "RPUSH K M+",
        "LPUSHX K M",
        "RPUSHX K M M",
        "LPOP K",
        "RPOP K",
        "LPOP K N",
        "RPOP K N",
        "LLEN K",
        "LRANGE K 0 -1",
        "LRANGE K N N",
        "LINDEX K N",
        "LSET K N M",
        "LINSERT K BEFORE M M",
        "LINSERT K AFTER M M",
        "LREM K N M",
        "LTRIM K N N",
        "LPOS K M",
        "LPOS K M RANK N",
        "LPOS K M COUNT N",
        "LPOS K M RANK N COUNT N MAXLEN N",
        "RPOPLPUSH K K",
        "LMOVE K K E E",
        "LMPOP 2 K K E",
        "LMPOP 1 K E COUNT N",
        "LMPOP N K E",
        "LINSERT K x M M",
    ],
    &[
        "HSET K M V",
        "HSET K M V M V",
        "HMSET K M V",
        "HSETNX K M V",
        "HGET K M",
        "HMGET K M+",
        "HGETALL K",
        "HKEYS K",
        "HVALS K",
        "HDEL K M+",
        "HLEN K",
        "HEXISTS K M",
        "HSTRLEN K M",
        "HSET K M I",
        "HINCRBY K M I",
        "HINCRBYFLOAT K float F",
        "HSCAN K 0",
        "HSCAN K 0 MATCH a* COUNT 5",
        "HRANDFIELD K 100",
        "HRANDFIELD K 100 WITHVALUES",
        "HSET K M",
        "HSCAN K x",
        "HRANDFIELD K 0",
        "HRANDFIELD K N x",
    ],
    &[
        "SADD K M+",
        "SADD K M+",
        "SADD K I I",
        "SREM K M+",
        "SMEMBERS K",
        "SISMEMBER K M",
        "SMISMEMBER K M+",
        "SCARD K",
        "SPOP K 100",
        "SPOP K 0",
        "SRANDMEMBER K 100",
        "SMOVE K K M",
        "SINTER K+",
        "SUNION K+",
        "SDIFF K+",
        "SINTERSTORE K K+",
        "SUNIONSTORE K K+",
        "SDIFFSTORE K K+",
        "SINTERCARD 2 K K",
        "SINTERCARD 1 K LIMIT N",
        "SINTERCARD N K",
        "SSCAN K 0",
        "SSCAN K 0 COUNT N",
        "SPOP K -1",
        "SRANDMEMBER K x",
    ],
    &[
        "ZADD K F M",
        "ZADD K F M F M",
        "ZADD K F M F M F M",
        "ZADD K NX F M",
        "ZADD K XX CH F M",
        "ZADD K GT CH F M",
        "ZADD K LT F M",
        "ZADD K INCR F M",
        "ZADD K NX INCR F M",
        "ZADD K NX XX F M",
        "ZADD K 0 a 0 b 0 c 0 d",
        "ZINCRBY K F M",
        "ZREM K M+",
        "ZSCORE K M",
        "ZMSCORE K M+",
        "ZCARD K",
        "ZRANK K M",
        "ZREVRANK K M",
        "ZRANGE K 0 -1 ?WITHSCORES",
        "ZRANGE K N N ?REV ?WITHSCORES",
        "ZRANGE K S S BYSCORE ?WITHSCORES",
        "ZRANGE K S S BYSCORE REV LIMIT N N",
        "ZRANGE K L L BYLEX",
        "ZRANGE K L L BYLEX REV ?LIMIT 1 2",
        "ZRANGE K 0 -1 LIMIT 1 2",
        "ZREVRANGE K 0 -1 ?WITHSCORES",
        "ZREVRANGE K N N",
        "ZRANGEBYSCORE K S S ?WITHSCORES",
        "ZRANGEBYSCORE K S S LIMIT N N",
        "ZREVRANGEBYSCORE K S S ?WITHSCORES",
        "ZRANGEBYLEX K L L",
        "ZREVRANGEBYLEX K L L",
        "ZRANGESTORE K K N N",
        "ZRANGESTORE K K S S BYSCORE",
        "ZCOUNT K S S",
        "ZLEXCOUNT K L L",
        "ZREMRANGEBYRANK K N N",
        "ZREMRANGEBYSCORE K S S",
        "ZREMRANGEBYLEX K L L",
        "ZPOPMIN K",
        "ZPOPMAX K",
        "ZPOPMIN K N",
        "ZPOPMAX K N",
        "ZMPOP 1 K MIN",
        "ZMPOP 2 K K MAX COUNT N",
        "ZMPOP N K MIN",
        "ZUNION 2 K K ?WITHSCORES",
        "ZUNION 2 K K WEIGHTS F F ?WITHSCORES",
        "ZINTER 2 K K AGGREGATE MAX WITHSCORES",
        "ZDIFF 2 K K ?WITHSCORES",
        "ZUNIONSTORE K 2 K K",
        "ZINTERSTORE K 2 K K WEIGHTS 2 F",
        "ZDIFFSTORE K 2 K K",
        "ZINTERCARD 2 K K LIMIT N",
        "ZUNION N K",
        "ZSCAN K 0",
        "ZRANDMEMBER K 100",
        "ZRANDMEMBER K 100 WITHSCORES",
        "ZADD K x M",
        "ZADD K F",
        "ZRANGE K L S BYSCORE",
        "ZRANGE K 0 -1 BYLEX WITHSCORES",
    ],
    &[
        "MULTI",
        "EXEC",
        "EXEC",
        "EXEC",
        "DISCARD",
        "WATCH K",
        "UNWATCH",
        "BLPOP K 0.001",
        "BRPOP K K 0.001",
        "BLMOVE K K E E 0.001",
        "BLMPOP 0.001 1 K E",
        "BZPOPMIN K 0.001",
        "BZPOPMAX K 0.001",
        "BZMPOP 0.001 1 K MIN",
        "BRPOPLPUSH K K 0.001",
        "BLPOP K x",
        "BLPOP K -1",
        "NOPE V",
        "CLIENT GETNAME",
        "PUBLISH V V",
    ],
    &[
        "SETBIT K N B",
        "SETBIT K 9 B",
        "GETBIT K N",
        "BITCOUNT K",
        "BITCOUNT K N N",
        "BITCOUNT K N N BIT",
        "BITPOS K B",
        "BITPOS K B N",
        "BITPOS K B N N",
        "BITPOS K B N N BIT",
        "BITOP AND K K K",
        "BITOP OR K K K",
        "BITOP XOR K K",
        "BITOP NOT K K",
        "BITOP NOT K K K",
        "BITCOUNT K 1",
    ],
];

const KEYS: [&str; 7] = ["a", "b", "c", "d", "e", "list", "a-longer-name-for-a-key"];

fn fill(random: &mut Random, slot: &str) -> Vec<u8> {
    match slot {
        "K" => random.of(&KEYS),
        "V" => random.of(&[
            "x",
            "hello",
            "",
            "10",
            "3.5",
            "-7",
            "a value of more than twenty-two bytes",
            "\u{e9}",
            "0012",
        ]),
        "M" => random.of(&[
            "a",
            "b",
            "c",
            "d",
            "e",
            "f",
            "1",
            "2",
            "10",
            "aa",
            "longer-than-the-others-are",
        ]),
        "I" => random.of(&[
            "0",
            "1",
            "-1",
            "5",
            "17",
            "9223372036854775807",
            "-9223372036854775808",
        ]),
        "N" => random.of(&["0", "1", "2", "3", "-1", "-2", "-3", "10", "-100"]),
        "F" => random.of(&["0", "1", "2", "-1.5", "2.25", "10", "inf", "-inf", "3e2", "0.5"]),
        "S" => random.of(&["-inf", "+inf", "0", "1", "(1", "2.25", "(2", "10", "(inf"]),
        "L" => random.of(&["-", "+", "[a", "(a", "[b", "(c", "[d", "(", "[", "[aa"]),
        "B" => random.of(&["0", "1", "1", "2"]),
        "E" => random.of(&["LEFT", "RIGHT"]),
        word => word.as_bytes().to_vec(),
    }
}

fn order_of(command: &[Vec<u8>]) -> Order {
    let name = command[0].to_ascii_uppercase();
    match std::str::from_utf8(&name).unwrap_or("") {
        "SMEMBERS" | "SINTER" | "SUNION" | "SDIFF" | "HKEYS" | "HVALS" | "KEYS" | "SPOP" | "SRANDMEMBER"
        | "SCAN" | "SSCAN" => Order::Any,
        "HGETALL" | "HSCAN" | "ZSCAN" => Order::Pairs,
        "HRANDFIELD" | "ZRANDMEMBER" => Order::Any,
        "PTTL" | "EXPIRETIME" | "PEXPIRETIME" => Order::Near,
        _ => Order::Fixed,
    }
}

/// The next command, and what is promised about its reply.
pub(super) fn next(random: &mut Random) -> (Vec<Vec<u8>>, Order) {
    // Families take turns for a while, so that keys hold what their commands want.
    let family = TEMPLATES[random.below(TEMPLATES.len())];
    let template = family[random.below(family.len())];
    let mut command = Vec::new();
    for slot in template.split(' ') {
        if let Some(word) = slot.strip_prefix('?') {
            if random.below(2) == 0 {
                continue;
            }
            command.push(word.as_bytes().to_vec());
        } else if let Some(slot) = slot.strip_suffix('+').filter(|slot| slot.len() == 1) {
            for _ in 0..1 + random.below(3) {
                command.push(fill(random, slot));
            }
        } else {
            command.push(fill(random, slot));
        }
    }
    match random.below(40) {
        0 => command.push(b"extra".to_vec()),
        1 if command.len() > 1 => drop(command.pop()),
        2 if command.len() > 2 => {
            let at = 1 + random.below(command.len() - 1);
            command[at] = random.of(&["", "nonsense", "99999999999999999999", "1.5", " 1", "-0"]);
        }
        3 => command[0].make_ascii_lowercase(),
        _ => {}
    }
    if command[0]
        .first()
        .is_some_and(|first| first.eq_ignore_ascii_case(&b'B'))
    {
        // A timeout of nothing waits for ever.
        let spoiled = command.iter_mut().filter(|word| word == &b"-0");
        spoiled.for_each(|word| *word = b"nonsense".to_vec());
    }
    let order = order_of(&command);
    let name = command[0].to_ascii_uppercase();
    let is_chance = match &name[..] {
        b"SPOP" | b"SRANDMEMBER" | b"HRANDFIELD" | b"ZRANDMEMBER" => command.len() == 2,
        b"TIME" | b"LASTSAVE" => command.len() == 1,
        _ => false,
    };
    if is_chance {
        return next(random);
    }
    (command, order)
}
