"""A few calls through kazoo for a small capture: `zookeeper_client.py ADDRESS`."""
import sys
import time

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException

client = KazooClient(hosts=sys.argv[1], timeout=4)
client.start()


def call(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except KazooException:
        return None


call(client.create, "/a", b"value")
call(client.create, "/a", b"value")
call(client.set, "/a", b"another")
call(client.set, "/a", b"another", version=9)
call(client.get, "/a")
call(client.get, "/none")
call(client.exists, "/none")
# These three do not wait for each other.
results = [client.get_async("/a"), client.exists_async("/a"), client.get_children_async("/")]
for result in results:
    result.get()
transaction = client.transaction()
transaction.set_data("/a", b"never")
transaction.create("/a", b"again")
transaction.commit()
time.sleep(1.7)
client.delete("/a")
client.command(b"ruok")
client.stop()
client.close()
