"""Real Memcached clients: `memcached_client.py HOST PORT SCENARIO [FILE]`.

Every line of output is one exchange as the client saw it: an operation, the kind of the error it
met or `-`, and how long it took in ns (0 = not measured). pymemcache speaks the text protocol,
bmemcached the binary one, meta-memcache the meta commands, and a socket what none of them does.
"""

import logging
import socket
import sys
import time
from pathlib import Path

import bmemcached
from bmemcached.exceptions import MemcachedException
from meta_memcache import CacheClient, Key, ServerAddress, connection_pool_factory_builder
from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError

HOST, PORT = sys.argv[1], int(sys.argv[2])
BIG = 5_000_000
KINDS = {MemcacheClientError: "CLIENT_ERROR", MemcacheServerError: "SERVER_ERROR"}


def told(operation, work, error="-", times=1):
    """Does `work`, which is `times` exchanges and fails with this error, and tells of them."""
    started = time.monotonic_ns()
    found = "-"
    result = None
    try:
        result = work()
    except tuple(KINDS) as failure:
        found = KINDS[type(failure)]
    took = time.monotonic_ns() - started
    assert found == error, f"{operation}: error {found}, expected {error}"
    for _ in range(times):
        print(operation, error, took, flush=True)
    return result


def text():
    """Each command that pymemcache has, some often enough to be told apart by their counts."""
    client = Client((HOST, PORT), default_noreply=False)
    for i in range(40):
        assert told("SET", lambda: client.set(f"key-{i}", b"v" * i * 10))
    for i in range(90):
        value = told("GET", lambda: client.get(f"key-{i % 60}"))
        assert value == (b"v" * (i % 60) * 10 if i % 60 < 40 else None)
    keys = [f"key-{i}" for i in range(100)]
    for _ in range(5):
        assert len(told("GET", lambda: client.get_many(keys))) == 40
    # A pipeline; no more than weir remembers.
    told("SET", lambda: client.set_many({f"many-{i}": "x" for i in range(16)}), times=16)
    _, cas = told("GETS", lambda: client.gets("key-1"))
    assert told("CAS", lambda: client.cas("key-1", b"new", cas))
    assert told("CAS", lambda: client.cas("key-1", b"newer", cas)) is False
    assert told("CAS", lambda: client.cas("missing", b"", cas)) is None
    assert told("ADD", lambda: client.add("key-1", b"")) is False
    assert told("ADD", lambda: client.add("added", b"a"))
    assert told("REPLACE", lambda: client.replace("missing", b"")) is False
    assert told("APPEND", lambda: client.append("added", b"b"))
    assert told("PREPEND", lambda: client.prepend("added", b"c"))
    assert told("GET", lambda: client.get("added")) == b"cab"
    for i in range(7):
        told("DELETE", lambda: client.delete(f"key-{i * 10}"))
    told("SET", lambda: client.set("counter", "5"))
    for i in range(11):
        assert told("INCR", lambda: client.incr("counter", 2)) == 7 + 2 * i
    assert told("DECR", lambda: client.decr("counter", 1)) == 26
    assert told("INCR", lambda: client.incr("missing", 1)) is None
    for _ in range(3):
        told("INCR", lambda: client.incr("added", 1), "CLIENT_ERROR")
    assert told("TOUCH", lambda: client.touch("added", 60))
    told("STATS", client.stats)
    told("STATS", lambda: client.stats("settings"))
    told("VERSION", client.version)
    assert told("SET", lambda: client.set("big", b"b" * BIG))
    assert len(told("GET", lambda: client.get("big"))) == BIG
    told("SET", lambda: client.set("too-big", b"b" * 9_000_000), "SERVER_ERROR")
    # Nobody waits for these.
    for i in range(25):
        client.set(f"quick-{i}", b"q" * i, noreply=True)
        client.delete(f"quick-{i}", noreply=True)
        client.incr("counter", 1, noreply=True)
    assert told("GET", lambda: client.get("counter")) == b"51"
    told("FLUSH_ALL", client.flush_all)
    client.quit()


