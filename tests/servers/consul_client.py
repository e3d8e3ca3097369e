"""What services ask of Consul, with python-consul2: `consul_client.py SCENARIO PORT`."""

import sys
import threading
import time

import consul


def few(port):
    """Registers, looks up, locks, writes and reads, and goes."""
    c = consul.Consul(host="127.0.0.1", port=port)
    c.agent.service.register("web", service_id="web-7f3a", port=8080)
    c.health.service("web", passing=True)
    c.catalog.services()
    session = c.session.create(ttl=60, behavior="delete")
    for key in ("app/db/host", "app/db/port2", "flags", "deep/" + "x" * 60 + "/end"):
        c.kv.put(key, "value")
        c.kv.get(key)
    c.kv.get("absent/key")
    c.kv.put("lock", "held", acquire=session)
    c.session.renew(session)
    c.session.destroy(session)
    c.kv.delete("flags")
    c.agent.service.deregister("web-7f3a")


def watch(port):
    """Waits for a key to change, which it does after 1.2 s; prints how long that took, ns."""
    c = consul.Consul(host="127.0.0.1", port=port)
    c.kv.put("watched", "before")
    index, _ = c.kv.get("watched")

    def change():
        time.sleep(1.2)
        consul.Consul(host="127.0.0.1", port=port).kv.put("watched", "after")

    writer = threading.Thread(target=change)
    writer.start()
    began = time.monotonic_ns()
    _, value = c.kv.get("watched", index=index, wait="10s")
    print(time.monotonic_ns() - began)
    writer.join()
    assert value["Value"] == b"after", value


if __name__ == "__main__":
    {"few": few, "watch": watch}[sys.argv[1]](int(sys.argv[2]))
