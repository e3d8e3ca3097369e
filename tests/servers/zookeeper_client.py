"""Calls ZooKeeper through kazoo: `zookeeper_client.py ADDRESS [GO | steady]`.

Prints, as JSON, how many requests kazoo sent by operation, how many calls failed by kind, and how
long its plain reads took. With GO, a file's name, it connects, makes GO.ready, and begins to count
and to call once GO exists. With `steady` it reads for some seconds, and prints how long each took.
"""

import json
import logging
import os
import sys
import time
from collections import Counter

from kazoo import exceptions
from kazoo.client import KazooClient

# What kazoo calls a request → what the protocol calls it.
OPERATIONS = {"Transaction": "multi", "Close": "closeSession", "GetACL": "getACL"}
KINDS = {"NoNodeError": "NoNode", "NodeExistsError": "NodeExists", "NotEmptyError": "NotEmpty",
         "BadVersionError": "BadVersion"}
sent = Counter()
failed = Counter()
reads_ns = []


class Counting(logging.Handler):
    """kazoo logs every request that it sends."""

    def emit(self, record):
        if record.msg.startswith("Sending request"):
            name = type(record.args[1]).__name__
            sent[OPERATIONS.get(name, name[0].lower() + name[1:])] += 1


def expect(kind, call):
    try:
        call()
    except kind as error:
        failed[KINDS[type(error).__name__]] += 1
    else:
        raise AssertionError(f"no {kind.__name__}")


def read(client, path):
    begun = time.perf_counter_ns()
    client.get(path)
    reads_ns.append(time.perf_counter_ns() - begun)


def calls(client):
    client.create("/shop", b"root")
    for i in range(8):
        client.create(f"/shop/item-{i}", b"v" * 100 * i)
    for _ in range(20):
        read(client, "/shop/item-1")
    client.set("/shop/item-1", b"x" * 300_000)
    read(client, "/shop/item-1")
    assert len(client.get_children("/shop")) == 8
    assert client.get_children("/shop", include_data=True)[1].numChildren == 8
    assert client.exists("/shop/none") is None
    assert client.exists("/shop/item-2")
    client.get_acls("/shop")
    client.sync("/shop")
    expect(exceptions.NoNodeError, lambda: client.get("/shop/none"))
    expect(exceptions.NoNodeError, lambda: client.delete("/shop/none"))
    expect(exceptions.NodeExistsError, lambda: client.create("/shop", b""))
    expect(exceptions.BadVersionError, lambda: client.set("/shop", b"", version=17))
    expect(exceptions.NotEmptyError, lambda: client.delete("/shop"))
    pipelined(client)
    transactions(client)
    watched(client)
    for i in range(8):
        client.delete(f"/shop/item-{i}")


def pipelined(client):
    """Requests that do not wait for the answers before them."""
    results = [client.get_async(f"/shop/item-{i % 8}") for i in range(12)]
    results.append(client.exists_async("/shop/none"))
    results.append(client.set_async("/shop/item-3", b"pipelined"))
    for result in results:
        result.get(timeout=10)


def transactions(client):
    good = client.transaction()
    good.create("/shop/t", b"")
    good.set_data("/shop/t", b"1")
    good.delete("/shop/t")
    assert all(not isinstance(result, Exception) for result in good.commit())
    bad = client.transaction()
    bad.create("/shop/u", b"")
    bad.create("/shop/item-1", b"")
    bad.create("/shop/v", b"")
    results = bad.commit()
    assert isinstance(results[1], exceptions.NodeExistsError), results
    failed["NodeExists"] += 1


def watched(client):
    """The server tells of a change unasked."""
    seen = []
    client.get("/shop/item-4", watch=seen.append)
    client.set("/shop/item-4", b"changed")
    client.exists("/shop/item-5", watch=seen.append)
    client.set("/shop/item-5", b"changed")
    deadline = time.monotonic() + 10
    while len(seen) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(seen) == 2, seen


logger = logging.getLogger("kazoo.client")
logger.setLevel(5)
logger.propagate = False
logger.addHandler(Counting())
# A short session: it is kept alive by pings while nobody calls.
client = KazooClient(hosts=sys.argv[1], timeout=4, logger=logger)
client.start(timeout=20)
if sys.argv[2:] == ["steady"]:
    for _ in range(300):
        read(client, "/zookeeper")
        print(reads_ns[-1], flush=True)
        time.sleep(0.01)
    client.stop()
    sys.exit()
if len(sys.argv) > 2:
    go = sys.argv[2]
    client.ensure_path("/before/weir/began")
    client.get("/before")
    open(go + ".ready", "w").close()
    while not os.path.exists(go):
        time.sleep(0.05)
    sent.clear()
calls(client)
time.sleep(4)
assert client.command(b"ruok") == "imok"
client.stop()
client.close()
if len(sys.argv) == 2:
    sent["ruok"] += 1
print(json.dumps({"sent": sent, "failed": failed, "reads_ns": reads_ns}))
