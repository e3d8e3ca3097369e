"""A server of one thread for HTTP/1 and HTTP/2 that may be late: `late_server.py LISTEN HOW BEFORE_MS AFTER_MS`.

It serves whichever connection has something to read, BEFORE_MS later, and works AFTER_MS on what it
read. HOW it reads: a call's name, `peek` (looks at the bytes before it waits), `splice`, or several of
these joined by `,`, which take turns. A line for each request goes to stdout: Unix time, in ns, at which
the call came back that took the request's first byte.
"""

import os
import selectors
import socket
import sys
import time

END = b"\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SIZE = 65536

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
HEADERS = 1


def splice(connection):
    reader, writer = os.pipe()
    os.splice(connection.fileno(), writer, SIZE)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        return pipe.read()


def readv(connection):
    buffer = bytearray(SIZE)
    return bytes(buffer[: os.readv(connection.fileno(), [buffer])])


WAYS = {
    "recv": lambda connection: connection.recv(SIZE),
    "peek": lambda connection: connection.recv(SIZE),
    "recvfrom": lambda connection: connection.recvfrom(SIZE)[0],
    "recvmsg": lambda connection: connection.recvmsg(SIZE)[0],
    "read": lambda connection: os.read(connection.fileno(), SIZE),
    "readv": readv,
    "short": lambda connection: connection.recv(7),
    "splice": splice,
}


class Peer:
    def __init__(self, connection):
        self.connection = connection
        self.bytes = b""
        self.began = 0
        self.turns = 0
        self.is_http2 = False

    def serve(self, how, before, after):
        """Reads once; False at the end of the connection."""
        way = how[self.turns % len(how)]
        if way == "peek":
            self.connection.recv(SIZE, socket.MSG_PEEK)
        if not self.bytes:
            time.sleep(before)
        new = WAYS[way](self.connection)
        now = time.time_ns()
        if not new:
            return False
        if not self.bytes:
            self.began = now
        self.bytes += new
        while answer := self.answer():
            time.sleep(after)
            print(self.began, flush=True)
            self.connection.sendall(answer)
            self.began = now
            self.turns += 1
        return True

    def answer(self):
        """Takes a request off the bytes, if there is a whole one."""
        if self.bytes.startswith(PREFACE):
            self.bytes = self.bytes.removeprefix(PREFACE)
            self.connection.sendall(SETTINGS)
            self.is_http2 = True
        if not self.is_http2:
            _, end, rest = self.bytes.partition(END)
            self.bytes = rest if end else self.bytes
            return end and ANSWER
        while len(self.bytes) >= 9:
            end = 9 + int.from_bytes(self.bytes[:3], "big")
            frame, self.bytes = self.bytes[:end], self.bytes[end:]
            if frame[3] == HEADERS:
                # The same stream ends with `:status: 200`.
                return bytes([0, 0, 1, HEADERS, 5]) + frame[5:9] + b"\x88"
        return b""


def main():
    address, how, before, after = sys.argv[1:]
    host, port = address.rsplit(":", 1)
    listener = socket.create_server((host, int(port)))
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection = listener.accept()[0]
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ, Peer(connection))
            elif not key.data.serve(how.split(","), float(before) / 1e3, float(after) / 1e3):
                selector.unregister(key.fileobj)
                key.fileobj.close()


main()
