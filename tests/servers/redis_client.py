"""Clients of Redis: `redis_client.py HOST PORT SCENARIO [FILE]`.

Prints a line for each exchange: command, first word of its error or `-`, nanoseconds waited (0 = not
measured).
"""

import pathlib
import sys
import time

import redis
from redis.maint_notifications import MaintNotificationsConfig


def connect(host, port, protocol=2, single=True):
    """A client on whose connections nothing is said unasked but HELLO for RESP3. One connection
    stands from the beginning, if it is to; pipelines and subscriptions have their own."""
    return redis.Redis(
        host=host,
        port=port,
        protocol=protocol,
        driver_info=None,
        single_connection_client=single,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )


def tell(command, error="-", took=0):
    print(command, error, took, flush=True)


def do(command, work):
    started = time.monotonic_ns()
    error = "-"
    try:
        work()
    except redis.exceptions.NoScriptError:
        error = "NOSCRIPT"
    except redis.ResponseError as problem:
        # The client cuts `ERR` off.
        word = str(problem).split(" ")[0]
        error = word if word.isupper() else "ERR"
    tell(command, error, time.monotonic_ns() - started)


def tell_all(commands, pipeline):
    """Requests that are sent together: each took no longer than all of them."""
    started = time.monotonic_ns()
    pipeline.execute()
    took = time.monotonic_ns() - started
    for command in commands:
        tell(command, took=took)


def commands(client):
    for i in range(20):
        do("SET", lambda i=i: client.set(f"key:{i}", "value"))
        do("GET", lambda i=i: client.get(f"key:{i}"))
    do("GET", lambda: client.get("missing"))
    do("HINCRBY", lambda: client.hincrby("hash", "field", 2))
    do("HGETALL", lambda: client.hgetall("hash"))
    do("LPUSH", lambda: client.lpush("list", *range(500)))
    do("LRANGE", lambda: client.lrange("list", 0, -1))
    do("LPUSH", lambda: client.lpush("key:1", "x"))
    do("INCRBY", lambda: client.incr("key:1"))
    do("NOSUCH", lambda: client.execute_command("NOSUCH", "x"))
    do("EVALSHA", lambda: client.evalsha("f" * 40, 0))
    do("SET", lambda: client.set("big", "x" * 1_000_000))
    do("GET", lambda: client.get("big"))
    for _ in range(2):
        do("BLPOP", lambda: client.blpop("empty", timeout=0.3))


def pipelines(client):
    """Requests that wait together: fewer than are remembered, and more."""
    for count in (12, 200):
        pipeline = client.pipeline(transaction=False)
        for i in range(count):
            pipeline.get(f"key:{i}")
        tell_all(["GET"] * count, pipeline)


def transaction(client):
    pipeline = client.pipeline(transaction=True)
    pipeline.set("a", 1)
    pipeline.incr("a")
    tell_all(["MULTI", "SET", "INCRBY", "EXEC"], pipeline)


def subscription(host, port, protocol, items=10):
    """What a server sends unasked is no exchange."""
    publisher = connect(host, port)
    subscriber = connect(host, port, protocol, single=False).pubsub()
    if protocol == 3:
        tell("HELLO")
    subscriber.subscribe("news")
    assert subscriber.get_message(timeout=5)["type"] == "subscribe"
    tell("SUBSCRIBE")
    for i in range(items):
        do("PUBLISH", lambda i=i: publisher.publish("news", f"item {i}"))
        assert subscriber.get_message(timeout=5)["type"] == "message"
    subscriber.unsubscribe("news")
    assert subscriber.get_message(timeout=5)["type"] == "unsubscribe"
    tell("UNSUBSCRIBE")


def few(host, port):
    """Few packets, for a capture: commands, errors and a pipeline of both versions, and pushes."""
    for protocol in (2, 3):
        client = connect(host, port, protocol)
        client.set("name", "secret")
        client.get("name")
        do("LPUSH", lambda: client.lpush("name", "x"))
        do("NOSUCH", lambda: client.execute_command("NOSUCH", "x"))
        do("EVALSHA", lambda: client.evalsha("f" * 40, 0))
        pipeline = client.pipeline(transaction=False)
        for key in ("name", "none", "name"):
            pipeline.get(key)
        pipeline.execute()
        subscription(host, port, protocol, items=2)


def late(host, port, file):
    """Goes on when the file is there, on connections that are open already."""
    file = pathlib.Path(file)
    clients = [connect(host, port) for _ in range(3)]
    for client in clients:
        client.ping()
    file.with_suffix(".ready").touch()
    while not file.exists():
        time.sleep(0.01)
    for client in clients:
        for i in range(20):
            do("GET", lambda i=i: client.get(f"key:{i}"))


def main():
    host, port, scenario = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    if scenario == "late":
        late(host, port, sys.argv[4])
        return
    if scenario == "few":
        few(host, port)
        return
    for protocol in (2, 3):
        client = connect(host, port, protocol)
        if protocol == 3:
            tell("HELLO")
        commands(client)
        if protocol == 3:
            tell("HELLO")
        pipelines(client)
        transaction(client)
        subscription(host, port, protocol)


main()
