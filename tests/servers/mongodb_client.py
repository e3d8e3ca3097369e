"""PyMongo: `mongodb_client.py HOST PORT SCENARIO [FILE]`.

Every line of output is one exchange as the driver saw it: an operation, the kind of the error it
met or `-`, and how long it took in ns (0 = not measured), with a tab between. The driver tells of
what it sends by its own monitoring.
"""

import socket
import sys
import threading
import time
from pathlib import Path

import bson
import pymongo
from bson.int64 import Int64
from pymongo import errors, monitoring

HOST, PORT = sys.argv[1], int(sys.argv[2])
CODES = {11000: "DuplicateKey"}
LOCK = threading.Lock()


def say(operation, error="-", took=0):
    with LOCK:
        print(operation, error, took, sep="\t", flush=True)


class Commands(monitoring.CommandListener):
    """Tells of every command."""

    def __init__(self):
        self.names = {}

    def started(self, event):
        first, value = next(iter(event.command.items()))
        if first == "getMore":
            value = event.command["collection"]
        name = f"{first} {value}" if isinstance(value, str) else first
        unacknowledged = event.command.get("writeConcern", {}).get("w") == 0
        self.names[event.request_id] = None if unacknowledged else name

    def ended(self, event, error):
        name = self.names.pop(event.request_id)
        if name is not None:
            say(name, error, event.duration_micros * 1000)

    def succeeded(self, event):
        failed = event.reply.get("writeErrors", [])
        self.ended(event, CODES[failed[0]["code"]] if failed else "-")

    def failed(self, event):
        self.ended(event, event.failure.get("codeName", "?"))


class Heartbeats(monitoring.ServerHeartbeatListener):
    """Tells of the driver's questions about the state of the server."""

    def started(self, event):
        pass

    def succeeded(self, event):
        say("hello", "-", int(event.duration * 1e9))

    def failed(self, event):
        pass


class Connections(monitoring.ConnectionPoolListener):
    """Tells of the first question on every other connection."""

    def connection_ready(self, event):
        say("hello")


for what in ["pool_created", "pool_ready", "pool_cleared", "pool_closed", "connection_created",
             "connection_closed", "connection_check_out_started", "connection_check_out_failed",
             "connection_checked_out", "connection_checked_in"]:
    setattr(Connections, what, lambda self, event: None)


def connect(listeners=None, **options):
    """A client that asks for the server's state by polling: each question is a request."""
    if listeners is None:
        listeners = [Commands(), Heartbeats(), Connections()]
    return pymongo.MongoClient(
        HOST,
        PORT,
        directConnection=True,
        serverMonitoringMode="poll",
        event_listeners=listeners,
        **options,
    )


def fails(kind, work):
    try:
        work()
    except kind:
        return
    raise AssertionError("no error")


def commands():
    """Commands of several kinds, some failing, some answered by many documents."""
    with connect() as client:
        db = client.shop
        orders = db.orders
        for i in range(30):
            orders.insert_one({"_id": i, "name": f"secret {i}"})
        orders.insert_many([{"_id": i + 100, "text": "y" * 1000} for i in range(500)])
        for i in range(60):
            found = orders.find_one({"_id": i})
            assert (found is not None) == (i < 30)
        assert len(list(orders.find({}).batch_size(100))) == 530
        for i in range(12):
            orders.update_one({"_id": i}, {"$set": {"name": "other"}})
        for i in range(7):
            orders.delete_one({"_id": i + 10})
        assert orders.count_documents({}) == 523
        assert len(orders.distinct("name")) > 2
        for i in range(5):
            fails(errors.DuplicateKeyError, lambda: orders.insert_one({"_id": 1}))
        fails(errors.BulkWriteError, lambda: orders.insert_many([{"_id": 1}, {"_id": 9000}]))
        for i in range(3):
            fails(errors.OperationFailure, lambda: db.command("nosuchcommand"))
        fails(errors.OperationFailure, lambda: list(orders.find({"$bad": 1})))
        fails(errors.OperationFailure, lambda: list(orders.aggregate([{"$bogus": 1}])))
        # A name that is passed over, and a document that is.
        db.customers.insert_one({"_id": 1, "photo": b"p" * 5_000_000})
        assert len(db.customers.find_one({"_id": 1})["photo"]) == 5_000_000
        quick = orders.with_options(write_concern=pymongo.WriteConcern(w=0))
        for i in range(20):
            quick.insert_one({"_id": i + 10_000})
        db.command("ping")
        db.list_collection_names()
        orders.create_index("name")
        orders.drop()


