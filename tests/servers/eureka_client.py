"""A service that registers with Eureka by the real client: `eureka_client.py PORT`.

It registers, sends heartbeats, fetches the registry and its changes, and cancels at its end.
"""

import asyncio
import sys

from py_eureka_client import eureka_client


async def main(port):
    client = eureka_client.EurekaClient(
        eureka_server=f"http://127.0.0.1:{port}/eureka/",
        app_name="shop",
        instance_host="127.0.0.1",
        instance_ip="127.0.0.1",
        instance_port=9090,
        instance_id="shop-7f3a:9090",
        renewal_interval_in_secs=1,
        duration_in_secs=3,
    )
    await client.start()
    await asyncio.sleep(3.5)
    await client.status_update("OUT_OF_SERVICE")
    await client.stop()


asyncio.run(main(int(sys.argv[1])))
