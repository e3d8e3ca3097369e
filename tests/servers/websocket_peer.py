"""A WebSocket server and clients of it.

`websocket_peer.py serve PORT`, `websocket_peer.py CLIENT SCENARIO PORT [FILE]` with the client
`websockets` or `aiohttp`. Clients print a line for each connection: path, close code, messages sent
and received, nanoseconds from the handshake and from before it to the end.
"""

import asyncio
import http
import os
import pathlib
import sys
import time

import aiohttp
import websockets

# Not to be compressed.
BIG = os.urandom(200_000)


async def handle(socket):
    path = socket.request.path.split("?")[0]
    if path == "/chat" or path.startswith("/rooms/"):
        async for message in socket:
            await socket.send(message)
    elif path == "/news":
        for i in range(500):
            await socket.send(f"news number {i} " + "." * (i % 300))
        await socket.close(1001)
    elif path == "/broken":
        await socket.close(1011, "as asked")
    elif path == "/refuses":
        await socket.recv()
        await socket.close(1008, "not that")
    elif path == "/parts":
        await socket.send(["one ", "message ", "in ", "parts"])
        await socket.ping()
        await socket.recv()


def refuse(connection, request):
    if request.path.startswith("/forbidden"):
        return connection.respond(http.HTTPStatus.FORBIDDEN, "no\n")
    return None


async def serve(port):
    options = {"process_request": refuse, "max_size": None, "ping_interval": None}
    async with websockets.serve(handle, "127.0.0.1", port, **options) as server:
        await server.serve_forever()


class Told:
    """What was done over a connection."""

    def __init__(self, path, began):
        self.path = path
        self.sent = self.received = 0
        self.began = began
        self.started = time.monotonic_ns()

    def end(self, code):
        now = time.monotonic_ns()
        times = (now - self.started, now - self.began)
        print(self.path.split("?")[0], code or "-", self.sent, self.received, *times, flush=True)


class Websockets:
    """One connection of the package `websockets`."""

    @classmethod
    async def open(cls, port, path):
        self = cls()
        began = time.monotonic_ns()
        url = f"ws://127.0.0.1:{port}{path}"
        self.socket = await websockets.connect(url, max_size=None, ping_interval=None)
        self.told = Told(path, began)
        return self

    async def send(self, message):
        self.told.sent += 1
        await self.socket.send(message)

    async def receive(self):
        message = await self.socket.recv()
        self.told.received += 1
        return message

    async def drain(self):
        """Receives until the server closes."""
        try:
            while True:
                await self.receive()
        except websockets.ConnectionClosed:
            await self.socket.wait_closed()
            self.told.end(self.socket.close_code)

    async def close(self, code=1000):
        await self.socket.close(code)
        self.told.end(self.socket.close_code)

    def abort(self):
        self.socket.transport.abort()
        self.told.end(None)


class Aiohttp:
    """The same of `aiohttp`, which compresses where it can."""

    @classmethod
    async def open(cls, port, path):
        self = cls()
        began = time.monotonic_ns()
        self.session = aiohttp.ClientSession()
        url = f"http://127.0.0.1:{port}{path}"
        self.socket = await self.session.ws_connect(url, max_msg_size=0, compress=15)
        self.told = Told(path, began)
        return self

    async def send(self, message):
        self.told.sent += 1
        if isinstance(message, bytes):
            await self.socket.send_bytes(message)
        else:
            await self.socket.send_str(message)

    async def receive(self):
        message = await self.socket.receive()
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            raise EOFError
        self.told.received += 1
        return message.data

    async def drain(self):
        try:
            while True:
                await self.receive()
        except EOFError:
            await self.close()

    async def close(self, code=1000):
        await self.socket.close(code=code)
        self.told.end(self.socket.close_code)
        await self.session.close()

    def abort(self):
        self.socket._response.connection.transport.abort()
        self.told.end(None)


async def chat(client, port, path="/chat", messages=20, pause=0.0):
    one = await client.open(port, path)
    for i in range(messages):
        await one.send(f"message {i}" + "!" * (i * 10))
        await one.receive()
        await asyncio.sleep(pause)
    await one.close()


async def calls(client, port):
    await chat(client, port)
    await chat(client, port, "/rooms/42?token=secret", 3)
    one = await client.open(port, "/chat")
    for message in [BIG, "", "short"]:
        await one.send(message)
        assert await one.receive() == message
    await one.close(4000)
    for path in ["/news", "/broken", "/parts", "/refuses"]:
        one = await client.open(port, path)
        if path in ("/parts", "/refuses"):
            await one.send("please")
        await one.drain()
    one = await client.open(port, "/chat")
    await one.send("and off")
    await one.receive()
    one.abort()
    for _ in range(3):
        await chat(client, port, "/rooms/7", 8, 0.06)


async def forbidden(client, port):
    try:
        await client.open(port, "/forbidden")
    except Exception as error:
        assert "403" in str(error), error


async def few(client, port):
    await chat(client, port, "/rooms/42?token=secret", 3)
    one = await client.open(port, "/parts")
    await one.send("please")
    await one.drain()
    one = await client.open(port, "/broken")
    await one.drain()


async def late(client, port, file):
    """Connects before the file is there and goes on after."""
    go = pathlib.Path(file)
    one = await client.open(port, "/chat")
    await one.send("early")
    await one.receive()
    go.with_suffix(".ready").touch()
    while not go.exists():
        await asyncio.sleep(0.05)
    for _ in range(5):
        await one.send("late")
        await one.receive()
    await one.close()
    await chat(client, port)


def main():
    if sys.argv[1] == "serve":
        asyncio.run(serve(int(sys.argv[2])))
        return
    client = {"websockets": Websockets, "aiohttp": Aiohttp}[sys.argv[1]]
    scenario = {"calls": calls, "few": few, "forbidden": forbidden, "late": late}[sys.argv[2]]
    asyncio.run(scenario(client, int(sys.argv[3]), *sys.argv[4:]))


main()
