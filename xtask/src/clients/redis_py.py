"""The Python client, used as people use it: `redis_py.py PORT PROTOCOL`. Every answer is asserted."""

import sys
import threading

import redis

port, protocol = int(sys.argv[1]), int(sys.argv[2])
r = redis.Redis(port=port, protocol=protocol, decode_responses=True)

assert r.ping() and r.client_setname("py") and r.client_getname() == "py"
assert r.info("server")["redis_version"].startswith("7.0") and r.config_get("maxmemory") == {"maxmemory": "0"}
assert r.set("k", "v", ex=100, nx=True) and r.set("k", "w", nx=True) is None and r.get("k") == "v"
assert 0 < r.ttl("k") <= 100 and r.getex("k", persist=True) == "v" and r.ttl("k") == -1
assert r.incrby("n", 41) == 41 and r.incrbyfloat("f", 1.5) == 1.5 and r.mget("k", "none") == ["v", None]
assert r.append("k", "!") == 2 and r.getrange("k", 0, 0) == "v" and r.setbit("bits", 7, 1) == 0 and r.bitcount("bits") == 1

assert r.rpush("l", "a", "b", "c") == 3 and r.lrange("l", 0, -1) == ["a", "b", "c"] and r.lpos("l", "b") == 1
assert r.lmove("l", "m", "LEFT", "RIGHT") == "a" and tuple(r.blpop("m", 1)) == ("m", "a")
assert r.hset("h", mapping={"a": "1", "b": "2"}) == 2 and r.hgetall("h") == {"a": "1", "b": "2"}
assert dict(r.hscan_iter("h")) == {"a": "1", "b": "2"} and r.hincrbyfloat("h", "a", 0.5) == 1.5
assert r.sadd("s", "x", "y") == 2 and r.smembers("s") == {"x", "y"} and r.smismember("s", ["x", "z"]) == [1, 0]
assert r.sinter("s", "none") == set() and set(r.sscan_iter("s")) == {"x", "y"}
assert r.zadd("z", {"a": 1, "b": 2.5}) == 2 and r.zscore("z", "b") == 2.5
assert [tuple(pair) for pair in r.zrange("z", 0, -1, withscores=True)] == [("a", 1.0), ("b", 2.5)]
assert r.zrangebyscore("z", "(1", "+inf") == ["b"] and r.zincrby("z", 1, "a") == 2.0
assert dict(r.zscan_iter("z")) == {"a": 2.0, "b": 2.5} and r.zunionstore("u", ["z", "s"]) == 4
assert r.object("encoding", "n") == "int" and r.type("z") == "zset" and r.copy("k", "k2") and r.dbsize() == len(r.keys())
assert set(r.scan_iter(count=3)) == set(r.keys())

with r.pipeline(transaction=True) as pipe:
    assert pipe.set("p", 1).incr("p").get("p").execute() == [True, 2, "2"]
try:
    with r.pipeline() as pipe:
        pipe.watch("p")
        r.set("p", "elsewhere")
        pipe.multi()
        pipe.set("p", "lost").execute()
    raise AssertionError("a watched key was changed")
except redis.WatchError:
    assert r.get("p") == "elsewhere"
try:
    r.lpush("k", 1)
    raise AssertionError("it is no list")
except redis.ResponseError as error:
    assert str(error).startswith("WRONGTYPE"), error

other = redis.Redis(port=port, protocol=protocol, decode_responses=True)
taken = []
waiter = threading.Thread(target=lambda: taken.append(other.blpop("jobs", 20)))
waiter.start()
r.rpush("jobs", "job 1")
waiter.join()
assert [tuple(item) for item in taken] == [("jobs", "job 1")], taken

subscriber = other.pubsub(ignore_subscribe_messages=True)
subscriber.subscribe("news")
subscriber.psubscribe("n*")
seen = []
for _ in range(200):
    if not seen:
        r.publish("news", "hi")
    message = subscriber.get_message(timeout=0.1)
    if message:
        seen.append((message["type"], message["channel"], message["data"]))
    if len(set(seen)) == 2:
        break
assert set(seen) == {("message", "news", "hi"), ("pmessage", "news", "hi")}, seen

assert r.flushall() and r.dbsize() == 0
print(f"redis-py {redis.__version__}, RESP{protocol}: all answers as expected")
