"""A small HTTP service that calls others: `service.py LISTEN [http=ADDR/PATH | redis=ADDR]...`.

Every GET calls the listed back ends in turn over connections that are kept, and answers 200 with
what they said. Some paths answer in the ways that framing must know: see `do_GET`.
"""

import http.client
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BACKENDS = sys.argv[2:]
LOCAL = threading.local()


def split(address):
    host, port = address.rsplit(":", 1)
    return host.strip("[]"), int(port)


class Redis:
    """One INCR at a time over a kept connection."""

    def __init__(self, address):
        self.socket = socket.create_connection(split(address))
        self.file = self.socket.makefile("rb")

    def call(self):
        self.socket.sendall(b"*2\r\n$4\r\nINCR\r\n$4\r\nhits\r\n")
        return self.file.readline().strip()


class Http:
    """One GET at a time over a kept connection."""

    def __init__(self, target):
        address, _, self.path = target.partition("/")
        self.connection = http.client.HTTPConnection(*split(address))

    def call(self):
        self.connection.request("GET", "/" + self.path)
        return self.connection.getresponse().read()


def backends():
    """The back ends of this thread: one thread serves one client connection."""
    if not hasattr(LOCAL, "backends"):
        LOCAL.backends = [
            Http(target) if kind == "http" else Redis(target)
            for kind, _, target in (backend.partition("=") for backend in BACKENDS)
        ]
    return LOCAL.backends


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body stay two segments, without waiting for the acknowledgement between them.
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    def do_GET(self):
        if self.path == "/empty":
            return self.answer(204)
        if self.path == "/same":
            return self.answer(304)
        if self.path == "/chunked":
            return self.chunked()
        if self.path == "/switch":
            return self.switch()
        self.answer(200, b" ".join([b"ok"] + [backend.call() for backend in backends()]))

    def do_HEAD(self):
        self.answer(200, b"x" * 1000)

    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            length = self.read_chunks()
        else:
            length = len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self.answer(201, str(length).encode())

    def do_CONNECT(self):
        self.send_response(200, "Connection established")
        self.end_headers()
        self.echo()

    def read_chunks(self):
        total = 0
        while size := int(self.rfile.readline().split(b";")[0], 16):
            total += len(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return total

    def chunked(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for size in (1, 10, 100, 70000):
            self.wfile.write(b"%x;note=x\r\n%s\r\n" % (size, b"c" * size))
        self.wfile.write(b"0\r\nX-Trailer: end\r\n\r\n")

    def switch(self):
        self.send_response(101)
        self.send_header("Upgrade", "echo")
        self.send_header("Connection", "Upgrade")
        self.end_headers()
        self.echo()

    def echo(self):
        """What follows is not HTTP any more, however much it looks like it."""
        self.wfile.flush()
        while data := self.connection.recv(65536):
            self.connection.sendall(data)
        self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


if __name__ == "__main__":
    host, port = split(sys.argv[1])
    Server.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
    Server((host, port), Handler).serve_forever()
