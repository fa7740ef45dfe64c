"""The official Python admin client against the tree's port: values, tags, transactions, queries, listeners.

Called by `cargo xtask clients` with the port's address. Ends with an assertion at the first thing that is not as the
client's documentation says.
"""

import os
import queue
import sys
import threading

ADDRESS = sys.argv[1]
# What makes the client talk to something else than the service: its own switch, nothing is patched.
os.environ["FIREBASE_DATABASE_EMULATOR_HOST"] = ADDRESS

import firebase_admin
from firebase_admin import db, exceptions

firebase_admin.initialize_app(options={"databaseURL": f"http://{ADDRESS}?ns=demo", "projectId": "demo"})
PATIENCE_S = 20


def equal(found, expected):
    assert found == expected, f"found {found!r}, expected {expected!r}"


def values():
    people = db.reference("people")
    people.set({"ada": {"age": 36}, "bob": {"age": 20}})
    equal(people.get(), {"ada": {"age": 36}, "bob": {"age": 20}})
    equal(people.get(shallow=True), {"ada": True, "bob": True})
    people.update({"ada/age": 37, "cyd/age": 5})
    equal(people.child("ada/age").get(), 37)
    pushed = people.push({"age": 1})
    equal(people.child(pushed.key).get(), {"age": 1})
    equal(len(pushed.key), 20)
    pushed.delete()
    equal(people.child(pushed.key).get(), None)
    text = 'ünïcödé 😀 "quoted" \\ \n'
    for value in (True, False, 0, -1.5, 2**53 + 1, text, ["a", "b"], {"deep": {"er": [1, {"x": 2}]}}):
        db.reference("any").set(value)
        equal(db.reference("any").get(), value)
    db.reference("any/key with spaces/é").set(1)
    equal(db.reference("any/key with spaces").get(), {"é": 1})


def tags():
    ada = db.reference("people/ada")
    value, tag = ada.get(etag=True)
    equal(value, {"age": 37})
    equal(ada.get_if_changed(tag), (False, None, None))
    changed, value, _ = ada.get_if_changed("something else")
    equal((changed, value), (True, {"age": 37}))
    done, value, tag = ada.set_if_unchanged("something else", {"age": 1})
    equal((done, value), (False, {"age": 37}))
    done, value, _ = ada.set_if_unchanged(tag, {"age": 38})
    equal((done, value), (True, {"age": 38}))


def transactions():
    count = db.reference("count")
    equal(count.transaction(lambda value: (value or 0) + 1), 1)

    def increment():
        for _ in range(5):
            while True:
                try:
                    db.reference("count").transaction(lambda value: (value or 0) + 1)
                    break
                except db.TransactionAbortedError:
                    # The client gives up after 25 lost races; nothing was written then.
                    pass

    threads = [threading.Thread(target=increment) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(count.get(), 21)


def queries():
    people = db.reference("people")
    equal(list(people.order_by_child("age").limit_to_last(1).get()), ["ada"])
    equal(list(people.order_by_child("age").get()), ["cyd", "bob", "ada"])
    equal(list(people.order_by_child("age").equal_to(20).get()), ["bob"])
    equal(list(people.order_by_key().start_at("b").end_at("c").get()), ["bob"])
    scores = db.reference("scores")
    scores.set({"x": 3, "y": 1, "z": 2})
    equal(list(scores.order_by_value().limit_to_first(2).get()), ["y", "z"])


def listeners():
    events = queue.Queue()
    db.reference("live").listen(lambda event: events.put((event.event_type, event.path, event.data)))
    equal(events.get(timeout=PATIENCE_S), ("put", "/", None))
    db.reference("live/x").set(1)
    db.reference("live").update({"y": 2, "z": 3})
    db.reference("elsewhere").set(1)
    db.reference("live/x").delete()
    equal(events.get(timeout=PATIENCE_S), ("put", "/x", 1))
    equal(events.get(timeout=PATIENCE_S), ("patch", "/", {"y": 2, "z": 3}))
    equal(events.get(timeout=PATIENCE_S), ("put", "/x", None))
    second = queue.Queue()
    db.reference("live/y").listen(lambda event: second.put((event.event_type, event.path, event.data)))
    equal(second.get(timeout=PATIENCE_S), ("put", "/", 2))


def refusals():
    for wrong in ({"a.b": 1}, {"a/b": 1}, {"": 1}):
        try:
            db.reference("wrong").set(wrong)
        except exceptions.InvalidArgumentError as error:
            equal(error.http_response.status_code, 400)
        else:
            raise AssertionError(f"{wrong} was taken")
    equal(db.reference("wrong").get(), None)


for part in (values, tags, transactions, queries, listeners, refusals):
    part()
    print(f"firebase-admin {firebase_admin.__version__}: {part.__name__}")
# The listeners' threads still wait for events.
sys.stdout.flush()
os._exit(0)