def binary():
    """The binary protocol, with quiet commands."""
    client = bmemcached.Client(f"{HOST}:{PORT}")
    for i in range(20):
        assert told("SET", lambda: client.set(f"b-{i}", "x" * i))
    for i in range(30):
        assert told("GET", lambda: client.get(f"b-{i}")) == ("x" * i if i < 20 else None)
    for _ in range(4):
        # Each but the last is quiet.
        found = told("GETKQ", lambda: client.get_multi([f"b-{i}" for i in range(25)]))
        assert len(found) == 20
    for _ in range(3):
        # Quiet ones, and a NOOP.
        told("NOOP", lambda: client.set_multi({f"q-{i}": "y" for i in range(10)}))
    assert told("INCREMENT", lambda: client.incr("count", 1)) == 0
    assert told("DELETE", lambda: client.delete("b-1"))
    assert told("ADD", lambda: client.add("b-2", "z")) is False
    told("SET", lambda: client.set("big", bytes(i % 251 for i in range(1_000_000)), compress_level=0))
    told("STAT", client.stats)

    def wrong():
        try:
            client.incr("b-2", 1)
        except MemcachedException:
            return
        raise AssertionError("no error")

    wrong()
    print("INCREMENT", "DELTA_BADVAL", 0, flush=True)
    client.disconnect_all()


def meta():
    """Meta commands; what wants no reply is followed by a barrier."""
    client = CacheClient.cache_client_from_servers(
        servers=[ServerAddress(HOST, PORT)],
        connection_pool_factory_fn=connection_pool_factory_builder(),
    )
    for i in range(15):
        told("MS", lambda: client.set(key=Key(f"m-{i}"), value=b"v" * 30 * i, ttl=600))
    for i in range(20):
        value = told("MG", lambda: client.get(key=Key(f"m-{i}")))
        assert value == (b"v" * 30 * i if i < 15 else None)
    keys = [Key(f"m-{i}") for i in range(12)]
    assert None not in told("MG", lambda: client.multi_get(keys=keys), times=12).values()
    for i in range(6):
        told("MN", lambda: client.set(key=Key(f"n-{i}"), value=b"n", ttl=600, no_reply=True))
    assert told("MD", lambda: client.delete(key=Key("m-1")))
    assert told("MA", lambda: client.delta(key=Key("missing"), delta=1)) in (None, False)
    assert told("MG", lambda: client.touch(key=Key("m-2"), ttl=60))


class Raw:
    """Bytes as they are."""

    def __init__(self):
        self.socket = socket.create_connection((HOST, PORT))
        self.file = self.socket.makefile("rb")
        self.started = None

    def send(self, data):
        self.started = self.started or time.monotonic_ns()
        self.socket.sendall(data)

    def expect(self, *lines):
        for line in lines:
            found = self.file.readline().rstrip(b"\r\n")
            assert found == line, f"{found} instead of {line}"


    def say(self, *told):
        """Tells of exchanges, operation and error, which began with what was sent last."""
        took = time.monotonic_ns() - self.started
        for operation, error in told:
            print(operation, error, took, flush=True)
        self.started = None


