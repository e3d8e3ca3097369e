"""A TLS server and clients of it: `tls_peer.py serve PORT CERT KEY`, `tls_peer.py shake PORT CERT`.

The server waits 300 ms before each handshake with a client that asks for `slow.lan`: it looks at the
ClientHello before it answers. Clients print a line for each handshake: version, cipher suite by its
name in IANA's registry, name asked for, error (0 = none), nanoseconds that it took.
"""

import socket
import ssl
import sys
import threading
import time

IANA = {"ECDHE-RSA-AES128-GCM-SHA256": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}
SLOW = "slow.lan"


def answer(connection, context):
    if SLOW.encode() in connection.recv(4096, socket.MSG_PEEK):
        time.sleep(0.3)
    try:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.sendall(secure.recv(64))
    except (ssl.SSLError, OSError):
        connection.close()


def serve(port, cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["http/1.1"])
    with socket.create_server(("127.0.0.1", port), backlog=64) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=answer, args=(connection, context), daemon=True).start()


def client_context(version, cert):
    context = ssl.create_default_context(cafile=cert)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    if version == ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    if version < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def shake(port, context, name, session=None):
    plain = socket.create_connection(("127.0.0.1", port))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    secure = context.wrap_socket(
        plain, server_hostname=name, do_handshake_on_connect=False, session=session
    )
    version, suite, error = "-", "-", "0"
    started = time.monotonic_ns()
    try:
        secure.do_handshake()
        version, suite = secure.version(), secure.cipher()[0]
    except ssl.SSLError as problem:
        error = problem.reason
    took = time.monotonic_ns() - started
    kept = None
    if error == "0":
        secure.sendall(b"hello")
        assert secure.recv(64) == b"hello"
        kept = secure.session
    secure.close()
    print(version, IANA.get(suite, suite), name, error, took, flush=True)
    return kept


def clients(port, cert):
    new = client_context(ssl.TLSVersion.TLSv1_3, cert)
    old = client_context(ssl.TLSVersion.TLSv1_2, cert)
    older = client_context(ssl.TLSVersion.TLSv1_1, cert)
    for _ in range(5):
        shake(port, new, "shop.lan")
    shake(port, new, SLOW)
    session = shake(port, old, "shop.lan")
    assert session is not None
    shake(port, old, "shop.lan", session)
    shake(port, old, SLOW)
    # The server refuses, and then the client.
    shake(port, older, "shop.lan")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        shake(port, client_context(version, None), "shop.lan")
        shake(port, client_context(version, cert), "other.lan")


def main():
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]), sys.argv[3], sys.argv[4])
    else:
        clients(int(sys.argv[2]), sys.argv[3])


main()
