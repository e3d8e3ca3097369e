"""Real MySQL clients: `mysql_client.py HOST PORT SCENARIO [FILE]`.

Every line of output is one exchange as the client saw it: an operation, the number of the error it
met or `-`, and how long it took in ns
(0 = not measured). Names are given here by hand. What a library sends by itself
is told by its verb; so each library's own way of sending is watched.
"""

import socket
import ssl
import struct
import sys
import tempfile
import time
from pathlib import Path

import mysql.connector
import pymysql
from mysql.connector.connection import MySQLConnection
from mysql.connector.constants import ServerCmd
from pymysql.constants import CLIENT, COMMAND

HOST, PORT = sys.argv[1], int(sys.argv[2])
BIG = 20 * 1024 * 1024
ROWS = 100_000


def told(operation, work, error=0):
    """Does `work`, which is one exchange and fails with this error, and tells of it."""
    started = time.monotonic_ns()
    found = 0
    result = None
    try:
        result = work()
    except (pymysql.MySQLError, mysql.connector.Error) as failure:
        found = failure.args[0]
    took = time.monotonic_ns() - started
    assert found == error, f"{operation}: error {found}, expected {error}"
    print(operation, error or "-", took, flush=True)
    return result


class Watched(pymysql.connections.Connection):
    """Tells of the login, and of what PyMySQL sends before it hands the connection out."""

    def _request_authentication(self):
        self.is_ours = False
        told("CONNECT", super()._request_authentication)

    def set_character_set(self, *names):
        told("SET", lambda: super(Watched, self).set_character_set(*names))

    def query(self, sql, unbuffered=False):
        if self.is_ours:
            return super().query(sql, unbuffered)
        return told(sql.split()[0].upper(), lambda: super(Watched, self).query(sql, unbuffered))


def connect(**options):
    connection = Watched(
        host=HOST,
        port=PORT,
        user="root",
        autocommit=None,
        max_allowed_packet=64 * 1024 * 1024,
        ssl_disabled=True,
        **options,
    )
    connection.is_ours = True
    return connection


def run(connection, operation, sql, error=0):
    def work():
        connection.query(sql)
        return connection._result

    return told(operation, work, error)


def commands():
    """Each kind of command and error, some often enough to be told apart by their counts."""
    db = connect()
    run(db, "CREATE DATABASE", "CREATE DATABASE IF NOT EXISTS shop")
    told("INIT_DB", lambda: db.select_db("shop"))
    run(db, "CREATE TABLE orders", "CREATE TABLE orders (id INT, name LONGTEXT)")
    for i in range(50):
        run(db, "INSERT orders", f"INSERT INTO orders VALUES ({i}, 'name {i} of it')")
    for i in range(120):
        result = run(db, "SELECT orders", f"SELECT name FROM orders WHERE id = {i % 60}")
        assert result.affected_rows == (1 if i % 60 < 50 else 0)
    for i in range(7):
        run(db, "UPDATE orders", f"UPDATE orders SET name = 'other {i}' WHERE id = {i}")
    for i in range(9):
        told("PING", lambda: db.ping(reconnect=False))
    for i in range(3):
        run(db, "SELEKT", f"SELEKT {i}", 1064)
    for i in range(3):
        run(db, "SELECT seq_1_to_1", "SELECT SLEEP(0.3) FROM seq_1_to_1")
    for i in range(4):
        run(db, "SELECT missing", f"SELECT a FROM missing WHERE b = {i}", 1146)
    db.close()


def refused():
    """Logins that the server refuses."""
    for user in ["nobody", "somebody"]:
        try:
            pymysql.connections.Connection(
                host=HOST, port=PORT, user=user, password="wrong", ssl_disabled=True
            )
        except pymysql.OperationalError as failure:
            assert failure.args[0] == 1045, failure
            print("CONNECT", 1045, 0, flush=True)


