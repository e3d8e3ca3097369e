"""A server of server-sent events and clients of it.

`sse_peer.py serve PORT`, `sse_peer.py CLIENT SCENARIO PORT` with the client `httpx`, `aiohttp` or
`curl`. Clients print a line for each stream: path, events, nanoseconds that it took.
"""

import asyncio
import subprocess
import sys
import time

import aiohttp
import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

TYPE = "text/event-stream"


async def ticks(count, pause):
    for i in range(count):
        yield f"event: tick\nid: {i}\ndata: number {i}\n\n"
        await asyncio.sleep(pause)


async def slow(request):
    return StreamingResponse(ticks(10, 0.06), media_type=TYPE)


async def burst(request):
    return StreamingResponse(ticks(700, 0), media_type=TYPE)


async def odd():
    """Comments, lines in parts, CR LF, large data."""
    yield ": hello\n\n"
    yield "data: in "
    yield "parts\n"
    yield "\n"
    yield "data: one\r\ndata: two\r\n\r\n: ping\r\n\r\n"
    yield "data: " + "x" * 100_000 + "\n\n"
    yield "data\n\nretry: 5\n\ndata: cut off"


async def odd_ones(request):
    return StreamingResponse(odd(), media_type=TYPE)


async def whole(request):
    return PlainTextResponse("data: a\n\ndata: b\n\n", media_type=TYPE)


async def endless(request):
    return StreamingResponse(ticks(10_000, 0.02), media_type=TYPE)


async def plain(request):
    return PlainTextResponse("data: no event\n\n")


PATHS = {"/slow": slow, "/burst": burst, "/odd": odd_ones, "/whole": whole, "/plain": plain}


def serve(port):
    routes = [Route(path, endpoint) for path, endpoint in PATHS.items()]
    app = Starlette(routes=[*routes, Route("/endless", endless)])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)


def events_in(text):
    """As the specification reads a stream."""
    events, data = 0, False
    lines = text.replace("\r\n", "\n").split("\n")
    for line in lines[:-1]:
        if line == "":
            events += data
            data = False
        elif line.split(":")[0] == "data":
            data = True
    return events


def tell(path, text, took):
    events = events_in(text) if path != "/plain" else "-"
    print(path, events, took, flush=True)


def over_httpx(url, paths):
    with httpx.Client(timeout=20) as client:
        for path in paths:
            started = time.monotonic_ns()
            with client.stream("GET", url + path) as response:
                text = ""
                for part in response.iter_text():
                    text += part
                    if path == "/endless" and text.count("data") >= 20:
                        break
            tell(path, text, time.monotonic_ns() - started)


def over_curl(url, paths):
    for path in paths:
        # Of an endless stream it takes what comes in a while.
        limit = "0.5" if path == "/endless" else "20"
        # Its own time, without its start and its end.
        command = ["curl", "-sN", "--max-time", limit, "-w", "%{stderr}%{time_total}", url + path]
        said = subprocess.run(command, capture_output=True)
        tell(path, said.stdout.decode(), int(float(said.stderr) * 1e9))


async def over_aiohttp(url, paths):
    async with aiohttp.ClientSession() as session:
        for path in paths:
            started = time.monotonic_ns()
            async with session.get(url + path) as response:
                text = (await response.read()).decode()
            tell(path, text, time.monotonic_ns() - started)


def main():
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
        return
    client, scenario, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    paths = list(PATHS) if scenario != "endless" else ["/endless"]
    if scenario == "few":
        paths = ["/odd", "/whole", "/plain"]
    url = f"http://127.0.0.1:{port}"
    if client == "aiohttp":
        asyncio.run(over_aiohttp(url, paths))
    else:
        {"httpx": over_httpx, "curl": over_curl}[client](url, paths)


main()
