"""A server of HTTP/2 that goes away: `goaway_peer.py serve PORT`.

It waits for three requests on a connection, answers the first one, and says that it begins none
of the others.
"""

import socket
import struct
import sys

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, SETTINGS, GOAWAY = 1, 4, 7
ACK, END_STREAM_AND_HEADERS = 1, 5
REQUESTS = 3


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">IBBI", len(payload), kind, flags, stream)[1:] + payload


def frames(reader):
    while head := reader.read(9):
        size, kind, flags, stream = struct.unpack(">IBBI", b"\0" + head)
        reader.read(size)
        yield kind, flags, stream


def serve(connection):
    reader = connection.makefile("rb")
    if reader.read(len(PREFACE)) != PREFACE:
        return
    connection.sendall(frame(SETTINGS, 0, 0))
    asked = []
    for kind, flags, stream in frames(reader):
        if kind == SETTINGS and not flags & ACK:
            connection.sendall(frame(SETTINGS, ACK, 0))
        if kind == HEADERS:
            asked.append(stream)
        if len(asked) == REQUESTS:
            answer = frame(HEADERS, END_STREAM_AND_HEADERS, asked[0], b"\x88")
            connection.sendall(answer + frame(GOAWAY, 0, 0, struct.pack(">II", asked[0], 0)))
            asked = []


def main():
    listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))
    while True:
        connection, _ = listener.accept()
        with connection:
            serve(connection)


main()