def results():
    """Many rows, many results, values of many MiB, a file, and commands in a pipeline."""
    options = CLIENT.MULTI_STATEMENTS
    db = connect(database="shop", client_flag=options, local_infile=True)
    result = run(db, "SELECT seq_1_to_100000", f"SELECT seq, 'x' FROM seq_1_to_{ROWS}")
    assert len(result.rows) == ROWS
    several = "SELECT id FROM orders LIMIT 3; SELECT name FROM orders; SELECT id FROM orders LIMIT 0"

    def all_results():
        db.query(several)
        while db.next_result():
            pass

    for i in range(5):
        told("SELECT orders", all_results)
    value = "v" * BIG
    run(db, "INSERT orders", f"INSERT INTO orders VALUES (1000, '{value}')")
    result = run(db, "SELECT orders", "SELECT id, name FROM orders WHERE id = 1000")
    assert len(result.rows[0][1]) == BIG
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        for i in range(300_000):
            file.write(f"{i + 10_000}\tfrom a file\n")
        file.flush()
        load = f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE orders"
        result = run(db, "LOAD orders", load)
        assert result.affected_rows == 300_000
    pipeline(db)
    db.close()


def pipeline(db):
    """Packets of several commands at once; PyMySQL reads their answers in turn."""
    texts = ["SELECT 1 FROM dual", "SELECT 2 FROM dual", "SELECT 3 FROM dual"]
    packets = b""
    for text in texts:
        payload = bytes([COMMAND.COM_QUERY]) + text.encode()
        packets += len(payload).to_bytes(3, "little") + b"\0" + payload
    started = time.monotonic_ns()
    db._write_bytes(packets)
    for _ in texts:
        db._next_seq_id = 1
        db._read_query_result()
        print("SELECT dual", "-", time.monotonic_ns() - started, flush=True)


class WatchedConnector(MySQLConnection):
    """MySQL's own connector, in Python, telling of everything that it sends and gets an answer to."""

    operation = None
    silent = {ServerCmd.QUIT, ServerCmd.STMT_CLOSE, ServerCmd.STMT_SEND_LONG_DATA}
    names = {
        ServerCmd.STMT_RESET: "RESET",
        ServerCmd.PING: "PING",
        ServerCmd.RESET_CONNECTION: "RESET_CONNECTION",
    }

    def _do_auth(self, *args, **kwargs):
        result = super()._do_auth(*args, **kwargs)
        print("CONNECT", "-", 0, flush=True)
        return result

    def cmd_statistics(self):
        print("STATISTICS", "-", 0, flush=True)
        return super().cmd_statistics()

    def cmd_change_user(self, *args, **kwargs):
        print("CHANGE_USER", "-", 0, flush=True)
        return super().cmd_change_user(*args, **kwargs)

    def _send_cmd(self, command, argument=None, *args, **kwargs):
        if command in self.names:
            print(self.names[command], "-", 0, flush=True)
        elif command == ServerCmd.STMT_PREPARE:
            print("PREPARE", self.operation, "-", 0, flush=True)
        elif command == ServerCmd.STMT_EXECUTE:
            print(self.operation, "-", 0, flush=True)
        elif command == ServerCmd.QUERY:
            text = bytes(argument).decode()
            print(self.operation or text.split()[0].upper(), "-", 0, flush=True)
        else:
            assert command in self.silent, command
        return super()._send_cmd(command, argument, *args, **kwargs)


def prepared():
    """Statements that the server prepares, each executed many times, and rarer commands."""
    db = WatchedConnector(
        host=HOST, port=PORT, user="root", password="", database="shop", ssl_disabled=True
    )
    WatchedConnector.operation = "INSERT orders"
    insert = db.cursor(prepared=True)
    for i in range(30):
        insert.execute("INSERT INTO orders VALUES (%s, %s)", (i + 2000, f"prepared {i}"))
    WatchedConnector.operation = "SELECT orders"
    select = db.cursor(prepared=True)
    for i in range(40):
        select.execute("SELECT id, name FROM orders WHERE id = %s", (i + 2000,))
        assert len(select.fetchall()) == (1 if i < 30 else 0)
    insert.close()
    select.close()
    WatchedConnector.operation = None
    db.cmd_ping()
    db.cmd_statistics()
    db.cmd_reset_connection()
    db.cmd_change_user(username="root", password="", database="shop")
    db.close()


