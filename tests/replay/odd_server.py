"""Answers HTTP the ways that nginx does not: chunks, 1xx, no length, upgrades, silence."""
import socket
import sys
import threading
import time

ANSWERS = {
    "/chunked": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                 b"5\r\nhello\r\n", b"6;ext=1\r\n world\r\n", b"0\r\nX-Trailer: 1\r\n\r\n"],
    "/empty": [b"HTTP/1.1 204 No Content\r\n\r\n"],
    "/cached": [b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"],
    "/continue": [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"],
    "/fails": [b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"],
    "/slow": [b"HTTP/1.1 200 OK\r\n", b"Content-Le", b"ngth: 3\r\n", b"\r\n", b"o", b"k\n"],
}


def read_head(connection, buffer):
    while b"\r\n\r\n" not in buffer:
        try:
            data = connection.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            return None, b""
        buffer += data
    return buffer.split(b"\r\n\r\n", 1)


def serve(connection):
    buffer = b""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        head, buffer = read_head(connection, buffer)
        if head is None:
            break
        lines = head.decode().split("\r\n")
        method, path, _ = lines[0].split(" ")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        if "expect" in fields:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(buffer) < int(fields.get("content-length", 0)):
            buffer += connection.recv(65536)
        buffer = buffer[int(fields.get("content-length", 0)):]
        while fields.get("transfer-encoding") == "chunked" and not buffer.endswith(b"0\r\n\r\n"):
            buffer += connection.recv(65536)
        if "transfer-encoding" in fields:
            buffer = b""
        if method == "CONNECT":
            connection.sendall(b"HTTP/1.1 200 Connection Established\r\n\r\n")
            connection.sendall(connection.recv(65536))
            break
        if path == "/until-close":
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
            connection.sendall(b"x" * 5000)
            break
        if path.startswith("/silent"):
            time.sleep(0.5)
            break
        if path == "/upgrade":
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n")
            connection.sendall(connection.recv(65536))
            break
        for part in ANSWERS.get(path.split("?")[0], [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]):
            connection.sendall(part)
    connection.close()


listener = socket.create_server((sys.argv[1], int(sys.argv[2])), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
