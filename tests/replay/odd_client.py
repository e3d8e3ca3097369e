"""Sends HTTP the ways that curl does not: `odd_client.py HOST PORT SCENE`."""
import socket
import sys
import time

host, port, scene = sys.argv[1], int(sys.argv[2]), sys.argv[3]
connection = socket.create_connection((host, port))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def drain(until_quiet=0.3):
    connection.settimeout(until_quiet)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        pass


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: weir.test\r\n\r\n".encode()


if scene == "pipeline":
    connection.sendall(b"".join(get(f"/item/{i}?q={i}") for i in range(12)))
    drain()
elif scene == "bytes":
    for byte in get("/bytes/one-at-a-time") + get("/bytes/again"):
        connection.sendall(bytes([byte]))
    drain()
elif scene == "midstream":
    for i in range(3):
        connection.sendall(get(f"/early/{i}"))
        drain(0.2)
    open("/tmp/weir-midstream", "w").close()
    time.sleep(1.5)
    for i in range(3):
        connection.sendall(get(f"/late/{i}"))
        drain(0.2)
elif scene == "tunnel":
    connection.sendall(b"CONNECT db.test:5432 HTTP/1.1\r\nHost: db.test\r\n\r\n")
    time.sleep(0.1)
    connection.sendall(b"GET /not-http-any-more HTTP/1.1\r\n\r\n")
    drain()
elif scene == "upgrade":
    connection.sendall(b"GET /upgrade HTTP/1.1\r\nHost: weir.test\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n")
    time.sleep(0.1)
    connection.sendall(b"\x00\x01\x02 echo me")
    drain()
elif scene == "reset":
    connection.sendall(get("/silent/reset"))
    time.sleep(0.1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
connection.close()