def few():
    """Few packets, for a capture: text, rows, an error, several results, a prepared statement."""
    db = connect(client_flag=CLIENT.MULTI_STATEMENTS)
    told("INIT_DB", lambda: db.select_db("mysql"))
    run(db, "SELECT seq_1_to_9", "SELECT seq FROM seq_1_to_9 WHERE seq > 3")
    run(db, "SELECT missing", "SELECT a FROM missing WHERE b = 'secret'", 1146)
    told("DO", lambda: db.query("DO 1; SELECT 2"))
    db.next_result()
    db.close()
    db = WatchedConnector(
        host=HOST, port=PORT, user="root", password="", database="mysql", ssl_disabled=True
    )
    WatchedConnector.operation = "SELECT seq_1_to_9"
    select = db.cursor(prepared=True)
    for i in range(2):
        select.execute("SELECT seq FROM seq_1_to_9 WHERE seq = %s", (i,))
        select.fetchall()
    select.close()
    db.close()


def tls():
    """Encrypted connections, told as `tls_peer.py` does; the last client does not trust the server."""
    for version, trusts in [("TLSv1_3", True), ("TLSv1_2", True), ("TLSv1_3", False)]:
        context = ssl.create_default_context()
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        if trusts:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        started = time.monotonic_ns()
        what, error = "- -", "0"
        try:
            db = pymysql.connections.Connection(host="localhost", port=PORT, user="root", ssl=context)
            with db, db.cursor() as cursor:
                cursor.execute("SHOW STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher')")
                found = dict(cursor.fetchall())
                what = f"{found['Ssl_version']} {found['Ssl_cipher']}".replace(*OLD_SUITE)
        except pymysql.err.OperationalError as failure:
            error = failure.original_exception.reason
        print(what, "localhost", error, time.monotonic_ns() - started)
    at_once()


def at_once():
    """The same of a client that sends its hello in one segment with its request for TLS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    capabilities = CLIENT.PROTOCOL_41 | CLIENT.SSL | CLIENT.SECURE_CONNECTION | CLIENT.PLUGIN_AUTH
    request = struct.pack("<HBBIIB23x", 32, 0, 1, capabilities, 1 << 24, 45)
    started = time.monotonic_ns()
    with socket.create_connection((HOST, PORT)) as plain:
        plain.recv(4096)
        is_done = False
        while not is_done:
            try:
                secure.do_handshake()
                is_done = True
            except ssl.SSLWantReadError:
                pass
            plain.sendall(request + outgoing.read())
            request = b""
            if not is_done:
                incoming.write(plain.recv(65536))
        print(secure.version(), secure.cipher()[0], "localhost 0", time.monotonic_ns() - started)


# As OpenSSL and as IANA's registry call it.
OLD_SUITE = "ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"


def late(file):
    """A connection that is older than its observer, which is there once the file exists."""
    db = connect()
    db.query("CREATE DATABASE IF NOT EXISTS shop")
    db.query("CREATE TABLE IF NOT EXISTS shop.orders (id INT, name LONGTEXT)")
    statement = f"{file}.ready"
    Path(statement).touch()
    while not Path(file).exists():
        time.sleep(0.05)
    for i in range(25):
        run(db, "SELECT shop.orders", f"SELECT name FROM shop.orders WHERE id = {i}")
        told("PING", lambda: db.ping(reconnect=False))
    run(db, "SELECT missing", "SELECT a FROM missing", 1046)
    db.close()


SCENARIOS = {
    "commands": commands,
    "refused": refused,
    "results": results,
    "prepared": prepared,
    "few": few,
    "tls": tls,
    "late": late,
}
SCENARIOS[sys.argv[3]](*sys.argv[4:])