def raw():
    """Pipelines, commands in pieces, errors, quiet meta reads."""
    raw = Raw()
    keys = [b"p%d" % i for i in range(50)]
    for i in range(0, len(keys), 10):
        raw.send(b"".join(b"set %s 0 0 3\r\nabc\r\n" % key for key in keys[i:i + 10]))
        raw.expect(*[b"STORED"] * 10)
        raw.say(*[("SET", "-")] * 10)
    for _ in range(3):
        raw.send(b"get p1\r\ndelete p2\r\nincr p3 1\r\nbogus\r\nversion\r\n")
        raw.expect(b"VALUE p1 0 3", b"abc", b"END")
        assert raw.file.readline() in (b"DELETED\r\n", b"NOT_FOUND\r\n")
        raw.expect(b"CLIENT_ERROR cannot increment or decrement non-numeric value", b"ERROR")
        assert raw.file.readline().startswith(b"VERSION ")
        raw.say(("GET", "-"), ("DELETE", "-"), ("INCR", "CLIENT_ERROR"), ("_OTHER", "ERROR"),
                ("VERSION", "-"))
    for piece in [b"se", b"t k", b"ey 0 0 1", b"0\r", b"\n01234", b"56789\r", b"\n"]:
        raw.send(piece)
        time.sleep(0.02)
    raw.expect(b"STORED")
    raw.say(("SET", "-"))
    key = b"l" * 250
    raw.send(b"set %s 0 0 2\r\nhi\r\n" % key)
    raw.expect(b"STORED")
    raw.say(("SET", "-"))
    for piece in [b"get " + key[:100], key[100:] + b" " + key + b" ", key + b"\r", b"\n"]:
        raw.send(piece)
        time.sleep(0.02)
    raw.expect(*([b"VALUE %s 0 2" % key, b"hi"] * 3), b"END")
    raw.say(("GET", "-"))
    raw.send(b"".join(b"mg %s v q k\r\n" % key for key in keys + [b"none"]) + b"mn\r\n")
    for key in keys:
        if key != b"p2":
            raw.expect(b"VA 3 k%s" % key, b"abc")
    raw.expect(b"MN")
    raw.say(("MG", "-"))
    raw.send(b"ms p1 1 q ME\r\nx\r\nmd none q\r\nmn\r\n")
    raw.expect(b"NS", b"NF", b"MN")
    raw.say(("MN", "-"))
    for operation, command, answer in [
        ("VERBOSITY", b"verbosity 1\r\n", b"OK"),
        ("TOUCH", b"flush_all noreply\r\ntouch p1 5\r\n", b"NOT_FOUND"),
        ("GATS", b"gats 5 p1 p2\r\n", b"END"),
        ("ME", b"me p1\r\n", b"EN"),
    ]:
        raw.send(command)
        raw.expect(answer)
        raw.say((operation, "-"))
    raw.send(b"get\r\n")
    raw.expect(b"ERROR")
    raw.say(("GET", "ERROR"))
    raw.send(b"quit\r\n")
    assert raw.file.read() == b""


def steady():
    """Asks all the time."""
    client = Client((HOST, PORT), default_noreply=False)
    for _ in range(300):
        told("GET", lambda: client.get("name"))
        time.sleep(0.01)
    client.quit()


def few():
    """Few packets, for a capture: each of the three protocols."""
    client = Client((HOST, PORT), default_noreply=False)
    client.set("name", b"secret")
    client.get_many(["name", "other"])
    client.set("name", b"secret", noreply=True)
    told("INCR", lambda: client.incr("name", 1), "CLIENT_ERROR")
    client.quit()
    raw = Raw()
    raw.send(b"get name\r\nbogus\r\nmg name v q\r\nmg none v q\r\nmn\r\n")
    raw.expect(b"VALUE name 0 6", b"secret", b"END", b"ERROR", b"VA 6", b"secret", b"MN")
    raw.send(b"quit\r\n")
    client = bmemcached.Client(f"{HOST}:{PORT}")
    client.set("name", "secret")
    client.get_multi(["name", "none", "other"])
    client.disconnect_all()


def late(file):
    """Connections older than their observer, which is there once the file exists."""
    client = Client((HOST, PORT), default_noreply=False)
    client.set("k", b"v")
    other = bmemcached.Client(f"{HOST}:{PORT}")
    other.set("b", "v")
    Path(f"{file}.ready").touch()
    while not Path(file).exists():
        time.sleep(0.05)
    for i in range(20):
        assert told("GET", lambda: client.get("k")) == b"v"
        assert told("SET", lambda: client.set("k", b"v"))
        assert told("GET", lambda: other.get("b")) == "v"
    told("INCR", lambda: client.incr("k", 1), "CLIENT_ERROR")
    client.quit()
    other.disconnect_all()


logging.disable(logging.CRITICAL)
SCENARIOS = {
    "text": text,
    "binary": binary,
    "meta": meta,
    "raw": raw,
    "steady": steady,
    "few": few,
    "late": late,
}
SCENARIOS[sys.argv[3]](*sys.argv[4:])