def exhaust():
    """A cursor whose batches the server sends unasked: two requests."""
    with connect([]) as client:
        orders = client.shop.exhausted
        orders.insert_many([{"_id": i, "text": "y" * 500} for i in range(400)])
        kind = pymongo.CursorType.EXHAUST
        found = list(orders.find({}, cursor_type=kind, batch_size=20))
        assert len(found) == 400
        orders.drop()
    for operation in ["insert", "find", "getMore", "drop"]:
        say(f"{operation} exhausted")


def watching():
    """A driver that watches the server's state, as they do unless they are told otherwise."""
    client = pymongo.MongoClient(HOST, PORT, directConnection=True, event_listeners=[Commands()])
    for _ in range(10):
        client.shop.command("ping")
        time.sleep(0.1)
    client.close()


def message(number, document, flags=0):
    body = flags.to_bytes(4, "little") + b"\0" + bson.encode(document)
    header = [len(body) + 16, number, 0, 2013]
    return b"".join(word.to_bytes(4, "little") for word in header) + body


def receive(file, number):
    header = file.read(16)
    assert header[8:12] == number.to_bytes(4, "little"), header
    return file.read(int.from_bytes(header[:4], "little") - 16)


def raw():
    """Requests that do not wait for the answers before them, and one in pieces."""
    connection = socket.create_connection((HOST, PORT))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    file = connection.makefile("rb")
    commands = [
        ("ping", {"ping": 1}, "-"),
        ("find orders", {"find": "orders", "limit": 1}, "-"),
        ("nosuchcommand", {"nosuchcommand": 1}, "CommandNotFound"),
        ("count orders", {"count": "orders"}, "-"),
    ]
    numbers = iter(range(1, 1000))
    # One by one first: of a pipeline only the first request is sure to be named.
    for batch in [*([command] for command in commands), commands, commands]:
        sent = [(next(numbers), command) for command in batch]
        started = time.monotonic_ns()
        connection.sendall(b"".join(message(n, {**c[1], "$db": "shop"}) for n, c in sent))
        for number, (operation, _, error) in sent:
            receive(file, number)
            say(operation, error, time.monotonic_ns() - started)
    last = message(next(numbers), {"ping": 1, "$db": "admin"})
    for byte in last:
        connection.sendall(bytes([byte]))
        time.sleep(0.002)
    receive(file, int.from_bytes(last[4:8], "little"))
    say("ping")
    connection.close()


def steady():
    """Asks all the time."""
    with connect([Commands()], maxPoolSize=1, heartbeatFrequencyMS=600_000) as client:
        for _ in range(300):
            client.shop.steady.find_one()
            time.sleep(0.01)


def few():
    """Few packets, for a capture."""
    with connect([], maxPoolSize=1) as client:
        orders = client.shop.few
        orders.insert_one({"_id": 1, "name": "secret"})
        fails(errors.DuplicateKeyError, lambda: orders.insert_one({"_id": 1}))
        orders.find_one({"name": "secret"})
        fails(errors.OperationFailure, lambda: client.shop.command("nosuchcommand"))
        orders.drop()


def late(file):
    """A connection that is older than its observer, which is there once the file exists."""
    listener = Commands()
    with connect([listener], maxPoolSize=1, heartbeatFrequencyMS=600_000) as client:
        orders = client.shop.late
        orders.insert_one({"_id": 1})
        Path(f"{file}.ready").touch()
        while not Path(file).exists():
            time.sleep(0.05)
        say("begin")
        for i in range(20):
            orders.insert_one({"_id": i + 10})
            orders.find_one({"_id": i})
        fails(errors.DuplicateKeyError, lambda: orders.insert_one({"_id": 1}))
        orders.drop()


SCENARIOS = {
    "commands": commands,
    "exhaust": exhaust,
    "watching": watching,
    "raw": raw,
    "steady": steady,
    "few": few,
    "late": late,
}
SCENARIOS[sys.argv[3]](*sys.argv[4:])
